from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_folders import write_folders

from made_up_sets import QUICK_CGAN, easy_set
from tenfold.core.errors import InputError, Interrupted, TenfoldError
from tenfold.core.files import read_json
from tenfold.methods import MethodFailed, method_class
from tenfold.report.text import verdict_text
from tenfold.runs import trial as module
from tenfold.runs.study import Study
from tenfold.verbs.prove import prove

pytestmark = pytest.mark.usefixtures("short_trainings")

VERDICT_KEYS = {
    "verdict", "pick", "baseline", "estimate_points", "interval_points", "smallest_detectable_points", "arms"
}  # fmt: skip
ARM_KEYS = {
    "balanced_accuracy", "interval", "against_baseline_points", "interval_points", "verdict", "seconds"
}  # fmt: skip
ODD = "<script>alert(1)<∕script>"
OUTCOMES = {"helped", "hurt", "no_practical_difference", "not_proven"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "cells", [5, 4, 1], b=ODD)


@pytest.fixture
def proved(folder: Path, tmp_path: Path) -> Callable[..., Study]:
    """A small study in `tmp_path / "out"`, with other options where they are named."""

    def call(**options: Any) -> Study:
        small = {"arms": "raw", "repeats": 1, "learning_curve": False, "out": tmp_path / "out", "workers": 1}
        return prove(options.pop("data", folder), **{**small, **options})

    return call


def test_a_study_leaves_everything_that_was_promised(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "a" / "empty.png").write_bytes(b"")
    study = prove(folder, arms=f"raw,placebo,classical+{QUICK_CGAN}", repeats=2, out=out, workers=1)

    verdict = read_json(out / "verdict.json")
    assert set(verdict) >= VERDICT_KEYS
    assert verdict["verdict"] in OUTCOMES
    assert (verdict["baseline"], verdict["repeats"], verdict["folds"], verdict["images"]) == ("classical", 2, 4, 9)
    assert list(verdict["arms"]) == sorted(["classical", "raw", "placebo", f"classical+{QUICK_CGAN}"])
    for name, arm in verdict["arms"].items():
        assert set(arm) >= ARM_KEYS
        assert (arm["against_baseline_points"] is None) == (name == "classical")
        assert arm["recall"][2] is None, "a class with one image cannot be evaluated"
    assert verdict == json.loads(json.dumps(study.verdict_json()))
    asked = verdict["predictions"]
    assert (asked["images"], sum(map(sum, asked["confusion"]))) == (9, 9)
    assert study.to_json() == study.verdict_json() | {"directory": str(out)}
    again = Study.from_json(study.to_json())
    assert (again.sentence, again.to_json()) == (study.sentence, study.to_json())

    assert len(list(out.glob("jobs/*/result.json"))) == (4 + 2) * 2 * 4, "two of them for the learning curve"
    check = read_json(out / "check.json")
    assert check["set_aside"] == [{"source": "a/empty.png", "reason": "empty file (0 bytes)"}]
    config = read_json(out / "config.json")
    assert config["command"] == "prove"
    assert config["options"] == {
        "data": str(folder), "arms": f"classical,raw,placebo,classical+{QUICK_CGAN}", "baseline": None,
        "budget": None, "repeats": 2, "steps": None,
        "seed": 0, "size": None, "per_class": None, "images": None, "times": 2.0, "test": None,
        "judge_rare": False, "learning_curve": True, "device": "auto", "on": "processes", "class_folders": "auto",
        "file_column": None, "label_column": None, "group_column": None,
    }  # fmt: skip

    page = (out / "report.html").read_text("utf-8")
    assert len(page) < 10_000_000
    assert "<script" not in page.lower()
    assert "&lt;script&gt;alert(1)" in page
    assert "a/empty.png" in page
    command = re.search(r"tenfold prove [^<]*", page)
    assert command is not None
    assert "--repeats 2" in command[0]
    assert not list(out.rglob(".*.json*")), "no temporary file is left"


def test_rare_classes_are_tested_and_do_not_count_and_who_always_trains_is_not_missed(tmp_path: Path) -> None:
    # Patient 0 has the only image of the last class and one of the first, so that both always train.
    data = easy_set([13, 12, 4, 1], groups=[0, *range(1, 29), 0])
    verdict = prove(data, arms="raw", repeats=1, learning_curve=False, out=tmp_path / "out", workers=1).to_json()
    assert (verdict["images"], verdict["groups"], verdict["folds"]) == (12 + 12, 12 + 12, 5)
    raw = verdict["arms"]["raw"]
    assert raw["balanced_accuracy"] == pytest.approx(sum(raw["recall"][:2]) / 2, abs=1e-3)
    low, high = raw["recall_intervals"][2]
    assert high - low > 0.4, "four images"
    assert raw["recall"][3] is None
    for part in (
        "'class 2' (4); trained on and tested",
        "1 image(s) of other classes are never",
        "'class 3' cannot be",
    ):
        assert sum(part in warning for warning in verdict["warnings"]) == 1


