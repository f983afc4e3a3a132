"""What the columns of a table mean, whatever they are called, and when two of their cells say the same.

People and programs write `Patient ID`, `patient_id` and `PatientID`, `cat` and `cat `, `1` and `1.0`. A patient who
is not recognised stands on both sides of a fold, and the verdict is wrong without a word: so names are compared by
their letters and digits alone, cells by what they say, and what was understood is always told.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tenfold.core.errors import InputError, listed

Cells = Sequence[str]

UNKNOWN = frozenset(
    {"", "nan", "NaN", "NAN", "NaT", "null", "NULL", "Null", "None", "NA", "N/A", "n/a", "<NA>", "#N/A"}
)
"""What programs write where nothing is known; `none` in small letters is a word that people use."""
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
WHOLE = re.compile(r"([+-]?\d+)\.0*", re.ASCII)
MOST_NAMED = 8
NO_COLUMN = "none"
"""Given as `--group-column`: every image is alone, whatever the columns are called."""

_NUMBER = "(?:id|ids|no|nr|num|number|nummer|code|key|name|index|idx|uid|instanceuid|identifier|hash|pseudonym)"
_PERSON = (
    "group|groups|patient|patients|patienten|patientin|paciente|paziente|subject|subjects|subj|participant|"
    "participants|proband|probanden|person|individual|donor|volunteer"
)
_THING = "case|lesion|slide|specimen|biopsy|animal|mouse|rat|well"
_SERIES = "sample|series|session|exam|video|clip|sequence|scan|plant|tree|embryo|clone|eye|family|owner|visit"
PERSON = re.compile(
    rf"(?:anon[a-z]*?|pseudo[a-z]*?|unique|id)?(?:{_PERSON}){_NUMBER}*|(?:sub|sbj|pat|pt){_NUMBER}+|mrn|pid"
)
"""Columns that are the group, whatever they hold."""
BARE_THING = re.compile(_THING)
THING = re.compile(rf"(?:unique|id)?(?:{_THING}){_NUMBER}*|(?:{_SERIES}){_NUMBER}+")
"""Columns that are the group where no person is named and their cells tell single ones apart."""

FILES = (
    re.compile(r"filename"),
    re.compile(r"file|filepath|filenames|path|(image|img|photo|picture)(file|filename|path|filepath)"),
    re.compile(r"(image|img|photo|picture)s?(name|id|index|no|number|uid)?|isicid"),
    re.compile(r"id|name"),
)
"""Names of the column of files, the surest first."""
LABELS = (
    re.compile(r"label|class"),
    re.compile(
        r"labels|classes|(label|class|category|target)(name|id|label)?|target|diagnosis|diagnose|dx|groundtruth"
    ),
)
SPLITS = (re.compile(r"splits?"), re.compile(r"subset|partition|phase|usage|dataset|set"))


@dataclass(frozen=True)
class Meaning:
    """Which column is what."""

    file: str | None
    label: tuple[str, ...]
    """One column, or several of 0 and 1; empty where none was found."""
    group: tuple[str, ...]
    """Candidates, the surest alone; which of them it is depends on their cells, see `group_of`."""
    split: str | None
    rest: tuple[str, ...]
    """Columns that mean nothing here: features, or not used."""
    files: tuple[str, ...] = ()
    """All that may name the files."""
    chosen: bool = False
    """Whether the group was asked for, whatever its cells are."""


def key(name: str) -> str:
    """The letters and digits of a name, without case and accents: `Patient ID` and `patient_id` are one."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", name).casefold() if letter.isalnum())


def clean(cell: object) -> str:
    """What a cell says: without outer white space, 1.0 as 1, and one form of letters that Unicode has two for."""
    text = "" if cell is None else unicodedata.normalize("NFC", str(cell))
    while (bare := text.strip().strip(INVISIBLE)) != text:
        text = bare
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else text


def meaning_of(names: Cells, asked: Mapping[str, str], where: str, *, labelled: bool = True) -> Meaning:
    """Which of a table's columns is what: those asked for by name (file, label, group), the others by theirs.

    Raises:
        InputError: a column that was asked for is not there, or several may be meant.
    """
    group_asked = asked.get("group")
    given = {what: _asked(names, wanted, what, where) for what, wanted in asked.items() if wanted != NO_COLUMN}
    taken = {name for columns in given.values() for name in columns}
    free = [name for name in names if name not in taken]
    files = given["file"] if "file" in given else _by_rank(free, FILES)
    label = given["label"] if "label" in given else _label(free, where) if labelled else _by_rank(free, LABELS)[:1]
    free = [name for name in free if name not in label]
    people = [name for name in free if PERSON.fullmatch(key(name))]
    things = [name for name in free if THING.fullmatch(key(name))]
    split = next((name for name in _by_rank(free, SPLITS) if name not in (*people, *things)), None)
    files = tuple(name for name in files if name not in (*people, *things, *label))
    used = {*label, *people, *things, split, *files[:1], *taken}
    group = given.get("group", () if group_asked == NO_COLUMN else tuple(people or things))
    rest = tuple(name for name in names if name not in used)
    return Meaning(files[0] if files else None, tuple(label), group, split, rest, files, "group" in given)


