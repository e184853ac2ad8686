"""Whatever the rule: freezing under any sequence of steps, blocks that do not show, settings that make no sense."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import functional as F
from minitl import tensor
from minitl.errors import ArgumentError, ShapeError
from minitl.optim import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, RMSprop, blocks
from minitl.tensor import Buffer, Parameter

NOT_SETTINGS = [float("nan"), float("inf"), -1.0, None, "0.1", [0.1], True]
NUMBERS = {
    SGD: ["lr", "momentum", "weight_decay"],
    Adam: ["lr", "eps", "weight_decay"],
    AdamW: ["lr", "eps", "weight_decay"],
    RMSprop: ["lr", "alpha", "eps", "weight_decay", "momentum"],
}
seeds = st.integers(0, 2**32 - 1)


def one(value=1.0, n=3, dtype=np.float32, name="p"):
    return Parameter(np.full(n, value, dtype), name)


@pytest.mark.parametrize("size", [1, 10, 1 << 10, 1 << 30])
def test_blocks_do_not_show(make, monkeypatch, size):
    """An update works on a few rows at a time; the bits are those of the whole."""
    rng = np.random.default_rng(0)
    whole = rng.standard_normal((37, 50)).astype(np.float32)
    grads = [np.asfortranarray(rng.standard_normal(whole.shape).astype(np.float32)) for _ in range(3)]
    large, rows = Parameter(whole, "large"), [Parameter(row, str(i)) for i, row in enumerate(whole)]
    together, apart = make([large]), make(rows)
    for grad in grads:
        large.grad = grad
        for p, g in zip(rows, grad, strict=True):
            p.grad = g
        monkeypatch.setattr(blocks, "SIZE", size)
        together.step()
        monkeypatch.setattr(blocks, "SIZE", 1 << 30)
        apart.step()
    assert np.array_equal(large.data, np.stack([p.data for p in rows]))


def test_large_arrays_are_cut_and_covered():
    array = np.empty((700, 1000), np.float32)
    parts = list(blocks.blocks(array))
    assert len(parts) > 1
    assert max(array[part].size for part in parts) <= blocks.SIZE
    assert np.array_equal(np.concatenate([np.arange(700)[part] for part in parts]), np.arange(700))


def test_a_step_takes_one_new_array(make):
    """Beside what is kept: no operation has a temporary of the parameter's size."""
    p = Parameter(np.ones((6000, 1000), np.float32), "p")
    p.grad = np.ones(p.shape, p.dtype)
    optimizer = make([p])
    optimizer.step()
    tracemalloc.start()
    try:
        optimizer.step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= p.data.nbytes + 8 * blocks.SIZE * p.dtype.itemsize < 1.5 * p.data.nbytes


actions = st.lists(st.sampled_from(["step", "freeze", "thaw", "new optimizer", "reload"]), min_size=1, max_size=25)


@given(seed=seeds, drawn=actions, which=st.lists(st.integers(0, 3), min_size=25, max_size=25))
def test_frozen_means_frozen(make, parameters, give_gradients, seed, drawn, which):
    """Whatever is done, in whatever order: a frozen array keeps every bit, and nothing is kept for it."""
    rng = np.random.default_rng(seed)
    found = parameters(rng)
    optimizer = make(found)
    for action, i in zip(drawn, which, strict=False):
        if action in ("freeze", "thaw"):
            found[i].frozen = action == "freeze"
        elif action == "new optimizer":
            optimizer = make(found)
        elif action == "reload":
            optimizer.load_state(optimizer.state())
        else:
            give_gradients(rng, found)  # stale gradients of frozen arrays must not matter either
            before = [p.numpy() for p in found]
            versions = [p.version for p in found]
            optimizer.step()
            for p, old, version in zip(found, before, versions, strict=True):
                assert np.array_equal(p.data, old) == p.frozen
                assert (p.version == version) == p.frozen
        for p in found:
            assert not (p.frozen and p.name in optimizer.state())


