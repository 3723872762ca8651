"""Where models are kept, by `storageUri`: who reads each kind of store, with which settings, and which are refused."""

import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ci.base import settings
from ci.base.errors import UnnamedError, UsageError

DIRECTORY = "--models DIR or a mirror of the project file that has its files"
SECRET = re.compile(r"(?i)key$|secret|token$|headers$|password")
"""In the names of the settings whose values nobody sees."""
HEADERS = "-headers"
"""After a host's name: KServe's own variable of what it is sent."""
GOOGLE = "GOOGLE_APPLICATION_CREDENTIALS"
FILES = (GOOGLE, "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE")
"""Settings that name a file with credentials, which has to be there."""


@dataclass(frozen=True)
class Store:
    """A kind of store.

    Attributes:
        pattern: Regular expression of its URIs.
        variables: The caller's variables that say as whom it is asked; {host} is the URI's.
        files: Files below the home folder that say it too.
        fix: What to set; {host} as above, {registry} with its port.
        addresses: The caller's variables that say where it is.
    """

    pattern: str
    variables: tuple[str, ...]
    files: tuple[str, ...] = ()
    fix: str = ""
    addresses: tuple[str, ...] = ()


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
    "docker login {registry}",
)
STORES: Mapping[str, Store] = {
    "s3": Store(
        "s3://",
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONFIG_FILE",
         "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "awsAnonymousCredential"),
        (".aws/credentials", ".aws/config"),
        "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… or AWS_PROFILE=…, and AWS_ENDPOINT_URL of your own store",
        ("AWS_ENDPOINT_URL*",),
    ),
    "gs": Store(
        "gs://",
        (GOOGLE,),
        (".config/gcloud/application_default_credentials.json",),
        "export GOOGLE_APPLICATION_CREDENTIALS=FILE, or gcloud auth application-default login",
        ("STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE"),
    ),
    "hf": Store(
        "hf://",
        ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME"),
        (".cache/huggingface/token",),
        "export HF_TOKEN=… of an account that may read it",
        ("HF_ENDPOINT",),
    ),
    "oci": OCI,
    "azure": AZURE,
    "https": Store(
        "https?://",
        (f"{{host}}{HEADERS}", "NETRC"),
        (".netrc",),
        """env '{host}-headers={{"Authorization": "Bearer …"}}' python …, or a login of {host} in ~/.netrc""",
    ),
}  # fmt: skip
"""In the order in which a URI is held against them."""
ARCHIVES = ("application/x-tar", "application/zip")
TYPES = mimetypes.MimeTypes()
"""Python's own, without those of this machine: they are no pod's."""
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
        UnnamedError: There is none of that kind.
        UsageError: This tool does not read from it.
    """
    azure = re.match(AZURE.pattern, uri)
    for pattern, why in REFUSED.items():
        if not azure and re.match(pattern, uri):
            raise UsageError(f"{shown(uri)}: not read from here: {why}", fix=f"Give {DIRECTORY}.")
    for store in STORES.values():
        if re.match(store.pattern, uri):
            return store
    raise UnnamedError(f"{shown(uri)}: not a storageUri of {', '.join(STORES)}")


def hub(uri: str) -> bool:
    """Tell whether a model is one of hf://, whose client leaves more than the model's files in its folder."""
    return uri.startswith(STORES["hf"].pattern)


def unpacks(uri: str, name: str) -> bool:
    """Tell whether KServe makes other files of a model's only one: it unpacks archives, and what HTTP gives as gzip.

    Source: `_unpack_archive_file` and its callers in python/storage/kserve_storage/kserve_storage.py of KServe.

    Args:
        uri: The model's storageUri.
        name: The file's.
    """
    if hub(uri) or uri.startswith(OCI.pattern):
        return False
    kind, encoding = TYPES.guess_type(name)
    web = re.match(STORES["https"].pattern, uri) is not None and not re.match(AZURE.pattern, uri)
    if web and kind is None and (query := urlsplit(uri).query):
        kind, encoding = TYPES.guess_type(query)
    return kind in ARCHIVES or (web and encoding == "gzip")


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
    files = [f"~/{name}" for name in store.files if (settings.home() / name).exists()]
    return _set(store.variables, uri) + files


