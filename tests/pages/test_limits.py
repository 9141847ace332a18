"""What the pages do not take on, whoever is signed in: it would keep everybody else waiting."""

from __future__ import annotations

import struct
from http import HTTPStatus as Status

import pytest

from api.charts.schemas import MOST_PIXELS
from tests.pages.clinic import Clinic


@pytest.mark.parametrize("picture", ["chart.png?instrument=phq-9&", "goals/chart.png?"])
async def test_a_picture_has_no_more_pixels_than_one_of_the_api(clinic: Clinic, picture: str) -> None:
    path = f"/app/clients/{clinic.client_id}/{picture}"
    async with clinic.signed_in() as client:
        refused = await client.get(f"{path}width=4800&ppi=600")
        assert refused.status_code == Status.UNPROCESSABLE_ENTITY
        assert f"at most {MOST_PIXELS} pixels" in refused.text
        poster = await client.get(f"{path}width=4800")
        assert struct.unpack(">I", poster.content[16:20])[0] <= MOST_PIXELS
