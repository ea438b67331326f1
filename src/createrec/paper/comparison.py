"""Ours beside the paper's: every reported number, every claim, and tests of every difference to CREATE."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from createrec.errors import DataError
from createrec.evaluation.significance import (
    Floats,
    Ranks,
    bootstrap_means,
    holm,
    paired_t,
    percentile_interval,
    read_ranks,
    wilcoxon,
)
from createrec.exhibits import BY_NAME, function, of_kind
from createrec.paper.claims import RULES, VERDICTS, Claim, judge, paper_text
from createrec.paper.names import dataset_name, metric_name, model_name
from createrec.paper.records import LEVEL, NO_DATA, NOT_RUN, Estimate, Results
from createrec.paper.render import Page, Sheet, Shown, write_csv, write_page
from createrec.paper.reported import NOT_STATED, Reported, printed, reported_values
from createrec.paper.tables import decimals, exact_percent, percent, signed_percent
from createrec.plan import Run
from createrec.written import DATASET_FILE, read_description

DRAWS = 2000  # of the bootstrap
BOOTSTRAP_SEED = 0
SIGNIFICANT = 1 - LEVEL
TESTED = {"table2": ("ndcg@10", "recall@10", "ndcg@100", "recall@100"), "table3": ("ndcg@10", "recall@10")}
NO_RANKS = "no per-user ranks beside the records"
_AGREEMENT = 1e-5  # between a record's metric and the mean of its per-user scores


# --- every reported number ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """One number of the paper and ours.

    Attributes:
        dataset: ours; for Table 5, which names none, one of those configured.
        ours: the estimate, in fractions; for Table 1, a count as it is.
    """

    reported: Reported
    dataset: str
    ours: Estimate

    @property
    def scale(self) -> float:
        """From our unit to the paper's: % for metrics, nothing for counts."""
        return 1.0 if self.reported.table == "table1" else 100.0

    @property
    def relative(self) -> float | None:
        """(ours - paper) / paper; None where we have none or the paper prints zero."""
        if not self.ours.run or not self.reported.value:
            return None
        return self.scale * self.ours.mean / self.reported.value - 1

    @property
    def inside(self) -> str:
        """Whether the paper's number lies in our interval over seeds."""
        if self.ours.interval is None:
            return ""
        low, high = (self.scale * bound for bound in self.ours.interval)
        return "yes" if low <= self.reported.value <= high else "no"

    def row(self) -> list[object]:
        paper, ours = self.reported, self.ours
        numbers = [ours.mean if ours.run else None, ours.std, *(ours.interval or (None, None))]
        scaled = [None if number is None else round(self.scale * number, 10) for number in numbers]
        counts = (len(ours.values), ours.planned)
        beside = (exact_percent(self.relative), self.inside, ours.status, ours.label)
        return [paper.table, self.dataset, paper.name, paper.metric, paper.value, paper.std, *scaled, *counts, *beside]

    def shown(self) -> Shown:
        """`1.87 → 1.84 [1.80, 1.88] (−2 %)`: the paper's, ours, our interval over seeds, the relative difference."""
        count = self.reported.table == "table1"
        theirs = f"{self.reported.value:,.0f}" if count else printed(self.reported.value)
        if not self.ours.run:
            return Shown(f"{theirs} → {NOT_RUN}" + (" †" if self.ours.missing == NO_DATA else ""))
        text = f"{theirs} → " + (f"{self.ours.mean:,.0f}" if count else percent(self.ours.mean))
        if self.ours.interval is not None:
            places = decimals(self.ours.mean)
            text += " [{}, {}]".format(*(f"{100 * bound:.{places}f}" for bound in self.ours.interval)).replace("-", "−")
        return Shown(text + (f" ({signed_percent(self.relative)})" if self.relative is not None else ""))


_COMPARISON_HEADER = [
    *("table", "dataset", "method", "metric", "paper", "paper_std", "ours", "ours_std"),
    *("interval_low", "interval_high", "seeds", "seeds_planned", "relative_difference_percent"),
    *("paper_inside_interval", "status", "label"),
]


def _count(results: Results, dataset: str, metric: str) -> Estimate:
    path = results.data / dataset / DATASET_FILE
    if not path.exists():
        return Estimate((), 1, missing=NO_DATA)
    summary = read_description(path)
    if metric not in summary:
        raise DataError(f"{path}: lacks {metric}; prepare it again")
    return Estimate((float(summary[metric]),), 1, summary.get("label", ""))


