"""Where a benchmark's arrays live: on the GPU as CuPy's, or, to try the benchmark itself, on the CPU as NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np


class Host:
    """NumPy's arrays."""

    def __init__(self) -> None:
        self.xp: Any = np

    def normal(self, shape: tuple[int, ...], seed: int) -> Any:
        """Float32 numbers of a normal distribution. Never zeros: a GPU computes with them faster than with others."""
        return self.xp.random.default_rng(seed).standard_normal(shape, dtype="float32")

    def integers(self, below: int, shape: tuple[int, ...], dtype: Any, seed: int) -> Any:
        """Whole numbers from 0."""
        return self.xp.asarray(np.random.default_rng(seed).integers(0, below, shape).astype(dtype))

    def difference(self, got: Any, truth: Any) -> float:
        """The largest |got - truth| as a share of the largest |truth|; of a result of several arrays, the first's."""
        a, b = (self._array(value) for value in (got, truth))
        return float(self.xp.abs(a - b).max() / self.xp.abs(b).max())

    def _array(self, value: Any) -> Any:
        if isinstance(value, tuple):
            value = value[0]
        if type(value).__module__.partition(".")[0] == "torch":
            value = value.detach().float()
        return self.xp.asarray(self.xp.from_dlpack(value) if hasattr(value, "__dlpack__") else value)

    def release(self) -> None:
        """Gives back what the case before held."""


class GPU(Host):
    """CuPy's arrays."""

    def __init__(self) -> None:
        import cupy

        self.xp = cupy

    def release(self) -> None:
        """Gives back what the case before held: to PyTorch what CuPy kept, and the other way round."""
        import gc

        gc.collect()
        self.xp.get_default_memory_pool().free_all_blocks()
        try:
            import torch
        except ImportError:
            return
        torch.cuda.empty_cache()
