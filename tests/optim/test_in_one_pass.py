"""The optimizers' steps by the ops that take them in one pass: the same numbers, kept and moved."""

import numpy as np
import pytest

from minitl import kernels, optim
from minitl.kernels import emulator
from minitl.kernels.verify import agreement
from minitl.tensor import Parameter

RULES = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (optim.Adam, {"weight_decay": 0.01, "amsgrad": True}),
    (optim.Adam, {"betas": (0.5, 0.9)}),
    (optim.AdamW, {}),
    (optim.RMSprop, {"weight_decay": 0.01}),
    (optim.RMSprop, {"momentum": 0.9, "centered": True}),
]
IDS = [f"{kind.name}-{i}" for i, (kind, _) in enumerate(RULES)]
each_rule = pytest.mark.parametrize(("kind", "settings"), RULES, ids=IDS)


def trained(kind, settings, backend, steps=3):
    """A parameter and its optimizer after some steps, on gradients from a seed."""
    rng = np.random.default_rng(5)
    p = Parameter(rng.standard_normal((3, 5)).astype(np.float32), "weight")
    optimizer = kind([p], **settings)
    for _ in range(steps):
        p.grad = rng.standard_normal(p.shape).astype(np.float32)
        with kernels.using({} if backend is None else {optimizer.kernel: backend}):
            optimizer.step()
    return p, optimizer


@each_rule
def test_the_reference_gives_the_bits_of_the_rule(kind, settings):
    (p, one), (q, other) = trained(kind, settings, None), trained(kind, settings, "reference")
    assert np.array_equal(p.data, q.data)
    kept, also_kept = one.state().get("weight", {}), other.state().get("weight", {})
    assert kept.keys() == also_kept.keys()
    for role, array in kept.items():
        assert np.array_equal(array, also_kept[role]), role


@pytest.mark.skipif(emulator.unavailable() is not None, reason=f"the emulator: {emulator.unavailable()}")
@each_rule
def test_the_gpu_kernels_give_the_numbers_of_the_definition(kind, settings):
    p, optimizer = trained(kind, settings, None)
    op = kernels.spec(optimizer.kernel)
    p.grad = np.full(p.shape, -0.5, np.float32)
    before = optimizer.state().get("weight", {})
    call = {"parameter": np.array(p.data), "grad": p.grad, **optimizer.operands(before, optimizer.lr, 4)}
    truth = op.load(op.oracle)(**call)
    with kernels.using({optimizer.kernel: "emulator"}):
        optimizer.step()
    state = optimizer.state().get("weight", {})
    found = [p.data, *(state[role] for role in optimizer.roles)]
    for array, true, allowed in zip(found, truth, op.bound(call, truth), strict=True):
        agreement.within(array, true, allowed)


def test_a_rule_of_ones_own_made_from_another_keeps_its_own_change():
    class Stubborn(optim.SGD):
        def change(self, old, grad, kept, rate, step):
            return np.zeros_like(old)

    stays, _ = trained(Stubborn, {"lr": 0.1}, "reference")
    moves, _ = trained(optim.SGD, {"lr": 0.1}, "reference")
    start, _ = trained(optim.SGD, {"lr": 0.1}, None, steps=0)
    assert np.array_equal(stays.data, start.data)
    assert not np.array_equal(moves.data, start.data)


def test_a_parameter_without_axes_moves():
    p = Parameter(np.float32(1), "scale")
    p.grad = np.array(2, np.float32)
    with kernels.using(sgd_step="reference"):
        optim.SGD([p], lr=0.5).step()
    assert p.shape == ()
    assert float(p.data) == 0


def test_frozen_stays_frozen():
    p = Parameter(np.ones(3, np.float32), "weight", frozen=True)
    p.grad = np.ones(3, np.float32)
    with kernels.using(sgd_step="reference"):
        optim.SGD([p], lr=0.5, momentum=0.9).step()
    assert np.array_equal(p.data, np.ones(3))
