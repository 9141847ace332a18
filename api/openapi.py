"""The OpenAPI document: what FastAPI derives, made exact about scopes and errors.

The scope of an operation is read off its dependency, so the document cannot promise another one than is checked. The
errors that every request may get are added here rather than on each route.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from api.erasure.problems import ClientErased
from api.problems import (
    MEDIA_TYPE,
    BodyMalformed,
    BodyTooLarge,
    Fault,
    MediaTypeUnsupported,
    Problem,
    ProblemDocument,
    RequestInvalid,
    RequestTimeout,
    problems,
)
from api.security.principal import Require

OF_BODIES: Final = (BodyMalformed, BodyTooLarge, MediaTypeUnsupported, RequestInvalid, RequestTimeout)
"""What an operation with a body may answer before it even begins."""
_FRAMEWORKS_OWN: Final = ("HTTPValidationError", "ValidationError")
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A signed token of a trusted issuer; its `role` decides the scopes.",
}


_DECLARED: Final[dict[str, dict[str, Any]]] = {}


class _AsWritten(GenerateJsonSchema):
    """Schemas of what the service writes itself: decimals as numbers, and every member always there."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        return self.float_schema(core_schema.float_schema(ge=_number(schema, "ge"), le=_number(schema, "le")))

    def field_is_required(self, field: Any, total: bool) -> bool:
        return True


def _number(schema: Any, name: str) -> float | None:
    return float(schema[name]) if schema.get(name) is not None else None


def declare(model: type[BaseModel], mode: JsonSchemaMode, *, prefix: str = "", **members: Any) -> dict[str, str]:
    """A reference to the schema of a body that does not pass through FastAPI, which therefore cannot derive it.

    ``mode`` is ``validation`` for what is read and ``serialization`` for what is written. ``prefix`` goes before the
    names of the schema and of its parts. ``members`` are properties that are written besides those of the model.
    """
    template = f"#/components/schemas/{prefix}{{model}}"
    generator = _AsWritten if mode == "serialization" else GenerateJsonSchema
    schema = model.model_json_schema(mode=mode, ref_template=template, schema_generator=generator)
    if members:
        schema["properties"] |= members
        schema["required"] = [*schema.get("required", ()), *members]
    for name, part in (schema.pop("$defs", {}) | {model.__name__: schema}).items():
        if _DECLARED.setdefault(prefix + name, part) != part:
            raise TypeError(f"two schemas are called {prefix + name}")
    return {"$ref": template.format(model=model.__name__)}


class Application(FastAPI):
    """FastAPI with the document below."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _sorted(_completed(self, super().openapi()))
        return self.openapi_schema


def scope_of(route: APIRoute) -> str | None:
    """The scope that an operation requires; None for a public one."""
    declared: str | None = (route.openapi_extra or {}).get("x-scope")
    return next(_requirements(route.dependant), declared)


def _requirements(dependant: Dependant) -> Iterator[str]:
    if isinstance(dependant.call, Require):
        yield dependant.call.scope
    for inner in dependant.dependencies:
        yield from _requirements(inner)


def _completed(app: FastAPI, document: dict[str, Any]) -> dict[str, Any]:
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute) and context.path_format in document["paths"]:
            required = sorted(set(_requirements(context.dependant)))
            for method in context.methods or ():
                operation = document["paths"][context.path_format].get(method.lower())
                if operation is not None:
                    _complete(operation, required, f"{method} {context.path_format}")
                    if context.path_format and "{client_id}" in context.path_format:
                        _merge(operation["responses"], "410", problems(ClientErased)[410])
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    template = "#/components/schemas/{model}"
    for name, schema in _DECLARED.items():
        if schemas.setdefault(name, schema) != schema:
            raise TypeError(f"two schemas are called {name}")
    schemas["Fault"] = Fault.model_json_schema(ref_template=template)
    schemas["Problem"] = ProblemDocument.model_json_schema(ref_template=template)
    schemas["Problem"].pop("$defs", None)
    components["securitySchemes"] = {"bearer": _BEARER}
    return document


def _complete(operation: dict[str, Any], required: list[str], name: str) -> None:
    declared = operation.get("x-scope")
    if len(required) > 1 or (required and declared not in (None, required[0])):
        raise TypeError(f"{name}: x-scope is {declared!r}, the dependencies require {required}")
    if required:
        operation["x-scope"] = required[0]
    protected = "x-scope" in operation
    if protected:
        operation["security"] = [{"bearer": []}]
    kinds: list[type[Problem]] = list(OF_BODIES) if "requestBody" in operation else []
    responses = operation["responses"]
    if responses.get("422", {}).get("content", {}).keys() == {"application/json"}:
        del responses["422"]
        kinds.append(RequestInvalid)
    for status, answer in problems(*kinds, public=not protected).items():
        _merge(responses, str(status), answer)


def _merge(responses: dict[str, Any], status: str, answer: dict[str, Any]) -> None:
    """Add what is not there; two problems of one status are both examples of it."""
    present = responses.setdefault(status, answer)
    examples = present.get("content", {}).get(MEDIA_TYPE, {}).get("examples")
    if present is answer or examples is None:
        return
    for slug, example in answer["content"][MEDIA_TYPE]["examples"].items():
        if slug not in examples:
            examples[slug] = example
            present["description"] += f"; {example['value']['title']}"


def _sorted(value: Any) -> Any:
    """Members in alphabetical order, lists as they are: the document is the same whatever came first."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(inner) for inner in value]
    return value
