from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from made_up_sets import SHORT, easy_set
from tenfold.core.errors import TooLittleMemory
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.networks.blocks import build
from tenfold.networks.convnet import Classifier, SmallConvNet
from tenfold.training import classifier as module
from tenfold.training.batches import VALUES_IN_ONE_GO
from tenfold.training.classifier import (
    ClassifierConfig,
    ClassifierStep,
    ClassifierTask,
    TrainedClassifier,
    train_classifier,
)
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop
from tenfold.training.recipe import HeadObjective, Recipe, Start, cross_entropy, plain_objective
from tenfold.training.schedule import draw_plan
from tenfold.training.step import Diverged

KEY = Key("train")
LONGER = replace(SHORT, steps=80)


def accuracy(trained: TrainedClassifier, data: ImageDataset) -> float:
    return float((trained.probabilities(data.images).argmax(1) == data.labels).mean())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 12)], ids=str)
def test_what_is_easy_is_learned(shape: tuple[int, int, int]) -> None:
    train, fresh = easy_set([10, 10, 10], shape), easy_set([50, 50, 50], shape, key="fresh")
    trained = train_classifier(train, None, Recipe(), KEY, LONGER)
    assert accuracy(trained, fresh) > 0.95
    assert np.allclose(trained.probabilities(fresh.images).sum(1), 1, atol=1e-5)


def test_a_rare_class_is_learned_too() -> None:
    trained = train_classifier(easy_set([60, 3]), None, Recipe(), KEY, LONGER)
    fresh = easy_set([0, 100], key="fresh")
    assert accuracy(trained, fresh) > 0.9


def test_the_same_key_gives_the_same_weights_and_another_others() -> None:
    train = easy_set([6, 6])
    first, again, other = (train_classifier(train, train, Recipe(), Key(k), SHORT) for k in "aab")
    assert np.array_equal(first.probabilities(train.images), again.probabilities(train.images))
    assert not np.array_equal(first.probabilities(train.images), other.probabilities(train.images))


