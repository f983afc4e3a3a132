from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_jobs import job
from made_up_sets import easy_set
from tenfold.core import exit_codes
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_json, write_text
from tenfold.core.manifest import recorded
from tenfold.runs import Finished
from tenfold.runs.directory import CODE, COMMAND, LAST_FILE, RunDirectory, _ended
from tenfold.runs.repeats import trial_of

OPTIONS: dict[str, Any] = {"data": "leaves", "seed": 0, "budget": None}
READS = {"leaves": "print", CODE: "code"}
CHANGEABLE = ("budget", "grow", COMMAND)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exit_codes, "_run_directory", None)


def opened(out: Path | None, command: str = "prove", reads: dict[str, str] = READS, **options: Any) -> Any:
    return RunDirectory.opened(out, command, OPTIONS | options, reads, changeable=CHANGEABLE)


def open_run(*given: Any, **options: Any) -> Path:
    with opened(*given, **options) as run:
        return Path(run.path)


def test_what_was_asked_for_is_kept_before_anything_else() -> None:
    plan = {"plan": {"folds": 5}, "plan_hash": "abc"}
    with RunDirectory.opened(Path("out"), "prove", OPTIONS, READS, plan=plan) as run:
        config = read_json(run.path / "config.json")
    assert (config["command"], config["options"], config["reads"]) == ("prove", OPTIONS, READS)
    assert (config["plan"], config["plan_hash"]) == ({"folds": 5}, "abc")
    assert set(config["made_with"]) == {"tenfold", "torch", "python", "processor", "cores"}


def test_the_same_goes_on_in_its_directory_finished_or_not() -> None:
    with opened(Path("out")) as run:
        write_text(run.path / "jobs/x/result.json", "{}")
    with opened(Path("out"), budget=60.0) as again:
        assert again.path == run.path
        write_text(run.path / LAST_FILE, "finished")
    assert open_run(Path("out")) == run.path


@pytest.mark.parametrize("harm", ["change", "cut", "link", "forge", "foreign"])
def test_what_is_not_as_it_was_written_is_named_before_a_resume(harm: str) -> None:
    with opened(Path("out")):
        write_json(Path("out/jobs/x/result.json"), {"accuracy": 0.5})
        write_text(Path("out/jobs/x/.a.checkpoint.safetensors"), "weights")
    harmed = Path("out/jobs/x") / {"foreign": "other.json", "forge": ".a.checkpoint.safetensors"}.get(
        harm, "result.json"
    )
    if harm == "link":
        harmed.rename("elsewhere")
        harmed.symlink_to(Path("elsewhere").resolve())
    else:
        harmed.write_text({"cut": '{"accu', "change": '{"accuracy": 0.9}'}.get(harm, "{}"))
    with pytest.raises(InputError, match=str(harmed)):
        open_run(Path("out"))
    harmed.unlink()
    assert open_run(Path("out")) == Path("out"), "what is gone is made again"


