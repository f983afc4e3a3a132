"""The rows of the list of bad inputs that are about trainings: NaN, collapse, memory, kills, devices and time."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from made_up_program import ended, short_studies, started, with_memory_left
from made_up_sets import QUICK_CGAN, SHORT
from tenfold.augment.mixing import MixUp
from tenfold.training.classifier import ClassifierStep

PROVE = ("prove", "set", "--repeats", "1", "--out", "out")


@pytest.fixture
def folder(class_folders: Callable[..., Path]) -> Path:
    return class_folders({"a": 12, "b": 12})


@pytest.fixture
def proved(
    tenfold: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[dict[str, Any], str]]:
    """Proves arms in this process with short trainings: the document of the arms by their names, and stderr."""
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)

    def call(arms: str) -> tuple[dict[str, Any], str]:
        status, out, err = tenfold(*PROVE, "--arms", arms, "--workers", "1", "--json")
        assert status == 0, err
        document = json.loads(out)
        return document["arms"] | {"warnings": document["warnings"]}, err

    return call


def disturb(monkeypatch: pytest.MonkeyPatch, what: Callable[[ClassifierStep], Any]) -> list[int]:
    """Something happens before each step of a mixup classifier; the micro-batches of these steps."""
    plain, seen = ClassifierStep.step, list[int]()

    def step(self: ClassifierStep, number: int) -> dict[str, torch.Tensor]:
        if any(isinstance(transform, MixUp) for transform in self.task.recipe.transforms):
            seen.append(self.micro_batches)
            what(self)
        return plain(self, number)

    monkeypatch.setattr(ClassifierStep, "step", step)
    return seen


def test_row_53_a_loss_that_becomes_nan(proved: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(step: ClassifierStep) -> None:
        with torch.no_grad():
            next(step.network.parameters()).fill_(torch.nan)

    disturb(monkeypatch, spoil)
    arms, err = proved("raw,mixup")
    assert arms["mixup"]["verdict"] == "failed"
    assert "the classifier's loss became NaN, and smaller steps did not mend it" in arms["mixup"]["failure"]
    assert arms["raw"]["balanced_accuracy"] is not None
    assert "mixup, repeat 1, fold 1: " in err


def test_row_54_a_collapsed_generator_gives_nothing(
    proved: Any, tenfold: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    collapsing = QUICK_CGAN.replace("least_diversity=0", "least_diversity=9")
    arms, _ = proved(f"raw,{collapsing}")
    failed = next(arm for name, arm in arms.items() if name.startswith("cgan"))
    assert (failed["verdict"], failed["balanced_accuracy"]) == ("failed", None)
    assert "collapsed: images of one kind differ only" in failed["failure"]
    for words in (("grow", "set", "grown", "--with", collapsing), ("fit", collapsing, "set", "fitted")):
        status, _, err = tenfold(*words)
        assert (status, "collapsed: " in err) == (2, True), err
    assert not list(tmp_path.rglob("grown/*.png"))
    assert not list(tmp_path.rglob("generator.safetensors"))


@pytest.mark.parametrize("smallest", [4, 16])
def test_row_55_and_89_a_gpu_that_is_short_of_memory_gets_smaller_parts_or_the_arm_has_failed(
    smallest: int, proved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starve(step: ClassifierStep) -> None:
        if step.micro_batches < smallest:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    seen = disturb(monkeypatch, starve)
    arms, err = proved("raw,mixup")
    assert {1, 2, 4} <= set(seen)
    assert arms["raw"]["balanced_accuracy"] is not None
    if smallest == 4:
        assert arms["mixup"]["verdict"] != "failed"
        told = "mixup: memory was short in 5 of 5 trials, whose batches went through the network in up to 4 parts"
        assert any(warning.startswith(told) for warning in arms["warnings"])
    else:
        assert arms["mixup"]["verdict"] == "failed"
        advice = "cpu has too little memory for the smallest part of a batch; try a smaller --size or fewer --workers"
        assert arms["mixup"]["failure"] == advice
        assert f"mixup, repeat 1, fold 1: {advice}" in err


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_row_89_a_computer_that_is_short_of_memory_costs_the_arm_alone(folder: Path, tmp_path: Path) -> None:
    words = (*PROVE, "--arms", "raw,cgan(steps=10,width=400,batch_size=8)", "--workers", "1", "--json")
    program = short_studies(before=with_memory_left(200))
    status, out, err = ended(*words, cwd=tmp_path, program=program)
    assert status == 0, err
    arms = {name.partition("(")[0]: arm for name, arm in json.loads(out)["arms"].items()}
    assert (arms["cgan"]["verdict"], arms["raw"]["failure"]) == ("failed", None), err
    assert "try a smaller --size or fewer --workers" in arms["cgan"]["failure"]
    kept = [json.loads(path.read_text())["label"] for path in tmp_path.glob("out/jobs/*/result.json")]
    assert kept
    assert not any("cgan" in label for label in kept), "what follows the advice is to be tried again"


@pytest.mark.parametrize(
    ("line", "figures"),
    [
        ("grow set out --with classical --times 1000", "24,000 new images of 1 x 8 x 8 take"),
        ("restyle set out --times 1000", "24,000 new images"),
        ("check set --size 1024", "24 images of 1 x 1024 x 1024"),
        ("prove set --size 1024 --out out", "24 images of 1 x 1024 x 1024"),
    ],
)
def test_row_89_what_would_not_fit_is_refused_with_its_figures_before_the_work(
    line: str, figures: str, tenfold: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.core.memory.free_memory", lambda: 20 * 2**20)
    status, _, err = tenfold(*line.split())
    assert (status, figures in err, "take a smaller --" in err) == (2, True, True), err
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs Linux")
def test_row_89_a_trial_whose_worker_is_killed_is_done_again(folder: Path, tmp_path: Path) -> None:
    words = (*PROVE, "--arms", "raw", "--workers", "2")
    with started(*words, cwd=tmp_path, program=short_studies(steps=60)) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        while not (workers := workers_of(process.pid)):
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(workers[0], signal.SIGKILL)
        _, err = process.communicate(timeout=100)
    assert process.returncode == 0, told + err
    assert "a worker process was killed" in err
    assert "failed" not in err
    assert ended(*words, "--out", "undisturbed", cwd=tmp_path, program=short_studies(steps=60))[0] == 0
    verdicts = [json.loads((tmp_path / out / "verdict.json").read_text()) for out in ("out", "undisturbed")]
    assert without_seconds(verdicts[0]) == without_seconds(verdicts[1])


def workers_of(program: int) -> list[int]:
    """The processes that the server of forks, which the program has started, has forked."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, parent = path.read_text().rpartition(")")[0::2]
            children[int(path.parent.name)] = (int(parent.split()[1]), name)
        except OSError:
            continue
    own = [child for child, (parent, _) in children.items() if parent == program]
    return [child for child, (parent, _) in children.items() if parent in own]