def compare(results: Results) -> list[Compared]:
    """Every number of Tables 1-5, in the paper's order of tables."""
    found = []
    for row in sorted(reported_values(), key=lambda row: row.table):
        named = row.dataset != NOT_STATED
        for dataset in [row.dataset] if named else results.config.ablations.backbone.datasets:
            if row.table == "table1":
                ours = _count(results, dataset, row.metric)
            else:
                cells = results.cells(BY_NAME[row.table].group, dataset, row.model, **row.labels)
                ours = results.estimate(cells, row.metric, dataset)
            found.append(Compared(row, dataset, ours))
    return found


def _column(row: Reported) -> str:
    if row.table == "table1":
        return row.metric.capitalize()
    return metric_name(row.metric.replace("recall", "hr") if row.table == "table3" else row.metric)


def _compared_sheet(table: str, rows: Sequence[Compared]) -> Sheet:
    """One table of the paper: a row per dataset and method, a column per metric."""
    placed = {
        ((dataset_name(row.dataset), row.reported.name or "–"), _column(row.reported)): row.shown() for row in rows
    }
    columns = tuple(dict.fromkeys(column for _, column in placed))
    keys = dict.fromkeys(key for key, _ in placed)
    shown = tuple((key, tuple(placed[key, column] for column in columns)) for key in keys)
    notes = [
        f"Data of {dataset_name(dataset)}: {label}."
        for dataset, label in dict.fromkeys((row.dataset, row.ours.label) for row in rows if row.ours.label)
    ]
    if table == "table3":
        notes.append("The paper's absolute level cannot come from these data with leave-one-out; compare the order.")
    if table == "table5":
        notes.append("The paper names no dataset: its numbers are repeated beside each of ours.")
    if any(row.ours.missing == NO_DATA and not row.ours.run for row in rows):
        notes.append("† data not at hand.")
    unit = "Counts" if table == "table1" else "In %"
    caption = f"{unit}: the paper's → ours (relative difference)."
    if table != "table1":
        caption = f"{unit}: the paper's → ours [95 % interval over seeds] (relative difference)."
    return Sheet(f"comparison-{table}", "", caption, tuple(notes), ("Dataset", "Method"), columns, shown)


def comparison_page(rows: Sequence[Compared]) -> Page:
    tables = {table: [row for row in rows if row.reported.table == table] for table in (r.reported.table for r in rows)}
    run = sum(row.ours.run for row in rows)
    parts = tuple(
        (table.replace("table", "Table "), _compared_sheet(table, members)) for table, members in tables.items()
    )
    summary = f"{run} of {len(rows)} reported numbers have one of ours beside them; the others were not run."
    return Page("Ours beside the paper's", (summary,), parts)


# --- claims -------------------------------------------------------------------------------------------------------

_CLAIM_HEADER = ["source", "dataset", "claim", "paper", "paper_holds", "ours", "verdict", "rule", "label"]


def _claim_row(claim: Claim) -> list[str]:
    holds = {True: "yes", False: "no", None: ""}[claim.paper_holds]
    ending = (claim.ours, claim.verdict, RULES[claim.rule], claim.labels)
    return [claim.source, claim.dataset, claim.statement, claim.paper, holds, *ending]


def claims_page(claims: Sequence[Claim]) -> Page:
    """A verdict on each claim, and the rules."""
    counts = Counter(claim.verdict for claim in claims)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    parts = []
    for source in dict.fromkeys(claim.source for claim in claims):
        rows = tuple(
            (
                (dataset_name(claim.dataset), claim.statement),
                tuple(map(Shown, (claim.verdict, paper_text(claim), claim.ours, claim.rule, claim.labels or "–"))),
            )
            for claim in claims
            if claim.source == source
        )
        headings = ("Verdict", "The paper", "Ours", "Rule", "Data label")
        caption = "In %; differences in points of %, with their 95 % interval over seeds."
        parts.append((source, Sheet("claims", "", caption, (), ("Dataset", "Claim"), headings, rows, True)))
    used = {claim.rule for claim in claims}
    rules = tuple(((name,), (Shown(text),)) for name, text in RULES.items() if name in used)
    parts.append(("Rules", Sheet("rules", "", "How a verdict is reached.", (), ("Rule",), ("In words",), rules, True)))
    paragraphs = (
        f"{len(claims)} claims: {summary}.",
        "† data not at hand. [n/m]: only n of the m planned seeds were run.",
    )
    return Page("Claims of the paper", paragraphs, tuple(parts))


