"""The cost probe: a little of the real work, timed, so that the whole can be estimated from measurements.

It reads the training and the validation images of one fold; the test fold is not even taken out of the set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from tenfold.core.errors import TooLittleMemory
from tenfold.core.keys import Key
from tenfold.core.progress import progress
from tenfold.core.types import ImageDataset, class_weights
from tenfold.data.splits import make_splits, with_grown
from tenfold.evaluation.crossed import group_table
from tenfold.evaluation.fidelity import diagnose
from tenfold.evaluation.leaks import leak
from tenfold.methods import Method, MethodFailed, spread
from tenfold.networks import pretrained
from tenfold.networks.backbone_classifier import BackboneNet
from tenfold.runs.arms import Arm, Component
from tenfold.runs.diagnostics import features_of
from tenfold.runs.plan import Plan, baseline_of
from tenfold.runs.trial import ArmImages, train_arm
from tenfold.training.classifier import TrainedClassifier, train_classifier
from tenfold.training.device import one_thread
from tenfold.training.feature_cache import imagenet_features
from tenfold.training.recipe import Recipe, Start

T = TypeVar("T")
Components = tuple[Component, ...]

SHARE_OF_TRAINING = 10
"""Where batches are made otherwise than the baseline's, a classifier is trained for one of so many steps."""
SHARE_OF_GENERATOR = 50
"""A generator is trained for one of so many steps, and again for three times as many."""
FEWEST_STEPS, FULL_STEPS = 5, 400
"""Of a training in part, and of one in full: a longer one takes in proportion."""
PREDICTED = 512
"""Images that the classifier is shown, over and over where there are fewer."""
DIAGNOSED_IMAGES = 64
"""Images of each kind that are diagnosed; fewer at a time would be done faster."""


@dataclass(frozen=True)
class Cost:
    """Seconds on one core for what a trial of an arm consists of."""

    methods: float
    """Fitting its methods, generators among them, and making its new images."""
    training: float
    """One classifier."""
    makes_images: bool
    leak_check: float
    inspection: float
    """Of a generator's new images, beside the two classifiers that it trains."""
    prediction: float | None = None
    """For one image; None where its network is the baseline's."""


@dataclass(frozen=True)
class CostProbe:
    """What one fold has shown."""

    costs: Mapping[Components, Cost]
    """By what an arm consists of: points of a learning curve cost what the whole does."""
    prediction: float
    """Seconds for one image."""
    validation_images: float
    """As many equally weighted ones as the class weights and the groups of the validation images amount to."""
    validation_error: float
    """1 - the baseline's balanced accuracy on them; without meaning where there are none."""
    seconds: float


@dataclass(frozen=True, eq=False)
class _Fold:
    """What a cost probe may see: no test images."""

    train: ImageDataset
    validation: ImageDataset
    reserve: ImageDataset
    key: Key


@dataclass(frozen=True, eq=False)
class _Fitted:
    recipe: Recipe
    seconds: float
    batch_methods: Components
    """Those that change how a batch is made or learned from; arms that share them train at the same pace."""


