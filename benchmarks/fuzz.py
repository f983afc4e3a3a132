"""Damaged inputs of every kind that tenfold reads: each is read, or refused by an error that says why.

Nothing else is right: no other exception, no crash, no more than 5 seconds, no more than 1 GB of memory for all of
the process. What is found is kept with its number, which makes the same input again.

    python benchmarks/fuzz.py [--inputs 7000] [--kinds npz,runs] [--seed 0] [--minutes 60] [--workers 1] [--out FILE]
    python benchmarks/fuzz.py --replay FILE.json
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from fuzz_readers import KINDS, Sample, contents, inputs
from shared import machine, table

from tenfold.core.configuration import to_json
from tenfold.core.errors import InputError, MethodFailed
from tenfold.core.exit_codes import INPUT_REFUSALS
from tenfold.core.files import read_json, write_json, write_text
from tenfold.core.keys import Key
from tenfold.data.decoding.pixels import UnreadableError

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What the command line ends with status 2 on; typer brings a click of its own."""
LONGEST = 5.0
"""Seconds for one input."""
LARGEST = 1 << 30
"""Bytes of memory that the process may hold, Python and torch among them."""
AT_ONCE = 20_000
"""Inputs of one process."""
MOST_KEPT = 5
"""Failures of one cause that are kept."""


class TookTooLong(BaseException):
    """No `except Exception` stops it."""


@dataclass
class Told:
    """What became of inputs of one kind."""

    inputs: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    """Seconds."""
    peak_bytes: int = 0
    seconds: float = 0.0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Told) -> None:
        self.inputs += other.inputs
        self.read += other.read
        self.refused += other.refused
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        self.failures += other.failures


def outcome(kind: str, folder: Path) -> str:
    """`read`, `refused`, or whatever else came of it in one line.

    Raises:
        TookTooLong: after 5 seconds.
    """
    try:
        with redirect_stderr(io.StringIO()):
            KINDS[kind].read(folder)
    except (InputError, MethodFailed, UnreadableError, UsageError):
        return "refused"
    except Exception as error:
        if isinstance(error, OSError) and error.errno in INPUT_REFUSALS:
            return "refused"
        frames = traceback.extract_tb(error.__traceback__)
        ours = next((frame for frame in reversed(frames) if "tenfold" in frame.filename), frames[-1])
        return f"{type(error).__name__} at {Path(ours.filename).name}:{ours.lineno} ({str(error)[:120]!r})"
    return "read"


def damaged(kind: str, seed: int, numbers: range, folder: Path) -> Any:
    """The inputs of these numbers, by number, as they are written into `folder`/input."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        samples = KINDS[kind].samples(Path(made))
    before: Sample = {}
    for number, sample in inputs(KINDS[kind], samples, Key("fuzz") / seed / kind, numbers):
        place = folder / "input"
        if kind == "runs" or sample.keys() != before.keys():  # reading a run writes into it
            shutil.rmtree(place, ignore_errors=True)
            before = {}
        for name, content in sample.items():
            if before.get(name) != content:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(content)
        before = sample
        yield number, place


def read_all(kind: str, seed: int, numbers: range, folder: Path, at: Any, pipe: Any) -> None:
    """In a process of its own: read inputs one after the other and send what became of them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where libraries of images tell of each fault
    signal.signal(signal.SIGALRM, _too_long)
    told, started = Told(), time.process_time()
    for number, place in damaged(kind, seed, numbers, folder):
        if not told.inputs:
            _limit_memory()
        at.value = number
        faulthandler.dump_traceback_later(3 * LONGEST, exit=True)  # where no Python runs that an alarm would stop
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
        begun = time.perf_counter()
        try:
            became = outcome(kind, place)
        except TookTooLong:
            became = f"took more than {LONGEST:g} s"
        signal.setitimer(signal.ITIMER_REAL, 0)
        told.slowest = max(told.slowest, time.perf_counter() - begun)
        told.inputs += 1
        if became in ("read", "refused"):
            setattr(told, became, getattr(told, became) + 1)
        else:
            pipe.send({"kind": kind, "seed": seed, "number": number, "became": became})
    faulthandler.cancel_dump_traceback_later()
    told.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told.seconds = time.process_time() - started
    pipe.send(told)


def worker(*given: Any) -> None:
    """`read_all`; a fault of this program itself is sent, too."""
    try:
        read_all(*given)
    except Exception:
        given[-1].send(traceback.format_exc())
        raise


def _too_long(*_: object) -> None:
    raise TookTooLong


def _limit_memory() -> None:
    """No more than 1 GB in all: what is mapped but not held, such as libraries, counts on top."""
    mapped, held = (int(pages) * resource.getpagesize() for pages in Path("/proc/self/statm").read_text().split()[:2])
    resource.setrlimit(resource.RLIMIT_AS, (mapped + LARGEST - held,) * 2)


