"""How far loss and gradients of a small network in float32 may be off, from the kernels' derived bounds.

The pass is done in float64, and beside each number stands E, the most by which a computation in float32 can differ
from it if every kernel keeps its bound. With y = f(x), a float32 kernel gives f(x + e), |e| <= E, but for its bound at
x + e: so E of y is that bound, taken at |x| + E since bounds grow with the magnitudes, and what f makes of E. That is
exact for sums of products; a maximum and ReLU enlarge no error. Backward it takes that ReLU and max pooling choose the
same numbers as in the exact pass, which whoever uses the walk has to check (`routes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minitl import kernels
from minitl.kernels import ConvGeometry, PoolGeometry

UP = 1 + 2.0**-20  # more than rounding to float32 can take away


@dataclass
class Value:
    """Exact numbers, and the most by which float32 may differ from each."""

    x: np.ndarray
    e: np.ndarray

    @property
    def most(self):
        """|x| + E, as float32 arguments of a bound."""
        return ((np.abs(self.x) + self.e) * UP).astype(np.float32)


def given(x):
    """Numbers that are the same in float32."""
    return Value(x.astype(np.float64), np.zeros(x.shape))


def product(op, a, b, bias=None, **options):
    """A bilinear kernel of two values, and a bias."""
    spec = kernels.spec(op)

    def run(x, y, z=None):
        return spec(*((x, y) if bias is None else (x, y, z)), *options.values())

    def plain(x, y):
        return spec(x, y, *(() if bias is None else (None,)), *options.values())

    exact = run(a.x, b.x, None if bias is None else bias.x)
    size = run(a.most, b.most, None if bias is None else bias.most).astype(np.float64)
    names = list(spec.signature.parameters)
    values = [a.most, b.most, *(() if bias is None else (bias.most,)), *options.values()]
    arguments = {**dict.fromkeys(names), **dict(zip(names, values, strict=False))}
    own = spec.bound(arguments, size)
    spread = plain(np.abs(a.x), b.e) + plain(a.e, np.abs(b.x)) + plain(a.e, b.e)
    if bias is not None:
        spread = spread + bias.e.reshape(-1, *[1] * (spread.ndim - 2))
    return Value(exact, own + spread)


def total(op, g):
    """A sum of gradients: that of a bias."""
    spec = kernels.spec(op)
    return Value(spec(g.x), spec.bound({"grad": g.most}, spec(g.most)) + spec(g.e))


class Convolution:
    def __init__(self, weight, bias):
        self.weight, self.bias = given(weight), given(bias)

    def forward(self, x):
        self.x, self.geometry = x, ConvGeometry.infer(x.x.shape, self.weight.x.shape, padding=1)
        return product("conv2d", x, self.weight, self.bias, geometry=self.geometry)

    def backward(self, g):
        grads = (
            product("conv2d.grad_weight", g, self.x, geometry=self.geometry),
            total("conv2d.grad_bias", g),
        )
        return product("conv2d.grad_input", g, self.weight, geometry=self.geometry), grads


class Dense:
    def __init__(self, weight, bias):
        self.weight, self.bias = given(weight), given(bias)

    def forward(self, x):
        self.x, self.shape = Value(x.x.reshape(len(x.x), -1), x.e.reshape(len(x.e), -1)), x.x.shape
        return product("linear", self.x, self.weight, self.bias)

    def backward(self, g):
        grads = product("linear.grad_weight", g, self.x), total("linear.grad_bias", g)
        back = product("linear.grad_input", g, self.weight)
        return Value(back.x.reshape(self.shape), back.e.reshape(self.shape)), grads


class ReLU:
    def forward(self, x):
        self.route = x.x > 0
        return Value(np.maximum(x.x, 0), x.e)

    def backward(self, g):
        return Value(g.x * self.route, g.e * self.route), ()


class MaxPool:
    def forward(self, x):
        self.geometry = PoolGeometry.infer(x.x.shape, kernel_size=2)
        y, self.route = kernels.max_pool2d.forward(x.x, self.geometry)
        return Value(y, kernels.max_pool2d.forward(x.e, self.geometry)[0])

    def backward(self, g):
        def scatter(a):
            return kernels.max_pool2d.grad_input(a, self.route, self.geometry)

        return Value(scatter(g.x), scatter(g.e)), ()  # windows do not overlap: nothing is added up


def cross_entropy(z, labels):
    """(loss, its E, the gradient by z) of the mean over the rows.

    log p moves by twice the largest move of its row, since logsumexp moves by no more than that; p = exp(log p) by
    p (exp(that) - 1). The bounds are taken at the exact logits, and doubled: how they change from there to the
    float32 ones is of second order.
    """
    forward, backward = kernels.cross_entropy.forward, kernels.cross_entropy.grad_input
    n, wide = len(labels), np.asarray(labels)
    loss, log_p = forward(z.x, wide)
    arguments = {
        "labels": wide,
        "class_weight": None,
        "label_smoothing": 0.0,
        "ignore_index": -100,
        "reduction": "mean",
    }
    of_loss, of_log_p = forward.bound({**arguments, "logits": z.x.astype(np.float32)}, (loss, log_p))
    moved = 2 * z.e.max(1, keepdims=True)
    grad = backward(np.ones(()), log_p, wide)
    own = backward.bound(
        {**arguments, "log_probabilities": log_p.astype(np.float32), "grad": np.ones((), np.float32)}, grad
    )
    of_grad = np.exp(log_p) * np.expm1(moved + 2 * of_log_p) / n + 2 * own
    return float(loss), float(2 * of_loss + moved.mean()), Value(grad, of_grad)


def evaluated(layers, x, labels):
    """(loss, its E, the gradients of all parameters in order, the routes): one pass forward and one back.

    routes: what ReLU and max pooling chose.
    """
    value = given(x)
    for layer in layers:
        value = layer.forward(value)
    loss, error, grad = cross_entropy(value, labels)
    found = []
    for layer in reversed(layers):
        grad, grads = layer.backward(grad)
        found = [*grads, *found]
    return loss, error, found, [layer.route for layer in layers if hasattr(layer, "route")]


def descended(p, grad, rate):
    """p - rate grad of float32 arrays. The bound of sgd_step has room for the roundings of any way to compute it."""
    arguments = {"parameter": p, "grad": grad, "velocity": None, "rate": rate, "momentum": 0.0}
    arguments |= {"weight_decay": 0.0, "nesterov": False}
    exact = p.astype(np.float64) - rate * grad.astype(np.float64)
    return Value(exact, kernels.sgd_step.forward.bound(arguments, (exact,))[0])
