"""The rows of the list of bad inputs that are about writing, options and streams, through the program itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from made_up_images import noise_image
from made_up_program import PROGRAM, contents, small_files, started

QUICK = "cgan(steps=40,width=4,batch_size=8,label_filter=no,least_diversity=0,watch_every=20)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same images wherever the test runs: of others a generator of so few steps may make nothing but copies."""
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for index in range(12):
            Image.fromarray(noise_image((name, index))).save(tmp_path / "set" / name / f"{index:03d}.png")
    return tmp_path / "set"


def commands(out: str) -> list[list[str]]:
    arms = f"raw,classical+{QUICK}"
    return [
        ["grow", "set", out, "--with", "classical"],
        ["fit", QUICK, "set", out],
        ["restyle", "set", out],
        ["prove", "set", "--arms", arms, "--out", out],
        ["run", "set", "--arms", arms, "--out", out],
        ["adapt", "set", "--to", "set", "--out", out],
        ["check", "set", "--out", out],
        ["preview", "mixup", "set", "--out", f"{out}/x.png"],
    ]


@pytest.mark.parametrize("number", range(8))
def test_row_80_a_second_writer_is_told_the_first_and_a_stale_lock_is_taken_over(
    number: int, folder: Path, tmp_path: Path, tenfold: Any
) -> None:
    command = commands("out")[number]
    name = ".x.png.lock" if command[0] == "preview" else ".lock"
    hold = (
        "import sys, time; from pathlib import Path; from tenfold.core.output import locked\n"
        f"with locked(Path('out'), {name!r}): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        status, _, err = tenfold(*command)
        owner.kill()
    assert (status, f"in use by process {owner.pid}" in err) == (2, True), err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name], "the killed one's"
    if command[0] in ("grow", "check", "preview"):
        assert tenfold(*command)[0] == 0
        assert not (tmp_path / "out" / name).exists()


@pytest.mark.parametrize("command", ["grow", "fit"])
def test_row_81_what_is_killed_goes_on_to_the_same_bytes_and_leaves_nothing(
    command: str, folder: Path, tmp_path: Path
) -> None:
    def words(out: str) -> list[str]:
        return ["fit", QUICK, "set", out] if command == "fit" else ["grow", "set", out, "--with", QUICK]

    def whole(out: str) -> dict[str, bytes]:
        with started(*words(out), cwd=tmp_path) as process:
            assert process.wait(100) == 0, process.stderr and process.stderr.read()
        return contents(tmp_path / out)

    began = time.monotonic()
    undisturbed = whole("undisturbed")
    took = time.monotonic() - began
    for share in (0.6, 0.85):
        with started(*words("out"), cwd=tmp_path) as process:
            time.sleep(share * took)
            process.kill()
        if (tmp_path / "out").exists() and {path.name for path in (tmp_path / "out").iterdir()} >= {"metadata.jsonl"}:
            break  # it came too late
    else:
        whole("out")
    out = {name: content for name, content in contents(tmp_path / "out").items() if name != ".lock"}
    assert out == undisturbed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set", "undisturbed"]


def test_row_81_a_set_that_is_there_already_is_told_and_every_other_is_refused(
    folder: Path, tmp_path: Path, tenfold: Any
) -> None:
    words = ["grow", "set", "out", "--with", QUICK]
    status, first, _ = tenfold(*words)
    made = contents(tmp_path / "out")
    again, second, err = tenfold(*words)
    assert (status, again, "nothing to do" in err) == (0, 0, True)
    assert second == first.replace("\n", "; they were there already\n")
    others = ["--seed", "1"], ["--times", "2"], ["--class", "a"], ["--per-class", "6"]
    for other in others:
        status, _, err = tenfold(*words, *other)
        assert (status, "other options" in err) == (2, True), err
    assert tenfold("grow", "set", "out", "--with", "classical")[0] == 2
    status, _, err = tenfold("restyle", "set", "out")
    assert (status, "not empty" in err) == (2, True), err
    assert contents(tmp_path / "out") == made
    image = next((tmp_path / "out/a").glob("generated*"))
    more = image.parent / "mine.png"
    for harm in (image.unlink, lambda: image.write_bytes(b"x"), more.touch):
        harm()
        status, _, err = tenfold(*words)
        assert (status, f"out/a/{image.name}" in err or "mine.png" in err) == (2, True), err
        image.write_bytes(made[f"a/{image.name}"])
    more.unlink()
    shutil.copy(folder / "a/000.png", folder / "a/more.png")
    (folder / "a/000.png").unlink()
    assert tenfold(*words)[0] == 2, "of other images"


@pytest.mark.parametrize("number", range(8))
def test_row_82_nothing_is_written_among_what_is_read(
    number: int, folder: Path, tmp_path: Path, tenfold: Any
) -> None:
    before = contents(folder)
    status, _, err = tenfold(*commands("set/new")[number])
    assert (status, "which is read" in err) == (2, True), err
    assert contents(folder) == before
    assert not (folder / "new").exists()


