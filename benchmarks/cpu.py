"""minitl on a CPU beside PyTorch, ONNX Runtime and OpenVINO: same numbers, checked; same threads; timed in turn.

python benchmarks/cpu.py [MODEL …] [--sections inference training …] [--quick] [--threads N] [--json FILE]

Sections: inference (whole networks), training (a step in which all layers learn), transfer (a step of a frozen and of a
fine-tuned network), layers (each alone), sizes (of pictures), threads, memory. README.md tells how to read the results.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from machine import describe
from on_cpu.disturbance import Busy
from on_cpu.setting import Row, Setting, cores, environment

SECTIONS = ("inference", "training", "memory", "transfer", "layers", "sizes", "threads")  # what matters most first
QUICK = ("inference", "training", "transfer")
MODELS = ("vgg16", "alexnet", "squeezenet1_0")
PEERS = ("pytorch", "compiled", "onnxruntime", "openvino")
PACKAGES = ("minitl", "numpy", "numba", "scipy", "torch", "onnx", "onnxruntime", "openvino")
SIDES = (96, 160, 320)  # of square pictures
HOME = Path(__file__).parent / "results"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog="\n".join(__doc__.splitlines()[2:]), formatter_class=_Whole
    )
    made.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)} (default: all; see --quick)")
    made.add_argument("--sections", nargs="+", choices=SECTIONS, help="default: all; see --quick")
    made.add_argument("--peers", nargs="*", choices=PEERS, help="default: all that are installed")
    made.add_argument("--batch", nargs="+", type=int, default=None, help="of inference, after MODEL (default: 1 8 32)")
    made.add_argument("--threads", type=int, default=cores(), help="of everybody (default: as many as cores)")
    made.add_argument("--rounds", type=int, help="how often each is timed (default: 7; see --quick)")
    made.add_argument("--seconds", type=float, help="after which a comparison begins no further round (default: 10)")
    made.add_argument("--minutes", type=float, help="after which nothing further is begun (default: 14; see --quick)")
    made.add_argument("--quick", action="store_true", help="AlexNet and SqueezeNet, few rounds: 2 minutes")
    made.add_argument("--json", type=Path, help="where to write (default: results/cpu-DATE.json, plots beside it)")
    made.add_argument("--no-plots", action="store_true")
    return made


class _Whole(argparse.RawDescriptionHelpFormatter):
    """Shows the text as it is written."""


def main() -> int:
    """Runs, writes the figures and the plots, prints the tables last; 1 if minitl failed or disagreed anywhere."""
    made = parser()
    options = made.parse_args()
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        made.error(f"no network {unknown[0]!r} is compared here; there are {', '.join(MODELS)}")
    if not 1 <= options.threads <= cores():
        made.error(f"--threads must be from 1 to {cores()}, the cores that may be used here; got {options.threads}")
    if min(options.batch or [1]) < 1 or (options.rounds is not None and options.rounds < 1):
        made.error("--batch and --rounds must be at least 1")
    os.environ.update(environment(options.threads))  # before any library is loaded that reads it

    path = options.json or HOME / f"cpu-{date.today().isoformat()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)

    def keep(result: dict[str, Any]) -> None:
        beside = path.with_name(f"{path.name}.part")
        beside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)

    result = run(options, keep)
    written = [path]
    if not options.no_plots:
        from on_cpu.plots import write

        written += write(result, path)
    from on_cpu.tables import text

    print(f"\n{text(result)}\n\nwritten: {', '.join(map(str, written))}")
    return 1 if result["wrong"] else 0


def run(options: argparse.Namespace, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Everything that was asked for, as it is written. keep: is given what there is so far after every section."""
    quick = options.quick
    models = options.models or [name for name in MODELS if not quick or name != "vgg16"]
    sections = options.sections or (QUICK if quick else SECTIONS)
    peers = installed() if options.peers is None else set(options.peers) & installed()
    if quick:
        peers -= {"compiled"}
    setting = Setting(options.threads, options.rounds or (3 if quick else 7), _or(options.seconds, 3 if quick else 10))
    setting.minutes = _or(options.minutes, 1.7 if quick else 14)
    setting.peers = frozenset(peers)
    for name in sorted(set(PEERS) - set(peers)):
        setting.note(f"not compared with: {name}")
    _set_threads(options.threads, peers)
    from on_cpu.rows import add_shares

    from minitl.cli import ceilings

    began = Busy()
    setting.say("what the machine can do at most")
    measured = [ceilings.measure(options.threads)]
    rows: list[Row] = []

    def result() -> dict[str, Any]:
        highest = {kind: max(each[kind] for each in measured) for kind in measured[0]}
        add_shares(rows, highest, options.threads)
        return {
            "machine": describe(*(name for name in PACKAGES if _has(name))),
            "threads": options.threads,
            "others": began.others(),
            "minutes": began.seconds() / 60,
            "ceilings": highest,
            "ceilings_measured": measured,
            "rows": rows,
            "notes": setting.notes,
            "wrong": setting.wrong,
        }

    batches = options.batch or ((1, 8) if quick else (1, 8, 32))
    for section in (name for name in SECTIONS if name in sections and name != "threads"):
        for model in models:
            if not setting.late(f"{section} of {model}"):
                rows += _section(section, model, batches, quick, setting)
                keep(result())
    counts = [2**i for i in range(cores().bit_length()) if 2**i < options.threads]
    if "threads" in sections and counts and not setting.late("other numbers of threads"):
        from on_cpu import apart

        passed = ["--rounds", str(setting.rounds), "--seconds", str(setting.seconds)]
        passed += ["--peers", *sorted(peers - {"compiled"})]
        rows += apart.threads(models, 8, counts, passed, setting)
    measured.append(ceilings.measure(options.threads))
    keep(result())
    return result()


def _or(asked: float | None, usual: float) -> float:
    return usual if asked is None else asked


def _section(section: str, model: str, batches: Any, quick: bool, setting: Setting) -> list[Row]:
    from on_cpu import apart, sections

    parts: dict[str, Callable[[], list[Row]]] = {
        "inference": lambda: sections.inference(model, batches, setting),
        "training": lambda: sections.training(model, 8, setting),
        "memory": lambda: apart.memory(model, 8, setting),
        "transfer": lambda: sections.transfer(model, 8, setting),
        "layers": lambda: sections.layers(model, 8, setting, backward=not quick),
        "sizes": lambda: sections.sizes(model, SIDES, setting),
    }
    return parts[section]()


def installed() -> set[str]:
    """The peers that can be compared with here."""
    from on_cpu import runtimes

    found = runtimes.installed()
    if _has("torch"):
        from on_cpu.pytorch import can_compile

        found |= {"pytorch", "compiled"} if can_compile() else {"pytorch"}
    return found


def _has(package: str) -> bool:
    return package == "minitl" or importlib.util.find_spec(package) is not None


def _set_threads(count: int, peers: set[str]) -> None:
    """For libraries that may have been loaded before, or that do not read the environment."""
    if "pytorch" in peers:
        import torch  # before minitl's threads begin, so that its OpenMP waits as it does by itself

        torch.set_num_threads(count)
    import minitl as tl

    tl.set_num_threads(count)


if __name__ == "__main__":
    sys.exit(main())
