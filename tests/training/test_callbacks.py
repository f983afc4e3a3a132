from __future__ import annotations

import io
import json
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from made_up_step import STEPS, MadeUpStep, disturbed
from PIL import Image
from test_loop import Killed, killed_at, spoil_at

from tenfold.training.callbacks import Grids, Metrics, ProgressBar
from tenfold.training.loop import TrainingLoop
from tenfold.training.step import Diverged, Look


@pytest.fixture(autouse=True)
def _without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the extra is installed here or not."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("every", [1, 4])
def test_a_line_of_metrics_is_the_mean_of_the_steps_since_the_last(tmp_path: Path, every: int) -> None:
    TrainingLoop(callbacks=[Metrics(tmp_path / "each", 1), Metrics(tmp_path, every)]).run(MadeUpStep)
    each = [line["loss"] for line in lines(tmp_path / "each") if "loss" in line]
    assert len(each) == STEPS
    values = [line for line in lines(tmp_path) if "loss" in line]
    assert [line["step"] for line in values] == list(range(every, STEPS + 1, every))
    for line in values:
        assert line["loss"] == pytest.approx(np.mean(each[line["step"] - every : line["step"]]), abs=2e-5)


def test_every_look_and_every_trouble_has_its_line(tmp_path: Path) -> None:
    TrainingLoop(callbacks=[Metrics(tmp_path)]).run(MadeUpStep)
    assert [line["step"] for line in lines(tmp_path) if "size" in line] == [6, 12, 18, 24]
    with pytest.raises(Diverged):
        TrainingLoop(callbacks=[Metrics(tmp_path / "failed", 1)]).run(disturbed(MadeUpStep, spoil_at(3)))
    assert [line["step"] for line in lines(tmp_path / "failed")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("checkpoint_at_every_chance")
@pytest.mark.parametrize("every", [1, 5])
def test_what_a_killed_training_leaves_is_what_one_leaves_that_was_not(every: int, tmp_path: Path) -> None:
    kills = {5, 13, 50}

    def train(directory: Path, kills: set[int]) -> None:
        callbacks = [Metrics(directory, every), Grids(directory)]
        start = disturbed(MadeUpStep, killed_at(kills), steps=72)
        TrainingLoop(callbacks=callbacks, checkpoint=directory / "checkpoint.safetensors").run(start)

    train(tmp_path / "whole", set())
    while kills:
        with pytest.raises(Killed):
            train(tmp_path, kills)
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 1')  # a kill cut this line short
    train(tmp_path, kills)
    assert (tmp_path / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert sorted(grids(tmp_path)) == sorted(grids(tmp_path / "whole"))


def grids(directory: Path) -> dict[int, Image.Image]:
    return {
        int(path.stem): Image.open(io.BytesIO(path.read_bytes())) for path in sorted((directory / "grids").iterdir())
    }


def test_a_grid_has_a_row_for_each_row_of_images(tmp_path: Path) -> None:
    images = torch.linspace(-1, 1, 6).view(2, 3, 1, 1, 1).expand(2, 3, 3, 4, 5)
    Grids(tmp_path).look(7, 7, Look(images=images))
    Grids(tmp_path).look(8, 8, Look())
    assert list(grids(tmp_path)) == [7]
    pixels = np.asarray(grids(tmp_path)[7])
    assert pixels.shape == (8, 15, 3)
    assert pixels[::4, ::5, 0].tolist() == [[0, 51, 102], [153, 204, 255]]


@pytest.mark.parametrize(("all_looks", "count"), [(False, 21), (True, 100)])
def test_about_twenty_grids_or_all(tmp_path: Path, all_looks: bool, count: int) -> None:
    callback, look = Grids(tmp_path, all_looks), Look(images=torch.zeros(1, 1, 1, 2, 2))
    for number in range(10, 1001, 10):
        callback.look(number, 1000, look)
    assert len(grids(tmp_path)) == count
    assert 1000 in grids(tmp_path)


def test_parts_of_a_training_have_folders_of_their_own(tmp_path: Path) -> None:
    loop = TrainingLoop(callbacks=[Metrics(tmp_path), Grids(tmp_path)])
    loop.part("cats").run(MadeUpStep)
    assert len(lines(tmp_path / "cats")) > 0
    assert len(grids(tmp_path / "cats")) == 4
    assert not (tmp_path / "metrics.jsonl").exists()


def test_progress_is_told_in_steps(capfd: pytest.CaptureFixture[str]) -> None:
    loop = TrainingLoop(callbacks=[ProgressBar("training")])
    loop.run(MadeUpStep)
    result = capfd.readouterr().err.splitlines()
    assert result[0].startswith(f"training 0/{STEPS}")
    assert result[-1].startswith(f"training {STEPS}/{STEPS}")
    with pytest.raises(Diverged):
        loop.part("cats").run(disturbed(MadeUpStep, spoil_at(3)))
    assert "training, cats 0/24" in capfd.readouterr().err


def test_tensorboard_gets_the_same_figures_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Writer:
        events: ClassVar[list[tuple[str, float, int]]] = []

        def __init__(self, directory: str) -> None:
            assert directory == str(tmp_path / "tensorboard")

        def add_scalar(self, name: str, value: float, number: int) -> None:
            self.events.append((name, value, number))

        def close(self) -> None:
            self.events.append(("closed", 0.0, 0))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    TrainingLoop(callbacks=[Metrics(tmp_path)]).run(MadeUpStep)
    values = [
        (name, value, line["step"]) for line in lines(tmp_path) for name, value in line.items() if name != "step"
    ]
    assert Writer.events == [*values, ("closed", 0.0, 0)]
