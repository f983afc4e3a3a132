"""Made-up labelled sets, small enough to be trained on in a fraction of a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.train.classifier import ClassifierConfig

SHORT = ClassifierConfig(steps=20, batch_size=16, width=8, looks=2)
"""A training of well under a tenth of a second."""

QUICK_CGAN = "cgan(batch_size=8,least_diversity=0,steps=10,width=4)"


def easy_set(
    counts: Sequence[int],
    shape: tuple[int, int, int] = (1, 8, 8),
    *,
    noise: float = 30.0,
    key: str = "easy",
    groups: Sequence[int] | None = None,
    roles: Sequence[str] | None = None,
) -> ImageDataset:
    """Class k has a bright band at its own height on a dim ground; each image has noise of its own."""
    labels = np.repeat(np.arange(len(counts)), counts)
    n, (_, height, _) = len(labels), shape
    images = Key(f"tests/{key}").numpy_generator().normal(70, noise, (n, *shape))
    for index, label in enumerate(labels):
        top = label * height // len(counts)
        images[index, :, top : top + max(1, height // len(counts))] += 120
    return ImageDataset(
        name=f"made-up {key}",
        images=images.clip(0, 255).astype(np.uint8),
        labels=labels.astype(np.int64),
        class_names=tuple(f"class {label}" for label in range(len(counts))),
        groups=np.arange(n) if groups is None else np.asarray(groups, dtype=np.int64),
        sources=tuple(f"picture-{index}" for index in range(n)),
        roles=np.full(n, "train") if roles is None else np.asarray(roles),
    )
