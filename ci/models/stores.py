"""Where models are kept, by `storageUri`: who reads each kind of store, with which settings, and which are refused."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from ci.base import settings
from ci.base.errors import UsageError

DIRECTORY = "--models DIR or a mirror of the project file that has its files"
SECRET = re.compile(r"(?i)key$|secret|token$|headers$|password")
"""In the names of the settings whose values nobody sees."""


@dataclass(frozen=True)
class Store:
    """A kind of store.

    Attributes:
        pattern: Regular expression of its URIs.
        variables: The caller's variables that say as whom it is asked, and where; {host} is the URI's.
        files: Files below the home folder that say it too.
        fix: What to set.
    """

    pattern: str
    variables: tuple[str, ...]
    files: tuple[str, ...] = ()
    fix: str = ""


AZURE = Store(
    r"https://[^/]+\.(blob|file)\.(core\.windows|storage\.azure)\.net/",
    ("AZURE_STORAGE_ACCESS_KEY", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZ_CLIENT_ID",
     "AZ_CLIENT_SECRET", "AZ_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"),
    fix="export AZURE_STORAGE_ACCESS_KEY=…, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
)  # fmt: skip
OCI = Store(
    "oci://",
    ("DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE"),
    (".docker/config.json",),
    "docker login HOST",
)
STORES: Mapping[str, Store] = {
    "s3": Store(
        "s3://",
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONFIG_FILE",
         "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ENDPOINT_URL*",
         "awsAnonymousCredential"),
        (".aws/credentials", ".aws/config"),
        "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… or AWS_PROFILE=…, and AWS_ENDPOINT_URL of your own store",
    ),
    "gs": Store(
        "gs://",
        ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE"),
        (".config/gcloud/application_default_credentials.json",),
        "export GOOGLE_APPLICATION_CREDENTIALS=FILE, or gcloud auth application-default login",
    ),
    "hf": Store(
        "hf://",
        ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_ENDPOINT"),
        (".cache/huggingface/token",),
        "export HF_TOKEN=… of an account that may read it",
    ),
    "oci": OCI,
    "azure": AZURE,
    "https": Store(
        "https?://",
        ("{host}-headers", "NETRC"),
        (".netrc",),
        """env '{host}-headers={{"Authorization": "Bearer …"}}' python …, or a login of {host} in ~/.netrc""",
    ),
}  # fmt: skip
"""In the order in which a URI is held against them."""
REFUSED: Mapping[str, str] = {
    r"pvc://": "only pods of its cluster can read a volume",
    r"file://": "a path of a pod's own file system",
    r"(web)?hdfs://": "KServe's storage library reads HDFS with clients that are no part of it",
    r"https://.+\.git": "a clone holds files that are different each time, so it has no digest",
}
"""What KServe reads from as well, each with why this tool does not."""


def of(uri: str) -> Store:
    """Return the kind of store that a URI names.

    Args:
        uri: A model's storageUri.

    Raises:
        UsageError: There is none of that kind, or this tool does not read from it.
    """
    azure = re.match(AZURE.pattern, uri)
    for pattern, why in REFUSED.items():
        if not azure and re.match(pattern, uri):
            raise UsageError(f"{shown(uri)}: not read from here: {why}", fix=f"Give {DIRECTORY}.")
    for store in STORES.values():
        if re.match(store.pattern, uri):
            return store
    raise UsageError(f"{shown(uri)}: not a storageUri of {', '.join(STORES)}")


def shown(uri: str) -> str:
    """Return a URI without what may be a secret in it: what stands before an @ and after a question mark."""
    place, question, _ = uri.partition("?")
    return re.sub(r"(?<=://)[^/@]*@", "", place) + ("?…" if question else "")


def tried(uri: str) -> list[str]:
    """Return the names of what there is here that says as whom a URI is read: variables, and files of the home folder.

    Args:
        uri: A model's storageUri.
    """
    store = of(uri)
    variables = [name for name, value in settings.caller().items() if value and _is_of(name, store, uri)]
    files = [f"~/{name}" for name in store.files if (settings.home() / name).exists()]
    return sorted(variables) + files


def secrets(uri: str) -> list[str]:
    """Return what no message may show: values of settings, and what `shown` leaves out of the URI itself.

    Args:
        uri: A model's storageUri.
    """
    found = [settings.caller()[name] for name in tried(uri) if SECRET.search(name) and not name.startswith("~")]
    user = re.search(r"://([^/@]*)@", uri)
    return [*found, *_inside(found), *(part for part in (uri.partition("?")[2], user[1] if user else "") if part)]


def fix(uri: str) -> str:
    """Return what to do where a store refuses.

    Args:
        uri: A model's storageUri.
    """
    return f"{of(uri).fix.format(host=_host(uri))}; or give {DIRECTORY} (docs/models.md)"


def mirrored(uri: str, mirrors: Mapping[str, Path]) -> list[Path]:
    """Return where the mirrors have a model, the one with the longest prefix first; nothing of it need be there.

    Args:
        uri: The model's storageUri.
        mirrors: Prefixes of URIs ("s3://acme-models/") to folders with what is below them.

    Raises:
        UsageError: The URI leads out of them.
    """
    place = uri.partition("?")[0]
    found = []
    for prefix in sorted(mirrors, key=len, reverse=True):
        start = f"{prefix.rstrip('/')}/"
        if place == prefix or place.startswith(start):
            rest = [part for part in place[len(start) :].split("/") if part]
            if ".." in rest:
                raise UsageError(f"{shown(uri)}: has .. in its path")
            found.append(mirrors[prefix].joinpath(*rest))
    return found


def everything(folder: Path) -> dict[str, Path]:
    """Return the mirrors that a folder is which has models by their URIs: s3://BUCKET/PATH as BUCKET/PATH.

    Args:
        folder: That of `--models`.
    """
    return dict.fromkeys(["s3://", "gs://", "hf://", "oci://", "https://", "http://", "pvc://", "file://"], folder)


def _is_of(name: str, store: Store, uri: str) -> bool:
    return any(fnmatchcase(name, pattern.format(host=_host(uri))) for pattern in store.variables)


def _host(uri: str) -> str:
    return urlsplit(uri).hostname or ""


def _inside(values: Sequence[str]) -> list[str]:
    """Return the parts of secrets that are JSON objects: the headers of a host."""
    found: list[str] = []
    for value in values:
        try:
            parts = json.loads(value)
        except ValueError:
            continue
        if isinstance(parts, dict):
            found += [str(part) for part in parts.values()]
    return found
