"""What a trained network makes of images: class probabilities, and the features beneath them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tenfold.augment.tensors import to_float
from tenfold.core.rows import ImageRows
from tenfold.core.types import ImageDataset
from tenfold.networks.backbone_classifier import BackboneNet, Network
from tenfold.networks.blocks import device_of
from tenfold.training.batches import as_tensor
from tenfold.training.device import keep_large_blocks
from tenfold.training.feature_cache import frozen_features
from tenfold.training.validation import validation_loss, validation_score

Images = npt.NDArray[Any] | ImageRows
Rows = npt.NDArray[np.float32]


@torch.inference_mode()
def network_probabilities(network: Network, images: Images, *, mirrored: bool = False) -> Rows:
    """uint8 N x C x H x W, or vectors float32 N x F x 1 x 1 -> N x K, not calibrated.

    Args:
        mirrored: the mean over each image and its mirror image.
    """
    if mirrored:
        return _with_mirror_images(network, images, network_probabilities(network, images))
    if isinstance(network, BackboneNet) and network.frozen:
        network.eval()
        return torch.softmax(network.head(frozen_features(network, images)), dim=1).cpu().numpy()
    return _batch_by_batch(network, images, lambda batch: torch.softmax(network(batch), 1), network.head.out_features)


@torch.inference_mode()
def network_features(network: Network, images: Images) -> Rows:
    """The same -> N x F, what the network's last layer reads: images that look alike to it lie near."""
    if isinstance(network, BackboneNet) and network.frozen:
        network.eval()
        return frozen_features(network, images).cpu().numpy()
    return _batch_by_batch(network, images, network.features, network.head.in_features)


def validated(network: Network, validation: ImageDataset | None) -> tuple[float, float, bool]:
    """Balanced accuracy and loss on the validation images, and whether mirror images beside them lower the loss.

    Every arm is given this choice, so that what mirror images are worth at test time is no arm's merit.
    """
    if validation is None:
        return 0.0, 0.0, False
    rows = network_probabilities(network, validation.rows)
    loss, mirrored = validation_loss(rows, validation.labels), False
    if not validation.is_vectors:
        both = _with_mirror_images(network, validation.rows, rows)
        if (less := validation_loss(both, validation.labels)) < loss:
            rows, loss, mirrored = both, less, True
    return validation_score(rows, validation.labels), loss, mirrored


def _with_mirror_images(network: Network, images: Images, rows: Rows) -> Rows:
    """The mean of what the network says of the images, `rows`, and of their mirror images."""
    mirrored = (images if isinstance(images, ImageRows) else ImageRows((images,))).mirrored()
    both = rows + network_probabilities(network, mirrored)
    return (both / 2).astype(np.float32)


def _batch_by_batch(network: Network, images: Images, read: Callable[[Tensor], Tensor], width: int) -> Rows:
    network.eval()
    # As many as keep the maps of a layer small; a backbone's are larger. The bits are the same for any number.
    pixels = images.shape[2] * images.shape[3]
    chunk = min(256, max(16, 2**18 // pixels))
    if isinstance(network, BackboneNet):
        keep_large_blocks()
        chunk = 64
    device, rows = device_of(network), []
    for start in range(0, len(images), chunk):
        part = to_float(as_tensor(images, slice(start, start + chunk)).to(device))
        rows.append(read(part.contiguous(memory_format=torch.channels_last)))
    return torch.cat(rows).cpu().numpy() if rows else np.zeros((0, width), np.float32)
