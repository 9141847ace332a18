"""Errors as RFC 9457 problem details: one class a reason, one documented page a class.

A service raises a :class:`Problem`; the handlers installed here turn it, and everything the framework raises by itself,
into `application/problem+json`. No problem carries what the caller sent: answers are health data, and error bodies end
up in other people's logs. Where the fault lies is said by JSON Pointer (body) or parameter name (the rest).
"""

from __future__ import annotations

import http
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import asyncpg
import orjson
import sqlalchemy.exc
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE: Final = "application/problem+json"
MOST_ERRORS: Final = 100
"""Faults listed in one problem; a caller that broke more is told how many there were."""


class Fault(BaseModel):
    """One fault: a stable code, a sentence, and where: `pointer` in the body, else `parameter` and `in`."""

    model_config = ConfigDict(extra="allow")

    code: str = Field(description="Stable name of the fault, for programs")
    detail: str = Field(description="What would have been right, for people")
    pointer: str | None = Field(default=None, description="JSON Pointer (RFC 6901) into the request body")
    parameter: str | None = Field(default=None, description="Name of the query, path or header parameter")


class ProblemDocument(BaseModel):
    """The body of every error (RFC 9457)."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="Page that explains this type of problem, relative to the service")
    title: str
    status: int
    detail: str | None = None
    instance: str | None = Field(default=None, description="The request, as `urn:fathomline:request:<request id>`")
    errors: list[Fault] | None = Field(default=None, description=f"Each fault, at most {MOST_ERRORS}")


class Problem(Exception):
    """Base of all problems.

    Parameters
    ----------
    detail : str, optional
        What happened this time. Never quotes the input.
    errors : sequence of mappings, optional
        Each with `code` and `detail`, and `pointer` or `parameter`; further members pass through.
    headers : mapping, optional
        Response headers, such as `Retry-After`.
    **members
        Extension members of the document.
    """

    status: int = 500
    slug: ClassVar[str] = ""
    title: str = ""

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Iterable[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(self.title)
        self.detail = detail
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
        self.members = members

    @classmethod
    def type_uri(cls) -> str:
        """Relative reference to the page of this type; the service itself serves it."""
        return f"/problems/{cls.slug}" if cls.slug else "about:blank"

    def document(self, request_id: str | None = None) -> dict[str, Any]:
        """The problem document, as plain data."""
        body: dict[str, Any] = {"type": self.type_uri(), "title": self.title, "status": self.status}
        if self.detail is not None:
            body["detail"] = self.detail
        if request_id is not None:
            body["instance"] = f"urn:fathomline:request:{request_id}"
        if self.errors:
            body["errors"] = self.errors[:MOST_ERRORS]
            if len(self.errors) > MOST_ERRORS:
                body["errors_total"] = len(self.errors)
        return body | self.members

    def response(self, request_id: str | None = None) -> Response:
        """The HTTP answer."""
        return Response(
            orjson.dumps(self.document(request_id)), self.status, headers=self.headers, media_type=MEDIA_TYPE
        )


class BodyMalformed(Problem):
    """The body is not JSON text in UTF-8."""

    status, slug, title = 400, "body-malformed", "The body is not valid JSON"


class RequestMalformed(Problem):
    """What came over the connection is not a request in HTTP/1.1."""

    status, slug, title = 400, "request-malformed", "The request is not valid HTTP"


class Unauthenticated(Problem):
    """No bearer token, or one that is not accepted."""

    status, slug, title = 401, "unauthenticated", "A valid bearer token is needed"

    def __init__(self, detail: str | None = None, *, token_given: bool = True) -> None:
        # RFC 6750, 3.1: the error code is left out where the request carried no credentials at all.
        challenge = 'Bearer realm="fathomline"' + (', error="invalid_token"' if token_given else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(Problem):
    """The token's role does not include the scope of this operation."""

    status, slug, title = 403, "forbidden", "The role does not allow this"


class NotFound(Problem):
    """Nothing here, or nothing that this organisation may know of: the two look the same on purpose."""

    status, slug, title = 404, "not-found", "There is no such thing here"


class MethodNotAllowed(Problem):
    """The path exists, with other methods; `Allow` lists them."""

    status, slug, title = 405, "method-not-allowed", "This path does not take that method"


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    status, slug, title = 408, "request-timeout", "The body took too long to arrive"


class ExternalIdTaken(Problem):
    """Another client of the organisation has this external identifier."""

    status, slug, title = 409, "external-id-taken", "The external identifier belongs to another client"


