"""The trials of a study as jobs, and what they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.data.splits import make_splits
from tenfold.runs import Job
from tenfold.runs.arms import Arm
from tenfold.runs.directory import RunDirectory
from tenfold.runs.plan import Plan, Task, TrialConfig, baseline_of
from tenfold.training.classifier_io import CLASSIFIER
from tenfold.training.device import current_device


class TrialJobs:
    """The trials of a study as jobs, and in the run's directory what they read: the images and the splits, once."""

    def __init__(self, plan: Plan, data: ImageDataset, run: RunDirectory) -> None:
        self.plan = plan
        self._run = run
        self._images = run.keep(data)
        self._study = data.part("train")
        self._shape = data.image_shape
        self._device = current_device().kind
        self._baseline = baseline_of(plan)

    def of_repeat(self, repeat: int, *, cheapest_first: bool = False) -> dict[Task, Job]:
        """In the order in which to do them; what awaits the baseline needs that of its own fold alone."""
        key = Key(f"seed-{self.plan.seed}")
        splits = [
            self._run.keep(split.arrays()) for split in make_splits(self._study, self.plan.fold_plan, repeat, key)
        ]
        jobs: dict[Task, Job] = {}
        for task in self.plan.tasks(repeat, cheapest_first=cheapest_first):
            needs: dict[str, Job] = self._shared(task.arm)
            if self.plan.awaits_baseline(task.arm):
                needs["baseline"] = jobs[Task(self._baseline, repeat, task.fold)]
            jobs[task] = self._job(task, {"images": self._images, "split": splits[task.fold]}, needs)
        return jobs

    def kept_classifiers(self, tasks: Mapping[Task, Job]) -> dict[int, Path]:
        """By fold where the classifiers of the baseline's finished trials lie; the first repeat's are kept."""
        files = {
            task.fold: self._run.of(job) / CLASSIFIER
            for task, job in tasks.items()
            if task.arm == self._baseline and self._run.found(job)
        }
        return {fold: path for fold, path in files.items() if path.exists()}

    def _job(self, task: Task, reads: dict[str, str], needs: dict[str, Job]) -> Job:
        # Of the baseline, in case a budget lasts for no training on all images.
        keep = task.arm == self._baseline and task.repeat == 0
        config = TrialConfig(self.plan.training(task.arm), self.plan.seed, task.repeat, task.fold, keep)
        return Job(
            "tenfold.runs.trial:run_trial",
            asdict(config),
            reads | self._outside(task.arm),
            needs,
            task.arm.modules,
            self._device,
            label=f"{task.arm.name}, repeat {task.repeat + 1}, fold {task.fold + 1}",
            kind=task.arm.name,
        )

    def _outside(self, arm: Arm) -> dict[str, str]:
        return {"outside": found} if (found := self.plan.outside.get(arm.name)) else {}

    def _shared(self, arm: Arm) -> dict[str, Job]:
        """By method: the training that is one for all trials, such as a source network's."""
        jobs = {}
        for component in arm.components:
            if shared := component.make({}).shared_training(self._shape):
                function, config = shared
                jobs[component.method] = Job(
                    function, config, self._outside(arm), device=self._device, label=f"shared by {component.method}"
                )
        return jobs
