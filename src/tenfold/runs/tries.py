"""Choosing what an arm leaves open, by short trainings on the training fold alone.

Each candidate is tried by a training of a twelfth of the steps, and the least loss on the validation images wins.
None of these trainings is kept: the classifier that is judged is trained anew, under a key that no try had. So every
arm is judged by one training, however much it chose, and an arm that chooses is not the best of several draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tenfold.core.types import ImageDataset, Trial
from tenfold.methods import Method
from tenfold.runs.arms import Arm, Component
from tenfold.training.classifier import ClassifierConfig
from tenfold.training.recipe import Recipe

SHARE = 1 / 12
"""Of a full training's steps: four tries, as many as `classical` takes, are a third of one training."""

SelectedHyperparameters = Mapping[str, Mapping[str, str]]
"""Method -> option -> value."""

Loss = Callable[[Mapping[str, str]], float]
"""On the validation images, of a try with the method's open options at these values."""


@dataclass(frozen=True, eq=False)
class HyperparameterSelection:
    """What was chosen for one method, and by what."""

    options: Mapping[str, str]
    losses: Mapping[str, float] = field(default_factory=dict)
    """Cross entropy on the validation images by what was tried: {"policy=strong, flips=no": 0.31}."""


def select_hyperparameters(search_space: Mapping[str, tuple[str, ...]], loss: Loss) -> HyperparameterSelection:
    """Choose the options one after the other, each with those before it chosen and those after it as usual.

    Nothing is tried where every option has a single candidate. They are chosen by the loss on the validation images
    and not by the errors there, of which few images make too few to tell candidates apart.
    """
    options = {name: candidates[0] for name, candidates in search_space.items()}
    if all(len(candidates) == 1 for candidates in search_space.values()):
        return HyperparameterSelection(options)
    best = loss(options)
    losses = {words(options): best}
    for name, candidates in search_space.items():
        for value in candidates[1:]:
            tried = {**options, name: value}
            losses[words(tried)] = found = loss(tried)
            if found < best:
                options, best = tried, found
    return HyperparameterSelection(options, losses)


def select_open_options(
    arm: Arm,
    train: ImageDataset,
    selected: SelectedHyperparameters,
    loss: Callable[[Sequence[Component], SelectedHyperparameters], float],
) -> dict[str, HyperparameterSelection]:
    """For each method with open options that are not selected yet, what the validation images choose.

    One method after the other, each on top of those that stand before it in the arm.
    """
    selections: dict[str, HyperparameterSelection] = {}
    options = dict(selected)
    for count, component in enumerate(arm.components, 1):
        search_space = component.make({}).for_set(train).search_space()
        if search_space and component.method not in selected:

            def on_top(tried: Mapping[str, str], count: int = count, method: str = component.method) -> float:
                return loss(arm.components[:count], {**options, method: tried})

            selections[component.method] = select_hyperparameters(search_space, on_top)
            options[component.method] = selections[component.method].options
    return selections


def tries_to_select(method: Method) -> int:
    """Short trainings that selecting the method's options takes; 0 where none is open."""
    others = sum(len(candidates) - 1 for candidates in method.search_space().values())
    return 1 + others if others else 0


def shortened(recipe: Recipe, config: ClassifierConfig) -> tuple[Recipe, ClassifierConfig]:
    """The same training as a try: few steps with the whole of their learning rate's course, looked at once."""
    start = recipe.init
    if start is not None and start.steps is not None:
        recipe = replace(recipe, init=replace(start, steps=_few(start.steps), views=min(start.views, 1)))
    return recipe, replace(config, steps=_few(config.steps), looks=1)


def _few(steps: int) -> int:
    return min(steps, max(1, round(SHARE * steps)))


def most_chosen(trials: Sequence[Trial], arm: str) -> SelectedHyperparameters:
    """What the arm chose in most folds, for when nothing is left to choose by; of equals the earlier one."""
    chosen = [trial.details["settled"] for trial in trials if trial.arm == arm and "settled" in trial.details]
    return max(chosen, key=chosen.count, default={})


def words(options: Mapping[str, str]) -> str:
    """{"policy": "strong", "flips": "no"} as `policy=strong, flips=no`."""
    return ", ".join(f"{name}={value}" for name, value in options.items())
