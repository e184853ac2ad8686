"""Which relations hold for which op: the table, op by op. A relation takes (ask, call) and returns a share or None.

The calls that come here hold no NaN and no infinity, and whole numbers where the op is exact on these.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import convolution, numbers, pooling, rows
from .general import Doubled, Linear, Permuted, Relation

BATCH, CHANNELS = "permutation of the batch", "permutation of channels"
LINEAR, DOUBLED, SHIFT = "linearity", "twice the input", "shift"


def _elements(*names: str, answers: int = 1) -> dict[str, Relation]:
    """One number at a time: rows that change places take their answers with them."""
    return {"permutation of elements": Permuted(dict.fromkeys(names, 0), (0,) * answers)}


def _pictures(*names: str, answers: int = 1, **settings: object) -> dict[str, Relation]:
    """Neither pictures nor channels know of each other."""
    axes = (0,) * answers, (1,) * answers
    return {
        BATCH: Permuted(dict.fromkeys(names, 0), axes[0], settings),
        CHANNELS: Permuted(dict.fromkeys(names, 1), axes[1], settings),
    }


def _channelwise(large: tuple[str, ...], small: tuple[str, ...], answers: int | None) -> dict[str, Relation]:
    """Normalization: arrays of pictures, and arrays of one number a channel. answers: axis of pictures, or None."""
    found: dict[str, Relation] = {
        CHANNELS: Permuted(
            {**dict.fromkeys(large, 1), **dict.fromkeys(small, 0)}, (1,) if answers is not None else (0, 0)
        )
    }
    found[BATCH] = Permuted(dict.fromkeys(large, 0), (0,) if answers is not None else (None, None))
    return found


_UNBIASED = {"b": None, "relu": False}
_PLAIN = {"reduction": "none"}

RELATIONS: Mapping[str, Mapping[str, Relation]] = {
    "conv2d": {
        LINEAR: Linear(("x", "w"), _UNBIASED),
        BATCH: Permuted({"x": 0}, (0,)),
        "permutation of input channels": Permuted({"x": 1, "w": 1}, (None,), ungrouped=True),
        "permutation of filters": Permuted({"w": 0, "b": 0}, (1,), ungrouped=True),
        **convolution.FORWARD,
    },
    "conv2d.grad_input": {
        LINEAR: Linear(("grad", "w")),
        BATCH: Permuted({"grad": 0}, (0,)),
        "permutation of input channels": Permuted({"w": 1}, (1,), ungrouped=True),
        "permutation of filters": Permuted({"w": 0, "grad": 1}, (None,), ungrouped=True),
        **convolution.GRAD_INPUT,
    },
    "conv2d.grad_weight": {
        LINEAR: Linear(("grad", "x")),
        BATCH: Permuted({"grad": 0, "x": 0}, (None,)),
        "permutation of input channels": Permuted({"x": 1}, (1,), ungrouped=True),
        "permutation of filters": Permuted({"grad": 1}, (0,), ungrouped=True),
        **convolution.GRAD_WEIGHT,
    },
    "conv2d.grad_bias": {
        LINEAR: Linear(("grad",)),
        BATCH: Permuted({"grad": 0}, (None,)),
        CHANNELS: Permuted({"grad": 1}, (0,)),
        "permutation of pixels": Permuted({"grad": 3}, (None,)),
    },
    "max_pool2d": {
        **_pictures("x", answers=2),
        DOUBLED: Doubled(("x",), (2, 1)),
        **pooling.WINDOWS,
    },
    "max_pool2d.grad_input": {LINEAR: Linear(("grad",)), **_pictures("grad", "indices")},
    "avg_pool2d": {LINEAR: Linear(("x",)), **_pictures("x"), **pooling.WINDOWS},
    "avg_pool2d.grad_input": {LINEAR: Linear(("grad",)), **_pictures("grad")},
    "adaptive_avg_pool2d": {LINEAR: Linear(("x",)), **_pictures("x"), **pooling.ADAPTIVE},
    "adaptive_avg_pool2d.grad_input": {LINEAR: Linear(("grad",)), **_pictures("grad")},
    "pad": {LINEAR: Linear(("x",), {"value": 0.0}), **_pictures("x"), **pooling.BORDERS},
    "pad.grad_input": {LINEAR: Linear(("grad",)), **_pictures("grad")},
    "linear": {
        LINEAR: Linear(("x", "w"), {"b": None}),
        BATCH: Permuted({"x": 0}, (0,)),
        "permutation of features": Permuted({"x": 1, "w": 1}, (None,)),
        "permutation of outputs": Permuted({"w": 0, "b": 0}, (1,)),
        "x w^T = (w x^T)^T": numbers.transposed,
    },
    "linear.grad_input": {
        LINEAR: Linear(("grad", "w")),
        BATCH: Permuted({"grad": 0}, (0,)),
        "permutation of features": Permuted({"w": 1}, (1,)),
        "permutation of outputs": Permuted({"grad": 1, "w": 0}, (None,)),
    },
    "linear.grad_weight": {
        LINEAR: Linear(("grad", "x")),
        BATCH: Permuted({"grad": 0, "x": 0}, (None,)),
        "permutation of features": Permuted({"x": 1}, (1,)),
        "permutation of outputs": Permuted({"grad": 1}, (0,)),
    },
    "linear.grad_bias": {LINEAR: Linear(("grad",)), BATCH: Permuted({"grad": 0}, (None,))},
    "batch_norm.statistics": {SHIFT: numbers.shift_of_mean, **_channelwise(("x",), (), None)},
    "batch_norm": {SHIFT: numbers.shift_of_all, **_channelwise(("x",), ("mean", "var", "weight", "bias"), 1)},
    "batch_norm.grad_affine": {
        SHIFT: numbers.shift_of_all,
        **_channelwise(("grad", "x"), ("mean", "var"), None),
    },
    "batch_norm.grad_input": {LINEAR: Linear(("grad",)), **_channelwise(("grad",), ("var", "weight"), 1)},
    "batch_norm.grad_input_training": {
        SHIFT: numbers.shift_of_all,
        **_channelwise(("grad", "x"), ("mean", "var", "weight", "grad_weight", "grad_bias"), 1),
    },
    "local_response_norm": {
        BATCH: Permuted({"x": 0}, (0,)),
        "permutation of pixels": Permuted({"x": 3}, (3,)),
        "mirrored channels": numbers.mirrored_channels,
        "odd": numbers.odd,
    },
    "local_response_norm.grad_input": {
        LINEAR: Linear(("grad",)),
        BATCH: Permuted({"grad": 0, "x": 0}, (0,)),
        "permutation of pixels": Permuted({"grad": 3, "x": 3}, (3,)),
        "mirrored channels": numbers.mirrored_channels,
    },
    "relu": {
        **_elements("x"),
        DOUBLED: Doubled(("x",)),
        "idempotent": numbers.idempotent,
        "f(x) - f(-x) = x": numbers.difference,
    },
    "relu.grad_input": {LINEAR: Linear(("grad",)), **_elements("grad", "y")},
    "leaky_relu": {**_elements("x"), DOUBLED: Doubled(("x",)), "slope 1 = identity": numbers.slope_one},
    "leaky_relu.grad_input": {LINEAR: Linear(("grad",)), **_elements("grad", "x")},
    "sigmoid": {**_elements("x"), "f(-x) = 1 - f(x)": numbers.complement},
    "sigmoid.grad_input": {LINEAR: Linear(("grad",)), **_elements("grad", "y")},
    "tanh": {**_elements("x"), "odd": numbers.odd},
    "tanh.grad_input": {LINEAR: Linear(("grad",)), **_elements("grad", "y")},
    "gelu": {**_elements("x"), "f(x) - f(-x) = x": numbers.difference},
    "gelu.grad_input": {LINEAR: Linear(("grad",)), **_elements("grad", "x")},
    "softmax": rows.SOFTMAX,
    "softmax.grad_input": {LINEAR: Linear(("grad",)), "symmetric Jacobian": rows.symmetry},
    "log_softmax": rows.LOG_SOFTMAX,
    "log_softmax.grad_input": {LINEAR: Linear(("grad",))},
    "logsumexp": {SHIFT: rows.shift_through},
    "logsumexp.grad_input": {LINEAR: Linear(("grad",))},
    "cross_entropy": {
        SHIFT: rows.shift_of_logits,
        BATCH: Permuted({"logits": 0, "labels": 0}, (0, 0), _PLAIN),
        "classes renamed": rows.classes_renamed,
    },
    "cross_entropy.grad_input": {LINEAR: Linear(("grad",))},
    "hinge_loss": {
        SHIFT: rows.shift_of_scores,
        BATCH: Permuted({"scores": 0, "labels": 0}, (0,), _PLAIN),
        "classes renamed": rows.classes_renamed,
    },
    "hinge_loss.grad_input": {LINEAR: Linear(("grad",))},
    "binary_cross_entropy": {"targets swapped": numbers.targets_swapped},
    "binary_cross_entropy.grad_input": {LINEAR: Linear(("grad",))},
    "binary_cross_entropy_with_logits": {"targets swapped": numbers.targets_swapped},
    "binary_cross_entropy_with_logits.grad_input": {LINEAR: Linear(("grad",))},
    "dropout": {
        LINEAR: Linear(("x",)),
        BATCH: Permuted({"x": 0, "keys": 0}, (0,)),
        "p = 0 keeps all": numbers.keep_all,
    },
    "dropout.grad_input": {
        LINEAR: Linear(("grad",)),
        BATCH: Permuted({"grad": 0, "keys": 0}, (0,)),
        "p = 0 keeps all": numbers.keep_all,
    },
    "concat": {LINEAR: Linear(("xs",)), "cut apart again": numbers.apart_again},
    "concat.grad_input": {"joined again": numbers.joined_again},
    "flatten": {LINEAR: Linear(("x",)), "in shape again": numbers.shape_again},
    "flatten.grad_input": {LINEAR: Linear(("grad",)), "in shape again": numbers.shape_again},
    "sgd_step": {
        **_elements("parameter", "grad", "velocity", answers=2),
        "rate 0 moves nothing": numbers.no_rate,
    },
    "adam_step": {
        **_elements("parameter", "grad", "first_moment", "second_moment", "largest_second_moment", answers=4),
        "rate 0 moves nothing": numbers.no_rate,
    },
    "rmsprop_step": {
        **_elements("parameter", "grad", "mean_square", "mean_gradient", "velocity", answers=4),
        "rate 0 moves nothing": numbers.no_rate,
    },
}
