"""The function that reads a client's scores and keeps that they were read

Revision: 0002
Date: 2026-11-22 06:30:12.118204
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SERVICE = "fathomline_service"

# One call is one round trip: the organisation, the audit event and the rows. No row means that there is no such client
# (and the event says so); one row of nulls, a client without answers. The planner may not read whole tables here,
# whatever they held when a connection first planned this: a plan made on empty tables is kept, and would do so. For
# the same reason the organisation is left to row-level security and a time is asked for that every response has: on
# empty tables the primary key, which reads all responses of the organisation, must not look as good as their series.
READ_PROGRESS = """
create function read_progress(
  p_organisation_id uuid, p_subject text, p_role text, p_request_id text, p_event_id uuid,
  p_client_id uuid, p_instrument text, p_scale text
) returns table (
  instrument text, scale text, answered_at timestamptz, recorded_at timestamptz, response_id text,
  instrument_version integer, variant text, value double precision, status text, valid boolean
) language plpgsql security invoker
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  known boolean;
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
  known := exists (select from client where organisation_id = p_organisation_id and id = p_client_id);
  insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id, outcome)
  values (p_organisation_id, p_event_id, now(), p_subject, p_role, 'read', 'progress', p_client_id, p_request_id,
          case when known then 'done' else 'not-found' end);
  if known then
    return query
      select r.instrument, s.scale, r.answered_at, r.recorded_at, r.id::text, r.instrument_version, r.variant,
             s.value, s.status, s.valid
      from response r
      join score s on s.organisation_id = r.organisation_id and s.response_id = r.id
      where r.client_id = p_client_id and r.answered_at > '-infinity'
        and (p_instrument is null or r.instrument = p_instrument)
        and (p_scale is null or s.scale = p_scale);
    if not found then
      return next;
    end if;
  end if;
end
$$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute(READ_PROGRESS)
    op.execute("revoke execute on function read_progress from public")
    op.execute(f"grant execute on function read_progress to {SERVICE}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("drop function read_progress")
