"""`reproduce` with a made-up claim: what is done again, what is kept, and what it leaves."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tenfold
from tenfold.claims import engine, training
from tenfold.claims.engine import ReportImage, Summary, TheySay, job
from tenfold.claims.tables import Results
from tenfold.core.errors import InputError
from tenfold.core.files import write_text
from tenfold.evaluation.external_test import mean_interval
from tenfold.report.image_sheet import images_png
from tenfold.runs import Context, Job

SQUARES = np.array([220, 40], np.uint8).reshape(1, 2, 1, 1, 1).repeat(8, 3).repeat(8, 4)
IMAGES = (ReportImage("Two grey squares", "A light one, a dark one.", images_png(SQUARES)),)
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
    assert (first.holds, first.document["claimed_size_in_interval"]) == ("smaller", False)
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


def test_images_are_in_the_report_and_beside_it(counted: list[int], tmp_path: Path) -> None:
    done = tenfold.reproduce("counted", out=tmp_path / "there", workers=1)
    (result,) = done.document["pictures"]
    assert result == {"title": IMAGES[0].title, "caption": IMAGES[0].caption, "file": "two-grey-squares.png"}
    png = (tmp_path / "there" / result["file"]).read_bytes()
    assert png == IMAGES[0].png
    assert training.image_bytes(training.image_text(png)) == png
    page = (tmp_path / "there" / "report.html").read_text("utf-8")
    (address, width) = re.findall(r'<img src="data:image/png;base64,([^"]+)" width="(\d+)"', page)[0]
    assert base64.b64decode(address) == png
    assert int(width) == Image.open(io.BytesIO(png)).width
    assert result["file"] in page
    assert result["file"] in done.text


def test_another_scale_in_the_same_directory_and_a_single_seed_are_refused(
    counted: list[int], tmp_path: Path
) -> None:
    tenfold.reproduce("counted", quick=True, out=tmp_path / "trial", workers=1)
    with pytest.raises(InputError, match=r"other options \(quick\)"):
        tenfold.reproduce("counted", out=tmp_path / "trial", workers=1)
    with pytest.raises(InputError, match="at least 2"):
        tenfold.reproduce("counted", seeds=1, out=tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_directory_of_a_run_killed_at_its_start_is_taken_up(counted: list[int], tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("1")
    assert tenfold.reproduce("counted", out=tmp_path, workers=1).holds == "smaller"


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
    _, result = process.communicate(timeout=30)
    assert process.returncode == 130
    assert result.splitlines()[-1] == "stopped; the same command continues where it was"
    assert "Traceback" not in result
    assert time.monotonic() - interrupted < 20, "a training takes longer than that"


def _descendants(process: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return children + [one for child in children for one in _descendants(child)]
