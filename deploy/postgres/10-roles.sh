#!/bin/sh
# Run once by the postgres image, when its data folder is new.
set -eu
FATHOMLINE_OWNER_PASSWORD=$(cat /run/secrets/owner_password)
FATHOMLINE_SERVICE_PASSWORD=$(cat /run/secrets/service_password)
export FATHOMLINE_OWNER_PASSWORD FATHOMLINE_SERVICE_PASSWORD
psql --no-psqlrc --username "$POSTGRES_USER" --dbname postgres --file /fathomline/roles.sql
unset FATHOMLINE_OWNER_PASSWORD FATHOMLINE_SERVICE_PASSWORD
