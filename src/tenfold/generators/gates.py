"""What a Fader is worth, asked of everybody but the readers that it learned to fool.

Do images of a new label look like it, to a classifier of real images? Can a probe, trained afresh on the codes,
still read the label? Does the new image keep the style? And does the old label give the old image back?
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.augment.tensors import to_float, to_uint8
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.generators import chunks
from tenfold.generators.style import style_correlation, style_features
from tenfold.networks.autoencoder import CodeReader, Fader
from tenfold.networks.blocks import build
from tenfold.training.classifier import TrainedClassifier
from tenfold.training.device import Device, one_thread
from tenfold.training.loop import TrainingLoop
from tenfold.training.schedule import cosine
from tenfold.training.step import Step, descend
from tenfold.training.validation import validation_score

Labels = npt.NDArray[np.int64]
Images = npt.NDArray[np.uint8]

CHUNK = 256
MOST_HELD_OUT, FEWEST_HELD_OUT = 1000, 8
MOST_SWAPS = 10_000
GRID_ROWS, GRID_COLUMNS = 10, 30
PROBE_WIDTH, PROBE_BATCH, PROBE_RATE, PROBE_DECAY = 256, 256, 2e-3, 0.01


@dataclass(frozen=True)
class Gates:
    """The figures by which restyled images are used or not; accuracies are means over classes, shares in 0..1."""

    swap_accuracy: float
    """Images under another label that the judge, a classifier of real images, reads as that label."""
    judge_accuracy: float
    """What the judge reads of the real images whose style was taken."""
    probe_accuracy: float
    """Labels that a fresh probe reads from the codes of images that it did not learn from."""
    chance: float
    """What the probe would reach by guessing."""
    reconstruction_error: float
    """Mean squared error under an image's own label, pixels in [-1, 1]."""
    trivial_error: float
    """The same of the mean image of the class."""
    style_correlation: float
    """Mean over the features of `style`; 0 where none varies."""
    style: Mapping[str, float]
    """How far each feature of style follows the source's: `data.style.style_correlation`."""
    pictures: int
    """Whose style was taken."""
    swaps: int
    held_out: bool
    """Whether the autoencoder, the judge and the probe had not seen these images."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """One a gate."""
        seen = "held-out images" if self.held_out else "images that it learned from (too few to hold any out)"
        features = ", ".join(f"{name} {value:.2f}" for name, value in self.style.items())
        return (
            f"swap accuracy {self.swap_accuracy:.1%}: so many of {self.swaps:,} images in the style of "
            f"{self.pictures:,} {seen} are read as their new class by an independent classifier, which reads "
            f"{self.judge_accuracy:.1%} of the real ones".replace("%", " %"),
            f"fresh probe {self.probe_accuracy:.1%}: so often a newly trained network reads the old class from the "
            f"code (chance {self.chance:.1%})".replace("%", " %"),
            f"style correlation {self.style_correlation:.2f} between an image and its new versions ({features})",
            f"reconstruction error {self.reconstruction_error:.3f} (mean image of the class "
            f"{self.trivial_error:.3f})",
        )

    def to_json(self) -> dict[str, Any]:
        return {
            name: round(value, 5) if isinstance(value, float) else value for name, value in asdict(self).items()
        } | {"style": {name: round(value, 5) for name, value in self.style.items()}}


def measured(
    fader: Fader,
    judge: TrainedClassifier,
    learned: ImageDataset,
    apart: ImageDataset | None,
    probe_steps: int,
    key: Key,
) -> Gates:
    """The gates of a Fader that learned from `learned`, on `apart`; None has them measured on what was learned from.

    Args:
        judge: trained on `learned`, with no part in the Fader's training.
    """
    looked_at = learned if apart is None else apart
    codes, own = codes_of(fader, looked_at.images), looked_at.labels
    rows, labels = swaps_of(own, looked_at.class_count)
    swapped = painted(fader, codes[torch.from_numpy(rows)], labels)
    learned_codes = codes if apart is None else codes_of(fader, learned.images)
    present = len(np.unique(learned.labels))
    style = style_correlation(
        {name: values[rows] for name, values in style_features(looked_at.images).items()},
        style_features(swapped),
        own[rows],
        labels,
    )
    return Gates(
        swap_accuracy=validation_score(judge.probabilities(swapped), labels),
        judge_accuracy=validation_score(judge.probabilities(looked_at.images), own),
        probe_accuracy=probe_accuracy((learned_codes, learned.labels), (codes, own), probe_steps, key / "probe"),
        chance=1 / present,
        reconstruction_error=_error(painted(fader, codes, own), looked_at.images),
        trivial_error=_error(_class_means(learned)[own], looked_at.images),
        style_correlation=float(np.mean(list(style.values()))) if style else 0.0,
        style=style,
        pictures=len(looked_at),
        swaps=len(rows),
        held_out=apart is not None,
    )


def held_out(train: ImageDataset, share: float, key: Key) -> tuple[ImageDataset, ImageDataset | None]:
    """The images to learn from, and whole groups to measure on: about `share` of each class, 1,000 images at most.

    None are held out where they would be fewer than eight or fewer than the classes.
    """
    share = min(share, MOST_HELD_OUT / len(train))
    order = (key / "held out").numpy_generator().permutation(len(train))
    taken: set[int] = set()
    for label in np.unique(train.labels):
        members = order[train.labels[order] == label]
        room = int(share * len(members))
        groups, first, sizes = np.unique(train.groups[members], return_index=True, return_counts=True)
        for place in np.argsort(first):
            if sizes[place] <= room:
                taken.add(int(groups[place]))
                room -= int(sizes[place])
    apart = np.isin(train.groups, sorted(taken))
    present = np.unique(train.labels)
    enough = apart.sum() >= max(FEWEST_HELD_OUT, len(present))
    if not enough or len(np.unique(train.labels[~apart])) < len(present):
        return train, None
    return train.take(np.flatnonzero(~apart)), train.take(np.flatnonzero(apart))


def swaps_of(labels: Labels, class_count: int) -> tuple[Labels, Labels]:
    """Which image is to be painted under which other label: every other one, or where that would be more than
    10,000 images in all as many for each, all labels alike often.
    """
    others = class_count - 1
    each = min(others, max(1, MOST_SWAPS // max(1, len(labels))))
    rows = np.arange(len(labels)).repeat(each)
    steps = 1 + np.arange(len(rows)) % others
    return rows, (labels[rows] + steps) % class_count


def styles_by_classes(fader: Fader, images: ImageDataset, key: Key) -> tuple[Labels, Images]:
    """R images, one of each class but of ten classes at most, and each under the first 30 labels at most: their
    indices, in the order of their classes, and R x K x C x H x W.
    """
    present = np.unique(images.labels)
    places = np.linspace(0, len(present) - 1, min(GRID_ROWS, len(present))).round().astype(np.int64)
    order = key.numpy_generator().permutation(len(images))
    rows = np.array([order[images.labels[order] == label][0] for label in present[places]], dtype=np.int64)
    columns = min(GRID_COLUMNS, images.class_count)
    codes = codes_of(fader, images.images[rows]).repeat_interleave(columns, 0)
    restyled = painted(fader, codes, np.tile(np.arange(columns, dtype=np.int64), len(rows)))
    return rows, restyled.reshape(len(rows), columns, *images.image_shape)


@torch.inference_mode()
@one_thread()
def codes_of(fader: Fader, images: Images) -> Tensor:
    """uint8 N x C x H x W -> N x Z, on the CPU."""
    device = fader.to_code.weight.device
    return torch.cat([fader.encode(to_float(part.to(device))).cpu() for part in torch.tensor(images).split(CHUNK)])


@torch.inference_mode()
@one_thread()
def painted(fader: Fader, codes: Tensor, labels: Labels) -> Images:
    """Codes N x Z under labels N -> uint8 N x C x H x W; what one comes to does not depend on the others."""
    device, images = fader.to_code.weight.device, []
    for count, (rows, given) in chunks(codes, torch.from_numpy(labels), size=CHUNK):
        images.append(to_uint8(fader.decode(rows.to(device), given.to(device))[:count]))
    return np.concatenate(images)


@one_thread()
def probe_accuracy(learned: tuple[Tensor, Labels], unseen: tuple[Tensor, Labels], steps: int, key: Key) -> float:
    """Balanced accuracy on `unseen` of a probe trained afresh on `learned`: codes N x Z and labels N each.

    A dense network of two hidden layers of 256 units on standardised codes, AdamW, classes equally often.
    """
    loop = TrainingLoop()
    probe = loop.run(lambda attempt: ProbeStep(learned, steps, key, loop.device)).step.networks["probe"].eval()
    with torch.inference_mode():
        return validation_score(probe(unseen[0].to(loop.device.torch)).softmax(1).cpu().numpy(), unseen[1])


class ProbeStep(Step):
    """A probe that learns to read labels from codes, along one cosine."""

    def __init__(self, learned: tuple[Tensor, Labels], steps: int, key: Key, device: Device) -> None:
        codes, labels = learned[0].clone(), torch.from_numpy(learned[1])
        shape = (codes.shape[1], int(labels.max()) + 1, PROBE_WIDTH)
        self.probe = build(lambda: CodeReader(*shape), (key / "probe").torch_generator()).to(device.torch)
        self.adam = torch.optim.AdamW(self.probe.parameters(), PROBE_RATE, weight_decay=PROBE_DECAY)
        self.random = (key / "batches").torch_generator()
        self.weights = 1 / torch.bincount(labels).clamp(min=1)[labels].double()
        self.codes, self.labels, self.steps = codes.to(device.torch), labels.to(device.torch), steps
        self.networks, self.optimizers = {"probe": self.probe}, {"probe": self.adam}
        self.schedules, self.generators = {"probe": cosine}, {"batches": self.random}

    def step(self, number: int) -> dict[str, Tensor]:
        chosen = torch.multinomial(self.weights, PROBE_BATCH, replacement=True, generator=self.random)
        chosen = chosen.to(self.codes.device)
        loss = F.cross_entropy(self.probe(self.codes[chosen]), self.labels[chosen])
        descend(self.adam, loss)
        return {"loss": loss.detach()}


def _class_means(images: ImageDataset) -> npt.NDArray[np.float64]:
    means = np.zeros((images.class_count, *images.image_shape))
    for label in np.unique(images.labels):
        means[label] = images.images[images.labels == label].mean(0)
    return means


def _error(restored: npt.NDArray[Any], images: Images) -> float:
    return float(np.mean(np.square((restored.astype(np.float32) - images) / 127.5)))
