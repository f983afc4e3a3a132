"""One trial: an arm trained on one fold and judged on its test images.

This is the only place that shows a test fold to anything. Methods and the classifier are given the training fold
and its validation split; the test images are looked at after both are done.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tenfold.core.configuration import from_json
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset, Split, Trial
from tenfold.data.splits import Fold, open_fold, part_of
from tenfold.evaluation.leaks import leak
from tenfold.evaluation.scores import accuracy_interval, balanced_accuracy
from tenfold.methods import MethodFailed, spread
from tenfold.runs.arms import Component
from tenfold.runs.diagnostics import diagnostics_of, samples
from tenfold.runs.plan import ArmConfig, TrialConfig
from tenfold.runs.tries import SelectedHyperparameters, select_open_options, shortened
from tenfold.training.classifier import TrainedClassifier, train_classifier
from tenfold.training.classifier_io import CLASSIFIER, save_classifier
from tenfold.training.recipe import Recipe
from tenfold.training.step import TrainingFailed

if TYPE_CHECKING:
    from tenfold.runs import Context


def run_trial(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """The job of a trial: a `TrialConfig` in, the fields of a `Trial` out, and its classifier in a file if asked for.

    It reads `images` and `split`, and needs `baseline` where that selects its arm's open options, and under the name
    of a method what that one's shared training has left.
    """
    needed = dict(context.results)
    baseline, _ = needed.pop("baseline", (None, None))
    selected = baseline["details"].get("settled") if baseline else None
    asked = from_json(TrialConfig, config)
    split = Split(asked.repeat, asked.fold, **context.arrays("split"))
    if missing := [method for method, (result, _) in needed.items() if result is None]:
        raise TrainingFailed(f"the training that all trials of {missing[0]} share has failed")
    shared = {method: directory for method, (_, directory) in needed.items()}
    kept = context.directory / CLASSIFIER if asked.keep_classifier else None
    return dataclasses.asdict(judged(asked, context.data("images"), split, selected, shared, kept=kept))


def judged(
    config: TrialConfig,
    data: ImageDataset,
    split: Split,
    selected: SelectedHyperparameters | None = None,
    shared: Mapping[str, Path] | None = None,
    *,
    kept: Path | None = None,
) -> Trial:
    """Train one arm on one fold and predict its test images. A method that fails gives a failed Trial.

    Args:
        selected: what the baseline chose in this fold for options that are left open.
        shared: method -> the directory of a training that all its trials share.
        kept: where the classifier is written.
    """
    start = time.perf_counter()
    try:
        arm, fold, external = config.training.arm, open_fold(data, split), data.part("test")
        key = Key(f"seed-{config.seed}") / f"repeat-{config.repeat}" / f"fold-{config.fold}"
        images = ArmImages(fold.train, fold.validation, data.part("reserve"))
        fitted = train_arm(config.training, images, key, selected, shared=shared or {})
        details = fitted.details
        if config.repeat == 0 and arm.trains_generator:
            classifier = config.training.classifier
            details["diagnostics"] = diagnostics_of(fitted.recipe, fold.train, fold.validation, key, classifier)
            if config.fold == 0 and fitted.recipe.extra is not None:
                details["samples"] = samples(fitted.recipe.extra)
        if leaked := _leak(fitted.recipe, fold) or _seen(fitted.recipe, fold):
            return _failed(config, leaked, start)
        probabilities = tested(fold, fitted.classifier)
        if kept is not None:
            save_classifier(kept, fitted.classifier, {"arm": arm.name, "trained_on_images": len(fold.train)})
        return Trial(
            arm=arm.name,
            repeat=config.repeat,
            fold=config.fold,
            inner_score=fitted.classifier.inner_score,
            inner_loss=fitted.classifier.inner_loss,
            test_indices=fold.test.indices.tolist(),
            test_probabilities=[[round(float(p), 5) for p in row] for row in probabilities],
            external_predictions=fitted.classifier.probabilities(external.rows).argmax(1).tolist(),
            wall_seconds=_since(start),
            details=details,
        )
    except (MethodFailed, TrainingFailed) as error:
        return _failed(config, str(error), start)


def tested(fold: Fold, classifier: TrainedClassifier) -> npt.NDArray[np.float32]:
    """What a trained classifier says of the fold's test images: M x K, in the order of `fold.test.indices`."""
    return fold.test.shown_to(classifier.probabilities)


