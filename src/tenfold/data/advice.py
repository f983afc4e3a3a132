"""Findings in sentences: what will be done about each, and what only the user can mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold.data.decode import BROKEN_EXIF, FIRST_FRAME, WRONG_EXTENSION

if TYPE_CHECKING:
    from tenfold.data.audit import Audit

STRONG_IMBALANCE = 20
FOLDS = 5
FILE_WARNINGS = (WRONG_EXTENSION, FIRST_FRAME, BROKEN_EXIF)


def actions_for(findings: Audit) -> tuple[str, ...]:
    """What tenfold does about each finding, one sentence each."""
    in_exact = sum(map(len, findings.exact_within))
    in_across = sum(map(len, findings.exact_across))
    sentences = (
        (len(findings.set_aside), "{} that cannot be used: set aside and listed"),
        (in_exact, "{} with exact copies in the class: copies stay together in one fold"),
        (len(findings.near_within), "{:pair} of near duplicates within a class: kept together in one fold"),
        (in_across, "{} that stand in two classes: left out and listed"),
        (len(findings.copies_between_roles), "{} outside the study that copy others: left out"),
    )
    done = [_counted(sentence, count) for count, sentence in sentences if count]
    done += [f"{_counted('{}', count)}: {what}" for what, count in findings.conversions.items()]
    done += [
        f"class {name!r} has a single image: it is trained on and grown, but cannot be evaluated"
        for name in findings.single_image_classes
    ]
    if small := [name for name, count in findings.counts.items() if 1 < count < FOLDS]:
        done.append(f"fewer than {FOLDS} images in {', '.join(map(repr, small))}: fewer folds")
    return tuple(done)


def warnings_for(findings: Audit, groups_in_two_roles: int) -> tuple[str, ...]:
    """What deserves the user's eye, one sentence each."""
    warnings = []
    if len(findings.counts) < 2:
        warnings.append("a single class: it can be grown, but there is nothing to tell apart")
    if findings.imbalance >= STRONG_IMBALANCE:
        warnings.append(f"the largest class has {findings.imbalance:.0f} times the images of the smallest")
    if findings.constant:
        count = _counted("{}", len(findings.constant))
        warnings.append(f"{count} of one constant colour, such as {', '.join(findings.constant[:3])}")
    if findings.near_across:
        one, other = findings.near_across[0]
        count = _counted("{:pair}", len(findings.near_across))
        warnings.append(f"{count} of near duplicates in two classes, such as {one} and {other}: check them")
    if groups_in_two_roles:
        warnings.append(f"{groups_in_two_roles} groups have images both in the study and outside it")
    if not findings.near_duplicates_searched:
        warnings.append("too many images to search for near duplicates; exact ones were searched")
    seen = [(what, findings.conversions.get(what, 0)) for what in FILE_WARNINGS]
    return (*warnings, *(f"{_counted('{}', count)}: {what}" for what, count in seen if count))


def _counted(sentence: str, count: int) -> str:
    """The sentence with `{}` or `{:pair}` as a number of images or pairs."""
    for mark, noun in (("{:pair}", "pair"), ("{}", "image")):
        sentence = sentence.replace(mark, f"{count:,} {noun}{'' if count == 1 else 's'}")
    return sentence
