"""The parts of README.md and docs/ that carry numbers: rendered from records, between markers in the text.

A part stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. `createrec documents` writes all parts anew and
leaves the text around them alone; `createrec documents --check` only says which are out of date.
"""

import csv
import json
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from createrec.errors import DataError
from createrec.exhibits import GROUPS
from createrec.matching import Preparations
from createrec.paper.choices import what_the_choice_moves
from createrec.paper.claims import VERDICTS, Claim, judge, paper_text
from createrec.paper.costs import both_sheet, costs, costs_sheet
from createrec.paper.decisions import positions_part, random_row_part, static_models_part
from createrec.paper.headline import WHOLE, Headline, headlines
from createrec.paper.names import dataset_name, model_name
from createrec.paper.records import NO_DATA, Results
from createrec.paper.render import Sheet, Shown, to_markdown, write_text
from createrec.paper.report import read_gpu
from createrec.paper.sensitivity import gains_sheet
from createrec.paper.speed import bench_part, speed_part
from createrec.paper.validation import (
    Checked,
    agreeing_points,
    checks,
    differing_part,
    points_part,
    spent_part,
    twice_part,
)
from createrec.plan import Run, by_folder
from createrec.runs.repeat import Repeat, compare

BENCH = Path("benchmarks/results/bench.json")
GPU = Path("benchmarks/results/gpu.json")
TUNING = Path("results/published/tuning")
POSITIONS = Path("results/published/positions/runs")
PUBLISHED, REPEATED = Path("results/published"), Path("results/published/repeated")
_MARK = "<!-- {name}:{end} -->"
# What `createrec tune` writes above the settings that it found.
_CHOSEN_ON = re.compile(r"^# split: (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Facts:
    """What the parts are rendered from.

    Attributes:
        results: the plan and its records.
        root: the project's folder, for measurements that are no records (benchmarks, trials of a search).
    """

    results: Results
    root: Path

    @cached_property
    def claims(self) -> list[Claim]:
        return judge(self.results)

    @cached_property
    def made_again(self) -> list[Repeat]:
        """Every published run that was made again, by the machines of both."""
        runs = self.root / REPEATED / "runs"
        folders = [path.parent.relative_to(runs).as_posix() for path in sorted(runs.glob("*/*/*/*/record.json"))]
        pairs = [compare(folder, self.root / PUBLISHED, self.root / REPEATED) for folder in folders]
        return sorted(pairs, key=lambda pair: (_made_on(pair.published), _made_on(pair.again)))

    @cached_property
    def main(self) -> list[Headline]:
        return headlines(self.results, self.claims)

    @cached_property
    def checked(self) -> list[Checked]:
        """The figures of others beside ours."""
        return list(checks(self.results))

    def json(self, path: Path) -> Any:
        """A measurement; None where there is none."""
        file = self.root / path
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Every planned run, by folder."""
        return by_folder(self.results.plan)


def _counts(claims: Iterable[Claim]) -> str:
    found: Counter[str] = Counter(claim.verdict for claim in claims)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict])


def _absent(facts: Facts) -> list[str]:
    """Names of the planned datasets that are not at hand."""
    names = dict.fromkeys(run.dataset for run in facts.runs.values())
    return [dataset_name(name) for name in names if facts.results.missing(name) == NO_DATA]


def _chosen_on_former_data(facts: Facts) -> dict[str, list[str]]:
    """Dataset -> models whose tuned settings say that they were chosen on another split than the records' of today."""
    folder, found = facts.results.config.hparams, dict[str, list[str]]()
    prepared = Preparations(facts.results.data, facts.results.splits)
    for path in sorted((facts.root / folder).glob("*/*.yaml")) if folder else ():
        dataset = path.parent.name
        said = _CHOSEN_ON.search(path.read_text(encoding="utf-8"))
        today = prepared.hashes(dataset, "temporal").get("split_hash")
        if said and today not in (None, said[1]):
            found.setdefault(dataset, []).append(path.stem)
    return found


# --- README.md ----------------------------------------------------------------------------------------------------


def five_rows(facts: Facts) -> str:
    """The main claims: claim, verdict, our evidence, command."""
    rows = [
        (
            (one.claim,),
            (
                Shown(f"**{one.verdict}**<br>{one.counts}"),
                Shown("<br>".join(line.removeprefix("Amazon ") for line in one.evidence) or "–"),
                Shown(f"`{one.command}`"),
            ),
        )
        for one in facts.main
    ]
    at_hand = [claim for claim in facts.claims if facts.results.missing(claim.dataset) != NO_DATA]
    beyond = len(facts.claims) - len(at_hand)
    counted = f"Of {len(facts.claims)} claims"
    if beyond:
        counted += f", {beyond} are about data that could not be had. Of the other {len(at_hand)}"
    note = (
        f"{counted}: {_counts(at_hand)}. Numbers are in %, differences in points of %. "
        "Brackets: the 95 % interval over seeds; no bracket: a side has one seed."
    )
    sheet = Sheet(
        "claims", "", note, (), ("Claim of the paper",), ("Verdict", "Our evidence", "Command"), tuple(rows), True
    )
    return to_markdown(sheet)


def outside(facts: Facts) -> str:
    """How many trainings come out as others published them."""
    told: list[str] = []
    for dataset in facts.results.config.validation.datasets:
        agreeing, run = agreeing_points(facts.checked, dataset)
        if run:
            told.append(f"{agreeing} of {run} on {dataset_name(dataset)}")
    if not told:
        return "No training that others published was run again.\n"
    return (
        "Checked from outside: we repeated trainings whose numbers others published (*Time to Split*, RecSys 2025). "
        f"Within the noise of those numbers, they agree in {' and '.join(told)}: "
        "[docs/validation.md](docs/validation.md).\n"
    )


def limits(facts: Facts) -> str:
    """What this reproduction could not do, said plainly."""
    lines = []
    if absent := _absent(facts):
        lines.append(f"**Data.** {' and '.join(absent)} could not be had, so nothing was run on them.")
    records = {folder: facts.results.record(run) for folder, run in facts.runs.items()}
    found = [record for record in records.values() if record is not None]
    labels = dict.fromkeys(record["label"] for record in found if record["label"])
    lines += [f"**Data.** {label}." for label in labels]
    for dataset, models in _chosen_on_former_data(facts).items():
        whose = " and ".join(model_name(model) for model in models)
        lines.append(
            f"**Settings.** Those of {whose} on {dataset_name(dataset)}, epochs included, were chosen on former data "
            "of it: a search on today's may find better ones."
        )
    wanted = [run for run in facts.runs.values() if facts.results.missing(run.dataset) != NO_DATA]
    lines.append(
        f"**Runs.** {len(found)} of the {len(wanted)} runs planned on the data at hand have a record. "
        "What was not run says so."
    )
    lines.append("**LOOM** is a reconstruction from its abstract: neither its code nor its full text could be found.")
    on_gpu = sum(not str(record.get("device", "cpu")).startswith("cpu") for record in found)
    gpu = read_gpu(facts.root / GPU)
    if gpu is None and not on_gpu:
        lines.append("**GPU.** Nothing was measured on a GPU.")
    else:
        told = [f"{on_gpu} of the records were made on a GPU."]
        if gpu is not None:
            told.insert(0, f"Speed was measured on one {gpu['device'].removeprefix('cuda: ')} ([gpu.json]({GPU})).")
        lines.append(" ".join(["**GPU.**", *told]))
    return "\n".join(f"- {line}" for line in lines) + "\n"


def speed(facts: Facts) -> str:
    """A line per quantity, beside the fastest peer of the same run."""
    return speed_part(facts.json(BENCH), read_gpu(facts.root / GPU))


def bench(facts: Facts) -> str:
    """Every rate of the last whole benchmark beside the fastest peer's."""
    return bench_part(facts.json(BENCH))


# --- docs/reproduction.md -----------------------------------------------------------------------------------------


def _claim_table(claims: Sequence[Claim]) -> str:
    rows = tuple(
        (
            (dataset_name(claim.dataset), claim.statement),
            (Shown(claim.verdict), Shown(paper_text(claim)), Shown(claim.ours)),
        )
        for claim in claims
    )
    return to_markdown(
        Sheet("claims", "", "In %.", (), ("Dataset", "Claim"), ("Verdict", "The paper", "Ours"), rows, True)
    )


def _costs_of(facts: Facts, titles: Sequence[str]) -> str:
    found = [cost for cost in costs(facts.results) if cost.shown in titles]
    if not found:
        return "nothing was run"
    minutes, memory = sum(cost.cpu_seconds for cost in found) / 60, max(cost.memory for cost in found)
    gpu = sum(cost.gpu_seconds for cost in found) / 60
    on_gpu = f"{gpu:,.0f} minute" + ("" if f"{gpu:.0f}" == "1" else "s")
    ending = f", and {on_gpu} on a GPU" if gpu else ""
    return (
        f"{sum(cost.runs for cost in found)} runs, {minutes:,.0f} core-minutes{ending}, at most {memory / 1e9:.1f} GB"
    )


def _judged(claims: Sequence[Claim]) -> list[str]:
    """A table of the claims that could be judged, to be opened by the reader; nothing where there is none."""
    judged = [claim for claim in claims if claim.verdict != "not run"]
    if not judged:
        return []
    return ["", "<details><summary>Each part that could be judged</summary>", "", _claim_table(judged), "</details>"]


def by_claim(facts: Facts) -> str:
    """A short section for each main claim, then the claims that no main claim stands for."""
    blocks = []
    for one in facts.main:
        lines = [f"### {one.claim}", "", f"**{one.verdict.capitalize()}** ({one.counts}; {', '.join(one.sources)})."]
        if one.evidence:
            lines += ["", *(f"- {line}" for line in one.evidence)]
        lines += ["", f"Command: `{one.command}`. Spent: {_costs_of(facts, one.sources)}."]
        lines += _judged(one.parts)
        blocks.append("\n".join(lines))
    covered = {id(part) for one in facts.main for part in one.parts}
    rest: dict[str, list[Claim]] = {}
    for claim in facts.claims:
        if id(claim) not in covered:
            rest.setdefault(claim.source, []).append(claim)
    for source, claims in rest.items():
        name = next(exhibit.name for exhibit in GROUPS.values() if exhibit.title == source)
        lines = [f"### Further claims of {source}", "", f"{_counts(claims).capitalize()}."]
        lines += ["", f"Command: `snakemake {name}`. Spent: {_costs_of(facts, (source,))}."]
        lines += _judged(claims)
        blocks.append("\n".join(lines))
    return "\n\n".join([WHOLE, *blocks]) + "\n"


def what_was_run(facts: Facts) -> str:
    """Runs with a record, of those planned: a row per exhibit, a column per dataset."""
    datasets = list(dict.fromkeys(run.dataset for run in facts.runs.values()))
    rows = []
    for group, exhibit in sorted(GROUPS.items(), key=lambda item: item[1].title):
        planned = {cell.run.folder: cell.run for cell in facts.results.plan[group]}
        cells = []
        for dataset in datasets:
            runs = [run for run in planned.values() if run.dataset == dataset]
            done = sum(facts.results.record(run) is not None for run in runs)
            cells.append(Shown(f"{done} of {len(runs)}" if runs else "–"))
        rows.append(((exhibit.title,), tuple(cells)))
    caption = "Runs with a record, of those planned; † data not at hand."
    columns = [
        dataset_name(dataset) + (" †" if facts.results.missing(dataset) == NO_DATA else "") for dataset in datasets
    ]
    return to_markdown(Sheet("runs", "", caption, (), ("Shown in",), tuple(columns), tuple(rows)))


def _choice(path: Path) -> tuple[str, str]:
    """What was chosen, over several seeds, and how far the settings that were compared are apart; in %."""
    if not path.exists():
        return "–", "–"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    means = {row["setting"]: 100 * float(row["mean"]) for row in rows}
    chosen = next(row for row in rows if row["chosen"] == "true")
    values = [100 * float(row["ndcg@10"]) for row in rows if row["setting"] == chosen["setting"]]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{means[chosen['setting']]:.2f}{spread} [{len(values)}]", ", ".join(
        f"{mean:.2f}" for setting, mean in means.items() if setting != chosen["setting"]
    ) or "–"


