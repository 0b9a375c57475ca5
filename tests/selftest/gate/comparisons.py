"""A candidate and its control, as the gate finds them."""

from __future__ import annotations

from ci.causes import Circumstances
from ci.comparison import Comparison
from fixtures.target.vercel_words import Deployment

NEW, OLD = "dpl_new", "dpl_old"
HEALTHY = Circumstances()
COMPARISON = Comparison(
    candidate_id=NEW,
    candidate=Deployment(id=NEW, url="127.0.0.1:1", state="READY", created=2),
    control=Deployment(id=OLD, url="127.0.0.1:2", state="READY", created=1),
    control_source="last good of run 1",
    pinned_url="http://127.0.0.1:3",
    scheme="http",
)
