"""Batch normalization in a network: its statistics follow the batches, and stay as they are wherever it is frozen."""

import numpy as np
import pytest

from minitl import load, nn, no_grad, transfer
from minitl.errors import ArgumentError, ShapeError, WeightError
from minitl.images import Preprocessing

SIZE = (3, 6, 5)
CLOSE = 1e-6  # max|difference| / max|PyTorch's value| in float32
FREEZE = {
    "by pattern": lambda net: net.freeze("bn*"),
    "upto": lambda net: net.freeze(upto="bn2"),
    "upto a later layer": lambda net: net.freeze(upto="relu2"),
    "backbone": lambda net: net.freeze_backbone(),
    "all": lambda net: net.freeze(),
    "statistics alone": lambda net: net.freeze("bn?.running_*"),
    "means alone": lambda net: net.freeze("*.running_mean"),
    "variances alone": lambda net: net.freeze("*.running_var"),
}


def network(momentum=0.1, **options):
    """conv1 bn1 relu1 conv2 bn2 relu2 pool flatten fc, with statistics other than those it starts with."""
    layers = [
        ("conv1", nn.Conv2d(3, 4, 3, bias=False)),
        ("bn1", nn.BatchNorm2d(4, momentum=momentum)),
        ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(4, 5, 1)),
        ("bn2", nn.BatchNorm2d(5, eps=1e-3, momentum=momentum)),
        ("relu2", nn.ReLU()),
        ("pool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(5, 2)),
    ]
    options = {"classes": ["a", "b"], "preprocessing": Preprocessing(resize="exact", size=SIZE[1:])} | options
    net = nn.Sequential(*layers, input_shape=SIZE, **options)
    rng = np.random.default_rng(3)
    for name in ("bn1.running_mean", "bn2.running_mean", "bn1.bias", "bn2.bias", "conv2.bias"):
        net[name].assign(rng.normal(0, 0.2, net[name].shape))
    for name in ("bn1.running_var", "bn2.running_var", "bn1.weight", "bn2.weight"):
        net[name].assign(rng.uniform(0.5, 2, net[name].shape))
    return net


def batch(seed=0, count=4):
    return np.random.default_rng(seed).normal(0.5, 2, (count, *SIZE)).astype(np.float32)


def statistics(net):
    return {name: b.numpy() for name, b in net.named_buffers().items()}


def train(net, *seeds):
    """A step of plain gradient descent on each of these batches."""
    for seed in seeds:
        loss = net(batch(seed), training=True).sum()
        if loss.requires_grad:
            loss.backward()
        for p in net.parameters():
            if p.grad is not None:
                p.assign(p.data - 0.01 * p.grad)
                p.grad = None


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# Against PyTorch


@pytest.mark.parametrize("momentum", [0.1, 0.0, 1.0, None])
@pytest.mark.parametrize("frozen", [False, True])
def test_training_and_inference_are_pytorchs(momentum, frozen):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    net = network(momentum)
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4, momentum=momentum), torch.nn.ReLU(),
        torch.nn.Conv2d(4, 5, 1), torch.nn.BatchNorm2d(5, eps=1e-3, momentum=momentum), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(5, 2),
    )  # fmt: skip
    names = {name: f"{net.graph.names.index(name.split('.')[0])}.{name.split('.')[1]}" for name in net.named_arrays()}
    names = {name: other for name, other in names.items() if not name.endswith("batches")}
    given = {other: torch.tensor(net[name].numpy()) for name, other in names.items()}
    theirs.load_state_dict({**theirs.state_dict(), **given})
    if frozen:
        net.freeze("bn*")
        for module in (theirs[1], theirs[4]):
            module.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in theirs.parameters() if p.requires_grad], lr=0.01)
    for seed in range(3):
        theirs.train()
        if frozen:
            theirs[1].eval(), theirs[4].eval()
        optimizer.zero_grad()
        theirs(torch.tensor(batch(seed))).sum().backward()
        optimizer.step()
        train(net, seed)
        for name, other in names.items():
            reference = theirs.state_dict()[other].numpy()
            assert np.abs(net[name].data - reference).max() <= CLOSE * np.abs(reference).max(), (seed, name)
    theirs.eval()
    reference = theirs(torch.tensor(batch(9))).detach().numpy()
    assert np.abs(net(batch(9)).data - reference).max() <= CLOSE * np.abs(reference).max()


# What moves and what does not


def test_training_moves_the_statistics_and_inference_does_not():
    net = network()
    before = statistics(net)
    net(batch())
    assert same(statistics(net), before)
    net(batch(), training=True)
    after = statistics(net)
    assert not any(np.array_equal(after[name], before[name]) for name in before)


def test_the_running_variance_is_the_unbiased_one():
    net = nn.Sequential(("bn", nn.BatchNorm2d(3, momentum=1.0)), input_shape=SIZE)
    x = batch()
    net(x, training=True)
    flat = x.transpose(1, 0, 2, 3).reshape(3, -1).astype(np.float64)
    assert net["bn.running_mean"].data == pytest.approx(flat.mean(1), rel=CLOSE)
    assert net["bn.running_var"].data == pytest.approx(flat.var(1, ddof=1), rel=CLOSE)


