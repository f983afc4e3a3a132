from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_contests import SIDE, TINY, Judge, Killed, Notebook, Painter, labelled, paired, weights_of
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.generators import turns, watching
from tenfold.generators.adversarial import TrainingFailed, compete, seconds_a_step
from tenfold.generators.contest import AdversarialConfig, Contest, Pair
from tenfold.generators.duel import Duel
from tenfold.networks.blocks import build

KEY = Key("adversarial")


def test_a_training_is_repeated_by_its_key_and_by_nothing_else() -> None:
    first, again, other = (compete(labelled, TINY, Key(name)) for name in "aab")
    assert weights_of(first) == weights_of(again)
    assert weights_of(first) != weights_of(other)
    assert first.details == again.details
    assert first.details["generator_steps"] == TINY.steps
    assert first.details["recoveries"] == 0
    assert not first.generator.training


def test_it_learns_what_each_class_looks_like() -> None:
    config = replace(TINY, steps=200, batch_size=16, learning_rate=1e-2, watch_every=100, augment=0.0)
    config = replace(config, average_images=500, penalty_every=1)
    generator = compete(labelled, config, KEY).generator
    noise = torch.randn(64, config.noise_size, generator=KEY.torch_generator())
    tilts = []
    for label in (0, 1):
        made = generator(noise, torch.full((64,), label), 1.0)
        tilts.append((made[:, :, : SIDE // 2].mean() - made[:, :, SIDE // 2 :].mean()).item())
    assert tilts[0] - tilts[1] > 0.3, "of real pictures it is 1"


def kill_and_resume(make: Any, config: AdversarialConfig, kills: list[int]) -> tuple[dict[str, bytes], bytes | None]:
    kept = None
    for kill in kills:
        notebook = Notebook(kept, killed_after=kill)
        try:
            compete(make, config, KEY, notebook)
        except Killed:
            kept = notebook.kept
    last = Notebook(kept)
    return weights_of(compete(make, config, KEY, last)), last.kept


@settings(deadline=None, max_examples=8)
@given(
    st.sampled_from([labelled, paired]),
    st.sampled_from(["relativistic", "wasserstein"]),
    st.sampled_from(["float32", "bfloat16"]),
    st.lists(st.integers(1, 20), min_size=1, max_size=2),
)
def test_a_killed_training_ends_with_the_same_bytes(make: Any, loss: Any, precision: Any, kills: list[int]) -> None:
    config = replace(TINY, loss=loss, precision=precision)
    notebook = Notebook()
    undisturbed = weights_of(compete(make, config, KEY, notebook))
    assert kill_and_resume(make, config, kills) == (undisturbed, notebook.kept)


def test_a_finished_training_is_only_read_again() -> None:
    notebook = Notebook()
    first = compete(paired, TINY, KEY, notebook)
    again = Notebook(notebook.kept)
    second = compete(paired, TINY, KEY, again)
    assert again.steps == []
    assert weights_of(first) == weights_of(second)
    assert first.details == second.details


class NanOnce(Judge):
    """Scores that are no numbers, at one call of the many of one training."""

    calls = 0

    def forward(self, pictures: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
        type(self).calls += 1
        scores = super().forward(pictures, condition, fade)
        return scores * float("nan") if self.calls == 20 else scores


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    NanOnce.calls = 0


def test_one_nan_takes_the_training_back_to_its_last_sound_look() -> None:
    notebook = Notebook()
    outcome = compete(lambda key: labelled(key, critic=NanOnce), TINY, KEY, notebook)
    # Three calls a step: the twentieth is in the seventh step, which the look after the tenth notices.
    assert notebook.steps == [*range(1, 11), *range(6, 21)]
    assert [(step, "NaN" in text) for step, text in notebook.troubles] == [(10, True)]
    assert [step for step, *_ in notebook.looks] == [5, 10, 15, 20]
    assert [factor for _, factor, *_ in notebook.looks] == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])
    last_rate = TINY.learning_rate / 3 * (1 - (1 - TINY.last_rate) * 19 / 20)
    assert notebook.looks[-1][3] == pytest.approx(last_rate)
    assert outcome.details["recoveries"] == 1
    assert all(value.isfinite().all() for value in outcome.generator.parameters())


def test_nan_before_the_first_look_goes_back_to_the_first_weights() -> None:
    notebook = Notebook()
    config = replace(TINY, watch_every=10)
    compete(lambda key: labelled(key, critic=NanOnce), config, KEY, notebook)
    assert notebook.steps == [*range(1, 11), *range(1, 21)]


def test_after_a_roll_back_other_draws_follow() -> None:
    """With the draws that led into it, it could only happen again."""
    calm, shaken = Notebook(), Notebook()
    compete(labelled, TINY, KEY, calm)
    compete(lambda key: labelled(key, critic=NanOnce), TINY, KEY, shaken)
    assert shaken.figures[5] == calm.figures[5], "the sixth step, first time"
    assert shaken.figures[10] != calm.figures[5], "the sixth step, second time"


@pytest.mark.parametrize("spread", [0.3, 0.0])
def test_rates_that_no_third_mends_fail_after_three_roll_backs(spread: float) -> None:
    notebook = Notebook()
    config = replace(TINY, learning_rate=1e30)
    with pytest.raises(TrainingFailed, match="NaN, and 3 roll-backs did not mend it"):
        compete(lambda key: labelled(key, spread=spread), config, KEY, notebook)
    assert len(notebook.troubles) == 4


def recording(make: Callable[[Key], Contest], starts: list[str]) -> Callable[[Key], Contest]:
    def made(key: Key) -> Contest:
        starts.append(key.path)
        return make(key)

    return made


def test_a_generator_that_draws_one_picture_goes_back_then_starts_anew_then_fails() -> None:
    notebook, starts = Notebook(), list[str]()
    config = replace(TINY, least_diversity=0.25, adapt=False)
    with pytest.raises(TrainingFailed, match=r"collapsed: .*differ only 0% .*3 roll-backs"):
        compete(recording(lambda key: labelled(key, noise_scale=0.0), starts), config, KEY, notebook)
    # The look after five steps is before half of them: a slow start is no collapse.
    assert notebook.steps == [*range(1, 11), *range(6, 11), *range(1, 11), *range(1, 11)]
    assert [step for step, _ in notebook.troubles] == [10, 10, 10, 10]
    assert starts == [f"{KEY.path}/{attempt}" for attempt in (0, 2, 3)]
    factors, strengths = ([look[place] for look in notebook.looks] for place in (1, 2))
    assert factors == pytest.approx([1, 1 / 4, 1 / 8])
    assert strengths == pytest.approx([1, 2, 2]), "half as much again each time, at most twice"


def collapsing_at_first(key: Key) -> Contest:
    """So much variety is asked of the first start that it is called a collapse; other starts have other pictures."""
    return labelled(key, spread=1e6 if key.path.endswith("/0") else 0.3)


def test_a_start_anew_finishes() -> None:
    notebook = Notebook()
    config = replace(TINY, least_diversity=0.01)
    outcome = compete(collapsing_at_first, config, KEY, notebook)
    assert outcome.details["recoveries"] == 2
    assert notebook.steps == [*range(1, 11), *range(6, 11), *range(1, 21)]


@pytest.mark.parametrize("kill", [7, 12, 18])
def test_a_training_killed_after_a_start_anew_goes_on_with_the_pictures_of_that_start(kill: int) -> None:
    config = replace(TINY, least_diversity=0.01)
    whole = Notebook()
    undisturbed = weights_of(compete(collapsing_at_first, config, KEY, whole))

    class KilledLate(Notebook):
        def log(self, step: int, figures: Any) -> None:
            super().log(step, figures)
            if len(self.steps) == 15 + kill:
                raise Killed

    first = KilledLate()
    with pytest.raises(Killed):
        compete(collapsing_at_first, config, KEY, first)
    last = Notebook(first.kept)
    assert weights_of(compete(collapsing_at_first, config, KEY, last)) == undisturbed
    assert last.kept == whole.kept


class Brightness(nn.Module):
    """A critic that nothing changes: what is brighter is more real."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Linear(1, 1)

    def forward(self, pictures: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
        return pictures.mean((1, 2, 3)) + 0 * self.nothing.weight.sum()


@pytest.mark.parametrize(("brightness", "rises"), [(-0.5, True), (0.25, False)])
def test_strength_follows_the_critics_lead(brightness: float, rises: bool) -> None:
    held_out = torch.full((8, 1, SIDE, SIDE), brightness), torch.zeros(8, dtype=torch.int64)
    notebook = Notebook()
    config = replace(TINY, steps=40, augment=0.5, learning_rate=1e-6, penalty=0.0)
    outcome = compete(lambda key: labelled(key, held_out=held_out, critic=Brightness), config, KEY, notebook)
    strengths = np.array([strength for _, _, strength, _ in notebook.looks])
    leads = np.array([seen["critic_lead"] for seen in notebook.seen])
    assert ((leads > 0.5) == rises).all()
    factor = 8 ** (2 * 5 / 40)
    expected = 0.5 * (factor if rises else 1 / factor) ** np.arange(1, 9)
    assert strengths == pytest.approx(np.clip(expected, 0.25, 2.0))
    assert outcome.details["augmentation_strength"] == pytest.approx(strengths[-1], abs=1e-4)


def test_strength_stays_where_it_is_not_to_be_adapted_or_nothing_is_held_out() -> None:
    held_out = torch.full((8, 1, SIDE, SIDE), -0.5), torch.zeros(8, dtype=torch.int64)
    for made, changes in (
        (lambda key: labelled(key, held_out=held_out), {"adapt": False}),
        (lambda key: labelled(key, held_out=held_out), {"augment": 0.0}),
        (labelled, {}),
    ):
        notebook = Notebook()
        config = replace(TINY, **changes)
        compete(made, config, KEY, notebook)
        assert {strength for _, _, strength, _ in notebook.looks} == {config.augment}


@settings(max_examples=50)
@given(st.floats(-1, 2), st.floats(0.05, 2), st.integers(1, 50))
def test_strength_stays_between_its_ends(lead: float, augment: float, looks: int) -> None:
    config = replace(TINY, augment=augment)
    duel = Duel.start(labelled(KEY), config, KEY)
    for _ in range(looks):
        before = duel.strength
        watching.adapt(duel, {"critic_lead": lead}, config)
        assert min(0.25, augment) <= duel.strength <= 2
        assert duel.strength >= before if lead > 0.5 else duel.strength <= before


def test_the_lead_is_0_for_pictures_like_those_trained_on_and_1_for_pictures_like_generated_ones() -> None:
    contest = labelled(KEY, critic=Brightness)
    duel = Duel.start(contest, TINY, KEY)
    random_ = Key("look").torch_generator()
    noise = torch.randn(16, TINY.noise_size, generator=random_)
    known, labels = contest.draw(8, random_)
    made = duel.averaged(noise[:8], labels, 1.0).detach()
    for unseen, lead in ((known, 0.0), (made, 1.0), ((known + made) / 2, 0.5)):
        contest.held_out = unseen, labels
        seen, _ = watching.look(contest, duel, TINY)
        assert seen["critic_lead"] == pytest.approx(lead, abs=1e-4)


def test_diversity_is_the_spread_over_the_noise_relative_to_that_of_real_pictures() -> None:
    contest = labelled(KEY, spread=0.2)
    duel = Duel.start(contest, TINY, KEY)
    seen, pictures = watching.look(contest, duel, TINY)
    assert pictures is not None
    assert pictures.shape == (2, watching.PROBES, 1, SIDE, SIDE)
    spread = pictures.numpy().std(axis=1).mean(axis=(1, 2, 3)) / 0.2
    assert seen["diversity"] == pytest.approx(spread.min(), rel=1e-4), "of two, torch's median is the lower"
    contest.probe_spread = torch.zeros(2)
    assert watching.look(contest, duel, TINY)[0]["diversity"] == 1, "nothing to compare with"


def test_a_look_changes_nothing() -> None:
    contest = labelled(KEY, held_out=labelled(KEY).draw(8, KEY.torch_generator()))
    duel = Duel.start(contest, TINY, KEY)
    before = duel.packed()
    watching.look(contest, duel, TINY)
    assert duel.packed() == before
    assert duel.critic.training
    often, seldom = (compete(paired, replace(TINY, watch_every=every, adapt=False), KEY) for every in (1, 20))
    assert weights_of(often) == weights_of(seldom)


def test_the_time_given_cuts_the_steps_and_the_rate_falls_all_the_same() -> None:
    notebook = Notebook(most_steps=30)
    config = replace(TINY, steps=100)
    outcome = compete(labelled, config, KEY, notebook)
    assert outcome.details["generator_steps"] == 30
    assert notebook.steps == list(range(1, 31))
    assert notebook.looks[-1][3] == pytest.approx(config.learning_rate * (1 - 0.75 * 29 / 30))
    assert len(notebook.paces) == 1
    assert 0 < notebook.paces[0] < 1


def test_time_in_plenty_adds_no_steps() -> None:
    assert compete(labelled, replace(TINY, steps=30), KEY).details["generator_steps"] == 30


def test_taking_the_pace_changes_nothing() -> None:
    before = weights_of(compete(labelled, TINY, KEY))
    states = torch.get_rng_state(), torch.get_num_threads()
    assert 0 < seconds_a_step(labelled, TINY, KEY) < 1
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.get_num_threads() == states[1]
    assert weights_of(compete(labelled, TINY, KEY)) == before


def test_the_average_follows_as_its_half_life_says() -> None:
    config = replace(TINY, steps=60, average_images=20)
    contest = labelled(KEY)
    duel = Duel.start(contest, config, KEY)
    expected = {name: value.numpy().astype(np.float64) for name, value in duel.averaged.state_dict().items()}
    for step in range(1, 61):
        turns.step(contest, duel, config)
        half_life = min(20.0, 0.05 * step * config.batch_size)
        memory = 0.5 ** (config.batch_size / max(1.0, half_life))
        for name, value in duel.generator.state_dict().items():
            expected[name] = memory * expected[name] + (1 - memory) * value.numpy()
    for name, value in duel.averaged.state_dict().items():
        assert value.numpy() == pytest.approx(expected[name], abs=1e-5)
    fast, slow = duel.generator.state_dict(), duel.averaged.state_dict()
    assert any(not torch.equal(fast[name], slow[name]) for name in fast)


class Normalised(Painter):
    """With running figures, which are no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        return torch.tanh(self.norm(super().forward(noise, labels, fade)))


def test_running_figures_are_taken_over_as_they_are() -> None:
    contest = labelled(KEY)
    contest.generator = build(Normalised, KEY.torch_generator())
    duel = Duel.start(contest, TINY, KEY)
    for _ in range(3):
        turns.step(contest, duel, TINY)
    assert duel.averaged.norm.num_batches_tracked > 0
    for slow, fast in zip(duel.averaged.buffers(), duel.generator.buffers(), strict=True):
        assert torch.equal(slow, fast)


def test_networks_with_running_figures_resume_to_the_bit_too() -> None:
    def made(key: Key) -> Contest:
        contest = labelled(key)
        contest.generator = build(Normalised, key.torch_generator())
        return contest

    assert kill_and_resume(made, TINY, [13])[0] == weights_of(compete(made, TINY, KEY))


@pytest.mark.parametrize("critic_steps", [1, 3])
@pytest.mark.parametrize(("penalty", "every"), [(0.3, 1), (0.3, 4), (0.0, 1)])
@pytest.mark.parametrize("loss", ["relativistic", "binary", "wasserstein"])
def test_turns_and_penalties_are_as_many_as_configured(
    monkeypatch: pytest.MonkeyPatch, critic_steps: int, penalty: float, every: int, loss: Any
) -> None:
    count = Counter[str]()
    contest = labelled(KEY)

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given_: Any) -> Any:
            count[name] += 1
            return call(*given_)

        return counting

    contest.draw = counted("draw", contest.draw)
    monkeypatch.setattr(turns, "slope_penalty", counted("flat", turns.slope_penalty))
    monkeypatch.setattr(turns, "unit_slope_penalty", counted("unit", turns.unit_slope_penalty))
    config = replace(TINY, steps=8, critic_steps=critic_steps, penalty=penalty, penalty_every=every, loss=loss)
    outcome = compete(lambda key: contest, config, KEY)
    assert count["draw"] == 8 * (critic_steps + 1)
    penalties = 8 * critic_steps // every if penalty else 0
    assert count["flat"] == (0 if loss == "wasserstein" else penalties)
    assert count["unit"] == (penalties if loss == "wasserstein" else 0)
    assert all(value.isfinite().all() for value in outcome.generator.parameters())


def test_labels_fade_in() -> None:
    seen: list[float] = []

    class Watching(Painter):
        def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
            if self.training:
                seen.append(fade)
            return super().forward(noise, labels, fade)

    def made(key: Key) -> Contest:
        contest = labelled(key)
        contest.generator = build(Watching, key.torch_generator())
        return contest

    compete(made, replace(TINY, fade_in_share=0.5), KEY)
    assert seen[::2] == pytest.approx([min(1, step / 10) for step in range(20)])
    seen.clear()
    compete(made, replace(TINY, fade_in_share=0.0), KEY)
    assert set(seen) == {1.0}


def test_half_precision_is_for_what_has_no_penalty() -> None:
    seen: list[torch.dtype] = []

    class Watching(Judge):
        def forward(self, pictures: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
            seen.append(self.conv(pictures).dtype)
            return super().forward(pictures, condition, fade)

    def made(key: Key) -> Contest:
        return labelled(key, critic=Watching)

    outcome = compete(made, replace(TINY, steps=4, penalty_every=2, precision="bfloat16"), KEY)
    half, full = torch.bfloat16, torch.float32
    assert seen == [full, half, half, half, half, half, full, half, half, half, half, half]
    assert {value.dtype for value in outcome.generator.parameters()} == {full}
    seen.clear()
    compete(made, replace(TINY, steps=4), KEY)
    assert set(seen) == {full}


def test_the_reward_for_variety_is_bounded_and_its_formula() -> None:
    contest = labelled(KEY)
    _, labels = contest.draw(8, KEY.torch_generator())
    noise = torch.randn(8, 3, generator=KEY.torch_generator())
    fake = contest.generator(noise, labels, 1.0)
    other = torch.randn(2, 3, generator=Key("other").torch_generator())
    apart = (contest.generator(other, labels[:2], 1.0) - fake[:2]).detach().abs().numpy().mean(axis=(1, 2, 3))
    ratios = apart / (other - noise[:2]).abs().numpy().mean(axis=1)
    for bound in (0.12, 100.0):
        config = replace(TINY, enough_variety=bound)
        found = turns._variety(contest, fake, labels, noise, config, 1.0, Key("other").torch_generator())
        assert found.item() == pytest.approx(np.minimum(ratios, bound).mean(), rel=1e-5)


def test_variety_that_is_rewarded_grows() -> None:
    config = replace(TINY, steps=100, learning_rate=5e-3, enough_variety=9.0)
    plain, rewarded = (
        compete(labelled, replace(config, variety=weight), KEY).details["diversity"] for weight in (0.0, 20.0)
    )
    assert rewarded > 1.1 * plain


def test_figures_of_a_step_are_what_the_losses_say() -> None:
    notebook = Notebook()
    compete(labelled, replace(TINY, loss="binary"), KEY, notebook)
    assert len(notebook.figures) == 20
    for figures in notebook.figures:
        assert set(figures) >= {"critic_loss", "generator_loss", "critic_right_on_real", "critic_right_on_generated"}
        assert 0 <= figures["critic_right_on_real"] <= 1
        assert figures["critic_right_on_generated"] * TINY.batch_size % 1 == 0
        assert figures["critic_loss"] > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_global_generators_are_as_before(threads: int) -> None:
    inside: list[int] = []

    def made(key: Key) -> Contest:
        inside.append(torch.get_num_threads())
        return labelled(key)

    before = torch.get_num_threads()
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    few = replace(TINY, threads=threads, steps=2, watch_every=1)
    compete(made, replace(few, loss="wasserstein", variety=0.1), KEY)
    with pytest.raises(TrainingFailed):
        compete(made, replace(few, learning_rate=1e30), KEY)
    assert set(inside) == {threads}
    assert torch.get_num_threads() == before
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1][1], np.random.get_state()[1])  # noqa: NPY002
    assert states[2] == random.getstate()


