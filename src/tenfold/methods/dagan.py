"""DAGAN: an image goes in, new images of the same class come out, of classes never seen in training too.

A U-net reads the image and noise; a critic sees pairs of one class, a real pair or an image with what was made of
it (Antoniou et al. 2017). By default the generator deforms: a smooth displacement, an affine part and a residual, all
of which start at the identity. So the class is kept from the first step, and the critic teaches which deformations a
class shows. Deviations from the paper, whose networks and loss are the preset `paper`: a small U-net, cgan's pair
loss with zero-centred penalties, and a bounded reward for differing over the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from tenfold.augment.tensors import to_float
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import Conditions, ConditionsOf
from tenfold.generators.gan import GanGenerator
from tenfold.generators.problem import GanConfig, GanProblem, Pair
from tenfold.methods import GeneratorMethod, KeptGenerator, MethodFailed, load_generator
from tenfold.networks.blocks import build
from tenfold.networks.paper_unet import PaperCritic, PaperGenerator
from tenfold.networks.unet import Critic, Generator, Head, read_at
from tenfold.training.batches import as_floats
from tenfold.training.loop import TrainingLoop

MOST_PROBES = 16
"""Classes at which variety is looked at, and a tenth of them held out where there are twice as many."""


@dataclass(frozen=True)
class Config(GanConfig):
    """Options that are not given are the preset's; those that are given win over it."""

    preset: Literal["fast", "paper"] = "fast"
    """`paper`: the published networks and loss, half a minute a step on a processor; needs a graphics card."""
    steps: PositiveInt | None = None
    """Unless given, `fast` takes as many as show each image 80 times, between 150 and 2,000."""
    batch_size: PositiveInt = 64
    noise_size: PositiveInt = 64
    learning_rate: PositiveFloat = 6e-4
    beta2: NonNegativeFloat = 0.95
    penalty: NonNegativeFloat = 0.05
    penalty_every: PositiveInt = 8
    fade_in_share: NonNegativeFloat = 0.0
    variety: NonNegativeFloat = 2.0
    enough_variety: NonNegativeFloat = 0.2
    average_images: PositiveInt = 8000
    augment: NonNegativeFloat = 0.05
    hold_out: NonNegativeFloat = 0.1
    """Share of the classes kept from training, where there are 32 or more."""
    least_diversity: NonNegativeFloat = 0.1
    width: PositiveInt = 24
    """Channels of the largest map of `fast`; twice to four times as many below."""
    head: Head = "deform"
    """What `fast` gives: a deformation, new pixels, or the deformed image and a residual in pixels."""
    truncation: PositiveFloat | None = 1.0
    generator: str = ""
    """The directory of a fitted dagan, to be used in place of training one: what it learned on other classes."""
    turns: bool = True
    """Turn both images of a pair alike by multiples of 90 degrees: more kinds of pairs from the same classes."""


PRESETS: Mapping[str, Config] = {
    "fast": Config(),
    "paper": Config(
        preset="paper",
        steps=20000,
        batch_size=32,
        noise_size=100,
        learning_rate=1e-4,
        last_rate=1.0,
        beta2=0.9,
        loss="wasserstein",
        penalty=10.0,
        penalty_every=1,
        critic_steps=5,
        variety=0.0,
        average_images=1,  # none: batch normalisation's figures belong to the weights of the moment
        augment=0.0,
        hold_out=0.0,
        least_diversity=0.02,
        head="pixels",
        truncation=None,
    ),
}


