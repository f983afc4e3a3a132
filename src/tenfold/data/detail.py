"""Whether images lose detail where they are shrunk to the side that is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from tenfold.data.images import fit
from tenfold.data.value_range import Pixels

LOOKED_AT = 40
"""Images of a set that are measured, spread over it."""
CROP = 1024
"""Pixels a side of the middle of a large photograph that is measured in its place."""
MOST_LOST = 0.5
"""Of the energy of the gradients. Shrunk to 64 pixels, faces of 112 lose 44 %, drawn letters of 105 lose 49 %,
cells of 120, which are blurred, 6 %; cells of 300 lose 53 % and photographs more than 90 %."""
DETAIL_LOST = "shrunk so far that most of the fine detail is lost"
"""How the note of `lost_detail` begins."""


def lost_detail(pixels: Pixels, side: int) -> float:
    """The share, 0..1, of the energy of an image's gradients that is gone when its longer side is shrunk to `side`.

    The image is shrunk and enlarged again; what it then differs by lies above the Nyquist frequency of the small
    one. Gradients count, not values: of a photograph nearly all energy lies in slow changes of light.
    """
    longer = max(pixels.shape[:2])
    if longer <= side:
        return 0.0
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    top, left = (max(0, (length - CROP) // 2) for length in grey.shape)
    middle = grey[top : top + CROP, left : left + CROP].astype(np.float32)
    small = fit(middle, max(1, round(max(middle.shape) * side / longer)))
    height, width = middle.shape
    again = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    whole = _energy(middle)
    return min(1.0, _energy(middle - again) / whole) if whole else 0.0


def note_of_lost_detail(shares: Sequence[float], side: int) -> str | None:
    """What to tell of a set whose images lose these shares; None where most of the detail is kept in the median."""
    lost = float(np.median(shares)) if shares else 0.0
    if lost <= MOST_LOST:
        return None
    return f"{DETAIL_LOST} ({100 * lost:.0f} % of it at {side} pixels); --size {2 * side} keeps more and takes longer"


def _energy(values: npt.NDArray[np.float32]) -> float:
    return sum(float((np.diff(values, axis=axis) ** 2).sum(dtype=np.float64)) for axis in (0, 1))
