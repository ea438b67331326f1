"""Ids that are written in two ways: `3` beside `3.0`, `" 3"` beside `"3"`, and what no eye can tell apart.

Each such pair would make one user, or one item, into two.
"""

import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from createrec.data.interactions import Interactions
from createrec.errors import DataError
from createrec.readers.columns import Reading
from createrec.readers.streams import shown

_WHOLE = re.compile(r"^([+-]?\d+)\.0+$")
_PADDED = re.compile(r"^0+(?=\d)")
_ROUNDED = re.compile(r"^\d(\.\d+)?[eE]\+?\d\d+$")
_MISSING = frozenset({"nan", "null", "none", "na", "n/a", "<na>", "\\n", "nil", "undefined", "unknown", "-", "?"})
_PLAIN = re.compile(r"^[!-~]*$")  # visible ASCII: nothing to clean but a final .0


def cleaned(name: str) -> str:
    """An id without blanks around it, invisible characters and a final `.0`, in Unicode's composed form."""
    if not _PLAIN.match(name):
        composed = unicodedata.normalize("NFC", name)
        visible = "".join(mark for mark in composed if unicodedata.category(mark) not in ("Cf", "Cc") or mark.isspace())
        name = visible.strip()
    return _WHOLE.sub(r"\1", name) if name.endswith("0") else name


def settled(reading: Reading, ids: Literal["check", "as_written", "cleaned"], path: Path) -> Reading:
    """The reading with its ids as the settings want them.

    Raises:
        DataError: `check`, and two ids differ only in how they are written.
    """
    if ids == "as_written":
        return reading
    found = reading.interactions
    warnings = list(reading.warnings)
    columns: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for role, index, names in (("user", found.user, found.user_ids), ("item", found.item, found.item_ids)):
        clean = [cleaned(name) for name in names]
        distinct = {name: place for place, name in reversed(list(enumerate(clean)))}
        if len(distinct) < len(names):
            if ids == "check":
                first, second = _pair(clean)
                raise DataError(
                    f"{path}: {len(names) - len(distinct):,} {role} ids are written in two ways, as "
                    f"{shown(names[first])} and {shown(names[second])}; set file.ids to cleaned to read them as one, "
                    "or to as_written to keep them apart"
                )
            warnings.append(f"{len(names) - len(distinct):,} {role} ids were written in two ways, and read as one")
        if ids == "cleaned":
            if "" in distinct:
                raise DataError(f"{path}: the {role} id {shown(names[distinct['']])} holds nothing visible")
            order = sorted(distinct, key=distinct.__getitem__)
            place = {name: number for number, name in enumerate(order)}
            renamed = np.fromiter((place[name] for name in clean), dtype=np.int64, count=len(clean))
            columns[role] = (renamed[index], np.array(order, dtype=object))
        else:
            columns[role] = (index, names)
        warnings += _odd(role, clean)
    (user, user_ids), (item, item_ids) = columns["user"], columns["item"]
    return replace(
        reading, interactions=Interactions(user, item, found.time, user_ids, item_ids), warnings=tuple(warnings)
    )


def _pair(clean: list[str]) -> tuple[int, int]:
    """The first two places that hold the same."""
    first: dict[str, int] = {}
    for place, name in enumerate(clean):
        if name in first:
            return first[name], place
        first[name] = place
    raise AssertionError("all differ")


def _odd(role: str, names: list[str]) -> list[str]:
    """What looks odd about distinct ids, each in one sentence. None of it is changed."""
    found = []
    if padded := _padded(names):
        found.append(f"{padded:,} {role} ids differ from others in zeros at the front only (as 007 and 7): kept apart")
    if cased := len(names) - len({name.lower() for name in names}):
        found.append(f"{cased:,} {role} ids differ from others in upper and lower case only: kept apart")
    if words := [name for name in names if name.lower() in _MISSING]:
        found.append(
            f"the {role} id {shown(words[0])} looks like a missing value: its rows are taken for those of one {role}"
        )
    if rounded := [name for name in names if _ROUNDED.match(name)]:
        found.append(
            f"{len(rounded):,} {role} ids look like rounded numbers ({shown(rounded[0])}), as spreadsheets write them: "
            "several may have become one"
        )
    return found


def _padded(names: list[str]) -> int:
    """How many ids stand beside another that is the same but for zeros at its front."""
    padded = [name for name in names if name[:1] == "0" and _PADDED.match(name)]
    if not padded:
        return 0
    known = set(names)
    return sum(_PADDED.sub("", name) in known for name in padded)
