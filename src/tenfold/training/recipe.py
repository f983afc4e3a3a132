"""What a method gives to the classifier loop: optional slots, and recipes that add up.

A GAN, MixUp and a pre-trained backbone have no `sample()` in common. What they have in common is that one
classifier loop can read what they give it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.augment.classical import Classical
from tenfold.augment.tensors import SIGNED
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.networks.backbone_classifier import Network
from tenfold.networks.convnet import Classifier

Transform = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""(images float B x C x H x W in [-1, 1], soft labels B x K, generator) -> the same two, changed."""


class Redraw(Protocol):
    """A transform that puts new images in the place of some."""

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]: ...

    def of_share(self, share: float) -> Redraw:
        """The same for another share of the images."""


Objective = Callable[[Classifier, Tensor, Tensor, torch.Generator], Tensor]
"""(the network, images, soft labels, generator) -> the loss in place of the plain cross entropy. For methods that
reach into the forward pass or make it several times."""


class HeadObjective(ABC):
    """A loss that trains a head of its own beside the classifier, a new one in each training."""

    @abstractmethod
    def head(self, network: Classifier) -> nn.Module:
        """With its first weights, on the CPU."""

    @abstractmethod
    def optimizer(self, head: nn.Module) -> torch.optim.Optimizer:
        """At its learning rate, which stays."""

    @abstractmethod
    def loss(
        self, network: Classifier, head: nn.Module, images: Tensor, soft_labels: Tensor, generator: torch.Generator,
        progress: float,
    ) -> Tensor:  # fmt: skip
        """Of a batch, for the classifier and the head alike; `progress` is the share of the steps, 1 in the last."""


Beginning = Callable[[ImageDataset, ImageDataset | None, Key], Network]
"""(images to train on, validation images if any, key) -> the network to begin with."""


@dataclass(frozen=True, eq=False)
class Start:
    """How a classifier begins, in place of the usual network with fresh weights."""

    network: Beginning
    steps: int | None = None
    """Of training from there; as many as any other classifier takes where None; 0 is to use it as it comes."""
    batch_size: int | None = None
    learning_rate: float | None = None
    """Both in place of the usual ones."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Parts of the network by name that learn at this share of the learning rate."""
    views: int = 0
    """Where no steps are taken: how often each image is read as the recipe's transforms change it, beside itself."""
    side: int | None = None
    """Pixels at which it reads: images are resized before transforms change them, which on fewer would blur them."""
    reads_large: bool = False
    """Whether it reads images with as many pixels as their files have, and not as the judge's own network does."""
    seen: ImageDataset | None = None
    """Images beside the training images that it has learned from, where they are at hand."""


def cross_entropy(logits: Tensor, soft_labels: Tensor) -> Tensor:
    """Mean over the batch of -sum(p log q), for labels that are probabilities: both B x K."""
    return -(soft_labels * F.log_softmax(logits, dim=1)).sum(1).mean()


def plain_objective(network: Classifier, images: Tensor, soft_labels: Tensor, generator: torch.Generator) -> Tensor:
    """What is minimised unless a recipe says otherwise: cross entropy against soft labels."""
    return cross_entropy(network.head(network.features(images)), soft_labels)


ONE_ONLY = {"init": "a network to begin with", "objective": "a loss of their own"}
"""Slots of a recipe that cannot be added up."""


@dataclass(frozen=True, eq=False)
class Recipe:
    """What one arm adds to the real images; empty for `raw`."""

    extra: ImageDataset | None = None
    """More labelled images, trained on beside the real ones."""
    transforms: tuple[Transform, ...] = ()
    """Applied to every batch, in order."""
    redraws: tuple[Redraw, ...] = ()
    """Generators that draw a share of every batch anew, before it is transformed."""
    init: Start | None = None
    """Where the classifier begins."""
    objective: Objective | HeadObjective | None = None
    """In place of the cross entropy."""
    needs_extra: bool = False
    """Without any extra images the objective has no use either, and is left out."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the method wants recorded with the trial; plain JSON values."""

    @property
    def batch_transforms(self) -> tuple[Transform, ...]:
        """All that happens to a batch, in order."""
        return (*self.redraws, *self.transforms)

    def with_redraws(self, ratio: float) -> Recipe:
        """With so many images that are drawn anew for each real one of a batch; of a recipe without any the same."""
        redraws = tuple(one.of_share(ratio / (1 + ratio)) for one in self.redraws) if ratio else ()
        return replace(self, redraws=redraws)

    def __add__(self, other: Recipe) -> Recipe:
        """Both recipes at once: `classical+cgan` trains on generated images and augments them.

        Raises:
            InputError: both bring a network to begin with or an objective: only one can be obeyed.
        """
        for slot, meaning in ONE_ONLY.items():
            if getattr(self, slot) is not None and getattr(other, slot) is not None:
                raise InputError(f"two methods of one arm bring {meaning}; an arm can hold only one of them")
        return Recipe(
            extra=_joined(self.extra, other.extra),
            transforms=self.transforms + other.transforms,
            redraws=self.redraws + other.redraws,
            init=self.init or other.init,
            objective=self.objective or other.objective,
            needs_extra=self.needs_extra or other.needs_extra,
            details={**self.details, **other.details},
        )


def _joined(first: ImageDataset | None, second: ImageDataset | None) -> ImageDataset | None:
    if first is None or second is None:
        return first if second is None else second
    return first.joined(second)


def standard_augmentation() -> Recipe:
    """What a classifier beside a study is trained with: one that checks labels, guides, or is a backbone."""
    changes = Classical("standard", value_range=SIGNED)
    return Recipe(transforms=(lambda images, labels, generator: (changes(images, generator), labels),))
