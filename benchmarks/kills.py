"""Commands killed at random moments: does the same command alone end in the bytes of an undisturbed run?

    TENFOLD_DATA=... python benchmarks/kills.py [--seed 0] [--work DIR] [--out FILE.json]

Each command is killed (SIGKILL, its workers too) at five seeded shares of the work, two of them in the last tenth;
once more while it publishes what it made; and once twice in a row. Then it is given again as it was, until it ends.
A command that has ended is given once more, too.

The work is measured in processor time of the whole process group: on a shared machine the clock says little of how
far a command is. What is done lies under --work, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import operator
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from shared import machine, table

from tenfold.core.files import read_json, write_json, write_text
from tenfold.core.keys import Key

CGAN = "cgan(steps=40,width=8,label_filter=no,least_diversity=0)"
STUDY = "digits --baseline raw --arms raw,mixup --repeats 1 --no-learning-curve --images 24 --size 8 --workers 2"
ADAPT = "--per-class 10 --steps 4 --workers 2 --confidence 0.3"
COMMANDS: Mapping[str, Sequence[str]] = {
    "run": ["run", *STUDY.split(), "--grow", CGAN, "--out", "out"],
    "prove": ["prove", *STUDY.split(), "--out", "out"],
    "grow": ["grow", "digits", "out", "--with", CGAN, "--per-class", "20", "--times", "2"],
    "fit": ["fit", CGAN, "digits", "out", "--per-class", "20"],
    "restyle": ["restyle", "digits", "out", "--per-class", "6", "--steps", "12"],
    "adapt": ["adapt", "mnist", "--to", "digits", *ADAPT.split(), "--out", "out"],
}
PUBLISHING: Mapping[str, str] = {
    "run": "classifier.safetensors",
    "prove": "verdict.json",
    "grow": ".unfinished/published.json",
    "fit": "generator.safetensors",
    "restyle": ".unfinished/published.json",
    "adapt": ".labelled.*",
}
"""What appears in OUT as the command begins to publish: it is killed at once."""
PROGRAM = "from tenfold.cli import main; main()"
RESTYLE = (
    "from dataclasses import replace; from tenfold.methods import restyle as r; "
    "r.PRESETS['fast'] = replace(r.PRESETS['fast'], least_swap_accuracy=0, judge_steps=20, probe_steps=20); "
)
"""No training of seconds passes the gate of `restyle`, and without images there is little to publish."""
TIMES = ("seconds", "wall_seconds", "peak_bytes")
"""Keys of JSON that say how long a run took and how much memory: no two runs agree in them."""
TIME = re.compile(r"\b\d[\d.,]* (?:ms|s|min|h)(?: \d+ (?:s|min))?\b")
"""The same in report.html."""
LEFT_OVER = re.compile(r"\.lock$|\.unfinished|\.partial|checkpoint\.safetensors|^\.[^/]*$")
SHARES = ((0.05, 0.35), (0.35, 0.65), (0.65, 0.9), (0.9, 0.95), (0.95, 1.0))
LONGEST = 900.0
POLL = 0.02

Until = Callable[[float], bool]


@dataclass(frozen=True)
class Case:
    """A command that was disturbed, and how it ended."""

    command: str
    kind: str
    killed_at: list[float]
    """Shares of the undisturbed run's work that were done; in the second kill those of the second start."""
    status: int
    differing: list[str]
    left_over: list[str]

    @property
    def right(self) -> bool:
        return self.status == 0 and not self.differing and not self.left_over


