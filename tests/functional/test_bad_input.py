"""What makes no sense is refused with a message that names the op, the argument and what was found."""

import numpy as np
import pytest

from minitl import functional as F
from minitl.errors import ArgumentError, ShapeError


def zeros(*shape, dtype="float32"):
    return F.tensor(np.zeros(shape, dtype))


CASES = {
    "add": (lambda: zeros(2, 3) + zeros(4), r"add: shapes \(2, 3\) and \(4,\) do not broadcast"),
    "dtypes": (lambda: zeros(2) * zeros(2, dtype="float64"), r"multiply: float32 .* float64 .* do not mix"),
    "matmul": (lambda: zeros(2, 3) @ zeros(4, 5), r"matmul: shapes \(2, 3\) and \(4, 5\).* 3 columns .* 4 rows"),
    "matmul_vector": (lambda: zeros(2, 3) @ zeros(2), r"matmul: shapes \(2, 3\) and \(2,\)"),
    "matmul_scalar": (lambda: zeros(2, 3) @ zeros(), r"matmul: .* scalar .* use \*"),
    "matmul_batch": (lambda: zeros(2, 3, 4) @ zeros(3, 4, 5), r"matmul: .* batch axes"),
    "sum": (lambda: zeros(2, 3).sum(2), r"sum: axis 2 .* \(2, 3\)"),
    "sum_twice": (lambda: zeros(2, 3).sum((0, -2)), r"sum: axis .* comes twice"),
    "mean": (lambda: zeros(2, 3).mean("rows"), r"mean: axis must be None, an int"),
    "max": (lambda: zeros(0, 3).max(0), r"max: .* \(0, 3\) is empty"),
    "reshape": (lambda: zeros(2, 3).reshape(4, -1), r"reshape: 6 elements of shape \(2, 3\) .* \(4, -1\)"),
    "reshape_floats": (lambda: zeros(2, 3).reshape(1.5), r"reshape: needs ints"),
    "transpose": (lambda: zeros(2, 3).transpose(0, 0), r"transpose: axes \(0, 0\) .* \(2, 3\)"),
    "index": (lambda: zeros(3)[zeros(1)], r"indexing: a Tensor .* use an integer"),
    "conv2d": (lambda: F.conv2d(zeros(1, 3, 5, 5), zeros(4, 2, 3, 3)), r"conv2d: .* 3 channels, .* expects 2"),
    "conv2d_bias": (
        lambda: F.conv2d(zeros(1, 3, 5, 5), zeros(4, 3, 3, 3), zeros(3)),
        r"conv2d: bias must have shape \(4,\)",
    ),
    "max_pool2d": (lambda: F.max_pool2d(zeros(1, 3, 2, 2), 3), r"max_pool2d: a 3x3 window .* does not fit"),
    "max_pool2d_padding": (
        lambda: F.max_pool2d(zeros(1, 1, 4, 4), 2, padding=2),
        r"max_pool2d: .* wholly in the padding",
    ),
    "max_pool2d_axes": (lambda: F.max_pool2d(zeros(3, 4, 4), 2), r"max_pool2d: x must have 4 axes"),
    "adaptive": (
        lambda: F.adaptive_avg_pool2d(zeros(1, 3, 4, 4), 0),
        r"adaptive_avg_pool2d: output_size .* from 1",
    ),
    "adaptive_empty": (lambda: F.adaptive_avg_pool2d(zeros(1, 3, 0, 4), 1), r"adaptive_avg_pool2d: .* no pixel"),
    "linear": (lambda: F.linear(zeros(2, 25088), zeros(10, 512)), r"linear: .* 25088 features, .* expects 512"),
    "linear_axes": (lambda: F.linear(zeros(2, 3, 4), zeros(10, 4)), r"linear: x must have 2 axes \(N, in\)"),
    "softmax": (lambda: F.softmax(zeros(2, 3), axis=2), r"softmax: axis 2 .* \(2, 3\)"),
    "softmax_empty": (lambda: F.softmax(zeros(2, 0)), r"softmax: axis -1 of shape \(2, 0\) is empty"),
    "labels_range": (lambda: F.cross_entropy(zeros(2, 5), [1, 7]), r"cross_entropy: label 7 of picture 1 .* 5 classes"),
    "labels_negative": (lambda: F.cross_entropy(zeros(2, 5), [-1, 0]), r"cross_entropy: label -1 of picture 0"),
    "labels_float": (lambda: F.cross_entropy(zeros(2, 5), [1.0, 2.0]), r"cross_entropy: labels must be integers"),
    "labels_shape": (lambda: F.cross_entropy(zeros(2, 5), [1]), r"cross_entropy: labels must have shape \(2,\)"),
    "class_weight": (
        lambda: F.cross_entropy(zeros(2, 5), [1, 0], class_weight=[1, 1]),
        r"cross_entropy: class_weight must have shape \(5,\)",
    ),
    "concat": (lambda: F.concat([zeros(1, 2, 3), zeros(1, 2, 4)]), r"concat: .* xs\[0\] has \(1, 2, 3\), xs\[1\]"),
    "concat_nothing": (lambda: F.concat([]), r"concat: xs must be a tuple of at least one"),
    "dropout_keys": (lambda: F.dropout(zeros(2, 3), 0.5, [1]), r"dropout: keys must have shape \(2,\)"),
    "dropout_float_keys": (lambda: F.dropout(zeros(2, 3), 0.5, [1.0, 2.0]), r"dropout: keys must be integers"),
    "dropout_negative_keys": (lambda: F.dropout(zeros(2, 3), 0.5, [-1, 2]), r"dropout: keys must be integers"),
}

ARGUMENTS = {
    "dropout_p": (lambda: F.dropout(zeros(1, 3), 1.5, [1]), r"dropout: p must be a number from 0 to 1; got 1.5"),
    "dropout_stream": (lambda: F.dropout(zeros(1, 3), 0.5, [1], stream=-1), r"dropout: stream must be"),
    "smoothing": (lambda: F.cross_entropy(zeros(1, 3), [1], label_smoothing=2), r"label_smoothing .* got 2"),
    "negative_weight": (
        lambda: F.cross_entropy(zeros(1, 3), [1], class_weight=[1, -1, 1]),
        r"class_weight must not be negative; class 1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_shapes_that_do_not_fit(name):
    call, message = CASES[name]
    with pytest.raises(ShapeError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_outside_their_domain(name):
    call, message = ARGUMENTS[name]
    with pytest.raises(ArgumentError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_index_beyond_the_end_is_an_index_error():
    with pytest.raises(IndexError):  # the protocol that ends iteration
        zeros(3)[3]
    assert [row.shape for row in zeros(3, 2)] == [(2,)] * 3
