"""The audit trail's chain: links, signed heads, keys, and which client an event concerns

Revision: 0009
Date: 2026-11-22 10:08:40.552017
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {
    "audit_seal": "select, insert",
    "audit_head": "select, insert",
    "audit_client": "select, insert",
    # another master key seals the private half anew; the public half stays
    "audit_key": "select, insert, update (private_sealed)",
}
APPEND_ONLY = ("audit_seal", "audit_head", "audit_client")
SEARCHED = ("subject", "role", "action", "resource", "outcome")

# The chain is one for each organisation, and the service cannot list those. As with forgotten keys (0003) one function,
# which runs as the owner of the tables, may, by a policy for the owner alone while it says so. It tells ids only.
LISTING = "current_setting('fathomline.listing', true) = 'on'"
ORGANISATION_IDS = """
create function organisation_ids() returns setof uuid
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform set_config('fathomline.listing', 'on', true);
  return query select organisation_id from organisation order by 1;
  perform set_config('fathomline.listing', '', true);
end
$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "audit_key",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("private_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(public_key) = 32", name=op.f("ck_audit_key_ed25519")),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_audit_key")),
    )
    op.create_table(
        "audit_seal",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in SEARCHED),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_audit_seal_sequence")),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_audit_seal_sha256")),
        sa.PrimaryKeyConstraint("organisation_id", "sequence", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("event_id", "organisation_id", name=op.f("uq_audit_seal_event_id_organisation_id")),
    )
    for name in SEARCHED:
        op.create_index(
            f"ix_audit_seal_{name}",
            "audit_seal",
            [name, "organisation_id", "event_id"],
            unique=False,
            postgresql_where=sa.text("outcome not in ('done', 'created')") if name == "outcome" else None,
        )
    op.create_table(
        "audit_head",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("complete_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("previous >= 0 and previous < sequence", name=op.f("ck_audit_head_previous")),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_audit_head_sha256")),
        sa.CheckConstraint("octet_length(signature) = 64", name=op.f("ck_audit_head_ed25519")),
        sa.PrimaryKeyConstraint("organisation_id", "sequence", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "audit_client",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "client_id", "event_id", name=op.f("pk_audit_client")),
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
    op.execute(f"create policy listing on organisation for select to current_user using ({LISTING})")
    op.execute(ORGANISATION_IDS)
    op.execute("revoke execute on function organisation_ids from public")
    op.execute(f"grant execute on function organisation_ids to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function organisation_ids")
    op.execute("drop policy listing on organisation")
    for table in RIGHTS:
        op.drop_table(table)
