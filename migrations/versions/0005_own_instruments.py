"""An organisation's own instruments: drafts, published versions, retirements

Revision: 0005
Date: 2026-11-22 09:05:12.402113

What was published, and that it was retired, is append-only as answers are: a score must find what it was made with.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
CODE = "code ~ '^own-[a-z0-9][a-z0-9_-]{0,35}$'"
RIGHTS = {
    "instrument_draft": "select, insert, update, delete",
    "own_instrument": "select, insert",
    "own_instrument_retirement": "select, insert",
}
APPEND_ONLY = ("own_instrument", "own_instrument_retirement")

# One round trip before each use of an own instrument; the definitions themselves are kept by who asks, as they never
# change. Without a code all of them; of each the newest version first.
READ_OWN_INSTRUMENT = """
create function read_own_instrument(p_organisation_id uuid, p_code text)
returns table (code text, version integer, checksum text, retired boolean)
language plpgsql security invoker as $$
#variable_conflict use_column
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
  return query
    select o.code, o.version, o.checksum, r.version is not null
    from own_instrument o
    left join own_instrument_retirement r
      on r.organisation_id = o.organisation_id and r.code = o.code and r.version = o.version
    where o.organisation_id = p_organisation_id and (p_code is null or o.code = p_code)
    order by o.code, o.version desc;
end
$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "instrument_draft",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("golden", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.CheckConstraint(CODE, name=op.f("ck_instrument_draft_code")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_instrument_draft_version")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_instrument_draft_revision")),
        sa.CheckConstraint("updated_at >= created_at", name=op.f("ck_instrument_draft_updated_after_created")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_instrument_draft_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "code", "version", name=op.f("pk_instrument_draft")),
    )
    op.create_table(
        "own_instrument",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("golden", sa.JSON(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.CheckConstraint(CODE, name=op.f("ck_own_instrument_code")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_own_instrument_version")),
        sa.CheckConstraint("checksum ~ '^[0-9a-f]{64}$'", name=op.f("ck_own_instrument_checksum")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_own_instrument_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "code", "version", name=op.f("pk_own_instrument")),
    )
    op.create_table(
        "own_instrument_retirement",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id", "code", "version"],
            ["own_instrument.organisation_id", "own_instrument.code", "own_instrument.version"],
            name=op.f("fk_own_instrument_retirement_own_instrument"),
        ),
        sa.PrimaryKeyConstraint(
            "organisation_id", "code", "version", name=op.f("pk_own_instrument_retirement")
        ),
    )
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
    op.execute(READ_OWN_INSTRUMENT)
    op.execute("revoke execute on function read_own_instrument from public")
    op.execute(f"grant execute on function read_own_instrument to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function read_own_instrument")
    for table in ("own_instrument_retirement", "own_instrument", "instrument_draft"):
        op.drop_table(table)
