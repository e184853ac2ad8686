"""Labelled pictures: from folders, tables or arrays; split, checked and ordered by key; decoded in the background.

What frozen layers make of them is computed once.
"""

from . import record
from .arrays import arrays
from .csv import csv
from .dataset import Dataset, Item
from .features import FrozenValues
from .folder import folder
from .folds import kfold
from .hdf5 import hdf5
from .loader import load
from .npz import npz
from .read import read
from .sampling import order

__all__ = [
    "Dataset",
    "FrozenValues",
    "Item",
    "arrays",
    "csv",
    "folder",
    "hdf5",
    "kfold",
    "load",
    "npz",
    "order",
    "read",
    "record",
]
