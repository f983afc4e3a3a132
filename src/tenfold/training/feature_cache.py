"""Features of a frozen network, kept on disk: the same image is read once, whatever study it is in.

The file lies in the user's cache directory, or in the one that TENFOLD_CACHE names; it is safe to delete at any time.
An entry's name is a hash of the image's bytes, the weights and what the network does with an image.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pooch
import torch
from torch import Tensor

from tenfold.augment.tensors import to_float
from tenfold.core.rows import ImageRows
from tenfold.networks.backbone_classifier import BackboneNet
from tenfold.networks.blocks import device_of
from tenfold.networks.convnet import Backbone
from tenfold.networks.pretrained import FEATURE_COUNT, LiteNet, as_trained, imagenet_network
from tenfold.training.batches import as_tensor
from tenfold.training.device import current_device, keep_large_blocks, one_thread

Images = npt.NDArray[np.uint8] | ImageRows
Features = npt.NDArray[np.float32]

MOST_BYTES = 2**30
"""Of features; the oldest give way."""
FILE = "features.sqlite"
BATCH = 64
"""Images that the network from ImageNet reads together; only diagnostics ask it directly."""
KEPT_AT_ONCE = 256
"""Images after which what was read of them is kept: a kill undoes no more, and no more lie in memory."""
CHUNK = 32
"""Images are always read so many at a time, so that no feature depends on what is read beside it."""


def frozen_features(network: BackboneNet, images: Images) -> Tensor:
    """uint8 N x C x H x W -> N x F, as the network's head reads them."""
    scaled: Tensor = network.scale(torch.from_numpy(unscaled_features(network, images)).to(device_of(network)))
    return scaled


def unscaled_features(network: BackboneNet, images: Images) -> Features:
    """uint8 N x C x H x W -> N x F, as the backbone gives them, from the cache where they are there."""
    backbone, kind = network.trunk, device_of(network).type
    # Devices of another kind round otherwise.
    name = network.began_with if kind == "cpu" else f"{network.began_with} {kind}"
    return cached(images, name, lambda missing: backbone_features(backbone, missing), backbone.feature_count)


@one_thread()
@torch.inference_mode()
def backbone_features(backbone: Backbone, images: Images) -> Features:
    """uint8 N x C x H x W -> N x F."""
    keep_large_blocks()
    backbone.eval()
    rows = np.empty((len(images), backbone.feature_count), np.float32)
    for start in range(0, len(images), CHUNK):
        part = as_tensor(images, slice(start, start + CHUNK)).to(device_of(backbone))
        count = len(part)
        if count < CHUNK:
            part = torch.cat([part, part[:1].expand(CHUNK - count, -1, -1, -1)])
        batch = to_float(part).contiguous(memory_format=torch.channels_last)
        rows[start : start + count] = backbone(batch)[:count].cpu().numpy()
    return rows


@one_thread()
@torch.inference_mode()
def imagenet_features(images: Images) -> Features:
    """uint8 N x C x H x W, grey or colour, of any size -> N x 1280, the last feature map averaged over places.

    Source: EfficientNet-Lite0 (Tan and Le 2019, without squeeze and excitation), trained on ImageNet.

    Raises:
        InputError: the extra `weights` is not installed, or its weights file is another one.
    """
    device = current_device().torch
    network, rows = _imagenet(device), np.empty((len(images), FEATURE_COUNT), np.float32)
    for start in range(0, len(images), BATCH):
        part = as_trained(to_float(as_tensor(images, slice(start, start + BATCH)).to(device)))
        rows[start : start + BATCH] = network(part).mean(dim=(2, 3)).cpu().numpy()
    return rows


def cached(images: Images, network: str, read: Callable[[Images], Features], feature_count: int) -> Features:
    """What `read` gives for these images, N x F, read anew only where it is not known.

    A cache that cannot be written or read is done without.

    Args:
        images: uint8 N x C x H x W.
        network: a hash of the weights and of how the network is used.
        read: uint8 M x C x H x W -> M x F; each row depends on its own image alone.
    """
    names = [_name(images[row], network) for row in range(len(images))]
    rows = np.empty((len(images), feature_count), np.float32)
    missing = np.arange(len(images))
    try:
        with _opened() as database:
            known = _known(database, names)
            fits = [len(known.get(name, b"")) == rows[:1].nbytes for name in names]
            for place in np.flatnonzero(fits):
                rows[place] = np.frombuffer(known[names[place]], np.float32)
            missing = np.flatnonzero(~np.array(fits, bool))
            while len(missing):
                now, missing = np.split(missing, [KEPT_AT_ONCE])
                rows[now] = read(images[now])
                _keep(database, {names[place]: rows[place].tobytes() for place in now})
    except (sqlite3.Error, OSError):
        for start in range(0, len(missing), KEPT_AT_ONCE):
            now = missing[start : start + KEPT_AT_ONCE]
            rows[now] = read(images[now])
    return rows


@cache
def _imagenet(device: torch.device) -> LiteNet:
    return imagenet_network().to(device)


def cache_file() -> Path:
    """Where features are kept."""
    return Path(os.environ.get("TENFOLD_CACHE") or pooch.os_cache("tenfold")) / FILE


def _name(image: Images, network: str) -> bytes:
    prefix = f"{network} {image.shape}".encode()
    return hashlib.sha256(prefix + np.ascontiguousarray(image).tobytes()).digest()[:16]


@contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    path = cache_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(path, timeout=30)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS features (name BLOB PRIMARY KEY, row BLOB NOT NULL)")
            yield database
    except sqlite3.OperationalError:
        raise  # locked, full, or not to be written
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)  # no database, or a damaged one: the next call begins anew
        raise


def _known(database: sqlite3.Connection, names: list[bytes]) -> dict[bytes, bytes]:
    rows: dict[bytes, bytes] = {}
    for start in range(0, len(names), 500):
        part = names[start : start + 500]
        query = f"SELECT name, row FROM features WHERE name IN ({','.join('?' * len(part))})"
        rows |= dict(database.execute(query, part))
    return rows


def _keep(database: sqlite3.Connection, rows: dict[bytes, bytes]) -> None:
    with database:
        database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows.items())
        (held,) = database.execute("SELECT coalesce(sum(length(row)), 0) FROM features").fetchone()
        if held > MOST_BYTES:
            database.execute(
                "DELETE FROM features WHERE rowid IN (SELECT rowid FROM features ORDER BY rowid LIMIT "
                "(SELECT 1 + count(*) / 4 FROM features))"
            )