def without_seconds(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: without_seconds(value) for name, value in document.items() if "second" not in name}
    return document


def test_row_85_a_damaged_run_under_runs_is_named_before_another_is_begun(
    tenfold: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)
    words = (*PROVE[:-2], "--arms", "raw", "--workers", "1")
    assert tenfold(*words)[0] == 0
    (run,) = (tmp_path / "runs").iterdir()
    (run / "report.html").unlink()
    kept = (run / "config.json").read_bytes()
    (run / "config.json").write_bytes(kept[:-40])
    status, _, err = tenfold(*words)
    assert (status, f"runs/{run.name} is not gone on with: " in err, "config.json" in err) == (0, True, True), err
    assert (run / "config.json").read_bytes() == kept[:-40]


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_row_57_a_killed_run_goes_on_to_the_same_weights_and_verdict(
    share: float, folder: Path, tmp_path: Path
) -> None:
    words = ("run", "set", "--arms", "raw", "--repeats", "1", "--workers", "1")
    program = short_studies(steps=10)

    def judged(out: str) -> tuple[Any, bytes]:
        status, _, err = ended(*words, "--out", out, cwd=tmp_path, program=program)
        assert status == 0, err
        verdict = json.loads((tmp_path / out / "verdict.json").read_text())
        return without_seconds(verdict), (tmp_path / out / "classifier.safetensors").read_bytes()

    began = time.monotonic()
    undisturbed = judged("undisturbed")
    took = time.monotonic() - began
    with started(*words, "--out", "out", cwd=tmp_path, program=program) as process:
        time.sleep(share * took)
        process.kill()
    assert judged("out") == undisturbed


def test_row_58_without_a_gpu_the_processor_is_used_and_the_time_is_told(
    tenfold: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, out, _ = tenfold(*PROVE, "--arms", "raw", "--dry-run")
    assert (status, "Time: about " in out) == (0, True)
    status, _, err = tenfold(*PROVE, "--arms", "raw", "--workers", "1")
    assert (status, "left" in err) == (0, True), err
    status, _, err = tenfold(*PROVE, "--arms", "raw", "--device", "cuda")
    assert (status, "device cuda is not there" in err) == (2, True), err


@pytest.mark.parametrize("budget", ["1s", "6s"])
def test_row_91_a_budget_ends_in_a_provisional_result_with_a_classifier(
    budget: str, tenfold: Any, folder: Path, tmp_path: Path
) -> None:
    words = ("run", "set", "--arms", "raw,mixup", "--workers", "1", "--budget", budget, "--out", "out", "--json")
    status, out, err = tenfold(*words)
    assert status == 0, err
    document = json.loads(out)
    assert any("rovisional" in warning or "budget" in warning for warning in document["warnings"]), document[
        "warnings"
    ]
    assert (tmp_path / "out/report.html").exists()
    assert (tmp_path / "out/classifier.safetensors").exists()
    status, _, err = tenfold("predict", "out", "set", "--out", "predicted.csv")
    assert status == 0, err
