"""The trainings of the claim `dcgan`: a liver-lesion study's design, and an article's DCGAN for 64 images of cells.

The study has three unequal classes of about 60 images and three folds. Neither its lesions nor the article's cells
can be had; white blood cells stand in for both.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from tenfold.augment.classical import Classical
from tenfold.augment.sampled_parameters import Ranges
from tenfold.augment.tensors import SIGNED, to_uint8
from tenfold.claims.training import image_text
from tenfold.core.files import write_bytes
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Split
from tenfold.data.audit import audit, cleaned
from tenfold.data.combine import in_classes
from tenfold.data.load import load
from tenfold.data.splits import make_splits, open_fold, plan_folds
from tenfold.evaluation.fidelity import diversity, memorisation
from tenfold.generators import Conditions
from tenfold.methods import GeneratorMethod, MethodFailed, make_method, spread
from tenfold.report.image_sheet import images_png
from tenfold.runs import Context
from tenfold.runs.plan import classifier_for
from tenfold.runs.trial import tested
from tenfold.training.callbacks import Grids, Metrics
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe

Indices = npt.NDArray[np.int64]
Config = Mapping[str, Any]

WANTED = (65, 64, 53)
"""The study's lesions of each class, the most first."""
FOLDS = 3
TURNED = 9
"""Turned copies of each image that a generator learns from beside it: 64 images become 640, as in the article."""
CLASSICAL = {"policy": "standard", "flips": "both", "degrees": 180}
"""A cell has no upright."""
TIMES = 2
"""Generated images for each real one."""
ARMS = ("classical", "classical + dcgan")
DRAWN_FILE = "drawn.npz"
CELLS = 64
DRAWN = 64
"""Cells by which diversity and near copies are told; none of them is rejected before."""
ROWS, COLUMNS, SHOWN_SIDE = 4, 8, 96
"""Of the sheet: so many rows of generated cells below one of real ones."""
PARTS = 5
"""Parts of the cells' training that a table tells apart."""

Amount = int | None
"""New images for each real one, made once; None is a new draw at every step, and so no end of them."""


def words(amount: Amount) -> str:
    """What a table calls it."""
    return "drawn anew at every step" if amount is None else f"{amount} for each real image"


@cache
def pool(size: int) -> ImageDataset:
    """Independent images of the three largest classes, the largest first; S x S pixels."""
    data = load("wbc", size=size)
    data = cleaned(data, audit(data))
    _, first = np.unique(data.groups, return_index=True)  # of equal images one
    data = data.take(first)
    largest = np.argsort(-data.counts(), kind="stable")[: len(WANTED)]
    return in_classes(data, [data.class_names[label] for label in largest])


def deal(labels: Indices) -> list[Indices]:
    """Every image in one pile: of each class as many piles as images are wanted, or as there are.

    A seed takes one image of each pile. So it draws its images anew, and still each row of a table of piles x seeds
    is independent of all others, which is what intervals over images and seeds take.
    """
    order = Key("lesions/piles").numpy_generator().permutation(len(labels))
    piles: list[Indices] = []
    for label, most in enumerate(WANTED):
        members = order[labels[order] == label]
        count = min(most, len(members))
        piles += [members[start::count] for start in range(count)]
    return piles


def study_of(data: ImageDataset, key: Key) -> ImageDataset:
    """One image of each pile of `pool`'s images, in the order of the piles."""
    random = (key / "images").numpy_generator()
    return data.take([pile[random.integers(len(pile))] for pile in deal(data.labels)])


@cache
def fold_of(size: int, seed: int, fold: int) -> tuple[ImageDataset, Split]:
    """The images of a seed, and who of them trains, chooses and judges."""
    key = Key(f"seed-{seed}") / "lesions"
    study = study_of(pool(size), key)
    return study, make_splits(study, plan_folds(study, FOLDS), 0, key)[fold]


def classical(train: ImageDataset, amount: Amount, key: Key) -> Recipe:
    """Classical augmentation of these images."""
    method = make_method("classical", dict(CLASSICAL))
    if amount is None:
        return method.fit(train, None, key)
    return Recipe(extra=method.grow(train, amount, key).as_dataset(train))


def turned(train: ImageDataset, key: Key, times: int = TURNED) -> ImageDataset:
    """These images and `times` copies of each, turned by any angle and mirrored at random."""
    change = Classical(Ranges(degrees=180), flips="both", value_range=SIGNED)
    parents = spread(times, len(train))
    images = to_uint8(change(torch.tensor(train.images[parents]), key.torch_generator()))
    return train.joined(replace(train.take(parents), images=images))


def _key(config: Config) -> Key:
    return Key(f"seed-{config['seed']}") / "lesions" / f"fold-{config['fold']}"


