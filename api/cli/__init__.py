"""The `fathomline` command. Each module of this package brings its commands by a function `register(app)`.

A fault of the user's is one line on standard error and exit status 2; anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import sys
from importlib import import_module

import typer
from pydantic import ValidationError

from api.embedded import EmbeddedError
from api.settings import SettingsError
from api.startup import StartupError

MODULES = ("serve", "token")
"""Modules whose commands there are."""

USER_ERRORS: tuple[type[Exception], ...] = (SettingsError, StartupError, EmbeddedError)
"""Told without a traceback: their messages say what is wrong and what to do."""


def application() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="fathomline",
        help="Outcome measurement for therapy.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # its tracebacks show local variables, which may be health data
    )
    for name in MODULES:
        import_module(f"api.cli.{name}").register(app)
    app.callback()(_root)
    return app


def _root() -> None:
    """Outcome measurement for therapy."""


def main() -> None:
    """Entry point of the `fathomline` script."""
    try:
        application()()
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors())
        _refuse(f"unusable settings: {'; '.join(faults)}")
    except USER_ERRORS as error:
        _refuse(str(error))


def _refuse(message: str) -> None:
    sys.stderr.write(f"fathomline: {message}\n")
    sys.exit(2)
