"""Others write to the branch too: faults 1 to 7 and 24 of the project's list, on real remotes, by real processes."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
import yaml

from tests.harness import cli
from tests.harness.remote import FILE, MODEL, bump

REJECTIONS = (
    "fetch first",
    "cannot lock ref 'refs/heads/main': is at 1111 but expected 2222",
    "incorrect old value provided",
    "stale info",
)


def test_1_another_writer_pushes_after_our_clone(remote, clone, other):
    other.replace(b"values: {}", b"values: {slo: {latency: {p95Threshold: 0.4}}}", "Be faster")

    bump(clone, "2.0", "--push")

    assert remote.commits() == ["Bump sklearn-iris model in dev to 2.0", "Be faster", "First"]
    assert remote.data()["values"] == {"slo": {"latency": {"p95Threshold": 0.4}}}
    assert remote.data()["model"] == {"version": "2.0", "storageUri": MODEL.format("2.0"), "digest": ""}
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("log", "--format=%s") == "First", "--push leaves the clone alone"


def test_1_another_writer_pushes_between_our_fetch_and_our_push(remote, clone, other):
    first = remote.git("rev-parse", "main")
    other.commit("notes.txt", b"theirs\n", "Theirs")
    remote.overtake(first)

    bump(clone, "2.0", "--push")

    assert remote.commits() == ["Bump sklearn-iris model in dev to 2.0", "Theirs", "First"]


def test_2_the_remote_rejects_twice(remote, clone):
    remote.hook("update", 'echo x >> tries; test "$(wc -l < tries)" -gt 2')

    bump(clone, "2.0", "--push")

    assert remote.commits() == ["Bump sklearn-iris model in dev to 2.0", "First"]


def test_2_the_remote_rejects_always(remote, clone):
    remote.hook("update", 'echo x >> tries; echo "not on my watch" >&2; exit 1')

    result = bump(clone, "2.0", "--push", check=False)

    assert result.returncode == 1
    assert "did not take the push to main" in result.stderr
    assert "not on my watch" in result.stderr, "what the server said is told"
    assert (remote.folder / "tries").read_text().count("x") == 5
    assert remote.commits() == ["First"]


@pytest.mark.parametrize("words", REJECTIONS)
def test_3_rejections_of_all_wordings_are_handled_alike(remote, clone, words):
    remote.hook("update", f'echo x >> tries; test "$(wc -l < tries)" -gt 1 || {{ echo "{words}" >&2; exit 1; }}')

    bump(clone, "2.0", "--push")

    assert remote.commits() == ["Bump sklearn-iris model in dev to 2.0", "First"]


def test_4_ten_parallel_promotions_onto_one_branch(remote, clone, other):
    names = [f"iris-{number}" for number in range(10)]
    for name in names:
        file = other.folder / f"gitops/dev/{name}.yaml"
        file.write_bytes(other.read())
    other.git("add", ".")
    other.git("commit", "--quiet", "--message=Ten more")
    other.git("push", "--quiet", "origin", "main")
    remote.git("config", "receive.denyNonFastForwards", "true")

    writers = [
        subprocess.Popen(
            [
                sys.executable,
                cli.MAIN,
                f"--project={clone.folder}",
                "bump",
                "model",
                "--env=dev",
                f"--app={name}",
                "--to=2.0",
                "--push",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in names
    ]
    said = [writer.communicate(timeout=180)[0] for writer in writers]

    assert [writer.returncode for writer in writers] == [0] * 10, said
    assert sorted(remote.commits()[:10]) == sorted(f"Bump {name} model in dev to 2.0" for name in names)
    assert {remote.data(f"gitops/dev/{name}.yaml")["model"]["version"] for name in names} == {"2.0"}
    assert len(remote.commits()) == 12


@pytest.mark.parametrize(
    "changes", [[("1.0", "3.0")], [("1.0", "3.0"), ("3.0", "1.0")]], ids=["moved", "moved and back"]
)
def test_5_the_same_key_changed_meanwhile(remote, clone, other, changes):
    first = remote.git("rev-parse", "main")
    for old, new in changes:
        other.replace(f'"{old}"'.encode(), f'"{new}"'.encode(), f"From {old} to {new}")
    remote.overtake(first)

    result = bump(clone, "2.0", "--push", check=False)

    assert result.returncode == 1
    assert "model.version was changed from 1.0 to 3.0 meanwhile" in result.stderr
    assert "by Jane" in result.stderr, "whose change it was"
    assert remote.git("rev-parse", "main") == remote.git("rev-parse", "refs/theirs"), "the remote is untouched"


def test_5_a_person_rolled_back(remote, clone, other):
    bump(clone, "2.0", "--push")
    other.pull()
    other.git("revert", "--no-edit", "HEAD")
    other.git("push", "--quiet", "origin", "main")
    before = remote.git("rev-parse", "main")

    result = bump(clone, "2.0", "--push", check=False)

    assert result.returncode == 1
    assert "was taken back in" in result.stderr
    assert "--over-revert" in result.stderr, "the way out"
    assert remote.git("rev-parse", "main") == before


def test_6_the_value_is_already_there(remote, clone):
    for args in ([], ["--push"]):
        result = bump(clone, "1.0", *args)
        assert "nothing to change" in result.stdout

    assert remote.commits() == ["First"]
    assert clone.git("log", "--format=%s") == "First"


def killed_after(clone, command, args, tmp_path):
    """Run `bump` with a git that ends the whole tool, by SIGKILL, once this command of git's is done."""
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir(exist_ok=True)
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    wrapper.write_text(
        textwrap.dedent(f"""\
            #!/bin/sh
            {real} "$@"
            code=$?
            case " $* " in *" {command} "*) kill -KILL $PPID; esac
            exit $code
            """)
    )
    wrapper.chmod(0o755)
    result = bump(clone, "2.0", *args, check=False, env={"PATH": f"{wrapper.parent}:{os.environ['PATH']}"})
    assert result.returncode == -signal.SIGKILL


@pytest.mark.parametrize("command", ["hash-object", "commit-tree", "push"])
def test_7_killed_while_it_writes_to_the_remote(remote, clone, tmp_path, command):
    killed_after(clone, command, ["--push"], tmp_path)

    bump(clone, "2.0", "--push")

    assert remote.commits() == ["Bump sklearn-iris model in dev to 2.0", "First"]
    assert remote.data()["model"]["version"] == "2.0"


@pytest.mark.parametrize("command", ["hash-object", "commit-tree", "checkout-index", "read-tree -m", "update-ref"])
def test_7_killed_while_it_writes_to_the_work_tree(clone, tmp_path, command):
    killed_after(clone, command, [], tmp_path)

    bump(clone, "2.0")

    assert clone.git("log", "--format=%s").splitlines() == ["Bump sklearn-iris model in dev to 2.0", "First"]
    assert clone.git("status", "--porcelain") == ""
    assert yaml.safe_load(clone.read())["model"]["version"] == "2.0"


def test_what_a_person_has_not_committed_is_not_touched(clone):
    content = clone.read().replace(b"values: {}", b"values: {slo: {latency: {p95Threshold: 0.4}}}")
    (clone.folder / FILE).write_bytes(content)

    result = bump(clone, "2.0", check=False)

    assert result.returncode == 2
    assert f"{FILE}: has changes that are not committed" in result.stderr
    assert clone.read() == content
    assert clone.git("log", "--format=%s") == "First"