# --- significance -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tested:
    """CREATE against one baseline on one metric; means, difference and interval are fractions.

    Attributes:
        seeds: how many seeds of CREATE and of the baseline were averaged.
        interval: bootstrap interval of the difference, over users and seeds.
        t, wilcoxon: p-values as they are; `t_holm`, `wilcoxon_holm`: corrected over the table's comparisons.
        status: `run`, or why there is no test.
    """

    table: str
    dataset: str
    baseline: str
    metric: str
    status: str
    label: str = ""
    users: int = 0
    seeds: tuple[int, int] = (0, 0)
    means: tuple[float, float] | None = None
    interval: tuple[float, float] | None = None
    t: float | None = None
    t_holm: float | None = None
    wilcoxon: float | None = None
    wilcoxon_holm: float | None = None

    @property
    def difference(self) -> float | None:
        return None if self.means is None else self.means[0] - self.means[1]

    @property
    def verdict(self) -> str:
        """By the corrected paired t-test, which tests the difference that the table shows, and the interval.

        The test knows users only. A difference that it shows and that the interval over users and seeds does not
        bear out (or that rests on one seed) is said to hold with these seeds.
        """
        if self.t_holm is None or self.difference is None or self.interval is None:
            return self.status
        if self.t_holm > SIGNIFICANT:
            return "no difference shown"
        direction = "CREATE better" if self.difference > 0 else "CREATE worse"
        low, high = self.interval
        return direction if min(self.seeds) > 1 and low * high > 0 else f"{direction}, with these seeds"

    def row(self) -> list[object]:
        means = [exact_percent(mean) for mean in self.means or (None, None)]
        spread = [exact_percent(self.difference), *map(exact_percent, self.interval or (None, None))]
        p = (self.t, self.t_holm, self.wilcoxon, self.wilcoxon_holm)
        names = (self.table, self.dataset, self.baseline, self.metric)
        return [*names, self.users, *self.seeds, *means, *spread, *p, self.verdict, self.status, self.label]


_SIGNIFICANCE_HEADER = [
    *("table", "dataset", "baseline", "metric", "users", "seeds_create", "seeds_baseline", "create_percent"),
    *("baseline_percent", "difference_percent", "interval_low", "interval_high", "p_t", "p_t_holm", "p_wilcoxon"),
    *("p_wilcoxon_holm", "verdict", "status", "label"),
]


class _Ranks:
    """Per-user ranks of the runs of one dataset and setup, checked to be of the same users."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.first: tuple[Ranks, Path] | None = None

    def read(self, run: Run) -> Ranks | None:
        """None where the run, or its ranks, are missing."""
        path = self.results.path(run, "ranks.parquet")
        record = self.results.record(run)
        if record is None or not path.exists():
            return None
        ranks = read_ranks(path)
        first, where = self.first = self.first or (ranks, path)
        if not (np.array_equal(ranks.user, first.user) and np.array_equal(ranks.draw, first.draw)):
            raise DataError(f"{path} and {where}: not the same users in the same order; evaluate both again")
        measured = record["metrics"].get("ndcg@10")
        if measured is not None and abs(ranks.mean("ndcg@10") - measured) > _AGREEMENT:
            raise DataError(f"{path}: its NDCG@10 is not that of the record beside it; evaluate the run again")
        return ranks


def _tested_dataset(results: Results, table: str, dataset: str) -> Iterator[Tested]:
    models = getattr(results.config, table).models
    reader = _Ranks(results)
    ranks = {
        model: [read for cell in results.cells(table, dataset, model) if (read := reader.read(cell.run)) is not None]
        for model in models
    }
    label = "; ".join(results.labels(results.cells(table, dataset)))
    present = [model for model in models if ranks[model]]
    for metric in TESTED[table]:
        scores: dict[str, Floats] = {model: np.stack([one.scores(metric) for one in ranks[model]]) for model in present}
        drawn: Mapping[str, Floats] = {}
        if "create" in present and len(present) > 1:
            drawn = dict(zip(present, bootstrap_means(list(scores.values()), DRAWS, BOOTSTRAP_SEED).T, strict=True))
        for baseline in models:
            if baseline == "create":
                continue
            if "create" not in drawn or baseline not in drawn:
                both_run = all(
                    results.estimate(results.cells(table, dataset, model), metric, dataset).run
                    for model in ("create", baseline)
                )
                status = NO_RANKS if both_run else results.missing(dataset)
                yield Tested(table, dataset, baseline, metric, status, label)
                continue
            create, other = scores["create"].mean(axis=0), scores[baseline].mean(axis=0)
            yield Tested(
                table,
                dataset,
                baseline,
                metric,
                "run",
                label,
                users=create.size,
                seeds=(len(scores["create"]), len(scores[baseline])),
                means=(float(create.mean()), float(other.mean())),
                interval=percentile_interval(drawn["create"] - drawn[baseline], LEVEL),
                t=paired_t(create, other),
                wilcoxon=wilcoxon(create, other),
            )


def _corrected(tests: Sequence[Tested]) -> list[Tested]:
    """Holm's correction over the comparisons of one table on one metric, all datasets together."""
    run = [(test, test.t, test.wilcoxon) for test in tests if test.t is not None and test.wilcoxon is not None]
    by_t, by_rank = holm([t for _, t, _ in run]), holm([rank for _, _, rank in run])
    corrected = zip((test for test, _, _ in run), by_t, by_rank, strict=True)
    by_place = {
        (test.dataset, test.baseline): replace(test, t_holm=t, wilcoxon_holm=rank) for test, t, rank in corrected
    }
    return [by_place.get((test.dataset, test.baseline), test) for test in tests]


