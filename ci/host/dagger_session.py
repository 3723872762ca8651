"""The Dagger session that a run was started in, asked before it is used: it may be of any version.

Who starts it, `dagger run` or `dagger api with-session` as Dagger 1.0 calls it (github.com/dagger/dagger/issues/13787;
`dagger run` and `dagger session` stay as hidden names), sets two variables: the port of an HTTP server on 127.0.0.1 and
the user name that it asks for. Dagger's library looks at neither side's version and would fail at its first question
that the other does not know.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import requests

from ci.base import settings
from ci.base.errors import MachineError

PORT = "DAGGER_SESSION_PORT"
TOKEN = "DAGGER_SESSION_TOKEN"  # noqa: S105 - the variable's name
SECONDS = 60.0
"""For one answer; the first makes the engine put its whole API together."""
WITHOUT = "The same command without `dagger run` or `dagger api with-session`: it starts its own, pinned engine."

API: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Query": {"container": (), "directory": (), "host": (), "version": ()},
    "Host": {"directory": ("path", "exclude", "include", "gitignore"), "file": ("path",)},
    "Container": {
        "directory": ("path",),
        "exitCode": (),
        "file": ("path",),
        "from": ("address",),
        "stderr": (),
        "stdout": (),
        "withEntrypoint": ("args",),
        "withEnvVariable": ("name", "value"),
        "withExec": ("args", "expect", "stdin", "useEntrypoint"),
        "withFile": ("path", "source", "permissions"),
        "withMountedDirectory": ("path", "source"),
        "withMountedFile": ("path", "source"),
        "withRootfs": ("directory",),
        "withUser": ("name",),
        "withWorkdir": ("path",),
    },
    "Directory": {
        "export": ("path",),
        "id": (),
        "withFile": ("path", "source"),
        "withNewDirectory": ("path", "permissions"),
        "withNewFile": ("path", "contents"),
    },
    "File": {"contents": (), "id": ()},
}
"""What the pipeline asks: fields of each type, and their arguments."""
QUESTION = "{ version __schema { types { name fields(includeDeprecated: true) { name args { name } } } } }"


async def version() -> str | None:
    """Return the version of the engine whose session this was started in, or None where it was started in none.

    Raises:
        MachineError: The session does not answer, or cannot do what the pipeline asks.
    """
    port = settings.variable(PORT)
    if not port:
        return None
    found, types = await anyio.to_thread.run_sync(_ask, port, settings.variable(TOKEN))
    if lacking := list(_lacking(types)):
        raise MachineError(
            f"this was started in a session of Dagger {found}, whose API lacks {', '.join(lacking)}", fix=WITHOUT
        )
    return found


def _ask(port: str, token: str | None) -> tuple[str, list[dict[str, Any]]]:
    """Return the engine's version and the types of its API."""
    if not token:
        raise MachineError(f"{PORT} is set, and {TOKEN} is not", fix=f"unset {PORT}")
    answer = ""
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy is asked for what is on this machine
            address = f"http://127.0.0.1:{port}/query"
            response = session.post(address, json={"query": QUESTION}, auth=(token, ""), timeout=SECONDS)
        answer = response.text
        response.raise_for_status()
        data = response.json()["data"]
        return str(data["version"]), data["__schema"]["types"]
    except (requests.RequestException, LookupError, TypeError) as error:
        raise MachineError(
            f"no session of Dagger answers at 127.0.0.1:{port}, as {PORT} says",
            fix=WITHOUT,
            detail=answer or str(error),
        ) from error


def _lacking(types: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is in `API` and not in the session's own, as Type.field or Type.field(argument)."""
    had = {
        (kind["name"], field["name"]): {argument["name"] for argument in field["args"]}
        for kind in types
        for field in kind["fields"] or ()
    }
    for kind, fields in API.items():
        for field, arguments in fields.items():
            if (kind, field) not in had:
                yield f"{kind}.{field}"
                continue
            yield from (f"{kind}.{field}({name})" for name in arguments if name not in had[kind, field])
