"""The pages in Chromium, with a provider that is not ours, judged by axe-core: by keyboard, and without scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from playwright.async_api import Browser, Page, async_playwright

import instruments
from api.settings import Settings
from tests.fhir.conftest import lacking
from tests.fhir.node import OLDEST, chromium, node_version
from tests.invented import make_pack
from tests.pages.clinic import Clinic, make_clinic
from tests.pages.serving import AXE, Site, site, tab_to, violations
from tests.pages.test_couple import make_couple
from tests.pages.test_enter import put_pack

PHONE = {"width": 320, "height": 640}  # the narrowest that has to do (WCAG 1.4.10)
DESK = {"width": 1280, "height": 900}
CONFIDENTIAL = "a secret + of / tests"


@pytest.fixture(scope="module")
async def chrome() -> AsyncIterator[Browser]:
    """This machine's Chromium; none is ever downloaded."""
    command = chromium()
    if command is None:
        lacking("no Chromium is installed, so the pages are not looked at (apt-get install chromium)")
    if node_version() < OLDEST or not AXE.is_file():
        lacking(f"no Node {OLDEST} or newer, or not the packages of tests/pages: no page is judged (make setup)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=command, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def there(settings: Settings, chrome: Browser) -> AsyncIterator[Site]:
    async with site(settings, chrome, "public") as made:
        yield made


@pytest.fixture(scope="module")
async def clinic(there: Site) -> Clinic:
    return await make_clinic(there.app)


async def sign_in(page: Page, clinic: Clinic, who: str = "c-1|clinician") -> None:
    """At the provider."""
    await page.goto("/app")
    await page.get_by_role("link", name="Sign in at").click()
    await page.get_by_label("Who").fill(f"{who}|{clinic.slug}")
    await page.get_by_role("button", name="Enter").click()
    await page.wait_for_url("**/app**")


async def judged(there: Site, clinic: Clinic, scheme: str, viewport: dict[str, int]) -> None:
    async with there.visitor(color_scheme=scheme, viewport=viewport) as page:
        await page.goto("/app/sign-in")
        faults = {"sign-in": await violations(page)}
        await sign_in(page, clinic)
        for name, path in clinic.paths.items():
            await page.goto(path)
            for details in await page.locator("details").all():
                await details.locator("summary").click()
            faults[name] = await violations(page)
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                faults[name].append("the page is wider than the window")
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/session/end**")
        await page.goto("/app/sign-in/done")
        faults["refused"] = await violations(page)
        assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESK), ("dark", PHONE)], ids=["light-desk", "dark-phone"])
async def test_every_page_is_accessible(there: Site, clinic: Clinic, scheme: str, viewport: dict[str, int]) -> None:
    await judged(there, clinic, scheme, viewport)


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "viewport"), [("light", PHONE), ("dark", DESK)], ids=["light-phone", "dark-desk"])
async def test_every_page_is_accessible_otherwise(
    there: Site, clinic: Clinic, scheme: str, viewport: dict[str, int]
) -> None:
    await judged(there, clinic, scheme, viewport)


