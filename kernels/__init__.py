"""Kernels: arrays in, arrays out. One folder an op; nothing here knows of autograd.

>>> from minitl import kernels
>>> kernels.conv2d.forward(x, w, b, geometry)             # runs the best version that serves
>>> kernels.why("conv2d", x_shape=(8, 3, 224, 224), w_shape=(64, 3, 11, 11), stride=4)
>>> with kernels.using(conv2d="reference.im2col"): ...    # forces one
"""

import importlib as _importlib

from .explanation import why
from .geometry import ConvGeometry, PadGeometry, PoolGeometry
from .registry import KernelSpec, Version, spec, specs, using, version

# In the order in which listings show them.
OPS = (
    "conv2d",
    "max_pool2d",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "pad",
    "linear",
    "batch_norm",
    "local_response_norm",
    "relu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "gelu",
    "softmax",
    "log_softmax",
    "logsumexp",
    "cross_entropy",
    "hinge_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "dropout",
    "concat",
    "flatten",
    "sgd_step",
    "adam_step",
    "rmsprop_step",
)

__all__ = [
    "OPS",
    "ConvGeometry",
    "KernelSpec",
    "PadGeometry",
    "PoolGeometry",
    "Version",
    "spec",
    "specs",
    "using",
    "version",
    "why",
    *OPS,
]


def __getattr__(name: str):
    if name in OPS:
        return _importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
