#!/bin/bash
# Run by the database's image once, when its volume is empty: a database and a user each for the warehouse and for Airflow.
# Passwords reach psql through the environment, so that no process list shows them.
set -euo pipefail
psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv warehouse_password WAREHOUSE_DB_PASSWORD
\getenv airflow_password AIRFLOW_DB_PASSWORD
-- the warehouse's migrations make the roles of readers, and `warehouse bi` a database for the BI server's own tables;
-- its user may make both and is no superuser
create role warehouse login createrole createdb password :'warehouse_password';
create role airflow login password :'airflow_password';
-- text of the warehouse is compared byte by byte, as on the server that `make run` starts
create database warehouse owner warehouse template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8';
create database airflow owner airflow template template0 encoding 'UTF8' locale 'C.UTF-8';
revoke connect, temporary on database warehouse, airflow, postgres from public;
SQL
