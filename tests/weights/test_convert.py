"""Foreign files under canonical names: small synthetic ones of the same layout, and the real ones."""

import h5py
import numpy as np
import pytest

from minitl import models, transfer
from minitl.errors import WeightError
from minitl.images import Preprocessing
from minitl.weights import convert, names, schema
from minitl.weights.convert import squeezenet_deepcompressed, torchvision

VGG_FIRST = [[-0.5537, 0.1427, 0.5290], [-0.5831, 0.3566, 0.7657], [-0.6902, -0.0480, 0.4841]]


@pytest.fixture
def thin(monkeypatch):
    """SqueezeNet's layout with thin layers, so that synthetic files are small."""
    thin = {layer: (2 + i, 3, *shape[2:]) for i, (layer, shape) in enumerate(squeezenet_deepcompressed.SHAPES.items())}
    monkeypatch.setattr(squeezenet_deepcompressed, "SHAPES", thin)
    monkeypatch.setattr(squeezenet_deepcompressed, "CLASSES", thin["conv10"][0])


def number(name):
    """A value of its own for each dataset."""
    return float(sum(name.encode()))


# Shape of the last layer's weight for one class; all other arrays are thin: shapes are judged by the network
SCORING = {"squeezenet": (512, 1, 1), "resnet18": (512,), "resnet34": (512,), "resnet50": (2048,)}


def torchvision_file(path, architecture, classifier=False, lpips=True, classes=1000):
    last = list(torchvision.contents(architecture))[-1].rpartition(".")[0]
    one = next((shape for start, shape in SCORING.items() if architecture.startswith(start)), (4096,))
    with h5py.File(path, "w") as h:
        h.attrs["source"] = "made by a test"
        for name, (layer, role) in torchvision.contents(architecture).items():
            if classifier or not name.startswith(("classifier.", "fc.")):
                shape = {"weight": (2, 3), "bias": (2,)}.get(role, (1,))
                if name.startswith(f"{last}."):
                    shape = (classes, *one) if role == "weight" else (classes,)
                h.create_dataset(name, data=np.full(shape, number(layer + role), "f4"), compression="gzip")
            if role == "running_var":
                h[name.replace(role, "num_batches_tracked")] = np.int64(7)
        if lpips:
            h["lpips_v0.1.lin0"] = np.ones(3, "f4")
    return path


def squeezenet_file(path):
    with h5py.File(path, "w") as h:
        for layer, shape in squeezenet_deepcompressed.SHAPES.items():
            group = layer.replace(".", "/")
            h.create_dataset(
                f"{group}/weight", data=np.full(shape, number(layer), "f4"), compression="gzip", shuffle=True
            )
            h[f"{group}/bias"] = np.full(shape[:1], -number(layer), "f4")
    return path


@pytest.mark.parametrize("architecture", torchvision.ARCHITECTURES)
@pytest.mark.parametrize("classifier", [False, True])
def test_torchvision(tmp_path, architecture, classifier):
    found = convert.read(torchvision_file(tmp_path / "t.h5", architecture, classifier))
    assert found.architecture == architecture
    counters = [name for name in found.ignored if name.endswith(".num_batches_tracked")]
    assert set(found.ignored) == {"lpips_v0.1.lin0", *counters}
    assert len(counters) == sum("running_mean" in roles for roles in found.layers.values())
    arrays = {(layer, role): array for layer, roles in found.layers.items() for role, array in roles.items()}
    for (layer, role), array in arrays.items():
        assert (array == number(layer + role)).all()
    expected = [
        row
        for name, row in torchvision.contents(architecture).items()
        if classifier or not name.startswith(("classifier.", "fc."))
    ]
    assert list(arrays) == expected
    last = expected[-1][0]
    assert found.outputs == ((last, 1000) if classifier else None)
    assert "made by a test" in found.origin
    assert "ImageNet" in found.license
    assert "ImageNet-1k" in found.origin
    assert found.classes is None


def test_another_number_of_classes_is_not_called_imagenets(tmp_path):
    found = convert.read(torchvision_file(tmp_path / "t.h5", "resnet18", classifier=True, classes=5))
    assert found.outputs == ("fc", 5)
    assert "ImageNet" not in found.origin + found.license
    assert "5 classes" in found.origin


