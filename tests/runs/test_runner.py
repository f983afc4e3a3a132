from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_up_clusters import ray_of_two
from made_up_jobs import Small, job
from made_up_sets import easy_set
from tenfold.core.errors import LESS_MEMORY, SystemFault
from tenfold.runs import CHECKPOINT, Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Executor, Serial
from tenfold.runs.executors.place import Place, executor_for
from tenfold.runs.executors.processes import Processes
from tenfold.runs.runner import run_all, run_jobs
from tenfold.training.device import Device

CPU = Device()


def squares(*numbers: int) -> list[Job]:
    return [job("square", config={"number": number}, label=str(number)) for number in numbers]


@pytest.fixture(scope="module", params=["this process", "workers", "ray"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    place, workers = {"this process": ("processes", 1), "workers": ("processes", 2), "ray": ("ray", 2)}[request.param]
    with ray_of_two() if place == "ray" else nullcontext(), Place.chosen(place).executor(CPU, workers) as executor:
        yield executor


@pytest.fixture
def no_process_left() -> Iterator[None]:
    before = set(active_children())
    yield
    assert set(active_children()) == before


def done(jobs: list[Job], directory: Path, executor: Executor, **settings: Any) -> list[Finished]:
    return list(run_jobs(jobs, RunDirectory(directory), executor, **settings))


def alone(jobs: list[Job], directory: Path, **settings: Any) -> list[Finished]:
    """Done in this process."""
    return done(jobs, directory, Serial(CPU), **settings)


def test_jobs_are_done_and_found_again(tmp_path: Path, executor: Executor) -> None:
    first = done(squares(1, 2, 3), tmp_path, executor)
    assert sorted(one.result["square"] for one in first) == [1, 4, 9]
    assert first[0].result["pair"] == [1, 2], "fresh results are as those that are found"
    assert all(one.peak_bytes and one.peak_bytes > 2**20 for one in first)
    lost = RunDirectory(tmp_path).of(squares(2)[0]) / "result.json"
    lost.rename(lost.with_name(".result.json.half"))  # a kill came before the rename
    again = done(squares(1, 2, 3, 4), tmp_path, executor)
    assert [(one.job.label, one.found) for one in again[:2]] == [("1", True), ("3", True)]
    assert sorted((one.job.label, one.found) for one in again[2:]) == [("2", False), ("4", False)]


def test_what_a_job_needs_is_done_once_and_before_it(tmp_path: Path, executor: Executor) -> None:
    one, two = squares(1, 2)
    sums = [
        job("total", config={"names": ["a", "b"]}, needs={"a": one, "b": two}),
        job("total", config={"names": ["b"]}, needs={"b": two}),
    ]
    finished = done([*sums, two], tmp_path, executor)
    order = [of.job.hash for of in finished]
    assert len(order) == 4
    assert order.index(sums[0].hash) > max(order.index(one.hash), order.index(two.hash))
    results = {of.job.hash: of.result for of in finished}
    assert [results[of.hash] for of in sums] == [5, 4]


def test_what_only_finished_jobs_need_is_not_done_again(tmp_path: Path) -> None:
    needed = squares(2)[0]
    asked = job("total", config={"names": ["a"]}, needs={"a": needed})
    alone([asked], tmp_path)
    (RunDirectory(tmp_path).of(needed) / "result.json").unlink()
    assert [of.job for of in alone([asked], tmp_path)] == [asked]


@pytest.mark.usefixtures("no_process_left")
def test_a_job_waits_for_its_own_needs_and_not_for_others(tmp_path: Path) -> None:
    slow = job("sleeps", config={"seconds": 2.0})
    quick = squares(1)[0]
    after = job("total", config={"names": ["a"]}, needs={"a": quick})
    with executor_for(2) as executor:
        done(squares(2, 3), tmp_path, executor)  # both workers have started
        assert [of.job for of in done([slow, quick, after], tmp_path, executor)] == [quick, after, slow]


def test_files_that_a_needed_job_left_are_read(tmp_path: Path) -> None:
    writer = job("writes", config={"text": "weights"})
    reader = job("reads", needs={"writer": writer})
    assert alone([reader], tmp_path)[-1].result == "weights"
    (RunDirectory(tmp_path).of(writer) / "weights.txt").unlink()
    longer = job("reads", config={"more": 1}, needs={"writer": writer})
    assert [of.found for of in alone([longer], tmp_path)] == [False, False], "written once more"


def test_images_and_arrays_are_mapped_from_the_run(tmp_path: Path, executor: Executor) -> None:
    run, data = RunDirectory(tmp_path), easy_set([6, 6])
    reads = {"images": run.keep(data)}
    jobs = [job("brightness", config={"number": number}, reads=reads) for number in range(3)]
    jobs.append(job("chosen", reads={"folds": run.keep({"rows": np.array([3, 1])})}))
    results = {of.job.hash: of.result for of in run_jobs(jobs, run, executor)}
    assert results[jobs[3].hash] == [3, 1]
    for of in jobs[:3]:
        assert results[of.hash]["mean"] == data.images.mean()
        assert not results[of.hash]["writeable"]
        assert (results[of.hash]["process"] == os.getpid()) == isinstance(executor, Serial)


def test_the_time_ends_jobs_in_this_process_before_they_begin(tmp_path: Path) -> None:
    jobs = [job("sleeps", config={"seconds": 0.2, "number": number}) for number in range(4)]
    left = iter([10.0, 10.0, 10.0, 10.0])
    finished = alone(jobs, tmp_path, time_left=lambda: next(left, 0.1))
    assert [of.job for of in finished] == jobs[:2], "one more would have taken longer than what was left"
    assert abs(finished[0].result["deadline"] - time.time()) < 11


def test_one_that_takes_too_long_does_not_keep_out_shorter_ones_of_another_kind(tmp_path: Path) -> None:
    long = [job("sleeps", config={"seconds": 0.3, "number": number}) for number in range(2)]
    short = squares(2)
    left = iter([10.0, 10.0])
    finished = alone([*long, *short], tmp_path, time_left=lambda: next(left, 0.2))
    assert [of.job for of in finished] == [long[0], *short]


def test_a_training_in_this_process_is_broken_off_at_its_deadline(tmp_path: Path) -> None:
    start = time.monotonic()
    assert alone([job("trains_for_ever")], tmp_path, time_left=lambda: 0.3) == []
    assert time.monotonic() - start < 60
    assert not list(tmp_path.glob("jobs/*/result.json"))


@pytest.mark.usefixtures("no_process_left")
def test_workers_whose_time_is_up_are_stopped_at_once(tmp_path: Path) -> None:
    run, left = RunDirectory(tmp_path), [600.0]
    jobs = [squares(1)[0], *(job("sleeps", config={"seconds": 100, "number": number}) for number in range(2))]
    with executor_for(2) as executor:
        running = run_jobs(jobs, run, executor, time_left=lambda: left[0])
        assert next(running).job == jobs[0]
        left[0], start = 1.0, time.monotonic()
        assert list(running) == []
    assert time.monotonic() - start < 10


def test_what_is_wrong_in_a_job_ends_the_run_and_keeps_what_is_finished(tmp_path: Path, executor: Executor) -> None:
    jobs = [squares(1)[0], job("fails", needs={"a": squares(1)[0]})]
    with pytest.raises(ValueError, match="it cannot be done"):
        done(jobs, tmp_path, executor)
    assert RunDirectory(tmp_path).result(jobs[0])


@pytest.mark.usefixtures("no_process_left")
def test_a_job_whose_worker_is_killed_is_done_once_more_and_then_it_alone_has_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dies, once = job("dies"), job("dies", config={"once": True})
    jobs = [*squares(1, 2), dies, *squares(3, 4), job("result_of", needs={"a": dies})]
    with executor_for(2) as executor:
        finished = done(jobs, tmp_path, executor)
    with executor_for(2) as executor:  # apart, as the pool of one that dies takes the others down with it
        finished += done([once, *squares(5)], tmp_path, executor)
    failures = {of.job.hash: str(of.failure or "") for of in finished}
    assert failures.pop(dies.hash).startswith("its process was killed twice")
    assert len(failures) == 7
    assert not any(failures.values())
    assert next(of.result for of in finished if of.job.label == "result_of") == [None]
    assert "one at a time" in capsys.readouterr().err
    assert not RunDirectory(tmp_path).found(dies), "the same command tries again"


def test_a_worker_that_ends_by_itself_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(SystemFault, match="a worker process ended before its time"), executor_for(2) as executor:
        done([job("leaves")], tmp_path, executor)


def test_a_job_that_finds_too_little_memory_has_failed_and_leaves_nothing(tmp_path: Path, executor: Executor) -> None:
    jobs = [job("starves"), *squares(1, 2)]
    finished = {of.job.label: of for of in done(jobs, tmp_path, executor)}
    assert str(finished["starves"].failure) == f"cpu has too little memory for this; {LESS_MEMORY}"
    assert [finished[name].result["square"] for name in "12"] == [1, 4]
    assert not [*RunDirectory(tmp_path).of(jobs[0]).glob("*")]


def test_no_more_are_done_at_a_time_than_the_device_bears(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with Processes(Small()) as executor:
        jobs = [job("sleeps", config={"seconds": 0.1, "number": number}) for number in range(3)]
        executor.submit(jobs[0], run)
        assert executor.accepts(jobs[1])
        assert executor.completed()[0].job.hash == jobs[0].hash
        executor.submit(jobs[1], run)
        assert not executor.accepts(jobs[2]), "what the first took is known by now"
        assert executor.accepts(job("square")) is True, "of another kind nothing is known"
        executor.completed()


def test_the_number_of_threads_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        alone(squares(1), tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_all_are_given_in_their_order_under_a_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = squares(3, 1, 2)
    alone(jobs[1:2], tmp_path)
    with Serial(CPU) as executor:
        finished = run_all("squares", jobs, RunDirectory(tmp_path), executor)
    assert [of.result["square"] for of in finished] == [9, 1, 4]
    assert "squares 1/3" in capsys.readouterr().err.splitlines()[0]


def test_trainings_of_a_broken_off_job_go_on_and_leave_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.training.loop.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        alone([job("trains")], tmp_path)
    place = RunDirectory(tmp_path).of(job("trains"))
    assert len(list(place.rglob(CHECKPOINT))) == 2
    (place / f".{CHECKPOINT}.k1ll3d").write_bytes(b"half a checkpoint")
    (one,) = alone([job("trains")], tmp_path)
    assert one.result == [64.0, 64.0], "the first would have been broken off at once, had it begun anew"
    assert not list(place.rglob(f"*{CHECKPOINT}*"))
    assert RunDirectory(tmp_path).found(job("trains"))


def test_row_57_a_kill_as_the_result_has_come_leaves_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.training.loop.SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    store = RunDirectory.store

    def killed(*given: Any) -> None:
        store(*given)
        raise KeyboardInterrupt

    place = RunDirectory(tmp_path).of(job("trains"))
    with pytest.raises(KeyboardInterrupt):
        alone([job("trains")], tmp_path)
    assert list(place.rglob(CHECKPOINT)), "broken off in the middle, as that job is the first time"
    monkeypatch.setattr(RunDirectory, "store", killed)
    with pytest.raises(KeyboardInterrupt):
        alone([job("trains")], tmp_path)
    assert RunDirectory(tmp_path).found(job("trains"))
    assert not list(place.rglob(f"*{CHECKPOINT}*")), "nobody would look for it again"
