"""Restyling: each picture's style under every other label, by an autoencoder that is told the label.

A code is to hold the style alone, since a network that reads the label from it is fooled as the autoencoder learns
(Lample et al. 2017, Fader Networks); then a picture's code, decoded under another label, is a new labelled picture.
Nothing is used unless an independent classifier of the real pictures reads the new labels. Deviations: a bounded
code, readers that are taught more than the autoencoder, and a guide (`train.restyling`). The loss of the article
behind this project is the preset `article`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, final

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from tenfold import methods
from tenfold.augment.classical import Classical
from tenfold.augment.tensors import SIGNED
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators.autoencoder import RestylingConfig, fader_start, train_fader
from tenfold.generators.gates import Gates, codes_of, held_out, measured, painted
from tenfold.generators.style import StyleSources
from tenfold.methods.sifting import sift
from tenfold.networks.autoencoder import Fader
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier, train_classifier
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import Recipe
from tenfold.training.step import TrainingFailed

SHOWN, STEPS = 30, (600, 2000)
"""How often each image is shown unless steps are given, and the fewest and most steps that are taken for it."""
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
    """New images for each real one, when used as an arm."""
    label_filter: bool = True
    """Use a picture only where a classifier of the real images agrees with its label."""
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


@dataclass(frozen=True, eq=False)
class Restyler:
    """A trained autoencoder, its gates, and the classifier that measured them."""

    fader: Fader
    judge: TrainedClassifier
    gates: Gates
    looked_at: ImageDataset
    """What the gates were measured on."""
    details: Mapping[str, Any]

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Of the autoencoder, by name."""
        return {name: value.cpu().numpy() for name, value in self.fader.state_dict().items()}


_Config = Config


@final
class Method(methods.Method):
    Config, PRESETS = Config, PRESETS
    config: _Config
    trains_generator = True

    def for_set(self, train: ImageDataset) -> Self:
        """The method with as many steps as this set takes."""
        if self.config.steps is not None:
            return self
        shows = SHOWN * len(train) // self.config.batch_size
        return type(self)(replace(self.config, steps=min(max(shows, STEPS[0]), STEPS[1])))

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop | None = None) -> Restyler:
        """Train the autoencoder and the judge on these images alone, and measure the gates.

        Args:
            loop: of the autoencoder's training.

        Raises:
            MethodFailed: there are not two classes, or the losses became NaN again and again.
        """
        if len(np.unique(train.labels)) < 2:
            raise methods.MethodFailed("restyle paints pictures as another class, and there is only one")
        config = self.for_set(train).config
        learned, apart = held_out(train, config.hold_out, key)
        # Apart in seeds, size and looks at the autoencoder: the guide teaches it, the judge has never met it.
        guide = self._classifier(learned, GUIDE_WIDTH, key / "guide").network if config.guide else None
        judge = self._classifier(learned, JUDGE_WIDTH, key / "judge")
        try:
            fader = train_fader(learned, config, key / "training", guide, loop)
        except TrainingFailed as error:
            raise methods.MethodFailed(f"restyle: {error}") from error
        gates = measured(fader, judge, learned, apart, config.probe_steps, key)
        looked_at = learned if apart is None else apart
        return Restyler(fader, judge, gates, looked_at, {"steps": config.steps, "gates": gates.to_json()})

    def seconds_a_step(self, train: ImageDataset, key: Key) -> float:
        """The pace of its training, from a few steps that are thrown away."""
        guide = train_classifier(train, None, Recipe(), key, ClassifierConfig(steps=1, width=GUIDE_WIDTH)).network
        loop = TrainingLoop()
        return loop.seconds_a_step(fader_start(train, self.for_set(train).config, key / "pace", guide, loop.device))

    def require(self, restyler: Restyler) -> None:
        """Refuse an autoencoder whose new labels cannot be read.

        Raises:
            MethodFailed: its swap accuracy is below the least that is used.
        """
        reached, least = restyler.gates.swap_accuracy, self.config.least_swap_accuracy
        if reached < least:
            raise methods.MethodFailed(
                f"restyle: an independent classifier reads the new label of {reached:.1%} of the restyled pictures, "
                f"and below {least:.0%} none are used".replace("%", " %")
            )

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        grown = self.grow(train, self.config.times, key)
        new = grown.as_dataset(train).take(np.flatnonzero(~grown.near_copies))
        if not len(new):
            raise methods.MethodFailed("restyle: all its pictures are near copies of real ones; nothing is used")
        return Recipe(extra=new, details=grown.details)

    def grow(self, train: ImageDataset, times: float, key: Key) -> methods.Grown:
        restyler = self.learn(train, key)
        self.require(restyler)
        return self.more(restyler, train, methods.spread(times, len(train)), key)

    def more(self, restyler: Restyler, real: ImageDataset, chosen: npt.NDArray[np.int64], key: Key) -> methods.Grown:
        """For each of the chosen real images a new one of its class, in the style of an image of another class.

        Rejected ones are painted anew in other styles, three times at most; near copies that are left are marked.

        Raises:
            MethodFailed: the classifier agrees with none.
        """
        chosen = chosen[np.argsort(real.labels[chosen], kind="stable")]
        labels = real.labels[chosen]
        codes = codes_of(restyler.fader, real.images)
        styles = StyleSources(real.labels, key / "styles")
        parents: list[tuple[int, ...]] = [()] * len(chosen)

        def paint(places: npt.NDArray[np.int64], seeds: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
            shares = np.ones(len(places), np.float32)
            for row, (place, seed) in enumerate(zip(places.tolist(), seeds.tolist(), strict=True)):
                parents[place], shares[row] = styles.next(int(labels[place]), seed)
            first, last = (codes[[parents[place][end] for place in places]] for end in (0, -1))
            return painted(restyler.fader, torch.lerp(last, first, torch.from_numpy(shares)[:, None]), labels[places])

        def judge(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
            labels_read: npt.NDArray[np.int64] = restyler.judge.probabilities(images).argmax(1)
            return labels_read

        sifted = sift(self.name(), labels, real, paint, judge if self.config.label_filter else None, key)
        return methods.Grown(
            images=sifted.images,
            labels=labels[sifted.kept],
            parents=tuple(parents[place] for place in sifted.kept),
            seeds=sifted.seeds,
            generator=restyler.weights(),
            details={**restyler.details, **sifted.counts},
            near_copies=sifted.near_copies,
        )

    def _classifier(self, real: ImageDataset, width: int, key: Key) -> TrainedClassifier:
        changes = Classical("standard", value_range=SIGNED)
        recipe = Recipe(transforms=(lambda images, labels, generator: (changes(images, generator), labels),))
        config = ClassifierConfig(steps=self.config.judge_steps, width=width)
        return train_classifier(real, None, recipe, key, config)
