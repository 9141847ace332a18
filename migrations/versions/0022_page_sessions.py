"""Who is signed in to the pages

Revision: 0022
Date: 2026-11-22 16:10:00.000000

Sessions come and go: the service may remove them, and of a row only the time of its last use ever changes.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | Sequence[str] | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "page_session",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(secret_hash) = 32", name=op.f("ck_page_session_secret_hash")),
        sa.CheckConstraint("started_at <= seen_at and started_at < ends_at", name=op.f("ck_page_session_order")),
        sa.PrimaryKeyConstraint("organisation_id", "secret_hash", name=op.f("pk_page_session")),
    )
    op.execute("alter table page_session enable row level security")
    op.execute("alter table page_session force row level security")
    op.execute(
        f"create policy tenant on page_session "
        f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
    )
    op.execute(f"grant select, insert, update (seen_at), delete on page_session to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.drop_table("page_session")
