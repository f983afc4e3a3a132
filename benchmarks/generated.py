"""Do generated images help on ordinary small sets? With generators of the set itself, and of a related one.

For each seed the same images: so many of each class, trained on with classical augmentation alone, with generated
images beside them, two for each real one, and with half of every batch drawn anew by the same generator. Judged by
balanced accuracy on the set's test images, or where it has none on all its images that were not drawn, of the classes
that have enough of those; differences are paired by seed.

    TENFOLD_DATA=... python benchmarks/generated.py [--set mnist] [--per-class 20] [--seeds 5] [--size PIXELS]
        [--related DIR] [--out FILE.md]

DIR is a generator that `tenfold fit dagan RELATED DIR` has left.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from shared import Config, machine, measured, table, with_interval

from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.data.splits import make_splits, plan_folds
from tenfold.evaluation.scores import balanced_accuracy
from tenfold.methods import MethodFailed
from tenfold.runs import Context
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
        "+ cgan, drawn anew": "classical+cgan(times=1,online=yes)",
        "+ dagan": "classical+dagan(times=2)",
        "+ dagan, drawn anew": "classical+dagan(times=1,online=yes,truncation=2)",
    }
    if related:
        texts["+ dagan of a related set"] = f"classical+dagan(generator={related},times=2)"
        anew = f"classical+dagan(generator={related},times=1,online=yes,truncation=2)"
        texts["+ dagan of a related set, drawn anew"] = anew
    return {name: parse_arms([text])[-1] for name, text in texts.items()}


def measure(config: Config, context: Context) -> dict[str, dict[str, Any]]:
    """Of every arm its balanced accuracy, seconds, and what was thrown away of its images."""
    seed = config["seed"]
    data = load(config["set"], per_class=config["per_class"], seed=seed, size=config["size"])
    key = Key(f"seed-{seed}")
    studied, judged = data.part("train"), data.part("test")
    if not len(judged):
        judged = data.part("reserve")
    judged = judged.take(np.flatnonzero(judged.counts()[judged.labels] >= OF_A_CLASS))
    judged = judged.take((key / "judged").numpy_generator().permutation(len(judged))[:TESTED])
    split = make_splits(studied, plan_folds(studied), 0, key)[0]
    train = studied.take(np.sort(np.concatenate([split.train, split.test])))
    validation = studied.take(split.validation)
    arms = arms_of(config["related"])
    plan = make_plan(data, tuple(arms.values()), plan_folds(studied), repeats=1, seed=seed, times=2)
    result: dict[str, dict[str, Any]] = {}
    for arm, one in arms.items():
        try:
            fitted = train_arm(plan.training(one), ArmImages(train, validation, None), key, SETTLED)
        except MethodFailed as error:
            result[arm] = {"failed": str(error)}
            continue
        predicted = fitted.classifier.probabilities(judged.images).argmax(1)
        seconds = sum(value for value in fitted.details["seconds"].values())
        result[arm] = {
            "accuracy": balanced_accuracy(judged.labels, predicted),
            "seconds": seconds,
            "trained_on": len(train),
            "judged": len(judged),
            "classes": len(np.unique(judged.labels)),
            **{kind: fitted.recipe.details.get(kind) for kind in ("drawn", "wrong_label", "near_copies", "usable")},
        }
    return result


HEAD = ("", "balanced accuracy, %", "against classical, points", "seconds", "drawn", "wrong label", "copies", "used")


def rows(runs: Sequence[Mapping[str, Mapping[str, Any]]]) -> Iterator[Sequence[str]]:
    """A row an arm."""
    for arm in runs[0]:
        done = [run for run in runs if "accuracy" in run[arm]]
        if len(done) < 2:
            yield [arm, f"failed in {len(runs) - len(done)} of {len(runs)} seeds", *[""] * (len(HEAD) - 2)]
            continue
        gains = [100 * (run[arm]["accuracy"] - run["classical"]["accuracy"]) for run in done]
        failed = f" (failed in {len(runs) - len(done)} seeds)" if len(done) < len(runs) else ""
        cells = [
            f"{arm}{failed}",
            with_interval([100 * run[arm]["accuracy"] for run in done]),
            "" if arm == "classical" else with_interval(gains, "+.2f"),
            f"{np.mean([run[arm]['seconds'] for run in done]):.0f}",
        ]
        for kind in ("drawn", "wrong_label", "near_copies", "usable"):
            values = [run[arm][kind] for run in done if run[arm][kind] is not None]
            cells.append(f"{np.mean(values):.0f}" if values else "")
        yield cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="mnist")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", type=int)
    parser.add_argument("--related", metavar="DIR")
    parser.add_argument("--out", type=Path, help="the table is added at its end")
    wanted = parser.parse_args()
    common = {"set": wanted.set, "per_class": wanted.per_class, "size": wanted.size, "related": wanted.related}
    runs = measured(measure, [common | {"seed": seed} for seed in range(wanted.seeds)])
    first = runs[0]["classical"]
    lines = [
        f"## {wanted.set}, {wanted.per_class} images a class",
        "",
        f"{first['trained_on']} images trained on, {first['judged']} of {first['classes']} classes judged; "
        f"{wanted.seeds} seeds, 95 % intervals over them. {machine()}.",
        "",
        *table(HEAD, rows(runs)),
        "",
    ]
    print("\n".join(lines))
    if wanted.out:
        before = wanted.out.read_text("utf-8") if wanted.out.exists() else ""
        wanted.out.write_text(before + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
