"""`fathomline instruments`: what is wrong is told with file, line and remedy, and what is published stays as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

import instruments
from instruments.catalogue import DEFINITIONS
from tests.cli.command import CommandLine

ROOT = Path(instruments.__file__).parents[1]
SCHEMA = ROOT / "instruments" / "instrument.schema.json"
CODES = instruments.catalogue().codes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Definitions of one's own: a copy of two."""
    for code in ("gad-7", "fsfi"):
        shutil.copy(DEFINITIONS / f"{code}@1.yaml", tmp_path)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def line_of(path: Path, words: str) -> int:
    return next(n for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if words in line)


def test_all_definitions_of_the_project_pass(fathomline: CommandLine) -> None:
    outcome = fathomline("instruments", "check")
    assert (outcome.status, outcome.err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in outcome.out.splitlines() if "@" in line}
    assert set(rows) == {f"{code}@{v}" for code, versions in instruments.catalogue().versions.items() for v in versions}
    items, scales, variants, golden, *_ = rows["fsfi@1"]
    assert (items, scales, variants) == ("19", "7", "2")
    assert int(golden) == len(yaml.safe_load((ROOT / "tests" / "golden" / "fsfi.yaml").read_text(encoding="utf-8")))
    listed = instruments.catalogue().listed
    assert f"{len(rows)} definitions, {len(listed)} listed without scoring, 0 faults" in outcome.out
    for code, entry in listed.items():
        assert any(line.split()[:1] == [code] for line in outcome.out.splitlines()), code
        assert " ".join(entry.missing[-1].split()[:4]) in " ".join(outcome.out.split())
    assert "\x1b" not in outcome.out


def test_a_fault_of_shape_is_told_with_its_line(fathomline: CommandLine, folder: Path) -> None:
    path = folder / "gad-7@1.yaml"
    edit(path, "recall:", "recal:")
    outcome = fathomline("instruments", "check", folder)
    assert outcome.status == 1
    assert f"gad-7@1.yaml:{line_of(path, 'recal:')}: " in outcome.err
    assert "did you mean 'recall'?" in outcome.err
    assert "unreadable" in outcome.out
    assert "fsfi@1 " in outcome.out, "the others are checked as well"


def test_a_fault_of_compiling_is_told_with_the_line_of_its_scale_and_its_variant(
    fathomline: CommandLine, folder: Path
) -> None:
    path = folder / "fsfi@1.yaml"
    edit(path, "    max: 36", "    max: 35")
    outcome = fathomline("instruments", "check", path)
    assert outcome.status == 1
    (fault,) = [line for line in outcome.err.splitlines() if "strict" in line]
    assert fault.startswith(f"fsfi@1.yaml:{line_of(path, '- id: total')}: fsfi: scale 'total': min..max is 2..35")
    edit(path, "    max: 35", "    max: 36")
    edit(path, "prorate, min_answered: 5}, clamp: true}", "prorate, min_answered: 5}}")
    outcome = fathomline("instruments", "check", path)
    assert outcome.status == 1
    assert "say clamp: true (variant prorated)" in outcome.err
    assert "1 definition, 1 fault\n" in outcome.out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"code: \xff\n", "not UTF-8"),
        (b"", "new@1.yaml:1:"),
        (b"code: new\ncode: new\n", "new@1.yaml:2: /code: the key occurs twice"),
        (b"[1, 2", "not YAML"),
    ],
)
def test_unreadable_definitions(fathomline: CommandLine, folder: Path, content: bytes, words: str) -> None:
    (folder / "new@1.yaml").write_bytes(content)
    outcome = fathomline("instruments", "check", folder)
    assert outcome.status == 1
    assert words in outcome.err
    assert "Traceback" not in outcome.err


def test_a_file_of_another_name_is_refused(fathomline: CommandLine, folder: Path) -> None:
    (folder / "gad-7@1.yaml").rename(folder / "gad-7@2.yaml")
    outcome = fathomline("instruments", "check", folder)
    assert outcome.status == 1
    assert "rename the file to gad-7@1.yaml" in outcome.err


def test_nothing_to_check_is_no_success(fathomline: CommandLine, tmp_path: Path) -> None:
    for path, words in ((tmp_path, "no definition in this folder"), (tmp_path / "gone.yaml", "no such file")):
        outcome = fathomline("instruments", "check", path)
        assert outcome.status == 2
        assert words in outcome.err
        assert outcome.err.count("\n") == 1


