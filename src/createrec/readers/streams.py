"""Raw files as streams of lines: archives are opened on the way, nothing is extracted to disk.

Files come from strangers. What is held in memory grows with the rows kept, not with what the file promises.
"""

import bz2
import gzip
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from createrec.errors import DataError

MAX_LINE = 1 << 24
"""Longest line, in bytes. The longest real review is a thousand times shorter."""
MAX_EXPANSION = 200
"""Largest ratio of unpacked to packed bytes. Review texts and ratings stay under 20; a bomb reaches 1,000."""
FREE_EXPANSION = 1 << 26
"""Bytes a file may unpack to whatever the ratio: small files of equal lines compress without limit."""
BLOCK = 1 << 22
"""Bytes of whole lines that are parsed at once, about, at the beginning of a file ..."""
LARGEST_BLOCK = 1 << 24
"""... and later, because the more ids are known, the more a block costs whatever its size."""
BOM = b"\xef\xbb\xbf"

_BROKEN = (
    EOFError,
    OSError,
    RuntimeError,  # zipfile: encrypted member; json: nested too deeply (RecursionError)
    NotImplementedError,
    OverflowError,
    MemoryError,
    ValueError,
    KeyError,
    IndexError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pa.ArrowException,
)


class Place:
    """Where a reader stands, for its messages: `where` names the file, `line` counts from 1."""

    def __init__(self, path: Path, where: str = "") -> None:
        self.path = path
        self.where = where or str(path)
        self.line = 0

    def error(self, problem: str) -> DataError:
        return DataError(f"{self.where}, line {self.line}: {problem}")


def shown(value: object) -> str:
    """A value for a message: ASCII, and short."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def explained(path: Path, what: str, line: Callable[[], int] | None = None) -> Iterator[None]:
    """Turns what the libraries raise on broken bytes into a `DataError` that names the file, and the line if known."""
    try:
        yield
    except DataError:
        raise
    except _BROKEN as error:
        where = f"{path}, after line {line()}" if line is not None else f"{path}"
        reason = str(error) or type(error).__name__
        raise DataError(f"{where}: not {what}, or damaged ({reason}); delete it and get it again") from None


class _Capped(io.RawIOBase):
    """Passes a stream on and stops it when it has unpacked to more than a packed file of this size can mean."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = max(FREE_EXPANSION, MAX_EXPANSION * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(
                f"{self._path}: unpacks to more than {MAX_EXPANSION} times its size, as no real dataset does; "
                "get the file again from its official address"
            )
        buffer[: len(data)] = data
        return len(data)


# First bytes -> what opens a file that begins with them, and its name in a message.
_PACKED: dict[bytes, tuple[Callable[[Path], Any], str]] = {
    b"\x1f\x8b": (gzip.open, "a gzip archive"),
    b"BZh": (bz2.open, "a bzip2 archive"),
    b"\xfd7zXZ\x00": (lzma.open, "an xz archive"),
    b"\x28\xb5\x2f\xfd": (lambda path: pa.input_stream(str(path), compression="zstd"), "a zstd archive"),
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def first_bytes(path: Path) -> bytes:
    """The first eight bytes of a file: they say what it is, whatever it is called."""
    with path.open("rb") as file:
        return file.read(8)


@contextmanager
def opened(path: Path, place: Place, member: str | None = None) -> Iterator[IO[bytes]]:
    """The bytes of a plain file, of a gzip, bzip2, xz or zstd archive, or of one member of a zip archive.

    Args:
        member: name of the zip member, in any folder; None = the archive must hold one file.

    Raises:
        DataError: the archive is damaged, or holds another number of files.
    """
    start = first_bytes(path)
    if start.startswith(_ZIP):
        with explained(path, "a zip archive", lambda: place.line), zipfile.ZipFile(path) as archive:
            found = only_member(archive, path) if member is None else zip_member(archive, path, member)
            if found is None:
                raise DataError(f"{path}: no {member} in the archive; expected the official archive")
            with archive.open(found) as stream:
                yield stream
        return
    opener, what = next((known for magic, known in _PACKED.items() if start.startswith(magic)), (None, "a text file"))
    with explained(path, what, lambda: place.line), path.open("rb") if opener is None else opener(path) as stream:
        yield stream


def only_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """The one file of an archive; folders, hidden files and what macOS adds do not count."""
    found = [
        info
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/") and "/." not in f"/{info.filename}"
    ]
    if len(found) != 1:
        names = ", ".join(info.filename for info in found[:5])
        raise DataError(
            f"{path}: {len(found)} files in the archive ({shown(names)}); expected one, unpack it and name the file"
        )
    return _checked_member(found[0], path)


def zip_member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo | None:
    """The one plain member called `name`, in any folder; None if there is none."""
    found = [member for member in archive.infolist() if member.filename.rpartition("/")[2] == name]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(f"{path}: {len(found)} members called {name}; expected one")
    return _checked_member(found[0], path)


def _checked_member(member: zipfile.ZipInfo, path: Path) -> zipfile.ZipInfo:
    if member.filename.startswith("/") or ".." in member.filename.split("/"):
        raise DataError(
            f"{path}: member {shown(member.filename)} points out of the archive; expected a name inside of it"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DataError(f"{path}: {member.filename} is a link; expected a file")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: {member.filename} is packed in an unusual way; expected stored or deflated")
    return member


def blocks(stream: IO[bytes], place: Place) -> Iterator[bytes]:
    """Whole lines, about BLOCK bytes at a time; `place.line` is the number of lines before the block that was given.

    A byte-order mark is dropped, and the last line is given its end. Whoever takes a block counts its lines:
    `place.line` moves on when the next one is asked for.
    """
    capped = _Capped(stream, place.path)
    rest, read = b"", 0
    while True:
        data = capped.read(min(max(BLOCK, read // 8), LARGEST_BLOCK))
        ended = not data
        if not read and data:
            if data.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise DataError(f"{place.where}: the text is UTF-16; expected UTF-8, save it as that")
            data = data.removeprefix(BOM)
        read += 1 + len(data)  # a mark alone is a beginning, too
        data = rest + (data if not ended or not rest else b"\n")
        end = data.rfind(b"\n") + 1
        block, rest = data[:end], data[end:]
        del data  # a block is long, and is held twice by nobody
        before = place.line
        if len(rest) > MAX_LINE:
            place.line += line_count(block) + 1
            raise place.error(f"longer than {MAX_LINE:,} bytes; expected one short record per line")
        if block:
            yield block
            place.line = before + line_count(block)
        if ended:
            return


def line_count(text: bytes) -> int:
    """How many lines end in a text."""
    return int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n")))


def lines(stream: IO[bytes], place: Place) -> Iterator[bytes]:
    """Lines without their ends, blank ones left out; `place.line` follows."""
    for block in blocks(stream, place):
        before = place.line
        for number, line in enumerate(io.BytesIO(block), before + 1):
            if len(line) > MAX_LINE:
                place.line = number
                raise place.error(f"longer than {MAX_LINE:,} bytes; expected one short record per line")
            place.line = number
            if stripped := line.rstrip(b"\r\n"):
                yield stripped
        place.line = before
