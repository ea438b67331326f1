"""What the paper claims, and a verdict on each from our records by a rule that is printed beside it.

A verdict never depends on how large our numbers are, only on order, on the clearness of a difference over
seeds, and (for gains) on half of the paper's gain. Where the paper's own table contradicts its sentence, the
claim says so.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

from createrec.errors import DataError
from createrec.exhibits import BY_NAME, LEVELS
from createrec.paper.choices import choice_spread, sasrec_ahead
from createrec.paper.names import ALIGNMENTS, DECIDING, PAPER_MODELS, metric_name, model_name
from createrec.paper.records import LEVEL, Estimate, Results, t_interval
from createrec.paper.reported import (
    NOT_STATED,
    Reported,
    described,
    printed,
    reported_value,
    reported_values,
)
from createrec.paper.sweeps import points as points_of
from createrec.paper.tables import gain, percent, show_estimate, signed_percent

Verdict = Literal["reproduced", "partly", "undecided", "not reproduced", "not run"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Contrast = Literal["clearly ahead", "ahead", "even", "behind", "clearly behind"]
# Two models, each tuned for itself, may differ by so much because one of them was lucky in the choice of its settings,
# whatever the seeds say: over the 108 settings of SASRec that "Time to Split" (arXiv 2507.16289) published, the one
# that validation picks is 3.4 % (Beauty), 3.6 % (Sports) and 6.4 % (MovieLens-1M) below the best on the test fold.
CHOICE_NOISE = 0.05
ENOUGH_OF_THE_GAIN = 0.5  # share of the paper's gain that counts as that gain
ENOUGH_OF_THE_ORDER = 0.8  # share of pairs in the paper's order that counts as partly that order
FLAT = 0.5  # share of the jump within which a curve counts as level

_INTERVAL = f"the {100 * LEVEL:g} % interval of the difference over seeds (Welch)"
_CLEAR = f"{_INTERVAL} excludes zero"
RULES: Mapping[str, str] = {
    "ahead": f"Reproduced: our means are in the paper's order and {_CLEAR}. Partly: in the paper's order, but the "
    "interval includes zero or there is one seed only. Not reproduced: not in the paper's order.",
    "best": f"Reproduced: CREATE has a higher mean than every baseline of the paper, and for each {_CLEAR}. Partly: a "
    "higher mean than every baseline that was run, but not all clearly, or not all were run. Not reproduced: a "
    "baseline has a mean as high.",
    "gain": f"Reproduced: {_CLEAR}, our relative gain is at least {100 * ENOUGH_OF_THE_GAIN:g} % of the paper's, and "
    f"it is above the noise of choosing settings: {100 * CHOICE_NOISE:g} %, or what the choice among our own good "
    "settings moves (table `choices`), where that is more; no other good setting of SASRec is above CREATE. Partly: "
    "CREATE has the higher mean. Undecided: it is behind by no more than that noise. Not reproduced: by more.",
    "even": f"Reproduced: {_INTERVAL} includes zero. Not reproduced: it excludes zero. Not run: fewer than two seeds.",
    "order": "Reproduced: the means of all models are in the paper's order. Partly: at least "
    f"{100 * ENOUGH_OF_THE_ORDER:g} % of the pairs of models that were run are. Not reproduced: fewer.",
    "peak": "Reproduced: of all planned values, the paper's has the highest mean. Partly: it has the highest mean of "
    f"those that were run. Undecided: another is higher, but {_INTERVAL} includes zero. Not reproduced: another is "
    "higher, clearly or with one seed only.",
    "interior": f"Reproduced: the highest mean lies below the largest value, and {_CLEAR}. Partly: it lies below, but "
    "not clearly, or not all planned values were run. Not reproduced: the largest value is best.",
    "plateau": "Reproduced: every value above the paper's threshold has a higher mean than every value up to it. "
    "Partly: the mean over the values above is higher, or not all planned values were run. Not reproduced: it is not.",
    "flat": f"Reproduced: from the first positive weight on, the means differ by at most {100 * FLAT:g} % of the jump "
    "to it. Partly: by at most the jump, or not all planned values were run. Not reproduced: by more.",
}


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper on one dataset, and what we found.

    Attributes:
        source: the table or figure it rests on.
        rule: key of RULES.
        paper, ours: the numbers on either side, as text.
        labels: data labels of our runs; "" = none.
        paper_holds: whether the paper's own numbers agree with its sentence; None = it gives no numbers.
    """

    source: str
    dataset: str
    statement: str
    rule: str
    paper: str
    ours: str
    verdict: Verdict
    labels: str
    paper_holds: bool | None


