from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from made_up_folders import write_folders

from made_up_sets import QUICK_CGAN, easy_set
from tenfold.core.errors import Interrupted
from tenfold.core.types import ImageDataset
from tenfold.data.splits import SealedFold
from tenfold.training.device import available_cores
from tenfold.verbs.final_classifier import ALL_IMAGES_OF_A_FOLD
from tenfold.verbs.prove import prove_forecast
from tenfold.verbs.run import run_forecast

pytestmark = pytest.mark.usefixtures("short_trainings")
ROLES = ["train"] * 6 + ["reserve"] * 3 + ["test"] * 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "my cells", [6, 5, 1])


def with_every_role() -> ImageDataset:
    return easy_set([11, 11], noise=60, roles=ROLES * 2)


def test_the_text_tells_all_arms_and_how_to_start(folder: Path) -> None:
    result = prove_forecast(folder, arms=f"raw,placebo,classical+{QUICK_CGAN}", repeats=2, workers=1)
    lines = result.text.splitlines()
    for arm in ("raw", "classical", "placebo", f"classical+{QUICK_CGAN}", "classical@50%", "classical@70%"):
        assert sum(line.startswith(f"{arm} ") for line in lines) == 1
    assert "12 images of 3 classes" in lines[0]
    assert lines[1] == "Too few images to be evaluated, so only trained on: c."
    assert "60 trials (6 arms x 5 folds x 2 repeats)" in result.text
    assert "0, 1 and 2 for each real one" in result.text
    assert "with 1 worker; estimated" in result.text
    words = shlex.split(lines[-1].removeprefix("Start it: "))
    assert words[:3] == ["tenfold", "prove", str(folder)]
    assert words[3:] == [
        "--arms", f"raw,placebo,classical+{QUICK_CGAN}", "--repeats", "2", "--workers", "1"
    ]  # fmt: skip


def test_the_defaults_fit_on_a_screen_and_need_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    cgan = "classical+cgan(label_filter=no,least_diversity=0,steps=10)"
    arms = ("raw", "classical", "placebo", "classical+mixup", cgan, "oracle")
    monkeypatch.setattr("tenfold.runs.preparation.default_arms", lambda *_: arms)
    result = prove_forecast(with_every_role())
    assert len(result.text.splitlines()) <= 25
    assert max(map(len, result.text.splitlines())) <= 120
    assert result.text.splitlines()[0] == (
        "made-up easy: 12 images of 2 classes; 6 more in reserve; 4 sealed for the external test."
    )
    assert result.text.endswith("Start it: tenfold prove 'made-up easy'")
    assert result.to_json()["workers"] == available_cores()
    assert "after 2 repeats (about" in result.text


def test_a_run_counts_its_final_classifier_too(folder: Path) -> None:
    asked = {"arms": "raw,classical", "repeats": 1, "learning_curve": False, "workers": 1}
    run, prove = run_forecast(folder, **asked), prove_forecast(folder, **asked)
    assert [arm.trials for arm in run.estimate.arms] == [arm.trials for arm in prove.estimate.arms]
    of_baseline = next(cost for parts, cost in run.cost_probe.costs.items() if parts[0].method == "classical")
    assert run.other_seconds > ALL_IMAGES_OF_A_FOLD * of_baseline.training
    assert shlex.split(run.command)[:3] == ["tenfold", "run", str(folder)]
    assert not (folder.parent / "runs").exists()


def test_a_run_counts_the_classifier_of_an_arm_that_may_be_better(folder: Path) -> None:
    asked = {"arms": "raw,classical,classical+mixup", "repeats": 1, "learning_curve": False, "workers": 1}
    run = run_forecast(folder, **asked)
    costs = {tuple(part.method for part in parts): cost for parts, cost in run.cost_probe.costs.items()}
    trainings = costs["classical",].training + costs["classical", "mixup"].training
    assert run.other_seconds > ALL_IMAGES_OF_A_FOLD * trainings


def test_the_document_is_plain_json_and_adds_up(folder: Path) -> None:
    result = prove_forecast(
        folder, arms=["raw", f"classical+{QUICK_CGAN}"], repeats=3, learning_curve=False, workers=2
    )
    document = result.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document["arms"]) == ["classical", "raw", f"classical+{QUICK_CGAN}"]
    for column in ("trials", "classifiers", "generators"):
        assert document[column] == sum(arm[column] for arm in document["arms"].values())
    assert (document["trials"], document["classifiers"], document["generators"]) == (45, 45 + 10, 15)
    assert document["not_evaluated"] == ["c"]
    low, middle, high = document["detectable_points"]
    assert 0 < low < middle < high <= 100
    assert list(document["seconds_to_looks"]) == ["2"]
    assert document["seconds_to_looks"]["2"] < document["seconds"]
    assert document["command"].endswith(
        f"--arms 'raw,classical+{QUICK_CGAN}' --repeats 3 --no-learning-curve --workers 2"
    )


def test_rare_classes_are_named_unless_they_are_to_count() -> None:
    options = {"arms": "raw", "repeats": 1, "learning_curve": False}
    forecast = prove_forecast(easy_set([10, 10, 3]), **options)
    assert (forecast.to_json()["rare"], forecast.to_json()["folds"]) == (["class 2"], 5)
    assert "so trained on and tested without weight: class 2." in forecast.text
    counted = prove_forecast(easy_set([10, 10, 3]), judge_rare=True, **options)
    assert (counted.to_json()["rare"], counted.to_json()["folds"]) == ([], 3)
    assert "--judge-rare" in counted.command


def test_a_tiny_set_is_told_that_it_can_only_show_large_effects(folder: Path) -> None:
    result = prove_forecast(folder, arms="raw", repeats=1, learning_curve=False)
    assert result.to_json()["only_large_effects"]
    assert "can only show large effects" in result.text
    assert re.search(r"It can end in: promising, nothing preferred or not proven\.", result.text)
    assert "there are 12" in result.text


def test_nothing_is_written_and_no_test_image_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SealedFold, "shown_to", lambda *_: pytest.fail("a test fold was read"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    prove_forecast(folder, arms=f"mixup,classical+{QUICK_CGAN}", repeats=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_interrupt_ends_it_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tenfold.runs.cost_probe.train_classifier", interrupted)
    with pytest.raises(Interrupted, match="nothing behind"):
        prove_forecast(folder, arms="raw")


def test_what_fits_into_a_budget_is_told(folder: Path) -> None:
    texts = {}
    for budget in (0.001, 3600.0):
        result = prove_forecast(folder, arms="raw", repeats=2, budget=budget, workers=1)
        texts[budget] = result.text
        assert result.to_json()["fits"]["seconds"] == budget
    assert "All of that fits into 1 h." in texts[3600.0]
    assert "Into 0 s fit, of the folds of the first repeat, none of 5 of classical, raw" in texts[0.001]
    assert prove_forecast(folder, arms="raw", repeats=2, workers=1).to_json()["fits"] is None
