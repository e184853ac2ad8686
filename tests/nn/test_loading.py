"""Weight files and arrays into networks: bit for bit, strict by default, and never silently nothing."""

import numpy as np
import pytest

from minitl import load, models, nn
from minitl.errors import GraphError, ShapeError, WeightError
from minitl.nn import Network
from minitl.weights import schema


def same(a, b):
    assert list(a.named_parameters()) == list(b.named_parameters())
    return all(np.array_equal(p.data, b[name].data) for name, p in a.named_parameters().items())


def test_a_file_gives_back_the_network_bit_for_bit(net, x, tmp_path):
    net.origin, net.license, net.head = "here", "CC0", ("fc",)
    net.save(tmp_path / "net.h5")
    again = load(tmp_path / "net.h5")
    assert same(net, again)
    assert list(again.graph) == list(net.graph)
    assert (again.name, again.input_shape, again.classes) == (net.name, net.input_shape, net.classes)
    assert (again.preprocessing, again.origin, again.license, again.head) == (
        net.preprocessing,
        "here",
        "CC0",
        ("fc",),
    )
    assert np.array_equal(again(x).data, net(x).data)
    again.save(tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "net.h5").read_bytes()


def test_float16_rounds_once(net, tmp_path):
    net.save(tmp_path / "half.h5", dtype="float16")
    again = load(tmp_path / "half.h5")
    for name, p in net.named_parameters().items():
        assert np.array_equal(again[name].data, p.data.astype(np.float16).astype(np.float32))


def test_strict_names_what_is_missing_unexpected_and_misshapen(make):
    net, state = make(), make(seed=1).state()
    del state["left"]["bias"]
    state["extra"] = {"weight": np.zeros(3, np.float32)}
    state["fc"] = {"weight": np.zeros((2, 40), np.float32), "bias": state["fc"]["bias"]}
    before = net.state()
    with pytest.raises(WeightError) as error:
        net.load_state(state)
    for word in ("missing left.bias", "unexpected extra.weight", "fc.weight (network (3, 40), file (2, 40))"):
        assert word in str(error.value)
    assert all(np.array_equal(a, net.state()[layer][r]) for layer in before for r, a in before[layer].items())
    report = net.load_state(state, strict=False)
    assert not report.complete
    assert report.missing == ("left.bias",)
    assert report.unexpected == ("extra.weight",)
    assert report.mismatched == (("fc.weight", (3, 40), (2, 40)),)
    assert np.array_equal(net["conv1.weight"].data, state["conv1"]["weight"])
    assert np.array_equal(net["fc.weight"].data, before["fc"]["weight"])


def test_a_whole_state_loads_with_a_clean_report(make):
    net, other = make(), make(seed=1)
    report = net.load_state(other.state())
    assert report.complete
    assert str(report) == "8 arrays loaded"
    assert same(net, other)


def test_skipped_layers_are_left_alone(make):
    net, other = make(), make(seed=1)
    kept = net["fc.weight"].numpy()
    report = net.load_state(other.state(), skip=["fc"])
    assert report.complete
    assert np.array_equal(net["fc.weight"].data, kept)


@pytest.mark.parametrize("strict", [True, False])
def test_weights_of_another_network_are_refused(net, strict):
    with pytest.raises(WeightError, match="weights are of another network"):
        net.load_state({"block1": {"weight": np.zeros((8, 3, 3, 3))}}, strict=strict)
    with pytest.raises(WeightError, match="weights are of another network"):
        net.load_state({}, strict=strict)


def test_names_of_torchvision_are_understood():
    net, other = models.alexnet(None), models.alexnet(None, seed=1)
    positions = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
    state = {f"features.{i}": other.state()[name] for name, i in positions.items()}
    assert net.load_state(state, skip=["features.0"]).complete
    assert not np.array_equal(net["conv1.weight"].data, other["conv1.weight"].data)
    assert net.load_state(state).complete
    assert same(net, other)


def test_state_is_a_copy(net):
    net.state()["fc"]["weight"][:] = 7
    assert not (net["fc.weight"].data == 7).any()


def test_a_file_whose_arrays_are_not_those_of_its_graph_is_refused(net):
    file = net.to_file()
    file.layers["fc"]["weight"] = file.layers["fc"]["weight"][:, :5]
    with pytest.raises(WeightError, match=r"bad\.h5: its arrays.*fc\.weight \(network \(3, 40\), file \(3, 5\)\)"):
        Network.from_file(file, "bad.h5")


