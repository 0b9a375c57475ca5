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
                        'public.course_modules', 'public.course_lessons', 'public.enrollments', 'public.lesson_progress',
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
    SELECT string_agg(name, ' and ') INTO missing FROM unnest(ARRAY['anon', 'authenticated']) AS name
     WHERE to_regrole(name) IS NULL OR NOT pg_has_role(to_regrole(name), 'MEMBER');
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% is no member of the role %', current_user, missing
            USING HINT = 'on Supabase run this file as postgres, who is a member of the roles of the data API';
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

CREATE FUNCTION synthetic.enrolments()
RETURNS TABLE (examined bigint, impossible_progress bigint, enrolled_twice bigint, impossible_lessons bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*),
           count(*) FILTER (WHERE (progress_percentage BETWEEN 0 AND 100) IS NOT TRUE),
           count(*) FILTER (WHERE copies > 1),
           -- Of a large table a part is enough: a load that is wrong is wrong in many rows.
           (SELECT count(*) FROM (SELECT * FROM public.lesson_progress LIMIT 20000) AS p
             WHERE (to_jsonb(p) ->> 'video_watch_percentage')::numeric NOT BETWEEN 0 AND 100)
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

CREATE FUNCTION synthetic.owned_rows()
RETURNS TABLE (examined bigint, without_user bigint, without_course bigint, without_part bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*),
           count(*) FILTER (WHERE u.id IS NULL AND of_a_user),
           count(*) FILTER (WHERE c.id IS NULL AND of_a_course),
           (SELECT count(*) FROM public.course_lessons l WHERE NOT EXISTS (
              SELECT FROM public.course_modules m WHERE m.id = l.module_id))
           + (SELECT count(*) FROM public.lesson_progress p WHERE NOT EXISTS (
                SELECT FROM public.course_lessons l WHERE l.id = p.lesson_id))
      FROM (SELECT user_id, course_id, true AS of_a_user, true AS of_a_course FROM public.enrollments
             UNION ALL SELECT user_id, course_id, true, true FROM public.payment_transactions
             UNION ALL SELECT user_id, course_id, true, true FROM public.course_reviews
             UNION ALL SELECT user_id, NULL, true, false FROM public.lesson_progress
             UNION ALL SELECT NULL, course_id, false, true FROM public.course_modules) AS owned
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

-- The latest completed payments beside today's prices, in minor units. A discount, or a price that an editor changes, is
-- no twentieth; a unit that was mixed up is a hundredth. Some currencies have no minor unit.
CREATE FUNCTION synthetic.amounts()
RETURNS TABLE (examined bigint, wrong bigint, latest bigint, latest_wrong bigint, courses bigint, without_currency bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*), count(*) FILTER (WHERE is_wrong), count(*) FILTER (WHERE n <= 10),
           count(*) FILTER (WHERE is_wrong AND n <= 10), count(DISTINCT course_id) FILTER (WHERE is_wrong),
           count(*) FILTER (WHERE (currency ~* '^[a-z]{3}$') IS NOT TRUE)
      FROM (SELECT p.course_id, p.n, p.currency,
                   price.amount > 0 AND (coalesce(p.amount, 0) * 20 < price.amount OR p.amount > price.amount * 20)
                     OR upper(p.currency) <> upper(price.currency) AS is_wrong
              FROM (SELECT t.course_id, t.amount, to_jsonb(t) ->> 'currency' AS currency,
                           row_number() OVER (ORDER BY t.created_at DESC) AS n
                      FROM public.payment_transactions t
                     WHERE t.status = 'completed' ORDER BY t.created_at DESC LIMIT 100) AS p
              JOIN public.courses c ON c.id = p.course_id
             CROSS JOIN LATERAL (SELECT
                   coalesce((to_jsonb(c) ->> 'price')::numeric
                            * CASE WHEN upper(p.currency) IN ('JPY', 'KRW', 'CLP', 'VND') THEN 1 ELSE 100 END,
                            (to_jsonb(c) ->> 'price_amount')::numeric) AS amount,
                   coalesce(to_jsonb(c) ->> 'currency', to_jsonb(c) ->> 'price_currency') AS currency) AS price) AS paid
$$;

-- One person paid twice for one course within a day, under two sessions.
CREATE FUNCTION synthetic.double_charges() RETURNS TABLE (examined bigint, again bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*), count(*) FILTER (WHERE created_at - before < interval '1 day')
      FROM (SELECT created_at, lag(created_at) OVER (PARTITION BY user_id, course_id ORDER BY created_at) AS before
              FROM public.payment_transactions WHERE status = 'completed') AS completed
