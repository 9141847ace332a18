"""The right of access: one client's whole record, and nothing of anybody else's."""

from __future__ import annotations

import os
from pathlib import Path

from tests.api.people import People
from tests.exports.practice import lived


async def test_try(people: People) -> None:
    practice = await lived(people)
    answer = await people.ehr.http.get(f"/v1/clients/{practice.client}/record")
    assert answer.status_code == 200, answer.text
    Path("/tmp/fathom/exp_record.json").write_bytes(answer.content)
    answer = await people.ehr.http.get(f"/v1/clients/{practice.client}/record.pdf")
    assert answer.status_code == 200, answer.text
    Path("/tmp/fathom/exp_record.pdf").write_bytes(answer.content)
