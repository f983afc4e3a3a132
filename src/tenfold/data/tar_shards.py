"""Samples as .tar files that the library webdataset reads: nothing in them but what they hold, so equal samples are
equal bytes on every machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

BLOCK = 512
END = bytes(2 * BLOCK)
Sample = tuple[str, Mapping[str, bytes]]
"""A key, and the content of its members by their extensions."""


def shard_name(number: int, count: int) -> str:
    """The file's name, as hubs write it; the first number is 0."""
    return f"shard-{number:05d}-of-{count:05d}.tar"


def tar_parts(samples: Iterable[Sample]) -> Iterator[bytes]:
    """The bytes of an archive, a sample at a time.

    Raises:
        ValueError: a name is longer than 100 bytes.
    """
    for key, members in samples:
        yield b"".join(_member(f"{key}.{extension}", content) for extension, content in members.items())
    yield END


def _member(name: str, content: bytes) -> bytes:
    return _header(name.encode(), len(content)) + content + bytes(-len(content) % BLOCK)


def _header(name: bytes, size: int) -> bytes:
    """A POSIX header of a plain file of 1970 that belongs to nobody; Python's own takes as long as a small image."""
    if len(name) > len(NAME):
        raise ValueError(f"the name of a member has {len(name)} bytes, and there is room for {len(NAME)}")
    digits = b"%011o" % size
    checksum = SUM + sum(name) + sum(digits)
    return name.ljust(100, b"\0") + OWNER + digits + TIME + b"%06o" % checksum + REST


NAME = bytes(100)
OWNER = b"0000644\0" + b"0000000\0" * 2
TIME = b"\0" + b"0" * 11 + b"\0"
REST = b"\0 0" + bytes(100) + b"ustar\x0000" + bytes(247)
SUM = sum(OWNER + TIME + b" " * 8 + REST[2:])
"""Of all bytes that are the same in every header; those of the checksum count as spaces."""
