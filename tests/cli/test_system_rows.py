"""The rows of the list of bad inputs that are about files: links, pipes, modes, two writers, changed inputs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_up_program import bound_by_permissions, contents, ended, short_studies, started
from made_up_sets import QUICK_CGAN, SHORT

PROVE = ("prove", "set", "--arms", "raw", "--repeats", "1", "--workers", "1")


@pytest.fixture
def folder(class_folders: Callable[..., Path]) -> Path:
    return class_folders({"a": 12, "b": 12})


@pytest.fixture
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.runs.plan.classifier_for", lambda study: SHORT)


def set_aside(text: str) -> dict[str, str]:
    return {one["source"]: one["reason"] for one in json.loads(text)["set_aside"]}


def test_row_43_links_to_outside_and_in_a_circle_are_not_followed(
    folder: Path, class_folders: Callable[..., Path], tenfold: Any, tmp_path: Path
) -> None:
    other = class_folders({"c": 3}, tmp_path / "other")
    (folder / "a/outside").symlink_to(other / "c")
    (folder / "a/outside.png").symlink_to(other / "c/000.png")
    (folder / "b/circle").symlink_to(folder)
    (folder / "b/self.png").symlink_to("self.png")
    status, out, err = tenfold("check", "set", "--json")
    assert status == 0, err
    assert json.loads(out)["images"] == 24
    reasons = set_aside(out)
    assert sorted(reasons) == ["a/outside", "a/outside.png", "b/circle", "b/self.png"]
    assert all("link" in reason for reason in reasons.values())


def test_row_44_a_pipe_among_the_images_is_skipped_by_every_command(
    folder: Path, tenfold: Any, tmp_path: Path
) -> None:
    os.mkfifo(folder / "a/pipe.png")
    status, out, err = tenfold("check", "set", "--json")
    assert (status, set_aside(out)) == (0, {"a/pipe.png": "not a regular file, skipped"}), err
    assert tenfold("grow", "set", "grown", "--with", "classical")[0] == 0
    assert len([*(tmp_path / "grown").glob("*/*.png")]) == 24 * 11


def test_row_45_what_may_not_be_read_is_set_aside(folder: Path, tmp_path: Path) -> None:
    (folder / "a/000.png").chmod(0)
    status, out, err = ended("check", "set", "--json", cwd=tmp_path, preexec_fn=bound_by_permissions)
    assert (status, set_aside(out)) == (0, {"a/000.png": "cannot be opened: Permission denied"}), err
    (folder / "b").chmod(0)
    status, _, err = ended("check", "set", cwd=tmp_path, preexec_fn=bound_by_permissions)
    (folder / "b").chmod(0o755)
    assert (status, "Traceback" in err) == (2, False), err


@pytest.mark.usefixtures("short_trainings")
def test_row_50_a_second_process_on_a_run_and_what_a_kill_leaves(folder: Path, tenfold: Any, tmp_path: Path) -> None:
    words = (*PROVE, "--out", "out")
    with started(*words, cwd=tmp_path, program=short_studies(steps=100_000)) as first:
        assert first.stderr is not None
        for line in first.stderr:
            if line.startswith("trials "):
                break
        status, _, err = tenfold(*words)
        assert (status, f"in use by process {first.pid}" in err) == (2, True), err
        first.kill()
    status, _, err = tenfold(*words)
    assert status == 0, err
    assert (tmp_path / "out/report.html").exists()


@pytest.mark.usefixtures("short_trainings")
def test_row_51_images_that_have_changed_since_are_refused(folder: Path, tenfold: Any, tmp_path: Path) -> None:
    assert tenfold(*PROVE, "--out", "out")[0] == 0
    (tmp_path / "out/report.html").unlink()
    before = contents(tmp_path / "out")
    kept = (folder / "a/000.png").read_bytes()
    shutil.copy(folder / "b/000.png", folder / "a/000.png")
    status, _, err = tenfold(*PROVE, "--out", "out")
    assert (status, "the images of set are not those" in err) == (2, True), err
    assert contents(tmp_path / "out") == before
    (folder / "a/000.png").write_bytes(kept)
    assert tenfold(*PROVE, "--out", "out")[0] == 0


class Danger:
    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


def test_row_52_pickled_weights_are_refused_and_never_run(tenfold: Any, folder: Path, tmp_path: Path) -> None:
    assert tenfold("fit", QUICK_CGAN, "set", "fitted")[0] == 0
    weights = tmp_path / "fitted/generator.safetensors"
    for write in (
        lambda: weights.write_bytes(pickle.dumps(Danger())),
        lambda: torch.save(Danger(), weights),
        lambda: np.savez(weights.open("wb"), weights=np.array([Danger()], dtype=object)),
    ):
        write()
        (tmp_path / "fitted/manifest.jsonl").unlink(missing_ok=True)
        for words in (("sample", "fitted", "out"), ("predict", "fitted/generator.safetensors", "set")):
            status, _, err = tenfold(*words)
            assert (status, "bug" in err) == (2, False), err
    for name in ("model.pt", "model.pkl", "set.npz"):
        shutil.copy(weights, tmp_path / name)
        assert tenfold("predict", name, "set")[0] == 2
        assert tenfold("check", name)[0] == 2
    assert not (tmp_path / "executed").exists()


@pytest.mark.usefixtures("short_trainings")
def test_row_75_every_command_finds_the_same_files(folder: Path, tenfold: Any, tmp_path: Path) -> None:
    for name in (".cache/0.png", "__MACOSX/0.png", ".0.png", "._000.png", "Thumbs.db", "notes.txt"):
        (folder / "a" / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "b/000.png", folder / "a" / name)
    (folder / "b/scan.svg").write_text("<svg/>")
    checked = json.loads(tenfold("check", "set", "--json")[1])
    assert (checked["images"], set_aside(json.dumps(checked)).keys()) == (24, {"b/scan.svg"})
    assert "svg" in checked["set_aside"][0]["reason"].lower()
    assert tenfold("grow", "set", "grown", "--with", "classical")[0] == 0
    assert len([*(tmp_path / "grown").glob("*/*.png")]) == 24 * 11
    forecast = json.loads(tenfold("fit", QUICK_CGAN, "set", "fitted", "--dry-run", "--json")[1])
    assert forecast["images"] == 24
    assert "set: 24 images, 2 classes" in tenfold(*PROVE, "--out", "out")[2]
    classifier = next((tmp_path / "out").rglob("classifier.safetensors"))
    predicted = json.loads(tenfold("predict", str(classifier), "set", "--json")[1])
    assert len(predicted["images"] if isinstance(predicted, dict) else predicted) == 24


def test_row_83_whether_out_can_be_written_is_asked_before_anything_is_read(
    folder: Path, tenfold: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to("nowhere/at/all")
    (tmp_path / "locked").mkdir(mode=0o555)
    for out in (".", "/proc", "file", "link", "set"):
        for words in (("grow", "missing", out, "--with", "classical"), ("fit", QUICK_CGAN, "missing", out)):
            status, _, err = tenfold(*words)
            assert (status, "missing" in err) == (2, False), err
    words = ("grow", "missing", "locked/out", "--with", "classical")
    status, _, err = ended(*words, cwd=tmp_path, preexec_fn=bound_by_permissions)
    assert (status, "cannot write to locked/out: Permission denied" in err) == (2, True), err
    assert (tmp_path / "file").read_text() == "kept"
    assert not os.path.lexists(tmp_path / "nowhere")
