"""Times the way from a folder of photographs to a validated classifier: minitl's command and PyTorch's two ways.

python benchmarks/ants_and_bees.py PHOTOS vgg16.h5 alexnet.h5 [--rounds 3] [--whole] [--json FILE]

PHOTOS holds train/<class>/ and val/<class>/; the weight files are minitl's ('minitl convert'), with the convolutions of
VGG-16 or AlexNet. These stay frozen; a dense layer learns on the mean of each of their last maps. Every contestant is a
process of its own, timed from outside by the clock, with the same weights, pictures and threads; they take turns.

minitl       minitl train PHOTOS --weights FILE --out RUN: its defaults, with the report and all files of a run
cold         the same, when no kernel has been compiled yet: the first run of all on a machine
tutorial     PyTorch's transfer-learning tutorial: augmented crops, batch 4, SGD 0.001 and momentum 0.9, a tenth of
             that every 7 epochs, 25 epochs, all layers run on every picture in every epoch
cached       PyTorch by hand: every picture once through the frozen layers (channels-last, large batches, inference
             mode), decoded in threads meanwhile; then the tutorial's recipe on the features in memory

The tutorial's recipe is not run to its end unless --whole says so: the time of 25 epochs is reckoned from some steps.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
from machine import describe

HERE = Path(__file__).resolve().parent
RECIPE_EPOCHS = 25
PICTURES = 153  # PyTorch's ants and bees, held out
ASKED = {"vgg16": 141, "alexnet": 137}  # of them right, for the task to count as done
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MINITL_NUM_THREADS")
MINITL, COLD, TUTORIAL, CACHED = "minitl", "cold", "tutorial", "cached"

Run = dict[str, Any]  # what a process said, and "seconds"


def timed(command: list[str | Path], environment: dict[str, str]) -> Run:
    """The JSON that the command prints at its end, with the seconds from its start to its end, and of all its cores."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=HERE, env=os.environ | environment, check=False
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\nended with status {done.returncode}:\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"said": json.loads(done.stdout[done.stdout.index("{") :]), "seconds": seconds, "cpu_seconds": cpu}


def by_minitl(options: argparse.Namespace, weights: Path, seed: int, environment: dict[str, str]) -> Run:
    """One run of minitl's command."""
    start = "from minitl.cli import main; raise SystemExit(main())"  # what the installed command does
    with tempfile.TemporaryDirectory() as out:
        words = ["train", options.photos, "--weights", weights, "--out", f"{out}/run", "--seed", seed]
        words += ["--epochs", options.epochs] if options.epochs else []
        found = timed([sys.executable, "-c", start, *words, "--json", "--no-progress"], environment)
    result = found.pop("said")["evaluation"]
    confusion = result["confusion"]
    return found | {"right": sum(row[i] for i, row in enumerate(confusion)), "of": result["pictures"]}


def by_torch(module: str, options: argparse.Namespace, weights: Path, seed: int, environment: dict[str, str]) -> Run:
    """One run of one of PyTorch's ways. A sampled one gets the seconds that the whole would have taken."""
    words: list[Any] = [options.photos, weights, "--threads", options.threads, "--seed", seed]
    words += ["--epochs", options.epochs] if options.epochs else []
    if module == TUTORIAL and not options.whole:
        words += ["--sample", options.steps]
    if module == CACHED:
        words += ["--batch", options.batch, "--engine", options.engine]
    found = timed([sys.executable, "-m", f"on_photographs.{module}", *words], environment)
    said = found.pop("said")
    if said.get("sampled"):
        found["process_seconds"], found["process_cpu_seconds"] = found["seconds"], found.pop("cpu_seconds")
        found["seconds"] += said["seconds"] - said["sampled"]["seconds of sampling"]
    return found | {key: said[key] for key in ("right", "of", "sampled", "stages") if said.get(key) is not None}


def network_name(weights: Path) -> str:
    """What the weight file holds."""
    with h5py.File(weights) as file:
        return json.loads(file.attrs["network"])["name"]


def compete(options: argparse.Namespace, weights: Path) -> dict[str, list[Run]]:
    """Every contestant's runs, round by round; minitl's kernels are compiled in the cold run, for the others to use."""
    runs: dict[str, list[Run]] = {MINITL: [], COLD: [], TUTORIAL: [], CACHED: []}
    threads = dict.fromkeys(THREADS, str(options.threads))
    with tempfile.TemporaryDirectory() as caches:
        kernels = threads if options.no_cold else threads | {"NUMBA_CACHE_DIR": caches, "MINITL_CACHE": caches}
        for seed in range(options.rounds):
            turns = {
                COLD: lambda seed=seed: by_minitl(options, weights, seed, kernels),
                MINITL: lambda seed=seed: by_minitl(options, weights, seed, kernels),
                CACHED: lambda seed=seed: by_torch(CACHED, options, weights, seed, threads),
                TUTORIAL: lambda seed=seed: by_torch(TUTORIAL, options, weights, seed, threads),
            }
            for name, run in turns.items():
                if name == COLD and (seed or options.no_cold):
                    continue
                runs[name].append(run())
                print(f"  {weights.stem}, round {seed + 1}, {name}: {runs[name][-1]['seconds']:.1f} s", flush=True)
    return {name: own for name, own in runs.items() if own}


