"""Normalization: over the batch, and over neighbouring channels."""

from __future__ import annotations

from typing import Any

from ..autograd import Context, Function
from ..errors import ArgumentError, ShapeError
from ..kernels import batch_norm as batch_kernel
from ..kernels import local_response_norm as response_kernel
from ..tensor import Tensor
from .apply import apply, as_tensor


class BatchNorm(Function):
    """By given statistics: those of x itself (`training`), which move with it, or constants."""

    @staticmethod
    def forward(ctx: Context, x: Any, weight: Any, bias: Any, mean: Any, var: Any, eps: float, training: bool) -> Any:
        ctx.eps, ctx.training = eps, training
        # By constant statistics, the gradient of x does not look at x.
        ctx.save(x if training or ctx.needs[1] or ctx.needs[2] else None, weight, mean, var)
        return batch_kernel.forward(x, mean, var, weight, bias, eps)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        x, weight, mean, var = ctx.saved
        gx = gw = gb = None
        if x is not None:
            gw, gb = batch_kernel.grad_affine(grad, x, mean, var, ctx.eps)
        if ctx.needs[0] and ctx.training:
            gx = batch_kernel.grad_input_training(grad, x, mean, var, weight, gw, gb, ctx.eps)
        elif ctx.needs[0]:
            gx = batch_kernel.grad_input(grad, var, weight, ctx.eps)
        return gx, gw if ctx.needs[1] else None, gb if ctx.needs[2] else None, None, None


class LocalResponseNorm(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, **window: Any) -> Any:
        ctx.window = window
        ctx.save(x)
        return response_kernel.forward(x, **window)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved
        return response_kernel.grad_input(grad, x, **ctx.window)


def batch_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Any = None,
    running_var: Any = None,
    training: bool = False,
    eps: float = 1e-5,
) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel, as in torch.nn.functional.batch_norm.

    x: (N, C, H, W) or (N, C). weight, bias: (C,) or None. Returns y of the shape of x; in training (y, mean, var).

    In inference, mean and var are running_mean and running_var, (C,) each, taken as constants: no gradient goes to
    them. In training they are those of each channel of x itself, var the biased one (divided by M = N H W), and
    gradients flow through them into x; they are returned as arrays, for whoever keeps running ones: PyTorch's are
    (1 - momentum) running + momentum batch, of the unbiased variance var M / (M - 1). Nothing is updated here.

    Raises ShapeError where the shapes do not fit, and in training with fewer than 2 values a channel, which have no
    variance; ArgumentError for inference without running statistics, or an eps below 0.

    Source: Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift" (2015).
    """
    x = as_tensor(x)
    if training:
        mean, var = batch_kernel.statistics(x._array)
        if batch_kernel.values(x.shape) < 2:
            raise ShapeError(
                f"batch_norm: training needs more than one value per channel to have a variance; x of shape {x.shape} "
                "has one; pass at least two pictures (in training, by a batch_size that leaves no single one over), or "
                "freeze the layer, which then uses its running statistics"
            )
        y = apply(BatchNorm, x, weight, bias, mean, var, eps=eps, training=True)
        return y, mean, var
    if running_mean is None or running_var is None:
        missing = "running_mean" if running_mean is None else "running_var"
        raise ArgumentError(f"batch_norm: inference needs {missing}; pass it, or training=True to use the batch's own")
    mean, var = _constant("running_mean", running_mean, x), _constant("running_var", running_var, x)
    return apply(BatchNorm, x, weight, bias, mean, var, eps=eps, training=False)


def _constant(name: str, array: Any, x: Tensor) -> Tensor:
    """Running statistics as a Tensor that takes no gradient; a Buffer stays one, so that a change is noticed."""
    constant = as_tensor(array, x)
    if x.ndim > 1 and constant.shape != x.shape[1:2]:
        raise ShapeError(
            f"batch_norm: {name} must have shape {x.shape[1:2]}, one value a channel of x of shape {x.shape}; "
            f"got {constant.shape}"
        )
    return constant.detach() if constant.requires_grad else constant


def local_response_norm(x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x_c / (k + alpha / size * sum of x_j**2)**beta, over `size` channels j around c, as in PyTorch and Caffe.

    x: (N, C, H, W). Returns the same shape. The window is c - size // 2 ... c + (size - 1) // 2, cut at the first
    and the last channel. The paper does not divide alpha by size: its alpha = 1e-4, n = 5, k = 2 is
    local_response_norm(x, 5, 5e-4, 0.75, 2.0). Raises ShapeError for an x that is no batch of pictures, ArgumentError
    for a size below 1 or an alpha, beta or k below 0.

    Source: Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012),
    section 3.3.
    """
    return apply(LocalResponseNorm, x, size=size, alpha=alpha, beta=beta, k=k)
