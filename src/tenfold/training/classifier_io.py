"""A trained classifier as two files: the weights as safetensors, all the rest as JSON. Nothing is pickled."""

from __future__ import annotations

import math
from dataclasses import asdict
from operator import index
from pathlib import Path
from typing import Any

import safetensors.torch

from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_bytes, write_json
from tenfold.core.options import MOST_PIXELS
from tenfold.data.value_range import ranges_from_json
from tenfold.networks.backbone_classifier import network_description, network_of
from tenfold.networks.convnet import VectorNet
from tenfold.training.checkpoint import UNFIT, read_weights
from tenfold.training.classifier import ClassifierConfig, TrainedClassifier
from tenfold.training.device import current_device

CLASSIFIER = "classifier.safetensors"
CANDIDATE = "candidate.safetensors"
"""Beside it, where an arm may be better that was not shown to be."""


def save_classifier(path: Path, classifier: TrainedClassifier, extra: dict[str, Any]) -> None:
    """Write `path` (.safetensors) and the JSON beside it, which says how to use it and what it reached (`extra`)."""
    weights = {name: value.contiguous() for name, value in classifier.network.state_dict().items()}
    write_bytes(path, safetensors.torch.save(weights))
    write_json(
        path.with_suffix(".json"),
        {
            **network_description(classifier.network),
            "class_names": list(classifier.class_names),
            "image_shape": list(classifier.image_shape),
            "feature_names": list(classifier.feature_names),
            "value_ranges": dict(classifier.value_ranges),
            "temperature": classifier.temperature,
            "mirrored": classifier.mirrored,
            "config": asdict(classifier.config),
            **extra,
        },
    )


def load_classifier(path: Path) -> TrainedClassifier:
    """Read what `save_classifier` wrote; `path` may also be the run's directory.

    Raises:
        InputError: there is no classifier, it is no safetensors file, or its JSON is missing or does not fit.
    """
    if path.is_dir():
        path = path / CLASSIFIER
    if not path.exists():
        raise InputError(f"{path}: no such classifier; `tenfold run DATA` makes one")
    if path.suffix != ".safetensors" or not path.is_file():
        raise InputError(f"{path} is not a .safetensors file; other weights may run code when read and are refused")
    description = path.with_suffix(".json")
    try:
        metadata = read_json(description)
        channels, height, width = map(index, metadata["image_shape"])
        config = ClassifierConfig(**metadata["config"])
        image_shape = (channels, height, width)
        if channels < 1 or not all(1 <= side <= MOST_PIXELS for side in (height, width)):
            raise ValueError(f"there are no images of {image_shape}")
        if not all(isinstance(name, str) for name in metadata["class_names"]):
            raise ValueError("the names of the classes are no text")
        feature_names = tuple(metadata.get("feature_names", ()))  # files made before there were vectors lack it
        ranges = ranges_from_json(metadata)
        temperature = float(metadata.get("temperature", 1.0))  # files made before there was calibration lack it
        if not 0 < temperature < math.inf:
            raise ValueError(f"{temperature} is no temperature")
        weights = read_weights(path)
        # Files made before there were other networks tell their width in the configuration alone.
        network = network_of(
            {"width": config.width, **metadata}, image_shape, len(metadata["class_names"]), weights
        ).eval()
        if height != width or (height == 1) != isinstance(network, VectorNet):
            raise ValueError(f"its network reads no images of {image_shape}")
    except FileNotFoundError as error:
        raise InputError(f"{description} is missing: a classifier is this file and {path.name} together") from error
    except UNFIT as error:
        why = f": {error}" if isinstance(error, InputError) else ""
        raise InputError(f"{path} and {description.name} do not hold a classifier of this version{why}") from error
    network.to(current_device().torch)
    return TrainedClassifier(
        network,
        config,
        tuple(metadata["class_names"]),
        image_shape,
        feature_names=feature_names,
        value_ranges=ranges,
        temperature=temperature,
        mirrored=bool(metadata.get("mirrored", False)),
    )
