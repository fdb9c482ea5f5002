"""The server: its socket, its workers, and an end that leaves nothing."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

import uvicorn

from tagxai.errors import TagxaiError
from tagxai.report.app.jobs import Queue
from tagxai.report.app.models import Model
from tagxai.report.app.routes import make_app
from tagxai.report.app.visits import Visits
from tagxai.report.app.worker import Worker

LAST = 5.0
"""Seconds that connections and workers have to end."""
CONNECTIONS = 128
EVERYWHERE = ("0.0.0.0", "::")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class App:
    """An app that holds `host` and `port` (0: any free one) until it has run.

    `address` is where a browser finds it. Raises TagxaiError where the port is taken.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = _bound(host, port)
        port = self._socket.getsockname()[1]
        name = f"[{host}]" if ":" in host else host.lower()
        self._hosts = _hosts(host, name, port)
        self._token = None if is_loopback(host) else secrets.token_urlsafe(24)
        self.address = f"http://{'127.0.0.1' if host in EVERYWHERE else name}:{port}/"
        self.address += f"?token={self._token}" if self._token else ""
        self._stopped = False
        self._server: uvicorn.Server | None = None

    def run(self, models: Sequence[Model]) -> None:
        """Serve the models until SIGINT, SIGTERM or `stop`."""
        queue = Queue()
        app = make_app(models, Visits(queue), lambda: server.should_exit, self._hosts, self._token)
        self._server = server = _Server(app)
        server.should_exit = self._stopped
        with self._socket, _working(models, queue):
            server.run(sockets=[self._socket])

    def stop(self) -> None:
        """May be called from any thread, before `run` too."""
        self._stopped = True
        if self._server is not None:
            self._server.should_exit = True


def _hosts(host: str, name: str, port: int) -> list[str] | None:
    """The names under which the app is asked; None for any, which the token guards."""
    if host in EVERYWHERE:
        return None
    names = {name, "localhost", "127.0.0.1", "[::1]"} if is_loopback(host) else {name}
    return [f"{each}:{port}" for each in names] + ([*names] if port == 80 else [])


class _Server(uvicorn.Server):
    """Ends on SIGINT and SIGTERM as on a wish: no signal is raised again after the last connection is closed."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=int(LAST),
        )
        super().__init__(config)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal that ended it once more
            super().run(sockets)


@contextmanager
def _working(models: Sequence[Model], queue: Queue) -> Iterator[None]:
    workers = [Worker(model, queue) for model in models]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        queue.close()
        for worker in workers:
            worker.join(LAST)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise TagxaiError(f"cannot listen on {host}:{port}: {error.strerror or error}; try --port 0") from None
