"""Pictures through a network: in inference mode, in blocks of one fixed size.

Matrix products of different batch sizes differ in their last bits. So the last block is filled up with
zeros, and a picture's result does not depend on how many others were asked for with it.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import device, images
from .. import functional as F
from ..autograd import no_grad
from ..errors import ArgumentError, DataError, GraphError, ShapeError, WeightError
from ..tensor import tensor
from ..uploads import ahead
from .graph import INPUT

if TYPE_CHECKING:
    from .network import Network

BLOCK = 8  # pictures; enough to fill two cores, small enough for any memory


class Prediction(NamedTuple):
    """One answer: output index, class name ("" if the network has no names), probability."""

    index: int  # type: ignore[assignment]  # the design's name; hides tuple.index, which nobody needs here
    name: str
    probability: float


def blocks(inputs: Iterable[np.ndarray], size: int) -> Iterator[tuple[np.ndarray, int]]:
    """(array (size, …), number of real rows) for single inputs of one shape."""
    held: list[np.ndarray] = []

    def filled() -> tuple[np.ndarray, int]:
        block = np.zeros((size, *held[0].shape), held[0].dtype)
        block[: len(held)] = np.stack(held)
        return block, len(held)

    for x in inputs:
        if held and x.shape != held[0].shape:
            raise ShapeError(
                f"pictures of different sizes, {held[0].shape} and {x.shape}, cannot share a batch; "
                "let the preprocessing resize and crop to one size"
            )
        held.append(x)
        if len(held) == size:
            yield filled()
            held.clear()
    if held:
        yield filled()


def run_blocks(net: Network, inputs: Iterable[np.ndarray], upto: str | None, size: int = BLOCK) -> Iterator[np.ndarray]:
    """The value of node `upto` for each preprocessed input (C, H, W), in order, a block at a time."""
    pairs = ((count, block) for block, count in blocks(inputs, size))
    for count, block in ahead(pairs, net.device, net.dtype):
        with no_grad():
            value = net.run(block, upto=upto)
        yield device.to_host(value.data[:count])


def prepared(net: Network, pictures: Any) -> Iterator[np.ndarray]:
    """Preprocessed inputs of pictures given as paths or as an array (N, H, W, 3) RGB or (N, H, W) grey, uint8."""
    if net.preprocessing is None:
        raise DataError(
            f"{net.name}: has no preprocessing, so pictures cannot be fed to it; set net.preprocessing, "
            "or call net(x) with preprocessed arrays"
        )
    for picture in as_pictures(pictures):
        if isinstance(picture, (str, Path)):
            yield net.preprocessing(images.decode_image(picture))
        else:
            yield net.preprocessing(np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture)


def as_pictures(pictures: Any) -> Sequence[Any]:
    """The pictures as a sequence of paths, or of uint8 arrays (H, W, 3) or (H, W); DataError if they are neither."""
    if isinstance(pictures, (str, Path)):
        return [pictures]
    if isinstance(pictures, np.ndarray):
        colour = pictures.ndim == 4 and pictures.shape[-1] == 3
        grey = pictures.ndim == 3 and pictures.shape[-1] != 3  # with 3 it is one colour picture without its batch axis
        if pictures.dtype != np.uint8 or not (colour or grey):
            raise DataError(
                "arrays of pictures must be raw: uint8 RGB of shape (N, H, W, 3) or grey (N, H, W); "
                f"got {pictures.dtype} of shape {pictures.shape}. For preprocessed arrays call net(x)"
            )
        return pictures  # type: ignore[return-value]  # indexed and iterated like a sequence
    if not isinstance(pictures, Iterable):
        raise DataError(
            f"pictures must be paths or one array (N, H, W, 3) uint8; got {type(pictures).__name__}; give a list"
        )
    pictures = list(pictures)
    for p in pictures:
        if not isinstance(p, (str, Path)):
            raise DataError(f"pictures must be paths or one array (N, H, W, 3) uint8; got an item {type(p).__name__}")
    return pictures


def positive(what: str, value: Any) -> int:
    """`value`, Python's or NumPy's whole number of at least 1, as an int; ArgumentError that names `what` otherwise."""
    try:
        number = 0 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ArgumentError(f"{what} must be a positive int; got {value!r}")
    return number


def predict(net: Network, pictures: Any, topk: int, batch_size: int) -> list[list[Prediction]]:
    """See Network.predict."""
    topk, batch_size = positive("predict: topk", topk), positive("predict: batch_size", batch_size)
    require_classifier(net)
    blocks = run_blocks(net, prepared(net, pictures), None, batch_size)
    return [answer for scores in blocks for answer in answers(net, scores, topk)]


def answers(net: Network, scores: np.ndarray, topk: int) -> list[list[Prediction]]:
    """The `topk` likeliest classes of each row of scores (N, K), likeliest first; ties go to the lower index."""
    found = []
    shares = probabilities(net, scores)
    if np.isnan(shares).any():
        raise WeightError(
            f"{net.name}: its scores are not numbers, so it has no answer; look for NaN and Inf in its weights "
            "(minitl inspect), or get or train them again"
        )
    for row in shares:
        best = np.argsort(-row, kind="stable")[:topk]
        found.append([Prediction(int(i), net.classes[i] if net.classes else "", float(row[i])) for i in best])
    return found


def require_classifier(net: Network) -> None:
    """Raises GraphError, with the remedy, if the network ends before a classifier."""
    if not classifies(net):
        raise GraphError(
            f"{net.name}: ends at {net.graph.output!r}, before any classifier, so it cannot predict; give it a head "
            "with tl.load(file, classes=[...]) and train it (minitl train), or use net.features"
        )


def classifies(net: Network) -> bool:
    """Whether the output is one score a class: it has class names, or is flat as far as is known."""
    if net.classes is not None or net.input_shape is None:
        return True
    return len(net.graph.shapes(net.input_shape)[net.graph.output]) == 1


def probabilities(net: Network, scores: np.ndarray) -> np.ndarray:
    """Softmax of the scores (N, K) in float64, unless the network ends in one."""
    scores = scores.reshape(len(scores), -1).astype(np.float64)
    last = net.graph[net.graph.output].op
    if last == "softmax":
        return scores
    with no_grad():
        return F.softmax(tensor(scores), axis=1).data


def features(net: Network, pictures: Any, layer: str | None, batch_size: int) -> np.ndarray:
    """See Network.features."""
    batch_size = positive("features: batch_size", batch_size)
    upto = default_layer(net) if layer is None else net.layer_name(layer)
    rows = [block.reshape(len(block), -1) for block in run_blocks(net, prepared(net, pictures), upto, batch_size)]
    if not rows:
        raise DataError("features: no pictures were given")
    return np.concatenate(rows).astype(np.float32, copy=False)


def default_layer(net: Network) -> str:
    """What enters the last layer that has parameters, if it classifies; otherwise the output."""
    layers = [node for node in net.graph if node.layer.parameter_shapes()]
    if not classifies(net) or not layers:
        return net.graph.output
    source = layers[-1].inputs[0]
    if source == INPUT:
        raise GraphError(f"{net.name}: has no layer before its classifier {layers[-1].name!r}; name one with layer=")
    return source
