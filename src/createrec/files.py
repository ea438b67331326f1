"""Files that are either whole or absent: written under a temporary name, then renamed."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from createrec.errors import DataError, StorageError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` if the block succeeds, else removes it.

    The temporary path is always the same one, and locked: two writers of one file take turns, and what a killed
    writer left behind is overwritten by the next. The block must write into the file that is there, not replace it.

    Raises:
        StorageError: the file cannot be written, for instance because the disk is full.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _lock(temporary)
        try:
            os.ftruncate(handle, 0)
            yield temporary
            os.fsync(handle)
            temporary.replace(path)  # from here on the temporary name may be the next writer's
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}); free the disk or its rights, then run again"
        ) from None


def discard(path: Path | str) -> None:
    """Removes a file if it is there, and what a killed writer of it may have left."""
    for name in (Path(path), _temporary(Path(path))):
        name.unlink(missing_ok=True)


@contextmanager
def locked(path: Path | str, busy: str | None = None) -> Iterator[None]:
    """Holds the lock file `path` during the block; the lock goes with its process, however that ends.

    Args:
        path: made for the time of the lock, in a folder that is there.
        busy: what to say if another process holds it; None = wait for it.

    Raises:
        StorageError: `busy`, because another process holds it.
        OSError: the lock file cannot be made.
    """
    path = Path(path)
    try:
        handle = _lock(path, wait=busy is None)
    except BlockingIOError:
        raise StorageError(busy) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.part{path.suffix}")  # the suffix tells some libraries what to write


def _lock(path: Path, *, wait: bool = True) -> int:
    """A descriptor of `path`, locked; raises BlockingIOError if another has it and there is no waiting."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            with suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(handle).st_ino:
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # who had it renamed or removed it meanwhile: ours is a lock on nothing


def write_json(path: Path | str, value: Any) -> None:
    """Writes `value` as indented JSON; NaN and infinity are refused, because JSON has no word for them."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> dict[str, Any]:
    """Reads a JSON file that holds one object.

    Raises:
        DataError: the file is missing or does not hold one.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file ({error}); delete it and run again") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object, found {type(value).__name__}; delete it and run again")
    return value


def with_sorted_header(serialized: bytes) -> bytes:
    """A safetensors file with the keys of its header sorted: the library writes its metadata in an order of chance."""
    end = 8 + int.from_bytes(serialized[:8], "little")
    header = json.dumps(json.loads(serialized[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + serialized[end:]


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