def test_soft_labels_are_what_is_learned() -> None:
    def swap(images: torch.Tensor, labels: torch.Tensor, _: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        return images, 0.25 * labels + 0.75 * labels.flip(1)

    trained = train_classifier(easy_set([10, 10]), None, Recipe(transforms=(swap,)), KEY, LONGER)
    fresh = easy_set([40, 40], key="fresh")
    rows = trained.probabilities(fresh.images)
    assert accuracy(trained, fresh) < 0.05
    assert rows.max(1).mean() == pytest.approx(0.75, abs=0.1), "not surer than the labels were"


def test_extra_images_are_learned_from() -> None:
    train, extra = easy_set([8, 8, 1]), easy_set([0, 0, 20], key="extra")
    train = train.take(np.flatnonzero(train.labels < 2))  # the third class comes from the extra images alone
    fresh = easy_set([0, 0, 50], key="fresh")
    without = train_classifier(train, None, Recipe(), KEY, LONGER)
    trained = train_classifier(train, None, Recipe(extra=extra), KEY, LONGER)
    assert accuracy(without, fresh) < 0.2
    assert accuracy(trained, fresh) > 0.9
    assert trained.details["real_images"] == 16
    assert trained.details["extra_images"] == 20


@pytest.mark.parametrize("side", [8, 48])
def test_transforms_are_applied_in_order_to_every_image_once(side: int) -> None:
    seen: list[tuple[str, int]] = []

    def named(name: str):
        def transform(images, labels, generator):
            seen.append((name, len(images)))
            return images, labels

        return transform

    train = easy_set([4, 4], (1, side, side))
    train_classifier(train, None, Recipe(transforms=(named("a"), named("b"))), KEY, SHORT)
    assert [name for name, _ in seen] == ["a", "b"] * (len(seen) // 2)
    assert sum(count for name, count in seen if name == "a") == 16 * SHORT.steps
    # Several batches of small images are made in one go, large images batch by batch.
    assert seen[0][1] == 16 * min(SHORT.steps, max(1, VALUES_IN_ONE_GO // (16 * side**2)))


def test_starting_weights_are_obeyed() -> None:
    train = easy_set([4, 4])
    given: list[SmallConvNet] = []

    def network(images: ImageDataset, validation: ImageDataset | None, key: Key) -> SmallConvNet:
        given.append(build(lambda: SmallConvNet((1, 8, 8), 2, SHORT.width), Key("start").torch_generator()))
        return given[-1]

    for start in (Start(network, steps=0), Start(network, steps=3, rates={"stem": 0.0, "body": 0.0, "head": 0.0})):
        kept = train_classifier(train, train, Recipe(init=start), KEY, replace(SHORT, weight_decay=0.0))
        for name, weights in given[-1].named_parameters():
            assert torch.equal(weights, kept.network.get_parameter(name)), name
        assert kept.details["steps"] == start.steps


def test_a_part_with_a_rate_of_its_own_learns_at_that_rate() -> None:
    def moved(rates: dict[str, float]) -> dict[str, float]:
        def network(images: ImageDataset, validation: ImageDataset | None, key: Key) -> SmallConvNet:
            return build(lambda: SmallConvNet((1, 8, 8), 2, SHORT.width), Key("start").torch_generator())

        start = Start(network, steps=1, learning_rate=1e-3, rates=rates)
        train = easy_set([4, 4])
        before = network(train, None, KEY)
        after = train_classifier(train, None, Recipe(init=start), KEY, SHORT).network
        return {
            part: float((after.get_parameter(part) - before.get_parameter(part)).detach().abs().max())
            for part in ("stem.0.weight", "head.weight")
        }

    usual, slow = moved({}), moved({"stem": 0.1})
    assert slow["stem.0.weight"] == pytest.approx(0.1 * usual["stem.0.weight"], rel=0.05)
    assert slow["head.weight"] == pytest.approx(usual["head.weight"], rel=1e-3)


def test_training_on_is_kept_only_where_the_validation_images_do_not_get_worse() -> None:
    train = easy_set([8, 8])
    good = train_classifier(train, train, Recipe(), KEY, LONGER)

    def network(images: ImageDataset, validation: ImageDataset | None, key: Key) -> SmallConvNet:
        return copy.deepcopy(good.network)

    def wrong(images: torch.Tensor, labels: torch.Tensor, _: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        return images, labels.flip(1)

    kept = train_classifier(train, train, Recipe(transforms=(wrong,), init=Start(network, steps=40)), KEY, SHORT)
    assert kept.inner_score == good.inner_score == 1.0
    assert kept.details["kept_step"] == 0


def learning(term: Callable[[Tensor], Tensor]) -> Recipe:
    """The plain loss and one more term, of the features."""

    def objective(network: Classifier, images: Tensor, labels: Tensor, random: torch.Generator) -> Tensor:
        features = network.features(images)
        return cross_entropy(network.head(features), labels) + term(features)

    return Recipe(objective=objective)


def test_an_objective_reaches_the_features() -> None:
    def size(recipe: Recipe) -> float:
        network = train_classifier(easy_set([6, 6]), None, recipe, KEY, LONGER).network
        with torch.no_grad():
            images = torch.tensor(easy_set([6, 6]).images).float() / 127.5 - 1
            return float(network.features(images).mean())

    assert size(learning(lambda features: -10 * features.mean())) > 1.2 * size(Recipe())


class Counting(HeadObjective):
    """The plain loss, and a head that learns to say 1 of all features; its progress is noted."""

    def __init__(self) -> None:
        self.progress: list[float] = []
        self.heads: list[nn.Module] = []

    def head(self, network: Classifier) -> nn.Module:
        self.heads.append(build(lambda: nn.Linear(network.head.in_features, 1), Key("head").torch_generator()))
        return self.heads[-1]

    def optimizer(self, head: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(head.parameters(), 0.1)

    def loss(self, network, head, images, soft_labels, generator, progress):
        self.progress.append(progress)
        said = head(network.features(images).detach())
        return plain_objective(network, images, soft_labels, generator) + (said - 1).square().mean()


def test_a_head_of_an_objective_learns_in_every_step_and_hears_of_the_training_s_own_progress() -> None:
    counting = Counting()
    for _ in range(2):
        train_classifier(easy_set([6, 6]), None, Recipe(objective=counting), KEY, SHORT)
    assert counting.progress == 2 * [(step + 1) / SHORT.steps for step in range(SHORT.steps)]
    first, second = counting.heads
    assert torch.equal(first.weight, second.weight), "each training has one of its own"
    with torch.device("meta"):
        network = SmallConvNet((1, 8, 8), 2, SHORT.width)
    begun = Counting().head(network)
    one_less = Counting()
    train_classifier(
        easy_set([6, 6]), None, Recipe(objective=one_less), KEY, replace(SHORT, steps=1, learning_rate=1e-9)
    )
    assert not torch.equal(one_less.heads[0].weight, begun.weight), "the last step counts too"


def test_nan_is_tried_again_with_a_third_of_the_rate_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Recorded(ClassifierStep):
        def __init__(self, task: ClassifierTask, attempt: int, device: Device) -> None:
            super().__init__(task, attempt, device)
            rates.append(self.optimizers["network"].param_groups[0]["lr"])

    monkeypatch.setattr(module, "ClassifierStep", Recorded)
    with pytest.raises(Diverged, match="NaN, and smaller steps did not mend it"):
        train_classifier(easy_set([4, 4]), None, learning(lambda features: features.sum() * math.nan), KEY, SHORT)
    assert rates == [4e-3, 4e-3 / 3, 4e-3 / 9]


class Killed(BaseException):
    pass


@pytest.mark.usefixtures("checkpoint_at_every_chance")
@pytest.mark.parametrize("recipe", [Recipe(), Recipe(objective=Counting())], ids=["plain", "with a head"])
def test_a_killed_training_goes_on_to_the_same_weights(recipe: Recipe, tmp_path: Path) -> None:
    train, config = easy_set([10, 10], (1, 24, 24)), replace(SHORT, steps=13, looks=4)
    draws: list[int] = []

    def noisy(images: Tensor, labels: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        draws.append(len(images))
        if kills and len(draws) == kills[0]:
            kills.pop(0)
            raise Killed
        return images + torch.randn(images.shape, generator=random), labels

    recipe = replace(recipe, transforms=(noisy,))
    kills: list[int] = []
    whole = train_classifier(train, train, recipe, KEY, config)
    assert max(draws) > config.batch_size, "batches are made several at a time"
    draws.clear()
    kills += [2, 4]
    for _ in range(2):
        with pytest.raises(Killed):
            train_classifier(train, train, recipe, KEY, config, TrainingLoop(checkpoint=tmp_path / "state"))
    resumed = train_classifier(train, train, recipe, KEY, config, TrainingLoop(checkpoint=tmp_path / "state"))
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])
    result = {name: value for name, value in whole.details.items() if name != "seconds"}
    assert result == {name: value for name, value in resumed.details.items() if name != "seconds"}


def test_too_little_memory_takes_smaller_parts_of_the_same_batches() -> None:
    train, sizes = easy_set([10, 10]), []

    def hungry(features: Tensor) -> Tensor:
        sizes.append(len(features))
        if len(features) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 0 * features.sum()

    trained = train_classifier(train, None, learning(hungry), KEY, LONGER)
    assert sizes[:3] == [16, 8, 4]
    assert set(sizes[2:]) == {4}
    assert trained.details["micro_batches"] == 4
    assert accuracy(trained, train) > 0.95

    def insatiable(features: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TooLittleMemory, match="memory"):
        train_classifier(train, None, learning(insatiable), KEY, SHORT)


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(objective=Counting())], ids=["plain", "with a head"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 48, 48)], ids=str)
def test_a_step_stays_on_its_device(recipe: Recipe, shape: tuple[int, int, int]) -> None:
    """On the meta device an `.item()`, a copy to the host and a tensor left on the CPU all raise."""
    task = ClassifierTask(easy_set([4, 4], shape), None, recipe, KEY, SHORT)
    step = ClassifierStep(task, 0, Device("meta"))
    assert all(step.step(number)["loss"].is_meta for number in range(2))


def test_the_weights_kept_are_those_with_the_best_look(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, 0.9, 0.9, 0.6, 0.6])
    states: list[dict[str, torch.Tensor]] = []

    probabilities = module.network_probabilities

    def looked_at(network: SmallConvNet, images: Any) -> Any:
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        return probabilities(network, images)

    monkeypatch.setattr(module, "network_probabilities", looked_at)
    monkeypatch.setattr(module, "validation_score", lambda *_: next(scores, 0.0))
    config = replace(SHORT, steps=20, looks=5)
    trained = train_classifier(easy_set([4, 4]), easy_set([2, 2], key="v"), Recipe(), KEY, config)
    # Looks at steps 4, 8, ... 20; the first is too early to count; of equals the later one is kept.
    assert trained.details["kept_step"] == 16
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, states[2][name])