def test_without_momentum_all_batches_count_alike():
    net = nn.Sequential(("bn", nn.BatchNorm2d(3, momentum=None)), input_shape=SIZE)
    means = []
    for seed in range(5):
        net(batch(seed), training=True)
        means.append(batch(seed).mean((0, 2, 3), dtype=np.float64))
        assert net["bn.running_mean"].data == pytest.approx(np.mean(means, axis=0), rel=1e-5)
    assert net["bn.batches"].data.tolist() == [5]


@pytest.mark.parametrize("how", FREEZE)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_frozen_statistics_stay_bit_identical(how, momentum):
    net = FREEZE[how](network(momentum))
    before = statistics(net)
    train(net, 0, 1)
    assert same(statistics(net), before)


@pytest.mark.parametrize("how", FREEZE)
def test_freezing_and_unfreezing_take_effect_at_the_next_step(how):
    net = network()
    train(net, 0)
    kept = statistics(FREEZE[how](net))
    train(net, 1)
    assert same(statistics(net), kept)
    net.unfreeze()
    train(net, 2)
    assert not any(np.array_equal(array, kept[name]) for name, array in statistics(net).items())


def test_one_frozen_layer_leaves_the_other_free():
    net = network().freeze("bn1")
    before = statistics(net)
    train(net, 0)
    after = statistics(net)
    for role in ("running_mean", "running_var"):
        assert np.array_equal(after[f"bn1.{role}"], before[f"bn1.{role}"])
        assert not np.array_equal(after[f"bn2.{role}"], before[f"bn2.{role}"])


def test_a_frozen_layer_normalizes_by_its_running_statistics_in_training_too():
    net = network()
    x = batch()
    assert not np.array_equal(net(x, training=True).data, net(x).data)
    net.freeze("bn*")
    assert np.array_equal(net(x, training=True).data, net(x).data)


def test_frozen_scales_alone_leave_the_statistics_free():
    net = network().freeze("bn?.weight", "bn?.bias")
    before = statistics(net)
    scale = net["bn1.weight"].numpy()
    train(net, 0)
    assert not np.array_equal(net["bn1.running_mean"].data, before["bn1.running_mean"])
    assert np.array_equal(net["bn1.weight"].data, scale)


def test_statistics_follow_the_batches_without_gradients_too():
    net, other = network(), network()
    with no_grad():
        net(batch(), training=True)
    other(batch(), training=True)
    assert same(statistics(net), statistics(other))


def test_without_scales_there_is_nothing_to_train_but_statistics():
    net = nn.Sequential(("bn", nn.BatchNorm2d(3, affine=False)), input_shape=SIZE)
    assert net.parameters() == []
    assert list(net.named_buffers()) == ["bn.running_mean", "bn.running_var"]
    net(batch(), training=True)
    assert net["bn.running_mean"].data.any()


def test_flat_features_are_normalized_too():
    net = nn.Sequential(("fc", nn.Linear(4, 3)), ("bn", nn.BatchNorm2d(3)), input_shape=(4,))
    x = np.random.default_rng(0).standard_normal((16, 4), dtype=np.float32)
    y = net(x, training=True).data
    assert y.mean(0) == pytest.approx(np.zeros(3), abs=1e-6)
    assert y.std(0) == pytest.approx(np.ones(3), abs=1e-3)


# The network around it


def test_the_cut_lies_below_statistics_that_move():
    net = network()
    assert net.freeze("conv1", "bn1.weight", "bn1.bias").cut() == "conv1"
    assert net.freeze("bn1").cut() == "relu1"
    assert net.freeze(upto="relu2").cut() == "flatten"
    assert net.unfreeze("bn2.running_*").cut() == "conv2"
    assert net.unfreeze("bn*").cut() == "conv1"


def test_the_plan_tells_what_becomes_of_the_statistics():
    net = network()
    assert "4 running statistics follow the batches, 0 are frozen" in str(net.plan())
    assert "2 running statistics follow the batches, 2 are frozen" in str(net.freeze("bn1").plan())
    plan = net.plan()
    assert dict(plan.statistics)["bn1.running_mean"]
    assert not dict(plan.statistics)["bn2.running_mean"]
    assert not {row.name for row in plan} & set(net.named_buffers())
    assert "statistics" not in str(nn.Sequential(nn.Linear(2, 2)).plan())


def test_a_fused_run_has_the_same_bits_as_one_node_at_a_time():
    whole, apart = network(), network()
    value = batch()
    y = whole(value, training=True)
    y.sum().backward()
    for node in apart.graph:
        value = apart.run(value, after=node.inputs[0], upto=node.name, training=True)
    value.sum().backward()
    assert np.array_equal(y.data, value.data)
    assert same(statistics(whole), statistics(apart))
    for name, p in whole.named_parameters().items():
        assert np.array_equal(p.grad, apart[name].grad), name


