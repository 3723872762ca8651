"""A model of each kind of store: with right, wrong and no credentials, by that kind's own settings."""

import base64
import io
import json
import subprocess
import tarfile

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from requests_aws4auth import AWS4Auth

from ci.base.errors import UsageError
from ci.models import digests
from ci.models.storage import RefusedError, UnreachableError
from tests.faults.models import servers
from tests.faults.models.conftest import FILES
from tests.faults.models.internet import Answer
from tests.faults.models.stores import Azure, Google, Hub

BELOW = {f"iris/v1/{name}": data for name, data in FILES.items()}
"""The model below a path of its bucket."""


def store(address, models):
    """Put models into a bucket of an S3 store, which is made."""
    auth = AWS4Auth(*servers.KEYS.values(), "us-east-1", "s3")
    for path in ("acme-models", *(f"acme-models/{name}" for name in models)):
        requests.put(
            f"{address}/{path}", data=models.get(path.partition("/")[2]), auth=auth, timeout=30
        ).raise_for_status()


def there(found, model):
    """Whether a model that was fetched is the one that the store has, for anybody to read."""
    files = {path.relative_to(found.folder).as_posix(): path for path in found.folder.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in files.items()} == FILES
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in (found.folder, found.folder / "config")} == {0o755}
    assert found.digest == digests.pinned(model)


class TestS3:
    URI = "s3://acme-models/iris/v1"

    @pytest.fixture(autouse=True)
    def store(self, gateway, tmp_path, monkeypatch):
        with servers.s3(gateway, tmp_path / "store") as address:
            store(address, BELOW)
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            yield address

    def test_with_keys_that_may_read_it(self, fetch, model, monkeypatch):
        for name, value in servers.KEYS.items():
            monkeypatch.setenv(name, value)

        there(fetch(self.URI), model)

    def test_with_a_profile_of_the_file_of_credentials(self, fetch, model, machine, monkeypatch):
        (machine / ".aws").mkdir()
        lines = "".join(f"{name.lower()} = {value}\n" for name, value in servers.KEYS.items())
        (machine / ".aws" / "credentials").write_text(f"[acme]\n{lines}")
        monkeypatch.setenv("AWS_PROFILE", "acme")

        there(fetch(self.URI), model)

    def test_with_another_secret(self, fetch, nothing_left, monkeypatch):
        for name, value in {**servers.KEYS, "AWS_SECRET_ACCESS_KEY": "of-somebody-else"}.items():
            monkeypatch.setenv(name, value)

        with pytest.raises(
            RefusedError, match="tried with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, at the"
        ) as refused:
            fetch(self.URI)

        assert "403" in refused.value.message
        assert "of-somebody-else" not in refused.value.message + (refused.value.detail or "")
        assert nothing_left()

    def test_without_any(self, fetch, nothing_left):
        with pytest.raises(RefusedError, match="Unable to locate credentials") as refused:
            fetch(self.URI)

        assert "AWS_SECRET_ACCESS_KEY" in refused.value.fix
        assert nothing_left()

    @pytest.mark.parametrize("uri", ["s3://acme-models/iris/v9", "s3://nobodys/iris/v1"])
    def test_one_that_is_not_there(self, fetch, nothing_left, monkeypatch, uri):
        for name, value in servers.KEYS.items():
            monkeypatch.setenv(name, value)

        with pytest.raises(RefusedError, match=f"{uri}: "):
            fetch(uri)

        assert nothing_left()

    def test_a_store_that_does_not_answer(self, fetch, nothing_left, monkeypatch):
        for name, value in {**servers.KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{servers.free_port()}"}.items():
            monkeypatch.setenv(name, value)

        with pytest.raises(UnreachableError, match=f"{self.URI}: Could not connect"):
            fetch(self.URI)

        assert nothing_left()


class TestImages:
    @pytest.fixture
    def uri(self, distribution, crane, model, tmp_path):
        with servers.registry(distribution, tmp_path / "registry") as address:
            tar = tmp_path / "layer.tar"
            with tarfile.open(tar, "w") as layer:
                layer.add(model, "models")
            image = f"{address}/acme/iris:v1"
            argv = [crane, "append", "--new_layer", tar, "--new_tag", image]
            subprocess.run(argv, check=True, env=self.login(tmp_path / "pusher", address, servers.LOGIN))
            yield f"oci://{image}"

    @staticmethod
    def login(folder, address, login):
        folder.mkdir()
        auth = base64.b64encode(login.encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))
        return {"DOCKER_CONFIG": str(folder)}

    def test_with_a_login_that_may_read_it(self, uri, fetch, model, tmp_path, monkeypatch):
        for name, value in self.login(tmp_path / "docker", uri.split("/")[2], servers.LOGIN).items():
            monkeypatch.setenv(name, value)

        there(fetch(uri), model)

    def test_with_another_login(self, uri, fetch, nothing_left, tmp_path, monkeypatch):
        for name, value in self.login(tmp_path / "docker", uri.split("/")[2], "reader:sesame").items():
            monkeypatch.setenv(name, value)

        with pytest.raises(RefusedError, match=r"UNAUTHORIZED.*asked with the login for .* in .*/docker/config.json"):
            fetch(uri)

        assert nothing_left()

    def test_without_any(self, uri, fetch, nothing_left):
        with pytest.raises(RefusedError, match=r"UNAUTHORIZED.*asked with no login") as refused:
            fetch(uri)

        assert f"docker login {uri.split('/')[2]};" in refused.value.fix
        assert nothing_left()

    def test_one_that_is_not_there(self, uri, fetch, nothing_left, tmp_path, monkeypatch):
        for name, value in self.login(tmp_path / "docker", uri.split("/")[2], servers.LOGIN).items():
            monkeypatch.setenv(name, value)

        with pytest.raises(RefusedError, match=f"{uri}9: .*MANIFEST_UNKNOWN.*; asked with the login for "):
            fetch(f"{uri}9")

        assert nothing_left()

    def test_a_registry_that_does_not_answer(self, fetch, nothing_left):
        uri = f"oci://127.0.0.1:{servers.free_port()}/acme/iris:v1"

        with pytest.raises(UnreachableError, match=f"{uri}: .*connection refused; asked with no login"):
            fetch(uri)

        assert nothing_left()

    def test_what_is_no_image(self, fetch):
        with pytest.raises(UsageError, match=r"oci://ghcr.io/Acme: not the name of an image"):
            fetch("oci://ghcr.io/Acme")


