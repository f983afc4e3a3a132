"""Did a method see the test fold? A generator that copies test images must be caught, and no honest one accused.

A method is shown neither the validation images nor the test images. So the distance of such a real image
to the nearest extra image has the same law for both, whatever the method does with its training images. Extra
images that lie nearer to the test images than to the validation images come from the test fold. It is asked twice: of
the images as they are, and turned by quarters, mirrored, or shifted further.

What this cannot see: strongly distorted copies, and a few changed copies among many honest images. Copies of the
validation images beside those of the test images hide from rule 2, not from rule 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from tenfold.core.rows import ImageRows
from tenfold.data.duplicates import nearest, orientations

Images = npt.NDArray[Any]
"""uint8 N x C x H x W, or vectors float32 N x F x 1 x 1."""
Indices = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float32]

SAME = 1.0
"""Root mean square difference, grey levels, up to which two images are one."""
CLEARLY_OTHER = 3.0
"""The nearest training image must be this far from a test image, or a jittered training image might equal it."""
LEAST_CONTRAST = 4.0
"""Standard deviation in grey levels; two flatter images may be equal by chance."""
FALSE_ALARMS = 1e-6
"""Of each question of rule 2, in one fold of one arm: a thorough study of ten arms asks 1,000 times."""
MOST_PAIRS = 10_000
"""Up to here the p-value is exact, which few images need; beyond it the normal approximation is as good."""
LARGEST_SIDE = 32
"""Rule 2 looks at larger images shrunk to this side or less, where a shift by a pixel matters little."""
TURNED_SIDE = 16
"""The same where it looks for turned, mirrored or shifted copies: many more views, of fewer pixels."""


def leak(
    extra: Images,
    unseen: Images,
    test: Images,
    train: Images | ImageRows,
    *,
    unseen_groups: Indices | None = None,
    test_groups: Indices | None = None,
) -> str | None:
    """Why the extra images must have been made from the test fold, in plain words; None where nothing says so.

    Of vectors only exact copies are looked for: how near two of them may be is not known.

    Rule 1: an extra image equals a test image, turned or mirrored maybe, that no training image resembles.
    Rule 2: extra images lie nearer to test than to validation images, by a one-sided Mann-Whitney test.
    With groups given, a group counts once, with its smallest distance: images of one patient are alike, and
    would pass for many independent witnesses. Without, every image is taken for a group of its own.
    Below about 10 validation and 13 test images rule 2's level is out of reach, which leaves rule 1.

    Args:
        extra: G x C x H x W, what the method adds to the training images.
        unseen: U x C x H x W, the validation images.
        test: T x C x H x W.
        train: N x C x H x W, what the method was shown; rows are read a part at a time.

    Raises:
        ValueError: the images differ in shape.
    """
    if len(extra) == 0 or len(test) == 0:
        return None
    if extra.dtype != np.uint8:
        return _vectors_copied(extra, test, train)
    copied = _count_copied(extra, test, train)
    if copied:
        return (
            f"{copied} of {len(test)} test images {'is' if copied == 1 else 'are'} among the {len(extra)} extra "
            "images, and no training image resembles them"
        )
    if len(unseen) == 0:
        return None
    for distances, how in ((_distances, ""), (_turned_distances, ", once turned, mirrored or shifted,")):
        to_test = _once_a_group(distances(test, extra), test_groups)
        to_unseen = _once_a_group(distances(unseen, extra), unseen_groups)
        p_value = _p_value(to_test, to_unseen)
        if p_value < FALSE_ALARMS:
            return (
                f"the {len(extra)} extra images{how} lie nearer to the test images (median {np.median(to_test):.1f} "
                f"grey levels) than to validation images (median {np.median(to_unseen):.1f}), though the method was "
                f"shown neither (p = {p_value:.0e})"
            )
    return None


def _count_copied(extra: Images, test: Images, train: Images | ImageRows) -> int:
    distinct = test[test.reshape(len(test), -1).std(axis=1, dtype=np.float32) >= LEAST_CONTRAST]
    # Averaging brings images nearer, but for rounding: what is no copy when it is shrunk is none.
    likely = _nearest_turned(_shrunk(distinct, TURNED_SIDE), _shrunk(extra, TURNED_SIDE)) <= SAME + 1
    copied = distinct[likely]
    copied = copied[_nearest_turned(copied, extra) <= SAME]
    if len(train) and len(copied):
        copied = copied[_nearest_turned(copied, train) > CLEARLY_OTHER]
    return len(copied)


def _nearest_turned(images: Images, others: Images | ImageRows) -> Distances:
    """Of each image to the nearest of the others, turned or mirrored so that it is nearest."""
    distances: Distances = np.min([nearest(view, others)[1] for view in orientations(images)], axis=0)
    return distances


def _vectors_copied(extra: Images, test: Images, train: Images | ImageRows) -> str | None:
    made, shown = ({row.tobytes() for row in rows} for rows in (extra, train[:]))
    copied = sum(row.tobytes() in made - shown for row in test)
    if not copied:
        return None
    return f"{copied} of {len(test)} test rows {'is' if copied == 1 else 'are'} among the {len(extra)} extra rows"


def _p_value(to_test: Distances, to_unseen: Distances) -> float:
    """One-sided: that the distances to test images are the smaller ones by chance."""
    both = np.concatenate([to_unseen, to_test])
    ranks = np.empty(len(both))
    # Equal distances (copies are all at 0) count against an alarm: then no rank ties, and the test can be exact.
    ranks[np.argsort(both, kind="stable")] = np.arange(len(both))
    method = "exact" if len(to_test) * len(to_unseen) <= MOST_PAIRS else "asymptotic"
    unseen, test = np.split(ranks, [len(to_unseen)])
    return float(mannwhitneyu(test, unseen, alternative="less", method=method).pvalue)


def _once_a_group(distances: Distances, groups: Indices | None) -> Distances:
    if groups is None:
        return distances
    _, rows = np.unique(groups, return_inverse=True)
    smallest = np.full(rows.max() + 1, np.inf, dtype=np.float32)
    np.minimum.at(smallest, rows, distances)
    return smallest


def _distances(images: Images, extra: Images) -> Distances:
    """Of each image to the nearest extra one, shifted by up to a pixel each way."""
    return _shifted_distances(_shrunk(images), _shrunk(extra), reach=1)


def _turned_distances(images: Images, extra: Images) -> Distances:
    """Of each image to the nearest extra one, turned or mirrored and shifted by a pixel, or shifted by up to two."""
    images, extra = _shrunk(images, TURNED_SIDE), _shrunk(extra, TURNED_SIDE)
    turned = [_shifted_distances(view, extra, reach=1) for view in orientations(images)[1:]]
    distances: Distances = np.min([*turned, _shifted_distances(images, extra, reach=2)], axis=0)
    return distances


def _shifted_distances(images: Images, extra: Images, reach: int) -> Distances:
    """Of each image to the nearest extra one, shifted by up to `reach` pixels each way; the border is left out."""
    height, width = (side - 2 * reach for side in images.shape[2:])
    if min(height, width) < 2:
        return nearest(images, extra)[1]
    central = np.ascontiguousarray(extra[:, :, reach:-reach, reach:-reach])
    shifts = [(down, across) for down in range(2 * reach + 1) for across in range(2 * reach + 1)]
    views = [images[:, :, d : d + height, a : a + width] for d, a in shifts]
    distances: Distances = np.min([nearest(view, central)[1] for view in views], axis=0)
    return distances


def _shrunk(images: Images, largest: int = LARGEST_SIDE) -> Images:
    """Blocks of pixels averaged, as large as needed to get down to such a side; leftover edges fall off."""
    count, channels, height, width = images.shape
    block = -(-max(height, width) // largest)
    if block == 1 or min(height, width) < block:
        return images
    down, across = height // block, width // block
    blocks = images[:, :, : down * block, : across * block].reshape(count, channels, down, block, across, block)
    means: Images = np.rint(blocks.mean(axis=(3, 5), dtype=np.float32)).astype(np.uint8)
    return means
