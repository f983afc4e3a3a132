"""The tables of simulated_gates.py, as Markdown."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import simulated_gates as gates
from shared import counted, table
from simulated_studies import NULL_PROCESSES, PROCESSES, Process

from tenfold.core.files import read_json, write_json, write_text
from tenfold.evaluation.scores import wilson_interval

SEEN = (
    ("digits, placebo", Process(0.98, (0.0,), 0.002, difficulty=9, opinion=0.3, classes=10), 200, 0.55),
    ("digits, mixup", Process(0.98, (-0.005,), 0.004, difficulty=9, classes=10), 200, 0.80),
    ("wbc, placebo", Process(0.89, (0.0,), 0.006, opinion=0.5, classes=4, imbalance=3), 300, 1.45),
    ("wbc, mixup", Process(0.89, (0.01,), 0.008, opinion=0.8, classes=4, imbalance=3), 300, 2.00),
    ("pneumoniamnist, placebo", Process(0.925, (0.0,), 0.004, difficulty=9, opinion=0.4, imbalance=3), 500, 0.80),
    ("pneumoniamnist, cgan", Process(0.925, (-0.02,), 0.006, difficulty=8, opinion=0.6, imbalance=3), 500, 1.15),
)
"""Half intervals in points that real studies of 4 repeats showed (first-studies.md), and a process that is near."""


def write_report(path: Path, studies: int) -> None:
    """Measure what is not measured yet, and write the tables."""
    kept_at = path.with_suffix(".json.part")
    kept: dict[str, Any] = read_json(kept_at) if kept_at.exists() else {}
    sections = []
    for title, make in SECTIONS.items():
        name = f"{title}, {studies} studies"
        if name not in kept:
            start = time.perf_counter()
            lines = make(studies)
            kept[name] = {"lines": lines, "seconds": time.perf_counter() - start}
            write_json(kept_at, kept)
        print(f"{title}: {kept[name]['seconds']:.0f} s", flush=True)
        sections += [f"## {title}", "", *kept[name]["lines"], ""]
    seconds = sum(section["seconds"] for section in kept.values())
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    low, high = wilson_interval(0.95, studies)
    head = [
        "# Simulated studies: does the verdict keep its word?",
        "",
        f"`python benchmarks/simulated_gates.py --studies {studies} --out benchmarks/results/simulated-gates.md`",
        f"({platform.machine()}, {os.cpu_count()} cores, one used; {versions}; {seconds:.0f} s; all draws from",
        f"the key `{gates.SEED.path}`). Counts are of {studies} studies where nothing else is said;",
        f"{0.95 * studies:.0f} of them have a Wilson interval of {100 * low:.1f} to {100 * high:.1f} %.",
        "How studies come about, and each process, is told in benchmarks/simulated_studies.py.",
        "",
        "What they say:",
        "",
        "- The former interval, t with n - 1 degrees of freedom and MS_g + MS_r - MS_e, held the truth in too few",
        "  studies at 2 repeats and much luck: one degree of freedom cannot tell luck. Now luck is taken from the",
        "  trainings, R x K of them, the degrees of freedom are Satterthwaite's, and PICK's interval counts that the",
        "  choice between arms rests on the same images in all repeats (`tenfold.evaluation.crossed`).",
        "- The product judges PICK as in the rows 'PICK retrained': by other trainings of the arms it chose. The",
        "  rows 'PICK' judge the chosen trainings themselves, as the first version did. Their intervals are right",
        "  too, but choosing the luckiest of several trainings is a gain even where all arms are equal: with much",
        "  luck and many images they say 'helped' in up to 98 % of studies: true of PICK and not of growing.",
        "- Where cells are below 92 %, they are listed; `coverage_note` warns of such studies. Where",
        "  fewer than six images are ever judged differently the interval is wider than it need be; it says that",
        "  too.",
        "- A fixed arm that is no better is said to have helped in fewer than 5 % of studies.",
        "- An effect of 2.8 standard errors is found in about 80 % of studies of a fixed arm, as promised.",
        "",
    ]
    write_text(path, "\n".join([*head, *sections]).rstrip() + "\n")
    kept_at.unlink()


def share(count: int, studies: int) -> str:
    """A count with its percentage and Wilson interval."""
    return f"{count} ({counted(count, studies, 1)})"


def calibration(studies: int) -> list[str]:
    rows = []
    for name, process, images, seen in SEEN:
        key = gates.SEED / "calibration" / name
        batches = gates.batches(process, images, 4, min(studies, 300), key)
        halves = [100 * gates.former_half(table) for batch in batches for table in batch.tables(1)]
        low, high = np.quantile(halves, [0.1, 0.9])
        rows.append([name, images, f"{seen:.2f}", f"{np.median(halves):.2f} ({low:.2f} to {high:.2f})"])
    return [
        "Half an interval in points at 4 repeats, as real studies showed it with the former formula, and as the",
        "process nearest to it shows it: median and middle 80 % of at most 300 studies.",
        "",
        *table(["study", "images", "seen", "simulated"], rows),
    ]


def coverage(studies: int) -> list[str]:
    cells = {
        (name, images): gates.coverage(process, images, studies, gates.SEED / "coverage" / name / images)
        for name, process in PROCESSES.items()
        for images in gates.SIZES
    }
    lines: list[str] = []
    head = ["process", *(f"{images}: R = {repeats}" for images in gates.SIZES for repeats in gates.REPEATS)]
    for who in gates.COMPARED:
        rows = [
            [name, *(cells[name, images][who, repeats].held for images in gates.SIZES for repeats in gates.REPEATS)]
            for name in PROCESSES
        ]
        title = "A fixed arm - baseline" if who == 1 else f"{who} - baseline"
        lines += [f"### {title}: intervals that hold the truth", "", *table(head, rows), ""]
    every = [
        {"process": name, "images": images, "who": who, "repeats": repeats, **asdict(cell)}
        for (name, images), result in cells.items()
        for (who, repeats), cell in result.items()
    ]
    lines += ["### Before and after the mend", "", *_before_and_after(every, studies), ""]
    outside = [
        [row["process"], row["images"], row["repeats"], _called(row["who"]), share(row["held"], studies)]
        for row in every
        if not 0.92 <= row["held"] / studies <= 0.98
    ]
    inside = len(every) - len(outside)
    below = [row for row in outside if int(row[4].split()[0]) < 0.92 * studies]
    lines += [
        f"### Cells outside 92 to 98 %: {len(outside)} of {inside + len(outside)}, {len(below)} of them below",
        "",
        "Above 98 % are those where nearly all images are judged alike: the interval is wider than it need be.",
        "",
        *table(["process", "images", "R", "comparison", "intervals that hold the truth"], below),
    ]
    return lines


def _before_and_after(cells: Sequence[dict[str, Any]], studies: int) -> list[str]:
    rows = []
    for who in gates.COMPARED[:2]:
        for repeats in gates.REPEATS:
            these = [row for row in cells if row["who"] == who and row["repeats"] == repeats]
            spans = [[100 * row[which] / studies for row in these] for which in ("former", "held")]
            rows.append([_called(who), repeats, *(f"{min(span):.1f} to {max(span):.1f}" for span in spans)])
    return table(["comparison", "R", "coverage before, %, over all cells", "after"], rows)


def _called(who: object) -> str:
    return "fixed arm" if who == 1 else str(who)


def equal_arms(studies: int) -> list[str]:
    rows = []
    for name, process in NULL_PROCESSES.items():
        for images in (200, 600):
            counts = gates.null(process, images, studies, gates.SEED / "null" / name / images)
            shares = [share(int(counts[which]), studies) for which in counts if which != "gain"]
            rows.append([name, images, f"{counts['gain']:+.2f}", *shares])
    head = [
        "process",
        "images",
        "PICK's true gain",
        "PICK, R = 2",
        "PICK, R = 4",
        "PICK, R = 10",
        "PICK, interim looks",
    ]
    head += ["retrained, R = 4", "retrained, interim looks", "one arm (placebo), R = 4", "any of 4 arms, Holm, R = 4"]
    return [
        "The baseline and four arms that are exactly as good; studies that say 'helped'. Interim looks: at 2 and 4",
        "repeats, stopping at p < .001 alone, else at 10. PICK's true gain is in points: choosing the training that",
        "did best on validation images is a gain, and where luck is large it passes the margin of 1 point though all "
        "arms",
        "are equal. PICK retrained judges the same choices by other trainings of the chosen arms; its gain is 0.",
        "",
        *table(head, rows),
    ]


def product(studies: int) -> list[str]:
    rows = []
    for name in list(NULL_PROCESSES)[:2]:
        for repeats in (2, 4):
            process = NULL_PROCESSES[name]
            counts = gates.null_of_the_product(
                process, 200, repeats, studies, gates.SEED / "product" / name / repeats
            )
            rows.append([name, 200, repeats, share(counts["PICK"], studies), share(counts["any"], studies)])
    head = ["process", "images", "R", "verdict 'helped'", "any of 4 arms 'helped'"]
    return ["Equal arms through `tenfold.evaluation.compare.compare`, trials and all.", "", *table(head, rows)]


def few(studies: int) -> list[str]:
    rows = []
    for gain in (0.0, 0.01):
        for repeats in (2, 4):
            process = Process(0.98, (gain,), 0.003, difficulty=6, opinion=0.5)
            counts = gates.few_differ(process, 150, repeats, 5 * studies, gates.SEED / "few" / gain / repeats)
            for differ, (all_, held, helped) in counts.items():
                if all_:
                    rows.append([f"{100 * gain:+.0f}", repeats, differ, all_, share(held, all_), share(helped, all_)])
    head = ["true gain, points", "R", "images that differ", "studies", "intervals that hold the truth", "'helped'"]
    return [
        f"98 % right, 150 images, {5 * studies} studies a row's block: by the number of images that an arm and the",
        "baseline ever judged differently.",
        "",
        *table(head, rows),
    ]


def powers(studies: int) -> list[str]:
    rows = []
    for name in ("95.5 %, 10 classes", "90 %, large luck"):
        process = replace(PROCESSES[name], accuracy=0.90)
        for images in (150, 600):
            key = gates.SEED / "power" / name
            detectable = gates.smallest_detectable(images, process, key)
            for effect in (0.02, 0.04, 0.06, detectable):
                size = f"{100 * effect:+.1f}" + (" = 2.8 SE" if effect == detectable else "")
                simulated = {
                    picked: gates.power(images, effect, process=process, studies=studies, picked=picked, key=key)
                    for picked in (False, True)
                }
                predicted = 100 * gates.predicted_power(effect, simulated[False][1])
                counts = [share(round(simulated[picked][0] * studies), studies) for picked in (False, True)]
                luck = f"{100 * process.luck:.1f}"
                rows.append([luck, images, size, f"{100 * simulated[False][1]:.2f}", f"{predicted:.0f} %", *counts])
    head = ["luck", "images", "effect, points", "mean standard error", "predicted", "arm 'helped'", "PICK 'helped'"]
    return [
        "One arm that is better by the effect; 90 % right, 4 repeats. Predicted: the share of normal estimates with",
        "the mean standard error that pass 1.96 of it and the margin. 2.8 standard errors are to be found in 80 %.",
        "PICK (here the chosen trainings themselves) finds less: it chooses the better arm in some folds only.",
        "",
        *table(head, rows),
    ]


SECTIONS: dict[str, Callable[[int], list[str]]] = {
    "Calibration": calibration,
    "Coverage of the 95 % interval": coverage,
    "Equal arms: false 'helped'": equal_arms,
    "Equal arms through the product": product,
    "Few images that differ": few,
    "Power": powers,
}
