"""The nouns that the layers hand to one another.

Images at rest are uint8, N x C x H x W, vectors float32, N x F x 1 x 1; labels are int64, N. Everything here is plain
numpy, so that reading a result never needs torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tenfold.core.rows import ImageRows

Role = Literal["train", "grown", "reserve", "test"]
"""train: the study's folds are drawn from these · grown: made from single ones of these, trained on where their
parents are and never judged · reserve: more real images, for the `oracle` arm alone ·
test: a sealed external test set, never trained on."""


ValueRange = tuple[float, float]
"""The values that become black and full light."""
ValueRanges = Mapping[str, ValueRange]
"""Of "integers" and of "reals", as far as there are such that 8 bits do not hold."""


@dataclass(frozen=True)
class SetAside:
    """A file that is not used, and why."""

    source: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images, all of one size, or labelled vectors (`is_vectors`), and for each where it came from.

    Whatever treats examples alike, such as folds and groups, need not know which of the two it has.

    Parts of a set and joined sets share the arrays they were made of. `rows` reads from these what is asked for;
    `images` makes an array of its own of a part, once, which what reads a few rows at a time can do without.
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
    columns: tuple[str, ...] = ()
    """What the columns of its table were taken for, a sentence each."""
    warnings: tuple[str, ...] = ()
    """What the reader saw that deserves the user's eye, a sentence each."""
    feature_names: tuple[str, ...] = ()
    """F, of vectors whose columns have names; else empty."""
    value_ranges: ValueRanges = field(default_factory=dict)
    """What the files' values were scaled by; empty where all were of 8 bits. Kept with what is learned from them."""
    file_side: int = 0
    """Pixels of the longer side of the real images' files, the median; 0 where nobody knows."""
    rows: ImageRows = field(init=False, repr=False)
    """The images, N x C x H x W, read as `rows[index]`: no others are copied."""

    def __post_init__(self) -> None:
        n, dtype, shape = len(self.rows), self.rows.dtype, self.rows.shape
        images = dtype == np.uint8 and len(shape) == 4 and shape[1] in (1, 3)
        vectors = dtype == np.float32 and len(shape) == 4 and shape[2:] == (1, 1)
        if not images and not vectors:
            raise ValueError(f"images must be uint8 N x (1|3) x H x W or float32 N x F x 1 x 1, not {dtype} {shape}")
        for column in ("labels", "groups", "sources", "roles"):
            if len(getattr(self, column)) != n:
                raise ValueError(f"{column} has {len(getattr(self, column))} entries for {n} images")

    @classmethod
    def of_arrays(
        cls,
        name: str,
        images: npt.NDArray[Any],
        labels: npt.NDArray[np.integer],
        class_names: tuple[str, ...],
    ) -> ImageDataset:
        """Images of which nothing else is known: each is a group of its own, and all are studied."""
        each = np.arange(len(labels))
        sources = tuple(f"{name}[{number}]" for number in each)
        return cls(name, images, labels.astype(np.int64), class_names, each, sources, np.full(len(each), "train"))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def class_count(self) -> int:
        return len(self.class_names)

    @property
    def is_vectors(self) -> bool:
        """Whether these are rows of numbers (embeddings, a table of features) and no images."""
        return bool(self.rows.dtype == np.float32)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W; of vectors F, 1, 1."""
        _, channels, height, width = self.rows.shape
        return channels, height, width

    def counts(self) -> npt.NDArray[np.int64]:
        """Images a class: K."""
        return np.bincount(self.labels, minlength=self.class_count).astype(np.int64)

    def take(self, indices: npt.ArrayLike) -> ImageDataset:
        """The images at `indices`, in that order; the classes stay."""
        chosen = np.asarray(indices, dtype=np.int64)
        return self.with_columns(
            images=self.rows.take(chosen),
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
        return self.with_columns(
            images=self.rows.joined(other.rows),
            labels=np.concatenate([self.labels, other.labels]),
            groups=np.concatenate([self.groups, other.groups]),
            sources=self.sources + other.sources,
            roles=np.concatenate([self.roles, other.roles]),
        )

    def with_columns(self, **changes: Any) -> ImageDataset:
        """As `dataclasses.replace`, which would make an array of the images of a part."""
        return replace(self, **{"images": self.rows, **changes})

    @property
    def large(self) -> ImageDataset:
        """The same images with as many pixels as were read of their files; this set where there are no more."""
        return self if self.rows.large is None else self.with_columns(images=self.rows.large)

    def with_large(self, large: ImageRows) -> ImageDataset:
        """The set, whose images are these, N x C x H x W, wherever more pixels are wanted."""
        return self.with_columns(images=ImageRows((self.images,), large=large))

    def part(self, role: Role) -> ImageDataset:
        """The images of one role; may be empty."""
        return self.take(np.flatnonzero(self.roles == role))

    def read_from(self, rows: ImageRows) -> None:
        """Hold these rows from now on: the same images at another place, such as a file that all processes map."""
        object.__setattr__(self, "rows", rows)

    def fingerprint(self) -> str:
        """16 hex digits that change when any image, label, class name, group or role does."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(str(self.rows.shape).encode())
        for images in self.rows.chunks():
            digest.update(images.tobytes())
        for images in self.rows.large.chunks() if self.rows.large is not None else ():
            digest.update(images.tobytes())
        for column in (self.labels, self.groups):
            digest.update(str(column.shape).encode())
            digest.update(column.tobytes())
        for words in (self.class_names, self.roles.tolist()):
            digest.update("\0".join(words).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


class ImagesOfRows:
    """The attribute `images` of what has `rows`: of a part an array, made when first asked for and kept instead."""

    def __get__(self, data: ImageDataset | None, _: type) -> Any:
        if data is None:
            return self
        if not data.rows.whole:
            self.__set__(data, ImageRows((data.rows[:],), large=data.rows.large))
        return data.rows.parts[0]

    def __set__(self, data: ImageDataset, images: npt.NDArray[Any] | ImageRows) -> None:
        object.__setattr__(data, "rows", images if isinstance(images, ImageRows) else ImageRows((images,)))


ImageDataset.images = ImagesOfRows()  # type: ignore[assignment]  # here, as in the class it would be a default

Data = str | Path | ImageDataset
"""What every verb takes: a path or a known name, as `tenfold.load` reads it, or a set that was loaded."""


@dataclass(frozen=True, eq=False)
class Split:
    """Who is trained on, who chooses, who judges: indices into the study's images, disjoint by group."""

    repeat: int
    fold: int
    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    """The validation split: real images for early stopping and for choosing what an arm leaves open."""
    test: npt.NDArray[np.int64]

    def arrays(self) -> dict[str, npt.NDArray[np.int64]]:
        """The three parts by their names, for a file that jobs read."""
        return {part: getattr(self, part) for part in ("train", "validation", "test")}


@dataclass(frozen=True)
class Trial:
    """One arm trained on one fold and judged on its test images: the unit of work and of resume."""

    arm: str
    repeat: int
    fold: int
    inner_score: float
    """Balanced accuracy on the validation images."""
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

    @classmethod
    def of_failure(cls, arm: str, repeat: int, fold: int, reason: str, wall_seconds: float) -> Trial:
        return cls(arm, repeat, fold, 0.0, 0.0, [], [], [], wall_seconds, failed=reason)

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