def test_a_published_definition_may_not_change_nor_vanish(fathomline: CommandLine, folder: Path) -> None:
    first = fathomline("instruments", "publish", "gad-7", "--folder", folder)
    assert (first.status, first.out) == (0, "gad-7@1 is published\n")
    again = fathomline("instruments", "publish", "gad-7", "--folder", folder, "--version", "1")
    assert (again.status, again.out) == (0, "gad-7@1 is published already\n")
    assert fathomline("instruments", "publish", "fsfi", "--folder", folder).status == 0
    published = json.loads((folder / "published.json").read_text())
    assert published == {f"{code}@1": instruments.load(code).checksum for code in ("fsfi", "gad-7")}
    assert fathomline("instruments", "check", folder).status == 0

    path = folder / "gad-7@1.yaml"
    path.write_text("# a comment changes nothing\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert fathomline("instruments", "check", folder).status == 0
    edit(path, "Generalised", "Generalized")
    edited = fathomline("instruments", "check", folder)
    assert edited.status == 1
    assert "gad-7@1 was edited after it was published" in edited.err
    assert "make the change in gad-7@2.yaml" in edited.err
    refused = fathomline("instruments", "publish", "gad-7", "--folder", folder)
    assert refused.status == 2
    assert "make the change in gad-7@2.yaml" in refused.err
    path.unlink()
    missing = fathomline("instruments", "check", folder)
    assert missing.status == 1
    assert "gad-7@1.yaml:1: it was published and is missing" in missing.err


def test_what_is_wrong_or_unknown_is_not_published(fathomline: CommandLine, folder: Path) -> None:
    edit(folder / "fsfi@1.yaml", "    max: 36", "    max: 35")
    for code, words in (("fsfi", "min..max is 2..35"), ("no-such", "there is no instrument 'no-such'")):
        outcome = fathomline("instruments", "publish", code, "--folder", folder)
        assert outcome.status == 2
        assert words in outcome.err
    edit(folder / "gad-7@1.yaml", "recall:", "recal:")
    assert "did you mean 'recall'?" in fathomline("instruments", "publish", "gad-7", "--folder", folder).err
    assert not (folder / "published.json").exists()


def test_the_schema_that_is_committed_is_current(fathomline: CommandLine) -> None:
    outcome = fathomline("instruments", "schema")
    assert outcome.status == 0
    assert SCHEMA.read_text(encoding="utf-8") == outcome.out, "run make openapi"
    jsonschema.Draft202012Validator.check_schema(json.loads(outcome.out))


@pytest.fixture(scope="module")
def fits() -> jsonschema.Draft202012Validator:
    """The schema as it is published, itself checked above."""
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize("code", CODES)
def test_every_definition_fits_the_schema(fits: jsonschema.Draft202012Validator, code: str) -> None:
    text = (DEFINITIONS / f"{code}@1.yaml").read_text(encoding="utf-8")
    definition = yaml.load(text, Loader=yaml.CSafeLoader)
    fits.validate(definition)
    (fault,) = fits.iter_errors(definition | {"no_such_member": 1})
    assert "no_such_member" in fault.message


def test_the_list_names_every_instrument(fathomline: CommandLine) -> None:
    outcome = fathomline("instruments", "list")
    assert outcome.status == 0
    listed = [line.split()[0] for line in outcome.out.splitlines() if line.strip()]
    assert set(CODES) <= set(listed)
    assert "\x1b" not in outcome.out


def test_a_command_that_is_not_there_is_told(fathomline: CommandLine) -> None:
    for arguments in (["no-such"], ["instruments", "no-such"], ["score"]):
        outcome = fathomline(*arguments)
        assert outcome.status == 2
        assert "Traceback" not in outcome.err


def test_help_names_every_command() -> None:
    script = Path(sys.executable).with_name("fathomline")
    said = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("score", "instruments", "serve", "migrate", "token"):
        assert name in said


def test_only_faults_of_the_user_are_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug stays visible: it is not turned into a message."""
    import api.cli

    def broken(command: str | None = None) -> object:
        raise RuntimeError("a bug")

    monkeypatch.setattr(api.cli, "application", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        api.cli.main()


class TestQuestionnaire:
    def test_is_printed(self, fathomline: CommandLine) -> None:
        done = fathomline("instruments", "questionnaire", "fsfi", "--variant", "prorated")
        assert done.status == 0
        assert json.loads(done.out) == instruments.to_fhir(instruments.load("fsfi"), variant="prorated")

    def test_what_it_leaves_out(self, fathomline: CommandLine) -> None:
        done = fathomline("instruments", "questionnaire", "fsfi", "--left-out")
        lines = done.out.splitlines()
        assert len(lines) == len(instruments.not_expressed(instruments.load("fsfi")))
        assert any(line.startswith("cutoff dysfunction: ") for line in lines)

    @pytest.mark.parametrize(
        ("options", "words"), [(["nonesuch"], "no instrument"), (["fsfi", "--variant", "x"], "strict, prorated")]
    )
    def test_refused(self, fathomline: CommandLine, options: list[str], words: str) -> None:
        done = fathomline("instruments", "questionnaire", *options)
        assert done.status == 2
        assert words in done.err
        assert done.out == ""
