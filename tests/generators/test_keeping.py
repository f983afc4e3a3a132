from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from made_up_contests import SIDE, TINY, Killed, Notebook, labelled, paired, weights_of
from PIL import Image

from tenfold.core.keys import Key
from tenfold.generators import keeping
from tenfold.generators.adversarial import TrainingFailed, compete
from tenfold.generators.contest import AdversarialConfig, Contest
from tenfold.generators.duel import Duel
from tenfold.generators.keeping import DirectoryKeeper, Keeper
from tenfold.generators.watching import PROBES

KEY = Key("keeping")


@pytest.fixture(autouse=True)
def _without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the extra is installed here or not."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)


@pytest.fixture
def every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)


def lines(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def losses(directory: Path) -> dict[int, dict[str, Any]]:
    found = [line for line in lines(directory) if "critic_loss" in line]
    assert len({line["step"] for line in found}) == len(found), "a step stands there twice"
    return {line["step"]: line for line in found}


def trained(
    directory: Path, make: Callable[[Key], Contest] = labelled, config: AdversarialConfig = TINY, **options: Any
) -> dict[str, bytes]:
    return weights_of(compete(make, config, KEY, DirectoryKeeper(directory, "training", **options)))


@pytest.mark.parametrize("log_every", [1, 2, 10])
def test_a_line_of_metrics_is_the_mean_of_the_steps_since_the_last(tmp_path: Path, log_every: int) -> None:
    notebook = Notebook()
    compete(labelled, TINY, KEY, notebook)
    trained(tmp_path, log_every=log_every)
    found = losses(tmp_path)
    assert list(found) == list(range(log_every, 21, log_every))
    for step, line in found.items():
        part = notebook.figures[step - log_every : step]
        for name in part[0]:
            assert line[name] == pytest.approx(np.mean([figures[name] for figures in part]), abs=1e-4)


def test_every_look_has_its_line(tmp_path: Path) -> None:
    notebook = Notebook()
    compete(paired, TINY, KEY, notebook)
    trained(tmp_path, paired)
    found = [line for line in lines(tmp_path) if "diversity" in line]
    assert [line["step"] for line in found] == [5, 10, 15, 20]
    for line, seen, (_, _, strength, _) in zip(found, notebook.seen, notebook.looks, strict=True):
        assert line["diversity"] == pytest.approx(seen["diversity"], abs=1e-4)
        assert line["critic_lead"] == pytest.approx(seen["critic_lead"], abs=1e-4)
        assert line["augmentation_strength"] == pytest.approx(strength, abs=1e-4)


def kill_after(steps: int) -> Callable[..., None]:
    """In place of `DirectoryKeeper.log`: after so many steps nothing goes on."""
    log, done = DirectoryKeeper.log, [0]

    def logged(self: DirectoryKeeper, step: int, figures: Any) -> None:
        log(self, step, figures)
        done[0] += 1
        if done[0] == steps:
            raise Killed

    return logged


@pytest.mark.parametrize("kill", [3, 5, 8, 14, 19])
@pytest.mark.usefixtures("every_look")
def test_a_killed_training_leaves_in_the_end_what_an_undisturbed_one_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: int
) -> None:
    undisturbed = trained(tmp_path / "whole", log_every=1)
    with monkeypatch.context() as patched:
        patched.setattr(DirectoryKeeper, "log", kill_after(kill))
        with pytest.raises(Killed):
            trained(tmp_path / "killed", log_every=1)
    assert trained(tmp_path / "killed", log_every=1) == undisturbed
    files = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")}
    assert files == {path.relative_to(tmp_path / "killed") for path in (tmp_path / "killed").rglob("*")}
    for file in ("checkpoint.safetensors", "metrics.jsonl", "grids/000020.png"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.usefixtures("every_look")
def test_lines_of_what_was_lost_and_a_line_cut_short_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(DirectoryKeeper, "log", kill_after(12))
        with pytest.raises(Killed):
            trained(tmp_path, log_every=1)
    path = tmp_path / "metrics.jsonl"
    with path.open("a") as file:
        file.write('{"step": 11, "critic_loss": 0.5}\n{"step": 12, "critic_lo')
    trained(tmp_path, log_every=1)
    assert list(losses(tmp_path)) == list(range(1, 21))
    trained(tmp_path / "whole", log_every=1)
    assert path.read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_a_short_training_leaves_one_checkpoint_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, int]] = []
    write = keeping.write_bytes

    def noting(path: Path, content: bytes) -> None:
        written.append((path.name, len(content)))
        write(path, content)

    monkeypatch.setattr(keeping, "write_bytes", noting)
    trained(tmp_path)
    assert [name for name, _ in written].count("checkpoint.safetensors") == 1
    assert not list(tmp_path.rglob("*.tmp"))
    contest = labelled(KEY / 0)
    duel = Duel.start(contest, TINY, KEY)
    duel.restore((tmp_path / "checkpoint.safetensors").read_bytes())
    assert duel.step == TINY.steps


