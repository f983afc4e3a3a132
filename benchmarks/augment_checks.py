"""What does an augmentation really do? Found out from its output on images that tell, never from its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor
from torch.nn import functional

from tenfold.core.keys import Key

Augmentation = Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""uint8 B x C x H x W and B labels in; float32 images, and soft labels (B x K) or (label, label, lambda) out."""


@dataclass
class Findings:
    """What was found: faults mean that the output is not what was asked for, remarks are worth knowing."""

    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "; ".join([f"FAULT: {fault}" for fault in self.faults] + self.remarks) or "as asked"


def check_images(augmentation: Augmentation, count: int, shape: tuple[int, ...], device: str = "cpu") -> Findings:
    """Are these images: the right shape and type, finite, in 0..1, and other ones than before?"""
    findings = Findings()
    images = Key("benchmark/pictures").numpy_generator().integers(0, 256, (count, *shape), dtype=np.uint8)
    before = torch.from_numpy(images).to(device)
    given = before.clone()
    after = augmentation(given, torch.arange(count, device=device))[0]
    if after.shape != before.shape or after.dtype != torch.float32:
        findings.faults.append(f"gives {after.dtype} of shape {tuple(after.shape)}")
        return findings
    if not torch.equal(given, before):
        findings.faults.append("writes to its input")
    if not after.isfinite().all():
        findings.faults.append("values that are not finite")
    low, high = after.min().item(), after.max().item()
    if low < -1 or high > 2:
        findings.faults.append(f"values from {low:.2f} to {high:.2f}, far outside 0..1")
    elif low < -1e-3 or high > 1 + 1e-3:
        findings.remarks.append(f"values from {low:.2f} to {high:.2f}, not kept in 0..1")
    unchanged = (after - before / 255).abs().flatten(1).amax(1) < 1e-5
    if unchanged.all():
        findings.faults.append("every image comes back unchanged")
    elif unchanged.float().mean() > 0.1:
        findings.remarks.append(f"{unchanged.float().mean():.0%} of the images unchanged")
    return findings


def check_draws(augmentation: Augmentation, shape: tuple[int, ...], device: str = "cpu", copies: int = 64) -> str:
    """One remark: how many different images come of copies of one image?"""
    coarse = torch.rand(1, shape[0], 4, 4, generator=Key("benchmark/copies").torch_generator()).round()
    image = functional.interpolate(coarse, shape[1:], mode="nearest").mul(255).byte().to(device)
    batch = image.expand(copies, -1, -1, -1).contiguous()
    after = augmentation(batch, torch.zeros(copies, dtype=torch.long, device=device))[0]
    seen = functional.avg_pool2d(after, 4).flatten(1)  # what is left of the noise is below 0.03
    apart = torch.cdist(seen, seen) / math.sqrt(seen.shape[1])
    first_of_its_kind = ~torch.tril(apart < 0.05, diagonal=-1).any(1)
    different = int(first_of_its_kind.sum())
    return "one draw a batch" if different == 1 else f"{copies} copies of an image become {different}"


