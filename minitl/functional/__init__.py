"""Differentiable operations, by family. `from minitl import functional as F`."""

from ..tensor import Parameter, Tensor, from_dlpack, tensor
from . import operators as _operators  # noqa: F401  (gives Tensor its operators)
from .activation import log_softmax, relu, softmax
from .apply import apply, asarray
from .arithmetic import add, divide, exp, log, matmul, multiply, negate, power, subtract
from .convolution import conv2d, conv2d_relu
from .dense import linear
from .dropout import dropout
from .loss import cross_entropy
from .pooling import adaptive_avg_pool2d, max_pool2d
from .reduction import max, mean, sum
from .shape import concat, flatten, index, reshape, transpose

__all__ = [
    "Parameter",
    "Tensor",
    "adaptive_avg_pool2d",
    "add",
    "apply",
    "asarray",
    "concat",
    "conv2d",
    "conv2d_relu",
    "cross_entropy",
    "divide",
    "dropout",
    "exp",
    "flatten",
    "from_dlpack",
    "index",
    "linear",
    "log",
    "log_softmax",
    "matmul",
    "max",
    "max_pool2d",
    "mean",
    "multiply",
    "negate",
    "power",
    "relu",
    "reshape",
    "softmax",
    "subtract",
    "sum",
    "tensor",
    "transpose",
]
