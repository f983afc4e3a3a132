"""Between pictures as they are kept, 0..255, and as networks read them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Range = tuple[float, float]
"""The values of black and of full light in pictures of floats."""

SIGNED: Range = (-1.0, 1.0)
"""The range of tenfold's own networks."""

UNIT: Range = (0.0, 1.0)
"""The range that most training loops use."""


def to_float(images: Tensor, value_range: Range = SIGNED) -> Tensor:
    """uint8 0..255 to float in the given range; pictures of floats are returned as they are."""
    if images.is_floating_point():
        return images
    low, high = value_range
    scaled = images.float().mul_((high - low) / 255)
    return scaled.add_(low) if low else scaled


def to_uint8(images: Tensor) -> npt.NDArray[np.uint8]:
    """Float -1..1 to uint8 0..255, rounded to the nearest grey level."""
    scaled = images.detach().float().add(1).mul_(127.5).round_().clamp_(0, 255)
    return scaled.to(torch.uint8).contiguous().cpu().numpy()
