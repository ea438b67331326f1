"""Speed beside the fastest peer of the same run, from the JSON that `make bench` writes (benchmarks/README.md).

A peer's malloc is *tuned* where it is told to keep big blocks, which this package does for itself. *Recorded* is a peer
that no registry has: it was measured once, in another run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from createrec.paper.names import model_name
from createrec.paper.render import Sheet, Shown, to_markdown
from createrec.paper.report import epochs_on_gpu

NOT_MEASURED = "Not measured.\n"
# Quantity -> its name, and the unit of its work.
QUANTITIES: Mapping[str, tuple[str, str]] = {
    "sasrec": ("SASRec", "targets"),
    "lightgcn": ("LightGCN", "edges"),
    "ultragcn": ("UltraGCN", "edges"),
    "ranking": ("Ranking", "users"),
}
SHAPES: Mapping[str, str] = {"beauty": "Beauty", "ml-1m": "ML-1M"}
Measurement = Mapping[str, Any]


def _of(found: Mapping[str, Any], quantity: str, shape: str) -> tuple[Measurement | None, list[Measurement]]:
    """Our measurement of a quantity on a shape, and those of the peers."""
    here = [row for row in found["measurements"] if (row["quantity"], row["shape"]) == (quantity, shape)]
    rated = [row for row in here if "rate" in row]
    return next((row for row in rated if row["who"] == "ours"), None), [row for row in rated if row["who"] != "ours"]


def _fastest(peers: Sequence[Measurement]) -> Measurement | None:
    return max(peers, key=lambda row: float(row["rate"]), default=None)


def _machine(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    return f"{str(machine['device']).removeprefix('cpu: ')}, torch {machine['torch']}"


def speed_part(found: Mapping[str, Any] | None, gpu: Mapping[str, Any] | None) -> str:
    """A line per quantity on the shape of Amazon Beauty, beside the fastest peer, tuned or not.

    Args:
        found: the last whole benchmark; None = there is none.
        gpu: what was measured on a GPU; None = nothing.
    """
    if not found:
        return NOT_MEASURED
    lines = []
    for quantity, (what, unit) in QUANTITIES.items():
        ours, peers = _of(found, quantity, "beauty")
        peer = _fastest([row for row in peers if not row["recorded"]])
        if ours and peer:
            tuned = " with its malloc tuned" if peer["tuned"] else ""
            lines.append(
                f"- {what}: {ours['rate']:,.0f} {unit} per core-second, {ours['rate'] / peer['rate']:.0f} times "
                f"{peer['who']}{tuned} ({peer['rate']:,.0f})."
            )
    if gpu is not None:
        epochs = {model: ways[1] for model, ways in epochs_on_gpu(gpu).items()}
        told = [f"{model_name(name)} {epochs[name]:.2f} s" for name in ("sasrec", "create") if epochs.get(name)]
        if told:
            lines.append(f"- On one {gpu['device'].removeprefix('cuda: ')} an epoch takes: {', '.join(told)}.")
    return f"On the shape of Amazon Beauty ({_machine(found)}):\n\n" + "\n".join(lines) + "\n"


def _beside(ours: Measurement, peer: Measurement | None) -> tuple[str, str]:
    """A peer's rate, and how many times as fast ours is."""
    if peer is None:
        return "–", "–"
    recorded = " (recorded)" if peer["recorded"] else ""
    return f"{peer['who']} {peer['rate']:,.0f}{recorded}", f"{ours['rate'] / peer['rate']:.1f}"


def bench_part(found: Mapping[str, Any] | None) -> str:
    """Every quantity on both shapes, beside the fastest peer as it comes and the fastest with its malloc tuned.

    A recorded peer is shown where no other one was measured.
    """
    if not found:
        return NOT_MEASURED
    rows = []
    for quantity, (what, unit) in QUANTITIES.items():
        for shape, name in SHAPES.items():
            ours, peers = _of(found, quantity, shape)
            if ours is not None:
                measured = [row for row in peers if not row["recorded"]] or peers
                plain, tuned = (_fastest([row for row in measured if row["tuned"] is way]) for way in (False, True))
                share = f" ({ours['share_of_floor']:.2f} of the floor)" if "share_of_floor" in ours else ""
                cells = (f"{ours['rate']:,.0f}{share}", *_beside(ours, plain), *_beside(ours, tuned))
                rows.append(((f"{what}: {unit}", name), tuple(map(Shown, cells))))
    headings = ("Ours", "Fastest peer as it comes", "Times", "Fastest with malloc tuned", "Times, tuned")
    caption = f"Work per core-second, {_machine(found)}."
    return to_markdown(Sheet("bench", "", caption, (), ("What", "Shape"), headings, tuple(rows)))
