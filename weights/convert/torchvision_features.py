"""torchvision's AlexNet and VGG-16 under its own names, as flat HDF5 datasets "features.0.weight", OIHW float32.

The classifier may be absent, or all NaN, in files that are meant for their convolution part alone
(VGG16_Weights.IMAGENET1K_FEATURES). Linear layers of LPIPS (Zhang et al. 2018) that some of these files carry beside
are no part of the networks and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .. import names
from ..hdf5 import Guard
from .foreign import Foreign

NAME = "torchvision's alexnet or vgg16 (datasets such as features.0.weight)"

# torchvision's documented transforms of these weights: channels RGB, values in [0, 1]
PREPROCESSING = {
    "channels": "RGB",
    "scale": 1 / 255,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "resize": "short_side",
    "size": 256,
    "filter": "bilinear",
    "crop": [224, 224],
}
LICENSE = "BSD-3-Clause (torchvision); trained on ImageNet, whose photographs are for research use"

# (canonical name, shape of the weight) of every layer; a file holds them all, or all but the fc layers
SHAPES = {
    "alexnet": {
        "conv1": (64, 3, 11, 11),
        "conv2": (192, 64, 5, 5),
        "conv3": (384, 192, 3, 3),
        "conv4": (256, 384, 3, 3),
        "conv5": (256, 256, 3, 3),
        "fc6": (4096, 9216),
        "fc7": (4096, 4096),
        "fc8": (1000, 4096),
    },
    "vgg16": {
        "conv1_1": (64, 3, 3, 3),
        "conv1_2": (64, 64, 3, 3),
        "conv2_1": (128, 64, 3, 3),
        "conv2_2": (128, 128, 3, 3),
        "conv3_1": (256, 128, 3, 3),
        "conv3_2": (256, 256, 3, 3),
        "conv3_3": (256, 256, 3, 3),
        "conv4_1": (512, 256, 3, 3),
        "conv4_2": (512, 512, 3, 3),
        "conv4_3": (512, 512, 3, 3),
        "conv5_1": (512, 512, 3, 3),
        "conv5_2": (512, 512, 3, 3),
        "conv5_3": (512, 512, 3, 3),
        "fc6": (4096, 25088),
        "fc7": (4096, 4096),
        "fc8": (1000, 4096),
    },
}


def wanted(name: str) -> bool:
    """Whether a dataset of this name is a layer of the networks."""
    return name.startswith(("features.", "classifier."))


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the datasets are those of one of the networks, whole or without the classifier."""
    return _architecture(shapes) is not None


def _architecture(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    present = {name: shape for name, shape in shapes.items() if wanted(name)}
    for architecture, layers in SHAPES.items():
        whole = _foreign_shapes(architecture, layers)
        features = {name: shape for name, shape in whole.items() if name.startswith("features.")}
        if present in (whole, features):
            return architecture
    return None


def _foreign_shapes(architecture: str, layers: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Name in the file -> shape, of all weights and biases."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, shape in layers.items():
        foreign = names.TABLES[architecture][layer][0]
        shapes[f"{foreign}.weight"], shapes[f"{foreign}.bias"] = shape, shape[:1]
    return shapes


def convert(guard: Guard, arrays: Mapping[str, np.ndarray], ignored: list[str]) -> Foreign:
    """The layers of a recognised file."""
    architecture = _architecture({name: array.shape for name, array in arrays.items()})
    if architecture is None:
        raise guard.error("the file", "is neither torchvision's alexnet nor its vgg16", "see 'minitl convert --help'")
    if any(np.isnan(array).all() for name, array in arrays.items() if name.startswith("classifier.")):
        ignored = sorted([*ignored, *(name for name in arrays if name.startswith("classifier."))])
        arrays = {name: array for name, array in arrays.items() if name.startswith("features.")}
    known = names.aliases(architecture)
    layers: dict[str, dict[str, np.ndarray]] = {}
    for layer in SHAPES[architecture]:
        for role in ("weight", "bias"):
            foreign = f"{names.TABLES[architecture][layer][0]}.{role}"
            if foreign in arrays:
                layers.setdefault(known[foreign.rpartition(".")[0]], {})[role] = arrays[foreign]
    outputs = ("fc8", SHAPES[architecture]["fc8"][0]) if "fc8" in layers else None
    origin = f"torchvision {architecture}, ImageNet-1k" + ("" if outputs else ", convolution part only")
    stated = guard.text(guard.file, "source", variable=True)
    origin += f" (from {guard.path.name}" + (f": {stated})" if stated else ")")
    return Foreign(architecture, layers, dict(PREPROCESSING), None, origin, LICENSE, outputs, tuple(ignored))