def test_a_graph_that_claims_terabytes_takes_no_memory(net):
    file = net.to_file()
    fc = file.network["nodes"][-1]
    fc["attributes"] = {**fc["attributes"], "out_features": 10**12}
    with pytest.raises(WeightError, match="its arrays are not those of its network"):
        Network.from_file(file)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f.network["nodes"].pop(0),
        lambda f: f.network["nodes"][0].update(op="lstm"),
        lambda f: f.network["nodes"][0].update(inputs=["fc"]),
        lambda f: f.network["nodes"][0]["attributes"].update(kernel_size="x"),
        lambda f: f.network.update(nodes=[]),
        lambda f: f.network.update(input_shape=[3, 1, 1]),
        lambda f: f.classes.append("dog"),
        lambda f: f.preprocessing.update(scale="much"),
    ],
)
def test_a_spoilt_file_is_refused_and_named(net, spoil, tmp_path):
    file = net.to_file()
    spoil(file)
    schema.write(tmp_path / "spoilt.h5", file)
    with pytest.raises(WeightError, match=r"spoilt\.h5"):
        load(tmp_path / "spoilt.h5")


def test_class_names_must_match_the_output(make):
    with pytest.raises(GraphError, match=r"2 class names need an output of shape \(2,\), but 'fc' gives \(3,\)"):
        make(classes=["a", "b"])


def test_a_network_without_parameters_can_be_saved(tmp_path):
    net = nn.Sequential(nn.ReLU(), input_shape=(3, 4))
    net.save(tmp_path / "relu.h5")
    assert list(load(tmp_path / "relu.h5").graph) == list(net.graph)
    assert load(tmp_path / "relu.h5").input_shape == (3, 4)


@pytest.mark.parametrize("shape", [None, (3,)])
def test_a_network_of_any_input_shape_can_be_saved(tmp_path, shape):
    net = nn.Sequential(nn.Linear(3, 2), input_shape=shape)
    net.save(tmp_path / "flat.h5")
    found = load(tmp_path / "flat.h5")
    assert found.input_shape == shape
    assert np.array_equal(found["fc1.weight"].data, net["fc1.weight"].data)


@pytest.mark.parametrize(
    "change",
    [
        {"input_shape": [1, 10**30, 10**30]},
        {"head": 5},
        {"head": [[1]]},
        {"head": "fc"},
        {"head": ["nowhere"]},
    ],
)
def test_a_malformed_graph_is_refused_in_one_line(tmp_path, make, change):
    file = make().to_file()
    file.network.update(change)
    with pytest.raises(WeightError, match=next(iter(change))) as caught:
        schema.write(tmp_path / "no.h5", file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_size": 10**9, "padding": 10**9},
        {"kernel_size": 2 * 10**7, "padding": 10**7, "stride": 1},
        {"kernel_size": 65535, "padding": 65534, "stride": 1},  # each within its limit, their product not
        {"kernel_size": 2, "dilation": 10**12},
    ],
)
def test_absurd_windows_in_a_file_are_refused_at_once(tmp_path, attributes):
    """They once made loading count windows for hours."""
    file = nn.Sequential(("pool1", nn.MaxPool2d(2)), ("conv1", nn.Conv2d(1, 1, 1)), input_shape=(1, 8, 8)).to_file()
    file.network["nodes"][0]["attributes"].update(attributes)
    schema.write(tmp_path / "windows.h5", file)
    with pytest.raises(WeightError, match=r"windows\.h5.*pool1"):
        load(tmp_path / "windows.h5")


def test_absurd_convolutions_and_inputs_in_a_file_are_refused_at_once(tmp_path):
    file = nn.Sequential(("conv1", nn.Conv2d(1, 1, 1)), input_shape=(1, 8, 8)).to_file()
    file.network["nodes"][0]["attributes"]["padding"] = 10**9
    schema.write(tmp_path / "padded.h5", file)
    with pytest.raises(WeightError, match=r"padded\.h5.*conv1.*padding"):
        load(tmp_path / "padded.h5")
    file.network["nodes"][0]["attributes"]["padding"] = 0
    file.network["input_shape"] = [1, 65535, 65535]
    schema.write(tmp_path / "large.h5", file)
    with pytest.raises(WeightError, match=r"large\.h5.*input_shape.*values"):
        load(tmp_path / "large.h5")


def test_a_value_that_doubles_with_every_node_is_refused():
    """Sixty nodes are enough to claim more numbers than any memory holds."""
    nodes = [nn.Node("n0", nn.ReLU(), ("input",))]
    nodes += [nn.Node(f"n{i}", nn.Concat(), (f"n{i - 1}",) * 2) for i in range(1, 60)]
    with pytest.raises(ShapeError, match=r"layer 'n\d+': .*values"):
        Network(nodes, input_shape=(1, 8, 8))


@pytest.mark.parametrize("layers", [None, [1], {"conv1.weight": np.zeros(3)}])
def test_a_state_of_another_form_is_refused(net, layers):
    with pytest.raises(WeightError, match="by layer and role"):
        net.load_state(layers)


@pytest.mark.parametrize("values", [["a"] * 3, [[1], [2, 3]], [None] * 3, [1j] * 3])
def test_what_is_no_array_of_numbers_is_refused(values):
    net = nn.Sequential(nn.BatchNorm2d(3))
    for role in ("weight", "running_var"):
        state = net.state()
        state["batch_norm1"][role] = values
        with pytest.raises(WeightError, match=rf"batch_norm1\.{role}: .*; give an array of numbers"):
            net.load_state(state)
