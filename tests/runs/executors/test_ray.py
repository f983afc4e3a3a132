from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_clusters import descendants, gone, jobs_in, one_killed, ray_of_two, verdict_in, verdict_on
from made_up_jobs import job
from made_up_program import ended, started
from made_up_sets import easy_set
from tenfold.core.errors import InputError
from tenfold.runs import Finished
from tenfold.runs.directory import RunDirectory
from tenfold.runs.runner import run_jobs
from tenfold.training.device import CONTEXT_BYTES, Device

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

from tenfold.runs.executors import TRIES, Task  # noqa: E402
from tenfold.runs.executors.ray import Ray, connect  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def two_workers() -> Iterator[None]:
    with ray_of_two():
        yield


@pytest.fixture(scope="module")
def local_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("local")
    verdict_on("processes", directory)
    return directory


def test_a_study_gives_the_verdict_of_worker_processes(tmp_path: Path, local_study: Path) -> None:
    assert verdict_on("ray", tmp_path) == verdict_in(local_study)
    assert jobs_in(tmp_path) == jobs_in(local_study)
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def test_a_study_whose_worker_is_killed_gives_the_same_verdict(
    tmp_path: Path, local_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with one_killed("ray::mixup", tmp_path) as killed:
        verdict = verdict_on("ray", tmp_path, steps=100)
    assert len(killed) == 1
    assert "is lost; it is done again" in capsys.readouterr().err
    assert verdict == verdict_on("processes", tmp_path / "local", steps=100)


def test_a_job_that_kills_its_workers_has_failed_and_the_others_go_on(tmp_path: Path) -> None:
    dies = job("dies")
    jobs = [dies, *(job("square", config={"number": number}) for number in range(3)), job("dies", config={"once": 1})]
    with Ray(Device(), 2) as executor:
        finished = {one.job.hash: one for one in run_jobs(jobs, RunDirectory(tmp_path), executor)}
    failure = str(finished.pop(dies.hash).failure)
    assert failure.startswith(f"its process was killed or its machine lost {TRIES} times")
    assert len(finished) == 4
    assert not any(one.failure for one in finished.values())


class Unshared(Ray):
    """As where workers are on machines that do not see the run's directory."""

    def _mark(self, run: RunDirectory) -> str:
        super()._mark(run)
        return ".never-written"


def test_without_a_shared_directory_sets_and_results_go_through_the_object_store(tmp_path: Path) -> None:
    run, data = RunDirectory(tmp_path), easy_set([6, 6], key=str(time.time()))  # which no earlier test has left
    reads = {"images": run.keep(data), "folds": run.keep({"rows": np.array([3, int(time.time())])})}
    writer = job("writes", config={"text": "weights"})
    jobs = [job("brightness", reads=reads), job("chosen", reads=reads), job("reads", needs={"writer": writer})]
    with Unshared(Device(), 2) as executor:
        results = {one.job.label: one.result for one in run_jobs(jobs, run, executor)}
        stored = set(executor._stored)
    assert results["brightness"]["mean"] == data.images.mean()
    assert results["chosen"][0] == 3
    assert results["reads"] == "weights"
    assert (run.of(writer) / "weights.txt").read_text() == "weights", "came back"
    assert all(run.found(one) for one in [*jobs, writer])
    assert stored >= set(reads.values())


def test_jobs_share_a_gpu_as_far_as_the_first_of_their_kind_leaves_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job("square", config={"number": 2})
    each = 2**30
    answer = Finished(one, 4, 1.0, each), None, 10 * (each + CONTEXT_BYTES)
    monkeypatch.setattr(ray, "get", lambda reference: answer)
    with Ray(Device("cuda:0"), 2) as executor:
        assert executor._ended(Task(one, RunDirectory(tmp_path), None), None)
        assert executor._shares == {one.alike: 0.1}


def test_what_runs_when_the_time_is_up_is_broken_off(tmp_path: Path) -> None:
    jobs = [job("sleeps", config={"seconds": 100, "number": number}) for number in range(2)]
    start = time.monotonic()
    with Ray(Device(), 2) as executor:
        assert list(run_jobs(jobs, RunDirectory(tmp_path), executor, time_left=lambda: 2.0)) == []
    assert time.monotonic() - start < 30
    assert gone([one for one, command in descendants().items() if "ray::sleeps" in command])


def test_a_budget_ends_a_study_with_what_is_known(tmp_path: Path) -> None:
    verdict = verdict_on("ray", tmp_path, steps=100_000, budget=10.0)
    assert verdict["repeats"] <= 1
    assert (tmp_path / "report.html").exists()


def test_ctrl_c_ends_all_that_runs_and_the_same_command_goes_on(tmp_path: Path) -> None:
    words = ["prove", "digits", "--per-class", "6", "--repeats", "1", "--arms", "raw,mixup", "--on", "ray"]
    words += ["--out", "study", "--workers", "2", "--steps"]
    environment = os.environ | {"RAY_ADDRESS": "local"}
    with started(*words, 60, cwd=tmp_path, env=environment, start_new_session=True) as process:
        while not list(tmp_path.glob("study/jobs/*/result.json")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        left = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the finished trials are kept" in err
    assert gone(left), "Ray's processes end with the command"
    status, out, err = ended(*words, 60, cwd=tmp_path, env=environment)
    assert status == 0, err
    assert "continuing in study" in err
    assert "report: study/report.html" in out


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_no_ray_answers_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refused(*given: Any, **named: Any) -> None:
        raise ConnectionError("nobody is there")

    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(InputError, match=f"no Ray answers at {address}: nobody is there"):
        connect(address)
