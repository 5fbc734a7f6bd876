#!/bin/sh
# Run once by the PostgreSQL image on an empty data folder: a role and a database per service, each closed to the others.
set -eu
for service in invoice scheduler notifier escalation; do
    psql -v ON_ERROR_STOP=1 -v name="$service" -v password="$SERVICE_DB_PASSWORD" --username "$POSTGRES_USER" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
