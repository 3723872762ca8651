"""What is written is what was meant, and nothing else: faults 8 to 11 of the project's list, from the command line."""

import json
import subprocess

import pytest
import yaml

from tests.harness.remote import FILE, MODEL, bump, ci, helm, run

PECULIAR = """\
# what dev runs
---
chart: {revision: main}

model:
  storageUri:   'gs://kfserving-examples/models/sklearn/1.0/model'   # single quotes, odd spaces
  version: "1.0"


image:
  repository: &repository docker.io/kserve/sklearnserver   # an anchor
  tag: v0.20.0
  digest:
values:
  exampleModel:
    podAnnotations:
      note: |
        version: "1.0"
        stays as it is
      where: *repository
"""
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "as_written",
    [
        lambda text: text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
    ],
    ids=["LF", "CRLF", "no final newline", "byte order mark"],
)
def test_8_only_the_values_bytes_differ(clone, as_written):
    before = as_written(PECULIAR)
    clone.commit(FILE, before)

    bump(clone, "2.0")

    assert clone.read() == before.replace(b"sklearn/1.0/model", b"sklearn/2.0/model").replace(
        b'version: "1.0"', b'version: "2.0"', 1
    )
    assert clone.git("status", "--porcelain") == ""


@pytest.mark.parametrize("version", ["1.20", "0123456", "1e10", "no", "null", "2026-01-01", "0x1F", "1_000"])
def test_9_a_version_reads_back_as_the_same_string(remote, clone, version, tmp_path):
    clone.commit(FILE, clone.read().replace(b'version: "1.0"', b"version: 1.0"), "Without quotes")

    bump(clone, version)

    assert yaml.safe_load(clone.read())["model"]["version"] == version
    (tmp_path / "chart/templates").mkdir(parents=True)
    (tmp_path / "chart/Chart.yaml").write_text("apiVersion: v2\nname: reader\nversion: 0.1.0\n")
    (tmp_path / "chart/templates/read.yaml").write_text("read: {{ .Values.model.version | toJson }}\n")
    read = run([helm(), "template", "x", tmp_path / "chart", f"--values={clone.folder / FILE}"]).stdout
    assert json.loads(read.rpartition("read: ")[2]) == version


@pytest.mark.parametrize("version", ['2"0', "2\n0", "", " ", "2 0", "../2.0", "-", "2/0"])
def test_9_what_is_no_version_is_refused(clone, version):
    before = clone.git("rev-parse", "HEAD")

    result = bump(clone, version, check=False)

    assert result.returncode == 2
    assert "--to" in result.stderr
    assert "Traceback" not in result.stderr
    assert clone.git("rev-parse", "HEAD") == before


def test_10_a_missing_key_is_an_error(clone):
    clone.commit(FILE, clone.read().replace(b"  storageUri:", b"  storageURI:"), "A key that is not ours")
    before = clone.read()

    result = bump(clone, "2.0", check=False)

    assert result.returncode == 2
    assert f"{FILE}:6: model.storageURI: unknown key; nearest is storageUri" in result.stderr
    assert clone.read() == before


def test_10_of_two_images_in_one_file_neither_is_dropped(clone):
    second = b"other:\n  image:\n    repository: docker.io/library/other\n    tag: v1\n    digest: sha256:11\n"
    clone.commit(FILE, clone.read() + second, "A second image")

    bump(clone, f"v0.20.1@{DIGEST}", component="image")

    data = yaml.safe_load(clone.read())
    assert data["image"] == {"repository": "docker.io/kserve/sklearnserver", "tag": "v0.20.1", "digest": DIGEST}
    assert clone.read().endswith(second)


@pytest.mark.parametrize("name", ["../dev/sklearn-iris", "/etc/passwd", "..", "a/b", "a.yaml", "-a", 'x";echo pwned;#'])
def test_11_names_that_leave_the_tree_are_refused(clone, name):
    result = bump(clone, "2.0", f"--app={name}", check=False)

    assert result.returncode == 2
    assert "not the name of an application" in result.stderr
    assert clone.git("log", "--format=%s") == "First"


