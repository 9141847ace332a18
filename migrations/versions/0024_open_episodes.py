"""The open episodes of a clinician, and of an organisation, are found by an index

Revision: 0024
Date: 2026-11-22 16:26:00.000000
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0024"
down_revision: str | Sequence[str] | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_index(
        "ix_episode_open",
        "episode",
        ["organisation_id", "clinician", "client_id"],
        postgresql_where=sa.text("ended_on is null"),
    )


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.drop_index("ix_episode_open", "episode")
