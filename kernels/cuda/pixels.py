"""What the kernels of include/channels_last.cuh ask of a call and of a launch."""

from __future__ import annotations

from .arrays import ceil_div

CHANNELS = 4  # a thread
RUN = 8  # rows that a thread of a Walk takes at most
MOST_GROUPS = 2**31 - 2**10  # of a row that is walked: they, and the threads behind the last one, are counted in an int


def refusal(channels: int) -> str | None:
    """Why such a kernel cannot take arrays of so many channels, or None."""
    return f"takes channels by fours; {channels} is no multiple" if channels % CHANNELS else None


def too_long(groups: int) -> str | None:
    """Why a Walk cannot take rows of so many groups, or None."""
    return f"rows of {groups} pieces are longer than it counts ({MOST_GROUPS})" if groups > MOST_GROUPS else None


def blocks(shape: tuple[int, ...], threads: int) -> int:
    """How many blocks of so many threads cover the pixels of an (N, C, H, W) array, a row of them each row."""
    n, c, h, w = shape
    return n * h * ceil_div(w * (c // CHANNELS), threads)


def walk(rows: int, groups: int, threads: int) -> tuple[int, int, int]:
    """Blocks, threads a block (so many at most), and how many of them share a row, for a Walk over rows of groups."""
    if not rows * groups:
        return 0, threads, 1
    tiles = ceil_div(groups, threads)
    across = ceil_div(groups, tiles)
    down = threads // across
    return tiles * ceil_div(rows, down * RUN), down * across, across
