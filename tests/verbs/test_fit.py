from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_folders import files, write_folders

from made_up_sets import QUICK_CGAN, easy_set, easy_vectors
from tenfold.core.errors import InputError
from tenfold.core.files import read_json
from tenfold.core.output import locked
from tenfold.methods import load_generator
from tenfold.training import loop as loops
from tenfold.training.callbacks import Metrics
from tenfold.training.loop import TrainingLoop
from tenfold.verbs.fit import fit, fit_forecast
from tenfold.verbs.grow import grow

CGAN = "cgan(batch_size=8,label_filter=no,least_diversity=0,steps=50,watch_every=10,width=4)"
DAGAN = "dagan(batch_size=8,least_diversity=0,steps=20,watch_every=10,width=4)"
DCGAN = "dcgan(batch_size=8,least_diversity=0,steps=20,watch_every=10,width=4)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "set", [6, 4, 2])


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint at every look."""
    monkeypatch.setattr(loops, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)


@pytest.fixture
def stopped_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ctrl-C at this step of any training; 0 lets it go on."""
    result, wanted = Metrics.step, [0]

    def interrupted(self: Metrics, number: int, steps: int, losses: Any) -> None:
        if number == wanted[0]:
            raise KeyboardInterrupt
        result(self, number, steps, losses)

    monkeypatch.setattr(Metrics, "step", interrupted)
    return lambda step: wanted.__setitem__(0, step)


def test_a_generator_is_kept_with_all_that_it_takes_to_use_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fitted = fit(CGAN, folder, out, seed=3)
    grids = {name for name in files(out) if name.startswith("grids/")}
    assert grids
    assert set(files(out)) - grids == {
        "config.json", "generator.json", "generator.safetensors", "manifest.jsonl", "metrics.jsonl",
    }  # fmt: skip
    document = read_json(out / "generator.json")
    assert document.items() >= {
        "method": "cgan", "class_names": ["a", "b", "c"], "image_shape": [1, 8, 8], "class_counts": [6, 4, 2],
        "real_images": 12, "seed": 3,
    }.items()  # fmt: skip
    assert (document["config"]["steps"], document["config"]["noise_size"]) == (50, 32)
    assert document["data"]["name"] == "set"
    assert document["details"]["generator_steps"] == 50
    assert {"tenfold", "torch"} <= set(document["made_with"])
    assert read_json(out / "config.json")["options"]["method"] == CGAN
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()][-1] == 50
    assert fitted.sentence == (
        f"cgan learned from 12 images of 3 classes in 50 steps: {out / 'generator.safetensors'}"
    )
    assert fitted.to_json()["generator_hash"] == load_generator(out).generator.hash


def test_grow_keeps_the_same_generator(folder: Path, tmp_path: Path) -> None:
    fit(CGAN, folder, tmp_path / "fitted", seed=2)
    grow(folder, tmp_path / "grown", method=CGAN, times=1, keep_copies=True, seed=2)
    name = "generator.safetensors"
    assert (tmp_path / "fitted" / name).read_bytes() == (tmp_path / "grown" / name).read_bytes()
    fitted, grown = (read_json(tmp_path / made / "generator.json") for made in ("fitted", "grown"))
    assert {**grown, "details": None} == {**fitted, "details": None}
    assert grown["details"].items() >= fitted["details"].items()


def test_a_training_killed_in_the_middle_ends_with_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    program = "\n".join((
        "import os, signal, sys",
        "from tenfold.training import callbacks, loop",
        "loop.SECONDS_BETWEEN_CHECKPOINTS = -1.0",
        "told = callbacks.Metrics.step",
        "def killed(self, number, steps, losses):",
        "    if number == 37: os.kill(os.getpid(), signal.SIGKILL)",
        "    told(self, number, steps, losses)",
        "callbacks.Metrics.step = killed",
        "from tenfold.cli import main",
        f"sys.argv = ['tenfold', 'fit', {CGAN!r}, {str(folder)!r}, {str(tmp_path / 'killed')!r}]",
        "main()",
    ))  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert {"checkpoint.safetensors", "config.json"} <= set(files(tmp_path / "killed"))
    assert "generator.safetensors" not in files(tmp_path / "killed")
    with pytest.raises(InputError, match="is not finished"):
        load_generator(tmp_path / "killed")
    assert not fit(CGAN, folder, tmp_path / "killed").found
    fit(CGAN, folder, tmp_path / "undisturbed")
    after, never = (files(tmp_path / name) for name in ("killed", "undisturbed"))
    assert after == never, "weights, and metrics and grids besides"
    assert "generator.safetensors" in never


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("method", [CGAN, DAGAN, DCGAN])
def test_a_training_that_was_stopped_goes_on(
    method: str, folder: Path, tmp_path: Path, stopped_at: Callable[[int], None]
) -> None:
    stopped_at(17)
    with pytest.raises(KeyboardInterrupt):
        fit(method, folder, tmp_path / "stopped")
    assert list((tmp_path / "stopped").rglob("checkpoint.safetensors"))
    (tmp_path / "stopped" / ".checkpoint.safetensors.half").write_text("a kill can leave this")
    stopped_at(0)
    fit(method, folder, tmp_path / "stopped")
    fit(method, folder, tmp_path / "undisturbed")
    assert files(tmp_path / "stopped") == files(tmp_path / "undisturbed")
    assert not list((tmp_path / "stopped").rglob("*checkpoint*"))