class TestGoogle:
    URI = "gs://acme-models/iris/v1"

    @pytest.fixture
    def google(self, internet):
        made = Google("acme-models", BELOW)
        internet.add("oauth2.googleapis.com", made.tokens)
        internet.add("storage.googleapis.com", made.storage)
        return made

    def test_with_the_key_of_an_account_that_may_read_it(self, google, fetch, model, tmp_path, monkeypatch):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.account_file(tmp_path / "key.json")))

        there(fetch(self.URI), model)

    def test_with_a_key_that_is_not_the_account_s(self, google, fetch, nothing_left, tmp_path, monkeypatch):
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.account_file(tmp_path / "key.json", other)))

        with pytest.raises(RefusedError, match="tried with GOOGLE_APPLICATION_CREDENTIALS") as refused:
            fetch(self.URI)

        assert "Invalid JWT Signature" in refused.value.message
        assert nothing_left()

    def test_without_any(self, google, fetch, nothing_left):
        with pytest.raises(RefusedError, match="no credentials for it are set here") as refused:
            fetch(self.URI)

        assert "GOOGLE_APPLICATION_CREDENTIALS" in refused.value.fix
        assert nothing_left()

    def test_one_that_is_not_there(self, google, fetch, tmp_path, monkeypatch):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.account_file(tmp_path / "key.json")))

        with pytest.raises(RefusedError, match="gs://acme-models/iris/v9: GCS resource 'acme-models' not found"):
            fetch("gs://acme-models/iris/v9")


