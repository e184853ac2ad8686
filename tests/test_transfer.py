"""Loading, new heads, partial transfer and conversion."""

import h5py
import numpy as np
import pytest

import minitl as tl
from minitl import images, models, nn, transfer
from minitl.errors import ArgumentError, GraphError, MinitlError, WeightError
from minitl.weights import convert

CLASSES = ["ant", "bee", "wasp"]


def layers(net):
    return [node.name for node in net.graph]


def kept_equal(new, old, fresh):
    """Every layer but the fresh ones has the numbers of `old`."""
    for name, p in new.named_parameters().items():
        if name.rpartition(".")[0] not in fresh:
            assert np.array_equal(p.data, old[name].data), name


@pytest.fixture(scope="module")
def alexnet():
    """AlexNet's features, at a size that keeps the dense head small to compute."""
    return models.alexnet(None)


@pytest.fixture
def small():
    return models.small_vgg(10, classes=[str(i) for i in range(10)], in_channels=1, size=28)


# Heads on features


def test_auto_on_features_is_global_average_and_dense(alexnet):
    net = transfer.replace_head(alexnet, CLASSES)
    assert layers(net)[-3:] == ["head.pool", "head.flatten", "head"]
    assert net.graph["head"].layer.in_features == 256
    assert net.head == ("head",)
    assert net.classes == CLASSES
    assert net.name == "alexnet"
    assert net.preprocessing == alexnet.preprocessing
    kept_equal(net, alexnet, net.head)
    assert layers(alexnet)[-1] == "pool5"  # the old network is as it was


def test_gap_takes_any_input_size(alexnet):
    net = transfer.replace_head(alexnet, CLASSES, head="gap")
    assert net(np.zeros((2, 3, 100, 140), np.float32)).shape == (2, 3)


def test_linear_is_flatten_and_dense(alexnet):
    net = transfer.replace_head(alexnet, CLASSES, head="linear")
    assert layers(net)[-2:] == ["head.flatten", "head"]
    assert net.graph["head"].layer.in_features == 256 * 36


def test_dense_is_the_papers_head(alexnet):
    net = transfer.replace_head(alexnet, CLASSES, head="dense", seed=2)
    expected = ["avgpool", "flatten", "drop6", "fc6", "relu6", "drop7", "fc7", "relu7", "head"]
    assert layers(net)[-9:] == expected
    assert net.head == ("fc6", "fc7", "head")
    assert net["classifier.4.weight"] is net["fc7.weight"]
    assert net["fc7.weight"].data.any()
    assert not net["head.weight"].data.any()
    assert net.freeze_backbone().cut() == "flatten"


def test_dense_on_vgg_drops_after_each_hidden_layer():
    net = transfer._new_head("vgg16", "dense", (512, 7, 7), 2)
    assert [name for name, _ in net] == [
        "avgpool",
        "flatten",
        "fc6",
        "relu6",
        "drop6",
        "fc7",
        "relu7",
        "drop7",
        "head",
    ]


