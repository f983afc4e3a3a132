"""Measurable style: slant, thickness, ink and width of grey images, mean colours and contrast of colour ones.

What an image's style is, nobody can measure; these are parts of it that have a number. An image that was redrawn as
another class kept its style as far as these numbers follow those of the image that it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key

Features = dict[str, npt.NDArray[np.float64]]
"""N values by the feature's name."""
Labels = npt.NDArray[np.int64]

LEAST_SPREAD = 1e-6
"""A feature of a smaller standard deviation within the classes says nothing."""
CHUNK = 512
"""Images that are measured at a time."""
COLOURS = ("red", "green", "blue")


def style_features(images: npt.NDArray[np.uint8]) -> Features:
    """Of N x C x H x W: for grey images slant, thickness, ink and width, for colour ones the mean red, green and
    blue and the contrast.

    Ink is how far a pixel is from the ground, which is the median of the image's border, in 0..1. Slant is the
    shift of the ink to the right for each pixel further up; width the standard deviation of its columns, in pixels,
    with the slant taken out; thickness twice the ink over the length of its edge: the width of a stroke, in pixels.
    """
    if len(images) > CHUNK:
        parts = [style_features(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    values = images.astype(np.float64) / 255
    if values.shape[1] > 1:
        means = {name: values[:, channel].mean((1, 2)) for channel, name in enumerate(COLOURS)}
        return means | {"contrast": values.std((2, 3)).mean(1)}
    ink = _ink(values[:, 0])
    height, width = ink.shape[1:]
    mass = ink.sum((1, 2)) + 1e-9
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    down = rows - (ink * rows).sum((1, 2), keepdims=True) / mass[:, None, None]
    right = columns - (ink * columns).sum((1, 2), keepdims=True) / mass[:, None, None]
    tall, wide, joint = ((ink * a * b).sum((1, 2)) / mass for a, b in ((down, down), (right, right), (down, right)))
    tall = tall + 1e-9
    edge = _edge_length(ink) + 1e-9
    return {
        "slant": -joint / tall,
        "thickness": 2 * mass / edge,
        "ink": mass / (height * width),
        "width": np.sqrt(np.maximum(wide - joint**2 / tall, 0.0)),
    }


def style_correlation(
    sources: Mapping[str, npt.NDArray[np.float64]],
    restyled: Mapping[str, npt.NDArray[np.float64]],
    source_labels: Labels,
    new_labels: Labels,
) -> dict[str, float]:
    """How far each feature of restyled images follows that of their sources, by the feature's name; -1..1.

    The pooled correlation within cells, a cell being all images that were restyled from one class to one other: the
    mean of its cell is taken out of every value first. So a class that is drawn thicker than others adds nothing, and
    only differences between images of one class count. Features that do not vary within the cells are left out;
    that is judged by the sources, so that images which all come out alike score 0.

    Args:
        sources, restyled: the features of P pairs.
        source_labels, new_labels: P.
    """
    cells = np.unique(np.stack([source_labels, new_labels]), axis=1, return_inverse=True)[1].ravel()
    correlations = {}
    for name, values in sources.items():
        before, after = _within(values, cells), _within(restyled[name], cells)
        if before.std() < LEAST_SPREAD:
            continue
        lengths = float(np.linalg.norm(before) * np.linalg.norm(after))
        correlations[name] = float(before @ after) / lengths if after.std() >= LEAST_SPREAD else 0.0
    return correlations


class StyleSources:
    """Whose style the next image of a class gets: each image of another class once, then mixtures of two."""

    def __init__(self, labels: Labels, key: Key) -> None:
        """
        Args:
            labels: N, of all images.
            key: names the order in which they come.
        """
        self.labels, self.key = labels, key
        self._left: dict[int, list[int]] = {}
        self._all: dict[int, Labels] = {}

    def next(self, label: int, seed: int) -> tuple[tuple[int, ...], float]:
        """One image or two, as indices, and the share of the first; `seed` names the draw of two."""
        if label not in self._all:
            others = np.flatnonzero(self.labels != label)
            self._all[label] = others
            self._left[label] = (self.key / label).numpy_generator().permutation(others).tolist()
        if left := self._left[label]:
            return (left.pop(),), 1.0
        random = np.random.default_rng(seed)
        two = random.choice(self._all[label], min(2, len(self._all[label])), replace=False)
        return tuple(map(int, two)), float(random.uniform(0.5, 0.9))


def _edge_length(ink: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """N x H x W -> N: the sum of slopes, each between four pixels, so that slanted edges count like upright ones."""
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    across, along = np.diff(padded, axis=2), np.diff(padded, axis=1)
    across, along = (across[:, 1:] + across[:, :-1]) / 2, (along[:, :, 1:] + along[:, :, :-1]) / 2
    return np.asarray(np.sqrt(across**2 + along**2).sum((1, 2)), dtype=np.float64)


def _within(values: npt.NDArray[np.float64], cells: Labels) -> npt.NDArray[np.float64]:
    means = np.bincount(cells, values) / np.bincount(cells)
    return np.asarray(values - means[cells], dtype=np.float64)


def _ink(grey: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """N x H x W in 0..1 -> how far each pixel is from the ground."""
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    return np.asarray(np.abs(grey - np.median(border, axis=1)[:, None, None]), dtype=np.float64)