def test_row_82_the_working_directory_is_not_proved_into_itself(
    folder: Path, tenfold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    monkeypatch.chdir(folder)
    for command in ("prove", "run"):
        status, _, err = tenfold(command, ".")
        assert (status, "--out" in err) == (2, True)
    assert contents(folder) == before


@pytest.mark.parametrize("number", range(8))
def test_row_48_and_83_where_nothing_can_be_written_is_said_before_the_data_is_read(
    number: int, tmp_path: Path, tenfold: Any
) -> None:
    (tmp_path / "file").touch()
    for out in ("n" * 300, "file/out", "/proc/out"):  # and the data is not even there
        status, _, err = tenfold(*commands(out)[number])
        assert (status, "cannot write to" in err or "name too long" in err) == (2, True), err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_row_84_another_sets_check_is_not_overwritten(
    class_folders: Callable[..., Path], tmp_path: Path, tenfold: Any
) -> None:
    for name in ("one/set", "two/set"):
        class_folders({"a": 4, "b": 4}, tmp_path / name)
    assert tenfold("check", "one/set", "--out", "out")[0] == 0
    before = (tmp_path / "out/check.json").read_bytes()
    status, _, err = tenfold("check", "two/set", "--out", "out")
    assert (status, "is of another set" in err) == (2, True)
    assert (tmp_path / "out/check.json").read_bytes() == before
    (tmp_path / "one/set/a/000.png").unlink()
    assert tenfold("check", "one/set", "--out", "out")[0] == 0, "the same set, mended"
    assert json.loads((tmp_path / "out/check.json").read_text())["images"] == 7


def test_row_85_a_file_of_a_run_that_was_changed_is_named(folder: Path, tmp_path: Path, tenfold: Any) -> None:
    words = ["fit", QUICK, "set", "out"]
    assert tenfold(*words)[0] == 0
    out = tmp_path / "out"
    for name in ("config.json", "generator.json", "generator.safetensors", "manifest.jsonl", "metrics.json"):
        kept = (out / name).read_bytes() if (out / name).exists() else None
        harms = [b"{}"] if kept is None else [kept[:-9], b"", b"[" * 100_000, kept.replace(b"0", b"7", 3)]
        for harm in harms:
            (out / name).write_bytes(harm)
            status, _, err = tenfold(*words)
            assert (status, name in err or "manifest" in name) == (2, True), (name, harm[:20], err)
        if kept is None:
            (out / name).unlink()
        else:
            (out / name).write_bytes(kept)
    assert tenfold(*words)[0] == 0


def test_row_85_weights_that_are_nan_are_refused_also_where_no_manifest_lies_beside_them(
    folder: Path, tmp_path: Path, tenfold: Any
) -> None:
    assert tenfold("fit", QUICK, "set", "kept")[0] == 0
    (tmp_path / "alone").mkdir()
    for name in ("generator.json", "generator.safetensors"):
        shutil.copy(tmp_path / "kept" / name, tmp_path / "alone")
    weights = load_file(tmp_path / "alone/generator.safetensors")
    first = next(name for name, value in weights.items() if value.dtype == np.float32)
    for harm in (np.nan, np.inf):
        weights[first].flat[0] = harm
        save_file(weights, tmp_path / "alone/generator.safetensors")
        status, _, err = tenfold("sample", "alone", "set", "out")
        assert (status, "NaN or infinite" in err) == (2, True), err
    (tmp_path / "kept/generator.json").write_bytes((tmp_path / "kept/generator.json").read_bytes() + b" ")
    save_file(weights, tmp_path / "kept/generator.safetensors")
    status, _, err = tenfold("sample", "kept", "set", "out")
    assert (status, "not as it was written" in err) == (2, True), err


@pytest.mark.parametrize(
    ("line", "bound"),
    [
        ("prove digits --workers 100000", "256"),
        ("prove digits --budget 99999999999999999999s", "at most"),
        ("prove digits --budget inf", "not a length of time"),
        ("grow digits out --with cgan --times 1e9", "1000"),
        ("grow digits out --with cgan --times nan", "1000"),
        ("grow digits out --with cgan --times inf", "1000"),
        ("prove digits --size 100000", "1024"),
        ("prove digits --seed 99999999999999999999", "9223372036854775807"),
        ("prove digits --repeats 100000", "1000"),
        ("grow digits out --with cgan(steps=99999999999999999999)", "at most 10,000,000"),
        ("grow digits out --with cgan(batch_size=1000000000)", "at most 10,000,000"),
        ("prove digits --arms mixup(alpha=inf)", "finite"),
        ("prove digits --arms mixup(alpha=nan)", "alpha=nan"),
        ("adapt digits --to digits --confidence nan", "1"),
        (f"prove digits --arms {'x' * 300}", "no method"),
        (f"check {'x' * 300}", "no such file"),
    ],
)
def test_row_86_absurd_values_are_refused_with_their_bound(
    line: str, bound: str, tenfold: Any, tmp_path: Path
) -> None:
    status, _, err = tenfold(*line.split())
    assert (status, bound in err) == (2, True), err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("redirected", "status"),
    [("check digits >&-", 0), ("check digits > /dev/full", 3), ("check digits <&- >&- 2>&-", 0),
     ("check digits 2> /dev/full", 0), ("--help > /dev/full", 3), ("--help >&-", 0), ("nonsense 2> /dev/full", 3)],
)  # fmt: skip
def test_row_88_a_closed_or_full_stream_ends_as_it_should(redirected: str, status: int, tmp_path: Path) -> None:
    line = f'"$@" {redirected}'
    ran = subprocess.run(["bash", "-c", line, "bash", *PROGRAM], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.returncode, "Traceback" in ran.stderr, "ignored" in ran.stderr) == (status, False, False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0.15, 0.4, 0.8, 1.5])
def test_row_56_and_88_control_c_in_the_first_seconds_is_130_without_a_traceback(
    seconds: float, tmp_path: Path
) -> None:
    with started("prove", "digits", "--out", "out", cwd=tmp_path, start_new_session=True) as process:
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "stopped" in err


def test_row_49_a_full_disk_is_status_3_and_the_same_command_goes_on(folder: Path, tmp_path: Path) -> None:
    words = ["fit", QUICK, "set", "out"]
    with started(*words, cwd=tmp_path, preexec_fn=small_files) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (3, False), err
    for out in ("out", "undisturbed"):
        with started(*words[:-1], out, cwd=tmp_path) as process:
            assert process.wait(60) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")
