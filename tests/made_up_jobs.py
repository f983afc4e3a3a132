"""Functions for jobs, which worker processes import too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tenfold.core.files import write_text
from tenfold.runs import Context, Job
from tenfold.training.device import Device
from tenfold.training.step import Step


class Small(Device):
    """Bears two jobs at a time until it knows what one takes."""

    def workers(self, peak_bytes: int | None = None) -> int:
        return 2 if peak_bytes is None else 1


def job(name: str, **changes: Any) -> Job:
    """One of the functions here, told its number so that no two are alike."""
    config = changes.pop("config", {})
    return Job(f"made_up_jobs:{name}", config, label=changes.pop("label", name), **changes)


def square(config: Mapping[str, Any], context: Context) -> Any:
    return {"square": config["number"] ** 2, "pair": (1, 2)}


def total(config: Mapping[str, Any], context: Context) -> Any:
    """Of what it needs."""
    return sum(context.needed(name)[0]["square"] for name in config["names"])


def brightness(config: Mapping[str, Any], context: Context) -> Any:
    images = context.data("images").images
    return {"mean": float(images.mean()), "writeable": bool(images.flags.writeable), "process": os.getpid()}


def chosen(config: Mapping[str, Any], context: Context) -> Any:
    return context.arrays("folds")["rows"].tolist()


def writes(config: Mapping[str, Any], context: Context) -> Any:
    write_text(context.directory / "weights.txt", config["text"])
    return None


def reads(config: Mapping[str, Any], context: Context) -> Any:
    return (context.needed("writer")[1] / "weights.txt").read_text()


def sleeps(config: Mapping[str, Any], context: Context) -> Any:
    time.sleep(config["seconds"])
    return {"deadline": context.deadline, "process": os.getpid()}


def fails(config: Mapping[str, Any], context: Context) -> Any:
    raise ValueError("it cannot be done")


def dies(config: Mapping[str, Any], context: Context) -> Any:
    """At each try, or at the first one alone."""
    tried = context.directory / "tried.txt"
    if not (config.get("once") and tried.exists()):
        write_text(tried, "")
        os.kill(os.getpid(), signal.SIGKILL)


def leaves(config: Mapping[str, Any], context: Context) -> Any:
    os._exit(1)


def starves(config: Mapping[str, Any], context: Context) -> Any:
    raise MemoryError


def result_of(config: Mapping[str, Any], context: Context) -> Any:
    return [context.needed(name)[0] for name in context.results]


class Doubling(Step):
    """A weight that doubles at every step; it is broken off before one of its steps."""

    steps = 6

    def __init__(self, killed_at: int) -> None:
        network = nn.utils.skip_init(nn.Linear, 1, 1, bias=False)
        nn.init.ones_(network.weight)
        self.networks, self.optimizers, self.killed_at = {"network": network}, {}, killed_at

    @torch.no_grad()
    def step(self, number: int) -> dict[str, Tensor]:
        if number == self.killed_at:
            raise KeyboardInterrupt
        self.networks["network"].weight *= 2
        return {}


def trains(config: Mapping[str, Any], context: Context) -> Any:
    """Two trainings; the second is broken off where nobody has tried it before."""
    tried = context.directory / "tried.txt"
    first = context.loop("first").run(lambda _: Doubling(-1 if not tried.exists() else 0)).step
    killed_at = -1 if tried.exists() else 4
    write_text(tried, "")
    second = context.loop().run(lambda _: Doubling(killed_at)).step
    return [step.networks["network"].weight.item() for step in (first, second)]


def trains_for_ever(config: Mapping[str, Any], context: Context) -> Any:
    endless = Doubling(-1)
    endless.steps = 10**9
    context.loop().run(lambda _: endless)


def waits_once(config: Mapping[str, Any], context: Context) -> Any:
    """The first try does not end by itself."""
    tried = context.directory / "tried.txt"
    if not tried.exists():
        write_text(tried, "")
        time.sleep(300)
    return "done"
