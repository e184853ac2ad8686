"""SGD against PyTorch's, over drawn steps; freezing under any sequence of steps; settings that make no sense."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl.errors import ArgumentError, ShapeError
from minitl.kernels.verify.bounds import unit_roundoff
from minitl.optim import SGD, ConstantSchedule, StepSchedule
from minitl.tensor import Parameter

NOT_SETTINGS = [float("nan"), float("inf"), -1.0, None, "0.1", [0.1]]
seeds = st.integers(0, 2**32 - 1)


def parameters(rng, dtype=np.float32):
    shapes = {"conv.weight": (3, 2, 3, 3), "conv.bias": (3,), "fc.weight": (4, 7)}
    return [Parameter(rng.standard_normal(shape).astype(dtype), name) for name, shape in shapes.items()]


def give_gradients(rng, found):
    for p in found:
        p.grad = rng.standard_normal(p.shape).astype(p.dtype)


@given(
    seed=seeds,
    lr=st.floats(1e-3, 1),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    decay=st.sampled_from([0.0, 5e-4, 0.1]),
    multipliers=st.lists(st.sampled_from([0.0, 0.1, 1.0, 10.0]), min_size=3, max_size=3),
    steps=st.integers(1, 6),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_as_pytorch(seed, lr, momentum, decay, multipliers, steps, dtype):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    rng = np.random.default_rng(seed)
    ours = parameters(rng, dtype)
    theirs = [torch.nn.Parameter(torch.tensor(p.numpy())) for p in ours]
    groups = [{"params": [t], "lr": lr * m} for t, m in zip(theirs, multipliers, strict=True)]
    for p, m in zip(ours, multipliers, strict=True):
        p.lr_mult = m
    one, two = SGD(ours, lr, momentum, decay), torch.optim.SGD(groups, lr, momentum, weight_decay=decay)
    # Each step rounds a handful of times in numbers of at most `size`, and later steps carry that on: the velocity
    # with factor momentum, the numbers with factor 1 + rate * decay / (1 - momentum).
    size = [np.abs(p.numpy()) for p in ours]
    speed = [np.zeros(p.shape) for p in ours]
    bound = [np.zeros(p.shape) for p in ours]
    drift = [np.zeros(p.shape) for p in ours]
    u = unit_roundoff(dtype)
    for _ in range(steps):
        give_gradients(rng, ours)
        for p, t in zip(ours, theirs, strict=True):
            t.grad = torch.tensor(np.array(p.grad))
        one.step()
        two.step()
        for i, p in enumerate(ours):
            rate = lr * p.lr_mult
            push = np.abs(p.grad) + decay * size[i]
            speed[i] = momentum * speed[i] + push
            drift[i] = momentum * drift[i] + decay * bound[i] + 8 * u * speed[i]
            size[i] = size[i] + rate * speed[i]
            bound[i] = bound[i] + rate * drift[i] + 8 * u * size[i]
    for p, t, limit in zip(ours, theirs, bound, strict=True):
        assert np.all(np.abs(p.numpy() - t.detach().numpy()) <= limit)


def test_large_arrays_step_as_small_ones():
    """An update works on a few rows at a time; the seams must not show."""
    rng = np.random.default_rng(0)
    whole = rng.standard_normal((700, 1000)).astype(np.float32)
    grad = np.asfortranarray(rng.standard_normal((700, 1000)).astype(np.float32))
    large, rows = Parameter(whole, "large"), [Parameter(whole[i], str(i)) for i in (0, 261, 262, 263, 524, 699)]
    optimizers = SGD([large], 0.1, 0.9, 0.01), SGD(rows, 0.1, 0.9, 0.01)
    for _ in range(3):
        large.grad = grad
        for p, i in zip(rows, (0, 261, 262, 263, 524, 699), strict=True):
            p.grad = grad[i]
        for optimizer in optimizers:
            optimizer.step()
    for p, i in zip(rows, (0, 261, 262, 263, 524, 699), strict=True):
        assert np.array_equal(large.data[i], p.data)


actions = st.lists(st.sampled_from(["step", "freeze", "thaw", "new optimizer"]), min_size=1, max_size=25)


@given(seed=seeds, drawn=actions, which=st.lists(st.integers(0, 2), min_size=25, max_size=25))
def test_frozen_means_frozen(seed, drawn, which):
    """Whatever is done, in whatever order: a frozen array keeps every bit, and thawed it starts from rest."""
    rng = np.random.default_rng(seed)
    found = parameters(rng)
    optimizer = SGD(found, 0.1, 0.9, 0.01)
    for action, i in zip(drawn, which, strict=False):
        if action == "freeze":
            found[i].frozen = True
        elif action == "thaw":
            found[i].frozen = False
        elif action == "new optimizer":
            optimizer = SGD(found, 0.1, 0.9, 0.01)
        else:
            give_gradients(rng, found)  # stale gradients of frozen arrays must not matter either
            before = [p.numpy() for p in found]
            versions = [p.version for p in found]
            optimizer.step()
            for p, old, version in zip(found, before, versions, strict=True):
                assert np.array_equal(p.data, old) == p.frozen
                assert (p.version == version) == p.frozen
                assert not (p.frozen and p.name in optimizer.velocity)


def test_no_momentum_is_left_after_a_thaw():
    one, two = Parameter(np.ones(3, np.float32), "p"), Parameter(np.ones(3, np.float32), "p")
    moved, fresh = SGD([one], 0.1, 0.9), SGD([two], 0.1, 0.9)
    one.grad = np.full(3, 5, np.float32)
    moved.step()
    one.frozen = True
    moved.step()
    one.frozen = False
    one.assign(two.numpy())
    one.grad = two.grad = np.full(3, 2, np.float32)
    moved.step()
    fresh.step()
    assert np.array_equal(one.data, two.data)


def test_without_a_gradient_nothing_moves():
    p = Parameter(np.ones(3, np.float32), "p")
    SGD([p], 0.1, 0.9, 0.1).step()
    assert np.array_equal(p.data, np.ones(3))


def test_gradients_are_forgotten():
    p = Parameter(np.ones(3, np.float32), "p")
    p.grad = np.ones(3, np.float32)
    SGD([p], 0.1).zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("value", NOT_SETTINGS)
@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay"])
def test_settings_outside_their_domain_are_refused(name, value):
    with pytest.raises(ArgumentError, match=f"SGD: {name}"):
        SGD([], **{"lr": 0.1, name: value})


def test_two_parameters_of_one_name_are_refused():
    with pytest.raises(ArgumentError, match="distinct names"):
        SGD([Parameter(np.ones(1, np.float32), "p"), Parameter(np.ones(1, np.float32), "p")], 0.1)


def test_a_gradient_of_another_shape_is_refused():
    p = Parameter(np.ones(3, np.float32), "p")
    p.grad = np.ones(2, np.float32)
    with pytest.raises(ShapeError, match=r"'p' must have shape \(3,\); got \(2,\)"):
        SGD([p], 0.1).step()


def test_schedules():
    assert [StepSchedule(2, 0.5).rate(8.0, epoch) for epoch in range(6)] == [8, 8, 4, 4, 2, 2]
    assert ConstantSchedule().rate(8.0, 100) == 8
    for every, factor in ((0, 0.1), (1.5, 0.1), (1, -1.0), (1, float("nan"))):
        with pytest.raises(ArgumentError, match="StepSchedule"):
            StepSchedule(every, factor)
