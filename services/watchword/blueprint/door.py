"""The public API is one address and two workers: which paths are whose, and the proxy that tells them apart."""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from watchword.blueprint.workloads import DOOR_PORTS
from watchword.blueprint.writing import MADE, table
from watchword.flow import WORKERS
from watchword.receipts.door import PATH as CALLBACK_PATH
from watchword.runtime.http import Route
from watchword.runtime.pages import DOCS, OPENAPI, PROBLEM_PAGES

_REST = "intake"
_PAGES = (OPENAPI, DOCS, PROBLEM_PAGES)

_SERVER = """\
    server {{
        listen {port} ssl;
        ssl_certificate /run/secrets/door.crt;
        ssl_certificate_key /run/secrets/door.key;
        ssl_protocols TLSv1.2 TLSv1.3;
{locations}    }}
"""

_CONFIGURATION = """\
# The proxy of compose.yaml: ends TLS, says who called, and knows which worker serves a path.
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
worker_processes auto;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    client_max_body_size 256k;
    client_body_timeout 10s;
    client_header_timeout 10s;
    proxy_http_version 1.1;
    proxy_connect_timeout 2s;
    proxy_read_timeout 30s;
    proxy_set_header Host $host;
    proxy_set_header Connection "";
    # What a caller writes into it is not passed on: behind this proxy nobody else is believed.
    proxy_set_header X-Forwarded-For $remote_addr;
    # A request is never tried on another worker: a start or a check may already have happened.
    proxy_next_upstream off;
{upstreams}{servers}}}
"""


def paths() -> dict[str, Sequence[Route[Any]]]:
    """The routes of each worker behind the public door."""
    public = [worker for worker in WORKERS if "public" in worker.doors]
    return {worker.name: import_module(worker.module).described() for worker in public}


def path_table() -> str:
    """Which worker serves which path, as a Markdown table. Whoever serves a page about the API tells of all of it."""
    rows = [
        [route.method, f"`{route.path}`", f"`{pattern(route.path)}`", name]
        for name, some in paths().items()
        for route in some
    ]
    rows += [["GET", f"`{path}`", f"`{pattern(path)}`", f"any of them; here {_REST}"] for path in _PAGES]
    rows.append(["any", f"`{CALLBACK_PATH}`", f"`{pattern(CALLBACK_PATH)}`", "receipts, at its own address"])
    return table(("method", "path", "as a pattern", "worker"), rows)


def pattern(path: str) -> str:
    """A path as a regular expression: `{id}` is any one segment."""
    return "^" + re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path).replace("\\-", "-")) + "$"


def configuration() -> str:
    """The proxy's configuration file."""
    special = [(pattern(route.path), name) for name, some in paths().items() if name != _REST for route in some]
    public = "".join(_location(f"~ {match}", name) for match, name in special) + _location("/", _REST)
    servers = _SERVER.format(port=8443, locations=public)
    servers += _SERVER.format(port=8444, locations=_location("/", "receipts"))
    upstreams = "".join(_upstream(name, port) for name, port in _upstreams().items())
    return MADE + _CONFIGURATION.format(upstreams=upstreams, servers=servers)


def _upstreams() -> Mapping[str, int]:
    return {**dict.fromkeys(paths(), DOOR_PORTS["public"]), "receipts": DOOR_PORTS["carriers"]}


def _upstream(name: str, port: int) -> str:
    return f"    upstream {name} {{\n        server {name}:{port};\n        keepalive 64;\n    }}\n"


def _location(match: str, name: str) -> str:
    return f"        location {match} {{\n            proxy_pass http://{name};\n        }}\n"