# --- differences over seeds ---------------------------------------------------------------------------------------


def difference(first: Estimate, second: Estimate) -> tuple[float, tuple[float, float] | None]:
    """Difference of means, and its Welch interval; None where either side has fewer than two seeds.

    The seeds of two models are not paired: seed 0 of one shares no random number with seed 0 of the other.
    """
    centre = first.mean - second.mean
    if first.std is None or second.std is None:
        return centre, None
    sides = ((first.std, len(first.values)), (second.std, len(second.values)))
    parts = [(std**2 / seeds, seeds - 1) for std, seeds in sides]
    variance = sum(part for part, _ in parts)
    if not variance:
        return centre, (centre, centre)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    return centre, t_interval(centre, math.sqrt(variance), freedom)


def contrast(first: Estimate, second: Estimate) -> Contrast:
    """Where the first stands beside the second; clearly = the interval over seeds excludes zero."""
    centre, interval = difference(first, second)
    if centre == 0:
        return "even"
    clear = interval is not None and (interval[0] > 0 or interval[1] < 0)
    if centre > 0:
        return "clearly ahead" if clear else "ahead"
    return "clearly behind" if clear else "behind"


def show_difference(first: Estimate, second: Estimate) -> str:
    """`+0.28 [+0.21, +0.35]`, in points of %."""
    centre, interval = difference(first, second)
    shown = f"{100 * centre:+.2f}"
    if interval is not None:
        shown += f" [{100 * interval[0]:+.2f}, {100 * interval[1]:+.2f}]"
    return shown.replace("-", "−")


_ORDER_VERDICT: Mapping[Contrast, Verdict] = {
    "clearly ahead": "reproduced",
    "ahead": "partly",
    "even": "not reproduced",
    "behind": "not reproduced",
    "clearly behind": "not reproduced",
}


def _labels(*estimates: Estimate) -> str:
    return "; ".join(sorted({estimate.label for estimate in estimates if estimate.label}))


# --- one claim of each kind ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One side of a comparison: its name, ours, the paper's number in % (None = it prints none) and name for it."""

    name: str
    ours: Estimate
    paper: float | None = None
    paper_name: str = ""

    @property
    def theirs(self) -> float:
        """The paper's number.

        Raises:
            DataError: it prints none.
        """
        if self.paper is None:
            raise DataError(f"{self.name}: the paper prints no number, and the claim needs one")
        return self.paper

    def shown(self) -> str:
        return f"{self.name} {show_estimate(self.ours)}"

    def shown_paper(self) -> str:
        return f"{self.paper_name or self.name} {printed(self.theirs)}"


def ahead(source: str, dataset: str, statement: str, first: Side, second: Side, rule: str = "ahead") -> Claim:
    """`first` is above `second`; with rule `even`, the two do not differ clearly."""
    both_printed = first.paper is not None and second.paper is not None
    paper = f"{first.shown_paper()}, {second.shown_paper()}" if both_printed else "a curve, no numbers"
    ours = f"{first.shown()}, {second.shown()}"
    verdict: Verdict = "not run"
    holds = first.theirs > second.theirs if both_printed and rule == "ahead" else None
    if first.ours.run and second.ours.run:
        ours += f"; difference {show_difference(first.ours, second.ours)}"
        if rule == "ahead":
            verdict = _ORDER_VERDICT[contrast(first.ours, second.ours)]
        elif difference(first.ours, second.ours)[1] is not None:
            verdict = "not reproduced" if contrast(first.ours, second.ours).startswith("clearly") else "reproduced"
    return Claim(source, dataset, statement, rule, paper, ours, verdict, _labels(first.ours, second.ours), holds)


