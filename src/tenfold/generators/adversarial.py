"""The one adversarial loop: a generator and a critic, trained against one another by every method that has both.

At a look, every few steps, it asks for NaN and for collapse, and goes back where it finds one. All state is in a
`Duel`, and checkpoints are looks, so that a training that was killed repeats to the bit what it would have done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tenfold.core.errors import TenfoldError
from tenfold.core.keys import Key
from tenfold.generators.contest import AdversarialConfig, Contest
from tenfold.generators.duel import Duel
from tenfold.generators.keeping import Keeper
from tenfold.generators.turns import step
from tenfold.generators.watching import STRENGTHS, Trouble, adapt, look, trouble_of
from tenfold.training.device import threads
from tenfold.training.packing import values_in

MOST_RECOVERIES = 3
PACE_STEPS = (4, 24)
"""Steps between which the pace is taken; the first ones are slower."""


class TrainingFailed(TenfoldError):
    """The losses became NaN, or the generator collapsed, more often than the loop mends it."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A trained generator and what is to be told of its training."""

    generator: nn.Module
    """The moving average, in eval mode."""
    details: dict[str, Any]


def compete(
    make_contest: Callable[[Key], Contest], config: AdversarialConfig, key: Key, keeper: Keeper | None = None
) -> Outcome:
    """Train the two networks of a contest and return the averaged generator.

    What is not finite takes the training back to its last sound look, at a third of the rate. Pictures that hardly
    differ over the noise when half the steps are done take it back there once, at half the rate and with a more
    disturbed view, and then to the start with other first weights.

    Args:
        make_contest: gives the networks with their first weights; called again for a start with others.
        config: sizes and rates.
        key: names every draw.
        keeper: where checkpoints, metrics and grids are kept; nothing is, unless given.

    Raises:
        TrainingFailed: a fourth roll-back would be needed.
    """
    with threads(config.threads):
        return _compete(make_contest, config, key, keeper or Keeper())


def seconds_a_step(make_contest: Callable[[Key], Contest], config: AdversarialConfig, key: Key) -> float:
    """How long a step takes here, from about twenty of them that are thrown away."""
    first, last = PACE_STEPS
    with threads(config.threads):
        contest, duel = _started(make_contest, config, key, 0)
        for done in range(last):
            if done == first:
                start = time.perf_counter()
            step(contest, duel, config)
    return (time.perf_counter() - start) / (last - first)


def _compete(make_contest: Callable[[Key], Contest], config: AdversarialConfig, key: Key, keeper: Keeper) -> Outcome:
    kept = keeper.checkpoint()
    contest, duel = _started(make_contest, config, key, 0 if kept is None else values_in(kept).get("attempt", 0))
    if kept is not None:
        duel.restore(kept)
    sound, started = duel.packed(), time.perf_counter()
    seen, pictures = look(contest, duel, config)
    with keeper.progress(duel.steps, duel.step) as bar:
        while duel.step < duel.steps:
            figures = step(contest, duel, config)
            keeper.log(duel.step, figures)
            if duel.step == PACE_STEPS[0]:
                started = time.perf_counter()
            elif duel.step == PACE_STEPS[1]:
                pace = (time.perf_counter() - started) / (PACE_STEPS[1] - PACE_STEPS[0])
                duel.steps = min(duel.steps, keeper.affordable_steps(pace, duel.step))
                bar.total = duel.steps
            if duel.step % config.watch_every and duel.step != duel.steps:
                continue
            seen, pictures = look(contest, duel, config)
            trouble = trouble_of(seen, pictures, duel, config)
            bar.advance(duel.step - bar.done, note=f"diversity {seen.get('diversity', 1.0):.2f}")
            if trouble is None:
                assert pictures is not None
                adapt(duel, seen, config)
                sound = duel.packed()
                keeper.look(duel, seen, sound, contest, pictures)
                continue
            keeper.trouble(duel.step, trouble.text)
            contest, duel = _recovered(make_contest, contest, duel, config, key, sound, trouble)
            sound = duel.packed()
    return Outcome(
        duel.averaged.eval(),
        {
            "generator_steps": duel.step,
            "recoveries": duel.recoveries,
            "augmentation_strength": round(duel.strength, 4),
            **{name: round(value, 4) for name, value in seen.items()},
        },
    )


def _started(
    make_contest: Callable[[Key], Contest], config: AdversarialConfig, key: Key, attempt: int
) -> tuple[Contest, Duel]:
    key = key / attempt
    contest = make_contest(key).to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    duel = Duel.start(contest, config, key)
    duel.attempt = attempt
    return contest, duel


def _recovered(
    make_contest: Callable[[Key], Contest],
    contest: Contest,
    duel: Duel,
    config: AdversarialConfig,
    key: Key,
    sound: bytes,
    trouble: Trouble,
) -> tuple[Contest, Duel]:
    """The training as it was at the last sound look, or a new one, with smaller steps."""
    recoveries, rate, strength, steps = duel.recoveries + 1, duel.rate_factor, duel.strength, duel.steps
    if recoveries > MOST_RECOVERIES:
        raise TrainingFailed(f"{trouble.text}, and {MOST_RECOVERIES} roll-backs did not mend it")
    if trouble.collapsed and recoveries > 1:
        contest, duel = _started(make_contest, config, key, recoveries)
    else:
        duel.restore(sound)
        duel.random.manual_seed((key / "recovery" / recoveries).seed)
    duel.recoveries, duel.steps = recoveries, steps
    duel.rate_factor = rate / (2 if trouble.collapsed else 3)
    duel.strength = min(1.5 * strength, STRENGTHS[1]) if trouble.collapsed else strength
    return contest, duel