def draw_lesions(config: Config, context: Context) -> dict[str, Any]:
    """Train a DCGAN a class on the training images of a fold alone, and keep what it draws."""
    study, split = fold_of(config["size"], config["seed"], config["fold"])
    train, key = study.take(split.train), _key(config) / "dcgan"
    options = {
        "classes": "one_a_class",
        "steps": config["generator_steps"],
        "times": TIMES / (1 + TURNED),  # for each image that it learns from
        "hold_out": 0.0,  # turned siblings of what it learns from would tell nothing
    }
    told: dict[str, Any] = {"learned_from": len(train) * (1 + TURNED)}
    try:
        recipe = make_method("dcgan", options).fit(turned(train, key / "turned"), None, key)
    except MethodFailed as error:
        images, labels = train.images[:0], train.labels[:0]
        told |= {"failed": str(error)}
    else:
        assert recipe.extra is not None
        images, labels = recipe.extra.images, recipe.extra.labels
        told |= dict(recipe.details)
    content = io.BytesIO()
    np.savez_compressed(content, images=images, labels=labels)
    write_bytes(context.directory / DRAWN_FILE, content.getvalue())
    return told | {"used": np.bincount(labels, minlength=train.class_count).tolist()}


def _drawn(path: Path, train: ImageDataset) -> Recipe:
    """The images that another job drew; none where its networks failed."""
    with np.load(path, allow_pickle=False) as kept:
        images, labels = kept["images"], kept["labels"]
    if not len(images):
        return Recipe()
    new = train.take(np.zeros(len(images), np.int64))
    sources = tuple(f"drawn[{index}]" for index in range(len(images)))
    return Recipe(extra=replace(new, images=images, labels=labels, sources=sources))


def judge_fold(config: Config, context: Context) -> dict[str, Any]:
    """What one arm's classifier says of the fold's test images."""
    study, split = fold_of(config["size"], config["seed"], config["fold"])
    fold, key = open_fold(study, split), _key(config)
    train = fold.train
    recipe = classical(train, config["amount"], key / "classical" / str(config["amount"]))
    if config["arm"] == ARMS[1]:
        recipe = recipe + _drawn(context.needed("drawn")[1] / DRAWN_FILE, train)
    how = classifier_for(train)
    how = replace(how, steps=config["steps"] or how.steps)
    classifier = train_classifier(train, fold.validation, recipe, key / "classifier", how, context.loop())
    return {
        "classes": list(study.class_names),
        "training_images": len(train),
        "more_images": 0 if recipe.extra is None else len(recipe.extra),
        "inner_score": round(classifier.inner_score, 5),
        "inner_loss": round(classifier.inner_loss, 6),
        "rows": fold.test.indices.tolist(),
        "labels": study.labels[fold.test.indices].tolist(),
        "predicted": tested(fold, classifier).argmax(1).tolist(),
    }


def cells_of(size: int, key: Key) -> tuple[ImageDataset, ImageDataset]:
    """64 cells to learn from, all as one class, and the others."""
    data = load("wbc", size=size)
    data = replace(data, labels=np.zeros(len(data), np.int64), class_names=("cell",))
    order = (key / "images").numpy_generator().permutation(len(data))
    return data.take(order[:CELLS]), data.take(order[CELLS:])


def draw_cells(config: Config, context: Context) -> dict[str, Any]:
    """The article's training; what it drew, and how the critic did meanwhile. It goes on where it was killed."""
    key = Key(f"seed-{config['seed']}") / "cells"
    real, others = cells_of(config["size"], key)
    learned_from = turned(real, key / "turned")
    options = {
        "preset": config["preset"],
        "classes": "none",
        "steps": config["steps"],
        "hold_out": 0.0,  # turned siblings of what it learns from would tell nothing
        "least_diversity": 0.0,  # the article has no alarm; the figure tells
    }
    method = cast(GeneratorMethod, make_method("dcgan", options))
    callbacks = [Metrics(context.directory, 1), Grids(context.directory, True)]
    try:
        learned = method.learn(learned_from, key / "dcgan", context.loop(callbacks=callbacks))
    except MethodFailed as error:
        return {"failed": str(error)}
    seeds = [(key / "sample" / index).seed for index in range(DRAWN)]
    drawn = learned.sample(Conditions.of_labels(np.zeros(DRAWN, np.int64)), seeds, real.image_shape)
    known, made, unseen = (_rows(images) for images in (learned_from.images, drawn, others.images))
    ratios = diversity(known, learned_from.labels, made, np.zeros(DRAWN, np.int64))
    shown = np.concatenate([real.images[:COLUMNS], drawn[: ROWS * COLUMNS]])
    return {
        "images": len(real),
        "learned_from": len(learned_from),
        "diversity": round(ratios.get(0, 1.0), 4),
        "near_copies": round(memorisation(made, known, unseen).near_copies, 4),
        "course": course(context.directory / "metrics.jsonl", config["steps"]),
        "picture": image_text(images_png(shown.reshape(ROWS + 1, COLUMNS, *real.image_shape), SHOWN_SIDE)),
    }


def _rows(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32)


def course(metrics: Path, steps: int) -> list[dict[str, Any]]:
    """Losses and the critic's accuracy over the parts of a training, as means."""
    lines = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    lines = [line for line in lines if "critic_loss" in line]
    names = [name for name in lines[0] if name != "step"]
    ends = [steps * part // PARTS for part in range(PARTS + 1)]
    parts = []
    for start, end in pairwise(ends):
        inside = [line for line in lines if start < line["step"] <= end]
        if inside:
            means = {name: round(float(np.mean([line[name] for line in inside])), 4) for name in names}
            parts.append({"from": start + 1, "to": end, **means})
    return parts