def test_checkpoints_come_as_often_as_the_time_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = [0.0], list[int]()
    monkeypatch.setattr(keeping.time, "monotonic", lambda: clock[0])
    keeper = DirectoryKeeper(tmp_path, "training")
    contest = labelled(KEY)
    duel = Duel.start(contest, TINY, KEY)
    pictures = contest.draw(16, KEY.torch_generator())[0].unflatten(0, (2, 8))
    for step in range(1, 20):
        clock[0], duel.step = 5.0 * step, step
        keeper.look(duel, {"diversity": 1.0}, b"state %d" % step, contest, pictures)
        kept = keeper.checkpoint()
        if kept == b"state %d" % step:
            written.append(step)
    assert written == [5, 10, 15], "more than twenty seconds apart"


def coloured(key: Key) -> Contest:
    return labelled(key, channels=3)


@pytest.mark.parametrize(
    ("make", "columns", "rows", "mode"),
    [(labelled, PROBES, 2, "L"), (coloured, PROBES, 2, "RGB"), (paired, PROBES + 1, 3, "L")],
)
def test_grids_are_pictures_of_what_the_average_draws(
    tmp_path: Path, make: Any, columns: int, rows: int, mode: str
) -> None:
    trained(tmp_path, make)
    grid = Image.open(tmp_path / "grids" / "000020.png")
    assert grid.format == "PNG"
    assert grid.size == (columns * SIDE, rows * SIDE)
    assert grid.mode == mode
    assert len(set(np.asarray(grid).flatten().tolist())) > 5


def test_a_picture_that_was_given_stands_first_in_its_row(tmp_path: Path) -> None:
    trained(tmp_path, paired)
    grid = np.asarray(Image.open(tmp_path / "grids" / "000020.png"))
    for row, picture in enumerate(paired(KEY / 0).probe):
        expected = np.round((picture[0].numpy() + 1) * 127.5)
        assert np.abs(grid[row * SIDE : (row + 1) * SIDE, :SIDE] - expected).max() <= 1


def grids(directory: Path) -> list[int]:
    return sorted(int(path.stem) for path in (directory / "grids").iterdir())


def test_there_are_about_twenty_grids_or_one_at_every_look(tmp_path: Path) -> None:
    config = replace(TINY, steps=120, watch_every=2)
    trained(tmp_path / "some", config=config)
    trained(tmp_path / "all", config=config, every_grid=True)
    assert grids(tmp_path / "all") == list(range(2, 121, 2))
    assert 15 <= len(grids(tmp_path / "some")) <= 25
    assert grids(tmp_path / "some")[-1] == 120


def test_grids_show_the_same_draws_at_every_look(tmp_path: Path) -> None:
    """A rate of almost nothing changes no picture, so that all difference would be one of draws."""
    config = replace(TINY, learning_rate=1e-12, penalty=0.0)
    trained(tmp_path, config=config, every_grid=True)
    first, *others = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "grids").iterdir())]
    assert len(others) == 3
    assert all(np.abs(first.astype(int) - other).max() <= 1 for other in others)


