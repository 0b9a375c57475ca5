"""The plugins of the suite, one per topic; delete a topic by deleting its file and its line."""

pytest_plugins = (
    "fixtures.usage",
    "fixtures.run",
    "fixtures.target",
    "fixtures.checks",
    "fixtures.pairs",
    "fixtures.budgets",
    "fixtures.evidence",
    "fixtures.site",
    "fixtures.sweep",
    "fixtures.database",
    "fixtures.supabase",
    "fixtures.restore",
    "fixtures.migrations",
    "fixtures.accounts",
    "fixtures.browser",
    "fixtures.vitals",
    "fixtures.verdict",
    "fixtures.health_table",
    "fixtures.summary",
    "fixtures.allure",
)
