"""Every benchmark that runs beside a peer, one after the other, and docs/performance.md from what they found.

    TENFOLD_DATA=... python benchmarks/run.py [--quick] [--only augment,starts] [--keras PYTHON]
        [--out docs/performance.md]

tenfold and the peer take part in one run each time, so that a machine which others use too hits both alike; compare
ratios and no seconds. Peers that are missing are left out, and so is a benchmark that fails, which the page says.
What was measured before and is not measured now stays in benchmarks/results/performance.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shared import Comparison, machine, table

from tenfold.core.files import read_json, write_json, write_text

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "performance.json"


@dataclass(frozen=True)
class Benchmark:
    """A script beside this one that takes `--comparisons FILE`."""

    name: str
    title: str
    usual: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    """In place of the usual ones: for a look."""


STARTS = (
    *("--sets", "wbc", "--per-class", "0", "--draws", "1"),
    *("--arms", "probe;classical+transfer;peer", "--out", "starts"),
)
BENCHMARKS = (
    Benchmark("augment", "Augmentation, images a second", ("--rounds", "15"), ("--quick",)),
    Benchmark("generators", "Generators, training images a second", (), ("--quick",)),
    Benchmark("classifier", "The classifier's loop, images a second", ("--per-class", "20", "--subsets", "2"),
        ("--per-class", "10", "--subsets", "1")),
    Benchmark("writing", "Writing images, images a second", ("--out", "writing.md"),
        ("--sides", "32", "--rounds", "1", "--out", "writing.md")),
    Benchmark("starts", "Classifiers that begin at ImageNet, seconds with the predictions", STARTS, STARTS),
)  # fmt: skip


def compared(benchmark: Benchmark, options: Iterable[str]) -> dict[str, Any]:
    """What a benchmark found, or how it ended."""
    with TemporaryDirectory() as work:
        found = Path(work) / "comparisons.json"  # everything else that it writes is thrown away
        command = [sys.executable, str(HERE / f"{benchmark.name}.py"), *options, "--comparisons", str(found)]
        data = os.environ.get("TENFOLD_DATA")
        environment = {**os.environ, **({"TENFOLD_DATA": str(Path(data).resolve())} if data else {})}
        code = subprocess.run(command, check=False, cwd=work, env=environment).returncode
        rows = read_json(found) if found.exists() else []
    return {"title": benchmark.title, "hardware": machine(), "failed": code, "rows": rows}


def page(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Markdown: a table a benchmark."""
    yield "# Performance"
    yield ""
    yield (
        "How many times as fast tenfold is as what people would use instead, both in one run; in brackets the "
        "quartiles over its rounds. Made by `python benchmarks/run.py`; how each measures stands in its script."
    )
    for name, found in results.items():
        yield from ("", f"## {found['title']}", "", f"`benchmarks/{name}.py`; {found['hardware']}.", "")
        if found["failed"]:
            yield f"It ended with {found['failed']}; what it had found until then is here."
            yield ""
        rows = [Comparison(**row) for row in found["rows"]]
        yield from table(["what", "beside", "times as fast"], [(row.what, row.peer, row.words) for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a look: few rounds, small sizes; writes no page")
    parser.add_argument("--only", help="benchmarks by name")
    parser.add_argument("--keras", default=sys.executable, metavar="PYTHON", help="an interpreter that has keras")
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "performance.md")
    wanted = parser.parse_args()
    known: dict[str, Any] = read_json(RESULTS) if RESULTS.exists() else {}
    chosen = wanted.only.split(",") if wanted.only else [benchmark.name for benchmark in BENCHMARKS]
    for benchmark in BENCHMARKS:
        if benchmark.name not in chosen:
            continue
        options = [*(benchmark.quick if wanted.quick else benchmark.usual)]
        options += ["--keras", wanted.keras] if benchmark.name == "generators" else []
        known[benchmark.name] = compared(benchmark, options)
        if not wanted.quick:
            write_json(RESULTS, known)
    in_order = {benchmark.name: known[benchmark.name] for benchmark in BENCHMARKS if benchmark.name in known}
    text = "\n".join(page(in_order)) + "\n"
    print(text)
    if not wanted.quick:
        write_text(wanted.out, text)


if __name__ == "__main__":
    main()
