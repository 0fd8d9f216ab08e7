"""A port is kept while its server is away: nobody else is given it, whoever asks is refused, and it is listened on again."""

from __future__ import annotations

import socket

import pytest

from tests.simulators.kubernetes_rig import Rig
from tests.simulators.sockets import held


def test_a_port_that_is_held_is_refused_given_to_nobody_and_listened_on_again() -> None:
    with held() as kept:
        port = kept.getsockname()[1]
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 60)
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))
            with held(port) as server:
                server.listen()
                with socket.create_connection(("127.0.0.1", port), 60), server.accept()[0]:
                    pass


def test_a_port_somebody_listens_on_cannot_be_held() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(OSError, match="in use"):
        held(server.getsockname()[1])


def test_a_cluster_that_is_away_keeps_its_port() -> None:
    with Rig() as rig:
        port = rig.front.port
        rig.faults.go_away()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        rig.faults.come_back()
        assert rig.front.port == port
