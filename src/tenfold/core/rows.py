"""Images of one or several arrays under one numbering, gathered only where they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]

CHUNK_BYTES = 2**24


class MadeRows:
    """N rows that are made when they are asked for, some at once; the last ones stay at hand for what reads in order.

    Args:
        make: the rows from a number on, as many as are made at once or as are left.
        shape: of all rows, N first.
    """

    def __init__(
        self, make: Callable[[int], Array], shape: tuple[int, ...], dtype: npt.DTypeLike, at_once: int
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._make, self._at_once = make, at_once
        self._start, self._made = -1, np.empty(0)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Indices) -> Array:
        numbers = np.arange(len(self))[index]
        rows = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        starts = numbers // self._at_once * self._at_once
        for start in np.unique(starts).tolist():
            if start != self._start:
                self._start, self._made = start, self._make(start)
            rows[starts == start] = self._made[numbers[starts == start] - start]
        return rows


class ImageRows:
    """N rows of the arrays in `parts`, which are shared, never copied: row i is the i-th of `numbers`.

    Numbers count through the parts one after the other. Indexing gives plain arrays: a view where the rows asked for
    lie one behind the other in one part, a copy of just these rows otherwise.

    Args:
        large: the same images with more pixels, in the same order, for networks that read at a larger side.
    """

    def __init__(
        self, parts: tuple[Array | MadeRows, ...], numbers: Indices | None = None, large: ImageRows | None = None
    ) -> None:
        if large is not None and len(large) != (sum(map(len, parts)) if numbers is None else len(numbers)):
            raise ValueError("the larger images are not as many")
        self.parts, self.large = parts, large
        self.starts = np.cumsum([0, *map(len, parts)])
        """Number of each part's first row, and of the row after the last."""
        self.numbers = np.arange(self.starts[-1]) if numbers is None else numbers
        self.whole = numbers is None and len(parts) == 1 and isinstance(parts[0], np.ndarray)
        """Whether the only part is the array that the rows are."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.parts[0].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.numbers), *self.parts[0].shape[1:])

    def __getitem__(self, index: Any) -> Array:
        """One row for a whole number, else the rows at these places: a slice, whole numbers, or a mask of N."""
        numbers = self.numbers[index]
        rows = self._gathered(np.atleast_1d(numbers))
        return rows if np.ndim(numbers) else np.asarray(rows[0])

    def __iter__(self) -> Iterator[Array]:
        """The images one by one."""
        return (self[place] for place in range(len(self)))

    def take(self, indices: Indices) -> ImageRows:
        """The rows at these places, in that order, of the same arrays."""
        return ImageRows(self.parts, self.numbers[indices], self.large and self.large.take(indices))

    def at(self, shape: tuple[int, ...]) -> ImageRows:
        """The rows whose images are of this shape, C, H, W: the larger ones if they are, else these."""
        return self.large if self.large is not None and self.large.shape[1:] == shape else self

    def copied(self) -> ImageRows:
        """The same rows in arrays of their own."""
        rows = self[:]
        return ImageRows((rows if rows.base is None else rows.copy(),), large=self.large and self.large.copied())

    def joined(self, other: ImageRows) -> ImageRows:
        """These rows, then the other's; an array that both have stays one part. Large where both are."""
        parts = list(self.parts)
        numbers = other.numbers.copy()
        for part, start, end in zip(other.parts, other.starts[:-1], other.starts[1:], strict=True):
            mine = next((place for place, own in enumerate(parts) if own is part), len(parts))
            if mine == len(parts):
                parts.append(part)
            inside = (other.numbers >= start) & (other.numbers < end)
            numbers[inside] += sum(map(len, parts[:mine])) - start
        large = self.large.joined(other.large) if self.large is not None and other.large is not None else None
        return ImageRows(tuple(parts), np.concatenate([self.numbers, numbers]), large)

    def mirrored(self) -> ImageRows:
        """The images mirrored left-right, made only where they are asked for."""
        size = self._in_a_chunk
        parts = MadeRows(lambda start: self[start : start + size][..., ::-1], self.shape, self.dtype, size)
        return ImageRows((parts,))

    def chunks(self) -> Iterator[Array]:
        """All rows in order, about 16 MB at a time, at least one row."""
        size = self._in_a_chunk
        return (self[start : start + size] for start in range(0, len(self), size))

    @property
    def _in_a_chunk(self) -> int:
        return max(1, CHUNK_BYTES // max(1, math.prod(self.shape[1:]) * self.dtype.itemsize))

    def _gathered(self, numbers: Indices) -> Array:
        if len(numbers) == 0:
            return self.parts[0][:0]
        holders = np.searchsorted(self.starts, numbers, side="right") - 1
        first = int(holders[0])
        if (holders == first).all():
            part, numbers = self.parts[first], numbers - self.starts[first]
            start, end = int(numbers[0]), int(numbers[0]) + len(numbers)
            return part[start:end] if np.array_equal(numbers, np.arange(start, end)) else part[numbers]
        rows = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        for holder in np.unique(holders):
            inside = holders == holder
            rows[inside] = self.parts[holder][numbers[inside] - self.starts[holder]]
        return rows

    def __reduce__(self) -> tuple[type[ImageRows], tuple[tuple[Array, ...], None, ImageRows | None]]:
        """Another process is sent these rows alone, not the arrays behind them."""
        return ImageRows, ((self[:],), None, self.large)
