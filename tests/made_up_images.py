"""Made-up images, without torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenfold.core.keys import Key


def noise_image(name: object, *shape: int) -> npt.NDArray[np.uint8]:
    """Values of 8 bits that depend on the name alone, so that no two names give the same image."""
    return (Key("tests") / ascii(name)).numpy_generator().integers(0, 256, shape or (8, 8), dtype=np.uint8)
