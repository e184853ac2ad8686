"""minitl: a from-scratch CNN engine for transfer learning.

>>> import minitl as tl
>>> net = tl.load("vgg16.h5", classes=["ant", "bee"])

Names load when first used, so that `import minitl` stays quick.
"""

import importlib as _importlib
import sys as _sys
import types as _types

__version__ = "0.1.0"

_HOMES = {
    "Parameter": "functional",  # which gives Tensor its operators
    "Tensor": "functional",
    "from_dlpack": "functional",
    "tensor": "functional",
    "no_grad": "autograd",
    "Function": "autograd",
    "Network": "nn",
    "get_num_threads": "kernels.cpu.threads",
    "set_num_threads": "kernels.cpu.threads",
    "set_precision": "kernels.precision",
    "load": "transfer",
    "Trainer": "train",
    "write_report": "report",
}
_MODULES = (
    "autograd",
    "data",
    "errors",
    "functional",
    "images",
    "kernels",
    "models",
    "nn",
    "optim",
    "report",
    "testing",
    "train",
    "transfer",
    "weights",
)

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(_importlib.import_module(f".{_HOMES[name]}", __name__), name)
    elif name in _MODULES:
        value = _importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(_types.ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # Importing the submodule `tensor` must not hide the function `minitl.tensor`.
        if not (name == "tensor" and isinstance(value, _types.ModuleType)):
            super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Package
