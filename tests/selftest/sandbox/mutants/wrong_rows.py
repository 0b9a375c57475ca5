"""Oracles of rules whose effect is in the rows and the catalogue: each is a question whose answer is yes or no."""

# ruff: noqa: S608  (the tables and ids of this file)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.selftest.sandbox.mutants.mutated_database import Mutated

Oracle = Callable[[Mutated], bool]
_MIGRATIONS = Path(__file__).parents[4] / "fixtures" / "sandbox" / "platform" / "supabase" / "migrations"
# The seed's own numbers.
_COUNTS = {
    "users": 127,
    "user_profiles": 127,
    "courses": 26,
    "course_modules": 78,
    "course_lessons": 273,
    "enrollments": 242,
    "lesson_progress": 1278,
    "payment_transactions": 173,
    "course_reviews": 137,
}


def _asks(name: str, question: str) -> Oracle:
    def oracle(db: Mutated) -> bool:
        return db.holds(question)

    oracle.__name__ = name
    return oracle


def shows_hashes(db: Mutated) -> bool:
    """Whether a student reads the hash of a password, if only the own one."""
    with db.asking("authenticated") as ask:
        for table in ("users", "user_profiles"):
            try:
                ask(f"SELECT password_hash FROM public.{table}")
            except psycopg.Error:
                continue
            return True
    return False


def shows_drafts(db: Mutated) -> bool:
    """Whether a visitor reads a course that nobody has published."""
    with db.asking("anon") as ask:
        for relation in ("courses", "catalogue"):
            try:
                _, rows = ask(f"SELECT count(*) FROM public.{relation} WHERE NOT published")
            except psycopg.Error:
                continue
            if rows[0][0]:
                return True
    return False


def nears_the_last_receipt(db: Mutated) -> bool:
    """Whether a thousand payments more, and no payment is possible."""
    return db.holds(
        "max_value - coalesce(last_value, 0) < 1000 FROM pg_sequences WHERE sequencename LIKE '%receipt_number%'"
    )


def disagrees_about_migrations(db: Mutated) -> bool:
    """Whether the record has other versions than the repository."""
    recorded = {version for (version,) in db.rows("SELECT version FROM supabase_migrations.schema_migrations")}
    return recorded != {path.name.partition("_")[0] for path in _MIGRATIONS.glob("*.sql")}


def needs_the_search_path(db: Mutated) -> bool:
    """Whether a row that is there already cannot be inserted while the search path is empty, as during a restore."""
    statement = "UPDATE public.course_reviews SET course_id = course_id"
    return db.refuses(statement, "postgres", settings="-c search_path=")


