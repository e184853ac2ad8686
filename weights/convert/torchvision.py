"""torchvision's classic networks under its own names, as flat HDF5 datasets "features.0.weight", OIHW float32.

AlexNet, VGG with and without batch normalization, SqueezeNet and ResNet, for any number of classes. The classifier may
be absent, or all NaN, in files that are meant for their convolution part alone (VGG16_Weights.IMAGENET1K_FEATURES).
Counters of batches (num_batches_tracked) and the linear layers of LPIPS (Zhang et al. 2018), which some of these files
carry beside, are no part of the networks and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np

from .. import names
from ..hdf5 import Guard
from .foreign import Foreign

NAME = "torchvision's alexnet, resnet, squeezenet or vgg (datasets such as features.0.weight)"

# torchvision's documented transforms of these weights (IMAGENET1K_V1): channels RGB, values in [0, 1]
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

ARCHITECTURES = tuple(name for name in names.TABLES if not name.endswith(("caffe", "caffenet", "lenet5")))
_ROLES = {  # by how the last part of a layer's canonical name begins; other layers have no arrays
    "conv": ("weight", "bias"),
    "squeeze": ("weight", "bias"),
    "expand": ("weight", "bias"),
    "fc": ("weight", "bias"),
    "bn": ("weight", "bias", "running_mean", "running_var"),
}
_SCORING = {  # by the start of the architecture's name: shape of the last layer's weight for one class
    "resnet50": (2048,),
    "resnet": (512,),
    "squeezenet": (512, 1, 1),
    "": (4096,),
}
_IMAGENET_CLASSES = 1000
_PARTS = ("features.", "classifier.", "conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.", "fc.")
_CLASSIFIER = ("classifier.", "fc.")
_COUNTER = ".num_batches_tracked"


@lru_cache
def contents(architecture: str) -> dict[str, tuple[str, str]]:
    """Name of each dataset of the whole network -> (canonical layer, role), in layer order."""
    found = {}
    for layer, aliases in names.TABLES[architecture].items():
        last = layer.rpartition(".")[2]
        roles = next((roles for start, roles in _ROLES.items() if last.startswith(start)), ())
        if architecture.startswith("resnet") and last.startswith("conv"):
            roles = ("weight",)
        theirs = (alias for alias in aliases if alias.startswith(_PARTS))
        module = next(theirs, layer)
        found |= {f"{module}.{role}": (layer, role) for role in roles}
    return found


def wanted(name: str) -> bool:
    """Whether a dataset of this name is a layer of the networks."""
    return name.startswith(_PARTS) and not name.endswith(_COUNTER)


def recognises(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the datasets are those of one of the networks, whole or without the classifier.

    No two have the same names. Shapes are judged where the arrays meet the network.
    """
    return _architecture(shapes) is not None


def _architecture(found: Iterable[str]) -> str | None:
    present = {name for name in found if wanted(name)}
    for architecture in ARCHITECTURES:
        whole = set(contents(architecture))
        if present in (whole, {name for name in whole if not name.startswith(_CLASSIFIER)}):
            return architecture
    return None


def convert(guard: Guard, arrays: Mapping[str, np.ndarray], ignored: list[str]) -> Foreign:
    """The layers of a recognised file."""
    architecture = _architecture(arrays)
    if architecture is None:
        raise guard.error("the file", "is none of torchvision's networks", "see 'minitl convert --help'")
    classifier = [name for name in arrays if name.startswith(_CLASSIFIER)]
    if any(arrays[name].size and np.isnan(arrays[name]).all() for name in classifier):
        ignored = sorted([*ignored, *classifier])
        arrays = {name: array for name, array in arrays.items() if name not in classifier}
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, (layer, role) in contents(architecture).items():
        if name in arrays:
            layers.setdefault(layer, {})[role] = arrays[name]
    outputs = _outputs(guard, architecture, layers)
    origin, license = f"torchvision {architecture}, ImageNet-1k", LICENSE
    if outputs is None:
        origin += ", convolution part only"
    elif outputs[1] != _IMAGENET_CLASSES:
        origin = f"{architecture} in torchvision's layout, {outputs[1]} classes"
        license = "unknown: ask whoever trained it"
    stated = guard.text(guard.file, "source", variable=True)
    origin += f" (from {guard.path.name}" + (f": {stated})" if stated else ")")
    return Foreign(architecture, layers, dict(PREPROCESSING), None, origin, license, outputs, tuple(ignored))


def _outputs(guard: Guard, architecture: str, layers: Mapping[str, Mapping[str, np.ndarray]]) -> tuple[str, int] | None:
    """(last layer, number of classes), or None without a classifier; a network is built for so many."""
    layer, _ = list(contents(architecture).values())[-1]
    if layer not in layers:
        return None
    shape = layers[layer]["weight"].shape
    one = next(one for start, one in _SCORING.items() if architecture.startswith(start))
    if shape[1:] != one or not shape[0]:
        wanted = f"(classes, {', '.join(map(str, one))})"
        raise guard.error(layer, f"its weight has shape {shape}", f"{architecture} needs {wanted}")
    return layer, shape[0]
