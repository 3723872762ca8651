"""Stores that look at who asks, each by its own protocol: a bucket of Google's, a container of Azure's, a model hub.

Each is written after the protocol's own documentation, not after a client of it.
"""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import parse_qs, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.faults.models.internet import Answer, Request


def answered(value, status=200, headers=None):
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


class Google:
    """oauth2.googleapis.com and storage.googleapis.com.

    Sources: https://developers.google.com/identity/protocols/oauth2/service-account#httprest,
    https://cloud.google.com/storage/docs/json_api/v1/objects
    """

    account = "reader@acme.iam.gserviceaccount.com"
    token = "ya29.of-an-honest-account"

    def __init__(self, bucket, objects):
        self.bucket, self.objects = bucket, objects
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def account_file(self, file, key=None):
        """Write the key file of the service account, or one with another key."""
        form = serialization.PrivateFormat.PKCS8
        pem = (key or self.key).private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        facts = {
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": self.account,
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        file.write_text(json.dumps(facts))
        return file

    def tokens(self, request: Request) -> Answer:
        (assertion,) = parse_qs(request.body.decode())["assertion"]
        signed, _, signature = assertion.rpartition(".")
        claims = json.loads(_decoded(signed.partition(".")[2]))
        try:
            self.key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return answered({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        if claims["iss"] != self.account or claims["exp"] < time.time():
            return answered({"error": "invalid_grant", "error_description": "Invalid JWT."}, 400)
        return answered({"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"})

    def storage(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            said = "Anonymous caller does not have storage.objects.list access to the Google Cloud Storage bucket."
            return answered({"error": {"code": 401, "message": said}}, 401)
        if request.path == f"/storage/v1/b/{self.bucket}/o":
            names = [name for name in self.objects if name.startswith(request.query.get("prefix", ""))]
            return answered({"kind": "storage#objects", "items": [self._facts(name) for name in names]})
        name = unquote(request.path).partition(f"/b/{self.bucket}/o/")[2]
        if name not in self.objects:
            return answered({"error": {"code": 404, "message": f"No such object: {self.bucket}/{name}"}}, 404)
        digest = base64.b64encode(hashlib.md5(self.objects[name]).digest()).decode()
        return Answer(200, self.objects[name], {"X-Goog-Hash": f"md5={digest}"})

    def _facts(self, name):
        return {"name": name, "bucket": self.bucket, "size": str(len(self.objects[name])), "generation": "1"}


def _decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Azure:
    """ACCOUNT.blob.core.windows.net, which wants requests signed with the account's key.

    Sources: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key,
    https://learn.microsoft.com/rest/api/storageservices/list-blobs
    """

    SIGNED = (
        "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
        "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
    )  # fmt: skip

    def __init__(self, account, container, blobs):
        self.account, self.container, self.blobs = account, container, blobs
        self.key = base64.b64encode(hashlib.sha512(b"of the account").digest()).decode()

    def __call__(self, request: Request) -> Answer:
        given = request.headers.get("authorization")
        if given is None:
            return self._refused(401, "NoAuthenticationInformation")
        if not hmac.compare_digest(given, f"SharedKey {self.account}:{self._signature(request)}"):
            return self._refused(403, "AuthenticationFailed")
        place, _, name = unquote(request.path).lstrip("/").partition("/")
        if place != self.container:
            return self._refused(404, "ContainerNotFound")
        if request.query.get("comp") == "list":
            return self._listed(request.query.get("prefix", ""))
        if name not in self.blobs:
            return self._refused(404, "BlobNotFound")
        begin, _, end = request.headers.get("x-ms-range", "bytes=0-").removeprefix("bytes=").partition("-")
        data = self.blobs[name]
        part = data[int(begin) : int(end) + 1 if end else None]
        span = f"bytes {begin}-{int(begin) + len(part) - 1}/{len(data)}"
        return Answer(206, part, {"Content-Range": span, "ETag": '"1"', "x-ms-blob-type": "BlockBlob", **self._date()})

    def _signature(self, request):
        length = request.headers.get("content-length", "")
        values = {**request.headers, "content-length": "" if length == "0" else length}
        own = sorted((name, value) for name, value in request.headers.items() if name.startswith("x-ms-"))
        lines = [request.method, *(values.get(name, "") for name in self.SIGNED)]
        lines += [f"{name}:{value}" for name, value in own]
        lines.append(f"/{self.account}{request.path}")
        lines += [f"{name.lower()}:{value}" for name, value in sorted(request.query.items())]
        digest = hmac.digest(base64.b64decode(self.key), "\n".join(lines).encode(), "sha256")
        return base64.b64encode(digest).decode()

    def _listed(self, prefix):
        rows = "".join(
            f"<Blob><Name>{name}</Name><Properties><Content-Length>{len(data)}</Content-Length>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name, data in self.blobs.items()
            if name.startswith(prefix)
        )
        text = f"<EnumerationResults><Blobs>{rows}</Blobs><NextMarker/></EnumerationResults>"
        return Answer(200, text.encode(), {"Content-Type": "application/xml", **self._date()})

    def _refused(self, status, code):
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}.</Message></Error>"
        return Answer(
            status, text.encode(), {"Content-Type": "application/xml", "x-ms-error-code": code, **self._date()}
        )

    @staticmethod
    def _date():
        return {"Last-Modified": "Sun, 29 Nov 2026 08:00:00 GMT", "x-ms-version": "2025-05-05"}


class Hub:
    """huggingface.co with one model that wants a token.

    Source: https://huggingface.co/docs/hub/api
    """

    commit = "5" * 40
    token = "hf_ofAnAccountThatMayReadIt"

    def __init__(self, repository, files):
        self.repository, self.files = repository, files

    def __call__(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}
            return answered({"error": "Access to this model is restricted."}, 401, headers)
        if request.path.startswith(f"/api/models/{self.repository}"):
            siblings = [{"rfilename": name} for name in self.files]
            return answered({"id": self.repository, "sha": self.commit, "siblings": siblings})
        name = unquote(request.path).partition(f"/{self.repository}/resolve/{self.commit}/")[2]
        if name not in self.files:
            return answered({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        etag = hashlib.sha1(self.files[name]).hexdigest()
        return Answer(200, self.files[name], {"X-Repo-Commit": self.commit, "ETag": f'"{etag}"'})
