"""Alerts: their kinds, thresholds and guidance of organisations, and who acknowledged what

Revision: 0012
Date: 2026-11-22 12:34:10.552817

An alert's status is the only thing about it that ever changes, and the service has no right to change it: it follows
from a row that is append-only, of `superseded` or of `alert_acknowledgement`, in the transaction that writes that row.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0012"
down_revision: str | Sequence[str] | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"
TENANT = "nullif(current_setting('fathomline.organisation_id', true), '')::uuid"
RIGHTS = {
    "alert_acknowledgement": "select",
    "alert_rule": "select, insert, update (retired_at, retired_by)",
    "alert_guidance": "select, insert, update",
}

# The status that the alert had: `open`, and then it is acknowledged now; any other, and nothing was done; null where
# there is no such alert. Of several at once, and of this and a correction, one takes the row and the others see it done.
ACKNOWLEDGE = """
create function acknowledge_alert(
  p_organisation_id uuid, p_id uuid, p_at timestamptz, p_by text, p_note_sealed bytea, p_event_id uuid
) returns text language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  whose uuid;
begin
  update alert a set status = 'acknowledged'
  where a.organisation_id = p_organisation_id and a.id = p_id and a.status = 'open'
  returning a.client_id into whose;
  if not found then
    return (select a.status from alert a where a.organisation_id = p_organisation_id and a.id = p_id);
  end if;
  insert into alert_acknowledgement (organisation_id, alert_id, client_id, at, by, note_sealed)
  values (p_organisation_id, p_id, whose, p_at, p_by, p_note_sealed);
  insert into outbox (organisation_id, id, topic, resource_id, created_at)
  values (p_organisation_id, p_event_id, 'alert.acknowledged', p_id, p_at);
  return 'open';
end
$$
"""

# What recording has to know of an organisation, in one round trip.
READ_SETTINGS = """
create function read_alert_settings(p_organisation_id uuid, out rules text, out guidance text)
language plpgsql security invoker as $$
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
  rules := (select json_agg(json_build_object('id', r.id, 'instrument', r.instrument, 'name', r.name,
                                              'severity', r.severity, 'when', r.condition) order by r.id)::text
            from alert_rule r where r.organisation_id = p_organisation_id and r.retired_at is null);
  guidance := (select g.entries::text from alert_guidance g where g.organisation_id = p_organisation_id);
end
$$
"""

FUNCTIONS = {"acknowledge_alert": ACKNOWLEDGE, "read_alert_settings": READ_SETTINGS}


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    for name, kind in (
        ("kind", "text not null default 'answers'"),
        ("origin", "text not null default 'recorded'"),
        ("scale", "text"),
        ("baseline_id", "uuid"),
        ("change", "double precision"),
    ):
        op.execute(f"alter table alert add column {name} {kind}")
    op.drop_constraint(op.f("ck_alert_status"), "alert", type_="check")
    for name, condition in (
        ("status", "status in ('open', 'acknowledged', 'superseded', 'historic')"),
        ("kind", "kind in ('answers', 'threshold', 'worsening')"),
        ("origin", "origin in ('recorded', 'import')"),
        ("baseline_of_worsening", "(kind = 'worsening') = (baseline_id is not null)"),
        ("change_of_worsening", "(kind = 'worsening') = (change is not null)"),
    ):
        op.create_check_constraint(op.f(f"ck_alert_{name}"), "alert", condition)
    columns = ["severity", "organisation_id", "created_at", "id"]
    op.create_index("ix_alert_listed", "alert", columns, unique=False)
    op.create_index("ix_alert_open", "alert", columns, unique=False, postgresql_where=sa.text("status = 'open'"))
    op.execute(f"revoke update (status) on alert from {SERVICE}")
    op.create_table(
        "alert_acknowledgement",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id", "alert_id"],
            ["alert.organisation_id", "alert.id"],
            name=op.f("fk_alert_acknowledgement_alert"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "client_id"],
            ["client.organisation_id", "client.id"],
            name=op.f("fk_alert_acknowledgement_client"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "alert_id", name=op.f("pk_alert_acknowledgement")),
    )
    op.create_index(op.f("ix_alert_acknowledgement_client_id"), "alert_acknowledgement", ["client_id"], unique=False)
    op.create_table(
        "alert_rule",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("condition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_by", sa.Text(), nullable=True),
        sa.CheckConstraint("severity in ('urgent', 'notice')", name=op.f("ck_alert_rule_severity")),
        sa.CheckConstraint("(retired_at is null) = (retired_by is null)", name=op.f("ck_alert_rule_retired_both")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_alert_rule_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "id", name=op.f("pk_alert_rule")),
    )
    op.create_table(
        "alert_guidance",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("entries", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_alert_guidance_version")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name=op.f("fk_alert_guidance_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_alert_guidance")),
    )
    for table, rights in RIGHTS.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy tenant on {table} "
            f"using (organisation_id = {TENANT}) with check (organisation_id = {TENANT})"
        )
        op.execute(f"grant {rights} on {table} to {SERVICE}")
    op.execute(
        "create trigger append_only before update or delete or truncate on alert_acknowledgement "
        "for each statement execute function refuse_change()"
    )
    for name, function in FUNCTIONS.items():
        op.execute(function)
        op.execute(f"revoke execute on function {name} from public")
        op.execute(f"grant execute on function {name} to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    for name in FUNCTIONS:
        op.execute(f"drop function {name}")
    for table in ("alert_guidance", "alert_rule", "alert_acknowledgement"):
        op.drop_table(table)
    op.execute(f"grant update (status) on alert to {SERVICE}")
    op.drop_index("ix_alert_open", table_name="alert")
    op.drop_index("ix_alert_listed", table_name="alert")
    for name in ("change_of_worsening", "baseline_of_worsening", "origin", "kind", "status"):
        op.drop_constraint(op.f(f"ck_alert_{name}"), "alert", type_="check")
    # Alerts that no longer wait are kept as what 0001 knows: somebody has seen to them.
    op.execute("alter table alert no force row level security")
    op.execute("update alert set status = 'acknowledged' where status <> 'open'")
    op.execute("alter table alert force row level security")
    op.create_check_constraint(op.f("ck_alert_status"), "alert", "status in ('open', 'acknowledged')")
    for name in ("change", "baseline_id", "scale", "origin", "kind"):
        op.drop_column("alert", name)
