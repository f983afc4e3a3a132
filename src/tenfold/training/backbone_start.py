"""Where a classifier begins that has seen other images: at a backbone, with a head that validation images prefer."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import PositiveInt

from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.networks.backbone_classifier import BackboneNet, ClassifierBackbone, backbone_named, with_head
from tenfold.networks.blocks import device_of
from tenfold.networks.convnet import Backbone, SmallConvNet
from tenfold.networks.pretrained import best_first
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier, train_classifier
from tenfold.training.classifier_io import load_classifier, save_classifier
from tenfold.training.device import current_device
from tenfold.training.feature_cache import frozen_features, unscaled_features
from tenfold.training.linear_probe import ChosenHead, fit_head
from tenfold.training.recipe import Start, standard_augmentation

if TYPE_CHECKING:
    from tenfold.runs import Context

VIEWS = 4
"""Of each image that a head is fitted to, where an arm changes images."""
SIDES = ("224", "160")
"""Between which validation images choose; the weights were trained at 224 or a little more."""
SOURCE_TRAINING = ClassifierConfig(steps=1200)


@dataclass(frozen=True)
class BackboneConfig:
    """Which network, and how it reads."""

    backbone: str = "auto"
    """`imagenet` (EfficientNet-Lite0) or `lite2` (EfficientNet-Lite2), both of the extra `weights`, or with the extra
    `hub` a local directory or a hub's name; `auto` lets validation images choose between those of `weights`."""
    source: str = ""
    """Labelled images of other classes, in any form DATA may have: a network trained on these is the backbone."""
    side: PositiveInt | Literal["auto"] = "auto"
    """Pixels at which a network from elsewhere reads; `auto` lets validation images choose between 224 and 160."""
    mirror: Literal["auto", "no", "yes"] = "auto"
    """Fit the head to mirror images too."""


class BackboneStart:
    """The part of a method that begins at a backbone; its `Method` says how to go on from there."""

    config: BackboneConfig
    shared: Path | None
    """Where the files of its `shared_training` are; where None, it does without."""
    default_options: Callable[[], dict[str, str]]

    def search_space(self) -> Mapping[str, tuple[str, ...]]:
        elsewhere = {"backbone": best_first(), "side": SIDES} if not self.config.source else {}
        candidates = {**elsewhere, "mirror": ("no", "yes")}
        return {name: values for name, values in candidates.items() if getattr(self.config, name) == "auto"}

    def external_fingerprint(self) -> str:
        if not self.config.source:
            names = self.search_space().get("backbone", (self.config.backbone,))
            return "".join(backbone_named(name, int(SIDES[0])).weights_hash() for name in names)
        for kept in (_loaded, _trained):
            kept.cache_clear()  # asked at the beginning of a study: the files may have changed since the last one
        return _loaded(self.config.source, None).fingerprint()

    def shared_training(self, image_shape: tuple[int, int, int]) -> tuple[str, dict[str, Any]] | None:
        if not self.config.source:
            return None
        return f"{__name__}:train_source", {"source": self.config.source, "side": image_shape[1]}

    def start(self, side: int, *, frozen: bool = True, **training: Any) -> Start:
        """Where a classifier of images of this side begins: the backbone with the head that validation images prefer.

        Unless it is frozen it is trained on as `training` says, by the names of `Start`.
        """

        def network(train: ImageDataset, validation: ImageDataset | None, key: Key) -> BackboneNet:
            network_of_side = BackboneNet(self._backbone(side), train.class_count, frozen=True).to(
                current_device().torch
            )
            head = self._head(network_of_side, train, validation, key)
            network_of_side.frozen = frozen
            for layer in () if frozen else network_of_side.trunk.first_layers():
                layer.requires_grad_(False)
            return with_head(network_of_side, torch.from_numpy(head.weight), torch.from_numpy(head.bias))

        return Start(
            network,
            **({"steps": 0, "views": VIEWS} if frozen else training),
            side=None if self.config.source else self._reads_at()[1],
            reads_large=not self.config.source,
            seen=_loaded(self.config.source, side) if self.config.source else None,
        )

    def _head(
        self, network: BackboneNet, train: ImageDataset, validation: ImageDataset | None, key: Key
    ) -> ChosenHead:
        rows, labels, groups = [train.rows], train.labels, train.groups
        if self.config.mirror == "yes":
            rows, labels, groups = [*rows, train.rows.mirrored()], np.tile(labels, 2), np.tile(groups, 2)
        unscaled = torch.from_numpy(np.concatenate([unscaled_features(network, part) for part in rows]))
        network.scale.fit(unscaled.to(device_of(network)))
        validation_part = None
        if validation is not None:
            validation_part = frozen_features(network, validation.rows).cpu().numpy(), validation.labels
        features = network.scale(unscaled.to(device_of(network))).cpu().numpy()
        return fit_head(features, labels, validation_part, train.class_count, groups, key)

    def _reads_at(self) -> tuple[str, int]:
        """The name and the side of a network from elsewhere."""
        usual = self.default_options()
        name, side = (usual.get(option, getattr(self.config, option)) for option in ("backbone", "side"))
        return str(name), int(side)

    def _backbone(self, side: int) -> Backbone:
        if not self.config.source:
            return backbone_named(*self._reads_at())
        trained = load_classifier(self.shared) if self.shared else _trained(self.config.source, side)
        assert isinstance(trained.network, SmallConvNet)
        return ClassifierBackbone(copy.deepcopy(trained.network), trained.image_shape)


@functools.lru_cache(maxsize=4)
def _loaded(source: str, side: int | None) -> ImageDataset:
    """The images to learn from, those that a study would hold in reserve among them, as the study reads its own.

    Raises:
        InputError: they cannot be read, are vectors or of a single class.
    """
    data = load(source, size=side)
    data = data.take(np.flatnonzero(np.isin(data.roles, ("train", "reserve"))))
    if data.is_vectors or (data.counts() > 0).sum() < 2:
        raise InputError(f"{source} is to teach a network what to look at: give images of two classes or more")
    return data


def train_source(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """The job of a shared training: the network of a source at a side, kept as a classifier."""
    save_classifier(context.directory / "classifier.safetensors", _trained(config["source"], config["side"]), {})
    return {}


@functools.lru_cache(maxsize=4)
def _trained(source: str, side: int) -> TrainedClassifier:
    """The judge's own network, trained on the source; one for all folds, as weights from elsewhere are."""
    data = _loaded(source, side)
    key = Key(f"source/{data.fingerprint()}")
    return train_classifier(data, None, standard_augmentation(), key, SOURCE_TRAINING)
