"""How exactly products of matrices are computed on a GPU. float32 means float32 unless the user permits less.

Tensor cores multiply TF32 (11 bits of precision) or bfloat16 (8) and add up in float32. Three TF32 products of the
operands' upper and lower parts give float32's accuracy ("tf32x3": Ootomo & Yokota, "Recovering single precision
accuracy from Tensor Cores while surpassing the FP32 theoretical peak performance", 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from ..errors import ArgumentError

# What a version may compute in under each setting of the user's.
PERMITTED = {
    "float32": ("float32", "tf32x3"),
    "tf32": ("float32", "tf32x3", "tf32"),
    "bfloat16": ("float32", "tf32x3", "tf32", "bfloat16"),
}
_current = "float32"


def set_precision(name: str) -> None:
    """Permits matrix products in "tf32" or "bfloat16" from now on, in all threads; "float32" forbids them again."""
    global _current
    if name not in PERMITTED:
        raise ArgumentError(f"precision must be one of {', '.join(PERMITTED)}; got {name!r}")
    _current = name


def current() -> str:
    """What is permitted now."""
    return _current


@contextmanager
def permitted(name: str) -> Iterator[None]:
    """`set_precision` for the length of a `with` block."""
    before = _current
    set_precision(name)
    try:
        yield
    finally:
        set_precision(before)


def as_needed(wanted: str) -> AbstractContextManager[None]:
    """A `with` block in which a version that computes in `wanted` may serve: for tests and timings."""
    return permitted(wanted if wanted in PERMITTED else "float32")


def refusal(wanted: str) -> str | None:
    """Why a version that computes in `wanted` may not serve now, or None."""
    if wanted in PERMITTED[_current]:
        return None
    return f"computes in {wanted}; permit it by set_precision({wanted!r})"
