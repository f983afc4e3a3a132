"""One reader of tables: .csv and .tsv of any program, and .jsonl.

pandas splits the cells, and reads numbers as numbers in one pass: 43 MB take a third of a second, where Python's own
csv takes many. All cells are text until a column's meaning is known, so that no `NA` is lost and no `007` becomes 7.
What pandas leaves open is settled here: how the bytes are encoded, what stands between cells, and each row's line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenfold.core.errors import InputError
from tenfold.core.files import parse_json
from tenfold.data.columns import FILES, LABELS, PERSON, clean, key

SUFFIXES = (".csv", ".tsv")
DELIMITERS = ",;\t|"
HEAD = 1 << 22
"""Characters in which the header must end."""
LINES_COMPARED = 20
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
USUAL_ENCODINGS = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5", "euc_kr", "euc_jp", "koi8_r",
    "mac_roman",
]  # fmt: skip
TENFOLDS_OWN = b'"origin": '
"""In the metadata.jsonl of a set that was grown, where names that are no text stay the bytes that they were."""


@dataclass(frozen=True, eq=False)
class Table:
    """Cells as they stand in the file, by column; rows that hold nothing are left out."""

    name: str
    """Of the file."""
    names: tuple[str, ...]
    """Of the columns."""
    lines: Sequence[int]
    """N: the line of each row, from 1."""
    cells: Mapping[str, Sequence[Any]]
    """N in each column: text, of .jsonl any values."""
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        return f"{self.name} line {self.lines[row]}"


def read_table(path: Path) -> Table:
    """All cells of a .csv, .tsv or .jsonl.

    Raises:
        InputError: it cannot be read; the message names the line.
    """
    return _read_jsonl(path) if path.suffix.lower() == ".jsonl" else Csv.opened(path).table()


@dataclass(frozen=True, eq=False)
class Csv:
    """A .csv or .tsv whose header is known and whose cells are split when they are asked for."""

    name: str
    names: tuple[str, ...]
    lines: Sequence[int]
    body: bytes
    """UTF-8, all after the header."""
    delimiter: str
    widths: Sequence[int]
    """N: how many cells each row has."""
    warnings: tuple[str, ...] = ()

    @classmethod
    def opened(cls, path: Path) -> Csv:
        """Read the file, its encoding, its delimiter and its header.

        Raises:
            InputError: it cannot be read, or is no CSV.
        """
        text, notes = decoded(path)
        head = text[:HEAD]
        start = re.match(r"\s*\"?sep=(.)\"?[ \t]*(\r\n|\r|\n)", head)
        skipped = start.end() if start else 0
        delimiter = start[1] if start else _delimiter(path, head)
        handle = io.StringIO(head[skipped:], newline="")
        reader = csv.reader(handle, delimiter=delimiter, skipinitialspace=True)
        try:
            names = next((cells for cells in reader if any(map(str.strip, cells))), [])
            skipped += handle.tell()
            first = len(re.findall(r"\r\n|\r|\n", text[:skipped])) + 1
            body, lines, widths = _rows(text[skipped:], delimiter, first)
        except csv.Error as error:
            raise InputError(f"{path.name} line {reader.line_num}: not valid CSV ({error})") from error
        return cls(path.name, tuple(map(clean, names)), lines, body.encode(), delimiter, widths, notes)

    def where(self, row: int) -> str:
        return f"{self.name} line {self.lines[row]}"

    def table(self) -> Table:
        """All cells; rows of blank cells, as spreadsheets leave them at the end, are left out.

        Raises:
            InputError: a row has more cells than the header, or two columns have one name.
        """
        self.require_distinct_names()
        cells = self._frame(range(max((len(self.names), *self.widths))), str)
        filled = cells.apply(lambda column: column.str.strip() != "")
        kept = np.flatnonzero(filled.any(axis=1).to_numpy())
        beyond = filled.iloc[:, len(self.names) :].any(axis=1).to_numpy()
        if beyond.any():
            row = int(np.argmax(beyond))
            raise InputError(
                f"{self.where(row)}: {self.widths[row]} cells, but the header has {len(self.names)}; put a cell that "
                f"holds a {self.delimiter!r} in quotes"
            )
        columns = {name: cells[place].iloc[kept].tolist() for place, name in enumerate(self.names) if name}
        return Table(self.name, tuple(columns), [self.lines[row] for row in kept.tolist()], columns, self.warnings)

    def require_distinct_names(self) -> None:
        """Refuse two columns of one name; of such without a name there may be any number."""
        for name, count in Counter(self.names).items():
            if name and count > 1:
                raise InputError(f"{self.name}: two columns are called {name!r}; rename or remove one of them")

    def words(self, name: str) -> list[str]:
        """The cells of one column."""
        words: list[str] = self._frame([self.names.index(name)], str).iloc[:, 0].tolist()
        return words

    def numbers(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """N x F of these columns.

        Raises:
            InputError: a cell is no number; the message names its line and column.
        """
        places = [self.names.index(name) for name in names]
        try:
            values: npt.NDArray[np.float64] = self._frame(places, np.float64).to_numpy()
        except (ValueError, OverflowError):
            values = np.empty((len(self.lines), len(names)))
            for column, name in enumerate(names):
                values[:, column] = [self._number(cell, row, name) for row, cell in enumerate(self.words(name))]
        return values

    def _number(self, cell: str, row: int, name: str) -> float:
        try:
            if "_" in cell or not cell.isascii():  # which Python reads as part of a number
                raise ValueError
            return float(cell)
        except ValueError:
            said = "is blank" if not cell.strip() else f"{cell.strip()!r} is not a number"
            raise InputError(
                f"{self.where(row)}, column {name!r}: {said}; write a number such as 0.5 (categories as columns of "
                "0 and 1), or leave the row or the column out"
            ) from None

    def _frame(self, places: Iterable[int], kind: type) -> Any:
        """The cells at these places as a DataFrame whose columns are the places."""
        import pandas

        places = list(places)
        if not self.lines:
            return pandas.DataFrame({place: [] for place in places}, dtype=object)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                frame = pandas.read_csv(
                    io.BytesIO(self.body), sep=self.delimiter, header=None, dtype=kind, keep_default_na=False,
                    na_filter=False, skipinitialspace=True, index_col=False, usecols=places, low_memory=False,
                    names=range(max((len(self.names), *self.widths))), encoding="utf-8",
                )  # fmt: skip
        except pandas.errors.ParserError as error:
            raise InputError(f"{self.name}: not valid CSV ({str(error).strip()})") from error
        if len(frame) != len(self.lines):
            raise InputError(f"{self.name}: not valid CSV (quotes that open and do not close)")
        return frame[places]


def decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    """A file's text and what to warn of: UTF-8, anything with a byte order mark, and what is beyond doubt.

    Of other encodings a short table holds too few letters to tell them apart (of twenty words in four encodings
    charset-normalizer names half rightly), and a wrong one changes names. So one is taken where the code pages of
    western and central Europe agree with charset-normalizer on every letter; else the file is refused.

    Raises:
        InputError: it cannot be read, or its encoding is in doubt.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give it read permission") from error
    mark = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), None)
    encoding = mark or _without_mark(content)
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if mark or encoding != "utf-8":
            raise InputError(f"{path.name}: not valid {encoding} ({error.reason}); save it as UTF-8") from error
        if path.suffix.lower() == ".jsonl" and TENFOLDS_OWN in content:
            return content.decode("utf-8", "surrogateescape"), ()
        return _doubtful(path, content, error.start)
    if "\0" in text:
        raise InputError(f"{path.name} holds bytes that are no text; save it as UTF-8")
    return text, ()


