"""Launchers of local_response_norm.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import ceil_div, channels_last, empty, source, strides

SOURCE = source(__file__, "local_response_norm.cu")
BLOCK = 128
SPAN = 256  # numbers a block of the shared-memory kernels
SHARED_BYTES = 48 << 10  # that every GPU gives a block


def _reach(channels, size):
    """How many channels before and after a channel its window can hold."""
    most = max(channels - 1, 0)
    return min(size // 2, most), min((size - 1) // 2, most)


def _forward_bytes(x, size):
    return x.dtype.itemsize * (SPAN + sum(_reach(x.shape[1], size)))


def _grad_input_bytes(x, size):
    return x.dtype.itemsize * (3 * SPAN + 4 * sum(_reach(x.shape[1], size)))


def _refusal(needed):
    if needed > SHARED_BYTES:
        return f"the window needs {needed} bytes of shared memory; a block has {SHARED_BYTES}"
    return None


def serves(x, size, **_):
    return _refusal(_forward_bytes(x, size))


def grad_input_serves(x, size, **_):
    return _refusal(_grad_input_bytes(x, size))


def forward_naive(x, size, alpha, beta, k):
    y = empty(x.shape, x.dtype, like=x)
    SOURCE.launch(
        "local_response_norm_naive", ceil_div(y.size, BLOCK), BLOCK,
        x, y, *x.shape, strides(x), *_reach(x.shape[1], size), alpha / size, k, beta, real=x.dtype,
    )  # fmt: skip
    return y


def forward_shared(x, size, alpha, beta, k):
    y = empty(x.shape, x.dtype, like=x, channels_last=True)
    SOURCE.launch(
        "local_response_norm_shared", ceil_div(y.size, SPAN), BLOCK,
        channels_last(x), y, y.size, x.shape[1], *_reach(x.shape[1], size), alpha / size, k, beta,
        real=x.dtype, shared=_forward_bytes(x, size),
    )  # fmt: skip
    return y


def grad_input_naive(grad, x, size, alpha, beta, k):
    gx = empty(x.shape, x.dtype, like=x)
    SOURCE.launch(
        "local_response_norm_grad_input_naive", ceil_div(gx.size, BLOCK), BLOCK,
        grad, x, gx, *x.shape, strides(grad), strides(x), *_reach(x.shape[1], size),
        alpha / size, k, beta, 2 * alpha * beta / size, real=x.dtype,
    )  # fmt: skip
    return gx


def grad_input_shared(grad, x, size, alpha, beta, k):
    gx = empty(x.shape, x.dtype, like=x, channels_last=True)
    SOURCE.launch(
        "local_response_norm_grad_input_shared", ceil_div(gx.size, SPAN), BLOCK,
        channels_last(grad), channels_last(x), gx, gx.size, x.shape[1], *_reach(x.shape[1], size),
        alpha / size, k, beta, 2 * alpha * beta / size, real=x.dtype, shared=_grad_input_bytes(x, size),
    )  # fmt: skip
    return gx
