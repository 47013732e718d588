#!/bin/sh
# Makes the databases of a Temporal server in PostgreSQL, or brings them up to date. Where the
# server is, and who asks, is in SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD.
set -eu

update() { temporal-sql-tool --db "$1" update-schema --schema-name "postgresql/v12/$2"; }

for pair in temporal:temporal temporal_visibility:visibility; do
  db=${pair%:*} schema=${pair#*:}
  # One that is there is only brought up to date: set up anew, it would begin at version 0.
  if ! update "$db" "$schema"; then
    temporal-sql-tool --db "$db" create
    temporal-sql-tool --db "$db" setup-schema --version 0.0
    update "$db" "$schema"
  fi
done
