"""Which login of the user's a registry is asked with: named, and its secret not read.

crane looks it up by itself (go-containerregistry's pkg/authn/keychain.go, with docker/cli's config); this follows the
same order, so that an error can say what was tried.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ci.base import programs

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
"""What Docker's configuration calls Docker Hub."""
VARIABLE = "DOCKER_AUTH_CONFIG"
"""Logins before those of the file, where there is a file."""


def tried(host: str, repository: str) -> str:
    """Return what crane asks a registry with.

    Args:
        host: The registry, with its port where it has one.
        repository: The image's name there.
    """
    given = programs.environment(["crane"])
    files = list(_files(given))
    file = next((each for each in files if each.is_file()), None)
    if file is None:
        return f"no login (there is no {files[0]})" if files else "no login (there is no home folder)"
    name = HUB_KEY if host == HUB else host
    try:
        config = _read(file.read_bytes())
        variable = _read(given.get(VARIABLE, "{}"))
        keys = (f"{host}/{repository}", name)
        if key := next((each for each in keys if _has(variable, each)), None):
            return f"the login for {key} in {VARIABLE}"
        for key in keys:
            if helper := config.get("credHelpers", {}).get(key) or config.get("credsStore"):
                return f"docker-credential-{helper}, which {file} names"
            if _has(config, key):
                return f"the login for {key} in {file}"
    except (OSError, ValueError, AttributeError, TypeError):
        return f"{file}, which cannot be read"
    return f"no login ({file} has none for {name})"


def _read(text: str | bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def _has(config: dict[str, Any], key: str) -> bool:
    logins = config.get("auths", {})
    return key in logins or key in map(_hostname, logins)


def _files(given: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that may have logins; the first that is there is read, and no other."""
    home = Path(given["HOME"]) if "HOME" in given else None
    if "DOCKER_CONFIG" in given:
        yield Path(given["DOCKER_CONFIG"]) / "config.json"
    elif home is not None:
        yield home / ".docker" / "config.json"
    if "REGISTRY_AUTH_FILE" in given:
        yield Path(given["REGISTRY_AUTH_FILE"])
    if "XDG_RUNTIME_DIR" in given:
        yield Path(given["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
    if "XDG_CONFIG_HOME" in given:
        yield Path(given["XDG_CONFIG_HOME"]) / "containers" / "auth.json"
    elif home is not None:
        yield home / ".config" / "containers" / "auth.json"


def _hostname(key: str) -> str:
    """Return the host of a key in `auths`, which may be a URL (docker/cli's ConvertToHostname)."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]
