"""Networks and optimizers on a device: they move and come back bit for bit, and their state goes along."""

import copy

import numpy as np
import pytest

from minitl import functional as F
from minitl import nn, optim
from minitl.errors import BackendUnavailable, DeviceMemoryError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3, 8, 8)).astype(np.float32)
LABELS = [0, 2, 1, 2]
KEYS = np.arange(4, dtype=np.uint64)


def network(**options):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, **options), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3),
        nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3), input_shape=(3, 8, 8), seed=1,
    )  # fmt: skip


def bits(net):
    return {name: p.numpy().tobytes() for name, p in net.named_arrays().items()}


def train(net, optimizer, steps=1, clip=None):
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(X, training=True, keys=KEYS), LABELS)
        loss.backward()
        if clip is not None:
            clip(net.parameters())
        optimizer.step()
        found.append(loss.item())
    return found


def near(here, there):
    """Every array of two networks, after a few steps on either device, but for the last bits."""
    for mine, other in zip(here.named_arrays().values(), there.named_arrays().values(), strict=True):
        a, b = mine.numpy(), other.numpy()
        assert np.abs(a - b).max() <= 1e-4 * max(np.abs(a).max(), 1), mine.name


def test_there_and_back_not_a_bit_changes():
    net = network()
    before = bits(net)
    assert net.to("cuda") is net
    assert net.device == "cuda:0"
    assert bits(net) == before
    assert {p.device for p in net.named_arrays().values()} == {"cuda:0"}
    assert bits(net.to("cpu")) == before
    assert net.device == "cpu"


def test_a_move_to_where_it_is_changes_nothing():
    net = network()
    versions = [p.version for p in net.parameters()]
    net.to("cpu")
    assert [p.version for p in net.parameters()] == versions
    net.to("cuda")
    assert [p.version for p in net.parameters()] != versions


def test_gradients_move_along():
    net = network()
    F.cross_entropy(net(X, training=True, keys=KEYS), LABELS).backward()
    before = [p.grad.copy() for p in net.parameters()]
    net.to("cuda")
    assert all(np.array_equal(g, p.grad.get()) for g, p in zip(before, net.parameters(), strict=True))
    net.to("cpu")
    assert all(np.array_equal(g, p.grad) for g, p in zip(before, net.parameters(), strict=True))


def test_the_second_gpu(pretended_gpu):
    net = network().to("cuda:1")
    assert net.device == "cuda:1"
    assert net(X).device == "cuda:1"
    assert net.to("cuda:0")(X).device == "cuda:0"
    with pytest.raises(BackendUnavailable, match="there are 2 GPUs, numbered from 0"):
        net.to("cuda:2")
    assert network().to("auto").device == "cuda:0"


def test_x_on_another_device_is_refused_by_name():
    net = network().to("cuda")
    assert net(X).device == "cuda:0"  # a bare array is the network's to place
    with pytest.raises(
        BackendUnavailable, match=r"network: is on cuda:0, but x is on cpu; move x with \.to\('cuda:0'\)"
    ):
        net(F.tensor(X))
    with pytest.raises(BackendUnavailable, match="is on cpu, but x is on cuda:0"):
        network()(F.tensor(X).to("cuda"))


def test_without_room_nothing_has_moved(pretended_gpu, monkeypatch):
    net, true, count = network(), pretended_gpu.asarray, iter(range(100))

    def full(*a, **o):
        if next(count) == 3:
            raise pretended_gpu.cuda.memory.OutOfMemoryError("Out of memory allocating 512 bytes")
        return true(*a, **o)

    monkeypatch.setattr(pretended_gpu, "asarray", full)
    with pytest.raises(DeviceMemoryError):
        net.to("cuda")
    assert {p.device for p in net.named_arrays().values()} == {"cpu"}


def test_state_copies_and_dtypes():
    net = network().to("cuda")
    before, state = bits(net), net.state()
    assert all(isinstance(array, np.ndarray) for roles in state.values() for array in roles.values())
    for twin in (net.copy(), copy.deepcopy(net)):
        assert twin.device == "cuda:0"
        assert bits(twin) == before
        twin["fc1.weight"].assign(np.zeros((3, 16)))
        assert bits(net) == before
    wide = net.astype("float64")
    assert wide.device == "cuda:0"
    assert wide.dtype == np.float64
    other = network().to("cuda")
    for p in other.parameters():
        p.assign(p.data * 0)
    other.load_state(state)
    assert bits(other) == before
    other.load_state({"fc1": {"weight": net["fc1.weight"].data}}, strict=False)  # arrays on the device will do
    assert bits(other) == before