def best(source: str, dataset: str, statement: str, create: Side, baselines: Sequence[Side]) -> Claim:
    """CREATE is above every baseline."""
    rival = max(baselines, key=lambda side: side.theirs)
    paper = f"{create.shown_paper()}, best baseline {rival.shown_paper()}"
    measured = [side for side in baselines if side.ours.run]
    holds = create.theirs > rival.theirs
    if not create.ours.run or not measured:
        ours = f"{create.shown()}; {len(measured)} of {len(baselines)} baselines run"
        return Claim(source, dataset, statement, "best", paper, ours, "not run", _labels(create.ours), holds)
    contrasts = [contrast(create.ours, side.ours) for side in measured]
    strongest = max(measured, key=lambda side: side.ours.mean)
    ours = (
        f"{create.shown()}, best baseline {strongest.shown()}; "
        f"difference {show_difference(create.ours, strongest.ours)}"
    )
    if len(measured) < len(baselines):
        ours += f"; {len(measured)} of {len(baselines)} baselines run"
    verdict: Verdict
    if any(_ORDER_VERDICT[found] == "not reproduced" for found in contrasts):
        verdict = "not reproduced"
    elif len(measured) == len(baselines) and all(found == "clearly ahead" for found in contrasts):
        verdict = "reproduced"
    else:
        verdict = "partly"
    return Claim(source, dataset, statement, "best", paper, ours, verdict, _labels(create.ours, strongest.ours), holds)


def gained(
    source: str,
    dataset: str,
    statement: str,
    create: Side,
    sasrec: Side,
    spread: float | None = None,
    other: float | None = None,
) -> Claim:
    """CREATE gains over SASRec, and about as much as in the paper.

    Args:
        spread: how far the choice of settings moves the gain; None = not tested.
        other: SASRec's mean under other good settings, where it is above CREATE's.
    """
    noise = max(CHOICE_NOISE, spread or 0.0)
    theirs = create.theirs / sasrec.theirs - 1
    found = gain(create.ours, sasrec.ours)
    ours = f"{create.shown()}, {sasrec.shown()}"
    verdict: Verdict = "not run"
    if found is not None:
        ours = f"{signed_percent(found)}; difference {show_difference(create.ours, sasrec.ours)}"
        if spread is not None:
            ours += f"; choice of settings ± {100 * spread:.0f} %"
        if other is not None:
            ours += f"; SASRec under other good settings {percent(other)}"
        verdict = _ORDER_VERDICT[contrast(create.ours, sasrec.ours)]
        if verdict == "reproduced" and (other is not None or found < max(ENOUGH_OF_THE_GAIN * theirs, noise)):
            verdict = "partly"
        if verdict == "not reproduced" and found >= -noise:
            verdict = "undecided"
    labels = _labels(create.ours, sasrec.ours)
    return Claim(source, dataset, statement, "gain", signed_percent(theirs), ours, verdict, labels, theirs > 0)


def ordered(source: str, dataset: str, statement: str, sides: Sequence[Side]) -> Claim:
    """All models stand in the paper's order."""
    theirs = sorted(sides, key=lambda side: -side.theirs)
    paper = " > ".join(side.shown_paper() for side in theirs)
    measured = [side for side in theirs if side.ours.run]
    labels = _labels(*(side.ours for side in measured))
    if len(measured) < 2:
        return Claim(source, dataset, statement, "order", paper, "not run", "not run", labels, None)
    ours = " > ".join(side.shown() for side in sorted(measured, key=lambda side: -side.ours.mean))
    pairs = [upper.ours.mean > lower.ours.mean for upper, lower in combinations(measured, 2)]
    share = sum(pairs) / len(pairs)
    verdict: Verdict
    if share == 1 and len(measured) == len(sides):
        verdict = "reproduced"
    else:
        verdict = "partly" if share >= ENOUGH_OF_THE_ORDER else "not reproduced"
    ours += f"; {sum(pairs)} of {len(pairs)} pairs in the paper's order"
    return Claim(source, dataset, statement, "order", paper, ours, verdict, labels, None)


