#!/bin/sh
# Make the secrets of compose.yaml in deploy/secrets, where they are not there yet. Existing ones are never changed:
# without its master key a database's identifiers cannot be read again, so keep a copy of that file apart from backups.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

put() {
  if [ ! -s "secrets/$1" ]; then
    printf '%s' "$2" > "secrets/$1"
    # Compose mounts the file as it is, and the container's user is not yours: only the folder is closed.
    chmod 0644 "secrets/$1"
    echo "made deploy/secrets/$1"
  fi
}

put postgres_password "$(random)"
put owner_password "$(random)"
put service_password "$(random)"
put master_key "$(random)"
put database_owner_url "postgresql://fathomline_owner:$(cat secrets/owner_password)@db:5432/fathomline"
put database_url "postgresql://fathomline_service:$(cat secrets/service_password)@db:5432/fathomline"
