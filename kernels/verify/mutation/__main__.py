"""The command that counts how many planted faults the checks find."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from .argued import EQUIVALENT as ARGUED
from .bench import BROKEN, KILLED, SURVIVED, UNREACHED, Outcome
from .engine import CASES, run
from .fixed import fixed
from .sampling import all_mutants, sample, sources

OPEN = (SURVIVED, UNREACHED, BROKEN)  # what must be killed or argued for


def main() -> int:
    """Prints survivors and the share killed; 1 if a survivor is not argued for."""
    parser = argparse.ArgumentParser(prog="python -m minitl.kernels.verify.mutation", description=__doc__)
    parser.add_argument("ops", nargs="*", help="folders of kernels/ or ends of files' names; all by default")
    parser.add_argument("--sample", type=int, help="try so many, drawn by --seed, from every file some")
    parser.add_argument("--fixed", action="store_true", help="try the few that the tests plant")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=CASES, help="calls of each op that a mutant is tried on")
    parser.add_argument("--processes", type=int, help="mutants tried at a time; as many as there are cores by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what became of each")
    options = parser.parse_args()
    ops = options.ops
    planted = all_mutants([f for f in sources() if not ops or any(f.startswith(f"{o}/") or f.endswith(o) for o in ops)])
    if options.fixed:
        planted = fixed()
    elif options.sample is not None and options.sample < len(planted):
        planted = sample(planted, options.sample, options.seed)
    done = 0

    def told(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome.result in OPEN and outcome.mutant.key not in ARGUED:
            print(f"{outcome.result}: {outcome.mutant} {outcome.by}".rstrip(), flush=True)
        if done % 20 == 0 or done == len(planted):
            print(f"{done} of {len(planted)} tried", file=sys.stderr, flush=True)

    outcomes = run(planted, options.cases, options.processes, told)
    report = summary(outcomes)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(", ".join(f"{count} {result}" for result, count in report["results"].items()))
    print(f"killed {report['killed']} of {report['tried']} that differ: {report['score']:.1%}")
    return int(report["killed"] < report["tried"])


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """The counts, the score, and what became of each mutant. One argued to be equivalent is not tried."""
    results: Counter[str] = Counter()
    listed = []
    for outcome in outcomes:
        result = outcome.result
        if result in OPEN and outcome.mutant.key in ARGUED:
            result = "argued equivalent"
        results[result] += 1
        mutant = {k: v.strip() if isinstance(v, str) else v for k, v in dataclasses.asdict(outcome.mutant).items()}
        listed.append({**mutant, "result": result, "by": outcome.by})
    tried = results[KILLED] + sum(results[result] for result in OPEN)
    score = results[KILLED] / max(tried, 1)
    return {"results": dict(results), "killed": results[KILLED], "tried": tried, "score": score, "mutants": listed}


if __name__ == "__main__":
    sys.exit(main())