async def test_by_keyboard_and_without_scripts_somebody_who_is_worse_is_found_and_an_alert_acknowledged(
    there: Site, superuser: asyncpg.Connection
) -> None:
    clinic = await make_clinic(there.app)
    async with there.visitor(java_script_enabled=False, viewport=DESK) as page:
        await page.goto("/app/caseload?show=worse")
        await tab_to(page, "Sign in at 127.0.0.1")
        await page.keyboard.press("Enter")
        await page.get_by_label("Who").wait_for()
        await page.keyboard.type(f"c-1|clinician|{clinic.slug}")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/app/caseload?show=worse")
        assert await page.title() == "Caseload – Fathomline"

        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.innerText") == "Skip to the content"
        await page.keyboard.press("Enter")
        await tab_to(page, "A-17")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{clinic.paths['client']}")
        assert await page.get_by_role("heading", level=1).inner_text() == "Client A-17"
        assert "worse" in await page.get_by_role("row", name="Patient Health Questionnaire-9").inner_text()
        picture = page.get_by_role("img")
        assert "Worse: 18 points worse than at the start" in str(await picture.get_attribute("alt"))
        await picture.scroll_into_view_if_needed()
        await page.wait_for_load_state("networkidle")
        assert await picture.evaluate("one => one.naturalWidth") > 600

        await tab_to(page, "Total: every measurement as a table")
        await page.keyboard.press("Enter")
        table = page.get_by_role("table", name="measurements, oldest first")
        assert "Amended." in await table.inner_text()
        await tab_to(page, "6 Mar 2026")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{clinic.paths['explain']}")
        assert "2 + 2 + 2 + 2 + 2 + 2 + 2 + 2 + 2 = 18" in await page.get_by_role("main").inner_text()
        await page.go_back()

        await page.goto(clinic.paths["client"])
        await tab_to(page, "thoughts of death or self-harm")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{clinic.paths['alert']}")
        await tab_to(page, "Note")
        await page.keyboard.type("Called her; safe tonight.")
        await tab_to(page, "Acknowledge this alert")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**?said=acknowledged")
        assert await page.get_by_role("status").inner_text() == "The alert is acknowledged."
        assert "Called her; safe tonight." in await page.get_by_role("main").inner_text()
        assert await page.evaluate("document.cookie") == "", "no script could read the session"
    by = await superuser.fetchval(
        "select by from alert_acknowledgement a join alert using (organisation_id) where alert.id::text = $1",
        clinic.alert_id,
    )
    assert by == "c-1"


@pytest.mark.long
async def test_a_form_of_another_site_cannot_sign_anybody_out(there: Site, clinic: Clinic) -> None:
    """From another site the browser leaves the cookie out; and were it there, the form would be refused."""
    async with there.visitor() as page:
        await sign_in(page, clinic)
        elsewhere = there.issuer.replace("127.0.0.1", "localhost")
        await page.route(f"{elsewhere}/**", lambda route: route.fulfill(
            content_type="text/html",
            body=f'<title>a</title><form method="post" action="{there.base}/app/sign-out"><button>go</button></form>',
        ))  # fmt: skip
        await page.goto(elsewhere)
        async with page.expect_navigation():
            await page.get_by_role("button").click()
        assert page.url.startswith(f"{there.base}/app/sign-in")
        await page.goto("/app/alerts")
        assert await page.get_by_role("heading", level=1).inner_text() == "Alerts"


@pytest.mark.long
async def test_no_page_lets_itself_be_framed(there: Site) -> None:
    context = await there.browser.new_context()
    page = await context.new_page()
    await page.goto(f"{there.issuer}/framing")
    await page.wait_for_load_state("networkidle")
    _, ours, theirs = page.frames
    assert "Provider" in await theirs.content(), "what may be framed is"
    assert "Fathomline" not in await ours.content()
    await context.close()


@pytest.mark.long
async def test_a_client_with_a_secret_and_what_the_provider_says_when_it_refuses(
    settings: Settings, chrome: Browser
) -> None:
    async with site(settings, chrome, "confidential", CONFIDENTIAL) as made:
        clinic = await make_clinic(made.app)
        async with made.visitor() as page:
            await sign_in(page, clinic, "boss|admin")
            assert await page.get_by_role("heading", level=1).inner_text() == "Welcome, boss"
            await page.get_by_role("button", name="Sign out").click()
            await page.wait_for_url("**/session/end**")
    async with site(settings, chrome, "confidential", "another secret") as made:
        clinic = await make_clinic(made.app)
        context = await made.browser.new_context(base_url=made.base)
        page = await context.new_page()
        await sign_in(page, clinic)
        assert "invalid_client" in await page.get_by_role("main").inner_text()
        await page.goto("/app")
        await page.get_by_role("link", name="Sign in at").click()
        if await page.get_by_label("Who").count():
            await page.get_by_role("button", name="Leave").click()
            text = await page.get_by_role("main").inner_text()
            assert "access_denied" in text
            assert "The person <b>left</b>" in text, "word for word, and as words"
        await context.close()


