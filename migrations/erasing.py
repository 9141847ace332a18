"""The function that erases a client, and the trigger that lets it: written out here for a given set of tables.

A migration that makes a table with rows of clients calls `erase_client` with all of them, in an order in which each
comes after those that its rows refer to; a test compares what is in the database with `api.tables.CLIENT_TABLES`.
"""

from __future__ import annotations

from collections.abc import Mapping

Rows = Mapping[str, tuple[str, tuple[str, ...]]]
"""By table: the column by which its rows are a client's, and the tables whose ids it names; none: the client's own."""

# Only `erase_client`, called by nobody but the session itself, removes rows of append-only tables. It is then the last
# line of the context: statements are quoted there, functions are not.
REFUSE_CHANGE = r"""
create or replace function refuse_change() returns trigger language plpgsql as $$
declare
  stack text;
begin
  get diagnostics stack = pg_context;
  if tg_op = 'DELETE' and stack ~ '\n[^\n"]*\merase_client\([^\n"]*$'
     and not exists (select from pg_proc where proname = 'erase_client' and pronamespace <> 'public'::regnamespace) then
    return null;
  end if;
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$
"""

ONLY_REFUSE = """
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$
"""
"""As it was before anything could be erased."""


def condition(table: str, rows: Rows) -> str:
    """The condition for the rows of one client."""
    column, parents = rows[table]
    own = f"{table}.organisation_id = p_organisation_id and {table}.{column}"
    if not parents:
        return f"{own} = p_client_id"
    ids = " union all ".join(f"select {parent}.id from {parent} where {condition(parent, rows)}" for parent in parents)  # noqa: S608  - names from migrations
    return f"{own} in ({ids})"


def erase_client(rows: Rows) -> str:
    """The function for these tables.

    Rows that others refer to are locked first, those of the client last: whoever adds to them at the same time has
    either committed, and is seen by the statements that follow, or waits and then finds nothing to refer to. Nobody
    who does so locks a client before what is the client's, so there is seldom a deadlock; the caller tries again.
    """
    parents = {parent for _, (_, parents) in rows.items() for parent in parents}
    locks = "\n".join(
        f"  perform from {table} where {condition(table, rows)} for update;"
        for table in reversed(rows)
        if table in parents or table == "client"
    )
    removals = "\n".join(
        f"  delete from {table} where {condition(table, rows)};\n"  # noqa: S608  - names from migrations
        "  get diagnostics number = row_count;\n"
        f"  removed := removed || jsonb_build_object('{table}', number);"
        for table in reversed(rows)
    )
    return f"""
create or replace function erase_client(
  p_organisation_id uuid, p_client_id uuid, p_erasure_id uuid, p_at timestamptz, p_by text, p_reason text,
  p_key_fingerprint bytea
) returns jsonb language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  number bigint;
  removed jsonb := '{{}}';
begin
  perform set_config('fathomline.organisation_id', p_organisation_id::text, true);
{locks}
  if not found then
    return null;
  end if;
{removals}
  insert into erasure (organisation_id, id, client_id, erased_at, erased_by, reason, key_fingerprint, removed)
  values (p_organisation_id, p_erasure_id, p_client_id, p_at, p_by, p_reason, p_key_fingerprint, removed);
  return removed;
end
$$
"""  # noqa: S608  - names from migrations
