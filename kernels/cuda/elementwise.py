"""Launches kernels made by include/elementwise.cuh. Results lie in memory as the first array given does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arrays import ceil_div, contiguous, empty, zeros
from .source import Source
from .structs import shape4, strides4

BLOCK = 128
AXES = 4  # of a Shape4


def memory_order(array: Any) -> list[int]:
    """The axes of an array from the outermost in memory to the innermost."""
    return sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))


def transposed_back(array: Any, order: Sequence[int]) -> Any:
    """What `array.transpose(order)` was made of."""
    return array.transpose(sorted(range(len(order)), key=order.__getitem__))


def empty_like(array: Any) -> Any:
    """An array for a kernel to write, without gaps, its axes in memory in the order of `array`'s."""
    order = memory_order(array)
    return transposed_back(empty(tuple(array.shape[axis] for axis in order), array.dtype, like=array), order)


def steps(array: Any, shape: tuple[int, ...]) -> list[int]:
    """From one element to the next along each axis of `shape`, in elements; 0 along those that `array` repeats."""
    if array is None:
        return [0] * len(shape)
    missing = len(shape) - array.ndim
    own = [0 if size == 1 else step // array.itemsize for size, step in zip(array.shape, array.strides, strict=True)]
    return [0] * missing + own


def merged(
    shape: tuple[int, ...], order: Sequence[int], each: Sequence[list[int]]
) -> tuple[list[int], list[list[int]]]:
    """Sizes, and the steps of each array, of the axes in `order`; two that lie evenly in every array become one."""
    sizes: list[int] = []
    kept: list[list[int]] = [[] for _ in each]
    for axis in order:
        size = shape[axis]
        if size == 1:
            continue
        if sizes and all(mine[-1] == step[axis] * size for mine, step in zip(kept, each, strict=True)):
            sizes[-1] *= size
            for mine, step in zip(kept, each, strict=True):
                mine[-1] = step[axis]
        else:
            sizes.append(size)
            for mine, step in zip(kept, each, strict=True):
                mine.append(step[axis])
    return sizes, kept


def places(arrays: Sequence[Any], order: Sequence[int] | None = None) -> tuple[list[Any], list[Any]]:
    """(the arrays, [Shape4, a Strides4 for each]) for a kernel to walk arrays that broadcast to the shape of the last.

    None stands for an array that is not there. order: of the axes, from outermost to innermost; by default the last
    array's in memory. Arrays that do not fit into four axes are copied, all but the last.
    """
    shape = arrays[-1].shape
    order = memory_order(arrays[-1]) if order is None else order
    sizes, each = merged(shape, order, [steps(array, shape) for array in arrays])
    if len(sizes) > AXES:
        arrays = [*(copied(array, arrays[-1], order) for array in arrays[:-1]), arrays[-1]]
        sizes, each = merged(shape, order, [steps(array, shape) for array in arrays])
    return list(arrays), [shape4(sizes), *map(strides4, each)]


def copied(array: Any, like: Any, order: Sequence[int]) -> Any:
    """A copy of `array`, broadcast to the shape of `like`, whose axes lie in memory in `order`, without gaps."""
    if array is None:
        return None
    full = zeros(tuple(like.shape[axis] for axis in order), array.dtype, like=like)
    full += transposed_to(array, like.ndim, order)
    return transposed_back(full, order)


def transposed_to(array: Any, ndim: int, order: Sequence[int]) -> Any:
    """`array` with axes of length 1 put before its own up to `ndim`, transposed to `order`."""
    return array.reshape((1,) * (ndim - array.ndim) + array.shape).transpose(order)


def one_by_one(source: Source, kernel: str, *inputs: Any, numbers: Sequence[Any] = ()) -> Any:
    """A kernel (inputs…, y, shape, strides of each…, numbers…): one thread an element, any strides."""
    arrays, layout = places([*inputs, empty_like(inputs[0])])
    y = arrays[-1]
    source.launch(kernel, ceil_div(y.size, BLOCK), BLOCK, *arrays, *layout, *numbers, real=y.dtype)
    return y


def by_fours(source: Source, kernel: str, *inputs: Any, numbers: Sequence[Any] = ()) -> Any:
    """A kernel (inputs…, y, count, numbers…): one thread four elements; what has gaps is copied first."""
    order = memory_order(inputs[0])
    flat = [contiguous(array.transpose(order)) for array in inputs]
    y = empty(flat[0].shape, flat[0].dtype, like=flat[0])
    source.launch(kernel, ceil_div(y.size, 4 * BLOCK), BLOCK, *flat, y, y.size, *numbers, real=y.dtype)
    return transposed_back(y, order)


def updated(
    source: Source, kernel: str, parameter: Any, grad: Any, state: Sequence[Any], numbers: Sequence[Any], places: int
) -> tuple[Any, ...]:
    """A kernel (parameter, grad, state…, new parameter, new state…, count, numbers…), a thread so many places.

    The new arrays come back, those of a state that is None left out. They lie in memory as the parameter does.
    """
    order = memory_order(parameter)
    given = [None if array is None else contiguous(array.transpose(order)) for array in (parameter, grad, *state)]
    new = [None if array is None else empty(array.shape, array.dtype, like=array) for array in (given[0], *given[2:])]
    blocks = ceil_div(parameter.size, places * BLOCK)
    source.launch(kernel, blocks, BLOCK, *given, *new, parameter.size, *numbers, real=parameter.dtype)
    return tuple(transposed_back(array, order) for array in new if array is not None)
