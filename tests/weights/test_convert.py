"""Foreign files under canonical names: small synthetic ones of the same layout, and the real ones."""

import h5py
import numpy as np
import pytest

from minitl.errors import WeightError
from minitl.images import Preprocessing
from minitl.weights import convert, names, schema
from minitl.weights.convert import squeezenet_deepcompressed, torchvision_features

VGG_FIRST = [[-0.5537, 0.1427, 0.5290], [-0.5831, 0.3566, 0.7657], [-0.6902, -0.0480, 0.4841]]


def shrink(monkeypatch):
    """The networks' layouts with thin layers, so that synthetic files are small."""
    for architecture, layers in torchvision_features.SHAPES.items():
        thin = {layer: (2 + i, 3, *shape[2:]) for i, (layer, shape) in enumerate(layers.items())}
        monkeypatch.setitem(torchvision_features.SHAPES, architecture, thin)
    thin = {layer: (2 + i, 3, *shape[2:]) for i, (layer, shape) in enumerate(squeezenet_deepcompressed.SHAPES.items())}
    monkeypatch.setattr(squeezenet_deepcompressed, "SHAPES", thin)
    monkeypatch.setattr(squeezenet_deepcompressed, "CLASSES", thin["conv10"][0])


def number(name):
    """A value of its own for each dataset."""
    return float(sum(name.encode()))


def torchvision_file(path, architecture, classifier=False, lpips=True):
    with h5py.File(path, "w") as h:
        h.attrs["source"] = "made by a test"
        for layer, shape in torchvision_features.SHAPES[architecture].items():
            foreign = names.TABLES[architecture][layer][0]
            if classifier or foreign.startswith("features."):
                h.create_dataset(f"{foreign}.weight", data=np.full(shape, number(layer), "f4"), compression="gzip")
                h[f"{foreign}.bias"] = np.full(shape[:1], -number(layer), "f4")
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


@pytest.mark.parametrize("architecture", ["alexnet", "vgg16"])
@pytest.mark.parametrize("classifier", [False, True])
def test_torchvision(tmp_path, monkeypatch, architecture, classifier):
    shrink(monkeypatch)
    shapes = torchvision_features.SHAPES[architecture]
    found = convert.read(torchvision_file(tmp_path / "t.h5", architecture, classifier))
    assert found.architecture == architecture
    assert found.ignored == ("lpips_v0.1.lin0",)
    assert list(found.layers) == [layer for layer in shapes if classifier or layer.startswith("conv")]
    for layer, roles in found.layers.items():
        assert roles["weight"].shape == shapes[layer]
        assert (roles["weight"] == number(layer)).all()
        assert (roles["bias"] == -number(layer)).all()
    assert found.outputs == (("fc8", shapes["fc8"][0]) if classifier else None)
    assert "made by a test" in found.origin
    assert found.classes is None


def test_a_classifier_that_is_all_nan_is_none(tmp_path, monkeypatch):
    shrink(monkeypatch)
    path = torchvision_file(tmp_path / "t.h5", "vgg16", classifier=True, lpips=False)
    with h5py.File(path, "r+") as h:
        for name in h:
            if name.startswith("classifier."):
                h[name][...] = np.nan
    found = convert.read(path)
    assert found.outputs is None
    assert "fc6" not in found.layers
    assert len(found.ignored) == 6


def test_squeezenet(tmp_path, monkeypatch):
    shrink(monkeypatch)
    found = convert.read(squeezenet_file(tmp_path / "s.h5"))
    assert found.architecture == "squeezenet1_0_caffe"
    assert list(found.layers) == list(squeezenet_deepcompressed.SHAPES)
    for layer, roles in found.layers.items():
        assert (roles["weight"] == number(layer)).all()
        assert (roles["bias"] == -number(layer)).all()
    assert found.outputs == ("conv10", squeezenet_deepcompressed.CLASSES)


def test_layers_are_known_names():
    for architecture, shapes in torchvision_features.SHAPES.items():
        assert set(shapes) <= set(names.TABLES[architecture])
    assert set(squeezenet_deepcompressed.SHAPES) <= set(names.TABLES["squeezenet1_0_caffe"])


def test_parameter_counts():
    """Published totals of the whole networks: 61,100,840, 138,357,544 and 1,248,424."""

    def total(shapes):
        return sum(int(np.prod(shape)) + shape[0] for shape in shapes.values())

    assert total(torchvision_features.SHAPES["alexnet"]) == 61_100_840
    assert total(torchvision_features.SHAPES["vgg16"]) == 138_357_544
    assert total(squeezenet_deepcompressed.SHAPES) == 1_248_424


def test_preprocessing_is_valid():
    torchvision = Preprocessing.from_dict(torchvision_features.PREPROCESSING)
    caffe = Preprocessing.from_dict(squeezenet_deepcompressed.PREPROCESSING)
    assert (torchvision.channels, torchvision.output_size) == ("RGB", (224, 224))
    assert (caffe.channels, caffe.output_size) == ("BGR", (227, 227))


def test_unknown_layouts_say_what_they_hold(tmp_path, monkeypatch):
    shrink(monkeypatch)
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
    for spoil in ("shape", "missing", "extra"):
        with h5py.File(torchvision_file(path, "vgg16"), "r+") as h:
            if spoil != "extra":
                del h["features.28.bias"]
            if spoil == "shape":
                h["features.28.bias"] = np.ones(99, "f4")
            if spoil == "extra":
                h["features.30.weight"] = np.ones(2, "f4")
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


def test_class_names_meet_the_classifier(tmp_path, monkeypatch):
    shrink(monkeypatch)
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
