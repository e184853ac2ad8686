"""How kernels are proven: derived error bounds, the strategies that draw their arguments, and the check itself."""

import importlib as _importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "check":  # loaded when used: the register, which it reads, is being loaded when the bounds are
        return _importlib.import_module(".agreement", __name__).check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
