"""Every variable of the caller's environment that this tool reads, read here: its own, and the few of other programs.

An empty variable is one that is not set. Paths may begin with ~ and are absolute from here on; what is no port, no yes
or no is refused in one line. `begin` looks at all of them before a command does anything.
"""

import difflib
import os
import pwd
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from ci.base import duration
from ci.base.errors import MachineError, UsageError
from ci.base.secret import Secret

PREFIX = "ML_SERVING_CI_"
CACHE = f"{PREFIX}CACHE"
STATE = f"{PREFIX}STATE"
REGISTRY_PORT = f"{PREFIX}REGISTRY_PORT"
STALL = f"{PREFIX}STALL"
ONLY = f"{PREFIX}ONLY"
DEBUG = f"{PREFIX}DEBUG"
PROJECT = f"{PREFIX}PROJECT"
TOKEN = f"{PREFIX}TOKEN"
SIGNING_KEY = f"{PREFIX}SIGNING_KEY"
SIGNING_PASSWORD = f"{PREFIX}SIGNING_PASSWORD"
WEBHOOK = f"{PREFIX}WEBHOOK"
REGISTRY_USER = f"{PREFIX}REGISTRY_USER"
REGISTRY_PASSWORD = f"{PREFIX}REGISTRY_PASSWORD"

OWN = {
    CACHE: "folder of all that may be rebuilt; the user's cache folder for `ml-serving-ci`",
    STATE: "folder of clusters, logs, locks and Docker's own files; the cache folder, where it can be written",
    REGISTRY_PORT: "port of the local registry on 127.0.0.1, 1 to 65535; 5001",
    STALL: "how long nothing may come from a publisher before a download is given up, such as `90s`; `60s`",
    ONLY: "stages that `test` runs with what they need, separated by spaces or commas, where there is no `--only`; all",
    DEBUG: "1, true, yes or on: as `--debug`; 0, false, no or off",
    PROJECT: "folder of the project file, as `--project`; the one called in, or the nearest above that has one",
    TOKEN: "token of an https remote and of GitHub's API; that of `GITHUB_TOKEN`",
    SIGNING_KEY: "private key that signs evidence; evidence is not signed",
    SIGNING_PASSWORD: "password of that key; it has none",
    WEBHOOK: "URL that is told of a run; nobody is told",
    REGISTRY_USER: "user of the registry that `publish` pushes to; `ml-serving-ci`",
    REGISTRY_PASSWORD: "password there; what `helm registry login` left",
}
"""What a person sets, each with its meaning and, after the semicolon, what holds without it."""
SECRETS = (TOKEN, SIGNING_KEY, SIGNING_PASSWORD, WEBHOOK, REGISTRY_PASSWORD)
"""Of these, NAME_FILE names a file that holds it instead; no program that a run starts gets one."""
INTERNAL = (f"{PREFIX}SUPPLY", f"{PREFIX}OWNER", f"{PREFIX}ACT")
"""Set by the tool for programs that it starts, and by its own tests."""
TOKENS = (TOKEN, "GITHUB_TOKEN")
"""Variables with the token of an https remote and of GitHub's API, in order of preference."""

FOLDERS = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
"""Where one of them is no absolute path, it is to be ignored (https://specifications.freedesktop.org/basedir-spec)."""
TEMPORARY = "TMPDIR"
PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
NO_PROXY = ("NO_PROXY", "no_proxy")
"""Python looks at the lower-case one first, Go at the other: both have to say the same."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FIRST_PORT, LAST_PORT = 1, 65535
DEFAULT_PORT = 5001
DEFAULT_STALL = "60s"
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

_kept: Mapping[str, str] | None = None
"""The caller's environment, while this process has another."""
_taken: dict[str, str] = {}
"""Secrets that were in the environment when the command began: gone from there, so that no library hands them on."""


def begin() -> list[str]:
    """Look at every setting before a command does anything, and take its secrets out of the environment.

    Returns:
        A line for each variable that looks like one of ours and is none.

    Raises:
        UsageError: A setting is wrong.
        MachineError: There is no home folder.
    """
    folder = cache()
    if variable(CACHE):
        os.environ[CACHE] = str(folder)  # programs are started in other folders
    if chosen := state():
        os.environ[STATE] = str(chosen)
    if (temporary := _path(TEMPORARY)) and not temporary.is_dir():
        raise UsageError(f"{_shown(TEMPORARY)}: not a folder", fix=f"mkdir it, or unset {TEMPORARY}")
    registry_port()
    stall()
    debug()
    direct(*LOOPBACK)
    _taken.update({name: os.environ.pop(name) for name in (*SECRETS, *TOKENS) if name in os.environ})
    known = {*OWN, *INTERNAL, *(f"{name}_FILE" for name in SECRETS)}
    return [_unknown(name, known) for name in sorted(os.environ) if name.startswith(PREFIX) and name not in known]


