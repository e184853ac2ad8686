"""The three real networks on real photographs: layers and gradients against PyTorch, and known answers."""

import csv

import numpy as np
import pytest

import minitl as tl
from minitl import functional as F
from minitl import images, transfer
from minitl.weights import convert

FILES = {
    "alexnet": "alexnet_features_torchvision.h5",
    "vgg16": "vgg16_features_torchvision.h5",
    "squeezenet1_0_caffe": "squeezenet_v1.0_deepcompressed.h5",
}
LAYER = 1e-5  # max|difference| / max|reference| of a layer's value in float32
GRADIENT = {"float32": 1e-3, "float64": 1e-8}  # relative L2 of a whole network's gradient


@pytest.fixture(scope="session")
def real(data_root, tmp_path_factory):
    """real(architecture) -> the network, converted, saved and loaded again."""
    folder = tmp_path_factory.mktemp("weights")

    def load(architecture):
        path = folder / f"{architecture}.h5"
        if not path.exists():
            transfer.from_foreign(convert.read(data_root / "weights" / FILES[architecture])).save(path)
        return tl.load(path)

    return load


def photographs(data_root, count):
    return sorted((data_root / "imagenet-samples").glob("*.JPEG"))[:count]


def inputs(net, paths):
    return np.stack([net.preprocessing(images.decode(path)) for path in paths])


@pytest.mark.parametrize(("architecture", "count"), [("alexnet", 2), ("vgg16", 1), ("squeezenet1_0_caffe", 2)])
def test_every_layer_has_the_value_that_pytorch_computes(architecture, count, real, data_root, layer_errors):
    net = real(architecture)
    errors = layer_errors(net, inputs(net, photographs(data_root, count)))
    assert all(error <= LAYER for error in errors.values()), errors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_a_whole_alexnet_is_pytorchs(dtype, real, data_root, in_torch):
    import torch

    net = transfer.replace_head(real("alexnet"), [f"class {i}" for i in range(10)], head="dense")
    net["head.weight"].assign(np.random.default_rng(0).normal(0, 0.01, net["head.weight"].shape))
    net = net.astype(dtype)
    x, labels = inputs(net, photographs(data_root, 2)).astype(dtype), np.array([3, 8])
    F.cross_entropy(net(x), labels).backward()
    theirs = {
        name.replace("head", "fc8"): torch.tensor(p.numpy(), requires_grad=True)
        for name, p in net.named_parameters().items()
    }
    scores = in_torch("alexnet", theirs, torch.tensor(x))["fc8"]
    torch.nn.functional.cross_entropy(scores, torch.tensor(labels)).backward()
    wrong = total = 0.0
    for name, p in net.named_parameters().items():
        reference = theirs[name.replace("head", "fc8")].grad.numpy()
        wrong += np.sum(np.square(p.grad - reference), dtype=np.float64)
        total += np.sum(np.square(reference), dtype=np.float64)
    assert total > 0
    print(f"relative L2 {np.sqrt(wrong / total):.1e}")
    assert np.sqrt(wrong / total) <= GRADIENT[dtype]


def test_squeezenet_gives_the_recorded_five_classes(real, data_root):
    with open(data_root / "imagenet-samples" / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    answers = real("squeezenet1_0_caffe").predict([data_root / "imagenet-samples" / row["file"] for row in rows])
    right = sum(
        {p.index for p in answer} == set(map(int, row["squeezenet_top5"].split()))
        for answer, row in zip(answers, rows, strict=True)
    )
    assert len(rows) == 50
    assert right >= 49


def test_preprocessing_and_origin_travel_with_the_file(real):
    net = real("squeezenet1_0_caffe")
    assert net.preprocessing.channels == "BGR"
    assert net.preprocessing.crop == (227, 227)
    assert "SqueezeNet" in net.origin
    assert net.license
