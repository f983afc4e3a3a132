"""Do generated images help on ordinary small sets? With generators of the set itself, and of a related one.

For each seed the same images: so many of each class, trained on with classical augmentation alone and with generated
images beside them, two for each real one. Judged by balanced accuracy on the set's test images, or where it has none
on all its images that were not drawn, of the classes that have enough of those; differences are paired by seed.

    TENFOLD_DATA=... python benchmarks/generated.py [--set mnist] [--per-class 20] [--seeds 5] [--size PIXELS]
        [--related DIR] [--out FILE.md]

DIR is a generator that `tenfold fit dagan RELATED DIR` has left.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.data.splits import make_splits, plan_folds
from tenfold.evaluation.external_test import mean_interval
from tenfold.evaluation.scores import balanced_accuracy
from tenfold.methods import MethodFailed
from tenfold.runs.arms import Arm, parse_arms
from tenfold.runs.plan import make_plan
from tenfold.runs.trial import ArmImages, train_arm

TESTED, OF_A_CLASS = 5000, 20
"""Images at most, and the fewest of a class by which it is judged."""
SETTLED = {"classical": {"policy": "standard", "flips": "no"}}


def arms_of(related: str | None) -> dict[str, Arm]:
    """By the name that the table gives them."""
    texts = {
        "classical": "classical",
        "+ cgan": "classical+cgan(times=2)",
        "+ dagan": "classical+dagan(times=2)",
    }
    if related:
        texts["+ dagan of a related set"] = f"classical+dagan(generator={related},times=2)"
    return {name: parse_arms([text])[-1] for name, text in texts.items()}


def measure(name: str, per_class: int, size: int | None, related: str | None, seed: int) -> dict[str, dict[str, Any]]:
    """Of every arm its balanced accuracy, seconds, and what was thrown away of its images."""
    torch.set_num_threads(1)
    data, key = load(name, per_class=per_class, seed=seed, size=size), Key(f"seed-{seed}")
    studied, judged = data.part("train"), data.part("test")
    if not len(judged):
        judged = data.part("reserve")
    judged = judged.take(np.flatnonzero(judged.counts()[judged.labels] >= OF_A_CLASS))
    judged = judged.take((key / "judged").numpy_generator().permutation(len(judged))[:TESTED])
    split = make_splits(studied, plan_folds(studied), 0, key)[0]
    train = studied.take(np.sort(np.concatenate([split.train, split.test])))
    validation = studied.take(split.validation)
    arms = arms_of(related)
    plan = make_plan(studied, data, tuple(arms.values()), plan_folds(studied), repeats=1, seed=seed, times=2)
    found: dict[str, dict[str, Any]] = {}
    for arm, one in arms.items():
        try:
            fitted = train_arm(plan.training(one), ArmImages(train, validation, None), key, SETTLED)
        except MethodFailed as error:
            found[arm] = {"failed": str(error)}
            continue
        predicted = fitted.classifier.probabilities(judged.images).argmax(1)
        seconds = sum(value for value in fitted.details["seconds"].values())
        found[arm] = {
            "accuracy": balanced_accuracy(judged.labels, predicted),
            "seconds": seconds,
            "trained_on": len(train),
            "judged": len(judged),
            "classes": len(np.unique(judged.labels)),
            **{kind: fitted.recipe.details.get(kind) for kind in ("drawn", "wrong_label", "near_copies", "usable")},
        }
    return found


def table(runs: Sequence[Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Markdown: a row an arm."""
    heads = ("balanced accuracy, %", "against classical, points", "seconds", "drawn", "wrong label", "copies", "used")
    yield f"| | {' | '.join(heads)} |"
    yield "|---" * 8 + "|"
    for arm in runs[0]:
        done = [run for run in runs if "accuracy" in run[arm]]
        if len(done) < 2:
            yield f"| {arm} | failed in {len(runs) - len(done)} of {len(runs)} seeds |" + " |" * 6
            continue
        own = mean_interval([100 * run[arm]["accuracy"] for run in done])
        cells = [f"{own.estimate:.1f} ({own.low:.1f} to {own.high:.1f})", ""]
        if arm != "classical":
            gain = mean_interval([100 * (run[arm]["accuracy"] - run["classical"]["accuracy"]) for run in done])
            cells[1] = f"{gain.estimate:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"
        cells.append(f"{np.mean([run[arm]['seconds'] for run in done]):.0f}")
        for kind in ("drawn", "wrong_label", "near_copies", "usable"):
            values = [run[arm][kind] for run in done if run[arm][kind] is not None]
            cells.append(f"{np.mean(values):.0f}" if values else "")
        failed = f" (failed in {len(runs) - len(done)} seeds)" if len(done) < len(runs) else ""
        yield f"| {arm}{failed} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="mnist")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", type=int)
    parser.add_argument("--related", metavar="DIR")
    parser.add_argument("--out", type=Path, help="the table is added at its end")
    wanted = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    job = partial(measure, wanted.set, wanted.per_class, wanted.size, wanted.related)
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(job, range(wanted.seeds)))
    first = runs[0]["classical"]
    lines = [
        f"## {wanted.set}, {wanted.per_class} images a class",
        "",
        f"{first['trained_on']} images trained on, {first['judged']} of {first['classes']} classes judged; "
        f"{wanted.seeds} seeds, 95 % intervals over them. {platform.machine()}, {cores} cores, torch "
        f"{version('torch')}.",
        "",
        *table(runs),
        "",
    ]
    print("\n".join(lines))
    if wanted.out:
        before = wanted.out.read_text("utf-8") if wanted.out.exists() else ""
        wanted.out.write_text(before + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
