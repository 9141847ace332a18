"""The `fathomline` command. Each module of this package brings its commands by a function `register(app)`.

A fault of the user's is one line on standard error and exit status 2; anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module

import typer
from pydantic import ValidationError

COMMANDS = {
    "serve": "serve",
    "migrate": "serve",
    "worker": "worker",
    "verify": "verify",
    "backup": "backup",
    "restore": "backup",
    "keys": "keys",
    "token": "token",
    "demo": "demo",
    "score": "score",
    "change": "change",
    "instruments": "instruments",
    "import": "imports",
    "import-instrument": "own",
    "export-instrument": "own",
    "export": "archive",
    "rescore": "rescore",
}
"""Each command, and the module that brings it. Only the module of the command given is imported: scoring a file needs
neither the web framework nor the database."""

USER_ERRORS = (
    "api.cli.errors.UnusableInput",
    "api.settings.SettingsError",
    "pydantic_settings.exceptions.SettingsError",
    "api.startup.StartupError",
    "api.backups.errors.BackupError",
    "api.embedded.EmbeddedError",
)
"""Told without a traceback: their messages say what is wrong and what to do."""


COLLECTING = (20_000, 20, 20)
"""Thresholds of the garbage collector. With Python's own it walks through the libraries again and again while they are
imported, which takes a sixth of the time until a command begins its work."""


def application(command: str | None = None) -> typer.Typer:
    """The command line: with all its commands, or with those of the module that brings ``command``."""
    app = typer.Typer(
        name="fathomline",
        help="Outcome measurement for therapy.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # its tracebacks show local variables, which may be health data
    )
    modules = [COMMANDS[command]] if command in COMMANDS else dict.fromkeys(COMMANDS.values())
    for name in modules:
        import_module(f"api.cli.{name}").register(app)
    app.callback()(_root)
    return app


def _root() -> None:
    """Outcome measurement for therapy."""


def main() -> None:
    """Entry point of the `fathomline` script."""
    gc.set_threshold(*COLLECTING)
    try:
        application(sys.argv[1] if len(sys.argv) > 1 else None)()
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors())
        _refuse(f"unusable settings: {'; '.join(faults)}")
    except Exception as error:
        if not isinstance(error, _user_errors()):
            raise
        _refuse(str(error))


def _user_errors() -> tuple[type[Exception], ...]:
    """The classes of ``USER_ERRORS``; one whose module is not imported cannot have been raised."""
    names = (name.rpartition(".") for name in USER_ERRORS)
    return tuple(getattr(sys.modules[module], name) for module, _, name in names if module in sys.modules)


def _refuse(message: str) -> None:
    sys.stderr.write(f"fathomline: {message}\n")
    sys.exit(2)
