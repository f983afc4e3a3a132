"""The step that trains a Fader: the autoencoder repaints images, readers guess the label from the code alone.

The readers are taught at each step, on more codes than the autoencoder's batch has, and the autoencoder is to keep
them from naming the true label. What the article behind this project wrote down, the reconstruction error minus the
readers' loss, has no lowest value; `target="article"` keeps it, to show what comes of it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from tenfold.augment.tensors import to_float
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import GeneratorConfig
from tenfold.networks.autoencoder import CodeReader, Fader, halvings_of
from tenfold.networks.blocks import SeededDropout, build
from tenfold.training.batches import ImagePool
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop
from tenfold.training.schedule import late_cosine
from tenfold.training.step import Look, Step, Trouble, descend, is_finite

Target = Literal["other", "uniform", "article"]
ATTEMPTS = 3
"""Trainings that may end in NaN, each with a third of the learning rate of the one before."""
LOOK_EVERY = 25
"""Steps between two looks for NaN."""
READER_ADAM = (0.5, 0.99)
AUTOENCODER_ADAM = (0.9, 0.99)
SURE = 1 - 1e-4
"""The largest probability of the true label that is punished further: beyond it the slope would be endless."""


@dataclass(frozen=True)
class RestylingConfig(GeneratorConfig):
    """How a Fader is trained; the method brings the values that its presets set."""

    steps: PositiveInt | None = 2000
    batch_size: PositiveInt = 64
    width: PositiveInt = 16
    """Channels of the largest map; twice as many below."""
    code_size: PositiveInt = 16
    bounded: bool = True
    """Bring each value of the code to mean 0 and variance 1."""
    learning_rate: PositiveFloat = 1e-3
    reader_rate: PositiveFloat = 2e-3
    """Learning rate of the readers."""
    beta: NonNegativeFloat = 0.02
    """Weight of keeping the readers from the label, beside the mean squared error of pixels in [-1, 1]."""
    guide: NonNegativeFloat = 0.01
    """Weight of a guide's loss: a classifier of the same real images, which learns no more, is to read the new
    label from images that were painted under another one. The readers only take labels out of the code; this makes
    the decoder paint the one it is told. The guide never judges."""
    ramp_share: NonNegativeFloat = 0.3
    """Beta and the guide's weight grow from 0 over this share of the steps."""
    target: Target = "other"
    """What the readers are to say of a code: some other label, every label alike, or (`article`) anything at all that
    makes their loss larger, which has no end."""
    scaled_readers: bool = True
    """Bring the code to variance 1 before it is read: otherwise readers are fooled by a code that grows."""
    readers: PositiveInt = 1
    reader_steps: PositiveInt = 5
    """Steps of each reader for one of the autoencoder."""
    reader_extra: NonNegativeInt = 64
    """Codes that the readers are taught with beside those of the batch."""
    dropout: NonNegativeFloat = 0.0
    """Share of the encoder's values that is dropped after each halving."""


def make_fader(shape: tuple[int, int, int], class_count: int, config: RestylingConfig, dropout: Key) -> Fader:
    """A Fader with torch's own first weights; `dropout` names what it drops."""
    layers = [SeededDropout(config.dropout, dropout / k) for k in range(halvings_of(shape)) if config.dropout]
    return Fader(shape, class_count, config.code_size, config.width, config.bounded, layers)


def train_fader(
    train: ImageDataset,
    config: RestylingConfig,
    key: Key,
    guide: nn.Module | None = None,
    loop: TrainingLoop | None = None,
) -> Fader:
    """A Fader of these images and labels; classes are drawn equally often.

    Args:
        guide: images B x C x H x W in [-1, 1] -> logits B x K; needed where the guide has a weight.

    Raises:
        Diverged: the losses became NaN three times.
    """
    loop = loop or TrainingLoop()
    outcome = loop.run(fader_start(train, config, key, guide, loop.device))
    return cast(Fader, outcome.step.networks["fader"]).eval()


def fader_start(
    train: ImageDataset, config: RestylingConfig, key: Key, guide: nn.Module | None, device: Device
) -> Callable[[int], FaderStep]:
    """What the loop starts: attempts, each at a third of the rate of the one before."""
    return lambda attempt: FaderStep(train, config, key / attempt, 3.0**-attempt, guide, device)


