"""Restyling: each image's style under every other label, by an autoencoder that is told the label.

A code is to hold the style alone, since a network that reads the label from it is fooled as the autoencoder learns
(Lample et al. 2017, Fader Networks); then an image's code, decoded under another label, is a new labelled image.
Nothing is used unless an independent classifier of the real images reads the new labels. Deviations: a bounded
code, readers that are taught more than the autoencoder, and a guide (`train.restyling`). The loss of the article
behind this project is the preset `article`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import Conditions, ConditionsOf, Generator, Images, Indices
from tenfold.generators.autoencoder import FaderStep, RestylingConfig, fader_start, make_fader, train_fader
from tenfold.generators.gates import Gates, codes_of, held_out, measured, painted
from tenfold.generators.style import StyleSources
from tenfold.methods import GeneratorMethod, MethodFailed
from tenfold.networks.autoencoder import Fader
from tenfold.networks.blocks import resized
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier, train_classifier
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Recipe, standard_augmentation

GUIDE_WIDTH, JUDGE_WIDTH = 8, 24
"""Channels of the first layer of the two classifiers."""


@dataclass(frozen=True)
class Config(RestylingConfig):
    """Options that are not given are the preset's; those that are given win over it."""

    preset: Literal["fast", "article"] = "fast"
    """`article`: the reconstruction error minus the reader's loss, as an article has it; its labels stay in the
    code, and new ones change nothing."""
    steps: PositiveInt | None = None
    """Unless given, as many as show each image 30 times, between 600 and 2,000."""
    times: PositiveFloat = 1.0
    least_swap_accuracy: NonNegativeFloat = 0.85
    """Where that classifier reads fewer of the new labels than this share, nothing is used at all."""
    hold_out: NonNegativeFloat = 0.2
    """Share of the images that the gates are measured on and nothing learns from."""
    judge_steps: PositiveInt = 400
    """Of the classifier that judges new labels, and of the guide."""
    probe_steps: PositiveInt = 1500
    """Of the network that is trained to read labels from codes."""


PRESETS: Mapping[str, Config] = {
    "fast": Config(),
    "article": Config(
        preset="article",
        bounded=False,
        target="article",
        beta=0.1,  # the article's own is not known to us
        guide=0.0,
        ramp_share=0.0,
        scaled_readers=False,
        reader_steps=1,
        reader_extra=0,
        dropout=0.2,
    ),
}


class Restyler(Generator):
    """An autoencoder: an image's code decoded under another label is a new image of that class in its style."""

    reads_images = True
    varied = "style"
    config: Config
    network: Fader
    gates: Gates
    looked_at: ImageDataset
    """What the gates were measured on."""

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop) -> Mapping[str, Any]:
        if len(np.unique(train.labels)) < 2:
            raise MethodFailed("restyle paints images as another class, and there is only one; add a second")
        config = self.config
        learned, apart = held_out(train, config.hold_out, key)
        # Apart in seeds, size and looks at the autoencoder: the guide teaches it, the judge has never met it.
        guide = self._classifier(learned, GUIDE_WIDTH, key / "guide").network if config.guide else None
        judge = self._classifier(learned, JUDGE_WIDTH, key / "judge")
        self.judge = lambda images: np.asarray(judge.probabilities(images).argmax(1))
        self.network = train_fader(learned, config, key / "training", guide, loop)
        self.gates = measured(self.network, judge, learned, apart, config.probe_steps, key)
        self.looked_at = learned if apart is None else apart
        return {"steps": config.steps, "gates": self.gates.to_json()}

    def start(self, train: ImageDataset, key: Key, device: Device) -> Callable[[int], FaderStep]:
        guide = train_classifier(train, None, Recipe(), key, ClassifierConfig(steps=1, width=GUIDE_WIDTH)).network
        return fader_start(train, self.config, key / "pace", guide, device)

    def conditions(self, real: ImageDataset, key: Key) -> ConditionsOf:
        """The class of a real image, in the style of an image of another class, or of two."""
        codes = codes_of(self.network, _resized(real.images, self.image_shape))
        styles = StyleSources(real.labels, key / "styles")

        def conditions(chosen: Indices, seeds: Indices) -> Conditions:
            labels = real.labels[chosen]
            drawn = [styles.next(label, seed) for label, seed in zip(labels.tolist(), seeds.tolist(), strict=True)]
            parents = tuple(its_parents for its_parents, _ in drawn)
            shares = torch.tensor([share for _, share in drawn], dtype=torch.float32)[:, None]
            first, last = (codes[[its_parents[end] for its_parents in parents]] for end in (0, -1))
            return Conditions((torch.lerp(last, first, shares), torch.from_numpy(labels)), parents)

        return conditions

    def sample(self, conditions: Conditions, seeds: Sequence[int] | Indices, shape: tuple[int, int, int]) -> Images:
        codes, labels = conditions.given
        return _resized(painted(self.network, codes, labels.numpy()), shape)

    def redrawn(self, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        """The same class in the style of another image of the batch."""
        read = resized(images, *self.image_shape[1:])
        codes = self.network.encode(read)[torch.randperm(len(images), generator=random).to(images.device)]
        return resized(self.network.decode(codes, labels), *images.shape[2:])

    def between(
        self, ends: tuple[Conditions, Conditions], shares: Sequence[float], key: Key, shape: tuple[int, int, int]
    ) -> Images:
        """From one style to another."""
        (start, labels), (end, _) = (one.given for one in ends)
        codes = torch.stack([torch.lerp(start, end, share) for share in shares], 1)
        images = painted(self.network, codes.flatten(0, 1), labels.repeat_interleave(len(shares)).numpy())
        return _resized(images, shape).reshape(len(labels), len(shares), *shape)

    def make_network(self) -> Fader:
        return make_fader(self.image_shape, len(self.class_names), self.config, Key("drawing"))

    @property
    def refusal(self) -> str | None:
        reached, least = self.details["gates"]["swap_accuracy"], self.config.least_swap_accuracy
        if reached >= least:
            return None
        return (
            f"an independent classifier reads the new label of {reached:.1%} of the restyled images, and below "
            f"{least:.0%} none are used".replace("%", " %")
        )

    def _classifier(self, real: ImageDataset, width: int, key: Key) -> TrainedClassifier:
        config = ClassifierConfig(steps=self.config.judge_steps, width=width)
        return train_classifier(real, None, standard_augmentation(), key, config)


def _resized(images: Images, shape: tuple[int, int, int]) -> Images:
    """N x C x H x W at the size of the shape."""
    if images.shape[1:] == shape:
        return images
    return to_uint8(resized(to_float(torch.tensor(images)), *shape[1:]))


@final
class Method(GeneratorMethod):
    Config, PRESETS = Config, PRESETS
    generator_class = Restyler
    shown, step_bounds = 30, (600, 2000)
