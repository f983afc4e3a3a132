"""MixUp and CutMix: images made of several, with labels that say how much of each is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.augment.tensors import (
    UNIT,
    Draws,
    Range,
    any_partner,
    beta,
    between,
    bits_inside,
    dirichlet,
    draw_boxes,
    replaced,
    require_images,
    same_class_partner,
    to_float,
)


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


VALUES_IN_CACHE = 2**18
"""Values that a thread blends in one go: what is converted is still in the cache when it is weighted."""


def blend(rows: Tensor, partners: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Each row of floats times its first weight, plus its partners times theirs; the rows keep their shape.

    Args:
        rows: float B x anything.
        partners: for each further weight the number of the other row, B.
        weights: B x (1 + number of partners), rows summing to 1.
    """
    if rows.dtype in (torch.float16, torch.bfloat16):  # weights of so few digits do not sum to 1
        return blend(rows.float(), partners, weights).to(rows.dtype)
    own, *rest = weights.to(rows.dtype).view(*weights.shape, *[1] * (rows.dim() - 1)).unbind(1)
    blended = rows * own
    for partner, share in zip(partners, rest, strict=True):
        blended.addcmul_(rows.index_select(0, partner), share)
    return blended


def blend_bytes(images: Tensor, partners: Sequence[Tensor], weights: Tensor, value_range: Range) -> Tensor:
    """The same of uint8 images, brought to the range by the way.

    On a processor a few images at a time: a large batch would go through the memory once for each operation.
    """
    rows, (low, high) = images.flatten(1), value_range
    blended = torch.empty(rows.shape, device=rows.device)
    scaled = weights * ((high - low) / 255)
    step = _images_in_cache(rows)
    chosen = zip(*(partner.split(step) for partner in partners), strict=True)
    for total, own, others, shares in zip(
        blended.split(step), rows.split(step), chosen, scaled.split(step), strict=True
    ):
        first, *rest = shares.split(1, dim=1)
        total.copy_(own).mul_(first)
        for other, share in zip(others, rest, strict=True):
            total.addcmul_(rows.index_select(0, other).float(), share)
        if low:
            total.add_(low)
    return blended.view(images.shape)


