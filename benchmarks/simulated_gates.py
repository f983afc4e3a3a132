"""Does the verdict keep its word, and does it find what is there? Thousands of studies whose truth is known.

Rules for choosing the arm are compared on simulated studies and on studies of real learners: how often equal arms are
said to have helped, how often the interval holds the truth, how often a true gain is found.

    python benchmarks/simulated_gates.py [--studies 1000] [--out benchmarks/results/simulated-gates.md]

Sections that are finished are kept beside the output until all are, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from shared import table
from simulated_learners import Learners, learn
from simulated_rules import MARGIN, RULES, SEED, SHIPPED, Judged, Study, passes
from simulated_studies import Process, Studies, simulate, trials

from tenfold.core.files import read_json, write_json, write_text
from tenfold.core.keys import Key
from tenfold.evaluation.compare import Design, compare
from tenfold.evaluation.crossed import CrossedTest
from tenfold.evaluation.strata import Strata
from tenfold.runs.plan import LOOKS, STOP_BELOW

BATCH = 25

NONE = (0.0, 0.0, 0.0, 0.0)
EQUAL = {
    "200 images, 90 %, luck 0.8": Process(0.90, NONE, 0.008),
    "200 images, 90 %, luck 1.5": Process(0.90, NONE, 0.015),
    "200 images, 90 %, eight arms": Process(0.90, 2 * NONE, 0.008),
    "200 images, 90 %, the same arm again": Process(0.90, NONE, 0.008, opinion=0.0),
    "200 images, 90 %, one arm with a better log loss": Process(0.90, NONE, 0.008, vague=(0.8, 0.0, 0.8, 0.8, 0.8)),
    "200 images, 70 %, luck 3": Process(0.70, NONE, 0.03, difficulty=3, opinion=0.5),
    "600 images, 70 %, luck 3": Process(0.70, NONE, 0.03, difficulty=3, opinion=0.5, images=600),
    "600 images, 95.5 %, 10 classes": Process(0.955, NONE, 0.006, images=600, classes=10),
    "420 images, classes 20 : 1": Process(0.89, NONE, 0.008, images=420, imbalance=20),
    "210 images, classes 20 : 1": Process(0.89, NONE, 0.008, images=210, imbalance=20),
    "30 patients, lognormal sizes, 80 % alike": Process(
        0.85, NONE, 0.01, images=300, groups=30, alike=0.8, opinion=1
    ),
    "60 images, 80 %, luck 4": Process(0.80, NONE, 0.04, images=60),
    "200 images, 10 % of trainings collapsed": Process(0.90, NONE, 0.008, collapsed=0.1),
}
"""The baseline and arms that are as good; luck in points. Five of the last six are an outside review's."""

BETTER = {
    "200 images, 90 %, one of four +3": Process(0.90, (0.03, 0, 0, 0), 0.008),
    "200 images, 90 %, one of four +3, luck 1.5": Process(0.90, (0.03, 0, 0, 0), 0.015),
    "200 images, 90 %, one of four +3, vaguer": Process(0.90, (0.03, 0, 0, 0), 0.008, vague=(0, 0.8, 0, 0, 0)),
    "200 images, 90 %, two of four +3": Process(0.90, (0.03, 0.03, 0, -0.02), 0.008),
    "200 images, 90 %, a single arm +3": Process(0.90, (0.03,), 0.008),
    "600 images, 90 %, one of four +2": Process(0.90, (0.02, 0, 0, 0), 0.008, images=600),
    "60 images, 80 %, one of four +8": Process(0.80, (0.08, 0, 0, 0), 0.015, images=60),
    "30 patients, one of four +5": Process(0.85, (0.05, 0, 0, 0), 0.01, images=300, groups=30, alike=0.8, opinion=1),
    "420 images, classes 20 : 1, one of four +3": Process(0.89, (0.03, 0, 0, 0), 0.008, images=420, imbalance=20),
}

