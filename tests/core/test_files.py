from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core import files
from tenfold.core.errors import InputError, SystemFault
from tenfold.core.files import write_many

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_comes_back_as_it_went(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("json") / "value.json"
    files.write_json(path, value)
    assert files.read_json(path) == value


def test_a_name_that_is_not_valid_text_comes_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    files.write_json(tmp_path / "names.json", [name])
    assert files.read_json(tmp_path / "names.json") == [name]
    assert b"caf\xe9.png" in (tmp_path / "names.json").read_bytes()


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"x": 1, "y": 2})
    files.write_json(tmp_path / "b.json", {"y": 2, "x": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "trial.json"
    files.write_text(path, "old")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(SystemFault, match="No space left on device"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path], "no temporary file stays behind"


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trial.json"
    files.write_text(path, "old")
    replace, seen = os.replace, []

    def look_first(source: str, target: Path) -> None:
        seen.append((path.read_text(), Path(source).read_text()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look_first)
    files.write_text(path, "new")
    assert seen == [("old", "new")]
    assert path.read_text() == "new"


def test_an_output_directory_is_made_or_found_empty_and_nothing_is_mixed_in(tmp_path: Path) -> None:
    for _ in range(2):
        files.prepare_output(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "thesis.docx").touch()
    for path, complaint in (
        (tmp_path, "not empty"),
        (tmp_path / "thesis.docx", "is a file"),
        (tmp_path / "thesis.docx" / "out", "choose another directory"),
    ):
        with pytest.raises(InputError, match=complaint):
            files.prepare_output(path)


def test_a_free_name_is_numbered_before_its_suffix(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        path = files.unused(tmp_path / "crash.txt")
        path.touch()
        names.append(path.name)
    assert names == ["crash.txt", "crash-2.txt", "crash-3.txt"]


def test_two_processes_cannot_work_on_one_run(tmp_path: Path) -> None:
    with (
        files.locked(tmp_path),
        pytest.raises(InputError, match=f"process {os.getpid()};"),
        files.locked(tmp_path),
    ):
        pytest.fail("both hold the lock")
    with files.locked(tmp_path):
        pass


def test_the_lock_of_a_killed_process_does_not_stay(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from tenfold.core.files import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"process {owner.pid};"), files.locked(tmp_path):
            pytest.fail("both hold the lock")
        owner.kill()
        owner.wait()
        with files.locked(tmp_path):
            pass


def test_on_windows_a_lock_and_a_new_directory_do_without_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    def locking(handle: int, mode: int, count: int) -> None:
        assert (os.lseek(handle, 0, os.SEEK_CUR), count) == (1 << 30, 1), "the owner's number stays readable"
        if held:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        held.append(handle)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("no directory can be opened there"))
    spec = importlib.util.spec_from_file_location("files_on_windows", files.__file__)
    assert spec is not None
    assert spec.loader is not None
    there = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(there)
    with (
        there.locked(tmp_path),
        pytest.raises(InputError, match=f"process {os.getpid()};"),
        there.locked(tmp_path),
    ):
        pytest.fail("both hold the lock")
    (tmp_path / "out").mkdir()
    there.write_many(tmp_path / "out", [("a/x", b"1")])
    assert (tmp_path / "out/a/x").read_bytes() == b"1"


def test_text_is_added_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.jsonl"
    for line in ("one\n", "zwei ä\n", ""):
        files.append_text(path, line)
    assert path.read_bytes() == "one\nzwei ä\n".encode()


def test_adding_to_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    (tmp_path / "file").touch()
    refused = {tmp_path / "metrics.jsonl": "cannot write ", tmp_path / "file" / "metrics.jsonl": "cannot write "}
    if Path("/dev/full").exists():  # a device that is always full
        refused[Path("/dev/full")] = "No space left on device"
    for path, complaint in refused.items():
        with pytest.raises(SystemFault, match=complaint):
            files.append_text(path, "line\n")


@pytest.mark.parametrize("there", [True, False])
def test_files_appear_together_in_a_new_or_an_empty_directory(there: bool, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    if there:
        out.mkdir(parents=True)
    write_many(out, [("a/x.txt", (b"1", b"", b"2")), ("y.txt", b"2")])
    assert (out / "a/x.txt").read_bytes() == b"12", "a content may come in parts"
    assert (out / "y.txt").read_bytes() == b"2"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_every_file_and_directory_is_flushed_and_not_the_whole_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.add(os.fstat(handle).st_ino))
    monkeypatch.setattr(os, "sync", lambda: pytest.fail("other programs' files are no business of ours"))
    write_many(tmp_path / "out", [("a/x", b"1"), ("y", b"2")])
    assert {path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*"))} <= flushed


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def files() -> Iterator[tuple[str, bytes]]:
        yield "x", b"1"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_many(tmp_path / "out", files())
    assert list(tmp_path.iterdir()) == []


def test_a_full_directory_is_refused_and_a_lost_disk_is_a_system_fault(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x").write_bytes(b"mine")
    with pytest.raises(InputError, match="not empty"):
        write_many(tmp_path / "out", [("x", b"1")])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemFault, match="cannot write"):
        write_many(tmp_path / "file" / "out", [("x", b"1")])
