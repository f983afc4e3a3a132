"""Moving the pixels of a batch, each picture along a map of its own, resampled once.

What a map uncovers takes the median colour of the picture's own border: black would put a frame around a bright
picture, and repeating the edge would smear a stroke that touches it.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

OUTSIDE = 8.0
"""Added to a coordinate, in half sides, this leads outside of any picture."""

KNOTS = 4
"""Elastic bending is given by a displacement at each of KNOTS x KNOTS points, with a smooth surface between."""


class Grid:
    """From where each pixel of each picture is taken, as the two factors of a product.

    Every part of it is a sum of products of something that depends on the row and something that depends on the
    column, so that a whole batch is one product of thin matrices: several times faster than torch's affine_grid.

    Args:
        matrix: B x 2 x 3; output to input coordinates, in pixels from the picture's centre, x before y.
        bend: B x 2 x KNOTS x KNOTS displacements in pixels, x before y; knots run down, then across.
        boxes: B x 4; centre x, centre y, half width, half height of a box that is taken from outside of the
            picture, in pixels from its centre. A half width below 0 is no box.
    """

    def __init__(
        self, matrix: Tensor, height: int, width: int, *, bend: Tensor | None = None, boxes: Tensor | None = None
    ) -> None:
        batch, device = len(matrix), matrix.device
        x, y, halves = _from_centre(width, device), _from_centre(height, device), _halves(height, width, device)
        matrix = matrix * halves
        terms = 2 + (KNOTS if bend is not None else 0) + (boxes is not None)
        rows, columns = (
            torch.empty(batch, height, terms, device=device),
            torch.empty(batch, terms, width, 2, device=device),
        )
        rows[:, :, 0], rows[:, :, 1] = 1, y
        torch.addcmul(matrix[:, None, :, 2], x[:, None], matrix[:, None, :, 0], out=columns[:, 0])
        columns[:, 1] = matrix[:, None, :, 1]
        if bend is not None:
            rows[:, :, 2 : 2 + KNOTS] = _spline(height, device)
            columns[:, 2 : 2 + KNOTS] = ((bend * halves[..., None]) @ _spline(width, device).T).movedim(1, -1)
        if boxes is not None:
            centre_x, centre_y, half_width, half_height = boxes[:, :, None].unbind(1)
            rows[:, :, -1] = (y - centre_y).abs_() < half_height
            columns[:, -1, :, 0] = ((x - centre_x).abs_() < half_width) * OUTSIDE
            columns[:, -1, :, 1] = 0  # to the side is enough
        self._rows, self._columns = rows, columns.flatten(2)
        self._shape = (height, width, 2)

    def of(self, images: slice) -> Tensor:
        """For some of the pictures as `F.grid_sample` reads it: B x height x width x 2, in half sides."""
        return torch.bmm(self._rows[images], self._columns[images]).view(-1, *self._shape)


def sampling_grid(
    matrix: Tensor, height: int, width: int, *, bend: Tensor | None = None, boxes: Tensor | None = None
) -> Tensor:
    """The whole `Grid` of a batch: B x height x width x 2, in half sides from the centre."""
    return Grid(matrix, height, width, bend=bend, boxes=boxes).of(slice(None))


def warp(images: Tensor, grid: Tensor) -> Tensor:
    """Pictures of floats, B x C x H x W, taken bilinearly from where the grid says."""
    fill = border_colour(images)
    return F.grid_sample(images - fill, grid, align_corners=False).add_(fill)


def border_colour(images: Tensor) -> Tensor:
    """The median of about 20 pixels spread along each picture's border: B x C x 1 x 1."""
    down, across = (max(1, math.ceil(side / 5)) for side in images.shape[2:])
    edges = (
        images[:, :, 0, ::across],
        images[:, :, -1, ::across],
        images[:, :, ::down, 0],
        images[:, :, ::down, -1],
    )
    return torch.cat(edges, dim=2).median(dim=2).values[:, :, None, None]


@cache
def _from_centre(side: int, device: torch.device) -> Tensor:
    return torch.arange(side, device=device) - (side - 1) / 2


@cache
def _halves(height: int, width: int, device: torch.device) -> Tensor:
    """Half sides in a pixel, across and down: 2 x 1."""
    return torch.tensor(((2 / width,), (2 / height,)), device=device)


@cache
def _spline(side: int, device: torch.device) -> Tensor:
    """side x KNOTS: cubic B-splines about evenly spaced knots, whose weights sum to 1 between the outer ones."""
    position = (torch.arange(side, device=device) + 0.5) / side * (KNOTS - 1)
    distance = (position[:, None] - torch.arange(KNOTS, device=device)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far)
