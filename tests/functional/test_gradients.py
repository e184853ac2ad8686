"""Every differentiable operation against central differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import functional as F
from minitl import kernels
from minitl.testing import gradcheck


def normal(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).standard_normal(shape)


def positive(*shape):
    return np.random.default_rng(shape).uniform(0.5, 2, shape)


KEYS = [3, 2**64 - 1]
OPERATIONS = {
    "add": (lambda a, b: a + b, normal(3, 4), normal(4)),
    "add_scalar": (lambda a: 2 + a + 1, normal(3)),
    "subtract": (lambda a, b: a - b, normal(2, 1, 4), normal(3, 1)),
    "subtract_from_scalar": (lambda a: 1 - a, normal(3)),
    "multiply": (lambda a, b: a * b, normal(3, 1), normal(1, 4)),
    "multiply_with_itself": (lambda a: a * a, normal(5)),
    "divide": (lambda a, b: a / b, normal(3, 4), positive(3, 1)),
    "divide_scalar": (lambda a: 2 / a, positive(4)),
    "power": (lambda a, b: a**b, positive(3, 4), normal(4)),
    "power_scalar": (lambda a: a**3, normal(4)),
    "power_of_scalar": (lambda a: 2**a, normal(4)),
    "negate": (lambda a: -a, normal(3)),
    "exp": (F.exp, normal(3, 4)),
    "log": (F.log, positive(3, 4)),
    "matmul": (lambda a, b: a @ b, normal(3, 4), normal(4, 2)),
    "matmul_batched": (lambda a, b: a @ b, normal(2, 1, 3, 4), normal(3, 4, 2)),
    "matmul_vectors": (lambda a, b: a @ b, normal(4), normal(4, seed=1)),
    "matmul_vector_matrix": (lambda a, b: a @ b, normal(4), normal(2, 4, 3)),
    "matmul_matrix_vector": (lambda a, b: a @ b, normal(2, 3, 4), normal(4)),
    "sum": (lambda a: a.sum(), normal(3, 4)),
    "sum_axes": (lambda a: a.sum((0, -1)) ** 2, normal(2, 3, 4)),
    "mean": (lambda a: a.mean(1, keepdims=True) * a, normal(3, 4)),
    "max": (lambda a: a.max(), normal(3, 4)),
    "max_axes": (lambda a: a.max((0, 2)), normal(2, 3, 4)),
    "max_keepdims": (lambda a: a.max(1, keepdims=True) * a, normal(2, 3, 4)),
    "reshape": (lambda a: a.reshape(2, -1) ** 2, normal(3, 4)),
    "transpose": (lambda a, b: a.transpose(2, 0, 1) * b, normal(2, 3, 4), normal(4, 2, 3)),
    "T": (lambda a: a.T @ a, normal(3, 2)),
    "index": (lambda a: a[1:, ..., ::-2, None], normal(3, 2, 5)),
    "index_negative": (lambda a: a[-1] ** 2, normal(3, 2)),
    "index_array_with_repeats": (lambda a: a[[0, 2, 0, 0]] ** 2, normal(3, 2)),
    "index_arrays": (lambda a: a[np.array([0, 1, 0]), np.array([1, 1, 1])], normal(2, 2)),
    "index_mask": (lambda a: a[np.array([True, False, True])], normal(3, 2)),
    "concat": (lambda a, b: F.concat([a, b]) ** 2, normal(2, 3, 2), normal(2, 1, 2)),
    "flatten": (lambda a: F.flatten(a) ** 2, normal(2, 3, 2)),
    "relu": (F.relu, normal(3, 4)),
    "leaky_relu": (lambda a: F.leaky_relu(a, 0.2), normal(3, 4)),
    "sigmoid": (F.sigmoid, normal(3, 4)),
    "tanh": (F.tanh, normal(3, 4)),
    "gelu": (F.gelu, normal(3, 4)),
    "gelu_tanh": (lambda a: F.gelu(a, "tanh"), normal(3, 4)),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, w, b, training=True)[0], normal(3, 2, 3, 2), normal(2), normal(2)),
    "batch_norm_rows": (lambda x: F.batch_norm(x, training=True, eps=0.1)[0], normal(5, 3)),
    "batch_norm_inference": (
        lambda x, w, b: F.batch_norm(x, w, b, normal(2, seed=1), positive(2)),
        normal(2, 2, 3, 2),
        normal(2),
        normal(2),
    ),
    "local_response_norm": (lambda a: F.local_response_norm(a, 3, 2.0), normal(2, 5, 2, 2)),
    "local_response_norm_even": (lambda a: F.local_response_norm(a, 4, 1.5, 0.4, 0.5), normal(1, 6, 2, 2)),
    "softmax": (F.softmax, normal(3, 4)),
    "softmax_axis": (lambda a: F.softmax(a, axis=1), normal(2, 3, 2)),
    "log_softmax": (lambda a: F.log_softmax(a, axis=0), normal(3, 4)),
    "logsumexp": (lambda a: F.logsumexp(a, axis=1, keepdims=True) * a, normal(2, 3, 2)),
    "logsumexp_axes": (lambda a: F.logsumexp(a, axis=(0, -1)), normal(2, 3, 2)),
    "cross_entropy": (lambda a: F.cross_entropy(a, [0, 3, 3]), normal(3, 4)),
    "cross_entropy_weighted": (
        lambda a: F.cross_entropy(a, [0, 3, 1], class_weight=[1, 2, 0, 0.5], label_smoothing=0.2),
        normal(3, 4),
    ),
    "cross_entropy_ignoring": (
        lambda a: F.cross_entropy(a, [[0, 3], [-1, 1]], label_smoothing=0.2, ignore_index=-1),
        normal(2, 4, 2),
    ),
    "cross_entropy_probabilities": (
        lambda a: F.cross_entropy(a, np.full((3, 4), 0.25), class_weight=[1, 2, 0, 0.5], reduction="none"),
        normal(3, 4),
    ),
    "hinge_loss": (lambda a: F.hinge_loss(a, [0, 3, 1], class_weight=[1, 2, 3, 0.5]), normal(3, 4)),
    "hinge_loss_squared": (lambda a: F.hinge_loss(a, [0, 3, 1], 0.4, 2, reduction="none"), normal(3, 4)),
    "binary_cross_entropy": (
        lambda a: F.binary_cross_entropy(a, np.linspace(0, 1, 12).reshape(3, 4), positive(4)),
        positive(3, 4) / 2.5,
    ),
    "binary_cross_entropy_with_logits": (
        lambda a: F.binary_cross_entropy_with_logits(
            a, np.linspace(0, 1, 12).reshape(3, 4), positive(3, 1), positive(4), "sum"
        ),
        normal(3, 4),
    ),
    "dropout": (lambda a: F.dropout(a, 0.4, KEYS, stream=7), normal(2, 3, 5)),
    "linear": (F.linear, normal(3, 4), normal(2, 4), normal(2)),
    "linear_without_bias": (F.linear, normal(3, 4), normal(2, 4)),
    "max_pool2d": (lambda a: F.max_pool2d(a, 2), normal(2, 3, 4, 6)),
    "max_pool2d_overlapping": (
        lambda a: F.max_pool2d(a, 3, 2, padding=1, ceil_mode=True),
        normal(1, 2, 6, 5),
    ),
    "max_pool2d_dilated": (lambda a: F.max_pool2d(a, (2, 1), 1, dilation=2), normal(1, 2, 5, 5)),
    "avg_pool2d": (lambda a: F.avg_pool2d(a, 3, 2, padding=1, ceil_mode=True), normal(1, 2, 6, 5)),
    "pad": (lambda a: F.pad(a, ((1, 0), (2, 3)), "reflect"), normal(1, 2, 3, 4)),
    "adaptive_avg_pool2d": (lambda a: F.adaptive_avg_pool2d(a, (2, 3)), normal(2, 3, 5, 4)),
    "adaptive_avg_pool2d_enlarging": (lambda a: F.adaptive_avg_pool2d(a, 5), normal(1, 2, 3, 4)),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), normal(2, 3, 5, 4), normal(4, 3, 3, 3), normal(4)),
    "conv2d_grouped": (
        lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=((0, 1), (2, 0)), dilation=(1, 2), groups=2),
        normal(2, 4, 6, 5),
        normal(2, 2, 3, 2),
    ),
    "conv2d_replicate": (
        lambda x, w: F.conv2d(x, w, padding="same", padding_mode="replicate"),
        normal(1, 2, 5, 4),
        normal(3, 2, 4, 3),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradient(name):
    gradcheck(*OPERATIONS[name])


def test_every_op_of_the_register_is_checked():
    differentiable = {op for op in kernels.OPS if not op.endswith("_step")}  # the optimizers' steps are not
    assert differentiable <= set(OPERATIONS)


def test_a_small_network():
    def network(x, w1, b1, w2, b2):
        x = F.max_pool2d(F.relu(F.conv2d(x, w1, b1, padding=1)), 2)
        return F.cross_entropy(F.linear(F.flatten(x), w2, b2), [1, 0])

    gradcheck(network, normal(2, 3, 6, 6), normal(4, 3, 3, 3), normal(4), normal(3, 36), normal(3))


@given(data=st.data())
def test_broadcast_gradients_have_the_shape_of_their_operand(data):
    full = data.draw(st.lists(st.integers(0, 3), max_size=4))
    operands = []
    for _ in range(2):
        kept = full[data.draw(st.integers(0, len(full))) :]
        operands.append([1 if data.draw(st.booleans()) else n for n in kept])
    a, b = (F.tensor(normal(*shape), requires_grad=True) for shape in operands)
    y = a * b
    seed = normal(*y.shape, seed=1)
    y.backward(seed)
    for mine, other in ((a, b), (b, a)):
        assert mine.grad.shape == mine.shape
        whole = seed * np.broadcast_to(other.data, y.shape)
        assert mine.grad.sum() == pytest.approx(whole.sum())
