"""The checks of documentation, contract and secrets: they pass on this tree, and fail where something is wrong."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from api.problems import catalogue
from scripts import check_docs, check_secrets, mutation, openapi

made = functools.cache(openapi.document)
"""The document of the application, which takes seconds to make."""


class TestContract:
    @pytest.fixture(autouse=True)
    def once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(openapi, "document", made)

    def test_what_is_committed_is_that_of_the_application(self) -> None:
        assert openapi.TARGET.read_text(encoding="utf-8") == made(), "run make openapi"

    def test_written_then_up_to_date(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = tmp_path / "openapi.json"
        assert openapi.main(["--check"], target) == 1
        assert "run make openapi" in capsys.readouterr().out
        assert not target.exists()
        assert openapi.main([], target) == 0
        assert openapi.main(["--check"], target) == 0
        text = target.read_text(encoding="utf-8")
        assert text.endswith("}\n")
        assert json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n" == text

    def test_a_change_is_shown(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = tmp_path / "openapi.json"
        target.write_text(openapi.document().replace('"checkAlive"', '"checkDead"'), encoding="utf-8")
        assert openapi.main(["--check"], target) == 1
        said = capsys.readouterr().out
        assert "checkDead" in said
        assert "checkAlive" in said

    def test_does_not_depend_on_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FATHOMLINE_DEVELOPMENT_ISSUER", "true")
        monkeypatch.setenv("FATHOMLINE_PORT", "not a number")
        assert made.__wrapped__() == made()


class TestDocumentation:
    def test_settings(self) -> None:
        page = "| `FATHOMLINE_PORT` | TCP port |\n\nFATHOMLINE_GONE was one.\n`FATHOMLINE_DATA`"
        assert list(check_docs.settings_faults(page, {"port", "host", "data"})) == [
            "docs/settings.md does not describe `FATHOMLINE_DATA`",
            "docs/settings.md does not describe `FATHOMLINE_HOST`",
            "docs/settings.md mentions FATHOMLINE_GONE, which is not a setting",
        ]

    def test_problems(self, tmp_path: Path) -> None:
        kinds = {slug: catalogue()[slug] for slug in ("not-found", "forbidden", "internal-error")}
        for slug in ("not-found", "forbidden"):
            page = (check_docs.ROOT / "docs" / "problems" / f"{slug}.md").read_text(encoding="utf-8")
            (tmp_path / f"{slug}.md").write_text(page.replace("Status: 403", "Status: 404"), encoding="utf-8")
        (tmp_path / "gone.md").write_text("# Gone\n", encoding="utf-8")
        assert list(check_docs.problem_faults(tmp_path, kinds)) == [
            "docs/problems/internal-error.md is missing",
            "docs/problems/gone.md describes a problem that does not exist",
            "docs/problems/forbidden.md lacks the line '- Status: 403'",
        ]

    def test_problems_of_this_tree(self) -> None:
        assert list(check_docs.problem_faults(check_docs.ROOT / "docs" / "problems", catalogue())) == []

    def test_commands(self) -> None:
        app, group = typer.Typer(), typer.Typer()
        for name in ("serve", "hidden"):
            app.command(name, hidden=name == "hidden")(lambda: None)
        group.command("check")(lambda: None)
        group.command("schema")(lambda: None)
        app.add_typer(group, name="instruments")
        names = set(check_docs.command_names(typer.main.get_command(app)))
        assert names == {"fathomline serve", "fathomline instruments check", "fathomline instruments schema"}
        assert list(check_docs.command_faults("`fathomline serve`, fathomline instruments checked", names)) == [
            "docs/cli.md does not mention `fathomline instruments check`",
            "docs/cli.md does not mention `fathomline instruments schema`",
        ]


class TestSecrets:
    KEY = "AKIA" + "Q7ZLFX3M2NPD5RTB"  # in two parts, or this file would be an alarm itself

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        """A repository with one innocent file and a baseline without alarms."""
        baseline = json.loads((check_secrets.ROOT / check_secrets.BASELINE).read_text(encoding="utf-8"))
        (tmp_path / check_secrets.BASELINE).write_text(json.dumps(baseline | {"results": {}}), encoding="utf-8")
        (tmp_path / "innocent.py").write_text("print('hello')\n", encoding="utf-8")
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
        return tmp_path

    def add(self, tree: Path, name: str, text: str) -> None:
        (tree / name).write_text(text, encoding="utf-8")
        subprocess.run(["git", "add", name], cwd=tree, check=True)

    def test_none(self, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert check_secrets.main(tree) == 0
        assert capsys.readouterr().out == "secrets: none (0 audited false alarms)\n"

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            (f"key = '{KEY}'", "AWS Access Key"),
            ("-----BEGIN EC " + "PRIVATE KEY-----", "Private Key"),
            ("url = 'postgresql://someone:" + "hunter2hunter2@db.example/x'", "Basic Auth Credentials"),
        ],
    )
    def test_found(self, tree: Path, capsys: pytest.CaptureFixture[str], text: str, kind: str) -> None:
        self.add(tree, "new.py", f"\n{text}\n")
        assert check_secrets.main(tree) == 1
        assert f"new.py:2: {kind}" in capsys.readouterr().out

    def test_what_git_does_not_know_is_not_read(self, tree: Path) -> None:
        (tree / "local.py").write_text(f"key = '{self.KEY}'\n", encoding="utf-8")
        assert check_secrets.main(tree) == 0

    def test_audited(self, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.add(tree, "new.py", f"key = '{self.KEY}'\n")
        path = tree / check_secrets.BASELINE
        baseline = json.loads(path.read_text(encoding="utf-8"))
        configuration = {name: baseline[name] for name in ("plugins_used", "filters_used")}
        ((_, line, kind, digest),) = {
            alarm for alarm in check_secrets.scan(tree, ["new.py"], configuration) if "AWS" in alarm[2]
        }
        alarm = {"type": kind, "filename": "new.py", "hashed_secret": digest, "line_number": line}

        def audit(**verdict: bool) -> int:
            path.write_text(json.dumps(baseline | {"results": {"new.py": [alarm | verdict]}}), encoding="utf-8")
            return check_secrets.main(tree)

        assert audit(is_secret=False) == 0
        assert audit() == 1
        assert audit(is_secret=True) == 1
        assert "not audited" in capsys.readouterr().out
        self.add(tree, "new.py", "nothing\n")
        assert audit(is_secret=False) == 1
        assert "nothing is left of the alarm in new.py" in capsys.readouterr().out


@pytest.mark.long
def test_what_mutation_copies_is_all_that_the_scoring_tests_need(tmp_path: Path) -> None:
    mutation.copy(tmp_path)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/scoring"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