def median(runs: list[Run], key: str) -> float:
    """Of the runs that have it; NaN where none has."""
    return statistics.median([run[key] for run in runs if key in run] or [float("nan")])


def table(name: str, runs: dict[str, list[Run]], options: argparse.Namespace) -> str:
    """Medians, the spread, right answers, and how many times as long as minitl each took.

    "cores" are the seconds of all cores together: of two contestants it tells the busier where others use the machine.
    """
    epochs = options.epochs or RECIPE_EPOCHS
    sampled = "" if options.whole else f", {epochs} epochs extrapolated from {options.steps} steps a round"
    titles = {
        MINITL: "minitl train, kernels compiled before",
        COLD: "minitl train, the first run of all",
        TUTORIAL: f"PyTorch, the tutorial's recipe{sampled}",
        CACHED: f"PyTorch, features cached ({options.engine}, batch {options.batch})",
    }
    width = max(map(len, titles.values()))
    lines = [f"{name:<{width}}  {'seconds':>8}  {'min':>7}  {'max':>7}  {'cores':>7}  {'right':>10}  {'times':>6}"]
    base = median(runs[MINITL], "seconds")
    for contestant in [name for name in (MINITL, COLD, CACHED, TUTORIAL) if name in runs]:
        seconds = [run["seconds"] for run in runs[contestant]]
        right = median(runs[contestant], "right")
        answers = "not run out" if right != right else f"{right:g} of {runs[contestant][0]['of']}"
        cores = median(runs[contestant], "cpu_seconds")
        figures = f"{statistics.median(seconds):8.1f}  {min(seconds):7.1f}  {max(seconds):7.1f}"
        figures += "         " if cores != cores else f"  {cores:7.1f}"
        ratio = statistics.median(seconds) / base
        lines.append(f"{titles[contestant]:<{width}}  {figures}  {answers:>10}  {ratio:6.2f}")
    return "\n".join(lines)


def reached(name: str, runs: dict[str, list[Run]]) -> list[str]:
    """What falls short of the accuracy that is asked for; nothing where all contestants have done the task."""
    wrong = []
    for contestant, own in runs.items():
        right = median(own, "right")
        if own[0]["of"] == PICTURES and right < ASKED[name]:  # False where it was not measured
            wrong.append(f"{name}: {contestant} got {right:g} of {PICTURES} right; asked are {ASKED[name]}")
    return wrong


def main() -> int:
    """Runs all contestants on every weight file, prints a table each, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, help="folder with train/<class>/ and val/<class>/")
    parser.add_argument("weights", type=Path, nargs="+", help="minitl's weight files of VGG-16 or AlexNet")
    parser.add_argument("--rounds", type=int, default=3, help="each with another seed (default: 3)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: one a core")
    parser.add_argument("--no-cold", action="store_true", help="use the kernels that are compiled already")
    parser.add_argument("--whole", action="store_true", help="run the tutorial's recipe to its end (VGG-16: an hour)")
    parser.add_argument("--steps", type=int, default=20, help="of training that its time is reckoned from")
    parser.add_argument("--epochs", type=int, help="of every contestant (default: 25, minitl 20)")
    parser.add_argument("--batch", type=int, default=32, help="of the cached way's pass")
    parser.add_argument("--engine", default="eager", help="of the cached way: eager, frozen or compiled")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    options.photos = options.photos.resolve()

    everything, wrong = {}, []
    for weights in map(Path.resolve, options.weights):
        name = network_name(weights)
        everything[name] = compete(options, weights)
        wrong += reached(name, everything[name])
    machine = describe("minitl", "numpy", "numba", "pillow", "torch")
    print(f"\n{options.threads} threads, {machine['processor']}")
    for name, runs in everything.items():
        print(f"\n{table(name, runs, options)}")
    print("\n".join(["", *wrong]) if wrong else "\nwhat was run to its end has the accuracy that is asked for")
    if options.json:
        medians = {n: {c: median(own, "seconds") for c, own in runs.items()} for n, runs in everything.items()}
        ratios = {n: {c: seconds / m[MINITL] for c, seconds in m.items()} for n, m in medians.items()}
        settings = {key: getattr(options, key) for key in ("rounds", "threads", "whole", "steps", "batch", "engine")}
        settings["epochs"] = options.epochs or {MINITL: 20, TUTORIAL: RECIPE_EPOCHS, CACHED: RECIPE_EPOCHS}
        result = {"settings": settings, "medians": medians, "times_minitl": ratios, "short_of_accuracy": wrong}
        options.json.write_text(json.dumps(result | {"runs": everything, "machine": machine}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
