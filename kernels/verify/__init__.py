"""How kernels are proven.

bounds/: derived error bounds. strategies.py, specials.py: what arguments are drawn from. agreement.py: a version
against its op's oracle, `verify.check`. properties/: all that must hold besides. suite.py: every property of every
version, the command `minitl verify`. own.py: a kernel from outside; fitting.py: the ops that it fits; machine_code.py:
what NVRTC makes of it. mutation/: whether all this notices a fault.
"""

import importlib as _importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "check":  # loaded when used: the register, which it reads, is being loaded when the bounds are
        return _importlib.import_module(".agreement", __name__).check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
