"""What the pages do not take on, whoever is signed in: it would keep everybody else waiting."""

from __future__ import annotations

import asyncio
import struct
import sys
from http import HTTPStatus as Status

import pytest
from fastapi import FastAPI

from api.charts.render import Renderer
from api.charts.schemas import MOST_PIXELS
from tests.pages.clinic import Clinic, make_clinic
from tests.pages.test_couple import make_couple


@pytest.mark.parametrize("picture", ["chart.png?instrument=phq-9&", "goals/chart.png?"])
async def test_a_picture_has_no_more_pixels_than_one_of_the_api(clinic: Clinic, picture: str) -> None:
    path = f"/app/clients/{clinic.client_id}/{picture}"
    async with clinic.signed_in() as client:
        refused = await client.get(f"{path}width=4800&ppi=600")
        assert refused.status_code == Status.UNPROCESSABLE_ENTITY
        assert f"at most {MOST_PIXELS} pixels" in refused.text
        poster = await client.get(f"{path}width=4800")
        assert struct.unpack(">I", poster.content[16:20])[0] <= MOST_PIXELS


async def test_who_waits_for_a_picture_holds_no_connection(pages: FastAPI) -> None:
    two = await make_couple(await make_clinic(pages))
    pictures = (f"{two.path}/chart.png?instrument=phq-9", f"/app/clients/{two.clinic.client_id}/goals/chart.png")
    silent = (sys.executable, "-c", "import time; time.sleep(60)")
    usual = pages.state.renderer
    async with two.clinic.signed_in() as client, Renderer(command=silent, longest=0.3) as drawing:
        pages.state.renderer = drawing
        try:
            for picture in pictures:
                asked = asyncio.ensure_future(client.get(picture))
                while drawing._process is None:
                    await asyncio.sleep(0.01)
                assert pages.state.database.engine.pool.checkedout() == 0, picture
                assert (await asked).status_code == Status.SERVICE_UNAVAILABLE
        finally:
            pages.state.renderer = usual
