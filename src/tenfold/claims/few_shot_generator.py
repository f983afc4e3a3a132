"""A dagan trained on source classes, kept in a file, and what it makes of images of classes it never saw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch

from tenfold.augment.tensors import to_uint8
from tenfold.claims.base import hash_of, picture_text
from tenfold.claims.few_shot_sets import class_split
from tenfold.core.files import write_bytes, write_json
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.methods import Grown, make_method
from tenfold.methods.generating import GeneratorMethod, Learned, noise_of
from tenfold.networks.blocks import channels_last
from tenfold.report.content import Sheet
from tenfold.report.sheets import sheet_png
from tenfold.training.device import one_thread

SHOWN_CLASSES = 8
SHOWN_DRAWS = 8
BETWEEN = 9
"""Pictures of an interpolation, its two ends among them."""


def generator_file(settings: Mapping[str, Any]) -> str:
    return f"generator-{settings['data']['set']}-{hash_of(settings)}.safetensors"


def train_generator(settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """Train on the source classes and leave the weights, with a description beside them."""
    source = class_split(settings["data"]).source
    learned = _method(settings).learn(source, Key("dagan") / settings["data"]["set"])
    name = generator_file(settings)
    # safetensors writes an array's memory as it lies, and weights of convolutions lie channels last.
    weights = {weight: np.ascontiguousarray(value) for weight, value in learned.weights().items()}
    write_bytes(files / name, safetensors.numpy.save(weights))
    description = {
        "method": "dagan",
        "options": settings["options"],
        "image_shape": list(learned.image_shape),
        "class_count": source.class_count,
        "details": dict(learned.details),
    }
    write_json((files / name).with_suffix(".json"), description)
    return {
        "files": [name, str(Path(name).with_suffix(".json"))],
        "source_images": len(source),
        "source_classes": source.class_count,
        "details": dict(learned.details),
    }


def load_generator(settings: Mapping[str, Any], files: Path, real: ImageDataset) -> tuple[GeneratorMethod, Learned]:
    """What `train_generator` left for these settings, ready to make more of `real`."""
    method = _method(settings)
    network = method.generator(real.image_shape, settings["data"]["classes"][0])
    weights = safetensors.numpy.load((files / generator_file(settings)).read_bytes())
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    return method, method.learned(real, channels_last(network).eval(), {})


def more_of(settings: Mapping[str, Any], files: Path, real: ImageDataset, times: int, key: Key) -> Grown:
    """`times` new images for each real one, of the same class."""
    method, learned = load_generator(settings, files, real)
    return method.more(learned, real, np.arange(len(real)).repeat(times), key)


def draws_of(
    settings: Mapping[str, Any], files: Path, real: ImageDataset, draws: int, key: Key
) -> npt.NDArray[np.uint8]:
    """So many new images of each real one, with nothing thrown away: N x draws x C x H x W."""
    method, learned = load_generator(settings, files, real)
    chosen = np.arange(len(real)).repeat(draws)
    seeds = np.array([(key / index).seed for index in range(len(chosen))])
    drawn = method.draw(learned.generator, method.conditions(real, chosen), seeds, real.image_shape)
    return drawn.reshape(len(real), draws, *real.image_shape)


def sheets(settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
    """Two sheets of unseen classes, as text: an image with new ones of it, and the way from one noise to another."""
    unseen = class_split(settings["data"]).unseen
    first = [
        int(np.flatnonzero(unseen.labels == label)[0]) for label in range(min(unseen.class_count, SHOWN_CLASSES))
    ]
    real = unseen.take(first)
    key = Key("sheets") / settings["data"]["set"]
    new = draws_of(settings["generator"], files, real, SHOWN_DRAWS, key)
    between = _interpolated(settings["generator"], files, real, key)
    return {
        name: picture_text(sheet_png(Sheet("", "", np.concatenate([real.images[:, np.newaxis], pictures], axis=1))))
        for name, pictures in (("new", new), ("between", between))
    }


@torch.inference_mode()
def _interpolated(settings: Mapping[str, Any], files: Path, real: ImageDataset, key: Key) -> npt.NDArray[np.uint8]:
    """N x BETWEEN x C x H x W. Along an arc, on which noise stays as long as noise is."""
    method, learned = load_generator(settings, files, real)
    ends = noise_of([(key / "start").seed, (key / "end").seed], method.config.noise_size)
    angles = torch.linspace(0, torch.pi / 2, BETWEEN).unsqueeze(1)
    noise = angles.cos() * ends[0] + angles.sin() * ends[1]
    with one_thread():
        rows = [
            learned.generator(noise, method.conditions(real, np.full(BETWEEN, index)), 1.0)
            for index in range(len(real))
        ]
    return np.stack([to_uint8(row) for row in rows])


def _method(settings: Mapping[str, Any]) -> GeneratorMethod:
    method = make_method("dagan", dict(settings["options"]))
    assert isinstance(method, GeneratorMethod)
    return method