def _images_in_cache(rows: Tensor) -> int:
    if rows.device.type != "cpu":
        return len(rows)
    return max(1, VALUES_IN_CACHE * torch.get_num_threads() // max(1, rows.shape[1]))


WhoShares = Literal["image", "batch"]
"""Whether each image draws a weight of its own, or all of a batch have one."""


class MixUp:
    """Blends of each image with randomly chosen others of its batch, and of their labels with the same weights.

    Of two images the weight of the first follows Beta(alpha, alpha); of `ways` images the weights follow
    Dirichlet(alpha, ..., alpha). An image may be drawn as its own partner.

    Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization". Deviation: a weight for each image,
    where most implementations draw one for the batch (`weights="batch"`).

    Args:
        alpha: above 0; 0.2 to 0.4 are usual, towards 0 images are left alone.
        ways: how many images are blended, 2 or more.
        weights: "image" or "batch".
        within_class: partners of the same class only (of the largest share, where labels are rows).
        classes: K, needed when labels are class numbers.
        seed: begins the stream that is drawn from when a call brings no generator.
        value_range: of the floats that uint8 images become.

    Raises:
        ValueError: a value outside its range.
    """

    def __init__(
        self,
        alpha: float = 0.2,
        *,
        ways: int = 2,
        weights: WhoShares = "image",
        within_class: bool = False,
        classes: int | None = None,
        seed: int = 0,
        value_range: Range = UNIT,
    ) -> None:
        _check_law(alpha, weights)
        if ways < 2:
            raise ValueError(f"ways={ways}: a blend takes 2 images or more")
        self.alpha, self.ways, self.weights, self.within_class = alpha, ways, weights, within_class
        self.classes, self.value_range = classes, value_range
        self._draws = Draws(seed)

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Blend a batch.

        Args:
            images: uint8 or float, B x C x H x W, or B x anything: vectors are blended alike.
            labels: class numbers B, or float rows B x K.

        Returns:
            Float images of the same shape, and float rows B x K.

        Raises:
            ValueError: labels or images of another kind.
        """
        soft = soft_labels(labels, self.classes, "MixUp")
        _check_batch(images, soft)
        batch = len(images)
        if batch < 2:
            return to_float(images, self.value_range), soft
        generator = generator or self._draws.generator()
        weights = self._weights(batch, generator).to(images.device)
        if self.within_class:
            numbers = labels if labels.dim() == 1 else labels.argmax(1)
            partners = [same_class_partner(numbers, generator) for _ in range(self.ways - 1)]
            weights = _all_to_the_lonely(weights, numbers)
        else:
            partners = [any_partner(batch, generator).to(images.device) for _ in range(self.ways - 1)]
        if images.is_floating_point():
            return blend(images, partners, weights), blend(soft, partners, weights)
        return blend_bytes(images, partners, weights, self.value_range), blend(soft, partners, weights)

    def _weights(self, batch: int, generator: torch.Generator) -> Tensor:
        """B x ways; the first column is of the image itself."""
        count = batch if self.weights == "image" else 1
        if self.ways == 2:
            own = beta(self.alpha, count, generator)
            return torch.stack((own, 1 - own), 1).expand(batch, 2)
        return dirichlet(self.alpha, self.ways, count, generator).expand(batch, self.ways)


class CutMix:
    """Each image with one box replaced by what another image of the batch has there.

    The box has the image's proportions and the share 1 - lambda of its area, lambda ~ Beta(alpha, alpha); its
    centre is uniform over the pixels, and what sticks out is cut off. Labels are mixed by the pixels that were
    really replaced.

    Source: Yun et al. 2019, "CutMix". Deviation: a box for each image, where the original draws one for the batch
    (`weights="batch"`); the box's sides are rounded to the nearest pixel, not down to an even number.

    Args:
        alpha: above 0; at 1 all areas are equally likely.
        classes: K, needed when labels are class numbers.
        weights: "image", or "batch" for one box in the same place of all.
        seed: begins the stream that is drawn from when a call brings no generator.
        value_range: of the floats that uint8 images become.

    Raises:
        ValueError: a value outside its range.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        classes: int | None = None,
        weights: WhoShares = "image",
        seed: int = 0,
        value_range: Range = UNIT,
    ) -> None:
        _check_law(alpha, weights)
        self.alpha, self.weights, self.classes, self.value_range = alpha, weights, classes, value_range
        self._draws = Draws(seed)

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cut and mix a batch.

        Args:
            images: uint8 or float B x C x H x W.
            labels: class numbers B, or float rows B x K.

        Returns:
            Float images of the same shape, and float rows B x K.

        Raises:
            ValueError: not images, or labels of another kind.
        """
        if images.dim() != 4:
            raise ValueError(
                f"CutMix cuts boxes out of images B x C x H x W and was handed {tuple(images.shape)}; "
                "use MixUp for vectors, and images[None] for a single image"
            )
        soft = soft_labels(labels, self.classes, "CutMix")
        _check_batch(images, soft)
        (batch, _, height, width), device = images.shape, images.device
        if batch < 2:
            return to_float(images, self.value_range), soft
        generator = generator or self._draws.generator()
        count = batch if self.weights == "image" else 1
        box = draw_boxes(beta(self.alpha, count, generator), (height, width), generator).to(device)
        partner = any_partner(batch, generator).to(device)
        top, bottom = box[0].clamp(0, height), box[1].clamp(0, height)
        left, right = box[2].clamp(0, width), box[3].clamp(0, width)
        kept = 1 - ((bottom - top) * (right - left)).expand(batch) / (height * width)
        inside = bits_inside(between(top, bottom, height), between(left, right, width))
        cut = replaced(images, images.index_select(0, partner), inside)
        weights = torch.stack((kept, 1 - kept), 1)
        return to_float(cut, self.value_range), blend(soft, [partner], weights)


def _all_to_the_lonely(weights: Tensor, numbers: Tensor) -> Tensor:
    """An image alone in its class keeps all the weight, so that it stays what it is to the last bit."""
    alone = (numbers[:, None] == numbers).sum(1) == 1
    everything = torch.zeros_like(weights[0])
    everything[0] = 1
    return torch.where(alone[:, None], everything, weights)


def _check_law(alpha: float, weights: str) -> None:
    if not alpha > 0:
        raise ValueError(f"alpha={alpha}: the Beta law takes a number above 0; leave the transform out for no mixing")
    if weights not in ("image", "batch"):
        raise ValueError(f"weights={weights!r}: write 'image' for a weight each, 'batch' for one that all share")


def _check_batch(images: Tensor, soft: Tensor) -> None:
    require_images(images)
    if images.dim() < 2:
        raise ValueError(f"a batch is B x C x H x W or B x F, not {tuple(images.shape)}; write images[:, None]")
    if len(images) != len(soft):
        raise ValueError(f"{len(images)} images, but {len(soft)} labels: each image has one")
