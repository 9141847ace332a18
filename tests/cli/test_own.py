"""`fathomline import-instrument` and `export-instrument`, on a database of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
import yaml

from api.organisations.repository import ensure_organisation
from instruments import load, to_fhir
from instruments.loader import definition_from, read_definition
from tests.authoring.definitions import GOLDEN, lamp
from tests.authoring.test_lifecycle import EXAMPLE
from tests.authoring.test_questionnaire import CANNOT_SAY
from tests.cli.command import CommandLine
from tests.conftest import MASTER_KEY, Urls

T = TypeVar("T")


async def _organisation(url: str) -> None:
    connection = await asyncpg.connect(url)
    await ensure_organisation(connection, "demo", "Demo")
    await connection.close()


@pytest.fixture
async def demo(fresh_database: Urls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An empty database with one organisation, as the environment names it; the superuser's URL."""
    await _organisation(fresh_database.service)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", fresh_database.service)
    monkeypatch.setenv("FATHOMLINE_MASTER_KEY", MASTER_KEY)
    return fresh_database.superuser


async def rows(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def away(function: Callable[[], T]) -> Any:
    """In a thread, as the command has an event loop of its own."""
    return asyncio.to_thread(function)


def written(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(value) if name.endswith("json") else yaml.safe_dump(value), encoding="utf-8")
    return path


class TestImport:
    async def test_publish_and_export(self, demo: str, fathomline: CommandLine, tmp_path: Path) -> None:
        done = await away(lambda: fathomline("import-instrument", EXAMPLE, "--publish"))
        assert (done.status, done.err) == (0, "")
        assert "own-home-practice version 1 is published in 'demo'" in done.out
        assert await rows(demo, "select code, version, published_by from own_instrument") == [
            ("own-home-practice", 1, "command-line")
        ]
        out = await away(lambda: fathomline("export-instrument", "own-home-practice"))
        checksum = definition_from(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["definition"])
        exported = read_definition(out.out)
        assert (out.status, exported.items, exported.scales) == (0, checksum.items, checksum.scales)
        for form in ("json", "fhir"):
            out = await away(lambda form=form: fathomline("export-instrument", "own-home-practice", "--format", form))
            assert json.loads(out.out)
        again = await away(lambda: fathomline("import-instrument", EXAMPLE, "--publish"))
        assert again.status == 2
        assert "published" in again.err
        actions = await rows(demo, "select action, subject, role from audit_event order by id")
        assert actions == [("create-draft", "command-line", "admin"), ("publish", "command-line", "admin")]

    async def test_a_draft_takes_the_place_of_an_earlier_one(
        self, demo: str, fathomline: CommandLine, tmp_path: Path
    ) -> None:
        for name in ("First", "Second"):
            file = written(tmp_path, "own.yaml", lamp(name=name))
            done = await away(lambda file=file: fathomline("import-instrument", file))
            assert done.status == 0
            assert "is a draft in 'demo', which cannot be published yet" in done.out
        ((definition, revision),) = await rows(demo, "select definition::text, revision from instrument_draft")
        assert (json.loads(definition)["name"], revision) == ("Second", 2)

    async def test_golden_cases_from_another_file_that_fail(
        self, demo: str, fathomline: CommandLine, tmp_path: Path
    ) -> None:
        file = written(tmp_path, "own.yaml", lamp())
        golden = written(tmp_path, "cases.yaml", [*GOLDEN[:2], GOLDEN[2] | {"scores": {"ease": 1}}])
        done = await away(lambda: fathomline("import-instrument", file, "--golden", golden, "--publish"))
        assert (done.status, await rows(demo, "select 1 from own_instrument")) == (1, [])
        assert "/golden/2/scores/ease: expected 1.0, the definition gives 0.9" in done.err

    async def test_an_unknown_organisation(self, demo: str, fathomline: CommandLine) -> None:
        done = await away(lambda: fathomline("import-instrument", EXAMPLE, "--organisation", "nobody"))
        assert (done.status, done.err) == (2, "fathomline: there is no organisation 'nobody' in this database\n")
        done = await away(lambda: fathomline("export-instrument", "own-none"))
        assert (done.status, "there is no instrument 'own-none'" in done.err) == (2, True)

    async def test_exported_shipped_ones_are_their_files(self, demo: str, fathomline: CommandLine) -> None:
        done = await away(lambda: fathomline("export-instrument", "fsfi"))
        assert read_definition(done.out).checksum == load("fsfi").checksum


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test does not ask for one there is none to be found."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")


