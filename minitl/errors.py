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
