"""Boxes cut out of pictures, one for each, in whole pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from tenfold.transforms.draws import uniform


def draw_boxes(kept: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Top, bottom, left, right of a box for each share `kept`, before what sticks out is cut off: int64 4 x B.

    Args:
        kept: the share of the picture's area outside of the box, B, on the generator's device.
        size: height and width of the picture.
    """
    sides = (1 - kept).sqrt()
    centre = uniform((2, len(kept)), generator)
    edges = []
    for place, length in enumerate(size):
        side = (sides * length).round().long()
        start = (centre[place] * length).long() - side // 2
        edges += [start, start + side]
    return torch.stack(edges)


def between(start: Tensor, end: Tensor, length: int) -> Tensor:
    """Whether each of `length` places lies from start to before end: bool B x length."""
    places = torch.arange(length, device=start.device)
    return (places >= start[:, None]) & (places < end[:, None])


def bits_inside(rows: Tensor, columns: Tensor) -> Tensor:
    """All bits of a byte where row and column are of the box, none elsewhere: uint8 B x 1 x H x W.

    Every row of a mask is one of two, so the mask is put together of whole rows; a product of the two would go
    through it in steps as short as a row.

    Args:
        rows: bool B x H.
        columns: bool B x W.
    """
    (boxes, height), width = rows.shape, columns.shape[1]
    patterns = torch.cat((columns, columns.new_zeros(1, width))).to(torch.uint8).neg_()
    which = torch.arange(boxes, device=rows.device)[:, None].where(rows, boxes)
    return patterns.index_select(0, which.flatten()).view(boxes, 1, height, width)


def replaced(images: Tensor, others: Tensor, inside: Tensor) -> Tensor:
    """The images with what `others` have inside of the boxes.

    Bytes are chosen by their bits, before they become floats: `where` takes one value at a time on a processor.
    """
    if images.is_floating_point():
        return torch.where(inside.bool(), others, images)
    return others.bitwise_xor_(images).bitwise_and_(inside).bitwise_xor_(images)
