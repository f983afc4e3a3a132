"""What a generator is: something that learns from labelled images and then makes new ones.

`grow`, `fit`, `sample` and `preview` work with this alone, be it a GAN, an autoencoder or an editor of images. One
that draws from noise is a `NoiseGenerator`; any other implements `Generator`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from tenfold.augment.tensors import to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, ValueRanges
from tenfold.networks.blocks import channels_last, device_of, empty
from tenfold.training.device import Device, current_device, one_thread
from tenfold.training.loop import TrainingLoop
from tenfold.training.step import Outcome, Step

CHUNK = 64
"""Images are always drawn so many at a time, so that none depends on how many were asked for."""

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Judge = Callable[[Images], Indices]
"""uint8 images -> labels."""


@dataclass(frozen=True)
class GeneratorConfig:
    """What every method with a generator can be told."""

    steps: PositiveInt | None = None
    """Of the training. None leaves them to the size of the set, where the method can say that."""
    batch_size: PositiveInt = 32
    times: PositiveFloat = 2.0
    """New images for each real one, when used as an arm."""
    label_filter: bool = True
    """Use an image only where a classifier of the real images agrees with its label."""
    online: bool = False
    """As an arm draw images anew in every batch, in place of so many that are made once; `times` of them for each
    real one of a batch. Nothing checks their labels then."""


@dataclass(frozen=True)
class NoiseConfig(GeneratorConfig):
    """The same of one that draws from noise."""

    noise_size: PositiveInt = 32
    truncation: PositiveFloat | None = None
    """Largest value of the noise, in standard deviations: smaller is surer and less varied. None is no bound."""


@dataclass(frozen=True, eq=False)
class Conditions:
    """Under what N new images are made, one each."""

    given: tuple[Tensor, ...]
    """N rows each, as the generator reads them: labels, images, or what it takes."""
    parents: tuple[tuple[int, ...], ...]
    """The real images that each is made from; () where it is drawn from what was learned of all."""

    @classmethod
    def of_labels(cls, labels: Indices) -> Conditions:
        """N labels, and nothing else."""
        return cls((torch.from_numpy(labels),), ((),) * len(labels))


ConditionsOf = Callable[[Indices, Indices], Conditions]
"""(indices of real images, a seed for each) -> under what to make a new image for each."""


class Generator(ABC):
    """Learns from labelled images and makes new ones.

    Args:
        config: of the method that brings it, with all that the size of the set decides.
        class_names, image_shape: of what it learns from; shape as C, H, W.
    """

    reads_images: ClassVar[bool] = False
    """A new image is made from real ones, without which nothing can be made."""
    keeps_class: ClassVar[bool] = False
    """A new image is of its parent's class, which the generator need not have seen."""
    varied: ClassVar[str] = "draw of the noise"
    """By what images under one condition differ."""

    network: nn.Module
    """Holds every weight that making images takes; there once it has learned or was loaded."""

    def __init__(self, config: Any, class_names: Sequence[str], image_shape: tuple[int, int, int]) -> None:
        self.config, self.class_names, self.image_shape = config, tuple(class_names), image_shape
        self.class_counts: tuple[int, ...] = (0,) * len(self.class_names)
        """Real images of each class that it learned from."""
        self.value_ranges: ValueRanges = {}
        """What the values of the files it learned from were scaled by, and later files' are."""
        self.details: Mapping[str, Any] = {}
        """What is told of its training."""
        self.judge: Judge | None = None
        """A classifier of the real images that its training left; None has one trained where labels are checked."""

    @property
    def threads(self) -> int:
        """Processor threads that its training takes; 0 is all there are."""
        return 1

    @property
    def draws_labels(self) -> bool:
        """Whether what it makes is of a class."""
        return True

    def fit(self, train: ImageDataset, key: Key, loop: TrainingLoop | None = None) -> None:
        """Learn from these images alone.

        Raises:
            TrainingFailed: nothing usable can come out.
            MethodFailed: there is too little to learn from.
        """
        identity = f"{type(self).__module__} {self.config} {train.fingerprint()} {key.path}"
        self.details = self.learn(train, key, loop or TrainingLoop.named(identity))
        self.network.eval().requires_grad_(False)
        self.class_counts = tuple(int(count) for count in train.counts())

    @abstractmethod
    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop) -> Mapping[str, Any]:
        """Set `network`; gives `details`."""

    @abstractmethod
    def start(self, train: ImageDataset, key: Key, device: Device) -> Callable[[int], Step]:
        """What the loop starts, for the pace of it: attempts at its training, or at one like the first of several."""

    @abstractmethod
    def conditions(self, real: ImageDataset, key: Key) -> ConditionsOf:
        """How the conditions are found under which new images are made for some of these."""

    @abstractmethod
    def sample(self, conditions: Conditions, seeds: Sequence[int] | Indices, shape: tuple[int, int, int]) -> Images:
        """One image of this shape a seed; the same seed and condition always give the same image."""

    @abstractmethod
    def redrawn(self, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        """A new image of the class of each in a batch, from it or in place of it: on the device, and not repeatable
        one by one as those of `sample` are.

        Args:
            images: float B x C x H x W in [-1, 1].
            labels: B.
            random: on the CPU; what is drawn comes from it.
        """

    @abstractmethod
    def between(
        self, ends: tuple[Conditions, Conditions], shares: Sequence[float], key: Key, shape: tuple[int, int, int]
    ) -> Images:
        """Rows of images on the way from one end to another, R x shares x C x H x W.

        Args:
            ends: R conditions of each.
            shares: of the way, 0..1.
        """

    @abstractmethod
    def make_network(self) -> nn.Module:
        """The network, for weights to be loaded into; its first ones are not looked at."""

    @property
    def refusal(self) -> str | None:
        """Why nothing that it makes may be used; None where it may."""
        return None

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """By name."""
        return {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take up what `weights` gave, on the device of today."""
        network = channels_last(empty(self.make_network)).eval().requires_grad_(False)
        network.load_state_dict(weights)
        # In the memory format of training, so that every bit of an image is as it was there.
        self.network = network.to(current_device().torch)

    @property
    def hash(self) -> str:
        """16 hex digits that name these weights: what metadata.jsonl calls it by."""
        return hashlib.sha256(packed(self.weights())).hexdigest()[:16]

    @property
    def device(self) -> torch.device:
        """Where its network lives."""
        return device_of(self.network)


class NoiseGenerator(Generator):
    """Draws from noise, under labels unless it says otherwise: `network(noise, condition, 1.0)`."""

    config: NoiseConfig

    def conditions(self, real: ImageDataset, key: Key) -> ConditionsOf:
        return lambda chosen, seeds: Conditions.of_labels(real.labels[chosen])

    def sample(self, conditions: Conditions, seeds: Sequence[int] | Indices, shape: tuple[int, int, int]) -> Images:
        noise = noise_of(seeds, self.config.noise_size, self.config.truncation)
        (given,) = conditions.given
        parts = [self.draw_batch(rows[0], rows[1], shape)[:count] for count, rows in chunks(noise, given)]
        return np.concatenate(parts)

    def between(
        self, ends: tuple[Conditions, Conditions], shares: Sequence[float], key: Key, shape: tuple[int, int, int]
    ) -> Images:
        """From one draw of the noise to another, under the conditions of the first end."""
        (given,), config = ends[0].given, self.config
        first, second = (
            noise_of([(key / end / row).seed for row in range(len(given))], config.noise_size, config.truncation)
            for end in ("first", "second")
        )
        noise = torch.stack([spherical(first, second, share) for share in shares], 1)
        images = self.draw_batch(noise.flatten(0, 1), given.repeat_interleave(len(shares), 0), shape)
        return images.reshape(len(given), len(shares), *images.shape[1:])

    def redrawn(self, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        share = torch.rand(len(images), self.config.noise_size, generator=random, dtype=torch.float64)
        noise = normal_of(share, self.config.truncation)
        return self._drawn(noise, images if self.reads_images else labels, images.shape[2:])

    @torch.inference_mode()
    @one_thread()
    def draw_batch(self, noise: Tensor, given: Tensor, shape: tuple[int, int, int]) -> Images:
        """What one batch of noise, B x Z, gives, enlarged to the shape where the network draws another."""
        return to_uint8(self._drawn(noise, given, shape[1:]))

    def _drawn(self, noise: Tensor, given: Tensor, sides: Sequence[int]) -> Tensor:
        drawn: Tensor = self.network(noise.to(self.device), given.to(self.device), 1.0)
        if drawn.shape[2:] == tuple(sides):
            return drawn
        return F.interpolate(drawn, size=tuple(sides), mode="bilinear", align_corners=False)


def details_of(outcome: Outcome) -> dict[str, Any]:
    """What is told of a generator's training."""
    figures = {name: round(value, 4) for name, value in outcome.figures.items()}
    return {"generator_steps": outcome.steps, "recoveries": outcome.recoveries, **outcome.shortage, **figures}


def chunks(*columns: Tensor, size: int = CHUNK) -> Iterator[tuple[int, list[Tensor]]]:
    """Parts of these columns, all of `size` rows, with the number of rows that count in each.

    The last one is filled up: with a batch of another size, sums could be taken in another order.
    """
    for rows in zip(*(column.split(size) for column in columns), strict=True):
        missing = size - len(rows[0])
        yield len(rows[0]), [torch.cat([row, row[:1].expand(missing, *row.shape[1:])]) for row in rows]


def noise_of(seeds: Sequence[int] | Indices, size: int, truncation: float | None = None) -> Tensor:
    """Standard normal N x size, each row from its own seed; with `truncation` from between minus and plus it."""
    rows = [
        torch.rand(size, generator=torch.Generator().manual_seed(int(seed)), dtype=torch.float64) for seed in seeds
    ]
    return normal_of(torch.stack(rows), truncation)


def normal_of(share: Tensor, truncation: float | None) -> Tensor:
    """Standard normal values of uniform ones in 0..1; with `truncation` from between minus and plus it."""
    if truncation is not None:
        end = torch.special.ndtr(torch.tensor(truncation, dtype=torch.float64))
        share = (1 - end) + share * (2 * end - 1)
    noise: Tensor = torch.special.ndtri(share.clamp(1e-12, 1 - 1e-12)).float()
    return noise


def spherical(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Between two draws B x Z along the arc, so that every step is as long as a draw is likely to be.

    Source: Shoemake 1985, slerp; for a generator's noise White 2016.
    """
    cosine = F.cosine_similarity(first, second, dim=1).clamp(-1, 1)[:, None]
    angle = torch.arccos(cosine)
    straight = angle.sin() < 1e-4
    sine = torch.where(straight, torch.ones_like(angle), angle.sin())
    along_arc = torch.sin((1 - share) * angle) / sine * first + torch.sin(share * angle) / sine * second
    return torch.where(straight, (1 - share) * first + share * second, along_arc)


def packed(weights: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The weights as a safetensors file, which wants each array to lie in the memory in the order of its axes."""
    return safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in weights.items()})
