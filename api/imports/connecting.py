"""Connections of a run: they hold no other request up, so nothing but the run itself ends their statements."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg

from api.db import CONNECT_TIMEOUT, ORGANISATION_SETTING, driver_url

_SETTINGS = {
    "application_name": "fathomline-import",
    "statement_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    "timezone": "UTC",
    "jit": "off",
}


class Connect:
    """Opens connections to the database of ``url``, each confined to one organisation for good."""

    def __init__(self, url: str, organisation_id: uuid.UUID) -> None:
        self._url = driver_url(url, "psycopg").set(drivername="postgresql").render_as_string(hide_password=False)
        self._organisation_id = organisation_id

    def __call__(self) -> psycopg.Connection[Any]:
        """A connection on which every statement is a transaction, unless one is begun."""
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=round(CONNECT_TIMEOUT),
            options=" ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
        )
        connection.execute("select set_config(%s, %s, false)", (ORGANISATION_SETTING, str(self._organisation_id)))
        return connection