def test_an_empty_validation_split_is_none() -> None:
    train = easy_set([4, 4])
    trained = train_classifier(train, train.take([]), Recipe(), KEY, SHORT)
    assert (trained.inner_score, trained.inner_loss) == (0, 0)
    assert trained.details["kept_step"] == SHORT.steps


def test_what_is_predicted_does_not_depend_on_the_other_images() -> None:
    train = easy_set([10, 10])
    trained = train_classifier(train, None, Recipe(), KEY, SHORT)
    many = easy_set([200, 200], key="fresh").images
    assert np.allclose(trained.probabilities(many)[:3], trained.probabilities(many[:3]), atol=1e-5)
    assert trained.probabilities(many[:0]).shape == (0, 2)


def drawn(counts: list[int], **changes: object) -> tuple[torch.Tensor, np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    config = replace(ClassifierConfig(steps=50, batch_size=20), **changes)
    draws = Key("plan").torch_generator()
    return draw_plan(labels, len(counts), config.steps, config.batch_size, config.most_repeats, draws), labels


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any), st.integers(1, 30), st.integers(1, 9))
def test_a_plan_has_its_shape_and_uses_a_class_evenly(counts: list[int], steps: int, batch: int) -> None:
    plan, labels = drawn(counts, steps=steps, batch_size=batch)
    assert plan.shape == (steps, batch)
    times = np.bincount(plan.flatten().numpy(), minlength=len(labels))
    for label in np.unique(labels):
        own = times[labels == label]
        # The end is cut to length, which may cost any image one more.
        assert own.max() - own.min() <= 2
    assert torch.equal(plan, drawn(counts, steps=steps, batch_size=batch)[0])


