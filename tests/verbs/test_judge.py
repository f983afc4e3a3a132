"""How long a study's classifiers are trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from made_up_sets import SHORT, easy_set
from tenfold.core.files import read_json
from tenfold.core.study_options import StudyOptions
from tenfold.runs import judge
from tenfold.runs.judge import Tried, most_steps, preferred
from tenfold.runs.plan import classifier_for
from tenfold.runs.preparation import prepare
from tenfold.verbs.prove import prove, prove_forecast

pytestmark = pytest.mark.usefixtures("short_trainings")
STEPS = SHORT.steps


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten images are enough to measure by, and up to four times the usual steps are tried."""
    monkeypatch.setattr(judge, "MEASURED", 10)
    monkeypatch.setattr(judge, "MOST_STEPS", 4 * STEPS)


def studied(out: Path, channels: int = 1, **options: Any) -> Any:
    asked = {"arms": "raw,classical", "repeats": 1, "learning_curve": False, "workers": 1, "out": out}
    return prove(easy_set([6, 6], (channels, 8, 8)), **(asked | options))


def losing(monkeypatch: pytest.MonkeyPatch, *losses: float) -> list[float]:
    """The loss of two folds after each number of steps, from few to many; what is left was not asked for."""
    left = [loss for loss in losses for _ in range(2)]
    monkeypatch.setattr(judge, "validation_loss", lambda probabilities, labels: left.pop(0))
    return left


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ((1.0,), 1.0),
        ((1.0, 0.985), 1.0),
        ((1.0, 0.98), 0.98),
        ((1.0, 0.9, 0.8, 0.79), 0.8),
        ((1.0, 0.99, 0.98), 0.98),
    ],
)
def test_what_takes_longer_is_preferred_where_the_loss_falls_by_two_percent(
    losses: tuple[float, ...], best: float
) -> None:
    found = preferred([Tried(400, loss) for loss in losses])
    assert found is not None
    assert found.loss == best


@pytest.mark.usefixtures("measured")
def test_what_pays_is_frozen_in_the_plan_and_the_same_for_all_arms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = losing(monkeypatch, 1.0, 0.9, 0.89)
    study = studied(tmp_path / "out")
    assert not left
    assert study.plan.classifier.steps == 2 * STEPS
    assert {trial.details["steps"] for trial in study.trials} == {2 * STEPS}
    assert {trial.repeat for trial in study.trials} == {0}, "the trainings that chose do not count"
    assert any(f"is trained for {2 * STEPS} steps" in warning for warning in study.verdict.warnings)
    kept = read_json(tmp_path / "out" / "config.json")
    assert (kept["plan"]["classifier"]["steps"], kept["plan_hash"]) == (2 * STEPS, study.plan.hash)


@pytest.mark.usefixtures("measured")
def test_a_study_that_is_taken_up_measures_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losing(monkeypatch, 1.0, 0.9, 0.89)
    first = studied(tmp_path / "out")
    jobs = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("jobs/*/result.json")}
    again = studied(tmp_path / "out", budget=600)
    assert again.trials == first.trials
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("jobs/*/result.json")} == jobs


@pytest.mark.usefixtures("measured")
def test_without_time_to_measure_the_usual_steps_are_taken_and_stay(tmp_path: Path) -> None:
    study = studied(tmp_path / "out", budget=0.001)
    assert study.plan.classifier.steps == STEPS
    assert any("not measured in the time" in warning for warning in study.verdict.warnings)
    assert studied(tmp_path / "out").plan.classifier.steps == STEPS


@pytest.mark.usefixtures("measured")
def test_steps_that_are_asked_for_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = losing(monkeypatch, 1.0)
    study = studied(tmp_path / "out", steps=3)
    assert len(left) == 2, "nothing is measured"
    assert {trial.details["steps"] for trial in study.trials} == {3}


def test_few_images_and_what_was_passed_often_enough_take_the_usual_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare(easy_set([6, 6], (1, 8, 8)), StudyOptions(arms="raw,classical"))
    plan, study = replace(prepared.plan, classifier=classifier_for(prepared.data)), prepared.data.part("train")
    assert most_steps(plan, study) == plan.classifier.steps
    monkeypatch.setattr(judge, "MEASURED", 10)
    assert most_steps(plan, study) < 2 * plan.classifier.steps


@pytest.mark.usefixtures("measured")
def test_a_forecast_counts_with_the_most_steps() -> None:
    data = easy_set([6, 6], (1, 8, 8))
    told = prove_forecast(data, arms="raw,classical", repeats=1, workers=1)
    assert told.to_json()["steps"] == [STEPS, 4 * STEPS]
    assert f"{STEPS} to {4 * STEPS} steps" in told.text
    fixed = prove_forecast(data, arms="raw,classical", repeats=1, workers=1, steps=STEPS)
    assert fixed.to_json()["steps"] == [STEPS, STEPS]
    assert "steps, as many as pay" not in fixed.text
    assert told.estimate.seconds > fixed.estimate.seconds
