"""CUDA C++ kernels: one source for a GPU and for the emulator. include/ holds the headers that they share.

>>> FORWARD = source(__file__, "forward.cu")                       # nothing is compiled yet
>>> y = empty(geometry.y_shape, x.dtype, like=x)
>>> FORWARD.launch("conv2d_naive", grid, block, x, w, b, y, conv_struct(geometry), real=x.dtype)

CuPy arrays run on the GPU, NumPy arrays on the emulator; a launcher is written once.
"""

from .arrays import ceil_div, channels_last, contiguous, empty, zeros
from .source import Source, source
from .structs import border_struct, conv_struct, pool_struct, strides

__all__ = [
    "Source",
    "border_struct",
    "ceil_div",
    "channels_last",
    "contiguous",
    "conv_struct",
    "empty",
    "pool_struct",
    "source",
    "strides",
    "zeros",
]
