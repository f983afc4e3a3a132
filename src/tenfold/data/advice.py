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
    noun = _noun(findings)
    done = [_counted(sentence, count, noun) for count, sentence in sentences if count]
    done += [f"{_counted('{}', count, noun)}: {what}" for what, count in findings.conversions.items()]
    if findings.is_vectors and findings.constant:
        count = len(findings.constant)
        which = ", ".join(findings.constant[:3]) + (", ..." if count > 3 else "")
        done.append(
            f"{count:,} feature{'' if count == 1 else 's'} of one constant value, which tell nothing: {which}"
        )
    grown = "" if findings.is_vectors else " and grown"
    done += [
        f"class {name!r} has a single {noun}: it is trained on{grown}, but cannot be evaluated"
        for name in findings.single_image_classes
    ]
    if small := [name for name, count in findings.counts.items() if 1 < count < FOLDS]:
        done.append(f"fewer than {FOLDS} {noun}s in {', '.join(map(repr, small))}: fewer folds")
    return tuple(done)


def warnings_for(findings: Audit, groups_in_two_roles: int) -> tuple[str, ...]:
    """What deserves the user's eye, one sentence each."""
    warnings = []
    noun = _noun(findings)
    if len(findings.counts) < 2:
        growable = "" if findings.is_vectors else "it can be grown, but "
        warnings.append(f"a single class: {growable}there is nothing to tell apart")
    if findings.imbalance >= STRONG_IMBALANCE:
        warnings.append(f"the largest class has {findings.imbalance:.0f} times the {noun}s of the smallest")
    if findings.constant and not findings.is_vectors:
        count = _counted("{}", len(findings.constant), noun)
        warnings.append(f"{count} of one constant colour, such as {', '.join(findings.constant[:3])}")
    if findings.near_across:
        one, other = findings.near_across[0]
        count = _counted("{:pair}", len(findings.near_across), noun)
        warnings.append(f"{count} of near duplicates in two classes, such as {one} and {other}: check them")
    if groups_in_two_roles:
        warnings.append(f"{groups_in_two_roles} groups have {noun}s both in the study and outside it")
    if not findings.near_duplicates_searched and not findings.is_vectors:
        warnings.append("too many images to search for near duplicates; exact ones were searched")
    seen = [(what, findings.conversions.get(what, 0)) for what in FILE_WARNINGS]
    return (*warnings, *(f"{_counted('{}', count, noun)}: {what}" for what, count in seen if count))


def _noun(findings: Audit) -> str:
    return "row" if findings.is_vectors else "image"


def _counted(sentence: str, count: int, noun: str) -> str:
    """The sentence with `{}` or `{:pair}` as a number of images (or whatever the noun) or pairs."""
    for mark, counted in (("{:pair}", "pair"), ("{}", noun)):
        sentence = sentence.replace(mark, f"{count:,} {counted}{'' if count == 1 else 's'}")
    return sentence