@pytest.mark.parametrize("where", ["file", "folder"])
def test_11_symbolic_links_out_of_the_tree_are_refused(clone, tmp_path, where):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "sklearn-iris.yaml").write_bytes(clone.read())
    link = clone.folder / (FILE if where == "file" else "gitops/dev")
    clone.git("rm", "-r", "--quiet", str(link.relative_to(clone.folder)))
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / "sklearn-iris.yaml" if where == "file" else outside)
    clone.git("add", ".")
    clone.git("commit", "--quiet", "--message=A link")
    before = (outside / "sklearn-iris.yaml").read_bytes()

    result = bump(clone, "2.0", "--app=sklearn-iris", check=False)

    assert result.returncode == 2
    assert (outside / "sklearn-iris.yaml").read_bytes() == before
    assert clone.git("log", "-1", "--format=%s") == "A link"


def test_11_a_link_put_into_the_work_tree_is_not_followed(clone, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    content = clone.read()
    (outside / "sklearn-iris.yaml").write_bytes(content)
    subprocess.run(["rm", "-r", clone.folder / "gitops/dev"], check=True)
    (clone.folder / "gitops/dev").symlink_to(outside)

    result = bump(clone, "2.0", check=False)

    assert result.returncode == 2
    assert "symbolic link" in result.stderr
    assert (outside / "sklearn-iris.yaml").read_bytes() == content


def test_a_chart_that_does_not_take_the_result_stops_the_commit(clone):
    clone.commit(FILE, clone.read().replace(b"values: {}", b"values: {canary: {steps: none}}"), "A wrong value")

    result = bump(clone, "2.0", check=False)

    assert result.returncode == 1
    assert "does not take it" in result.stderr
    assert clone.git("log", "-1", "--format=%s") == "A wrong value"


def test_dry_run_shows_the_change_and_writes_nothing(clone):
    result = bump(clone, "2.0", "--dry-run")

    assert {'-  version: "1.0"', '+  version: "2.0"'} <= set(result.stdout.splitlines())
    assert "Bump sklearn-iris model in dev to 2.0" in result.stdout
    assert clone.git("log", "--format=%s") == "First"
    assert clone.git("status", "--porcelain") == ""


def test_the_commit_says_what_from_to_why_and_where_the_evidence_is(clone):
    bump(clone, "2.0", "--why=better on setosa\nTool: forged", "--evidence=https://ci.example.com/run/7")

    text = clone.git("log", "-1", "--format=%B")
    assert text.splitlines()[0] == "Bump sklearn-iris model in dev to 2.0"
    assert "model.version: 1.0 → 2.0" in text
    assert "Why: better on setosa Tool: forged" in text
    assert "Evidence: https://ci.example.com/run/7" in text
    trailers = clone.git("log", "-1", "--format=%(trailers:only)")
    assert trailers.splitlines() == ["Application: sklearn-iris", "Environment: dev", "Tool: ml-serving-ci bump"]


def test_a_model_is_bumped_by_its_whole_uri_too(clone):
    bump(clone, "gs://other-bucket/models/sklearn/3.1/model")

    assert yaml.safe_load(clone.read())["model"] == {
        "version": "3.1",
        "storageUri": "gs://other-bucket/models/sklearn/3.1/model",
        "digest": "",
    }


@pytest.mark.parametrize("to", ["v0.20.1", "latest", f"{DIGEST}", f"quay.io/other/server:v1@{DIGEST}", "v1@sha256:12"])
def test_an_image_goes_by_its_digest(clone, to):
    result = bump(clone, to, component="image", check=False)

    assert result.returncode == 2
    assert clone.git("log", "--format=%s") == "First"


def test_a_model_is_pinned_by_its_digest_from_then_on(clone):
    bump(clone, "2.0", f"--digest={DIGEST}")
    assert yaml.safe_load(clone.read())["model"]["digest"] == DIGEST
    assert f"model.digest: (none) → {DIGEST}" in clone.git("log", "-1", "--format=%B")
    before = clone.git("rev-parse", "HEAD")

    bump(clone, "2.0")
    assert clone.git("rev-parse", "HEAD") == before, "no digest given, none lost"
    refused = bump(clone, "3.0", check=False)
    assert refused.returncode == 2
    assert "--digest is missing" in refused.stderr
    assert clone.git("rev-parse", "HEAD") == before

    other = DIGEST.replace("0", "f")
    bump(clone, "2.0", f"--digest={other}")
    assert yaml.safe_load(clone.read())["model"] == {
        "version": "2.0",
        "storageUri": MODEL.format("2.0"),
        "digest": other,
    }


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("2.0", "--digest=sha256:12"), "--digest sha256:12: not sha256: and 64 hexadecimal digits"),
        ((f"v0.20.1@{DIGEST}", f"--digest={DIGEST}"), "an image's is in --to"),
    ],
)
def test_a_digest_that_is_none_is_refused(clone, args, named):
    ended = bump(clone, *args, component="image" if "@" in args[0] else "model", check=False)
    assert ended.returncode == 2
    assert named in " ".join(ended.stderr.split())


