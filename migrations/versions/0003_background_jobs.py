"""Where background jobs are kept, and the function by which one of them forgets old idempotency keys

Revision: 0003
Date: 2026-11-22 07:45:12.402917

Jobs hold names of tasks and ids, nothing of anybody's health, and belong to no organisation: hence a schema of their
own, `jobs`, without row-level security, which the walk over all tables of tenants does not enter.
"""

import hashlib
from collections.abc import Sequence

from alembic import op
from procrastinate.schema import SchemaManager

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"

# The library's own file of its release 3.10, which a later release may bring changed: then a fresh database would get
# what a revision of ours is yet to bring to the others. So another text is refused, and a test tells of it with the
# upgrade. (Its steps from the first release on cannot be run in one transaction before PostgreSQL 17.)
SCHEMA_SHA256 = "c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009"

RIGHTS = {
    "procrastinate_jobs": "select, insert, update, delete",
    "procrastinate_workers": "select, insert, update, delete",
    "procrastinate_periodic_defers": "select, insert, update, delete",
    "procrastinate_events": "select, insert",
}
"""What the service may do with each table of jobs."""

# Old keys are forgotten in all organisations, and nobody but their owner can list those. The service gets no policy
# that reaches beyond one organisation: it may only call this, which tells how many keys went and nothing of them.
# The function runs as the owner of the tables, whom forced row-level security binds as well; for the owner, and only
# while the function says so, two policies open keys that are older than a day, whatever it is called with.
# One caller at a time: others get null at once, and no two wait for each other's rows. The lock ends with the transaction, so
# a worker that is killed holds up nobody.
FORGETTING = "current_setting('fathomline.forgetting', true) = 'on' and created_at < now() - interval '1 day'"
FORGET = """
create function forget_idempotency_keys(p_days integer, p_limit integer) returns integer
language plpgsql strict security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  forgotten integer;
begin
  if not pg_try_advisory_xact_lock(x'464F5247'::integer) then  -- "FORG"
    return null;
  end if;
  perform set_config('fathomline.forgetting', 'on', true);
  delete from idempotency_key where ctid = any (array(
    select ctid from idempotency_key
    where created_at < now() - make_interval(days => p_days)
    order by created_at limit p_limit));
  get diagnostics forgotten = row_count;
  perform set_config('fathomline.forgetting', '', true);
  return forgotten;
end
$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("create schema jobs")
    op.execute("set local search_path = jobs")
    schema = SchemaManager.get_schema()
    if hashlib.sha256(schema.encode()).hexdigest() != SCHEMA_SHA256:
        raise RuntimeError("the installed procrastinate brings another schema than this revision makes")
    # As the driver takes it: several statements at once, and a doubled percent sign for one.
    op.get_bind().exec_driver_sql(schema.replace("%", "%%"))
    op.execute("set local search_path to default")
    op.execute(f"grant usage on schema jobs to {SERVICE}")
    for table, rights in RIGHTS.items():
        op.execute(f"grant {rights} on jobs.{table} to {SERVICE}")
    op.execute(f"grant usage on all sequences in schema jobs to {SERVICE}")
    op.execute("revoke execute on all functions in schema jobs from public")
    op.execute(f"grant execute on all functions in schema jobs to {SERVICE}")

    op.create_index(op.f("ix_idempotency_key_created_at"), "idempotency_key", ["created_at"], unique=False)
    for command in ("select", "delete"):
        op.execute(
            f"create policy forgetting_{command} on idempotency_key for {command} to current_user using ({FORGETTING})"
        )
    op.execute(FORGET)
    op.execute("revoke execute on function forget_idempotency_keys from public")
    op.execute(f"grant execute on function forget_idempotency_keys to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function forget_idempotency_keys")
    for command in ("select", "delete"):
        op.execute(f"drop policy forgetting_{command} on idempotency_key")
    op.drop_index(op.f("ix_idempotency_key_created_at"), table_name="idempotency_key")
    op.execute("drop schema jobs cascade")
