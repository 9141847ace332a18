"""References: what the course of a client is held against, version by version, and which one is in use since when

Revision: 0021
Date: 2026-11-22 16:05:00.000000

A reference holds parameters of a model and counts. Nothing in it is one person's, so erasing a client leaves it be.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import api.db

revision: str = "0021"
down_revision: str | Sequence[str] | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {
    "reference_set": "select, insert, update (state, active, failure, failure_detail, started_at, ended_at, persons, "
    "observations, horizon, model, report, staged)",
    "reference_use": "select, insert",
}
APPEND_ONLY = ("reference_use",)
KEY = ("instrument", "instrument_version", "variant", "scale", "format", "modality", "severity")


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "reference_set",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("instrument_version", sa.Integer(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=True),
        sa.Column("modality", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("failure_detail", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("persons", sa.Integer(), nullable=True),
        sa.Column("observations", sa.Integer(), nullable=True),
        sa.Column("horizon", sa.Float(), nullable=True),
        sa.Column("model", api.db.JSONText(), nullable=True),
        sa.Column("report", api.db.JSONText(), nullable=True),
        sa.Column("staged", api.db.JSONText(), nullable=True),
        sa.CheckConstraint(
            "state in ('queued', 'running', 'ready', 'refused', 'failed', 'withdrawn')",
            name=op.f("ck_reference_set_state"),
        ),
        sa.CheckConstraint("origin in ('episodes', 'data', 'parameters')", name=op.f("ck_reference_set_origin")),
        sa.CheckConstraint(
            "(state in ('refused', 'failed')) = (failure is not null)", name=op.f("ck_reference_set_failure")
        ),
        sa.CheckConstraint(
            "state not in ('ready', 'withdrawn') or model is not null", name=op.f("ck_reference_set_model")
        ),
        sa.CheckConstraint("not active or state = 'ready'", name=op.f("ck_reference_set_active")),
        sa.CheckConstraint("staged is null or state in ('queued', 'running')", name=op.f("ck_reference_set_staged")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_reference_set_number")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_reference_set_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_reference_set")),
    )
    op.create_index(
        "ix_reference_set_number",
        "reference_set",
        [*KEY, "number", "organisation_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_index(
        "ix_reference_set_active",
        "reference_set",
        [*KEY, "organisation_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "reference_use",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference_id", sa.Uuid(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.CheckConstraint("effect in ('activated', 'replaced', 'withdrawn')", name=op.f("ck_reference_use_effect")),
        sa.ForeignKeyConstraint(
            ["organisation_id", "reference_id"],
            ["reference_set.organisation_id", "reference_set.id"],
            name=op.f("fk_reference_use_reference_set"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_reference_use")),
    )
    op.create_index(op.f("ix_reference_use_reference_id_at"), "reference_use", ["reference_id", "at"])
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    for table, rights in RIGHTS.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant {rights} on {table} to {SERVICE}")


def downgrade() -> None:
    op.drop_table("reference_use")
    op.drop_table("reference_set")
