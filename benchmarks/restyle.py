"""What restyle trades for what: swap accuracy, a fresh probe, kept style and reconstruction, over its weights.

    TENFOLD_DATA=... python benchmarks/restyle.py --seed 0 '' beta=0.02 code_size=8 preset=article

Each argument is a setting, `option=value,option=value`, and '' is the default. Prints a row of a Markdown table for
each. All on --images images of a known set, of which a fifth is held out for the figures. Besides the independent
classifier that the gates ask, one of another kind reads the swapped images: the three nearest real neighbours.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from tenfold.core.keys import Key
from tenfold.data.load import load
from tenfold.generators.gates import codes_of, held_out, painted, swaps_of
from tenfold.methods import make_method
from tenfold.methods.restyle import Method, Restyler

HEAD = "| setting | swap accuracy | by 3 neighbours (of real) | fresh probe | style correlation | error | seconds |"


def row(setting: str, data: str, images: int, seed: int) -> str:
    """A line of the table."""
    real = load(data, images=images, seed=seed).part("train")
    options = dict(part.split("=") for part in filter(None, setting.split(",")))
    method = make_method("restyle", options)
    assert isinstance(method, Method)
    key = Key(f"benchmark-{seed}")
    start = time.perf_counter()
    restyler = method.learn(real, key)
    assert isinstance(restyler, Restyler)
    seconds = time.perf_counter() - start
    learned, apart = held_out(real, method.config.hold_out, key)
    looked_at = learned if apart is None else apart
    rows, labels = swaps_of(looked_at.labels, real.class_count)
    swapped = painted(restyler.network, codes_of(restyler.network, looked_at.images)[rows], labels)
    neighbours = KNeighborsClassifier(3).fit(learned.images.reshape(len(learned), -1) / 255.0, learned.labels)
    some = np.arange(0, len(swapped), max(1, len(swapped) // 3000))
    read = (neighbours.predict(swapped[some].reshape(len(some), -1) / 255.0) == labels[some]).mean()
    of_real = (neighbours.predict(looked_at.images.reshape(len(looked_at), -1) / 255.0) == looked_at.labels).mean()
    gates = restyler.gates
    style = ", ".join(f"{name} {value:.2f}" for name, value in gates.style.items())
    return (
        f"| {setting or 'default'} | {100 * gates.swap_accuracy:.1f} | {100 * read:.1f} ({100 * of_real:.1f}) | "
        f"{100 * gates.probe_accuracy:.1f} | {gates.style_correlation:.2f} ({style}) | "
        f"{gates.reconstruction_error:.3f} of {gates.trivial_error:.3f} | {seconds:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="+", metavar="SETTING")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{HEAD}\n|{'---|' * 7}", flush=True)
    for setting in given.settings:
        print(row(setting, given.data, given.images, given.seed), flush=True)


if __name__ == "__main__":
    main()
