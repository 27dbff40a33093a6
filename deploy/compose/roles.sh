#!/bin/sh
# Run once by PostgreSQL's image on an empty data folder: two roles, so that the service cannot change its own audit log. Passwords come from files, never from argv.
set -eu
export PGPASSWORD="$(cat /run/postgres-secrets/superuser-password)"
psql --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres --quiet <<'SQL'
\set owner_password `cat /run/postgres-secrets/owner-password`
\set service_password `cat /run/postgres-secrets/service-password`
CREATE ROLE signet_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE signet_service LOGIN PASSWORD :'service_password';
CREATE DATABASE signet OWNER signet_owner;
REVOKE ALL ON DATABASE signet FROM PUBLIC;
GRANT CONNECT ON DATABASE signet TO signet_service;
SQL
