"""Max pooling of which nobody asks where the maxima were."""

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="the calls are drawn by hypothesis (pip install '.[test]')")
from hypothesis import given

from minitl import functional as F
from minitl import kernels, no_grad, tensor
from minitl.kernels.backends import BACKENDS

SPEC = kernels.spec("max_pool2d")
VERSIONS = [
    v.name for v in SPEC.versions if v.backend in ("cpu", "reference") and not BACKENDS[v.backend].unavailable()
]


@pytest.mark.parametrize("version", VERSIONS)
@given(call=SPEC.calls())
def test_the_maxima_are_the_same_without_their_indices(version, call):
    with kernels.using(max_pool2d=version):
        y, _ = kernels.max_pool2d.forward(**call)
        alone, _ = kernels.max_pool2d.forward(**call, where=False)
    np.testing.assert_array_equal(alone, y)
    assert alone.dtype == y.dtype
    np.testing.assert_array_equal(np.signbit(alone[alone == 0]), np.signbit(y[alone == 0]))


def test_indices_are_not_made_for_nothing(monkeypatch):
    asked = []
    forward = kernels.max_pool2d.forward
    monkeypatch.setattr(
        kernels.max_pool2d, "forward", lambda *a, where: asked.append(where) or forward(*a, where=where)
    )
    x = tensor(np.zeros((1, 2, 4, 4), np.float32), requires_grad=True)
    F.max_pool2d(x, 2)
    F.max_pool2d(x.data, 2)
    with no_grad():
        F.max_pool2d(x, 2)
        F.max_pool2d(x, 2, return_indices=True)
    assert asked == [True, False, False, True]
