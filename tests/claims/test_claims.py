from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import done
from PIL import Image

import tenfold
from made_up_sets import easy_set
from tenfold.claims import claim_names, engine, mixup, training
from tenfold.claims.engine import ReportImage, Summary, TheySay, holds, job, make_claim
from tenfold.claims.tables import Figure, Results, arm_rows, difference_names
from tenfold.core.errors import InputError
from tenfold.core.files import write_text
from tenfold.core.types import ImageDataset
from tenfold.evaluation import Interval
from tenfold.evaluation.external_test import mean_interval
from tenfold.report.image_sheet import Sheet, sheet_png
from tenfold.runs import Context, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors.processes import executor_for
from tenfold.runs.runner import run_all

TINY = mixup.Scale(epochs=1, images_a_class=20, few=(20,), steps=3)
NAMES = claim_names()
SQUARES = np.array([220, 40], np.uint8).reshape(1, 2, 1, 1, 1).repeat(8, 3).repeat(8, 4)


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_says_what_was_published_and_what_it_trains(name: str) -> None:
    claim = make_claim(name)
    text = claim.text
    assert text.sentence.endswith(".")
    assert text.source.endswith(".")
    assert text.they_say.effect > 0
    assert text.they_say.sentence
    assert min(text.seeds, text.quick_seeds) >= 2
    for quick in (False, True):
        json.dumps(claim.settings(quick), allow_nan=False)
        jobs = claim.jobs(range(3), quick)
        assert len({job.hash for job in jobs}) == len(jobs)
        assert all(job.cost > 0 and job.label and callable(job.load()) for job in jobs)
        assert all(needed in jobs for job in jobs for needed in job.needs.values())
    assert claim.jobs(range(3), True)[0].config != claim.jobs(range(3), False)[0].config


def test_mixup_is_the_articles_experiment() -> None:
    text = mixup.Claim().text
    assert text.they_say.effect == pytest.approx(text.they_say.values["with MixUp"] - text.they_say.values["without"])
    assert text.seeds >= 5
    assert (mixup.FULL.epochs, mixup.FULL.images_a_class, mixup.FULL.few) == (10, None, (100, 500, 1000))
    assert re.findall(r"[\d.]+", text.they_say.sentence) == ["91.50", "90.01"]


def test_an_unknown_claim_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'mixup'"):
        make_claim("mixpu")
    with pytest.raises(InputError, match="there is no claim"):
        make_claim("engine")


@pytest.mark.parametrize(
    ("low", "high", "verdict", "inside"),
    [
        (0.001, 0.02, "yes", True),
        (0.001, 0.01, "smaller", False),
        (0.02, 0.03, "yes", False),  # a larger one
        (-0.001, 0.02, "not_shown", True),
        (0.0, 0.02, "not_shown", True),  # 0 itself is in the interval
        (-0.01, 0.0149, "not_shown", True),  # just room for the claimed size
        (-0.01, 0.0148, "no", False),
        (-0.0012, 0.0076, "no", False),  # the earlier measurement of this claim
        (-0.01, 0.0, "no", False),
        (-0.03, -0.01, "no", False),
        (0.0, 0.0, "no", False),  # no effect and no doubt
    ],
)
def test_whether_it_holds(low: float, high: float, verdict: str, inside: bool) -> None:
    assert holds(interval(low, high), 0.0149) == verdict
    assert (low <= 0.0149 <= high) is inside


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.0001, 1))
def test_the_verdict_is_what_the_rule_says(low: float, width: float, claimed: float) -> None:
    measured = interval(low, low + width)
    verdict = holds(measured, claimed)
    assert (verdict in ("yes", "smaller")) == (measured.low > 0)
    assert (verdict in ("smaller", "no")) == (measured.high < claimed)
    assert (verdict == "not_shown") == (measured.low <= 0 < claimed <= measured.high)


@pytest.mark.parametrize(
    ("low", "high", "claimed"), [(0, 1, 0), (0, 1, -1), (0, float("nan"), 1), (0, float("inf"), 1)]
)
def test_what_cannot_be_judged_is_refused(low: float, high: float, claimed: float) -> None:
    with pytest.raises(ValueError, match="gain above 0"):
        holds(interval(low, high), claimed)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_packing_loses_nothing(bits: list[bool]) -> None:
    assert training.unpacked(training.packed(np.array(bits)), len(bits)).tolist() == bits