def test_a_weight_file_is_the_same_from_either_device(tmp_path):
    net = network()
    net.save(tmp_path / "here.h5")
    net.to("cuda").save(tmp_path / "there.h5")
    assert (tmp_path / "here.h5").read_bytes() == (tmp_path / "there.h5").read_bytes()


@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}])
def test_running_statistics_move_as_on_the_cpu(options):
    here, there = network(**options), network(**options).to("cuda")
    for net in (here, there):
        train(net, optim.SGD(net.parameters(), lr=0.01), 2)
    near(here, there)
    assert bits(there) != bits(network(**options))


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.02),
    "momentum": lambda p: optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=1e-2, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=1e-3, weight_decay=1e-2, eps=1e-4),
    "amsgrad": lambda p: optim.Adam(p, lr=1e-3, eps=1e-4, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=1e-3, eps=1e-4),
    "rmsprop": lambda p: optim.RMSprop(p, lr=1e-3, eps=1e-4, centered=True, momentum=0.9),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_and_their_state_move_along(name):
    here, there = network(), network()
    first, second = (OPTIMIZERS[name](net.parameters()) for net in (here, there))
    train(here, first, 3)
    train(there, second)  # begun on the CPU, gone on with on the device, ended on the CPU
    there.to("cuda")
    train(there, second)
    assert all(type(a).__module__ == "cupy" for kept in second._kept.values() for r, a in kept.items() if r != "step")
    state = second.state()
    assert all(isinstance(a, np.ndarray) for kept in state.values() for a in kept.values())
    third = OPTIMIZERS[name](there.parameters())
    third.load_state(state)
    there.to("cpu")
    train(there, third)
    near(here, there)


def test_a_rule_of_ones_own_runs_on_the_device():
    class Signs(optim.Optimizer):
        name = "signs"

        def change(self, old, grad, kept, rate, step):
            return rate * np.clip(grad * 1e6, -1, 1)

    here, there = network(), network().to("cuda")
    for net in (here, there):
        F.cross_entropy(net(X, training=True, keys=KEYS), LABELS).backward()
        net["fc1.bias"].assign(net["fc1.bias"].data + 1)
        Signs([net["fc1.bias"]], lr=0.5).step()
    near(here, there)


CLIPS = {"norm": lambda p: optim.clip_grad_norm(p, 0.1), "value": lambda p: optim.clip_grad_value(p, 0.01)}


@pytest.mark.parametrize("name", CLIPS)
def test_clipping(name):
    here, there = network(), network().to("cuda")
    for net in (here, there):
        train(net, optim.SGD(net.parameters(), lr=1.0), 2, CLIPS[name])
    near(here, there)
    free = network()
    train(free, optim.SGD(free.parameters(), lr=1.0), 2)
    assert np.abs(free["fc1.weight"].numpy() - here["fc1.weight"].numpy()).max() > 1e-3


def test_averages_move_along():
    here, there = network(), network()
    averages = []
    for net in (here, there):
        optimizer, ema = optim.SGD(net.parameters(), lr=0.1), optim.EMA(net, 0.7)
        averages.append(ema)
        for turn in range(3):
            train(net, optimizer)
            ema.update()
            if net is there and turn == 0:
                net.to("cuda")
    mine, other = (ema.state() for ema in averages)
    for name in mine:
        assert np.abs(mine[name]["average"] - other[name]["average"]).max() <= 1e-4
    before = bits(there)
    with averages[1].applied():
        assert there.device == "cuda:0"
        assert bits(there) != before
    assert bits(there) == before
    averages[1].load_state(other)
    with averages[1].applied():
        assert there["fc1.weight"].numpy().tobytes() == other["fc1.weight"]["average"].tobytes()


def test_frozen_means_frozen():
    net = network().to("cuda").freeze(upto="pool1")
    before = bits(net)
    train(net, optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1), 2)
    changed = {name for name, array in bits(net).items() if array != before[name]}
    assert changed == {"conv2.weight", "conv2.bias", "fc1.weight", "fc1.bias"}


def test_same_seed_same_bits():
    found = []
    for _ in range(2):
        net = network().to("cuda")
        train(net, optim.SGD(net.parameters(), lr=0.1, momentum=0.9), 2)
        found.append(bits(net))
    assert found[0] == found[1]
