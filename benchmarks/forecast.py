"""What `--dry-run` says of the time and the memory of a study, beside what the study then takes.

Each study is forecast and run by the command line, one directly after the other: a machine that others use is
about as busy in both. A study that ends early is compared with what was told of that look.

    TENFOLD_DATA=... python benchmarks/forecast.py [--studies "digits;wbc --arms raw,classical"] [--rounds 1]
        [--out benchmarks/results/forecast]
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memory import family, taken_bytes
from shared import Cell, machine, table, write_cells

STUDIES = (
    "digits --repeats 2",
    "mnist --per-class 20 --arms raw,classical,classical+mixup,classical+cgan --repeats 1",
    "wbc --arms raw,classical,classical+mixup,probe --repeats 1",
    "cifar10 --per-class 20 --arms raw,classical,classical+mixup --repeats 1",
)
COMMAND = [sys.executable, "-c", "from tenfold.cli import main; main()"]
LOOKS_A_SECOND = 4
"""At the memory that a study and its workers hold."""


def measured(study: str, work: Path) -> Cell:
    """Forecast and real seconds of one study, and the most bytes."""
    prove = [*COMMAND, "prove", *shlex.split(study)]
    environment = {**os.environ, "TENFOLD_CACHE": str(work / "cache")}  # no features of earlier studies
    started = time.monotonic()
    said = subprocess.run(
        [*prove, "--dry-run", "--json"], env=environment, check=True, capture_output=True, text=True
    )
    asking, forecast = time.monotonic() - started, json.loads(said.stdout)
    seconds, memory = real(prove, environment, work / "run")
    found = json.loads((work / "run" / "verdict.json").read_text())
    done = str(found["repeats"])
    expected = forecast["seconds_to_looks"].get(done, forecast["seconds"])
    return {
        "study": study,
        "asking": round(asking, 1),
        "probe": forecast["pilot"]["seconds"],
        "forecast_seconds": expected,
        "seconds": round(seconds, 1),
        "forecast_bytes": forecast["memory_bytes"],
        "bytes": memory,
    }


def real(prove: list[str], environment: dict[str, str], out: Path) -> tuple[float, int]:
    """Seconds on the clock, and the most memory of the command and its workers; pages that they share count once."""
    started, most = time.monotonic(), 0
    with subprocess.Popen([*prove, "--out", str(out)], env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, sum(taken_bytes(one) for one in family(process.pid)))
            time.sleep(1 / LOOKS_A_SECOND)
    if process.returncode:
        raise SystemExit(f"{shlex.join(prove)} ended with {process.returncode}")
    return time.monotonic() - started, most


def page(cells: list[Cell]) -> Iterator[str]:
    """Markdown: a row a study."""
    rows = [
        [
            f"`tenfold prove {cell['study']}`",
            f"{cell['probe']:.0f}",
            f"{cell['forecast_seconds']:.0f}",
            f"{cell['seconds']:.0f}",
            f"{cell['seconds'] / cell['forecast_seconds']:.2f}",
            f"{cell['forecast_bytes'] / 2**20:,.0f}",
            f"{cell['bytes'] / 2**20:,.0f}",
            f"{cell['bytes'] / cell['forecast_bytes']:.2f}",
        ]
        for cell in cells
    ]
    head = [
        "study",
        "cost probe, s",
        "forecast, s",
        "real, s",
        "real : forecast",
        "forecast, MiB",
        "real, MiB",
        "ratio",
    ]
    yield from table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", default=";".join(STUDIES))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/forecast"))
    wanted = parser.parse_args()
    cells: list[dict[str, Any]] = []
    for number in range(wanted.rounds):
        for study in wanted.studies.split(";"):
            with TemporaryDirectory() as work:
                cells.append({**measured(study, Path(work)), "round": number})
            print("\n".join(page(cells[-1:])), flush=True)
    words = "# The forecast of a study, and the study\n\n"
    words += f"`python benchmarks/forecast.py`; {machine()}. " + " ".join(__doc__.split("\n\n")[1].split())
    write_cells(wanted.out, cells, ("study", "round"), page, words)


if __name__ == "__main__":
    main()
