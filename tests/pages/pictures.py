"""Takes the pictures of docs/pages.md anew, from the demo, in Chromium: `python -m tests.pages.pictures`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Locator, Page, ViewportSize, async_playwright

from tests.fhir.node import chromium
from tests.pages.serving import free_port

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
DESK, PHONE = ViewportSize(width=1100, height=760), ViewportSize(width=390, height=844)
STARTS_WITHIN = 180.0
LARGEST = 150_000


async def signed_in(browser: Browser, base: str, scheme: Literal["light", "dark"], size: ViewportSize) -> Page:
    context = await browser.new_context(base_url=base, color_scheme=scheme, viewport=size)
    page = await context.new_page()
    await page.goto("/app")
    await page.get_by_role("button", name="Clinician c-1").click()
    await page.get_by_role("heading", name="Caseload").wait_for()
    return page


async def taken(page: Page, name: str) -> None:
    await page.wait_for_load_state("networkidle")
    path = FOLDER / f"page-{name}.png"
    await page.screenshot(path=path)
    assert path.stat().st_size < LARGEST, f"{path} is too large for the documentation"
    print(f"docs/pictures/page-{name}.png")  # noqa: T201  - a command


async def at(one: Locator) -> None:
    """To the picture of one measure."""
    await one.evaluate("one => one.scrollIntoView({behavior: 'instant'})")
    await one.get_by_role("img").evaluate("one => one.decode()")


async def goals_of_somebody(page: Page) -> None:
    """To the first of the caseload who has a goal that was rated, and work."""
    await page.goto("/app/caseload")
    for link in await page.locator("tbody th a").evaluate_all("all => all.map((one) => one.getAttribute('href'))"):
        await page.goto(f"{link}/goals")
        if await page.locator(".chart").count() and await page.locator("th a[href*='/work/']").count():
            return
    raise AssertionError("nobody has a goal and work")


async def all_of(base: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = await signed_in(browser, base, "light", DESK)
        await taken(page, "caseload")
        await page.get_by_role("link", name="Getting worse").click()
        await page.locator("tbody a").first.click()
        worse = page.locator("article:has(.badge.worse)").first
        await at(worse)
        await taken(page, "client")
        client = page.url
        await page.goto(f"{client}/enter/who-5")
        await page.get_by_label("Day it was filled in").fill("")
        await page.get_by_role("button", name="Record this response").click()
        await page.get_by_role("heading", name="There are problems").wait_for()
        await taken(page, "entry")
        await page.goto("/app/couples")
        await page.locator("tbody a").first.click()
        await at(page.locator("article:has(.badge.better)").first)
        await taken(page, "couple")
        await goals_of_somebody(page)
        await at(page.locator("figure.course"))
        await taken(page, "goals")
        page = await signed_in(browser, base, "dark", PHONE)
        await page.goto("/app/alerts?whose=all")
        await page.locator("tbody a").first.click()
        await taken(page, "alert-phone-dark")
        await browser.close()


async def main() -> None:
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FATHOMLINE_", "DATABASE_"))}
    with tempfile.TemporaryDirectory(prefix="fathomline-") as folder:
        command = Path(sys.executable).with_name("fathomline")
        process = await asyncio.create_subprocess_exec(
            command, "demo", "--port", str(port), cwd=folder, env=kept, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(STARTS_WITHIN):
                while not (await process.stdout.readline()).startswith(b"Ready"):
                    assert process.returncode is None
            await all_of(f"http://127.0.0.1:{port}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            await process.communicate()


if __name__ == "__main__":
    asyncio.run(main())
