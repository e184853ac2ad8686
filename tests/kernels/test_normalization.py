"""Normalizations over many blocks; tests/kernels/test_specs.py holds every version to its oracle on small arrays."""

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels import Version, batch_norm, local_response_norm
from minitl.kernels.backends import BACKENDS
from minitl.kernels.verify import agreement

SHAPE = (3, 36, 37, 41)  # several blocks of rows, and a last one that is little more than half full


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def calls(shape):
    drift = 3 * np.arange(shape[0], dtype=np.float32)[:, None, None, None]  # so that the blocks' own means differ
    x, grad = normal(shape) + 3 + drift, normal(shape, 1) + 1
    channel = dict(zip(("mean", "weight", "bias", "grad_weight", "grad_bias"), normal((5, shape[1]), 2), strict=True))
    every = {"x": x, "grad": grad, **channel, "var": channel["mean"] ** 2, "eps": 0.1}
    every |= {"size": 4, "alpha": 0.5, "beta": 0.75, "k": 1.0}
    specs = (
        batch_norm.statistics,
        batch_norm.forward,
        batch_norm.grad_affine,
        batch_norm.grad_input,
        batch_norm.grad_input_training,
        local_response_norm.forward,
        local_response_norm.grad_input,
    )
    return [(spec, {name: every[name] for name in spec.signature.parameters}) for spec in specs]


CALLS = calls(SHAPE)
VERSIONS = [(spec, call, v) for spec, call in CALLS for v in spec.versions if not BACKENDS[v.backend].unavailable()]


@pytest.mark.parametrize(("spec", "call", "version"), VERSIONS, ids=[f"{s.name}-{v.name}" for s, _, v in VERSIONS])
def test_agrees_with_the_oracle_over_many_blocks(spec, call, version):
    agreement.agrees(spec, version, call)


@pytest.mark.parametrize(("spec", "call"), CALLS, ids=[spec.name for spec, _ in CALLS])
def test_same_bits_on_any_number_of_threads(spec, call):
    numba = pytest.importorskip("numba", reason="the cpu versions need Numba, which is not installed")
    version = next(v for v in spec.versions if v.backend == "cpu")
    before, results = numba.get_num_threads(), []
    try:
        for threads in range(1, before + 1):
            numba.set_num_threads(threads)
            results.append([part.tobytes() for part in agreement.arrays_in(spec.run(version, call))])
    finally:
        numba.set_num_threads(before)
    assert all(result == results[0] for result in results)


def naive(x):
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes)
    return mean, (x * x).mean(axes) - mean * mean


def test_the_bound_tells_a_mean_of_squares_less_the_square_of_the_mean():
    version = Version("reference.naive", naive)
    agreement.agrees(batch_norm.statistics, version, {"x": normal(SHAPE)})
    with pytest.raises(AssertionError, match="from the truth; bound"):
        agreement.agrees(batch_norm.statistics, version, {"x": normal((2, 3, 6, 5)) + np.float32(1e4)})


def test_why_knows_the_shapes():
    assert kernels.why("batch_norm", x_shape=(2, 3, 4, 4)).chosen is not None
    assert kernels.why("local_response_norm.grad_input", x_shape=(2, 3, 4, 4), size=5).chosen is not None
