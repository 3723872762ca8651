"""Where a remote is, by whom it is asked, and who gets a token: by real servers, and git's own words for them."""

import os
import subprocess

import anyio
import pytest

from ci.base.errors import MachineError, UsageError
from ci.tree import git
from ci.tree.git import Snapshot
from tests.harness import settled
from tests.harness.git_server import HEADER, TOKEN, GitHub, serving
from tests.harness.remote import FILE, run
from tests.harness.settled import ADDED, NEW

STORED = "AUTHORIZATION: basic c3RvcmVkOmJ5IHRoZSBjaGVja291dA=="


@pytest.fixture
def world(tmp_path, monkeypatch):
    found = settled.made(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(found.home))
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    return found


class Strict(GitHub):
    """Refuses a request with two Authorization headers, as GitHub does, and keeps what it was sent."""

    def __init__(self, remote):
        super().__init__(remote)
        self.given = []

    def __call__(self, environ, start_response):
        given = environ.get("HTTP_AUTHORIZATION", "")
        self.given.append(given)
        if "," in given:
            start_response("400 Bad Request", [])
            return [b"Duplicate header"]
        return super().__call__(environ, start_response)


@pytest.fixture
def server(world):
    server = Strict(world.remote)
    with serving(server) as server.address:
        world.clone.git("remote", "set-url", "origin", f"http://{server.address}/team/tree.git")
        yield server


def written(world, content):
    return all(
        subprocess.check_output(["git", "-C", world.remote.folder, "cat-file", "blob", f"main:{path}"]) == expected
        for path, expected in {FILE: settled.after(content), NEW: ADDED}.items()
    )


# --- one Authorization header, of ours, to the remote's own host ---


@pytest.mark.parametrize("where", ["the clone's settings", "an included file", "the person's", "the whole URL's"])
def test_a_header_that_a_checkout_has_stored_gives_way_to_the_token(world, server, tmp_path, where):
    content = world.clone.read()
    name = f"http.http://{server.address}/.extraheader"
    if where == "an included file":
        run(["git", "config", "--file", tmp_path / "credentials", name, STORED])
        world.configure(f"includeIf.gitdir:{world.clone.folder}/.git.path", str(tmp_path / "credentials"), "--local")
    elif where == "the whole URL's":
        world.configure(f"http.http://{server.address}/team/tree.git.extraheader", STORED, "--local")
    else:
        world.configure(name, STORED, "--local" if where == "the clone's settings" else "--global")

    world.write("push")

    assert written(world, content)
    assert {*server.given} <= {HEADER, ""}


def test_headers_that_carry_no_login_stay(world, server):
    content = world.clone.read()
    world.configure("http.extraHeader", "X-Proxy: ours")
    world.write("push")
    assert written(world, content)


def test_without_a_token_the_stored_header_is_used(world, server, monkeypatch):
    content = world.clone.read()
    monkeypatch.delenv("GITHUB_TOKEN")
    world.configure(f"http.http://{server.address}/.extraheader", f"Authorization: {HEADER}", "--local")
    world.write("push")
    assert written(world, content)


def test_helpers_of_a_persons_are_not_asked_where_there_is_a_token_and_are_where_there_is_none(
    world, server, monkeypatch, tmp_path
):
    content = world.clone.read()
    world.configure("credential.helper", f"!echo asked >> {tmp_path / 'asked'}; echo username=x; echo password=y; :")
    world.write("push")
    assert written(world, content)
    assert not (tmp_path / "asked").exists()

    monkeypatch.delenv("GITHUB_TOKEN")
    with pytest.raises(MachineError, match="Authentication failed"):
        world.write("push")
    assert (tmp_path / "asked").exists()


class Leads:
    """A server that leads on to another one."""

    def __init__(self, to):
        self.to = to
        self.given = []

    def __call__(self, environ, start_response):
        self.given.append(environ.get("HTTP_AUTHORIZATION", ""))
        place = f"{self.to}{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        start_response("301 Moved Permanently", [("Location", place)])
        return []


def test_a_token_does_not_follow_a_redirect_to_another_host(world, server):
    other = f"http://localhost:{server.address.partition(':')[2]}"
    with serving(Leads(other)) as address:
        world.clone.git("remote", "set-url", "origin", f"http://{address}/team/tree.git")
        with pytest.raises(MachineError):
            world.write("push")
    assert {*server.given} == {""}


def test_a_token_does_not_follow_a_persons_insteadof_to_another_host(world, server):
    _, _, port = server.address.partition(":")
    world.configure(f"url.http://{server.address}/.insteadOf", f"http://localhost:{port}/")
    world.clone.git("remote", "set-url", "origin", f"http://localhost:{port}/team/tree.git")
    with pytest.raises(MachineError):
        world.write("push")
    assert {*server.given} == {""}


