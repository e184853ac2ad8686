"""Averages of weights against PyTorch's AveragedModel; lending them and taking them back to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import nn
from minitl.errors import ArgumentError
from minitl.kernels.verify.bounds import unit_roundoff
from minitl.optim import EMA, blocks
from minitl.tensor import Buffer, Parameter

STEPS = 100
seeds = st.integers(0, 2**32 - 1)


def move(rng, arrays):
    for array in arrays:
        array.assign(array.data + rng.standard_normal(array.shape).astype(array.dtype))


@given(
    seed=seeds,
    decay=st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.999, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_as_pytorchs_averaged_model(parameters, seed, decay, dtype):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    rng = np.random.default_rng(seed)
    found = parameters(rng, dtype)
    model = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(p.numpy())) for p in found])
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    )
    ema = EMA(found, decay)
    largest = 0.0
    for _ in range(STEPS):
        move(rng, found)
        with torch.no_grad():
            for p, t in zip(found, model, strict=True):
                t.copy_(torch.tensor(p.numpy()))
        ema.update()
        averaged.update_parameters(model)
        largest = max(largest, *(float(np.abs(p.data).max()) for p in found))
    # A handful of roundings an update, in numbers of at most twice the largest; later updates only shrink them.
    bound = 16 * STEPS * unit_roundoff(dtype) * largest
    with ema.applied():
        for p, t in zip(found, averaged.module, strict=True):
            assert np.max(np.abs(p.data - t.detach().numpy())) <= bound


def test_by_hand():
    p = Parameter(np.array([8.0]), "p")
    ema = EMA([p], 0.75)
    for value in (4.0, 8.0, -9.0):
        p.assign([value])
        ema.update()
    assert ema.state()["p"]["average"] == 0.75 * (0.75 * 4 + 0.25 * 8) + 0.25 * -9
    assert ema.state()["p"]["step"] == 3


def test_warm_up_by_hand():
    """The first update copies; then 2/11 and 3/12 until the decay is smaller."""
    p = Parameter(np.array([11.0]), "p")
    ema = EMA([p], 0.24, warm_up=True)
    expected = 11.0
    ema.update()
    for t, value in ((1, 22.0), (2, 4.0), (3, 5.0)):
        p.assign([value])
        ema.update()
        decay = min(0.24, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * value
        assert ema.state()["p"]["average"] == pytest.approx(expected, rel=8 * unit_roundoff(np.float64))


def test_a_decay_of_0_is_the_last_and_of_1_the_first(parameters):
    for decay in (0, 1):
        rng = np.random.default_rng(0)
        found = parameters(rng)
        ema = EMA(found, decay)
        seen = []
        for scale in (1.0, 1e6, 1e-3):
            for p in found:  # numbers of unlike size, between which a step of their difference would fall short
                p.assign(scale * rng.standard_normal(p.shape).astype(p.dtype))
            seen.append([p.numpy() for p in found])
            ema.update()
        with ema.applied():
            assert all(np.array_equal(p.data, e) for p, e in zip(found, seen[-1 if decay == 0 else 0], strict=True))


def test_what_stands_still_is_its_own_average(parameters):
    """To the bit, whatever the decay: nothing drifts."""
    for decay in (0.1, 0.7, 0.9999):
        found = parameters(np.random.default_rng(1))
        ema = EMA(found, decay)
        for _ in range(50):
            ema.update()
        for p in found:
            assert np.array_equal(ema.state()[p.name]["average"], p.data)


def test_blocks_do_not_show(parameters, monkeypatch):
    states = []
    for size in (1, 1 << 30):
        monkeypatch.setattr(blocks, "SIZE", size)
        rng = np.random.default_rng(2)
        found = parameters(rng)
        ema = EMA(found, 0.9)
        for _ in range(5):
            move(rng, found)
            ema.update()
        states.append(ema.state())
    for p in found:
        assert np.array_equal(states[0][p.name]["average"], states[1][p.name]["average"])


class Interruption(BaseException):
    """As KeyboardInterrupt: no Exception."""


@given(seed=seeds, error=st.sampled_from([None, ValueError, Interruption]), nested=st.booleans())
def test_applied_gives_back_every_bit(parameters, seed, error, nested):
    rng = np.random.default_rng(seed)
    found = parameters(rng)
    found[0].assign(np.where(rng.random(found[0].shape) < 0.2, np.nan, -0.0).astype(np.float32))
    ema = EMA(found, 0.9)
    ema.update()
    move(rng, found[1:])
    ema.update()
    before, averages = [p.data.tobytes() for p in found], ema.state()

    def lend():
        with ema.applied():
            for p in found:
                assert np.array_equal(p.data, averages[p.name]["average"], equal_nan=True)
            if nested:
                with ema.applied():
                    pass
                assert np.array_equal(found[1].data, averages[found[1].name]["average"])
            move(rng, found)
            if error is not None:
                raise error

    if error is None:
        lend()
    else:
        with pytest.raises(error):
            lend()
    assert [p.data.tobytes() for p in found] == before
    assert not np.array_equal(found[1].data, averages[found[1].name]["average"])
    ema.update()  # which is allowed again


def test_an_error_while_lending_gives_back_what_was_lent(parameters, monkeypatch):
    found = parameters(np.random.default_rng(3))
    ema = EMA(found, 0.9)
    ema.update()
    move(np.random.default_rng(4), found)
    before = [p.numpy() for p in found]
    assign, calls = Parameter.assign, []

    def failing(self, array):
        calls.append(self.name)
        if len(calls) == 2:
            raise MemoryError
        assign(self, array)

    monkeypatch.setattr(Parameter, "assign", failing)
    with pytest.raises(MemoryError), ema.applied():
        pytest.fail("nothing runs inside")
    assert len(calls) == 4  # the second failed; both were given back
    assert all(np.array_equal(p.data, b) for p, b in zip(found, before, strict=True))


def test_before_any_update_nothing_is_lent(parameters):
    found = parameters(np.random.default_rng(5))
    versions = [p.version for p in found]
    with EMA(found, 0.9).applied():
        assert [p.version for p in found] == versions


def test_update_inside_applied_is_refused(parameters):
    ema = EMA(parameters(np.random.default_rng(6)), 0.9)
    ema.update()
    before = ema.state()
    with ema.applied():
        with ema.applied():
            pass
        with pytest.raises(ArgumentError, match=r"update inside applied\(\)"):
            ema.update()
    assert all(np.array_equal(before[n]["average"], a["average"]) for n, a in ema.state().items())


def test_frozen_arrays_are_passed_over(parameters):
    """No average is kept for one, none is lent to it, and thawed it starts anew."""
    rng = np.random.default_rng(7)
    found = parameters(rng)
    ema = EMA(found, 0.9)
    ema.update()
    move(rng, found)
    ema.update()
    frozen = found[2]
    frozen.frozen = True
    version = frozen.version
    with ema.applied():
        assert frozen.version == version
    assert frozen.name not in ema.state()
    ema.update()
    frozen.frozen = False
    frozen.assign(np.full(frozen.shape, 7))
    ema.update()
    assert np.array_equal(ema.state()[frozen.name]["average"], frozen.data)
    assert ema.state()[frozen.name]["step"] == 1
    assert ema.state()[found[0].name]["step"] == 4


def test_frozen_inside_applied_it_still_gets_its_own_numbers_back(parameters):
    rng = np.random.default_rng(8)
    found = parameters(rng)
    ema = EMA(found, 0.9)
    ema.update()
    move(rng, found)
    before = found[0].numpy()
    with ema.applied():
        found[0].frozen = True
    assert np.array_equal(found[0].data, before)


def test_a_network_brings_its_running_statistics():
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), input_shape=(2, 5, 5), seed=0)
    ema = EMA(net, 0.5)
    ema.update()
    names = set(net.named_parameters()) | set(net.named_buffers())
    assert net.named_buffers()
    assert set(ema.state()) == names
    name, statistic = next(iter(net.named_buffers().items()))
    first = statistic.numpy()
    statistic.assign(first + 2)
    ema.update()
    assert np.array_equal(ema.state()[name]["average"], first + 1)
    net.freeze()
    assert ema.state() == {}


def test_named_arrays_of_any_kind():
    class Plain:
        def __init__(self, name):
            self.name, self.data = name, np.zeros(2)

        def assign(self, array):
            self.data = np.array(array)

    arrays = {"a": Plain("a"), "b": Buffer(np.zeros(2), "b")}
    ema = EMA(arrays, 0.5)
    ema.update()
    for array in arrays.values():
        array.assign(np.ones(2))
    ema.update()
    with ema.applied():
        assert all(np.array_equal(array.data, [0.5, 0.5]) for array in arrays.values())
    assert all(np.array_equal(array.data, [1, 1]) for array in arrays.values())


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan"), None, "0.9", True])
def test_decays_outside_0_to_1_are_refused(decay):
    with pytest.raises(ArgumentError, match=r"EMA: decay must be .* at most 1"):
        EMA([], decay)


def test_arrays_that_make_no_sense_are_refused():
    p = Parameter(np.ones(2, np.float32), "p")
    for given_one in ([np.ones(2)], 3, {"p": np.ones(2)}, "p"):
        with pytest.raises(ArgumentError, match="EMA: needs a network or named arrays"):
            EMA(given_one, 0.9)
    with pytest.raises(ArgumentError, match="EMA: arrays must have distinct names"):
        EMA([p, p], 0.9)
    with pytest.raises(ArgumentError, match="EMA: warm_up must be True or False"):
        EMA([p], 0.9, warm_up=2)
    assert EMA([p], 0.9).settings == {"decay": 0.9, "warm_up": False}
