"""The app's addresses. Everything about a visit is under its id, which cannot be guessed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tagxai.errors import TagxaiError
from tagxai.report.app import bounds, wishes
from tagxai.report.app.guard import Guard
from tagxai.report.app.jobs import FullError
from tagxai.report.app.models import Model
from tagxai.report.app.packing import packed
from tagxai.report.app.pages import FRAMED, app_page
from tagxai.report.app.takes import Take, beside
from tagxai.report.app.visits import GoneError, Visit, Visits
from tagxai.report.page import render

COALESCED = 0.05
"""Seconds in which several changes become one message."""
BEAT = 0.5
"""Seconds after which silence is broken, so that a listener who has gone, and the app's end, are noticed."""


class BodyError(TagxaiError):
    """A body that is too long."""


def make_app(
    models: Sequence[Model],
    visits: Visits,
    stopping: Callable[[], bool] = lambda: False,
    hosts: Sequence[str] | None = None,
    token: str | None = None,
) -> Starlette:
    """The app for `models`, whose workers the caller runs; it answers to `hosts` (None: to any), with the token."""
    page, policy = app_page(models)

    async def home(_: Request) -> Response:
        return HTMLResponse(page, headers={"content-security-policy": policy})

    async def open_visit(_: Request) -> Response:
        return JSONResponse({"visit": visits.open().id}, 201)

    def visit_of(request: Request) -> Visit:
        return visits.find(request.path_params["visit"])

    async def events(request: Request) -> Response:
        return StreamingResponse(_news(visit_of(request), stopping), media_type="text/event-stream")

    async def ask(request: Request) -> Response:
        visit, content = visit_of(request), await _content(request)
        if "take" in content:
            wish: wishes.Wish = wishes.read_gains(content, visit.take(str(content["take"]))[1])
        else:
            wish = wishes.read_new_clip(content, models)
        return JSONResponse({"job": visit.ask(wish).id}, 202)

    async def cancel(request: Request) -> Response:
        visit_of(request).cancel(request.path_params["job"])
        return Response(status_code=204)

    def found(request: Request, name: str = "take") -> tuple[int, Take]:
        return visit_of(request).take(request.path_params[name])

    async def show(request: Request) -> Response:
        return await _page(found(request)[1].content)

    async def show_beside(request: Request) -> Response:
        (number, a), (other, b) = found(request), found(request, "other")
        return await _page(lambda: beside(a, b, (number, other)))

    async def export(request: Request) -> Response:
        number, take = found(request)
        name = f"tagxai-take-{number}"
        headers = {"content-disposition": f'attachment; filename="{name}.zip"'}
        return Response(await run_in_threadpool(packed, take, name), media_type="application/zip", headers=headers)

    routes = [
        Route("/", home),
        Route("/visits", open_visit, methods=["POST"]),
        Route("/visits/{visit}/events", events),
        Route("/visits/{visit}/jobs", ask, methods=["POST"]),
        Route("/visits/{visit}/jobs/{job}", cancel, methods=["DELETE"]),
        Route("/visits/{visit}/takes/{take}.zip", export),
        Route("/visits/{visit}/takes/{take}", show),
        Route("/visits/{visit}/takes/{take}/{other}", show_beside),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=hosts, token=token)],
        exception_handlers={TagxaiError: _refused},
    )


async def _refused(_: Request, error: Exception) -> Response:
    statuses: dict[type[Exception], int] = {FullError: 429, GoneError: 404, BodyError: 413}
    return JSONResponse({"error": str(error)}, statuses.get(type(error), 400))


async def _content(request: Request) -> dict[str, Any]:
    """The JSON of a request, which is short. Raises TagxaiError."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise TagxaiError("a job is asked for with JSON")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > bounds.BODY:
            raise BodyError(f"a request has at most {bounds.BODY} bytes")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise TagxaiError("a job is asked for with JSON, and this is none") from None
    if not isinstance(content, dict):
        raise TagxaiError("a job is asked for with a JSON object")
    return content


async def _page(content: Callable[[], Any]) -> Response:
    html = await run_in_threadpool(lambda: render(content()))
    return HTMLResponse(html, headers={"content-security-policy": FRAMED})


async def _news(visit: Visit, stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Jobs and takes as server-sent events, each whenever it has changed."""
    loop, sent = asyncio.get_running_loop(), dict[str, str]()
    with visit.listening(loop) as event:
        try:
            while not stopping():
                event.clear()
                for name, content in visit.news().items():
                    text = json.dumps(content)
                    if sent.get(name) != text:
                        sent[name] = text
                        yield f"event: {name}\ndata: {text}\n\n"
                try:
                    await asyncio.wait_for(event.wait(), BEAT)
                except TimeoutError:
                    yield ": still here\n\n"
                await asyncio.sleep(COALESCED)
        finally:
            loop.call_later(bounds.AWAY, lambda: None if visit.is_listened_to else visit.leave())
