"""Related images of the same classes, from elsewhere: do those others help here?

They are brought into the frame of the study's images and trained on beside them. How many of them is chosen by
validation images, none among the choices. `align` also makes the network forget from which of the two sets an image
is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from tenfold import methods
from tenfold.adaptation.alignment import domain_head, reversal, turned
from tenfold.adaptation.framing import frame_like, framing
from tenfold.augment.tensors import to_float
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset, ValueRange
from tenfold.data.combine import all_classes, copies_of, in_classes, read_related
from tenfold.networks.convnet import Classifier
from tenfold.training.batches import as_tensor
from tenfold.training.recipe import HeadObjective, Recipe, plain_objective

MOST_SHARED = 0.05
"""Of the training images; where more are in the related set too, it overlaps the study, and its other images may be
test images."""
LOOKED_THROUGH, SPARE = 2_000, 4
"""Of a large related set so many images are framed and looked through for copies, or so many times those wanted."""
DRAWN = 32
"""Images of each of the two sets that are aligned in a step."""
WEIGHT = 0.3
"""Of the turned gradient when it is fully there."""
HEAD_RATE = 4e-3
"""Learning rate of the head that tells the two sets apart."""


@dataclass(frozen=True)
class Config:
    source: str = ""
    """The related labelled set, in any form DATA may have; has to be given."""
    times: PositiveFloat = 2.0
    """Related images for each real one, at most."""
    align: bool = False
    """Turn the gradient of a head round that tells the two sets apart (DANN)."""


@final
class Method(methods.Method):
    Config = Config

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.changes_batches = self.has_objective = config.align

    def fit(self, train: ImageDataset, reserve: ImageDataset | None, key: Key) -> Recipe:
        related = _read(self._source(), tuple(sorted(train.value_ranges.items())))
        common = in_classes(related, train.class_names)
        if not len(common):
            theirs, ours = ", ".join(all_classes([related])), ", ".join(train.class_names)
            raise InputError(
                f"related: {related.name} has none of the study's classes (there: {theirs}; here: {ours}); rename "
                "its class folders, or take transfer, which needs no common classes"
            )
        wanted = round(self.config.times * len(train))
        common = _evenly(common, max(LOOKED_THROUGH, SPARE * wanted))
        frame = frame_like(framing(common), framing(train))
        framed = frame.on(common)
        copies = copies_of(framed.images, train.images)
        shared = len(np.unique(copies[:, 1]))
        if shared > max(1, MOST_SHARED * len(train)):
            raise methods.MethodFailed(
                f"related: {shared} of {len(train)} training images are in {related.name} too; it overlaps the "
                "study, so that others of its images may be test images; take those out of it"
            )
        apart = framed.take(np.setdiff1d(np.arange(len(framed)), copies[:, 0]))
        if not len(apart):
            raise methods.MethodFailed(f"related: every image of {related.name} is a copy of a training image")
        extra = _evenly(apart, wanted)
        fresh = int(train.groups.max(initial=-1)) + 1
        named = ImageDataset(
            name=f"{train.name}, related",
            images=extra.images,
            labels=extra.labels,
            class_names=train.class_names,
            groups=extra.groups + fresh,
            sources=tuple(f"related/{source}" for source in extra.sources),
            roles=np.full(len(extra), "train"),
        )
        details = {
            "related": related.name,
            "related_images": len(common),
            "of_other_classes": len(related) - len(common),
            "copies_left_out": len(framed) - len(apart),
            "frame": frame.to_json(),
        }
        objective = Aligned(train.rows, apart.rows, key / "domain head") if self.config.align else None
        return Recipe(extra=named, objective=objective, needs_extra=self.config.align, details=details)

    def external_fingerprint(self) -> str:
        _read.cache_clear()  # asked at the beginning of a study: the files may have changed since the last one
        return _read(self._source(), ()).fingerprint()

    def _source(self) -> str:
        source: str = self.config.source
        if not source:
            raise InputError("related needs a labelled set to learn from beside yours: related(source=DIR)")
        return source


@lru_cache(maxsize=2)
def _read(source: str, value_ranges: tuple[tuple[str, ValueRange], ...] = ()) -> ImageDataset:
    try:
        return read_related(source, value_ranges=dict(value_ranges))
    except InputError as error:
        raise InputError(f"related(source={source}): {error}") from error


def _evenly(data: ImageDataset, most: int) -> ImageDataset:
    """At most so many of the images, in the order of their classes and spread over each."""
    ordered = data.take(np.argsort(data.labels, kind="stable"))
    return (
        ordered if len(ordered) <= most else ordered.take(methods.spread(max(1, most) / len(ordered), len(ordered)))
    )


class Aligned(HeadObjective):
    """Cross entropy, and a domain head on images of both sets whose gradient is turned round.

    A recipe may be trained on several times: each training gets a head of its own.
    """

    def __init__(self, real: ImageRows, related: ImageRows, key: Key) -> None:
        self._pools, self._key = (real, related), key

    def head(self, network: Classifier) -> nn.Module:
        return domain_head(network.head.in_features, 2, self._key)

    def optimizer(self, head: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(head.parameters(), HEAD_RATE)

    def loss(
        self, network: Classifier, head: nn.Module, images: Tensor, soft_labels: Tensor, generator: torch.Generator,
        progress: float,
    ) -> Tensor:  # fmt: skip
        loss = plain_objective(network, images, soft_labels, generator)
        drawn = [
            as_tensor(pool, torch.randint(len(pool), (DRAWN,), generator=generator).numpy()) for pool in self._pools
        ]
        both = to_float(torch.cat(drawn).to(images.device)).contiguous(memory_format=torch.channels_last)
        domains = torch.arange(2, device=images.device).repeat_interleave(DRAWN)
        turned_features = turned(network.features(both), WEIGHT * reversal(progress))
        return loss + F.cross_entropy(head(turned_features), domains)
