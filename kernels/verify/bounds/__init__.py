"""Error bounds, derived from dtype, accumulation length and algorithm: the only place that knows any."""

from . import winograd
from .activations import gelu, gelu_grad, sigmoid, sigmoid_grad, tanh, tanh_grad
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
from .exponentials import log_softmax, log_softmax_grad, logsumexp, logsumexp_grad, softmax, softmax_grad
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_grad,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_grad,
    cross_entropy,
    cross_entropy_grad,
    hinge_loss,
    hinge_loss_grad,
)
from .normalization import (
    batch_norm,
    batch_norm_grad_affine,
    batch_norm_grad_input,
    batch_norm_grad_input_training,
    batch_statistics,
    local_response_norm,
    local_response_norm_grad,
)
from .steps import adam_step, rmsprop_step, sgd_step

__all__ = [
    "Bound",
    "adam_step",
    "batch_norm",
    "batch_norm_grad_affine",
    "batch_norm_grad_input",
    "batch_norm_grad_input_training",
    "batch_statistics",
    "binary_cross_entropy",
    "binary_cross_entropy_grad",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_grad",
    "conv_grad_input_depth",
    "cross_entropy",
    "cross_entropy_grad",
    "exact",
    "gamma",
    "gelu",
    "gelu_grad",
    "hinge_loss",
    "hinge_loss_grad",
    "inner_product",
    "local_response_norm",
    "local_response_norm_grad",
    "log_softmax",
    "log_softmax_grad",
    "logsumexp",
    "logsumexp_grad",
    "rmsprop_step",
    "scaled_once",
    "sgd_step",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_grad",
    "tanh",
    "tanh_grad",
    "underflow",
    "unit_roundoff",
    "winograd",
]