lost_decimals = _asks(
    "lost_decimals",
    "NOT EXISTS (SELECT FROM public.courses WHERE price <> round(price)) OR NOT EXISTS"
    " (SELECT FROM public.payment_transactions WHERE amount % 100 <> 0)",
)
has_unvalidated = _asks("has_unvalidated", "EXISTS (SELECT FROM pg_constraint WHERE NOT convalidated)")
has_an_unusable_index = _asks("has_an_unusable_index", "EXISTS (SELECT FROM pg_index WHERE NOT indisvalid)")
leaves_a_key_without_index = _asks(
    "leaves_a_key_without_index",
    "EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND NOT EXISTS (SELECT FROM pg_index i"
    " WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indkey[0] = k.conkey[1]))",
)
_loses = _asks(
    "_loses", " OR ".join(f"(SELECT count(*) FROM public.{table}) < {count}" for table, count in _COUNTS.items())
)
_belongs_to_nobody = _asks(
    "_belongs_to_nobody",
    "EXISTS (SELECT FROM public.enrollments e LEFT JOIN public.users u ON u.id = user_id LEFT JOIN public.courses c"
    " ON c.id = course_id WHERE u.id IS NULL OR c.id IS NULL) OR EXISTS (SELECT FROM public.course_lessons l"
    " LEFT JOIN public.course_modules m ON m.id = module_id WHERE m.id IS NULL) OR EXISTS (SELECT FROM"
    " public.lesson_progress LEFT JOIN public.course_lessons l ON l.id = lesson_id WHERE l.id IS NULL) OR EXISTS"
    " (SELECT FROM public.review_helpfulness LEFT JOIN public.course_reviews r ON r.id = review_id WHERE r.id IS NULL)",
)
_paid_in_vain = _asks(
    "_paid_in_vain",
    "EXISTS (SELECT FROM public.payment_transactions p WHERE status = 'completed' AND created_at < now() -"
    " interval '1 hour' AND NOT EXISTS (SELECT FROM public.enrollments e WHERE e.user_id = p.user_id"
    " AND e.course_id = p.course_id))",
)
_did_not_pay = _asks(
    "_did_not_pay",
    "EXISTS (SELECT FROM public.enrollments e WHERE plan = 'paid' AND NOT EXISTS (SELECT FROM"
    " public.payment_transactions p WHERE p.user_id = e.user_id AND p.course_id = e.course_id"
    " AND p.status = 'completed'))",
)
_costs_another_sum = _asks(
    "_costs_another_sum",
    "EXISTS (SELECT FROM public.payment_transactions p JOIN public.courses c ON c.id = p.course_id"
    " WHERE p.status = 'completed' AND (p.amount <> c.price * 100 OR p.currency <> 'try'))",
)
_paid_twice = _asks(
    "_paid_twice",
    "EXISTS (SELECT FROM public.payment_transactions WHERE status = 'completed' GROUP BY user_id, course_id"
    " HAVING count(*) > 1)",
)
_no_such_progress = _asks(
    "_no_such_progress",
    "EXISTS (SELECT FROM public.enrollments WHERE progress_percentage NOT BETWEEN 0 AND 100) OR EXISTS (SELECT"
    " FROM public.lesson_progress WHERE video_watch_percentage NOT BETWEEN 0 AND 100)",
)
_has_two_accounts = _asks(
    "_has_two_accounts",
    "EXISTS (SELECT FROM public.users GROUP BY lower(email) HAVING count(*) > 1) OR EXISTS (SELECT"
    " FROM public.user_profiles GROUP BY lower(email) HAVING count(*) > 1)",
)
_is_from_tomorrow = _asks(
    "_is_from_tomorrow",
    " OR ".join(
        f"EXISTS (SELECT FROM public.{table} WHERE {column} > now() + interval '1 day')"
        for table, column in (
            ("payment_transactions", "created_at"),
            ("enrollments", "enrolled_at"),
            ("courses", "created_at"),
            ("lesson_progress", "completed_at"),
        )
    ),
)
_sells_nothing = _asks("_sells_nothing", "count(*) FILTER (WHERE published) < 2 FROM public.courses")
_admits_nobody = _asks(
    "_admits_nobody",
    "NOT EXISTS (SELECT FROM public.courses c WHERE published AND (max_students IS NULL OR max_students >"
    " (SELECT count(*) FROM public.enrollments e WHERE e.course_id = c.id)))",
)
_lets_nobody_in = _asks(
    "_lets_nobody_in",
    "NOT EXISTS (SELECT FROM public.user_profiles WHERE password_hash LIKE '%$%' AND status = 'active' AND"
    " email_verified AND coalesce(account_locked_until < now(), true) AND email LIKE '%@%')",
)
_has_administrators = _asks("_has_administrators", "count(*) > 1 FROM public.user_profiles WHERE role = 'admin'")
_shares_a_password = _asks(
    "_shares_a_password",
    "EXISTS (SELECT FROM public.user_profiles WHERE password_hash <> '' GROUP BY password_hash HAVING count(*) > 1)",
)
_is_unreadable = _asks(
    "_is_unreadable",
    "NOT EXISTS (SELECT FROM public.courses WHERE title = 'Dijital Pazarlamaya Giriş') AND NOT EXISTS (SELECT FROM"
    " public.courses WHERE title = 'Ürün Yönetimine Giriş') OR NOT EXISTS (SELECT FROM public.course_modules"
    " WHERE title = 'Vaka Çalışmaları') OR NOT EXISTS (SELECT FROM public.course_lessons"
    " WHERE title LIKE 'Adım adım%')",
)
_has_no_page = _asks("_has_no_page", "EXISTS (SELECT FROM public.courses WHERE slug LIKE '%/%')")
_does_not_arrive = _asks(
    "_does_not_arrive",
    "count(*) FILTER (WHERE status = 'pending' AND created_at < now() - interval '1 day') > 5"
    " OR count(*) FILTER (WHERE status = 'failed' AND created_at > now() - interval '1 day') > 20"
    " FROM public.payment_transactions",
)
# rule -> its oracle, and the subject that it is tried with.
OF_ROWS: dict[str, tuple[Oracle, str]] = {
    "rows-emptied": (_loses, "course_lessons"),
    "rows-lost": (_loses, "payment_transactions"),
    "rows-orphaned": (_belongs_to_nobody, "users-one"),
    "paid-and-not-enrolled": (_paid_in_vain, "one"),
    "enrolled-and-not-paid": (_did_not_pay, "one"),
    "amounts-wrong": (_costs_another_sum, "negative"),
    "charged-twice": (_paid_twice, "same-session"),
    "prices-wrong": (_costs_another_sum, "hundredfold"),
    "progress-impossible": (_no_such_progress, "watched"),
    "address-twice-by-case": (_has_two_accounts, "users"),
    "times-in-the-future": (_is_from_tomorrow, "completions"),
    "catalogue-unpublished": (_sells_nothing, "all"),
    "courses-full": (_admits_nobody, "zero"),
    "accounts-shut": (_lets_nobody_in, "passwords-lost"),
    "administrators-added": (_has_administrators, "students"),
    "one-password-for-all": (_shares_a_password, "every-account"),
    "texts-garbled": (_is_unreadable, "courses-mojibake"),
    "slugs-unreachable": (_has_no_page, "none"),
    "payments-do-not-arrive": (_does_not_arrive, "pending"),
}
