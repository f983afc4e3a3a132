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
from tenfold.core.errors import InputError
from tenfold.core.keys import Key
from tenfold.generators import autoencoder as restyling
from tenfold.generators.adversarial import TrainingFailed
from tenfold.generators.autoencoder import RestylingConfig, reading_loss, seconds_a_step, train_fader
from tenfold.networks.autoencoder import Fader

TINY = RestylingConfig(steps=6, batch_size=8, width=4, code_size=4, reader_extra=8, reader_steps=2)
SCORES = st.lists(st.floats(-8, 8), min_size=3, max_size=3)


def trained(config: RestylingConfig = TINY, key: str = "one", guide: nn.Module | None = None, **rest: Any) -> Fader:
    real = styled_set(40)
    return train_fader(torch.tensor(real.images), torch.tensor(real.labels), 4, config, Key(key), guide, **rest)


class Guide(nn.Module):
    """Reads nothing but how bright a picture is."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 4)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(pictures.mean((2, 3)))
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
    guide = Guide()
    before = {name: value.clone() for name, value in guide.state_dict().items()}
    config = replace(TINY, ramp_share=0.0)
    with_it, without = trained(config, guide=guide), trained(replace(config, guide=0.0), guide=guide)
    assert not torch.equal(with_it.from_code.weight, without.from_code.weight)
    assert all(torch.equal(before[name], value) for name, value in guide.state_dict().items())
    assert all(parameter.requires_grad for parameter in guide.parameters())


def test_a_training_that_explodes_is_told_after_three_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    start = restyling._Training.__init__

    def noted(self: restyling._Training, *arguments: object) -> None:
        rates.append(arguments[5])
        start(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(restyling._Training, "__init__", noted)
    with pytest.raises(TrainingFailed, match="NaN"):
        trained(replace(TINY, learning_rate=1e30, bounded=False))
    assert rates == [1.0, pytest.approx(1 / 3), pytest.approx(1 / 9)]


def test_what_a_first_attempt_broke_a_smaller_rate_can_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    step = restyling._Training.step

    def breaks(self: restyling._Training) -> str:
        if self.rate == 1.0 and self.number == 3:
            raise restyling._NotFinite
        return step(self)

    monkeypatch.setattr(restyling._Training, "step", breaks)
    assert all(value.isfinite().all() for value in trained().state_dict().values())


@pytest.mark.parametrize("broken", [False, True])
def test_a_training_that_was_killed_goes_on_to_the_same_bits(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose first attempt had ended in NaN, and with dropout and several readers, which have draws too."""
    config = replace(TINY, steps=8, dropout=0.2, readers=2)
    step, taken, last = restyling._Training.step, 0, 99

    def killed(self: restyling._Training) -> str:
        nonlocal taken
        taken += 1
        if broken and self.rate == 1.0 and self.number == 2:
            raise restyling._NotFinite
        if taken > last:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(restyling._Training, "step", killed)
    monkeypatch.setattr(restyling, "LOOK_EVERY", 3)
    monkeypatch.setattr(restyling, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    whole = trained(config).state_dict()
    path, taken, last = tmp_path / "checkpoint", 0, 7
    with pytest.raises(KeyboardInterrupt):
        trained(config, checkpoint=path)
    taken, last = 0, 99
    resumed = trained(config, checkpoint=path).state_dict()
    assert taken < 6, "it began where it was, not anew"
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="another training"):
        trained(config, checkpoint=path)


def test_the_pace_of_a_training_is_measured() -> None:
    real = styled_set(20)
    pace = seconds_a_step(torch.tensor(real.images), torch.tensor(real.labels), 4, TINY, Key("one"), steps=2)
    assert 0 < pace < 5