def run_tests(results: Results, tables: Sequence[str] = tuple(TESTED)) -> list[Tested]:
    """CREATE against every baseline of the tables, on every dataset that is planned."""
    found = []
    for table in tables:
        metrics = TESTED[table]
        datasets: Iterable[str] = getattr(results.config, table).datasets
        tests = [test for dataset in datasets for test in _tested_dataset(results, table, dataset)]
        for metric in metrics:
            found += _corrected([test for test in tests if test.metric == metric])
    return found


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _tested_cells(test: Tested) -> tuple[Shown, ...]:
    if test.means is None or test.interval is None or test.t_holm is None or test.wilcoxon_holm is None:
        return (*(Shown("–") for _ in range(5)), Shown(test.verdict))
    low, high = (f"{100 * bound:+.2f}" for bound in test.interval)
    difference = f"{100 * (test.difference or 0.0):+.2f} [{low}, {high}]".replace("-", "−")
    texts = (*map(percent, test.means), difference, _p(test.t_holm), _p(test.wilcoxon_holm), test.verdict)
    return tuple(map(Shown, texts))


def significance_page(tests: Sequence[Tested]) -> Page:
    parts = []
    for table, metric in dict.fromkeys((test.table, test.metric) for test in tests):
        members = [test for test in tests if (test.table, test.metric) == (table, metric)]
        rows = tuple(((dataset_name(test.dataset), model_name(test.baseline)), _tested_cells(test)) for test in members)
        notes = tuple(
            f"Data of {dataset_name(dataset)}: {label}."
            for dataset, label in dict.fromkeys((test.dataset, test.label) for test in members if test.label)
        )
        shown = metric_name(metric.replace("recall", "hr") if table == "table3" else metric)
        headings = ("CREATE", "The baseline", "Difference", "p (t-test)", "p (Wilcoxon)", "Verdict")
        heading = f"{table.replace('table', 'Table ')}, {shown}"
        caption = "In %; difference in points of %, with its 95 % bootstrap interval; p-values after Holm's correction."
        parts.append((heading, Sheet("significance", "", caption, notes, ("Dataset", "Baseline"), headings, rows)))
    paragraphs = (
        "Each user's score is averaged over the seeds, then CREATE and a baseline are compared user by user: a paired "
        "t-test on the mean difference, and Wilcoxon's signed-rank test beside it. Holm's correction covers all "
        "comparisons of one table on one metric.",
        f"Intervals: percentiles of {DRAWS:,} bootstrap draws of users, the same for both models, and of seeds, for "
        "each model apart. Few seeds cannot show their whole spread, so the intervals are rather too narrow.",
        f'Verdict: a difference is named where the corrected t-test is below {100 * SIGNIFICANT:.0f} %; "with these '
        'seeds" is added where the interval includes zero or there is one seed only.',
    )
    return Page("CREATE against each baseline, user by user", paragraphs, tuple(parts))


# --- files --------------------------------------------------------------------------------------------------------


def write_pages(results: Results, folder: Path) -> None:
    """Writes every page, each as .csv, .md and .html, into `folder`."""
    for page in of_kind("page"):
        function(page.render)(results, folder)


def write_comparison(results: Results, folder: Path) -> None:
    """Writes comparison.csv, .md and .html into `folder`."""
    compared = compare(results)
    write_csv(folder / "comparison.csv", _COMPARISON_HEADER, [row.row() for row in compared])
    write_page(comparison_page(compared), folder / "comparison")


def write_claims(results: Results, folder: Path) -> None:
    """Writes claims.csv, .md and .html into `folder`."""
    claims = judge(results)
    write_csv(folder / "claims.csv", _CLAIM_HEADER, map(_claim_row, claims))
    write_page(claims_page(claims), folder / "claims")


def write_significance(results: Results, folder: Path, tables: Sequence[str] = tuple(TESTED)) -> None:
    """Writes significance.csv, .md and .html into `folder`."""
    tests = run_tests(results, tables)
    write_csv(folder / "significance.csv", _SIGNIFICANCE_HEADER, [test.row() for test in tests])
    write_page(significance_page(tests), folder / "significance")
