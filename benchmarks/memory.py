"""What a study takes in memory with several workers, beside one.

Proves a made-up set of 20,000 images of 64 x 64 x 3 with each number of workers, stops after some minutes, and prints
the most memory that its processes took together: shared pages once (the proportional set size of Linux). Or what
`check` and `grow --with classical --times 2` take of a folder of so many JPEG files.

    python benchmarks/memory.py [--workers 1,4] [--images 20000] [--side 64] [--arms raw] [--seconds 180]
    python benchmarks/memory.py --files 10000 [--side 64] [--seconds 900]
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tenfold.core.keys import Key

START = "from tenfold.cli import main; main()"
LOOK_EVERY = 0.25
"""Seconds."""
GOAL = 1.5


def made_up(path: Path, count: int, side: int) -> None:
    """Ten classes of noise, each with a bright band at a height of its own, as an .npz."""
    random, labels = Key("memory").numpy_generator(), np.arange(count) % 10
    images = random.integers(0, 160, (count, side, side, 3), dtype=np.uint8)
    for label in range(10):
        top = label * side // 10
        images[labels == label, top : top + side // 10] += 90
    np.savez(path, images=images, labels=labels)


def made_up_files(folder: Path, count: int, side: int) -> None:
    """Ten classes of blurred noise in colour, as JPEG."""
    random = Key("memory").numpy_generator()
    for number in range(count):
        path = folder / f"class-{number % 10}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        noise.resize((side, side), Image.Resampling.BILINEAR).save(path, quality=80)


def family(root: int) -> list[int]:
    """A process and all that it has started, directly or not."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            after_name = status.read_text().rpartition(")")[2].split()
            parents[int(status.parent.name)] = int(after_name[1])
    result = [root]
    for process in result:
        result += [child for child, parent in parents.items() if parent == process]
    return result


def taken_bytes(process: int) -> int:
    """The process's own pages, and its share of those that others have too; 0 where it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def peak_bytes(command: list[str], seconds: float) -> tuple[int, int, int]:
    """The most that the command took within so many seconds, by how many processes, and what the largest one took."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as study:
        end, peak = time.monotonic() + seconds, (0, 0, 0)
        while study.poll() is None and time.monotonic() < end:
            taken = [taken_bytes(process) for process in family(study.pid)]
            peak = max(peak, (sum(taken), len(taken), max(taken)))
            time.sleep(LOOK_EVERY)
        if study.poll() is None:
            study.send_signal(signal.SIGINT)
            study.wait()
    return peak


def of_files(directory: Path, count: int, side: int, seconds: float) -> None:
    """What the commands that only read or write images take, and their seconds on all cores."""
    data, out = directory / "files", directory / "grown"
    made_up_files(data, count, side)
    for command in (["check", str(data)], ["grow", str(data), str(out), "--with", "classical", "--times", "2"]):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak, *_ = peak_bytes([sys.executable, "-c", START, *command], seconds)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{command[0]} of {count:,} files: {peak / 2**20:,.0f} MB, {busy:.0f} s of one core", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="1,4")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--arms", default="raw")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--files", type=int)
    options = parser.parse_args()
    if options.files:
        with tempfile.TemporaryDirectory() as directory:
            return of_files(Path(directory), options.files, options.side, options.seconds)
    peaks = {}
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "made-up.npz"
        made_up(data, options.images, options.side)
        for workers in options.workers.split(","):
            out = Path(directory) / f"out-{workers}"
            command = [sys.executable, "-c", START, "prove", str(data)]
            command += ["--arms", options.arms, "--out", str(out), "--workers", workers, "--no-learning-curve"]
            peaks[workers], processes, largest = peak_bytes(command, options.seconds)
            print(
                f"--workers {workers}: {peaks[workers] / 2**20:,.0f} MB in {processes} processes, "
                f"{largest / 2**20:,.0f} MB in the largest"
            )
    first, *others = peaks
    for workers in others:
        print(f"{workers} workers take {peaks[workers] / peaks[first]:.2f} times the memory of {first}; goal {GOAL}")


if __name__ == "__main__":
    main()
