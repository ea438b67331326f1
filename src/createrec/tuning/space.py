"""What a study searches, and from where: its slice of the configuration (paper, Section 4.2).

A searched setting is named by its path in the model's settings, for instance `training.learning_rate`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from createrec.config import Choices, ModelSettings, ProjectConfig, Searched, TuningConfig, merge, validate
from createrec.errors import ConfigError
from createrec.kinds import Role, part_kind
from createrec.plan import make_run, resolve

# These say what is searched; a study's slice holds the outcome for its own model.
_OF_ALL_MODELS = {"datasets", "models", "spaces", "first", "search_all", "workers"}


def study_slice(config: ProjectConfig, dataset: str, model: str) -> dict[str, Any]:
    """Everything that decides a study, apart from data and code, as plain values.

    The study starts from the model's defaults and not from its own tuned file, so that adopting a study's result
    does not make the study out of date. CREATE's encoders come with their tuned settings.

    Returns:
        `run` (a slice of the plan, on the validation fold), `tuning` (budget, pruning, seed), `space` (setting ->
        range) and `first` (the first trials, each setting -> value; a setting left out is up to the sampler).

    Raises:
        ConfigError: nothing is searched for this model, or the space does not fit its settings.
    """
    tuning = config.tuning
    settings = resolve(config, dataset, model, tuned=False)
    fixed = config.models[model].model_dump(exclude_unset=True)
    ranges = _ranges(tuning, model, settings)
    for name, searched in ranges.items():
        _check(model, settings, name, searched)
    # What config.yaml says wins over tuned settings, so tuning it would be in vain.
    ranges = {name: searched for name, searched in ranges.items() if _get(fixed, name) is None}
    if not ranges:
        raise ConfigError(f"tuning.spaces.{model}: nothing to search; name at least one setting that is not fixed")
    run = make_run(config, dataset, model, "tuning", fold="validation").slice()
    defaults = {name: _get(settings, name) for name in ranges}
    first = [
        {
            name: value
            for name, value in {**defaults, **trial}.items()
            if name in ranges and ranges[name].contains(value)
        }
        for trial in ({}, *tuning.first.get(model, ()))
    ]
    return {
        "run": {**run, "settings": settings},
        "tuning": tuning.model_dump(mode="json", exclude=_OF_ALL_MODELS),
        "space": {name: searched.model_dump(mode="json", exclude_unset=True) for name, searched in ranges.items()},
        "first": [trial for number, trial in enumerate(first) if trial not in first[:number]],
    }


def nested(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings named by their paths as partial settings, to be merged over `settings`.

    A part of the model is named by its `kind` too, because its settings mean nothing under another kind.
    """
    partial: dict[str, Any] = {}
    for name, value in values.items():
        inner, whole = partial, settings
        *parts, leaf = name.split(".")
        for part in parts:
            whole = whole[part]
            inner = inner.setdefault(part, {"kind": whole["kind"]} if "kind" in whole else {})
        inner[leaf] = value
    return partial


def trial_settings(settings: Mapping[str, Any], values: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    """The model's settings in one trial: the proposed values, and epochs enough for patience to end it."""
    return merge(
        settings, nested({**values, "training.epochs": epochs} if "training" in settings else values, settings)
    )


def _ranges(tuning: TuningConfig, model: str, settings: Mapping[str, Any]) -> dict[str, Searched]:
    """The model's own space; with `search_all` after the spaces of the encoders that it contains."""
    ranges: dict[str, Searched] = {}
    encoders: tuple[Role, ...] = ("graph", "sequence") if tuning.search_all else ()
    for part in encoders:
        if part in settings:
            encoder = part_kind(part, settings[part])
            for name, searched in tuning.spaces.get(encoder.name, {}).items():
                if name.partition(".")[0] in encoder.settings.model_fields:
                    ranges[f"{part}.{name}"] = searched
                elif part == "sequence":  # dimension and training are the sequence side's, as in createrec.plan
                    ranges[name] = searched
    return ranges | tuning.spaces.get(model, {})


def _get(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = settings.get(part) if isinstance(settings, Mapping) else None
    return settings


def _check(model: str, settings: Mapping[str, Any], name: str, searched: Searched) -> None:
    *parts, leaf = name.split(".")
    holder = _get(settings, ".".join(parts)) if parts else settings
    if not isinstance(holder, Mapping) or leaf not in holder or leaf == "kind":
        raise ConfigError(
            f"tuning.spaces.{model}.{name}: {model} has no such setting; a setting is named by its path in "
            f"models.{model}, for instance {', '.join(_paths(settings))}"
        )
    for value in searched.root if isinstance(searched, Choices) else (searched.low, searched.high):
        validate(
            {"model": merge(settings, nested({name: value}, settings))},
            f"tuning.spaces.{model}.{name} = {value}",
            ModelSettings,
        )


def _paths(settings: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{name}.")
        elif name != "kind":
            yield prefix + name