class PreconditionFailed(Problem):
    """`If-Match` names a version that is no longer the newest."""

    status, slug, title = 412, "precondition-failed", "The resource has changed since it was read"


class BodyTooLarge(Problem):
    """The body is longer than the service takes."""

    status, slug, title = 413, "body-too-large", "The body is too large"


class MediaTypeUnsupported(Problem):
    """The body is not declared as JSON in UTF-8 without content coding."""

    status, slug, title = 415, "media-type-unsupported", "The body has to be JSON"


class RequestInvalid(Problem):
    """Parameters or body do not have the shape that the operation takes."""

    status, slug, title = 422, "request-invalid", "The request does not have the right shape"


class AnswersInvalid(Problem):
    """The answers do not fit the definition of the instrument; nothing was stored."""

    status, slug, title = 422, "answers-invalid", "The answers do not fit the instrument"


class IdempotencyKeyReused(Problem):
    """The idempotency key was used before, with another body."""

    status, slug, title = 422, "idempotency-key-reused", "The idempotency key stands for another request"


class PreconditionRequired(Problem):
    """A write that could overwrite somebody else's needs `If-Match`."""

    status, slug, title = 428, "precondition-required", "The write has to say which version it changes"


class TooManyRequests(Problem):
    """The principal sent more than its rate allows; `Retry-After` says when to go on."""

    status, slug, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Try again in {retry_after} s.", headers={"Retry-After": str(retry_after)})


class HeadTooLarge(Problem):
    """The request line and the headers together are longer than the service takes."""

    status, slug, title = 431, "head-too-large", "The request line and headers are too large"


class InternalError(Problem):
    """A fault of the service. The log has the details under the request id; the answer has none."""

    status, slug, title = 500, "internal-error", "The service failed"


class ServiceUnavailable(Problem):
    """Something the service depends on, mostly its database, does not answer at the moment."""

    status, slug, title = 503, "service-unavailable", "The service cannot answer at the moment"

    def __init__(self, detail: str | None = None, *, retry_after: int = 5, **members: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **members)


EVERYWHERE: Final[tuple[type[Problem], ...]] = (Unauthenticated, Forbidden, TooManyRequests, InternalError)


