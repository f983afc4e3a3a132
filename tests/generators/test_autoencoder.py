from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from made_up_styles import styled_set
from tenfold.core.keys import Key
from tenfold.generators import autoencoder as restyling
from tenfold.generators.autoencoder import FaderStep, RestylingConfig, reading_loss, train_fader
from tenfold.networks.autoencoder import Fader
from tenfold.networks.blocks import build
from tenfold.training.callbacks import Callback
from tenfold.training.loop import TrainingLoop
from tenfold.training.step import TrainingFailed

TINY = RestylingConfig(steps=6, batch_size=8, width=4, code_size=4, reader_extra=8, reader_steps=2)
SCORES = st.lists(st.floats(-8, 8), min_size=3, max_size=3)


def trained(config: RestylingConfig = TINY, key: str = "one", guide: nn.Module | None = None, **rest: Any) -> Fader:
    return train_fader(styled_set(40), config, Key(key), guide, TrainingLoop(**rest))


class Guide(nn.Module):
    """Reads nothing but how bright an image is."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(images.mean((2, 3)))
        return logits


@given(SCORES, st.integers(0, 2))
def test_the_losses_are_those_of_plain_sums(scores: list[float], label: int) -> None:
    total = sum(map(math.exp, scores))
    shares = [math.exp(score) / total for score in scores]
    logits, labels = torch.tensor([scores]), torch.tensor([label])
    other = -math.log(1 - min(shares[label], restyling.SURE))
    assert reading_loss(logits, labels, "other").item() == pytest.approx(other, rel=1e-2, abs=1e-3)
    uniform = -sum(map(math.log, shares)) / 3 - math.log(3)
    assert reading_loss(logits, labels, "uniform").item() == pytest.approx(uniform, abs=1e-4)
    assert reading_loss(logits, labels, "article").item() == pytest.approx(math.log(shares[label]), abs=1e-4)


def test_ours_have_a_lowest_value_and_the_articles_has_none() -> None:
    labels = torch.zeros(1, dtype=torch.int64)
    fooled = [torch.tensor([[-scale, scale, 0.0]]) for scale in (10.0, 1000.0)]
    assert reading_loss(fooled[0], labels, "other").item() == pytest.approx(0, abs=1e-4)
    assert reading_loss(torch.zeros(1, 3), labels, "uniform").item() == pytest.approx(0, abs=1e-6)
    near, far = (reading_loss(logits, labels, "article").item() for logits in fooled)
    assert far < near - 1000


def test_a_reader_that_is_sure_still_has_a_slope() -> None:
    logits = torch.tensor([[9.0, 0.0, 0.0]], requires_grad=True)
    reading_loss(logits, torch.tensor([0]), "other").backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] > 0.5


def test_the_same_key_gives_the_same_weights_and_another_key_others() -> None:
    first, again, other = (trained(key=key).state_dict() for key in ("one", "one", "two"))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_guide_teaches_and_does_not_learn() -> None:
    guide = build(Guide, Key("guide").torch_generator())
    before = {name: value.clone() for name, value in guide.state_dict().items()}
    config = replace(TINY, ramp_share=0.0)
    with_it, without = trained(config, guide=guide), trained(replace(config, guide=0.0), guide=guide)
    assert not torch.equal(with_it.from_code.weight, without.from_code.weight)
    assert all(torch.equal(before[name], value) for name, value in guide.state_dict().items())
    assert all(parameter.requires_grad for parameter in guide.parameters())


class Broken(FaderStep):
    """Finds something that is not finite, in its first attempts after three steps."""

    attempts = 1

    def step(self, number: int) -> dict[str, torch.Tensor]:
        rate = self.optimizers["fader"].param_groups[0]["initial_lr"]
        losses = super().step(number)
        if number == 2 and rate > TINY.learning_rate * 3.0**-self.attempts:
            self._losses["loss"] = torch.tensor(math.nan)
        return losses


def test_a_training_that_explodes_is_told_after_three_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FaderStep] = []
    start = restyling.FaderStep.__init__

    def noted(self: FaderStep, *arguments: Any) -> None:
        start(self, *arguments)
        made.append(self)

    monkeypatch.setattr(restyling.FaderStep, "__init__", noted)
    with pytest.raises(TrainingFailed, match="the losses became NaN, and smaller steps did not mend it"):
        trained(replace(TINY, learning_rate=1e30, bounded=False))
    rates = [step.optimizers["reader-0"].param_groups[0]["initial_lr"] for step in made]
    assert rates == pytest.approx([TINY.reader_rate * share for share in (1, 1 / 3, 1 / 9)])


@pytest.mark.usefixtures("looks_often")
def test_what_a_first_attempt_broke_a_smaller_rate_can_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restyling, "FaderStep", Broken)
    mended = trained()
    assert all(value.isfinite().all() for value in mended.state_dict().values())
    monkeypatch.setattr(Broken, "attempts", 2)
    assert not torch.equal(trained().to_code.weight, mended.to_code.weight)


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restyling.FaderStep, "look_every", 2)


class Killed(Callback):
    """After so many steps, counted in `taken`."""

    def __init__(self, after: int) -> None:
        self.after, self.taken = after, 0

    def step(self, number: int, steps: int, losses: Any) -> None:
        self.taken += 1
        if self.taken > self.after:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("looks_often", "checkpoint_at_every_chance")
def test_a_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose first attempt had ended in NaN, and with dropout and several readers, which have draws too."""
    config = replace(TINY, steps=8, dropout=0.2, readers=2)
    monkeypatch.setattr(restyling, "FaderStep", Broken)
    whole = trained(config).state_dict()
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(config, checkpoint=path, callbacks=[Killed(7)])
    after = Killed(99)
    resumed = trained(config, checkpoint=path, callbacks=[after]).state_dict()
    assert after.taken < 6, "it began where it was, not anew"
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