def test_what_is_finished_is_returned(folder: Path, tmp_path: Path) -> None:
    first = fit(CGAN, folder, tmp_path / "out")
    before = files(tmp_path / "out")
    again = fit(CGAN, folder, tmp_path / "out")
    assert (first.found, again.found) == (False, True)
    assert fit(CGAN, folder, tmp_path / "out", device="cpu").found, "which the first took by itself"
    assert again.sentence == f"{first.sentence} (finished before; nothing was trained)"
    assert again.generator_hash == first.generator_hash
    assert files(tmp_path / "out") == before


@pytest.mark.usefixtures("often")
def test_another_training_in_the_same_directory_is_refused_by_name(
    folder: Path, tmp_path: Path, stopped_at: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    stopped_at(25)
    with pytest.raises(KeyboardInterrupt):
        fit(CGAN, folder, out)
    before = files(out)
    refused: list[tuple[str, dict[str, Any], str]] = [
        (CGAN.replace("steps=50", "steps=60"), {}, "other options (steps)"),
        (CGAN, {"seed": 1, "budget": 60.0}, "other options (seed, budget)"),
        (CGAN, {"size": 10}, "other options (size)"),
        (DAGAN, {}, "other options (generator"),
    ]
    for method, options, complaint in refused:
        with pytest.raises(InputError) as refusal:
            fit(method, folder, out, **options)
        assert complaint in str(refusal.value)
    with pytest.raises(InputError, match="not those that the run in"):
        fit(CGAN, write_folders(tmp_path / "other", [6, 4, 2], key="other"), out)
    monkeypatch.setattr("tenfold.verbs.fit.code_of", lambda module: "another")
    with pytest.raises(InputError, match="another version of tenfold"):
        fit(CGAN, folder, out)
    with locked(out), pytest.raises(InputError, match="in use by process"):
        fit(CGAN, folder, out)
    assert files(out) == before


def test_vectors_are_refused_and_a_single_class_is_enough(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds vectors"):
        fit(CGAN, easy_vectors([5, 5]), tmp_path / "vectors")
    data = easy_set([6])
    assert "6 images of 1 class in 10 steps" in fit(QUICK_CGAN, data, tmp_path / "out").sentence
    assert read_json(tmp_path / "out" / "generator.json")["data"]["fingerprint"] == data.fingerprint()


def test_a_budget_cuts_the_steps(tmp_path: Path) -> None:
    fitted = fit(CGAN.replace("steps=50", "steps=100000"), easy_set([6, 6]), tmp_path / "out", budget=1.5)
    assert 24 < fitted.details["generator_steps"] < 100_000


def test_the_article_is_logged_at_every_step(tmp_path: Path) -> None:
    fit("dcgan(preset=article,batch_size=4,width=2,steps=3,watch_every=1)", easy_set([6]), tmp_path / "out")
    (part,) = [path.parent for path in (tmp_path / "out").rglob("metrics.jsonl")]
    lines = [json.loads(line) for line in (part / "metrics.jsonl").read_text().splitlines()]
    losses = [line["step"] for line in lines if "critic_loss" in line]
    assert losses == [1, 2, 3]
    assert sorted(path.name for path in (part / "grids").iterdir()) == [f"{step:06d}.png" for step in losses]


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fit_forecast(CGAN, folder).facts["seconds_a_step"] > 0, "the pace is measured"
    monkeypatch.setattr(TrainingLoop, "seconds_a_step", lambda *_: 0.5)
    prediction = fit_forecast(CGAN, folder)
    assert prediction.sentence == (
        "cgan would be trained on 12 images of 3 classes (1 x 8 x 8) for 50 steps of 8 images: "
        "about 25 s at 500 ms a step"
    )
    shorter = fit_forecast(CGAN, folder, budget=10.0)
    assert (shorter.facts["steps"], shorter.facts["seconds"]) == (18, 9.0), "nine tenths of the budget"
    assert shorter.sentence.endswith("; 50 steps do not fit into 10 s")
    several = fit_forecast(DCGAN, folder)
    assert (several.facts["networks"], several.facts["steps"]) == (3, 60)
    assert several.sentence.startswith("3 networks of dcgan, one a class, would be trained")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
