"""All diagnostics of generated images as flat figures; they explain a verdict and never take part in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.types import ImageDataset
from tenfold.evaluate.fidelity import diversity, kid, memorisation, prdc

Features = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.floating[Any]]]
"""Images uint8 N x C x H x W -> one row an image, N x D."""


def diagnose(
    generated: ImageDataset,
    train: ImageDataset,
    heldout: ImageDataset,
    features: Features,
    other_features: Features | None = None,
) -> dict[str, float]:
    """Look at generated images beside the real ones of one training fold.

    KID, precision, recall, density and coverage compare with all these real images together: beside the 30 held
    out of a set of 200, k = 5 neighbours reach so far that pure noise passes for real (precision .87 on digits,
    against .01 here). Copies therefore look good in them; near copies and the distance ratio tell copies apart.
    What cannot be computed is left out.

    Args:
        generated: the method's images alone.
        train: the real images that the method learned from.
        heldout: the inner validation images, which it never saw. Test images have no business here.
        features: of a network that was trained without the generated images; those of one that was would pull
            them nearer to the training images than held-out ones can be.
        other_features: such as a backbone's trained on ImageNet, for a second KID.

    Returns:
        Finite values under: kid, kid_imagenet (with `other_features`), precision, recall, density, coverage;
        diversity (median over classes, 1 = as varied as real); near_copies (share of the generated images),
        heldout_near_copies (the same of held-out images: about .01), distance_ratio (1 = as far from the training
        images as held-out ones, 0 = copies).
    """
    made, learned, unseen = features(generated.images), features(train.images), features(heldout.images)
    if not all(np.isfinite(vectors).all() for vectors in (made, learned, unseen)):
        return {}  # comparisons with NaN are False, and would look like figures
    real = np.concatenate([learned, unseen])
    figures: dict[str, float | None] = {}
    if min(len(made), len(real)) > 1:
        fidelity = prdc(real, made)
        figures["kid"] = kid(real, made)
        if other_features is not None:
            others = np.concatenate([other_features(train.images), other_features(heldout.images)])
            figures["kid_imagenet"] = kid(others, other_features(generated.images))
        figures |= {
            "precision": fidelity.precision,
            "recall": fidelity.recall,
            "density": fidelity.density,
            "coverage": fidelity.coverage,
        }
    if ratios := diversity(learned, train.labels, made, generated.labels):
        figures["diversity"] = float(np.median(list(ratios.values())))
    if min(len(made), len(learned), len(unseen)) > 0:
        memory = memorisation(made, learned, unseen)
        figures |= {
            "near_copies": memory.near_copies,
            "heldout_near_copies": memory.heldout_near_copies,
            "distance_ratio": memory.distance_ratio,
        }
    return {name: value for name, value in figures.items() if value is not None and math.isfinite(value)}
