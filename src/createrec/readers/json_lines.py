"""JSON lines: one object per line. Amazon's reviews are such files, with other keys from edition to edition."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from createrec.readers.columns import Collector, Row
from createrec.readers.streams import Place, lines, opened, shown

AMAZON_EDITIONS: tuple[Mapping[str, str], ...] = (
    {"user": "reviewerID", "item": "asin", "time": "unixReviewTime", "rating": "overall"},  # 2014 and 2018
    {"user": "user_id", "item": "parent_asin", "time": "timestamp", "rating": "rating"},  # 2023, in milliseconds
)
"""Keys of McAuley's review files, by role."""


def read_json_lines(path: Path, place: Place, editions: Sequence[Mapping[str, str]], collector: Collector) -> None:
    """Adds the objects of a file, plain or packed.

    Args:
        editions: the key of each role that is wanted; of several, those whose user the first line has.

    Raises:
        DataError: a line is no JSON object, a key is missing, or a value is none.
    """

    def rows() -> Iterator[Row]:
        wanted = editions[0] if len(editions) == 1 else None
        with opened(path, place) as stream:
            for line in lines(stream, place):
                try:
                    found = json.loads(line.decode("utf-8"))
                except (ValueError, RecursionError) as error:
                    raise place.error(f"not JSON ({shown(str(error))}); expected one object per line") from None
                if not isinstance(found, dict):
                    raise place.error(f"expected a JSON object, got {shown(found)}")
                wanted = wanted or _edition(found, editions, place)
                yield _row(found, wanted, place, collector)

    collector.add_rows(rows())


def _edition(found: Mapping[str, object], editions: Sequence[Mapping[str, str]], place: Place) -> Mapping[str, str]:
    for keys in editions:
        if keys["user"] in found:
            return keys
    known = ", or ".join(" with ".join(keys.values()) for keys in editions)
    raise place.error(f"no key {editions[0]['user']!r}; expected {known}")


def _row(found: Mapping[str, object], keys: Mapping[str, str], place: Place, collector: Collector) -> Row:
    roles = ["user", "item", "time", *(["rating"] if collector.rating else []), *(["event"] if collector.event else [])]
    for role in roles:
        if keys[role] not in found:
            raise place.error(f"no key {keys[role]!r}; expected {', '.join(keys[role] for role in roles)}")
    user, item = (_identity(found[keys[role]], keys[role], place, collector) for role in ("user", "item"))
    rating = found[keys["rating"]] if collector.rating else None
    return user, item, found[keys["time"]], rating, found[keys["event"]] if collector.event else None


def _identity(value: object, key: str, place: Place, collector: Collector) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None and collector.leave_out_empty:
        return ""
    raise place.error(f"{key} is {shown(value)}; expected text or a whole number")