def test_dense_fits_features_of_any_other_network(small):
    net = transfer.replace_head(small, CLASSES, head="dense")
    assert layers(net)[-8:] == ["head.flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "head"]
    assert net.graph["fc6"].layer.in_features == 64 * 7 * 7


# Heads on classifiers


def test_auto_on_a_classifier_replaces_its_last_layer_only(small):
    net = transfer.replace_head(small, CLASSES)
    assert layers(net) == [*layers(small)[:-1], "head"]
    assert net.head == ("head",)
    kept_equal(net, small, net.head)
    assert net.features(np.zeros((2, 28, 28, 3), np.uint8)).shape == (2, 64)


def test_auto_on_squeezenet_replaces_conv10_and_keeps_what_follows():
    old = models.squeezenet1_0_caffe(20)
    net = transfer.replace_head(old, CLASSES)
    assert layers(net)[-5:] == ["drop9", "head", "relu10", "pool10", "flatten"]
    assert net.graph["head"].layer.padding == old.graph["conv10"].layer.padding == 1
    kept_equal(net, old, net.head)
    x = np.random.default_rng(0).standard_normal((2, 3, 70, 70), dtype=np.float32)
    net.freeze_backbone()(x).sum().backward()  # a head of zeros under a ReLU would never learn
    assert np.abs(net["head.weight"].grad).max() > 0


def test_gap_and_linear_on_a_classifier_start_from_its_features(small):
    gap = transfer.replace_head(small, CLASSES, head="gap")
    assert layers(gap)[-4:] == ["relu3_2", "head.pool", "head.flatten", "head"]
    linear = transfer.replace_head(models.squeezenet1_0_caffe(5, seed=None), CLASSES, head="linear")
    assert layers(linear)[-3:] == ["fire9.concat", "head.flatten", "head"]


def test_dense_on_a_classifier_takes_over_fc6_and_fc7(alexnet):
    first = transfer.replace_head(alexnet, CLASSES, head="dense", seed=1)
    first["head.weight"].assign(np.ones(first["head.weight"].shape))
    again = transfer.replace_head(first, CLASSES, head="dense", seed=2)
    assert again.head == ("head",)
    assert np.array_equal(again["fc6.weight"].data, first["fc6.weight"].data)
    assert not again["head.weight"].data.any()


def test_a_new_head_replaces_a_new_head(alexnet):
    net = transfer.replace_head(alexnet, CLASSES)
    again = transfer.replace_head(net, ["x", "y"])
    assert layers(again) == layers(net)
    assert again.classes == ["x", "y"]
    linear = transfer.replace_head(net, ["x", "y"], head="linear")
    assert layers(linear)[-3:] == ["pool5", "head.flatten", "head"]


def test_freezing_and_rates_of_kept_layers_stay(alexnet):
    old = alexnet.copy().freeze("conv1").set_lr({"conv5": 0.1})
    plan = {row.name: row for row in transfer.replace_head(old, CLASSES).plan()}
    assert plan["conv1.weight"].frozen
    assert plan["conv5.bias"].rate == pytest.approx(0.1)
    assert plan["head.weight"].rate == 1


def test_the_seed_draws_the_new_layers_and_them_alone(small):
    a, b, c = (transfer.replace_head(small, CLASSES, head="dense", seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(a["fc6.weight"].data, b["fc6.weight"].data)
    assert not np.array_equal(a["fc6.weight"].data, c["fc6.weight"].data)
    kept_equal(a, c, a.head)


# Refusals


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["ant"], "at least two"),
        ([], "at least two"),
        ("ant", "at least two"),
        (["ant", "ant", "bee"], "'ant' occur more than once"),
        (["ant", ""], "not empty"),
        (["ant", "  "], "not empty"),
        (["ant", 3], "got 3"),
    ],
)
def test_class_lists_that_name_nothing_are_refused(small, classes, words):
    with pytest.raises(ArgumentError, match=words):
        transfer.replace_head(small, classes)


def test_an_unknown_head_is_refused(small):
    with pytest.raises(ArgumentError, match="auto, dense, gap, linear"):
        transfer.replace_head(small, CLASSES, head="mlp")


def test_a_head_needs_sizes_features_and_free_names():
    with pytest.raises(GraphError, match="input_shape"):
        transfer.replace_head(nn.Sequential(nn.Linear(3, 4)), CLASSES)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), input_shape=(3, 2, 2))
    with pytest.raises(GraphError, match="no features below 'fc1'"):
        transfer.replace_head(flat, CLASSES, head="gap")
    assert transfer.replace_head(flat, CLASSES).classes == CLASSES
    taken = nn.Sequential(("head", nn.Conv2d(3, 4, 1)), input_shape=(3, 2, 2))
    with pytest.raises(GraphError, match="has layers named head, which a new head needs"):
        transfer.replace_head(taken, CLASSES)
    hidden = nn.Sequential(
        nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3), input_shape=(3, 2, 2)
    )
    assert layers(transfer.replace_head(hidden, CLASSES, head="gap"))[:2] == ["conv1", "head.pool"]


# Files


def test_load_with_classes_gives_a_network_to_train(small, tmp_path):
    small.save(tmp_path / "small.h5")
    net = tl.load(tmp_path / "small.h5", classes=CLASSES)
    assert net.classes == CLASSES
    kept_equal(net, small, net.head)
    net.save(tmp_path / "adapted.h5")
    again = tl.load(str(tmp_path / "adapted.h5"))
    assert again.head == ("head",)
    assert again.classes == CLASSES


@pytest.mark.parametrize("name", ["model.onnx", "vgg16-397923af.pth", "bvlc.caffemodel", "net.safetensors"])
def test_other_formats_are_refused_with_a_way_out(name):
    with pytest.raises(WeightError, match=f"{name}: only minitl's own weight files.*minitl convert"):
        tl.load(name)


