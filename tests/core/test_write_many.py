from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.core.errors import InputError, SystemFault
from tenfold.core.files import write_many


def test_files_appear_together(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    write_many(out, [("a/x.txt", (b"1", b"", b"2")), ("y.txt", b"2")])
    assert (out / "a/x.txt").read_bytes() == b"12", "a content may come in parts"
    assert (out / "y.txt").read_bytes() == b"2"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_many(tmp_path / "out", [("x", b"1")])
    assert (tmp_path / "out/x").read_bytes() == b"1"


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
