"""Small images and folders that many tests stand on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from made_up_images import noise_image

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests run in a process a core

settings.register_profile("any machine", deadline=None)  # a busy one would fail what only takes long
settings.load_profile("any machine")


@pytest.fixture
def class_folders(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder of class folders, each with as many 8 x 8 grey PNGs as asked."""

    def write(counts: Mapping[str, int], root: Path | None = None) -> Path:
        root = root or tmp_path / "set"
        for name, count in counts.items():
            folder = root / name
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                Image.fromarray(noise_image((str(folder), index))).save(folder / f"{index:03d}.png")
        return root

    return write


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """The directory of real sets; tests that need it are skipped where there is none."""
    named = os.environ.get("TENFOLD_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("TENFOLD_DATA names no directory of real sets")
    return Path(named)


@pytest.fixture(autouse=True)
def global_generators_are_left_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every draw is named by a key: nothing that a test does may move the generators that all programs share.

    Not Python's own, from which packages draw while they are imported; torch's as soon as something imported torch.
    The examples are loops of other people's kind, which draw from what all share.
    """
    if request.path.name == "test_examples.py":
        yield
        return
    torch = sys.modules.get("torch")
    before = global_generators(torch)
    yield
    assert global_generators(torch) == before


def global_generators(torch: ModuleType | None) -> tuple[object, ...]:
    _, numbers, *place = np.random.get_state()  # noqa: NPY002  # this is the one that all share
    return numbers.tobytes(), place, torch and torch.get_rng_state().numpy().tobytes()


@pytest.fixture
def checkpoint_at_every_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of one every twenty seconds."""
    monkeypatch.setattr("tenfold.training.loop.SECONDS_BETWEEN_CHECKPOINTS", -1.0)


@pytest.fixture(autouse=True)
def without_backbones(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies in tests do without ImageNet features, which take longer than all else; tests/networks sees those."""
    if request.path.name not in ("test_pretrained.py", "test_feature_cache.py", "test_diagnostics.py"):
        monkeypatch.setattr("tenfold.networks.pretrained.available", lambda *_: False)
