"""Labels as shares of the classes, which is what a mixture of pictures has."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def soft_labels(labels: Tensor, classes: int | None, asked_by: str) -> Tensor:
    """Rows of shares, float B x K, from class numbers or from rows.

    Args:
        labels: whole class numbers B, or float rows B x K, which are returned as they are.
        classes: K; needed for class numbers, since a batch need not hold the last class.
        asked_by: the transform's name, for the message.

    Raises:
        ValueError: class numbers without `classes`, or labels that are neither.
    """
    if labels.dim() == 2 and labels.is_floating_point():
        if classes is not None and labels.shape[1] != classes:
            raise ValueError(f"{asked_by} has classes={classes}, but its rows of labels hold {labels.shape[1]}")
        return labels
    if labels.dim() != 1 or labels.is_floating_point():
        raise ValueError(
            f"labels are whole class numbers B or float rows B x K, not {labels.dtype} {tuple(labels.shape)}"
        )
    if classes is None:
        raise ValueError(
            f"{asked_by} was handed class numbers and cannot know how many classes there are; "
            f"write {asked_by}(classes=10), or hand over a row of shares for each image"
        )
    return F.one_hot(labels.long(), classes).float()
