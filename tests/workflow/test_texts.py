"""README.md and docs/ are for people: short, true, and every link and command in them leads somewhere."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import yaml

from createrec import __version__
from createrec.cli import parser
from createrec.config import load
from createrec.errors import DataError
from createrec.paper.documents import PARTS, filled, outdated
from createrec.paper.records import Results

ROOT = Path(__file__).parents[2]
TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks/README.md", ROOT / "hparams/README.md"])
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- (\w+):begin -->.*?<!-- \1:end -->", re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Numbers with a point that are no results: the paper's address and sections, versions.
NO_RESULTS = re.compile(r"2602\.23471|2507\.16289|[Pp]ython 3\.\d+|Apache-2\.0|\| [345]\.\d.*\||Sections? \d\.\d")
# What a page states as a rule, an equation or another's value, and no record of ours could give.
STATED = {
    "docs/protocol.md": {"0.8", "0.9", "4.5436", "0.005", "85.26", "79.41", "88.67", "87.67", "0.006", "− 1", "− (1"},
    "docs/validation.md": {"0.9"},
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """The text without code, tables, markup and addresses."""
    text = re.sub(r"<!--.*?-->", "", FENCE.sub("", text), flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", text)
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("|", "#"))]
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", "\n".join(lines))
    return re.sub(r"`[^`]*`", "code", text)


def sentences(text: str) -> list[str]:
    """Sentences of the prose; an item of a list and a paragraph end one too."""
    parts = re.split(r"(?<=[.!?:;])\s+|\n\s*\n|\n- ", prose(text))
    return [" ".join(part.split()) for part in parts if part.strip()]


@pytest.fixture(scope="module")
def published() -> Results:
    folder = ROOT / "results" / "published"
    return Results(load([ROOT / "config.yaml"]), folder / "runs", folder / "data", folder / "splits", leave_out=True)


def test_the_numbers_are_those_of_the_published_records(published: Results) -> None:
    assert not list(outdated(published, ROOT)), "run: createrec documents"


def test_a_part_without_its_markers_is_an_error() -> None:
    text = "<!-- results:begin -->old<!-- results:end -->"
    assert filled(text, {"results": "new"}, "README.md") == "<!-- results:begin -->\nnew\n<!-- results:end -->"
    with pytest.raises(DataError, match=r"README.md: expected <!-- speed:begin --> and <!-- speed:end --> once each"):
        filled(text, {"speed": "new"}, "README.md")


# What single measurements of speed gave stands beside their files in benchmarks/results/.
@pytest.mark.parametrize("name", sorted(PARTS.keys() - {"benchmarks/README.md"}))
def test_no_result_is_typed_in(name: str) -> None:
    """A number with a point, or one with a sign, stands in a part that is rendered from records."""
    text = NO_RESULTS.sub("", prose(BLOCK.sub("", (ROOT / name).read_text(encoding="utf-8"))))
    found = set(re.findall(r"\b\d+\.\d+\b|[+−±]\s?\d", text))
    assert found - STATED.get(name, set()) == set()


def test_the_readme_is_short() -> None:
    words = re.findall(r"[A-Za-z0-9][\w'’.,@/=+-]*", re.sub(r"<[^>]*>", " ", README))
    assert len(words) <= 1200
    assert {sentence: len(sentence.split()) for sentence in sentences(README) if len(sentence.split()) > 30} == {}
    assert max(line.count("|") - 1 for line in README.splitlines() if line.startswith("|")) <= 6


def test_the_readme_starts_with_what_it_is_and_what_to_type() -> None:
    places = [README.index(part) for part in ("create-light.svg", "make demo", "results:begin", "gains.png", "flow-")]
    assert places == sorted(places)
    assert places[1] < 1500


@pytest.mark.parametrize("path", TEXTS, ids=named)
def test_every_link_leads_to_a_file(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text)
    here = [a or b for a, b in links if not re.match(r"[a-z]+:", a or b)]
    assert [
        link for link in here if link.partition("#")[0] and not (path.parent / link.partition("#")[0]).exists()
    ] == []


def commands(path: Path) -> list[list[str]]:
    """What a text tells people to type: lines of unnamed code blocks, and code inside sentences."""
    text = path.read_text(encoding="utf-8")
    lines = [line for kind, code in FENCE.findall(text) if kind in ("", "sh", "bash") for line in code.splitlines()]
    lines += re.findall(r"`((?:make|snakemake|createrec|python) [^`\n]+)`", FENCE.sub("", text))
    found = []
    for line in lines:
        if re.match(r"\s*(?:\w+=\S+ )*(?:make|snakemake|createrec|python) ", line):
            words = shlex.split(line.rstrip("\\"), comments=True)
            found.append(words[next(n for n, word in enumerate(words) if "=" not in word) :])
    return found


@pytest.fixture(scope="module")
def targets(snakemake, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    result = snakemake("--list", directory=tmp_path_factory.mktemp("list"))
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


# A test of its own follows docs/extending.md, whose commands name what the page adds.
@pytest.mark.parametrize("path", [path for path in TEXTS if path.name != "extending.md"], ids=named)
def test_every_command_exists(path: Path, targets: set[str]) -> None:
    made = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, *words in commands(path):
        if any(re.search(r"\b[A-Z]{3,}\b|\.\.\.|…", word) for word in words) and program != "make":
            continue  # a pattern to fill in
        if program == "make":
            assert {word for word in words if "=" not in word and not word.startswith("-")} <= made, words
        elif program == "snakemake":
            wanted = [word for word in words[: next((n for n, w in enumerate(words) if w.startswith("-")), None)]]
            assert {word for word in wanted if "/" not in word} <= targets, words
        elif program == "createrec":
            try:
                parser().parse_args(words if len(words) > 1 else [*words, "--help"])
            except SystemExit as ended:
                assert ended.code == 0, words
        elif words[0] != "-m":
            assert (ROOT / words[0]).exists(), words


def test_the_pictures_are_those_that_the_script_draws() -> None:
    spec = importlib.util.spec_from_file_location("draw", ROOT / "docs" / "pictures" / "draw.py")
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    for file, text in draw.drawn().items():
        assert (ROOT / "docs" / "pictures" / file).read_text(encoding="utf-8") == text, f"{file}: run {spec.origin}"


def test_the_citation_has_the_versions_number() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert {"title", "authors", "license", "abstract", "keywords", "preferred-citation"} <= set(citation)


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
