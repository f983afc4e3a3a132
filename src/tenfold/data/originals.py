"""The images of a set as large as their files are, one at a time: a set of photographs fits into no memory."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.options import DataOptions
from tenfold.core.types import Data, ImageDataset
from tenfold.data.decoding.pixels import DecodedImage, UnreadableError
from tenfold.data.images import RESIZED, shrink
from tenfold.data.readers import Manifest, manifest_of
from tenfold.data.value_range import as_bytes

Image = npt.NDArray[np.uint8]

PIXELS_AT_ONCE = 1 << 22
"""Of values of more than 8 bits, which take eight times as much memory while they are scaled."""


class Originals:
    """Decodes the files of a set's images once more: upright, flattened and scaled as those of the set were."""

    def __init__(self, manifest: Manifest, data: ImageDataset) -> None:
        numbers = {source: number for number, source in enumerate(manifest.sources)}
        self._manifest, self._data = manifest, data
        self._numbers = [numbers[source] for source in data.sources]
        self._latest: tuple[int, int | None, Image | None] = (-1, None, None)

    def image(self, row: int, most: int | None = None) -> Image | None:
        """uint8 C x H x W; None where its file has no more pixels than the set's own side.

        Args:
            most: of the longer side; as many as there are unless given.

        Raises:
            InputError: the file cannot be read any more.
        """
        if self._latest[:2] != (row, most):  # all new images of one real one are asked for in a row
            self._latest = row, most, self._read(row, most)
        return self._latest[2]

    def _read(self, row: int, most: int | None) -> Image | None:
        assert self._manifest.decode is not None  # these are images
        try:
            decoded = self._manifest.decode(self._numbers[row])
        except UnreadableError as error:
            source = self._data.sources[row]
            raise InputError(f"{source} was read a moment ago and cannot be read any more: {error}") from error
        if decoded.longer_side <= self._data.image_shape[-1]:
            return None
        return self._in_bytes(decoded if most is None else shrink(decoded, most))

    def _in_bytes(self, image: DecodedImage) -> Image:
        rows = max(1, PIXELS_AT_ONCE // image.pixels.shape[1])
        starts = range(0, len(image.pixels), rows)
        parts = [as_bytes(image.pixels[at : at + rows], self._data.value_ranges, Counter()) for at in starts]
        pixels = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def originals_of(data: Data, options: DataOptions, read: ImageDataset) -> Originals | None:
    """The files behind a set that was read of `data` with these options; None where none has more pixels than it.

    Raises:
        InputError: the data cannot be read any more.
    """
    if isinstance(data, ImageDataset) or not read.conversions.get(RESIZED):
        return None
    manifest = manifest_of(data, class_folders=options.class_folders, columns=options.columns)
    return Originals(manifest, read) if set(read.sources) <= set(manifest.sources) else None
