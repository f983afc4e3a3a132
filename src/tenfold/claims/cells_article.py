"""The cell article: 64 pictures of cells, turned into 640, and a DCGAN that knows of no classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from tenfold.claims.base import Picture, hash_of, picture_bytes, picture_text
from tenfold.claims.lesions_design import turned
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.evaluation.fidelity import diversity, memorisation
from tenfold.methods import MethodFailed, make_method
from tenfold.methods.generating import GeneratorMethod
from tenfold.methods.kept import CHECKPOINT
from tenfold.report.content import Sheet
from tenfold.report.sheets import sheet_png
from tenfold.training.callbacks import Grids, Metrics
from tenfold.training.loop import TrainingLoop

IMAGES = 64
DRAWN = 64
"""Pictures by which diversity and near copies are told; none of them is rejected before."""
ROWS, COLUMNS, SHOWN_SIDE = 4, 8, 96
"""Of the sheet: so many rows of generated cells below one of real ones."""
PARTS = 5
"""Parts of the training that a table tells apart."""


def cells(size: int, key: Key) -> tuple[ImageDataset, ImageDataset]:
    """64 cells to learn from, all as one class, and the others."""
    data = load("wbc", size=size)
    data = replace(data, labels=np.zeros(len(data), np.int64), class_names=("cell",))
    order = (key / "images").numpy_generator().permutation(len(data))
    return data.take(order[:IMAGES]), data.take(order[IMAGES:])


def train(settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """The article's training; what it drew, and how the critic did meanwhile. It goes on where it was killed."""
    key = Key(f"seed-{settings['seed']}") / "cells"
    real, others = cells(settings["size"], key)
    learned_from = turned(real, key / "turned")
    options = {
        "preset": settings["preset"],
        "classes": "none",
        "steps": settings["steps"],
        "hold_out": 0.0,  # turned siblings of what it learns from would tell nothing
        "least_diversity": 0.0,  # the article has no alarm; the figure tells
    }
    method = cast(GeneratorMethod, make_method("dcgan", options))
    directory = files / f"cells-{hash_of(settings)}"
    loop = TrainingLoop(callbacks=[Metrics(directory, 1), Grids(directory, True)], checkpoint=directory / CHECKPOINT)
    try:
        learned = method.learn(learned_from, key / "dcgan", loop)
    except MethodFailed as error:
        return {"failed": str(error)}
    seeds = [(key / "sample" / index).seed for index in range(DRAWN)]
    drawn = method.draw(learned.generator, torch.zeros(DRAWN, dtype=torch.int64), seeds, real.image_shape)
    known, made, unseen = (_rows(images) for images in (learned_from.images, drawn, others.images))
    ratios = diversity(known, learned_from.labels, made, np.zeros(DRAWN, np.int64))
    memory = memorisation(made, known, unseen)
    shown = np.concatenate([real.images[:COLUMNS], drawn[: ROWS * COLUMNS]])
    sheet = Sheet("", "", shown.reshape(ROWS + 1, COLUMNS, *real.image_shape))
    return {
        "images": len(real),
        "learned_from": len(learned_from),
        "diversity": round(ratios.get(0, 1.0), 4),
        "near_copies": round(memory.near_copies, 4),
        "course": course(directory / "metrics.jsonl", settings["steps"]),
        "picture": picture_text(sheet_png(sheet, SHOWN_SIDE)),
    }


def _rows(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32)


def course(metrics: Path, steps: int) -> list[dict[str, Any]]:
    """Losses and the critic's accuracy over the parts of a training, as means."""
    lines = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    lines = [line for line in lines if "critic_loss" in line]
    names = [name for name in lines[0] if name != "step"]
    ends = [steps * part // PARTS for part in range(PARTS + 1)]
    told = []
    for start, end in pairwise(ends):
        part = [line for line in lines if start < line["step"] <= end]
        if part:
            means = {name: round(float(np.mean([line[name] for line in part])), 4) for name in names}
            told.append({"from": start + 1, "to": end, **means})
    return told


def picture(settings: Mapping[str, Any], result: Mapping[str, Any]) -> Picture:
    """The sheet of a finished training, with its figures."""
    last = result["course"][-1]
    return Picture(
        f"Cells drawn at {settings['size']} pixels, preset {settings['preset']}",
        f"First row: {COLUMNS} of the {result['images']} real cells, which became {result['learned_from']} by "
        f"turning and mirroring. Below: drawn after {settings['steps']} steps, none picked out or rejected. They "
        f"spread {result['diversity']:.0%} as far as the real ones (in pixels). {result['near_copies']:.0%} of "
        f"{DRAWN} lie nearer to a cell that was learned from than all but 1 % of the cells never shown. Mean losses "
        f"over the last fifth of the steps: critic {last['critic_loss']:.2f}, generator "
        f"{last['generator_loss']:.2f}.",
        picture_bytes(result["picture"]),
    )
