-- Makes the role that the checks use, and the counters that it may call. The role reads the server's statistics and the
-- catalogue; of customers it reads counts only, and it writes nothing. ci/sql/README.md lists what it can still do.
--
--   psql "$OWNER_DSN" -v ON_ERROR_STOP=1 -f ci/sql/monitor_role.sql    as the owner of the tables; again at any time
--   psql "$OWNER_DSN" -c '\password synthetic_monitor'                 then set MONITOR_DATABASE_URL
--
-- On Supabase run it as `postgres` in session mode (port 5432). `ci/verify doctor production` says what the role cannot
-- see yet.

BEGIN;

DO $$
DECLARE
    needed regclass[];
    missing text;
    foreign_owned text;
BEGIN
    SELECT array_agg(to_regclass(name)) FILTER (WHERE to_regclass(name) IS NOT NULL),
           string_agg(name, ', ') FILTER (WHERE to_regclass(name) IS NULL)
      INTO needed, missing
      FROM unnest(ARRAY['public.users', 'public.user_profiles', 'public.courses',
                        'public.enrollments', 'public.lesson_progress',
                        'public.payment_transactions', 'public.course_reviews', 'supabase_migrations.schema_migrations']) AS name;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% is missing in the database "%"', missing, current_database()
            USING HINT = 'connect to the platform''s own database, after its migrations, and run this file again';
    END IF;
    SELECT string_agg(DISTINCT relowner::regrole::text, ', ') INTO foreign_owned
      FROM pg_class WHERE oid = ANY (needed) AND NOT pg_has_role(relowner, 'MEMBER');
    IF foreign_owned IS NOT NULL THEN
        RAISE EXCEPTION 'the tables belong to %, not to %', foreign_owned, current_user
            USING HINT = 'run this file as the owner of the tables';
    END IF;
    IF to_regrole('synthetic_monitor') IS NULL THEN
        CREATE ROLE synthetic_monitor;
    END IF;
    -- An earlier version gave these rights. Without the condition a managed server refuses the statement.
    IF (SELECT rolbypassrls FROM pg_roles WHERE rolname = 'synthetic_monitor') THEN
        ALTER ROLE synthetic_monitor NOBYPASSRLS;
    END IF;
    IF EXISTS (SELECT FROM pg_auth_members
                WHERE member = 'synthetic_monitor'::regrole AND roleid = 'pg_read_all_data'::regrole) THEN
        REVOKE pg_read_all_data FROM synthetic_monitor;
    END IF;
END
$$;

ALTER ROLE synthetic_monitor LOGIN CONNECTION LIMIT 3;

-- These protect against mistakes only: a session can undo them. The protection is that the role has no right to write.
ALTER ROLE synthetic_monitor SET default_transaction_read_only = on;
ALTER ROLE synthetic_monitor SET statement_timeout = '10s';
ALTER ROLE synthetic_monitor SET lock_timeout = '1s';
ALTER ROLE synthetic_monitor SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE synthetic_monitor SET search_path = pg_catalog;

GRANT pg_monitor TO synthetic_monitor;

-- The role reads no table of the platform, and no column of one.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM synthetic_monitor;
GRANT USAGE ON SCHEMA public TO synthetic_monitor;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO synthetic_monitor;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO synthetic_monitor;

GRANT USAGE ON SCHEMA supabase_migrations TO synthetic_monitor;
GRANT SELECT ON supabase_migrations.schema_migrations TO synthetic_monitor;

-- PostgreSQL lets every role make temporary tables and large objects, and before version 15 tables in `public`: these are
-- rights of PUBLIC, and one role cannot be excepted. So PUBLIC loses them, and every other role that exists gets them by
-- name. A role that is made later needs its own GRANT. Only their owner can take them away: on Supabase the functions
-- belong to another role, and large objects stay possible there.
DO $$
DECLARE
    privilege text;
    receiver name;
