-- The two roles and the database, on a PostgreSQL (15 or later) of your own. Once, as a superuser, with psql 15 or later:
--   FATHOMLINE_OWNER_PASSWORD=… FATHOMLINE_SERVICE_PASSWORD=… psql -d postgres -f deploy/postgres/roles.sql
-- The passwords are read from the environment, so that they stand in no command line and no history.
\set ON_ERROR_STOP on
\getenv owner_password FATHOMLINE_OWNER_PASSWORD
\getenv service_password FATHOMLINE_SERVICE_PASSWORD
\if :{?owner_password}
\else
  \warn 'set FATHOMLINE_OWNER_PASSWORD'
  select 1 / 0 as "no password for the owner role";
\endif
\if :{?service_password}
\else
  \warn 'set FATHOMLINE_SERVICE_PASSWORD'
  select 1 / 0 as "no password for the service role";
\endif

-- What fails, or is logged for being slow, would otherwise be kept in the server's log with the password in it.
set log_statement = 'none';
set log_min_error_statement = 'panic';
set log_min_duration_statement = -1;
set password_encryption = 'scram-sha-256';

-- Owns the tables; `fathomline migrate` connects as this role, and nothing else does.
create role fathomline_owner login nosuperuser nocreatedb nocreaterole noreplication nobypassrls
  password :'owner_password';
-- The service and its workers: owns nothing, and row-level security holds it to one organisation at a time.
create role fathomline_service login nosuperuser nocreatedb nocreaterole noreplication nobypassrls
  password :'service_password';

create database fathomline owner fathomline_owner template template0 encoding 'UTF8';
revoke all on database fathomline from public;
grant connect on database fathomline to fathomline_service;
