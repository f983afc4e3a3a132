from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from made_up_sets import easy_set
from tenfold.claims.mixup_article import ArticleStep, train_article
from tenfold.core.keys import Key
from tenfold.training import loop as loop_module
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop

KEY = Key("article")


def shaken(images: Tensor, labels: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    return images + 0.1 * torch.rand(images.shape, generator=random).to(images.device), labels


def test_its_network_learns_what_is_easy() -> None:
    train, test = easy_set([100, 100], (1, 28, 28)), easy_set([40, 40], (1, 28, 28), key="test")
    assert train_article(train, test, (), 10, KEY, TrainingLoop()).mean() > 0.9


def test_every_epoch_shows_each_image_once_in_an_order_of_its_own() -> None:
    step = ArticleStep(easy_set([80, 70], (1, 28, 28)), (), 2, KEY, Device("cpu"))
    assert step.steps == 6
    first, second = (torch.cat(list(step._order(epoch))) for epoch in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(150))
    assert not torch.equal(first, second)
    assert torch.equal(torch.cat(list(step._order(0))), first)


class Killed(BaseException):
    pass


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    train, kills = easy_set([80, 70], (1, 28, 28)), {1, 4}

    class Mortal(ArticleStep):
        def step(self, number: int) -> dict[str, Tensor]:
            if number in kills:
                kills.remove(number)
                raise Killed
            return super().step(number)

    def weights(kind: type[ArticleStep], loop: TrainingLoop) -> list[np.ndarray]:
        step = loop.run(lambda attempt: kind(train, (shaken,), 2, KEY, loop.device)).step
        return [value.numpy() for value in step.networks["network"].state_dict().values()]

    whole = weights(ArticleStep, TrainingLoop())
    for _ in range(2):
        with pytest.raises(Killed):
            weights(Mortal, TrainingLoop(checkpoint=tmp_path / "state"))
    resumed = weights(Mortal, TrainingLoop(checkpoint=tmp_path / "state"))
    assert all(map(np.array_equal, whole, resumed))


def test_a_step_stays_on_its_device() -> None:
    step = ArticleStep(easy_set([40, 40], (1, 28, 28)), (shaken,), 1, KEY, Device("meta"))
    assert step.step(0)["loss"].is_meta
