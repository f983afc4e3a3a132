"""The decoded images of a set until they are squares, in memory that is given back piece by piece.

What many small arrays take is never given back to the system, and would be held beside the squares: 100,000 images
twice. So pixels are moved, some megabytes at a time, into arrays so large that the system has each to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from tenfold.core.memory import large_array
from tenfold.data.decoding.pixels import DecodedImage

BLOCK_BYTES = 1 << 26
"""Above 32 MB, from which on the C library asks the system for each array and gives it back."""
ALIGNED = 8


class DecodedImages(Sequence[DecodedImage]):
    """Images in the order in which they were added; each can be exchanged, and all taken out once."""

    def __init__(self) -> None:
        self._images: list[DecodedImage] = []
        self._small: list[int] = []
        """Places of images whose pixels still lie in arrays of their own."""
        self._small_bytes = 0
        self._moved = 0
        """Bytes that were moved into large arrays."""

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> DecodedImage: ...

    @overload
    def __getitem__(self, index: slice) -> list[DecodedImage]: ...

    def __getitem__(self, index: int | slice) -> DecodedImage | list[DecodedImage]:
        return self._images[index]

    def append(self, image: DecodedImage) -> None:
        self._images.append(image)
        self._keep(len(self._images) - 1)

    def __setitem__(self, index: int, image: DecodedImage) -> None:
        self._images[index] = image
        self._keep(index)

    def take_all(self) -> Iterator[DecodedImage]:
        """Each in order, not held here any more; then none is left."""
        self._small.clear()
        self._images.reverse()
        while self._images:
            yield self._images.pop()

    def _keep(self, place: int) -> None:
        self._small.append(place)
        self._small_bytes += self._images[place].pixels.nbytes + ALIGNED
        if self._small_bytes >= BLOCK_BYTES:
            self._move()

    def _move(self) -> None:
        """All pixels that lie in small arrays into a large one."""
        block, start = large_array((self._small_bytes,), self._moved), 0
        self._moved += self._small_bytes
        for place in self._small:
            image = self._images[place]
            there = block[start : start + image.pixels.nbytes].view(image.pixels.dtype).reshape(image.pixels.shape)
            there[...] = image.pixels
            self._images[place] = DecodedImage(there, image.notes)
            start += -(-image.pixels.nbytes // ALIGNED) * ALIGNED
        self._small, self._small_bytes = [], 0
