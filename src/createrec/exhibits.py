"""Every table, figure and page of the reproduction, declared once: one entry each.

The groups of runs in the plan, a campaign's order, the rules of tables, figures and ablations, what `all` builds, and
the captions of the report follow from EXHIBITS. Which datasets, values and seeds an exhibit takes stands in
config.yaml. Functions are named by where they stand (`module:function`), so that this module imports none of them.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from createrec.errors import ConfigError

# The models of Table 2 that a figure over one setting of CREATE is compared with.
LEVELS = ("sasrec", "create")
Kind = Literal["table", "figure", "page", "own"]


@dataclass(frozen=True)
class Sweep:
    """An ablation of CREATE over the values of one setting.

    Attributes:
        setting: its name under `ablations` in config.yaml, and the label of its cells.
        variant: with the value behind it, the variant of its runs.
        axis: the x axis of its figure, with the unit.
        overrides: one value -> the settings of CREATE that it changes.
    """

    setting: str
    variant: str
    axis: str
    overrides: Callable[[float], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One table, figure or page.

    Attributes:
        name: its target, and the name of its files.
        kind: a table stands in results/tables, a figure in paper_figures; a page in results/comparison, where the
            rule `comparison` writes all pages; what has a rule of its own says there what it writes.
        title: as the paper calls it.
        section: of the paper; empty = all of it.
        wants: the key of config.yaml that holds its datasets.
        group: the group of planned runs that it shows; empty = it shows data, or all runs.
        cells: the function that plans the group, from configuration and exhibit; empty = another exhibit plans it.
        render: the function that makes it, from results and exhibit; pages and the like, from results and folder.
        caption: what it shows, as one or more sentences.
        reading: how to read it, for the report alone (reStructuredText).
        sweep: what is varied, in a figure over one setting.
        levels: models of Table 2 whose level a figure shows beside its own points.
    """

    name: str
    kind: Kind
    title: str
    section: str
    render: str
    caption: str
    reading: str = ""
    wants: str = ""
    group: str = ""
    cells: str = ""
    sweep: Sweep | None = None
    levels: tuple[str, ...] = ()

    @property
    def legend(self) -> str:
        """The caption in the report."""
        where = f" (Section {self.section})" if self.section else ""
        return f"**{self.title}**{where}. {self.caption} {self.reading}".strip()

    @property
    def source(self) -> str:
        """The file that makes it, seen from the package's folder."""
        module = self.render.partition(":")[0]
        return module.removeprefix("createrec.").replace(".", "/") + ".py"


def ablation(
    setting: str,
    overrides: Callable[[float], Mapping[str, Any]],
    *,
    axis: str,
    caption: str,
    section: str,
    name: str = "",
    title: str = "",
    variant: str = "",
) -> Exhibit:
    """A figure over one setting of CREATE; `name` and `title` are for one that the paper has.

    Its values, datasets and seeds stand in config.yaml under `ablations.SETTING`.
    """
    group = f"ablation_{setting}"
    return Exhibit(
        name=name or group,
        kind="figure",
        title=title or f"Ablation: {setting}",
        section=section,
        render="createrec.paper.figures:sweep_figure",
        caption=caption,
        reading="Filled points: mean and standard deviation over two seeds or more; hollow points: one seed. SASRec's "
        "level is a line with its deviation as a band. The right axis has the paper's numbers, scaled so that its "
        "CREATE of Table 2 stands at ours. No scale begins at zero. What has no panel was not run, as the note under "
        "the figure says.",
        wants=f"ablations.{setting}",
        group=group,
        cells="createrec.plan:sweep_cells",
        sweep=Sweep(setting, variant or setting, axis, overrides),
        levels=LEVELS,
    )


