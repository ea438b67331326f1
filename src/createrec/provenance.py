"""Which code decides a result: the files behind a rule or a run, and one name for what stands in them.

Files are followed by their imports, from the few that a rule begins with and from those that the catalogue of kinds
(createrec.kinds) names for the model, its encoders, its alignment and its loss. The rules of the workflow take the
files as inputs; records and checkpoints keep a hash of them. So an edit of a file that cannot change a run's numbers
(a figure's, a test's, another model's) reruns nothing, changes no record's `code_version`, and lets a half-done
training resume. A file is the grain: within one that counts, every byte does.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from createrec import __version__
from createrec.config import ModelSettings, validate
from createrec.errors import ConfigError
from createrec.kinds import Kind, kind_of

PACKAGE = Path(__file__).parent

# What each rule begins with. `train` and `evaluate` add what the run's settings name.
STARTS: Mapping[str, tuple[str, ...]] = {
    "prepare": ("data/prepare.py",),
    "generate": ("data/prepare.py", "data/synthetic.py"),
    "split": ("data/split.py",),
    "train": ("runs/run.py",),
    "evaluate": ("runs/record.py",),
    "collect": ("runs/collect.py",),
    "tune": ("tuning/study.py", "tuning/choice.py", "tuning/outputs.py"),
    "report": ("paper/report.py", "paper/report.html.j2"),
    "searches": ("paper/searches.py",),
}

# What these decide is among the settings of a run or a rule (configuration, catalogue, plan, registry rows), is told
# by a checksum (downloads), or changes no number (messages, names of commands, this file).
NO_SAY = frozenset(
    {
        "config.py",
        "kinds.py",
        "exhibits.py",
        "plan.py",
        "errors.py",
        "files.py",
        "provenance.py",
        "data/registry.py",
        "data/download.py",
        "models/registry.py",
    }
)

# A training for a test ranks nothing, so how that is done matters to those with a validation fold alone.
RANKING = frozenset({"evaluation/metrics.py", "evaluation/ranking.py", "ops/ranking.py"})

# Folders of installed packages: of an encoder that is installed there its own file counts, not its neighbours.
LIBRARIES = ("site-packages", "dist-packages")


class Sources:
    """The source files of one copy of the package, and what they import. Contents are read once.

    Args:
        package: the folder of `createrec`.
    """

    def __init__(self, package: Path = PACKAGE) -> None:
        self.package = package
        self._names: dict[Path, str] = {}
        self._imports: dict[Path, frozenset[Path]] = {}
        self._closures: dict[tuple[frozenset[Path], frozenset[Path]], frozenset[Path]] = {}
        self._digests: dict[Path, bytes] = {}

    def of_files(self, starts: Iterable[str]) -> list[Path]:
        """Some files of the package with everything that they import, sorted."""
        return self._sorted(self._closure(self._paths(starts)))

    def of_rule(self, rule: str) -> list[Path]:
        """Files behind a rule's outputs, sorted."""
        return self.of_files(STARTS[rule])

    def of_training(self, settings: Mapping[str, Any], *, validates: bool) -> list[Path]:
        """Files that decide a training, sorted.

        Args:
            settings: the model's.
            validates: the training is watched on a validation fold, so that how that is ranked decides it, too.

        Raises:
            ConfigError: the settings name an unknown kind.
        """
        ends = () if validates else self._paths(RANKING)
        return self._sorted(self._closure(self._paths(STARTS["train"]), ends) | self._model(settings))

    def of_record(self, settings: Mapping[str, Any]) -> list[Path]:
        """Files that decide what is measured on a trained model, its training included, sorted."""
        starts = self._paths((*STARTS["train"], *STARTS["evaluate"]))
        return self._sorted(self._closure(starts) | self._model(settings))

    def of_study(self, settings: Mapping[str, Any]) -> list[Path]:
        """Files that decide a search of a model's settings, sorted."""
        return self._sorted(self._closure(self._paths(STARTS["tune"])) | self._model(settings))

    def version(self, files: Iterable[Path]) -> str:
        """For instance 0.1.0+3f2a9c0d1e4b: the package's version, and a hash of the files' names and contents."""
        digest = hashlib.sha256()
        for name, file in sorted((self._name(file), file) for file in files):
            if file not in self._digests:
                self._digests[file] = hashlib.sha256(file.read_bytes()).digest()
            digest.update(name.encode() + b"\0" + self._digests[file])
        return f"{__version__}+{digest.hexdigest()[:12]}"

    def everything(self) -> list[Path]:
        """All of the package, sorted."""
        return self._sorted(self.package.rglob("*.py"))

    def _paths(self, files: Iterable[str]) -> set[Path]:
        return {self.package / file for file in files}

    def _name(self, file: Path) -> str:
        """The file's name wherever the package lies; one from outside keeps its last two parts."""
        if file not in self._names:
            inside = file.is_relative_to(self.package)
            self._names[file] = file.relative_to(self.package).as_posix() if inside else "/".join(file.parts[-2:])
        return self._names[file]

    def _sorted(self, files: Iterable[Path]) -> list[Path]:
        return sorted(files, key=lambda file: (self._name(file), file))

    def _model(self, settings: Mapping[str, Any]) -> frozenset[Path]:
        """What the catalogue names for the settings, with all that it imports."""
        return self._closure({self._file(code) for code in _codes(settings)})

    def _file(self, code: str) -> Path:
        module = code.partition(":")[0]
        file = self._module(module, self.package.parent)
        if file is None:  # from outside, and loaded by now, because its settings were validated
            file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
        if not file.is_file():
            raise ConfigError(f"code: {code}: has no source file, so that nothing could say when it changed")
        return file

    def _module(self, name: str, root: Path) -> Path | None:
        path = root.joinpath(*name.split("."))
        return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)

    def _closure(self, starts: set[Path], ends: Iterable[Path] = ()) -> frozenset[Path]:
        """Everything that `starts` import, directly or not, with themselves; not what `ends` and NO_SAY name."""
        question = frozenset(starts), frozenset(ends)
        if question not in self._closures:
            closed = {*ends, *self._paths(NO_SAY)}
            found: set[Path] = set()
            waiting = set(starts)
            while waiting:
                file = waiting.pop()
                found.add(file)
                waiting |= self._imported(file) - closed - found
            self._closures[question] = frozenset(found)
        return self._closures[question]

    def _imported(self, file: Path) -> frozenset[Path]:
        """The files of this package, or of the file's own one, that a file imports; tables (.csv) that it names."""
        if file.suffix != ".py":
            return frozenset()
        if file not in self._imports:
            roots = [self.package.parent]
            if not file.is_relative_to(self.package) and _root(file).name not in LIBRARIES:
                roots.append(_root(file))
            text = file.read_text(encoding="utf-8")
            files = {self._module(name, root) for name in _imported_names(ast.parse(text), file) for root in roots}
            tables = {file.with_name(name) for name in re.findall(r"""(?<=["'])[\w.-]+\.csv(?=["'])""", text)}
            modules = {found for found in files if found and found.name != "__init__.py"}
            self._imports[file] = frozenset(modules | {table for table in tables if table.is_file()})
        return self._imports[file]


