"""What is generated and committed agrees with what it was generated from."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from createrec.config import schema

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"


def test_the_schema_is_that_of_the_typed_configuration() -> None:
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(schema())), "run: createrec schema"


def test_the_schema_is_one_and_accepts_the_paper_and_no_misspelt_key() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    validator.check_schema(validator.schema)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    validator.validate(config)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(config | {"tabel2": config["table2"]})


def arrows(text: str) -> set[tuple[str, str]]:
    """The arrows of a mermaid flowchart, by the boxes' texts."""
    texts = dict(re.findall(r"(\w+)\[(\w+)\]", text))
    return {(texts.get(a, a), texts.get(b, b)) for a, b in re.findall(r"(\w+) --> (\w+)", text)}


def test_the_drawn_workflow_is_the_one_that_runs(snakemake, tmp_path: Path) -> None:
    result = snakemake("all", "--rulegraph", "mermaid-js", directory=tmp_path)
    assert result.returncode == 0, result.stderr
    planned = arrows(result.stdout)
    assert ("train", "evaluate") in planned
    assert arrows((ROOT / "docs" / "dag.md").read_text()) == planned


def test_the_glossary_says_where_each_word_is_defined() -> None:
    rows = re.findall(r"^\| (\w+) \| [^|]+ \| `([^`]+)` \|$", (ROOT / "docs" / "glossary.md").read_text(), re.M)
    assert len(rows) > 20
    for word, file in rows:
        assert re.search(rf"\b{word}s?\b", (ROOT / file).read_text()), f"{word} is not in {file}"
    assert len({word for word, _ in rows}) == len(rows)