$$;

-- Clocks differ by seconds; a day is a mistake.
CREATE FUNCTION synthetic.future_rows() RETURNS TABLE (examined bigint, in_future bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*), count(*) FILTER (WHERE at > now() + interval '1 day')
      FROM (SELECT created_at AS at FROM public.payment_transactions
             UNION ALL SELECT enrolled_at FROM public.enrollments
             UNION ALL SELECT completed_at FROM public.lesson_progress
             UNION ALL SELECT created_at FROM public.courses
             UNION ALL SELECT created_at FROM public.users) AS dated
$$;

-- An address is the same whatever its case and blanks. Every hash has a salt of its own, so no two are equal. Hexadecimal
-- digits and signs alone are no password: somebody ended one.
CREATE FUNCTION synthetic.accounts()
RETURNS TABLE (examined bigint, same_address bigint, without_address bigint, of_no_form bigint, shared_hash bigint,
               administrators bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT count(*), count(*) - count(DISTINCT (relation, lower(btrim(email)))),
           count(*) FILTER (WHERE (email ~ '\S@\S') IS NOT TRUE),
           count(*) FILTER (WHERE hash !~ '^(\$2[abxy]?\$\d\d\$.{53}$|\$?(argon2|scrypt|pbkdf2)|\$[56]\$|[0-9a-f:]{32,}$|[!*-]+)'),
           count(hash) - count(DISTINCT (relation, hash)) FILTER (WHERE hash IS NOT NULL),
           count(DISTINCT id) FILTER (WHERE role = 'admin')
      FROM (SELECT 1 AS relation, id, email, nullif(to_jsonb(u) ->> 'password_hash', '') AS hash, to_jsonb(u) ->> 'role' AS role
              FROM public.users u
             UNION ALL
            SELECT 2, id, email, nullif(to_jsonb(p) ->> 'password_hash', ''), to_jsonb(p) ->> 'role'
              FROM public.user_profiles p) AS accounts
$$;

-- garbled: Turkish letters that were read as Latin-1.  doubtful: a letter that became a question mark, or a word that
-- programs write in place of nothing; a single title may read like that.
CREATE FUNCTION synthetic.titles() RETURNS TABLE (relation text, examined bigint, empty bigint, garbled bigint, doubtful bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT relation, count(*), count(*) FILTER (WHERE (title ~ '\S') IS NOT TRUE),
           count(*) FILTER (WHERE title ~ E'[ÃÄÅ][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u2013-\u203a\u20ac]'),
           count(*) FILTER (WHERE title ~ '(^|\s|[[:alpha:]])\?[[:alpha:]]'
                               OR lower(btrim(title)) IN ('undefined', 'null', 'nan', 'none', '[object object]'))
      FROM (SELECT 'courses' AS relation, title FROM public.courses
             UNION ALL SELECT 'course_modules', title FROM public.course_modules
             UNION ALL SELECT 'course_lessons', title FROM public.course_lessons) AS titles
     GROUP BY relation
     UNION ALL
    -- A route has the address of a course as one part of its path.
    SELECT 'addresses of courses', count(*), count(*) FILTER (WHERE to_jsonb(c) ->> 'slug' ~ '[/?#\s]|^$'), 0, 0
      FROM public.courses c
$$;

CREATE FUNCTION synthetic.row_counts() RETURNS TABLE (relation text, examined bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
    SELECT 'users', count(*) FROM public.users
     UNION ALL SELECT 'user_profiles', count(*) FROM public.user_profiles
     UNION ALL SELECT 'courses', count(*) FROM public.courses
     UNION ALL SELECT 'course_modules', count(*) FROM public.course_modules
     UNION ALL SELECT 'course_lessons', count(*) FROM public.course_lessons
     UNION ALL SELECT 'enrollments', count(*) FROM public.enrollments
     UNION ALL SELECT 'lesson_progress', count(*) FROM public.lesson_progress
     UNION ALL SELECT 'payment_transactions', count(*) FROM public.payment_transactions
     UNION ALL SELECT 'course_reviews', count(*) FROM public.course_reviews
$$;

-- A sequence is behind where its column already holds the number that it would hand out next.
CREATE FUNCTION synthetic.numbering() RETURNS TABLE (examined bigint, behind text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
DECLARE
    one record;
    wrong boolean;
BEGIN
    examined := 0; behind := '{}';
    FOR one IN
        SELECT s.oid::regclass AS sequence, d.refobjid::regclass AS relation, a.attname, q.seqincrement
          FROM pg_class s
          JOIN pg_sequence q ON q.seqrelid = s.oid
          JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
          JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE s.relnamespace = 'public'::regnamespace AND NOT q.seqcycle AND q.seqincrement > 0
           AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
    LOOP
        EXECUTE format('SELECT (SELECT max(%I) FROM %s) > last_value + CASE WHEN is_called THEN 0 ELSE -%s END FROM %s',
                       one.attname, one.relation, one.seqincrement, one.sequence) INTO wrong;
        examined := examined + 1;
        IF wrong THEN
            behind := behind || format('%s.%s', one.relation, one.attname);
        END IF;
    END LOOP;
    RETURN NEXT;
END
$$;

-- One visitor's look at one relation: how many of its rows PostgreSQL shows, and which writes its policies would accept.
-- The function belongs to the visitor's own role, so that grants, policies, ownership and role attributes count as they
-- do for the data API, however they are spelled. It writes nothing: a policy for writing is asked about sample rows.
CREATE FUNCTION synthetic.look_as_anon(
    relation regclass, claims text, own text, draft text, others jsonb, mine jsonb,
    OUT seen bigint, OUT own_seen bigint, OUT drafts_seen bigint, OUT guarded boolean, OUT writes text[],
    OUT columns text[], OUT secrets text[], OUT policies bigint, OUT refusal text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET row_security = on AS $$
DECLARE
    kind record;
    command record;
    condition text;
    of_others boolean;
    of_own boolean;
BEGIN
    PERFORM set_config('request.jwt.claims', claims, true), set_config('request.headers', '{}', true);
    SELECT relname, relnamespace, relkind, relkind = 'v' AND coalesce(reloptions::text ~ 'security_invoker=(true|on|yes|1)', false)
           AS invoker, pg_relation_is_updatable(relation, true) AS updatable INTO kind
      FROM pg_class WHERE oid = relation;
    guarded := kind.invoker OR row_security_active(relation);
    seen := 0; own_seen := 0; drafts_seen := 0; writes := '{}'; refusal := '';
    SELECT count(*) INTO policies
      FROM pg_policy
     WHERE polrelid = relation AND polpermissive AND polcmd IN ('*', 'r')
       AND EXISTS (SELECT FROM unnest(polroles) AS holder WHERE holder = 0 OR pg_has_role(holder, 'USAGE'));
    -- Without a privilege the relation is closed, which is no error.
    IF has_any_column_privilege(relation, 'SELECT') AND has_schema_privilege(kind.relnamespace, 'USAGE') THEN
        BEGIN
            EXECUTE format('SELECT count(*), count(*) FILTER (WHERE own), count(*) FILTER (WHERE draft)'
                           ' FROM (SELECT %s AS own, %s AS draft FROM %s AS r LIMIT 10000) AS shown', own, draft, relation)
               INTO seen, own_seen, drafts_seen;
        EXCEPTION
            WHEN lock_not_available THEN
                RAISE;
            WHEN insufficient_privilege THEN
                -- The column that names the person is closed; the rows count all the same.
                BEGIN
                    EXECUTE format('SELECT count(*) FROM (SELECT FROM %s LIMIT 10000) AS shown', relation) INTO seen;
                EXCEPTION WHEN OTHERS THEN
                    refusal := sqlerrm;
                END;
            WHEN OTHERS THEN
                refusal := sqlerrm;
        END;
        SELECT array_agg(attname::text ORDER BY attname) INTO secrets
          FROM pg_attribute
         WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
           AND attname ~ '(password|passwd|secret|token|mfa_|otp_|private_key|api_key)'
           AND has_column_privilege(relation, attnum, 'SELECT');
    END IF;
    FOR command IN SELECT * FROM (VALUES ('INSERT', 'a', 8), ('UPDATE', 'w', 4), ('DELETE', 'd', 16)) AS known (word, letter, bit)
                    WHERE NOT kind.invoker AND kind.updatable & bit <> 0
                      AND (has_table_privilege(relation, word)
                        OR word <> 'DELETE' AND has_any_column_privilege(relation, word)) LOOP
        of_others := NOT guarded; of_own := NOT guarded;
        IF guarded THEN
            SELECT format('(%s)', coalesce(string_agg(accepts, ' OR ') FILTER (WHERE polpermissive), 'false'))
                   || coalesce(string_agg(' AND ' || accepts, '') FILTER (WHERE NOT polpermissive), '')
              INTO condition
              FROM (SELECT polpermissive, format('coalesce((%s), false)', coalesce(pg_get_expr(
                             CASE WHEN command.word = 'INSERT' THEN coalesce(polwithcheck, polqual) ELSE polqual END,
                             polrelid), 'true')) AS accepts
                      FROM pg_policy
                     WHERE polrelid = relation AND polcmd IN ('*', command.letter::"char")
                       AND EXISTS (SELECT FROM unnest(polroles) AS holder
                                    WHERE holder = 0 OR pg_has_role(holder, 'USAGE'))) AS policies;
            BEGIN
                condition := format('SELECT coalesce(bool_or(%s), false) FROM jsonb_populate_recordset(NULL::%s, $1) AS %I',
                                    condition, relation, kind.relname);
                EXECUTE condition USING others INTO of_others;
                EXECUTE condition USING mine INTO of_own;
            EXCEPTION WHEN OTHERS THEN
                -- PostgreSQL itself reads a policy with fewer rights than this text of it needs.
                of_others := false; of_own := false;
            END;
        END IF;
        writes := writes || ARRAY(SELECT command.word || whose FROM (VALUES (' others', of_others), (' own', of_own))
                                         AS accepted (whose, yes) WHERE yes);
        IF command.word = 'UPDATE' AND of_own THEN
            SELECT array_agg(attname::text ORDER BY attnum) INTO columns
              FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
               AND has_column_privilege(relation, attnum, 'UPDATE');
        END IF;
    END LOOP;
END
$$;

-- Every relation of the schemas that the data API may expose, as three visitors meet it: nobody; a signed-in person who
-- owns no row, and who claims in the metadata that everyone may edit to be somebody else; a student who owns rows.
-- It returns counts, and names of the catalogue; no row.
CREATE FUNCTION synthetic.access()
RETURNS TABLE (relation text, root text, visitor text, names_people boolean, owned boolean, kind text, examined bigint,
               seen bigint, own_seen bigint, drafts_seen bigint, guarded boolean, writes text[], columns text[],
               secrets text[], policies bigint, refusal text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET row_security = off AS $$
DECLARE
    one record;
    person text;
    who text;
    claims jsonb;
    draft text;
    samples jsonb;
    stranger text := '00000000-7e57-4000-8000-000000000000';
BEGIN
    FOR one IN
        SELECT c.oid::regclass AS name, c.relname, c.relkind::text AS relkind, coalesce(
                 (WITH RECURSIVE above AS (SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid
                                           UNION ALL SELECT i.inhparent FROM pg_inherits i, above a WHERE i.inhrelid = a.inhparent)
                  SELECT inhparent FROM above WHERE inhparent NOT IN (SELECT inhrelid FROM pg_inherits) LIMIT 1), c.oid)::regclass::text AS root,
               CASE WHEN c.relname IN ('users', 'user_profiles', 'profiles') THEN 'id' ELSE a.owner END AS owner,
               c.relname IN ('users', 'user_profiles', 'profiles') OR a.people AS people, a.names
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
         CROSS JOIN LATERAL (
               SELECT (array_agg(attname::text ORDER BY attname DESC) FILTER (
                        WHERE attname IN ('user_id', 'student_id', 'profile_id', 'customer_id')))[1] AS owner,
                      coalesce(bool_or(attname ~ '^(user_id|student_id|profile_id|customer_id|.*e_?mail|full_name|.*phone.*|.*password.*|ip_address|stripe_.*)$'), false) AS people,
                      array_agg(attname::text) AS names
                 FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS a
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND (n.nspname = 'public' OR has_schema_privilege('anon', n.oid, 'USAGE') OR has_schema_privilege('authenticated', n.oid, 'USAGE'))
           AND n.nspname !~ '^(pg_|_|supabase_|information_schema$)'
           -- Supabase's own schemas have their own interfaces and their own guards.
           AND n.nspname <> ALL ('{auth,storage,realtime,extensions,graphql,graphql_public,vault,pgsodium,pgsodium_masks,pgbouncer,cron,net,pgmq,tiger,tiger_data,topology,synthetic}')
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    LOOP
        relation := one.name::text; root := one.root; kind := one.relkind; names_people := one.people;
        examined := 0; person := NULL; samples := '[]';
        BEGIN
            EXECUTE format('SELECT coalesce(jsonb_agg(to_jsonb(r)), ''[]''), count(*) FROM (SELECT * FROM %s LIMIT 20) AS r', one.name)
               INTO samples, examined;
            IF one.owner IS NOT NULL AND examined > 0 THEN
                EXECUTE format(
                    'SELECT u.id FROM (SELECT %1$I AS id FROM %2$s WHERE %1$I IS NOT NULL LIMIT 500) AS r JOIN public.users u ON u.id = r.id'
                    ' WHERE coalesce(to_jsonb(u) ->> ''role'', ''student'') = ''student'''
                    ' AND NOT EXISTS (SELECT FROM public.user_profiles p WHERE p.id = u.id AND to_jsonb(p) ->> ''role'' <> ''student'')'
                    ' AND NOT EXISTS (SELECT FROM public.courses c WHERE to_jsonb(c) ->> ''instructor_id'' = u.id::text)'
                    ' LIMIT 1', one.owner, one.name) INTO person;
            END IF;
        EXCEPTION
            WHEN lock_not_available THEN
                RAISE;
            WHEN OTHERS THEN
                -- A view that fails, a key of another type: nobody's rows are there to try.
                person := NULL;
        END;
        owned := person IS NOT NULL;
        draft := CASE WHEN 'published' = ANY (one.names) THEN 'r.published IS NOT TRUE'
                      WHEN 'is_published' = ANY (one.names) THEN 'r.is_published IS NOT TRUE'
                      WHEN 'course_id' = ANY (one.names)
                      THEN 'NOT EXISTS (SELECT FROM public.courses c WHERE c.id = r.course_id)'
                      WHEN 'module_id' = ANY (one.names)
                      THEN 'NOT EXISTS (SELECT FROM public.course_modules m WHERE m.id = r.module_id)'
                      ELSE 'false' END;
        FOR visitor, who IN VALUES ('nobody', NULL), ('a stranger', stranger), ('a student', person) LOOP
            CONTINUE WHEN visitor = 'a student' AND person IS NULL;
            claims := CASE WHEN who IS NULL THEN '{"role": "anon"}'::jsonb ELSE jsonb_build_object(
                'sub', who, 'role', 'authenticated', 'aud', 'authenticated', 'user_metadata', jsonb_build_object(
                  'id', samples -> 0 -> one.owner, 'user_id', samples -> 0 -> one.owner, 'sub', samples -> 0 -> one.owner,
                  'role', 'admin', 'is_admin', true)) END;
            EXECUTE format('SELECT * FROM synthetic.%I($1, $2, $3, $4, $5, $6)',
                           CASE WHEN who IS NULL THEN 'look_as_anon' ELSE 'look_as_authenticated' END)
              USING one.name, claims::text,
                    CASE WHEN one.owner IS NULL OR who IS NULL THEN 'false' ELSE format('r.%I::text = %L', one.owner, who) END,
                    draft,
                    (SELECT coalesce(jsonb_agg(row), '[]') FROM jsonb_array_elements(samples) AS row
                      WHERE who IS NULL OR one.owner IS NULL OR row ->> one.owner IS DISTINCT FROM who),
                    CASE WHEN who IS NULL OR one.owner IS NULL OR samples = '[]' THEN '[]'
                         ELSE jsonb_build_array(samples -> 0 || jsonb_build_object(one.owner, who)) END
               INTO seen, own_seen, drafts_seen, guarded, writes, columns, secrets, policies, refusal;
            RETURN NEXT;
        END LOOP;
    END LOOP;
    PERFORM set_config('request.jwt.claims', '', true);
END
$$;

-- The looks belong to the visitors' own roles; the other counters belong to the owner of the tables, who alone may call
-- the looks.
DO $$
DECLARE
    owner regrole := (SELECT relowner FROM pg_class WHERE oid = 'public.payment_transactions'::regclass);
    counter record;
BEGIN
    EXECUTE replace(pg_get_functiondef('synthetic.look_as_anon'::regproc), 'look_as_anon', 'look_as_authenticated');
    GRANT CREATE ON SCHEMA synthetic TO anon, authenticated;
    FOR counter IN SELECT oid::regprocedure AS name, substring(proname FROM '^look_as_(.*)') AS visitor
                     FROM pg_proc WHERE pronamespace = 'synthetic'::regnamespace LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', counter.name);
        EXECUTE format('ALTER FUNCTION %s OWNER TO %s', counter.name, coalesce(counter.visitor, owner::text));
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', counter.name,
                       CASE WHEN counter.visitor IS NULL THEN 'synthetic_monitor' ELSE owner::text END);
    END LOOP;
    REVOKE CREATE ON SCHEMA synthetic FROM anon, authenticated;
END
$$;
REVOKE ALL ON SCHEMA synthetic FROM PUBLIC;
GRANT USAGE ON SCHEMA synthetic TO synthetic_monitor;

COMMIT;
