"""A way to a server through which nothing comes while it is shut: the slowest server there is."""

from __future__ import annotations

import contextlib
import socket
import threading


class Valve:
    """Passes connections on to `port` on this machine. What clients send passes always, what they get only while it is
    open; `waiting`: how many connections wait for something that is held back here."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.waiting = 0
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def open(self) -> None:
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def close(self) -> None:
        self._open.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave whoever accepts waiting
        self._accepting.join()  # before the number of its socket is another one's
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, from_: socket.socket, to: socket.socket, held: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := from_.recv(65536):
                if held and not self._open.is_set():
                    self.waiting += 1
                    self._open.wait()
                    self.waiting -= 1
                to.sendall(piece)
        for one in (from_, to):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
