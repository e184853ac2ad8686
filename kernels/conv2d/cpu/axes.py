"""The windows that a convolution sees along one axis. Plain Python."""

from __future__ import annotations

from typing import NamedTuple

from ...geometry import ConvGeometry, PoolGeometry


class Axis(NamedTuple):
    """count windows of `taps` pixels each, along one axis."""

    count: int
    stride: int
    start: int
    taps: int
    step: int

    @property
    def span(self) -> int:
        """Pixels from the first that a window sees to the last, both included."""
        return (self.taps - 1) * self.step + 1

    def fits(self, size: int) -> bool:
        """Whether all windows lie inside."""
        return self.start >= 0 and self.start + (self.count - 1) * self.stride + self.span <= size


NO_POOL = (Axis(0, 1, 0, 1, 1), Axis(0, 1, 0, 1, 1))


def pool_axes(pool: PoolGeometry | None) -> tuple[Axis, Axis]:
    """The windows of a max-pooling, vertically and horizontally; of none, NO_POOL."""
    if pool is None:
        return NO_POOL
    vertical, horizontal = (
        Axis(pool.output[a], pool.stride[a], -pool.padding[a][0], pool.kernel[a], pool.dilation[a]) for a in (0, 1)
    )
    return vertical, horizontal


def forward_axes(g: ConvGeometry) -> tuple[Axis, Axis]:
    """The windows that the forward pass sees, vertically and horizontally."""
    vertical, horizontal = (
        Axis(g.output[a], g.stride[a], -g.padding[a][0], g.kernel[a], g.dilation[a]) for a in (0, 1)
    )
    return vertical, horizontal