def test_unknown_words_are_named(clone):
    for args, said in (
        (["bump", "chart", "--env=dev", "--to=1"], "bump chart"),
        (["bump", "model", "--env=qa", "--to=1"], "qa"),
        (["bump", "model", "--env=dev", "--to=1", "--app=none"], "gitops/dev/none.yaml"),
        (["bump", "model", "--env=dev", "--to=2.0", "--push", "--remote=nowhere"], "--remote nowhere"),
        (["bump", "model", "--env=dev", "--to=2.0", "--push", "--pr"], "--push --pr"),
    ):
        result = ci(clone, *args, check=False)
        assert result.returncode == 2, result.stderr
        assert said in result.stderr
        assert "Traceback" not in result.stderr


GOLDEN = """\
name: flowers
version: 2
source: a handful of flowers, named by hand
known: one
gates: {all: {accuracy: 1}}
inputs:
  - {id: one, instance: [1, 2], expected: 2}
"""


def test_a_model_is_bumped_together_with_the_known_answer_of_its_golden_file(clone):
    clone.commit("golden/sklearn-iris.yaml", GOLDEN.encode(), "Another question")

    bump(clone, "2.0")

    data = yaml.safe_load(clone.read())
    assert data["model"]["version"] == "2.0"
    assert data["values"]["exampleModel"]["knownAnswer"] == {
        "protocol": "v1",
        "path": "/v1/models/sklearn-iris:predict",
        "request": {"instances": [[1, 2]]},
        "at": "$.predictions[0]",
        "expected": 2,
        "absolute": 0.0,
        "relative": 0.0,
    }
    assert clone.git("log", "-1", "--name-only", "--format=") == FILE


def test_a_golden_file_that_is_no_text_is_refused(clone):
    clone.commit(
        "golden/sklearn-iris.yaml", GOLDEN.replace("by hand", "in M\u00fcnchen").encode("latin-1"), "Old bytes"
    )

    ended = bump(clone, "2.0", check=False)

    assert ended.returncode == 2
    assert "golden/sklearn-iris.yaml: no YAML: 'utf-8' codec can't decode byte 0xfc" in " ".join(ended.stderr.split())


@pytest.mark.parametrize("brings", [True, False], ids=["with its model", "of a model elsewhere"])
def test_an_image_is_bumped_together_with_the_known_answer_where_it_brings_the_model_along(clone, brings):
    content = yaml.safe_load(clone.read())
    if brings:
        content["model"] = {"version": "", "storageUri": "", "digest": ""}
        content["values"] = {"exampleModel": {"runtime": "", "metricsPath": ""}}
    clone.commit(FILE, yaml.safe_dump(content, sort_keys=False).encode(), "The application")
    clone.commit("golden/sklearn-iris.yaml", GOLDEN.encode(), "Another question")

    bump(clone, f"v0.20.1@{DIGEST}", component="image")

    data = yaml.safe_load(clone.read())
    assert data["image"]["tag"] == "v0.20.1"
    known = (data["values"] or {}).get("exampleModel", {}).get("knownAnswer", {})
    assert known.get("expected") == (2 if brings else None)
    assert clone.git("log", "-1", "--name-only", "--format=") == FILE
