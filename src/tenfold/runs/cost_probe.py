"""The cost probe: a little of the real work, timed, so that the whole can be estimated from measurements.

It reads the training and the validation images of one fold; the test fold is not even taken out of the set.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from tenfold.core.errors import TooLittleMemory
from tenfold.core.keys import Key
from tenfold.core.memory import held_bytes
from tenfold.core.progress import progress
from tenfold.core.types import ImageDataset
from tenfold.data.splits import make_splits, with_grown
from tenfold.evaluation.crossed import independent_images
from tenfold.evaluation.fidelity import diagnose
from tenfold.evaluation.leaks import leak
from tenfold.methods import Method, MethodFailed, spread
from tenfold.networks import pretrained
from tenfold.networks.backbone_classifier import BackboneNet
from tenfold.runs.arms import Arm, Component
from tenfold.runs.diagnostics import features_of
from tenfold.runs.plan import Plan, baseline_of
from tenfold.runs.step_times import in_full, timed
from tenfold.training.classifier import TrainedClassifier, train_classifier
from tenfold.training.device import one_thread
from tenfold.training.feature_cache import imagenet_features
from tenfold.training.recipe import Recipe

Components = tuple[Component, ...]

SECONDS = 14.0
"""Of computing, which a cost probe takes about: its trainings are as long as that allows."""
BASELINE_SHARE = 0.3
"""Of these seconds, for the baseline's classifier."""
PREDICTED = 512
"""Images that the classifier is shown, over and over where there are fewer."""
FEW_IMAGES = 64
"""Images of each kind that are diagnosed, or read by a network from elsewhere, in place of all."""


@dataclass(frozen=True)
class Cost:
    """Seconds on one core for what a trial of an arm consists of."""

    methods: float = 0.0
    """Fitting its methods, generators among them, and making its new images."""
    training: float = 0.0
    """One classifier."""
    makes_images: bool = False
    leak_check: float = 0.0
    inspection: float = 0.0
    """Of a generator's new images, beside the two classifiers that it trains."""
    prediction: float | None = None
    """For one image; None where its network is the baseline's."""
    reading: float = 0.0
    """For one image, once in a study: features of a frozen network, which are kept."""


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
    """1 - the balanced accuracy on them of the longest training of the baseline; without meaning where there are
    none."""
    seconds: float
    held_bytes: int = 0
    """Memory with the libraries and the images, before anything is trained."""
    trial_bytes: int = 0
    """Memory that a trial takes beside that; both 0 where nobody counts it."""


@one_thread()
def measure_costs(data: ImageDataset, plan: Plan) -> CostProbe:
    """Train each kind of arm on one fold, for as many steps as tell its pace.

    What is timed is the processor's work, which other programs do not disturb; at the end it is scaled by what
    they made of it on the clock.

    Raises:
        TenfoldError: the baseline cannot be trained on these images.
    """
    began, worked, (held, _) = time.perf_counter(), time.process_time(), held_bytes() or (0, 0)
    probe = _Probe(data, plan, worked + SECONDS)
    baseline = baseline_of(plan)
    first = {arm.components: arm for arm in reversed(plan.arms)}
    # Generators come last and have the time that the others did not need.
    kinds = sorted(first.values(), key=lambda arm: arm.trains_generator)
    with progress("pilot", 1 + len(kinds)) as bar:
        bar.advance(0, note=baseline.name)
        trained = probe.baseline(baseline)
        batch = probe.train.rows[np.arange(PREDICTED) % len(probe.train)]
        prediction, _ = timed(lambda: trained.probabilities(batch))
        bar.advance()
        measured = {}
        for number, arm in enumerate(kinds):
            bar.advance(0, note=arm.name)
            measured[arm.components] = probe.cost(arm, trained, len(kinds) - number)
            bar.advance()
    on_the_clock = time.perf_counter() - began
    _, most = held_bytes() or (0, 0)
    waiting = on_the_clock / max(time.process_time() - worked, 1e-9)
    return CostProbe(
        {components: _scaled(cost, waiting) for components, cost in measured.items()},
        waiting * prediction / PREDICTED,
        independent_images(probe.validation, plan.fold_plan.evaluated),
        1 - trained.inner_score,
        on_the_clock,
        held,
        max(0, most - held),
    )


