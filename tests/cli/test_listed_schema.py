"""The JSON Schema of entries that cannot be scored, as it is kept and as the entries fit it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.cli.command import CommandLine

ROOT = Path(__file__).parents[2] / "instruments"
SCHEMA = ROOT / "listed.schema.json"


def test_the_schema_that_is_kept_is_the_one_of_the_code(fathomline: CommandLine) -> None:
    outcome = fathomline("instruments", "schema", "--listed")
    assert outcome.status == 0
    assert SCHEMA.read_text(encoding="utf-8") == outcome.out, "run make openapi"
    jsonschema.Draft202012Validator.check_schema(json.loads(outcome.out))


@pytest.mark.parametrize("path", sorted((ROOT / "listed").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_entry_fits_it(path: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    entry = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(entry, schema)
    del entry["missing"]
    with pytest.raises(jsonschema.ValidationError, match="missing"):
        jsonschema.validate(entry, schema)