def test_thawed_it_starts_from_rest(make):
    """No momentum, no moments, and a count of steps that begins anew."""
    a, b = one(), one()
    moved, fresh = make([a]), make([b])
    for _ in range(3):
        a.grad = np.full(3, 5, np.float32)
        moved.step()
    a.frozen = True
    moved.step()
    a.frozen = False
    a.assign(b.numpy())
    for _ in range(3):
        a.grad = b.grad = np.full(3, 2, np.float32)
        moved.step()
        fresh.step()
    assert np.array_equal(a.data, b.data)
    assert not np.array_equal(a.data, np.ones(3))


def test_frozen_at_first_it_is_as_if_made_later(make):
    a, b = one(), one()
    a.frozen = True
    moved = make([a])
    a.grad = np.full(3, 5, np.float32)
    moved.step()
    a.frozen = False
    a.grad = b.grad = np.full(3, 2, np.float32)
    moved.step()
    make([b]).step()
    assert np.array_equal(a.data, b.data)


def test_without_a_gradient_nothing_moves(make):
    p, q = one(name="p"), one(name="q")
    optimizer = make([p, q])
    p.grad = np.ones(3, np.float32)
    optimizer.step()
    before, state = p.numpy(), optimizer.state()["p"]
    p.grad, q.grad = None, np.ones(3, np.float32)
    optimizer.step()
    assert np.array_equal(p.data, before)
    for role, array in optimizer.state()["p"].items():
        assert np.array_equal(array, state[role]), role
    optimizer.zero_grad()
    optimizer.step()
    assert p.grad is None
    assert q.grad is None
    assert np.array_equal(p.data, before)


def test_gradients_are_left_as_they_are(make):
    """They may be shared, so they are read-only; an update must not need to write to them."""
    p = one()
    p.grad = np.ones(3, np.float32)
    p.grad.flags.writeable = False
    optimizer = make([p])
    for _ in range(3):
        optimizer.step()
    assert np.array_equal(p.grad, np.ones(3))


def test_gradients_add_up_over_backward_calls():
    """Two halves, each mean loss weighed by its share of the batch, move the weights as the whole batch does."""
    x = np.array([[1, 2], [-3, 4], [5, 1], [2, -2], [0, 8], [4, -6]], np.float32)
    y = np.array([[3], [1], [-2], [5], [2], [4]], np.float32)

    def weight():
        return Parameter(np.array([[0.5, -0.25]], np.float32), "w")

    def loss(w, part):
        error = F.linear(tensor(x[part]), w, None) - tensor(y[part])
        return (error * error).mean()

    whole, halves, uneven = weight(), weight(), weight()
    loss(whole, slice(6)).backward()
    for part in (slice(0, 3), slice(3, 6)):
        (loss(halves, part) * 0.5).backward()
    for part, share in ((slice(0, 4), 4 / 6), (slice(4, 6), 2 / 6)):
        (loss(uneven, part) * share).backward()
    for accumulated in (halves, uneven):
        np.testing.assert_allclose(accumulated.grad, whole.grad, rtol=16 * np.finfo(np.float32).eps)
    once = halves.grad.copy()
    (loss(halves, slice(0, 3)) * 0.5).backward()
    assert not np.array_equal(halves.grad, once)


def test_nan_and_infinity_are_not_hidden(make):
    for bad in (np.nan, np.inf):
        p = one()
        p.grad = np.array([bad, 1, 0], np.float32)
        with np.errstate(all="ignore"):
            optimizer = make([p])
            optimizer.step()
            optimizer.step()
        assert not np.isfinite(p.data[0])
        assert np.all(np.isfinite(p.data[1:]))


def test_a_variance_that_rounding_makes_negative_is_zero():
    """Gradients that never change: the mean square less the squared mean cancels to nothing."""
    p = one(n=1000)
    p.grad = np.linspace(0.1, 3, 1000, dtype=np.float32)
    optimizer = RMSprop([p], 1e-3, alpha=0.5, centered=True, eps=0.1)
    for _ in range(60):
        optimizer.step()
    assert np.all(np.isfinite(p.data))


def test_a_dead_unit_stays(make):
    """Gradients of zero from the first step on: no 0/0."""
    p = one(0.0)
    p.grad = np.zeros(3, np.float32)
    optimizer = make([p])
    optimizer.step()
    assert np.array_equal(p.data, np.zeros(3))


