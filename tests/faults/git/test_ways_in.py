"""The ways into a protected environment: a promotion with evidence, or break-glass, which the commit says."""

import pytest
import yaml

from ci.base.errors import UsageError
from ci.tree.quarantine import QuarantinedError
from tests.harness import scene as scenes
from tests.harness.remote import FILE, bump, ci
from tests.harness.scene import APP, DIGEST, GOLDEN, PROD, STAGING, promote

IMAGE = ("bump", "image", f"--to=v9@{DIGEST}")
MODEL = ("bump", "model", "--to=2.0", f"--digest={DIGEST}")
REASON = "incident 4711: answers are wrong"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """For what is refused: nobody writes to its tree."""
    return scenes.made(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def own(tmp_path):
    return scenes.made(tmp_path)


def without_questions(own):
    """The scene's golden file is none, which `bump model` would read."""
    own.clone.git("rm", "--quiet", GOLDEN)
    own.clone.git("commit", "--quiet", "--message=No questions")
    own.clone.git("push", "--quiet", "origin", "main")


def refused(scene, *words):
    """Run a command that is wrong use, and return what it says; neither clone nor remote has a commit more."""
    before = scene.clone.git("rev-parse", "main"), scene.remote.git("rev-parse", "main")
    ended = ci(scene.clone, *words, check=False)
    assert ended.returncode == 2, ended.stderr
    assert (scene.clone.git("rev-parse", "main"), scene.remote.git("rev-parse", "main")) == before
    return " ".join(ended.stderr.split())


@pytest.mark.parametrize("way", [IMAGE, MODEL], ids=["image", "model"])
@pytest.mark.parametrize("where", [[], ["--push"], ["--dry-run"]], ids=["here", "pushed", "looked at"])
def test_a_bump_of_a_protected_environment_is_refused_with_the_ways_in(scene, way, where):
    said = refused(scene, *way, "--env=prod", *where)
    assert "--env prod: it is protected, and takes only what is proven" in said
    assert f"promote --from staging --to prod --app {APP} --evidence FILE --public-key FILE" in said
    assert '--break-glass "REASON"' in said


@pytest.mark.parametrize("reason", ["", "  ", "\n\t", "-", "\u200b"])
def test_break_glass_asks_for_a_reason(scene, reason):
    assert "--break-glass: it has no reason" in refused(scene, *IMAGE, "--env=prod", f"--break-glass={reason}")


@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_break_glass_where_nothing_is_protected_is_wrong_use(scene, environment):
    said = refused(scene, *IMAGE, f"--env={environment}", f"--break-glass={REASON}")
    assert f"--break-glass: {environment} is not protected" in said


@pytest.mark.parametrize(("way", "key"), [(IMAGE, ("image", "tag")), (MODEL, ("model", "version"))])
def test_break_glass_is_a_commit_that_says_why(own, way, key):
    without_questions(own)
    ended = ci(own.clone, *way, "--env=prod", "--push", "--break-glass", f"{REASON}\n\nEvidence-Commit: {'0' * 40}")

    section, name = key
    assert own.remote.data(PROD)[section][name] in ("v9", "2.0")
    told = f"{REASON} Evidence-Commit: {'0' * 40}"
    assert f"break-glass: prod takes this without evidence: {told}" in ended.stderr
    trailers = own.remote.git("log", "-1", "--format=%(trailers:only,unfold)", "main").splitlines()
    assert f"Break-glass: {told}" in trailers
    assert [line for line in trailers if line.startswith("Evidence-Commit")] == []


def test_a_bump_elsewhere_needs_neither(own):
    without_questions(own)
    bump(own.clone, "3.0", f"--digest={DIGEST}", "--push")
    assert own.remote.data(FILE)["model"]["version"] == "3.0"
    assert "Break-glass" not in own.remote.git("log", "-1", "--format=%B", "main")


def test_a_promotion_without_evidence_is_break_glass_and_what_argo_cd_says_counts_all_the_same(own):
    promote(own, None, break_glass=REASON)

    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"
    text = own.clone.git("log", "-1", "--format=%B")
    assert f"Break-glass: {REASON}" in text.splitlines()
    assert "Proven: Synced and Healthy" in text


def test_a_promotion_with_evidence_needs_no_break_glass_and_names_what_was_tested(own, monkeypatch):
    tested = own.clone.git("rev-parse", "HEAD")
    file = own.evidence(monkeypatch)
    with pytest.raises(UsageError, match="--break-glass: the evidence is given"):
        promote(own, file, break_glass=REASON)

    promote(own, file)

    trailers = own.clone.git("log", "-1", "--format=%(trailers:only,unfold)").splitlines()
    assert f"Evidence-Commit: {tested}" in trailers
    assert "Break-glass" not in "".join(trailers)


def test_break_glass_opens_no_quarantine(own):
    promote(own, None, break_glass=REASON)
    ci(own.clone, "rollback", "--env=prod", f"--to={own.clone.git('rev-parse', 'HEAD~1')}", "--why=slow")

    with pytest.raises(QuarantinedError):
        promote(own, None, break_glass=REASON)


# --- an application that is new there --------------------------------------------------------------------------------


def gone(own):
    """Take the application out of prod, as before its first promotion."""
    own.clone.git("rm", "--quiet", PROD)
    own.clone.git("commit", "--quiet", "--message=Not there yet")
    own.clone.git("push", "--quiet", "origin", "main")


def test_a_promotion_makes_the_file_of_an_application_that_is_new(own, monkeypatch):
    known = {"protocol": "v1", "request": {"instances": [[1, 2]]}, "at": "$.predictions[0]", "expected": 2}
    data = yaml.safe_load(own.clone.read(STAGING))
    data["values"] = {"exampleModel": {"knownAnswer": known}, "autoscaling": {"maxReplicas": 7}}
    own.clone.commit(STAGING, yaml.safe_dump(data, sort_keys=False).encode(), "A question, and how it is served")
    gone(own)
    file = own.evidence(monkeypatch, own.said())
    verified = ci(own.clone, "evidence", "verify", file, f"--public-key={own.keys.public}", "--env=prod", check=False)

    promote(own, file, said=(said := []))

    assert verified.returncode == 0, verified.stderr
    made = yaml.safe_load(own.clone.read(PROD))
    assert {key: made[key] for key in ("chart", "model", "image")} == {
        key: data[key] for key in ("chart", "model", "image")
    }
    assert made["values"] == data["values"], "without them another server may be deployed than was proven"
    assert "model.version: (none) → 2.0" in said
    assert own.clone.git("status", "--porcelain") == ""
    assert promote(own, file) is None, "it is there now"


def test_a_new_application_in_an_unprotected_environment_is_promoted_as_well(own):
    own.clone.git("rm", "--quiet", STAGING)
    own.clone.git("commit", "--quiet", "--message=Not there yet")

    promote(own, None, source="dev", target="staging")

    dev = yaml.safe_load(own.clone.read(FILE))
    assert yaml.safe_load(own.clone.read(STAGING))["image"] == dev["image"]


def test_a_name_that_argo_cd_has_already_is_refused(own):
    text = own.clone.read("ml-serving-ci.toml").decode()
    more = '\n[[environments]]\nname = "prod-eu"\nnamespace = "eu"\nevidence = ["staging"]\n\n[throwaway]'
    own.clone.commit("ml-serving-ci.toml", text.replace("\n[throwaway]", more, 1).encode(), "Another")
    own.clone.commit(f"gitops/prod/eu-{APP}.yaml", own.clone.read(PROD), "A name that will clash")

    with pytest.raises(UsageError, match=rf"gitops/prod-eu/{APP}.yaml: Argo CD would call it prod-eu-{APP}"):
        promote(own, None, target="prod-eu")


def test_two_promotions_of_a_new_application_at_once_are_one(own):
    """The file that somebody else made meanwhile is looked at again."""
    gone(own)
    other = own.remote.clone("theirs")
    promote(own, None, break_glass=REASON)
    own.clone.git("push", "--quiet", "origin", "main")
    other.pull()
    own.clone = other
    assert promote(own, None, break_glass=REASON) is None