def start(name: str, folder: Path) -> subprocess.Popen[bytes]:
    """The command in a folder, in a process group of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-c", (RESTYLE if name == "restyle" else "") + PROGRAM, *COMMANDS[name]]
    with open(folder.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(line, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def watched(name: str, folder: Path, until: Until = lambda _: False) -> tuple[int, float]:
    """Start it and kill it as soon as `until` says so of its work; its status (-9 if killed) and its work."""
    process, began, work = start(name, folder), time.monotonic(), 0.0
    try:
        while process.poll() is None and not until(work) and time.monotonic() - began < LONGEST:
            time.sleep(POLL)
            work = max(work, processor_time(process.pid))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait(), work


def processor_time(group: int) -> float:
    """Seconds that the living processes of a group have computed, with their ended children."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def digests(out: Path) -> dict[str, str]:
    """File -> the hash of its content, without what says how long a run took."""
    timed = {path.relative_to(out).as_posix() for path in files_of(out) if _is_timed(path)}
    return {
        (name := path.relative_to(out).as_posix()): hashlib.sha256(_timeless(path, name in timed, timed)).hexdigest()
        for path in files_of(out)
    }


def files_of(out: Path) -> Iterator[Path]:
    return (path for path in sorted(out.rglob("*")) if path.is_file())


def _is_timed(path: Path) -> bool:
    return path.suffix == ".html" or (path.suffix == ".json" and any(f'"{key}"' in path.read_text() for key in TIMES))


def _timeless(path: Path, is_timed: bool, timed: set[str]) -> bytes:
    if path.name == "manifest.jsonl":  # the hashes of files that tell times are as different as these
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return json.dumps([line | {"sha256": None} if line["file"] in timed else line for line in lines]).encode()
    if not is_timed:
        return path.read_bytes()
    if path.suffix == ".html":
        return TIME.sub("TIME", path.read_text()).encode()
    return json.dumps(_without_times(read_json(path)), sort_keys=True).encode()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in TIMES}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def judged(name: str, kind: str, folder: Path, wanted: Mapping[str, str], killed_at: Sequence[float]) -> Case:
    """Give the command again until it ends, and compare what it leaves."""
    status, _ = watched(name, folder)
    found = digests(folder / "out")
    differing = sorted(file for file in {*found, *wanted} if found.get(file) != wanted.get(file))
    everything = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    left_over = sorted(path for path in everything if LEFT_OVER.search(path))
    return Case(name, kind, [round(at, 3) for at in killed_at], status, differing, left_over)


def cases_of(name: str, work: Path, seed: int) -> Iterator[tuple[str, Callable[[Mapping[str, str], float], Case]]]:
    """Each by its name, to be done with what an undisturbed run leaves and its work."""
    random = Key(f"seed-{seed}") / "kills" / name

    def at_share(label: str, *ranges: tuple[float, float]) -> Callable[[Mapping[str, str], float], Case]:
        def kill(wanted: Mapping[str, str], whole: float) -> Case:
            folder = work / name / label
            killed_at: list[float] = []
            for number, (low, high) in enumerate(ranges):
                share = float((random / label / number).numpy_generator().uniform(low, high))
                status, done = watched(name, folder, partial(operator.le, share * whole))
                while status != -signal.SIGKILL and not number:  # it took less than the undisturbed run: by its own
                    folder.rename(folder.with_name(f"{label}-late-{time.time_ns()}"))
                    whole = 0.99 * done
                    status, done = watched(name, folder, partial(operator.le, share * whole))
                if status == -signal.SIGKILL:
                    killed_at.append(done / whole)
            kind = "twice" if len(ranges) > 1 else "last tenth" if ranges[0][0] >= 0.9 else "before"
            return judged(name, kind, folder, wanted, killed_at)

        return kill

    def publishing(wanted: Mapping[str, str], whole: float) -> Case:
        out = work / name / "publishing" / "out"
        _, done = watched(name, out.parent, lambda _: any(out.glob(PUBLISHING[name])))
        return judged(name, "publishing", out.parent, wanted, [done / whole])

    def again(wanted: Mapping[str, str], whole: float) -> Case:
        return judged(name, "ended before", work / name / "undisturbed", wanted, [])

    yield "publishing", publishing
    for number, share in reversed(list(enumerate(SHARES))):
        yield f"share-{number}", at_share(f"share-{number}", share)
    yield "twice", at_share("twice", (0.5, 0.95), (0.3, 0.9))
    yield "again", again


