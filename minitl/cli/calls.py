"""Calls of ops to be timed: shapes as they are asked for or usual ones, and random numbers of these shapes."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..kernels import KernelSpec

# Of an op and its gradients, where nothing else is asked for: a layer of VGG-16, AlexNet or SqueezeNet, 8 pictures.
USUAL: dict[str, dict[str, Any]] = {
    "conv2d": {"x_shape": (8, 128, 56, 56), "w_shape": (128, 128, 3, 3), "padding": 1, "y_shape": (8, 128, 56, 56)},
    "linear": {"x_shape": (8, 9216), "w_shape": (4096, 9216)},
    "max_pool2d": {"x_shape": (8, 64, 112, 112), "kernel_size": 2, "stride": 2},
    "avg_pool2d": {"x_shape": (8, 64, 112, 112), "kernel_size": 2, "stride": 2},
    "adaptive_avg_pool2d": {"x_shape": (8, 512, 13, 13), "output_size": (1, 1)},
    "pad": {"x_shape": (8, 64, 56, 56), "padding": 1},
    "local_response_norm": {"x_shape": (8, 96, 27, 27), "size": 5},
    "concat": {"x_shapes": ((8, 128, 54, 54), (8, 128, 54, 54))},
    "sgd_step": {"x_shape": (4096, 1000)},
    "adam_step": {"x_shape": (4096, 1000)},
    "rmsprop_step": {"x_shape": (4096, 1000)},
}
SCORES = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "hinge_loss", "binary_cross_entropy")
SIGNED = ("x", "w", "b", "grad", "logits", "scores", "parameter")  # all other numbers lie between 0 and 1


def usual(op: str) -> dict[str, Any]:
    """The shapes and attributes at which an op is timed unless others are asked for."""
    family = op.partition(".")[0]
    if family in USUAL:
        return USUAL[family]
    return {"x_shape": (256, 1000) if family.startswith(SCORES) else (8, 64, 112, 112)}


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """{"x_shape": (8, 3, 32, 32), "padding": 1} from ["x_shape=8,3,32,32", "padding=1"]; ArgumentError on others."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise ArgumentError(f"{word!r}: shapes and attributes look like x_shape=8,64,56,56 or padding=1")
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[key] = value
    return found


def call(spec: KernelSpec, asked: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """The arguments of a call, by name, float32; four axes are laid out channels-last, as networks keep them.

    asked: shapes and attributes; if there are any, the usual ones do not count. ShapeError or ArgumentError if they
    make no call of this op. What only another spec of its family knows (y_shape) is left out.
    """
    wanted = inspect.signature(spec.dummies).parameters
    given = dict(asked or usual(spec.name))
    if all(p.kind is not p.VAR_KEYWORD for p in wanted.values()):
        given = {name: value for name, value in given.items() if asked or name in wanted}
    elif not asked:
        given.pop("y_shape", None)
    try:
        arguments = dict(spec.example(np.dtype("float32"), **given))
    except TypeError as error:
        problem = re.sub(r"^\S+\(\) ", "", str(error))
        raise ArgumentError(f"{spec.name}: {problem}; it takes {', '.join(spec.keywords)}") from None
    spec.check(**arguments)
    rng = np.random.default_rng(seed)
    for name, value in arguments.items():
        if isinstance(value, np.ndarray):
            arguments[name] = _drawn(spec, name, value, given, rng)
        elif isinstance(value, (tuple, list)) and value and all(isinstance(v, np.ndarray) for v in value):
            arguments[name] = type(value)(_numbers(v.shape, rng, True) for v in value)
    if "packed" in arguments:
        arguments["packed"] = {}  # weights are brought into a version's own form once, as in a network
    return arguments


def _drawn(spec: KernelSpec, name: str, like: np.ndarray, given: Mapping[str, Any], rng: np.random.Generator) -> Any:
    if name == "indices":  # of the maxima: those of random pictures
        from ..kernels import spec as find

        pool = find(spec.name.partition(".")[0])
        x = _numbers(tuple(given["x_shape"]), rng, True)
        return pool(x, pool.example(np.dtype("float32"), **given)["geometry"])[1]
    if like.dtype.kind in "iu":
        shape = given.get("x_shape", (2,))
        return rng.integers(0, shape[1] if name == "labels" else 2**31, like.shape).astype(like.dtype)
    return _numbers(like.shape, rng, name in SIGNED)


def _numbers(shape: tuple[int, ...], rng: np.random.Generator, signed: bool) -> np.ndarray:
    if len(shape) == 4:
        n, c, h, w = shape
        return _numbers((n * h * w, c), rng, signed).reshape(n, h, w, c).transpose(0, 3, 1, 2)
    drawn = rng.random(shape, dtype=np.float32)
    return 2 * drawn - 1 if signed else np.float32(0.05) + np.float32(0.9) * drawn
