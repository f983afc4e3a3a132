"""What values that do not fit into 8 bits are scaled by: one range for all images of a set, kept with its models.

An image alone does not tell how bright it is: 4,095 is white from a camera of 12 bits and dim from one of 16. So the
range is that of the set which was learned from, and what is predicted later is scaled by the same, file by file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.types import ValueRange, ValueRanges

Pixels = npt.NDArray[np.uint8 | np.int32 | np.int64 | np.float32]

INTEGERS, REALS = "integers", "reals"
DEPTHS = tuple((0.0, float((1 << bits) - 1)) for bits in (8, 10, 12, 14, 16))
"""The ranges of cameras and scanners."""
USUAL = {INTEGERS: DEPTHS, REALS: ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))}
SCALED = {INTEGERS: "values of more than 8 bits scaled to 0..255", REALS: "real values scaled to 0..255"}
OUTSIDE = "values outside of the range that the set learned from was scaled by, cut off at its ends"
OWN_RANGE = "values scaled by their own range, as that of the set learned from does not hold them"
EXPORTED = "value_ranges.json"
"""Beside images that were written with 8 bits: what their originals were scaled by."""
BYTES: ValueRange = (0.0, 255.0)
STEP = 1 / 255
"""Between two grey levels, as a share of the range."""


def kind_of(pixels: Pixels) -> str | None:
    """`INTEGERS` or `REALS`; None of values of 8 bits, which stay as they are."""
    if pixels.dtype == np.uint8:
        return None
    return INTEGERS if np.issubdtype(pixels.dtype, np.integer) else REALS


def value_ranges(images: Iterable[Pixels], known: ValueRanges | None = None) -> ValueRanges:
    """The range of each kind of values among these images, except where it is known already.

    It is the first usual range that holds all of them, or else goes from the smallest value to the largest.
    """
    extremes: dict[str, ValueRange] = {}
    for pixels in images:
        if (kind := kind_of(pixels)) and kind not in (known or {}):
            low, high = extremes.get(kind, (np.inf, -np.inf))
            extremes[kind] = min(low, float(pixels.min())), max(high, float(pixels.max()))
    own = {
        kind: next((usual for usual in USUAL[kind] if usual[0] <= low and high <= usual[1]), (low, high))
        for kind, (low, high) in extremes.items()
    }
    return {**(known or {}), **own}


def as_bytes(pixels: Pixels, ranges: ValueRanges, done: Counter[str]) -> npt.NDArray[np.uint8]:
    """The values as 0..255; what was done to them is counted."""
    kind = kind_of(pixels)
    if kind is None:
        return pixels.astype(np.uint8, copy=False)
    low, high = ranges[kind]
    done[scaling(kind, ranges[kind])] += (low, high) != BYTES
    unit = (pixels.astype(np.float64) - low) / ((high - low) or 1.0)
    done[OUTSIDE] += bool(unit.min() < -STEP / 2 or unit.max() > 1 + STEP / 2)
    scaled: npt.NDArray[np.uint8] = np.rint(unit.clip(0, 1) * 255).astype(np.uint8)
    return scaled


def scaling(kind: str, value_range: ValueRange) -> str:
    """What is told of images that were scaled by this range."""
    low, high = value_range
    return f"{SCALED[kind]}, from {low:,.7g}..{high:,.7g}"


def holds(ranges: ValueRanges, others: ValueRanges) -> bool:
    """Whether each of the others lies in the range for its kind."""
    return all(
        kind in ranges and ranges[kind][0] <= low and high <= ranges[kind][1] for kind, (low, high) in others.items()
    )


def ranges_beside(folder: Path) -> dict[str, ValueRange] | None:
    """What the images of a folder that tenfold wrote were scaled by before they were written with 8 bits.

    Raises:
        InputError: the file that says so is damaged.
    """
    path = folder / EXPORTED
    if not path.is_file():
        return None
    try:
        return ranges_from_json({"value_ranges": read_json(path)})
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise InputError(f"{path} does not hold ranges of values ({error}); remove it") from error


def ranges_from_json(document: Mapping[str, Any]) -> dict[str, ValueRange]:
    """The `value_ranges` of a model's JSON; files made before there were such have none.

    Raises:
        ValueError: they are no ranges of known kinds.
    """
    told = document.get("value_ranges", {})
    try:
        ranges = {kind: (float(low), float(high)) for kind, (low, high) in told.items()}
    except OverflowError as error:  # a whole number of hundreds of digits
        raise ValueError(str(error)) from error
    for kind, (low, high) in ranges.items():
        if kind not in USUAL or not -np.inf < low <= high < np.inf:
            raise ValueError(f"{kind} from {low} to {high} is no range of values")
    return ranges
