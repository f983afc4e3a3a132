"""The sheets that `sample` draws: new pictures beside their sources, and a walk from one draw to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.augment.tensors import to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import Grown
from tenfold.methods.generating import Images, noise_of
from tenfold.report.image_sheet import Cell, PreviewSheet
from tenfold.training.device import one_thread

ROWS = 6
NEW_A_ROW = 6
WALK = 9
"""Steps from one draw of the noise to another, both ends included."""


def new_pictures(real: ImageDataset, grown: Grown, title: str) -> PreviewSheet:
    """A few new pictures a row: of one source picture, which stands first, or of one class."""
    if any(grown.parents):
        first = np.array([parents[0] for parents in grown.parents])
        kinds = _spread_over(real.labels[np.unique(first)], np.unique(first))
        name, groups = "source", [np.flatnonzero(first == parent) for parent in kinds]
        sources: list[Cell | None] = [_cell(real.images[parent], real, int(real.labels[parent])) for parent in kinds]
    else:
        kinds = np.unique(grown.labels)[:ROWS]
        name, groups = "", [np.flatnonzero(grown.labels == label) for label in kinds]
        sources = []
    columns = min(NEW_A_ROW, max(map(len, groups)))
    rows: list[list[Cell | None]] = []
    for row, group in enumerate(groups):
        shown = group[:columns]
        cells: list[Cell | None] = [_cell(grown.images[i], real, int(grown.labels[i])) for i in shown]
        rows.append([*sources[row : row + 1], *cells, *[None] * (columns - len(shown))])
    explanation = "Left a real picture; beside it new ones made from it." if name else "New pictures, a class a row."
    return PreviewSheet(title, explanation, [*([name] if name else []), *["new"] * columns], rows)


def interpolation(
    generator: nn.Module,
    conditions: Tensor,
    shown: Sequence[Cell],
    ends: tuple[Tensor, Tensor],
    shape: Sequence[int],
    title: str,
) -> PreviewSheet:
    """Rows of pictures on the way from one draw of the noise to another, under one condition each.

    Args:
        conditions: R labels, or R pictures.
        shown: R cells with the condition in words; its picture stands first where the condition is one.
        ends: noise, R x Z each.
        shape: C, H, W of what is shown.
    """  # fmt: skip
    noise = torch.stack([spherical(*ends, share) for share in torch.linspace(0, 1, WALK).tolist()], 1)
    pictures = _draw(generator, noise.flatten(0, 1), conditions.repeat_interleave(WALK, 0), shape)
    rows = pictures.reshape(len(shown), WALK, *pictures.shape[1:])
    given = conditions.dim() == 4
    table = [
        [*([cell] if given else []), *(Cell(picture, () if given else cell.caption) for picture in row)]
        for cell, row in zip(shown, rows, strict=True)
    ]
    headings = [f"{step}/{WALK - 1}" for step in range(WALK)]
    explanation = "Each row goes from one draw of the noise (0) to another (1)" + (
        ", for the real picture at the left." if given else ", for one class."
    )
    return PreviewSheet(title, explanation, [*(["source"] if given else []), *headings], table)


def walk_of(
    real: ImageDataset, labels: Sequence[int], conditions_are_pictures: bool
) -> tuple[npt.NDArray[np.int64], list[Cell]]:
    """The real images (or the labels alone) under which walks are drawn, and the cells that show them."""
    if not conditions_are_pictures:
        chosen = np.array(labels[:ROWS], dtype=np.int64)
        blank = np.zeros(real.image_shape, np.uint8)
        return chosen, [_cell(blank, real, label) for label in chosen.tolist()]
    members = np.flatnonzero(np.isin(real.labels, labels))
    chosen = _spread_over(real.labels[members], members)
    return chosen, [_cell(real.images[i], real, int(real.labels[i])) for i in chosen]


def two_draws(key: Key, rows: int, size: int, truncation: float | None) -> tuple[Tensor, Tensor]:
    """Two draws of the noise a row, rows x size each."""
    first, second = (
        noise_of([(key / end / row).seed for row in range(rows)], size, truncation) for end in ("first", "second")
    )
    return first, second


def spherical(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Between two draws B x Z along the arc, so that every step is as long as a draw is likely to be.

    Source: Shoemake 1985, slerp; for a generator's noise White 2016.
    """
    cosine = F.cosine_similarity(first, second, dim=1).clamp(-1, 1)[:, None]
    angle = torch.arccos(cosine)
    straight = angle.sin() < 1e-4
    sine = torch.where(straight, torch.ones_like(angle), angle.sin())
    along_arc = torch.sin((1 - share) * angle) / sine * first + torch.sin(share * angle) / sine * second
    return torch.where(straight, (1 - share) * first + share * second, along_arc)


@torch.inference_mode()
@one_thread()
def _draw(generator: nn.Module, noise: Tensor, conditions: Tensor, shape: Sequence[int]) -> Images:
    pictures = generator(noise, conditions, 1.0)
    if pictures.shape[2:] != tuple(shape[1:]):
        pictures = F.interpolate(pictures, size=tuple(shape[1:]), mode="bilinear", align_corners=False)
    return to_uint8(pictures)


def _spread_over(labels: npt.NDArray[np.int64], members: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """At most six of the members, class by class: one of each class before any class has two."""
    rank = np.array([np.count_nonzero(labels[:i] == label) for i, label in enumerate(labels)], dtype=np.int64)
    order = np.argsort(rank, kind="stable")[:ROWS]
    chosen: npt.NDArray[np.int64] = members[order[np.argsort(labels[order], kind="stable")]]
    return chosen


def _cell(image: npt.NDArray[np.uint8], real: ImageDataset, label: int) -> Cell:
    return Cell(image, (real.class_names[label],))