def searches(facts: Facts) -> str:
    """Every search for settings: trials, hours, the best value, and the choice over several seeds where it was made."""
    rows, spent = [], 0.0
    for path in sorted((facts.root / TUNING).glob("*/*/trials.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            trials = list(csv.DictReader(file))
        complete = [float(trial["value"]) for trial in trials if trial["state"] == "complete" and trial["value"]]
        hours = sum(float(trial["seconds"] or 0) for trial in trials) / 3600
        spent += hours
        dataset, model = path.parent.parent.name, path.parent.name
        best = f"{100 * max(complete):.2f}" if complete else "–"
        cells = (str(len(trials)), f"{hours:.2f}", best, *_choice(path.parent / "choice.csv"))
        rows.append(((dataset_name(dataset), model_name(model)), tuple(map(Shown, cells))))
    if not rows:
        return "No search was published.\n"
    caption = (
        "Searches for settings, NDCG@10 on the validation fold in %. Best: of all trials, one seed each. Chosen: mean "
        "± deviation [seeds] of the setting that was chosen. Others: means of the settings that it was compared with. "
        f"In all {spent:.1f} hours of trials."
    )
    headings = ("Trials", "Hours", "Best", "Chosen", "Others")
    return to_markdown(Sheet("searches", "", caption, (), ("Dataset", "Model"), headings, tuple(rows)))


def chosen(facts: Facts) -> str:
    """How far the choice of settings moves SASRec, CREATE and the gain."""
    told = what_the_choice_moves(facts.results)
    return "\n".join(f"- {sentence}" for sentence in told) + "\n" if told else "Nothing was compared.\n"


def _made_on(record: Mapping[str, Any]) -> str:
    """`AMD EPYC, 1 of 2 threads, torch 2.13.0+cpu`."""
    return f"{str(record['device']).removeprefix('cpu: ')}, torch {record['libraries']['torch']}"


def repeated(facts: Facts) -> str:
    """Published runs that were made again, each beside its record."""
    rows = []
    for pair in facts.made_again:
        both = (pair.published, pair.again)
        epochs = dict.fromkeys("–" if epoch is None else str(epoch) for epoch in pair.kept_epochs)
        cells = (
            "<br>".join(f"{100 * record['metrics']['ndcg@10']:.4f}" for record in both),
            "<br>".join(f"{100 * record['metrics']['coverage@10']:.2f}" for record in both),
            "<br>".join(epochs),
            f"{pair.same_ranks:,} of {pair.users:,}",
            "yes" if pair.identical else "no",
        )
        keys = ("<br>".join(map(_made_on, both)), f"`{pair.folder}`")
        rows.append((keys, tuple(map(Shown, cells))))
    if not rows:
        return "No published run was made again.\n"
    caption = (
        "Published, below it made again, in %. Kept epoch: the one that validation chose; one number where both keep "
        "the same, – where all epochs are trained. Same digits: of every metric and of every user's rank."
    )
    headings = ("NDCG@10", "Coverage@10", "Kept epoch", "Users whose target has the same rank", "Same digits")
    return to_markdown(Sheet("repeated", "", caption, (), ("Where", "Run"), headings, tuple(rows)))


def under_readings(facts: Facts) -> str:
    """The gain of CREATE over SASRec under every reading of the protocol."""
    sheet = gains_sheet(facts.results)
    return to_markdown(sheet) if sheet.rows else "SASRec and CREATE were not run.\n"


def what_it_costs(facts: Facts) -> str:
    """Core-minutes and memory of each table and figure."""
    return to_markdown(costs_sheet(facts.results))


def what_a_gpu_changes(facts: Facts) -> str:
    """Seconds of the same run on a CPU and on a GPU."""
    sheet = both_sheet(facts.results)
    return to_markdown(sheet) if sheet.rows else "No run was made on both.\n"


# --- docs/protocol.md, docs/validation.md -------------------------------------------------------------------------


def positions(facts: Facts) -> str:
    """SASRec under both orders of positions beside the paper's row."""
    return positions_part(facts.root / POSITIONS)


def random_row(facts: Facts) -> str:
    """The number of test users that the paper's Random row implies."""
    return random_row_part(facts.results)


def static_models(facts: Facts) -> str:
    """The rows of SVD, LightGCN and UltraGCN under every reading, beside the paper's."""
    return static_models_part(facts.results)


def points(facts: Facts) -> str:
    """How many grid points of *Time to Split* come out as published."""
    return points_part(facts.checked)


def differing(facts: Facts) -> str:
    """The grid points that do not."""
    return differing_part(facts.results, facts.checked)


def spent(facts: Facts) -> str:
    """What the trainings of grid points took."""
    return spent_part(facts.results)


def twice(facts: Facts) -> str:
    """How far two trainings of one grid point are apart, with one seed and with two."""
    return twice_part(facts.results, facts.made_again)


# --- files --------------------------------------------------------------------------------------------------------

# File -> its parts, by the name in the markers.
PARTS: Mapping[str, Mapping[str, Callable[[Facts], str]]] = {
    "README.md": {"results": five_rows, "outside": outside, "speed": speed, "limits": limits},
    "docs/reproduction.md": {
        "runs": what_was_run,
        "searches": searches,
        "choices": chosen,
        "claims": by_claim,
        "readings": under_readings,
        "repeated": repeated,
    },
    "benchmarks/README.md": {"bench": bench},
    "docs/costs.md": {"costs": what_it_costs, "gpu": what_a_gpu_changes},
    "docs/protocol.md": {"positions": positions, "random_row": random_row, "static_models": static_models},
    "docs/validation.md": {"points": points, "differing": differing, "twice": twice, "spent": spent},
}


def filled(text: str, parts: Mapping[str, str], where: str) -> str:
    """The text with each part between its markers.

    Raises:
        DataError: a part has no markers, or not exactly one pair.
    """
    for name, part in parts.items():
        begin, end = (_MARK.format(name=name, end=end) for end in ("begin", "end"))
        if (text.count(begin), text.count(end)) != (1, 1) or text.index(begin) > text.index(end):
            raise DataError(f"{where}: expected {begin} and {end} once each, in this order; put them where it belongs")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{part.strip()}\n{end}{rest.split(end)[1]}"
    return text


def outdated(results: Results, root: Path) -> dict[Path, str]:
    """Each file whose parts are not those of the records -> the text that it should have."""
    facts, found = Facts(results, root), {}
    for name, makers in PARTS.items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        wanted = filled(text, {part: make(facts) for part, make in makers.items()}, name)
        if wanted != text:
            found[path] = wanted
    return found


def write_documents(results: Results, root: Path, *, check: bool) -> list[Path]:
    """Brings all parts up to date.

    Returns:
        The files that changed, or with `check` those that would.
    """
    found = outdated(results, root)
    if not check:
        for path, text in found.items():
            write_text(path, text)
    return list(found)
