"""Ids that are written in two ways: `3` beside `3.0`, `" 3"` beside `"3"`, and what no eye can tell apart.

Each such pair would make one user, or one item, into two.
"""

import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from createrec.data.interactions import Interactions
from createrec.errors import DataError
from createrec.readers.columns import Reading
from createrec.readers.streams import shown

_WHOLE = re.compile(r"^([+-]?\d+)\.0+$")
_PADDED = r"^0+\d"
_ROUNDED = r"^\d(\.\d+)?[eE]\+?\d\d+$"
_MISSING = pa.array(["nan", "null", "none", "na", "n/a", "<na>", "\\n", "nil", "undefined", "unknown", "-", "?"])
_TO_CLEAN = r"[^!-~]|\.0+$"
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
        columns[role] = (index, names)
        if pc.any(pc.match_substring_regex(pa.array(names, pa.string()), _TO_CLEAN)).as_py():
            columns[role] = _cleaned_column(role, index, names, ids, path, warnings)
        warnings += _odd(role, pa.array(columns[role][1], pa.string()))
    (user, user_ids), (item, item_ids) = columns["user"], columns["item"]
    return replace(
        reading, interactions=Interactions(user, item, found.time, user_ids, item_ids), warnings=tuple(warnings)
    )


def _cleaned_column(
    role: str,
    index: np.ndarray,
    names: np.ndarray,
    ids: Literal["check", "cleaned"],
    path: Path,
    warnings: list[str],
) -> tuple[np.ndarray, np.ndarray]:
    """A column whose ids may be written in two ways: as it is, or with ids that are one made one."""
    clean = [cleaned(name) for name in names]
    distinct = {name: place for place, name in reversed(list(enumerate(clean)))}
    if double := len(names) - len(distinct):
        if ids == "check":
            first, second = _pair(clean)
            raise DataError(
                f"{path}: {double:,} {role} ids are written in two ways, as {shown(names[first])} and "
                f"{shown(names[second])}; set file.ids to cleaned to read them as one, or to as_written to keep them "
                "apart"
            )
        warnings.append(f"{double:,} {role} ids were written in two ways, and read as one")
    if ids == "check":
        return index, names
    if "" in distinct:
        raise DataError(f"{path}: the {role} id {shown(names[distinct['']])} holds nothing visible")
    order = sorted(distinct, key=distinct.__getitem__)
    place = {name: number for number, name in enumerate(order)}
    renamed = np.fromiter((place[name] for name in clean), dtype=np.int64, count=len(clean))
    return renamed[index], np.array(order, dtype=object)


def _pair(clean: list[str]) -> tuple[int, int]:
    """The first two places that hold the same."""
    first: dict[str, int] = {}
    for place, name in enumerate(clean):
        if name in first:
            return first[name], place
        first[name] = place
    raise AssertionError("all differ")


def _odd(role: str, names: pa.StringArray) -> list[str]:
    """What looks odd about distinct ids, each in one sentence. None of it is changed."""
    found = []
    padded = names.filter(pc.match_substring_regex(names, _PADDED))
    if kept := pc.sum(pc.is_in(pc.utf8_ltrim(padded, "0"), value_set=names)).as_py():
        found.append(f"{kept:,} {role} ids differ from others in zeros at the front only (as 007 and 7): kept apart")
    lower = pc.utf8_lower(names)
    if cased := len(names) - len(lower.unique()):
        found.append(f"{cased:,} {role} ids differ from others in upper and lower case only: kept apart")
    if words := names.filter(pc.is_in(lower, value_set=_MISSING)).to_pylist():
        found.append(
            f"the {role} id {shown(words[0])} looks like a missing value: its rows are taken for those of one {role}"
        )
    if rounded := names.filter(pc.match_substring_regex(names, _ROUNDED)).to_pylist():
        found.append(
            f"{len(rounded):,} {role} ids look like rounded numbers ({shown(rounded[0])}), as spreadsheets write them: "
            "several may have become one"
        )
    return found
