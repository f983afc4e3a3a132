"""Reading arms: `raw,classical,classical(policy=light)+mixup` becomes what to fit, in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.core.errors import InputError
from tenfold.methods.base import Method, make_method, method_class

BASELINE = "classical"
"""What growing has to beat: the cheapest thing that everybody can do."""


@dataclass(frozen=True)
class Component:
    """One method of an arm with its options as written."""

    method: str
    options: tuple[tuple[str, str], ...] = ()

    def make(self, defaults: dict[str, Any]) -> Method:
        """The method, configured. `defaults` count where the method has such an option and it is not given."""
        known = method_class(self.method).Config.__dataclass_fields__
        fitting = {name: value for name, value in defaults.items() if name in known}
        return make_method(self.method, fitting | dict(self.options))


@dataclass(frozen=True)
class Arm:
    """One way of training that is compared with the others."""

    name: str
    components: tuple[Component, ...]
    is_control: bool

    @property
    def needs_reserve(self) -> bool:
        """Whether it asks for real images beside those that are studied."""
        return any(method_class(component.method).needs_reserve for component in self.components)

    @property
    def may_be_picked(self) -> bool:
        """Controls and the bare images are there to be read, not to be chosen."""
        return not self.is_control and self.name != "raw"


def default_arms(has_reserve: bool) -> tuple[str, ...]:
    """What `prove` compares when nothing is said."""
    arms = ("raw", "classical", "placebo", "classical+mixup", "classical+cgan")
    return (*arms, "oracle") if has_reserve else arms


def parse_arms(wanted: str | Sequence[str]) -> tuple[Arm, ...]:
    """Arms from `a,b(option=value)+c`; the baseline joins if it is missing.

    A control (`placebo`, `oracle`) is laid on the baseline, because that is what it is compared with.

    Raises:
        InputError: an unknown method or option, the same arm twice, or text that does not read as arms.
    """
    texts = _split(wanted, ",") if isinstance(wanted, str) else list(wanted)
    arms = [_parse_arm(text.strip()) for text in texts]
    names = [arm.name for arm in arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"the arm '{twice}' is named twice; name each arm once")
    if BASELINE not in names:
        arms.insert(0, _parse_arm(BASELINE))
    return tuple(arms)


def _parse_arm(text: str) -> Arm:
    components = tuple(parse_component(part.strip()) for part in _split(text, "+"))
    is_control = any(method_class(component.method).is_control for component in components)
    name = "+".join(_written(component) for component in components)
    if is_control and len(components) == 1:
        components = (Component(BASELINE), *components)
    methods = [component.method for component in components]
    if len(set(methods)) < len(methods):
        raise InputError(f"the arm '{text}' names one method twice")
    for component in components:
        component.make({})  # a wrong option is told now, not after an hour of training
    return Arm(name, components, is_control)


def parse_component(text: str) -> Component:
    """One method from `name` or `name(option=value,...)`.

    Raises:
        InputError: the text does not read as that.
    """
    match = re.fullmatch(r"([a-z][a-z0-9_]*)(?:\((.*)\))?", text)
    if not match:
        raise InputError(f"cannot read '{text}' as a method; write e.g. classical+mixup or classical(policy=light)")
    options = []
    for item in filter(None, (part.strip() for part in (match[2] or "").split(","))):
        name, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"cannot read '{item}' in '{text}'; write option=value")
        options.append((name.strip(), value.strip()))
    if len(dict(options)) < len(options):
        raise InputError(f"an option is given twice in '{text}'; give each once")
    return Component(match[1], tuple(sorted(options)))


def _written(component: Component) -> str:
    options = ",".join(f"{name}={value}" for name, value in component.options)
    return f"{component.method}({options})" if options else component.method


def _split(text: str, separator: str) -> list[str]:
    """Split at separators outside brackets."""
    return re.split(rf"{re.escape(separator)}(?![^(]*\))", text)
