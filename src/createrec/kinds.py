"""The catalogue of kinds: every model, encoder, alignment and loss that settings can name, declared once.

A kind's entry is the decorator at its settings class (createrec.config): its role, its name for people, and where its
code stands. What has to know the kinds follows from here: which settings validate, what is built from them, which
source files decide a run (createrec.provenance), what tables call a model, what `createrec models` lists.

A kind from outside the package needs no entry. Where settings name a `kind`, they may give `code: PACKAGE.MODULE:NAME`
instead: a class or function like those of its role, whose parameter `config` is annotated with its settings class.
Nothing of torch is loaded here until a kind's code is asked for.
"""

import importlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializeAsAny,
    WithJsonSchema,
    create_model,
)
from pydantic_core import core_schema

from createrec.errors import ConfigError

Role = Literal["loss", "sequence", "graph", "alignment", "model"]
ROLES: dict[Role, str] = {
    "loss": "loss of the sequence side",
    "sequence": "sequence encoder",
    "graph": "graph encoder",
    "alignment": "alignment",
    "model": "model",
}
Settings = TypeVar("Settings", bound=type[BaseModel])


@dataclass(frozen=True)
class Kind:
    """One entry of the catalogue.

    Attributes:
        role: what it can be a part of.
        name: the `kind` of its settings.
        title: its name for people.
        settings: the class of its settings.
        code: MODULE:NAME of the class or function that they are for; None where there is nothing to compute.
        encoder: the kind of the encoder, for a model that is one encoder alone.
        remark: what tables add to the title, for instance that a model is a reconstruction.
        training: the class of the training settings of an encoder alone, where they have defaults of their own.
    """

    role: Role
    name: str
    title: str
    settings: type[BaseModel]
    code: str | None
    encoder: "Kind | None" = None
    remark: str = ""
    training: type[BaseModel] | None = None

    def load(self) -> Any:
        """The class or function.

        Raises:
            ConfigError: it cannot be imported.
        """
        if self.code is None:
            raise ConfigError(f"{ROLES[self.role]} '{self.name}' has no code of its own")
        return load(self.code)


CATALOGUE: dict[tuple[Role, str], Kind] = {}
_BASES: dict[Role, type[BaseModel]] = {}
_STAND_ALONE: dict[Role, tuple[str, type[BaseModel]]] = {}
_FROM_OUTSIDE: dict[type[BaseModel], Kind] = {}


def of_role(role: Role) -> dict[str, Kind]:
    """The catalogue's kinds of a role, by name, in the order of their entries."""
    return {name: kind for (own, name), kind in CATALOGUE.items() if own == role}


def kind(
    role: Role, title: str, code: str | None, *, remark: str = "", training: type[BaseModel] | None = None
) -> Callable[[Settings], Settings]:
    """Enters a settings class into the catalogue; its name is the default of its field `kind`. See `Kind`."""

    def enter(settings: Settings) -> Settings:
        if role in _BASES:
            raise TypeError(f"{settings.__name__} is declared behind the choice of {role}, and would be no part of it")
        cls: type[BaseModel] = settings
        name = cls.model_fields["kind"].default
        CATALOGUE[role, name] = Kind(role, name, title, settings, code, remark=remark, training=training)
        return settings

    return enter


def stand_alone(role: Role, code: str, trainable: type[BaseModel]) -> None:
    """Makes a model of each encoder of a role on its own, with the settings of the encoder and of `trainable`."""
    _STAND_ALONE[role] = (code, trainable)
    for encoder in of_role(role).values():
        CATALOGUE["model", encoder.name] = _alone(encoder)


def _alone(encoder: Kind) -> Kind:
    code, trainable = _STAND_ALONE[encoder.role]
    name = encoder.settings.__name__.replace("EncoderConfig", "Config")
    own: dict[str, Any] = {} if encoder.training is None else {"training": (encoder.training, encoder.training())}
    settings = create_model(name, __base__=(encoder.settings, trainable), __doc__=f"{encoder.title} alone.", **own)
    return replace(encoder, role="model", settings=settings, code=code, encoder=encoder)


