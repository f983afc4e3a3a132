"""One file a verb: what the command line parses for and the public API hands on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from tenfold.core.errors import InputError
from tenfold.core.options import PROCESSES, TrainingOptions

P = ParamSpec("P")
T = TypeVar("T")


def on_chosen_device(verb: Callable[P, T]) -> Callable[P, T]:
    """Do all of the verb's work on the device, and its jobs in the place, that its options name.

    These are `device` and `on`, in the options or as keywords.

    Raises:
        InputError: there is no such device or place, or torchrun has started processes of which this verb has no use.
    """
    return _there(verb, joins=False)


def on_all_devices(verb: Callable[P, T]) -> Callable[P, T]:
    """The same of a verb that trains one thing: the processes that torchrun has started train it together.

    Raises:
        InputError: there is no such device or place.
    """
    return _there(verb, joins=True)


def out_at_url(verb: Callable[P, T]) -> Callable[P, T]:
    """Let the verb's `out` be a URL too: it works in a copy, and all of that is at the URL when it ends.

    Raises:
        InputError: the URL cannot be used.
        SystemFault: it cannot be read or written.
    """

    @wraps(verb)
    def there(*arguments: P.args, **keywords: P.kwargs) -> T:
        from tenfold.runs.remote import is_url, working_copy

        if not is_url(out := keywords.get("out")):
            return verb(*arguments, **keywords)
        with working_copy(str(out)) as copy:
            keywords["out"] = copy
            return verb(*arguments, **keywords)

    return there


def _there(verb: Callable[P, T], *, joins: bool) -> Callable[P, T]:
    @wraps(verb)
    def there(*arguments: P.args, **keywords: P.kwargs) -> T:
        from tenfold.runs.executors.place import working_on
        from tenfold.training.device import Device, using
        from tenfold.training.distributed import launched, own_device, together

        def asked(name: str, default: str) -> str:
            given = (getattr(one, name) for one in (*arguments, keywords.get("options")) if hasattr(one, name))
            return str(keywords.get(name, next(given, default)))

        if launched() and not joins:
            raise InputError("torchrun is for `fit` and tenfold.Classifier; start this command by itself")
        name = asked("device", TrainingOptions.device)
        # Without a choice of the caller's the environment may make one.
        device = own_device(Device.chosen(None if name == TrainingOptions.device else name))
        with using(device), together(device), working_on(asked("on", PROCESSES)):
            return verb(*arguments, **keywords)

    return there
