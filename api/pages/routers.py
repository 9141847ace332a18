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
    couples,
    due,
    enter,
    explain,
    goal_set,
    goals,
    history,
    home,
    recorded,
    render,
    sign_in,
    void,
    work,
    work_set,
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
    couples.router,
    couple.router,
    goal_set.router,  # before the page of one goal, whose id could be anything
    goals.router,
    work_set.router,
    work.router,
    alerts.router,
    due.router,
)
