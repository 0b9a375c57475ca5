"""JSON is read as a type from several threads."""

from __future__ import annotations

import subprocess
import sys

from tests.selftest.conftest import ROOT

# The threads change places as often as they can, and meet at a type that nobody has read before.
PROGRAM = """
import sys, threading
import msgspec
from fixtures.model.decoders import decoder

sys.setswitchinterval(1e-6)
for number in range(200):
    inner = msgspec.defstruct(f"Inner{number}", [("c", "list[int]"), ("d", str)], module=__name__)
    outer = msgspec.defstruct(f"Outer{number}", [("a", "int"), ("b", inner), ("e", "int | None")], module=__name__)
    meet = threading.Barrier(4)
    def read():
        meet.wait()
        decoder(list[outer]).decode(b'[{"a": 1, "b": {"c": [1], "d": "x"}, "e": null}]')
    threads = [threading.Thread(target=read) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def test_threads_that_read_the_first_document_of_a_type_at_once() -> None:
    """The prefetch reads an answer while a test reads another; the interpreter crashed, and the gate held."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
