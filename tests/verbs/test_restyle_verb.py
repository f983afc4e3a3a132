from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_folders import files, records
from PIL import Image
from typer.testing import CliRunner

import tenfold
from made_up_sets import QUICK_RESTYLE
from made_up_styles import styled_set
from tenfold.cli import app
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.keys import Key
from tenfold.data.export import export
from tenfold.generators.gates import styles_by_classes
from tenfold.methods import MethodFailed, load_generator
from tenfold.methods import restyle as restyle_method
from tenfold.methods.restyle import Method, Restyler
from tenfold.report.image_sheet import OWN, style_grid
from tenfold.training import loop as loops
from tenfold.training.step import TrainingFailed
from tenfold.verbs import restyle as verb
from tenfold.verbs.fit import fit
from tenfold.verbs.grow import grow, grow_forecast
from tenfold.verbs.restyle import restyle_forecast
from tenfold.verbs.sample import sample


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every restyling of these tests is short and passes its gates."""
    made = verb.make_method

    def short(name: str, options: dict[str, Any]) -> Any:
        given = {"steps": 4, "width": 4, "judge_steps": 4, "probe_steps": 4, "least_swap_accuracy": 0.0}
        return made(name, {**given, "label_filter": False, **options})

    monkeypatch.setattr(verb, "make_method", short)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    real = styled_set(48)
    export(tmp_path / "set", real, [{"origin": "real"}] * len(real))
    return tmp_path / "set"


@pytest.mark.usefixtures("quick")
def test_everything_is_written_and_tells_where_it_came_from(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = tenfold.restyle(folder, out, times=1.5, seed=3, keep_copies=True)
    real = {line["file_name"]: line["label"] for line in records(folder)}
    lines = records(out)
    assert len(lines) == done.grown.new_images == 72
    assert len(list(out.glob("?/*.png"))) == 72
    weights = (out / "restyler.safetensors").read_bytes()
    for line in lines:
        assert line["origin"] == "generated"
        assert line["method"] == "restyle"
        assert line["generator"] == hashlib.sha256(weights).hexdigest()[:16]
        assert isinstance(line["seed"], int)
        assert line["parents"]
        assert all(real[parent] != line["label"] for parent in line["parents"])
        assert Image.open(out / line["file_name"]).size == (8, 8)
    document = read_json(out / "restyler.json")
    assert (document["method"], document["class_names"]) == ("restyle", ["a", "b", "c", "d"])
    assert document["config"]["steps"] == 4
    gates = read_json(out / "gates.json")
    assert gates["passed"] is True
    assert gates["in_words"] == list(done.gates.sentences)
    assert gates["held_out"] is True
    assert 0 <= gates["swap_accuracy"] <= 1
    assert done.text.splitlines()[:4] == gates["in_words"]
    assert Image.open(out / "grid.png").size[0] > 500


@pytest.mark.usefixtures("quick")
def test_the_same_seed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    def written(name: str, seed: int) -> dict[str, bytes]:
        tenfold.restyle(folder, tmp_path / name, seed=seed)
        return files(tmp_path / name)

    assert written("a", 1) == written("b", 1)
    assert written("c", 2)["gates.json"] != written("d", 1)["gates.json"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("stage", ["train_fader", "measured", "styles_by_classes"])
def test_what_was_killed_goes_on_and_ends_in_the_same_files(
    stage: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(name: str) -> dict[str, bytes]:
        tenfold.restyle(folder, tmp_path / name, keep_copies=True)
        return files(tmp_path / name)

    def killed(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(loops, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with monkeypatch.context() as patched:
        patched.setattr(verb if stage == "styles_by_classes" else restyle_method, stage, killed)
        with pytest.raises(KeyboardInterrupt):
            written("killed")
    kept = tmp_path / "killed" / ".unfinished" / "run"
    assert (kept / "checkpoint.safetensors").exists() == (stage != "train_fader")
    with pytest.raises(InputError, match=r"holds a run with other options \(seed\)"):
        tenfold.restyle(folder, tmp_path / "killed", seed=3, keep_copies=True)
    assert written("whole") == written("killed")
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.usefixtures("quick")
def test_a_training_that_failed_leaves_nothing_that_bars_other_options(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any, **options: Any) -> Any:
        raise TrainingFailed("the losses became NaN")

    with monkeypatch.context() as patched:
        patched.setattr(restyle_method, "train_fader", fails)
        with pytest.raises(MethodFailed, match="NaN"):
            tenfold.restyle(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert tenfold.restyle(folder, tmp_path / "out", seed=5, keep_copies=True).grown.new_images


@pytest.mark.usefixtures("quick")
def test_below_the_gate_no_image_is_written_but_the_grid_and_the_gates_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Restyler, "refusal", "too few can be read")
    for _ in range(2):  # given again, the same command says the same
        with pytest.raises(MethodFailed, match=r"too few can be read; grid\.png and gates\.json in"):
            tenfold.restyle(folder, tmp_path / "out")
    names = ["config.json", "gates.json", "grid.png", "manifest.jsonl"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    gates = read_json(tmp_path / "out" / "gates.json")
    assert (gates["passed"], gates["refused"]) == (False, "restyle: too few can be read")
    assert "swap accuracy" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_the_command_tells_the_gates_and_leaves_with_its_status(folder: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    outcome = runner.invoke(app, ["restyle", str(folder), str(tmp_path / "a"), "--class", "b", "--keep-copies"])
    assert outcome.exit_code == 0, outcome.output
    assert "fresh probe" in outcome.stdout
    assert {line["label"] for line in records(tmp_path / "a")} == {"b"}
    asked = ["restyle", str(folder), "--out", str(tmp_path / "b"), "--json", "--times", "0.5", "--keep-copies"]
    document = json.loads(runner.invoke(app, asked).stdout)
    assert document["new_images"] == 24
    assert document["gates"]["pictures"] > 0
    assert runner.invoke(app, ["restyle", str(folder), str(tmp_path / "c"), "--preset", "no"]).exit_code == 2
    assert not (tmp_path / "c" / "grid.png").exists()


def test_what_a_training_would_take_is_told_and_nothing_written(folder: Path, tmp_path: Path) -> None:
    prediction = restyle_forecast(folder, times=2, steps=50)
    assert prediction.facts["new_images"] == 96
    assert prediction.facts["steps"] == 50
    assert prediction.facts["seconds"] > 0
    assert "48 images of 4 classes for 50 steps" in prediction.sentence
    assert grow_forecast(folder, method=QUICK_RESTYLE, times=2).facts["steps"] == 4
    assert restyle_forecast(folder).facts["steps"] == 600
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_grid_has_a_row_a_style_and_marks_each_ones_own_class() -> None:
    method = Method(Method.Config(steps=4, width=4, judge_steps=4, probe_steps=4))
    restyler = method.learn(styled_set(60), Key("one"))
    assert isinstance(restyler, Restyler)
    real = restyler.looked_at
    rows, images = styles_by_classes(restyler.network, real, Key("grid"))
    assert images.shape == (4, 4, 1, 8, 8)
    sheet = style_grid(real, rows, images, seen=False)
    assert list(sheet.headings) == ["real", "a", "b", "c", "d"]
    assert len(sheet.rows) == 4
    for place, row in enumerate(sheet.rows):
        first, *others = row
        assert first is not None
        assert first.caption == (real.class_names[place],)
        assert any(np.array_equal(first.image, image) for image in real.images)
        assert [cell is not None and cell.caption == (OWN,) for cell in others] == [k == place for k in range(4)]
    assert "from which nothing learned" in sheet.note


def test_an_autoencoder_is_grown_with_kept_and_sampled_like_any_generator(folder: Path, tmp_path: Path) -> None:
    grown = grow(folder, tmp_path / "grown", method=QUICK_RESTYLE, times=0.5, only_new=True, keep_copies=True)
    assert grown.new_images == 24
    kept = fit(QUICK_RESTYLE, folder, tmp_path / "fitted")
    assert kept.generator_hash == load_generator(tmp_path / "grown").generator.hash == grown.generator_hash
    drawn = sample(tmp_path / "fitted", folder, tmp_path / "drawn", times=0.5, keep_copies=True)
    assert drawn.grown.new_images == 24
    sources = [record["parents"] for record in records(tmp_path / "drawn")]
    assert all(sources), "each has its style from a real image"
    assert (tmp_path / "drawn" / "interpolation.png").exists()
    with pytest.raises(InputError, match="makes new images from real ones: name a set"):
        sample(tmp_path / "fitted", None, tmp_path / "more")
    with pytest.raises(InputError, match="--truncation bounds the noise of a generator, and restyle draws from none"):
        sample(tmp_path / "fitted", folder, tmp_path / "more", truncation=1.0)