def test_a_damaged_configuration_or_manifest_is_named() -> None:
    open_run(Path("out"))
    kept = {name: Path("out", name).read_bytes() for name in ("config.json", "manifest.jsonl")}
    for name, content in kept.items():
        for harm in (content[: len(content) // 2], b"[" * 100_000, content.replace(b'"', b"'"), b"", b"[]\n"):
            Path("out", name).write_bytes(harm)
            with pytest.raises(InputError, match=r"config\.json|manifest\.jsonl"):
                open_run(Path("out"))
        Path("out", name).write_bytes(content)
    open_run(Path("out"))
    Path("out/.DS_Store").touch()
    Path("out/Thumbs.db").touch()
    Path("out/tenfold-crash.txt").touch()
    assert open_run(Path("out")) == Path("out"), "what others leave does no harm"


def test_what_a_kill_left_half_written_goes_and_the_manifest_ends_as_if_it_had_not_been() -> None:
    def whole(out: str) -> bytes:
        with opened(Path(out)):
            write_text(Path(out, "a.txt"), "1")
        return Path(out, "manifest.jsonl").read_bytes()

    undisturbed = whole("undisturbed")
    with suppress(KeyboardInterrupt), opened(Path("out")):
        write_text(Path("out/a.txt"), "1")
        write_text(Path("out/b.txt"), "2")
        raise KeyboardInterrupt
    Path("out/b.txt").unlink()
    Path("out/jobs").mkdir()
    Path("out/jobs/.result.json.x3k_a.partial").touch()
    with open("out/manifest.jsonl", "a") as file:
        file.write('{"file": "half')
    assert whole("out") == undisturbed
    assert sorted(path.name for path in Path("out").rglob("*")) == ["a.txt", "config.json", "jobs", "manifest.jsonl"]


def test_each_machine_writes_a_manifest_and_a_run_ends_with_one() -> None:
    with suppress(KeyboardInterrupt), opened(Path("out")) as run:
        for machine in ("", "first", "second"):
            with recorded(run.path, machine):
                write_text(run.path / "jobs" / f"{machine or 'own'}.txt", machine)
        raise KeyboardInterrupt
    assert sorted(path.name for path in Path("out").glob("manifest*")) == [
        "manifest-first.jsonl", "manifest-second.jsonl", "manifest.jsonl",
    ]  # fmt: skip
    Path("out/jobs/second.txt").write_text("changed")
    with pytest.raises(InputError, match=r"second\.txt is not as the run has written it"):
        open_run(Path("out"))
    Path("out/jobs/second.txt").write_text("second")
    open_run(Path("out"))
    assert [path.name for path in Path("out").glob("manifest*")] == ["manifest.jsonl"]
    listed = Path("out/manifest.jsonl").read_text()
    assert all(f"jobs/{name}.txt" in listed for name in ("own", "first", "second"))


def test_row_57_a_kill_between_the_last_two_steps_of_a_run_leaves_the_same_manifest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def whole(out: str, *, images: bool = True) -> list[str]:
        with opened(Path(out)) as run:
            if images:
                write_text(run.path / "data/images.npy", "pixels")
            write_text(run.path / LAST_FILE, "finished")
        return sorted(Path(out, "manifest.jsonl").read_text().splitlines())

    undisturbed = whole("undisturbed")
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr("tenfold.runs.directory.tidy", interrupt)
        whole("out")
    assert not Path("out/data").exists()
    assert not _ended(Path("out")), "the same command, without --out too, goes on here"
    assert [line for line in whole("out", images=False) if "config" not in line] == [
        line for line in undisturbed if "config" not in line
    ]


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("leftover", [".lock", ".config.json.x3k_a"])
def test_a_run_killed_before_its_first_file_is_begun_again(leftover: str) -> None:
    write_text(Path("out") / leftover, "")
    assert (open_run(Path("out")) / "config.json").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": 1}, r"out holds a run with other options \(seed\); choose another --out"),
        ({"seed": 1, "reads": {"leaves": "other", CODE: "other"}}, r"other options \(seed\)"),
        ({"arms": "raw"}, r"other options \(arms\)"),
        (
            {"reads": {"leaves": "other", CODE: "code"}},
            "the images of leaves are not those that .* out began",
        ),
        ({"reads": {"leaves": "print", CODE: "other"}}, "out was made by another version of tenfold"),
    ],
)
def test_what_changed_is_named(changes: dict[str, Any], reason: str) -> None:
    open_run(Path("out"))
    before = Path("out/config.json").read_bytes()
    with pytest.raises(InputError, match=reason):
        open_run(Path("out"), **changes)
    assert Path("out/config.json").read_bytes() == before


