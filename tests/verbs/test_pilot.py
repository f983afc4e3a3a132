"""Which start a study grows on, where that is left open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_sets import easy_set
from tenfold.core.files import read_json
from tenfold.core.study_options import StudyOptions
from tenfold.runs import pilot
from tenfold.runs.preparation import prepare
from tenfold.verbs.prove import prove

pytestmark = pytest.mark.usefixtures("short_trainings")
ARMS = "classical,classical+classifier(width=6),classical+mixup"
OTHER = "classical+classifier(width=6)"


def studied(out: Path, **options: Any) -> Any:
    asked = {"arms": ARMS, "baseline": "auto", "repeats": 1, "learning_curve": False, "workers": 1, "out": out}
    return prove(easy_set([5, 5], (1, 8, 8)), **(asked | options))


@pytest.mark.parametrize(("preferred", "grown"), [("classical", "classical+mixup"), (OTHER, f"{OTHER}+mixup")])
def test_growth_is_compared_with_the_start_that_the_pilot_prefers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preferred: str, grown: str
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(pilot, "preferred_start", lambda trials, design: seen.append(trials) or preferred)
    study = studied(tmp_path / "out")
    assert study.plan.baseline == study.verdict.baseline == preferred
    assert {trial.arm for trial in seen[0]} == {"classical", OTHER}, "the pilot trains starts alone"
    assert {trial.arm for trial in study.trials} == {"classical", OTHER, grown}
    assert study.verdict.start.name == OTHER
    assert study.verdict.start.reference == "classical"
    assert any(warning.startswith(f"Grown on {preferred}: the best of") for warning in study.verdict.warnings)
    of_study = {(trial.arm, trial.fold): trial.test_indices for trial in study.trials}
    assert any(of_study[trial.arm, trial.fold] != trial.test_indices for trial in seen[0]), "splits of its own"
    plans = read_json(tmp_path / "out" / "config.json")
    assert list(plans["plans_of_other_starts"]) == [OTHER], "every plan is frozen before the pilot"


def test_a_study_with_a_pilot_goes_on_without_training_again(tmp_path: Path) -> None:
    first = studied(tmp_path / "out")
    jobs = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("jobs/*/result.json")}
    again = studied(tmp_path / "out")
    assert again.verdict == first.verdict
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("jobs/*/result.json")} == jobs


def test_a_budget_too_short_for_a_pilot_takes_the_usual_start(tmp_path: Path) -> None:
    study = studied(tmp_path / "out", budget=0.001)
    assert study.plan.baseline == "classical"
    assert any("too short for a pilot" in warning for warning in study.verdict.warnings)


def test_without_another_start_there_is_nothing_to_choose(capsys: pytest.CaptureFixture[str]) -> None:
    prepared = prepare(easy_set([5, 5], (1, 8, 8)), StudyOptions(arms="classical,classical+mixup", baseline="auto"))
    assert prepared.rivals == ()
    assert "nothing to choose from" in capsys.readouterr().err


def test_the_pilot_has_seeds_that_no_study_has() -> None:
    prepared = prepare(easy_set([5, 5], (1, 8, 8)), StudyOptions(arms=ARMS, baseline="auto", seed=3))
    plan = pilot.pilot_plan({one.baseline: one for one in (prepared.plan, *prepared.rivals)})
    assert (plan.seed, plan.repeats, plan.looks) == (-4, 1, ())
    assert np.array_equal([arm.name for arm in plan.arms], ["classical", OTHER])
