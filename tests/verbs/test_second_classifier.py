"""While it is open whether an arm is better, its classifier is kept too; the sealed images never choose."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_folders import files

from made_up_sets import QUICK_CGAN, easy_set
from tenfold.core.files import read_json
from tenfold.core.study_options import StudyOptions
from tenfold.core.types import Trial
from tenfold.evaluation import ArmResult, Interval, Verdict
from tenfold.methods import MethodFailed, method_class
from tenfold.report.classifier_words import candidate_sentence
from tenfold.runs import study as conduct
from tenfold.runs.preparation import prepare
from tenfold.training.classifier_io import load_classifier
from tenfold.training.deadline import TimeIsUp
from tenfold.verbs import final_classifier as final
from tenfold.verbs.export import export
from tenfold.verbs.final_classifier import tail_of
from tenfold.verbs.predict import predict
from tenfold.verbs.prove import seconds_to_publish
from tenfold.verbs.run import RunResult, run

pytestmark = pytest.mark.usefixtures("short_trainings")
GENERATING = f"classical+{QUICK_CGAN}"
FILES = {"candidate.safetensors", "candidate.json"}


@pytest.fixture
def arms_are(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the study end as the test wants it: name -> (gain in points, outcome), and what the sealed images say."""

    def make_it(found: dict[str, tuple[float, str]], **changes: Any) -> None:
        compare = conduct.compare

        def told(arm: ArmResult) -> ArmResult:
            if arm.name not in found:
                return arm
            gain, outcome = found[arm.name]
            share = gain / 100
            difference = Interval(share, share - 0.05, share + 0.05, 0.025)
            return replace(arm, against_baseline=difference, outcome=outcome)

        def changed(*arguments: Any, **named: Any) -> Verdict:
            verdict = compare(*arguments, **named)
            return replace(verdict, arms=tuple(map(told, verdict.arms)), **{"outcome": "not_proven", **changes})

        monkeypatch.setattr(conduct, "compare", changed)

    return make_it


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., RunResult]:
    def call(**options: Any) -> RunResult:
        data = easy_set([9, 9], noise=40, roles=(["train"] * 6 + ["test"] * 3) * 2)
        small = {"repeats": 1, "learning_curve": False, "out": tmp_path / "out", "workers": 1}
        return run(data, **{**small, "arms": "raw,classical+mixup,classical+cutmix", **options})

    return call


def test_the_best_arm_that_was_not_shown_to_be_better_is_kept_too(
    ran: Callable[..., RunResult], tmp_path: Path, arms_are: Callable[..., None]
) -> None:
    arms_are({"raw": (9, "not_proven"), "classical+mixup": (1, "not_proven"), "classical+cutmix": (2, "not_proven")})
    result, out = ran(), tmp_path / "out"
    first, second = read_json(out / "classifier.json"), read_json(out / "candidate.json")
    assert (first["arm"], second["arm"]) == ("classical", "classical+cutmix"), "the bare images are never chosen"
    assert second["not_shown_better_than"] == "classical"
    assert second["trained_on_images"] == first["trained_on_images"] == 12
    sealed = easy_set([9, 9], noise=40, roles=(["train"] * 6 + ["test"] * 3) * 2).part("test")
    right = load_classifier(out / "candidate.safetensors").probabilities(sealed.images).argmax(1) == sealed.labels
    assert second["external_test"]["accuracy"] == round(float(np.mean(right)), 4)
    reached = read_json(out / "verdict.json")["arms"]["classical+cutmix"]
    assert second["cross_validated_balanced_accuracy"] == reached["balanced_accuracy"]

    document, told = read_json(out / "verdict.json"), result.to_json()
    assert (document["classifier"], document["candidate"]) == (told["classifier"], told["candidate"])
    assert told["candidate"]["arm"] == "classical+cutmix"
    sentence = candidate_sentence(told["candidate"], told["classifier"])
    assert sentence.startswith("Whether classical+cutmix is better than classical is open, so its classifier is kept")
    assert "of the 6 sealed images these two recognise" in sentence
    assert result.sentence.endswith(sentence)
    page = (out / "report.html").read_text("utf-8")
    assert "The classifier that may be better" in page
    assert "candidate.safetensors and candidate.json" in page


def test_it_is_used_by_its_path(ran: Callable[..., RunResult], tmp_path: Path, arms_are: Callable[..., None]) -> None:
    from PIL import Image

    arms_are({"classical+mixup": (1, "not_proven"), "classical+cutmix": (0.5, "promising")})
    ran()
    Image.fromarray(easy_set([1, 1]).images[0, 0]).save(tmp_path / "new.png")
    path = tmp_path / "out/candidate.safetensors"
    first, second = (predict(one, tmp_path / "new.png")[0].probabilities for one in (tmp_path / "out", path))
    assert first != second
    export(path, tmp_path / "exported")
    assert predict(tmp_path / "exported", tmp_path / "new.png")[0].probabilities == second
    card = (tmp_path / "exported/README.md").read_text("utf-8")
    assert "It may be better than that of `classical`, beside which it was kept: this was not shown." in card


