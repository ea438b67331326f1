"""The paper's five main claims, each with one verdict and our evidence in a line per dataset.

A main claim stands for several of `claims`: which ones is said here, and its verdict follows from theirs by WHOLE.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from createrec.exhibits import BY_NAME, EXHIBITS, LEVELS, wanted
from createrec.paper.choices import choice_spread, sasrec_ahead
from createrec.paper.claims import VERDICTS, Claim, show_difference
from createrec.paper.names import DECIDING, dataset_name, metric_name, model_name
from createrec.paper.records import Estimate, Results
from createrec.paper.reported import described, reported_values
from createrec.paper.tables import gain, percent, show_estimate, signed_percent

WHOLE = (
    "The verdict on a main claim, over its parts that could be judged: reproduced if all are, not reproduced if more "
    "than half are not, else partly if half are at least partly, else undecided; not run if none could be judged."
)
# The paper's section of each table and figure, by the title that a claim rests on.
SECTIONS = {exhibit.title: exhibit.section for exhibit in EXHIBITS}
DEEP = "recall@100"  # shown beside DECIDING: what happens further down the list


@dataclass(frozen=True)
class Headline:
    """One main claim.

    Attributes:
        name: a word for links.
        claim: the paper's, in a plain sentence.
        sources: the paper's tables and figures that it rests on.
        parts: the claims that it stands for.
        evidence: one line per dataset with something to show.
        command: makes its records and renders them.
    """

    name: str
    claim: str
    sources: tuple[str, ...]
    parts: tuple[Claim, ...]
    evidence: tuple[str, ...]
    command: str

    @property
    def verdict(self) -> str:
        """By WHOLE."""
        judged = [part.verdict for part in self.parts if part.verdict != "not run"]
        if not judged:
            return "not run"
        if set(judged) == {"reproduced"}:
            return "reproduced"
        if 2 * judged.count("not reproduced") > len(judged):
            return "not reproduced"
        seen = judged.count("reproduced") + judged.count("partly")
        return "partly" if 2 * seen >= len(judged) else "undecided"

    @property
    def counts(self) -> str:
        """`2 partly, 1 not reproduced, 3 not run`."""
        found: Counter[str] = Counter(part.verdict for part in self.parts)
        return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict])


def _table2(results: Results, dataset: str, model: str, metric: str) -> Estimate:
    return results.estimate(results.cells("table2", dataset, model), metric, dataset)


def _against(results: Results, dataset: str, rival: str, metric: str) -> str:
    first, second = (_table2(results, dataset, model, metric) for model in ("create", rival))
    return f"{metric_name(metric)} {show_difference(first, second)}"


def _best(results: Results) -> Iterator[str]:
    """CREATE beside the strongest baseline of each metric."""
    for dataset in results.config.table2.datasets:
        if not _table2(results, dataset, "create", DECIDING).run:
            continue
        told = []
        for metric in (DECIDING, DEEP):
            rivals = [model for model in results.config.table2.models if model != "create"]
            rivals = [model for model in rivals if _table2(results, dataset, model, metric).run]
            if rivals:
                rival = max(rivals, key=lambda model: _table2(results, dataset, model, metric).mean)
                told.append(f"{_against(results, dataset, rival, metric)} over {model_name(rival)}")
        if told:
            yield f"{dataset_name(dataset)}: {'; '.join(told)}"


def _gain(results: Results) -> Iterator[str]:
    theirs: dict[str, dict[str, float]] = {row.dataset: {} for row in reported_values() if row.table == "table2"}
    for row in reported_values():
        if row.table == "table2" and row.metric == DECIDING:
            theirs[row.dataset][row.model] = row.value
    for dataset in results.config.table2.datasets:
        found = gain(_table2(results, dataset, "create", DECIDING), _table2(results, dataset, "sasrec", DECIDING))
        if found is not None:
            paper = theirs.get(dataset, {})
            beside = ""
            if paper:
                beside = f" (the paper: {signed_percent(paper['create'] / paper['sasrec'] - 1)})"
            spread = choice_spread(results, dataset, LEVELS, DECIDING)
            moved = "" if spread is None else f"; the choice of settings moves it by ± {100 * spread:.0f} %"
            if (other := sasrec_ahead(results, dataset)) is not None:
                moved += (
                    f"; with settings that could as well have been chosen SASRec has {percent(other)}, above CREATE"
                )
            yield f"{dataset_name(dataset)}: {signed_percent(found)}{beside}{moved}"


def _swept(results: Results, figure: str, dataset: str, value: float, metric: str) -> Estimate:
    """One point of a figure over one setting, in any metric."""
    exhibit = BY_NAME[figure]
    assert exhibit.sweep is not None
    labels: dict[str, Any] = {exhibit.sweep.setting: value}
    cells = results.cells(exhibit.group, dataset, **labels)
    return results.estimate(cells, metric, dataset)


def _warmup(results: Results) -> Iterator[str]:
    """The warm-up that the paper calls best, or else our best one, beside none."""
    part = wanted(results.config, BY_NAME["figure4"])
    for dataset in part.datasets:
        theirs = described("figure4").get(dataset, {}).get("best")
        run = [value for value in part.values if value and _swept(results, "figure4", dataset, value, DECIDING).run]
        if not run or not _swept(results, "figure4", dataset, 0, DECIDING).run:
            continue
        best = max(run, key=lambda value: _swept(results, "figure4", dataset, value, DECIDING).mean)
        at = theirs if theirs is not None and theirs in run else best
        told = [
            f"{metric_name(metric)} "
            + show_difference(
                _swept(results, "figure4", dataset, at, metric), _swept(results, "figure4", dataset, 0, metric)
            )
            for metric in (DECIDING, DEEP)
        ]
        yield f"{dataset_name(dataset)}, {at:g} epochs against none: {'; '.join(told)}"


def _alignment(results: Results) -> Iterator[str]:
    part = results.config.ablations.alignment
    for dataset in part.datasets:
        sides = {
            kind: results.estimate(
                results.cells("ablation_alignment", dataset, graph="ultragcn", alignment=kind), DECIDING, dataset
            )
            for kind in ("barlow", "contrastive", "none")
        }
        told = [
            f"{show_difference(sides['barlow'], sides[kind])} against {word}"
            for kind, word in (("contrastive", "contrastive"), ("none", "no alignment"))
            if sides["barlow"].run and sides[kind].run
        ]
        if told:
            yield f"{dataset_name(dataset)}, NDCG@10: {'; '.join(told)}"
    for dataset in wanted(results.config, BY_NAME["figure5"]).datasets:
        at = described("figure5").get(dataset, {}).get("jump_to", 0.1)
        first, second = (_swept(results, "figure5", dataset, value, DECIDING) for value in (at, 0))
        if first.run and second.run:
            yield f"{dataset_name(dataset)}, weight {at:g} against 0: NDCG@10 {show_difference(first, second)}"


def _graph(results: Results) -> Iterator[str]:
    part = wanted(results.config, BY_NAME["figure3"])
    for dataset in part.datasets:
        found = {value: _swept(results, "figure3", dataset, value, DECIDING) for value in part.values}
        run = {value: point for value, point in found.items() if point.run}
        whole = max(part.values, default=0)
        if len(run) < 2 or whole not in run:
            continue
        best = max(run, key=lambda value: run[value].mean)
        shown = (
            f"{show_estimate(run[whole])} with all"
            if best == whole
            else (f"{show_estimate(run[best])} with {best:g} %, {show_estimate(run[whole])} with all")
        )
        yield f"{dataset_name(dataset)}, NDCG@10: best {shown}"


def _chosen(claims: Sequence[Claim], sources: Sequence[str], *words: str) -> tuple[Claim, ...]:
    """The claims of some tables and figures whose statement has one of the words (none = all)."""
    return tuple(
        claim
        for claim in claims
        if claim.source in sources and (not words or any(word in claim.statement for word in words))
    )


def headlines(results: Results, claims: Sequence[Claim]) -> list[Headline]:
    """The five main claims, in the paper's order of importance."""
    return [
        Headline(
            "best",
            "CREATE ranks better than every baseline (NDCG and Recall at 10 and 100).",
            ("Table 2",),
            tuple(claim for claim in _chosen(claims, ("Table 2",)) if claim.rule == "best"),
            tuple(_best(results)),
            "snakemake table2",
        ),
        Headline(
            "gain",
            "CREATE gains clearly over SASRec, its own sequence encoder (NDCG@10).",
            ("Table 2",),
            tuple(
                claim
                for claim in _chosen(claims, ("Table 2",))
                if claim.rule == "gain" and claim.statement.endswith("NDCG@10")
            ),
            tuple(_gain(results)),
            "snakemake gains",
        ),
        Headline(
            "warm-up",
            "A warm-up of the graph encoder helps.",
            ("Figure 4",),
            _chosen(claims, ("Figure 4",)),
            tuple(_warmup(results)),
            "snakemake ablation_warmup",
        ),
        Headline(
            "alignment",
            "Barlow Twins aligns better than a contrastive loss, or than no alignment.",
            ("Table 4", "Figure 5"),
            (
                *_chosen(claims, ("Table 4",), "Barlow Twins beats", "contrastive alignment beats"),
                *_chosen(claims, ("Figure 5",), "jumps"),
            ),
            tuple(_alignment(results)),
            "snakemake ablation_alignment ablation_barlow_weight",
        ),
        Headline(
            "graph",
            "The best graph holds a part of the interactions, not all.",
            ("Figure 3",),
            _chosen(claims, ("Figure 3",)),
            tuple(_graph(results)),
            "snakemake ablation_graph_size",
        ),
    ]
