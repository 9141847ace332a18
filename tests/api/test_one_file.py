"""A new instrument is one YAML file and nothing else: it is listed, scored, explained, written as FHIR, and recorded.

A copy of the `instruments` package gets one more file, and a process of its own runs the project on it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import instruments
from tests.conftest import MASTER_KEY, Urls

ROOT = Path(__file__).parents[2]
LAMP = ROOT / "tests" / "definitions_good" / "lamp-3@1.yaml"

USE = """
import asyncio, json, sys
import httpx, pandas
import instruments, scoring
from api.app import create_app
from api.organisations.repository import ensure_organisation
from api.settings import Settings

lamp = instruments.load("lamp-3")
frame = scoring.score_frame(lamp, pandas.DataFrame([{"1": 4, "2": 4, "3": 0, "4": 2}]))
found = {
    "from": instruments.__file__,
    "codes": list(instruments.catalogue().codes),
    "frame": frame["total"].tolist(),
    "questions": [item["linkId"] for item in instruments.to_fhir(lamp)["item"]],
}

async def ask():
    app = create_app(Settings())
    async with app.router.lifespan_context(app):
        async with app.state.database.pool.acquire() as connection:
            await ensure_organisation(connection, "demo", "Demo")
        token = app.state.development_issuer.token(organisation="demo", role="ehr", subject="s")
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://service",
            headers={"Authorization": f"Bearer {token}"},
        )
        async with client:
            answers = {"1": 4, "2": 4, "3": 0, "4": 2}
            found["listed"] = [one["code"] for one in (await client.get("/v1/instruments?q=lamplight")).json()["items"]]
            scored = await client.post("/v1/instruments/lamp-3/score", json={"answers": answers})
            found["scored"] = scored.json()["scores"]["total"]["value"]
            person = (await client.post("/v1/clients", json={})).json()["id"]
            body = {"client_id": person, "instrument": "lamp-3", "answers": answers}
            body["answered_at"] = "2026-03-01T10:00:00Z"
            made = await client.post("/v1/responses", json=body)
            found["recorded"] = made.status_code
            explained = await client.get(made.headers["location"] + "/explain")
            found["explained"] = len(explained.json()["steps"])
            series = (await client.get(f"/v1/clients/{person}/progress")).json()["series"]
            found["progress"] = [one["scale"] for one in series]

asyncio.run(ask())
print(json.dumps(found))
"""


@pytest.fixture
def with_one_more(tmp_path: Path) -> Path:
    """A folder whose `instruments` are the project's and one more."""
    package = Path(instruments.__file__).parent
    shutil.copytree(package, tmp_path / "instruments", ignore=shutil.ignore_patterns("__pycache__"))
    text = LAMP.read_text(encoding="utf-8").replace("concerns: [ease]", "concerns: [well-being]")
    (tmp_path / "instruments" / "definitions" / LAMP.name).write_text(text, encoding="utf-8")
    return tmp_path


async def test_one_yaml_file_is_all_that_it_takes(with_one_more: Path, fresh_database: Urls) -> None:
    environment = os.environ | {
        "PYTHONPATH": f"{with_one_more}{os.pathsep}{ROOT}",
        "DATABASE_URL": fresh_database.service,
        "FATHOMLINE_DATA": str(with_one_more / "data"),
        "FATHOMLINE_MASTER_KEY": MASTER_KEY,
        "FATHOMLINE_DEVELOPMENT_ISSUER": "true",
        "FATHOMLINE_LOG_LEVEL": "error",
    }
    run = subprocess.run(
        [sys.executable, "-c", USE], capture_output=True, text=True, env=environment, cwd=with_one_more, check=False
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    assert Path(found["from"]).is_relative_to(with_one_more)
    assert set(found["codes"]) == {*instruments.catalogue().codes, "lamp-3"}
    # 4 + 4 + (4 - 0) of ease, and twice the two lamps that count at least 2
    assert (found["scored"], found["frame"], found["recorded"]) == (16.0, [16.0], 201)
    assert (found["listed"], found["progress"]) == (["lamp-3"], ["ease", "lamps", "total"])
    assert set("1234") <= set(found["questions"])
    assert found["explained"] > 3
