"""From measurements to a table for people. Pure functions over what `run.py` writes as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Measurement = Mapping[str, Any]
OURS = "ours"

UNITS = {
    "sasrec": "SASRec, full cross-entropy: targets per core-second",
    "lightgcn": "LightGCN: edges per core-second",
    "ultragcn": "UltraGCN: edges per core-second",
    "ranking": "ranking: users per core-second",
}
# What this project set out to reach: times the fastest peer as it comes, times the fastest with malloc tuned.
GOALS = {
    ("sasrec", "beauty"): (15, 8),
    ("sasrec", "ml-1m"): (6, None),
    ("lightgcn", "beauty"): (8, None),
    ("lightgcn", "ml-1m"): (8, None),
    ("ultragcn", "beauty"): (30, None),
    ("ultragcn", "ml-1m"): (20, None),
    ("ranking", "beauty"): (4, None),
    ("ranking", "ml-1m"): (10, None),
}


def fastest(measurements: Iterable[Measurement], quantity: str, shape: str, *, tuned: bool) -> Measurement | None:
    """The fastest peer measured in this run; a recorded one only where none was measured."""
    fitting = [
        one
        for one in measurements
        if one["quantity"] == quantity
        and one["shape"] == shape
        and one["who"] != OURS
        and "rate" in one
        and one["tuned"] == tuned
    ]
    measured = [one for one in fitting if not one["recorded"]]
    return max(measured or fitting, key=lambda one: one["rate"], default=None)


def ratio(ours: Measurement, peer: Measurement | None) -> float | None:
    """How many times the peer's rate ours is."""
    return None if peer is None else ours["rate"] / peer["rate"]


def table(measurements: Sequence[Measurement]) -> str:
    """The comparison as Markdown: a row per quantity and shape, rates per core-second."""
    lines = [
        "| | shape | ours | fastest peer as it comes | times | goal | fastest peer, malloc tuned | times | goal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (quantity, shape), goals in GOALS.items():
        ours = next((one for one in of(measurements, quantity, shape) if one["who"] == OURS and "rate" in one), None)
        if ours is None:
            continue
        cells = [UNITS[quantity], shape, f"{ours['rate']:,.0f}"]
        for tuned, goal in zip((False, True), goals, strict=True):
            peer = fastest(measurements, quantity, shape, tuned=tuned)
            times = ratio(ours, peer)
            name = (
                "–" if peer is None else f"{peer['who']}{' (recorded)' if peer['recorded'] else ''} {peer['rate']:,.0f}"
            )
            cells += [name, "–" if times is None else f"{times:.1f}", "–" if goal is None else f"≥ {goal}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def of(measurements: Iterable[Measurement], quantity: str, shape: str) -> list[Measurement]:
    """The measurements of one quantity on one shape."""
    return [one for one in measurements if (one["quantity"], one["shape"]) == (quantity, shape)]


def everything(measurements: Iterable[Measurement]) -> str:
    """Every measurement as Markdown, failed ones with their reason."""
    lines = [
        "| quantity | shape | who | per core-second | per second of wall | peak memory, MB | share of the floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in measurements:
        name = f"{one['who']}{', malloc tuned' if one['tuned'] else ''}{' (recorded)' if one['recorded'] else ''}"
        cells = [one["quantity"], one["shape"], name]
        if "rate" not in one:
            cells += [one["error"], "", "", ""]
        else:
            wall, peak, share = (one.get(key) for key in ("rate_wall", "peak_memory_bytes", "share_of_floor"))
            cells += [
                f"{one['rate']:,.0f}",
                "" if wall is None else f"{wall:,.0f}",
                "" if peak is None else f"{peak / 1e6:,.0f}",
                "" if share is None else f"{share:.2f}",
            ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def large_catalogue(measurements: Sequence[Measurement], shape: str) -> list[str]:
    """What the losses cost on a catalogue of yambda-50m's size, a line a figure."""
    full, scalable = (
        next((one for one in of(measurements, quantity, shape) if "rate" in one), None)
        for quantity in ("full", "scalable")
    )
    if not full or not scalable:
        return []
    return [
        f"full cross-entropy: peak memory {full['peak_memory_bytes'] / 1e9:.2f} GB (goal: below 2)",
        f"scalable cross-entropy: peak memory {scalable['peak_memory_bytes'] / 1e9:.2f} GB (goal: below 1)",
        f"scalable over full, targets per core-second: {scalable['rate'] / full['rate']:.1f} times (goal: at least 10)",
    ]
