"""The delayed connection that counts round trips delays, counts and ends."""

from __future__ import annotations

import socket
import threading
import time

from ci.bench.delayed import delayed

LATENCY_MS = 60


def _echo_twice(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        for _ in range(2):
            connection.sendall(connection.recv(1024))


def test_each_turn_is_counted_and_takes_its_time() -> None:
    """Two questions one after the other are two round trips, whatever their length."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=_echo_twice, args=(listener,), daemon=True)
        server.start()
        with delayed(listener.getsockname()[1], LATENCY_MS) as way:
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", way.port)) as client:
                client.sendall(b"one")
                first = client.recv(1024)
                client.sendall(b"two")
                second = client.recv(1024)
            seconds = time.monotonic() - began
        server.join(10)

    assert (first, second) == (b"one", b"two")
    assert way.turns == 2
    # A lower bound of physics, not of speed.
    assert seconds >= 2 * LATENCY_MS / 1000
