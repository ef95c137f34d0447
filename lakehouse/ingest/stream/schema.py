"""Which declared types the fields of a JSON Schema or an Avro schema can have. Both are read as JSON."""

import json
from collections.abc import Mapping
from typing import Any

_JSON = {
    "integer": ("int", "bigint"),
    "number": ("double",),
    "boolean": ("boolean",),
    "string": ("string",),
}
_JSON_TIMES = {"date-time": ("timestamp", "string"), "date": ("date", "string")}
_AVRO = {
    "int": ("int", "bigint"),
    "long": ("bigint",),
    "float": ("double",),
    "double": ("double",),
    "boolean": ("boolean",),
    "string": ("string",),
    "enum": ("string",),
}
_AVRO_TIMES = {
    ("int", "date"): ("date",),
    ("long", "timestamp-millis"): ("timestamp",),
    ("long", "timestamp-micros"): ("timestamp",),
}


def read_schema(text: str) -> dict[str, Any]:
    """A schema's text as an object.

    Raises:
        ValueError: it is not JSON, or not an object.
    """
    schema: Any = json.loads(text)
    if not isinstance(schema, dict):
        raise ValueError("is not a JSON object")
    return schema


def fields_of_json(schema: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Each property of a JSON Schema, with the declared types that hold its values.

    >>> fields_of_json({"properties": {"read_at": {"type": ["string", "null"], "format": "date-time"}}})
    {'read_at': ('timestamp', 'string')}

    Raises:
        ValueError: it has no properties, or one is not a plain value.
    """
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        raise ValueError("has no properties")
    return {name: _of_property(name, said) for name, said in properties.items()}


def _of_property(name: str, said: Any) -> tuple[str, ...]:
    kinds = said.get("type") if isinstance(said, dict) else None
    plain = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    if len(plain) != 1 or plain[0] not in _JSON:
        raise ValueError(f"property {name} is not of one plain type ({', '.join(_JSON)}), or null")
    if plain[0] == "string" and said.get("format") in _JSON_TIMES:
        return _JSON_TIMES[said["format"]]
    return _JSON[plain[0]]


def fields_of_avro(schema: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Each field of an Avro record, with the declared types that hold its values.

    >>> fields_of_avro({"type": "record", "name": "r", "fields": [{"name": "n", "type": ["null", "long"]}]})
    {'n': ('bigint',)}

    Raises:
        ValueError: it is not a record, or one of its fields is not a plain value.
    """
    fields = schema.get("fields")
    if schema.get("type") != "record" or not isinstance(fields, list):
        raise ValueError("is not an Avro record")
    return {field["name"]: _of_field(field["name"], field.get("type")) for field in fields}


def _of_field(name: str, said: Any) -> tuple[str, ...]:
    kinds = [kind for kind in (said if isinstance(said, list) else [said]) if kind != "null"]
    kind = kinds[0] if len(kinds) == 1 else None
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    plain = kind.get("type") if isinstance(kind, dict) else kind
    found = _AVRO_TIMES.get((str(plain), logical)) if logical else _AVRO.get(str(plain))
    if found is None:
        times = ", ".join(logical for _, logical in _AVRO_TIMES)
        raise ValueError(f"field {name} is not of one plain type ({', '.join(_AVRO)}, {times}), or null")
    return found