def catalogue() -> dict[str, type[Problem]]:
    """Every problem type by slug, including those that a feature module adds by subclassing."""
    found: dict[str, type[Problem]] = {}
    waiting = list(Problem.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind is _Unnamed:
            continue
        if found.setdefault(kind.slug, kind) is not kind or not kind.slug:
            raise TypeError(f"{kind.__qualname__}: a problem type needs a slug of its own, got {kind.slug!r}")
    return dict(sorted(found.items()))


def problems(*kinds: type[Problem], public: bool = False) -> dict[int | str, dict[str, Any]]:
    """What a route passes as `responses=`: the given problems and those that any protected route may answer.

    Examples
    --------
    >>> sorted(problems(NotFound))
    [401, 403, 404, 429, 500, 503]
    """
    always = (InternalError,) if public else EVERYWHERE
    listed: set[type[Problem]] = {*kinds, *always, ServiceUnavailable}
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in sorted(listed, key=lambda kind: kind.slug):
        entry = responses.setdefault(
            kind.status,
            {
                "description": "",
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        entry["description"] = f"{entry['description']}; {kind.title}" if entry["description"] else kind.title
        example = {"type": kind.type_uri(), "title": kind.title, "status": kind.status}
        entry["content"][MEDIA_TYPE]["examples"][kind.slug] = {"value": example}
    return responses


# pydantic writes these messages from the input, so they are replaced; all others state only what was expected.
_DETAILS: Final[Mapping[str, str]] = {
    "missing": "is required",
    "extra_forbidden": "is not a member that this operation knows",
    "uuid_parsing": "has to be a UUID",
    "uuid_type": "has to be a UUID",
    "json_invalid": "has to be JSON",
    "model_type": "has to be an object",
    "model_attributes_type": "has to be an object",
    "dict_type": "has to be an object",
    "union_tag_invalid": "has to name one of the known kinds",
    "url_parsing": "has to be a URL",
    "url_syntax_violation": "has to be a URL",
}


def pointer(parts: Sequence[object]) -> str:
    """JSON Pointer (RFC 6901) of a path of keys and indices.

    Examples
    --------
    >>> pointer(["answers", "a/b", 0])
    '/answers/a~1b/0'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _body_path(parts: Sequence[int | str], body: object, kind: str) -> list[int | str]:
    """The part of a pydantic location that is a path in the body: names of union branches and validators drop out."""
    path: list[int | str] = []
    here = body
    for at, part in enumerate(parts):
        if (isinstance(here, dict) and part in here) or (isinstance(here, list) and part in range(len(here))):
            here = here[part]  # type: ignore[index]  # checked in the line above
        elif not (kind == "missing" and at == len(parts) - 1):
            continue
        path.append(part)
    return path


def faults(error: RequestValidationError) -> list[dict[str, Any]]:
    """The faults pydantic found, without its `input` and `ctx`."""
    found: list[dict[str, Any]] = []
    for item in error.errors():
        kind = str(item["type"])
        fault: dict[str, Any] = {"code": kind.replace("_", "-"), "detail": _DETAILS.get(kind, str(item["msg"]))}
        place, *rest = item["loc"] or ("body",)
        if place == "body":
            # A body that is not JSON at all has the offset of the fault as its location, which is no path.
            path = [] if kind == "json_invalid" else _body_path(rest, error.body, kind)
            found.append({"pointer": pointer(path), **fault})
        else:
            found.append({"parameter": ".".join(str(part) for part in rest), "in": place, **fault})
    return found


_BY_STATUS: Final[Mapping[int, type[Problem]]] = {
    400: BodyMalformed,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: BodyTooLarge,
    415: MediaTypeUnsupported,
    500: InternalError,
}

_DATABASE_GONE: Final = (
    ConnectionError,
    TimeoutError,  # the server keeps silent; whatever else has a time limit answers for it itself
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server died with a connection in the pool, and the driver has not yet noticed
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, cancelled by a timeout
    asyncpg.InsufficientResourcesError,  # too many connections, disk or memory full
    asyncpg.TransactionRollbackError,  # two that waited for each other, of which the server gave up one
    sqlalchemy.exc.TimeoutError,  # no connection free in the pool
)


def _database_gone(error: BaseException) -> bool:
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        origin = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or (origin is not None and _database_gone(origin))
    return isinstance(error, _DATABASE_GONE)


def _removed_meanwhile(error: BaseException) -> bool:
    """Whether what a new row refers to is gone: services look for it first, so it was erased since."""
    if isinstance(error, sqlalchemy.exc.IntegrityError):
        return error.orig is not None and isinstance(error.orig.__cause__, asyncpg.ForeignKeyViolationError)
    return isinstance(error, asyncpg.ForeignKeyViolationError)


def problem_for(error: BaseException) -> Problem:
    """The problem that stands for any exception; :class:`InternalError` for what nobody foresaw."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return RequestInvalid(errors=faults(error))
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code)
        if kind is not None:
            return kind(headers=error.headers)
        return _Unnamed(error.status_code, error.headers)
    if _database_gone(error):
        return ServiceUnavailable("The database does not answer.")
    if _removed_meanwhile(error):
        return NotFound("What this belongs to was erased meanwhile.")
    return InternalError()


class _Unnamed(Problem):
    """A status that the framework chose and that needs no words beyond HTTP's own (RFC 9457, 4.2.1)."""

    def __init__(self, status: int, headers: Mapping[str, str] | None) -> None:
        super().__init__(headers=headers)
        self.status, self.title = status, http.HTTPStatus(status).phrase


def request_id(request: Request) -> str | None:
    """The id that the middleware gave the request."""
    found = request.scope.get("state", {}).get("request_id")
    return found if isinstance(found, str) else None


def _allowed(request: Request) -> str:
    """Methods of the path. The framework names only those of the first of its routes."""
    path = getattr(request.scope.get("route"), "path_format", None)
    found = {
        method
        for context in iter_route_contexts(request.app.routes)
        if context.path_format == path
        for method in context.methods or ()
    }
    return ", ".join(sorted(found))


async def _answer(request: Request, error: Exception) -> Response:
    problem = problem_for(error)
    instead = getattr(request.app.state, "gone_instead", None)
    if instead is not None:
        problem = await instead(request, problem)
    keep = getattr(request.app.state, "keep_refusal", None)
    if keep is not None:
        await keep(request, problem)
    if isinstance(problem, MethodNotAllowed) and (allowed := _allowed(request)):
        problem.headers["Allow"] = allowed
    page = getattr(request.app.state, "problem_page", None)
    return (page and page(request, problem)) or problem.response(request_id(request))


def install(app: FastAPI) -> None:
    """Answer with problems for everything raised inside the application."""
    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)