@dataclass(frozen=True, eq=False)
class _Fitted:
    recipe: Recipe
    seconds: float
    batch_methods: Components
    """Those that change how a batch is made or learned from; arms that share them train at the same pace."""


class _Probe:
    """Measures one kind of arm after the other on one fold, without its test images."""

    def __init__(self, data: ImageDataset, plan: Plan, end: float) -> None:
        """
        Args:
            end: on the clock of `time.process_time`, until which it may go on.
        """
        study, key = data.part("train"), Key(f"seed-{plan.seed}")
        split = make_splits(study, plan.fold_plan, 0, key)[0]
        self.train, self.validation = with_grown(study.take(split.train), data), study.take(split.validation)
        self._reserve = data.part("reserve")
        self._key = key / "repeat-0" / "fold-0"
        self._plan, self._end = plan, end
        self._trainings: dict[Components, float] = {}
        self._inspection: float | None = None
        """Seconds for one image."""

    def baseline(self, arm: Arm) -> TrainedClassifier:
        """Its classifier, trained for as long as there is time."""
        options = {part.method: part.make({}).default_options() for part in arm.components}
        fitted = self._fit(arm, self._left / 10, options)
        if fitted.recipe.init is not None:
            return self._from_elsewhere(fitted, BASELINE_SHARE * self._left)[1]
        self._trainings[fitted.batch_methods], trained = self._classifier(fitted, BASELINE_SHARE * self._left)
        return trained

    def cost(self, arm: Arm, trained: TrainedClassifier, kinds_left: int) -> Cost:
        """Of an arm's trial.

        Args:
            trained: the baseline's classifier, which looks at new images.
            kinds_left: among which the time that is left is shared, this one's with them.
        """
        fitted = self._fit(arm, self._left / kinds_left / 2)
        classifier = Cost(training=self._trainings.get(fitted.batch_methods, 0.0))
        if fitted.recipe.init is not None:
            classifier, _ = self._from_elsewhere(fitted, self._left / kinds_left)
        elif fitted.batch_methods not in self._trainings:
            seconds, _ = self._classifier(fitted, self._left / kinds_left)
            self._trainings[fitted.batch_methods] = seconds
            classifier = Cost(training=seconds)
        return replace(
            classifier,
            methods=fitted.seconds,
            makes_images=fitted.recipe.extra is not None or arm.trains_generator,
            leak_check=self._leak_check(fitted.recipe),
            inspection=self._diagnosed(fitted.recipe, trained) if arm.trains_generator else 0.0,
        )

    @property
    def _left(self) -> float:
        return max(0.0, self._end - time.process_time())

    def _fit(self, arm: Arm, seconds: float, options: Mapping[str, Mapping[str, str]] | None = None) -> _Fitted:
        """A recipe like the arm's, and the seconds that fitting its methods in full would take."""
        recipe, spent, batch_methods = Recipe(), 0.0, []
        for component in arm.components:
            method = component.make({"times": self._plan.times, **(options or {}).get(component.method, {})})
            of_one, part = self._fitted(method.for_set(self.train), self._key / component.method, seconds)
            recipe, spent = recipe + part, spent + of_one
            if part.batch_transforms or part.objective is not None:
                batch_methods.append(component)
        return _Fitted(recipe, spent, tuple(batch_methods))

    def _fitted(self, method: Method, key: Key, seconds: float) -> tuple[float, Recipe]:
        def fit(method: Method) -> Recipe:
            try:
                return method.fit(self.train, self._reserve if method.needs_reserve else None, key)
            except (MethodFailed, TooLittleMemory):
                return Recipe()  # what has hardly learned may draw nothing usable; its pace is known all the same

        steps = getattr(method.config, "steps", None)
        if not isinstance(steps, int):
            return timed(lambda: fit(method))
        return in_full(lambda count: fit(type(method)(replace(method.config, steps=count))), steps, seconds)

    def _classifier(self, fitted: _Fitted, seconds: float) -> tuple[float, TrainedClassifier]:
        def train(count: int) -> TrainedClassifier:
            config = replace(self._plan.classifier, steps=count)
            return train_classifier(self.train, self.validation, fitted.recipe, self._key / "classifier", config)

        return in_full(train, self._plan.classifier.steps, seconds)

    def _from_elsewhere(self, fitted: _Fitted, seconds: float) -> tuple[Cost, TrainedClassifier]:
        """What a classifier takes that does not begin as the judge's own, learned from as many images as there is
        time to read."""
        start, config, end = fitted.recipe.init, self._plan.classifier, time.process_time() + seconds
        assert start is not None
        steps = config.steps if start.steps is None else start.steps

        def classifier(count: int, images: int = FEW_IMAGES) -> TrainedClassifier:
            recipe = replace(fitted.recipe, init=replace(start, steps=count))
            train, validation = part_of(self.train, images), part_of(self.validation, images)
            return train_classifier(train, validation, recipe, self._key / "classifier", config)

        trained = classifier(0)  # reads the images, whose features are kept, and pays for what torch prepares once
        head, _ = timed(lambda: classifier(0))
        fresh = 255 - self.train.rows[np.arange(FEW_IMAGES) % len(self.train)]  # of which no features are kept
        prediction = timed(lambda: trained.probabilities(fresh))[0] / FEW_IMAGES
        training = head * max(1.0, len(self.train) / FEW_IMAGES)
        if steps:
            training += max(0.0, in_full(classifier, steps, end - time.process_time())[0] - head)
        elif (readable := int((end - time.process_time()) / (prediction + head / FEW_IMAGES))) > FEW_IMAGES:
            trained = classifier(0, readable)
        frozen = isinstance(trained.network, BackboneNet) and trained.network.frozen
        if frozen:
            return Cost(training=training, prediction=0.0, reading=prediction), trained
        return Cost(training=training, prediction=prediction), trained

    def _leak_check(self, recipe: Recipe) -> float:
        """Seconds; the validation images stand for the test images, which no cost probe may see."""
        extra, validation = recipe.extra, self.validation.images
        if extra is None or not len(validation):
            return 0.0
        return timed(lambda: leak(extra.images, unseen=validation, test=validation, train=self.train.rows))[0]

    def _diagnosed(self, recipe: Recipe, classifier: TrainedClassifier) -> float:
        """Seconds; a part of all images is looked at, since most of it is one more network's pass over each."""
        made = round(self._plan.times * len(self.train)) if recipe.extra is None else len(recipe.extra)
        train, validation = part_of(self.train, FEW_IMAGES), part_of(self.validation, FEW_IMAGES)
        generated = part_of(self.train if recipe.extra is None else recipe.extra, FEW_IMAGES)
        if self._inspection is None:
            other_features = imagenet_features if pretrained.available() else None
            if other_features is not None:
                other_features(train.rows[:1])  # loads the network
            features = features_of(classifier)
            seconds, _ = timed(lambda: diagnose(generated, train, validation, features, other_features))
            self._inspection = seconds / (len(train) + len(validation) + len(generated))
        return self._inspection * (len(self.train) + len(self.validation) + made)


def _scaled(cost: Cost, by: float) -> Cost:
    seconds = {name: by * value for name, value in asdict(cost).items() if value is not None}
    return replace(cost, **{**seconds, "makes_images": cost.makes_images})


def part_of(data: ImageDataset, count: int) -> ImageDataset:
    """At most so many images, spread over the set."""
    return data.take(spread(count / len(data), len(data))) if len(data) > count else data
