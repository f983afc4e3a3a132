"""AugMix: several chains of operations on one image, blended with one another and with the image itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tenfold.augment.automatic import Operation, Space, operate
from tenfold.augment.tensors import UNIT, Draws, Range, beta, computed_in_float32, dirichlet, to_float, uniform

OPERATIONS = (
    Operation.ROTATE,
    Operation.SHEAR_X,
    Operation.SHEAR_Y,
    Operation.TRANSLATE_X,
    Operation.TRANSLATE_Y,
    Operation.POSTERIZE,
    Operation.SOLARIZE,
    Operation.AUTOCONTRAST,
    Operation.EQUALIZE,
)
"""The paper's: brightness, contrast, colour and sharpness are left out, so that a benchmark made of such corruptions
still tests what was not trained on."""

SPACE = Space(degrees=30, shear=0.3, shift=1 / 3, pixels=math.inf, factor=0, bits=4)


class AugMix:
    """Blend chains of random operations; labels stay as they are.

    Args:
        chains: how many, each beginning at the image.
        depth: least and most operations in a chain; each chain of each image draws its own.
        alpha: of the Dirichlet law of the chains' weights, and of the Beta law of the weight that all of them have
            against the image itself.
        strength: 0..1; each operation draws its strength uniformly from -strength..strength of the paper's space
            (30 degrees, shear .3, a third of the side, 4 bits, 256 grey levels). At 0 the images are returned as
            they are.
        seed: begins the stream that is drawn from where a call is given no generator.
        value_range: black and full light, in images of floats; uint8 images are turned into such.

    Raises:
        ValueError: no chain, depths that are not in order, alpha not above 0, or a strength outside 0..1.

    Source: Hendrycks et al. 2020, AugMix. Posterizing begins at 8 bits here, so that strength 0 changes nothing;
    in the authors' code it begins at 4.
    """

    def __init__(
        self,
        chains: int = 3,
        depth: tuple[int, int] = (1, 3),
        alpha: float = 1.0,
        strength: float = 0.3,
        *,
        seed: int = 0,
        value_range: Range = UNIT,
    ) -> None:
        if chains < 1:
            raise ValueError(f"chains = {chains} is below 1")
        if not 0 <= depth[0] <= depth[1]:
            raise ValueError(f"depth = {depth} is no least and most number of operations")
        if not alpha > 0:
            raise ValueError(f"alpha = {alpha} is not above 0")
        if not 0 <= strength <= 1:
            raise ValueError(f"strength = {strength} is not within 0..1")
        self.chains = chains
        self.depth = depth
        self.alpha = alpha
        self.strength = strength
        self.value_range = value_range
        self._draws = Draws(seed)

    @computed_in_float32
    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A blend for each image: uint8 or float, B x C x H x W -> floats of the same shape
        and, of floats, of the same precision."""
        generator = generator or self._draws.generator()
        batch = len(images)
        operations, strengths = self.draw(batch, generator)
        weights = self.draw_weights(batch, generator).to(images.device)
        if not self.strength:
            return operate(images, operations[:0], strengths[:0], value_range=self.value_range)
        floats = to_float(images, self.value_range)
        copies = images.repeat(self.chains, 1, 1, 1)
        changed = operate(copies, operations, strengths, value_range=self.value_range, space=SPACE)
        # Multiplied and added in calls of their own: fused, they may round otherwise on more threads.
        shares = weights.T.to(floats).view(self.chains + 1, batch, 1, 1, 1)
        changed.view(self.chains, *floats.shape).mul_(shares[1:])
        mixed = floats.contiguous() * shares[0]
        for chain in changed.split(batch) if batch else ():
            mixed.add_(chain)
        return mixed.clamp_(*self.value_range)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Operations and strengths of all chains of `count` images, each most depth x (chains * count).

        A chain that is shorter than the longest ends with operations that do nothing.
        """
        least, most = self.depth
        shape = (most, self.chains * count)
        device = generator.device
        drawn = torch.randint(len(OPERATIONS), shape, generator=generator, device=device)
        length = torch.randint(least, most + 1, shape[1:], generator=generator, device=device)
        place = torch.arange(most, device=device)[:, None]
        operation = torch.tensor(OPERATIONS, device=device)[drawn].masked_fill(place >= length, Operation.IDENTITY)
        return operation, (uniform(shape, generator) * 2 - 1) * self.strength

    def draw_weights(self, count: int, generator: torch.Generator) -> Tensor:
        """count x (1 + chains), rows summing to 1: what the image itself and each chain add to the blend."""
        chains = beta(self.alpha, count, generator)[:, None]
        among = dirichlet(self.alpha, self.chains, count, generator)
        return torch.cat([1 - chains, chains * among], 1)


def jensen_shannon(logits: Sequence[Tensor]) -> Tensor:
    """How far apart several predictions for the same images are: the mean over the batch, in nats.

    The mean of the Kullback-Leibler divergences of each prediction from their average; 0 where all agree, at most
    the logarithm of their number.

    Args:
        logits: B x K each.

    Source: Hendrycks et al. 2020; here in logarithms throughout, so that nothing is clipped.
    """
    logs = torch.log_softmax(torch.stack(list(logits)), dim=2)
    average = torch.logsumexp(logs, dim=0) - math.log(len(logs))
    return (logs.exp() * (logs - average)).sum(2).mean()
