"""Each rule of the database hurts whom its sentence names, seen as that role; the harmless ones hurt nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.sandbox import mutants
from fixtures.sandbox.database.seed_accounts import give_passwords
from fixtures.sandbox.mutants.harmful import (
    database_access,
    database_guards,
    database_roles,
    database_rows,
    database_schema,
    database_server,
    database_writes,
)
from fixtures.sandbox.mutants.mutant import Rule
from tests.selftest.coroutines import run
from tests.selftest.sandbox.mutants import harm_to_rows as harm
from tests.selftest.sandbox.mutants import harm_to_server as server
from tests.selftest.sandbox.mutants import wrong_rows as wrong
from tests.selftest.sandbox.mutants.asking import rules_of
from tests.selftest.sandbox.mutants.harm_to_server import archives_nothing
from tests.selftest.sandbox.mutants.mutated_database import Laboratory, Mutated, start_server

Oracle = Callable[[Mutated], bool]


def _no_application_or_rows(db: Mutated) -> bool:
    return harm.fails_the_application(db) or harm.hides_own(db)


# rule -> its oracle, and the subject that it is tried with.
HARMFUL: dict[str, tuple[Oracle, str]] = {
    "row-security-off": (harm.shows_others, "payment_transactions"),
    "policy-always-true": (harm.shows_others, "enrollments-default-is-true"),
    "policy-for-any-session": (harm.shows_others, "lesson_progress-uid-is-uid"),
    "own-policy-widened": (harm.shows_others, "user_profiles-not-own"),
    "policy-for-service-is-for-all": (harm.shows_others, "users-own"),
    "view-with-its-owners-rights": (harm.shows_others, "payment_transactions-public"),
    "materialised-view-open": (harm.shows_others, "user_profiles-anon"),
    "copy-left-open": (harm.shows_others, "users-through-a-group"),
    "new-tables-open-by-default": (harm.shows_others, "payment_transactions"),
    "function-for-everyone": (harm.shows_others, "users-sql"),
    "owned-by-the-browser": (harm.shows_others, "enrollments-anon"),
    "role-above-the-policies": (harm.shows_others, "anon-bypassrls"),
    "identity-of-another": (harm.shows_others, "payment_transactions-first"),
    "column-that-the-browser-sets": (harm.shows_others, "enrollments"),
    "password-hashes-readable": (wrong.shows_hashes, "users-public"),
    "drafts-visible": (wrong.shows_drafts, "second-policy"),
    "writable-for-everyone": (harm.lets_write, "courses-update-anon"),
    "own-row-invented": (harm.lets_write, "payment_transactions"),
    "role-given-to-oneself": (harm.lets_write, "users-column"),
    "written-in-anothers-name": (harm.lets_write, "course_reviews"),
    "review-of-a-stranger": (harm.lets_write, "without-enrolment"),
    "truncation-granted": (harm.lets_write, "payment_transactions-public"),
    "function-that-writes": (harm.lets_write, "make-admin"),
    "application-loses-a-privilege": (harm.fails_the_application, "course_reviews-select"),
    "application-cut-off": (harm.fails_the_application, "no-bypass"),
    "application-hampered": (harm.fails_the_application, "read-only"),
    "own-rows-hidden": (harm.hides_own, "users-dropped"),
    "browser-cut-off": (harm.hides_own, "anon-no-schema"),
    "monitoring-blinded": (server.blinds_the_monitor, "no-statistics"),
    "copies-impossible": (server.stops_copies, "no-rows"),
    "column-dropped": (harm.fails_the_application, "courses-tags"),
    "column-has-another-name": (harm.fails_the_application, "payment_transactions-user_id"),
    "table-is-gone": (_no_application_or_rows, "review_helpfulness-moved"),
    "default-lost": (harm.fails_the_application, "enrollments-status"),
    "column-demanded": (harm.fails_the_application, "users"),
    "type-narrowed": (harm.fails_the_application, "users-email"),
    "money-without-its-decimals": (wrong.lost_decimals, "price"),
    "upsert-without-its-constraint": (harm.fails_the_application, "user_profiles_pkey"),
    "unique-only-in-part": (harm.fails_the_application, "lesson_progress_user_id_lesson_id_key"),
    "unique-only-at-the-end": (harm.fails_the_application, "payment_transactions_stripe_session_id_key"),
    "trigger-spoils-writes": (harm.fails_the_application, "payment_transactions-nothing"),
    "rule-swallows-writes": (harm.fails_the_application, "enrollments"),
    "role-has-another-word": (harm.fails_the_application, "student"),
    "check-refuses-what-is-right": (harm.fails_the_application, "amount"),
    "receipts-run-out": (wrong.nears_the_last_receipt, "last-one"),
    "constraint-dropped": (harm.accepts_the_impossible, "courses_price_check"),
    "foreign-key-dropped": (harm.accepts_the_impossible, "user_profiles_id_fkey"),
    "foreign-key-not-valid": (wrong.has_unvalidated, "enrollments_user_id_fkey"),
    "foreign-key-deletes-the-books": (harm.accepts_the_impossible, "payment_transactions_user_id_fkey"),
    "address-unique-by-case-only": (harm.accepts_the_impossible, "users_email_key"),
    "foreign-key-without-index": (wrong.leaves_a_key_without_index, "enrollments_course_id_idx"),
    "index-invalid": (wrong.leaves_a_key_without_index, "course_reviews_user_id_idx"),
    "unique-index-half-built": (wrong.has_an_unusable_index, "users-role"),
    "triggers-off": (harm.accepts_the_impossible, "payment_transactions"),
    "migrations-disagree": (wrong.disagrees_about_migrations, "unknown"),
    "dump-cannot-be-restored": (wrong.needs_the_search_path, "search-path"),
    **wrong.OF_ROWS,
    **server.OF_SERVER,
}
HARMFUL_MODULES = (
    database_access,
    database_writes,
    database_roles,
    database_schema,
    database_guards,
    database_rows,
    database_server,
)


def _harmless() -> list[Rule]:
    found = [rule for rule in mutants.rules().values() if rule.kind.startswith("database-")]
    return [rule for rule in found if not next(rule.mutants()).truth.harmful]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """Run one server for the module; each mutant gets a copy of its database."""
    with start_server(tmp_path_factory.mktemp("postgres")) as server:
        give_passwords(server.superuser_dsn)
        with closing(Laboratory(server)) as laboratory:
            yield laboratory


@pytest.mark.parametrize(("rule", "subject"), [(rule, subject) for rule, (_, subject) in HARMFUL.items()])
def test_a_harmful_mutant_hurts(laboratory: Laboratory, rule: str, subject: str) -> None:
    """The rule's oracle sees the effect."""
    assert run(laboratory.judge(mutants.find(f"{rule}/{subject}"), HARMFUL[rule][0]))