@one_thread()
def measure_costs(data: ImageDataset, plan: Plan) -> CostProbe:
    """Train the baseline on one fold, in full but for long trainings, and of all else as much as tells its pace.

    What is timed is the processor's work, which other programs do not disturb; at the end it is scaled by what
    they made of it on the clock.

    Raises:
        TenfoldError: the baseline cannot be trained on these images.
    """
    began, worked = time.perf_counter(), time.process_time()
    study = data.part("train")
    key = Key(f"seed-{plan.seed}")
    split = make_splits(study, plan.fold_plan, 0, key)[0]
    train, validation = with_grown(study.take(split.train), data), study.take(split.validation)
    fold = _Fold(train, validation, data.part("reserve"), key / "repeat-0" / "fold-0")
    baseline = baseline_of(plan)
    kinds = {arm.components: arm for arm in reversed(plan.arms)}
    with progress("pilot", 1 + len(kinds)) as bar:
        bar.advance(0, note=f"{baseline.name}, one classifier in full")
        plain = _fit(baseline, fold, plan)
        _short_training(plain, fold, plan)  # the first training pays for what torch prepares once
        short = {plain.batch_methods: _short_training(plain, fold, plan)}
        images = ArmImages(train, validation, fold.reserve)
        usual = {part.method: part.make({}).default_options() for part in baseline.components}
        steps = min(plan.classifier.steps, FULL_STEPS)
        how = replace(plan.training(baseline), classifier=replace(plan.classifier, steps=steps))
        full, trained = _timed(lambda: train_arm(how, images, fold.key, usual))
        full *= plan.classifier.steps / steps
        batch = train.rows[np.arange(PREDICTED) % len(train)]
        prediction, _ = _timed(lambda: trained.classifier.probabilities(batch))
        bar.advance()
        measured = {}
        for components, arm in kinds.items():
            bar.advance(0, note=f"{arm.name}, in part")
            fitted = _fit(arm, fold, plan)
            own_prediction = None
            if fitted.recipe.init is not None:
                training, own_prediction = _own_network(fitted.recipe, fitted.recipe.init, fold, plan)
            else:
                if fitted.batch_methods not in short:
                    short[fitted.batch_methods] = _short_training(fitted, fold, plan)
                training = full * short[fitted.batch_methods] / short[plain.batch_methods]
            makes_images = fitted.recipe.extra is not None or arm.trains_generator
            checked = _leak_check(fitted.recipe, fold)
            diagnosed = (
                _diagnostics_seconds(fitted.recipe, fold, trained.classifier, plan) if arm.trains_generator else 0.0
            )
            measured[components] = Cost(fitted.seconds, training, makes_images, checked, diagnosed, own_prediction)
            bar.advance()
    on_the_clock = time.perf_counter() - began
    waiting = on_the_clock / max(time.process_time() - worked, 1e-9)
    return CostProbe(
        {components: _scaled(cost, waiting) for components, cost in measured.items()},
        waiting * prediction / PREDICTED,
        independent_images(validation, plan.fold_plan.evaluated),
        1 - trained.classifier.inner_score,
        on_the_clock,
    )


def independent_images(data: ImageDataset, evaluated: tuple[int, ...]) -> float:
    """As many equally weighted images as the class weights and the groups of these amount to.

    Source: Kish 1965, the effective sample size 1 / sum of squared shares.
    """
    present = tuple(label for label in evaluated if (data.labels == label).any())
    if not present:
        return 0.0
    table = group_table(np.ones((len(data), 1)), class_weights(data.labels, present), data.groups)
    return float(1 / np.sum((table / len(table)) ** 2))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    before = time.process_time()
    result = work()
    return time.process_time() - before, result


def _scaled(cost: Cost, by: float) -> Cost:
    return Cost(
        by * cost.methods,
        by * cost.training,
        cost.makes_images,
        by * cost.leak_check,
        by * cost.inspection,
        None if cost.prediction is None else by * cost.prediction,
    )