BEGIN
    FOR privilege IN
        SELECT format('TEMPORARY ON DATABASE %I', datname) FROM pg_database
         WHERE datname = current_database() AND pg_has_role(datdba, 'USAGE')
           AND has_database_privilege('synthetic_monitor', oid, 'TEMPORARY')
         UNION ALL
        SELECT 'CREATE ON SCHEMA public' FROM pg_namespace
         WHERE nspname = 'public' AND pg_has_role(nspowner, 'USAGE')
           AND has_schema_privilege('synthetic_monitor', oid, 'CREATE')
         UNION ALL
        SELECT format('EXECUTE ON FUNCTION %s', oid::regprocedure) FROM pg_proc
         WHERE pronamespace = 'pg_catalog'::regnamespace AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea')
           AND pg_has_role(proowner, 'USAGE') AND has_function_privilege('synthetic_monitor', oid, 'EXECUTE')
    LOOP
        FOR receiver IN SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'synthetic_monitor' LOOP
            EXECUTE format('GRANT %s TO %I', privilege, receiver);
        END LOOP;
        EXECUTE format('REVOKE %s FROM PUBLIC', privilege);
    END LOOP;
END
$$;

-- Extensions lie in a schema of their own. amcheck, where it is installed, reads indexes to find corruption.
DO $$
DECLARE
    home name;
    checker regprocedure;
BEGIN
    FOR home IN SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
                 WHERE extname IN ('pg_stat_statements', 'amcheck') LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO synthetic_monitor', home);
    END LOOP;
    FOR checker IN SELECT oid FROM pg_proc WHERE proname = 'bt_index_check'
                      AND has_function_privilege(oid, 'EXECUTE WITH GRANT OPTION') LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO synthetic_monitor', checker);
    END LOOP;
END
$$;

-- The counters. They read with the rights of the tables' owner, and return how many rows they read (`examined`) and how
-- many of those are wrong. They are functions because a view would stop the platform's next migration from changing a
-- column. Where row-level security hides rows from the owner too, a counter fails; it does not return zero.
CREATE SCHEMA IF NOT EXISTS synthetic;
COMMENT ON SCHEMA synthetic IS 'counters of 7P Verify, made by ci/sql/monitor_role.sql; nothing else belongs here';

DO $$
DECLARE
    old regprocedure;
BEGIN
    FOR old IN SELECT oid FROM pg_proc WHERE pronamespace = 'synthetic'::regnamespace LOOP
        EXECUTE format('DROP FUNCTION %s', old);
    END LOOP;
END
$$;

-- The webhook that enrols has ten minutes.
CREATE FUNCTION synthetic.completed_payments() RETURNS TABLE (examined bigint, without_enrolment bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*),
           count(*) FILTER (WHERE p.created_at < now() - interval '10 minutes' AND NOT EXISTS (
             SELECT FROM public.enrollments e
              WHERE e.user_id = p.user_id AND e.course_id = p.course_id))
      FROM public.payment_transactions p
     WHERE p.status = 'completed'
$$;

-- A code or a free course enrols as `free`; every other plan needs a payment.
CREATE FUNCTION synthetic.paid_enrolments() RETURNS TABLE (examined bigint, without_payment bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*),
           count(*) FILTER (WHERE NOT EXISTS (
             SELECT FROM public.payment_transactions p
              WHERE p.user_id = e.user_id AND p.course_id = e.course_id AND p.status = 'completed'))
      FROM public.enrollments e
     WHERE e.plan IS DISTINCT FROM 'free' AND e.cancelled_at IS NULL AND e.enrolled_at < now() - interval '10 minutes'
$$;

CREATE FUNCTION synthetic.enrolments() RETURNS TABLE (examined bigint, impossible_progress bigint, enrolled_twice bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*),
           count(*) FILTER (WHERE (progress_percentage BETWEEN 0 AND 100) IS NOT TRUE),
           count(*) FILTER (WHERE copies > 1)
      FROM (SELECT progress_percentage, count(*) OVER (PARTITION BY user_id, course_id) AS copies
              FROM public.enrollments) AS enrolments