# --- claims about a curve -----------------------------------------------------------------------------------------

Points = Mapping[float, Estimate]


def _show_points(points: Points) -> str:
    return ", ".join(f"{value:g}: {show_estimate(point)}" for value, point in points.items())


def _best_value(points: Points) -> float:
    return max((value for value, point in points.items() if point.run), key=lambda value: points[value].mean)


def _curve(source: str, dataset: str, statement: str, rule: str, paper: str, points: Points, verdict: Verdict) -> Claim:
    labels = _labels(*points.values())
    ours = _show_points(points) if any(point.run for point in points.values()) else "not run"
    return Claim(source, dataset, statement, rule, paper, ours, verdict, labels, None)


def _complete(points: Points) -> bool:
    return all(point.run for point in points.values())


def judge_peak(points: Points, at: float) -> Verdict:
    """Rule `peak`."""
    if at not in points or not points[at].run or sum(point.run for point in points.values()) < 2:
        return "not run"
    highest = _best_value(points)
    if highest == at:
        return "reproduced" if _complete(points) else "partly"
    _, interval = difference(points[highest], points[at])
    return "undecided" if interval is not None and interval[0] <= 0 else "not reproduced"


def judge_interior(points: Points) -> Verdict:
    """Rule `interior`."""
    largest = max(points, default=0.0)
    if not points or not points[largest].run or sum(point.run for point in points.values()) < 2:
        return "not run"
    highest = _best_value(points)
    if highest == largest:
        return "not reproduced"
    clear = contrast(points[highest], points[largest]) == "clearly ahead"
    return "reproduced" if clear and _complete(points) else "partly"


def judge_plateau(points: Points, above: float) -> Verdict:
    """Rule `plateau`."""
    upper = [point.mean for value, point in points.items() if value > above and point.run]
    lower = [point.mean for value, point in points.items() if value <= above and point.run]
    if not upper or not lower:
        return "not run"
    if min(upper) > max(lower) and _complete(points):
        return "reproduced"
    return "partly" if sum(upper) / len(upper) > sum(lower) / len(lower) else "not reproduced"


def judge_flat(points: Points, start: float) -> Verdict:
    """Rule `flat`."""
    first = min(points, default=start)
    later = [point.mean for value, point in points.items() if value >= start and point.run]
    if first >= start or start not in points or not points[first].run or not points[start].run or len(later) < 2:
        return "not run"
    jump = points[start].mean - points[first].mean
    spread = max(later) - min(later)
    if spread <= FLAT * jump and _complete(points):
        return "reproduced"
    return "partly" if spread <= jump else "not reproduced"


# --- the paper's claims -------------------------------------------------------------------------------------------


def _datasets(table: str) -> list[str]:
    return list(dict.fromkeys(row.dataset for row in reported_values() if row.table == table))


def _side(results: Results, row: Reported, dataset: str, name: str) -> Side:
    cells = results.cells(BY_NAME[row.table].group, dataset, row.model, **row.labels)
    return Side(name, results.estimate(cells, row.metric, dataset), row.value, PAPER_MODELS[row.model])


def _table_sides(results: Results, table: str, dataset: str, metric: str) -> dict[str, Side]:
    return {
        row.model: _side(results, row, dataset, model_name(row.model))
        for row in reported_values()
        if (row.table, row.dataset, row.metric) == (table, dataset, metric)
    }