def test_load_refuses_what_it_cannot_do(small, tmp_path):
    with pytest.raises(WeightError, match="nowhere"):
        tl.load("nowhere.h5")
    (tmp_path / "bad.h5").write_bytes(b"not HDF5 at all")
    with pytest.raises(WeightError, match=r"bad\.h5"):
        tl.load(tmp_path / "bad.h5")
    with pytest.raises(ArgumentError, match=r"head='gap' needs classes"):
        tl.load(tmp_path / "bad.h5", head="gap")
    with pytest.raises(ArgumentError, match="at least two"):  # before the file is read
        tl.load(tmp_path / "bad.h5", classes=["one"])


def test_load_weights_strictly_and_in_part(small, tmp_path):
    small.save(tmp_path / "small.h5")
    other = models.small_vgg(4, seed=5, in_channels=1, size=40)
    with pytest.raises(WeightError, match=r"fc\.weight \(network \(4, 64\), file \(10, 64\)\).*strict=False"):
        transfer.load_weights(other, tmp_path / "small.h5")
    report = transfer.load_weights(other, tmp_path / "small.h5", strict=False)
    assert [name for name, *_ in report.mismatched] == ["fc.weight", "fc.bias"]
    assert len(report.loaded) == 12
    assert transfer.load_weights(other, tmp_path / "small.h5", skip=["fc"]).complete
    with pytest.raises(MinitlError, match="another network"):
        transfer.load_weights(models.squeezenet1_0_caffe(None), tmp_path / "small.h5", strict=False, skip=["conv1"])


def foreign(**changes):
    net = models.alexnet(None, seed=3)
    values = {
        "architecture": "alexnet",
        "layers": net.state(),
        "preprocessing": net.preprocessing.to_dict(),
        "classes": None,
        "origin": "drawn",
        "license": "CC0",
    }
    return net, convert.Foreign(**{**values, **changes})


def test_from_foreign_joins_arrays_and_table():
    source, made = foreign()
    net = transfer.from_foreign(made)
    kept_equal(net, source, ())
    assert (net.name, net.origin, net.license, net.classes) == ("alexnet", "drawn", "CC0", None)
    assert net.preprocessing == images.Preprocessing.from_dict(made.preprocessing)


def test_from_foreign_is_strict():
    source, _ = foreign()
    state = source.state()
    state["conv2"]["weight"] = state["conv2"]["weight"][:, :, :3]
    with pytest.raises(WeightError, match=r"conv2\.weight \(network \(192, 64, 5, 5\), file \(192, 64, 3, 5\)\)"):
        transfer.from_foreign(foreign(layers=state)[1])
    with pytest.raises(ArgumentError, match="no architecture 'lenet'"):
        transfer.from_foreign(foreign(architecture="lenet")[1])


@pytest.mark.parametrize("name", ["caf\udce9", "a\0b"])
def test_class_names_that_no_file_can_hold_are_refused_at_once(name):
    with pytest.raises(ArgumentError, match="is not valid text"):
        transfer.replace_head(models.small_vgg(2, size=28), ["ant", name])


def test_hashes_are_checked_on_demand(tmp_path):
    path = tmp_path / "altered.h5"
    nn.Sequential(nn.Linear(3, 2), input_shape=(3,)).save(path)
    assert tl.load(path, verify=True).input_shape == (3,)
    with h5py.File(path, "r+") as file:
        file["layers/fc1/bias"].attrs["sha256"] = np.bytes_(b"0" * 64)
    tl.load(path)
    with pytest.raises(WeightError, match="sha256"):
        tl.load(path, verify=True)
    net = nn.Sequential(nn.Linear(3, 2), input_shape=(3,))
    assert transfer.load_weights(net, path).complete
    with pytest.raises(WeightError, match="sha256"):
        transfer.load_weights(net, path, verify=True)


def test_a_seed_for_a_new_head_is_checked(small):
    with pytest.raises(ArgumentError, match="seed must be"):
        transfer.replace_head(small, CLASSES, seed=-1)


def test_arguments_of_another_kind(alexnet):
    for path in (None, 3, b"x.h5"):
        with pytest.raises(ArgumentError, match="load: path must be that of a weight file"):
            tl.load(path)
    with pytest.raises(WeightError, match="cannot be reached"):
        tl.load("x" * 5000)
    with pytest.raises(ArgumentError, match="classes must be a list of names"):
        transfer.replace_head(alexnet, 3)
