"""What fuzz.py damages: small valid files of every kind that tenfold reads, and the ways to damage them.

Bytes are flipped, cut, doubled, removed and overwritten; the values of JSON change their type, are nested, renamed,
left out; arrays change their dtype, their shape and what their header declares. A checksum that would stop damage at
the door (of a zip's members, of a manifest's lines) is made right again in half of the inputs, as a forger would.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

Mutation = Callable[[bytes, Random], bytes]

NESTED = 20_000
TOKENS = (
    b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"-1", b"0", b"null", b"true", b'""', b'"\\ud800"', b"\\ud800",
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\n", b"\t", b",", b";", b'"', b"'", b"{",
    b"}", b"[", b"]", b"[" * NESTED, b'{"a":' * NESTED, b"=1+1", b"../", b"/", b"\\", b" ", b"\x1a", b"1_0",
    b"\xd9\xa3", b"e",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, 0.5, 1e308, math.nan, math.inf, -math.inf, "", "nan",
    "0", "1", "\0", "\ud800", "../x", "x" * 300, "é", [], {}, [[]], [None], [0], {"": None}, [1, 2, 3], "train",
    [1e30] * 3,
)  # fmt: skip
DTYPES = ("f2", "f4", "f8", "i1", "i8", "u1", "u2", "u8", "?", "c8", "U3", "S3", "M8[s]", "m8[D]", "V4", ">f4", ">i2")
DECLARED = (
    "(1000000000000,)", "(1000000, 1000000)", "(-1,)", "()", "(0,)", "(2, 0, 3)", "(6, 8)", "(18446744073709551616,)",
    "('a',)", "(6.0,)", "None", "[6]", f"({'1, ' * 70})", "(4294967296, 4294967296, 2)", "(True,)",
)  # fmt: skip
DESCRIBED = (
    "|O",
    "O",
    "<f3",
    "",
    "<i8, <f4",
    "|V0",
    "<U0",
    "<U2000000000",
    "(2,)<f4",
    "<M8[ns]",
    "a" * 500,
    "|S99999",
)


def of_bytes(content: bytes, random: Random) -> bytes:
    """A few bytes changed, a span cut, doubled, removed, overwritten or moved, or a token put in."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        place, length = random.randrange(len(data) + 1), min(len(data), 1 << random.randrange(8))
        span = data[place : place + length]
        match random.randrange(8):
            case 0:
                for _ in range(min(len(data), random.choice((1, 2, 8)))):
                    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = span * random.choice((1, 1, 3, 50))
            case 3:
                del data[place : place + length]
            case 4:
                data[place : place + length] = random.randbytes(len(span))
            case 5:
                data[place : place + len(span)] = random.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * len(span)
            case 6:
                data[place:place] = random.choice(TOKENS)
            case 7:
                other = random.randrange(len(data) + 1)
                data[other:other] = span
    return bytes(data)


def of_json(content: bytes, random: Random) -> bytes:
    """Values of another type, names changed, entries left out or doubled, nesting; or its bytes."""
    if random.random() < 0.3:
        return of_bytes(content, random)
    document = json.loads(content)
    for _ in range(random.choice((1, 1, 2, 3))):
        document = _changed(document, random)
    return json.dumps(document, ensure_ascii=random.random() < 0.8).encode("utf-8", "surrogatepass")


def _changed(value: Any, random: Random) -> Any:
    """The same with one of its values, at any depth, replaced, renamed, removed or wrapped."""
    if isinstance(value, dict | list) and value and random.random() < 0.85:
        place = random.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if isinstance(value, dict):
            match random.randrange(8):
                case 0:
                    return {name: one for name, one in value.items() if name != place}
                case 1:
                    other = str(random.choice(VALUES))
                    return {other if name == place else name: one for name, one in value.items()}
                case _:
                    return {**value, place: _changed(value[place], random)}
        match random.randrange(6):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return value * 2
            case _:
                return [*value[:place], _changed(value[place], random), *value[place + 1 :]]
    if random.random() < 0.1:
        for _ in range(random.choice((1, 3, 100))):
            value = [value] if random.random() < 0.5 else {"a": value}
        return value
    return random.choice(VALUES)


def of_lines(content: bytes, random: Random) -> bytes:
    """One line of many is JSON: it, or the bytes of all."""
    lines = content.splitlines()
    if random.random() < 0.4 or not lines:
        return of_bytes(content, random)
    place = random.randrange(len(lines))
    lines[place] = of_json(lines[place], random)
    return b"\n".join(lines) + b"\n"


