"""Functions for jobs, which worker processes import too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from tenfold.core.files import write_text
from tenfold.runs import Context, Job
from tenfold.training.device import Device


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
    os.kill(os.getpid(), signal.SIGKILL)
