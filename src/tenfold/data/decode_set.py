"""The files of a manifest, each decoded once, as squares of the side that is trained on, and of a larger one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, SetAside, ValueRanges
from tenfold.data import value_range
from tenfold.data.decoded_images import DecodedImages
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError
from tenfold.data.detail import LOOKED_AT, lost_detail, note_of_lost_detail
from tenfold.data.images import LARGEST_DEFAULT_SIDE, choose_side, resize_to_squares, shrink
from tenfold.data.readers import Manifest

Indices = npt.NDArray[np.int64]
Roles = npt.NDArray[np.str_]
NOTHING = DecodedImage(np.empty((0, 0), np.uint8))


def decode_set(
    manifest: Manifest,
    indices: Indices,
    roles: Roles,
    size: int | None = None,
    known: ValueRanges | None = None,
    large_side: int | None = None,
) -> ImageDataset:
    """The images, or vectors, at these indices of the manifest.

    Args:
        size: of the squares; unless given, the median of the longer sides, at most 64.
        known: what values of more than 8 bits are scaled by; the manifest's or their own range unless given.
        large_side: the most pixels of the squares that larger networks read, where the files have more than `size`.

    Raises:
        InputError: of some class none can be read.
    """
    if manifest.vectors is not None:
        vectors = manifest.vectors[indices, :, np.newaxis, np.newaxis]
        return _set_of(manifest, vectors, indices, roles).with_columns(feature_names=manifest.feature_names)
    assert manifest.decode is not None
    known = manifest.value_ranges if known is None else known
    small = _Copies(size or LARGEST_DEFAULT_SIDE)
    large = _Copies(large_side, small.most) if large_side is not None and large_side > small.most else None
    longer_sides: list[int] = []
    kept: list[int] = []
    broken: list[SetAside] = []
    lost: list[float] = []
    for position, index in enumerate(indices):
        try:
            image = manifest.image(int(index), roles[position])
        except UnreadableError as error:
            broken.append(SetAside(manifest.sources[index], str(error)))
            continue
        longer_sides.append(image.longer_side)
        for copies in filter(None, (small, large)):
            copies.add(image)
        if image.longer_side > small.most and position % max(1, len(indices) // LOOKED_AT) == 0:
            lost.append(lost_detail(image.pixels, small.most))
        kept.append(position)
    readable, roles = indices[kept], roles[kept]
    _require_every_class(manifest, indices, readable, broken)

    def again(place: int, decode: Callable[[int], DecodedImage] = manifest.decode) -> DecodedImage:
        return decode(int(readable[place]))

    side = choose_side(longer_sides, size)
    file_side = int(np.median(own)) if (own := _of_originals(longer_sides, roles)) else 0
    if large is not None and (large_side := min(large.most, file_side)) > side:
        large.take_over(small, longer_sides)
    else:
        large = None
    small.shrink_again(side, longer_sides, again)
    ranges = value_range.value_ranges((image.pixels for image in small.images), known)
    kinds = [value_range.kind_of(image.pixels) for image in small.images] if known is not None else []
    images, conversions = resize_to_squares(small.images, longer_sides, side, ranges)
    if told := note_of_lost_detail(lost, small.most):
        conversions[told] = sum(longer > small.most for longer in longer_sides)
    if known is not None:
        conversions[value_range.OWN_RANGE] = sum(kind is not None and kind not in known for kind in kinds)
    dataset = _set_of(manifest, images, readable, roles).with_columns(
        set_aside=(*manifest.set_aside, *broken),
        conversions={**manifest.conversions, **+conversions},
        value_ranges=ranges,
        file_side=file_side,
    )
    if large is None or large_side is None:
        return dataset
    large.shrink_whole(large_side, longer_sides)
    large.shrink_again(large_side, longer_sides, again)
    return dataset.with_large(ImageRows((resize_to_squares(large.images, longer_sides, large_side, ranges)[0],)))


@dataclass
class _Copies:
    """Decoded images with at most so many pixels a side: thousands of photographs would not fit into the memory."""

    most: int
    least: int = 0
    """Images with no more pixels a side are not kept here until they are taken over."""
    images: DecodedImages = field(default_factory=DecodedImages)

    def add(self, image: DecodedImage) -> None:
        self.images.append(shrink(image, self.most) if image.longer_side > self.least else NOTHING)

    def take_over(self, smaller: _Copies, longer_sides: Sequence[int]) -> None:
        """What was not kept here, from where it lies as its file has it."""
        for place, longer in enumerate(longer_sides):
            if longer <= self.least:
                self.images[place] = smaller.images[place]

    def shrink_whole(self, side: int, longer_sides: Sequence[int]) -> None:
        """Those that are kept with all their pixels."""
        for place, longer in enumerate(longer_sides):
            if side < longer <= self.most:
                self.images[place] = shrink(self.images[place], side)

    def shrink_again(self, side: int, longer_sides: Sequence[int], again: Callable[[int], DecodedImage]) -> None:
        """Decode once more, to shrink in one step, as `predict` does: two steps give other values."""
        for place, longer in enumerate(longer_sides):
            if longer > self.most > side:
                self.images[place] = shrink(again(place), side)


def _require_every_class(manifest: Manifest, indices: Indices, readable: Indices, broken: Sequence[SetAside]) -> None:
    for label in np.setdiff1d(manifest.labels[indices], manifest.labels[readable]):
        members = {manifest.sources[index] for index in np.flatnonzero(manifest.labels == label)}
        example = next(entry for entry in broken if entry.source in members)
        raise InputError(
            f"class {manifest.class_names[label]!r}: none of its images can be read "
            f"({example.source}: {example.reason}); replace them or remove the class"
        )


def _of_originals(longer_sides: Sequence[int], roles: Roles) -> list[int]:
    """Those of real images: beside photographs may lie many more that a generator has made small."""
    return [side for side, role in zip(longer_sides, roles, strict=True) if role != "grown"]


def _set_of(manifest: Manifest, images: npt.NDArray[Any], indices: Indices, roles: Roles) -> ImageDataset:
    """Images, or vectors, under what the manifest says of them."""
    return ImageDataset(
        name=manifest.name,
        images=images,
        labels=manifest.labels[indices],
        class_names=manifest.class_names,
        groups=manifest.groups[indices],
        sources=tuple(manifest.sources[index] for index in indices),
        roles=roles,
        columns=manifest.columns,
        warnings=manifest.warnings,
    )