LEARNERS = {
    "digits, 200 images, equal": Learners("digits", 200, (150, 150, 150, 150, 150)),
    "digits, 200 images, one better": Learners("digits", 200, (100, 400, 100, 100, 100)),
    "mnist, 200 images, equal": Learners("mnist", 200, (100, 100, 100, 100, 100)),
    "mnist, 200 images, one better": Learners("mnist", 200, (60, 200, 60, 60, 60)),
    "mnist, 600 images, equal": Learners("mnist", 600, (100, 100, 100, 100, 100)),
    "mnist, 600 images, one better": Learners("mnist", 600, (100, 200, 100, 100, 100)),
}


def drawn(process: Process | Learners, repeats: int, studies: int, key: Key) -> Iterator[Study]:
    for batch in range(0, studies, BATCH):
        count, own = min(BATCH, studies - batch), key / batch
        if isinstance(process, Learners):
            many = learn(process, repeats, count, own)
        else:
            many = simulate(process, repeats, count, own.numpy_generator())
        yield from split(many)


def split(many: Studies) -> Iterator[Study]:
    accuracy, loss, gains = many.accuracy_gains(), many.loss_gains(), np.array(many.gains)
    strata = Strata.of(many.labels, many.weights, many.groups)
    for study in range(accuracy.shape[1]):
        yield Study(accuracy[:, study], loss[:, study], many.folds, many.validation_scores[:, study], gains, strata)


def judged_by(
    rules: Sequence[str], process: Process | Learners, repeats: int, studies: int
) -> dict[str, list[Judged]]:
    key, results = SEED / repr(process) / repeats, {rule: list[Judged]() for rule in rules}
    for study in drawn(process, repeats, studies, key):
        for rule in rules:
            results[rule].append(RULES[rule](study))
    return results


def helped(judged: Sequence[Judged]) -> str:
    return percent([one.helped for one in judged])


def covered(judged: Sequence[Judged], truths: Sequence[float] | None = None) -> str:
    truth = truths or [one.truth for one in judged]
    within = [
        one.test.interval.low <= true <= one.test.interval.high for one, true in zip(judged, truth, strict=True)
    ]
    return percent(within)


def percent(hits: Sequence[bool]) -> str:
    """With its Monte Carlo standard error."""
    share = float(np.mean(hits))
    return f"{100 * share:.1f} ± {100 * np.sqrt(max(share * (1 - share), 1 / len(hits) ** 2) / len(hits)):.1f}"


def rules_compared(
    settings: Mapping[str, Process], studies: int, shown: Callable[[Sequence[Judged]], str]
) -> list[str]:
    rows = []
    for name, process in settings.items():
        results = judged_by(list(RULES), process, 4, studies)
        rows.append([name, *(shown(results[rule]) for rule in RULES)])
    return table(["setting", *RULES], rows)


def false_help(studies: int) -> list[str]:
    return [
        "The baseline and arms that are as good, 4 repeats: % of studies that say “helped”.",
        "",
        *rules_compared(EQUAL, studies, helped),
    ]


def power(studies: int) -> list[str]:
    return ["True gains in points, 4 repeats: % “helped”.", "", *rules_compared(BETTER, studies, helped)]


def coverage(studies: int) -> list[str]:
    rows = []
    for name, process in {**EQUAL, **BETTER}.items():
        cells = []
        for repeats in (2, 4, 10):
            chosen = judged_by([SHIPPED], process, repeats, studies)[SHIPPED]
            cells += [covered(chosen), helped(chosen)]
        rows.append([name, *cells])
    head = [
        "setting",
        *(f"{what}, {repeats} repeats" for repeats in (2, 4, 10) for what in ("holds the truth", "helped")),
    ]
    return [
        "The rule that ships; the truth is the gain of the arms that a study chose. In %.",
        "",
        *table(head, rows),
    ]


