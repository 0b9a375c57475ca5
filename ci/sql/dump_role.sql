-- The role that copies, for the restore drill and the rehearsal of migrations: it reads every row, and writes nothing.
-- Off by default: only a target with the capability `restore-drill` or `rehearsal` in fixtures/targets.toml uses it.
--
--   psql "$OWNER_DSN" -v ON_ERROR_STOP=1 -f ci/sql/dump_role.sql
--   psql "$OWNER_DSN" -c '\password synthetic_dump'    then set DUMP_DATABASE_URL (session mode: a pooler cannot dump)
--
-- Before PostgreSQL 16 only a superuser gives BYPASSRLS: where that is refused, DUMP_DATABASE_URL is the owner's own.

BEGIN;

DO $$
BEGIN
    IF to_regrole('synthetic_dump') IS NULL THEN
        -- Rows that row-level security hid would be missing in the dump; pg_dump refuses to make such a one.
        CREATE ROLE synthetic_dump BYPASSRLS;
    END IF;
END
$$;

ALTER ROLE synthetic_dump LOGIN CONNECTION LIMIT 3;
ALTER ROLE synthetic_dump SET default_transaction_read_only = on;
-- The session that holds the snapshot idles for as long as the dump takes, and not for ever.
ALTER ROLE synthetic_dump SET idle_in_transaction_session_timeout = '2h';
GRANT pg_read_all_data TO synthetic_dump;

COMMIT;
