from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_folders import files, records, write_folders

from made_up_sets import QUICK_CGAN, easy_set, of_patients
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.load import load
from tenfold.evaluation import Verdict
from tenfold.evaluation.scores import wilson_interval
from tenfold.methods import GeneratorMethod, MethodFailed, method_class
from tenfold.networks.backbone_classifier import Network
from tenfold.runs import study as conduct
from tenfold.training.classifier_io import load_classifier
from tenfold.training.inference import validated
from tenfold.verbs.run import RunResult, run

pytestmark = pytest.mark.usefixtures("short_trainings")
GENERATING = f"classical+{QUICK_CGAN}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "cells", [5, 4, 1])


@pytest.fixture
def verdict_is(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the study come out as the test wants it; what follows from it is looked at here."""

    def make_it(**changes: Any) -> None:
        compare = conduct.compare

        def changed(*arguments: Any, **named: Any) -> Verdict:
            counts = {"pick_counts": {changes["chosen_arm"]: 1}} if "chosen_arm" in changes else {}
            return replace(compare(*arguments, **named), **counts, **changes)

        monkeypatch.setattr(conduct, "compare", changed)

    return make_it


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the draws of every generator that is trained on all images; trials train their own."""
    names, learn = list[str](), GeneratorMethod.learn

    def noted(self: GeneratorMethod, train: ImageDataset, key: Key, loop: Any = None) -> Any:
        if {"grow", "final"} & set(key.path.split("/")):
            names.append(key.path)
        return learn(self, train, key, loop)

    monkeypatch.setattr(GeneratorMethod, "learn", noted)
    return names


@pytest.fixture
def ran(folder: Path, tmp_path: Path) -> Callable[..., RunResult]:
    """A small run in `tmp_path / "out"`, with other options where they are named."""

    def call(data: Any = folder, **options: Any) -> RunResult:
        small = {"arms": "raw", "repeats": 1, "learning_curve": False, "out": tmp_path / "out", "workers": 1}
        return run(data, **{**small, **options})

    return call


def test_nothing_is_grown_where_nothing_helped(
    ran: Callable[..., RunResult], tmp_path: Path, verdict_is: Callable[..., None], learned: list[str]
) -> None:
    verdict_is(outcome="not_proven")
    out = tmp_path / "out"
    result = ran(arms=f"raw,{GENERATING}")
    written = {path.name for path in out.iterdir() if not path.name.startswith(("candidate.", ".lock"))}
    assert written == {
        "config.json", "check.json", "jobs", "verdict.json", "report.html", "classifier.safetensors",
        "classifier.json", "manifest.jsonl",
    }  # fmt: skip
    assert (result.grown, learned) == (None, [])
    assert result.growth.startswith("Nothing was grown, because no way of growing was shown to help")
    assert result.sentence == f"{result.study.sentence}\n{result.growth}"
    document = read_json(out / "classifier.json")
    assert (document["arm"], document["trained_on_images"], document["external_test"]) == ("classical", 10, None)
    assert result.to_json()["classifier"]["arm"] == "classical"
    page = (out / "report.html").read_text("utf-8")
    assert "Nothing was grown" in page
    assert "Generated images" in page, "what the generators of trials made is shown all the same"
    assert read_json(out / "config.json")["options"]["grow"] is None


def test_the_classifier_that_is_kept_knows_the_classes(
    ran: Callable[..., RunResult], folder: Path, tmp_path: Path
) -> None:
    ran()
    classifier = load_classifier(tmp_path / "out")
    assert classifier.class_names == ("a", "b", "c")
    data = load(folder)
    assert (classifier.probabilities(data.images).argmax(1) == data.labels).mean() > 0.6
    assert not list((tmp_path / "out").glob("generator*"))


@pytest.mark.parametrize("mirrored", [True, False])
def test_the_final_classifier_reads_mirror_images_as_most_folds_do(
    mirrored: bool, ran: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(network: Network, images: ImageDataset | None) -> tuple[float, float, bool]:
        score, loss, _ = validated(network, images)
        return score, loss, mirrored and images is not None

    monkeypatch.setattr("tenfold.training.classifier.validated", chosen)
    ran(easy_set([8, 8]))
    assert load_classifier(tmp_path / "out").mirrored == mirrored


def test_what_helped_grows_the_set_by_the_training_that_the_classifier_reads(
    ran: Callable[..., RunResult], tmp_path: Path, verdict_is: Callable[..., None], learned: list[str]
) -> None:
    verdict_is(outcome="helped", chosen_arm=GENERATING)
    result = ran(arms=GENERATING, times=1.0)
    assert result.grown is not None
    assert (result.grown.real_images, result.grown.new_images) == (10, 10)
    assert result.growth.startswith("Grown: 10 new images made by cgan beside 10 real ones")
    assert learned == ["seed-0/grow/cgan"]
    weights = (tmp_path / "out/generator.safetensors").read_bytes()
    new = [line for line in records(tmp_path / "out/grown") if line["origin"] == "generated"]
    assert {line["generator"] for line in new} == {hashlib.sha256(weights).hexdigest()[:16]}
    assert all(set(line) >= {"origin", "parents", "label", "seed", "method", "generator"} for line in new)
    assert read_json(tmp_path / "out/classifier.json")["arm"] == result.classifier["arm"] == GENERATING


def test_what_helped_without_files_says_so(
    ran: Callable[..., RunResult], tmp_path: Path, verdict_is: Callable[..., None]
) -> None:
    verdict_is(outcome="helped", chosen_arm="classical+mixup")
    result = ran(arms=f"classical+mixup,{GENERATING}")
    assert result.grown is None
    assert result.growth.startswith("No files were grown: classical+mixup works on the images while training")
    assert read_json(tmp_path / "out/classifier.json")["arm"] == "classical+mixup"


@pytest.mark.parametrize("method", [QUICK_CGAN, "classical"])
def test_growing_that_is_asked_for_is_done(
    method: str, ran: Callable[..., RunResult], tmp_path: Path, verdict_is: Callable[..., None]
) -> None:
    verdict_is(outcome="hurt")
    assert ran(times=2.0, grow=method).grown is not None
    lines = records(tmp_path / "out/grown")
    assert [line["origin"] for line in lines] == ["real"] * 10 + ["generated"] * 20
    assert {line["method"] for line in lines[10:]} == {method.partition("(")[0]}
    assert (tmp_path / "out/generator.safetensors").exists() == (method == QUICK_CGAN)
    sources = {line["source"] for line in lines[:10]}
    assert all(set(line["parents"]) <= sources for line in lines[10:])


def test_a_finished_run_repeated_gives_the_same_files(ran: Callable[..., RunResult]) -> None:
    def written() -> dict[str, bytes]:
        again = files(ran(arms=GENERATING, grow=QUICK_CGAN).directory)
        return {name: content for name, content in again.items() if name not in ("report.html", "manifest.jsonl")}

    assert written() == written()
    with pytest.raises(InputError, match=r"other options \(grow\)"):
        ran(arms=GENERATING, grow="classical")


def test_the_sealed_images_judge_the_final_classifier(ran: Callable[..., RunResult], tmp_path: Path) -> None:
    data = easy_set([8, 8], noise=20, roles=(["train"] * 5 + ["test"] * 3) * 2)
    classifier, images = ran(data).classifier, data.part("test")
    right = load_classifier(tmp_path / "out").probabilities(images.images).argmax(1) == images.labels
    actual = classifier["external_test"]
    assert (actual["images"], actual["accuracy"]) == (6, round(float(np.mean(right)), 4))
    assert classifier["trained_on_images"] == 10


def test_the_final_classifier_is_judged_by_patients(ran: Callable[..., RunResult], tmp_path: Path) -> None:
    """Four images a patient, in the study and in the sealed test, tell half as much as four patients would."""
    study = easy_set([24, 24], (1, 12, 12))
    sealed = easy_set([20, 20], (1, 12, 12), key="sealed", groups=range(100, 140), roles=["test"] * 40)
    data = study.joined(sealed)
    mislabelled = Key("mislabelled patients").numpy_generator().random(len(data)) < 0.2
    data = data.with_columns(labels=np.where(mislabelled, 1 - data.labels, data.labels))
    classifier = ran(of_patients(data)).classifier
    external = classifier["external_test"]
    assert (external["images"], external["groups"]) == (160, 40)
    of_images = wilson_interval(external["accuracy"], 160)
    assert 1.7 < np.ptp(external["interval"]) / np.ptp(of_images) < 2.4
    of_images = wilson_interval(classifier["cross_validated_balanced_accuracy"], 192)
    assert 1.5 < np.ptp(classifier["interval"]) / np.ptp(of_images) < 2.6
    page = (tmp_path / "out" / "report.html").read_text()
    assert "of 160 images in 40 independent groups recognised: plain accuracy of this one classifier" in page


def test_a_generator_that_collapses_in_the_end_spoils_nothing_else(
    ran: Callable[..., RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapse(*_: object) -> None:
        raise MethodFailed("cgan collapsed")

    monkeypatch.setattr(method_class("cgan"), "grow", collapse)
    assert ran(grow="cgan").growth == "Nothing was grown: cgan collapsed."
    assert (tmp_path / "out/classifier.safetensors").exists()
    assert not list((tmp_path / "out").glob("gr*n*"))


def test_a_winner_that_fails_on_all_images_gives_way_to_the_baseline(
    ran: Callable[..., RunResult], tmp_path: Path, verdict_is: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict_is(outcome="helped", chosen_arm="classical+mixup")
    fit = method_class("mixup").fit

    def fail_at_last(self: Any, train: Any, reserve: Any, key: Any) -> Any:
        if "final" in key.path:
            raise MethodFailed("not this time")
        return fit(self, train, reserve, key)

    monkeypatch.setattr(method_class("mixup"), "fit", fail_at_last)
    assert ran(arms="classical+mixup").classifier["arm"] == "classical"
    assert "not this time" in (tmp_path / "out/report.html").read_text("utf-8")


def test_a_budget_in_which_nothing_is_finished_leaves_a_classifier_all_the_same(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(folder, arms="raw", repeats=1, budget=0.001, out=out, workers=1)
    assert result.verdict.repeats == 0
    assert load_classifier(out).class_names == ("a", "b", "c")
    assert (result.classifier["arm"], result.classifier["interval"]) == ("classical", None)
    page = (out / "report.html").read_text("utf-8")
    assert "The classifier was trained for as long as there was time" in page


def test_where_the_time_is_up_the_best_classifier_of_a_fold_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr("tenfold.verbs.run.end_of", lambda prepared: time.time() - 1)
    result = run(folder, arms="raw", repeats=1, out=out, workers=1)
    own = [trial for trial in result.study.trials if trial.arm == "classical"]
    best = max(own, key=lambda trial: (trial.inner_score, -trial.inner_loss))
    document = read_json(out / "classifier.json")
    assert (document["arm"], document["fold"]) == ("classical", best.fold + 1)
    assert document["trained_on_images"] == best.details["real_images"] < 10
    kept, trained = (load_classifier(path) for path in (out, result.study.classifiers[best.fold]))
    images = load(folder).images
    assert kept.temperature == document["temperature"]
    assert (replace(kept, temperature=1.0).probabilities(images) == trained.probabilities(images)).all()
    page = (out / "report.html").read_text("utf-8")
    assert f"the training part of fold {best.fold + 1}" in page
    assert "There was no time to train on all images" in page


def test_growing_that_is_asked_for_ends_with_the_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.verbs.run.end_of", lambda prepared: time.time() - 1)
    result = run(folder, arms="raw", repeats=1, out=tmp_path / "out", grow=QUICK_CGAN, workers=1)
    assert result.grown is None
    assert result.growth == "Nothing was grown: there was no time for cgan on all images."
    assert "fold" in result.classifier
