"""What an arm's trials tell of themselves, summed up: the choices that they made, and what their images are like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tenfold.core.types import Trial
from tenfold.evaluation.prediction_matrix import Arm


def ratios(trials: Sequence[Trial]) -> dict[str, int]:
    chosen = Counter(trial.details["ratio"] for trial in trials if "ratio" in trial.details)
    return {f"{ratio:g}": chosen[ratio] for ratio in sorted(chosen)}


def selected_hyperparameters(trials: Sequence[Trial]) -> dict[str, int]:
    chosen = Counter(
        f"{method}({','.join(f'{name}={value}' for name, value in sorted(options.items()))})"
        for trial in trials
        for method, options in trial.details.get("settled", {}).items()
    )
    return dict(chosen.most_common())


def micro_batches(trials: Iterable[Trial]) -> list[int]:
    """Of each trial that was short of memory, in how many parts a batch went through its networks."""
    every = (trial.details for trial in trials)
    told = [[details, *details.get("methods", {}).values()] for details in every]
    parts = [max(one.get("micro_batches", 1) for one in of_trial) for of_trial in told]
    return [count for count in parts if count > 1]


def diagnostics(arm: Arm) -> dict[str, float]:
    """Means over the diagnosed folds of the figures that all of them have, and what was thrown away in all trials."""
    diagnosed = [trial.details["diagnostics"] for trial in arm.values() if trial.details.get("diagnostics")]
    common = set.intersection(*map(set, diagnosed)) if diagnosed else set()
    figures = {name: mean(of_trial[name] for of_trial in diagnosed) for name in sorted(common)}
    of_generators = [trial.details for trial in arm.values() if "drawn" in trial.details]
    if drawn := sum(details["drawn"] for details in of_generators):
        for name in ("wrong_label", "near_copies"):
            figures[f"rejected_{name}"] = sum(details[name] for details in of_generators) / drawn
        figures["drawn"] = float(drawn)
    return figures


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
