"""A report's files: a Trainer's weights at once, the rest made in memory; each written beside its place and renamed."""

from __future__ import annotations

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any

from ..data import Dataset
from ..errors import ArgumentError, DataError, WeightError
from ..train import Trainer
from ..weights import atomic
from .page import page
from .plots import confusion_plot, curves_plot
from .preview import write_preview

EPOCHS = 8  # of augmentation that are shown


def write_report(
    source: Trainer | dict[str, Any], folder: str | os.PathLike[str], data: Dataset | None = None
) -> list[Path]:
    """Writes report.html, confusion.png and metrics.json, and for a Trainer also curves.png and weights.h5.

    A Trainer that augments has augmentation.png too (see `write_preview`).

    source: a Trainer, whose validation pictures are evaluated (or training pictures where it has no others), or what
    `evaluate` returned. data: shows the pictures of wrong answers in the latter case; a Trainer knows its own. The
    folder is made if need be. Returns the files. Raises DataError in one line where they cannot be written; each
    file is whole or not there.
    """
    details: dict[str, Any] = {}
    written: list[Path] = []
    if isinstance(source, Trainer):
        # what took longest to make first, before anything else can fail
        written += _write(Path(folder), {}, source.net)
        result = source.evaluate("val" if source.data.val else "train")
        data, plan = source.data, source.net.plan(source.lr)
        details = {"name": source.net.name, "plan": plan, "settings": source.settings, "history": source.history}
    elif isinstance(source, dict) and "confusion" in source:
        result = source
    else:
        raise ArgumentError(f"write_report: needs a Trainer or what evaluate() returned; got {type(source).__name__}")
    plots = {"confusion": confusion_plot(result["confusion"], list(result["per_class"]))}
    if details.get("history"):
        plots["curves"] = curves_plot(details["history"], result["majority_baseline"])
    contents = {f"{name}.png": png for name, png in plots.items()}
    contents["metrics.json"] = _metrics(result, details)
    contents["report.html"] = page(result, plots, data=data, **details).encode("utf-8", "replace")
    written += _write(Path(folder), contents, None)
    augmentation = source.values.augmentation if isinstance(source, Trainer) else None
    if isinstance(source, Trainer) and augmentation is not None:
        preview = Path(folder) / "augmentation.png"
        values = source.values
        shown = min(values.variants or EPOCHS, EPOCHS)
        written.append(
            write_preview(source.data, augmentation, preview, epochs=shown, seed=values.seed, variants=values.variants)
        )
    return written


def _metrics(result: dict[str, Any], details: dict[str, Any]) -> bytes:
    """Everything measured, for programs."""
    numbers: dict[str, Any] = {"evaluation": result}
    if details:
        history, plan = details["history"], details["plan"]
        numbers |= {
            "network": details["name"],
            "settings": details["settings"],
            "trained": plan.trained,
            "frozen": plan.frozen,
            "history": list(history),
            "start": history.start,
            "best_epoch": history.best,
            "interrupted": history.interrupted,
        }
    return (json.dumps(_finite(numbers), indent=1, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    """JSON knows no NaN or Inf: null takes their place."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(folder: Path, contents: dict[str, bytes], net: Any) -> list[Path]:
    made = not folder.exists()
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if net is not None:
            net.save(folder / "weights.h5", compress=False)  # which would take longer than to train a small head
            written.append(folder / "weights.h5")
        for name, content in contents.items():
            atomic.write_bytes(folder / name, content)
            written.append(folder / name)
    except (OSError, WeightError) as error:
        if made:
            with contextlib.suppress(OSError):  # not empty: what is there is whole
                folder.rmdir()
        if isinstance(error, WeightError):
            raise DataError(f"report: {error}") from error
        remedy = atomic.REMEDY.get(error.errno or 0, "choose another path")
        raise DataError(f"report: {folder}: the folder cannot be made ({error.strerror or error}); {remedy}") from error
    return written
