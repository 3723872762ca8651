"""The sets that ran, as a person sees them at night: on real remotes, and whatever else is in the past."""

import json
import re

import pytest

from tests.harness.remote import FILE, Clone, bump, ci
from tests.harness.remote import MODEL as URI

STAGING = FILE.replace("dev", "staging")


def history(clone, *args, check=True):
    return ci(clone, "history", "--env=dev", *args, check=check)


def rows(clone, *args):
    return json.loads(history(clone, "--output=json", *args).stdout)


def states(clone, *args):
    return [(row["set"]["model.version"], row["state"]) for row in rows(clone, *args)]


def status(clone, *args):
    return json.loads(ci(clone, "status", "-o", "json", *args).stdout)


def promoted(clone):
    """Commit what `promote` does, which asks a cluster; return the commit."""
    said = "Promote\n\nProven: Synced and Healthy\n\nApplication: sklearn-iris\nTool: ml-serving-ci promote"
    clone.commit(STAGING, clone.read(), said)
    return clone.git("rev-parse", "--short=12", "HEAD")


def test_it_lists_what_ran_with_who_why_and_what_is_known(clone):
    first = clone.git("rev-parse", "HEAD")
    bump(clone, "1.1", "--why=better on setosa", "--evidence=https://ci.example.com/7")
    proof = promoted(clone)
    bump(clone, "1.2")
    ci(clone, "rollback", "--env=dev", "--why=too slow")

    now, bad, good, began = rows(clone)

    assert (now["runs"], now["why"], now["set"]["model.version"]) == (True, "too slow", "1.1")
    assert (bad["state"], bad["runs"]) == ("barred", False)
    assert re.fullmatch(r"quarantined in gitops/quarantine/sklearn-iris/\w+\.yaml: too slow", bad["because"])
    assert bad["lift"].startswith("git rm gitops/quarantine/")
    assert (good["state"], good["because"]) == ("healthy", f"promoted to staging in {proof}")
    assert (good["who"], good["why"], good["evidence"]) == ("Jane", "better on setosa", "https://ci.example.com/7")
    assert (began["commit"], began["why"], began["state"]) == (first, "First", "unknown")
    assert began["set"]["model.storageUri"] == URI.format("1.0")


def test_a_person_reads_the_same(clone):
    bump(clone, "1.1", "--why=better \x1b[31mthan ever")
    shown = history(clone).stdout
    assert shown.splitlines()[0] == "sklearn-iris in dev"
    newest = shown.splitlines()[2].split()
    assert newest[:2] == ["*", clone.git("rev-parse", "--short=12", "HEAD")]
    assert "unknown" in newest
    assert "better than ever" in " ".join(newest)
    assert "\x1b" not in shown


def test_changes_of_anything_else_are_the_same_set(clone):
    bump(clone, "1.1")
    brought = clone.git("rev-parse", "HEAD")
    clone.replace(b"values: {}", b"values: {slo: {latency: {p95Threshold: 0.4}}}")
    assert rows(clone)[0]["commit"] == brought
    assert states(clone) == [("1.1", "unknown"), ("1.0", "unknown")]


def test_what_a_person_took_back_is_barred_by_that_commit(clone):
    bump(clone, "2.0")
    clone.git("revert", "--no-edit", "HEAD")
    back = clone.git("rev-parse", "--short=12", "HEAD")
    barred = rows(clone)[1]
    assert barred["state"] == "barred"
    assert barred["because"].startswith(f"taken back in {back} by Jane: Revert")
    assert barred["lift"] == f"git revert {back}, and push"


def test_a_pull_request_that_is_merged_has_the_words_of_what_it_brings(clone):
    clone.git("switch", "--quiet", "--create", "topic")
    bump(clone, "2.0", "--why=better")
    clone.git("switch", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "--message=Merge pull request #7 from acme/topic", "topic")
    newest = rows(clone)[0]
    assert (newest["commit"], newest["why"]) == (clone.git("rev-parse", "HEAD"), "better")


def test_what_cannot_be_read_is_left_out_and_said(clone):
    good = clone.read()
    clone.commit(FILE, b"<<<<<<< HEAD\n" + good, "Conflict")
    broken = clone.git("rev-parse", "--short=12", "HEAD")
    clone.commit(FILE, good, "Corrected")
    found = history(clone)
    assert f"{broken} is left out: {FILE}:" in found.stderr
    assert states(clone) == [("1.0", "unknown")]


def test_an_application_that_is_gone_has_its_history(clone):
    bump(clone, "1.1")
    clone.git("rm", "--quiet", FILE)
    clone.git("commit", "--quiet", "--message=No longer needed")
    found = rows(clone, "--app=sklearn-iris")
    assert [(row["set"]["model.version"], row["runs"]) for row in found] == [("1.1", False), ("1.0", False)]


def test_one_that_never_was_is_named(clone):
    refused = history(clone, "--app=fraud", check=False)
    assert refused.returncode == 2
    assert "gitops/dev/fraud.yaml: no such file" in refused.stderr
    assert history(clone, "--app=No_Name", check=False).returncode == 2


def test_several_are_listed_each_on_its_own_and_one_that_is_wrong_holds_up_none(clone):
    clone.commit("gitops/dev/fraud.yaml", clone.read(), "Another")
    clone.commit("gitops/quarantine/fraud/by-hand.yaml", b"application: fraud\n", "Not an entry")
    found = history(clone)
    assert found.stdout.startswith("sklearn-iris in dev")
    assert "gitops/quarantine/fraud/by-hand.yaml: no entry of the quarantine" in " ".join(found.stderr.split())