def _comparisons(results: Results) -> Iterator[Claim]:
    """Tables 2 and 3 (Section 4.4)."""
    for table, metrics in (
        ("table2", ("ndcg@10", "recall@10", "ndcg@100", "recall@100")),
        ("table3", ("recall@10", "ndcg@10")),
    ):
        source = table.replace("table", "Table ")
        for dataset in _datasets(table):
            for metric in metrics:
                sides = _table_sides(results, table, dataset, metric)
                create = sides.pop("create")
                shown = metric_name(metric.replace("recall", "hr") if table == "table3" else metric)
                yield best(source, dataset, f"CREATE has the highest {shown}", create, list(sides.values()))
                if metric.startswith("ndcg"):
                    # The settings that were tested beside the chosen ones are those of Table 2's setup.
                    spread, other = None, None
                    if table == "table2":
                        spread = choice_spread(results, dataset, LEVELS, metric)
                        other = sasrec_ahead(results, dataset, metric)
                    statement = f"CREATE gains over SASRec in {shown}"
                    yield gained(source, dataset, statement, create, sides["sasrec"], spread, other)
                if table == "table3":
                    statement = f"the order of the models by {shown}"
                    yield ordered(source, dataset, statement, [create, *sides.values()])


def _alignment(results: Results) -> Iterator[Claim]:
    """Table 4 (Section 5.3)."""
    for dataset in _datasets("table4"):
        rows = [row for row in reported_values() if (row.table, row.dataset) == ("table4", dataset)]
        sides = {
            (row.labels["graph"], row.labels["alignment"], row.metric): _side(
                results, row, dataset, ALIGNMENTS[row.labels["alignment"]]
            )
            for row in rows
        }
        graphs = [graph for graph in dict.fromkeys(row.labels["graph"] for row in rows) if graph in PAPER_MODELS]
        for graph in graphs:
            within = f"with {model_name(graph)}"
            none, contrastive, barlow = (sides[graph, kind, DECIDING] for kind in ("none", "contrastive", "barlow"))
            alone = sides["-", "sequential", DECIDING]
            statements = [
                (f"Barlow Twins beats contrastive alignment {within}, NDCG@10", barlow, contrastive),
                (f"contrastive alignment beats none {within}, NDCG@10", contrastive, none),
                (f"without alignment CREATE {within} is below the sequential model, NDCG@10", alone, none),
                (
                    f"Barlow Twins costs coverage beside contrastive alignment {within}, Coverage@10",
                    sides[graph, "contrastive", "coverage@10"],
                    sides[graph, "barlow", "coverage@10"],
                ),
            ]
            for statement, first, second in statements:
                yield ahead("Table 4", dataset, statement, first, second)
        for kind in ("none", "contrastive", "barlow"):
            for metric, rule in ((DECIDING, "ahead"), ("ndcg@100", "even")):
                first, second = (
                    Side(model_name(graph), sides[graph, kind, metric].ours, sides[graph, kind, metric].paper)
                    for graph in ("ultragcn", "lightgcn")
                )
                verb = "beats" if rule == "ahead" else "is not clearly different from"
                statement = f"UltraGCN {verb} LightGCN, alignment {ALIGNMENTS[kind]}, {metric_name(metric)}"
                yield ahead("Table 4", dataset, statement, first, second, rule)


def _backbone(results: Results) -> Iterator[Claim]:
    """Table 5 (Section 5.4), on each of our datasets: the paper names none."""
    for dataset in results.config.ablations.backbone.datasets:

        def side(sequence: str, graph: str, name: str, dataset: str = dataset) -> Side:
            labels = {"sequence": sequence, "graph": graph}
            cells = results.cells("ablation_backbone", dataset, "create", **labels)
            paper = reported_value("table5", NOT_STATED, "create", DECIDING, labels)
            return Side(model_name(name), results.estimate(cells, DECIDING, dataset), paper)

        for graph in ("lightgcn", "ultragcn"):
            statement = f"SASRec is the better sequence encoder beside {model_name(graph)}, NDCG@10"
            first, second = (side(sequence, graph, sequence) for sequence in ("sasrec", "bert4rec"))
            yield ahead("Table 5", dataset, statement, first, second)
        for sequence in ("sasrec", "bert4rec"):
            statement = f"UltraGCN is the better graph encoder beside {model_name(sequence)}, NDCG@10"
            first, second = (side(sequence, graph, graph) for graph in ("ultragcn", "lightgcn"))
            yield ahead("Table 5", dataset, statement, first, second)


