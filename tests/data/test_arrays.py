"""Pictures in memory."""

import numpy as np
import pytest

from minitl import data
from minitl.errors import DataError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 6, 5, 3), np.uint8)
LABELS = np.arange(12) % 3


def test_colour_and_grey():
    found = data.arrays(COLOUR, LABELS, ["a", "b", "c"], val=0.25)
    assert found.classes == ("a", "b", "c")
    assert found.counts("val") == {"a": 1, "b": 1, "c": 1}
    assert all(found.classes[item.label] == "abc"[int(item.name) % 3] for item in found.train + found.val)
    assert np.array_equal(found.train[0].picture(), COLOUR[int(found.train[0].name)])
    grey = data.arrays(COLOUR[..., 0], LABELS)
    assert grey.classes == ("0", "1", "2")
    assert grey.train[0].picture().shape == (6, 5, 3)
    assert np.ptp(grey.train[0].picture(), axis=2).max() == 0


def test_validation_pictures_of_their_own():
    found = data.arrays(COLOUR, LABELS, val=(255 - COLOUR[:3], LABELS[:3]))
    assert (len(found.train), len(found.val)) == (12, 3)
    assert len({item.name for item in found.train + found.val}) == 15


@pytest.mark.parametrize(
    ("x", "y", "options", "words"),
    [
        (COLOUR.astype(np.float32), LABELS, {}, "uint8 RGB .* got float32 of shape .12, 6, 5, 3."),
        (COLOUR.transpose(0, 3, 1, 2), LABELS, {}, "raw pictures"),
        (COLOUR, LABELS[:5], {}, "12 pictures, so its labels must have shape .12,."),
        (COLOUR, LABELS - 1, {}, "whole numbers from 0"),
        (COLOUR, LABELS * 1.0, {}, "whole numbers from 0"),
        (COLOUR, LABELS, {"classes": ["a", "b"]}, "label 2 has no name"),
        (COLOUR, LABELS, {"classes": ["a", "b", "c", "d"]}, "class 'd' has no readable picture"),
        (COLOUR, LABELS * 0, {}, "one class only"),
        (COLOUR[:0], LABELS[:0], {}, "holds no picture"),
        (COLOUR, LABELS, {"val": (COLOUR,)}, "x_val, y_val"),
        (COLOUR, LABELS, {"val": (COLOUR[:2], LABELS[:2])}, "class '2' has no readable picture to validate on"),
    ],
)
def test_what_is_no_data_is_refused(x, y, options, words):
    with pytest.raises(DataError, match=words):
        data.arrays(x, y, **options)


def test_a_label_far_beyond_the_pictures_is_refused_at_once():
    with pytest.raises(DataError, match="label 4000000000 stands for 4000000001 classes"):
        data.arrays(COLOUR[:2], np.array([0, 4_000_000_000]))


def test_numpy_numbers_serve_as_a_share():
    assert data.arrays(COLOUR, LABELS, val=np.float32(0.25)).val == data.arrays(COLOUR, LABELS, val=0.25).val


def test_labels_may_stand_in_a_column():
    assert data.arrays(COLOUR, LABELS[:, None]) == data.arrays(COLOUR, LABELS)
    with pytest.raises(DataError, match=r"labels must have shape .12,.; got .6, 2."):
        data.arrays(COLOUR, LABELS.reshape(6, 2))


def test_rows_of_different_lengths():
    with pytest.raises(DataError, match=r"arrays: x cannot be made one array .*; make all of one shape"):
        data.arrays([[1], [2, 3]], [0, 1])
    with pytest.raises(DataError, match="arrays: the labels of x cannot be made one array"):
        data.arrays(COLOUR[:2], [[0], [1, 2]])