def direct(*hosts: str) -> None:
    """Have no proxy be asked for hosts, by this process and the programs that it starts.

    Go leaves out the loopback by itself, Python does not; and no proxy knows a container's name or address.

    Args:
        hosts: Names or addresses, without a port.
    """
    if not any(variable(name) for name in PROXIES):
        return
    said = [host.strip() for name in NO_PROXY for host in os.environ.get(name, "").split(",")]
    together = ",".join(dict.fromkeys(host for host in (*said, *hosts) if host))
    if "*" not in said:  # which asks none for anything, and counts only alone
        os.environ.update(dict.fromkeys(NO_PROXY, together))


def cache() -> Path:
    """Return the folder of everything that may be rebuilt: `$ML_SERVING_CI_CACHE`, else the user's cache folder.

    Raises:
        UsageError: The variable names something that is no folder.
        MachineError: It is not set, and there is no home folder.
    """
    for name in FOLDERS:
        if not Path(os.environ.get(name, "/")).is_absolute():
            del os.environ[name]
        elif folder := os.environ.get(name):
            os.environ[name] = str(absolute(name, folder))
    chosen = _path(CACHE)
    if chosen is None:
        home()
        return Path(platformdirs.user_cache_dir("ml-serving-ci"))
    if chosen.exists() and not chosen.is_dir():
        raise UsageError(f"{_shown(CACHE)}: not a folder")
    if not variable("HOME"):
        try:
            home()
        except MachineError:
            os.environ["HOME"] = str(chosen / "home")  # the programs that a run starts look for one
    return chosen


def state() -> Path | None:
    """Return the folder of what belongs to this machine, where one is chosen.

    Raises:
        UsageError: The variable names something that is no folder.
    """
    chosen = _path(STATE)
    if chosen is not None and chosen.exists() and not chosen.is_dir():
        raise UsageError(f"{_shown(STATE)}: not a folder")
    return chosen


def home() -> Path:
    """Return the user's home folder. Where HOME is not set, the user database says it, and HOME does so from then on.

    Raises:
        MachineError: Neither says it, or HOME is no absolute path.
    """
    fix = f"export {CACHE}=FOLDER or HOME=FOLDER, one that this user may write to"
    named = variable("HOME")
    if named is None:
        try:
            named = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            said = f"no home folder: HOME is not set and user {os.getuid()} has no name"
            raise MachineError(said, fix=fix) from None
        os.environ["HOME"] = named
    if not Path(named).is_absolute():
        raise MachineError(f"no home folder: HOME={named} is not an absolute path", fix=fix)
    return Path(named)


def registry_port() -> int:
    """Return the local registry's port on this host.

    Raises:
        UsageError: The variable is no port.
    """
    text = variable(REGISTRY_PORT)
    if text is None:
        return DEFAULT_PORT
    if not re.fullmatch("[1-9][0-9]{0,4}", text) or int(text) > LAST_PORT:
        raise UsageError(f"{_shown(REGISTRY_PORT)}: not a port, {FIRST_PORT} to {LAST_PORT}")
    return int(text)


def stall() -> float:
    """Return after how many seconds without a byte a download is given up.

    Raises:
        UsageError: The variable is no duration, or none at all.
    """
    length = duration.seconds(variable(STALL) or DEFAULT_STALL, f"{STALL}:")
    if not length:
        raise UsageError(f"{_shown(STALL)}: nothing could come in no time")
    return length


def only(stages: Sequence[str]) -> list[str]:
    """Return the stages that `test` is narrowed to; none where it is not.

    Args:
        stages: The names of all there are.

    Raises:
        UsageError: The variable names another.
    """
    names = (variable(ONLY) or "").replace(",", " ").split()
    for name in names:
        if name not in stages:
            raise UsageError(f"{_shown(ONLY)}: {name}: no such stage", fix=f"One of {', '.join(stages)}")
    return names


def debug() -> bool:
    """Return whether errors show all there is.

    Raises:
        UsageError: The variable is neither yes nor no.
    """
    text = (variable(DEBUG) or NO[0]).lower()
    if text not in (*YES, *NO):
        raise UsageError(f"{_shown(DEBUG)}: not one of {', '.join((*YES, *NO))}")
    return text in YES