@pytest.mark.parametrize("shape", [(0, 512), (5, 513), (5,), (10**6, 1), (5, 512, 1, 1)])
def test_a_last_layer_that_scores_other_features(tmp_path, shape):
    path = torchvision_file(tmp_path / "t.h5", "resnet18", classifier=True)
    with h5py.File(path, "r+") as h:
        del h["fc.weight"]
        h.create_dataset("fc.weight", data=np.ones(shape, "f4"))
    with pytest.raises(WeightError, match=r"t\.h5: fc: its weight has shape .*resnet18 needs \(classes, 512\)"):
        convert.read(path)


def test_layers_that_do_not_fit_the_network_are_named(tmp_path):
    """A VGG for small pictures has torchvision's names, too."""
    foreign = convert.read(torchvision_file(tmp_path / "t.h5", "vgg11", classifier=True, classes=3))
    with pytest.raises(WeightError, match=r"vgg11: .*conv1_1\.weight \(network \(64, 3, 3, 3\), file \(2, 3\)\)"):
        transfer.from_foreign(foreign)


def test_a_torchvision_state_dict_becomes_the_network(tmp_path):
    """All of resnet18 under torchvision's names, as a user would write it: names as in the state dict, counters too."""
    given = models.resnet18(3, seed=4)
    for i, array in enumerate(given.named_buffers().values()):
        array.assign(np.linspace(i, i + 1, array.size))
    with h5py.File(tmp_path / "t.h5", "w") as h:
        for name, array in given.named_arrays().items():
            name = name.replace("downsample.conv", "downsample.0").replace("downsample.bn", "downsample.1")
            h[name] = array.data
            if name.endswith("running_var"):
                h[name.replace("running_var", "num_batches_tracked")] = np.int64(0)
    net = transfer.from_foreign(convert.read(tmp_path / "t.h5"))
    assert net.name == "resnet18"
    for name, array in given.named_arrays().items():
        assert np.array_equal(net[name].data, array.data), name


def test_a_classifier_that_is_all_nan_is_none(tmp_path):
    path = torchvision_file(tmp_path / "t.h5", "vgg16", classifier=True, lpips=False)
    with h5py.File(path, "r+") as h:
        for name in h:
            if name.startswith("classifier."):
                h[name][...] = np.nan
    found = convert.read(path)
    assert found.outputs is None
    assert "fc6" not in found.layers
    assert len(found.ignored) == 6


def test_squeezenet(tmp_path, thin):
    found = convert.read(squeezenet_file(tmp_path / "s.h5"))
    assert found.architecture == "squeezenet1_0_caffe"
    assert list(found.layers) == list(squeezenet_deepcompressed.SHAPES)
    for layer, roles in found.layers.items():
        assert (roles["weight"] == number(layer)).all()
        assert (roles["bias"] == -number(layer)).all()
    assert found.outputs == ("conv10", squeezenet_deepcompressed.CLASSES)


def test_layers_are_known_names():
    assert set(squeezenet_deepcompressed.SHAPES) <= set(names.TABLES["squeezenet1_0_caffe"])


@pytest.mark.parametrize("architecture", torchvision.ARCHITECTURES)
def test_the_layout_is_that_of_the_network(architecture):
    net = models.build(architecture, seed=None)
    assert [f"{layer}.{role}" for layer, role in torchvision.contents(architecture).values()] == list(
        net.named_arrays()
    )


def test_no_two_layouts_are_alike():
    wholes = [frozenset(torchvision.contents(architecture)) for architecture in torchvision.ARCHITECTURES]
    parts = [frozenset(n for n in names if not n.startswith(("classifier.", "fc."))) for names in wholes]
    assert len({*wholes, *parts}) == 2 * len(torchvision.ARCHITECTURES)


def test_preprocessing_is_valid():
    theirs = Preprocessing.from_dict(torchvision.PREPROCESSING)
    caffe = Preprocessing.from_dict(squeezenet_deepcompressed.PREPROCESSING)
    assert (theirs.channels, theirs.output_size) == ("RGB", (224, 224))
    assert (caffe.channels, caffe.output_size) == ("BGR", (227, 227))


def test_unknown_layouts_say_what_they_hold(tmp_path):
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as h:
        h["dense/kernel"] = np.ones((3, 4), "f4")
    with pytest.raises(
        WeightError, match=r"no known weight layout: it holds dense/kernel \(3, 4\); known are: torchvision"
    ):
        convert.read(path)
    with h5py.File(path, "w") as h:
        h.create_group("empty")
    with pytest.raises(WeightError, match="it holds no arrays"):
        convert.read(path)
    for spoil in ("missing", "extra", "half a classifier"):
        with h5py.File(torchvision_file(path, "vgg16"), "r+") as h:
            if spoil == "missing":
                del h["features.28.bias"]
            else:
                h["features.30.weight" if spoil == "extra" else "classifier.0.weight"] = np.ones(2, "f4")
        with pytest.raises(WeightError, match="no known weight layout"):
            convert.read(path)


