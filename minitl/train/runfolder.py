"""The folder of a run: its files, its lock, and how it bears a full disk.

run.json       command, versions, seeds, settings, network, plan, and hashes of weights and data
pictures.csv   the pictures of either split
features.h5    what the frozen layers made of the pictures, where that is kept
checkpoint.h5  the training at its latest checkpoint
.lock          held by the process that trains
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..data import Dataset, record
from ..errors import ArgumentError, DataError, WeightError
from ..weights import atomic
from . import checkpoint
from .checkpoint import Checkpoint

try:
    import fcntl
except ImportError:  # not on Windows: there, two processes on one folder are not told apart
    fcntl = None  # type: ignore[assignment]

FORMAT = "minitl run"
FORMAT_VERSION = 1
RUN, PICTURES, FEATURES, CHECKPOINT, LOCK = "run.json", "pictures.csv", "features.h5", "checkpoint.h5", ".lock"
STEP_SHARE, EPOCH_SHARE = 0.05, 0.2  # of the time, at most, goes into checkpoints between steps, between epochs


class RunFolder:
    """One run's folder. seconds: from one checkpoint between steps to the next; 0: one after every step."""

    def __init__(self, path: str | os.PathLike[str], seconds: float = 30.0) -> None:
        self.path = Path(path)
        self._seconds = seconds
        self._due = self._due_between_epochs = 0.0
        self._failing = False

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def begun(self) -> bool:
        """Whether a run was begun here."""
        return (self / RUN).is_file()

    @property
    def underway(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self / CHECKPOINT).is_file()

    @property
    def barely_begun(self) -> bool:
        """Whether all that is here comes from a run that was killed before its first checkpoint."""
        if not self.path.is_dir():
            return False
        names = {path.name for path in self.path.iterdir()}
        own = {name for name in names if name in (RUN, PICTURES, FEATURES, LOCK) or name.endswith(".part")}
        return bool(names) and names == own

    @contextlib.contextmanager
    def locked(self) -> Iterator[RunFolder]:
        """Makes the folder if need be and holds its lock; DataError where another process does, or none can."""
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            for folder in made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            remedy = atomic.REMEDY.get(error.errno or 0, "choose another folder")
            raise DataError(f"{self.path}: the run's files cannot be written ({error.strerror}); {remedy}") from error
        try:
            self._take(handle)
            self._sweep()
            yield self
        finally:
            os.close(handle)  # which gives the lock up

    def _take(self, handle: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise DataError(
                f"{self.path}: another training (process {holder}) is at work in this folder; wait for its end, or "
                "choose another folder"
            ) from None
        except OSError as error:  # some network file systems have no locks: better unlocked than not at all
            warnings.warn(
                f"{self.path}: cannot be locked ({error.strerror}); see to it that one training alone uses it",
                stacklevel=4,
            )
        with contextlib.suppress(OSError):  # a full disk: the number is for people only
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def _sweep(self) -> None:
        """Removes what killed processes left half-written; the lock is held, so nobody is at it now."""
        for name in (RUN, PICTURES, FEATURES, CHECKPOINT, "weights.h5"):
            for part in self.path.glob(f".{name}.*.part"):
                with contextlib.suppress(OSError):
                    part.unlink()

    def discard(self) -> None:
        """Removes the run's files, and the folder where nothing else is in it."""
        self._remove()
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _remove(self) -> None:
        for name in (CHECKPOINT, RUN, PICTURES, FEATURES, LOCK):  # no moment leaves a checkpoint without its run
            with contextlib.suppress(OSError):
                (self / name).unlink()

    def clear(self) -> None:
        """Removes the files of a run that was here; DataError where one is under way."""
        with self.locked():
            self._remove()

    def write_pictures(self, data: Dataset) -> None:
        """Writes pictures.csv; DataError where that cannot be done."""
        record.write(self / PICTURES, data)

    def write_run(self, description: dict[str, Any]) -> None:
        """Writes run.json, with which a run is begun; DataError where that cannot be done."""
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **description}
        try:
            atomic.write_bytes(self / RUN, (json.dumps(content, indent=1) + "\n").encode())
        except WeightError as error:
            raise DataError(str(error)) from error

    def read_run(self) -> dict[str, Any]:
        """What run.json holds; DataError, with the remedy, where there is none that can be understood."""
        path = self / RUN
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{self.path}: holds no run (no {RUN}); begin one with fit, or minitl train") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); begin the run anew in another folder") from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise DataError(f"{path}: was not written by minitl; give the folder of a run")
        if found.get("format_version") != FORMAT_VERSION:
            raise DataError(
                f"{path}: has format_version {found.get('format_version')!r}, and this minitl reads {FORMAT_VERSION}; "
                "upgrade minitl to resume this run"
            )
        return found

    def refuse_new(self, rows: list[Any]) -> None:
        """ArgumentError if a new fit, after the epochs `rows`, would lose what a run here has come to."""
        if not self.underway:
            return
        stored = checkpoint.read(self / CHECKPOINT).training
        progress = stored["progress"]
        if not progress["finished"]:
            raise ArgumentError(
                f"{self.path}: holds an unfinished training (epoch {progress['epoch']} of {progress['last']}); "
                f"trainer.resume() or 'minitl resume {self.path}' goes on with it; or choose another folder"
            )
        if [row["epoch"] for row in stored["history"]["rows"]] != [row["epoch"] for row in rows]:
            raise ArgumentError(
                f"{self.path}: holds a finished training of {len(stored['history']['rows'])} epochs; "
                f"trainer.resume(epochs=…) or 'minitl resume {self.path} --epochs N' goes on with it; or choose "
                "another folder"
            )

    # Checkpoints

    def due(self, between_epochs: bool = False) -> bool:
        """Whether it is time for a checkpoint between two steps, or between two epochs."""
        return time.monotonic() >= (self._due_between_epochs if between_epochs else self._due)

    def keep(self, content: Checkpoint) -> bool:
        """Writes the checkpoint. Where the disk refuses, says so once and returns False: training goes on without."""
        began = time.monotonic()
        try:
            checkpoint.write(self / CHECKPOINT, content)
        except WeightError as error:
            if not self._failing:
                warnings.warn(f"{error}. Training goes on in memory and tries again later", stacklevel=4)
            self._failing = True
        else:
            self._failing = False
        now = time.monotonic()
        took = now - began if self._seconds else 0.0
        self._due = now + max(self._seconds, took / STEP_SHARE)
        self._due_between_epochs = now + took / EPOCH_SHARE
        return not self._failing

    def latest(self) -> Checkpoint:
        """The checkpoint; see `checkpoint.read`."""
        return checkpoint.read(self / CHECKPOINT)
