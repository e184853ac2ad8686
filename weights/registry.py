"""Known weight files: those shipped inside the package, and those that people get from their makers and convert."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import WeightError

EMBEDDED = Path(__file__).parent / "embedded"


@dataclass(frozen=True)
class Known:
    """A weight file in the world. sha256: of the file at `source`, in full or, where the maker publishes only its
    start in the file's name, that start. source: an address for people; minitl itself fetches nothing from it."""

    name: str
    what: str
    license: str
    source: str
    sha256: str


KNOWN = (
    Known(
        "alexnet",
        "AlexNet, ImageNet-1k, torchvision's",
        "BSD-3-Clause",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be79",
    ),
    Known(
        "vgg16",
        "VGG-16, ImageNet-1k, torchvision's",
        "BSD-3-Clause",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af",
    ),
    Known(
        "squeezenet1_0_caffe",
        "SqueezeNet 1.0, ImageNet-1k, Caffe's, pruned and quantised",
        "BSD-2-Clause",
        "https://github.com/songhan/SqueezeNet-Deep-Compression",
        "e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261",
    ),
)


def embedded() -> dict[str, Path]:
    """Name -> path of the weight files that come with the package."""
    return {path.stem: path for path in sorted(EMBEDDED.glob("*.h5"))}


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The path of an embedded weight file by its name, or of an existing file.

    An embedded name goes first; write "./name" for a file of that name in the current folder. WeightError says what
    is known, and for a known file that is not here, where it comes from.
    """
    name = os.fspath(name_or_path)
    here = embedded()
    if name in here:
        return here[name]
    path = Path(name)
    try:
        if path.is_file():
            return path
    except OSError as error:  # a name too long, or a folder on the way that may not be entered
        raise WeightError(f"{name}: cannot be reached ({error.strerror}); check the path") from error
    if path.is_dir():
        raise WeightError(f"{name}: is a folder, not a weight file; give the path of an .h5 file")
    if path.exists():
        raise WeightError(f"{name}: is no regular file; give the path of an .h5 file")
    for known in KNOWN:
        if name == known.name:
            raise WeightError(
                f"{name}: {known.what} ({known.license}) does not come with minitl; get it from {known.source} "
                f"(its sha256 begins with {known.sha256}), save its arrays as HDF5 under their own names, run 'minitl "
                "convert' and give the path of the result"
            )
    shipped = ", ".join(here) or "none"
    elsewhere = ", ".join(known.name for known in KNOWN)
    raise WeightError(
        f"{name}: no such weight file; give a path that exists or one of those that come with minitl ({shipped}); "
        f"known elsewhere: {elsewhere} (ask for one by name to learn its source)"
    )
