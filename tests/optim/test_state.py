"""State: saved and taken back in mid-run the rest of the run has the same bits; what does not fit is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl.errors import ArgumentError, ShapeError
from minitl.optim import EMA, SGD, Adam, AdamW, RMSprop
from minitl.tensor import Parameter


def run(rng, found, optimizer, ema, steps, give_gradients):
    for i in range(steps):
        give_gradients(rng, found)
        found[i % len(found)].grad = None  # not all have moved equally often
        optimizer.step()
        ema.update()


@given(
    seed=st.integers(0, 2**32 - 1),
    before=st.integers(0, 6),
    after=st.integers(1, 6),
    frozen=st.sets(st.integers(0, 3), max_size=3),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_a_run_taken_up_again_has_the_same_bits(make, parameters, give_gradients, seed, before, after, frozen, dtype):
    rng = np.random.default_rng(seed)
    ours = parameters(rng, dtype)
    for i in frozen:
        ours[i].frozen = True
    optimizer, ema = make(ours), EMA(ours, 0.9, warm_up=True)
    run(rng, ours, optimizer, ema, before, give_gradients)

    again = [Parameter(p.numpy(), p.name, p.frozen) for p in ours]
    resumed, averages = make(again), EMA(again, 0.9, warm_up=True)
    resumed.load_state(optimizer.state())
    averages.load_state(ema.state())
    copy = np.random.default_rng()
    copy.bit_generator.state = rng.bit_generator.state
    run(rng, ours, optimizer, ema, after, give_gradients)
    run(copy, again, resumed, averages, after, give_gradients)

    for p, q in zip(ours, again, strict=True):
        assert np.array_equal(p.data, q.data)
    for one, two in ((optimizer.state(), resumed.state()), (ema.state(), averages.state())):
        assert one.keys() == two.keys()
        for name, arrays in one.items():
            assert arrays.keys() == two[name].keys()
            for role, array in arrays.items():
                assert array.dtype == two[name][role].dtype
                assert np.array_equal(array, two[name][role])


@pytest.fixture
def moved(make):
    """An optimizer after a step, with its one parameter "p" of shape (3,)."""
    p = Parameter(np.ones(3, np.float32), "p")
    p.grad = np.array([1, -2, 3], np.float32)
    optimizer = make([p])
    optimizer.step()
    return optimizer


def same(one, two):
    return one.keys() == two.keys() and all(
        np.array_equal(array, two[name][role]) for name, arrays in one.items() for role, array in arrays.items()
    )


def test_state_is_a_copy_both_ways(moved):
    first, state = moved.state(), moved.state()
    for array in state["p"].values():
        array[...] = 7
    assert same(moved.state(), first)
    moved.load_state(first)
    for array in first["p"].values():
        array[...] = 7
    assert not same(moved.state(), first)


def test_state_has_the_dtype_and_shape_of_its_parameter(moved):
    for role, array in moved.state()["p"].items():
        expected = ((), np.int64) if role == "step" else ((3,), np.float32)
        assert (array.shape, array.dtype) == expected


def test_the_other_byte_order_is_the_same_numbers(moved):
    state = {"p": {role: array.astype(array.dtype.newbyteorder()) for role, array in moved.state()["p"].items()}}
    before = moved.state()
    moved.load_state(state)
    assert same(moved.state(), before)


def test_names_that_are_left_out_start_from_rest(moved):
    moved.load_state({})
    assert moved.state() == {}


def test_what_is_saved_of_a_frozen_parameter_is_dropped(moved):
    state = moved.state()
    p = moved.parameters[0]
    p.frozen = True
    assert moved.state() == {}
    moved.load_state(state)
    p.frozen = False
    assert moved.state() == {}


def roles_of(kind):
    return {"sgd": "velocity", "rmsprop": "mean_square"}.get(kind.name, "first_moment")


def wrong_states(kind, state):
    """(what is wrong with it, the state, the error, what the error says)."""
    role, arrays = roles_of(kind), state["p"]
    yield "no dict", [1, 2], ArgumentError, "must be a dict .* got list"
    yield "another network", {"q": arrays}, ArgumentError, "holds 'q', and there is no such parameter"
    yield "another network too", state | {"q": arrays}, ArgumentError, "holds 'q'"
    yield "no roles", {"p": {}}, ArgumentError, f"must hold .*{role}.*; it holds nothing"
    yield "an array for a dict", {"p": arrays[role]}, ArgumentError, "it holds ndarray"
    yield "one role too many", {"p": arrays | {"noise": arrays[role]}}, ArgumentError, "it holds .*noise"
    short = {name: array for name, array in arrays.items() if name != role}
    yield "one role too few", {"p": short}, ArgumentError, f"must hold .*{role}"
    yield "another shape", {"p": arrays | {role: np.ones(2, np.float32)}}, ShapeError, r"shape \(3,\); got \(2,\)"
    yield "another dtype", {"p": arrays | {role: np.ones(3)}}, ShapeError, "must be float32.* got float64"
    yield "text", {"p": arrays | {role: np.array(["a", "b", "c"])}}, ShapeError, "must be float32"
    if "step" in arrays:
        for count in (0, -1, 1.0, [1], "one", None, True, 2**64 - 1):
            yield (
                f"step {count}",
                {"p": arrays | {"step": count}},
                ArgumentError,
                "step of 'p' must be one whole number",
            )


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(moved):
    before = moved.state()
    tried = list(wrong_states(type(moved), before))
    assert len(tried) >= 10
    for what, state, error, said in tried:
        with pytest.raises(error, match=said):
            moved.load_state(state)
        assert same(moved.state(), before), what


def test_the_state_of_every_optimizer_is_refused_by_every_other():
    p = Parameter(np.ones(3, np.float32), "p")
    p.grad = np.ones(3, np.float32)
    kinds = [
        SGD([p], 0.1, 0.9),
        SGD([p], 0.1),
        Adam([p]),
        Adam([p], amsgrad=True),
        RMSprop([p]),
        RMSprop([p], momentum=0.9),
        RMSprop([p], centered=True),
    ]
    for optimizer in kinds:
        optimizer.step()
    for one in kinds:
        for two in kinds:
            if one is not two and one.state():
                with pytest.raises(ArgumentError, match=r"of 'p' must hold .* saved by another optimizer"):
                    two.load_state(one.state())
    AdamW([p]).load_state(Adam([p]).state())  # which keep the same


@pytest.mark.parametrize(
    ("state", "error", "said"),
    [
        ({"q": {"average": np.ones(3, np.float32), "step": 1}}, ArgumentError, "EMA: the state holds 'q'"),
        ({"p": {"velocity": np.ones(3, np.float32)}}, ArgumentError, "must hold average, step; it holds velocity"),
        (
            {"p": {"average": np.ones(4, np.float32), "step": 1}},
            ShapeError,
            r"EMA: average of 'p' .*\(3,\); got \(4,\)",
        ),
        ({"p": {"average": np.ones(3, np.float32), "step": 0}}, ArgumentError, "EMA: step of 'p'"),
    ],
)
def test_averages_that_do_not_fit_are_refused(state, error, said):
    ema = EMA([Parameter(np.ones(3, np.float32), "p")], 0.9)
    with pytest.raises(error, match=said):
        ema.load_state(state)
    assert ema.state() == {}
