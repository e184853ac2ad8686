"""Tries mutants, each in a process of its own: a fault may take its process down, or never end."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ... import cache
from ...emulator import library
from .bench import BROKEN, KILLED, Bench, Outcome
from .operators import Mutant

CASES = 60  # calls of each op that a mutant is tried on
SECONDS = 60  # of processor time that a mutant may take; the compiler has its own
PATIENCE = 600  # seconds by the clock, for one that merely waits
Job = Callable[[Path], tuple[str, str]]  # (result, by), given a folder of its own


def run(
    planted: list[Mutant],
    cases: int = CASES,
    processes: int | None = None,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Tries every mutant; `told` hears of each as it is done. A process that dies or does not end has noticed its own.

    Calls and truths are worked out once, here; every mutant is tried in a fork of this process, which therefore
    should run no other threads.
    """
    bench = Bench(cases)
    library._runtime()  # compiled before anybody needs it at the same time as others

    def job(mutant: Mutant) -> Job:
        bench.prepare(mutant)

        def attempt(folder: Path) -> tuple[str, str]:
            with _cache_in(folder):
                outcome = bench.attempt(mutant, folder)
            return outcome.result, outcome.by

        return attempt

    outcomes: dict[int, Outcome] = {}
    for number, result, by in apart((job(mutant) for mutant in planted), processes or os.cpu_count() or 1):
        outcomes[number] = Outcome(planted[number], result, by)
        told(outcomes[number])
    return [outcomes[number] for number in sorted(outcomes)]


def apart(
    jobs: Iterator[Job], processes: int, seconds: int = SECONDS, patience: float = PATIENCE
) -> Iterator[tuple[int, str, str]]:
    """Runs every job in a fork, `processes` at a time; yields (number, result, by) as they end.

    A job that takes more processor time than `seconds`, or more time than `patience`, is ended.
    """
    running: dict[int, tuple[int, Path, float]] = {}  # by process: number, folder, until when
    numbered = enumerate(jobs)
    try:
        while True:
            while len(running) < processes and (job := next(numbered, None)) is not None:
                folder = Path(tempfile.mkdtemp(prefix="minitl-mutant-"))
                running[_forked(job[1], folder, seconds)] = (job[0], folder, time.monotonic() + patience)
            if not running:
                return
            ended = [(process, os.waitpid(process, os.WNOHANG)) for process in running]
            for process, (gone, status) in ended:
                number, folder, until = running[process]
                if gone:
                    del running[process]
                    yield number, *_told(folder, status)
                elif time.monotonic() > until:
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.005)
    finally:
        for process, (_, folder, _) in running.items():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            shutil.rmtree(folder, ignore_errors=True)


def _forked(job: Job, folder: Path, seconds: int) -> int:
    """A process that does one job and writes down what came of it."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (_used() + seconds, _used() + seconds + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.disable()  # a mutant's crash is an answer like others
        (folder / "outcome").write_text(json.dumps(job(folder)), encoding="utf-8")
        status = 0
    except BaseException as error:  # this process must not go on as if it were its parent
        (folder / "error").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
    finally:
        os._exit(status)


def _used() -> int:
    return int(time.process_time()) + 1


def _told(folder: Path, status: int) -> tuple[str, str]:
    """What a process wrote before it ended, or how it ended; its folder goes."""
    written, error = folder / "outcome", folder / "error"
    try:
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
            result, by = json.loads(written.read_text(encoding="utf-8"))
            return result, by
        if error.exists():
            return BROKEN, error.read_text(encoding="utf-8")
        number = os.WTERMSIG(status)
        late = number in (signal.SIGXCPU, signal.SIGKILL)
        return KILLED, "it did not end" if late else f"the process ended by {signal.Signals(number).name}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    """In this process, what is compiled and what the compiler leaves behind lies in `folder`, and goes with it."""
    os.environ["MINITL_CACHE"] = os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    cache.folder.cache_clear()
    yield
