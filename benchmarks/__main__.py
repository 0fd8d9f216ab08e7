"""Run the benchmarks: all of them, or those named (`make bench B="idle runs"`).

Prints a table, writes JSON to var/bench/, and with `--docs` renews the table in docs/benchmarks.md. A missed limit is
named as missed and is no error: numbers are facts about a machine, not tests.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path

from tests.portal import ROOT

from . import machine
from .measure import Number, markdown, table

FOLDER = Path(__file__).resolve().parent
DOCS = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def known() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def measure(name: str) -> tuple[list[Number], str]:
    """The numbers of one file, and what went wrong with it ("" when nothing did)."""
    module = import_module(f"benchmarks.bench_{name}")
    with tempfile.TemporaryDirectory(prefix="fdd-bench-") as scratch:
        try:
            return list(module.measure(Path(scratch))), ""
        except Exception:  # noqa: BLE001 - one broken benchmark must not cost the numbers of the others
            return [], traceback.format_exc()


def write_docs(facts: dict[str, object], numbers: dict[str, list[Number]], broken: dict[str, str]) -> None:
    """Renew what stands between the two marks."""
    text = DOCS.read_text(encoding="utf-8")
    parts = [machine.sentence(facts), ""]
    for name, found in numbers.items():
        if found:
            parts += [f"### {name}", "", markdown(found), ""]
    for name in broken:
        parts += [f"### {name}", "", "**MISSED**: it could not be measured in this run.", ""]
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    DOCS.write_text(f"{head}{BEGIN}\n{chr(10).join(parts)}{END}{tail}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which: {', '.join(known())}; all when none is named")
    parser.add_argument("--docs", action="store_true", help="renew the table in docs/benchmarks.md")
    chosen = parser.parse_args()
    strangers = sorted(set(chosen.names) - set(known()))
    if strangers:
        parser.error(f"there is no benchmark {', '.join(strangers)}; there are: {', '.join(known())}")
    facts = machine.describe()
    say(machine.sentence(facts))
    numbers: dict[str, list[Number]] = {}
    broken: dict[str, str] = {}
    for name in chosen.names or known():
        began = time.monotonic()
        numbers[name], trouble = measure(name)
        say(f"\n{name} ({time.monotonic() - began:.0f} s)")
        say(table(numbers[name]) if numbers[name] else f"could not be measured:\n{trouble}")
        if trouble:
            broken[name] = trouble
    everything = [number for found in numbers.values() for number in found]
    missed = [number.name for number in everything if number.verdict == "MISSED"]
    say(
        f"\nmissed: {'; '.join(missed) if missed else 'none'}"
        + (f"; not measured: {', '.join(broken)}" if broken else "")
    )
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "machine": facts,
        "numbers": {n: [x.as_json() for x in found] for n, found in numbers.items()},
        "broken": broken,
    }
    path = folder / f"{str(facts['at']).replace(':', '')[:17]}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"as JSON: {path.relative_to(ROOT)}")
    if chosen.docs:
        write_docs(facts, numbers, broken)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
