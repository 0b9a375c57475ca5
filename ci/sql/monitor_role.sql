-- The role that verifies: it sees counters, the catalogue, and of customers' rows only ids, amounts, states and times.
-- No name, address, comment or password can leave through it, and it can write nothing.
--
--   psql "$OWNER_DSN" -f ci/sql/monitor_role.sql        by the owner of the tables; again after new tables, harmless
--   psql "$OWNER_DSN" -c '\password synthetic_monitor'  then set MONITOR_DATABASE_URL
--
-- Supabase: run it as `postgres` in session mode (port 5432). `ci/verify doctor production` says what is still unseen.

BEGIN;

DO $$
BEGIN
    IF to_regrole('synthetic_monitor') IS NULL THEN
        CREATE ROLE synthetic_monitor;
    END IF;
END
$$;

ALTER ROLE synthetic_monitor LOGIN NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT 3;
-- Row level security would hide rows without a word, and every invariant would look kept.
ALTER ROLE synthetic_monitor BYPASSRLS;

-- Seat belts: a session may undo them. What holds is that there is no grant to write.
ALTER ROLE synthetic_monitor SET default_transaction_read_only = on;
ALTER ROLE synthetic_monitor SET statement_timeout = '10s';
ALTER ROLE synthetic_monitor SET lock_timeout = '1s';
ALTER ROLE synthetic_monitor SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE synthetic_monitor SET search_path = pg_catalog;

GRANT pg_monitor TO synthetic_monitor;
-- It would open every column of every table.
REVOKE pg_read_all_data FROM synthetic_monitor;

GRANT USAGE ON SCHEMA public TO synthetic_monitor;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO synthetic_monitor;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO synthetic_monitor;

-- Exactly the columns that the checks in tests/database read.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM synthetic_monitor;
GRANT SELECT (id) ON public.users, public.courses TO synthetic_monitor;
GRANT SELECT (user_id, course_id) ON public.course_reviews TO synthetic_monitor;
GRANT SELECT (user_id, course_id, plan, progress, enrolled_at) ON public.course_enrollments TO synthetic_monitor;
GRANT SELECT (user_id, course_id, stripe_session_id, amount, status, created_at) ON public.payments TO synthetic_monitor;

GRANT USAGE ON SCHEMA supabase_migrations TO synthetic_monitor;
GRANT SELECT ON supabase_migrations.schema_migrations TO synthetic_monitor;

-- pg_stat_statements lies in a schema of its own.
DO $$
DECLARE
    home name := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
                   WHERE extname = 'pg_stat_statements');
BEGIN
    IF home IS NOT NULL THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO synthetic_monitor', home);
    END IF;
END
$$;

COMMIT;
