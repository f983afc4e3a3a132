from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_problems import KEY, SIDE, TINY, Judge, Killed, Notebook, Painter, labelled, paired, trained, weights_of
from torch import Tensor, nn

from tenfold.core.keys import Key
from tenfold.generators import gan
from tenfold.generators import problem as problems
from tenfold.generators.gan import GanStep
from tenfold.generators.problem import GanConfig, GanProblem, Pair
from tenfold.networks.blocks import build
from tenfold.training.device import Device
from tenfold.training.loop import TrainingLoop
from tenfold.training.step import Diverged


def started(problem: GanProblem, config: GanConfig = TINY) -> GanStep:
    return GanStep(problem, config, KEY, 0, Device())


def losses_of(step: GanStep, config: GanConfig, numbers: range) -> None:
    """Steps and averages as the loop takes them."""
    assert step.average is not None
    for number in numbers:
        step.step(number)
        step.average.update(step.averaged, step.generator, number + 1, step.steps)


def test_it_learns_what_each_class_looks_like() -> None:
    config = replace(TINY, steps=200, batch_size=16, learning_rate=1e-2, watch_every=100, augment=0.0)
    generator = trained(config=replace(config, average_images=500, penalty_every=1)).generator
    noise = torch.randn(64, config.noise_size, generator=KEY.torch_generator())
    tilts = []
    for label in (0, 1):
        made = generator(noise, torch.full((64,), label), 1.0)
        tilts.append((made[:, :, : SIDE // 2].mean() - made[:, :, SIDE // 2 :].mean()).item())
    assert tilts[0] - tilts[1] > 0.3, "of real images it is 1"


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([labelled, paired]),
    st.sampled_from(["relativistic", "wasserstein"]),
    st.sampled_from(["float32", "bfloat16"]),
    st.lists(st.integers(1, 20), min_size=1, max_size=2),
)
@pytest.mark.usefixtures("checkpoint_at_every_chance")
def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, make: Any, loss: Any, precision: Any, kills: list[int]
) -> None:
    config = replace(TINY, loss=loss, precision=precision, variety=0.5, critic_steps=2)
    undisturbed = trained(make, config)
    file = tmp_path_factory.mktemp("killed") / "checkpoint.safetensors"
    for kill in kills:
        try:
            trained(make, config, notebook=Notebook(kill), checkpoint=file)
        except Killed:
            continue
    resumed = trained(make, config, checkpoint=file)
    assert weights_of(resumed) == weights_of(undisturbed)
    assert resumed.details == undisturbed.details


class NanOnce(Judge):
    """Scores that are no numbers, at one call of the many of one training."""

    calls = 0

    def forward(self, images: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
        type(self).calls += 1
        scores = super().forward(images, condition, fade)
        return scores * float("nan") if self.calls == 20 else scores


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    NanOnce.calls = 0


def test_one_nan_takes_the_training_back_to_its_last_sound_look() -> None:
    notebook = Notebook()
    outcome = trained(lambda key: labelled(key, critic=NanOnce), notebook=notebook)
    # Three calls a step: the twentieth is in the seventh step, which the look after the tenth notices.
    assert notebook.steps == [*range(1, 11), *range(6, 21)]
    assert [(step, "NaN" in text) for step, text in notebook.troubles] == [(10, True)]
    assert notebook.looked_after == [5, 10, 15, 20]
    first, *others = (
        rate / (1 - (1 - TINY.last_rate) * n / 20) for rate, n in zip(notebook.rates, [4, 9, 14, 19], strict=True)
    )
    assert [first, *others] == pytest.approx([TINY.learning_rate, *[TINY.learning_rate / 3] * 3])
    assert outcome.details["recoveries"] == 1
    assert all(value.isfinite().all() for value in outcome.generator.parameters())


def test_after_a_roll_back_other_draws_follow() -> None:
    """With the draws that led into it, it could only happen again."""
    calm, shaken = Notebook(), Notebook()
    trained(notebook=calm)
    trained(lambda key: labelled(key, critic=NanOnce), notebook=shaken)
    assert shaken.losses[5] == calm.losses[5], "the sixth step, first time"
    assert shaken.losses[10] != calm.losses[5], "the sixth step, second time"


@pytest.mark.parametrize("spread", [0.3, 0.0])
def test_rates_that_no_third_mends_fail_after_three_roll_backs(spread: float) -> None:
    notebook = Notebook()
    with pytest.raises(Diverged, match="NaN, and 3 roll-backs did not mend it"):
        trained(lambda key: labelled(key, spread=spread), replace(TINY, learning_rate=1e30), notebook=notebook)
    assert len(notebook.troubles) == 3
    assert [step.problem.generator.noise_scale for step in notebook.made] == [1.0], "no start anew"


def test_a_generator_that_draws_one_image_goes_back_then_starts_anew_then_fails() -> None:
    notebook, starts = Notebook(), list[str]()

    def make(key: Key) -> GanProblem:
        starts.append(key.path)
        return labelled(key, noise_scale=0.0)

    config = replace(TINY, least_diversity=0.25, adapt=False)
    with pytest.raises(Diverged, match=r"collapsed: .*differ only 0% .*3 roll-backs"):
        trained(make, config, notebook=notebook)
    # The look after five steps is before half of them: a slow start is no collapse.
    assert notebook.steps == [*range(1, 11), *range(6, 11), *range(1, 11), *range(1, 11)]
    assert [step for step, _ in notebook.troubles] == [10, 10, 10]
    assert starts == [f"{KEY.path}/{attempt}" for attempt in (0, 2, 3)]
    shares = [rate / (1 - (1 - TINY.last_rate) * 4 / 20) / TINY.learning_rate for rate in notebook.rates]
    assert shares == pytest.approx([1, 1 / 4, 1 / 8])
    assert notebook.strengths == pytest.approx([1, 2, 2]), "half as much again each time, at most twice"


def collapsing_at_first(key: Key) -> GanProblem:
    """So much variety is asked of the first start that it is called a collapse; other starts have other images."""
    return labelled(key, spread=1e6 if key.path.endswith("/0") else 0.3)


@pytest.mark.usefixtures("checkpoint_at_every_chance")
@pytest.mark.parametrize("kill", [7, 12, 18])
def test_a_training_killed_after_a_start_anew_goes_on_with_the_images_of_that_start(
    tmp_path: Path, kill: int
) -> None:
    config, whole = replace(TINY, least_diversity=0.01), Notebook()
    undisturbed = trained(collapsing_at_first, config, notebook=whole)
    assert undisturbed.details["recoveries"] == 2
    assert whole.steps == [*range(1, 11), *range(6, 11), *range(1, 21)]
    file = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        trained(collapsing_at_first, config, notebook=Notebook(15 + kill), checkpoint=file)
    assert weights_of(trained(collapsing_at_first, config, checkpoint=file)) == weights_of(undisturbed)


class Brightness(nn.Module):
    """A critic that nothing changes: what is brighter is more real."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Linear(1, 1)

    def forward(self, images: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
        return images.mean((1, 2, 3)) + 0 * self.nothing.weight.sum()


@pytest.mark.parametrize(("brightness", "rises"), [(-0.5, True), (0.25, False)])
def test_strength_follows_the_critics_lead(brightness: float, rises: bool) -> None:
    held_out = torch.full((8, 1, SIDE, SIDE), brightness), torch.zeros(8, dtype=torch.int64)
    notebook = Notebook()
    config = replace(TINY, steps=40, augment=0.5, learning_rate=1e-6, penalty=0.0)
    outcome = trained(lambda key: labelled(key, held_out=held_out, critic=Brightness), config, notebook=notebook)
    leads = np.array([look.figures["critic_lead"] for look in notebook.looks])
    assert ((leads > 0.5) == rises).all()
    factor = 8 ** (2 * 5 / 40)
    expected = 0.5 * (factor if rises else 1 / factor) ** np.arange(1, 9)
    assert notebook.strengths == pytest.approx(np.clip(expected, 0.25, 2.0))
    assert outcome.details["augmentation_strength"] == pytest.approx(notebook.strengths[-1], abs=1e-4)


def test_strength_stays_where_it_is_not_to_be_adapted_or_nothing_is_held_out() -> None:
    held_out = torch.full((8, 1, SIDE, SIDE), -0.5), torch.zeros(8, dtype=torch.int64)
    for make, changes in (
        (lambda key: labelled(key, held_out=held_out), {"adapt": False}),
        (lambda key: labelled(key, held_out=held_out), {"augment": 0.0}),
        (labelled, {}),
    ):
        notebook, config = Notebook(), replace(TINY, **changes)
        trained(make, config, notebook=notebook)
        assert set(notebook.strengths) == {config.augment}


@settings(max_examples=50)
@given(st.floats(-1, 2), st.floats(0.05, 2), st.integers(1, 50))
def test_strength_stays_between_its_ends(lead: float, augment: float, looks: int) -> None:
    config, strength = replace(TINY, augment=augment), augment
    for _ in range(looks):
        before, strength = strength, problems.adapted(strength, {"critic_lead": lead}, config, 20)
        assert min(0.25, augment) <= strength <= 2
        assert strength >= before if lead > 0.5 else strength <= before


def test_the_lead_is_0_for_images_like_those_trained_on_and_1_for_images_like_generated_ones() -> None:
    problem = labelled(KEY, critic=Brightness)
    step, random_ = started(problem), Key("look").torch_generator()
    noise = torch.randn(16, TINY.noise_size, generator=random_)
    known, labels = problem.draw(problem.images, 8, random_)
    made = step.averaged(noise[:8], labels, 1.0).detach()
    for unseen, lead in ((known, 0.0), (made, 1.0), ((known + made) / 2, 0.5)):
        problem.held_out = unseen, labels
        figures, _ = problems.monitor(problem, step.averaged, TINY.noise_size)
        assert figures["critic_lead"] == pytest.approx(lead, abs=1e-4)


def test_diversity_is_the_spread_over_the_noise_relative_to_that_of_real_images() -> None:
    problem = labelled(KEY, spread=0.2)
    figures, images = problems.monitor(problem, started(problem).averaged, TINY.noise_size)
    assert images is not None
    assert images.shape == (2, problems.PROBES, 1, SIDE, SIDE)
    spread = images.numpy().std(axis=1).mean(axis=(1, 2, 3)) / 0.2
    assert figures["diversity"] == pytest.approx(spread.min(), rel=1e-4), "of two, torch's median is the lower"
    problem.probe_spread = torch.zeros(2)
    figures, _ = problems.monitor(problem, problem.generator, TINY.noise_size)
    assert figures["diversity"] == 1, "nothing to compare with"


def test_a_look_changes_nothing() -> None:
    """But for the strength of augmentation, where it is to be adapted."""
    often, seldom = (trained(paired, replace(TINY, watch_every=every, adapt=False)) for every in (1, 20))
    assert weights_of(often) == weights_of(seldom)


def test_rows_of_a_look_begin_with_the_image_that_is_made_into_others() -> None:
    for make, columns in ((labelled, problems.PROBES), (paired, problems.PROBES + 1)):
        problem = make(KEY)
        images = started(problem).look(5).images
        assert images is not None
        assert images.shape == (len(problem.probe), columns, 1, SIDE, SIDE)
    assert torch.equal(images[:, 0], problem.probe)


def test_the_average_follows_as_its_half_life_says() -> None:
    config = replace(TINY, steps=60, average_images=20)
    step = started(labelled(KEY), config)
    expected = {name: value.numpy().astype(np.float64) for name, value in step.averaged.state_dict().items()}
    for number in range(60):
        losses_of(step, config, range(number, number + 1))
        half_life = min(20.0, 0.05 * (number + 1) * config.batch_size)
        memory = 0.5 ** (config.batch_size / max(1.0, half_life))
        for name, value in step.generator.state_dict().items():
            expected[name] = memory * expected[name] + (1 - memory) * value.numpy()
    for name, value in step.averaged.state_dict().items():
        assert value.numpy() == pytest.approx(expected[name], abs=1e-5)
    fast, slow = step.generator.state_dict(), step.averaged.state_dict()
    assert any(not torch.equal(fast[name], slow[name]) for name in fast)


class Normalised(Painter):
    """With running figures, which are no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
        return torch.tanh(self.norm(super().forward(noise, labels, fade)))


def drawn_by(network: Callable[[], nn.Module]) -> Callable[[Key], GanProblem]:
    """The labelled problem with another generator."""

    def make(key: Key) -> GanProblem:
        problem = labelled(key)
        problem.generator = build(network, key.torch_generator())
        return problem

    return make


def test_running_figures_are_taken_over_as_they_are() -> None:
    step = started(drawn_by(Normalised)(KEY))
    losses_of(step, TINY, range(3))
    assert step.averaged.norm.num_batches_tracked > 0
    for slow, fast in zip(step.averaged.buffers(), step.generator.buffers(), strict=True):
        assert torch.equal(slow, fast)


@pytest.mark.parametrize("critic_steps", [1, 3])
@pytest.mark.parametrize(("penalty", "every"), [(0.3, 1), (0.3, 4), (0.0, 1)])
@pytest.mark.parametrize("loss", ["relativistic", "binary", "wasserstein"])
def test_turns_and_penalties_are_as_many_as_configured(
    monkeypatch: pytest.MonkeyPatch, critic_steps: int, penalty: float, every: int, loss: Any
) -> None:
    count = Counter[str]()
    problem = labelled(KEY)

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given_: Any) -> Any:
            count[name] += 1
            return call(*given_)

        return counting

    problem.draw = counted("draw", problem.draw)
    monkeypatch.setattr(gan, "slope_penalty", counted("flat", gan.slope_penalty))
    monkeypatch.setattr(gan, "unit_slope_penalty", counted("unit", gan.unit_slope_penalty))
    config = replace(TINY, steps=8, critic_steps=critic_steps, penalty=penalty, penalty_every=every, loss=loss)
    outcome = trained(lambda key: problem, config)
    assert count["draw"] == 8 * (critic_steps + 1)
    penalties = 8 * critic_steps // every if penalty else 0
    assert count["flat"] == (0 if loss == "wasserstein" else penalties)
    assert count["unit"] == (penalties if loss == "wasserstein" else 0)
    assert all(value.isfinite().all() for value in outcome.generator.parameters())


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_labels_fade_in(share: float) -> None:
    fades: list[float] = []

    class Watching(Painter):
        def forward(self, noise: Tensor, labels: Tensor, fade: float = 1.0) -> Tensor:
            if self.training:
                fades.append(fade)
            return super().forward(noise, labels, fade)

    trained(drawn_by(Watching), replace(TINY, fade_in_share=share))
    assert fades[::2] == pytest.approx([min(1, step / 20 / share) if share else 1 for step in range(20)])


def test_half_precision_is_for_what_has_no_penalty() -> None:
    seen: list[torch.dtype] = []

    class Watching(Judge):
        def forward(self, images: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
            seen.append(self.conv(images).dtype)
            return super().forward(images, condition, fade)

    def make(key: Key) -> GanProblem:
        return labelled(key, critic=Watching)

    outcome = trained(make, replace(TINY, steps=4, penalty_every=2, precision="bfloat16"))
    half, full = torch.bfloat16, torch.float32
    assert seen == [full, half, half, half, half, half, full, half, half, half, half, half]
    assert {value.dtype for value in outcome.generator.parameters()} == {full}
    seen.clear()
    trained(make, replace(TINY, steps=4))
    assert set(seen) == {full}


def test_the_reward_for_variety_is_bounded_and_its_formula() -> None:
    problem = labelled(KEY)
    _, labels = problem.draw(problem.images, 8, KEY.torch_generator())
    noise = torch.randn(8, 3, generator=KEY.torch_generator())
    fake = problem.generator(noise, labels, 1.0)
    other = torch.randn(2, 3, generator=Key("other").torch_generator())
    apart = (problem.generator(other, labels[:2], 1.0) - fake[:2]).detach().abs().numpy().mean(axis=(1, 2, 3))
    ratios = apart / (other - noise[:2]).abs().numpy().mean(axis=1)
    for bound in (0.12, 100.0):
        step = started(problem, replace(TINY, enough_variety=bound))
        step.random.set_state(Key("other").torch_generator().get_state())
        result = step._variety(fake, labels, noise, 1.0)
        assert result.item() == pytest.approx(np.minimum(ratios, bound).mean(), rel=1e-5)


def test_losses_of_a_step_are_what_they_say() -> None:
    notebook = Notebook()
    trained(config=replace(TINY, loss="binary"), notebook=notebook)
    assert len(notebook.losses) == 20
    for losses in notebook.losses:
        assert set(losses) == {"critic_loss", "generator_loss", "critic_right_on_real", "critic_right_on_generated"}
        assert 0 <= losses["critic_right_on_real"] <= 1
        assert losses["critic_right_on_generated"] * TINY.batch_size % 1 == 0
        assert losses["critic_loss"] > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_as_many_threads_work_as_configured(threads: int) -> None:
    inside: list[int] = []

    def make(key: Key) -> GanProblem:
        inside.append(torch.get_num_threads())
        return labelled(key)

    before = torch.get_num_threads()
    trained(make, replace(TINY, threads=threads, steps=2, watch_every=1))
    assert set(inside) == {threads}
    assert torch.get_num_threads() == before


def test_images_and_the_image_given_are_augmented_alike() -> None:
    seen: list[Pair] = []

    class Watching(Judge):
        def __init__(self) -> None:
            super().__init__(2)

        def forward(self, images: Tensor, condition: Tensor, fade: float = 1.0) -> Tensor:
            seen.append((images.detach(), condition))
            return super().forward(images, condition, fade)

    def make(key: Key) -> GanProblem:
        problem = paired(key)
        problem.critic = build(Watching, key.torch_generator())
        problem.draw = lambda pool, count, random: (pool[[0] * count], pool[[0] * count])  # both are the same image
        problem.held_out = None
        return problem

    trained(make, replace(TINY, steps=2, augment=1.0))
    size = TINY.batch_size
    for images, condition in seen[::3]:  # the critic's steps: real before generated ones
        assert torch.equal(images[:size], condition[:size])
        assert torch.equal(condition[:size], condition[size:])
        assert not torch.equal(condition[0], condition[1])


@pytest.mark.parametrize("make", [labelled, paired])
def test_too_little_memory_takes_smaller_parts_of_the_batches(make: Callable[[Key], GanProblem]) -> None:
    sizes: list[int] = []

    class Hungry(GanStep):
        def _critic_loss(self, real: Tensor, *more: Any, **options: Any) -> Any:
            sizes.append(len(real))
            if len(real) > TINY.batch_size // 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super()._critic_loss(real, *more, **options)

    loop = TrainingLoop()
    outcome = loop.run(lambda attempt: Hungry(make(KEY / attempt), TINY, KEY, attempt, loop.device))
    assert (outcome.steps, outcome.micro_batches) == (TINY.steps, 2)
    assert sizes[0] == TINY.batch_size
    assert set(sizes[1:]) == {TINY.batch_size // 2}
