"""Run every benchmark (bench_*.py beside this file), print a table, write build/bench.json.

A benchmark is a module with `run() -> list[Result]`. Names given as arguments choose (`core_ping`). With
--check the exit status is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from measure import Result

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "build" / "bench.json"


def as_json(result: Result) -> dict[str, str | float]:
    """The entry of build/bench.json."""
    return {
        "name": result.name,
        "value": round(result.value, 3),
        "unit": result.unit,
        "anchor": result.anchor,
        "anchor_value": round(result.anchor_value, 3),
        "ratio": round(result.ratio, 3),
        "goal": result.goal,
    }


def row(result: Result) -> str:
    """A line of the table."""
    met = "met" if result.ratio >= result.goal else "MISSED"
    return (
        f"{result.name:32} {result.value:>14,.0f} {result.unit:12} {result.anchor_value:>14,.0f} "
        f"{result.anchor:26} {result.ratio:>7.2f} {result.goal:>5.2f}  {met}"
    )


def kept(names: list[str]) -> list[dict[str, str | float]]:
    """What an earlier run wrote, where this one runs some benchmarks only."""
    if not names or not OUTPUT.exists():
        return []
    earlier: list[dict[str, str | float]] = json.loads(OUTPUT.read_text(encoding="utf-8"))
    return earlier


def main() -> int:
    """Run what was asked for; 1 when a goal is missed and that was asked, 2 for an unknown name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", help="benchmarks to run, without bench_ and .py; all when none is given"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    options = parser.parse_args()
    known = {path.stem.removeprefix("bench_"): path.stem for path in sorted(HERE.glob("bench_*.py"))}
    unknown = sorted(set(options.names) - set(known))
    if unknown:
        print(f"error: no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    print(
        f"{'name':32} {'value':>14} {'unit':12} {'anchor value':>14} {'anchor':26} {'ratio':>7} {'goal':>5}"
    )
    results: list[Result] = []
    for name in options.names or known:
        for result in importlib.import_module(known[name]).run():
            results.append(result)
            print(row(result), flush=True)
    entries = {str(entry["name"]): entry for entry in kept(options.names)}
    entries |= {result.name: as_json(result) for result in results}
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(list(entries.values()), indent=2) + "\n", encoding="utf-8")
    print(f"written: {OUTPUT.relative_to(HERE.parent)}")
    return 1 if options.check and any(result.ratio < result.goal for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
