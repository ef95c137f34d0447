"""The service's OpenAPI document: for each spec the names, types and ranges of what its model reads today."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ml.serving.models import Models
from ml.serving.schema import Response

_REFS = "#/components/schemas/{model}"
_REFUSED = {
    "400": "The request names another host",
    "401": "The token is missing or wrong",
    "404": "No such model, or entities that are not in the online store; they are named",
    "408": "The body did not come in time",
    "409": "Rows that break the spec's rule for stale or missing features; they are named",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "422": "A field is unknown, of a wrong type or out of its range; it is named",
    "429": "More requests than are taken at once",
    "503": "No champion yet, the online store is away, or the journal cannot be written",
}


def document(models: Models, version: str, *, with_token: bool) -> dict[str, Any]:
    """The document, as the versions in service make it.

    Args:
        version: of the project.
        with_token: whether requests have to carry a token.
    """
    components: dict[str, Any] = {"Refusal": _REFUSAL} | _schemas(Response, "")
    paths: dict[str, Any] = {
        f"/{name}": {"get": _reading(summary, kind)} for name, (summary, kind) in _READINGS.items()
    }
    for name in models.specs:
        champion = models[name].champion
        if champion is not None:
            components |= _schemas(champion.request, f"{name}_")
            paths[f"/v1/models/{name}/predict"] = {"post": _predict(name, models)}
    secured: dict[str, Any] = {}
    if with_token:
        secured = {"security": [{"token": []}]}
        for path in ("/health", "/ready"):
            paths[path]["get"]["security"] = []
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Scores online",
            "version": version,
            "description": "Scores by entity or by feature values, the same bits as batch scoring gives.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            **({"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if with_token else {}),
        },
        **secured,
    }


_READINGS = {
    "health": ("Whether the process lives", "application/json"),
    "ready": ("Whether it can answer: the models in service, the online store", "application/json"),
    "metrics": ("What was counted, for Prometheus", "text/plain"),
    "openapi.json": ("This document", "application/json"),
}
_REFUSAL = {
    "title": "Refusal",
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}},
}


def _reading(summary: str, kind: str) -> dict[str, Any]:
    answer = {
        "description": summary,
        "content": {kind: {"schema": {} if kind != "text/plain" else {"type": "string"}}},
    }
    return {"summary": summary, "responses": {"200": answer, **_refusals("400", "401", "503")}}


def _predict(name: str, models: Models) -> dict[str, Any]:
    return {
        "summary": models.specs[name].spec.description,
        "operationId": f"predict_{name}",
        "requestBody": {"required": True, "content": _json(f"{name}_Request")},
        "responses": {
            "200": {"description": "A score for each row, in order", "content": _json("Response")},
            **_refusals(*_REFUSED),
        },
    }


def _refusals(*statuses: str) -> dict[str, Any]:
    return {status: {"description": _REFUSED[status], "content": _json("Refusal")} for status in statuses}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFS.format(model=schema)}}}


def _schemas(model: type[BaseModel], prefix: str) -> dict[str, Any]:
    """A type and those it is made of, by name."""
    schema = model.model_json_schema(ref_template=_REFS.format(model=prefix + "{model}"))
    parts: Mapping[str, Any] = schema.pop("$defs", {})
    return {f"{prefix}{model.__name__}": schema} | {f"{prefix}{name}": part for name, part in parts.items()}