def slice_of(kind: str, seed: int, numbers: range, where: Path) -> Told:
    """What became of these inputs; a process that dies is followed by another, behind the input that killed it."""
    spawn, told = multiprocessing.get_context("spawn"), Told()
    while numbers:
        at = spawn.Value("q", numbers.start)
        receiver, sender = spawn.Pipe(duplex=False)
        with tempfile.TemporaryDirectory(dir=where) as folder:
            process = spawn.Process(target=worker, args=(kind, seed, numbers, Path(folder), at, sender))
            process.start()
            sender.close()
            ended = False
            try:
                while True:
                    message = receiver.recv()
                    if isinstance(message, str):
                        raise RuntimeError(message)
                    if ended := isinstance(message, Told):
                        told.add(message)
                    else:
                        told.failures.append(message)
            except EOFError:
                process.join()
        if ended:
            break
        became = f"the process died with {process.exitcode}"
        told.failures.append({"kind": kind, "seed": seed, "number": at.value, "became": became})
        told.inputs += at.value + 1 - numbers.start
        numbers = range(at.value + 1, numbers.stop)
    return told


def fuzz(kinds: Sequence[str], count: int, seed: int, minutes: float, workers: int) -> dict[str, Told]:
    """About `count` inputs in all, the same number of each kind, as far as the time lasts."""
    end = time.monotonic() + 60 * minutes
    each = -(-count // len(kinds))
    starts = range(0, each, AT_ONCE)
    slices = [(kind, range(start, min(each, start + AT_ONCE))) for start in starts for kind in kinds]
    told = {kind: Told() for kind in kinds}
    memory = Path("/dev/shm")

    def read(one: tuple[str, range]) -> None:
        if time.monotonic() < end:
            with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as where:
                found = slice_of(one[0], seed, one[1], Path(where))
            told[one[0]].add(found)
            print(f"{one[0]} {one[1].start}..{one[1].stop}: {len(found.failures)} failures", flush=True)
            for failure in found.failures:
                print(f"    {failure['number']}: {failure['became']}", flush=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(read, slices))  # to the end, and to any exception
    return told


def causes(failures: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(f"{one['kind']}: {one['became'].partition(' (')[0]}" for one in failures)


def report(told: dict[str, Told], seed: int) -> list[str]:
    total = Told()
    for one in told.values():
        total.add(one)
    rows = [
        [
            kind, f"{one.inputs:,}", f"{one.read:,}", f"{one.refused:,}", len(one.failures), f"{one.slowest:.2f}",
            f"{one.peak_bytes / 2**20:,.0f}",
        ]
        for kind, one in [*told.items(), ("all", total)]
    ]  # fmt: skip
    return [
        "# Damaged inputs: is each read, or refused by an error that says why?",
        "",
        f"`python benchmarks/fuzz.py --inputs {total.inputs} --seed {seed}` ({machine()};",
        f"{total.seconds / 60:.0f} minutes of one core). Anything else than reading it or refusing it as an input",
        f"error (exit status 2) is a failure: another exception, a crash, more than {LONGEST:g} s, more than",
        f"{LARGEST >> 30} GB of memory for all of the process. What is damaged, and how, is in fuzz_readers.py and",
        "fuzz_inputs.py.",
        "",
        *table(["kind", "inputs", "read", "refused", "failures", "slowest, s", "peak, MB"], rows),
        "",
        *(f"- {count} × {cause}" for cause, count in causes(total.failures).most_common()),
    ]


def replay(path: Path) -> None:
    """Make the inputs that failed once more, and show what they end in today."""
    for one in read_json(path)["failures"]:
        with tempfile.TemporaryDirectory() as folder:
            number = one["number"]
            for _, place in damaged(one["kind"], one["seed"], range(number, number + 1), Path(folder)):
                print(f"{one['kind']} {number}: {one['became']} -> today: {outcome(one['kind'], place)}")
                if "--show" in sys.argv:
                    for name, content in contents(place).items():
                        print(f"  {name}: {content[:600]!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=7_000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("fuzz.md"))
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--show", action="store_true", help="with --replay: the files too")
    options = parser.parse_args()
    if options.replay:
        return replay(options.replay)
    told = fuzz(options.kinds.split(","), options.inputs, options.seed, options.minutes, options.workers)
    kept: Counter[str] = Counter()
    failures = []
    for failure in (failure for one in told.values() for failure in one.failures):
        (cause,) = causes([failure])
        kept[cause] += 1
        if kept[cause] <= MOST_KEPT:
            failures.append(failure)
    kinds = {kind: {**to_json(one), "failures": len(one.failures)} for kind, one in told.items()}
    write_json(options.out.with_suffix(".json"), {"machine": machine(), "kinds": kinds, "failures": failures})
    write_text(options.out, "\n".join(report(told, options.seed)) + "\n")
    print("\n".join(report(told, options.seed)))


if __name__ == "__main__":
    main()
