"""`/docs` as one plain page made from the OpenAPI document: nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; text-transform: capitalize; }
section { border: 1px solid color-mix(in srgb, currentColor 20%, transparent); border-radius: .5rem;
  padding: .6rem .9rem; margin: .5rem 0; }
h3 { font-size: 1rem; margin: 0; } p { margin: .3rem 0; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
.method { font-weight: 700; display: inline-block; min-width: 3rem; }
table { border-collapse: collapse; width: 100%; margin-top: .3rem; font-size: .92em; }
td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
"""


def docs_page(openapi: Mapping[str, Any]) -> str:
    """The page: title, then every endpoint by tag with its parameters, answers and whether it needs the token."""
    types = openapi.get("components", {}).get("schemas", {})
    by_tag: dict[str, list[str]] = {}
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            by_tag.setdefault(tag, []).append(_endpoint(method.upper(), path, operation, types))
    title = escape(openapi["info"]["title"])
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(sections)}" for tag, sections in by_tag.items())
    intro = escape(openapi["info"].get("description", ""))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f'<h1>{title}</h1><p>{intro}</p><p>Machine-readable: <a href="/openapi.json">/openapi.json</a></p>{body}</html>'
    )


def _endpoint(method: str, path: str, operation: Mapping[str, Any], types: Mapping[str, Any]) -> str:
    rows = "".join(_parameters(operation.get("parameters", []), types))
    table = f"<table><tr><th>parameter<th>allowed<th>default<th></tr>{rows}</table>" if rows else ""
    answers = ", ".join(
        f"{status} {answer.get('description', '')}".strip()
        for status, answer in operation["responses"].items()
        if status not in {"200", "202", "422"}
    )
    extra = f"<p>Also answers: {escape(answers)}</p>" if answers else ""
    return (
        f'<section><h3><span class="method">{method}</span> <code>{escape(path)}</code></h3>'
        f"<p>{escape(operation.get('description', ''))}</p>{table}{extra}</section>"
    )


def _parameters(parameters: list[Mapping[str, Any]], types: Mapping[str, Any]) -> Iterator[str]:
    for parameter in parameters:
        if parameter["in"] == "header":
            continue
        schema = parameter["schema"]
        default = schema.get("default", "required" if parameter.get("required") else "")
        cells = (f"<code>{escape(parameter['name'])}</code>", escape(_allowed(schema, types)), escape(str(default)))
        yield f"<tr>{''.join(f'<td>{cell}' for cell in cells)}<td>{escape(parameter.get('description', ''))}</tr>"


def _allowed(schema: Mapping[str, Any], types: Mapping[str, Any]) -> str:
    """A schema in words: its range, its choices or its type."""
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    inner = options[0] if options else schema
    if "$ref" in inner:
        inner = types[inner["$ref"].rsplit("/", 1)[-1]]
    if "enum" in inner:
        return ", ".join(map(str, inner["enum"]))
    if "minimum" in inner or "maximum" in inner:
        return f"{inner.get('minimum', '')} to {inner.get('maximum', '')}"
    return inner.get("format") or inner.get("pattern") or inner.get("type", "")
