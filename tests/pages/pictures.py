"""Takes the pictures of docs/pages.md anew, from the demo, in Chromium: `python -m tests.pages.pictures`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.fhir.node import chromium
from tests.pages.serving import free_port

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
DESK, PHONE = {"width": 1100, "height": 760}, {"width": 390, "height": 844}
STARTS_WITHIN = 180.0


async def signed_in(browser: Browser, base: str, scheme: str, size: dict[str, int]) -> Page:
    context = await browser.new_context(base_url=base, color_scheme=scheme, viewport=size)
    page = await context.new_page()
    await page.goto("/app")
    await page.get_by_role("button", name="Clinician c-1").click()
    await page.get_by_role("heading", name="Caseload").wait_for()
    return page


async def taken(page: Page, name: str) -> None:
    await page.wait_for_load_state("networkidle")
    await page.screenshot(path=FOLDER / f"page-{name}.png")
    print(f"docs/pictures/page-{name}.png")  # noqa: T201  - a command


async def all_of(base: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = await signed_in(browser, base, "light", DESK)
        await taken(page, "caseload")
        await page.get_by_role("link", name="Getting worse").click()
        await page.locator("tbody a").first.click()
        worse = page.locator("article:has(.badge.worse)").first
        await worse.evaluate("one => one.scrollIntoView({behavior: 'instant'})")
        await worse.get_by_role("img").evaluate("one => one.decode()")
        await taken(page, "client")
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
