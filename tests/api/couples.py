"""What people usually do with couples."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.people import Person

SINCE = "2026-01-12"
MATCH = {"If-Match": "*"}


class Couple(str):
    """A couple's id, and its members' memberships by their clients' ids."""

    members: dict[str, str]


def of(client_id: str, couple: str = "") -> str:
    """A client's memberships, or the one in a couple; for a client who is not in it, that of somebody who is."""
    if isinstance(couple, Couple):
        couple = couple.members.get(client_id, next(iter(couple.members.values())))
    return f"/v1/clients/{client_id}/couples" + (f"/{couple}" if couple else "")


async def paired(person: Person, *clients: str) -> Couple:
    """A new couple."""
    answer = await person.http.post("/v1/couples", json={"clients": clients, "joined_on": SINCE})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    couple = Couple(made["id"])
    couple.members = {member["client_id"]: member["membership_id"] for member in made["members"]}
    return couple


async def says(person: Person, client_id: str, couple_id: str, given: bool, day: str = SINCE) -> dict[str, Any]:
    """A client consents, or withdraws."""
    answer = await person.http.post(f"{of(client_id, couple_id)}/consents", json={"given": given, "stated_on": day})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def leaves(person: Person, client_id: str, couple_id: str, day: str | None = "2026-03-01") -> httpx.Response:
    """A client leaves, or is back."""
    return await person.http.patch(of(client_id, couple_id), json={"left_on": day}, headers=MATCH)


async def opened(person: Person, size: int = 2) -> tuple[Couple, list[str]]:
    """A couple whose joint view is open, and its clients."""
    clients = [await person.client() for _ in range(size)]
    couple = await paired(person, *clients)
    for client in clients:
        await says(person, client, couple, True)
    return couple, clients