def promised(studies: int) -> list[str]:
    rows = []
    for images, accuracy, luck in ((60, 0.8, 0.015), (200, 0.9, 0.008), (600, 0.9, 0.008), (2000, 0.95, 0.004)):
        process = Process(accuracy, (0.03,), luck, images=images)
        for _ in range(6):  # an effect that is the smallest detectable of studies in which it is there
            tests = [one.test for one in judged_by([SHIPPED], process, 4, 100)[SHIPPED]]
            effect = float(np.mean([test.smallest_detectable(MARGIN) for test in tests]))
            process = replace(process, gains=(min(effect, 0.99 - accuracy),))
        found = judged_by([SHIPPED], process, 4, studies)[SHIPPED]
        rows.append([images, f"{100 * accuracy:g}", f"{100 * process.gains[0]:.2f}", helped(found)])
    head = ["images", "accuracy %", "smallest detectable effect, points", "found, %"]
    return ["A single arm that is better by what the verdict says could be found, 4 repeats.", "", *table(head, rows)]


def real_learners(studies: int) -> list[str]:
    rows, count = [], max(100, studies // 4)
    for name, learners in LEARNERS.items():
        results = judged_by(list(RULES), learners, 4, count)
        gain = 100 * float(np.mean([one.truth for one in results[SHIPPED]]))
        rows.append([name, f"{gain:+.1f}", covered(results[SHIPPED]), *(helped(results[rule]) for rule in RULES)])
    head = ["learners", "gain of the chosen arm", "interval holds it", *RULES]
    return [
        f"Ridge regression on random features, {count} studies of fresh images each, 4 repeats: % “helped”.",
        "True gains are those of the same trainings on 1,000 other images.",
        "",
        *table(head, rows),
    ]


def by_gain(studies: int) -> list[str]:
    rows = []
    for images in (60, 200, 600):
        for others in (0, 3):
            gains = [(gain, *[0.0] * others) for gain in (0.01, 0.02, 0.03, 0.05)]
            found = [
                judged_by([SHIPPED], Process(0.9, one, 0.008, images=images), 4, studies)[SHIPPED] for one in gains
            ]
            rows.append([images, f"one of {1 + others}", *map(helped, found)])
    head = ["images, 90 %", "better arms", "+1", "+2", "+3", "+5"]
    return ["4 repeats; true gains in points: % “helped”.", "", *table(head, rows)]


def looks(studies: int) -> list[str]:
    """Studies of ten repeats, looked at after each of LOOKS, against the same ones never looked at."""
    rows = []
    settings = {
        **{name: EQUAL[name] for name in list(EQUAL)[:2]},
        **{name: BETTER[name] for name in list(BETTER)[:1]},
    }
    for name, process in settings.items():
        early, with_looks, without, longest = [], [], [], LOOKS[-1]
        for batch in range(0, studies, BATCH):
            draw = (SEED / "looks" / name / batch).numpy_generator()
            many = simulate(process, longest, min(BATCH, studies - batch), draw)
            by_look = [[RULES[SHIPPED](study) for study in split(many.first(repeats))] for repeats in LOOKS]
            for told in zip(*by_look, strict=True):
                ended = next((one for one in told[:-1] if one.test.p_value < STOP_BELOW), None)
                early.append(ended is not None)
                with_looks.append((ended or told[-1]).helped)
                without.append(told[-1].helped)
        rows.append([name, percent(early), percent(with_looks), percent(without)])
    head = ["setting", "ended early, %", "“helped” with looks, %", "“helped” without, %"]
    return [f"Looks after {LOOKS[:-1]} of {LOOKS[-1]} repeats, at p < {STOP_BELOW}.", "", *table(head, rows)]


def pilot(studies: int) -> list[str]:
    """Growth on the start that a further repeat prefers: arms 0 and 1 are starts, 2 and 3 the same two grown."""
    rows = []
    for name, gains in {"equal starts": (0.0, 0.0, 0.0), "one start +3": (0.03, 0.0, 0.03)}.items():
        tests: list[CrossedTest] = []
        for batch in range(0, studies, BATCH):
            draw = (SEED / "pilot" / name / batch).numpy_generator()
            many = simulate(Process(0.9, gains, 0.008), 5, min(BATCH, studies - batch), draw)
            for study, told in zip(split(many.first(4)), split(many), strict=True):
                start = int(told.loss[0, :, -1].mean() > 0)
                tables = [np.zeros(study.folds.shape), *study.accuracy]
                tests.append(study.test(tables[2 + start] - tables[start]))
        hurt = [test.interval.high < 0 and test.interval.estimate <= -MARGIN for test in tests]
        within = [test.interval.low <= 0 <= test.interval.high for test in tests]
        rows.append([name, percent([passes(test) for test in tests]), percent(hurt), percent(within)])
    head = ["200 images, 90 %; growing adds nothing", "“helped”, %", "“hurt”, %", "interval holds 0, %"]
    return ["The start is chosen by the log loss of one more repeat, which does not count.", "", *table(head, rows)]


def product(studies: int) -> list[str]:
    rows, count = [], min(studies, 200)
    for name, process in {"equal": Process(0.9, NONE, 0.008), "one +3": Process(0.9, (0.03, 0, 0, 0), 0.008)}.items():
        agreed, said, contradicted = [], [], 0
        for batch in range(0, count, BATCH):
            many = simulate(process, 4, BATCH, (SEED / "product" / name / batch).numpy_generator())
            design = Design(
                many.labels,
                many.groups,
                ["0", "1"],
                (0, 1),
                process.folds,
                "arm-0",
                [f"arm-{arm}" for arm in range(5)],
            )
            for number, study in enumerate(split(many)):
                verdict = compare(trials(many, number), design)
                said.append(verdict.outcome == "helped")
                agreed.append(said[-1] == RULES[SHIPPED](study).helped)
                contradicted += said[-1] != any(arm.outcome == "helped" for arm in verdict.arms)
        rows.append([name, percent(said), f"{sum(agreed)} of {count}", contradicted])
    head = ["200 images, 90 %", "verdict “helped”, %", "as the tables above judge it", "headline and table disagree"]
    return [f"{count} studies through `tenfold.evaluation.compare.compare`, trials and all.", "", *table(head, rows)]


SECTIONS: Mapping[str, Callable[[int], list[str]]] = {
    "Equal arms: false “helped”": false_help,
    "Power": power,
    "The rule that ships: coverage and power by repeats": coverage,
    "The smallest detectable effect": promised,
    "Power by the size of the gain": by_gain,
    "Interim looks": looks,
    "A start chosen by a pilot": pilot,
    "Real learners": real_learners,
    "Through the product": product,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("simulated-gates.md"))
    options = parser.parse_args()
    kept_at = options.out.with_suffix(".json.part")
    kept = read_json(kept_at) if kept_at.exists() else {}
    for title, section in SECTIONS.items():
        name = f"{title}, {options.studies} studies"
        if name not in kept:
            start = time.perf_counter()
            kept[name] = {"lines": section(options.studies), "seconds": time.perf_counter() - start}
            write_json(kept_at, kept)
        print(f"{title}: {kept[name]['seconds']:.0f} s", *kept[name]["lines"], sep="\n", flush=True)
    seconds = sum(one["seconds"] for one in kept.values())
    lines = [
        "# Simulated studies: does the verdict keep its word, and find what is there?",
        "",
        f"`python benchmarks/simulated_gates.py --studies {options.studies}` ({platform.machine()}, {os.cpu_count()} "
        f"cores, one used; {seconds:.0f} s; all draws from",
        f"the key `{SEED.path}`). {options.studies} studies a cell unless said otherwise; ± is the Monte Carlo",
        "standard error. How studies come about is told in simulated_studies.py and simulated_learners.py. The rule",
        f"that ships is “{SHIPPED}”; “(Holm's table)” is what a table of single arms shows.",
        "",
    ]
    for title in SECTIONS:
        lines += [f"## {title}", "", *kept[f"{title}, {options.studies} studies"]["lines"], ""]
    write_text(options.out, "\n".join(lines))
    kept_at.unlink()


if __name__ == "__main__":
    main()