def test_a_token_goes_to_the_host_that_ssh_is_replaced_by(world, server):
    content = world.clone.read()
    world.configure(f"url.http://{server.address}/.insteadOf", "git@127.0.0.1:")
    world.clone.git("remote", "set-url", "origin", "git@127.0.0.1:team/tree.git")
    world.write("push")
    assert written(world, content)


@pytest.mark.parametrize(
    ("url", "said", "may"),
    [
        ("https://github.com/team/tree", "https://github.com/team/tree", True),
        ("https://github.com/team/tree", "git@github.com:team/tree", True),
        ("https://github.com/team/tree", "ssh://git@github.com:22/team/tree", True),
        ("https://x-access-token:t@github.com/team/tree", "https://GitHub.com/team/tree", True),
        ("https://mirror.example/team/tree", "https://github.com/team/tree", False),
        ("http://github.com/team/tree", "http://github.com/team/tree", False),
        ("git@github.com:team/tree", "git@github.com:team/tree", False),
        ("/srv/tree.git", "/srv/tree.git", False),
        ("http://[::1]:8080/tree", "http://[::1]:8080/tree", True),
    ],
)
def test_a_token_is_for_the_remotes_own_host_and_encrypted(url, said, may):
    assert git.may_have_token(url, [said]) is may


# --- where ---


@pytest.mark.parametrize("how", ["pushurl", "two of them", "pushInsteadOf"])
def test_a_remote_that_is_pushed_elsewhere_is_refused(world, tmp_path, how):
    run(["git", "clone", "--quiet", "--bare", world.remote.folder, tmp_path / "fork.git"])
    if how == "pushInsteadOf":
        world.configure(f"url.{tmp_path}/fork.git.pushInsteadOf", str(world.remote.folder))
    else:
        world.configure("remote.origin.pushurl", f"{tmp_path}/fork.git", "--local")
        if how == "two of them":
            world.configure("remote.origin.pushurl", str(world.remote.folder), "--local")
    before = settled.everything(world.remote.folder), settled.everything(tmp_path / "fork.git")

    with pytest.raises(UsageError, match="--remote origin: is read from one repository and pushed to another"):
        world.write("push")

    assert before == (settled.everything(world.remote.folder), settled.everything(tmp_path / "fork.git"))
    content = world.clone.read()
    world.write("push", remote=f"file://{world.remote.folder}")
    assert written(world, content)


def test_another_way_to_the_same_repository_is_fine(world):
    content = world.clone.read()
    world.configure("remote.origin.pushurl", f"file://{world.remote.folder}", "--local")
    world.write("push")
    assert written(world, content)


