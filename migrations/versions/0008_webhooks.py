"""Webhooks: endpoints, what becomes of each message, and the function that says where something waits

Revision: 0008
Date: 2026-11-22 10:05:31.204417
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
TABLES = ("webhook", "webhook_delivery")

# Workers deliver for all organisations, and the service cannot list those. It may only call this, which tells ids of
# organisations and endpoints and nothing else. As with forgotten keys (0003) it runs as the owner of the tables, and
# three policies for the owner alone open to it what waits, while it says so. Only organisations with an endpoint are
# looked at, so one without costs nothing; of their outboxes only what came after their oldest endpoint: ids begin with
# the time, in milliseconds. The five minutes are for clocks that differ. An endpoint is told once until whoever takes
# it is done with it, or dead. Planned on empty tables these look-ups would read whole ones: hence the settings.
DELIVERING = "current_setting('fathomline.delivering', true) = 'on'"
POLICIES = {
    "webhook": DELIVERING,
    "webhook_delivery": f"{DELIVERING} and state = 'pending'",
    "outbox": f"{DELIVERING} and delivered_at is null",
}
UUID_AT = """
create function first_uuid_at(p_at timestamptz) returns uuid language sql immutable parallel safe as $$
  select (lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$
"""
WAITING = """
create function webhooks_waiting(p_limit integer) returns table (organisation_id uuid, webhook_id uuid)
language plpgsql strict security definer set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off as $$
#variable_conflict use_column
begin
  perform set_config('fathomline.delivering', 'on', true);
  return query
    select o.organisation_id, null::uuid
    from (select w.organisation_id, min(w.created_at) as since from webhook w group by w.organisation_id) o
    where exists (
      select from outbox m where m.organisation_id = o.organisation_id and m.delivered_at is null
      and m.id >= public.first_uuid_at(o.since - interval '5 minutes'))
    limit p_limit;
  return query
    select w.organisation_id, w.id from webhook w
    where w.enabled and coalesce(w.paused_until, '-infinity') <= now() and coalesce(w.busy_until, '-infinity') <= now()
      and exists (
        select from webhook_delivery d
        where d.webhook_id = w.id and d.state = 'pending' and d.next_attempt_at <= now())
    limit p_limit;
  perform set_config('fathomline.delivering', '', true);
end
$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.create_table(
        "webhook",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_because", sa.Text(), nullable=True),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("previous_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("busy_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("enabled = (disabled_because is null)", name=op.f("ck_webhook_disabled_because")),
        sa.CheckConstraint(
            "disabled_because in ('administrator', 'gone', 'failing')", name=op.f("ck_webhook_disabled_reason")
        ),
        sa.CheckConstraint("(previous_sealed is null) = (previous_until is null)", name=op.f("ck_webhook_previous_both")),
        sa.CheckConstraint("cardinality(types) > 0", name=op.f("ck_webhook_types")),
        sa.CheckConstraint("updated_at >= created_at", name=op.f("ck_webhook_updated_after_created")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_webhook_version")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_webhook_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_webhook")),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('pending', 'delivered', 'failed', 'disabled')", name=op.f("ck_webhook_delivery_state")
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (next_attempt_at is not null)", name=op.f("ck_webhook_delivery_next_while_pending")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "webhook_id"],
            ["webhook.organisation_id", "webhook.id"],
            name=op.f("fk_webhook_delivery_webhook"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "webhook_id", "id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index(
        "ix_webhook_delivery_due",
        "webhook_delivery",
        ["webhook_id", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_delivery_undelivered",
        "webhook_delivery",
        ["webhook_id", "id"],
        unique=False,
        postgresql_where=sa.text("state in ('failed', 'disabled')"),
    )
    for table in TABLES:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant select, insert, update, delete on {table} to {SERVICE}")
    for table, waiting in POLICIES.items():
        op.execute(f"create policy delivering on {table} for select to current_user using ({waiting})")
    for function in (UUID_AT, WAITING):
        op.execute(function)
    for name in ("first_uuid_at", "webhooks_waiting"):
        op.execute(f"revoke execute on function {name} from public")
        op.execute(f"grant execute on function {name} to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function webhooks_waiting")
    op.execute("drop policy delivering on outbox")
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("drop function first_uuid_at")