def of_cells(content: bytes, random: Random) -> bytes:
    """Cells of a table exchanged, replaced by odd words, rows made longer or shorter; or its bytes."""
    if random.random() < 0.4:
        return of_bytes(content, random)
    delimiter = "\t" if b"\t" in content else ","
    rows = [line.split(delimiter) for line in content.decode().splitlines()]
    for _ in range(random.choice((1, 1, 2, 5))):
        row = random.choice(rows)
        place = random.randrange(len(row) + 1)
        match random.randrange(5):
            case 0:
                row.insert(place, str(random.choice(VALUES)))
            case 1:
                del row[place : place + 1]
            case 2:
                rows.append(list(row))
            case _:
                row[place : place + 1] = [
                    str(random.choice(VALUES)) if random.random() < 0.8 else random.choice(row or [""])
                ]
    text = random.choice(("\n", "\r\n", "\r")).join(
        random.choice((delimiter, delimiter, ";")).join(row) for row in rows
    )
    return text.encode(random.choice(("utf-8", "utf-8", "utf-16", "cp1252", "utf-8-sig")), "replace")


def of_npy(content: bytes, random: Random) -> bytes:
    """An array of another dtype or shape, with values that are none, or a header that declares what is not there."""
    choice = random.randrange(5)
    if choice == 0:
        return of_bytes(content, random)
    array = np.load(io.BytesIO(content))
    if choice == 1:
        with np.errstate(all="ignore"):
            array = array.astype(random.choice(DTYPES)) if array.dtype.kind != "U" else array.astype("S3")
    elif choice == 2:
        shape = random.choice(
            (array.shape[::-1], (-1,), (1, *array.shape), (*array.shape, 1), (*array.shape[:1], -1))
        )
        array = array.reshape(shape)[: random.choice((None, 0, 1, 3))]
    elif choice == 3:
        array = (
            array.astype(random.choice(("f8", "f4", "i8", "f2")), copy=True) if array.dtype.kind in "uif" else array
        )
        if array.dtype.kind in "if" and array.size:
            odd = (math.nan, math.inf, -math.inf, 1e300, -1) if array.dtype.kind == "f" else (-1, 2**40, -(2**62))
            with np.errstate(over="ignore"):
                array.flat[random.randrange(array.size)] = random.choice(odd)
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    if choice != 4:
        return out.getvalue()
    length = struct.unpack("<H", content[8:10])[0]
    header = content[10 : 10 + length].decode("latin1")
    start, _, rest = header.partition("'shape': ")
    shape, _, end = rest.partition("), ")
    shape = random.choice(DECLARED) if random.random() < 0.7 else shape + ")"
    start = start if random.random() < 0.6 else f"{{'descr': {random.choice(DESCRIBED)!r}, 'fortran_order': False, "
    header = (start + "'shape': " + shape + ", " + end).encode("latin1")
    return content[:8] + struct.pack("<H", len(header)) + header + content[10 + length :]


def of_npz(content: bytes, random: Random) -> bytes:
    """One array damaged under a right checksum, arrays left out, renamed, exchanged; or the bytes of the archive."""
    if random.random() < 0.25:
        return of_bytes(content, random)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(members))
    match random.randrange(8):
        case 0:
            del members[name]
        case 1:
            members[random.choice(("groups.npy", "split.npy", "class_names.npy", "x", "../y.npy"))] = members.pop(
                name
            )
        case 2:
            other = random.choice(list(members))
            members[name], members[other] = members[other], members[name]
        case _:
            members[name] = of_npy(members[name], random)
    return zipped(members)


def zipped(members: dict[str, bytes]) -> bytes:
    """An archive of these files, not compressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return out.getvalue()


def of_safetensors(content: bytes, random: Random) -> bytes:
    """Another header under a right length, weights that are none; or its bytes."""
    length = int.from_bytes(content[:8], "little")
    header, body = content[8 : 8 + length], content[8 + length :]
    match random.randrange(4):
        case 0:
            return of_bytes(content, random)
        case 1:
            place = random.randrange(max(1, len(body) // 4)) * 4
            odd = struct.pack("<f", random.choice((math.nan, math.inf, 1e38, -1e38)))
            return content[: 8 + length] + body[:place] + odd + body[place + 4 :]
        case 2:
            declared = random.choice((0, 1, length - 1, length + 1, 2**20, 2**40, 2**63, 2**64 - 1))
            return declared.to_bytes(8, "little") + content[8:]
        case _:
            changed = of_json(header, random)
            return len(changed).to_bytes(8, "little") + changed + body


MUTATIONS: dict[str, Mutation] = {
    ".json": of_json, ".jsonl": of_lines, ".csv": of_cells, ".tsv": of_cells, ".npz": of_npz,
    ".safetensors": of_safetensors,
}  # fmt: skip
"""By suffix; everything else is bytes."""
