"""Every page, in the order in which paths are tried. A new page is a module with a `router`, and a line here."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from api.pages import (
    alerts,
    amend,
    caseload,
    client,
    couple,
    due,
    enter,
    explain,
    goals,
    history,
    home,
    recorded,
    render,
    sign_in,
    void,
    work,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    render.router,
    sign_in.router,
    home.router,
    caseload.router,
    client.router,
    history.router,
    explain.router,
    enter.router,
    recorded.router,
    amend.router,
    void.router,
    couple.router,
    goals.router,
    work.router,
    alerts.router,
    due.router,
)
