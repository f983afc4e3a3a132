"""A trained generator as two files: the weights as safetensors, all the rest as JSON. Nothing is pickled."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError

import tenfold
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_bytes, write_json
from tenfold.core.types import ImageDataset
from tenfold.methods import Method, make_method
from tenfold.methods.generating import GeneratorMethod, Learned
from tenfold.networks.blocks import channels_last

FILE = "generator.safetensors"
CHECKPOINT = "checkpoint.safetensors"

Weights = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class KeptGenerator:
    """A generator read from its files, ready to draw."""

    path: Path
    method: GeneratorMethod
    learned: Learned

    @property
    def hash(self) -> str:
        """What metadata.jsonl calls it by."""
        return weights_hash(self.learned.weights())

    def truncated(self, truncation: float | None) -> GeneratorMethod:
        """The method, drawing from within this many standard deviations; as it was trained where None."""
        return truncated(self.method, truncation)


def truncated(method: GeneratorMethod, truncation: float | None) -> GeneratorMethod:
    """The method with another bound on the noise.

    Raises:
        InputError: the bound is not above 0.
    """
    if truncation is None:
        return method
    if not truncation > 0:
        raise InputError(f"--truncation must be above 0, not {truncation:g}")
    return type(method)(replace(method.config, truncation=float(truncation)))


def save_generator(
    path: Path, method: Method, real: ImageDataset, weights: Weights, details: Mapping[str, Any], seed: int
) -> None:
    """Write `path` (.safetensors) and the JSON beside it: what it takes to draw again, and what it learned from."""
    write_bytes(path, packed(weights))
    write_json(
        path.with_suffix(".json"),
        {
            "method": method.name(),
            "config": asdict(method.for_set(real).config),
            "class_names": list(real.class_names),
            "image_shape": list(real.image_shape),
            "class_counts": real.counts().tolist(),
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


class Undrawable(InputError):
    """What was kept is no generator that draws from noise, but an autoencoder."""


def load_generator(path: Path) -> KeptGenerator:
    """Read what `save_generator` wrote; `path` may also be the directory of a fit, of a run or of a grown set.

    Raises:
        InputError: there is no generator, it is no safetensors file, or its JSON is missing or does not fit.
    """
    if path.is_dir():
        if not (path / FILE).exists() and any(path.rglob(CHECKPOINT)):
            raise InputError(f"the training in {path} is not finished; give its `tenfold fit` once more to go on")
        path = path / FILE
    if not path.exists():
        raise InputError(f"{path}: no such generator; `tenfold fit METHOD DATA OUT` makes one")
    if path.suffix != ".safetensors":
        raise InputError(f"{path} is not a .safetensors file; other weights may run code when read and are refused")
    description = path.with_suffix(".json")
    try:
        told = read_json(description)
        method = make_method(told["method"], told["config"])
        if not isinstance(method, GeneratorMethod):
            if not method.trains_generator:
                raise ValueError(f"{method.name()} trains no generator")
            raise Undrawable(
                f"{path} holds a {method.name()}, which paints given pictures as another class and draws none from "
                f"noise: tenfold {method.name()} DATA OUT, or tenfold grow DATA OUT --with {method.name()}"
            )
        channels, height, width = (int(side) for side in told["image_shape"])
        names, counts = tuple(told["class_names"]), tuple(int(count) for count in told["class_counts"])
        if len(names) != len(counts) or not all(isinstance(name, str) for name in names):
            raise ValueError("the classes and their counts do not fit")
        network = method.generator((channels, height, width), len(names))
        network.load_state_dict(safetensors.torch.load(path.read_bytes()))
        details = dict(told["details"])
    except Undrawable:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{description} is missing: a generator is this file and {path.name} together") from error
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError, InputError) as error:
        raise InputError(f"{path} and {description.name} do not hold a generator of this version") from error
    # In the memory format of training, so that every bit of a picture is as it was there.
    learned = Learned(channels_last(network).eval(), names, (channels, height, width), counts, details)
    return KeptGenerator(path, method, learned)


def packed(weights: Weights) -> bytes:
    """The weights as a safetensors file, which wants each array to lie in the memory in the order of its axes."""
    return safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in weights.items()})


def weights_hash(weights: Weights) -> str:
    """16 hex digits that name these weights."""
    return hashlib.sha256(packed(weights)).hexdigest()[:16]
