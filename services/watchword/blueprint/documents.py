"""The reference of the configuration file: every table, field, bound and default, from the documents themselves."""

import inspect
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from watchword.blueprint.writing import table
from watchword.runtime.configuration_file import FORMS, TABLES

HEAD: Final = """\
# Configuration
Made by `make flow` from the documents that `watchword apply FILE` reads; `--dry-run` says everything that is wrong with
a file, and what applying it would change. `services/watchword/local/demo.toml` is an example.

Each table is written once for each document, as `[[tenants]]`. A document that a file leaves out stays as it was
applied last. A secret is written out, or as `"env:NAME"` or `"file:/path"`, read where `apply` runs; it is kept
encrypted.
"""

_BOUNDS: Final[Mapping[str, str]] = {
    "minimum": "from {}", "exclusiveMinimum": "over {}", "maximum": "to {}", "minLength": "{} characters or more",
    "maxLength": "{} characters at most", "minItems": "{} or more of them", "maxItems": "{} of them at most",
}  # fmt: skip


def configuration_text() -> str:
    """CONFIGURATION.md."""
    return HEAD + "".join(_section(name, struct) for name, struct in TABLES.items())


def _section(name: str, struct: type[msgspec.Struct]) -> str:
    schemas, components = msgspec.json.schema_components([struct], ref_template="{name}")
    told = components[schemas[0]["$ref"]]
    rows = [
        [
            f"`{field.encode_name}`",
            _form(field.name, told["properties"][field.encode_name], components),
            _default(field),
        ]
        for field in msgspec.structs.fields(struct)
    ]
    meaning = inspect.cleandoc(struct.__doc__ or "")
    return f"\n## `[[{name}]]`\n{meaning}\n\n" + table(("field", "what it is", "default"), rows)


def _form(field: str, schema: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        schema = {**components[schema["$ref"]], **schema}
    if "enum" in schema:
        return " · ".join(f"`{each}`" for each in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_form(field, each, components) for each in schema["anyOf"] if each.get("type") != "null")
    words = [_kind(field, schema, components)]
    words += [
        how.format(schema[bound]) for bound, how in _BOUNDS.items() if bound in schema and "pattern" not in schema
    ]
    return ", ".join(words)


def _kind(field: str, schema: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    match schema.get("type"):
        case "array":
            return f"list of {_form(field, schema.get('items', {}), components)}"
        case "object" if "properties" in schema:
            named = ", ".join(f"`{name}`" for name in schema["properties"])
            return f"table of {named}"
        case "object":
            return f"table: name = {_form(field, schema.get('additionalProperties') or {}, components)}"
        case "string" if "pattern" in schema:
            return FORMS.get(field, "lower-case letters, digits and _ . -, up to 63")
        case "string":
            return "moment with its offset" if schema.get("format") == "date-time" else "text"
        case kind:
            return {"integer": "whole number", "number": "number", "boolean": "true or false"}.get(str(kind), "value")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "must be told"
    made = field.default_factory is not msgspec.NODEFAULT
    default = field.default_factory() if made else field.default
    return "" if default in (None, "", [], {}) else f"`{msgspec.json.encode(default).decode()}`"
