"""The one table of the programs that a run starts: which of the caller's variables each is given, and what is set.

What a program needs to run at all, and what says where from and as whom, is handed on. Nothing else is: neither what
changes what is selected (PYTEST_ADDOPTS, PIP_CONSTRAINT, HELM_NAMESPACE), nor this tool's own secrets.
"""

import fnmatch
import functools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from ci.base import settings

TOOL = "ml-serving-ci"
BASE = "any"
GROUPS: Mapping[str, tuple[str, ...]] = {
    BASE: (
        "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_*", "TERM", *settings.FOLDERS,
        "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE",
    ),
    "network": (
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC",
    ),
    "cloud": (
        "AWS_*", "GOOGLE_*", "CLOUDSDK_*", "USE_GKE_GCLOUD_AUTH_PLUGIN", "AZURE_*", "AAD_*", "ARM_*", "OCI_CLI_*",
        "DIGITALOCEAN_*", "TELEPORT_*",
    ),
    "logins": (
        "DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "GNUPGHOME", "PASSWORD_STORE_DIR",
        "DBUS_SESSION_BUS_ADDRESS", "WSL_INTEROP", "WSL_DISTRO_NAME",
    ),
    "docker": (
        "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
        "SSH_AUTH_SOCK",
    ),
    "git": (
        "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS",
        "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
        "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GNUPGHOME", "GPG_TTY",
        "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "GCM_*", "GH_TOKEN", "GH_HOST", "GH_CONFIG_DIR",
    ),
    "go": (
        "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOAUTH", "GOPATH", "GOMODCACHE",
        "GOCACHE", "GOTMPDIR",
    ),
    "pip": (
        "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TRUSTED_HOST", "PIP_CERT",
        "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_KEYRING_PROVIDER", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES",
        "PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "DBUS_SESSION_BUS_ADDRESS",
    ),
    "dagger": ("DAGGER_*", "_EXPERIMENTAL_DAGGER_*"),
    "helm": ("HELM_REGISTRY_CONFIG",),
    "storage": (
        "awsAnonymousCredential", "S3_*", "STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE", "GCE_METADATA_*",
        "NO_GCE_CHECK", "AZ_*", "HF_*", "HUGGING_FACE_HUB_TOKEN", "*-headers",
    ),
    TOOL: (settings.CACHE, settings.STATE, settings.REGISTRY_PORT, settings.STALL),
}  # fmt: skip
"""Variables by what they are for; * stands for any characters."""

PLACES = frozenset({
    "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC", "DOCKER_CONFIG",
    "DOCKER_CERT_PATH", "REGISTRY_AUTH_FILE", "GNUPGHOME", "PASSWORD_STORE_DIR", "SSH_AUTH_SOCK", "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GH_CONFIG_DIR", "GOPATH", "GOMODCACHE", "GOCACHE", "GOTMPDIR",
    "PIP_CERT", "PIP_CLIENT_CERT", "PIP_CONFIG_FILE", "PIP_CACHE_DIR", "HELM_REGISTRY_CONFIG",
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "AZURE_CONFIG_DIR", "AZURE_FEDERATED_TOKEN_FILE",
    "HF_HOME", "HF_TOKEN_PATH",
})  # fmt: skip
"""Of these, those that name files and folders: programs are started in other folders than this one was."""

ABOUT: Mapping[str, str] = {
    BASE: "to run at all; a program that is not in the table below gets these alone",
    "network": "proxies, certificate authorities, logins of hosts",
    "cloud": "credentials of clouds: kubeconfigs' exec plugins, registries' credential helpers",
    "logins": "logins of registries, and what Docker's credential helpers need",
    "docker": "which Docker daemon",
    "git": "who commits, who signs, and keys of remotes",
    "go": "where modules come from, and Go's caches",
    "pip": "where packages come from, and pip's cache",
    "dagger": "which Dagger engine",
    "helm": "logins of registries, Helm's own",
    "storage": "where models are, and as whom they are read, beside what clouds' own clients read",
    TOOL: "where this tool's own things are",
}
"""What each group is for."""


