"""The service on a port, an OpenID provider beside it, and browsers: all real."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page

from api.settings import Settings, SignInSettings

FOLDER = Path(__file__).parent
AXE = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
STARTS_WITHIN = 60.0


class Server(uvicorn.Server):
    """uvicorn, which leaves the signals to pytest."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


def bound() -> socket.socket:
    """A free port, held."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


def free_port() -> int:
    with closing(bound()) as held:
        port: int = held.getsockname()[1]
        return port


@asynccontextmanager
async def serving(app: FastAPI, held: socket.socket) -> AsyncIterator[None]:
    """The application, answering on a socket."""
    options: dict[str, Any] = {"log_config": None, "access_log": False, "http": "api.protocol:Protocol", "ws": "none"}
    server = Server(uvicorn.Config(app, lifespan="on", **options))
    running = asyncio.create_task(server.serve(sockets=[held]))
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            while not server.started:
                assert not running.done()
                await asyncio.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def provider(port: int, base: str) -> AsyncIterator[None]:
    """The provider of `provider.mjs`, until the end."""
    process = await asyncio.create_subprocess_exec(
        "node", str(FOLDER / "provider.mjs"), str(port), f"{base}/app/sign-in/callback", f"{base}/app/sign-in",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), STARTS_WITHIN)
        assert line == b"ready\n", "the provider does not start"
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


@dataclass(frozen=True)
class Site:
    """Where the service and its provider are."""

    app: FastAPI
    base: str
    issuer: str
    browser: Browser

    @asynccontextmanager
    async def visitor(self, **options: Any) -> AsyncIterator[Page]:
        """A browser of its own, whose pages may not complain of anything: no refused script, no missing picture."""
        context: BrowserContext = await self.browser.new_context(base_url=self.base, **options)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(f"{message.location['url']}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            yield page
        finally:
            await context.close()
        # pages that say why nobody is signed in, and what is wrong with a form
        meant = ("sign-in/done: Failed to load resource", "status of 422")
        ours = [text for text in complaints if text.startswith(self.base) and not any(one in text for one in meant)]
        assert not ours, ours  # the provider's pages may complain


@asynccontextmanager
async def site(settings: Settings, browser: Browser, client_id: str, secret: str | None = None) -> AsyncIterator[Site]:
    """The service with the provider, as a client with a secret or without one."""
    from api.app import create_app

    held, port = bound(), free_port()
    base, issuer = f"http://127.0.0.1:{held.getsockname()[1]}", f"http://127.0.0.1:{port}"
    sign_in = SignInSettings.model_validate(
        {
            "issuer": issuer,
            "client_id": client_id,
            "client_secret": secret,
            "algorithms": ("ES256",),
            "organisation_claim": "organisation",
            "subject_claim": "clinician",
        }
    )
    app = create_app(settings.model_copy(update={"public_url": base, "sign_in": sign_in}))
    async with provider(port, base), serving(app, held):
        yield Site(app, base, issuer, browser)


async def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        "async (rules) => (await axe.run({runOnly: rules})).violations"
        ".map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`)",
        RULES,
    )
    return [str(one) for one in found]


async def tab_to(page: Page, words: str, *, most: int = 80) -> None:
    """Press Tab until what has the focus says these words; whatever has it on the way can be seen to have it."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        told = await page.evaluate(
            "() => { const one = document.activeElement, look = getComputedStyle(one);"
            " const label = one.labels?.[0]?.innerText ?? '';"
            " const acts = ['A', 'BUTTON', 'SUMMARY', 'INPUT', 'SELECT', 'TEXTAREA'].includes(one.tagName);"
            " const said = label || one.innerText || one.value || '';"
            " return [said, look.outlineStyle, parseFloat(look.outlineWidth), acts] }"
        )
        assert told[1] != "none", f"the focus on {told[0]!r} cannot be seen"
        assert told[2] >= 2, f"the focus on {told[0]!r} can hardly be seen"
        if told[3] and words in told[0]:
            return
    raise AssertionError(f"{words!r} cannot be reached by the keyboard")
