"""What holds of every verb that writes: the same seed, the same files; nothing overwritten; mistakes told at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_folders import files, write_folders

import tenfold
from made_up_sets import QUICK_CGAN
from tenfold.core.errors import InputError
from tenfold.verbs.prove import prove_forecast

QUICK_DAGAN = QUICK_CGAN.replace("cgan", "dagan")
Writes = Callable[..., Any]


def fit(data: Any, out: Path, **options: Any) -> None:
    tenfold.fit(options.pop("method", QUICK_CGAN), data, out, **options)


def grow(data: Any, out: Path, **options: Any) -> None:
    tenfold.grow(data, out, **{"method": QUICK_CGAN, "times": 1, **options})


def sample(data: Any, out: Path, **options: Any) -> None:
    kept = out.parent / "kept"
    if not kept.exists():
        fit(data, kept)
    tenfold.sample(kept, None, out, times=1, **options)


def restyle(data: Any, out: Path, **options: Any) -> None:
    tenfold.restyle(data, out, **{"steps": 2, **options})


def run(data: Any, out: Path, **options: Any) -> None:
    tenfold.run(data, out=out, grow=options.pop("method", None), **options)


def reproduce(data: Any, out: Path, **options: Any) -> None:
    tenfold.reproduce("mixup", out=out, **options)


def preview(data: Any, out: Path, **options: Any) -> None:
    tenfold.preview(options.pop("method", QUICK_CGAN), data, out.with_suffix(".png"), **options)


@pytest.mark.parametrize("verb", [fit, grow, sample])
def test_the_same_seed_gives_the_same_files_and_another_others(verb: Writes, tmp_path: Path) -> None:
    data = write_folders(tmp_path / "set", [6, 4, 1])
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        verb(data, tmp_path / name, seed=seed)
    first, again, other = (files(tmp_path / name) for name in ("one", "two", "three"))
    assert first == again
    assert set(first) & set(other)
    assert any(first[name] != other[name] for name in set(first) & set(other))


@pytest.mark.parametrize("verb", [fit, grow, sample, restyle, run, reproduce])
def test_a_directory_that_holds_something_is_left_alone(
    verb: Writes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.training.loop.TrainingLoop.run", lambda *_: pytest.fail("trained"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text('{"command": "another"}')
    data = write_folders(tmp_path / "set", [6, 4, 2])
    if verb is sample:
        monkeypatch.undo()
    with pytest.raises(InputError, match="not empty"):
        verb(data, tmp_path / "out")
    assert list(files(tmp_path / "out")) == ["config.json"]


@pytest.mark.parametrize(
    ("verb", "method", "complaint"),
    [
        (fit, "mixup", "mixup trains no generator; methods that do: cgan, dagan, dcgan, restyle"),
        (grow, "mixup", "mixup makes no new image files"),
        (grow, "raw", "raw makes no new image files"),
        (run, "mixup", "mixup makes no new image files"),
        (preview, "mixup,raw", "cannot read"),
        (preview, "placebo", "placebo is a control"),
        (preview, "classical@50%", "trains no arm"),
        (preview, "classical+cgan", "tenfold preview cgan DATA"),
        *((verb, "cgam", "Did you mean 'cgan'") for verb in (fit, grow, run, preview)),
        *((verb, "cgan(stesp=3)", "Did you mean 'steps'") for verb in (fit, grow, run, preview)),
        *((verb, "classical+cgan", "cannot read") for verb in (fit, grow, run)),
    ],
)
def test_a_method_that_cannot_do_it_is_told_before_anything_is_read_or_made(
    verb: Writes, method: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        verb(tmp_path / "not looked at", tmp_path / "out", method=method)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("short_trainings")
@pytest.mark.parametrize("verb", [tenfold.prove, prove_forecast])
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"arms": "mixpu"}, "Did you mean 'mixup'"),
        ({"arms": "oracle"}, "needs more real images"),
        ({"repeats": 0}, "repeats"),
        ({"times": 0.0}, "times"),
        ({"budget": -1.0}, "budget"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_before_anything_is_trained_or_written(
    verb: Writes, options: dict[str, Any], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.verbs.prove.measure_costs", lambda *_: pytest.fail("trained"))
    folder = write_folders(tmp_path / "set", [5, 4])
    with pytest.raises(InputError, match=complaint):
        verb(folder, **{"arms": "raw", **options})
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
