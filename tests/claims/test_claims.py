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
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tenfold
from made_up_sets import easy_set
from tenfold.claims import PARTS, base, claim_names, mixup, running
from tenfold.claims.base import Finished, Found, Picture, Training, claimed_size_inside, holds, make_claim
from tenfold.core.errors import InputError
from tenfold.core.files import write_text
from tenfold.core.types import ImageDataset
from tenfold.evaluation import Interval
from tenfold.evaluation.external_test import mean_interval
from tenfold.report.content import Sheet
from tenfold.report.sheets import sheet_png

TINY = mixup.Scale(epochs=1, images_a_class=20, few=(20,), steps=3)
NAMES = claim_names()
SQUARES = np.array([220, 40], np.uint8).reshape(1, 2, 1, 1, 1).repeat(8, 3).repeat(8, 4)


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_says_what_was_published_and_what_it_trains(name: str) -> None:
    claim = make_claim(name)
    assert claim.sentence.endswith(".")
    assert claim.source.endswith(".")
    assert claim.they_say.effect > 0
    assert claim.they_say.sentence
    assert min(claim.seeds, claim.quick_seeds) >= 2
    for quick in (False, True):
        json.dumps(claim.settings(quick), allow_nan=False)
        trainings = claim.trainings(range(3), quick)
        assert len({running.training_hash(claim, training) for training in trainings}) == len(trainings)
        assert all(training.cost > 0 and training.name for training in trainings)
    assert claim.trainings(range(3), True)[0].settings != claim.trainings(range(3), False)[0].settings


def test_mixup_is_the_articles_experiment() -> None:
    claim = mixup.Claim()
    assert claim.they_say.effect == pytest.approx(
        claim.they_say.values["with MixUp"] - claim.they_say.values["without"]
    )
    assert claim.seeds >= 5
    assert (mixup.FULL.epochs, mixup.FULL.images_a_class, mixup.FULL.few) == (10, None, (100, 500, 1000))
    assert re.findall(r"[\d.]+", claim.they_say.sentence) == ["91.50", "90.01"]


def test_an_unknown_claim_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'mixup'"):
        make_claim("mixpu")
    for part in PARTS:
        with pytest.raises(InputError, match="there is no claim"):
            make_claim(part)


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
    assert claimed_size_inside(interval(low, high), 0.0149) is inside


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
    assert base.unpacked(base.packed(np.array(bits)), len(bits)).tolist() == bits


PICTURES = (Picture("Two grey squares", "A light one, a dark one.", sheet_png(Sheet("", "", SQUARES))),)


class Counted(base.Claim):
    """A made-up claim whose trainings are counted."""

    sentence, source, seeds, quick_seeds = "Made up.", "Nowhere.", 4, 2
    they_say = base.TheySay("2 % more", {"with": 0.9, "without": 0.88}, 0.02)
    trained: ClassVar[list[int]] = []
    staged: ClassVar[bool] = False

    def settings(self, quick: bool) -> dict[str, Any]:
        return {"quick": quick}

    def trainings(self, seeds: Sequence[int], quick: bool) -> list[Training]:
        return [
            Training(
                f"seed {seed}", {"seed": seed, "quick": quick}, cost=1 + seed, stage=int(self.staged and seed > 0)
            )
            for seed in seeds
        ]

    def train(self, settings: Mapping[str, Any], files: Path) -> dict[str, Any]:
        if settings["seed"] == 99:
            raise KeyboardInterrupt
        self.trained.append(settings["seed"])
        if self.staged and settings["seed"] == 0:
            write_text(files / f"first-{base.hash_of(settings)}", "of the first stage")
            return {"gain": 0.01, "files": [f"first-{base.hash_of(settings)}"]}
        if self.staged:
            assert [path.read_text() for path in files.iterdir()] == ["of the first stage"]
        return {"gain": 0.01 + 0.001 * settings["seed"]}

    def judge(self, finished: Sequence[Finished]) -> Found:
        effect = mean_interval([one.result["gain"] for one in finished])
        return Found(
            effect, "over seeds", {"with": 0.9, "without": 0.89}, "a bit more", {"images": 10}, (), pictures=PICTURES
        )


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    Counted.trained.clear()
    for module in ("tenfold.claims.running", "tenfold.verbs.reproduce"):
        __import__(module)
        monkeypatch.setattr(f"{module}.make_claim", lambda _: Counted())
    return Counted.trained