@dataclasses.dataclass(frozen=True, eq=False)
class FittedArm:
    """A trained arm: its one classifier, and all that its methods made."""

    classifier: TrainedClassifier
    recipe: Recipe
    """With every new image made, whether or not the classifier was trained on it."""
    details: dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class ArmImages:
    """What an arm may see."""

    train: ImageDataset
    validation: ImageDataset | None
    reserve: ImageDataset | None


def train_arm(
    config: ArmConfig,
    images: ArmImages,
    key: Key,
    selected: SelectedHyperparameters | None = None,
    *,
    ratio: float | None = None,
    shared: Mapping[str, Path] | None = None,
    ready: Mapping[str, Recipe] | None = None,
) -> FittedArm:
    """Fit the arm's methods, add their recipes up, and train the classifier that reads the sum.

    Within a repeat and fold every arm gets the same key, so that arms differ by their methods and not by
    the classifier's first weights. How many new images a classifier is trained on is chosen by short tries, by their
    loss on the validation images between `config.ratios`, unless the arm fixes it or `ratio` is given; so are options
    that a method leaves open, unless they are `selected`. The classifier that is judged took part in no choice: it is
    the only one of its key. What is `ready` of a method, by its name, is not fitted again.

    Raises:
        MethodFailed: a method gave nothing usable.
        TrainingFailed: the classifier's loss became NaN.
    """
    start = time.perf_counter()
    arm, validation = config.arm, images.validation
    if arm.rerun > 1:
        key, selected = key / f"run-{arm.rerun}", None
    train = part_of(images.train, arm.percent, key / "part")

    made: dict[str, Recipe] = {}

    def fit(component: Component, options: Mapping[str, str]) -> Recipe:
        if ready and component.method in ready:
            return ready[component.method]
        name = f"{component.method} {sorted(options.items())}"
        if name not in made:  # what stays the same while another method's options are chosen is made once
            method = component.make({"times": config.times, **options})
            method.shared = (shared or {}).get(component.method)
            made[name] = method.fit(train, images.reserve if method.needs_reserve else None, key / component.method)
        return made[name]

    def recipe_of(components: Sequence[Component], options: SelectedHyperparameters) -> Recipe:
        return sum((fit(component, options.get(component.method, {})) for component in components), Recipe())

    def loss(recipe: Recipe) -> float:
        short, brief = shortened(recipe, config.classifier)
        return train_classifier(train, validation, short, key / "tries", brief).inner_loss

    selections = {}
    if validation is not None:
        selections = select_open_options(arm, train, selected or {}, lambda *tried: loss(recipe_of(*tried)))
    options = {**(selected or {}), **{name: found.options for name, found in selections.items()}}
    choosing = _since(start)
    recipe = recipe_of(arm.components, options)
    fitted = _since(start) - choosing
    chooses = (recipe.extra is not None or bool(recipe.redraws)) and not arm.fixes_ratio
    losses: dict[float, float] = {}
    if chooses and ratio is None:
        ratio = config.times
        if validation is not None:
            losses = {tried: loss(_with(recipe, tried, train)) for tried in config.ratios}
            # The fewest new images win a tie: what does not help is not worth making.
            ratio = min(losses, key=lambda tried: (losses[tried], tried))
    choosing = _since(start) - fitted
    used = _with(recipe, ratio if chooses else None, train)
    classifier = train_classifier(train, validation, used, key / "classifier", config.classifier)
    told = {part.method: fit(part, options.get(part.method, {})).details for part in arm.components}
    details = _details(told, classifier.details)
    details["seconds"] = details["seconds"] | {"methods": round(fitted, 3), "choosing": round(choosing, 3)}
    if chooses:
        details |= {
            "ratio": ratio,
            "inner_losses_of_ratios": {f"{tried:g}": found for tried, found in losses.items()},
        }
    if selections:
        details["settled"] = {name: dict(found.options) for name, found in selections.items()}
        details["inner_losses"] = {name: dict(found.losses) for name, found in selections.items()}
    return FittedArm(classifier, recipe, details)


