"""One file a verb: what the command line parses for and the public API hands on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from tenfold.core.options import PROCESSES, TrainingOptions

P = ParamSpec("P")
T = TypeVar("T")


def on_chosen_device(verb: Callable[P, T]) -> Callable[P, T]:
    """Do all of the verb's work on the device, and its jobs in the place, that its options name.

    These are `device` and `on`, in the options or as keywords.

    Raises:
        InputError: there is no such device or place.
    """

    @wraps(verb)
    def there(*arguments: P.args, **keywords: P.kwargs) -> T:
        from tenfold.runs.executors.place import working_on
        from tenfold.training.device import Device, using

        def asked(name: str, default: str) -> str:
            given = (getattr(one, name) for one in (*arguments, keywords.get("options")) if hasattr(one, name))
            return str(keywords.get(name, next(given, default)))

        name = asked("device", TrainingOptions.device)
        # Without a choice of the caller's the environment may make one.
        device = Device.chosen(None if name == TrainingOptions.device else name)
        with using(device), working_on(asked("on", PROCESSES)):
            return verb(*arguments, **keywords)

    return there
