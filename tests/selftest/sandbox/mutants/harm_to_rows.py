"""Oracles of the database's rules: what a browser, the application, or the next statement does to its rows."""

# ruff: noqa: S608  (the tables and ids of this file)
from __future__ import annotations

import psycopg
from psycopg import errors

from tests.selftest.sandbox.mutants.mutated_database import Mutated

BROWSERS = ("anon", "authenticated")
PERSONAL = {
    "users": "id",
    "user_profiles": "id",
    "enrollments": "user_id",
    "lesson_progress": "user_id",
    "payment_transactions": "user_id",
    "review_helpfulness": "user_id",
}
# Relations with somebody's rows; reviews are for everyone to read.
_RELATIONS = """
    SELECT DISTINCT ON (c.relname) c.relname, a.attname FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
     WHERE c.relkind IN ('r', 'v', 'm', 'p') AND c.relname <> 'course_reviews'
       AND (a.attname = 'user_id' OR a.attname = 'id' AND EXISTS (
            SELECT FROM pg_attribute e WHERE e.attrelid = c.oid AND e.attname = 'email'))
     ORDER BY c.relname, a.attname DESC
"""
_STEPS = """
    SELECT c.id, c.slug, c.title, c.description, c.price, c.currency, c.difficulty, c.published, c.instructor_id,
           c.tags, c.category_id, c.thumbnail_url, c.max_students, c.created_at, u.full_name, u.email, u.role,
           u.avatar_url, k.name, k.description, r.average
      FROM public.courses c LEFT JOIN public.user_profiles u ON u.id = c.instructor_id
      LEFT JOIN public.course_categories k ON k.id = c.category_id
      LEFT JOIN (SELECT course_id, avg(rating) AS average FROM public.course_reviews GROUP BY 1) r ON r.course_id = c.id
     WHERE c.published
--
    SELECT m.id, m.title, m.description, m.order_index, l.id, l.title, l.duration_minutes, l.order_index, l.is_preview
      FROM public.course_modules m JOIN public.course_lessons l ON l.module_id = m.id JOIN public.courses c
        ON c.id = m.course_id
--
    SELECT id, email, full_name, password_hash, status, role::text, email_verified, account_locked_until
      FROM public.user_profiles WHERE role::text IN ('student', 'instructor', 'admin') AND role = 'admin'
--
    UPDATE public.user_profiles SET failed_login_attempts = failed_login_attempts + 1, account_locked_until = now()
     WHERE lower(email) = 'uye3@7peducation.test' RETURNING id
--
    INSERT INTO public.users (email, name, role, password_hash) VALUES ('a.long.address.of.somebody@7peducation.test',
           'Somebody With Long Names', 'student', 'x') ON CONFLICT DO NOTHING RETURNING id
--
    SELECT id, name, email, role::text, experience_points, created_at FROM public.users WHERE role = 'instructor'
--
    INSERT INTO public.user_profiles (id, email, full_name, avatar_url, role, password_hash, email_verified,
           email_verified_at) SELECT id, email, name, avatar_url, role, password_hash, true, now() FROM public.users
     WHERE email LIKE '%somebody%' ON CONFLICT (id) DO UPDATE SET email_verified = true RETURNING id
--
    INSERT INTO public.enrollments (user_id, course_id, plan, payment_status, payment_intent_id)
    SELECT u.id, c.id, 'free', 'free', 'pi_1234567890' FROM public.users u, public.courses c
     WHERE u.email LIKE '%somebody%' AND c.slug = 'kurumsal-satis'
    ON CONFLICT (user_id, course_id) DO NOTHING RETURNING *
--
    INSERT INTO public.payment_transactions (user_id, course_id, stripe_session_id, amount, currency, status)
    SELECT u.id, c.id, 'cs_test_' || repeat('z', 58), 159900, 'try', 'completed' FROM public.users u, public.courses c
     WHERE u.email LIKE '%somebody%' AND c.slug = 'kurumsal-satis'
    ON CONFLICT (stripe_session_id) DO UPDATE SET status = 'completed' RETURNING receipt_number
--
    INSERT INTO public.enrollments (user_id, course_id, plan, status)
    SELECT u.id, c.id, 'paid', 'active' FROM public.users u, public.courses c
     WHERE u.email LIKE '%somebody%' AND c.slug = 'kurumsal-satis'
    ON CONFLICT (user_id, course_id) DO UPDATE SET plan = 'paid', cancelled_at = NULL RETURNING id
--
    SELECT e.id, e.progress_percentage, e.status, e.plan, e.cancelled_at, e.enrolled_at, c.title
      FROM public.enrollments e JOIN public.courses c ON c.id = e.course_id WHERE e.cancelled_at IS NULL
--
    INSERT INTO public.lesson_progress AS p (user_id, lesson_id, video_watch_percentage, time_spent_minutes,
           completed_at)
    SELECT u.id, l.id, 100, 12, now() FROM public.users u, public.course_lessons l WHERE u.email LIKE '%somebody%'
    ON CONFLICT (user_id, lesson_id) DO UPDATE SET time_spent_minutes = p.time_spent_minutes + 1 RETURNING *
--
    UPDATE public.enrollments SET progress_percentage = 50, completed_at = now(), last_accessed_lesson_id = id
    RETURNING id
--
    SELECT id, course_id, amount, currency, status, created_at FROM public.payment_transactions
--
    UPDATE public.payment_transactions SET status = 'refunded' WHERE stripe_session_id LIKE '%zzz' RETURNING id
--
    INSERT INTO public.courses (slug, title, description, price, difficulty, published)
    VALUES ('a-slug-that-is-longer-than-most-others', 'Yeni', 'Yeni', 12500.50, 'beginner', false) RETURNING id
--
    UPDATE public.courses SET title = title, updated_at = now() RETURNING id
"""
APPLICATION = tuple(_STEPS.split("--\n"))
_UNTAKEN = """(
    SELECT id FROM public.courses c WHERE published
       AND NOT EXISTS (SELECT FROM public.enrollments e WHERE e.user_id = {me} AND e.course_id = c.id)
       AND NOT EXISTS (SELECT FROM public.course_reviews r WHERE r.user_id = {me} AND r.course_id = c.id) LIMIT 1)"""
