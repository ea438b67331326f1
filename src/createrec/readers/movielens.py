"""MovieLens' `ratings.dat`: user::item::rating::timestamp, alone or in its official archive (`ml-1m.zip`)."""

import zipfile
from pathlib import Path

from createrec.errors import DataError
from createrec.readers.columns import Collector, Reading
from createrec.readers.delimited import Dialect, read_delimited
from createrec.readers.streams import Place, explained, first_bytes, lines, opened, shown, zip_member

RATINGS = "ratings.dat"
FLAGS = "timestamp_is_exact.txt"
COLUMNS = {"user": 1, "item": 2, "rating": 3, "time": 4}


def read_movielens(path: Path, place: Place, collector: Collector) -> Reading:
    """Reads the ratings; a rebuilt archive says in its label how many of its timestamps are not exact."""
    columns = {role: number for role, number in COLUMNS.items() if role != "rating" or collector.rating}
    packed = first_bytes(path).startswith(b"PK")
    with opened(path, place, RATINGS if packed else None) as stream:
        read_delimited(stream, place, columns, Dialect("::", "none", fields=len(COLUMNS)), collector)
    return collector.finish(_label(path, collector.rows) if packed else "")


def _label(path: Path, rows: int) -> str:
    """A rebuilt archive flags each line of its ratings whose timestamp is exact (1) or interpolated (0)."""
    with explained(path, "a zip archive"), zipfile.ZipFile(path) as archive:
        member = zip_member(archive, path, FLAGS)
        if member is None:
            return ""
        place = Place(path, f"{path}, {member.filename}")
        interpolated = count = 0
        with archive.open(member) as stream:
            for line in lines(stream, place):
                if line not in (b"0", b"1"):
                    raise place.error(f"expected 0 or 1, got {shown(line)}")
                interpolated += line == b"0"
                count += 1
    if count != rows:
        raise DataError(f"{path}: {member.filename} has {count:,} flags for {rows:,} ratings; expected as many")
    return f"ML-1M, {100 * interpolated / count:.0f} % of timestamps interpolated" if interpolated else ""
