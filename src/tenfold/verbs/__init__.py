"""One file a verb: what the command line parses for and the public API hands on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from tenfold.core.options import TrainingOptions

P = ParamSpec("P")
T = TypeVar("T")


def on_chosen_device(verb: Callable[P, T]) -> Callable[P, T]:
    """Do all of the verb's work on the device that its options name: `device`, in them or as a keyword.

    Raises:
        InputError: there is no such device.
    """

    @wraps(verb)
    def there(*arguments: P.args, **keywords: P.kwargs) -> T:
        from tenfold.training.device import Device, using

        given = [*arguments, keywords.get("options")]
        name = next((one.device for one in given if hasattr(one, "device")), TrainingOptions.device)
        name = str(keywords.get("device", name))
        # Without a choice of the caller's the environment may make one.
        with using(Device.chosen(None if name == TrainingOptions.device else name)):
            return verb(*arguments, **keywords)

    return there
