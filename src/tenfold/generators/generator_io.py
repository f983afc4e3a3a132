"""A trained generator as two files: the weights as safetensors, all the rest as JSON. Nothing is pickled."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import tenfold
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_bytes, write_json
from tenfold.core.options import MOST_PIXELS
from tenfold.core.types import ImageDataset, ValueRanges
from tenfold.data.value_range import ranges_from_json
from tenfold.generators import Generator, packed
from tenfold.training.checkpoint import UNFIT, read_weights

FILE = "generator.safetensors"
NAMES = (FILE, "restyler.safetensors")
"""What a directory may call its generator."""
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Description:
    """What the JSON beside the weights says, as far as it is needed to make images again."""

    method: str
    config: Mapping[str, Any]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    class_counts: tuple[int, ...]
    value_ranges: ValueRanges
    details: Mapping[str, Any]


def save_generator(
    path: Path, method: str, generator: Generator, real: ImageDataset, details: Mapping[str, Any], seed: int
) -> None:
    """Write `path` (.safetensors) and the JSON beside it: what it takes to make images, and what it learned from."""
    write_bytes(path, packed(generator.weights()))
    write_json(
        path.with_suffix(".json"),
        {
            "method": method,
            "config": asdict(generator.config),
            "class_names": list(real.class_names),
            "image_shape": list(real.image_shape),
            "class_counts": real.counts().tolist(),
            "value_ranges": dict(real.value_ranges),
            "real_images": len(real),
            "data": {"name": real.name, "fingerprint": real.fingerprint()},
            "seed": seed,
            "details": dict(details),
            "made_with": {
                "tenfold": tenfold.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        },
    )


def found_in(path: Path) -> Path:
    """The weights' file, where `path` is that or the directory of a fit, of a run or of a grown set.

    Raises:
        InputError: there is none, or it is no safetensors file.
    """
    if path.is_dir():
        found = next((path / name for name in NAMES if (path / name).exists()), None)
        if found is None and any(path.rglob(CHECKPOINT)):
            raise InputError(f"the training in {path} is not finished; give its `tenfold fit` once more to go on")
        path = found or path / FILE
    if not path.exists():
        raise InputError(f"{path}: no such generator; `tenfold fit METHOD DATA OUT` makes one")
    if path.suffix != ".safetensors" or not path.is_file():
        raise InputError(f"{path} is not a .safetensors file; other weights may run code when read and are refused")
    return path


def read_generator(path: Path) -> tuple[Description, dict[str, Tensor]]:
    """What `save_generator` wrote.

    Raises:
        InputError: the JSON is missing, or one of the files does not read as that.
    """
    beside = path.with_suffix(".json")
    try:
        told = read_json(beside)
        channels, height, width = (int(side) for side in told["image_shape"])
        description = Description(
            method=told["method"],
            config=dict(told["config"]),
            class_names=tuple(told["class_names"]),
            image_shape=(channels, height, width),
            class_counts=tuple(int(count) for count in told["class_counts"]),
            value_ranges=ranges_from_json(told),
            details=dict(told["details"]),
        )
        if channels not in (1, 3) or not all(1 <= side <= MOST_PIXELS for side in (height, width)):
            raise ValueError(f"there are no images of {description.image_shape}")
        names = description.class_names
        if len(names) != len(description.class_counts) or not all(isinstance(name, str) for name in names):
            raise ValueError("the classes and their counts do not fit")
        return description, read_weights(path)
    except FileNotFoundError as error:
        raise InputError(f"{beside} is missing: a generator is this file and {path.name} together") from error
    except UNFIT as error:
        why = f": {error}" if isinstance(error, InputError) else ""
        raise InputError(f"{path} and {beside.name} do not hold a generator of this version{why}") from error