@dataclass(frozen=True)
class Program:
    """What one program is given.

    Attributes:
        groups: Names of `GROUPS`, beside the base.
        sets: Variables that always have this value.
    """

    groups: tuple[str, ...] = ()
    sets: Mapping[str, str] = field(default_factory=dict)


CLUSTER = ("network", "cloud")
KUBECTL = Program(CLUSTER, {"KUBERC": "off"})
PROGRAMS: Mapping[str, Program] = {
    "apt-get": Program(("network",)),
    "crane": Program(("network", "cloud", "logins")),
    # or it deletes every engine of another version, a user's own too
    "dagger": Program(("network", "cloud", "logins", "docker", "dagger"), {"DAGGER_LEAVE_OLD_ENGINE": "1"}),
    "docker": Program(("network", "cloud", "logins", "docker")),
    "dockerd": Program(("network",)),
    "git": Program(("network", "git")),
    "go": Program(("network", "git", "go"), {"GOENV": "off"}),
    # of its processor time on one chart a fifth is spent on collecting garbage
    "helm": Program((*CLUSTER, "logins", "helm"), {"HELM_PLUGINS": os.devnull, "GOGC": "400"}),
    "kind": Program(("network", "docker")),
    "kubectl": KUBECTL,
    "kubectl-argo-rollouts": KUBECTL,
    "kserve-storage": Program(
        ("network", "cloud", "storage"), {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    ),
    "mmdebstrap": Program(("network",)),
    "pip": Program(
        ("network", "pip"), {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONSAFEPATH": "1"}
    ),
    # the suite starts programs of its own, and this tool: they choose from what it has
    "pytest": Program(
        (*CLUSTER, "logins", "docker", "git", "helm", TOOL),
        {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "anyio.pytest_plugin",
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
        },
    ),
    TOOL: Program((*CLUSTER, "logins", "docker", "git", "go", "pip", "dagger", "helm", TOOL)),
}

SCRIPTS: Mapping[tuple[str, ...], str] = {
    ("ci", "main.py"): TOOL,
    ("stages", "alone.py"): "pytest",
    ("files", "kserve_fetch.py"): "kserve-storage",
}
"""The ends of paths of scripts, each with its program's name."""


def environment(argv: Sequence[str | Path]) -> dict[str, str]:
    """Return the environment that a program is started with.

    Args:
        argv: Its command.
    """
    program = PROGRAMS.get(name(argv), Program())
    names, like = _variables((BASE, *program.groups))
    caller = settings.caller().items()
    given = {each: value for each, value in caller if value and (each in names or like.match(each))}
    places = {each: _absolute(each, value) for each, value in given.items() if each in PLACES}
    return {**given, **places, **program.sets}


def name(argv: Sequence[str | Path]) -> str:
    """Return the name under which a command's program is in the table: of `python -m pip` that is pip."""
    first, *rest = (str(word) for word in argv)
    program = Path(first).name
    if first == sys.executable or program == "python":  # of a virtual environment of the tool's making
        while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
            rest.pop(0)
        if rest[:1] == ["-m"]:
            return rest[1]
        return SCRIPTS.get(Path(rest[0]).parts[-2:], program) if rest else program
    if program == "setsid":  # becomes the program that it is given
        return next((Path(word).name for word in rest if not word.startswith("-")), program)
    return program


def lent(program: str, more: Mapping[str, str]) -> AbstractContextManager[None]:
    """Have this process's environment be a program's, for a library that starts it with whatever that is.

    Args:
        program: Its name in the table.
        more: Variables that it gets beside those.
    """
    return settings.lent({**environment([program]), **more})


def _absolute(variable: str, value: str) -> str:
    """Return a path, or several with colons between them, each absolute."""
    return os.pathsep.join(str(settings.absolute(variable, part)) if part else "" for part in value.split(os.pathsep))


@functools.cache
def _variables(groups: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str]]:
    """Return the names of the groups' variables, and what further ones match: a run asks for each program it starts."""
    patterns = [pattern for group in groups for pattern in GROUPS[group]]
    like = "|".join(fnmatch.translate(pattern) for pattern in patterns if "*" in pattern)
    return frozenset(pattern for pattern in patterns if "*" not in pattern), re.compile(like)