def test_a_finished_study_is_not_done_again_also_where_its_device_is_named_now(
    proved: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = proved()
    before = (tmp_path / "out/verdict.json").read_bytes()
    monkeypatch.setattr(module, "run_trial", lambda *_: pytest.fail("trained again"))
    for options in ({}, {"device": "cpu"}):
        again = proved(**options)
        assert again.trials == first.trials
        assert again.seconds_before == pytest.approx(sum(trial.wall_seconds for trial in first.trials))
    assert first.seconds_before == 0
    assert (tmp_path / "out/verdict.json").read_bytes() == before


def test_the_same_question_gets_the_same_answer_in_a_directory_with_the_name_of_the_data(
    proved: Callable[..., Study], tmp_path: Path
) -> None:
    one, other = proved(arms="mixup"), proved(arms="mixup", out=None)
    assert [trial.test_probabilities for trial in one.trials] == [trial.test_probabilities for trial in other.trials]
    assert other.directory.parent == Path("runs")
    assert other.directory.name.startswith("cells-")


def test_other_images_or_options_in_the_same_directory_are_refused(
    proved: Callable[..., Study], folder: Path, tmp_path: Path
) -> None:
    proved()
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")}
    with pytest.raises(InputError, match=r"other options \(arms\)"):
        proved(arms="mixup")
    (folder / "a" / "000.png").unlink()
    with pytest.raises(InputError, match=r"the images of .* are not those"):
        proved()
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")} == before


def test_a_budget_in_which_nothing_is_finished_ends_in_what_is_known(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = prove(folder, arms="raw", repeats=4, budget=0.001, out=out, workers=1)
    assert study.sentence.startswith("No training of classical was finished")
    assert "ended before classical was through a single fold" in study.verdict.warnings[0]
    assert "The rest, folds of 4 arms and 3 repeats, would take" in study.verdict.warnings[1]
    document = read_json(out / "verdict.json")
    assert (document["verdict"], document["repeats"], document["estimate_points"]) == ("not_proven", 0, None)
    assert "ended before classical" in (out / "report.html").read_text("utf-8")
    assert "arm" in verdict_text(document)
    study = prove(folder, arms="raw", repeats=4, budget=600, out=out, workers=1)
    assert study.verdict.repeats == 4
    assert not (out / "rest.json").exists()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trial takes 10 s by the clock that budgets are told by."""
    now, run_trial = [0.0], module.run_trial
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def trial(config: Any, context: Any) -> dict[str, Any]:
        now[0] += 10
        return run_trial(config, context) | {"wall_seconds": 10.0}

    monkeypatch.setattr(module, "run_trial", trial)


@pytest.mark.usefixtures("slow")
def test_a_budget_that_ends_in_the_first_repeat_gives_a_first_look(folder: Path, tmp_path: Path) -> None:
    arms, out = "raw,mixup", tmp_path / "out"
    study = prove(folder, arms=arms, repeats=4, budget=74, learning_curve=False, out=out, workers=1)
    verdict = study.verdict
    assert (verdict.repeats, verdict.folds, verdict.finished_folds) == (1, 4, (0, 1))
    assert [arm.name for arm in verdict.arms] == ["classical", "raw", "mixup"]
    assert {arm.outcome for arm in verdict.arms[1:]} <= {"not_proven", "promising"}
    told, rest = verdict.warnings[:2]
    assert told.endswith("rests on the images of folds 1 and 2 of 4.")
    assert rest.startswith("The rest, folds of 3 arms and 3 repeats, would take about ")
    assert rest.endswith("; the same command without --budget goes on from here.")
    document = read_json(out / "verdict.json")
    assert document["finished_folds"] == [1, 2]
    assert "a first look at 4 images, folds 1 and 2 of 4" in document["sentence"]
    assert "folds 1 and 2 of 4" in (out / "report.html").read_text("utf-8")
    assert read_json(out / "rest.json")["trials"] == 3 * 4 * 4 - 7


@pytest.mark.usefixtures("slow")
def test_arms_without_a_fold_are_named(folder: Path, tmp_path: Path) -> None:
    study = prove(folder, arms="raw,mixup", repeats=4, budget=22, out=tmp_path / "out", workers=1)
    missing = "Not compared, because there was no time for a fold of them: mixup."
    assert study.verdict.warnings[1] == missing
    assert missing in (tmp_path / "out/report.html").read_text("utf-8")


@pytest.mark.usefixtures("slow")
def test_the_baseline_alone_is_told_where_there_was_no_time_for_more(folder: Path, tmp_path: Path) -> None:
    study = prove(folder, arms="raw", repeats=4, budget=12, out=tmp_path / "out", workers=1)
    assert "no arm but classical, whose balanced accuracy is" in study.sentence
    document = read_json(tmp_path / "out/verdict.json")
    assert (document["estimate_points"], document["finished_folds"]) == (None, [1])
    assert "nan" not in (tmp_path / "out/report.html").read_text("utf-8").split("<style")[0]
    assert "nan" not in verdict_text(document)


@pytest.mark.usefixtures("slow")
def test_the_same_command_without_its_budget_goes_on(folder: Path) -> None:
    first = prove(folder, arms="raw", repeats=1, budget=33, workers=1)
    assert len(first.trials) == 3
    again = prove(folder, arms="raw", repeats=1, budget=33, workers=1)
    assert again.directory != first.directory, "the same question anew"
    whole = prove(folder, arms="raw", repeats=1, workers=1)
    assert whole.directory in (first.directory, again.directory)
    assert whole.seconds_before == 30.0
    assert not (whole.directory / "rest.json").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_default_arm_that_is_not_installed_is_named(
    there: bool, proved: Callable[..., Study], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tenfold.networks.pretrained.available", lambda: there)
    monkeypatch.setattr("tenfold.runs.preparation.default_arms", lambda *_: ("raw", "classical"))
    study = proved(arms=None)
    page = (study.directory / "report.html").read_text("utf-8")
    for place in (study.verdict.warnings[0], capsys.readouterr().err, page):
        assert ("The arm probe is not compared" in place) is not there


def test_a_second_set_is_a_sealed_test(proved: Callable[..., Study], tmp_path: Path) -> None:
    sealed = write_folders(tmp_path / "sealed", [6, 6], key="sealed", b=ODD)
    study = proved(arms="mixup", test=sealed)
    assert read_json(tmp_path / "out/verdict.json")["external"]["images"] == 12
    assert study.verdict.external is not None
    assert read_json(tmp_path / "out/config.json")["options"]["test"] == str(sealed)
    assert f"--test {sealed}" in (tmp_path / "out/report.html").read_text("utf-8")


def test_a_learning_curve_is_there_unless_it_is_not_wanted(proved: Callable[..., Study], tmp_path: Path) -> None:
    study = proved(learning_curve=True, out=tmp_path / "with")
    assert [point.arm for point in study.verdict.curve] == ["classical@50%", "classical@70%", "classical"]
    assert proved().verdict.curve == ()
    assert "--no-learning-curve" in (tmp_path / "out/report.html").read_text("utf-8")


def test_a_loaded_set_will_do_and_its_sealed_images_are_told(proved: Callable[..., Study]) -> None:
    data = easy_set([8, 8], noise=50, roles=(["train"] * 5 + ["reserve"] * 2 + ["test"]) * 2)
    study = proved(data=data, arms="oracle")
    assert study.verdict.images == 10
    assert all(arm.external_accuracy is not None for arm in study.verdict.arms)


def test_an_arm_that_fails_is_told_and_without_a_baseline_nothing_is(
    proved: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise MethodFailed("it collapsed")

    monkeypatch.setattr(method_class("mixup"), "fit", fail)
    proved(arms="raw,mixup")
    arms = read_json(tmp_path / "out/verdict.json")["arms"]
    assert (arms["mixup"]["verdict"], arms["mixup"]["failed_trials"]) == ("failed", 4)
    assert arms["mixup"]["failure"] == "it collapsed"
    assert arms["raw"]["verdict"] in OUTCOMES
    assert "mixup, repeat 1, fold 1: it collapsed" in capsys.readouterr().err
    assert "it collapsed" in (tmp_path / "out/report.html").read_text("utf-8")
    monkeypatch.setattr(method_class("classical"), "fit", fail)
    with pytest.raises(TenfoldError, match="baseline 'classical' failed"):
        proved(out=tmp_path / "none")


def test_an_interrupt_keeps_what_is_finished_and_says_how_to_go_on(
    proved: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_trial, calls = module.run_trial, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run_trial(*arguments)

    monkeypatch.setattr(module, "run_trial", interrupted)
    with pytest.raises(Interrupted, match=re.escape(f"--out {tmp_path / 'out'}")):
        proved()
    assert len(list((tmp_path / "out").glob("jobs/*/result.json"))) == 2
    proved()
    assert len(calls) == 3 + 8 - 2


@pytest.mark.parametrize("counts", [[6], [6, 1], [1, 1, 1]])
def test_what_cannot_be_judged_is_refused_before_anything_is_written(tmp_path: Path, counts: list[int]) -> None:
    with pytest.raises(InputError, match=r"single class|no verdict is possible"):
        prove(write_folders(tmp_path / "few", counts), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
