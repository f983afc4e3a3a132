"""Training on a source beside an unlabelled target: what each loss does, and that the choice needs no labels."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from made_up_sets import easy_set
from tenfold.adaptation.alignment import (
    class_confusion,
    mutual_information,
    pseudo_label_loss,
    reversal,
    turned,
)
from tenfold.adaptation.dann import (
    Batches,
    DomainConfig,
    DomainStep,
    DomainTask,
    features_of,
    train_domains,
    with_statistics_of,
)
from tenfold.adaptation.selection import ARMS, AUGMENTED, SELF, AdaptedArm, choose, described, embed, train_arm
from tenfold.core.keys import Key
from tenfold.core.types import ImageDataset
from tenfold.training import loop as loop_module
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop
from tenfold.training.step import Diverged

QUICK = DomainConfig(steps=30, batch_size=16, width=8)


def shifted(data: ImageDataset, by: int = 60) -> ImageDataset:
    """The same kind of images, but lighter: another domain."""
    return replace(data, images=np.clip(data.images.astype(int) + by, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def source() -> ImageDataset:
    return easy_set([30, 30, 30])


@pytest.fixture(scope="module")
def target() -> ImageDataset:
    return shifted(easy_set([30, 30, 30], key="target"))


def test_the_gradient_is_turned_and_the_values_are_not() -> None:
    features = torch.arange(6.0).view(2, 3).requires_grad_()
    given = turned(features, 0.25)
    assert torch.equal(given, features)
    (given * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert features.grad is not None
    assert torch.equal(features.grad, -0.25 * torch.tensor([1.0, 2.0, 3.0]).expand(2, 3))


def test_the_weight_of_the_reversal_rises_as_published() -> None:
    assert reversal(0) == 0
    assert reversal(0.1) == pytest.approx(math.tanh(0.5))
    assert 0.9999 < reversal(1) < 1


def slow_confusion(logits: torch.Tensor, temperature: float) -> float:
    """Equations 2 to 5 of Jin et al. 2020, pair by pair."""
    rows = [[float(p) for p in (row / temperature).softmax(0)] for row in logits]
    sure = [1 + math.exp(sum(p * math.log(p) for p in row)) for row in rows]
    weights = [len(rows) * one / sum(sure) for one in sure]
    classes = range(len(rows[0]))
    pairs = [
        [sum(w * row[j] * row[k] for w, row in zip(weights, rows, strict=True)) for k in classes] for j in classes
    ]
    shares = [[value / sum(line) for value in line] for line in pairs]
    return sum(shares[j][k] for j in classes for k in classes if j != k) / len(rows[0])


def test_class_confusion_is_the_published_one() -> None:
    logits = torch.randn(7, 4, generator=Key("confusion").torch_generator())
    assert float(class_confusion(logits)) == pytest.approx(slow_confusion(logits, 2.5), rel=1e-5)
    sure = 60 * torch.eye(4)
    assert float(class_confusion(sure)) < 1e-6 < float(class_confusion(0 * sure))


def test_information_is_greatest_where_predictions_are_sure_and_even() -> None:
    sure = np.eye(4, dtype=np.float32).repeat(5, axis=0)
    assert mutual_information(sure) == pytest.approx(1)
    assert mutual_information(np.full((20, 4), 0.25, np.float32)) == pytest.approx(0)
    assert mutual_information(sure[:5]) == pytest.approx(0), "all of one class says nothing"


def test_pseudo_labels_count_only_where_the_teacher_is_sure() -> None:
    shown = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    words = torch.tensor([[9.0, 0.0], [0.1, 0.0], [0.0, 9.0]])
    logits = torch.randn(3, 2, generator=Key("logits").torch_generator(), requires_grad=True)
    teacher: Any = lambda images: words  # noqa: E731
    loss = pseudo_label_loss(logits, teacher, shown, 0.9)
    wanted = F.cross_entropy(logits[[0, 2]], torch.tensor([0, 1]), reduction="sum") / 3
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()))


def test_batches_hold_a_part_of_each_source_and_then_the_target(source: ImageDataset, target: ImageDataset) -> None:
    both, config = [source, easy_set([4, 4, 4], key="other")], replace(QUICK, confusion=1.0)

    def batches(sources: list[ImageDataset], config: DomainConfig) -> Batches:
        return Batches(DomainTask(sources, target.images, (), Key("one"), config), Device("cpu"))

    first = batches(both, config)
    images, labels, shown = first.draw(0)
    assert (len(images), len(labels), len(shown)) == (32, 16, 16)
    assert first.domains.tolist() == [0] * 8 + [1] * 8 + [2] * 16
    assert torch.equal(batches(both, config).draw(0)[0], images)
    assert len(batches([source], QUICK).draw(0)[0]) == 16, "nothing of the target where nothing is learned from it"


class Killed(BaseException):
    pass


def test_a_killed_training_goes_on_to_the_same_weights(
    source: ImageDataset, target: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    kills: list[int] = []

    def noisy(images: Tensor, labels: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        if kills and kills[0] == 0:
            kills.pop(0)
            raise Killed
        if kills:
            kills[0] -= 1
        return images + torch.randn(images.shape, generator=random), labels

    config = replace(QUICK, steps=12, adversary=0.3, teacher=1.0)
    task = DomainTask([source], target.images, (noisy,), Key("one"), config)
    whole = train_domains(task)
    kills += [4, 3]
    for _ in range(2):
        with pytest.raises(Killed):
            train_domains(task, TrainingLoop(checkpoint=tmp_path / "state"))
    resumed = train_domains(task, TrainingLoop(checkpoint=tmp_path / "state"))
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


@pytest.mark.parametrize(
    "weights", [{"adversary": 0.3}, {"confusion": 1.0, "teacher": 1.0}, {"published": True}], ids=str
)
def test_a_step_stays_on_its_device(weights: dict[str, float], source: ImageDataset, target: ImageDataset) -> None:
    """On the meta device an `.item()`, a copy to the host and a tensor left on the CPU all raise."""
    task = DomainTask([source], target.images, (), Key("one"), replace(QUICK, **weights))  # type: ignore[arg-type]
    step = DomainStep(task, Device("meta"))
    assert all(step.step(number)["loss"].is_meta for number in range(2))


@pytest.mark.parametrize("weights", [{}, {"adversary": 0.3}, {"confusion": 1.0}, {"teacher": 1.0}], ids=str)
def test_every_loss_trains_and_the_same_key_gives_the_same(
    weights: dict[str, float], source: ImageDataset, target: ImageDataset
) -> None:
    config = replace(QUICK, **weights)  # type: ignore[arg-type]
    one, again = (train_domains(DomainTask([source], target.images, (), Key("one"), config)) for _ in range(2))
    rows = one.probabilities(source.images)
    assert np.array_equal(rows, again.probabilities(source.images))
    assert (rows.argmax(1) == source.labels).mean() > 0.8
    assert features_of(one, target.images[:5]).shape == (5, one.network.head.in_features)


def test_the_published_way_of_training_learns_too(source: ImageDataset, target: ImageDataset) -> None:
    config = replace(QUICK, steps=60, adversary=0.1, published=True)
    trained = train_domains(DomainTask([source], target.images, (), Key("published"), config))
    assert (trained.probabilities(source.images).argmax(1) == source.labels).mean() > 0.8
    step = DomainStep(DomainTask([source], target.images, (), Key("one"), config), Device("cpu"))
    assert step.optimizer.param_groups[0]["lr"] == 0.01
    assert step.schedules["network"](QUICK.steps - 1, QUICK.steps) == pytest.approx(11**-0.75)


def test_a_source_alone_learns_nothing_of_the_target(source: ImageDataset, target: ImageDataset) -> None:
    one = train_domains(DomainTask([source], target.images, (), Key("one"), QUICK))
    other = train_domains(DomainTask([source], 255 - target.images, (), Key("one"), QUICK))
    assert np.array_equal(one.probabilities(source.images), other.probabilities(source.images))


def test_statistics_of_the_target_move_no_weight_and_help(source: ImageDataset, target: ImageDataset) -> None:
    trained = train_domains(DomainTask([source], target.images, (), Key("one"), replace(QUICK, steps=60)))
    adapted = with_statistics_of(trained, target.images)
    for (name, before), after in zip(
        trained.network.state_dict().items(), adapted.network.state_dict().values(), strict=True
    ):
        assert torch.equal(before, after) != ("running" in name or "num_batches" in name), name
    before, after = (
        (one.probabilities(target.images).argmax(1) == target.labels).mean() for one in (trained, adapted)
    )
    assert after >= before
    assert np.isfinite(with_statistics_of(trained, target.images[:1]).probabilities(target.images)).all()


def test_a_target_of_one_image_and_a_loss_that_explodes(source: ImageDataset, target: ImageDataset) -> None:
    config = replace(QUICK, adversary=0.3, confusion=1.0)
    assert np.isfinite(
        train_domains(DomainTask([source], target.images[:1], (), Key("one"), config)).probabilities(source.images)
    ).all()
    with pytest.raises(Diverged, match="NaN"):
        train_domains(DomainTask([source], target.images, (), Key("one"), replace(config, learning_rate=1e30)))


def test_all_arms_are_trained_and_described(source: ImageDataset, target: ImageDataset) -> None:
    done: list[AdaptedArm] = []
    heldout = easy_set([5, 5, 5], key="held out")
    for name in ARMS:
        fitted = train_arm(name, done, [source], target.images, Key("one"), QUICK)
        done.append(described(name, fitted, done, [heldout], fitted.probabilities(target.images)))
    assert [arm.name for arm in done] == list(ARMS)
    assert done[2].source_score == done[1].source_score, "AdaBN is held to what augmented knows of the source"
    assert done[-1].details["begins with"] == choose(done[:-1]).name
    assert all(sum(arm.shares) == pytest.approx(1) for arm in done)


def arm(name: str, score: float, information: float, shares: tuple[float, ...] = (0.5, 0.5)) -> AdaptedArm:
    classifier: Any = None  # nobody asks it anything
    return AdaptedArm(name, classifier, score, information, shares)


def test_the_choice_wants_information_but_not_at_any_price() -> None:
    plain, better = arm(AUGMENTED, 0.95, 0.6), arm("MCC", 0.9, 0.8)
    forgot, collapsed = arm("DANN", 0.8, 0.99), arm(SELF, 0.94, 0.9, (0.99, 0.01))
    assert collapsed.missing == 1
    assert not arm("x", 1, 1, (0.9, 0.05, 0.05)).collapsed
    three = arm("three gone", 0.94, 0.9, (1.0, 0.0, 0.0))
    assert three.collapsed
    assert choose([plain, better, forgot]) is better
    assert choose([plain, three]) is plain
    assert choose([three]) is three


def features(name: str, count: int, shift: float) -> np.ndarray:
    return (Key(f"tests/{name}").numpy_generator().normal(size=(count, 6)) + shift).astype(np.float32)


def test_domains_that_lie_apart_are_told_apart_and_others_are_not() -> None:
    apart = embed(features("a", 60, 0), features("b", 80, 4))
    assert apart.probe is not None
    assert apart.probe > 0.98
    assert (apart.source.shape, apart.target.shape) == ((60, 2), (80, 2))
    alike = embed(features("a", 200, 0), features("b", 200, 0))
    assert alike.probe == pytest.approx(0.5, abs=0.12)


def test_of_too_few_nothing_is_said() -> None:
    assert embed(features("a", 60, 0), features("b", 3, 4)).probe is None
    assert embed(features("a", 60, 0), features("b", 1, 4)).target.shape == (1, 2)
