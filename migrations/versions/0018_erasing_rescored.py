"""Erasing a client removes what was scored anew as well

Revision: 0018
Date: 2026-11-22 12:52:40.310275
"""

from collections.abc import Sequence
from importlib import import_module

from alembic import op

from migrations.erasing import Rows, erase_client

revision: str = "0018"
down_revision: str | Sequence[str] | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BEFORE: Rows = import_module("migrations.versions.0015_keys_consent_erasure").ROWS
_MESSAGES = ("webhook_delivery", "outbox")
ROWS: Rows = (
    {table: how for table, how in BEFORE.items() if table not in _MESSAGES}
    | {"rescored": ("response_id", ("response",))}
    | {table: BEFORE[table] for table in _MESSAGES}
)


def upgrade() -> None:
    op.execute(erase_client(ROWS))


def downgrade() -> None:
    op.execute(erase_client(BEFORE))
