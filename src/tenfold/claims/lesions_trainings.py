"""The trainings of the liver-lesion design: DCGANs that draw pictures, and classifiers without and with those."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.claims.base import hash_of
from tenfold.claims.lesions_design import TURNED, classical, folds_of, pool, study_of, turned
from tenfold.core.files import write_bytes
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Split
from tenfold.data.splits import open_fold
from tenfold.methods import MethodFailed, make_method
from tenfold.runs.plan import classifier_for
from tenfold.runs.trial import tested
from tenfold.training.classifier import train_classifier
from tenfold.training.recipe import Recipe

TIMES = 2
"""Generated images for each real one."""
ARMS = ("classical", "classical + dcgan")


def picture_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the training that draws the pictures which this one reads."""
    return {"part": "pictures"} | {name: settings[name] for name in ("seed", "fold", "size", "generator_steps")}


def _picture_file(settings: Mapping[str, Any]) -> str:
    return f"pictures-{hash_of(picture_settings(settings))}.npz"


@cache
def _fold(size: int, seed: int, fold: int) -> tuple[ImageDataset, Split]:
    """The images of a seed, and who of them trains, chooses and judges."""
    key = Key(f"seed-{seed}") / "lesions"
    study = study_of(pool(size), key)
    return study, folds_of(study, key)[fold]


def _key(settings: Mapping[str, Any]) -> Key:
    return Key(f"seed-{settings['seed']}") / "lesions" / f"fold-{settings['fold']}"


def draw_pictures(settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """Train a DCGAN a class on the training images of a fold alone, and keep what it draws."""
    study, split = _fold(settings["size"], settings["seed"], settings["fold"])
    train, key = study.take(split.train), _key(settings) / "dcgan"
    options = {
        "classes": "one_a_class",
        "steps": settings["generator_steps"],
        "times": TIMES / (1 + TURNED),  # for each image that it learns from
        "hold_out": 0.0,  # turned siblings of what it learns from would tell nothing
    }
    told: dict[str, Any] = {"learned_from": len(train) * (1 + TURNED), "files": [_picture_file(settings)]}
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
    write_bytes(files / _picture_file(settings), content.getvalue())
    return told | {"used": np.bincount(labels, minlength=train.class_count).tolist()}


def _drawn(settings: Mapping[str, Any], files: Path, train: ImageDataset) -> Recipe:
    """The pictures that an earlier training drew; none where its networks failed."""
    with np.load(files / _picture_file(settings), allow_pickle=False) as kept:
        images, labels = kept["images"], kept["labels"]
    if not len(images):
        return Recipe()
    new = train.take(np.zeros(len(images), np.int64))
    sources = tuple(f"drawn[{index}]" for index in range(len(images)))
    return Recipe(extra=replace(new, images=images, labels=labels, sources=sources))


def judge_fold(settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """What one arm's classifier says of the fold's test images."""
    study, split = _fold(settings["size"], settings["seed"], settings["fold"])
    fold, key = open_fold(study, split), _key(settings)
    train = fold.train
    recipe = classical(train, settings["amount"], key / "classical" / str(settings["amount"]))
    if settings["arm"] == ARMS[1]:
        recipe = recipe + _drawn(settings, files, train)
    config = classifier_for(train)
    config = replace(config, steps=settings["steps"] or config.steps)
    classifier = train_classifier(train, fold.validation, recipe, key / "classifier", config)
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
