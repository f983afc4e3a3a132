from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_results import done
from PIL import Image

import tenfold
from made_up_sets import easy_set
from tenfold.claims import fader
from tenfold.claims.engine import holds, make_claim
from tenfold.claims.fader import Claim, Scale
from tenfold.claims.tables import Results
from tenfold.claims.training import image_text, packed
from tenfold.core.types import ImageDataset


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps on made-up digits."""

    def made_up(name: str, per_class: int | None = None, images: int | None = None, seed: int = 0) -> ImageDataset:
        assert name == "mnist"
        each = per_class or (images or 0) // 10
        roles = [role for _ in range(10) for role in ["train"] * each + ["test"] * 3]
        return easy_set([each + 3] * 10, (1, 28, 28), roles=roles, noise=60, key=f"digits-{seed}")

    monkeypatch.setattr(fader, "QUICK", Scale(images=60, steps=3, few=(4,)))
    monkeypatch.setattr(fader, "load", made_up)


@pytest.mark.usefixtures("tiny")
def test_a_tiny_run_is_told_in_full(tmp_path: Path) -> None:
    result = tenfold.reproduce("fader", quick=True, seeds=2, out=tmp_path / "there", workers=1)
    kept = json.loads((tmp_path / "there" / "claim.json").read_text())
    assert kept["they_say"]["effect_points"] == 75.0
    assert kept["holds"] == result.holds
    gates = kept["tables"][0]
    assert gates["columns"] == ["the article's loss", "tenfold's"]
    swap = gates["rows"][0]["cells"][0]
    assert swap["estimate"] - 10 == pytest.approx(kept["we_measured"]["effect_points"], abs=2e-3)
    assert [image["file"] for image in kept["pictures"]] == [
        "styles-by-digits-the-article-s-loss.png",
        "styles-by-digits-tenfold-s.png",
    ]
    for image in kept["pictures"]:
        assert Image.open(tmp_path / "there" / image["file"]).width > 1000
    assert "restyle would give an arm nothing" in kept["notes"][1]


def test_all_is_trained_with_steps_of_its_own() -> None:
    jobs = make_claim("fader").jobs(range(3), quick=False)
    assert len(jobs) == 3 * 2 + 3 * 2 * 3
    assert all(one.config["steps"] is None for one in jobs)


def finished(article: list[float], ours: list[float]) -> Results:
    actual = []
    png = io.BytesIO()
    Image.new("L", (4, 4)).save(png, "PNG")
    for preset, reached in (("article", article), ("fast", ours)):
        for seed, swap in enumerate(reached):
            gates = {"swap_accuracy": swap, "judge_accuracy": 0.98, "probe_accuracy": 0.4, "style_correlation": 0.8}
            gates |= {"reconstruction_error": 0.1, "trivial_error": 0.2, "swaps": 90}
            settings = {"part": "gates", "preset": preset, "seed": seed}
            result: dict[str, Any] = {"gates": gates, "images": 10, "grid": image_text(png.getvalue())}
            actual.append(done(settings, result))
    for arm, right in (("raw", 1), ("classical", 2), ("classical + restyle", 3)):
        for seed in range(len(article)):
            correct = packed(np.arange(10) < right + seed)
            result = {"correct": correct, "test_images": 10, "swap_accuracy": 0.9 if "restyle" in arm else None}
            actual.append(done({"part": "arms", "arm": arm, "few": 10, "seed": seed}, result))
    return Results(actual)


@pytest.mark.parametrize(
    ("article", "verdict"), [([0.11, 0.1, 0.12], "no"), ([0.95, 0.96, 0.94], "yes"), ([0.3, 0.31, 0.32], "smaller")]
)
def test_the_articles_loss_alone_decides(article: list[float], verdict: str) -> None:
    result = Claim().summary(finished(article, [0.97, 0.98, 0.99]))
    assert holds(result.effect, Claim().text.they_say.effect) == verdict
    (ours,) = result.other_intervals.values()
    assert ours.estimate == pytest.approx(0.88)
    assert result.values["read as the new digit"] == pytest.approx(np.mean(article))
    gain = result.tables[2].rows["10 images a class"][1]
    assert gain is not None
    assert gain.estimate == pytest.approx(0.1)
    assert result.words["swaps"] == "90.0 % at 10 a class"
