"""The three tasks between sets of digits: which pictures are learned from, in which frame, and which judge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tenfold.adaptation.framing import framing, mends, shared_frame
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.combine import hold_out
from tenfold.data.load import load, load_unlabelled

ALL = 1_000_000
HELD_OUT = 0.1
SIDE = 28
"""Pixels, of every task."""

MNIST_TO_USPS, USPS_TO_MNIST, SVHN_TO_MNIST = "MNIST to USPS", "USPS to MNIST", "SVHN to MNIST"
TASKS = {
    MNIST_TO_USPS: ("mnist", "usps"),
    USPS_TO_MNIST: ("usps", "mnist"),
    SVHN_TO_MNIST: ("svhn", "mnist"),
}


@dataclass(frozen=True, eq=False)
class Task:
    """One source, one target without labels, and the target's official test part."""

    source: ImageDataset
    heldout: ImageDataset
    target: ImageDataset
    test: ImageDataset


def read_task(name: str, seed: int, most: int, *, reframed: bool) -> Task:
    """The pictures of a task in one frame.

    Args:
        most: source pictures and target pictures at most, a new draw for each seed; the test part is whole.
        reframed: whether what the audit of framing finds is mended; colours are made grey either way.
    """
    source_name, target_name = TASKS[name]
    source = load(source_name, per_class=ALL).part("train")
    target = load_unlabelled(target_name, images=most, seed=seed)
    test = load(target_name, per_class=ALL).part("test")
    key = Key(f"seed-{seed}") / "dann" / name
    if len(source) > most:
        source = source.take(np.sort((key / "source").numpy_generator().choice(len(source), most, replace=False)))
    looks = framing(source), framing(target)
    found = mends(looks[:1], looks[1])
    applied = found if reframed else tuple(mend for mend in found if mend.kind == "grey")
    frame = shared_frame(looks[:1], looks[1], applied, SIDE)
    source = replace(frame.on(source), name=source_name)
    train, heldout = hold_out(source, HELD_OUT, key / "held out")
    return Task(train, heldout, frame.on(target), frame.on(test))
