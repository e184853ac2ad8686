"""What this GPU can do at most, measured: a large copy and large products of matrices, through the vendor's library."""

from __future__ import annotations

from collections.abc import Callable

from .timing import Budget, Clock, interleaved, medians

COPIED = 2**31  # bytes
SIDE = 8192


def measure(clock: Clock, budget: Budget) -> dict[str, float]:
    """Under "copy" bytes read and written a second, under "float32", "tf32" and "bfloat16" operations a second.

    The last two only where PyTorch is installed.
    """
    import cupy

    source = cupy.random.default_rng(0).random(COPIED // 4, dtype="float32")
    target = cupy.empty_like(source)
    seconds, _ = interleaved({"copy": lambda i: cupy.copyto(target, source)}, 1, 7, clock, budget)
    found = {"copy": 2 * COPIED / medians(seconds)["copy"]}
    a, b = (cupy.random.default_rng(i).standard_normal((SIDE, SIDE), dtype="float32") for i in (1, 2))
    products: dict[str, Callable[[int], object]] = {"float32": lambda i: a @ b}
    products |= _with_torch(a, b)
    seconds, _ = interleaved(products, 1, 5, clock, budget)
    return found | {name: 2 * SIDE**3 / t for name, t in medians(seconds).items()}


def _with_torch(a: object, b: object) -> dict[str, Callable[[int], object]]:
    try:
        import torch
    except ImportError:
        return {}
    from .torch_peers import precision

    x, y = torch.from_dlpack(a), torch.from_dlpack(b)
    low_x, low_y = x.bfloat16(), y.bfloat16()

    def tf32(i: int) -> object:
        with precision("tf32"):
            return x @ y

    return {"tf32": tf32, "bfloat16": lambda i: low_x @ low_y}