$$;

-- amount: minor units.
CREATE FUNCTION synthetic.payments()
RETURNS TABLE (examined bigint, negative bigint, untraceable bigint, booked_twice bigint, of_unknown_status bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*),
           count(*) FILTER (WHERE (amount >= 0) IS NOT TRUE),
           count(*) FILTER (WHERE stripe_session_id IS NULL AND status = 'completed'),
           count(stripe_session_id) - count(DISTINCT stripe_session_id),
           count(*) FILTER (WHERE (status IN ('pending', 'completed', 'failed', 'refunded')) IS NOT TRUE)
      FROM public.payment_transactions
$$;

CREATE FUNCTION synthetic.owned_rows() RETURNS TABLE (examined bigint, without_user bigint, without_course bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*),
           count(*) FILTER (WHERE u.id IS NULL),
           count(*) FILTER (WHERE c.id IS NULL AND of_a_course)
      FROM (SELECT user_id, course_id, true AS of_a_course FROM public.enrollments
             UNION ALL SELECT user_id, course_id, true FROM public.payment_transactions
             UNION ALL SELECT user_id, course_id, true FROM public.course_reviews
             UNION ALL SELECT user_id, NULL, false FROM public.lesson_progress) AS owned
      LEFT JOIN public.users u ON u.id = owned.user_id
      LEFT JOIN public.courses c ON c.id = owned.course_id
$$;

CREATE FUNCTION synthetic.pending_payments() RETURNS TABLE (examined bigint, oldest_hours double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*),
           coalesce(max(extract(epoch FROM now() - created_at) / 3600) FILTER (WHERE status = 'pending'), 0)
      FROM public.payment_transactions
$$;

-- The newest hundred payments of the last ninety days that have ended. A refunded payment succeeded before.
CREATE FUNCTION synthetic.latest_payments() RETURNS TABLE (examined bigint, failed bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*), count(*) FILTER (WHERE status = 'failed')
      FROM (SELECT status FROM public.payment_transactions
             WHERE status IN ('completed', 'failed', 'refunded') AND created_at > now() - interval '90 days'
             ORDER BY created_at DESC LIMIT 100) AS latest
$$;

-- Plans the runbook's three queries about a customer; none runs. refusal: PostgreSQL's error, '' when it can be planned.
CREATE FUNCTION synthetic.support_look_ups() RETURNS TABLE (look_up text, refusal text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
DECLARE
    statement text;
BEGIN
    FOR look_up, statement IN VALUES
        ('user', 'SELECT * FROM public.user_profiles WHERE email = ''user@example.com'''),
        ('payments of a user', 'SELECT * FROM public.payment_transactions WHERE user_id = gen_random_uuid()'),
        ('enrolments of a user', 'SELECT * FROM public.enrollments WHERE user_id = gen_random_uuid()')
    LOOP
        refusal := '';
        BEGIN
            EXECUTE 'EXPLAIN ' || statement;
        EXCEPTION WHEN syntax_error_or_access_rule_violation THEN
            refusal := sqlerrm;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;

DO $$
DECLARE
    owner regrole := (SELECT relowner FROM pg_class WHERE oid = 'public.payment_transactions'::regclass);
    counter regprocedure;
BEGIN
    FOR counter IN SELECT oid FROM pg_proc WHERE pronamespace = 'synthetic'::regnamespace LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', counter);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO synthetic_monitor', counter);
        EXECUTE format('ALTER FUNCTION %s OWNER TO %s', counter, owner);
    END LOOP;
END
$$;
REVOKE ALL ON SCHEMA synthetic FROM PUBLIC;
GRANT USAGE ON SCHEMA synthetic TO synthetic_monitor;

COMMIT;
