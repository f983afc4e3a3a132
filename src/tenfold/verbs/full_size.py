"""The images of a grown set at the size of their files: real ones as they are, new ones as the method can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tenfold.core.keys import Key
from tenfold.core.progress import Bar
from tenfold.data.export import FullSizes
from tenfold.data.originals import Image, Originals
from tenfold.methods import Change, Grown

LARGEST_CHANGED = 1024
"""Pixels of the longer side: what a new image is made of has no more, so that its changes fit into the memory."""


@dataclass(frozen=True, eq=False)
class FullSize:
    """Where larger images come from, where a set's files have more pixels than were read of them."""

    originals: Originals
    change: Change | None
    """None where new images are as large as those that were learned from."""
    key: Key
    """Names the draws of each new image, by its parent and its number among that one's new images."""

    def images(self, reals: int, grown: Grown, bar: Bar) -> FullSizes:
        """Of a set of so many real images and these new ones; the bar shows how many were asked for."""
        numbers, counts = [], Counter[tuple[int, ...]]()
        for parents in grown.parents:
            numbers.append(counts[parents])
            counts[parents] += 1

        def image(index: int) -> tuple[Image, Mapping[str, object]] | None:
            bar.advance()
            if index < reals:
                real = self.originals.image(index)
                return None if real is None else (real, {})
            parents, number = grown.parents[index - reals], numbers[index - reals]
            return self.new(parents, self.key / parents[0] / number) if len(parents) == 1 else None

        return image

    def new(self, parents: tuple[int, ...], key: Key) -> tuple[Image, Mapping[str, object]] | None:
        """A new image of a real one with the draws of this name, and what its line says of it beside.

        None where it has no more pixels than the one that was made of what was read.
        """
        if self.change is None or len(parents) != 1:
            return None
        real = self.originals.image(parents[0], LARGEST_CHANGED)
        return None if real is None else (self.change(real[np.newaxis], key)[0], {"seed": key.seed})