def test_minitls_own_file_and_foreign_things(tmp_path):
    network = {"name": "tiny", "input_shape": [1, 1, 1], "nodes": []}
    schema.write(tmp_path / "w.h5", schema.WeightFile(network))
    with pytest.raises(WeightError, match="already"):
        convert.read(tmp_path / "w.h5")
    (tmp_path / "x.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(WeightError, match="zip or pickle"):
        convert.read(tmp_path / "x.pth")
    with h5py.File(tmp_path / "deep.h5", "w") as h:
        h["a/b/c/d/e/f"] = np.ones(2)
    with pytest.raises(WeightError, match="deeper than weights"):
        convert.read(tmp_path / "deep.h5")


def test_class_names_meet_the_classifier(tmp_path, thin):
    path = squeezenet_file(tmp_path / "s.h5")
    count = squeezenet_deepcompressed.CLASSES
    given = [f"class {i}" for i in range(count)]
    assert convert.read(path, classes=given).classes == given
    with pytest.raises(WeightError, match=f"conv10 has {count} outputs, but {count - 1} class names"):
        convert.read(path, classes=given[:-1])
    with pytest.raises(WeightError, match="ends before the classifier"):
        convert.read(torchvision_file(path, "alexnet"), classes=given)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"tench\ngoldfish\n", ["tench", "goldfish"]),
        (b"\xef\xbb\xbftench\r\ngoldfish\r\n\r\n", ["tench", "goldfish"]),
        (b"n01440764 tench, Tinca tinca\nn01443537 goldfish", ["tench, Tinca tinca", "goldfish"]),
        ("Ameise\nKäfer\nKäfer".encode(), ["Ameise", "Käfer", "Käfer"]),
        (b"n01440764\nn0144 x", ["n01440764", "n0144 x"]),  # an id alone is the name
        (b"  crane \na\x85b\x0cc".replace(b"\x85", "\x85".encode()), ["crane", "a\x85b\x0cc"]),
    ],
)
def test_class_names(tmp_path, content, expected):
    (tmp_path / "names.txt").write_bytes(content)
    assert convert.read_class_names(tmp_path / "names.txt") == expected
    assert convert.read_class_names(tmp_path / "names.txt", count=len(expected)) == expected


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "holds no class names"),
        (b"\n\n", "holds no class names"),
        (b"a\n\nb\n", "line 2 is empty"),
        (b"a\nK\xe4fer\n", "line 2 is not UTF-8"),
        (b"a\0b", "no list of class names"),
        (b"a\nb\nc", "holds 3 class names, but 2 are needed"),
    ],
)
def test_class_names_that_are_refused(tmp_path, content, match):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(WeightError, match=match) as caught:
        convert.read_class_names(tmp_path / "names.txt", count=2)
    assert "names.txt" in str(caught.value)
    with pytest.raises(WeightError, match="cannot be opened"):
        convert.read_class_names(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("file", "architecture", "parameters"),
    [
        ("alexnet_features_torchvision.h5", "alexnet", 2_469_696),
        ("vgg16_features_torchvision.h5", "vgg16", 14_714_688),
        ("squeezenet_v1.0_deepcompressed.h5", "squeezenet1_0_caffe", 1_248_424),
    ],
)
def test_real_files(data_root, file, architecture, parameters):
    found = convert.read(data_root / "weights" / file)
    assert found.architecture == architecture
    assert sum(array.size for roles in found.layers.values() for array in roles.values()) == parameters
    if architecture == "vgg16":  # as publicly printed, to four digits
        assert np.round(found.layers["conv1_1"]["weight"][0, 0].astype(float), 4).tolist() == VGG_FIRST
    if architecture == "alexnet":
        first = found.layers["conv1"]["weight"][0, 0, 0].astype(float)
        assert np.round(first, 5).tolist()[:3] == [0.11864, 0.09407, 0.09544]
    if architecture != "squeezenet1_0_caffe":
        assert found.ignored == tuple(f"lpips_v0.1.lin{i}" for i in range(5))


@pytest.mark.parametrize(
    ("file", "third"),
    [("imagenet_classes.txt", "great white shark"), ("synset_words.txt", "great white shark, white shark")],
)
def test_real_class_names(data_root, file, third):
    found = convert.read_class_names(data_root / file, count=1000)
    assert found[2].startswith(third)
    assert found[0].startswith("tench")