def test_as_many_as_are_asked_for(clone):
    bump(clone, "1.1")
    bump(clone, "1.2")
    assert states(clone, "--limit=2") == [("1.2", "unknown"), ("1.1", "unknown")]
    assert "1 older; --limit N shows more" in history(clone, "--limit=2").stderr


def test_the_remote_is_asked_where_it_is_named(remote, clone, other):
    bump(other, "1.1", "--push")
    assert states(clone) == [("1.0", "unknown")]
    assert states(clone, "--remote=origin") == [("1.1", "unknown"), ("1.0", "unknown")]


def test_a_clone_without_a_branch_checked_out_is_read_too(clone):
    clone.git("checkout", "--quiet", "--detach")
    assert states(clone) == [("1.0", "unknown")]


def test_a_shallow_clone_says_that_older_sets_are_missing(clone, tmp_path):
    bump(clone, "1.1")
    folder = tmp_path / "shallow"
    clone.git("clone", "--quiet", "--depth=1", f"file://{clone.folder}", str(folder))
    found = history(Clone(folder))
    assert "git fetch --unshallow" in found.stderr
    assert states(Clone(folder)) == [("1.1", "unknown")]


# --- status --------------------------------------------------------------------------------------------------------


def test_status_has_every_environment_in_the_order_of_promotion(clone):
    bump(clone, "1.1")
    brought = clone.git("rev-parse", "HEAD")
    dev, staging, prod = status(clone)
    assert [each["environment"] for each in (dev, staging, prod)] == ["dev", "staging", "prod"]
    assert (dev["set"]["model.version"], dev["commit"], dev["health"]) == ("1.1", brought, None)
    assert staging["set"]["model.version"] == "1.0"
    shown = ci(clone, "status")
    assert "–: no cluster was asked; --kubeconfig FILE or --context NAME does" in shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()[:4]] == ["env", "dev", "staging", "prod"]


def test_status_of_a_shallow_clone_tells_no_date_that_it_cannot_know(clone, tmp_path):
    bump(clone, "2.0")
    clone.commit("docs/notes.md", b"Notes\n")
    folder = tmp_path / "shallow"
    clone.git("clone", "--quiet", "--depth=1", f"file://{clone.folder}", str(folder))

    told = ci(Clone(folder), "status", "-o", "json")

    dev, *_ = json.loads(told.stdout)
    assert (dev["set"]["model.version"], dev["since"], dev["commit"]) == ("2.0", None, None)
    assert "git fetch --unshallow" in told.stderr


def test_status_shows_a_set_though_an_entry_of_the_quarantine_is_none(clone):
    clone.commit("gitops/quarantine/sklearn-iris/x.yaml", b"foo: bar\n")

    dev, *_ = status(clone)

    assert dev["set"]["model.version"] == "1.0"
    assert "not known: gitops/quarantine/sklearn-iris/x.yaml: no entry" in dev["barred"][0]


def test_status_shows_what_is_barred_and_what_came_by_break_glass(clone):
    bump(clone, "2.0")
    first = clone.git("rev-parse", "HEAD~1")
    ci(clone, "rollback", "--env=dev", f"--to={first}", "--why=too slow")
    path = FILE.replace("dev", "prod")
    clone.commit(path, clone.read(path).replace(b"1.0", b"3.0"), "At once\n\nBreak-glass: the site is down")

    dev, _, prod = status(clone)
    assert "2.0" in dev["barred"][0]
    assert "too slow" in dev["barred"][0]
    assert prod["breakGlass"] == "the site is down"
    shown = ci(clone, "status").stdout
    assert shown.count("barred: sklearn-iris: ") == 1
    assert "break-glass: prod/sklearn-iris: the site is down, in " in shown


def test_one_that_is_malformed_does_not_hold_up_the_others(clone):
    clone.commit("gitops/dev/broken.yaml", b"<<<<<<< HEAD\n", "Conflict")
    clone.commit("gitops/dev/Odd_Name.yaml", b"a: 1\n", "Odd")
    found = {(each["environment"], each["application"]): each for each in status(clone, "--env=dev")}
    assert found["dev", "broken"]["error"].startswith("gitops/dev/broken.yaml:")
    assert found["dev", "Odd_Name"]["error"] is not None
    assert found["dev", "sklearn-iris"]["set"]["model.version"] == "1.0"
    assert "dev/broken cannot be read" in ci(clone, "status").stderr


@pytest.mark.parametrize("words", [["--env=qa"], ["--app=fraud"], ["--branch=nein"], ["--kubeconfig=/no/such/file"]])
def test_what_is_asked_for_and_not_there_is_named(clone, words):
    refused = ci(clone, "status", *words, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("error: ") == 1


def test_a_cluster_that_does_not_answer_is_said_and_the_sets_are_shown(clone, tmp_path):
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: away\nclusters: [{name: away, cluster: {server: "
        "'https://127.0.0.1:1'}}]\ncontexts: [{name: away, context: {cluster: away, user: x}}]\nusers: [{name: x}]\n"
    )
    found = status(clone, f"--kubeconfig={config}")
    assert [each["set"]["model.version"] for each in found] == ["1.0", "1.0", "1.0"]
    assert all("does not answer" in each["error"] for each in found)
