"""The server: its socket, its workers, and an end that leaves nothing."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
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


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def serve(models: Sequence[Model], host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is given the address. Raises TagxaiError where the port is taken."""
    with _bound(host, port) as bound:
        port = bound.getsockname()[1]
        token = None if is_loopback(host) else secrets.token_urlsafe(24)
        shown = f"[{host}]" if ":" in host else host
        any_name = host in ("0.0.0.0", "::")
        names = {shown.lower(), "localhost", "127.0.0.1", "[::1]"} if is_loopback(host) else {shown.lower()}
        hosts = None if any_name else [f"{name}:{port}" for name in names] + ([*names] if port == 80 else [])
        queue = Queue()
        visits = Visits(queue)
        server = _Server(make_app(models, visits, lambda: server.should_exit, hosts, token))
        with _working(models, queue):
            name = "127.0.0.1" if any_name else shown
            on_ready(f"http://{name}:{port}/" + (f"?token={token}" if token else ""))
            server.run(sockets=[bound])


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


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise TagxaiError(f"cannot listen on {host}:{port}: {error.strerror or error}; try --port 0") from None
    with bound:
        yield bound
