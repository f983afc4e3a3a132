"""What networks that have seen ImageNet reach on few images, beside a plain PyTorch script with the same weights.

Of a set with a test part each draw takes other images of the set, all of which are trained on, and 2,000 test images,
the same for all draws; a fifth of the images of other sets is tested, and about a sixth are validation images, by
which an arm chooses what it leaves open. An arm trains as in a study. `peer` is starts_peer.py, trained on all of
these images; `scikit-learn` is its logistic regression on features of the layers that tenfold reads, at 224 pixels,
made by the published network alone.

    TENFOLD_DATA=... python benchmarks/starts.py [--sets cifar10] [--per-class 5,20,100] [--draws 3]
        [--arms "probe;classical(policy=light,flips=horizontal)+transfer;peer"] [--work DIR]
        [--out benchmarks/results/starts]

0 images a class are all. What is finished is kept in DIR and not done again; what was measured before stays in
OUT.json, and OUT.md shows all of it. Seconds are of computing, on one thread, with the predictions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import judge
import numpy as np
import torch
from shared import (
    Cell,
    Comparison,
    Config,
    gain_over,
    keep_comparisons,
    machine,
    measured_cells,
    over_draws,
    table,
    write_cells,
)  # fmt: skip

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.splits import plan_folds
from tenfold.evaluation.scores import balanced_accuracy
from tenfold.runs import Context
from tenfold.runs.arms import parse_arm
from tenfold.runs.plan import make_plan
from tenfold.runs.preparation import LARGE_SIDE
from tenfold.runs.trial import ArmImages, train_arm
from tenfold.training.device import keep_large_blocks, one_thread

PEER, PROBE = "peer", "scikit-learn"
CELL = ("set", "per_class", "arm")
"""What tells one measurement from another."""


def measure(config: Config, context: Context) -> dict[str, float]:
    """Balanced accuracy on the test images of one draw, in percent, and the seconds of computing."""
    train, validation, test = judge.drawn(config["set"], config["per_class"], config["seed"], LARGE_SIDE)
    start = time.process_time()
    predicted = {PEER: _peer, PROBE: _scikit_learn}.get(config["arm"], _arm)
    with one_thread():
        found = predicted(config, train, validation, test)
    seconds = time.process_time() - start
    return {"accuracy": round(100 * balanced_accuracy(test.labels, found), 2), "seconds": round(seconds, 1)}


def _arm(config: Config, train: ImageDataset, validation: ImageDataset, test: ImageDataset) -> Any:
    arm, key = parse_arm(config["arm"], "classical"), Key(f"seed-{config['seed']}")
    plan = make_plan(train, (arm,), plan_folds(train), repeats=1, seed=config["seed"], times=1, baseline=arm.name)
    tests_apart = config["per_class"] > 0
    images = ArmImages(train.joined(validation) if tests_apart else train, None if tests_apart else validation, None)
    return train_arm(plan.training(arm), images, key).classifier.probabilities(test.rows).argmax(1)


def _peer(config: Config, train: ImageDataset, validation: ImageDataset, test: ImageDataset) -> Any:
    import starts_peer  # needs packages of its own

    keep_large_blocks()  # it is given what tenfold gives itself
    whole = train.joined(validation)
    torch.manual_seed(config["seed"])  # noqa: TID251  # the script draws as such scripts do
    network = starts_peer.fine_tuned(whole.large.images, whole.labels, whole.class_count)
    return starts_peer.predicted(network, test.large.images)


def _scikit_learn(config: Config, train: ImageDataset, validation: ImageDataset, test: ImageDataset) -> Any:
    import starts_peer

    whole = train.joined(validation)
    return starts_peer.probed(whole.large.images, whole.labels, test.large.images)


def page(cells: list[Cell]) -> Iterator[str]:
    """Markdown: a row a cell, with its distance from the peer on the same draws."""
    peers = {(cell["set"], cell["per_class"]): cell for cell in cells if cell["arm"] == PEER}
    rows = []
    for cell in cells:
        peer = peers.get((cell["set"], cell["per_class"]))
        ahead, ratio = "", ""
        if peer is not None and peer is not cell:
            ahead = gain_over(cell, peer)
            ratio = f"{np.mean(peer['seconds']) / np.mean(cell['seconds']):.1f}"
        size = f"{cell['per_class']} a class" if cell["per_class"] else "all"
        seconds = f"{np.mean(cell['seconds']):.0f}"
        draws = str(len(cell["accuracy"]))
        rows.append([cell["set"], size, cell["arm"], draws, over_draws(cell["accuracy"]), seconds, ahead, ratio])
    yield from table(
        ["set", "images", "arm", "draws", "balanced accuracy, %", "s", "points over the peer", "times as fast"], rows
    )


def compared(cells: list[Cell]) -> Iterator[Comparison]:
    """Seconds of each arm and of the script on the same images, and how far apart they are in accuracy."""
    scripts = {(cell["set"], cell["per_class"]): cell for cell in cells if cell["arm"] == PEER}
    for cell in cells:
        script = scripts.get((cell["set"], cell["per_class"]))
        if script is not None and script is not cell:
            points = np.mean(cell["accuracy"]) - np.mean(script["accuracy"])
            images = f"{cell['per_class']} a class" if cell["per_class"] else "all"
            what = f"{cell['arm']}, {cell['set']}, {images}; {points:+.1f} points of accuracy"
            yield Comparison(what, "a plain PyTorch script", np.mean(script["seconds"]) / np.mean(cell["seconds"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default="cifar10")
    parser.add_argument("--per-class", default="5,20,100")
    parser.add_argument("--arms", default=f"probe;classical(policy=light,flips=horizontal)+transfer;{PEER}")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/starts"))
    parser.add_argument("--comparisons", type=Path, help="a .json for run.py")
    wanted = parser.parse_args()
    cells = [
        {"set": name, "per_class": int(size), "arm": arm}
        for name in wanted.sets.split(",")
        for size in wanted.per_class.split(",")
        for arm in wanted.arms.split(";")
    ]
    words = "# Classifiers that begin at ImageNet\n\n"
    words += f"`python benchmarks/starts.py`; {machine()}. " + " ".join(__doc__.split("\n\n")[1].split())
    cells = measured_cells(measure, cells, wanted.draws, wanted.work)
    write_cells(wanted.out, cells, CELL, page, words)
    keep_comparisons(wanted.comparisons, compared(cells))


if __name__ == "__main__":
    main()
