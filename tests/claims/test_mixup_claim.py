from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tenfold
from made_up_sets import easy_set
from tenfold.claims import mixup
from tenfold.core.types import ImageDataset
from tenfold.training.device import current_device

TINY = mixup.Scale(epochs=1, images_a_class=20, few=(20,), steps=3)


def test_mixup_is_the_articles_experiment() -> None:
    assert (mixup.FULL.epochs, mixup.FULL.images_a_class, mixup.FULL.few) == (10, None, (100, 500, 1000))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short trainings on made-up digits."""

    def made_up(name: str, per_class: int, seed: int = 0) -> ImageDataset:
        assert name == "mnist"
        roles = [role for _ in range(10) for role in ["train"] * min(per_class, 20) + ["test"] * 5]
        return easy_set([len(roles) // 10] * 10, (1, 28, 28), roles=roles, noise=60, key=f"digits-{seed}")

    monkeypatch.setattr(mixup, "QUICK", TINY)
    monkeypatch.setattr(mixup, "load", made_up)
    mixup._mnist.cache_clear()
    yield
    mixup._mnist.cache_clear()


@pytest.mark.usefixtures("tiny")
def test_a_tiny_mixup_is_told_in_full_and_the_same_again(tmp_path: Path) -> None:
    first = tenfold.reproduce("mixup", quick=True, seeds=2, out=tmp_path / "a", workers=1)
    again = tenfold.reproduce("mixup", quick=True, seeds=2, out=tmp_path / "b", workers=1)
    for key in ("tables", "intervals", "interval", "holds", "we_measured"):
        assert first.document[key] == again.document[key], "the same seeds give the same figures"

    kept = json.loads((tmp_path / "a" / "claim.json").read_text())
    assert kept | {"directory": str(tmp_path / "a")} == first.to_json()
    assert kept["holds"] in ("yes", "smaller", "no", "not_shown")
    assert kept["quick"] is True
    assert kept["they_say"]["effect_points"] == 1.49
    assert kept["samples"] == {"training_images": 200, "test_images": 50, "pairs": 2, "steps_a_training": 4}
    assert set(kept["hardware"]) == {"processor", "cores", "torch", "device"}
    assert kept["hardware"]["device"] == current_device().description
    cells = [row["cells"][1] for row in kept["tables"][0]["rows"]]
    gain = np.subtract(cells[0]["each"], cells[1]["each"])
    assert gain.mean() == pytest.approx(kept["we_measured"]["effect_points"], abs=2e-3)

    page = (tmp_path / "a" / "report.html").read_text("utf-8")
    assert "quick trial" in page
    assert not re.search(r"<(script|link|img|iframe)|https?://|url\(", page), "loads nothing"
    for word in ("91.50", "90.01", kept["rule"][:40], "classical + mixup − classical"):
        assert word in page
        assert word in first.text
    assert "A quick trial, whose figures are not the claim's." in kept["sentence"]