def test_every_image_comes_once_before_any_comes_twice() -> None:
    plan, labels = drawn([30, 10])
    flat = plan.flatten().numpy()
    for label, size in ((0, 30), (1, 10)):
        own = flat[labels[flat] == label]
        for start in range(0, len(own) - size + 1, size):
            assert len(set(own[start : start + size])) == size
        assert not np.array_equal(own[:size], own[size : 2 * size]), "each round has an order of its own"


def test_classes_have_equal_shares_in_every_batch() -> None:
    plan, labels = drawn([50, 10])
    rare = labels[plan.numpy()] == 1
    assert rare.mean() == pytest.approx(0.5, abs=0.01)
    assert np.abs(rare.mean(1) - 0.5).max() <= 0.15


@pytest.mark.parametrize("counts", [[100, 1], [200, 200, 1], [1000, 30, 1]])
def test_no_image_is_drawn_much_more_often_than_plainly(counts: list[int]) -> None:
    plan, labels = drawn(counts, steps=200, batch_size=50, most_repeats=10.0)
    times = np.bincount(plan.flatten().numpy(), minlength=len(labels))
    plainly = plan.numel() / len(labels)
    assert times.max() <= 10 * plainly + 2
    assert times[labels == len(counts) - 1].mean() >= 9 * plainly, "as often as is allowed"
