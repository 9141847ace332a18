"""From the header to the principal: the cache of verified tokens, roles, organisations, rates."""

from __future__ import annotations

import asyncio
import base64
import time
import timeit
import uuid
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from api.problems import Forbidden, Problem, ServiceUnavailable, TooManyRequests, Unauthenticated
from api.security import principal, tokens
from api.security.keys import KeysUnavailable, PinnedKeys, PublicKey
from tests.security import forge

DEMO = uuid.UUID(int=1)
_ECDSA = ec.ECDSA(hashes.SHA256())


class Source:
    """Keys that can be withdrawn, counting how often they are asked for."""

    def __init__(self) -> None:
        self.pinned: PinnedKeys | None = PinnedKeys({"keys": [forge.jwk(forge.EC256, "ec256")]})
        self.asked = 0
        self.reachable = True

    async def find(self, key_id: str) -> PublicKey | None:
        self.asked += 1
        if not self.reachable:
            raise KeysUnavailable
        return await self.pinned.find(key_id) if self.pinned else None


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class World:
    def __init__(self, *, rate: float = 0, burst: int = 1, most_tokens: int = 100) -> None:
        self.clock = Clock()
        self.source = Source()
        self.looked_up: list[str] = []
        issuer = tokens.Issuer(forge.ISSUER, "demo", forge.AUDIENCE, tokens.ALGORITHMS, self.source)
        self.organisations = {"demo": DEMO}
        self.authenticator = principal.Authenticator(
            lambda name: issuer if name == forge.ISSUER else None,
            self.organisation_id,
            principal.RateLimit(rate, burst, clock=self.clock),
            clock=self.clock,
            most_tokens=most_tokens,
        )

    async def organisation_id(self, slug: str) -> uuid.UUID | None:
        self.looked_up.append(slug)
        return self.organisations.get(slug)

    async def ask(self, *authorization: str) -> principal.Principal:
        headers = [(b"host", b"x"), *((b"authorization", value.encode("latin-1")) for value in authorization)]
        return await self.authenticator.authenticate({"headers": headers, "state": {}})

    async def refused(self, *authorization: str) -> Problem:
        with pytest.raises(Problem) as caught:
            await self.ask(*authorization)
        return caught.value


async def test_principal_of_a_token() -> None:
    found = await World().ask(f"Bearer {forge.token(forge.claims(role='researcher'))}")
    assert found == principal.Principal(DEMO, "demo", "dr-a", "researcher", frozenset({"research:read"}))


class TestHeader:
    async def test_none(self) -> None:
        problem = await World().refused()
        assert isinstance(problem, Unauthenticated)
        assert problem.headers == {"WWW-Authenticate": 'Bearer realm="fathomline"'}

    @pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer:x", "token", "Bearer  x"])
    async def test_not_a_bearer_token(self, value: str) -> None:
        problem = await World().refused(value)
        assert isinstance(problem, Unauthenticated)
        assert problem.headers["WWW-Authenticate"] == 'Bearer realm="fathomline", error="invalid_token"'

    async def test_two_of_them(self) -> None:
        token = forge.token()
        assert "more than one" in str((await World().refused(f"Bearer {token}", f"Bearer {token}")).detail)

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    async def test_scheme_in_any_case(self, scheme: str) -> None:
        assert await World().ask(f"{scheme} {forge.token()}")


class TestRole:
    async def test_unknown(self) -> None:
        for role in ("owner", "Admin", "clinician ", "*"):
            problem = await World().refused(f"Bearer {forge.token(forge.claims(role=role))}")
            assert problem.detail == "The token's role is unknown."

    async def test_scope_claims_of_a_token_are_not_believed(self) -> None:
        body = forge.claims(role="researcher", scope="clients:read", scopes=["clients:read"], organisation="other")
        found = await World().ask(f"Bearer {forge.token(body)}")
        assert found.organisation == "demo"
        with pytest.raises(Forbidden, match="does not allow"):
            found.allow("clients:read")
        found.allow("research:read")

    def test_researchers_reach_research_only(self) -> None:
        assert principal.ROLES["researcher"] == {"research:read"}
        assert all("research:read" not in principal.ROLES[role] for role in ("ehr", "clinician"))

    def test_admin_records_no_answers(self) -> None:
        assert "responses:write" not in principal.ROLES["admin"]

    def test_unknown_scope_is_a_mistake_in_the_code(self) -> None:
        with pytest.raises(ValueError, match="clients:reed"):
            principal.require("clients:reed")

    def test_one_dependency_a_scope(self) -> None:
        assert principal.require("clients:read") is principal.require("clients:read")


class TestOrganisation:
    async def test_unknown(self) -> None:
        world = World()
        world.organisations.clear()
        problem = await world.refused(f"Bearer {forge.token()}")
        assert isinstance(problem, Unauthenticated)
        assert "organisation" in str(problem.detail)

    async def test_found_later(self) -> None:
        world = World()
        world.organisations.clear()
        token = forge.token()
        await world.refused(f"Bearer {token}")
        world.organisations["demo"] = DEMO
        assert (await world.ask(f"Bearer {token}")).organisation_id == DEMO

    async def test_looked_up_once(self) -> None:
        world = World()
        for subject in ("a", "b", "c"):
            await world.ask(f"Bearer {forge.token(forge.claims(sub=subject))}")
        assert world.looked_up == ["demo"]


