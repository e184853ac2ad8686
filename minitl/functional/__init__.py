"""Differentiable operations, by family. `from minitl import functional as F`."""

from ..tensor import Parameter, Tensor, from_dlpack, tensor
from . import operators as _operators  # noqa: F401  (gives Tensor its operators)
from .activation import gelu, leaky_relu, log_softmax, logsumexp, relu, sigmoid, softmax, tanh
from .apply import apply, asarray
from .arithmetic import add, divide, exp, log, matmul, multiply, negate, power, subtract
from .convolution import Convolutions, conv2d, conv2d_max_pool, conv2d_relu
from .dense import linear
from .dropout import dropout
from .loss import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, hinge_loss
from .normalization import batch_norm, local_response_norm
from .padding import pad
from .pooling import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d
from .reduction import max, mean, sum
from .shape import concat, flatten, index, reshape, transpose
from .workspace import packed, pooled_at_once, threads, workspace

__all__ = [
    "Convolutions",
    "Parameter",
    "Tensor",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "add",
    "apply",
    "asarray",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "concat",
    "conv2d",
    "conv2d_max_pool",
    "conv2d_relu",
    "cross_entropy",
    "divide",
    "dropout",
    "exp",
    "flatten",
    "from_dlpack",
    "gelu",
    "hinge_loss",
    "index",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "mean",
    "multiply",
    "negate",
    "packed",
    "pad",
    "pooled_at_once",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "subtract",
    "sum",
    "tanh",
    "tensor",
    "threads",
    "transpose",
    "workspace",
]
