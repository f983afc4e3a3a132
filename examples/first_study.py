"""A first study with the Python API: does growing 200 handwritten digits help to tell digits apart?

Run it with `python examples/first_study.py`; it takes about a minute on two cores.
"""

import tenfold


def main() -> None:
    # 20 images a class are studied; the rest is held back as a reserve and as a sealed external test.
    data = tenfold.load("digits", per_class=20)

    # What is in there, and what is wrong with it?
    audit = tenfold.check(data)
    print(f"{audit.images} images, {len(audit.counts)} classes, {len(audit.exact_within)} sets of duplicates")

    # Train every arm on the same folds and judge it on images that it has not seen.
    study = tenfold.prove(data, arms="raw,classical,classical+mixup", repeats=2)
    print(study.sentence)
    for arm in study.verdict.arms:
        reached = arm.balanced_accuracy
        print(f"{arm.name:16} {reached.estimate:6.1%}  (95 % interval {reached.low:.1%} to {reached.high:.1%})")

    # Grown images are written whether or not they help; the verdict above says if they are worth training on.
    grown = tenfold.grow(data, study.directory / "more", method="classical", times=3)
    print(grown.sentence)
    print(f"report: {study.directory / 'report.html'}")


if __name__ == "__main__":  # the trials run in worker processes, which import this file again
    main()
