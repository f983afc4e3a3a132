"""The rule: from tables to one of six outcomes, for the study and for each arm, so that the two never disagree.

The headline tests the arm that the study chooses (`choice`), judged on images and by trainings that had no say. If it
helped, the same is asked of the arms that are left, and so on until one fails: a step-down, with which the chance
of any false "helped" stays at that of the first test. That an arm hurt, and what arms did that cannot be chosen
(controls, more real images), is corrected by Holm's method instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tenfold.evaluation import Interval, Outcome
from tenfold.evaluation.choice import Choice
from tenfold.evaluation.crossed import CrossedTest, holm
from tenfold.evaluation.prediction_matrix import PredictionMatrix

SIGNIFICANCE = 0.05


@dataclass(frozen=True, eq=False)
class Step:
    """One choice between arms, judged."""

    choice: Choice
    test: CrossedTest
    """The chosen arm - baseline in balanced accuracy."""
    helped: bool
    """Significant, of a size that matters, and so is the leading arm by itself."""


@dataclass(frozen=True, eq=False)
class Decision:
    """What the tables of a study say of the choice between some of its arms."""

    matrix: PredictionMatrix
    candidates: Sequence[str]
    of_starts: bool = False
    """Whether the candidates are other starts, of which nothing is said to have helped or hurt."""

    @cached_property
    def steps(self) -> list[Step]:
        """The choice between all candidates, then between those left by the leading arm, while they help."""
        left, steps = list(self.candidates), list[Step]()
        while left and (not steps or steps[-1].helped):
            choice = self.matrix.choice(left)
            test = self.matrix.test(choice, self.matrix.against_baseline)
            leading = self.matrix.singly[choice.leading]
            helped = all(self._helps(one.interval, one.p_value) for one in (test, leading))
            steps.append(Step(choice, test, helped))
            left = [name for name in left if name != choice.leading]
        return steps

    @property
    def primary(self) -> Step | None:
        """The headline's; None where there is no arm to choose."""
        return self.steps[0] if self.steps else None

    @property
    def outcome(self) -> Outcome:
        """Of the study."""
        step = self.primary
        if step is None:
            return "nothing_preferred"
        outcome = self._outcome(step.test.interval, helped=step.helped, hurt=step.test.p_value < SIGNIFICANCE)
        return "nothing_preferred" if outcome == "not_proven" and step.choice.nothing_preferred else outcome

    @cached_property
    def outcomes(self) -> Mapping[str, Outcome]:
        """Of each arm but the baseline."""
        tests, helpful = self.matrix.singly, {step.choice.leading for step in self.steps if step.helped}
        adjusted = dict(zip(tests, holm([test.p_value for test in tests.values()]), strict=True))
        helpful |= {
            name
            for name, test in tests.items()
            if name not in self.candidates and self._helps(test.interval, adjusted[name])
        }
        return {
            name: self._outcome(test.interval, helped=name in helpful, hurt=adjusted[name] < SIGNIFICANCE)
            for name, test in tests.items()
        }

    def _helps(self, difference: Interval, p_value: float) -> bool:
        return p_value < SIGNIFICANCE and difference.estimate >= self.matrix.design.margin

    def _outcome(self, difference: Interval, *, helped: bool, hurt: bool) -> Outcome:
        margin, first_look = self.matrix.design.margin, self.matrix.repeats == 1
        if -margin <= difference.low and difference.high <= margin:
            return "no_practical_difference"
        if helped:
            return "promising" if first_look else "better" if self.of_starts else "helped"
        if hurt and difference.estimate <= -margin and not first_look:
            return "worse" if self.of_starts else "hurt"
        return "not_proven"