def group_of(
    candidates: Mapping[str, Cells], labels: Cells, where: str, *, chosen: bool
) -> tuple[str | None, list[str]]:
    """The column that is the group, of those that may be, and what to warn of.

    Of several it is the coarsest, where all others lie within it, as a lesion lies within its patient.

    Raises:
        InputError: none holds all others.
    """
    if chosen and candidates:
        return next(iter(candidates)), []
    left = {name: cells for name, cells in candidates.items() if _tells_single_ones(name, cells, labels)}
    warnings = [
        f"{where}: the column {name!r} does not tell single ones apart and is not taken as the group; "
        f"--group-column {name!r} takes it"
        for name in candidates
        if name not in left
    ]
    for name, cells in left.items():
        others = [other for title, other in left.items() if title != name]
        same = all(_within(cells, other) for other in others)
        # A column called group may hold what was done to the patients; then it is not coarser, but something else.
        if all(_within(other, cells) for other in others) and (same or not key(name).startswith("group")):
            return name, warnings
    if not left:
        return None, warnings
    raise InputError(
        f"{where}: the columns {listed(list(left))} may each name the group that stays in one fold, and they "
        f"disagree; say which it is: --group-column {next(iter(left))!r}"
    )


def spelled_alike(words: Iterable[object], what: str, where: str) -> list[str]:
    """A warning of what was written in several ways and is taken as one, and of what differs in case alone."""
    written = {str(word) for word in words if word is not None}
    by_text: dict[str, list[str]] = {}
    for word in sorted(written):
        by_text.setdefault(clean(word), []).append(word)
    by_case: dict[str, list[str]] = {}
    for text in by_text:
        by_case.setdefault(text.casefold(), []).append(text)
    alike = [" = ".join(map(repr, ways)) for ways in by_text.values() if len(ways) > 1]
    apart = [" and ".join(map(repr, ways)) for ways in by_case.values() if len(ways) > 1]
    more = ", ..."
    warnings = []
    if alike:
        shown = ", ".join(alike[:3]) + more * (len(alike) > 3)
        warnings.append(f"{where}: {what} that differ by white space or form alone are taken as one: {shown}")
    if apart:
        shown = ", ".join(apart[:3]) + more * (len(apart) > 3)
        warnings.append(
            f"{where}: {what} that differ in case alone are kept apart: {shown}; rename one if they are one"
        )
    return warnings


def shown(names: Cells) -> str:
    """The first of a table's columns."""
    return ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")


def _asked(names: Cells, wanted: str, what: str, where: str) -> tuple[str, ...]:
    """The column that was asked for, or of labels several with commas between."""
    for spelling in (wanted, wanted.strip()):
        if spelling in names:
            return (spelling,)
    if len(alike := [name for name in names if key(name) == key(wanted)]) == 1:
        return tuple(alike)
    parts = [part.strip() for part in wanted.split(",")]
    if what == "label" and len(parts) > 1 and all(part in names for part in parts):
        return tuple(parts)
    raise InputError(f"{where}: there is no column {wanted!r}, which --{what}-column names (columns: {shown(names)})")


def _label(names: Cells, where: str) -> tuple[str, ...]:
    for rank in LABELS:
        found = [name for name in names if rank.fullmatch(key(name))]
        if len(found) > 1:
            both = " and ".join(map(repr, found))
            raise InputError(
                f"{where}: the columns {both} mean the same (label); say which it is: --label-column {found[0]!r}"
            )
        if found:
            return tuple(found)
    return ()


def _by_rank(names: Cells, ranks: Sequence[re.Pattern[str]]) -> tuple[str, ...]:
    return tuple(name for rank in ranks for name in names if rank.fullmatch(key(name)))


def _tells_single_ones(name: str, cells: Cells, labels: Cells) -> bool:
    """Whether a column of things, such as `lesion`, names single ones and not kinds or, once more, the class."""
    if PERSON.fullmatch(key(name)):
        return True
    kinds = BARE_THING.fullmatch(key(name)) and not all(any(map(str.isdigit, cell)) for cell in cells)
    return not kinds and (len(set(cells)) > max(1, len(set(labels))) or not _within(cells, labels))


def _within(fine: Cells, coarse: Cells) -> bool:
    """Whether each value of the one stands with a single value of the other."""
    first: dict[str, str] = {}
    return all(first.setdefault(one, other) == other for one, other in zip(fine, coarse, strict=True))