def test_statistics_are_part_of_the_state():
    net, other = network(), network(seed=1)
    train(net, 0, 1)
    assert other.load_state(net.state()).complete
    assert same(statistics(other), statistics(net))
    state = net.state()
    del state["bn1"]["running_var"]
    report = other.load_state(state, strict=False)
    assert report.missing == ("bn1.running_var",)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_file_keeps_the_statistics(tmp_path, momentum):
    net = network(momentum)
    train(net, 0, 1)
    net.save(tmp_path / "net.h5")
    again = load(tmp_path / "net.h5")
    assert same(statistics(again), statistics(net))
    assert np.array_equal(again(batch(9)).data, net(batch(9)).data)
    train(net, 2)
    train(again, 2)
    assert same(statistics(again), statistics(net))


@pytest.mark.parametrize("duplicate", [lambda net: net.copy(), lambda net: net.astype("float32")])
def test_a_copys_statistics_are_its_own(duplicate):
    net = network().freeze("bn1")
    other = duplicate(net)
    before = statistics(net)
    assert same(statistics(other), before)
    assert [b.frozen for b in other.named_buffers().values()] == [True, True, False, False]
    train(other, 0)
    assert same(statistics(net), before)
    assert not np.array_equal(other["bn2.running_mean"].data, before["bn2.running_mean"])


def test_float64_keeps_and_moves_the_statistics_in_float64():
    net = network().astype("float64")
    assert all(b.dtype == np.float64 for b in net.named_buffers().values())
    train(net, 0)
    single = network()
    train(single, 0)
    for name, b in net.named_buffers().items():
        assert b.dtype == np.float64
        assert b.data == pytest.approx(single[name].data, rel=1e-5, abs=1e-6)
        assert not np.array_equal(b.data, single[name].data)


def test_a_new_head_keeps_statistics_and_their_freezing():
    net = network().freeze("bn1")
    train(net, 0)
    new = transfer.replace_head(net, ["x", "y", "z"])
    assert same(statistics(new), statistics(net))
    assert [b.frozen for b in new.named_buffers().values()] == [True, True, False, False]
    train(new.freeze_backbone(), 1)
    assert same(statistics(new), statistics(net))


# Bad input


def test_a_batch_without_pictures_has_no_statistics():
    net = network()
    before = statistics(net)
    assert net(batch()[:0]).shape == (0, 2)
    with pytest.raises(ShapeError, match=r"layer 'bn1'.*holds no value"):
        net(batch()[:0], training=True)
    assert same(statistics(net), before)


def test_one_value_a_channel_has_no_variance():
    net = nn.Sequential(("fc", nn.Linear(4, 3)), ("bn", nn.BatchNorm2d(3)), input_shape=(4,))
    before = statistics(net)
    with pytest.raises(ShapeError, match=r"'bn'.*training.*value"):
        net(np.ones((1, 4), np.float32), training=True)
    assert same(statistics(net), before)
    assert net(np.ones((1, 4), np.float32)).shape == (1, 3)
    assert net.freeze("bn")(np.ones((1, 4), np.float32), training=True).shape == (1, 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_features": 0},
        {"num_features": 2.0},
        {"eps": -1e-5},
        {"eps": float("nan")},
        {"eps": float("inf")},
        {"momentum": 1.5},
        {"momentum": -0.1},
        {"momentum": "0.1"},
        {"affine": 1},
    ],
)
def test_settings_outside_their_domain(settings):
    with pytest.raises(ArgumentError, match=f"BatchNorm2d: {next(iter(settings))}"):
        nn.BatchNorm2d(**({"num_features": 3} | settings))


def test_another_number_of_channels_is_named():
    with pytest.raises(ShapeError, match=r"layer 'bn1'.*expects 4 channels.*\(3, 6, 5\)"):
        nn.Sequential(("bn1", nn.BatchNorm2d(4)), input_shape=SIZE)


@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_a_file_with_impossible_variances_is_refused(tmp_path, wrong):
    net = nn.Sequential(("bn", nn.BatchNorm2d(3)), input_shape=(3, 4, 4))
    net["bn.running_var"].assign(np.array([1.0, wrong, 1.0]))
    net.save(tmp_path / "wrong.h5")
    with pytest.raises(WeightError, match=r"bn\.running_var holds numbers below 0 or NaN"):
        load(tmp_path / "wrong.h5")


@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_a_file_with_an_impossible_count_of_batches_is_refused(wrong):
    net = nn.Sequential(("bn", nn.BatchNorm2d(3, momentum=None)), input_shape=(3, 4, 4))
    state = net.state()
    state["bn"]["batches"][...] = wrong
    with pytest.raises(WeightError, match=r"bn\.batches holds numbers below 0 or NaN"):
        net.load_state(state)


def test_a_layer_drawn_anew_forgets_its_statistics():
    net = network().draw(["bn1"], seed=0)
    assert not net["bn1.running_mean"].data.any()
    assert (net["bn1.running_var"].data == 1).all()
    assert net["bn2.running_mean"].data.any()
