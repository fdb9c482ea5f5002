"""Who may talk to the app: its own pages, under its own names, with its token where others can reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http.cookies import SimpleCookie
from secrets import compare_digest
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "tagxai"

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every answer; pages add their content security policy."""


class Guard:
    """Refuses requests under a name that is not in `hosts` (None: any name), from another site's page, or without the
    token. A token in the address becomes a cookie, and the address is forgotten."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] | None, token: str | None) -> None:
        self._app, self._hosts, self._token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(each for each in extra if each[0] not in given)]
            await send(message)

        await (self._refusal(scope, headers) or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> Any:
        """The answer in place of the app's; None where the request may pass."""
        from starlette.responses import JSONResponse, RedirectResponse

        host = headers.get("host", "")
        if self._hosts is not None and host.lower() not in self._hosts:
            return JSONResponse({"error": "this app does not answer to that host name"}, 400)
        foreign = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        origin = headers.get("origin")
        opened = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"  # a link, from anywhere
        if (origin is not None and origin != f"http://{host}") or (foreign and not opened):
            return JSONResponse({"error": "this app answers only to its own pages"}, 403)
        if self._token is None or self._is_known(headers):
            return None
        (given, *_) = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        if not compare_digest(given.encode(), self._token.encode()):
            return JSONResponse({"error": "open the address that tagxai app printed, which has the token"}, 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
        return answer

    def _is_known(self, headers: Mapping[str, str]) -> bool:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        return morsel is not None and compare_digest(morsel.value.encode(), (self._token or "").encode())
