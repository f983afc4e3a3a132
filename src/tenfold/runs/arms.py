"""Reading arms: `raw,classical,classical(policy=light)+mixup` becomes what to fit, in order.

`classical@50%` is trained on half of the real images, for the learning curve; `classical#2` is the same arm once
more under seeds of its own, which shows what luck alone can do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.core.errors import InputError
from tenfold.methods import Method, make_method, method_class, method_names

BASELINE = "classical"
"""What growing has to beat: the cheapest thing that everybody can do."""

VECTOR_BASELINE = "raw"
"""The same for vectors, which nobody can turn or mirror."""

AUTO = "auto"
"""The value of an option that validation images are to choose, and of the baseline that a pilot is to choose."""


@dataclass(frozen=True)
class Component:
    """One method of an arm with its options as written."""

    method: str
    options: tuple[tuple[str, str], ...] = ()

    def make(self, defaults: dict[str, Any]) -> Method:
        """The method, configured.

        `defaults` count where the method has such an option and it is not given, or left to be chosen (`auto`).
        """
        known = method_class(self.method).Config.__dataclass_fields__
        fitting = {name: value for name, value in defaults.items() if name in known}
        given = {name: value for name, value in self.options if value != AUTO or name not in fitting}
        return make_method(self.method, fitting | given)


@dataclass(frozen=True)
class Arm:
    """One way of training that is compared with the others."""

    name: str
    components: tuple[Component, ...]
    is_control: bool
    percent: float = 100
    """Of the real training images; below 100 it is a point of a learning curve and is not judged."""
    rerun: int = 1
    """Above 1 it has seeds of its own; otherwise it shares those of all arms."""

    @property
    def needs_reserve(self) -> bool:
        """Whether it asks for real images beside those that are studied."""
        return any(method_class(component.method).needs_reserve for component in self.components)

    @property
    def modules(self) -> tuple[str, ...]:
        """The code of its methods."""
        return tuple(method_class(component.method).__module__ for component in self.components)

    def external_fingerprint(self) -> str:
        """A hash of what its methods read beside the training images; empty where nothing."""
        return "".join(component.make({}).external_fingerprint() for component in self.components)

    @property
    def start(self) -> tuple[Component, ...]:
        """What its classifier begins with, where that is not the usual network with fresh weights."""
        return tuple(component for component in self.components if method_class(component.method).is_start)

    @property
    def trains_generator(self) -> bool:
        """Whether its new images come from a network that learned from the real ones."""
        return any(method_class(component.method).trains_generator for component in self.components)

    @property
    def fixes_ratio(self) -> bool:
        """Whether the number of its new images is given, or that of a control, and so not to be chosen."""
        return self.is_control or any("times" in dict(component.options) for component in self.components)

    @property
    def is_curve_point(self) -> bool:
        """Whether it is only there to say what more or fewer real images would do."""
        return self.percent < 100

    @property
    def is_one_method(self) -> bool:
        """Whether it is a method by itself, on all images."""
        return len(self.components) == 1 and not (self.is_curve_point or self.rerun > 1)

    @property
    def may_be_picked(self) -> bool:
        """Controls, points of a learning curve and the bare images are there to be read, not to be chosen."""
        bare = [component.method for component in self.components] == ["raw"]
        return not (self.is_control or self.is_curve_point or bare)


def require_vector_arms(arms: Sequence[Arm]) -> None:
    """Refuse arms that change images, for a set of vectors.

    Raises:
        InputError: a method of an arm does not read vectors; the message names those that do.
    """
    for arm in arms:
        for component in arm.components:
            if not method_class(component.method).reads_vectors:
                able = ", ".join(name for name in method_names() if method_class(name).reads_vectors)
                raise InputError(
                    f"the arm '{arm.name}' cannot be had: {component.method} works on images alone, and these are "
                    f"vectors; methods that read vectors: {able}"
                )


def typed_baseline(wanted: str | Sequence[str], baseline: str = BASELINE) -> str:
    """The baseline among the arms: as it is if it is there, else its first setting, as `classical(policy=light)` is.

    Raises:
        InputError: text that does not read as arms.
    """
    methods = [_suffixes(text) for text in texts_of(wanted)]
    whole = [name for name, percent, rerun in methods if percent == 100 and rerun == 1]
    alone = [parse_component(name) for name in whole if len(_split(name, "+")) == 1]
    settings = [written(component) for component in alone if component.method == baseline]
    usual = "+".join(written(component) for component in _components(baseline))
    return usual if usual in settings else next(iter(settings), usual)


def parse_arms(wanted: str | Sequence[str], baseline: str = BASELINE) -> tuple[Arm, ...]:
    """Arms from `a,b(option=value)+c`; the baseline joins if neither it nor a setting of it is there.

    A control (`placebo`, `oracle`) is laid on the baseline, because that is what it is compared with.

    Raises:
        InputError: an unknown method or option, the same arm twice, or text that does not read as arms.
    """
    baseline = typed_baseline(wanted, baseline)
    arms = [parse_arm(text, baseline) for text in texts_of(wanted)]
    names = [arm.name for arm in arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"the arm '{twice}' is named twice; name each arm once")
    if baseline not in names:
        arms.insert(0, parse_arm(baseline, baseline))
    return tuple(arms)


def can_be_had(arm: str) -> bool:
    """Whether the text names an arm whose methods go together and are installed."""
    try:
        return bool(parse_arm(arm, arm))
    except InputError:
        return False


def texts_of(wanted: str | Sequence[str]) -> list[str]:
    """The arms one by one, as they were written."""
    return [text.strip() for text in (_split(wanted, ",") if isinstance(wanted, str) else wanted)]


def parse_arm(text: str, baseline: str) -> Arm:
    """One arm; a control is laid on the baseline.

    Raises:
        InputError: as of `parse_arms`.
    """
    methods_text, percent, rerun = _suffixes(text)
    components = _components(methods_text)
    is_control = any(method_class(component.method).is_control for component in components)
    name = "+".join(written(component) for component in components)
    name += (f"@{percent:g}%" if percent < 100 else "") + (f"#{rerun}" if rerun > 1 else "")
    if is_control and len(components) == 1:
        components = (*_components(baseline), *components)
    methods = [component.method for component in components]
    if len(set(methods)) < len(methods):
        raise InputError(f"the arm '{text}' names one method twice")
    # They are made at once, so that a wrong option is told now and not after an hour of training.
    _refuse_conflicts(text, [component.make({}) for component in components])
    return Arm(name, components, is_control, percent, rerun)


def _components(text: str) -> tuple[Component, ...]:
    return tuple(parse_component(part.strip()) for part in _split(text, "+"))


def _refuse_conflicts(text: str, methods: Sequence[Method]) -> None:
    if any(method.mixes_labels for method in methods) and any(method.smooths_labels for method in methods):
        raise InputError(
            f"the arm '{text}' smooths the labels and mixes them: mixed labels are soft already, and smoothing would "
            "falsify the shares that they state; take one of the two"
        )
    at_once = next((method.name() for method in methods if method.takes_no_steps), None)
    changing = [
        method.name() for method in methods if method.mixes_labels or method.smooths_labels or method.has_objective
    ]
    if at_once and changing:
        raise InputError(
            f"the arm '{text}' cannot be had: {at_once} fits a head to labels as they are, and "
            f"{' and '.join(changing)} would change these or the loss step by step; take {at_once} alone, or "
            f"{'+'.join(changing)}+transfer"
        )
    if sum(method.has_objective for method in methods) > 1:
        own = " and ".join(method.name() for method in methods if method.has_objective)
        raise InputError(f"the arm '{text}' holds {own}, which each have a loss of their own; take one of them")


def _suffixes(text: str) -> tuple[str, float, int]:
    match = re.fullmatch(r"(.*?)(?:@(\d+(?:\.\d+)?)%)?(?:#(\d+))?", text)
    methods, percent, rerun = match.groups() if match else (text, None, None)
    if percent is not None and not 0 < float(percent) <= 100:
        raise InputError(f"the arm '{text}' asks for {percent} % of the images; write a share of 1 to 100 %")
    if rerun is not None and int(rerun) < 1:
        raise InputError(f"the arm '{text}' counts its runs from 1; write '{methods}#2' for a second one")
    return methods, float(percent or 100), int(rerun or 1)


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


def written(component: Component) -> str:
    options = ",".join(f"{name}={value}" for name, value in component.options)
    return f"{component.method}({options})" if options else component.method


def _split(text: str, separator: str) -> list[str]:
    """Split at separators outside brackets."""
    return re.split(rf"{re.escape(separator)}(?![^(]*\))", text)
