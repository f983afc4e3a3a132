"""The loop that trains a Fader: the autoencoder repaints pictures, readers guess the label from the code alone.

The readers are taught at each step, on more codes than the autoencoder's batch has, and the autoencoder is to keep
them from naming the true label. What the article behind this project wrote down, the reconstruction error minus the
readers' loss, has no lowest value; `target="article"` keeps it, to show what comes of it.
"""

from __future__ import annotations

import copy
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from tenfold.augment.tensors import to_float
from tenfold.core.files import write_bytes
from tenfold.core.keys import Key
from tenfold.core.progress import Bar, progress
from tenfold.generators.adversarial import TrainingFailed
from tenfold.generators.keeping import SECONDS_BETWEEN_CHECKPOINTS
from tenfold.networks.autoencoder import CodeReader, Fader, halvings_of
from tenfold.networks.blocks import SeededDropout, build
from tenfold.training.device import one_thread
from tenfold.training.packing import packed, unpack, values_in

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
class RestylingConfig:
    """How a Fader is trained; the method brings the values that its presets set."""

    steps: PositiveInt = 2000
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
    """Weight of a guide's loss: a classifier of the same real pictures, which learns no more, is to read the new
    label from pictures that were painted under another one. The readers only take labels out of the code; this makes
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


class _NotFinite(Exception):
    pass


@one_thread()
def train_fader(
    pictures: Tensor,
    labels: Tensor,
    class_count: int,
    config: RestylingConfig,
    key: Key,
    guide: nn.Module | None = None,
    *,
    shown: bool = False,
    checkpoint: Path | None = None,
) -> Fader:
    """A Fader of these pictures, uint8 N x C x H x W, and labels, int64 N; classes are drawn equally often.

    Args:
        guide: pictures B x C x H x W in [-1, 1] -> logits B x K; needed where the guide has a weight.
        shown: show how far it is; trials do not.
        checkpoint: a file that holds the state now and then; one that is there is taken up, to the same bits.

    Raises:
        TrainingFailed: the losses became NaN three times.
        InputError: the checkpoint is of another training.
    """
    kept = checkpoint.read_bytes() if checkpoint is not None and checkpoint.exists() else None
    for attempt in range(0 if kept is None else values_in(kept).get("attempt", 0), ATTEMPTS):
        training = _Training(pictures, labels, class_count, config, key / attempt, 3.0**-attempt, guide)
        if kept is not None:
            training.restore(kept)
            kept = None
        silent = nullcontext(Bar("", config.steps, training.number))
        try:
            with progress("training restyle", config.steps, training.number) if shown else silent as bar:
                _to_the_end(training, bar, checkpoint, attempt)
            return training.fader.eval()
        except _NotFinite:
            continue
    raise TrainingFailed("the losses became NaN, and smaller steps did not mend it")


def seconds_a_step(
    pictures: Tensor,
    labels: Tensor,
    class_count: int,
    config: RestylingConfig,
    key: Key,
    guide: nn.Module | None = None,
    steps: int = 12,
) -> float:
    """The pace of a training, from a few steps that are thrown away."""
    with one_thread():
        training = _Training(pictures, labels, class_count, config, key / "pace", 1.0, guide)
        training.step()
        start = time.perf_counter()
        for _ in range(steps):
            training.step()
    return (time.perf_counter() - start) / steps


def _to_the_end(training: _Training, bar: Bar, checkpoint: Path | None, attempt: int) -> None:
    written = time.monotonic()
    while training.number < training.config.steps:
        told = training.step()
        bar.advance(1, note=told or bar.note)
        if told and checkpoint is not None and time.monotonic() - written > SECONDS_BETWEEN_CHECKPOINTS:
            write_bytes(checkpoint, training.packed(attempt))
            written = time.monotonic()


class _Training:
    """Networks, optimisers and draws of one attempt."""

    def __init__(
        self,
        pictures: Tensor,
        labels: Tensor,
        class_count: int,
        config: RestylingConfig,
        key: Key,
        rate: float,
        guide: nn.Module | None,
    ) -> None:
        self.pictures, self.labels, self.config, self.rate = pictures, labels, config, rate
        shape = (pictures.shape[1], pictures.shape[2], pictures.shape[3])
        dropout = [
            SeededDropout(config.dropout, key / "dropout" / k) for k in range(halvings_of(shape)) if config.dropout
        ]
        self.fader = build(
            lambda: Fader(shape, class_count, config.code_size, config.width, config.bounded, dropout),
            (key / "fader").torch_generator(),
        )
        self.guide = None if guide is None or not config.guide else copy.deepcopy(guide).eval().requires_grad_(False)
        self.readers = [
            build(
                lambda: CodeReader(config.code_size, class_count, scaled=config.scaled_readers),
                (key / "reader" / k).torch_generator(),
            )
            for k in range(config.readers)
        ]
        self.optimizer = torch.optim.Adam(self.fader.parameters(), config.learning_rate, AUTOENCODER_ADAM)
        self.reader_optimizers = [
            torch.optim.Adam(reader.parameters(), config.reader_rate * rate, READER_ADAM) for reader in self.readers
        ]
        self.weights = 1 / torch.bincount(labels, minlength=class_count).clamp(min=1)[labels].double()
        self.random = (key / "batches").torch_generator()
        self.number = 0
        """Steps taken."""

    def packed(self, attempt: int) -> bytes:
        """All that later steps depend on, as a safetensors file."""
        return packed(*self._state(), {"attempt": attempt, "number": self.number})

    def restore(self, file: bytes) -> None:
        """Take up what `packed` gave.

        Raises:
            InputError: it is of another training.
        """
        self.number = unpack(file, *self._state(), ("attempt", "number"))["number"]

    def _state(self) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Adam], torch.Generator]:
        networks: dict[str, nn.Module] = {"fader": self.fader}
        networks |= {f"reader-{k}": reader for k, reader in enumerate(self.readers)}
        optimizers = {"fader": self.optimizer}
        optimizers |= {f"reader-{k}": optimizer for k, optimizer in enumerate(self.reader_optimizers)}
        return networks, optimizers, self.random

    def step(self) -> str:
        """One step of the readers and of the autoencoder; figures in words where it was looked at.

        Raises:
            _NotFinite: at a look a loss was not finite.
        """
        config, number = self.config, self.number
        share = number / config.steps
        self.number += 1
        self.optimizer.param_groups[0]["lr"] = config.learning_rate * self.rate * _late_cosine(share)
        chosen = torch.multinomial(
            self.weights, config.batch_size + config.reader_extra, replacement=True, generator=self.random
        )
        own, more = chosen.split([config.batch_size, config.reader_extra])
        pictures, labels = to_float(self.pictures[own]), self.labels[own]
        codes = self.fader.encode(pictures)
        with torch.no_grad():
            extra = self.fader.encode(to_float(self.pictures[more])) if len(more) else codes[:0]
        self._teach(torch.cat([codes.detach(), extra]), self.labels[chosen])
        error = F.mse_loss(self.fader.decode(codes, labels), pictures)
        hidden = torch.stack([reading_loss(reader(codes), labels, config.target) for reader in self.readers]).mean()
        ramp = min(1.0, share / config.ramp_share) if config.ramp_share else 1.0
        loss = error + config.beta * ramp * hidden
        if self.guide is not None:
            others = labels.roll(1)  # of a batch that is drawn at random: any label
            read = F.cross_entropy(self.guide(self.fader.decode(codes, others)), others)
            loss = loss + config.guide * ramp * read
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if number % LOOK_EVERY and number != config.steps - 1:
            return ""
        if not math.isfinite(loss.item()) or not bool(self.fader.to_code.weight.isfinite().all()):
            raise _NotFinite
        return f"error {error.item():.3f}"

    def _teach(self, codes: Tensor, labels: Tensor) -> None:
        for reader, optimizer in zip(self.readers, self.reader_optimizers, strict=True):
            for _ in range(self.config.reader_steps):
                loss = F.cross_entropy(reader(codes), labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()


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


def _late_cosine(share: float) -> float:
    """1 for half of the training, then down to 1 % along a cosine: at the end the readers catch up with the code."""
    return 1.0 if share < 0.5 else max(0.01, 0.5 * (1 + math.cos(math.pi * (2 * share - 1))))
