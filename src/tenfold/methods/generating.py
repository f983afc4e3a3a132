"""What dcgan, cgan and dagan share: learning a generator, drawing from it, and throwing away what cannot be used.

A picture is used only where a classifier of the same training images agrees with its label, and where it is no near
copy of a real one. Both are counted and told.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from tenfold import methods
from tenfold.augment.classical import Classical
from tenfold.augment.tensors import SIGNED, to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators.gan import gan_start, train_gan
from tenfold.generators.problem import GanConfig, GanProblem
from tenfold.methods.sifting import sift
from tenfold.training.classifier import ClassifierConfig, train_classifier
from tenfold.training.device import Device, one_thread
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Recipe
from tenfold.training.step import Step, TrainingFailed

CHUNK = 64
"""Pictures are always drawn so many at a time, so that none depends on how many were asked for."""
FILTER = ClassifierConfig(steps=200)

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class GeneratorConfig(GanConfig):
    """What every method with a generator can be told."""

    times: PositiveFloat = 2.0
    """Generated images for each real one, when used as an arm."""
    label_filter: bool = True
    """Use a picture only where a classifier of the real images agrees with its label."""
    truncation: PositiveFloat | None = None
    """Largest value of the noise, in standard deviations: smaller is surer and less varied. None is no bound."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained generator with what it takes to use it again."""

    generator: nn.Module
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    class_counts: tuple[int, ...]
    """Real images of each class that it learned from."""
    details: Mapping[str, Any]

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Of the generator, by name."""
        return {name: value.cpu().numpy() for name, value in self.generator.state_dict().items()}


class GeneratorMethod(methods.Method):
    """A method that trains a generator; subclasses say with which networks and pictures."""

    trains_generator = True
    config: GeneratorConfig

    @abstractmethod
    def problem(self, train: ImageDataset, key: Key) -> GanProblem:
        """Networks with first weights, and the images that they are shown.

        Raises:
            MethodFailed: there is too little to learn from.
        """

    @abstractmethod
    def generator(self, image_shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The generator's network alone, for weights to be loaded into."""

    def conditions(self, real: ImageDataset, chosen: npt.NDArray[np.int64]) -> Tensor:
        """Under what to draw a new picture for each of the chosen real ones: their labels, unless overridden."""
        return torch.from_numpy(real.labels[chosen])

    def parents(self, chosen: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
        """The real images that each new one is made from; none, where it is drawn from what was learned of all."""
        return ((),) * len(chosen)

    def trainings(self, train: ImageDataset) -> int:
        """How many networks it trains, one after another."""
        return 1

    @property
    def draws_labels(self) -> bool:
        """Whether what it draws is of a class."""
        return True

    @property
    def tells_every_step(self) -> bool:
        """Whether a kept training has a line of figures for every step and a grid for every look."""
        return False

    def start(self, train: ImageDataset, key: Key, device: Device) -> Callable[[int], Step]:
        """Attempts at its training, for the loop."""
        return gan_start(partial(self.problem, train), self.for_set(train).config, key, device)

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop | None = None) -> Learned:
        """Train on these images alone.

        Raises:
            MethodFailed: the losses became NaN or the pictures collapsed, again and again.
        """
        try:
            trained = train_gan(partial(self.problem, train), self.for_set(train).config, key, loop)
        except TrainingFailed as error:
            raise methods.MethodFailed(f"{self.name()}: {error}") from error
        return self.learned(train, trained.generator, trained.details)

    def learned(self, train: ImageDataset, generator: nn.Module, details: Mapping[str, Any]) -> Learned:
        counts = tuple(int(count) for count in train.counts())
        return Learned(generator.cpu(), train.class_names, train.image_shape, counts, details)

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        grown = self.grow(train, self.config.times, key)
        new = grown.as_dataset(train).take(np.flatnonzero(~grown.near_copies))
        if not len(new):
            raise methods.MethodFailed(
                f"{self.name()}: all its pictures are near copies of real ones; nothing is used"
            )
        return Recipe(extra=new, details=grown.details)

    def grow(self, train: ImageDataset, times: float, key: Key) -> methods.Grown:
        learned = self.learn(train, key)
        return self.more(learned, train, methods.spread(times, len(train)), key)

    def more(self, learned: Learned, real: ImageDataset, chosen: npt.NDArray[np.int64], key: Key) -> methods.Grown:
        """A new picture for each of the chosen real ones (an image may be chosen several times), as far as usable.

        Rejected ones are drawn anew with other seeds, three times at most; near copies that are left are marked.

        Raises:
            MethodFailed: the classifier agrees with none.
        """
        chosen = chosen[np.argsort(real.labels[chosen], kind="stable")]

        def draw(places: npt.NDArray[np.int64], seeds: npt.NDArray[np.int64]) -> Images:
            return self.draw(learned.generator, self.conditions(real, chosen[places]), seeds, real.image_shape)

        sifted = sift(self.name(), real.labels[chosen], real, draw, self._judge(real, key), key)
        chosen = chosen[sifted.kept]
        return methods.Grown(
            images=sifted.images,
            labels=real.labels[chosen],
            parents=self.parents(chosen),
            seeds=sifted.seeds,
            generator=learned.weights(),
            details={**learned.details, **sifted.counts},
            near_copies=sifted.near_copies,
        )

    @torch.inference_mode()
    def draw(
        self,
        generator: nn.Module,
        conditions: Tensor,
        seeds: Sequence[int] | npt.NDArray[np.int64],
        image_shape: tuple[int, int, int],
        truncation: float | None = None,
    ) -> Images:
        """One picture a seed, N x C x H x W; the same seed and condition always give the same picture.

        Args:
            conditions: N labels, or N pictures.
            truncation: in place of the configured one.
        """
        noise = noise_of(seeds, self.config.noise_size, truncation or self.config.truncation)
        pictures = []
        with one_thread():
            for rows, given in zip(noise.split(CHUNK), conditions.split(CHUNK), strict=True):
                drawn = generator(_filled(rows), _filled(given), 1.0)[: len(rows)]
                if drawn.shape[2:] != image_shape[1:]:
                    drawn = F.interpolate(drawn, size=image_shape[1:], mode="bilinear", align_corners=False)
                pictures.append(to_uint8(drawn))
        return np.concatenate(pictures)

    def _judge(self, real: ImageDataset, key: Key) -> Any:
        """uint8 pictures -> labels, from a classifier of these images; None where there is nothing to tell apart."""
        if not self.config.label_filter or len(np.unique(real.labels)) < 2:
            return None
        changes = Classical("standard", value_range=SIGNED)
        recipe = Recipe(transforms=(lambda images, labels, generator: (changes(images, generator), labels),))
        classifier = train_classifier(real, None, recipe, key / "label filter", FILTER)
        return lambda images: classifier.probabilities(images).argmax(1)


def noise_of(seeds: Sequence[int] | npt.NDArray[np.int64], size: int, truncation: float | None = None) -> Tensor:
    """Standard normal N x size, each row from its own seed; with `truncation` from between minus and plus it."""
    rows = [
        torch.rand(size, generator=torch.Generator().manual_seed(int(seed)), dtype=torch.float64) for seed in seeds
    ]
    share = torch.stack(rows)
    if truncation is not None:
        end = torch.special.ndtr(torch.tensor(truncation, dtype=torch.float64))
        share = (1 - end) + share * (2 * end - 1)
    noise: Tensor = torch.special.ndtri(share.clamp(1e-12, 1 - 1e-12)).float()
    return noise


def _filled(rows: Tensor) -> Tensor:
    """A whole chunk: with a batch of another size, sums could be taken in another order."""
    missing = CHUNK - len(rows)
    return rows if not missing else torch.cat([rows, rows[:1].expand(missing, *rows.shape[1:])])