def _details(told: Mapping[str, Mapping[str, Any]], classifier: Mapping[str, Any]) -> dict[str, Any]:
    """What the methods and the classifier tell, as one; what several tell under one name stands under the methods'.

    The classifier's own figures keep their names.
    """
    tellers = Counter(name for details in (*told.values(), classifier) for name in details)
    single = {name: value for details in told.values() for name, value in details.items() if tellers[name] == 1}
    clashing = {
        method: {name: value for name, value in details.items() if tellers[name] > 1}
        for method, details in told.items()
    }
    several = {method: details for method, details in clashing.items() if details}
    return single | dict(classifier) | ({"methods": several} if several else {})


def _with(recipe: Recipe, ratio: float | None, train: ImageDataset) -> Recipe:
    """The recipe with only `ratio` new images for each real one; with all of them where that is None."""
    if ratio is None:
        return recipe
    recipe = recipe.with_redraws(ratio)
    if recipe.extra is None:
        return recipe
    share = min(1.0, ratio * len(train) / len(recipe.extra))
    if share > 0:
        return replace(recipe, extra=recipe.extra.take(spread(share, len(recipe.extra))))
    return replace(recipe, extra=None, objective=None if recipe.needs_extra else recipe.objective)


def _leak(recipe: Recipe, fold: Fold) -> str | None:
    """Why the new images cannot have been made without the test images; None where they can."""
    extra = recipe.extra
    if extra is None:
        return None
    return fold.test.shown_to(
        lambda images: leak(
            extra.images,
            unseen=fold.validation.images,
            test=images[:],
            train=fold.train.rows,
            unseen_groups=fold.validation.groups,
            test_groups=fold.test.groups,
        )
    )


def _seen(recipe: Recipe, fold: Fold) -> str | None:
    """Why what the classifier began with has learned from test images; None where nothing says so."""
    if recipe.init is None or recipe.init.seen is None:
        return None
    seen = {image.tobytes() for image in recipe.init.seen.images if image.min() < image.max()}
    count = fold.test.shown_to(lambda images: sum(image.tobytes() in seen for image in images))
    if not count:
        return None
    return (
        f"{count} of {len(fold.test)} test images are among the {len(seen)} that the network has learned from; take "
        "them out of the source"
    )


def external_test(classifier: TrainedClassifier, data: ImageDataset) -> dict[str, Any] | None:
    """Accuracy on the sealed external test images as shares of 1; None where there are none.

    The plain accuracy's interval is about other images of other groups, not about other trainings.
    """
    external = data.part("test")
    if not len(external):
        return None
    predicted = classifier.probabilities(external.rows).argmax(1)
    accuracy = accuracy_interval((predicted == external.labels)[:, None].astype(np.float64), external.groups)
    return {
        "images": len(external),
        "groups": len(np.unique(external.groups)),
        "accuracy": round(accuracy.estimate, 4),
        "interval": [round(accuracy.low, 4), round(accuracy.high, 4)],
        "balanced_accuracy": round(balanced_accuracy(external.labels, predicted), 4),
    }


def _failed(config: TrialConfig, reason: str, start: float) -> Trial:
    return Trial.of_failure(config.training.arm.name, config.repeat, config.fold, reason, _since(start))


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 3)
