"""What transforms share: ranges of values, draws, partners within a batch, and boxes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from tenfold.core.keys import Key

Range = tuple[float, float]
"""The values of black and of full light in images of floats."""

SIGNED: Range = (-1.0, 1.0)
"""The range of tenfold's own networks."""

UNIT: Range = (0.0, 1.0)
"""The range that most training loops use."""


def to_float(images: Tensor, value_range: Range = SIGNED) -> Tensor:
    """uint8 0..255 to float in the given range; images of floats are returned as they are."""
    if images.is_floating_point():
        return images
    low, high = value_range
    scaled = images.float().mul_((high - low) / 255)
    return scaled.add_(low) if low else scaled


def require_images(images: Tensor) -> None:
    """Refuse values whose black and full light nobody could know.

    Raises:
        ValueError: neither uint8 nor floats.
    """
    if not (images.is_floating_point() or images.dtype == torch.uint8):
        raise ValueError(f"images are {images.dtype}; hand over uint8 0..255 or floats")


Call = TypeVar("Call", bound=Callable[..., Tensor])


def computed_in_float32(call: Call) -> Call:
    """A transform's `__call__` for images of floats of any precision, returned in the one they were handed over in.

    Coordinates need more digits than 16 bits hold, and a warp takes image and coordinates of one precision.
    """

    @wraps(call)
    def called(self: Any, images: Tensor, *rest: Any, **named: Any) -> Tensor:
        require_images(images)
        if images.dtype in (torch.uint8, torch.float32):
            return call(self, images, *rest, **named)
        return call(self, images.float(), *rest, **named).to(images.dtype)

    return cast(Call, called)


def to_uint8(images: Tensor) -> npt.NDArray[np.uint8]:
    """Float -1..1 to uint8 0..255, rounded to the nearest grey level."""
    scaled = images.detach().float().add(1).mul_(127.5).round_().clamp_(0, 255)
    return scaled.to(torch.uint8).contiguous().cpu().numpy()


BANK = 2**18
"""Normal draws that are kept; each image takes a run of them that begins at random."""


class Noise:
    """Gaussian noise for each image of a batch.

    Drawing a normal number for each pixel takes as long as turning the image. Here the numbers were drawn once,
    and an image draws where it begins to read them: within an image they are independent; two images of a
    batch may have the same noise shifted against one another, which no classifier has been seen to mind.

    Args:
        images: B x C x H x W; its shape and device count.
        deviation: B, in the unit of the images.
    """

    def __init__(self, images: Tensor, deviation: Tensor, generator: torch.Generator) -> None:
        count = images.shape[1:].numel()
        bank = _bank(images.device, BANK if 4 * count <= BANK else 4 * count)
        begins = (uniform((len(images),), generator) * (len(bank) - count + 1)).long().clamp_(max=len(bank) - count)
        self._runs = bank.unfold(0, count, 1)
        self._begins = begins.to(images.device)
        self._deviation = deviation.to(images.device).view(-1, 1, 1, 1)

    def add_to(self, images: Tensor, part: slice = slice(None)) -> Tensor:
        """Add it in place to some of the images, which are contiguous floats."""
        noise = self._runs.index_select(0, self._begins[part]).view(images.shape)
        return images.addcmul_(noise, self._deviation[part])


@lru_cache(maxsize=2)  # photographs of a thousand sizes may come by
def _bank(device: torch.device, size: int) -> Tensor:
    generator = Key("transforms/noise").torch_generator()
    return torch.randn(size, generator=generator).to(device)


class Draws:
    """Where a transform draws from that is handed no generator: a stream of its own that goes on call by call.

    The worker processes of a DataLoader start as copies of one another, and again in each epoch; there the stream
    is named by the worker's own seed, so that no two of them, and no two epochs, draw the same.
    """

    def __init__(self, seed: int) -> None:
        self._key = Key(f"transform/{seed}")
        self._generators: dict[int | None, torch.Generator] = {}

    def generator(self) -> torch.Generator:
        worker = get_worker_info()
        name = None if worker is None else int(worker.seed)
        if name not in self._generators:
            key = self._key if name is None else self._key / name
            self._generators[name] = key.torch_generator()
        return self._generators[name]


def uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform draws in 0..1, on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device)


def beta(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """`count` draws from Beta(alpha, alpha), as a share of two Gamma draws.

    torch's own Beta distribution takes no generator; its Gamma kernel does.
    """
    return dirichlet(alpha, 2, count, generator)[:, 0]


def dirichlet(alpha: float, shares: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` draws of `shares` positive numbers that sum to 1: count x shares, Dirichlet(alpha, ..., alpha).

    In logarithms, and by Gamma(alpha) = Gamma(alpha + 1) * uniform ** (1 / alpha): draws for a small alpha are
    too small for a float.
    """
    rate = torch.full((count, shares), alpha + 1, device=generator.device, dtype=torch.float64)
    exponent = torch.rand(rate.shape, generator=generator, device=generator.device, dtype=torch.float64)
    smallest = torch.finfo(torch.float64).tiny
    logs = torch._standard_gamma(rate, generator=generator).log_() + exponent.clamp_min_(smallest).log_() / alpha
    return torch.softmax(logs, dim=1).float()


def any_partner(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation of the batch, on the generator's device; some images may stay with themselves."""
    return torch.randperm(count, generator=generator, device=generator.device)


def same_class_partner(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """A random permutation of each class among itself; an image alone in its class stays with itself.

    Both orders list the classes one after the other, so that what stands at one place is of one class; only the
    second is shuffled within the classes.

    Args:
        numbers: the class number of each image, B.
    """
    in_order = numbers.argsort(stable=True)
    shuffled = uniform((len(numbers),), generator).argsort().to(numbers.device)
    by_class = shuffled.index_select(0, numbers.index_select(0, shuffled).argsort(stable=True))
    return torch.empty_like(in_order).index_copy_(0, in_order, by_class)


def draw_boxes(kept: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Top, bottom, left, right of a box for each share `kept`, before what sticks out is cut off: int64 4 x B.

    Args:
        kept: the share of the image's area outside of the box, B, on the generator's device.
        size: height and width of the image.
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
