"""Precision, recall and F1 of an evaluation are scikit-learn's, which is not imported for them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from minitl.train.evaluation import _ratios


@given(
    counts=st.integers(2, 6).flatmap(
        lambda classes: st.lists(
            st.lists(st.sampled_from([0, 0, 1, 3, 50]), min_size=classes, max_size=classes),
            min_size=classes,
            max_size=classes,
        )
    )
)
def test_ratios_are_those_of_scikit_learn(counts):
    confusion = np.array(counts)
    truth, answers = (np.repeat(index.ravel(), confusion.ravel()) for index in np.indices(confusion.shape))
    if not len(truth):
        return
    every = np.arange(len(confusion))
    theirs = precision_recall_fscore_support(truth, answers, labels=every, zero_division=0.0)
    ours = [[row[name] for row in _ratios(confusion)] for name in ("precision", "recall", "f1", "support")]
    assert np.array_equal(ours, theirs)


def test_evaluating_does_not_import_it():
    code = "import sys, minitl.train.evaluation, minitl.report; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
