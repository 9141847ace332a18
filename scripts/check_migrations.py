"""Are the migrations whole? Up, compared with the metadata, down, and up again, on a server of its own.

`python -m scripts.check_migrations`: one line a check; exit status 1 at the first that fails.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from api import embedded, migrate


def leftovers(connection: Connection) -> list[str]:
    """What a downgrade to nothing has left in our schema, or as another one."""
    with connection.begin():
        rows = connection.execute(
            text(
                "select relname from pg_class where relnamespace = to_regnamespace('public') "
                "and relname not like 'alembic_version%' "
                "union all select proname from pg_proc where pronamespace = to_regnamespace('public') "
                "union all select nspname from pg_namespace "
                "where nspname not in ('public', 'information_schema') and nspname not like 'pg\\_%'"
            )
        )
        return [row[0] for row in rows]


def main() -> int:
    """Run the checks; the exit status."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    heads = ScriptDirectory.from_config(migrate.config()).get_heads()
    if len(heads) != 1:
        print(f"migrations have {len(heads)} heads: {', '.join(heads)}; merge them")
        return 1
    print(f"one head: {heads[0]}")
    with tempfile.TemporaryDirectory(prefix="fathomline-") as folder, embedded.acquire(Path(folder)) as lease:
        migrate.upgrade(lease.url_owner)
        print("up from nothing")
        with migrate.migrating(lease.url_owner) as connection:
            quiet = migrate.config(connection)
            quiet.print_stdout = lambda *_: None  # type: ignore[method-assign]  # its own line is replaced by ours
            try:
                command.check(quiet)
            except CommandError as error:
                print(f"the tables in the code are not those of the migrations: {error}")
                return 1
        print("no difference from the tables in the code")
        migrate.downgrade(lease.url_owner, "base")
        with migrate.migrating(lease.url_owner) as connection:
            if left := leftovers(connection):
                print(f"the way down leaves {', '.join(left)}")
                return 1
        print("down to nothing")
        migrate.upgrade(lease.url_owner)
        print("up again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
