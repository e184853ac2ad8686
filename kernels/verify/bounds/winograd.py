"""The error bounds of Winograd's convolutions.

Every output is reached from its inputs on paths of so many roundings, and every number on the way is at most what the
same transforms make of absolute values with absolute coefficients. So the error is at most gamma(roundings) times that,
elementwise (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., chapter 3; for these transforms
Barabasz, Anderson, Soodhalter & Gregg, "Error Analysis and Improving the Accuracy of Winograd Convolution", 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .core import both, dtype_of, gamma, underflow

# On one axis a transform adds at most 6 terms with rounded coefficients; there are three transforms, each on two axes.
OF_TRANSFORMS = 3 * 2 * 7
_AMOUNT = 600  # the largest factor that a product too small to be normal meets on its way


class _Size(NamedTuple):
    """What an output is made of, in absolute values, and by how much it changes with the least of its factors.

    numbers: |A^t| (U V) |A|, of transformed filters U and inputs V summed over channels. factors: the same of V + U,
    for what a transformed number loses below the smallest normal one is multiplied by its other factor.
    """

    numbers: Any
    factors: Any


def forward(arguments: Mapping[str, Any], truth: Any) -> Any:
    """Of y, elementwise."""
    g, b = arguments["geometry"], arguments["b"]
    size = _absolute(arguments["x"], arguments["w"], g.padding, g.padding_mode, g.output)
    if b is not None:
        size = size._replace(numbers=size.numbers + np.abs(b)[:, None, None])
    return _rounded(arguments, g.in_channels + 1, size)


def grad_input(arguments: Mapping[str, Any], truth: Any) -> Any:
    """Of the gradient with respect to x: the same, of turned filters."""
    g, last = arguments["geometry"], arguments["geometry"].kernel[0] - 1
    around = tuple((last - before, last - after) for before, after in g.padding)
    turned = arguments["w"][:, :, ::-1, ::-1].swapaxes(0, 1)
    return _rounded(arguments, g.out_channels, _absolute(arguments["grad"], turned, around, "zeros", g.size))


def grad_weight(arguments: Mapping[str, Any], truth: Any) -> Any:
    """Of the gradient with respect to w: the forward computation transposed, its sums over all tiles of all images.

    gw = G^t [ sum of (B^t x B) * (A grad A^t) ] G; in parts or not, a sum has as many additions as there are tiles.
    """
    g, taps = arguments["geometry"], arguments["geometry"].kernel[0]
    out, weigh, see = matrices(taps)
    side = len(out)
    seen = tiles(arguments["x"], g.padding, g.padding_mode, g.output, taps)
    down, across = seen.shape[2:4]
    grad = np.pad(
        np.abs(arguments["grad"], dtype=np.float64),
        ((0, 0), (0, 0), *((0, count * side - n) for count, n in zip((down, across), g.output, strict=True))),
    )
    grad = grad.reshape(*grad.shape[:2], down, side, across, side)
    count = g.batch * down * across
    v = np.einsum("ij,nctsjk,lk->ilntsc", see, seen, see, optimize=True).reshape(6, 6, count, -1)
    d = np.einsum("ji,notjsk,kl->ilonts", out, grad, out, optimize=True).reshape(6, 6, -1, count)
    either = d.sum(3, keepdims=True) + v.sum(2, keepdims=True)
    numbers, factors = (np.einsum("ji,jkoc,kl->ocil", weigh, m, weigh, optimize=True) for m in (d @ v, either))
    return _rounded(arguments, count, _Size(numbers, factors))


def _rounded(arguments: Mapping[str, Any], depth: int, size: _Size) -> Any:
    n = depth + OF_TRANSFORMS
    return both(dtype_of(arguments), lambda t: gamma(n, t) * size.numbers + underflow(n, t) * (size.factors + _AMOUNT))


def matrices(taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """|A^t|, |G| and |B^t|."""
    from ...conv2d.cpu import winograd

    side = winograd.SIDE + 1 - taps
    return tuple(np.abs(np.array(m, float)) for m in (winograd.OUTPUT[side], winograd.FILTER[side], winograd.INPUT))  # type: ignore[return-value]


def tiles(x: np.ndarray, around: Any, mode: str, output: tuple[int, int], taps: int) -> np.ndarray:
    """|x| (N, C, H, W) as the tiles (N, C, down, across, 6, 6) that cover `output` pixels."""
    side = 7 - taps
    counts = [-(-n // side) for n in output]
    pads = [
        (before, count * side + taps - 1 - before - n)
        for (before, _), count, n in zip(around, counts, x.shape[2:], strict=True)
    ]
    kind: Callable[..., Any] = {"zeros": "constant", "replicate": "edge"}[mode]  # type: ignore[assignment]
    cut = [slice(max(-low, 0), None) for low, _ in pads]
    padded = np.pad(
        np.abs(x, dtype=np.float64)[:, :, cut[0], cut[1]],
        ((0, 0), (0, 0), *((max(p, 0), max(q, 0)) for p, q in pads)),
        mode=kind,
    )
    seen = np.lib.stride_tricks.sliding_window_view(padded, (6, 6), (2, 3))
    return seen[:, :, ::side, ::side][:, :, : counts[0], : counts[1]]


def _absolute(x: np.ndarray, w: np.ndarray, around: Any, mode: str, output: tuple[int, int]) -> _Size:
    out, weigh, see = matrices(w.shape[2])
    seen = tiles(x, around, mode, output, w.shape[2])
    v = np.einsum("ij,nctsjk,lk->ncilts", see, seen, see)
    u = np.einsum("ij,ocjk,lk->ocil", weigh, np.abs(w, dtype=np.float64), weigh)
    either = v.sum(1)[:, None] + u.sum(1)[None, :, :, :, None, None]

    def answered(m: np.ndarray) -> np.ndarray:
        y = np.einsum("ij,nojkts,lk->notisl", out, m, out)
        n, o, down, i, across, j = y.shape
        return y.reshape(n, o, down * i, across * j)[:, :, : output[0], : output[1]]

    return _Size(answered(np.einsum("ncilts,ocil->noilts", v, u)), answered(either))