def _own_network(recipe: Recipe, start: Start, fold: _Fold, plan: Plan) -> tuple[float, float]:
    """Seconds for a classifier that does not begin as the baseline does, and for one of its predictions."""
    steps = plan.classifier.steps if start.steps is None else start.steps
    few = max(1, min(steps, FULL_STEPS) // SHARE_OF_TRAINING)

    def train(count: int) -> tuple[float, TrainedClassifier]:
        shortened = replace(recipe, init=replace(start, steps=min(count, steps)))
        arguments = (fold.train, fold.validation, shortened, fold.key / "classifier", plan.classifier)
        return _timed(lambda: train_classifier(*arguments))

    train(1)  # reads the images, whose features are kept, and pays for what torch prepares once
    short, trained = train(few)
    longer = train(3 * few)[0] if steps > few else short
    full = longer + max(0.0, longer - short) / (2 * few) * max(0, steps - 3 * few)
    fresh = 255 - fold.train.rows[np.arange(DIAGNOSED_IMAGES) % len(fold.train)]  # of which no features are kept
    prediction = _timed(lambda: trained.probabilities(fresh))[0] / DIAGNOSED_IMAGES
    frozen = isinstance(trained.network, BackboneNet) and trained.network.frozen
    return full, prediction / (plan.repeats * plan.fold_plan.folds if frozen else 1)


def _short_training(fitted: _Fitted, fold: _Fold, plan: Plan) -> float:
    steps = max(2 * FEWEST_STEPS, min(plan.classifier.steps, FULL_STEPS) // SHARE_OF_TRAINING)
    config = replace(plan.classifier, steps=steps)
    arguments = (fold.train, fold.validation, fitted.recipe, fold.key / "classifier", config)
    seconds, _ = _timed(lambda: train_classifier(*arguments))
    return max(seconds, 1e-6)


def _fit(arm: Arm, fold: _Fold, plan: Plan) -> _Fitted:
    """A recipe like the arm's, and the seconds that fitting its methods in full would take."""
    recipe, seconds, batch_methods = Recipe(), 0.0, []
    for component in arm.components:
        spent, part = _fit_in_part(component.make({"times": plan.times}), fold, fold.key / component.method)
        recipe, seconds = recipe + part, seconds + spent
        if part.transforms or part.objective is not None:
            batch_methods.append(component)
    return _Fitted(recipe, seconds, tuple(batch_methods))


def _fit_in_part(method: Method, fold: _Fold, key: Key) -> tuple[float, Recipe]:
    """Seconds for one method. One that learns in steps is fitted with few of them and with three times as many.

    What does not grow with the steps, such as drawing the images, is in both and so is not multiplied.
    """
    method = method.for_set(fold.train)  # some leave their steps to the size of the set
    steps = getattr(method.config, "steps", None)
    if not isinstance(steps, int):
        return _fit_timed(method, fold, key)
    few = max(FEWEST_STEPS, steps // SHARE_OF_GENERATOR)
    if 3 * few >= steps:
        return _fit_timed(method, fold, key)

    def fit(count: int) -> tuple[float, Recipe]:
        return _fit_timed(type(method)(replace(method.config, steps=count)), fold, key)

    fit(1)  # the first of its kind pays for what torch prepares once
    short, _ = fit(few)
    longer, recipe = fit(3 * few)
    return longer + max(0.0, longer - short) / (2 * few) * (steps - 3 * few), recipe


def _fit_timed(method: Method, fold: _Fold, key: Key) -> tuple[float, Recipe]:
    def fit() -> Recipe:
        try:
            return method.fit(fold.train, fold.reserve if method.needs_reserve else None, key)
        except (MethodFailed, TooLittleMemory):
            return Recipe()  # what has learned for ten steps may draw nothing usable; its pace is known all the same

    return _timed(fit)


def _leak_check(recipe: Recipe, fold: _Fold) -> float:
    """Seconds; the validation images stand for the test images, which no cost probe may see."""
    extra, validation = recipe.extra, fold.validation.images
    if extra is None or not len(validation):
        return 0.0
    return _timed(lambda: leak(extra.images, unseen=validation, test=validation, train=fold.train.rows))[0]


def _diagnostics_seconds(recipe: Recipe, fold: _Fold, classifier: TrainedClassifier, plan: Plan) -> float:
    """Seconds; a part of all images is looked at, since most of it is one more network's pass over each."""
    made = round(plan.times * len(fold.train)) if recipe.extra is None else len(recipe.extra)
    train, validation = _part(fold.train), _part(fold.validation)
    generated = _part(fold.train if recipe.extra is None else recipe.extra)
    looked_at = len(train) + len(validation) + len(generated)
    other_features = imagenet_features if pretrained.available() else None

    def look() -> None:
        diagnose(generated, train, validation, features_of(classifier), other_features)

    if other_features is not None:
        other_features(train.rows[:1])  # loads the network
    return _timed(look)[0] * (len(fold.train) + len(fold.validation) + made) / looked_at


def _part(data: ImageDataset) -> ImageDataset:
    return data.take(spread(DIAGNOSED_IMAGES / len(data), len(data))) if len(data) > DIAGNOSED_IMAGES else data