async def test_by_keyboard_a_response_is_entered_its_alert_is_seen_and_the_chart_changes(there: Site) -> None:
    clinic = await make_clinic(there.app)
    async with there.visitor(viewport=DESK) as page:
        await sign_in(page, clinic)
        await page.goto(clinic.paths["client"])
        before = await page.get_by_role("img").get_attribute("alt")
        await tab_to(page, "Enter a response")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{clinic.paths['enter']}")
        await tab_to(page, "Find a questionnaire")
        await page.keyboard.type("patient depression 9")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**?q=patient+depression+9")
        await tab_to(page, "Patient Health Questionnaire-9")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{clinic.paths['entry']}")

        await page.get_by_label("Day it was filled in").fill("2999-01-01")
        for item in range(1, 10):
            button = page.locator(f'[name="a-{item}"][value=""]')
            await button.focus()
            await page.keyboard.press("ArrowRight")  # from the last, not answered, on to the first
            if item == 9:
                await page.keyboard.press("ArrowRight")
        await tab_to(page, "Record this response")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="There is a problem").wait_for()
        assert (await page.title()).startswith("Problem: ")
        assert await violations(page) == []
        await tab_to(page, "Day: is not in the future")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "day", "the link leads to the field"
        await page.get_by_label("Day it was filled in").fill("2026-04-06")
        assert await page.locator('[name="a-9"]:checked').get_attribute("value") == "1", "what was answered is kept"
        await tab_to(page, "Record this response")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/recorded")
        assert await page.get_by_role("heading", level=1).inner_text() == "Look at this now"
        assert await violations(page) == []
        await tab_to(page, "Back to the client")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{clinic.paths['client']}#phq-9")
        after = await page.get_by_role("img").get_attribute("alt")
        assert "18 points" in str(before)
        assert "6 Apr 2026" in str(after)
        assert after != before
        assert "6 Apr 2026" in await page.get_by_role("row", name="Patient Health Questionnaire-9").inner_text()

        await page.goto(clinic.paths["history"])
        await tab_to(page, "Put it right")  # of the newest, which stands first
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/amend")
        assert await page.locator('[name="a-9"]:checked').get_attribute("value") == "1", "what holds stands in the form"
        await page.locator('[name="a-9"]:checked').focus()
        await page.keyboard.press("ArrowLeft")
        await page.get_by_role("combobox", name="Why").focus()
        await page.keyboard.press("ArrowDown")
        await tab_to(page, "In your words")
        await page.keyboard.type("Read wrongly.")
        await tab_to(page, "Put it right")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/recorded")
        assert await page.get_by_role("heading", level=1).inner_text() == "Put right"
        assert await violations(page) == []


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESK), ("dark", PHONE)], ids=["light-desk", "dark-phone"])
async def test_couples_wordings_and_faults_are_accessible(there: Site, scheme: str, viewport: dict[str, int]) -> None:
    clinic = await make_clinic(there.app)
    two = await make_couple(clinic)
    await put_pack(clinic, make_pack(instruments.load("who-5")))
    entering = clinic.paths["enter"]
    async with there.visitor(color_scheme=scheme, viewport=viewport) as page:
        await sign_in(page, clinic)
        for path in (
            "/app/couples",
            two.path,
            f"{clinic.paths['goal_set']}?kind=target",
            *(f"{entering}/{code}" for code in ("who-5", "menqol", "fsfi", "csfq-14", "gas")),
        ):
            await page.goto(path)
            for details in await page.locator("details").all():
                await details.locator("summary").click()
            assert await violations(page) == [], path
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
        faulty = ("goal", "goal_set", "work", "work_set", "amend", "void")
        for path in (*(clinic.paths[name] for name in faulty), f"{entering}/who-5"):
            await page.goto(path)
            days = page.locator("input[type=date]")
            if await days.count():
                await days.first.fill("")
            await page.get_by_role("main").get_by_role("button").first.click()
            await page.get_by_role("heading", name="There").wait_for()
            assert await violations(page) == [], path
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), path
