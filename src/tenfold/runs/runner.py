"""Doing jobs: what is finished is found and not done again, what others need is done first, within a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from tenfold.core.progress import progress
from tenfold.runs import Finished, Job
from tenfold.runs.directory import RunDirectory
from tenfold.runs.executors import Executor
from tenfold.runs.remote import job_is_finished


def run_jobs(
    jobs: Sequence[Job], run: RunDirectory, executor: Executor, *, time_left: Callable[[], float | None] | None = None
) -> Iterator[Finished]:
    """Do jobs and what they need, and give each as it is known: first those that an earlier run had finished.

    One that failed is given too, with its `failure`; what needs it finds no result.
    They are begun in their order, each as soon as its own needs are finished. Each result is on the disk before it
    is given, so that a kill at any moment costs only what was running.

    Args:
        time_left: seconds until jobs must end, asked before each is begun; None is no limit. No job is begun that
            would not end in time, as far as those of its kind tell, and what runs when the time is up is broken off:
            then fewer jobs are given than were asked for.

    Raises:
        SystemFault: what did the jobs has failed.
    """
    finished: dict[str, Finished] = {}
    missing: dict[str, Job] = {}
    for job in jobs:
        _find(job, run, finished, missing)
    yield from finished.values()
    seconds_of = {one.job.alike: one.seconds for one in finished.values()}
    running = 0
    while missing or running:
        left = time_left() if time_left is not None else None
        for job in [job for job in missing.values() if all(of.hash in finished for of in job.needs.values())]:
            if left is not None and left <= seconds_of.get(job.alike, 0.0):
                continue  # one of another kind may still end in time
            if not executor.accepts(job):
                break
            executor.submit(missing.pop(job.hash), run, None if left is None else time.time() + left)
            running += 1
        if time_left is not None:
            left = time_left()  # the first worker takes seconds to start
        completed = executor.completed(left) if running else []
        if not completed:
            executor.stop()
            return
        for one in completed:
            running -= 1
            finished[one.job.hash] = one
            if one.failure is None:
                seconds_of[one.job.alike] = one.seconds
                job_is_finished(run.of(one.job))
            yield one


def _find(job: Job, run: RunDirectory, finished: dict[str, Finished], missing: dict[str, Job]) -> None:
    """Sort the job into one of the two, behind what it needs; a finished job's needs are not looked for."""
    if job.hash in finished or job.hash in missing:
        return
    if found := run.found(job):
        finished[job.hash] = found
        return
    for needed in job.needs.values():
        _find(needed, run, finished, missing)
    missing[job.hash] = job


def run_all(
    title: str, jobs: Sequence[Job], run: RunDirectory, executor: Executor, *, may_fail: bool = False
) -> list[Finished]:
    """Do all jobs while a bar shows how far they are, and give them in their order.

    Raises:
        TenfoldError: why a job has failed, unless the caller bears with that.
    """
    known: dict[str, Finished] = {}
    wanted = {job.hash: job for job in jobs}
    found = {number for number, job in wanted.items() if run.found(job)}
    started, done_cost = time.monotonic(), 0.0
    all_cost = sum(job.cost for number, job in wanted.items() if number not in found)
    with progress(title, len(wanted), done=len(found)) as bar:
        for one in run_jobs(jobs, run, executor):
            if one.failure is not None and not may_fail:
                raise one.failure
            known[one.job.hash] = one
            if one.job.hash in wanted and not one.found:
                done_cost += one.job.cost
                pace = (time.monotonic() - started) / done_cost
                bar.advance(1, one.job.label, pace * (all_cost - done_cost))
    return [known[job.hash] for job in jobs]