class FaderStep(Step):
    """A step of the readers, then one of the autoencoder.

    Args:
        key: of the attempt.
        rate: by what the learning rates are multiplied.
    """

    look_every = LOOK_EVERY
    first_look = 1
    most_recoveries = ATTEMPTS - 1

    def __init__(
        self,
        train: ImageDataset,
        config: RestylingConfig,
        key: Key,
        rate: float,
        guide: nn.Module | None,
        device: Device,
    ) -> None:
        if config.steps is None:
            raise ValueError("how many steps?")
        self.config, self.device, self.steps = config, device.torch, config.steps
        labels, classes, shape = torch.tensor(train.labels), train.class_count, train.image_shape
        # Of a double: the draws of float32 weights are others.
        self.weights = 1 / torch.bincount(labels, minlength=classes).clamp(min=1)[labels].double()
        self.images, self.labels = ImagePool(train.rows, device), labels.to(self.device)
        self.fader = build(
            lambda: make_fader(shape, classes, config, key / "dropout"), (key / "fader").torch_generator()
        ).to(self.device)
        self.readers = [self._reader(classes, key / "reader" / k) for k in range(config.readers)]
        self.guide = None
        if guide is not None and config.guide:
            self.guide = copy.deepcopy(guide).eval().requires_grad_(False).to(self.device)
        self.networks: dict[str, nn.Module] = {"fader": self.fader}
        self.networks |= {f"reader-{k}": reader for k, reader in enumerate(self.readers)}
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), config.learning_rate * rate, AUTOENCODER_ADAM)
            if network is self.fader
            else torch.optim.Adam(network.parameters(), config.reader_rate * rate, READER_ADAM)
            for name, network in self.networks.items()
        }
        self.schedules = {"fader": late_cosine}  # at the end the readers catch up with the code
        self.random = (key / "batches").torch_generator()
        self.generators = {"batches": self.random}
        self._losses: dict[str, Tensor] = {}

    def step(self, number: int) -> dict[str, Tensor]:
        config, share = self.config, number / self.steps
        count = config.batch_size + config.reader_extra
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=self.random)
        own, more = chosen.split([config.batch_size, config.reader_extra])
        known = self.labels.index_select(0, chosen.to(self.device))
        images, labels = to_float(self.images.at(own)), known[: len(own)]
        codes = self.fader.encode(images)
        with torch.no_grad():
            extra = self.fader.encode(to_float(self.images.at(more))) if len(more) else codes[:0]
        self._teach(torch.cat([codes.detach(), extra]), known)
        error = F.mse_loss(self.fader.decode(codes, labels), images)
        hidden = torch.stack([reading_loss(reader(codes), labels, config.target) for reader in self.readers]).mean()
        ramp = min(1.0, share / config.ramp_share) if config.ramp_share else 1.0
        loss = error + config.beta * ramp * hidden
        if self.guide is not None:
            others = labels.roll(1)  # of a batch that is drawn at random: any label
            read = F.cross_entropy(self.guide(self.fader.decode(codes, others)), others)
            loss = loss + config.guide * ramp * read
        descend(self.optimizers["fader"], loss)
        self._losses = {"error": error.detach(), "loss": loss.detach()}
        return self._losses

    def look(self, number: int) -> Look:
        if not is_finite(self._losses["loss"], self.fader.to_code.weight):
            return Look(trouble=Trouble("the losses became NaN"))
        error = self._losses["error"].item()
        return Look({"error": error}, note=f"error {error:.3f}")

    def _teach(self, codes: Tensor, labels: Tensor) -> None:
        for k, reader in enumerate(self.readers):
            for _ in range(self.config.reader_steps):
                descend(self.optimizers[f"reader-{k}"], F.cross_entropy(reader(codes), labels))

    def _reader(self, class_count: int, key: Key) -> CodeReader:
        config = self.config
        return build(
            lambda: CodeReader(config.code_size, class_count, scaled=config.scaled_readers), key.torch_generator()
        ).to(self.device)


def reading_loss(logits: Tensor, labels: Tensor, target: Target) -> Tensor:
    """What the autoencoder is punished with for codes of which a reader says `logits`, B x K.

    `other`: minus the log of the probability that the label is another one, never below 0. `uniform`: the cross
    entropy to equal probabilities, less its lowest value. `article`: minus the reader's own loss, without a lowest
    value.

    Source: the first is Lample et al. 2017, equation 3 (minus log P(1 - y)), for more than two labels.
    """
    logs: Tensor = logits.log_softmax(1)
    true = logs.gather(1, labels[:, None]).squeeze(1)
    if target == "uniform":
        punished = -logs.mean(1) - math.log(logits.shape[1])
    elif target == "article":
        punished = true
    else:
        punished = -torch.log1p(-true.exp().clamp(max=SURE))
    return punished.mean()