@pytest.mark.parametrize(
    ("found", "changes"),
    [
        ({"classical+mixup": (-0.1, "not_proven"), "classical+cutmix": (-3, "hurt")}, {}),
        ({"classical+mixup": (0.2, "no_practical_difference"), "classical+cutmix": (-1, "not_proven")}, {}),
        (
            {"classical+mixup": (3, "helped"), "classical+cutmix": (4, "not_proven")},
            {"outcome": "helped", "chosen_arm": "classical+mixup", "pick_counts": {"classical+mixup": 5}},
        ),
    ],
    ids=["behind", "no difference", "shown"],
)
def test_where_nothing_is_open_one_classifier_is_kept(
    ran: Callable[..., RunResult],
    tmp_path: Path,
    arms_are: Callable[..., None],
    found: dict[str, tuple[float, str]],
    changes: dict[str, Any],
) -> None:
    arms_are(found, **changes)
    result = ran()
    assert result.candidate is None
    assert read_json(tmp_path / "out/verdict.json")["candidate"] is None
    assert not FILES & {path.name for path in (tmp_path / "out").iterdir()}
    assert "may be better" not in (tmp_path / "out/report.html").read_text("utf-8")


def test_the_same_run_again_leaves_the_same_and_nothing_of_a_candidate_that_is_none_any_more(
    ran: Callable[..., RunResult], tmp_path: Path, arms_are: Callable[..., None]
) -> None:
    def written() -> dict[str, bytes]:
        ran()
        passing = ("report.html", "manifest.jsonl")
        return {name: content for name, content in files(tmp_path / "out").items() if name not in passing}

    arms_are({"classical+mixup": (1, "not_proven"), "classical+cutmix": (-1, "not_proven")})
    first = written()
    assert first.keys() >= FILES
    assert written() == first
    arms_are({"classical+mixup": (-1, "not_proven"), "classical+cutmix": (-1, "not_proven")})
    assert not FILES & written().keys()


def test_without_time_it_is_left_out_and_that_is_said(
    ran: Callable[..., RunResult], tmp_path: Path, arms_are: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    arms_are({"classical+mixup": (1, "not_proven"), "classical+cutmix": (-1, "not_proven")})
    train = final.train_arm

    def no_time_left(config: Any, *arguments: Any, **named: Any) -> Any:
        if config.arm.name == "classical+mixup":
            raise TimeIsUp
        return train(config, *arguments, **named)

    monkeypatch.setattr(final, "train_arm", no_time_left)
    result = ran()
    assert result.classifier["arm"] == "classical"
    assert result.candidate == {
        "arm": "classical+mixup",
        "left_out": "there was no time to train it on all images",
    }
    words = "Whether classical+mixup is better than classical is open; its classifier was not kept: there was no time"
    assert words in result.sentence
    assert words in (tmp_path / "out/report.html").read_text("utf-8")
    assert not FILES & {path.name for path in (tmp_path / "out").iterdir()}


def test_where_the_time_is_up_before_nothing_more_is_trained(
    ran: Callable[..., RunResult], arms_are: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    arms_are({"classical+mixup": (1, "not_proven"), "classical+cutmix": (-1, "not_proven")})
    monkeypatch.setattr("tenfold.verbs.run.end_of", lambda prepared: time.time() - 1)
    result = ran()
    assert "fold" in result.classifier
    assert result.candidate is not None
    assert result.candidate["left_out"] == "there was no time to train it on all images"


def test_a_budget_keeps_time_for_both_and_of_too_short_a_one_for_the_first_alone() -> None:
    def trial(arm: str, repeat: int, seconds: float) -> Trial:
        return Trial(arm, repeat, 0, 0.5, 0.5, [0], [[1.0]], [], seconds, {"seconds": {"methods": 0.0}})

    def kept(budget: float, repeats: int) -> float:
        options = StudyOptions(arms="raw,classical+mixup", budget=budget)
        prepared = prepare(easy_set([9, 9]), options)
        trials = [trial("classical", 0, 20.0), trial("classical+mixup", 0, 60.0)]
        return tail_of(prepared, grows=False)(trials, repeats) - seconds_to_publish(prepared)

    first = kept(budget=200.0, repeats=1)
    assert 0 < first < 1.25 * 20
    assert kept(budget=2000.0, repeats=1) == pytest.approx(first + 60)
    assert kept(budget=2000.0, repeats=2) == pytest.approx(first + 60), "the winner's, or the baseline's and another"
    assert kept(budget=260.0, repeats=2) == pytest.approx(60)


def test_a_generator_that_fails_on_all_images_leaves_the_first_classifier(
    ran: Callable[..., RunResult], arms_are: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    arms_are({GENERATING: (1, "not_proven")})
    grow = method_class("cgan").grow

    def collapse(self: Any, train: Any, times: float, key: Any) -> Any:
        if "final" in key.path:
            raise MethodFailed("cgan collapsed")
        return grow(self, train, times, key)

    monkeypatch.setattr(method_class("cgan"), "grow", collapse)
    result = ran(arms=GENERATING)
    assert result.candidate == {"arm": GENERATING, "left_out": "cgan collapsed"}
    assert result.classifier["arm"] == "classical"


def test_a_set_that_was_grown_anyway_is_what_the_candidate_reads(
    ran: Callable[..., RunResult], arms_are: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    learned, learn = list[str](), method_class("cgan").learn

    def noted(self: Any, train: Any, key: Any, loop: Any = None) -> Any:
        learned.append(key.path)
        return learn(self, train, key, loop)

    monkeypatch.setattr(method_class("cgan"), "learn", noted)
    arms_are({GENERATING: (1, "not_proven")})
    result = ran(arms=GENERATING, grow=QUICK_CGAN, times=1.0)
    assert result.candidate is not None
    assert result.candidate["arm"] == GENERATING
    assert not [path for path in learned if "final" in path], "no generator is trained twice on all images"
    assert [path for path in learned if "grow" in path] == ["seed-0/grow/cgan"]