def _root(file: Path) -> Path:
    """The folder from which a file's package is imported."""
    folder = file.parent
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return folder


def _imported_names(tree: ast.AST, file: Path) -> set[str]:
    """Dotted names that may be modules, of every import in a file."""
    own = [*file.parent.relative_to(_root(file)).parts]
    names: set[str] = set()
    waiting = [tree]
    while waiting:  # statements alone: expressions hold no import, and to walk through them takes twice as long
        node = waiting.pop()
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            waiting += getattr(node, field, ())
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = own[: len(own) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)} if base else {a.name for a in node.names}
    return names


def _codes(settings: Mapping[str, Any]) -> set[str]:
    """MODULE:NAME of everything that the settings of a model name."""
    model = validate({"model": settings}, "settings of the model", ModelSettings).model
    codes: set[str] = set()

    def add(part: BaseModel) -> None:
        if "kind" in type(part).model_fields:
            kind: Kind | None = kind_of(part)
            while kind is not None:
                codes.update([kind.code] if kind.code else [])
                kind = kind.encoder
        for name in type(part).model_fields:
            if isinstance(value := getattr(part, name), BaseModel):
                add(value)

    add(model)
    return codes


@cache
def _own() -> Sources:
    return Sources()


def rule_version(rule: str) -> str:
    """Names the running code as far as it decides a rule's outputs (see `STARTS`)."""
    return _own().version(_own().of_rule(rule))


def training_version(settings: Mapping[str, Any], *, validates: bool) -> str:
    """Names the running code as far as it decides a training (see `Sources.of_training`)."""
    return _own().version(_own().of_training(settings, validates=validates))


def record_version(settings: Mapping[str, Any], training: str) -> str:
    """Names the code that decided a record: the running one, and that of the training, which may have been another.

    Args:
        training: the `training_version` of the training.
    """
    digest = hashlib.sha256(f"{training} {_own().version(_own().of_record(settings))}".encode()).hexdigest()
    return f"{__version__}+{digest[:12]}"


def package_version() -> str:
    """Names all of the running code, for a bug report."""
    return _own().version(_own().everything())
