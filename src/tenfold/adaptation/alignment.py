"""What brings two domains together in one network: a gradient turned round, and confidence on unlabelled images.

Nothing here needs labels of the target.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.networks.blocks import build

HIDDEN = 128
"""Units of the domain head's hidden layer."""
TEMPERATURE = 2.5
"""Of the target's probabilities whose confusion is counted, as published."""


def turned(features: Tensor, weight: float) -> Tensor:
    """The features as they are; on the way back their gradient times -weight.

    Source: Ganin et al. 2016, the gradient reversal layer.
    """
    result = features.view_as(features)
    result.register_hook(lambda gradient: -weight * gradient)
    return result


def reversal(progress: float) -> float:
    """The weight in the reversal layer at a share of the training: 0 at its begin, nearly 1 at its end.

    Source: Ganin et al. 2016, section 5.2.2.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


def domain_head(features: int, domains: int, key: Key) -> nn.Sequential:
    """Features B x F -> logits of the domains B x D."""
    return build(
        lambda: nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, domains)),
        key.torch_generator(),
    )


def class_confusion(logits: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Of a batch B x K without labels: how much probability goes to pairs of different classes, 0 at best.

    Source: Jin et al. 2020, equations 2 to 5.
    """
    rows = (logits / temperature).softmax(1)
    entropy = -(rows * rows.clamp(min=1e-8).log()).sum(1)
    weights = 1 + (-entropy.detach()).exp()
    weights = len(rows) * weights / weights.sum()
    together = (rows * weights[:, None]).T @ rows
    together = together / together.sum(1, keepdim=True)
    return (together.sum() - together.trace()) / rows.shape[1]


def pseudo_label_loss(logits: Tensor, teacher: nn.Module, shown: Tensor, threshold: float) -> Tensor:
    """Cross entropy of B x K logits of changed images against what a teacher is sure of on the unchanged ones.

    Args:
        shown: uint8 B x C x H x W, the unchanged images.
        threshold: confidence from which on the teacher's word counts; the other images add 0 to the mean.

    Source: Sohn et al. 2020, FixMatch, with a moving average as the teacher.
    """
    with torch.no_grad():
        rows = teacher(to_float(shown).contiguous(memory_format=torch.channels_last)).softmax(1)
        sure, named = rows.max(1)
    surprise = F.cross_entropy(logits, named, reduction="none")
    loss: Tensor = (surprise * (sure >= threshold)).mean()
    return loss


def mutual_information(probabilities: npt.NDArray[np.float32]) -> float:
    """How sure and how evenly spread predictions N x K are: entropy of the mean minus mean entropy, over log K.

    1 where every image is given a class for sure and classes come equally often; 0 where nothing is said.
    """
    rows = probabilities.astype(np.float64).clip(1e-12)
    mean = rows.mean(0)
    value = -(mean * np.log(mean)).sum() + (rows * np.log(rows)).sum(1).mean()
    return float(value / math.log(rows.shape[1]))
