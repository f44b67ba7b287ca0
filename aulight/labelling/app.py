"""The coding page over HTTP: its three files, pictures and clips of the sample, and what the coder does.

Every address begins with a token that nobody else knows, and every answer is for this machine alone: a request that
came by another name than this machine's (as after DNS rebinding) is refused, and the page may load nothing from
elsewhere. No path of a file is ever part of an address.
"""

import hmac
import json
import sqlite3
from collections.abc import Callable
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aulight.errors import AulightError, one_line
from aulight.labelling.desk import Desk

MOST_BYTES = 10_000
"""Of what the page sends at once."""

_PAGE = {
    "": ("page.html", "text/html"),
    "label.css": ("label.css", "text/css"),
    "label.js": ("label.js", "text/javascript"),
}
_HOSTS = ("127.0.0.1", "localhost")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class _Sent(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Stroke(_Sent):
    id: str = Field(min_length=8, max_length=64)


class _Scored(_Stroke):
    video: str
    frame: int
    au: int
    score: int | str
    seconds: float | None = Field(ge=0)


class _Place(_Sent):
    row: int
    place: int | None


class _Look(_Sent):
    order: str = Field(max_length=20)
    theme: str = Field(max_length=20)
    speed: str = Field(max_length=20)


def make_app(desk: Desk, token: str) -> ASGIApp:
    """The application.

    Args:
        desk: What the page shows and does.
        token: What every address begins with.
    """
    routes = [
        *(Route(f"/{path}", _file(name, kind)) for path, (name, kind) in _PAGE.items()),
        Route("/api/state", _answers(lambda _: desk.state())),
        Route("/api/score", _takes(_Scored, lambda sent: desk.score(sent.pop("id"), **sent)), methods=["POST"]),
        Route("/api/undo", _takes(_Stroke, lambda sent: desk.undo(sent["id"])), methods=["POST"]),
        Route("/api/look", _takes(_Look, desk.keep_look), methods=["POST"]),
        Route("/api/export", _takes(_Sent, lambda _: desk.export()), methods=["POST"]),
        Route("/api/rest", _takes(_Place, lambda sent: desk.pick_rest(**sent)), methods=["POST"]),
        Route("/api/rest/{row:int}", _answers(lambda request: desk.rest(request.path_params["row"]))),
        Route("/still/{row:int}/{place:int}.png", _answers(_still(desk))),
        Route("/clip/{row:int}/{place:int}.mp4", _answers(_clip(desk))),
    ]
    return _Guard(Starlette(routes=routes), token)


class _Guard:
    """Lets requests through that came by this machine's name and know the token, which it takes off the path."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"], *((name.encode(), value.encode()) for name, value in _HEADERS.items())
                ]  # fmt: skip
            await send(message)

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        token, slash, path = scope["path"].removeprefix("/").partition("/")
        if urlsplit(f"//{host}").hostname not in _HOSTS or (origin is not None and urlsplit(origin).netloc != host):
            answer: ASGIApp = PlainTextResponse("not for this address", 421)
        elif not slash or not hmac.compare_digest(token.encode(), self._token.encode()):
            answer = PlainTextResponse("not found", 404)
        else:
            answer, scope = self._app, {**scope, "path": f"/{path}", "raw_path": None}
        await answer(scope, receive, send_guarded)


def _file(name: str, kind: str) -> Callable[[Request], Any]:
    content = files("aulight.labelling").joinpath(name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


def _answers(find: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """An endpoint that answers with what is found; in a thread, since a video may be read."""

    async def answer(request: Request) -> Response:
        return await _answer(lambda: find(request))

    return answer


def _takes(kind: type[_Sent], do: Callable[[Any], Any]) -> Callable[[Request], Any]:
    """An endpoint that does something with what the page sends."""

    async def answer(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return JSONResponse({"error": "too much at once"}, 413)
        try:
            sent = kind.model_validate_json(body or b"{}")
        except ValidationError as error:
            return JSONResponse({"error": one_line(error.errors(include_url=False)[0]["msg"])}, 400)
        return await _answer(lambda: do(sent.model_dump()))

    return answer


async def _answer(work: Callable[[], Any]) -> Response:
    try:
        found = await run_in_threadpool(work)
    except AulightError as error:
        return JSONResponse({"error": one_line(error)}, 404)
    except (sqlite3.Error, OSError) as error:  # a full disk, above all: the page keeps what it has, and tries again
        return JSONResponse({"error": one_line(error)}, 507)
    return found if isinstance(found, Response) else JSONResponse(found)


def _still(desk: Desk) -> Callable[[Request], Response]:
    return lambda request: Response(desk.still(**request.path_params), media_type="image/png")


def _clip(desk: Desk) -> Callable[[Request], Response]:
    def find(request: Request) -> Response:
        clip = desk.clip(**request.path_params)
        told = {"x-times": json.dumps([round(time_s, 5) for time_s in clip.times]), "x-at": str(clip.at)}
        return Response(clip.video, media_type="video/mp4", headers=told)

    return find