def test_empty_parameters_step(make):
    p = Parameter(np.zeros((0, 4), np.float32), "p")
    p.grad = np.zeros((0, 4), np.float32)
    make([p]).step()
    assert p.shape == (0, 4)


# Settings


@pytest.mark.parametrize("value", NOT_SETTINGS)
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NUMBERS.items() for name in names])
def test_settings_outside_their_domain_are_refused(kind, name, value):
    with pytest.raises(ArgumentError, match=f"{kind.__name__}: {name} must be"):
        kind([], **{"lr": 0.1, name: value})


@pytest.mark.parametrize("value", NOT_SETTINGS)
def test_a_schedule_cannot_set_a_rate_that_makes_no_sense(make, value):
    optimizer = make([])
    with pytest.raises(ArgumentError, match=f"{type(optimizer).__name__}: lr must be"):
        optimizer.lr = value
    assert optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (SGD, {"nesterov": True}, "SGD: nesterov=True needs a momentum above 0"),
        (SGD, {"nesterov": 1}, "SGD: nesterov must be True or False; got 1"),
        (Adam, {"betas": 0.9}, r"Adam: betas must be two numbers, such as \(0.9, 0.999\); got 0.9"),
        (Adam, {"betas": (0.9,)}, "Adam: betas must be two numbers"),
        (Adam, {"betas": (1.0, 0.9)}, r"Adam: betas\[0\] must be .* below 1; got 1.0"),
        (AdamW, {"betas": (0.9, -0.1)}, r"AdamW: betas\[1\] must be"),
        (AdamW, {"amsgrad": None}, "AdamW: amsgrad must be True or False"),
        (Adam, {"eps": 0}, "Adam: eps must be a finite number of at least 1.17549e-38; got 0"),
        (RMSprop, {"eps": 1e-50}, "RMSprop: eps"),
        (RMSprop, {"alpha": 1}, "RMSprop: alpha must be .* below 1; got 1"),
        (RMSprop, {"centered": "yes"}, "RMSprop: centered must be True or False"),
    ],
)
def test_contradictory_settings_are_refused(kind, options, said):
    with pytest.raises(ArgumentError, match=said):
        kind([], **{"lr": 0.1} | options)


def test_settings_make_the_same_optimizer_again(make):
    optimizer = make([])
    said = json.loads(json.dumps(optimizer.settings))
    assert said == optimizer.settings
    again = OPTIMIZERS[said.pop("optimizer")]([], **said)
    assert type(again) is type(optimizer)
    assert again.settings == optimizer.settings
    assert repr(again).startswith(f"{type(again).__name__}(0 parameters, lr=0.1")


def test_two_parameters_of_one_name_are_refused(make):
    with pytest.raises(ArgumentError, match="distinct names"):
        make([one(), one()])


@pytest.mark.parametrize(
    ("given_one", "found"),
    [
        ([np.ones(3)], "ndarray"),
        ([Buffer(np.ones(3, np.float32), "b")], "Buffer"),
        (3, "int"),
        ({"p": one()}, "str"),
    ],
)
def test_what_is_no_parameter_is_refused(make, given_one, found):
    with pytest.raises(ArgumentError, match=rf"parameters must be .* net.parameters\(\); got {found}"):
        make(given_one)


def test_a_gradient_of_another_shape_is_refused_before_anything_moves(make):
    p, q = one(name="p"), one(name="q")
    p.grad, q.grad = np.ones(3, np.float32), np.ones(2, np.float32)
    with pytest.raises(ShapeError, match=r"'q' must have shape \(3,\); got \(2,\)"):
        make([p, q]).step()
    assert np.array_equal(p.data, np.ones(3))


def test_a_rule_of_ones_own():
    """Signs alone (Rprop's step without its memory): a name and a change are all it takes."""

    class Signs(Optimizer):
        name = "signs"

        def change(self, old, grad, kept, rate, step):
            return rate * np.sign(grad)

    p = one()
    p.lr_mult = 2.0
    p.grad = np.array([3, 0, -0.1], np.float32)
    optimizer = Signs([p], 0.25)
    optimizer.step()
    assert np.array_equal(p.data, [0.5, 1, 1.5])
    assert optimizer.state() == {}
    assert optimizer.settings == {"optimizer": "signs", "lr": 0.25}