def asked(uri: str) -> str:
    """Say as whom a URI is read, and where where a setting says that: the names of settings, for an error.

    Args:
        uri: A model's storageUri.
    """
    who, where = tried(uri), _set(of(uri).addresses, uri)
    said = f"tried with {', '.join(who)}" if who else "no credentials for it are set here"
    return f"{said}, at the address of {', '.join(where)}" if where else said


def require(uri: str) -> None:
    """Refuse a URI that is not read from or names no place there, and settings that its client cannot read.

    Google's asks as nobody where its file of credentials is not there, or no JSON.

    Args:
        uri: A model's storageUri.

    Raises:
        UsageError: It is one of these.
    """
    store = of(uri)
    if not urlsplit(uri).netloc:
        raise UnnamedError(f"{shown(uri)}: names no bucket, host or owner")
    given = {name: settings.caller()[name] for name in _set(store.variables, uri)}
    for name, value in given.items():
        if name.endswith(HEADERS) and _object(value) is None:
            raise UsageError(f"{shown(uri)}: {name} is not a JSON object of headers", fix=fix(uri))
        if name in FILES:
            file = settings.absolute(name, value)
            if not file.is_file():
                raise UsageError(f"{shown(uri)}: {name}={value}: no such file", fix=fix(uri))
            if name == GOOGLE and _object(file.read_text(errors="replace")) is None:
                raise UsageError(f"{shown(uri)}: {name}={value}: not a JSON object", fix=fix(uri))


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
    words = of(uri).fix.format(host=_host(uri), registry=uri.removeprefix(OCI.pattern).partition("/")[0])
    return f"{words}; or give {DIRECTORY} (docs/models.md)"


def mirrored(uri: str, mirrors: Mapping[str, Path]) -> list[Path]:
    """Return where the mirrors have a model, the one with the longest prefix first; nothing of it need be there.

    Args:
        uri: The model's storageUri.
        mirrors: Prefixes of URIs ("s3://acme-models/") to folders with what is below them.

    Raises:
        UnnamedError: The URI leads out of them.
    """
    place = uri.partition("?")[0]
    found = []
    for prefix in sorted(mirrors, key=len, reverse=True):
        start = f"{prefix.rstrip('/')}/"
        if place == prefix or place.startswith(start):
            rest = [part for part in place[len(start) :].split("/") if part]
            if ".." in rest:
                raise UnnamedError(f"{shown(uri)}: has .. in its path")
            found.append(mirrors[prefix].joinpath(*rest))
    return found


def everything(folder: Path) -> dict[str, Path]:
    """Return the mirrors that a folder is which has models by their URIs: s3://BUCKET/PATH as BUCKET/PATH.

    Args:
        folder: That of `--models`.
    """
    return dict.fromkeys(["s3://", "gs://", "hf://", "oci://", "https://", "http://", "pvc://", "file://"], folder)


def _set(variables: Sequence[str], uri: str) -> list[str]:
    """Return those of some variables that the caller has set."""
    patterns = [each.format(host=_host(uri)) for each in variables]
    given = [name for name, value in settings.caller().items() if value]
    return sorted(name for name in given if any(fnmatchcase(name, pattern) for pattern in patterns))


def _host(uri: str) -> str:
    return urlsplit(uri).hostname or ""


def _inside(values: Sequence[str]) -> list[str]:
    """Return the parts of secrets that are JSON objects: the headers of a host."""
    return [str(part) for value in values for part in (_object(value) or {}).values()]


def _object(text: str) -> dict[str, Any] | None:
    """Return a JSON object, such as the headers of a host; None where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
