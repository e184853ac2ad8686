"""Foreign weight files become canonical layers. One file a foreign format; each recognises its own by content.

A converter knows layouts, names and preprocessing. It builds no network: what joins `Foreign` and a graph into a
weight file stands above.
"""

from __future__ import annotations

import os

from ...errors import WeightError
from .. import hdf5
from . import squeezenet_deepcompressed, torchvision
from .foreign import Foreign, read_class_names, with_class_names

__all__ = ["FORMATS", "Foreign", "read", "read_class_names", "with_class_names"]

# in the order in which they are tried; each has NAME, recognises(shapes) and convert(guard, arrays)
FORMATS = (torchvision, squeezenet_deepcompressed)


def read(path: str | os.PathLike[str], classes: list[str] | None = None) -> Foreign:
    """The layers of a foreign weight file under canonical names, with what is known about their use.

    `classes` names the outputs of the classifier, in order (see `read_class_names`). Raises WeightError if the file
    cannot be trusted or is of no known format (then saying what it holds), or if the names do not fit the classifier.
    """
    with hdf5.opened(path) as guard:
        if guard.text(guard.file, "format", variable=True) == "minitl":
            raise WeightError(f"{guard.path}: this is a weight file of minitl already; use it as it is")
        datasets = dict(hdf5.walk(guard))
        shapes = {name: dataset.shape for name, dataset in datasets.items()}
        for candidate in FORMATS:
            if candidate.recognises(shapes):
                arrays = {name: guard.array(dataset) for name, dataset in datasets.items() if candidate.wanted(name)}
                foreign = candidate.convert(guard, arrays, sorted(set(datasets) - set(arrays)))
                return foreign if classes is None else with_class_names(foreign, classes, str(guard.path))
    found = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:4]) or "no arrays"
    more = f" and {len(shapes) - 4} more" if len(shapes) > 4 else ""
    known = "; ".join(candidate.NAME for candidate in FORMATS)
    raise WeightError(f"{path}: no known weight layout: it holds {found}{more}; known are: {known}")
