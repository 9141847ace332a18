#!/bin/sh
# Point-in-time recovery of a PostgreSQL of your own, step by step; docs/backup.md explains it. Each step is a word:
#   point-in-time.sh archive  DATA ARCHIVE          settings by which the running server archives its log
#   point-in-time.sh base     BASE                  a base backup of the running server (PGHOST, PGPORT, PGUSER say which)
#   point-in-time.sh recover  BASE NEW ARCHIVE TIME a new data folder that recovers up to TIME when a server starts on it
#   point-in-time.sh prune    BASE ARCHIVE          removes the archived log from before a base backup
# PostgreSQL's programs are taken from TOOLS, else from the PATH. Run as the user who owns the server's files.
set -eu
tool() { name=$1; shift; if [ -n "${TOOLS:-}" ]; then "$TOOLS/$name" "$@"; else "$name" "$@"; fi; }
verify() {  # the pg_verifybackup of some builds does not run at all
  if tool pg_verifybackup --version > /dev/null 2>&1; then tool pg_verifybackup "$1"
  else echo "remark: no pg_verifybackup that runs; $1 was not compared with its manifest" >&2; fi
}

case "${1:-}" in
archive)
  data=$2 archive=$3
  mkdir -p -m 700 "$archive"
  # Copied under another name and renamed once it is on the disk, so half a file never counts; one that is there is kept.
  cat >> "$data/postgresql.auto.conf" <<CONF
wal_level = replica
archive_mode = on
archive_timeout = 60
archive_command = 'test ! -f "$archive/%f" && cp "%p" "$archive/.%f.new" && sync "$archive/.%f.new" && mv "$archive/.%f.new" "$archive/%f"'
CONF
  echo "restart the server once: archive_mode is read at its start"
  ;;
base)
  tool pg_basebackup --pgdata="$2" --format=plain --wal-method=stream --checkpoint=fast --manifest-checksums=SHA256
  verify "$2"
  ;;
recover)
  base=$2 new=$3 archive=$4 time=$5
  test ! -e "$new" || { echo "$new is there already" >&2; exit 1; }
  verify "$base"
  cp -a "$base" "$new"
  chmod 700 "$new"
  cat >> "$new/postgresql.auto.conf" <<CONF
archive_mode = off
restore_command = 'cp "$archive/%f" "%p"'
recovery_target_time = '$time'
recovery_target_action = 'promote'
CONF
  touch "$new/recovery.signal"
  echo "start the server on $new; it recovers up to $time, and then takes writes"
  ;;
prune)
  base=$2 archive=$3
  first=$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p' "$base/backup_label")
  tool pg_archivecleanup "$archive" "$first"
  ;;
*)
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
