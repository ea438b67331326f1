"""The paper's runs as data: which trainings each table, figure and ablation needs.

A run is named by dataset, model, variant and seed; its settings follow from the configuration. Two names
that resolve to the same settings are one run, so that ablations share trainings with the main table.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from createrec.config import NAME_PATTERN, ProjectConfig, TableConfig, merge, read_yaml, validate
from createrec.errors import ConfigError, known_names
from createrec.exhibits import GROUPS, Exhibit, function, wanted
from createrec.kinds import Kind, Role, part_kind

Setup = Literal["temporal", "leave-one-out", "time-to-split"]
Fold = Literal["test", "validation", "unretrained"]

LONGEST_VARIANT = 80  # of those that are derived; names of folders have limits
# Settings that are maps with a kind of their own.
PARTS = ("sequence", "graph", "alignment")
CHOSEN = "chosen"  # the settings of a search that count


@dataclass(frozen=True)
class Run:
    """One training and its evaluation.

    Attributes:
        setup: how the data is split.
        fold: test (trained on train + validation rows), validation (trained on train rows alone), or unretrained (the
            test's queries, asked of what the train rows alone have taught).
        settings: the model's resolved settings, as plain values.
        evaluation: the resolved evaluation switches, as plain values.
        sources: where settings that are not defaults were taken from, the later wins: {"from", "settings"} each. Two
            runs of the same settings are one run, wherever they were taken from.
    """

    dataset: str
    model: str
    variant: str
    seed: int
    setup: Setup
    fold: Fold
    settings: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    sources: Sequence[Mapping[str, Any]] = field(default=(), compare=False)

    @property
    def folder(self) -> str:
        """Where the run's files lie, relative to `results/runs` (or to a published copy of it)."""
        return f"{self.dataset}/{self.model}/{self.variant}/seed{self.seed}"

    def slice(self) -> dict[str, Any]:
        """Everything that decides the run's result, apart from data and code."""
        return {
            "dataset": self.dataset,
            "model": self.model,
            "variant": self.variant,
            "seed": self.seed,
            "setup": self.setup,
            "fold": self.fold,
            "settings": dict(self.settings),
            "evaluation": dict(self.evaluation),
        }

    @property
    def key(self) -> str:
        """Equal for runs that would train and measure the same thing."""
        return json.dumps({**self.slice(), "variant": None}, sort_keys=True)


@dataclass(frozen=True)
class Cell:
    """One run's place in a table or figure: `labels` are its coordinates there (for instance warmup_epochs)."""

    run: Run
    labels: Mapping[str, Any]


@cache
def _hparams(folder: str, dataset: str, model: str) -> Mapping[str, Any]:
    if not Path(folder).is_dir():
        raise ConfigError(
            f"hparams: {Path(folder).absolute()} is no folder; name the folder of tuned settings, make it, or write "
            "null for the models' own defaults"
        )
    path = _tuned_file(folder, dataset, model)
    return read_yaml(path) if path.exists() else {}


def _tuned_settings(config: ProjectConfig, dataset: str, model: str, sequence: Kind | None) -> Mapping[str, Any]:
    """What a study found for a model, as far as it is meant for a model with this sequence encoder."""
    found = _hparams(config.hparams, dataset, model) if config.hparams else {}
    if _sequence_encoder(config, model) in (None, sequence):
        return found
    return {key: value for key, value in found.items() if key != "training"}


def _next_settings(config: ProjectConfig, dataset: str, model: str) -> dict[str, Mapping[str, Any]]:
    """Name -> settings, of those that could as well have been chosen; none without a search.

    These are those that the model's own search placed next to the chosen ones. A model that contains a sequence encoder
    builds on what was chosen for that encoder alone: had another trial been taken there (`encoder-trial-1`), it would
    have been built, and trained, on that.
    """
    if not config.hparams:
        return {}
    found = dict(_hparams(config.hparams, dataset, f"{model}.next"))
    encoder = _sequence_encoder(config, model)
    if encoder is not None and (alone := _alone(config, encoder)) is not None:
        for trial, settings in _hparams(config.hparams, dataset, f"{alone}.next").items():
            own = encoder.settings.model_fields
            found[f"encoder-{trial}"] = {
                "sequence": {key: value for key, value in settings.items() if key in own},
                **{key: value for key, value in settings.items() if key not in own},
            }
    return found


def _tuned_file(folder: str, dataset: str, model: str) -> Path:
    return Path(folder) / dataset / f"{model}.yaml"


def _explicit(config: ProjectConfig, model: str) -> dict[str, Any]:
    """What the configuration itself says of a model."""
    return config.models[model].model_dump(mode="json", exclude_unset=True)


def _layers(
    config: ProjectConfig, dataset: str, model: str, overrides: Mapping[str, Any], tuned: bool
) -> dict[str, Any]:
    """The dataset's own loss, under tuned settings, under what config.yaml says explicitly, under the overrides.

    The default kind of each part stands below them all, so that a layer that sets a part's key without naming the
    part's kind and one that names it speak of the same thing. A variation of CREATE (`create-contrastive`) stands on
    CREATE's tuned settings, as far as they are of parts that it shares. How it is trained (epochs, learning rate) goes
    with the sequence encoder: with another one than the settings were tuned for, that encoder's own count.
    """
    explicit = _explicit(config, model)
    sequence = _sequence_encoder(config, model, overrides)
    found = _tuned_settings(config, dataset, model, sequence) if tuned else {}
    below, whole = [], _varied(config, model)
    if whole:
        below = [_tuned_settings(config, dataset, whole, sequence), _explicit(config, whole)]
    fields = type(config.models[model]).model_fields
    settings = {"kind": explicit["kind"]}
    settings |= {part: {"kind": fields[part].default.kind} for part in PARTS if part in fields}
    loss = config.datasets[dataset].loss
    if loss is not None and "loss" in fields:
        settings["loss"] = loss.model_dump(mode="json", exclude_unset=True)
    above = {key: value for layer in below[-1:] for key, value in layer.items() if key not in PARTS}
    for layer in (*below, explicit, found, above, explicit, overrides):
        settings = merge(settings, layer)
    return settings


def _sequence_encoder(config: ProjectConfig, model: str, overrides: Mapping[str, Any] | None = None) -> Kind | None:
    """The model's sequence encoder, as configured and overridden; None for a model that has no such part."""
    configured = getattr(config.models[model], "sequence", None)
    if configured is None:
        return None
    other = (overrides or {}).get("sequence")
    return part_kind("sequence", merge(configured.model_dump(), other if isinstance(other, Mapping) else {}))


def _varied(config: ProjectConfig, model: str) -> str | None:
    """The model of several parts that this one is a variation of: the one of its kind's name; None for other models."""
    kind = config.models[model].kind
    composed = len(set(PARTS) & type(config.models[model]).model_fields.keys()) > 1
    return kind if composed and kind != model and kind in config.models else None


def _with_parts(config: ProjectConfig, kinds: Mapping[str, str]) -> str:
    """The variation of CREATE that has exactly these parts and thereby a search of its own; else CREATE."""

    def parts(model: str) -> dict[str, str]:
        return {part: getattr(config.models[model], part).kind for part in PARTS}

    wanted = {**parts("create"), **kinds}
    return next(
        (name for name in config.models if _varied(config, name) == "create" and parts(name) == wanted), "create"
    )


def _alone(config: ProjectConfig, encoder: Kind) -> str | None:
    """The model that is this encoder alone: the one of the encoder's name, or else the first; None = there is none."""
    models = [
        name
        for name, model in config.models.items()
        if model.kind == encoder.name and getattr(model, "code", encoder.code) == encoder.code
    ]
    return encoder.name if encoder.name in models else next(iter(models), None)


def resolve(
    config: ProjectConfig,
    dataset: str,
    model: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    tuned: bool = True,
) -> dict[str, Any]:
    """The settings of one model on one dataset.

    Order, later wins: class defaults, tuned settings (`hparams/DATASET/MODEL.yaml`), explicit keys of
    config.yaml, the variant's overrides. A model that contains an encoder takes what it does not set itself
    (encoder, dimension, training) from that encoder's own resolved model, so that CREATE builds on its tuned parts.

    Args:
        tuned: False leaves out the model's own tuned file (not its encoders'): where its study starts from.

    Raises:
        ConfigError: unknown dataset or model, or settings that do not validate.
    """
    for family, name, known in (("dataset", dataset, config.datasets), ("model", model, config.models)):
        if name not in known:
            raise ConfigError(f"unknown {family} '{name}'; {known_names(name, known)}")
    cls = type(config.models[model])
    settings = _layers(config, dataset, model, overrides or {}, tuned)
    inherited: dict[str, Any] = {}
    encoders: tuple[Role, ...] = ("graph", "sequence")  # the sequence side comes last: its dimension and training count
    for part in encoders:
        if part in cls.model_fields:
            encoder = part_kind(part, settings[part])
            if (same := _alone(config, encoder)) is not None:
                alone = resolve(config, dataset, same)
                inherited |= {key: alone[key] for key in ("dimension", "training")}
                inherited[part] = {key: alone[key] for key in encoder.settings.model_fields}
    settings = merge(inherited, settings)
    resolved = validate(settings, f"models.{model} for {dataset}", cls).model_dump(mode="json")
    for holder in (resolved, resolved.get("sequence", {})):
        if "max_length" in holder and holder["max_length"] is None:
            holder["max_length"] = config.datasets[dataset].max_length
        if "heads" in holder and resolved["dimension"] % holder["heads"]:
            raise ConfigError(
                f"models.{model} for {dataset}: dimension {resolved['dimension']} is not a multiple of heads "
                f"{holder['heads']}; change one of them"
            )
    return resolved


def _sources(
    config: ProjectConfig, dataset: str, model: str, settings: Mapping[str, Any], overrides: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Where a run's settings were taken from, apart from the defaults, in the order in which the later one wins.

    A record may be published, so that no file is named by where it lies on a machine: files below the folder of
    config.yaml from there on, tuned files from their own folder on, others by their names alone.
    """

    def named(path: Path) -> str:
        path, root = path.absolute(), Path(config.files[0]).parent if config.files else None
        return str(path.relative_to(root)) if root and path.is_relative_to(root) else path.name

    def named_tuned(path: Path) -> str:
        name = named(path)
        return name if name != path.name else "/".join(path.absolute().parts[-3:])

    where = " + ".join(named(Path(file)) for file in config.files) or "the configuration"
    loss = config.datasets[dataset].loss
    found: list[tuple[str, Mapping[str, Any]]] = []
    if loss is not None:
        found.append((f"datasets.{dataset}.loss of {where}", loss.model_dump(mode="json", exclude_unset=True)))
    parts = [settings[part]["kind"] for part in ("graph", "sequence") if part in settings]
    sequence = _sequence_encoder(config, model, overrides)
    whole = _varied(config, model)
    for name in dict.fromkeys([*(part for part in parts if part in config.models), *([whole] if whole else []), model]):
        if config.hparams:
            tuned = _tuned_settings(config, dataset, name, sequence)
            found.append((named_tuned(_tuned_file(config.hparams, dataset, name)), tuned))
        explicit = {key: value for key, value in _explicit(config, name).items() if key != "kind"}
        found.append((f"models.{name} of {where}", explicit))
    found.append(("overrides", overrides))
    return [{"from": name, "settings": dict(taken)} for name, taken in found if taken]


def make_run(
    config: ProjectConfig,
    dataset: str,
    model: str,
    variant: str = "table2",
    seed: int = 0,
    *,
    setup: Setup = "temporal",
    fold: Fold = "test",
    overrides: Mapping[str, Any] | None = None,
    tuned: bool = True,
) -> Run:
    """A run with everything resolved. The LOOM setup keeps seen items in the ranking, as that group's tools do."""
    if not re.fullmatch(NAME_PATTERN, variant):
        raise ConfigError(f"variant '{variant}': it names a folder; expected letters, digits, and . _ - inside")
    settings = resolve(config, dataset, model, overrides, tuned=tuned)
    evaluation = config.evaluation.model_dump(mode="json")
    if evaluation["remove_seen"] is None:
        evaluation["remove_seen"] = config.datasets[dataset].remove_seen and setup != "leave-one-out"
    if setup == "time-to-split":  # users whose rows all lie after the cut are asked about from their second row on
        evaluation["without_history"] = "next"
    sources = _sources(config, dataset, model, settings, overrides or {})
    return Run(dataset, model, variant, seed, setup, fold, settings, evaluation, sources)


def leaves(settings: Mapping[str, Any], inside: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings, each by its path (`training.epochs`)."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{inside}{key}.")
        else:
            yield f"{inside}{key}", value


def own_variant(run: Run, plain: Run, overrides: Mapping[str, Any]) -> str:
    """A readable name for what `run` differs in from `plain`, the same for the same difference.

    For instance `leave-one-out_training.epochs-1`. What no name of a folder can hold, or is too long for one, is told
    apart by a hash at the end.
    """
    plainly, own = dict(leaves(plain.settings)), dict(leaves(run.settings))
    changed = {name: own.get(name, value) for name, value in sorted(leaves(overrides))}
    changed = {name: value for name, value in changed.items() if plainly.get(name) != value}
    parts = [getattr(run, key) for key in ("setup", "fold") if getattr(run, key) != getattr(plain, key)]
    parts += [f"{name}-{value if isinstance(value, str) else json.dumps(value)}" for name, value in changed.items()]
    wanted = "_".join(parts)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", wanted)[:LONGEST_VARIANT]
    return name if name == wanted else f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"


def single_run(
    config: ProjectConfig,
    dataset: str,
    model: str,
    seed: int = 0,
    *,
    variant: str | None = None,
    setup: Setup = "temporal",
    fold: Fold = "test",
    overrides: Mapping[str, Any] | None = None,
) -> Run:
    """A run that a person asks for, in a place that no other run has.

    What the plan asks for, too, has its place in the plan. A model as the configuration has it, tested on the temporal
    split, is Table 2's. Anything else gets a variant that says in what it differs.

    Args:
        variant: the person's own name for it.

    Raises:
        ConfigError: as `make_run`; or the variant is that of another run of the plan.
    """
    plain = make_run(config, dataset, model, "table2", seed)
    run = make_run(config, dataset, model, "table2", seed, setup=setup, fold=fold, overrides=overrides)
    planned = runs(config)
    if variant is None:
        if run.key == plain.key:
            return run
        same = [other for other in planned.values() if other.key == run.key]
        variant = same[0].variant if same else own_variant(run, plain, overrides or {})
    run = make_run(config, dataset, model, variant, seed, setup=setup, fold=fold, overrides=overrides)
    taken = planned | {plain.folder: plain}
    if run.folder in taken and taken[run.folder].key != run.key:
        raise ConfigError(
            f"--variant {variant}: {run.folder} is the place of another run, with other settings; name another "
            "variant, or leave the option out"
        )
    return run


# --- what the exhibits show: each function is named by entries of exhibits.py ----------------------------------------


def model_cells(config: ProjectConfig, exhibit: Exhibit, setup: Setup = "temporal") -> Iterator[Cell]:
    """A run for each dataset, model and seed."""
    part = wanted(config, exhibit)
    for dataset in part.datasets:
        for model in part.models:
            for seed in part.seeds:
                yield Cell(make_run(config, dataset, model, exhibit.group, seed, setup=setup), {})


def loom_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """The same in the setup of the LOOM paper."""
    return model_cells(config, exhibit, setup="leave-one-out")


def curve_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """CREATE trained without the validation rows, so that they can be ranked while it trains."""
    part = wanted(config, exhibit)
    for dataset in part.datasets:
        for seed in part.seeds:
            yield Cell(make_run(config, dataset, "create", exhibit.group, seed, fold="validation"), {})


def sweep_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """CREATE under each value of one setting."""
    part, sweep = wanted(config, exhibit), exhibit.sweep
    assert sweep is not None, f"{exhibit.name} says what is swept"
    for dataset in part.datasets:
        for value in part.values:
            for seed in part.seeds:
                variant, overrides = f"{sweep.variant}-{value:g}", sweep.overrides(value)
                yield Cell(
                    make_run(config, dataset, "create", variant, seed, overrides=overrides), {sweep.setting: value}
                )


def _run_with_parts(config: ProjectConfig, dataset: str, variant: str, seed: int, kinds: Mapping[str, str]) -> Run:
    """CREATE with other parts, under the settings that a search found for them where there was one."""
    overrides = {part: {"kind": kind} for part, kind in kinds.items()}
    run = make_run(config, dataset, _with_parts(config, kinds), variant, seed, overrides=overrides)
    return replace(run, model="create")


def alternatives(config: ProjectConfig, dataset: str, kinds: Iterable[Mapping[str, str]]) -> dict[str, bool]:
    """The variations of CREATE with these parts, and whether a search on the dataset was adopted for each.

    Args:
        kinds: part -> kind, one mapping for each place of a table.
    """
    names = dict.fromkeys(_with_parts(config, one) for one in kinds)
    return {
        name: bool(config.hparams and _hparams(config.hparams, dataset, name)) for name in names if name != "create"
    }


def alignment_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """CREATE with each graph encoder and alignment, and the sequential model of the main table alone."""
    part = wanted(config, exhibit)
    for dataset in part.datasets:
        for seed in part.seeds:
            yield Cell(make_run(config, dataset, "sasrec", "table2", seed), {"graph": "-", "alignment": "sequential"})
            for graph in part.graphs:
                for alignment in part.alignments:
                    kinds = {"graph": graph, "alignment": alignment}
                    yield Cell(_run_with_parts(config, dataset, f"{graph}-{alignment}", seed, kinds), kinds)


def backbone_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """CREATE with each pair of sequence and graph encoder."""
    part = wanted(config, exhibit)
    for dataset in part.datasets:
        for seed in part.seeds:
            for sequence in part.sequences:
                for graph in part.graphs:
                    kinds = {"sequence": sequence, "graph": graph}
                    yield Cell(_run_with_parts(config, dataset, f"{sequence}-{graph}", seed, kinds), kinds)


def sensitivity_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """Models of sequences with histories of other lengths, and without the last training on the validation rows."""
    part = wanted(config, exhibit)
    for dataset in part.datasets:
        for model in part.models:
            composed = "sequence" in type(config.models[model]).model_fields
            for seed in part.seeds:
                for length in part.max_lengths:
                    setting = {"max_length": length}
                    overrides = {"sequence": setting} if composed else setting
                    run = make_run(config, dataset, model, f"length-{length}", seed, overrides=overrides)
                    yield Cell(run, {"switch": f"max_length={length}"})
                run = make_run(config, dataset, model, "unretrained", seed, fold="unretrained")
                yield Cell(run, {"switch": "retrained=false"})
    for switch, other in part.trainings.items():
        for dataset in other.datasets:
            for model in other.models:
                composed = "sequence" in type(config.models[model]).model_fields
                overrides = {"sequence": other.settings} if composed else other.settings
                for seed in part.seeds:
                    variant = re.sub(r"[^\w.-]+", "-", switch)
                    run = make_run(config, dataset, model, variant, seed, overrides=overrides)
                    yield Cell(run, {"switch": switch, "shown_as": other.shown_as or model})


def choice_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """The chosen settings, as Table 2 has them, and those that the search placed next to them."""
    part = wanted(config, exhibit)
    for dataset in part.datasets:
        for model in part.models:
            for seed in part.seeds:
                yield Cell(make_run(config, dataset, model, "table2", seed), {"settings": CHOSEN})
                for trial, overrides in _next_settings(config, dataset, model).items():
                    run = make_run(config, dataset, model, f"choice-{trial}", seed, overrides=overrides)
                    yield Cell(run, {"settings": trial})


def validation_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """Settings are those of the published grid: nothing that was tuned here takes part."""
    part = wanted(config, exhibit)
    for dataset in part.datasets:
        for model, published in part.models.items():
            for point in published.points:
                for seed in part.seeds:
                    variant, settings = f"time-to-split-{point}", published.at(point)
                    run = make_run(
                        config, dataset, model, variant, seed, setup="time-to-split", overrides=settings, tuned=False
                    )
                    yield Cell(run, {"grid_point": point})


def beyond_cells(config: ProjectConfig, exhibit: Exhibit) -> Iterator[Cell]:
    """The paper's models as Tables 2 and 3 have them, then the simple baselines, in either setup."""
    part = wanted(config, exhibit)
    setups: tuple[tuple[Setup, str, TableConfig, tuple[str, ...]], ...] = (
        ("temporal", "table2", config.table2, part.datasets),
        ("leave-one-out", "table3", config.table3, part.leave_one_out),
    )
    for setup, table, papers, datasets in setups:
        beside = [model for model in part.beside if model in papers.models]
        own = "beyond" if setup == "temporal" else f"beyond-{setup}"
        for dataset in datasets:
            for models, variant, seeds in ((beside, table, papers.seeds), (part.models, own, part.seeds)):
                for model in models:
                    for seed in seeds:
                        yield Cell(make_run(config, dataset, model, variant, seed, setup=setup), {"setup": setup})


def plan(config: ProjectConfig) -> dict[str, list[Cell]]:
    """All cells of all groups; runs that are the same training share one name, the first in the catalogue's order."""
    named: dict[str, Run] = {}
    return {
        group: [
            Cell(named.setdefault(cell.run.key, cell.run), cell.labels)
            for cell in function(exhibit.cells)(config, exhibit)
        ]
        for group, exhibit in GROUPS.items()
    }


def runs(config: ProjectConfig) -> dict[str, Run]:
    """Every distinct run of a configuration's plan, by folder."""
    return by_folder(plan(config))


def by_folder(cells: Mapping[str, Sequence[Cell]]) -> dict[str, Run]:
    """Every distinct run of a plan, by folder."""
    return {cell.run.folder: cell.run for group in cells.values() for cell in group}
