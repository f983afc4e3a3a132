"""Does tenfold train and draw with a DCGAN as fast as it says? tenfold and its peers in one run, images a second.

The article's DCGAN at 128x128x3: in tenfold's own loop with all that it does beside training, in Keras as such an
article writes it, and in plain eager PyTorch as tutorials write it. The networks have the same number of parameters,
the batch is the same, and each contestant has a process of its own; they take turns, so that whatever else the
machine does hits all alike.

    python benchmarks/generators.py [--quick] [--keras PYTHON] [--out benchmarks/results/generators.md]

Keras is no requirement of tenfold: it may be installed in an environment of its own, whose interpreter is PYTHON.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from augment_timing import paired_ratio
from generators_race import Contestant, Figures, race
from generators_setting import Setting
from generators_small import on_gpu, small_network
from shared import Comparison, keep_comparisons

from tenfold.core.keys import Key
from tenfold.training.device import available_cores

OURS, HALF, EAGER, KERAS = "tenfold, float32", "tenfold, bfloat16", "PyTorch, eager", "Keras, as articles write it"
GOALS = {KERAS: 1.5, EAGER: 1.2}
"""Training images a second: tenfold's over the peer's."""
GOAL_THREADS = 2
IMAGES = 640
DRAWN = 64
ASK_KERAS = "import keras; print('keras', keras.__version__, 'on', keras.backend.backend())"


def contestants(keras: str) -> list[Contestant]:
    return [
        Contestant(OURS, "generators_ours.py"),
        Contestant(HALF, "generators_ours.py", ("bfloat16",)),
        Contestant(EAGER, "generators_eager.py"),
        Contestant(KERAS, "generators_keras.py", interpreter=keras),
    ]


def setting(size: int, batch: int, threads: int, pixels: Path) -> Setting:
    """The article's: half of the batch is real; generator from 1024 channels, then 128 at every size."""
    halvings = int(np.log2(size // 4))
    return Setting(
        size=size,
        real=batch // 2,
        generated=batch // 2,
        generator_widths=(1024, *[128] * (halvings - 1)),
        threads=threads,
        pixels=str(pixels),
        seed=Key("benchmark/noise").seed,
    )


def write_pixels(path: Path, size: int, count: int) -> None:
    pixels = Key("benchmark/pixels").numpy_generator().integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    np.save(path, pixels)


def table(figures: dict[str, Figures], run: Setting) -> list[str]:
    """A row a contestant: speeds, and how many times as fast tenfold in float32 is (median and quartiles)."""
    lines = [
        f"## {run.size}x{run.size}x3, {run.threads} thread{'s' * (run.threads > 1)}",
        "",
        f"The critic's step: {run.real} real and {run.real} generated images; the generator's: {run.generated}.",
        "",
        "| | training, real images/s | processor seconds a step | drawing, images/s | most memory |",
        "|---|---|---|---|---|",
    ]
    for name, each in figures.items():
        trained = f"{run.real / np.median(each.step):.2f}{_ratio(figures, name, 'step')}"
        processor = f"{np.median(each.processor):.2f}{_ratio(figures, name, 'processor')}"
        drawn = f"{DRAWN / np.median(each.drawing):.0f}{_ratio(figures, name, 'drawing')}"
        lines.append(f"| {name} | {trained} | {processor} | {drawn} | {each.memory / 2**20:.0f} MiB |")
    return [*lines, ""]


def _ratio(figures: dict[str, Figures], name: str, what: str) -> str:
    if name == OURS or OURS not in figures:
        return ""
    ratio = paired_ratio(getattr(figures[OURS], what), getattr(figures[name], what))
    return f" · {ratio.median:.2f}x ({ratio.lower:.2f}..{ratio.upper:.2f})"


def verdicts(figures: dict[str, Figures], threads: int) -> list[str]:
    """A line for each goal and each precision; none where the peer is missing."""
    lines = []
    for peer, factor in GOALS.items():
        for ours in (OURS, HALF):
            if peer in figures and ours in figures:
                ratio = paired_ratio(figures[ours].step, figures[peer].step)
                met = "met" if ratio.median >= factor else "NOT MET"
                speed = f"{ratio.median:.2f}x ({ratio.lower:.2f}..{ratio.upper:.2f})"
                cores = f"{threads} thread{'s' * (threads > 1)}"
                lines.append(f"- training, {cores}: {ours} {speed} as fast as {peer}, goal {factor:g}x: {met}")
    return lines


def compared(figures: dict[str, Figures], run: Setting) -> list[Comparison]:
    """Training, in both precisions, with each peer."""
    where = f"{run.size}x{run.size}x3, {run.threads} thread{'s' * (run.threads > 1)}"
    return [
        Comparison(
            f"training a DCGAN in {ours.removeprefix('tenfold, ')}, {where}",
            peer,
            *paired_ratio(figures[ours].step, figures[peer].step),
        )
        for ours in (OURS, HALF)
        for peer in (EAGER, KERAS)
        if ours in figures and peer in figures
    ]


def _header(keras: str, rounds: int) -> list[str]:
    answer = subprocess.run([keras, "-c", ASK_KERAS], capture_output=True, text=True, check=False)
    peer = answer.stdout.strip() or "no keras"
    hardware = f"{platform.machine()}, {available_cores()} cores, load before {os.getloadavg()[0]:.1f}"
    return [
        "# Generators: tenfold and its peers in one run",
        "",
        f"{hardware}; torch {version('torch')}, {peer}. Made by `python benchmarks/generators.py`.",
        "",
        f"The median of {rounds} rounds · how many times as fast tenfold in float32 is: the median of the ratios",
        "within the rounds, and their quartiles. Where others keep the machine busy, compare the processor seconds.",
        "tenfold draws on one thread, whatever it trains on, so that no image depends on the machine.",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a look: 32x32x3, small batches, one block")
    parser.add_argument("--keras", default=sys.executable, metavar="PYTHON", help="an interpreter that has keras")
    parser.add_argument("--batch", type=int, default=None, help="real and generated images of the critic's step")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--comparisons", type=Path, help="a .json for run.py")
    wanted = parser.parse_args()
    size, batch, rounds = (32, 8, 3) if wanted.quick else (128, 256, 7)
    batch, rounds = wanted.batch or batch, wanted.rounds or rounds
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    lines, goals, missing, comparisons = _header(wanted.keras, rounds), [], [], list[Comparison]()
    with tempfile.TemporaryDirectory() as folder:
        pixels = Path(folder) / "pixels.npy"
        write_pixels(pixels, size, IMAGES)
        for threads in (GOAL_THREADS,) if wanted.quick else (GOAL_THREADS, 1):
            common = setting(size, batch, threads, pixels)
            figures, left_out = race(contestants(wanted.keras), common, rounds, steps=1, drawn=DRAWN)
            part = table(figures, common)
            print("\n".join(part), flush=True)
            lines += part
            goals += verdicts(figures, threads)
            comparisons += compared(figures, common)
            missing += left_out
    ending = ["## A small convolutional network, 32x32x3, 64 channels, batch 128", ""]
    for threads in (GOAL_THREADS, 1):
        ending += small_network(threads, 8 if wanted.quick else 128, rounds)
    ending += ["", "## On a GPU", "", *on_gpu(common, rounds), "", "## The goals", "", *goals, ""]
    ending += [f"Left out: {reason}." for reason in dict.fromkeys(missing)]
    print("\n".join(ending))
    keep_comparisons(wanted.comparisons, comparisons)
    if wanted.out:
        wanted.out.write_text("\n".join(lines + ending).rstrip() + "\n")


if __name__ == "__main__":
    main()