_ROW = "(SELECT id FROM public.{table} ORDER BY id LIMIT 1)"
_REFUSED = """
    UPDATE public.courses SET price = -1
--
    UPDATE public.courses SET difficulty = 'x'
--
    UPDATE public.course_modules SET order_index = -order_index
--
    UPDATE public.course_lessons SET order_index = -order_index
--
    UPDATE public.enrollments SET plan = 'x'
--
    UPDATE public.enrollments SET status = 'x'
--
    UPDATE public.enrollments SET progress_percentage = 101
--
    UPDATE public.lesson_progress SET video_watch_percentage = 101
--
    UPDATE public.payment_transactions SET amount = -1
--
    UPDATE public.payment_transactions SET status = 'x'
--
    UPDATE public.course_reviews SET rating = 6
--
    UPDATE public.courses SET slug = 'x'
--
    UPDATE public.course_categories SET name = 'x'
--
    UPDATE public.course_modules SET order_index = 7
--
    UPDATE public.course_lessons SET order_index = 7
--
    INSERT INTO public.course_reviews (course_id, user_id, rating)
    SELECT course_id, user_id, 3 FROM public.course_reviews
--
    INSERT INTO public.review_helpfulness (review_id, user_id, helpful)
    SELECT review_id, user_id, true FROM public.review_helpfulness
--
    UPDATE public.users SET email = 'UYE6@7peducation.test' WHERE email = 'uye5@7peducation.test'
--
    UPDATE public.user_profiles SET email = 'UYE6@7peducation.test' WHERE email = 'uye5@7peducation.test'
--
    DELETE FROM public.users WHERE id IN (SELECT user_id FROM public.payment_transactions)
--
    DELETE FROM public.courses WHERE price = 0 AND id IN (SELECT course_id FROM public.enrollments)
--
    DELETE FROM public.enrollments; DELETE FROM public.courses WHERE price > 0
--
    INSERT INTO public.user_profiles (id, email, full_name) VALUES (gen_random_uuid(), 'x@7peducation.test', 'x')
"""
_CHANGES = (
    *_REFUSED.split("--\n"),
    *(
        f"UPDATE public.{table} SET {column} = gen_random_uuid() WHERE id = {_ROW.format(table=table)}"
        for table, column in (
            ("courses", "category_id"),
            ("courses", "instructor_id"),
            ("course_modules", "course_id"),
            ("course_lessons", "module_id"),
            ("enrollments", "user_id"),
            ("enrollments", "course_id"),
            ("lesson_progress", "user_id"),
            ("lesson_progress", "lesson_id"),
            ("payment_transactions", "user_id"),
            ("payment_transactions", "course_id"),
            ("course_reviews", "course_id"),
            ("course_reviews", "user_id"),
            ("review_helpfulness", "review_id"),
            ("review_helpfulness", "user_id"),
        )
    ),
)


def shows_others(db: Mutated) -> bool:
    """Whether a browser reads a row of somebody else, from a table, a view, or a function."""
    relations = [(f"public.{name}", column) for name, column in db.rows(_RELATIONS)]
    if db.holds("to_regproc('public.overview') IS NOT NULL"):
        (returns,) = db.rows("SELECT prorettype::regtype::text FROM pg_proc WHERE proname = 'overview'")[0]
        relations.append(("public.overview()", "id" if "user" in returns else "user_id"))
    for role in BROWSERS:
        with db.asking(role) as ask:
            for relation, column in relations:
                try:
                    _, rows = ask(f"SELECT count(*) FROM {relation} WHERE {column} <> '{db.student}'")
                except psycopg.Error:
                    continue
                if rows[0][0]:
                    return True
    return False


