"""Batch transforms that need nothing else of tenfold: a whole batch at once, a draw for each image.

from tenfold.transforms import Classical, MixUp

Images are B x C x H x W, uint8 or float, on any device. What is drawn comes from the generator that is passed
in, or from a stream that the transform's `seed` begins.
"""

from __future__ import annotations

from tenfold.augment.augmix import AugMix
from tenfold.augment.automatic import RandAugment, TrivialAugment
from tenfold.augment.classical import Classical
from tenfold.augment.manifold import ManifoldMixUp
from tenfold.augment.mixing import CutMix, MixUp
from tenfold.augment.sampled_parameters import POLICIES, Ranges

__all__ = [
    "POLICIES",
    "AugMix",
    "Classical",
    "CutMix",
    "ManifoldMixUp",
    "MixUp",
    "RandAugment",
    "Ranges",
    "TrivialAugment",
]