def undisturbed(name: str, work: Path) -> dict[str, Any]:
    """The command's work, the time it took, and how much it leaves."""
    began = time.monotonic()
    shutil.rmtree(work / name, ignore_errors=True)
    status, whole = watched(name, work / name / "undisturbed")
    if status:
        raise SystemExit(f"{name} fails undisturbed: see {work / name / 'undisturbed.log'}")
    seconds = round(time.monotonic() - began, 1)
    return {"work": whole, "seconds": seconds, "files": len(digests(work / name / "undisturbed" / "out"))}


def main() -> None:
    """Do what is left to do, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", action="append", choices=[*COMMANDS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/kills"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    names, work = options.command or [*COMMANDS], options.work.resolve()
    found: dict[str, Any] = read_json(work / "found.json") if (work / "found.json").exists() else {}
    todo = [list(cases_of(name, work, options.seed)) for name in names]
    for name in names:
        found.setdefault(name, None)
        found[name] = found[name] or {"undisturbed": undisturbed(name, work), "cases": {}}
        write_json(work / "found.json", found)
    for one_each in zip(*todo, strict=True):
        for name, (label, case) in zip(names, one_each, strict=True):
            whole = found[name]["undisturbed"]
            if label not in found[name]["cases"]:
                shutil.rmtree(work / name / label, ignore_errors=True)  # where this was broken off
                ended = case(digests(work / name / "undisturbed" / "out"), whole["work"])
                found[name]["cases"][label] = asdict(ended)
                print("right" if ended.right else "WRONG", ended, flush=True)
                write_json(work / "found.json", found)
    text = report(found, options.seed)
    print(text)
    if options.out:
        write_json(options.out, {"machine": machine(), "seed": options.seed, "commands": _told(found)})
        write_text(options.out.with_suffix(".md"), text)


def _told(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"as_typed": COMMANDS[name], "seconds": one["undisturbed"]["seconds"], "cases": one["cases"]}
        for name, one in found.items()
    }


KINDS = ("before", "last tenth", "twice", "publishing", "ended before")


def report(found: Mapping[str, Any], seed: int) -> str:
    """The results file."""
    rows, right, count = [], 0, 0
    for name, one in found.items():
        cases = [Case(**case) for case in one["cases"].values()]
        cells = []
        for kind in KINDS:
            of_kind = [case for case in cases if case.kind == kind]
            cells.append(f"{sum(case.right for case in of_kind)} of {len(of_kind)}")
        right += sum(case.right for case in cases if case.kind in KINDS[:2])
        count += sum(case.kind in KINDS[:2] for case in cases)
        rows.append((f"`{name}`", one["undisturbed"]["files"], one["undisturbed"]["seconds"], *cells))
    head = ("command", "files", "seconds", "killed before", "in the last tenth", "twice", "publishing", "given again")
    return "\n".join(
        [
            "# Killed commands",
            "",
            f"`python benchmarks/kills.py --seed {seed}`, {machine()}. On a shared machine: seconds say little.",
            "",
            f"**{right} of {count}** kills at random moments end, by the same command alone, in exit status 0, in",
            "the bytes of an undisturbed run, and with nothing left over in OUT or beside it.",
            "",
            *table(head, rows),
            "",
            "Killed is the whole process group with SIGKILL, at seeded shares of the undisturbed run's processor",
            "time. Twice: the command that goes on is killed as well. Publishing: killed as soon as the list of what",
            "is to be moved, or the first of the results, is there. Given again: the command has ended before.",
            "",
            "All files are compared by their hashes. What says how long a run took is left out: the keys",
            f"{' and '.join(f'`{key}`' for key in TIMES)} of .json files (jobs/*/result.json, verdict.json,",
            "adapt.json, arms/*.json), times in report.html, and the hashes of these files in manifest.jsonl.",
            "`restyle` runs with its gate at 0 and shorter judges: a training of seconds passes no gate, and would",
            "publish no images.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