def _without_mark(content: bytes) -> str:
    """UTF-16 shows in every other byte of plain letters."""
    head = content[:200]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) <= len(head) // 4:
        return "utf-8"
    return "utf-16-le" if odd > even else "utf-16-be"


def _doubtful(path: Path, content: bytes, start: int) -> tuple[str, tuple[str, ...]]:
    from charset_normalizer import from_bytes

    guess = from_bytes(content, cp_isolation=USUAL_ENCODINGS).best()
    likely = None if guess is None else str(guess)
    western, central = (content.decode(page, "replace") for page in ("cp1252", "cp1250"))
    letters = {letter for letter in western if not letter.isascii()}
    half_utf8 = re.search(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}", content)
    if likely == western == central and not half_utf8 and all("À" <= letter <= "ÿ" for letter in letters):
        return western, (f"{path.name} is not UTF-8 and was read as Windows-1252: see that its words are right",)
    line = content.count(b"\n", 0, start) + 1
    perhaps = f"perhaps {guess.encoding}" if guess else "its encoding is in doubt"
    raise InputError(f"{path.name} line {line}: not UTF-8 ({perhaps}); save the file as UTF-8")


def _rows(body: str, delimiter: str, first: int) -> tuple[str, list[int], list[int]]:
    """The rows that pandas is to see, the line of each and its number of cells."""
    blank = " \t".replace(delimiter, "")
    if '"' in body:
        reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, skipinitialspace=True)
        rows = [
            (reader.line_num, len(row)) for row in reader if len(row) > 1 or any(cell.strip(blank) for cell in row)
        ]
        return body, [first - 1 + number for number, _ in rows], [width for _, width in rows]
    lines = (body.replace("\r\n", "\n").replace("\r", "\n") if "\r" in body else body).split("\n")
    # Spreadsheets leave rows of empty cells at the end.
    kept = [number for number, line in enumerate(lines) if line.strip(" \t" + delimiter)]
    rest = body if len(kept) >= len(lines) - 1 else "\n".join(lines[number] for number in kept)
    return rest, [first + number for number in kept], [lines[number].count(delimiter) + 1 for number in kept]


def _delimiter(path: Path, head: str) -> str:
    """What stands between the cells: what splits the header into names that are known, and the rows as often."""
    if path.suffix.lower() == ".tsv" and "\t" in head:
        return "\t"

    def score(delimiter: str) -> tuple[int, int, int]:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, skipinitialspace=True)
        try:
            rows = [cells for cells, _ in zip((row for row in reader if row), range(LINES_COMPARED), strict=False)]
        except csv.Error:
            return 0, 0, 0
        names = [key(name) for name in rows[0]] if rows else []
        known = sum(any(kind.fullmatch(name) for kind in (*FILES, *LABELS, PERSON)) for name in names)
        alike = sum(len(row) == len(names) for row in rows) if len(names) > 1 else 0
        return known if len(names) > 1 else 0, alike, len(names)

    return max(DELIMITERS, key=score)


def _read_jsonl(path: Path) -> Table:
    """Each line an object, whose names are the columns; what a line lacks is None."""
    text, notes = decoded(path)
    lines: list[int] = []
    records: list[dict[str, Any]] = []
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        record = parse_json(content, f"{path.name} line {line}")
        if not isinstance(record, dict):
            raise InputError(f"{path.name} line {line}: wanted an object with file_name and label")
        lines.append(line)
        records.append(record)
    names = tuple(dict.fromkeys(name for record in records for name in record))
    return Table(path.name, names, lines, {name: [record.get(name) for record in records] for name in names}, notes)