def _point(points: Points, value: float, unit: str, paper: float | None = None) -> Side:
    """One value of a curve; not run where it is not planned."""
    return Side(f"{unit} {value:g}:", points.get(value, Estimate((), 0)), paper)


def _last(points: Points, beyond: float, unit: str, paper: float | None = None) -> Side:
    """The largest planned value, if it lies beyond another."""
    last = max(points, default=beyond)
    return (
        _point(points, last, unit, paper)
        if last > beyond
        else Side(f"{unit} above {beyond:g}:", Estimate((), 0), paper)
    )


def _graph_size(results: Results) -> Iterator[Claim]:
    """Figure 3 (Section 5.1)."""
    for dataset, facts in described("figure3").items():
        points = points_of(results, BY_NAME["figure3"], dataset)
        if "best" in facts:
            at = facts["best"]
            statement, paper = "the best graph holds fewer than all interactions", f"best at about {at:g} %"
            yield _curve("Figure 3", dataset, statement, "interior", paper, points, judge_interior(points))
            statement = f"the best graph holds {at:g} % of the last interactions"
            yield _curve("Figure 3", dataset, statement, "peak", paper, points, judge_peak(points, at))
        if "plateau_above" in facts:
            at = facts["plateau_above"]
            statement = f"all graphs above {at:g} % are better than those up to {at:g} %"
            verdict = judge_plateau(points, at)
            yield _curve("Figure 3", dataset, statement, "plateau", f"better above {at:g} %", points, verdict)


def _warmup(results: Results) -> Iterator[Claim]:
    """Figure 4 (Section 5.2)."""
    for dataset, facts in described("figure4").items():
        points = points_of(results, BY_NAME["figure4"], dataset)
        at = facts["best"]
        peak, end = _point(points, at, "epochs"), _last(points, at, "epochs")
        yield ahead("Figure 4", dataset, f"{at:g} warm-up epochs beat none, NDCG@10", peak, _point(points, 0, "epochs"))
        statement, paper = f"{at:g} warm-up epochs are best, NDCG@10", f"best at {at:g} epochs"
        yield _curve("Figure 4", dataset, statement, "peak", paper, points, judge_peak(points, at))
        yield ahead("Figure 4", dataset, f"NDCG@10 falls from {at:g} warm-up epochs to the longest warm-up", peak, end)


def _barlow_weight(results: Results) -> Iterator[Claim]:
    """Figure 5 (Section 5.3)."""
    for dataset, facts in described("figure5").items():
        points = points_of(results, BY_NAME["figure5"], dataset)
        start = facts["jump_to"]
        statement = f"NDCG@10 jumps from no Barlow loss to a weight of {start:g}"
        yield ahead("Figure 5", dataset, statement, _point(points, start, "weight"), _point(points, 0, "weight"))
        if "flat_level" in facts:
            paper = f"about {facts['flat_level']:g} from {start:g} on"
            statement, verdict = f"NDCG@10 stays level from a weight of {start:g} on", judge_flat(points, start)
            yield _curve("Figure 5", dataset, statement, "flat", paper, points, verdict)
        if "best" in facts:
            at, paper = facts["best"], f"best at {facts['best']:g}, about {facts['best_level']:g}"
            statement = f"a weight of {at:g} is best, NDCG@10"
            yield _curve("Figure 5", dataset, statement, "peak", paper, points, judge_peak(points, at))
            peak = _point(points, at, "weight", facts["best_level"])
            end = _last(points, at, "weight", facts["last_level"])
            yield ahead("Figure 5", dataset, f"NDCG@10 falls from a weight of {at:g} to the largest weight", peak, end)


def judge(results: Results) -> list[Claim]:
    """Every claim, in the order of the paper's tables and figures."""
    parts = (_comparisons, _alignment, _backbone, _graph_size, _warmup, _barlow_weight)
    return [claim for part in parts for claim in part(results)]


def paper_text(claim: Claim) -> str:
    """The paper's numbers, and whether they bear the paper's own sentence out."""
    return claim.paper + (" (the paper's own numbers contradict it)" if claim.paper_holds is False else "")
