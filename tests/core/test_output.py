from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tenfold.core import files, output
from tenfold.core.errors import InputError


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def fill(directory: Path) -> None:
    with output.new_directory(directory) as new:
        output.require_empty(directory)
        files.write_text(new / "metadata.jsonl", "table")
        files.write_text(new / "a/x.png", "image")
        assert not [path for path in directory.iterdir() if not path.name.startswith(".")], "nothing is there yet"


FILLED = {"metadata.jsonl": b"table", "a/x.png": b"image"}


@pytest.mark.parametrize("there", [True, False])
def test_a_new_directory_appears_whole_and_leaves_nothing_beside_itself(there: bool, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    if there:
        out.mkdir(parents=True)
    fill(out)
    assert contents(out) == FILLED
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_link_and_the_working_directory_serve_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    fill(tmp_path / "link")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    fill(Path("."))
    assert contents(tmp_path / "real") == contents(tmp_path / "here") == FILLED


def test_what_fails_inside_leaves_nothing_but_what_it_goes_on_from(tmp_path: Path) -> None:
    for kept in (False, True):
        with suppress(ZeroDivisionError), output.new_directory(tmp_path / "out") as new:
            files.write_text(new / "x", "1")
            if kept:
                files.write_text(new.parent / "run" / "checkpoint", "1")
            raise ZeroDivisionError
        assert [str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("checkpoint")] == (
            [".unfinished/run/checkpoint"] if kept else []
        )
        assert (tmp_path / "out").exists() == kept
    fill(tmp_path / "out")
    assert contents(tmp_path / "out") == FILLED


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_kill_between_two_moves_is_made_good_and_files_of_others_stay(
    moved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", os.replace
    count = iter(range(9))

    def killed(source: Path, target: Path) -> None:
        if Path(target).parent == out and next(count) == moved:
            os._exit(9)
        replace(source, target)

    child = os.fork()
    if not child:
        monkeypatch.setattr(os, "replace", killed)
        fill(out)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (9 if moved < 2 else 0)
    if moved == 2:
        return
    assert len([path for path in out.iterdir() if not path.name.startswith(".")]) == moved
    assert not moved or (out / "metadata.jsonl").exists(), "the table is first: half of a set is read by nothing"
    output.require_empty(out)  # of all but what is on its way there
    files.write_text(out / "thesis.txt", "mine")
    with pytest.raises(InputError, match="not empty"):
        output.require_empty(out)
    with output.new_directory(out):
        assert contents(out).items() > FILLED.items(), "nothing of it is made again"
    assert contents(out) == FILLED | {"thesis.txt": b"mine"}


def test_a_file_that_has_come_meanwhile_is_kept_and_what_is_ready_waits(tmp_path: Path) -> None:
    out = tmp_path / "out"
    new = output.new_directory(out)
    files.write_text(new.__enter__() / "a/x.png", "image")
    files.write_text(out / "a", "mine")
    with pytest.raises(InputError, match="a has come there meanwhile"):
        new.__exit__(None, None, None)
    assert (out / "a").read_text() == "mine"
    (out / "a").unlink()
    with output.new_directory(out):
        assert (out / "a/x.png").exists()
    assert contents(out) == {"a/x.png": b"image"}


def test_what_cannot_be_written_is_said_before_anything(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "deep")
    for path, complaint in (
        (tmp_path, "not empty|is no directory"),
        (tmp_path / "thesis.docx", "File exists|is a file"),
        (tmp_path / "thesis.docx" / "out", "Not a directory"),
        (tmp_path / "dangling", "File exists|cannot write"),
        (tmp_path / ("n" * 300), "File name too long"),
    ):
        with pytest.raises(InputError, match=complaint):
            fill(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "thesis.docx"]


@pytest.mark.parametrize("out", ["s3://bucket/run", "s3:/bucket/run", "file:///here"])
def test_a_url_is_no_directory(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is a URL, to which run and prove alone can write"):
        output.require_writable(Path(out))
    assert not list(tmp_path.iterdir())


def test_a_set_and_what_is_written_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "set")
    monkeypatch.chdir(tmp_path / "set")
    for out in ("set", "set/a/b", "link/out", "set/../set/out"):
        with pytest.raises(InputError, match="which is read"):
            output.require_apart(tmp_path / out, "digits", None, tmp_path / "set")
    with pytest.raises(InputError, match="which is read"):
        output.require_apart(Path("runs"), ".")
    output.require_apart(tmp_path / "set-2", tmp_path / "set")
    output.require_apart(tmp_path, tmp_path / "set")


def test_a_name_that_is_taken_is_kept_for_one(tmp_path: Path) -> None:
    with output.new_file(tmp_path / "new" / "x.png"):
        with pytest.raises(InputError, match="in use by process"), output.new_file(tmp_path / "new" / "x.png"):
            pytest.fail("both hold it")
        (tmp_path / "new" / "x.png").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.png"]
    with pytest.raises(InputError, match="nothing is overwritten"), output.new_file(tmp_path / "new" / "x.png"):
        pytest.fail("it is there")


def test_many_processes_hold_a_lock_one_after_another(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tenfold.core.errors import InputError\n"
        "from tenfold.core.output import locked\n"
        "out, held = Path(sys.argv[1]) / 'out', Path(sys.argv[1]) / 'held'\n"
        "for _ in range(300):\n"
        " try:\n"
        "  with locked(out): held.mkdir(); held.rmdir()\n"
        " except InputError as error: assert 'in use by' in str(error), error\n"
    )
    racing = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(3)]
    assert [one.wait(60) for one in racing] == [0, 0, 0]
    assert [path.name for path in tmp_path.rglob("*")] in ([], ["out"])


def test_a_free_name_is_numbered_before_its_suffix(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        path = output.unused(tmp_path / "crash.txt")
        path.touch()
        names.append(path.name)
    assert names == ["crash.txt", "crash-2.txt", "crash-3.txt"]


def test_two_processes_cannot_work_on_one_run(tmp_path: Path) -> None:
    with (
        output.locked(tmp_path),
        pytest.raises(InputError, match=f"process {os.getpid()};"),
        output.locked(tmp_path),
    ):
        pytest.fail("both hold the lock")
    with output.locked(tmp_path):
        pass


def test_the_lock_of_a_killed_process_does_not_stay(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from tenfold.core.output import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"process {owner.pid};"), output.locked(tmp_path):
            pytest.fail("both hold the lock")
        owner.kill()
        owner.wait()
        with output.locked(tmp_path):
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

    def there(module: ModuleType) -> ModuleType:
        spec = importlib.util.spec_from_file_location("on_windows", str(module.__file__))
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("no directory can be opened there"))
    locked, write_many = there(output).locked, there(files).write_many
    with locked(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()};"), locked(tmp_path):
        pytest.fail("both hold the lock")
    (tmp_path / "out").mkdir()
    write_many(tmp_path / "out", [("a/x", b"1")])
    assert (tmp_path / "out/a/x").read_bytes() == b"1"