def kind_of(settings: BaseModel, role: Role | None = None) -> Kind:
    """The kind that settings are of; with `role`, the one in that role (an encoder's, of a model that is one alone).

    Raises:
        ConfigError: they are of no kind; the message names those that are known.
    """
    entered = {entry.settings: entry for entry in (*CATALOGUE.values(), *_FROM_OUTSIDE.values())}
    for cls in type(settings).__mro__:
        if cls in entered and role in (None, entered[cls].role):
            return entered[cls]
    known = ", ".join(sorted(of_role(role) if role else {name for _, name in CATALOGUE}))
    what = ROLES[role] if role else "kind"
    raise ConfigError(f"{type(settings).__name__}: the settings of no known {what}; known: {known}")


def implementation(settings: BaseModel, role: Role | None = None) -> Any:
    """The class or function that settings are for (see `kind_of`)."""
    return kind_of(settings, role).load()


def load(code: str) -> Any:
    """What stands at MODULE:NAME.

    Raises:
        ConfigError: nothing does.
    """
    module, _, name = code.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"code: {code}: cannot be imported ({error}); expected PACKAGE.MODULE:NAME of something installed, or on "
            "PYTHONPATH"
        ) from None


# --- settings that name a kind ------------------------------------------------------------------------------------


def part_kind(role: Role, settings: Mapping[str, Any]) -> Kind:
    """The kind that plain settings name by their `code` or else their `kind`.

    Raises:
        ConfigError: no such kind is known.
    """
    if settings.get("code"):
        return _from_outside(settings["code"], role)
    known = of_role(role)
    if settings.get("kind") not in known:
        raise ConfigError(f"unknown {ROLES[role]} '{settings.get('kind')}'; known: {', '.join(known)}")
    return known[settings["kind"]]


@cache
def _from_outside(code: str, role: Role) -> Kind:
    """The kind of a class or function outside the package, with settings that keep where it stands."""
    found = load(code)
    settings: Any = None
    with suppress(AttributeError, NameError, TypeError):
        called: Any = found
        settings = get_type_hints(called.__init__ if isinstance(found, type) else called).get("config")
    encoders = [(role, _BASES[role])] if role != "model" else [(own, _BASES[own]) for own in (*_STAND_ALONE, "model")]
    own = next((own for own, base in encoders if isinstance(settings, type) and issubclass(settings, base)), None)
    if own is None:
        bases = " or ".join(base.__name__ for _, base in encoders)
        raise ConfigError(
            f"code: {code}: is no {ROLES[role]}; expected a class or function with a parameter `config` that is "
            f"annotated with a subclass of {bases}"
        )
    name = settings.model_fields["kind"].get_default() if "kind" in settings.model_fields else None
    if not isinstance(name, str):
        name = code.partition(":")[2]
    fixed: dict[str, Any] = {"kind": (Literal[name], name), "code": (Literal[code], code)}
    marked = create_model(settings.__name__, __base__=settings, __doc__=settings.__doc__, **fixed)
    made = _FROM_OUTSIDE[marked] = Kind(own, name, name, marked, code)
    if own != role:
        made = _alone(made)
    _FROM_OUTSIDE[made.settings] = made
    return made


class _KnownOrCode:
    """Validates what names a known kind as the union of the kinds does, and what names `code` as that code wants."""

    SCHEMA: Mapping[str, Any] = {
        "type": "object",
        "required": ["code"],
        "properties": {"code": {"type": "string", "pattern": r"^[\w.]+:\w+$"}},
    }

    def __init__(self, role: Role, base: type[BaseModel]) -> None:
        self.role, self.base = role, base

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [handler(schema), dict(self.SCHEMA)]}

    def _validate(self, value: Any, validate: Callable[[Any], Any]) -> Any:
        if isinstance(value, self.base):
            return value
        if not (isinstance(value, Mapping) and isinstance(value.get("code"), str)):
            return validate(value)
        try:
            found = _from_outside(value["code"], self.role)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return found.settings.model_validate({"kind": found.name, **value})


def choice(role: Role, base: type[BaseModel]) -> Any:
    """The type of settings of any kind of a role, all subclasses of `base`; no kind can be entered behind it."""
    _BASES[role] = base
    union: Any = reduce(or_, (entry.settings for entry in of_role(role).values()))
    annotated: Any = Annotated  # of types that are known at run time alone
    as_any: Any = SerializeAsAny
    return annotated[union, Field(discriminator="kind"), as_any(), _KnownOrCode(role, base)]


def name_of(role: Role) -> Any:
    """The type of the name of a kind of a role."""

    def check(name: str) -> str:
        if name not in of_role(role):
            raise ValueError(f"unknown {ROLES[role]} '{name}'; known: {', '.join(of_role(role))}")
        return name

    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "enum": list(of_role(role))})]
