-- Makes the role that copies the database, for the restore drill and the rehearsal of migrations. It reads every row and
-- writes nothing. Only a target with the capability `restore-drill` or `rehearsal` in fixtures/targets.toml uses it.
--
--   psql "$OWNER_DSN" -v ON_ERROR_STOP=1 -f ci/sql/dump_role.sql
--   psql "$OWNER_DSN" -c '\password synthetic_dump'    then set DUMP_DATABASE_URL (session mode: a pooler cannot dump)
--
-- Before PostgreSQL 16 only a superuser may give BYPASSRLS. Where PostgreSQL refuses it, set DUMP_DATABASE_URL to the
-- owner's DSN.

BEGIN;

DO $$
BEGIN
    IF to_regrole('synthetic_dump') IS NULL THEN
        -- pg_dump fails where row-level security hides rows.
        CREATE ROLE synthetic_dump BYPASSRLS;
    END IF;
END
$$;

ALTER ROLE synthetic_dump LOGIN CONNECTION LIMIT 3;
ALTER ROLE synthetic_dump SET default_transaction_read_only = on;
-- The session that holds the snapshot is idle while the dump runs.
ALTER ROLE synthetic_dump SET idle_in_transaction_session_timeout = '2h';
GRANT pg_read_all_data TO synthetic_dump;

COMMIT;
