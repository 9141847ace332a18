"""Wording packs with their attestations

Revision: 0004
Date: 2026-11-23 08:10:21.530418

Append-only like answers: the service may add rows and read them, and a trigger refuses every change to everybody.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "wording_pack",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("instrument_version", sa.Integer(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("pack_version", sa.Integer(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("pack", sa.JSON(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("licence_reference", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.CheckConstraint("pack_version >= 1", name=op.f("ck_wording_pack_pack_version")),
        sa.CheckConstraint("valid_until >= valid_from", name=op.f("ck_wording_pack_valid_in_order")),
        sa.CheckConstraint("withdrawn = (pack is null)", name=op.f("ck_wording_pack_pack_unless_withdrawn")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_wording_pack_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_wording_pack")),
        sa.UniqueConstraint(
            "instrument",
            "instrument_version",
            "language",
            "variant",
            "pack_version",
            "organisation_id",
            name="uq_wording_pack_pack_version",
        ),
    )
    op.execute(
        "create trigger append_only before update or delete or truncate on wording_pack "
        "for each statement execute function refuse_change()"
    )
    op.execute("alter table wording_pack enable row level security")
    op.execute("alter table wording_pack force row level security")
    op.execute(
        "create policy tenant on wording_pack "
        f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
    )
    op.execute(f"grant select, insert on wording_pack to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.drop_table("wording_pack")
