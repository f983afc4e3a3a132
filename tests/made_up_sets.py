"""Made-up labelled sets, small enough to be trained on in a fraction of a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training.classifier import ClassifierConfig

SHORT = ClassifierConfig(steps=20, batch_size=16, width=8, looks=2)
"""A training of well under a tenth of a second."""

QUICK_CGAN = "cgan(batch_size=8,label_filter=no,least_diversity=0,steps=10,width=4)"
QUICK_RESTYLE = "restyle(judge_steps=4,label_filter=no,least_swap_accuracy=0,probe_steps=4,steps=4,width=4)"


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


def of_patients(data: ImageDataset, images: int = 4) -> ImageDataset:
    """As many images of each one's patient, alike but for a pixel: a group that is right or wrong as a whole."""
    chosen = np.repeat(np.arange(len(data)), images)
    pixels = data.images[chosen]
    pixels[:, :, 0, 0] = np.tile(np.arange(images), len(data))[:, None]
    sources = tuple(f"{data.sources[one]}-{number % images}" for number, one in enumerate(chosen))
    return data.take(chosen).with_columns(images=pixels, sources=sources)


def easy_vectors(
    counts: Sequence[int],
    features: int = 6,
    *,
    noise: float = 1.0,
    key: str = "vectors",
    roles: Sequence[str] | None = None,
) -> ImageDataset:
    """Class k is a normal cloud around a centre of its own; features have units that differ by powers of ten."""
    random = Key(f"tests/{key}").numpy_generator()
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = Key("tests/centres").numpy_generator().normal(0, 2, (len(counts), features))
    values = (centres[labels] + noise * random.normal(size=(len(labels), features))) * 10.0 ** np.arange(features)
    return ImageDataset(
        name=f"made-up {key}",
        images=values.astype(np.float32)[:, :, np.newaxis, np.newaxis],
        labels=labels.astype(np.int64),
        class_names=tuple(f"class {label}" for label in range(len(counts))),
        groups=np.arange(len(labels)),
        sources=tuple(f"row-{index}" for index in range(len(labels))),
        roles=np.full(len(labels), "train") if roles is None else np.asarray(roles),
    )