class TestDryRun:
    def test_a_good_one(self, fathomline: CommandLine) -> None:
        done = fathomline("import-instrument", EXAMPLE, "--dry-run")
        assert (done.status, done.out, done.err) == (0, f"{EXAMPLE.name}: could be published\n", "")

    def test_faults_have_lines(self, fathomline: CommandLine, tmp_path: Path) -> None:
        for wrapped in (True, False):
            text = EXAMPLE.read_text(encoding="utf-8").replace("[functioning]", "[nonsense]")
            if not wrapped:
                text = yaml.safe_dump(yaml.safe_load(text)["definition"], sort_keys=False)
            file = tmp_path / "own.yaml"
            file.write_text(text, encoding="utf-8")
            done = fathomline("import-instrument", file, "--dry-run")
            line = next(at for at, each in enumerate(text.splitlines(), 1) if "concerns" in each)
            assert done.status == 1
            assert f"{file}:{line + (not wrapped)}: /definition/concerns/0: is an id of /v1/concerns" in done.err

    def test_a_questionnaire_says_what_it_could_not(self, fathomline: CommandLine, tmp_path: Path) -> None:
        made = to_fhir(definition_from(lamp()))
        alone = written(tmp_path, "alone.json", made)
        done = fathomline("import-instrument", alone, "--dry-run")
        assert done.status == 1
        assert "alone.json: missing: /population: " in done.out
        body = {"questionnaire": made, "definition": {name: lamp()[name] for name in CANNOT_SAY}, "golden": GOLDEN}
        whole = written(tmp_path, "whole.json", body)
        assert fathomline("import-instrument", whole, "--dry-run").status == 0

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("a.yaml", "a: [", "a.yaml:2: not YAML"),
            ("a.yaml", "a: 1\na: 2", "a.yaml:2: the key 'a' occurs twice"),
            ("a.json", "{", "is not JSON"),
            ("a.json", '{"a": 1, "a": 2}', "is not JSON"),
            ("a.json", "[]", "has to be an object"),
            ("a.yaml", "\ufeff", "the file is empty"),
            ("a.json", '{"resourceType": "Questionnaire"}', "/questionnaire/item"),
        ],
    )
    def test_what_cannot_be_read(
        self, fathomline: CommandLine, tmp_path: Path, name: str, text: str, said: str
    ) -> None:
        (tmp_path / name).write_text(text, encoding="utf-8")
        done = fathomline("import-instrument", tmp_path / name, "--dry-run")
        assert done.status == 2
        assert said in done.err

    def test_no_file(self, fathomline: CommandLine, tmp_path: Path) -> None:
        done = fathomline("import-instrument", tmp_path / "none.yaml", "--dry-run")
        assert (done.status, "cannot be read" in done.err) == (2, True)

    def test_golden_cases_twice(self, fathomline: CommandLine, tmp_path: Path) -> None:
        golden = written(tmp_path, "cases.yaml", GOLDEN)
        done = fathomline("import-instrument", EXAMPLE, "--golden", golden, "--dry-run")
        assert (done.status, "leave out --golden" in done.err) == (2, True)

    def test_a_format_that_is_none(self, fathomline: CommandLine) -> None:
        assert fathomline("export-instrument", "fsfi", "--format", "xml").status == 2