class TestCache:
    async def test_verified_once(self) -> None:
        world, token = World(), forge.token()
        first = await world.ask(f"Bearer {token}")
        assert all([await world.ask(f"Bearer {token}") is first for _ in range(50)])
        assert world.source.asked == 1

    async def test_refusals_are_not_kept(self) -> None:
        world, token = World(), forge.token(key=forge.STRANGER)
        for _ in range(3):
            await world.refused(f"Bearer {token}")
        assert world.source.asked == 3
        assert not world.authenticator._known

    async def test_one_changed_character_is_another_token(self) -> None:
        world, token = World(), forge.token()
        await world.ask(f"Bearer {token}")
        middle = len(token) // 2
        changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
        assert isinstance(await world.refused(f"Bearer {changed}"), Unauthenticated)

    async def test_ends_with_the_token(self) -> None:
        world = World()
        token = forge.token(forge.claims(exp=int(time.time()) + 100)).encode()
        await world.ask(f"Bearer {token.decode()}")
        world.clock.now += 98
        assert world.authenticator.recall(token)
        world.clock.now += 3
        assert world.authenticator.recall(token) is None
        assert not world.authenticator._known

    async def test_withdrawn_key_ends_it(self) -> None:
        world = World()
        token = forge.token(forge.claims(exp=int(time.time()) + 100_000))
        await world.ask(f"Bearer {token}")
        world.source.pinned = None
        assert await world.ask(f"Bearer {token}")
        world.clock.now += principal.LONGEST_TRUST + 1
        assert isinstance(await world.refused(f"Bearer {token}"), Unauthenticated)

    async def test_bounded_and_the_one_used_longest_ago_goes(self) -> None:
        world = World(most_tokens=3)
        made = [forge.token(forge.claims(sub=str(at))).encode() for at in range(4)]
        for token in made[:3]:
            await world.ask(f"Bearer {token.decode()}")
        assert world.authenticator.recall(made[0])
        await world.ask(f"Bearer {made[3].decode()}")
        assert [bool(world.authenticator.recall(token)) for token in made] == [True, False, True, True]

    async def test_token_itself_is_not_kept(self) -> None:
        world, token = World(), forge.token()
        await world.ask(f"Bearer {token}")
        assert token not in repr(vars(world.authenticator))

    async def test_costs_a_fraction_of_a_signature(self) -> None:
        world, token = World(), forge.token()
        await world.ask(f"Bearer {token}")
        raw = token.encode()
        known = min(timeit.repeat(lambda: world.authenticator.recall(raw), number=2000, repeat=5)) / 2000
        public, signed, mark = forge.EC256.public_key(), *_parts(token)
        checked = min(timeit.repeat(lambda: public.verify(mark, signed, _ECDSA), number=50, repeat=5)) / 50
        assert known < checked / 5, f"{known * 1e6:.1f} µs against {checked * 1e6:.1f} µs for the bare signature check"


def _parts(token: str) -> tuple[bytes, bytes]:
    signed, _, last = token.rpartition(".")
    raw = base64.urlsafe_b64decode(last + "==")
    return signed.encode(), encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))


async def test_unreachable_issuer_is_our_fault_not_the_callers() -> None:
    world = World()
    world.source.reachable = False
    problem = await world.refused(f"Bearer {forge.token()}")
    assert isinstance(problem, ServiceUnavailable)
    assert problem.headers["Retry-After"] == "60"


class TestRate:
    async def test_burst_then_rate(self) -> None:
        world, token = World(rate=2, burst=3), forge.token()
        for _ in range(3):
            await world.ask(f"Bearer {token}")
        problem = await world.refused(f"Bearer {token}")
        assert isinstance(problem, TooManyRequests)
        assert problem.headers["Retry-After"] == "1"
        world.clock.now += 0.5
        await world.ask(f"Bearer {token}")
        await world.refused(f"Bearer {token}")

    async def test_retry_after_is_long_enough(self) -> None:
        world, token = World(rate=0.1, burst=1), forge.token()
        await world.ask(f"Bearer {token}")
        wait = int((await world.refused(f"Bearer {token}")).headers["Retry-After"])
        assert wait == 10
        world.clock.now += wait
        await world.ask(f"Bearer {token}")

    async def test_a_new_token_is_no_new_allowance(self) -> None:
        world = World(rate=1, burst=1)
        await world.ask(f"Bearer {forge.token()}")
        assert isinstance(await world.refused(f"Bearer {forge.token(forge.claims(jti='b'))}"), TooManyRequests)

    async def test_others_are_not_held_up(self) -> None:
        world = World(rate=1, burst=1)
        await world.ask(f"Bearer {forge.token()}")
        await world.ask(f"Bearer {forge.token(forge.claims(sub='dr-b'))}")

    async def test_counted_once_a_request(self) -> None:
        world = World(rate=1, burst=1)
        scope: dict[str, Any] = {"headers": [(b"authorization", f"Bearer {forge.token()}".encode())], "state": {}}
        assert await world.authenticator.authenticate(scope) is await world.authenticator.authenticate(scope)

    def test_memory_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(principal, "MOST_PRINCIPALS", 10)
        limit = principal.RateLimit(1, 1)
        for at in range(50):
            limit.take(principal.Principal(DEMO, "demo", str(at), "ehr", frozenset()))
        assert len(limit._due) == 10

    async def test_many_at_once_never_exceed_the_burst(self) -> None:
        world, token = World(rate=1, burst=5), forge.token()
        answers = await asyncio.gather(*(world.ask(f"Bearer {token}") for _ in range(30)), return_exceptions=True)
        assert sum(isinstance(answer, principal.Principal) for answer in answers) == 5
