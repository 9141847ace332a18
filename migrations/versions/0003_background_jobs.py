"""Where background jobs are kept, and the function by which one of them forgets old idempotency keys

Revision: 0003
Date: 2026-11-22 07:45:12.402917

Jobs hold names of tasks and ids, nothing of anybody's health, and belong to no organisation: hence a schema of their
own, `jobs`, without row-level security, which the walk over all tables of tenants does not enter.
"""

from collections.abc import Sequence
from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"

# The library brings its schema as steps that never change, and as one file that does. Named steps make the same schema
# from whichever release of it is installed. A release that brings further ones needs a revision of ours that runs them:
# a test compares.
STEPS = (
    "00.00.00_01_initial",
    "00.05.00_01_drop_started_at_column",
    "00.05.00_02_drop_started_at_column",
    "00.05.00_03_drop_procrastinate_version_table",
    "00.06.00_01_fix_procrastinate_fetch_job",
    "00.07.01_01_fix_trigger_status_events_insert",
    "00.08.01_01_add_queueing_lock_column",
    "00.10.00_01_close_fetch_job_race_condition",
    "00.10.00_02_add_defer_job_function",
    "00.11.00_03_add_procrastinate_periodic_defers",
    "00.12.00_01_add_foreign_key_index",
    "00.14.00_01_add_locks_to_periodic_defer",
    "00.15.02_01_fix_procrastinate_defer_periodic_job",
    "00.16.00_01_add_finish_job_and_retry_job_functions",
    "00.17.00_01_add_trigger_on_job_deletion",
    "00.17.00_02_delete_finished_jobs",
    "00.17.00_03_add_checks_to_finish_job",
    "00.17.00_04_add_checks_to_retry_job",
    "00.18.01_01_fix_finish_job_compat_issue",
    "00.19.00_01_add_index_on_procrastinate_jobs",
    "00.22.00_01_add_kwargs_to_defer_periodic_job",
    "00.23.00_01_null_locks_excluded",
    "01.00.00_01_remove_old_finish_job_function",
    "01.01.01_01_job_id_bigint",
    "02.00.03_01_add_job_priority",
    "02.05.00_01_add_periodic_job_priority",
    "02.06.00_01_add_cancel_states",
    "02.08.00_01_add_additional_params_to_retry_job",
    "02.14.01_01_add_indexes_for_fetch_job",
    "03.00.00_01_pre_cancel_notification",
    "03.00.00_50_post_cancel_notification",
    "03.01.00_01_pre_add_heartbeat",
    "03.01.00_50_post_add_heartbeat",
    "03.02.00_01_pre_batch_defer_jobs",
    "03.02.00_50_post_batch_defer_jobs",
    "03.03.00_01_pre_priority_lock_fetch_job",
    "03.04.00_01_pre_add_retry_failed_job_procedure",
    "03.04.00_50_post_add_retry_failed_job_procedure",
)

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
    steps = Path(SchemaManager.get_migrations_path())
    for step in STEPS:
        # As the driver takes it: several statements at once, and a doubled percent sign for one.
        op.get_bind().exec_driver_sql((steps / f"{step}.sql").read_text(encoding="utf-8").replace("%", "%%"))
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