class TestAzure:
    URI = "https://acme.blob.core.windows.net/models/iris/v1"

    @pytest.fixture
    def azure(self, internet):
        made = Azure("acme", "models", BELOW)
        internet.add("acme.blob.core.windows.net", made)
        return made

    def test_with_the_key_of_the_account(self, azure, fetch, model, monkeypatch):
        monkeypatch.setenv("AZURE_STORAGE_ACCESS_KEY", azure.key)

        there(fetch(self.URI), model)

    def test_with_another_key(self, azure, fetch, nothing_left, monkeypatch):
        other = base64.b64encode(b"of another account").decode()
        monkeypatch.setenv("AZURE_STORAGE_ACCESS_KEY", other)

        with pytest.raises(RefusedError, match="tried with AZURE_STORAGE_ACCESS_KEY") as refused:
            fetch(self.URI)

        assert other not in refused.value.message + (refused.value.detail or "")
        assert nothing_left()

    def test_without_any(self, azure, fetch, nothing_left):
        with pytest.raises(RefusedError, match="no credentials for it are set here") as refused:
            fetch(self.URI)

        assert "AZURE_STORAGE_ACCESS_KEY" in refused.value.fix
        assert nothing_left()


class TestHub:
    URI = "hf://acme/iris"

    @pytest.fixture
    def hub(self, internet, monkeypatch):
        made = Hub("acme/iris", FILES)
        internet.add("hub.acme.test", made)
        monkeypatch.setenv("HF_ENDPOINT", "https://hub.acme.test")
        return made

    def test_with_a_token_that_may_read_it(self, hub, fetch, model, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", hub.token)

        there(fetch(self.URI), model)

    def test_with_another_token(self, hub, fetch, nothing_left, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_ofSomebodyElse")

        with pytest.raises(RefusedError, match="tried with HF_TOKEN, at the address of HF_ENDPOINT") as refused:
            fetch(self.URI)

        assert "hf_ofSomebodyElse" not in refused.value.message + (refused.value.detail or "")
        assert nothing_left()

    def test_without_any(self, hub, fetch, nothing_left):
        with pytest.raises(RefusedError, match="hf://acme/iris: HuggingFace authentication failed") as refused:
            fetch(self.URI)

        assert "export HF_TOKEN" in refused.value.fix
        assert nothing_left()


class TestWeb:
    HOST = "models.acme.test"
    URI = f"https://{HOST}/iris.tar.gz"

    @pytest.fixture
    def web(self, internet):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w:gz") as packed:
            for name, data in FILES.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                packed.addfile(member, io.BytesIO(data))

        def answer(request):
            basic = base64.b64encode(b"reader:open").decode()
            if request.headers.get("authorization") not in ("Bearer open", f"Basic {basic}"):
                return Answer(401)
            if request.path == "/iris.tar.gz":
                return Answer(200, tar.getvalue(), {"Content-Type": "application/gzip"})
            return Answer(404)

        internet.add(self.HOST, answer)

    def test_with_the_headers_that_it_wants(self, web, fetch, model, monkeypatch):
        monkeypatch.setenv(f"{self.HOST}-headers", json.dumps({"Authorization": "Bearer open"}))

        there(fetch(self.URI), model)

    def test_with_a_login_of_netrc(self, web, fetch, model, machine):
        (machine / ".netrc").write_text(f"machine {self.HOST} login reader password open\n")

        there(fetch(self.URI), model)

    def test_with_other_headers(self, web, fetch, nothing_left, monkeypatch):
        monkeypatch.setenv(f"{self.HOST}-headers", json.dumps({"Authorization": "Bearer of somebody else"}))

        with pytest.raises(RefusedError, match=f"tried with {self.HOST}-headers") as refused:
            fetch(self.URI)

        assert "somebody else" not in refused.value.message + (refused.value.detail or "")
        assert nothing_left()

    def test_without_any(self, web, fetch, nothing_left):
        with pytest.raises(RefusedError, match=r"HTTP authentication failed.*no credentials for it are set") as refused:
            fetch(self.URI)

        assert f"{self.HOST}-headers" in refused.value.fix
        assert nothing_left()

    def test_a_host_that_is_not_there(self, internet, fetch, nothing_left):
        with pytest.raises(UnreachableError, match=r"https://nowhere.acme.test/iris.tar.gz: "):
            fetch("https://nowhere.acme.test/iris.tar.gz")

        assert nothing_left()