def test_parts_have_directories_of_their_own(tmp_path: Path) -> None:
    keeper = DirectoryKeeper(tmp_path, "training", log_every=5)
    for name in ("cats", "dogs"):
        compete(labelled, TINY, KEY / name, keeper.part(name))
    for name in ("cats", "dogs"):
        assert (tmp_path / name / "checkpoint.safetensors").exists()
        assert list(losses(tmp_path / name)) == [5, 10, 15, 20]
        assert (tmp_path / name / "grids" / "000020.png").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"cats", "dogs"}


def test_trouble_is_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = replace(TINY, least_diversity=0.01)
    trained(tmp_path, lambda key: labelled(key, spread=1e6 if key.path.endswith("/0") else 0.3), config)
    troubles = [line for line in lines(tmp_path) if "trouble" in line]
    assert [line["step"] for line in troubles] == [10, 10]
    assert all("collapsed" in line["trouble"] for line in troubles)
    assert "warning: training, step 10: collapsed" in capsys.readouterr().err


def test_a_training_that_fails_leaves_its_figures(tmp_path: Path) -> None:
    """It is then that one wants to read them."""
    with pytest.raises(TrainingFailed):
        trained(tmp_path, config=replace(TINY, learning_rate=1e30))
    assert len([line for line in lines(tmp_path) if "trouble" in line]) == 4


def test_the_time_left_is_shared_among_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(keeping.time, "monotonic", lambda: clock[0])
    keeper = DirectoryKeeper(tmp_path, "training", budget=60.0)
    clock[0] += 10
    left = 60 * keeping.BUDGET_SHARE - 10
    assert keeper.affordable_steps(0.25, 24) == 24 + int(left / 0.25)
    clock[0] += 1000
    assert keeper.affordable_steps(0.25, 24) == 25, "one step more ends it"
    assert DirectoryKeeper(tmp_path, "training").affordable_steps(1e9, 0) > 10**9


def test_a_budget_ends_the_training_in_time(tmp_path: Path) -> None:
    config = replace(TINY, steps=100_000, watch_every=50)
    outcome = compete(labelled, config, KEY, DirectoryKeeper(tmp_path, "training", budget=0.6))
    steps = outcome.details["generator_steps"]
    assert 24 < steps < 5_000
    assert max(losses(tmp_path)) == steps // 10 * 10
    assert (tmp_path / "grids" / f"{steps:06d}.png").exists()


class Writer:
    """In place of TensorBoard's."""

    made: ClassVar[list[Writer]] = []

    def __init__(self, directory: str) -> None:
        self.directory, self.closed = directory, False
        self.scalars: list[tuple[str, float, int]] = []
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def close(self) -> None:
        self.closed = True


def test_tensorboard_is_written_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch.utils.tensorboard")
    monkeypatch.setattr(module, "SummaryWriter", Writer, raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    Writer.made.clear()
    trained(tmp_path)
    (writer,) = Writer.made
    assert Path(writer.directory) == tmp_path / "tensorboard"
    assert writer.closed
    told = [(name, value, line["step"]) for line in lines(tmp_path) for name, value in line.items() if name != "step"]
    assert writer.scalars == told


def test_without_it_nothing_is_missing(tmp_path: Path) -> None:
    trained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.safetensors", "metrics.jsonl", "grids"}


def test_a_keeper_of_nothing_writes_and_shows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    keeper = Keeper()
    assert keeper.part("one") is keeper
    assert keeper.checkpoint() is None
    compete(labelled, TINY, KEY, keeper)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_what_is_kept_changes_no_weight(tmp_path: Path) -> None:
    assert trained(tmp_path, every_grid=True, log_every=1) == weights_of(compete(labelled, TINY, KEY))
