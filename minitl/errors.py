"""The one family of errors. Every message names the thing, what was found, and the remedy."""

from __future__ import annotations


class MinitlError(Exception):
    """Base of every error that minitl raises on purpose."""


class ShapeError(MinitlError, ValueError):
    """Shapes, dtypes or geometry that do not fit together."""


class WeightError(MinitlError, ValueError):
    """A weight file that cannot be trusted, read, or matched to a network."""


class BackendUnavailable(MinitlError, RuntimeError):
    """A kernel version or device that cannot serve here; says why."""


class DataError(MinitlError, ValueError):
    """Pictures, folders or tables that cannot be used as data."""


class GraphError(MinitlError, ValueError):
    """A network graph, node name or pattern that makes no sense."""


class AutogradError(MinitlError, RuntimeError):
    """A backward pass that cannot be carried out."""


class ArgumentError(MinitlError, ValueError):
    """An argument outside its domain, such as a negative learning rate."""


class KernelFault(MinitlError, RuntimeError):
    """A kernel that does what none may, as the emulator finds: a race, an access out of bounds, a divergent barrier.

    kind: in a word or two. kernel: its name. The message tells the place in the source, the thread and the array.
    """

    def __init__(self, kernel: str, kind: str, message: str) -> None:
        super().__init__(f"{kernel}: {kind}: {message}")
        self.kernel, self.kind = kernel, kind


class CompileError(MinitlError, ValueError):
    """A kernel's source that a compiler refuses; holds the compiler's lines about it."""


class DeviceMemoryError(MinitlError, MemoryError):
    """Memory that a GPU does not have; says how much was asked for, how much is free, and what to lower."""


class HostMemoryError(MinitlError, MemoryError):
    """Memory that this machine, or this container, does not have; says how much was asked for and what to lower."""
