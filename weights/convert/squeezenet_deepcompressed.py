"""Caffe's SqueezeNet 1.0 from the pruned and quantised release of Deep Compression, decoded to HDF5.

Han, Mao & Dally, "Deep Compression" (2016); Iandola et al., "SqueezeNet" (2016). Groups named as Caffe's layers
("fire2/squeeze1x1") hold `weight` (OIHW) and `bias`, float32.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .. import names
from ..hdf5 import Guard
from .foreign import Foreign

NAME = "Caffe's SqueezeNet 1.0 (groups such as fire2/squeeze1x1 with weight and bias)"
ARCHITECTURE = "squeezenet1_0_caffe"

# Caffe: BGR 0..255 minus the ImageNet mean; 256 x 256 without keeping the aspect
PREPROCESSING = {
    "channels": "BGR",
    "scale": 1.0,
    "mean": [104.0, 117.0, 123.0],
    "std": [1.0, 1.0, 1.0],
    "resize": "exact",
    "size": [256, 256],
    "filter": "bilinear",
    "crop": [227, 227],
}
ORIGIN = "SqueezeNet 1.0 with Deep Compression (github.com/songhan/SqueezeNet-Deep-Compression), ImageNet-1k"
LICENSE = "BSD-2-Clause (SqueezeNet); trained on ImageNet, whose photographs are for research use"

# (squeeze, expand) widths of the fire modules; each expands to 1x1 and 3x3 alike. Iandola et al., table 1.
FIRES = {
    "fire2": (16, 64),
    "fire3": (16, 64),
    "fire4": (32, 128),
    "fire5": (32, 128),
    "fire6": (48, 192),
    "fire7": (48, 192),
    "fire8": (64, 256),
    "fire9": (64, 256),
}
CLASSES = 1000


def _shapes() -> dict[str, tuple[int, ...]]:
    """Canonical name of every convolution -> shape of its weight, in the order in which they run."""
    shapes: dict[str, tuple[int, ...]] = {"conv1": (96, 3, 7, 7)}
    channels = 96
    for fire, (squeeze, expand) in FIRES.items():
        shapes[f"{fire}.squeeze1x1"] = (squeeze, channels, 1, 1)
        shapes[f"{fire}.expand1x1"] = (expand, squeeze, 1, 1)
        shapes[f"{fire}.expand3x3"] = (expand, squeeze, 3, 3)
        channels = 2 * expand
    shapes["conv10"] = (CLASSES, channels, 1, 1)
    return shapes


SHAPES = _shapes()


def _canonical(name: str) -> tuple[str, str]:
    """(canonical layer, role) of a dataset's path."""
    layer, _, role = name.rpartition("/")
    return names.aliases(ARCHITECTURE).get(layer, layer), role


def wanted(name: str) -> bool:
    """Whether a dataset of this path is a layer of the network."""
    layer, role = _canonical(name)
    return layer in SHAPES and role in ("weight", "bias")


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the datasets are those of the whole network."""
    found = {_canonical(name): shape for name, shape in shapes.items() if wanted(name)}
    needed = {(layer, "weight"): shape for layer, shape in SHAPES.items()}
    needed |= {(layer, "bias"): shape[:1] for layer, shape in SHAPES.items()}
    return found == needed


def convert(guard: Guard, arrays: Mapping[str, np.ndarray], ignored: list[str]) -> Foreign:
    """The layers of a recognised file."""
    by_name = {_canonical(name): array for name, array in arrays.items()}
    layers = {layer: {role: by_name[layer, role] for role in ("weight", "bias")} for layer in SHAPES}
    return Foreign(
        ARCHITECTURE, layers, dict(PREPROCESSING), None, ORIGIN, LICENSE, ("conv10", CLASSES), tuple(ignored)
    )
