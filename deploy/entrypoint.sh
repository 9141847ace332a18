#!/bin/sh
# Runs the given command with secrets that were mounted as files: where DATABASE_URL_FILE names a readable file,
# DATABASE_URL is its content, and likewise for the owner's. (FATHOMLINE_MASTER_KEY_FILE the service reads itself.)
set -eu
for name in DATABASE_URL DATABASE_OWNER_URL; do
  eval "file=\${${name}_FILE:-}"
  if [ -n "$file" ]; then
    [ -r "$file" ] || { echo "entrypoint: ${name}_FILE names $file, which cannot be read by user $(id -u)" >&2; exit 2; }
    value=$(cat "$file")
    export "$name=$value"
    unset "${name}_FILE"
  fi
done
exec "$@"
