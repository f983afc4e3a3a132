from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

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