def check_classical(augmentation: Augmentation, shape: tuple[int, ...], device: str = "cpu") -> Findings:
    """Does it turn by up to 15 degrees, mirror half of the images, and add noise of 0.05 in the mean?

    An image that grows brighter from left to right shows its angle and its side as its slope; the median of the
    slope over the middle sees neither noise nor an erased box.
    """
    findings = check_images(augmentation, 64, shape, device)
    count, (channels, height, width) = 256, shape
    labels = torch.zeros(count, device=device, dtype=torch.long)
    ramp = torch.linspace(0, 255, width).byte().expand(count, channels, height, width).contiguous()
    after = augmentation(ramp.to(device), labels)[0].mean(1)
    middle = after[:, height // 5 : -(height // 5), width // 5 : -(width // 5)]
    middle = middle.where(middle > 0.07, torch.nan)  # a box that was covered with black tells nothing
    lag = width // 5
    right = (middle[:, :, lag:] - middle[:, :, :-lag]).flatten(1).nanmedian(1).values
    down = (middle[:, lag:] - middle[:, :-lag]).flatten(1).nanmedian(1).values
    angles = torch.rad2deg(torch.atan(down / right))
    # The measure itself errs by a degree on small images: the largest angle is read at 97.5 %.
    largest, mirrored = float(angles.abs().nanquantile(0.975)), float((right < 0).float().mean())
    grey = torch.full((count, *shape), 128, dtype=torch.uint8, device=device)
    flat = augmentation(grey, labels)[0]
    # Within 0.3, so that boxes and corners of another colour do not count.
    off = (flat - 128 / 255).abs()
    noise = 1.4826 * float(off.where(off < 0.3, torch.nan).flatten(1).nanmedian(1).values.mean())
    if not (11 <= largest <= 18 and 0.3 <= mirrored <= 0.7 and 0.04 <= noise <= 0.06):
        findings.faults.append("not the operations that were asked for")
    findings.remarks.append(f"turned by up to {largest:.0f}°, {mirrored:.0%} mirrored, noise {noise:.3f}")
    findings.remarks.append(check_draws(augmentation, shape, device))
    return findings


def check_mixing(augmentation: Augmentation, alpha: float | None, count: int = 64, device: str = "cpu") -> Findings:
    """Do the labels say what the images show, and is lambda drawn for each image from Beta(alpha, alpha)?

    The augmentation must know `count` classes. Each image is of one grey and a class of its own, so that the
    mean of a mixed image tells its shares. `alpha` None: lambda's law is not looked at.
    """
    findings = check_images(augmentation, count, (1, 28, 28), device)
    greys = torch.linspace(0, 255, count).round().byte()
    images = greys.view(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous().to(device)
    batches, partners, distinct = [], [], []
    for _ in range(40):
        mixed, labels = augmentation(images, torch.arange(count, device=device))
        if labels is None:
            findings.faults.append("no labels")
            return findings
        shown, soft = mixed.flatten(1).mean(1).double().cpu(), labels.double().cpu()
        remarks: list[str] = []
        if soft.shape[-1] == 3:
            soft, remark = _soft_from_pairs(soft.reshape(-1, 3), shown, greys.double() / 255)
            remarks.append(remark)
        if not torch.allclose(soft.sum(1), torch.ones(count, dtype=torch.double), atol=1e-4):
            findings.faults.append("labels do not sum to 1")
            return findings
        spread = float(soft.min())
        if spread > 1e-6:
            remarks.append(f"labels smoothed by {spread * count:.2f}")
            soft = (soft - spread) / (1 - spread * count)
        if (shown - soft @ (greys.double() / 255)).abs().max() > 5e-3:
            findings.faults.append("labels differ from the shares of the pixels")
            return findings
        own = soft.diagonal().clone()
        batches.append(own)
        soft.diagonal().zero_()
        partners.append(soft.argmax(1))
        distinct.append(len(torch.unique((own[own < 1 - 1e-6] * 1e4).round())))
    findings.remarks += remarks
    if max(distinct) <= 1:
        findings.remarks.append("one lambda a batch")
    if float((partners[0] == partners[1]).float().mean()) > 0.5:
        findings.remarks.append("the same partners in every batch")
    lambdas = torch.stack(batches)[:, 0 if max(distinct) <= 1 else slice(None)].flatten().numpy()
    if alpha is not None:
        smaller = np.minimum(lambdas, 1 - lambdas).clip(0, 0.5)  # a library may say which image leads
        law = stats.kstest(smaller, lambda share: 2 * special.betainc(alpha, alpha, share))
        if law.statistic > 0.05 and law.pvalue < 1e-4:
            findings.remarks.append(f"lambda is not Beta({alpha:g}): mean square from 1/2 {_spread(lambdas):.3f}")
    return findings


def _spread(lambdas: np.ndarray) -> float:
    return float(((lambdas - 0.5) ** 2).mean())


def _soft_from_pairs(pairs: Tensor, shown: Tensor, greys: Tensor) -> tuple[Tensor, str]:
    """(own label, partner's label, lambda) as soft labels; whose share lambda is, the pixels tell."""
    own, partner, lam = pairs[:, 0].long(), pairs[:, 1].long(), pairs[:, 2]
    off = [(shown - greys[own] * share - greys[partner] * (1 - share)).abs().max() for share in (lam, 1 - lam)]
    share, whose = (lam, "own") if off[0] <= off[1] else (1 - lam, "partner's")
    soft = torch.zeros(len(pairs), len(greys), dtype=torch.double)
    rows = torch.arange(len(pairs))
    soft.index_put_((rows, own), share, accumulate=True)
    soft.index_put_((rows, partner), 1 - share, accumulate=True)
    return soft, f"no soft labels but (label, label, lambda), lambda the {whose} share"
