"""Error bounds, derived from dtype, accumulation length and algorithm: the only place that knows any."""

from .core import (
    Bound,
    conv_grad_input_depth,
    exact,
    gamma,
    inner_product,
    scaled_once,
    underflow,
    unit_roundoff,
)
from .exponentials import log_softmax, log_softmax_grad, softmax, softmax_grad
from .losses import cross_entropy, cross_entropy_grad

__all__ = [
    "Bound",
    "conv_grad_input_depth",
    "cross_entropy",
    "cross_entropy_grad",
    "exact",
    "gamma",
    "inner_product",
    "log_softmax",
    "log_softmax_grad",
    "scaled_once",
    "softmax",
    "softmax_grad",
    "underflow",
    "unit_roundoff",
]