def test_the_critics_own_slopes_are_left_as_they_should_be() -> None:
    """The generator's turn needs no slopes of the critic's weights; the critic's turn needs them again."""
    contest = labelled(KEY)
    duel = Duel.start(contest, TINY, KEY)
    before = [value.clone() for value in duel.critic.parameters()]
    for _ in range(2):
        turns.step(contest, duel, TINY)
    after = list(duel.critic.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_pictures_and_the_picture_given_are_disturbed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Pair] = []

    class Watching(Judge):
        def __init__(self) -> None:
            super().__init__(2)

        def forward(self, pictures: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
            seen.append((pictures.detach(), condition))
            return super().forward(pictures, condition, fade)

    def made(key: Key) -> Contest:
        contest = paired(key)
        contest.critic = build(Watching, key.torch_generator())
        pool = contest.probe
        contest.draw = lambda count, random: (pool[[0] * count], pool[[0] * count])  # both are the same picture
        contest.held_out = None
        return contest

    compete(made, replace(TINY, steps=2, augment=1.0), KEY)
    size = TINY.batch_size
    for pictures, condition in seen[::3]:  # the critic's turns: real before generated ones
        assert torch.equal(pictures[:size], condition[:size])
        assert torch.equal(condition[:size], condition[size:])
        assert not torch.equal(condition[0], condition[1])
