"""Evaluation: every picture of a split in its own order, with path, truth and answer kept together."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from .. import device
from .. import functional as F
from ..autograd import no_grad
from ..data import Dataset, FrozenValues, Item
from ..data.features import scores_node
from ..errors import DataError, GraphError
from ..nn.inference import BLOCK, blocks
from ..tensor import tensor
from ..terminal import Unfailing
from ..uploads import ahead

if TYPE_CHECKING:
    from ..nn import Network


def evaluate(
    net: Network, data: Dataset, split: str = "val", workers: int = 2, progress: bool = False
) -> dict[str, Any]:
    """How well `net` answers on a split of `data`: in order, every picture, in inference mode.

    progress: show a bar.

    Returns {"split", "pictures", "accuracy", "loss" (mean cross-entropy), "majority_baseline" (share of the most
    frequent class), "per_class": {name: {"precision", "recall", "f1", "support"}}, "confusion" (rows: truth, columns:
    answers), "predictions": [{"path", "truth", "prediction", "probability"}], "skipped": [(path, reason)]}.
    A ratio without a case (precision of a class never answered) is 0. Raises DataError for a split without pictures
    or classes that are not the network's.
    """
    check_classes(net, data)
    return summary(FrozenValues(net, keep=False, workers=workers), data, split, progress)


def check_classes(net: Network, data: Dataset) -> None:
    """Raises unless the network has an output a class, under the same names in the same order."""
    if net.classes is not None and list(net.classes) != list(data.classes):
        raise DataError(
            f"{net.name}: answers {_named(net.classes)}, but the data has {_named(data.classes)}; "
            "load it with tl.load(file, classes=data.classes), or the data with classes=net.classes"
        )
    if net.input_shape is None:
        return
    shape = net.graph.shapes(net.input_shape)[scores_node(net)]
    if shape != (len(data.classes),):
        raise _wrong_output(net, shape, len(data.classes))


def _wrong_output(net: Network, shape: tuple[int, ...], count: int) -> GraphError:
    return GraphError(
        f"{net.name}: ends in an output of shape {shape}, but the data has {count} classes; "
        "give it a head with tl.load(file, classes=data.classes)"
    )


def _named(names: Sequence[str], most: int = 5) -> str:
    more = f", … ({len(names)} classes)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def answers(
    values: FrozenValues, items: Sequence[Item], classes: Sequence[str], progress: bool = False
) -> tuple[list[Item], np.ndarray, np.ndarray]:
    """(items that could be read, probabilities (N, K), their logarithms), in order, float64."""
    net, cut, end = values.net, values.cut, scores_node(values.net)
    seen: list[Item] = []

    def rows() -> Iterator[np.ndarray]:
        file = Unfailing(sys.stderr)
        stream = values.stream(items)
        for item, value in tqdm(stream, "evaluating", len(items), unit="picture", disable=not progress, file=file):
            seen.append(item)
            yield value

    scores = []
    for count, block in ahead(((n, block) for block, n in blocks(rows(), BLOCK)), net.device, net.dtype):
        with no_grad():
            scores.append(device.to_host(net.run(block, after=cut, upto=end).data[:count]).astype(np.float64))
    if not seen:
        raise DataError("evaluate: the split has no picture that can be read; check val= or the folder")
    raw = np.concatenate(scores)
    if raw.shape[1:] != (len(classes),):
        raise _wrong_output(net, raw.shape[1:], len(classes))
    with no_grad():
        every = tensor(raw)
        return seen, F.softmax(every, axis=1).data, F.log_softmax(every, axis=1).data


def accuracy_and_loss(values: FrozenValues, data: Dataset, split: str) -> tuple[float, float, np.ndarray]:
    """(accuracy, mean cross-entropy, answer of each picture)."""
    seen, _, logs = answers(values, data.split(split), data.classes)
    labels, found = np.array([item.label for item in seen]), logs.argmax(1)
    return float((found == labels).mean()), float(-logs[np.arange(len(seen)), labels].mean()), found


def summary(values: FrozenValues, data: Dataset, split: str, progress: bool = False) -> dict[str, Any]:
    """See `evaluate`."""
    items = data.split(split)
    if not items:
        raise DataError(f"evaluate: the split {split!r} has no pictures; load the data with another val=")
    seen, probabilities, logs = answers(values, items, data.classes, progress)
    labels, found = np.array([item.label for item in seen]), logs.argmax(1)
    confusion = np.zeros((len(data.classes), len(data.classes)), int)
    np.add.at(confusion, (labels, found), 1)
    per_class = dict(zip(data.classes, _ratios(confusion), strict=True))
    skipped = {item.name: values.skipped[item.name] for item in items if item.name in values.skipped}
    return {
        "split": split,
        "pictures": len(seen),
        "accuracy": float((found == labels).mean()),
        "loss": float(-logs[np.arange(len(seen)), labels].mean()),
        "majority_baseline": float(np.bincount(labels).max() / len(labels)),
        "per_class": per_class,
        "confusion": confusion.tolist(),
        "predictions": [
            {
                "path": item.name,
                "truth": data.classes[item.label],
                "prediction": data.classes[int(answer)],
                "probability": float(row[answer]),
            }
            for item, answer, row in zip(seen, found, probabilities, strict=True)
        ],
        "skipped": list(skipped.items()),
    }


def _ratios(confusion: np.ndarray) -> list[dict[str, Any]]:
    """{"precision", "recall", "f1", "support"} of each class, from pictures by truth (rows) and answer (columns).

    As scikit-learn has them, whose import takes longer than a small training does.
    """
    right, support, answered = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    return [
        {
            "precision": _share(right[i], answered[i]),
            "recall": _share(right[i], support[i]),
            "f1": _share(2 * right[i], support[i] + answered[i]),
            "support": int(support[i]),
        }
        for i in range(len(confusion))
    ]


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
