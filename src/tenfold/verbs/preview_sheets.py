"""The sheets that `preview` draws: images and captions, from what the methods do to a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tenfold.augment.tensors import dirichlet, to_float, to_uint8
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.progress import note
from tenfold.core.types import ImageDataset
from tenfold.methods import Method
from tenfold.report.image_sheet import Cell, Sheet
from tenfold.report.share_law import ShareLaw
from tenfold.runs.arms import Component
from tenfold.runs.tries import words
from tenfold.training.recipe import Transform
from tenfold.verbs.grow import grow_images
from tenfold.verbs.sheets import beside_nearest, filled, real_cells, spread_over_classes

DRAWS = 5
"""Changed images beside each original."""
PAIRS = 3
"""Generated images a row, each beside its nearest real one."""
BATCH = 64
"""Images that are blended with one another, as in training."""
LEAST_SHARE = 0.01
"""Classes of a smaller share are not named."""
LAW_DRAWS = 4000


Described = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor, Sequence[str]]]
"""A transform that can say what it did has this as a method `described`: the same work, and for each image its
changes in words, with commas between them."""


def changed_sheet(real: ImageDataset, methods: Sequence[Method], name: str, rows: int, key: Key) -> Sheet:
    """Each original at the left; beside it what the transforms make of it, a draw each."""
    chosen = _drawn(real, rows, key)
    steps = [(method, _transforms(method, real, key)) for method in methods]
    if not any(transforms for _, transforms in steps):
        return _real(real, name, rows, key)
    others = (key / "batch").numpy_generator().permutation(np.setdiff1d(np.arange(len(real)), chosen))
    batch = np.concatenate([chosen, others])[: max(BATCH, len(chosen))]
    columns = [
        _one_draw(real.take(batch), len(chosen), steps, (key / "draws" / number).torch_generator())
        for number in range(DRAWS)
    ]
    mixes = any(method.mixes_labels for method in methods)
    shares = " Shares are those of the classes in the label." if mixes else ""
    open_options = "".join(map(_left_open, methods))
    return Sheet(
        f"{name} on {real.name}",
        f"Left a real image; beside it what the classifier is shown in its place, drawn {DRAWS} times."
        f"{shares}{open_options}",
        ["real", *[f"draw {number + 1}" for number in range(DRAWS)]],
        [list(row) for row in zip(real_cells(real, chosen), *columns, strict=True)],
        law=_law(methods, key / "law"),
    )


def _left_open(method: Method) -> str:
    """What stands for options that a study would choose by its validation images."""
    usual = words(method.default_options())
    return f" A study chooses some of {method.name()} by its validation images; shown is {usual}." if usual else ""


def _transforms(method: Method, real: ImageDataset, key: Key) -> tuple[Transform, ...]:
    """What the method does to images; none where it is to leave them alone.

    Raises:
        InputError: it does something, but not to images.
    """
    recipe = method.fit(real, None, key / method.name())
    if not recipe.batch_transforms and getattr(method.config, "consistency", None):
        # Its loss compares changed copies; without that term the same copies are what is trained on.
        recipe = type(method)(replace(method.config, consistency=0)).fit(real, None, key / method.name())
    if not recipe.batch_transforms and recipe.objective is not None and method.mixes_labels:
        raise InputError(
            f"{method.name()} mixes the hidden activations of the network and no images: there is nothing to see "
            "(`tenfold preview mixup DATA` shows images that are mixed)"
        )
    if not recipe.batch_transforms and any(
        slot is not None for slot in (recipe.extra, recipe.init, recipe.objective)
    ):
        raise InputError(f"{method.name()} changes how the classifier learns and no image: there is nothing to see")
    return recipe.batch_transforms


def _one_draw(
    batch: ImageDataset,
    shown: int,
    steps: Sequence[tuple[Method, Sequence[Transform]]],
    generator: torch.Generator,
) -> list[Cell]:
    """The first images of the batch after every transform, each with its caption."""
    images = to_float(torch.tensor(batch.images))
    labels = torch.eye(batch.class_count)[torch.tensor(batch.labels)]
    words: list[list[str]] = [[] for _ in range(shown)]
    for method, transforms in steps:
        for transform in transforms:
            described: Described | None = getattr(transform, "described", None)
            descriptions: Sequence[str]
            if described is not None:
                images, labels, descriptions = described(images, labels, generator)
            else:
                images, labels = transform(images, labels, generator)
                descriptions = ["" if method.mixes_labels else _how(method)] * len(batch)
            if method.mixes_labels:
                words = [[] for _ in words]  # they told of one of the images that are now blended
            for mine, text in zip(words, descriptions, strict=False):
                mine += filter(None, text.split(", "))
    mixes = any(method.mixes_labels for method, _ in steps)
    parts = [
        (*(class_shares(row, batch.class_names) if mixes else ()), *mine)
        for row, mine in zip(labels[:shown].numpy(), words, strict=True)
    ]
    return [Cell(image, caption) for image, caption in zip(to_uint8(images[:shown]), parts, strict=True)]


def class_shares(soft_label: npt.NDArray[np.float32], class_names: Sequence[str]) -> tuple[str, ...]:
    """`70 % three`, `30 % eight`: the classes of a soft label (K), the largest first."""
    order = np.argsort(-soft_label, kind="stable")
    return tuple(f"{100 * soft_label[k]:.0f} % {class_names[k]}" for k in order if soft_label[k] >= LEAST_SHARE)


def _how(method: Method) -> str:
    """What stands under the images of a transform that cannot say what it did."""
    return str(getattr(method.config, "policy", method.name()))


def _law(methods: Sequence[Method], key: Key) -> ShareLaw | None:
    """The law of the shares, of the last method that blends images by one."""
    for method in reversed(methods):
        alpha = getattr(method.config, "alpha", None)
        if method.mixes_labels and alpha:
            images = int(getattr(method.config, "ways", 2))
            drawn = dirichlet(alpha, images, LAW_DRAWS, key.torch_generator())
            before = "boxes are cut off at the edge of the image" if method.name() == "cutmix" else ""
            return ShareLaw(float(alpha), drawn.numpy().astype(np.float64), before)
    return None


def _real(real: ImageDataset, name: str, rows: int, key: Key) -> Sheet:
    """The real images as they are, for a method that leaves them so."""
    columns = DRAWS + 1
    cells = real_cells(real, _drawn(real, rows * columns, key))
    return Sheet(
        f"{name} on {real.name}",
        f"{name} shows the classifier the real images as they are; {len(cells)} of them.",
        [""] * columns,
        [filled(cells[start : start + columns], columns) for start in range(0, len(cells), columns)],
    )


def _drawn(real: ImageDataset, most: int, key: Key) -> npt.NDArray[np.int64]:
    """Indices of at most so many images, drawn at random from as many classes as can be."""
    order = (key / "pictures").numpy_generator().permutation(len(real))
    return order[spread_over_classes(real.labels[order], most)]


def generated_pairs(real: ImageDataset, component: Component, name: str, rows: int, seed: int) -> Sheet:
    """A row a class of what a generator draws after training, each image beside its nearest real one."""
    classes = np.unique(real.labels)
    least = int(real.counts()[classes[:rows]].min())
    note(f"training {component.method} on {len(real)} images, to show what it draws")
    grown = grow_images(real, component, max(1.0, PAIRS / least), seed)
    left_out = len(classes[rows:])
    return Sheet(
        f"{name} on {real.name}",
        "Each generated image, with the class it was drawn for, stands left of the real one that is nearest to it "
        "in pixels; twins mean that the generator copies."
        + (f" {left_out} more classes are not shown (--rows)." if left_out else ""),
        ["generated", "nearest real"] * PAIRS,
        [filled(row, 2 * PAIRS) for row in beside_nearest(real, grown.images, grown.labels, classes[:rows], PAIRS)],
    )