def test_what_is_not_a_run_is_left_alone() -> None:
    write_text(Path("out/thesis.txt"), "mine")
    with pytest.raises(InputError, match="not empty and nothing is overwritten"):
        open_run(Path("out"))
    assert [path.name for path in Path("out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", ["{", "[]", '"text"', '{"command": "prove"}', "\xff"])
def test_a_foreign_config_is_no_run(content: str) -> None:
    write_text(Path("out/config.json"), content)
    with pytest.raises(InputError, match="nothing is overwritten"):
        open_run(Path("out"))
    assert Path("out/config.json").read_text("utf-8") == content


def test_only_commands_that_say_so_take_each_other_up() -> None:
    open_run(Path("out"), "prove")
    open_run(Path("out"), "run", grow=None)
    config = read_json(Path("out/config.json"))
    assert (config["command"], config["options"]["grow"]) == ("run", None)
    with (
        pytest.raises(InputError, match="nothing is overwritten"),
        RunDirectory.opened(Path("out"), "adapt", OPTIONS, READS),
    ):
        pass


def test_without_out_an_unfinished_run_goes_on() -> None:
    first = open_run(None)
    assert first.parent == Path("runs")
    assert first.name.startswith("leaves-")
    assert open_run(None) == first
    other = open_run(None, seed=1)
    assert other != first
    assert open_run(None, "run") not in (first, other), "prove and run are not each other's"
    assert open_run(None) == first
    with recorded(first):
        write_text(first / LAST_FILE, "finished")
        (first / "data").mkdir()
    assert open_run(None) == first, "killed between its report and its end"
    assert open_run(None) not in (first, other)


def test_an_odd_name_stays_inside_runs() -> None:
    directory = open_run(None, reads={"a/../../b/c d\n<e>": "print"})
    assert directory.resolve().parent == Path("runs").resolve()


def test_foreign_files_in_runs_do_no_harm() -> None:
    write_json(Path("runs/leaves-x/config.json"), ["not", "a", "run"])
    write_text(Path("runs/leaves-y/config.json"), "{")
    assert (open_run(None) / "config.json").exists()


def test_a_second_process_on_the_same_run_is_told_the_first() -> None:
    with opened(Path("out")):
        program = (
            "import sys; from pathlib import Path; sys.path[:0] = sys.argv[1:]\n"
            "from tenfold.core.errors import InputError; from tenfold.core.output import locked\n"
            "try:\n with locked(Path('out')): print('locked')\n"
            "except InputError as error: print(error)"
        )
        said = subprocess.run([sys.executable, "-c", program, *sys.path], capture_output=True, text=True, check=True)
    assert f"in use by process {os.getpid()}" in said.stdout
    assert open_run(Path("out")) == Path("out")


def test_without_out_a_run_at_work_is_not_joined() -> None:
    with opened(None) as first:
        assert open_run(None) != first.path


def test_a_result_is_found_as_json_gives_it_back(tmp_path: Path) -> None:
    run, wanted = RunDirectory(tmp_path), job("square", config={"number": 3}, label="three")
    assert run.result(wanted) is None
    stored = run.store(wanted, {"pair": (1, 2), 3: None}, 1.5, 2**20)
    assert run.result(wanted) == stored.result == {"pair": [1, 2], "3": None}
    result = run.found(wanted)
    assert result is not None
    assert (result.found, result.seconds, result.peak_bytes) == (True, 1.5, 2**20)
    [entry] = run.manifest()
    assert (entry["hash"], entry["label"], entry["seconds"]) == (wanted.hash, "three", 1.5)
    assert "result" not in entry


def test_a_job_whose_files_are_gone_is_not_finished(tmp_path: Path) -> None:
    run, wanted = RunDirectory(tmp_path), job("square", config={"number": 3})
    write_text(run.of(wanted) / "parts/weights.txt", "1")
    write_text(run.of(wanted) / ".result.json.half", "{")
    run.store(wanted, 9)
    assert run.manifest()[0]["files"] == ["parts/weights.txt"]
    assert run.result(wanted) == 9
    (run.of(wanted) / "parts/weights.txt").unlink()
    assert run.result(wanted) is None


@pytest.mark.parametrize("forged", [[], None, "x", {}, {"files": None}, {"files": [1]}, {"files": [], "result": 1}])
def test_a_result_that_no_job_left_is_refused(tmp_path: Path, forged: Any) -> None:
    run, wanted = RunDirectory(tmp_path), job("square", config={"number": 3})
    write_json(run.of(wanted) / "result.json", forged)
    with pytest.raises(InputError, match="is not what a job leaves"):
        run.found(wanted)


@pytest.mark.parametrize("result", [None, [], {}, {"arm": "raw"}, {"arm": 1, "repeat": "x"}])
def test_a_result_that_is_no_trial_is_refused(result: Any) -> None:
    with pytest.raises(InputError, match="is not that of a trial"):
        trial_of(Finished(job("square"), result, 0.0, None))


def test_sets_and_arrays_lie_there_once_and_only_as_long_as_they_are_read() -> None:
    data = easy_set([3, 3])
    with opened(Path("out")) as run:
        print_ = run.keep(data)
        assert print_ == run.keep(data) == data.fingerprint()
        assert isinstance(data.images.base, np.memmap), "this process maps the same copy as the others"
        rows = run.keep({"rows": np.arange(3)})
        reader = job("brightness", reads={"images": print_, "folds": rows, "weights": "elsewhere"})
        assert set(run.sets(reader)) == {"images", "folds"}
        assert len(list(Path("out/data").iterdir())) == 2
    assert not Path("out/data").exists()


def test_what_goes_on_later_finds_its_images() -> None:
    def stopped() -> None:
        with opened(Path("out")) as run:
            run.keep(easy_set([3, 3]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert Path("out/data").exists()
