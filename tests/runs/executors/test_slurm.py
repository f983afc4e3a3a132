from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from made_up_clusters import descendants, gone, jobs_in, one_killed, verdict_in, verdict_on
from made_up_jobs import job
from tenfold.core.errors import InputError
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import TRIES
from tenfold.runs.executors.place import Place
from tenfold.runs.runner import run_jobs
from tenfold.training.device import Device

submitit = pytest.importorskip("submitit", reason="the extra `slurm` is not installed")

from tenfold.runs.executors.slurm import FOLDER, Slurm, SlurmOptions  # noqa: E402

LOCAL = SlurmOptions(cluster="local")
SHORT = {"arms": "raw,mixup", "steps": 20}
JOB = "submitit.core._submit"
"""In the command line of a process that does one of our jobs."""


@pytest.fixture(autouse=True)
def made_up_jobs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture(scope="module")
def local_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("local")
    verdict_on("processes", directory, **SHORT)
    return directory


def test_a_study_whose_job_is_killed_gives_the_verdict_of_worker_processes(
    tmp_path: Path, local_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with one_killed(JOB, tmp_path) as killed:
        verdict = verdict_on("slurm:cluster=local", tmp_path, **SHORT)
    assert len(killed) == 1
    assert "was killed; it is done again" in capsys.readouterr().err
    assert verdict == verdict_in(local_study)
    assert jobs_in(tmp_path) == jobs_in(local_study)
    assert not (tmp_path / FOLDER).exists()


def test_a_study_on_a_slurm_that_is_there_gives_the_same_verdict(tmp_path: Path, local_study: Path) -> None:
    try:
        subprocess.run(["sinfo"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no Slurm answers here")
    assert verdict_on("slurm:time=10m", tmp_path, **SHORT) == verdict_in(local_study)


def test_a_job_that_kills_its_process_has_failed_and_the_others_go_on(tmp_path: Path) -> None:
    dies, needed = job("dies"), job("square", config={"number": 3})
    after = job("total", config={"names": ["a"]}, needs={"a": needed})
    with Slurm(Device(), 2, LOCAL) as executor:
        finished = {one.job.hash: one for one in run_jobs([dies, after], RunDirectory(tmp_path), executor)}
    assert f"lost {TRIES} times" in str(finished[dies.hash].failure)
    assert finished[after.hash].result == 9


def test_what_is_wrong_in_a_job_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^it cannot be done$"), Slurm(Device(), 2, LOCAL) as executor:
        list(run_jobs([job("fails")], RunDirectory(tmp_path), executor))


def test_a_job_whose_machine_is_taken_away_is_queued_anew(tmp_path: Path) -> None:
    waiting, run = job("waits_once"), RunDirectory(tmp_path)

    def take_away() -> None:
        while not (run.of(waiting) / "tried.txt").exists():
            time.sleep(0.05)
        process = next(one for one, command in descendants().items() if JOB in command)
        os.kill(process, signal.SIGUSR2)  # as Slurm does before

    threading.Thread(target=take_away, daemon=True).start()
    with Slurm(Device(), 2, LOCAL) as executor:
        (finished,) = run_jobs([waiting], run, executor)
    assert finished.result == "done"


def test_what_runs_when_the_time_is_up_is_broken_off(tmp_path: Path) -> None:
    with Slurm(Device(), 2, LOCAL) as executor:
        sleeps = job("sleeps", config={"seconds": 100})
        late = run_jobs([sleeps], RunDirectory(tmp_path), executor, time_left=lambda: 5.0)
        assert list(late) == []
    assert gone([one for one, command in descendants().items() if JOB in command])


def test_a_budget_ends_a_study_with_what_is_known(tmp_path: Path) -> None:
    verdict = verdict_on("slurm:cluster=local", tmp_path, arms="raw,mixup", steps=100_000, budget=10.0)
    assert verdict["repeats"] <= 1
    assert (tmp_path / "report.html").exists()
    assert gone([one for one, command in descendants().items() if JOB in command])


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", SlurmOptions()),
        ("gpu", SlurmOptions(partition="gpu")),
        ("partition=gpu,time=90m,memory=4", SlurmOptions(partition="gpu", time="90m", memory=4.0)),
        ("time=90", SlurmOptions(time="90")),
        ("gpu, account=me", SlurmOptions(partition="gpu", account="me")),
    ],
)
def test_options_are_read(text: str, options: SlurmOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert SlurmOptions.read(text) == options


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("slurm:partion=gpu", "slurm has no option 'partion'. Did you mean 'partition'?"),
        ("slurm:time=soon", "'soon' is not a length of time"),
        ("slurm:memory=-1", "it must be at least 0.1"),
        ("slurm:cluster=moon", "cluster=moon"),
    ],
)
def test_options_that_cannot_be_used_are_refused_at_once(text: str, complaint: str) -> None:
    with pytest.raises(InputError) as refused:
        Place.chosen(text)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(("time", "minutes"), [("90", 90), ("90m", 90), ("2h", 120), ("10s", 1)])
def test_a_bare_number_is_one_of_minutes(time: str, minutes: int) -> None:
    assert SlurmOptions(time=time).minutes == minutes


def test_options_become_those_of_an_array_of_one_core_each() -> None:
    asked = SlurmOptions(partition="gpu", time="90m", memory=4.0).parameters(Device("cuda:0"), 8)
    assert asked == {
        "timeout_min": 90, "nodes": 1, "tasks_per_node": 1, "cpus_per_task": 1, "mem_gb": 4.0, "gpus_per_node": 1,
        "slurm_partition": "gpu", "slurm_array_parallelism": 8, "slurm_signal_delay_s": 90,
    }  # fmt: skip


def test_without_slurms_commands_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="is for a computer with Slurm's commands; sbatch is not there"):
        Place.chosen("slurm")
