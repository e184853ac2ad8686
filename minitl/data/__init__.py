"""Labelled pictures: from folders or arrays, split by key, decoded in the background; frozen layers computed once."""

from .arrays import arrays
from .dataset import Dataset, Item
from .features import FrozenValues
from .folder import folder
from .loader import load

__all__ = ["Dataset", "FrozenValues", "Item", "arrays", "folder", "load"]
