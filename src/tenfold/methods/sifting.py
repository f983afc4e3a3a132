"""Drawing pictures until those that cannot be used are replaced: of a wrong label, or near copies of real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenfold import methods
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.duplicates import copies_among

ROUNDS = 4
"""How often pictures are drawn at most: once, and rejected ones three times more."""

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Judge = Callable[[Images], Indices]
"""uint8 pictures -> labels."""


@dataclass(frozen=True, eq=False)
class Sifted:
    """What is left of N wanted pictures."""

    kept: Indices
    """Which of the N have the label they were drawn for."""
    images: Images
    """Of those that are kept."""
    seeds: tuple[int, ...]
    near_copies: npt.NDArray[np.bool_]
    counts: dict[str, int]
    """Pictures drawn, of a wrong label, near copies, and usable at last."""


def sift(
    name: str,
    labels: Indices,
    real: ImageDataset,
    draw: Callable[[Indices, Indices], Images],
    judge: Judge | None,
    key: Key,
) -> Sifted:
    """Draw a picture for each of N labels; rejected ones anew with other seeds, three times at most.

    Args:
        name: of the method.
        draw: (places among the N, a seed for each) -> their pictures.
        judge: None where every label is taken for right.

    Raises:
        MethodFailed: the judge agrees with none.
    """
    images = np.zeros((len(labels), *real.image_shape), np.uint8)
    seeds = np.zeros(len(labels), np.int64)
    wrong, copied = np.ones(len(labels), bool), np.zeros(len(labels), bool)
    drawn = wrong_ones = copies = 0
    for round_ in range(ROUNDS):
        missing = np.flatnonzero(wrong | copied)
        if not len(missing):
            break
        seeds[missing] = [(key / "sample" / round_ / int(index)).seed for index in missing]
        images[missing] = draw(missing, seeds[missing])
        wrong[missing] = judge(images[missing]) != labels[missing] if judge else False
        copied[missing] = copies_among(images[missing], real.images, real.groups)[0]
        drawn += len(missing)
        wrong_ones += int(wrong[missing].sum())
        copies += int((copied & ~wrong)[missing].sum())
    kept = np.flatnonzero(~wrong)
    if not len(kept):
        raise methods.MethodFailed(
            f"{name}: a classifier of the real images agrees with the label of none of {drawn} pictures; nothing is "
            "used from it"
        )
    usable = int((~copied[kept]).sum())
    counts = {"drawn": drawn, "wrong_label": wrong_ones, "near_copies": copies, "usable": usable}
    return Sifted(kept, images[kept], tuple(int(seed) for seed in seeds[kept]), copied[kept], counts)