class Dagan(GanGenerator):
    reads_images = True
    keeps_class = True
    config: Config

    def learn(self, train: ImageDataset, key: Key, loop: TrainingLoop) -> Mapping[str, Any]:
        if not self.config.generator:
            return super().learn(train, key, loop)
        kept, channels = load_generator(Path(self.config.generator)).generator, train.image_shape[0]
        if kept.image_shape[0] != channels:
            raise MethodFailed(
                f"dagan: the generator in {self.config.generator} draws images of {kept.image_shape[0]} "
                f"channels, and these have {channels}"
            )
        self.network = kept.network
        return {"generator": kept.hash, "generator_learned_from": sum(kept.class_counts)}

    def problem(self, train: ImageDataset, key: Key) -> GanProblem:
        kinds = _kinds(train)
        if not kinds:
            raise MethodFailed("dagan learns from pairs of one class, and no class has two images")
        images = as_floats(train.rows, read_at) if self.config.preset == "fast" else as_floats(train.rows)
        order = (key / "held out").numpy_generator().permutation(len(kinds))
        apart = int(len(kinds) * self.config.hold_out) if len(kinds) >= 2 * MOST_PROBES else 0
        held, learned = [kinds[k] for k in order[:apart]], _Pairs([kinds[k] for k in order[apart:]])

        def draw(pool: Tensor, count: int, random: torch.Generator) -> Pair:
            first, second = (one.to(pool.device) for one in learned.draw(count, random))
            pairs = torch.stack([pool[second], pool[first]])
            if self.config.turns:
                pairs = turned(pairs.flatten(0, 1), self.config.preset, random).unflatten(0, (2, -1))
            return pairs[0], pairs[1]

        probe = held or [kinds[k] for k in order]
        probe = [kind for kind in probe if images[kind].std(0, correction=0).any()][:MOST_PROBES] or probe[:1]
        shape, paper = (images.shape[1], images.shape[2], images.shape[3]), self.config.preset == "paper"
        return GanProblem(
            generator=build(
                lambda: self._network(shape, key / "generator dropout"), (key / "generator").torch_generator()
            ),
            critic=build(
                lambda: PaperCritic(shape, key / "critic dropout") if paper else Critic(shape, self.config.width),
                (key / "critic").torch_generator(),
            ),
            images=images,
            draw=draw,
            probe=torch.stack([images[kind[0]] for kind in probe]),
            probe_spread=torch.stack([images[kind].std(0, correction=0).mean() for kind in probe]),
            held_out=(images[[kind[1] for kind in held]], images[[kind[0] for kind in held]]) if held else None,
            penalty_scale=1.0 if paper else images[0].numel() / 1024,
        )

    def make_network(self) -> nn.Module:
        shape = self.image_shape
        if self.config.preset == "fast":
            images = read_at(torch.zeros(1, *shape, device="cpu"))
            shape = images.shape[1], images.shape[2], images.shape[3]
        return self._network(shape, Key("drawing"))

    def _network(self, shape: tuple[int, int, int], dropout: Key) -> nn.Module:
        if self.config.preset == "paper":
            return PaperGenerator(shape, self.config.noise_size, dropout)
        return Generator(shape, self.config.width, self.config.noise_size, self.config.head)

    def conditions(self, real: ImageDataset, key: Key) -> ConditionsOf:
        return lambda chosen, seeds: Conditions(
            (to_float(torch.from_numpy(real.images[chosen])),), tuple((int(index),) for index in chosen)
        )


_Config = Config


@final
class Method(GeneratorMethod):
    Config, PRESETS = Config, PRESETS
    config: _Config
    generator_class = Dagan
    shown, step_bounds = 80, (150, 2000)

    def __init__(self, config: _Config) -> None:
        if config.generator:
            own = {
                name: getattr(config, name) for name in ("generator", "times", "label_filter", "online", "truncation")
            }
            config = replace(_dagan_of(load_generator(Path(config.generator))), **own)
        super().__init__(config)


def _dagan_of(kept: KeptGenerator) -> Config:
    if not isinstance(kept.method, Method):
        raise InputError(f"{kept.path} holds a {kept.method.name()}, and dagan(generator=...) takes a dagan")
    return kept.method.config


def turned(images: Tensor, preset: str, random: torch.Generator) -> Tensor:
    """All of a batch by the same multiple of 90 degrees, if square; `fast` mirrors half of the time too.

    `paper` turns half of the time and never mirrors.
    """
    draws = torch.rand(3, generator=random).tolist()
    square, paper = images.shape[2] == images.shape[3], preset == "paper"
    if square and (draws[0] < 0.5 or not paper):
        images = images.rot90(int(4 * draws[1]), (2, 3))
    return images.flip(3) if draws[2] < 0.5 and not paper else images


def _kinds(train: ImageDataset) -> list[npt.NDArray[np.int64]]:
    """The images of each class that has two or more."""
    members = [np.flatnonzero(train.labels == label) for label in range(train.class_count)]
    return [kind for kind in members if len(kind) > 1]


class _Pairs:
    """Two different images of one class; classes come equally often."""

    def __init__(self, kinds: list[npt.NDArray[np.int64]]) -> None:
        self._counts = torch.tensor([len(kind) for kind in kinds])
        self._starts = torch.cat([torch.zeros(1, dtype=torch.int64), self._counts.cumsum(0)[:-1]])
        self._members = torch.from_numpy(np.concatenate(kinds))

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        kinds = torch.randint(len(self._counts), (count,), generator=random)
        sizes = self._counts[kinds]
        first = (torch.rand(count, generator=random) * sizes).long()
        second = (first + 1 + (torch.rand(count, generator=random) * (sizes - 1)).long()) % sizes
        return self._members[self._starts[kinds] + first], self._members[self._starts[kinds] + second]
