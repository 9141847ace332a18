"""`fathomline token`: a bearer token of the development issuer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.security import issuer
from api.security.principal import ROLES
from api.settings import Settings, SettingsError


def token(
    organisation: Annotated[str, typer.Option(help="Slug of the organisation, such as demo.")],
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")],
    subject: Annotated[str, typer.Option(help="Who it is for; recorded with what they write.")] = "developer",
    minutes: Annotated[float, typer.Option(min=1, max=525_600, help="How long it is good for.")] = 480,
    data: Annotated[Path | None, typer.Option(help="Data folder of the service that is to accept it.")] = None,
) -> None:
    """Print a bearer token that a service on the same data folder accepts while its development issuer is on.

    The key is made only where FATHOMLINE_DEVELOPMENT_ISSUER is on; otherwise a service with it on, such as the demo,
    must have left its key in the data folder.
    """
    if role not in ROLES:
        raise SettingsError(f"there is no role {role!r}; the roles are {', '.join(ROLES)}")
    settings = Settings()
    try:
        found = issuer.load(data or settings.data, create=settings.development_issuer)
        typer.echo(found.token(organisation=organisation, role=role, subject=subject, minutes=minutes))
    except issuer.IssuerError as error:
        raise SettingsError(str(error)) from None


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(token)