def show_all() -> None:
    """Have errors show all there is, in the programs of this tool that it starts as well."""
    os.environ[DEBUG] = YES[0]


def no_plugins() -> None:
    """Have pydantic look for no plugins: it would read the records of all that is installed at every start."""
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = YES[0]


def project() -> Path | None:
    """Return the folder of the project file that the user names, or None.

    Raises:
        UsageError: It begins with the ~ of a user that there is none of.
    """
    return _path(PROJECT)


def choose_project(folder: Path) -> None:
    """Have a project, in the programs of this tool that this one starts as well."""
    os.environ[PROJECT] = str(folder.absolute())


def registry_user() -> str:
    """Return the user of the registry that a chart is published to."""
    return variable(REGISTRY_USER) or "ml-serving-ci"


def kubeconfig() -> Path:
    """Return the kubeconfig of the cluster that a command is about: `$KUBECONFIG`, else `~/.kube/config`.

    Raises:
        UsageError: The variable names several files that are there.
        MachineError: It is not set, and there is no home folder.
    """
    names = [name for name in (variable("KUBECONFIG") or "").split(os.pathsep) if name]
    if not names:
        return home() / ".kube" / "config"
    files = list(dict.fromkeys(absolute("KUBECONFIG", name) for name in names))
    there = [file for file in files if file.exists()] or files[:1]  # as kubectl: what is not there does not count
    if len(there) > 1:
        raise UsageError(
            f"{_shown('KUBECONFIG')}: {len(there)} files, and one is needed",
            fix="kubectl config view --flatten > FILE, then --kubeconfig FILE",
        )
    return there[0]


def secret(*names: str, user: str = "") -> Secret | None:
    """Return the first secret that is set: in the variable NAME, or in the file that NAME_FILE names.

    Args:
        names: Variables, in order of preference.
        user: Name that goes with it.

    Raises:
        UsageError: NAME_FILE names no file that can be read, or the secret is no text.
    """
    for name in names:
        if file := _path(f"{name}_FILE"):
            try:
                value = file.read_text("utf-8").strip()
            except OSError as error:
                raise UsageError(f"{_shown(f'{name}_FILE')}: {error.strerror}") from error
            except UnicodeDecodeError:
                raise UsageError(f"{_shown(f'{name}_FILE')}: not text in UTF-8") from None
        else:
            value = (variable(name) or "").strip()
            if any(0xD800 <= ord(char) <= 0xDFFF for char in value):  # how Python holds other bytes
                raise UsageError(f"{name}: not text in UTF-8")
        if value:
            return Secret(value, user)
    return None


def variable(name: str) -> str | None:
    """Return a variable's value, this tool's own or another program's; None where it is not set, or empty."""
    return caller().get(name) or _taken.get(name) or None


def caller() -> Mapping[str, str]:
    """Return the caller's environment, which is this process's, unless that is lent."""
    return os.environ if _kept is None else _kept


@contextmanager
def lent(variables: Mapping[str, str]) -> Iterator[None]:
    """Have this process's environment be another as long as the block runs; all that is read here stays the caller's.

    Args:
        variables: The environment.
    """
    global _kept
    _kept = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(variables)
        yield
    finally:
        os.environ.clear()
        os.environ.update(_kept)
        _kept = None


def absolute(name: str, text: str) -> Path:
    """Return a path with ~ expanded and without `..`, from the folder that the command was started in.

    One place has to have one name: the cache compares its own paths, and links in it are relative.

    Args:
        name: The variable that has it.
        text: Its value, or a part of it.

    Raises:
        UsageError: There is no such user.
    """
    if text == "~" or text.startswith("~/"):
        return Path(f"{home()}{text[1:]}")
    expanded = os.path.expanduser(text)  # noqa: PTH111 - Path's own raises a RuntimeError for a user there is none of
    if expanded.startswith("~"):
        raise UsageError(f"{_shown(name)}: there is no user {text.split('/')[0][1:]}")
    path = Path(expanded).absolute()
    return path.resolve() if ".." in path.parts else path  # what is above a link is above its target


def _path(name: str) -> Path | None:
    text = variable(name)
    return None if text is None else absolute(name, text)


def _shown(name: str) -> str:
    """Return NAME=VALUE as one line, whatever the value has in it."""
    value = variable(name) or ""
    return f"{name}={value if value.isprintable() and not value.isspace() else repr(value)}"


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known - set(INTERNAL), n=1, cutoff=0.8)
    return f"{name} is set, and nothing reads it{f': {near[0]} is meant?' if near else ''}"