def hides_own(db: Mutated) -> bool:
    """Whether a signed-in student no longer sees the own rows, or a visitor no course."""
    try:
        with db.asking("authenticated") as ask:
            for table, column in PERSONAL.items():
                _, rows = ask(f"SELECT count(*) FROM public.{table} WHERE {column} = '{db.student}'")
                if not rows[0][0]:
                    return True
            own = ask("SELECT auth.uid()::text")[1] == [(db.student,)]
        with db.asking("anon") as ask:
            courses = ask("SELECT count(*) FROM public.courses")[1][0][0]
    except psycopg.Error:
        return True
    return not own or not courses


def _writes(db: Mutated) -> list[str]:
    them, me = f"'{db.stranger}'", f"'{db.student}'"
    course, lesson, module, review = (
        _ROW.format(table=table) for table in ("courses", "course_lessons", "course_modules", "course_reviews")
    )
    owned = {**PERSONAL, "course_reviews": "user_id"}.items()
    return [
        *(f"UPDATE public.{table} SET {column} = {column} WHERE {column} <> {me}" for table, column in owned),
        *(f"DELETE FROM public.{table} WHERE {column} <> {me}" for table, column in owned),
        *(f"TRUNCATE public.{table}" for table in list(PERSONAL)[2:]),
        *(_sale(who, course) for who in (them, me)),
        *(
            f"INSERT INTO public.enrollments (user_id, course_id, plan) VALUES ({who}, {course}, 'free')"
            for who in (me, them)
        ),
        "UPDATE public.courses SET price = 0",
        "DELETE FROM public.courses",
        "UPDATE public.course_lessons SET title = title",
        "DELETE FROM public.course_lessons",
        "INSERT INTO public.courses (slug, title, description, difficulty) VALUES ('x', 'x', 'x', 'beginner')",
        f"INSERT INTO public.course_lessons (module_id, title, order_index) VALUES ({module}, 'x', 9)",
        "INSERT INTO public.users (email, name) VALUES ('x@7peducation.test', 'x')",
        f"INSERT INTO public.user_profiles (id, email, full_name) VALUES ({them}, 'x@7peducation.test', 'x')",
        f"INSERT INTO public.lesson_progress (user_id, lesson_id) VALUES ({them}, {lesson})",
        f"INSERT INTO public.course_reviews (user_id, course_id, rating) VALUES ({them}, {course}, 1)",
        f"INSERT INTO public.course_reviews (user_id, course_id, rating) VALUES ({me}, {_UNTAKEN.format(me=me)}, 1)",
        f"INSERT INTO public.review_helpfulness (user_id, review_id, helpful) VALUES ({them}, {review}, true)",
        f"UPDATE public.user_profiles SET role = 'admin' WHERE id = {me}",
        f"UPDATE public.users SET role = 'admin' WHERE id = {me}",
        f"SELECT public.helper({me}::uuid)",
        "SELECT public.helper('DELETE FROM public.review_helpfulness')",
    ]


def _sale(who: str, course: str) -> str:
    columns = "user_id, course_id, stripe_session_id, amount, status"
    return f"INSERT INTO public.payment_transactions ({columns}) VALUES ({who}, {course}, 'x', 0, 'completed')"


def lets_write(db: Mutated) -> bool:
    """Whether a browser writes a row that is not its own, or one that only the platform may make."""
    for role in BROWSERS:
        with db.asking(role) as ask:
            for statement in _writes(db):
                try:
                    count, _ = ask(statement)
                except errors.IntegrityError:
                    return True
                except psycopg.Error:
                    continue
                if count:
                    return True
    return False


def fails_the_application(db: Mutated) -> bool:
    """Whether the application cannot connect, or one of its statements fails, returns nothing, or changes nothing."""
    try:
        with psycopg.connect(db.dsn("platform_app"), options="-c lock_timeout=150ms") as connection:
            for statement in APPLICATION:
                if not connection.execute(statement.encode()).rowcount:
                    return True
            connection.rollback()
    except psycopg.Error:
        return True
    return False


def accepts_the_impossible(db: Mutated) -> bool:
    """Whether a row is accepted that no constraint should let in, or deleted that one should keep."""
    with psycopg.connect(db.superuser_dsn, autocommit=True) as connection:
        for statement in _CHANGES:
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(statement.encode())
            except errors.IntegrityError:
                continue
            return True
    return False


def stops_work(db: Mutated) -> str:
    """Name what users can no longer do; "" when they can do everything."""
    return ", ".join(harm.__name__ for harm in (hides_own, fails_the_application) if harm(db))


def hurts(db: Mutated) -> str:
    """Name what a change took from users, or gave to others; "" when it did neither."""
    return ", ".join(harm.__name__ for harm in (shows_others, lets_write) if harm(db)) + stops_work(db)
