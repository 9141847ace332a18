"""Keys of organisations, consent to research with its history, and erasing a client for good

Revision: 0015
Date: 2026-11-22 12:27:10.118204

Organisations get their keys when they are first needed: making them takes the master key, which no migration has. See
`api.organisations.keys` for what becomes of identifiers that are hashed already.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.erasing import ONLY_REFUSE, REFUSE_CHANGE, Rows, erase_client

revision: str = "0015"
down_revision: str | Sequence[str] | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {
    "organisation_key": "select, insert, update (lookup_wrapped)",
    "research_consent": "select, insert",
    "erasure": "select",
    "erasure_certificate": "select, insert",
    "erasure_backup": "select, insert",
}
APPEND_ONLY = ("research_consent", "erasure", "erasure_certificate", "erasure_backup")

_MESSAGES = ("client", "response", "alert", "episode", "care_session", "couple_member", "goal", "assignment")
# Messages that wait come last, to be removed first: whoever hands one out meanwhile has then made all its deliveries.
ROWS: Rows = {
    "client": ("id", ()),
    "research_consent": ("client_id", ()),
    "episode": ("client_id", ()),
    "care_session": ("episode_id", ("episode",)),
    "couple_member": ("client_id", ()),
    "couple_consent": ("member_id", ("couple_member",)),
    "goal": ("client_id", ()),
    "goal_rating": ("goal_id", ("goal",)),
    "assignment": ("client_id", ()),
    "assignment_completion": ("assignment_id", ("assignment",)),
    "episode_protocol": ("client_id", ()),
    "protocol_slot": ("client_id", ()),
    "response": ("client_id", ()),
    "score": ("response_id", ("response",)),
    "superseded": ("response_id", ("response",)),
    "alert": ("client_id", ()),
    "alert_acknowledgement": ("client_id", ()),
    "idempotency_key": ("response_id", ("response",)),
    "webhook_delivery": ("resource_id", _MESSAGES),
    "outbox": ("resource_id", _MESSAGES),
}

# After the row is there, not before: then whoever was erasing the same client at the time has ended, and is seen.
REFUSE_ERASED = """
create function refuse_erased() returns trigger language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
  if exists (select from erasure where organisation_id = new.organisation_id and client_id = new.id) then
    raise exception 'the client was erased' using errcode = 'FL410';
  end if;
  return null;
end
$$
"""

# Row-level security binds the owner as well, so one organisation after the other. When it was said is not known: the
# day on which the client was made is the earliest that it can have been.
HISTORY = """
do $$
declare
  own uuid;
begin
  for own in select * from organisation_ids() loop
    perform set_config('fathomline.organisation_id', own::text, true);
    insert into research_consent (organisation_id, client_id, sequence, given, stated_on, recorded_at, recorded_by)
    select organisation_id, id, 1, true, (created_at at time zone 'utc')::date, updated_at, 'fathomline'
    from client where organisation_id = own and research_consent;
  end loop;
  perform set_config('fathomline.organisation_id', '', true);
end
$$
"""


def _erasure_tables() -> None:
    op.create_table(
        "erasure",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("key_fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("removed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("octet_length(key_fingerprint) = 32", name=op.f("ck_erasure_sha256")),
        sa.CheckConstraint("jsonb_typeof(removed) = 'object'", name=op.f("ck_erasure_removed_object")),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_erasure")),
        sa.UniqueConstraint("client_id", "organisation_id", name=op.f("uq_erasure_client_id_organisation_id")),
    )
    op.create_table(
        "erasure_certificate",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("octet_length(signature) = 64", name=op.f("ck_erasure_certificate_ed25519")),
        _of_erasure("erasure_certificate"),
        sa.PrimaryKeyConstraint("organisation_id", "erasure_id", name=op.f("pk_erasure_certificate")),
    )
    op.create_table(
        "erasure_backup",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=False),
        _of_erasure("erasure_backup"),
        sa.PrimaryKeyConstraint("organisation_id", "erasure_id", "folder", name=op.f("pk_erasure_backup")),
    )


def _of_erasure(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id", "erasure_id"], ["erasure.organisation_id", "erasure.id"], name=op.f(f"fk_{table}_erasure")
    )


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "organisation_key",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("lookup_wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_organisation_key_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_organisation_key")),
    )
    op.create_table(
        "research_consent",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("stated_on", sa.Date(), nullable=False),
        sa.Column("text_version", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_research_consent_sequence")),
        sa.ForeignKeyConstraint(
            ["organisation_id", "client_id"],
            ["client.organisation_id", "client.id"],
            name=op.f("fk_research_consent_client"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "client_id", "sequence", name=op.f("pk_research_consent")),
    )
    _erasure_tables()
    op.create_index(
        op.f("ix_response_episode_id"),
        "response",
        ["episode_id"],
        unique=False,
        postgresql_where=sa.text("episode_id is not null"),
    )
    op.create_index(
        op.f("ix_superseded_by_response_id"),
        "superseded",
        ["by_response_id"],
        unique=False,
        postgresql_where=sa.text("by_response_id is not null"),
    )
    op.execute(HISTORY)
    for table, rights in RIGHTS.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant {rights} on {table} to {SERVICE}")
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    op.execute(REFUSE_CHANGE)
    op.execute(REFUSE_ERASED)
    op.execute("create trigger not_erased after insert on client for each row execute function refuse_erased()")
    op.execute(erase_client(ROWS))
    op.execute("revoke execute on function erase_client from public")
    op.execute(f"grant execute on function erase_client to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function erase_client")
    op.execute("drop trigger not_erased on client")
    op.execute("drop function refuse_erased")
    op.execute(ONLY_REFUSE)
    op.drop_index(op.f("ix_superseded_by_response_id"), table_name="superseded")
    op.drop_index(op.f("ix_response_episode_id"), table_name="response")
    for table in ("erasure_backup", "erasure_certificate", "erasure", "research_consent", "organisation_key"):
        op.drop_table(table)