# The order decides whose name a run bears that several groups share, and which missing runs a campaign makes first:
# what a reader asks first, the main table, and then the ablations.
EXHIBITS = (
    Exhibit(
        name="table1",
        kind="table",
        title="Table 1",
        section="4.1",
        render="createrec.paper.tables:table1",
        caption="Datasets, and what the global temporal split leaves of them.",
        reading="Made from the summaries of the datasets, not from runs; the split is that of Section 4.2.",
        wants="table1",
    ),
    Exhibit(
        name="table2",
        kind="table",
        title="Table 2",
        section="4.4",
        render="createrec.paper.tables:table2",
        caption="CREATE beside sequential, graph and classical recommenders. Global temporal split, one target per "
        "user, ranked among the whole catalogue.",
        reading="*Gain* is CREATE over SASRec. Random and PopRnd do not compete for bold and underline, because their "
        "coverage is high by design. The number of seeds and the labels of the data stand under the table.",
        wants="table2",
        group="table2",
        cells="createrec.plan:model_cells",
    ),
    ablation(
        "warmup",
        lambda epochs: {"warmup_epochs": epochs},
        name="figure4",
        title="Figure 4",
        section="5.2",
        axis="Warm-up, epochs",
        caption="NDCG@10 of CREATE against the number of warm-up epochs.",
    ),
    ablation(
        "barlow_weight",
        lambda weight: {"alignment": {"kind": "barlow", "barlow_weight": weight}},
        name="figure5",
        title="Figure 5",
        section="5.3",
        variant="barlow",
        axis="Weight of the Barlow Twins loss",
        caption="NDCG@10 of CREATE against the weight of the Barlow Twins loss.",
    ),
    Exhibit(
        name="table4",
        kind="table",
        title="Table 4",
        section="5.3",
        render="createrec.paper.tables:table4",
        caption="CREATE with each alignment loss and graph encoder, and its sequential model alone (SASRec).",
        reading="The sequential model alone is the SASRec of Table 2.",
        wants="ablations.alignment",
        group="ablation_alignment",
        cells="createrec.plan:alignment_cells",
    ),
    ablation(
        "graph_size",
        # 100 % is the whole graph, which is also what no limit means: one name for it, so that it is one run.
        lambda percent: {"graph": {"graph_last": None, "graph_percent": None if percent == 100 else percent}},
        name="figure3",
        title="Figure 3",
        section="5.1",
        variant="graph",
        axis="Graph: last interactions of each user, %",
        caption="NDCG@10 of CREATE against the share of each user's last interactions that the graph holds.",
    ),
    Exhibit(
        name="table5",
        kind="table",
        title="Table 5",
        section="5.4",
        render="createrec.paper.tables:table5",
        caption="CREATE with each pair of sequence and graph encoder.",
        reading="The paper names no dataset for this table; the datasets here are ours.",
        wants="ablations.backbone",
        group="ablation_backbone",
        cells="createrec.plan:backbone_cells",
    ),
    Exhibit(
        name="table3",
        kind="table",
        title="Table 3",
        section="4.4",
        render="createrec.paper.tables:table3",
        caption="CREATE beside models that join sequence and graph. Leave-one-out split, ranked among the whole "
        "catalogue.",
        reading="The setup is that of the LOOM paper. The absolute level of the paper's table cannot come from the "
        "2014 5-core data with leave-one-out and full ranking, so the order of the models and their relative gaps are "
        "what to compare. *LOOM (reconstruction)* is built from its description: its code was not to be had.",
        wants="table3",
        group="table3",
        cells="createrec.plan:loom_cells",
    ),
    Exhibit(
        name="figure2",
        kind="figure",
        title="Figure 2",
        section="3.6",
        render="createrec.paper.figures:figure2",
        caption="Training of CREATE, epoch by epoch: each term of the loss before its weight (above, logarithmic) and "
        "NDCG@10 on the validation users (below).",
        reading="The dashed line is the end of the warm-up, during which the graph loss is trained alone. The dotted "
        "line is the level at which the paper's own validation curve ends, read from its plot.",
        wants="figure2",
        group="figure2",
        cells="createrec.plan:curve_cells",
    ),
    # An ablation of your own goes here: docs/extending.md
    Exhibit(
        name="gains",
        kind="figure",
        title="Table 2 as a picture",
        section="4.4",
        render="createrec.paper.figures:gains_figure",
        caption="What CREATE gains over SASRec, by dataset and metric.",
        reading="Dots: ours, with the 95 % interval of the difference over seeds (Welch); hollow where a side has one "
        "seed, which gives no interval. Diamonds: the gains of the paper's Table 2.",
        wants="table2",
        group="table2",
    ),
    Exhibit(
        name="comparison",
        kind="page",
        title="Values",
        section="",
        render="createrec.paper.comparison:write_comparison",
        caption="Every number of the paper's Tables 1 to 5, and ours: paper → ours [95 % interval over seeds] "
        "(relative difference).",
        reading="The interval says how much the seed moves our mean; it does not cover the choice of test users.",
    ),
    Exhibit(
        name="claims",
        kind="page",
        title="Claims",
        section="",
        render="createrec.paper.comparison:write_claims",
        caption="A verdict on each claim of the paper, on each dataset, by the rules at the end of the page.",
        reading="The paper's own numbers are quoted, and where they contradict its sentence the claim says so.",
    ),
    Exhibit(
        name="significance",
        kind="page",
        title="Significance",
        section="",
        render="createrec.paper.comparison:write_significance",
        caption="CREATE against each baseline, user by user: paired t-test and Wilcoxon's signed-rank test, both after "
        "Holm's correction for the number of comparisons, and a bootstrap interval of the difference over users and "
        "seeds.",
    ),
    Exhibit(
        name="sensitivity",
        kind="page",
        title="Sensitivity",
        section="",
        render="createrec.paper.sensitivity:write_sensitivity",
        caption="The numbers of Table 2 under the other readings of the protocol, beside the paper's: which item of a "
        "user is the target, how much history the model sees, whether items unseen in training count, whether seen "
        "items leave the ranking.",
        reading="One trained model serves nearly all rows; only the queries change.",
        wants="sensitivity",
        group="sensitivity",
        cells="createrec.plan:sensitivity_cells",
    ),
    Exhibit(
        name="choices",
        kind="table",
        title="Choice of settings",
        section="4.2",
        render="createrec.paper.choices:choices",
        caption="SASRec and CREATE on the test users, under the settings that count and under those that one "
        "validation fold cannot tell from them.",
        reading="The notes under the table say how far such a choice moves a model, beside what the seed does. A gain "
        "of CREATE that is no larger than that is not called reproduced.",
        wants="choices",
        group="choices",
        cells="createrec.plan:choice_cells",
    ),
    Exhibit(
        name="validation",
        kind="own",
        title="Validation",
        section="",
        render="createrec.paper.validation:write_validation",
        caption='Our numbers beside those that others have published for the same files, split and models ("Time to '
        'Split", Gusak et al., RecSys 2025), with a verdict by a rule that knows how much trainings scatter '
        "(docs/validation.md).",
        wants="validation",
        group="validation",
        cells="createrec.plan:validation_cells",
    ),
    Exhibit(
        name="beyond",
        kind="table",
        title="Beyond the paper",
        section="",
        render="createrec.paper.beyond:beyond",
        caption="Simple baselines that the paper does not have, beside its models.",
        reading="The notes under the table say where a simple baseline is above a model of the paper.",
        wants="beyond",
        group="beyond",
        cells="createrec.plan:beyond_cells",
    ),
)
BY_NAME: Mapping[str, Exhibit] = {exhibit.name: exhibit for exhibit in EXHIBITS}
# Group -> the exhibit that plans it.
GROUPS: Mapping[str, Exhibit] = {exhibit.group: exhibit for exhibit in EXHIBITS if exhibit.cells}
# Settings that are ablated, as config.yaml names them under `ablations`.
SWEPT: tuple[str, ...] = tuple(exhibit.sweep.setting for exhibit in EXHIBITS if exhibit.sweep)


def of_kind(kind: Kind) -> list[Exhibit]:
    """All tables, figures or pages, by name."""
    return sorted((exhibit for exhibit in EXHIBITS if exhibit.kind == kind), key=lambda exhibit: exhibit.name)


def find(kind: Kind, name: str) -> Exhibit:
    """The exhibit of that name; one of the paper's is also found by its number alone.

    Raises:
        ConfigError: there is none.
    """
    for candidate in (name, f"{kind}{name}"):
        if candidate in BY_NAME and BY_NAME[candidate].kind == kind:
            return BY_NAME[candidate]
    raise ConfigError(f"{kind} '{name}': unknown; known: {', '.join(exhibit.name for exhibit in of_kind(kind))}")


def function(place: str) -> Any:
    """The function that stands at `module:name`."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def wanted(config: Any, exhibit: Exhibit) -> Any:
    """The part of the configuration that says which datasets, models, values and seeds an exhibit takes."""
    part = config
    for key in exhibit.wants.split("."):
        part = getattr(part, key)
    return part