def test_the_persons_ssh_is_used(world, tmp_path):
    content = world.clone.read()
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nshift $(($# - 1))\nexec sh -c "$1"\n')
    ssh.chmod(0o755)
    world.configure("core.sshCommand", f"{ssh} -i key")
    world.clone.git("remote", "set-url", "origin", f"git@example.com:{world.remote.folder}")

    world.write("push")

    assert written(world, content)
    assert "-i key" in (tmp_path / "asked").read_text()


# --- chart.revision is the remote's ---


@pytest.mark.parametrize("name", ["chart-next", "refs/heads/chart-next", "v7", "refs/tags/v7"])
def test_a_revision_is_what_the_remote_has_now(world, name):
    other = world.remote.clone("theirs")
    for kind, ref in (("branch", "chart-next"), ("tag", "v7")):
        world.clone.git(kind, ref)
        world.clone.git("push", "--quiet", "origin", ref)
    (other.folder / "new.yaml").write_text("a: 1\n")
    other.git("add", ".")
    other.git("commit", "--quiet", "--message=Theirs")
    tip = other.git("rev-parse", "HEAD")
    other.git("push", "--quiet", "--force", "origin", "HEAD:refs/heads/chart-next", "HEAD:refs/tags/v7")

    assert resolved(world, name) == tip


def resolved(world, revision):
    async def look():
        repository = await git.opened(world.clone.folder, "origin")
        return await Snapshot(repository, await repository.fetch("origin", "main"), "main").resolve(revision)

    return anyio.run(look)


def test_a_revision_that_only_the_clone_has_is_refused(world):
    world.clone.git("branch", "mine")
    with pytest.raises(UsageError, match=r"chart\.revision mine: origin has no such branch or tag") as refused:
        resolved(world, "mine")
    assert refused.value.fix.endswith("push origin mine")
    tip = world.clone.git("rev-parse", "main")
    assert resolved(world, tip) == tip


# --- who ---


@pytest.mark.parametrize("role", ["user", "author"])
@pytest.mark.parametrize(("half", "value"), [("name", "Jané"), ("email", "jane@example.com")])
def test_half_an_identity_is_filled_in(world, half, value, role):
    world.configure(f"{role}.{half}", value)
    world.configure("user.useConfigOnly", "true")

    world.write("here")

    wanted = {"name": git.AUTHOR["NAME"], "email": git.AUTHOR["EMAIL"], half: value}
    assert world.clone.git("log", "-1", "--format=%an <%ae>") == "{name} <{email}>".format(**wanted)


def ssh_key(world, folder, request):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    return str(folder / "key")


def gpg_key(world, folder, request):
    keys = world.home / ".gnupg"
    keys.mkdir(mode=0o700, exist_ok=True)
    gpg = ["gpg", "--batch", "--quiet", "--homedir", keys]
    subprocess.run([*gpg, "--passphrase", "", "--quick-generate-key", "Jo <jo@example.com>"], check=True)
    agent = ["gpgconf", "--homedir", keys, "--kill", "all"]
    request.addfinalizer(lambda: subprocess.run(agent, check=True))
    return "jo@example.com"


@pytest.mark.parametrize(
    ("form", "made", "signature"),
    [("ssh", ssh_key, "SSH SIGNATURE"), ("openpgp", gpg_key, "PGP SIGNATURE")],
    ids=["ssh", "openpgp"],
)
def test_a_commit_is_signed_where_the_person_signs_and_one_line_says_so_where_that_fails(
    world, tmp_path, request, form, made, signature
):
    content = world.clone.read()
    world.configure("commit.gpgSign", "yes")
    world.configure("gpg.format", form)
    world.configure("user.signingKey", str(tmp_path / "nothing"))
    tip = world.remote.git("rev-parse", "main")

    with pytest.raises(MachineError, match=r"commit\.gpgSign is set, and signing failed: ") as refused:
        world.write("push")
    assert "\n" not in refused.value.message
    assert "config commit.gpgSign false" in refused.value.fix
    assert world.remote.git("rev-parse", "main") == tip

    run(["git", "config", "--file", world.home / ".gitconfig", "user.signingKey", made(world, tmp_path, request)])
    world.write("push")
    assert written(world, content)
    assert f"gpgsig -----BEGIN {signature}" in world.remote.git("cat-file", "commit", "main")


# --- the patch of a dry run ---


@pytest.mark.parametrize(
    "end", ["", "\n", "\r\n", " # no end", "\n#\u2028# breaks\x85# for Python\n", "\n# ÿ caf\u00e9"], ids=ascii
)
@pytest.mark.parametrize("crlf", [False, True], ids=["", "CRLF"])
def test_a_dry_runs_patch_applies_whatever_the_files_ends_are(tmp_path, capfdbinary, monkeypatch, crlf, end):
    text = settled.remotes.application("dev").content.rstrip(b"\n")
    content = (text.replace(b"\n", b"\r\n") if crlf else text) + end.encode()
    world = settled.made(tmp_path, content)
    monkeypatch.setenv("HOME", str(world.home))

    world.write("dry-run")

    printed = capfdbinary.readouterr().out
    assert b"\n--- /dev/null\n" in printed
    subprocess.run(["git", "apply", "-"], cwd=world.clone.folder, input=printed, check=True)
    assert world.clone.read() == settled.after(content)
    assert world.clone.read(NEW) == ADDED


def test_a_dry_run_writes_nothing_not_even_to_gits_objects(world):
    before = sorted(world.clone.folder.rglob("*"))
    world.write("dry-run")
    assert sorted(world.clone.folder.rglob("*")) == before


# --- where it is now ---


def test_what_was_written_says_where_it_is(world, capfd):
    world.write("here")
    tip = world.clone.git("rev-parse", "--short=12", "main")
    push = f"git -C {world.clone.folder} push origin main"
    assert capfd.readouterr().out == (
        f"{tip} Bump the model\nhere, branch main of {world.clone.folder}; not pushed: {push}\n"
    )

    subprocess.run(["sh", "-c", push], check=True, capture_output=True)
    world.clone.git("reset", "--quiet", "--hard", "HEAD~1")
    world.remote.git("update-ref", "refs/heads/main", "main~1")
    world.write("push")
    tip = world.remote.git("rev-parse", "--short=12", "main")
    assert capfd.readouterr().out == f"{tip} Bump the model\npushed to origin, branch main\n"