IMAGES = (ReportImage("Two grey squares", "A light one, a dark one.", sheet_png(Sheet("", "", SQUARES))),)
COUNTED: list[int] = []
MADE_UP = engine.Text(
    "Made up.", "Nowhere.", TheySay("2 % more", 0.02, {"with": 0.9, "without": 0.88}), seeds=4, quick_seeds=2,
    measured="{word} more", interval="over seeds", settings={}, notes=("In {word}.",),
)  # fmt: skip


class Counted(engine.Claim):
    """A made-up claim whose trainings are counted."""

    text = MADE_UP  # type: ignore[assignment]  # read from no file

    def settings(self, quick: bool) -> dict[str, Any]:
        return {"quick": quick}

    def jobs(self, seeds: Sequence[int], quick: bool) -> list[Job]:
        return [job(train_counted, f"seed {seed}", {"seed": seed, "quick": quick}, 1 + seed) for seed in seeds]

    def summary(self, results: Results) -> Summary:
        effect = mean_interval(results.each("gain"))
        values = {"with": 0.9, "without": 0.89}
        return Summary(effect, values, {"images": 10}, (), words={"word": "a bit"}, images=IMAGES)


def train_counted(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    COUNTED.append(config["seed"])
    if config["seed"] == 99:
        raise KeyboardInterrupt
    write_text(context.directory / "left.txt", "behind")
    return {"gain": 0.01 + 0.001 * config["seed"]}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    COUNTED.clear()
    monkeypatch.setattr("tenfold.verbs.reproduce.make_claim", lambda _: Counted())
    return COUNTED


def test_finished_trainings_are_not_done_again(counted: list[int], tmp_path: Path) -> None:
    first = tenfold.reproduce("counted", out=tmp_path / "there", seeds=3, workers=1)
    assert counted == [2, 1, 0], "the longest first"
    assert first.document["seeds"] == [0, 1, 2]
    assert "we measured a bit more (+1.10 points" in first.sentence
    assert first.document["notes"] == ["In a bit."]
    counted.clear()
    again = tenfold.reproduce("counted", out=tmp_path / "there", seeds=3, workers=1)
    assert counted == []
    times = ("seconds", "training_seconds")
    assert {k: v for k, v in again.document.items() if k not in times} == {
        k: v for k, v in first.document.items() if k not in times
    }
    longer = tenfold.reproduce("counted", out=tmp_path / "there", seeds=4, workers=1)
    assert counted == [3]
    assert longer.document["interval"] != first.document["interval"]
    next((tmp_path / "there" / "jobs").glob("*/left.txt")).unlink()
    counted.clear()
    tenfold.reproduce("counted", out=tmp_path / "there", seeds=4, workers=1)
    assert len(counted) == 1, "what it left is gone"


def test_what_was_finished_before_an_interrupt_is_kept(counted: list[int], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tenfold.reproduce("counted", out=tmp_path / "there", seeds=2, seed=98, workers=1)
    assert counted == [99]
    with pytest.raises(KeyboardInterrupt):
        tenfold.reproduce("counted", out=tmp_path / "there", seeds=3, seed=98, workers=1)
    assert tenfold.reproduce("counted", out=tmp_path / "there", seeds=2, seed=100, workers=1).document["seeds"]
    assert counted == [99, 100, 99, 101], "the hundredth was finished when the one after it was broken off"


def test_results_are_picked_by_their_configuration() -> None:
    configs = [{"arm": arm, "seed": seed, "count": 5} for seed in (1, 0) for arm in ("a", "b")]
    correct = [np.array([True, False, seed["arm"] == "b"]) for seed in configs]
    found = Results(done(config, training.tested(right)) for config, right in zip(configs, correct, strict=True))
    assert [one.job.config["seed"] for one in found.of(arm="a", count=5)] == [0, 1]
    assert found.settings("count") == [5]
    assert not found.of(arm="c")
    accuracies, differences = arm_rows(found, "count", "{} of", ("a", "b"), [("b", "a")])
    assert [cell and cell.estimate for cell in accuracies["5 of"]] == pytest.approx([1 / 3, 2 / 3])
    assert differences["5 of"][0] == Figure(pytest.approx(1 / 3), *[pytest.approx(1 / 3)] * 2, (1 / 3, 1 / 3))
    assert difference_names([("b", "a")]) == ["b − a"]


def test_images_are_in_the_report_and_beside_it(counted: list[int], tmp_path: Path) -> None:
    done = tenfold.reproduce("counted", out=tmp_path / "there", workers=1)
    (told,) = done.document["pictures"]
    assert told == {"title": IMAGES[0].title, "caption": IMAGES[0].caption, "file": "two-grey-squares.png"}
    png = (tmp_path / "there" / told["file"]).read_bytes()
    assert png == IMAGES[0].png
    assert training.image_bytes(training.image_text(png)) == png
    page = (tmp_path / "there" / "report.html").read_text("utf-8")
    (address, width) = re.findall(r'<img src="data:image/png;base64,([^"]+)" width="(\d+)"', page)[0]
    assert base64.b64decode(address) == png
    assert int(width) == Image.open(io.BytesIO(png)).width
    assert told["file"] in page
    assert told["file"] in done.text


def test_a_directory_with_something_else_is_left_alone(counted: list[int], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for taken, words in (("mine", "not empty"), ("file", "is a file")):
        with pytest.raises(InputError, match=words):
            tenfold.reproduce("counted", out=tmp_path / taken, workers=1)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    tenfold.reproduce("counted", quick=True, out=tmp_path / "trial", workers=1)
    with pytest.raises(InputError, match=r"other options \(quick\)"):
        tenfold.reproduce("counted", out=tmp_path / "trial", workers=1)
    with pytest.raises(InputError, match="at least 2"):
        tenfold.reproduce("counted", seeds=1, out=tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_directory_of_a_run_killed_at_its_start_is_taken_up(counted: list[int], tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("1")
    assert tenfold.reproduce("counted", out=tmp_path, workers=1).holds == "smaller"


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
    low, high = kept["interval"]
    assert low <= kept["we_measured"]["effect_points"] <= high
    assert set(kept["hardware"]) == {"processor", "cores", "torch"}
    accuracy, few, differences = kept["tables"]
    cells = [row["cells"][1] for row in accuracy["rows"]]
    gain = np.subtract(cells[0]["each"], cells[1]["each"])
    assert gain.mean() == pytest.approx(kept["we_measured"]["effect_points"], abs=2e-3)
    for row, contrasts in zip(few["rows"], differences["rows"], strict=True):
        values = dict(zip(few["columns"], (cell["estimate"] for cell in row["cells"]), strict=True))
        for name, cell in zip(differences["columns"], contrasts["cells"], strict=True):
            arm, other = name.split(" − ")
            assert cell["estimate"] == pytest.approx(values[arm] - values[other], abs=2e-3)
            assert cell["low"] <= cell["estimate"] <= cell["high"]

    page = (tmp_path / "a" / "report.html").read_text("utf-8")
    assert "quick trial" in page
    assert not re.search(r"<(script|link|img|iframe)|https?://|url\(", page), "loads nothing"
    for word in ("91.50", "90.01", kept["rule"][:40], "classical + mixup − classical"):
        assert word in page
        assert word in first.text
    assert "A quick trial, whose figures are not the claim's." in kept["sentence"]


@pytest.mark.usefixtures("data_directory")
def test_worker_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    config = {"part": "all", "seed": 1, "epochs": 1, "per_class": 20}
    jobs = [job(mixup.train_whole, arm, config | {"arm": arm}, 1, mixup.ARMS[arm]) for arm in ("mixup", "raw")]
    found = []
    for workers in (1, 2):
        with (
            RunDirectory.opened(tmp_path / str(workers), "reproduce", {}, {"mixup": ""}) as run,
            executor_for(workers) as executor,
        ):
            found.append([one.result for one in run_all("trainings", jobs, run, executor)])
    assert found[0] == found[1]


@pytest.mark.usefixtures("data_directory")
def test_an_interrupt_ends_everything_at_once(tmp_path: Path) -> None:
    program = "from tenfold.cli import main; main()"
    words = ["reproduce", "mixup", "--out", str(tmp_path / "there"), "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    give_up = time.monotonic() + 60
    while len(_descendants(process.pid)) < 4:  # two workers, what forks them, and the tracker of what they share
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.05)
    time.sleep(0.2)  # while it begins a worker it is deaf
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process gets it
    interrupted = time.monotonic()
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "stopped; the same command continues where it was"
    assert "Traceback" not in told
    assert time.monotonic() - interrupted < 20, "a training takes longer than that"


def _descendants(process: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return children + [one for child in children for one in _descendants(child)]
