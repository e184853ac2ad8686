"""Reverse-mode differentiation: functions, the graph they leave behind, and the walk back through it.

Knows no op and no Tensor: whatever is differentiated offers `requires_grad`, a `node` (the Node that made
it, or None for a leaf), `version` (raised when its numbers change, None if they cannot) and `accumulate(grad)`.

Source: Griewank & Walther, "Evaluating Derivatives" (2nd ed., 2008), chapter 3. The graph is walked from
the newest node to the oldest; a node is reached only after everything that used its output.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import AutogradError, ShapeError

_recording: contextvars.ContextVar[bool] = contextvars.ContextVar("recording", default=True)
_clock = itertools.count()  # nodes are numbered as they are made: a topological order for free


@contextmanager
def no_grad() -> Iterator[None]:
    """Inside this block (in this thread) nothing is recorded, so no activation is kept."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


def is_grad_enabled() -> bool:
    """Whether operations are recorded at present, in this thread."""
    return _recording.get()


class Context:
    """What a Function's forward pass leaves for its backward pass.

    needs[i]: whether the gradient with respect to input i is wanted; forward should save no more than
    that takes, and backward return None elsewhere.
    """

    def __init__(self, needs: tuple[bool, ...]) -> None:
        self.needs = needs
        self.saved: tuple[Any, ...] | None = ()

    def save(self, *values: Any) -> None:
        """Keeps arrays for backward; keeps nothing if no gradient is wanted."""
        if any(self.needs):
            self.saved = values


class Function:
    """A differentiable operation: two static methods on arrays.

    class Exp(Function):
        @staticmethod
        def forward(ctx, x):            # arrays in, array out; attributes come as keywords
            y = np.exp(x)
            ctx.save(y)
            return y

        @staticmethod
        def backward(ctx, grad):        # one gradient an input, None where ctx.needs[i] is False
            (y,) = ctx.saved
            return grad * y

    Called through `functional.apply(Exp, x)`, which wraps arrays in Tensors.
    """

    @staticmethod
    def forward(ctx: Context, *arrays: Any, **attributes: Any) -> Any:
        raise TypeError("a Function defines forward(ctx, *arrays, **attributes)")

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        raise TypeError("a Function defines backward(ctx, grad)")


class Node:
    """One recorded call: the function, its context, and where each gradient goes (a Node, a leaf, or None)."""

    __slots__ = ("context", "function", "number", "parents", "shape", "versions")

    def __init__(self, function: type[Function], context: Context, inputs: tuple[Any, ...], shape: tuple[int, ...]):
        self.function = function
        self.context = context
        self.number = next(_clock)
        self.shape = shape
        # Holding an input's node rather than the input lets its numbers go as soon as nothing saved them.
        self.parents = tuple((x.node or x) if need else None for x, need in zip(inputs, context.needs, strict=True))
        self.versions = tuple((x, x.version) for x in inputs if x is not None and x.version is not None)

    def gradients(self, grad: Any) -> tuple[Any, ...]:
        """Runs backward and checks that it answers one gradient, or None, an input."""
        name = self.function.__name__
        if self.context.saved is None:
            raise AutogradError(
                f"{name}: backward ran through here before and freed what it needs; "
                "call backward(retain_graph=True) the first time, or run the forward pass again"
            )
        for leaf, version in self.versions:
            if leaf.version != version:
                raise AutogradError(
                    f"{name}: {leaf!r} was assigned to between the forward and the backward pass, so its gradient "
                    "would be wrong; run the forward pass again"
                )
        grads = self.function.backward(self.context, grad)
        grads = grads if isinstance(grads, tuple) else (grads,)
        if len(grads) != len(self.parents):
            raise AutogradError(f"{name}.backward returned {len(grads)} gradients for {len(self.parents)} inputs")
        return grads


def call(function: type[Function], inputs: tuple[Any, ...], arrays: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """Runs forward; returns (array, Node), or (array, None) when nothing that needs a gradient went in."""
    recording = is_grad_enabled()
    context = Context(tuple(recording and x is not None and x.requires_grad for x in inputs))
    array = function.forward(context, *arrays, **attributes)
    if not any(context.needs):
        return array, None
    return array, Node(function, context, inputs, array.shape)


def backward(root: Any, grad: Any, retain_graph: bool = False) -> None:
    """Adds d root / d leaf, weighted by `grad`, to every leaf that requires it; frees the graph on the way."""
    if not root.requires_grad:
        raise AutogradError("backward: nothing that led here requires a gradient; set requires_grad=True on an input")
    if root.node is None:
        root.accumulate(grad)
        return
    pending = {root.node: grad}
    queue = [(-root.node.number, root.node)]
    while queue:
        _, node = heapq.heappop(queue)
        grads = node.gradients(pending.pop(node))
        if not retain_graph:
            node.context.saved = None
        for parent, g in zip(node.parents, grads, strict=True):
            if parent is None:
                continue
            if g is None or g.shape != parent.shape:
                raise ShapeError(
                    f"{node.function.__name__}.backward must return a gradient of shape {parent.shape}; "
                    f"got {None if g is None else g.shape}"
                )
            if not isinstance(parent, Node):
                parent.accumulate(g)
            elif parent in pending:
                pending[parent] = pending[parent] + g  # never in place: a Function may hand out one array twice
            else:
                pending[parent] = g
                heapq.heappush(queue, (-parent.number, parent))