def test_an_archive_that_fails_keeps_nothing(tmp_path: Path) -> None:
    """It needs a server of its own: the others have no archive, which would take longer than their mutants."""
    with start_server(tmp_path, archive="on") as server, closing(Laboratory(server)) as laboratory:
        assert run(laboratory.judge(mutants.find("archive-fails/missing"), archives_nothing))


def test_no_oracle_condemns_a_healthy_database(laboratory: Laboratory) -> None:
    """Otherwise it would prove nothing about a mutant."""
    oracles = {oracle for oracle, _ in HARMFUL.values()}

    def condemning(db: Mutated) -> list[str]:
        return [oracle.__name__ for oracle in oracles if oracle(db)]

    assert run(laboratory.judge(None, condemning)) == []


@pytest.mark.parametrize("rule", [rule.name for rule in _harmless()])
def test_a_harmless_mutant_hurts_nobody(laboratory: Laboratory, rule: str) -> None:
    """Nobody sees more or less than before, and every statement of the application succeeds."""
    known = mutants.rules()[rule]
    chosen = known.subjects[len(known.subjects) // 2]
    # Rows and sessions give nobody a right.
    oracle = harm.hurts if known.kind in {"database-access", "database-schema"} else harm.stops_work
    assert run(laboratory.judge(mutants.find(f"{rule}/{chosen.name}"), oracle)) == ""


def test_every_harmful_rule_has_an_oracle() -> None:
    """A rule without one could break nothing, and nobody would know."""
    assert {*HARMFUL, "archive-fails"} == rules_of(*HARMFUL_MODULES)