def test_finished_trainings_are_not_done_again(counted: list[int], tmp_path: Path) -> None:
    first = tenfold.reproduce("counted", out=tmp_path / "there", seeds=3, workers=1)
    assert counted == [2, 1, 0], "the longest first"
    assert first.document["seeds"] == [0, 1, 2]
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
    next((tmp_path / "there" / "trials").glob("*.json")).unlink()
    counted.clear()
    tenfold.reproduce("counted", out=tmp_path / "there", seeds=4, workers=1)
    assert len(counted) == 1


def test_a_stage_waits_for_the_one_before_and_reads_its_files(
    counted: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Counted, "staged", True)
    trainings = Counted().trainings(range(3), quick=True)
    running.run_trainings("counted", trainings, tmp_path, 1)
    assert counted == [0, 2, 1], "the first stage although it is the shortest"
    (folder,) = (tmp_path / "files").iterdir()
    counted.clear()
    running.run_trainings("counted", trainings, tmp_path, 1)
    assert counted == []
    next(folder.iterdir()).unlink()
    running.run_trainings("counted", trainings, tmp_path, 1)
    assert counted == [0], "what later stages read is gone"
    monkeypatch.setattr(running, "code_version", lambda: "other")
    running.run_trainings("counted", trainings, tmp_path, 1)
    assert len(list((tmp_path / "files").iterdir())) == 2, "other code writes where this code never reads"


def test_pictures_are_in_the_report_and_beside_it(counted: list[int], tmp_path: Path) -> None:
    done = tenfold.reproduce("counted", out=tmp_path / "there", workers=1)
    (told,) = done.document["pictures"]
    assert told == {"title": PICTURES[0].title, "caption": PICTURES[0].caption, "file": "two-grey-squares.png"}
    png = (tmp_path / "there" / told["file"]).read_bytes()
    assert png == PICTURES[0].png
    assert base.picture_bytes(base.picture_text(png)) == png
    page = (tmp_path / "there" / "report.html").read_text("utf-8")
    (address, width) = re.findall(r'<img src="data:image/png;base64,([^"]+)" width="(\d+)"', page)[0]
    assert base64.b64decode(address) == png
    assert int(width) == Image.open(io.BytesIO(png)).width
    assert told["file"] in page
    assert told["file"] in done.text


def test_what_was_finished_before_an_interrupt_is_kept(counted: list[int], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        running.run_trainings("counted", [Training("a", {"seed": 5}, 2), Training("b", {"seed": 99}, 1)], tmp_path, 1)
    assert [json.loads(path.read_text())["result"] for path in tmp_path.glob("*.json")] == [{"gain": 0.015}]


def test_other_code_is_trained_anew(counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training("a", {"seed": 5}, 1)
    before = running.training_hash(Counted(), training)
    assert running.training_hash(Counted(), replace(training, cost=7, name="b")) == before
    assert running.training_hash(Counted(), replace(training, settings={"seed": 6})) != before
    monkeypatch.setattr(Counted, "helpers", ("test_claims",))
    assert running.training_hash(Counted(), training) != before
    monkeypatch.setattr(Counted, "helpers", ())
    monkeypatch.setattr(running, "code_version", lambda: "other")
    assert running.training_hash(Counted(), training) != before


def test_a_directory_with_something_else_is_left_alone(counted: list[int], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for taken, words in (("mine", "not empty"), ("file", "is a file")):
        with pytest.raises(InputError, match=words):
            tenfold.reproduce("counted", out=tmp_path / taken, workers=1)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    tenfold.reproduce("counted", quick=True, out=tmp_path / "trial", workers=1)
    with pytest.raises(InputError, match=r"another experiment \(quick\)"):
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
    trainings = [
        Training("one", {"part": "all", "arm": "mixup", "seed": 1, "epochs": 1, "per_class": 20}, 2),
        Training("two", {"part": "all", "arm": "raw", "seed": 1, "epochs": 1, "per_class": 20}, 1),
    ]
    alone, _ = running.run_trainings("mixup", trainings, tmp_path / "alone", 1)
    together, _ = running.run_trainings("mixup", trainings, tmp_path / "together", 2)
    assert [one.result for one in together] == [one.result for one in alone]


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
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children.read_text().split()) < 3:  # two workers and the tracker of what they share
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process gets it
    interrupted = time.monotonic()
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "stopped; the same command continues where it was"
    assert "Traceback" not in told
    assert time.monotonic() - interrupted < 5, "loading torch and a training take longer than that"
