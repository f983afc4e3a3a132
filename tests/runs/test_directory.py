from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from made_up_plans import plan_for, whole_set

from tenfold.core import crash
from tenfold.core.errors import InputError
from tenfold.core.files import read_json, write_json, write_text
from tenfold.runs.plan import Plan
from tenfold.runs.study_directory import LAST_FILE, opened

DATA = whole_set()
PLAN = plan_for(DATA)
OPTIONS: dict[str, Any] = {"data": "made-up study", "seed": 0, "repeats": 1, "budget": None}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crash, "_run_directory", None)


def open_run(out: Path | None, plan: Plan = PLAN, command: str = "prove", **options: Any) -> Path:
    with opened(out, command, OPTIONS | options, plan) as directory:
        return directory


def test_the_whole_plan_is_frozen_before_anything_else() -> None:
    run = open_run(Path("out"))
    config = read_json(run / "config.json")
    assert (config["command"], config["options"], config["plan_hash"]) == ("prove", OPTIONS, PLAN.hash)
    assert config["plan"]["data_fingerprint"] == DATA.fingerprint()
    assert config["plan"]["classifier"] == asdict(PLAN.classifier)
    assert set(config["made_with"]) == {"tenfold", "torch", "python", "processor", "cores"}


def test_the_same_plan_goes_on_in_its_directory() -> None:
    run = open_run(Path("out"))
    write_text(run / "trials/x/trial.json", "{}")
    assert open_run(Path("out"), budget=60.0) == run
    write_text(run / LAST_FILE, "finished")
    assert open_run(Path("out")) == run


@pytest.mark.parametrize("leftover", [".lock", ".config.json.x3k_a"])
def test_a_run_killed_before_its_first_file_is_begun_again(leftover: str) -> None:
    write_text(Path("out") / leftover, "")
    assert (open_run(Path("out")) / "config.json").exists()


@pytest.mark.parametrize(
    ("plan", "options"),
    [
        (plan_for(DATA, seed=1), {"seed": 1}),
        (plan_for(whole_set("of another seed"), seed=1), {"seed": 1}),
        (plan_for(DATA, repeats=2), {"repeats": 2}),
    ],
)
def test_other_options_are_named(plan: Plan, options: dict[str, Any]) -> None:
    open_run(Path("out"))
    before = Path("out/config.json").read_bytes()
    with pytest.raises(InputError, match=f"other options.*{next(iter(options))}.*choose another --out"):
        open_run(Path("out"), plan, **options)
    assert Path("out/config.json").read_bytes() == before


def test_images_that_changed_are_told() -> None:
    open_run(Path("out"))
    changed = plan_for(replace(whole_set("changed"), name=DATA.name))
    with pytest.raises(InputError, match="the images of made-up study are not those that the run in out began with"):
        open_run(Path("out"), changed)


def test_another_version_is_told() -> None:
    open_run(Path("out"))
    with pytest.raises(InputError, match="another version of tenfold"):
        open_run(Path("out"), replace(PLAN, code="other"))


def test_what_is_not_a_run_is_left_alone() -> None:
    write_text(Path("out/thesis.txt"), "mine")
    with pytest.raises(InputError, match="not empty and nothing is overwritten"):
        open_run(Path("out"))
    assert [path.name for path in Path("out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", ["{", "[]", '"text"', "\xff"])
def test_a_foreign_config_is_no_run(content: str) -> None:
    write_text(Path("out/config.json"), content)
    with pytest.raises(InputError, match="nothing is overwritten"):
        open_run(Path("out"))
    assert Path("out/config.json").read_text("utf-8") == content


def test_a_run_keeps_what_was_grown_and_says_how_it_was_asked_for_last() -> None:
    open_run(Path("out"), command="prove")
    open_run(Path("out"), command="run", grow=None)
    open_run(Path("out"), command="run", grow="cgan")
    config = read_json(Path("out/config.json"))
    assert (config["command"], config["options"]["grow"]) == ("run", "cgan")
    write_text(Path("out/grown/metadata.jsonl"), "")
    open_run(Path("out"), command="run", grow="cgan")
    with pytest.raises(InputError, match=r"grown otherwise \(--grow\)"):
        open_run(Path("out"), command="run", grow="classical")


def test_without_out_an_unfinished_run_of_the_plan_goes_on() -> None:
    first = open_run(None)
    assert first.parent == Path("runs")
    assert first.name.startswith("made-up study-")
    assert open_run(None) == first
    other = open_run(None, plan_for(DATA, seed=1), seed=1)
    assert other != first
    assert open_run(None, command="run") not in (first, other), "prove and run are not each other's"
    assert open_run(None) == first
    write_text(first / LAST_FILE, "finished")
    assert open_run(None) not in (first, other)


def test_an_odd_name_of_the_data_stays_inside_runs() -> None:
    plan = plan_for(replace(DATA, name="a/../../b/c d\n<e>"))
    directory = open_run(None, plan)
    assert directory.resolve().parent == Path("runs").resolve()


def test_foreign_files_in_runs_do_no_harm() -> None:
    write_json(Path("runs/made-up study-x/config.json"), ["not", "a", "run"])
    write_text(Path("runs/made-up study-y/config.json"), "{")
    assert (open_run(None) / "config.json").exists()


def test_a_second_process_on_the_same_run_is_told_the_first() -> None:
    with opened(Path("out"), "prove", OPTIONS, PLAN):
        program = (
            "import sys; from pathlib import Path; sys.path[:0] = sys.argv[1:]\n"
            "from tenfold.core.errors import InputError; from tenfold.core.files import locked\n"
            "try:\n with locked(Path('out')): print('locked')\n"
            "except InputError as error: print(error)"
        )
        said = subprocess.run([sys.executable, "-c", program, *sys.path], capture_output=True, text=True, check=True)
    assert f"in use by process {os.getpid()}" in said.stdout
    assert open_run(Path("out")) == Path("out")


def test_without_out_a_run_at_work_is_not_joined() -> None:
    with opened(None, "prove", OPTIONS, PLAN) as first:
        assert open_run(None) != first
