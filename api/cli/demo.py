"""`fathomline demo`: a synthetic clinic, served on this machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from fastapi import FastAPI

import instruments
import scoring
from api.cli.serve import listen, run, settings_with
from api.demo.clinic import Clinic, Showcase, clinic
from api.demo.course import episode_id
from api.demo.load import Loaded, load
from api.demo.people import Person
from api.demo.recording import recorded_at
from api.demo.stories import corrections
from api.security import issuer
from api.settings import Settings, SettingsError

OWN = "own-lantern"
"""The demo's own instrument; see `api/demo/invented.yaml`."""
LONG_SERIES = 8
"""Scores that make a chart worth a look."""


def demo(
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any free one.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
) -> None:
    """Serve a synthetic clinic: everybody in it is invented. Its database and keys lie in the data folder.

    The development issuer is on, so whoever can read the data folder can make tokens: not for real people's answers.
    """
    settings = settings_with(
        host=host, port=port, workers=1, development_issuer=True, generate_master_key=True, log_level=_level()
    )
    if settings.database_url is not None or settings.database_owner_url is not None:
        raise SettingsError("the demo brings a database of its own: unset DATABASE_URL and DATABASE_OWNER_URL")
    settings.require_master_key()
    planned = clinic()
    loaded: list[Loaded] = []

    async def fill(app: FastAPI) -> None:
        begun = time.monotonic()
        loaded.extend(await load(app.state.database.pool, app.state.keys, planned))
        seconds = time.monotonic() - begun
        for organisation in loaded:
            what = f"{organisation.slug:<6} {len(organisation.people):>4} people, {organisation.forms:>5,} forms"
            typer.echo(f"  {what}, {'written' if organisation.written else 'there already'}")
        typer.echo(f"  loaded in {seconds:.1f} s")

    def ready(bound: int) -> None:
        address = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  - compared only
        signer = issuer.load(settings.data, create=False)
        roles = ("clinician", "researcher", "admin")
        tokens = {role: signer.token(organisation=loaded[0].slug, role=role) for role in roles}
        typer.echo("\n".join(instructions(planned, loaded, f"http://{address}:{bound}", tokens, sys.argv[0])))

    listen(settings.host, settings.port).close()  # a port in use is told alone, before anything else
    typer.echo(f"A synthetic clinic on PostgreSQL under {_shown(settings.data)}; the first start takes some seconds.")
    with suppress(KeyboardInterrupt):  # uvicorn passes it on when all is closed
        run(settings, fill=fill, ready=ready)
    typer.echo("Stopped, and PostgreSQL with it.")


def _level() -> str | None:
    """Warnings only, unless the environment asks for more: the terminal is for the instructions."""
    return None if "log_level" in Settings().model_fields_set else "warning"


def _shown(folder: Path) -> str:
    return str(folder) if folder.is_absolute() else f"./{folder}"


def showcased(loaded: list[Loaded], wanted: Showcase) -> Person:
    """The person worth a look: of the wanted trajectory and with a long series, the one who has changed most."""
    instrument = instruments.load(wanted.form)

    def change(person: Person) -> float:
        values = []
        for form in person.forms:
            if form.instrument == wanted.form:
                result = scoring.score(instrument, form.answers)
                value = result.scores[wanted.scale].value
                if result.valid and value is not None:
                    values.append(value)
        return abs(values[-1] - values[0]) if len(values) >= LONG_SERIES else -1.0

    return max((person for person in loaded[0].people if person.trajectory == wanted.trajectory), key=change)


def before_correction(planned: Clinic, person: Person) -> str:
    """A moment at which a form of somebody's was recorded and not yet corrected, as a parameter of a request."""
    story = next(story for story in corrections(planned, (person,)) if story.right is not None)
    moment = recorded_at(story.first) + timedelta(days=1)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def instructions(
    planned: Clinic, loaded: list[Loaded], base: str, tokens: dict[str, str], command: str
) -> Iterator[str]:
    """What to open and to try, as lines that a shell takes as they are."""
    wanted = planned.showcase
    person = showcased(loaded, wanted)
    scale = f"instrument={wanted.form}&scale={wanted.scale}"
    client = f"$BASE/v1/clients/{person.id}"
    before = before_correction(planned, person)
    body = {
        "client_id": str(person.id),
        "instrument": wanted.form,
        "answered_at": f"{planned.last_day}T18:00:00Z",
        "answers": {item.id: wanted.all_answers for item in instruments.load(wanted.form).items},
    }
    yield f"""
Ready: {base}   (Ctrl-C stops it)

Open   {base}/app              (the pages: sign in as clinician c-1)
       {base}/health/ready
       {base}/openapi.json

Try, in another terminal of the same folder (tokens are good for 8 hours; new ones:
`{command} token --organisation {loaded[0].slug} --role clinician`):

BASE={base}
CLINICIAN={tokens["clinician"]}
RESEARCHER={tokens["researcher"]}
ADMIN={tokens["admin"]}

# who needs attention: an alert, harmed, deteriorated, not on track, overdue
curl -s -H "Authorization: Bearer $CLINICIAN" "$BASE/v1/caseload?clinician=c-1&limit=5"

# somebody whose scores improve: is it real change? and the chart
curl -s -H "Authorization: Bearer $CLINICIAN" "{client}/progress?{scale}"
curl -s -H "Authorization: Bearer $CLINICIAN" "{client}/progress.svg?{scale}" -o progress.svg

# what was known before a form of theirs was corrected, and the two pages for the next session
curl -s -H "Authorization: Bearer $CLINICIAN" "{client}/progress?{scale}&as_of={before}"
curl -s -H "Authorization: Bearer $CLINICIAN" "{client}/report.pdf" -o report.pdf

# what is due: overdue first; of everybody, or with &clinician=c-1; and the whole schedule of one episode
curl -s -H "Authorization: Bearer $CLINICIAN" "$BASE/v1/due?limit=5"
curl -s -H "Authorization: Bearer $CLINICIAN" "{client}/episodes/{episode_id(person)}/schedule"

# one more form: {wanted.form} with all answers {wanted.all_answers}
curl -s -X POST "$BASE/v1/responses" -H "Authorization: Bearer $CLINICIAN" \\
  -H "Content-Type: application/json" -H "Idempotency-Key: $(date +%s%N)" \\
  -d '{json.dumps(body, separators=(",", ":"))}'

# a form to show: of an invented questionnaire, since the text of published ones has to come from whoever holds it
curl -s -H "Authorization: Bearer $CLINICIAN" "$BASE/v1/instruments/{OWN}/form?language=en-GB"

# what a researcher may see: groups, never people; with &group_by=age_band groups become too small, and are withheld
curl -s -H "Authorization: Bearer $RESEARCHER" \\
  "$BASE/v1/research/aggregates?{scale}&measure=level"

# what an administrator may see: how those fared whose episodes have ended, and how these ended
curl -s -H "Authorization: Bearer $ADMIN" "$BASE/v1/organisation/outcomes?{scale}&group_by=modality"
"""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(demo)
