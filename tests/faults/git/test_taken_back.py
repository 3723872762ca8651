"""What a person took back comes again only with a reason, whoever takes it back and by whatever words."""

import pytest
import yaml

from ci.release.taken_back import TakenBackError
from tests.faults.git.test_promote import STAGING, promote
from tests.harness.remote import FILE, MODEL, Clone, bump

REASON = "--over-revert=the labels were wrong"


def version(clone, path=FILE):
    return yaml.safe_load(clone.read(path))["model"]["version"]


def moved(clone, message="Bump to 2.0\n\nTool: ml-serving-ci bump"):
    """Move dev to 2.0 as `bump` does it; return what was there."""
    before = clone.read()
    content = before.replace(b'"1.0"', b'"2.0"').replace(b"/1.0/", b"/2.0/")
    clone.commit(FILE, content, message)
    return before


def git_revert(clone):
    moved(clone)
    clone.git("revert", "--no-edit", "HEAD")
    clone.git("push", "--quiet")


def by_hand(clone):
    clone.commit(FILE, moved(clone), "better so")


def squashed_by_a_forge(clone):
    clone.commit(FILE, moved(clone), 'Revert "Bump to 2.0" (#12)\n\nReverts team/tree#11')


def merged(clone):
    before = moved(clone)
    clone.git("switch", "--quiet", "--create=topic")
    clone.commit(FILE, before, "Back")
    clone.git("switch", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "--message=Merge pull request #12 from team/topic", "topic")
    clone.git("push", "--quiet")


@pytest.mark.parametrize("take_back", [git_revert, by_hand, squashed_by_a_forge, merged])
def test_what_was_taken_back_is_refused_whatever_was_edited_since(clone, take_back):
    take_back(clone)
    commit = clone.git("rev-parse", "--short=12", "HEAD")
    clone.replace(b"values: {}", b"values: {slo: {}}", "Another edit")

    refused = bump(clone, "2.0", "--push", check=False)

    assert refused.returncode == 1
    assert (
        f"model.version 2.0, model.storageUri {MODEL.format('2.0')} was taken back in {commit} by Jane"
        in refused.stderr
    )
    assert 'if it is wanted again: --over-revert "REASON"' in refused.stderr
    assert clone.git("ls-remote", "origin", "main").split()[0] == clone.git("rev-parse", "HEAD")


def test_with_a_reason_it_goes_through_and_the_commit_says_so(clone):
    by_hand(clone)
    commit = clone.git("rev-parse", "--short=12", "HEAD")

    bump(clone, "2.0", REASON)

    assert version(clone) == "2.0"
    text = clone.git("log", "-1", "--format=%B")
    assert f"Taken back in {commit}, and wanted again: the labels were wrong" in text.splitlines()
    assert clone.git("log", "-1", "--format=%(trailers:key=Over-revert,valueonly)") == "the labels were wrong"
    bump(clone, "3.0")
    bump(clone, "2.0")  # lifted for good


def test_a_reason_must_say_something(clone):
    refused = bump(clone, "2.0", "--over-revert= ", check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: --over-revert: it has no reason")


def test_a_reason_where_nothing_was_taken_back_is_said_and_kept_out_of_the_commit(clone):
    said = bump(clone, "2.0", REASON).stderr
    assert "--over-revert: nobody has taken this back" in said
    assert "Over-revert" not in clone.git("log", "-1", "--format=%B")


def test_a_revert_that_was_reverted_is_lifted(clone):
    git_revert(clone)
    clone.git("revert", "--no-edit", "HEAD")
    bump(clone, "3.0")
    bump(clone, "2.0")
    assert version(clone) == "2.0"


def test_who_goes_on_by_hand_takes_nothing_back(clone):
    moved(clone)
    clone.commit(FILE, clone.read().replace(b"2.0", b"3.0"), "On to 3.0")
    bump(clone, "2.0")
    assert version(clone) == "2.0"


def test_another_environment_and_another_value_are_other_matters(clone):
    clone.commit(STAGING, clone.read(STAGING).replace(b"1.0", b"2.0"), "By hand")
    clone.git("revert", "--no-edit", "HEAD")
    by_hand(clone)
    bump(clone, "2.1")
    assert version(clone) == "2.1"


def test_a_promotion_that_was_reverted_is_promoted_again_only_with_a_reason(clone):
    moved(clone)
    promote(clone)
    assert version(clone, STAGING) == "2.0"
    clone.git("revert", "--no-edit", "HEAD")

    with pytest.raises(TakenBackError, match="was taken back in"):
        promote(clone)
    assert version(clone, STAGING) == "1.0"

    promote(clone, over_revert="it was the network")
    assert version(clone, STAGING) == "2.0"
    assert clone.git("log", "-1", "--format=%(trailers:key=Over-revert,valueonly)") == "it was the network"


def test_a_chart_that_was_taken_back_is_known_by_its_content(clone):
    """Each commit of the branch is another revision of the same chart."""
    content = clone.read(STAGING)
    clone.commit(STAGING, content.replace(b"revision: main", b"revision: " + head(clone)), "Pin")
    values = "helm/charts/ml-serving/values.yaml"
    clone.commit(values, clone.read(values) + b"# a word\n", "A newer chart")
    promote(clone)
    clone.git("revert", "--no-edit", "HEAD")

    with pytest.raises(TakenBackError, match=r"chart\.revision [0-9a-f]{40} was taken back in"):
        promote(clone)

    clone.commit(values, clone.read(values) + b"# another word\n", "The next chart")
    promote(clone)
    assert yaml.safe_load(clone.read(STAGING))["chart"]["revision"] == clone.git("rev-parse", "HEAD^")


def head(clone):
    return clone.git("rev-parse", "HEAD").encode()


def test_a_shallow_clone_is_fetched_whole_where_a_remote_is_asked(remote, clone, tmp_path):
    by_hand(clone)
    clone.replace(b"values: {}", b"values: {slo: {}}", "Another edit")
    clone.git("clone", "--quiet", "--depth=1", f"file://{remote.folder}", str(tmp_path / "shallow"))
    shallow = Clone(tmp_path / "shallow")

    refused = bump(shallow, "2.0", check=False)
    assert refused.returncode == 2
    assert f"{FILE}: this clone is shallow, and cannot tell what a person took back" in refused.stderr
    assert "fix: git fetch --unshallow" in refused.stderr

    refused = bump(shallow, "2.0", "--push", check=False)
    assert refused.returncode == 1
    assert "was taken back in" in refused.stderr
    bump(shallow, "3.0", "--push")
    assert remote.data()["model"]["version"] == "3.0"
