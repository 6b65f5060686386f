"""An index of a sorted listing, small enough to be kept with a block: names by what they add to the one before,
compressed, and a signature of each. It is written and read as a stream, so that neither takes memory by the name.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterator
from typing import Any

#: Bytes of a signature: two versions of a file are taken for one with a chance of 2 ** -48.
SIGNATURE = 6
#: Largest index, in bytes; as text it has a third more.
MOST = 6_200_000
_CHUNK = 1 << 16  # a multiple of four, so that base64 can be cut there


class TooLarge(Exception):
    """The index would be larger than :data:`MOST`; ``count`` names are in it."""

    def __init__(self, count: int) -> None:
        super().__init__(f"the index of {count:,} names is too large")
        self.count = count


class IndexWriter:
    """Takes names in order, each with the signature of its file."""

    def __init__(self) -> None:
        self.count = 0
        self._compressor = zlib.compressobj(6)
        self._names, self._signatures = bytearray(), bytearray()
        self._last = b""

    def add(self, name: str, signature: bytes) -> None:
        """Add the next name.

        Raises:
            ValueError: It does not come after the one before.
            TooLarge: There is no room for it.
        """
        data = name.encode()
        if self.count and data <= self._last:
            raise ValueError(f"{name!r} does not come after {self._last.decode()!r}")
        shared = _shared(self._last, data)
        record = _number(shared) + _number(len(data) - shared) + data[shared:]
        self._names += self._compressor.compress(record)
        self._signatures += signature
        self._last = data
        self.count += 1
        if len(self._names) + len(self._signatures) > MOST:
            raise TooLarge(self.count)

    def close(self) -> dict[str, Any]:
        """The index, ready for JSON."""
        self._names += self._compressor.flush()
        names = binascii.b2a_base64(self._names, newline=False).decode()
        self._names.clear()
        signatures = binascii.b2a_base64(self._signatures, newline=False).decode()
        return {"count": self.count, "names": names, "signatures": signatures}


class IndexReader:
    """Gives back what an :class:`IndexWriter` was given."""

    def __init__(self, index: dict[str, Any]) -> None:
        self._index = index

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        names, signatures = _Stream(_inflated(self._index["names"])), _Stream(_decoded(self._index["signatures"]))
        last = b""
        for _ in range(self._index["count"]):
            shared = names.number()
            last = last[:shared] + names.take(names.number())
            yield last.decode(), signatures.take(SIGNATURE)


class _Stream:
    """Reads from chunks of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._buffer, self._at = chunks, b"", 0

    def take(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size:
            self._buffer = self._buffer[self._at :] + next(self._chunks)
            self._at = 0
        self._at += size
        return self._buffer[self._at - size : self._at]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


def _decoded(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), _CHUNK):
        yield binascii.a2b_base64(text[start : start + _CHUNK])


def _inflated(text: str) -> Iterator[bytes]:
    inflater = zlib.decompressobj()
    for data in _decoded(text):
        while data:
            yield inflater.decompress(data, _CHUNK)
            data = inflater.unconsumed_tail
    yield inflater.flush()


def _number(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _shared(one: bytes, other: bytes) -> int:
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(index for index in range(most) if one[index] != other[index])
