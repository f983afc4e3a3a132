"""Is tenfold's augmentation as fast as it says? tenfold and its peers in one run, images a second.

Classical augmentation, MixUp, CutMix and RandAugment, uint8 in and float32 out (with soft labels for the mixing
ones), beside the limit, which is to turn the batch into floats. All take turns, so that whatever else the machine
does hits all alike, and the output of each is looked at: who draws once a batch does less.

    python benchmarks/augment.py [--quick] [--compile] [--out benchmarks/results/augment.md]

The peers are no requirement of tenfold; those that are missing are named, with what installs them.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from augment_checks import check_classical, check_draws, check_images, check_mixing
from augment_peers import ALPHA, PEERS, Contender, contenders, set_threads, to_float
from augment_timing import Ratio, Seconds, paired_ratio, take_turns
from shared import Comparison, keep_comparisons

from tenfold.core.keys import Key
from tenfold.training.device import available_cores

SIZES = {"28x28x1, batch 256": (256, 1, 28, 28), "128x128x3, batch 64": (64, 3, 128, 128)}
PIPELINES = {
    "classical": "rotate by up to 15 degrees, mirror half, shift by up to 10 %, noise of 0.05, cover a box in half",
    "MixUp": f"a lambda from Beta({ALPHA}, {ALPHA}) for each image",
    "CutMix": f"a box for each image, lambda from Beta({ALPHA}, {ALPHA})",
    "RandAugment": "two operations for each image; the lists of operations differ from library to library",
}
CLASSES = 10
LIMIT = "limit: uint8 to float"
COPY = "limit: copy of floats"


@dataclass(frozen=True)
class Setting:
    """A place to run: a device, a number of threads, a size of batch."""

    device: str
    threads: int
    size: str

    @property
    def name(self) -> str:
        where = "GPU" if self.device == "cuda" else f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.size.split(',')[0]}, {where}"


@dataclass(frozen=True)
class Goal:
    """tenfold must be `factor` times as fast as the fastest peer whose name begins so ("": as any)."""

    pipeline: str
    peer: str
    factor: float
    device: str = "cpu"
    size: str = ""
    ours: str = "tenfold"

    def verdict(self, setting: Setting, seconds: dict[str, Seconds]) -> str | None:
        """One line, or None where this goal is about something else or where there is no such peer."""
        if setting.device != self.device or not setting.size.startswith(self.size) or self.ours not in seconds:
            return None
        rivals = [name for name in seconds if name.startswith(self.peer) and not name.startswith("tenfold")]
        rivals = [name for name in rivals if self.peer.startswith("limit") or not name.startswith("limit")]
        if not rivals:
            return None
        rival = min(rivals, key=lambda name: float(np.median(seconds[name])))
        ratio = paired_ratio(seconds[self.ours], seconds[rival])
        met = "met" if ratio.median >= self.factor else "NOT MET"
        speed = f"{_times(ratio)} as fast as {rival}, goal {self.factor:g}x"
        return f"{self.pipeline}, {setting.name}: {self.ours} {speed}: {met}"


GOALS = [
    Goal("classical", "kornia", 4),
    Goal("classical", "", 1),
    *(goal for kind in ("MixUp", "CutMix") for goal in (Goal(kind, "kornia", 5), Goal(kind, "timm, mode elem", 3))),
    *(Goal(kind, LIMIT, 1 / 4, size="128x128x3") for kind in ("MixUp", "CutMix")),
    *(Goal(kind, LIMIT, 1 / 2, size="128x128x3", ours="tenfold, torch.compile") for kind in ("MixUp", "CutMix")),
    *(Goal(kind, "kornia", 3, device="cuda") for kind in PIPELINES),
]


def _times(ratio: Ratio) -> str:
    places = 2 if ratio.median < 2 else 1
    return f"{ratio.median:.{places}f}x ({ratio.lower:.{places}f}..{ratio.upper:.{places}f})"


def race(pipeline: str, setting: Setting, rounds: int, seconds_a_turn: float, compiled: bool) -> dict[str, Seconds]:
    """Seconds of a batch, for each contender and each round."""
    shape = SIZES[setting.size]
    pixels = Key("benchmark/pixels").numpy_generator().integers(0, 256, shape, dtype=np.uint8)
    images = torch.from_numpy(pixels).to(setting.device)
    labels = torch.from_numpy(Key("benchmark/labels").numpy_generator().integers(0, CLASSES, shape[0]))
    labels, floats = labels.to(setting.device), to_float(images)
    taking_part = _taking_part(pipeline, setting, CLASSES, compiled)
    calls: dict[str, Callable[[], object]] = {each.name: partial(each.call, images, labels) for each in taking_part}
    calls |= {LIMIT: lambda: to_float(images), COPY: floats.clone}
    synchronise = torch.cuda.synchronize if setting.device == "cuda" else lambda: None
    set_threads(setting.threads)
    with torch.inference_mode():
        for each in taking_part:
            if "compile" in each.name:
                start = time.perf_counter()
                each.call(images, labels)
                print(f"{pipeline}, {setting.name}: {each.name} took {time.perf_counter() - start:.1f} s at first")
        return take_turns(calls, rounds, seconds_a_turn, synchronise)


def look(pipeline: str, setting: Setting) -> dict[str, str]:
    """What each contender's output is found to be."""
    shape = SIZES[setting.size][1:]
    remarks: dict[str, str] = {}
    set_threads(1)
    with torch.inference_mode():
        for each in _taking_part(pipeline, setting, 64 if pipeline in ("MixUp", "CutMix") else CLASSES):
            if pipeline == "classical":
                remarks[each.name] = str(check_classical(each.call, shape, setting.device))
            elif pipeline == "RandAugment":
                findings = check_images(each.call, 64, shape, setting.device)
                findings.remarks.append(check_draws(each.call, shape, setting.device))
                remarks[each.name] = str(findings)
            else:
                alpha = ALPHA if pipeline == "MixUp" else None  # clipped boxes have a law of their own
                remarks[each.name] = str(check_mixing(each.call, alpha, 64, setting.device))
    return remarks


