"""The nouns that the layers hand to one another.

Images at rest are uint8, N x C x H x W, vectors float32, N x F x 1 x 1; labels are int64, N. Everything here is plain
numpy, so that reading a result never needs torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Role = Literal["train", "grown", "reserve", "test"]
"""train: the study's folds are drawn from these · grown: made from single ones of these, trained on where their
parents are and never judged · reserve: more real images, for the `oracle` arm alone ·
test: a sealed external test set, never trained on."""


@dataclass(frozen=True)
class SetAside:
    """A file that is not used, and why."""

    source: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images, all of one size, or labelled vectors (`is_vectors`), and for each where it came from.

    Whatever treats examples alike, such as folds and groups, need not know which of the two it has.
    """

    name: str
    images: npt.NDArray[Any]
    """uint8 N x C x H x W, C = 1 (grey) or 3 (RGB); or vectors, float32 N x F x 1 x 1."""
    labels: npt.NDArray[np.int64]
    """N, each an index into `class_names`."""
    class_names: tuple[str, ...]
    groups: npt.NDArray[np.int64]
    """N; images of one group (a patient, duplicates, augmented siblings) never straddle folds."""
    sources: tuple[str, ...]
    """N; a path relative to the data's root, or a name such as `digits[17]`."""
    roles: npt.NDArray[np.str_]
    """N of `Role`."""
    set_aside: tuple[SetAside, ...] = ()
    conversions: Mapping[str, int] = field(default_factory=dict)
    """What was done to how many files: {"turned upright by EXIF": 3}."""
    feature_names: tuple[str, ...] = ()
    """F, of vectors whose columns have names; else empty."""

    def __post_init__(self) -> None:
        n, dtype, shape = len(self.images), self.images.dtype, self.images.shape
        pictures = dtype == np.uint8 and len(shape) == 4 and shape[1] in (1, 3)
        vectors = dtype == np.float32 and len(shape) == 4 and shape[2:] == (1, 1)
        if not pictures and not vectors:
            raise ValueError(f"images must be uint8 N x (1|3) x H x W or float32 N x F x 1 x 1, not {dtype} {shape}")
        for column in ("labels", "groups", "sources", "roles"):
            if len(getattr(self, column)) != n:
                raise ValueError(f"{column} has {len(getattr(self, column))} entries for {n} images")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def class_count(self) -> int:
        return len(self.class_names)

    @property
    def is_vectors(self) -> bool:
        """Whether these are rows of numbers (embeddings, a table of features) and no pictures."""
        return bool(self.images.dtype == np.float32)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W; of vectors F, 1, 1."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def counts(self) -> npt.NDArray[np.int64]:
        """Images a class: K."""
        return np.bincount(self.labels, minlength=self.class_count).astype(np.int64)

    def take(self, indices: npt.ArrayLike) -> ImageDataset:
        """The images at `indices`, in that order; the classes stay."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            groups=self.groups[chosen],
            sources=tuple(self.sources[i] for i in chosen),
            roles=self.roles[chosen],
        )

    def joined(self, other: ImageDataset) -> ImageDataset:
        """These images, then the other's, which must have the same classes and image shape."""
        same_kind = self.image_shape == other.image_shape and self.is_vectors == other.is_vectors
        if self.class_names != other.class_names or not same_kind:
            raise ValueError(f"{self.name} and {other.name} differ in classes or image shape")
        return replace(
            self,
            images=np.concatenate([self.images, other.images]),
            labels=np.concatenate([self.labels, other.labels]),
            groups=np.concatenate([self.groups, other.groups]),
            sources=self.sources + other.sources,
            roles=np.concatenate([self.roles, other.roles]),
        )

    def part(self, role: Role) -> ImageDataset:
        """The images of one role; may be empty."""
        return self.take(np.flatnonzero(self.roles == role))

    def fingerprint(self) -> str:
        """16 hex digits that change when any image, label, class name, group or role does."""
        digest = hashlib.sha256()
        for column in (self.images, self.labels, self.groups):
            digest.update(str(column.shape).encode())
            digest.update(np.ascontiguousarray(column).tobytes())
        for words in (self.class_names, self.roles.tolist()):
            digest.update("\0".join(words).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Split:
    """Who is trained on, who chooses, who judges: indices into the study's images, disjoint by group."""

    repeat: int
    fold: int
    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    """The inner split: real images for early stopping and for choosing between arms."""
    test: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trial:
    """One arm trained on one fold and judged on its test images: the unit of work and of resume."""

    arm: str
    repeat: int
    fold: int
    inner_score: float
    """Balanced accuracy on the inner validation images."""
    inner_loss: float
    """Cross entropy there, at the temperature that suits them best: breaks ties of the score."""
    test_indices: list[int]
    test_probabilities: list[list[float]]
    """One row of K probabilities a test image, rounded to 5 places."""
    external_predictions: list[int]
    """Predicted classes of the sealed external test images; empty where there are none."""
    wall_seconds: float
    details: dict[str, Any] = field(default_factory=dict)
    """Steps, extra images, seconds in each phase, and what the method has to tell."""
    failed: str | None = None
    """Why this trial gave no predictions (a collapsed generator, NaN); None when it did."""

    def test_predictions(self) -> list[int]:
        return [int(np.argmax(row)) for row in self.test_probabilities]


def class_weights(labels: npt.NDArray[np.int64], evaluated: Sequence[int]) -> npt.NDArray[np.float64]:
    """A weight for each image so that the weighted sum of correctness is the balanced accuracy.

    Images of a class outside `evaluated` weigh 0; the rest weigh 1 / (classes x images of the class).
    """
    weights = np.zeros(len(labels))
    for label in evaluated:
        members = labels == label
        weights[members] = 1.0 / (len(evaluated) * members.sum())
    return weights