def _taking_part(pipeline: str, setting: Setting, classes: int, compiled: bool = False) -> list[Contender]:
    everyone, _ = contenders(pipeline, SIZES[setting.size][1], classes, compiled)
    return [each for each in everyone if setting.device == "cpu" or each.on_gpu]


def table(pipeline: str, raced: dict[Setting, dict[str, Seconds]], remarks: dict[str, str]) -> list[str]:
    """Images a second, how many times as fast tenfold is (median and quartiles), and what the output is."""
    names = list(dict.fromkeys(name for seconds in raced.values() for name in seconds))
    lines = [f"## {pipeline}: {PIPELINES[pipeline]}", ""]
    lines.append("| | " + " | ".join(setting.name for setting in raced) + " | its output |")
    lines.append("|---|" + "---|" * (len(raced) + 1))
    for name in names:
        cells = []
        for setting, seconds in raced.items():
            if name not in seconds:
                cells.append("")
                continue
            speed = _short(SIZES[setting.size][0] / float(np.median(seconds[name])))
            ours = name == "tenfold"
            cells.append(speed if ours else f"{speed} · {_times(paired_ratio(seconds['tenfold'], seconds[name]))}")
        lines.append(f"| {name} | {' | '.join(cells)} | {remarks.get(name, '')} |")
    return [*lines, ""]


def compared(pipeline: str, raced: dict[Setting, dict[str, Seconds]]) -> list[Comparison]:
    """With each peer in each setting."""
    return [
        Comparison(f"{pipeline}, {setting.name}", peer, *paired_ratio(seconds["tenfold"], seconds[peer]))
        for setting, seconds in raced.items()
        for peer in seconds
        if not peer.startswith(("tenfold", "limit"))
    ]


def _short(speed: float) -> str:
    return f"{speed / 1e6:.2f} M" if speed >= 1e6 else f"{speed / 1e3:.3g} k" if speed >= 1e3 else f"{speed:.0f}"


def _header(rounds: int) -> list[str]:
    software = ["torch", "numpy", *PEERS]
    versions = []
    for name in software:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    hardware = f"{platform.machine()}, {available_cores()} cores"
    if torch.cuda.is_available():
        hardware += f", {torch.cuda.get_device_name()}"
    return [
        "# Augmentation: tenfold and its peers in one run",
        "",
        f"{hardware}; {', '.join(versions)}. Made by `python benchmarks/augment.py`.",
        "",
        f"Images a second, the median of {rounds} rounds · how many times as fast tenfold is: the median of the",
        "ratios within the rounds, and their quartiles. uint8 in, float32 out; the conversion is part of every time.",
        "",
    ]


def _settle_the_heap() -> None:
    """Free one large block, as any training has done long before its second batch.

    The C library then keeps freed memory for itself; until then each large result is fetched from the system page by
    page, which can take longer than the work that is timed.
    """
    torch.empty(2**23 - 2**18)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute, for a look")
    parser.add_argument("--compile", action="store_true", help="MixUp and CutMix under torch.compile as well")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--comparisons", type=Path, help="a .json for run.py")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    _settle_the_heap()
    rounds = wanted.rounds or (3 if wanted.quick else 41)
    settings = [Setting("cpu", threads, size) for threads in (1, 2) for size in SIZES]
    if torch.cuda.is_available():
        settings += [Setting("cuda", 1, size) for size in SIZES]
    lines, verdicts, missing, comparisons = _header(rounds), [], [], list[Comparison]()
    for pipeline in PIPELINES:
        raced = {s: race(pipeline, s, rounds, 0.002 if wanted.quick else 0.02, wanted.compile) for s in settings}
        missing += contenders(pipeline, 1, CLASSES)[1]
        comparisons += compared(pipeline, raced)
        part = table(pipeline, raced, look(pipeline, settings[1]))
        print("\n".join(part), flush=True)
        lines += part
        about = [goal for goal in GOALS if goal.pipeline == pipeline]
        verdicts += [goal.verdict(setting, raced[setting]) for goal in about for setting in settings]
    ending = ["## The goals", "", *(f"- {verdict}" for verdict in verdicts if verdict), ""]
    missed = sum("NOT MET" in verdict for verdict in verdicts if verdict)
    ending += [f"{missed} of {sum(map(bool, verdicts))} not met.", ""]
    ending += [f"Left out: {reason}." for reason in dict.fromkeys(missing)]
    print("\n".join(ending))
    keep_comparisons(wanted.comparisons, comparisons)
    if wanted.out:
        wanted.out.write_text("\n".join(lines + ending).rstrip() + "\n")


if __name__ == "__main__":
    main()
