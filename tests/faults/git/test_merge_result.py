"""The check of a pull request, on the merge result: what of production is not proven is refused by name.

Remotes, merges, the chart, helm, keys and signatures are real; what a run proved is as in test_evidence.py.
"""

import json
import re

import pytest
import yaml

from ci.evidence import envelope, statement
from ci.project import FILE as PROJECT_FILE
from tests.harness import scene as scenes
from tests.harness.evidence import REPLICAS
from tests.harness.git_server import TOKEN, serving
from tests.harness.remote import Clone, ci, run
from tests.harness.scene import APP, DIGEST, PROD, STAGING, promote, release
from tests.workflows.github import GitHub

PLACE = f"prod/{APP}"
BASE = "--base=origin/main"
REASON = "incident 4711: answers are wrong"
OTHER = "gitops/prod/other.yaml"
ARGOCD = "k8s/argocd"
SET, PROJECTS = f"{ARGOCD}/argocd-applications.yaml", f"{ARGOCD}/appproject.yaml"


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A scene whose prod is pinned, as lint asks for."""
    scene = scenes.made(tmp_path_factory.mktemp("scene"))
    release(scene.clone, PROD, digest=DIGEST)
    ci(scene.clone, "argocd", "render")
    scene.clone.git("add", "k8s")
    scene.clone.git("commit", "--quiet", "--message=What Argo CD is given")
    scene.clone.git("push", "--quiet", "origin", "main")
    scene.statement = scene.said()
    return scene


@pytest.fixture
def own(first, tmp_path):
    return first.copied(tmp_path)


def edit(clone, path, change, message="By hand"):
    """Commit a change of a file here; nothing is pushed."""
    data = yaml.safe_load(clone.read(path))
    change(data)
    write(clone, path, yaml.safe_dump(data, sort_keys=False), message)


def write(clone, path, text, message="By hand"):
    file = clone.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    clone.git("add", "--", path)
    clone.git("commit", "--quiet", f"--message={message}")


def merged(own):
    """Check out what a merge of the local branch into the remote's makes, as the forge tests it."""
    own.clone.git("fetch", "--quiet", "origin")
    own.clone.git("checkout", "--quiet", "--detach", "origin/main")
    own.clone.git("merge", "--quiet", "--no-ff", "--message=Merge", "main")


def of_run(own, environment="prod"):
    """The unsigned evidence of the test of an environment's application on what is checked out."""
    file = own.report / "of-run.json"
    file.write_bytes(envelope.sealed(json.dumps(own.said(environments=[environment])).encode(), None))
    return f"--run={file}"


def check(own, *words, keys=True, env=None):
    public = [f"--public-key={own.keys.public}"] if keys else []
    return ci(own.clone, "evidence", "verify", BASE, *public, *words, check=False, env=env)


def passes(own, *words):
    ended = check(own, *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def refuses(own, *words, **options):
    ended = check(own, *words, **options)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    refused = [line for line in ended.stdout.splitlines() if ": refused: " in line]
    named = ", ".join(line.partition(":")[0] for line in refused)
    assert f"not proven: {named}" in " ".join(ended.stderr.split())
    assert all(" → " in line for line in refused), "each has its way out"
    return ended.stdout


def tag(data):
    data["image"]["tag"] = "v9"


def values(data):
    data["values"] = {"autoscaling": {"maxReplicas": 7}}


# --- a promotion -----------------------------------------------------------------------------------------------------


def test_a_promotion_is_proven_by_the_evidence_of_the_commit_that_it_names(own, monkeypatch):
    file = own.evidence(monkeypatch)
    tested = own.clone.git("rev-parse", "--short=12", "HEAD")
    promote(own, file)
    merged(own)

    said = passes(own, f"--evidence={file}")

    assert said.startswith(f"{PLACE}: evidence of {tested}, signed by ")
    assert passes(own, f"--evidence={own.report}") == said, "a report's folder will do"


def test_it_is_proven_when_staging_has_moved_on_and_when_it_is_squashed(own, monkeypatch):
    file = own.evidence(monkeypatch)
    promote(own, file)
    other = own.remote.clone("theirs")
    release(other, STAGING, tag="v10")
    text = own.clone.git("log", "-1", "--format=%B")
    own.clone.git("fetch", "--quiet", "origin")
    own.clone.git("checkout", "--quiet", "--detach", "origin/main")
    own.clone.git("merge", "--quiet", "--squash", "main")
    own.clone.git("commit", "--quiet", f"--message=To prod (#7)\n\n* {text}\n\n* A word\n\nCo-authored-by: Jo <j@x.y>")

    assert passes(own, f"--evidence={file}").startswith(f"{PLACE}: evidence of ")


def test_the_evidence_is_fetched_where_none_is_given(own, monkeypatch):
    file = own.evidence(monkeypatch)
    hub = GitHub(own.remote)
    hub.reports[own.clone.git("rev-parse", "HEAD")] = {statement.EVIDENCE: file.read_bytes()}
    promote(own, file)
    with serving(hub) as hub.address:
        own.clone.git("remote", "set-url", "origin", f"http://{hub.address}/team/tree")
        env = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": f"http://{hub.address}/api/v3"}
        ended = check(own, env=env)
        hub.reports.clear()
        gone = refuses(own, env=env)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{PLACE}: evidence of ")
    assert "has no green run of pull-request.yaml" in gone


@pytest.mark.parametrize("how", ["changed", "no key", "of another commit"])
def test_evidence_that_does_not_prove_it_is_refused(own, monkeypatch, how):
    file = own.evidence(monkeypatch)
    promote(own, file)
    if how == "changed":
        file.write_text(file.read_text().replace('"payload": "e', '"payload": "f'))
    elif how == "of another commit":
        own.clone.git("commit", "--amend", "--quiet", f"--message=Promote\n\nEvidence-Commit: {'0' * 40}")

    said = refuses(own, f"--evidence={file}", keys=how != "no key")

    wanted = {"changed": "signatures: the signature of", "no key": "no --public-key to verify the evidence of"}
    assert wanted.get(how, f"no --evidence is of {'0' * 12}, which the promotion names") in said


def test_a_promotion_that_meets_anothers_change_of_values_is_proven_by_the_merge_result_alone(own, monkeypatch):
    file = own.evidence(monkeypatch)
    promote(own, file)
    other = own.remote.clone("theirs")
    edit(other, PROD, values, "More pods")
    other.git("push", "--quiet", "origin", "main")
    merged(own)

    said = refuses(own, f"--evidence={file}")
    assert f"subject onward/staging/prod/{APP}" in said
    said = passes(own, f"--evidence={file}", of_run(own))
    assert "signed by " in said
    assert "proven by the test of this run" in said


# --- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [tag, lambda data: data["model"].update(version="9", storageUri="s3://m/9")])
def test_a_set_that_somebody_writes_by_hand_is_refused_whatever_a_run_says(own, change):
    edit(own.clone, PROD, change)
    merged(own)

    said = refuses(own, of_run(own))

    assert "no promotion brings this set, and it never ran there" in said
    way = f"python ci/main.py promote --from staging --to prod --app {APP} --evidence FILE --public-key FILE --pr"
    assert way in said


def test_a_new_file_that_follows_the_branch_is_refused_and_a_pinned_one_is_proven_by_the_run(own):
    text = own.clone.read(PROD).decode()
    write(own.clone, OTHER, re.sub("revision: .*", "revision: main", text))
    assert "prod/other: refused: chart.revision main is no commit" in refuses(own)
    write(own.clone, OTHER, re.sub("digest: .*", 'digest: ""', text))
    assert "is not pinned, and what lies there can be replaced" in refuses(own)
    write(own.clone, OTHER, text)
    assert "prod/other: refused: gitops/prod/other.yaml: new: nothing proves it" in refuses(own)


def test_values_are_proven_by_the_test_of_the_same_run_and_of_no_other(own):
    edit(own.clone, PROD, values)
    stale = of_run(own)
    assert f"{PLACE}: refused: {PROD}: values: nothing proves it" in refuses(own)
    assert f"{PLACE}: {PROD}: values: proven by the test of this run" in passes(own, stale)

    write(own.clone, "README.md", "A word")
    ended = check(own, stale)

    assert ended.returncode == 1
    assert "is not what is checked out" in ended.stderr


def test_a_run_that_served_something_else_proves_nothing_of_it(own):
    edit(own.clone, PROD, values)
    file = own.report / "of-run.json"
    file.write_bytes(envelope.sealed(json.dumps(own.said(environments=["staging"])).encode(), None))
    assert f"predicate.applications prod/{APP}: missing" in refuses(own, f"--run={file}")


def test_a_report_without_evidence_proves_nothing_and_is_no_error(own, tmp_path):
    assert passes(own, f"--run={tmp_path}") == "nothing of a protected environment is touched\n"


@pytest.mark.parametrize(
    "path", ["docs/notes.md", STAGING, PROD], ids=["a document", "staging", "a comment in prod's file"]
)
def test_what_touches_nothing_of_production_passes(own, path):
    text = own.clone.read(path).decode() if path.startswith("gitops") else ""
    write(own.clone, path, text.replace("v0.20.0", "v0.21.0" if path == STAGING else "v0.20.0") + "# a word\n")
    assert passes(own) == "nothing of a protected environment is touched\n"


def test_a_file_that_cannot_be_read_is_refused_by_name(own):
    write(own.clone, PROD, own.clone.read(PROD).decode() + "image: {}\n")
    assert f"{PLACE}: refused: {PROD}:" in check(own).stdout


def test_of_several_applications_each_has_its_line(own, monkeypatch):
    file = own.evidence(monkeypatch)
    write(own.clone, OTHER, own.clone.read(PROD).decode())
    own.clone.git("push", "--quiet", "origin", "main")
    promote(own, file)
    edit(own.clone, OTHER, tag)

    said = refuses(own, f"--evidence={file}").splitlines()

    assert [line.partition(":")[0] for line in said] == ["prod/other", PLACE]
    assert ": refused: image.tag: " in said[0]
    assert ": evidence of " in said[1]


# --- back, and away --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["rollback", "revert"])
def test_a_set_that_ran_there_before_may_come_back(own, way):
    promote(own, None, break_glass=REASON)
    own.clone.git("push", "--quiet", "origin", "main")
    if way == "rollback":
        ci(own.clone, "rollback", "--env=prod", f"--to={own.clone.git('rev-parse', 'HEAD~1')}", "--why=slow")
    else:
        own.clone.git("revert", "--no-edit", "HEAD")

    assert f"{PLACE}: ran there before, in " in passes(own)
    edit(own.clone, PROD, values)
    assert "no promotion brings this set" in refuses(own)


def test_what_is_in_quarantine_does_not_come_back_by_hand(own):
    promote(own, None, break_glass=REASON)
    promoted = own.clone.read(PROD).decode()
    ci(own.clone, "rollback", "--env=prod", f"--to={own.clone.git('rev-parse', 'HEAD~1')}", "--why=slow")
    own.clone.git("push", "--quiet", "origin", "main")
    write(own.clone, PROD, promoted, f"Again\n\nBreak-glass: {REASON}")
    assert "slow" in refuses(own)


def test_a_change_lifts_no_quarantine_for_what_it_brings(own):
    promote(own, None, break_glass=REASON)
    promoted = own.clone.read(PROD).decode()
    ci(own.clone, "rollback", "--env=prod", f"--to={own.clone.git('rev-parse', 'HEAD~1')}", "--why=slow")
    own.clone.git("push", "--quiet", "origin", "main")
    own.clone.git("rm", "-r", "--quiet", "gitops/quarantine")
    own.clone.git("commit", "--quiet", "--message=Tidy up")
    lifted = own.clone.git("rev-parse", "HEAD")
    write(own.clone, PROD, promoted, "Again")
    merged(own)
    assert "and this change lifts that for itself" in refuses(own)

    own.clone.git("push", "--quiet", "origin", f"{lifted}:main")
    merged(own)
    assert "ran there before" in passes(own), "once the branch has it lifted"


@pytest.mark.parametrize("path", ["gitops/prod", "gitops"])
@pytest.mark.parametrize("how", ["a link", "a submodule"])
def test_an_environment_s_files_are_not_behind_a_link_or_in_a_submodule(own, path, how):
    head = own.clone.git("rev-parse", "HEAD")
    own.clone.git("mv", path, "moved")
    if how == "a link":
        (own.clone.folder / path).symlink_to(own.clone.folder / "moved")
        own.clone.git("add", "--all")
    else:
        own.clone.git("update-index", "--add", "--cacheinfo", f"160000,{head},{path}")
    own.clone.git("commit", "--quiet", "--message=Moved")
    merged(own)
    assert f"prod: refused: {path}: not a folder (git mode 1" in refuses(own)


def test_a_deletion_is_said_and_passes(own):
    own.clone.git("rm", "--quiet", PROD)
    own.clone.git("commit", "--quiet", "--message=Away")
    assert f"{PLACE}: deleted" in passes(own)


# --- break-glass -----------------------------------------------------------------------------------------------------


def bumped(own):
    ci(own.clone, "bump", "image", "--env=prod", f"--to=v9@{DIGEST}", f"--break-glass={REASON}", f"--app={APP}")


def test_break_glass_passes_with_its_reason(own):
    bumped(own)
    merged(own)
    said = passes(own)
    assert said.startswith(f"{PLACE}: break-glass: ")
    assert REASON in said


@pytest.mark.parametrize("reason", ["-", "\u200b", "…"])
def test_break_glass_that_says_nothing_is_none(own, reason):
    edit(own.clone, PROD, tag, f"By hand\n\nBreak-glass: {reason}")
    merged(own)
    assert "no promotion brings this set" in refuses(own)


@pytest.mark.parametrize(("makes", "proven"), [(True, True), (False, False)])
def test_a_history_of_its_own_is_break_glass_for_what_it_has(own, makes, proven):
    """Its first commit has none before it."""
    text = own.clone.read(PROD).decode().replace("v0.20.0", "v9")
    own.clone.git("checkout", "--quiet", "--orphan", "apart")
    own.clone.git("rm", "-r", "--force", "--quiet", ".")
    write(own.clone, PROD if makes else "apart", text, f"Apart\n\nBreak-glass: {REASON}")
    own.clone.git("checkout", "--quiet", "main")
    words = ("--allow-unrelated-histories", "--strategy-option=theirs", "--message=Together")
    own.clone.git("merge", "--quiet", *words, "apart")
    if not makes:
        edit(own.clone, PROD, tag)
    merged(own)
    said = passes(own) if proven else refuses(own)
    assert ("break-glass: " if proven else "no promotion brings this set") in said


@pytest.mark.parametrize("change", [values, tag], ids=["values as well", "another set"])
def test_break_glass_covers_what_its_own_commit_changes_and_no_more(own, change):
    bumped(own)
    edit(own.clone, PROD, lambda data: (change(data), data["image"].update(repository="docker.io/acme/other")))
    assert "docker.io/acme/other" in refuses(own)


def test_break_glass_of_another_application_is_not_this_ones(own):
    edit(own.clone, PROD, tag, f"Hot fix\n\nApplication: other\nEnvironment: prod\nBreak-glass: {REASON}")
    refuses(own)


def test_break_glass_lets_no_file_in_that_cannot_be_read(own):
    text = own.clone.read(PROD).decode()
    write(own.clone, PROD, f"{text}\nimage: {{repository: evil, tag: v1}}\n", f"Evil\n\nBreak-glass: {REASON}")

    said = refuses(own)

    assert f"{PLACE}: refused: {PROD}:" in said
    assert "is there twice" in said


def test_a_file_that_a_checkout_changes_is_refused_by_name(own):
    write(own.clone, ".gitattributes", "gitops/prod/*.yaml ident\n")

    said = refuses(own)

    assert f"{PLACE}: refused: {PROD}: .gitattributes has git change it on the way out" in said


def test_an_application_that_was_there_before_is_not_a_new_one(own):
    text = own.clone.read(PROD).decode()
    own.clone.git("rm", "--quiet", "--", PROD)
    own.clone.git("commit", "--quiet", "--message=Away with it")
    own.clone.git("push", "--quiet", "origin", "main")
    write(own.clone, PROD, text.replace("tag: ", "tag: v9-"))

    assert "no promotion brings this set, and it never ran there" in refuses(own, of_run(own))


def test_a_person_breaks_the_glass_by_the_same_trailer(own):
    edit(own.clone, PROD, lambda data: (tag(data), values(data)), f"Hot fix\n\nBreak-glass: {REASON}")
    assert REASON in passes(own)


# --- the guard itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["protected = false", ""])
def test_a_change_does_not_take_its_own_guard_away(own, word):
    text = own.clone.read(PROJECT_FILE).decode()
    write(own.clone, PROJECT_FILE, text.replace("protected = true", word))
    ci(own.clone, "argocd", "render")
    own.clone.git("commit", "--quiet", "--all", "--message=Give it to Argo CD")
    edit(own.clone, PROD, tag)

    said = refuses(own)

    assert "prod: refused: ml-serving-ci.toml: prod is not protected any more" in said
    assert f"{PLACE}: refused: image.tag" in said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('soak = "1h"', 'soak = "1s"', "what goes to prod soaks 1s in staging, and did 1h"),
        ("protected = true", 'protected = true\nevidence = ["dev"]', "prod takes evidence of dev, and took that of"),
        (
            "acme/models.git",
            "acme/x.git",
            "Argo CD watches repository https://github.com/acme/x.git for prod",
        ),
        (
            'namespace = "ml-serving"',
            'namespace = "x"',
            "prod is namespace x of cluster in-cluster, and was namespace ml-serving of",
        ),
        (
            "protected = true",
            'protected = true\ncluster = "far"',
            "prod is namespace ml-serving of cluster far, and was namespace ml-serving of cluster in-cluster",
        ),
    ],
)
def test_a_change_takes_no_guard_away_for_the_next_one(own, before, after, said):
    text = own.clone.read(PROJECT_FILE).decode()
    assert before in text
    write(own.clone, PROJECT_FILE, text.replace(before, after))
    ci(own.clone, "argocd", "render")
    own.clone.git("commit", "--quiet", "--all", "--allow-empty", "--message=Give it to Argo CD")

    assert f"prod: refused: {PROJECT_FILE}: {said}" in refuses(own, of_run(own))


@pytest.mark.parametrize(
    ("key", "path", "moved"), [("chart", "helm/charts/ml-serving", "helm/charts/other"), ("tree", "gitops", "deploy")]
)
def test_a_change_has_nothing_of_a_pinned_application_read_elsewhere_in_its_commit(own, key, path, moved):
    text = own.clone.read(PROJECT_FILE).decode()
    own.clone.git("mv", path, moved)
    write(own.clone, PROJECT_FILE, text.replace("[throwaway]", f'[paths]\n{key} = "{moved}"\n\n[throwaway]', 1))
    ci(own.clone, "argocd", "render")
    own.clone.git("commit", "--quiet", "--all", "--message=Elsewhere")

    assert f"{PLACE}: refused: {PROJECT_FILE}: paths.{key}" in refuses(own)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("replicas = 1", "replicas = 2"),
        ('resources.requests.cpu = "1"', 'resources.requests.cpu = "2"'),
        ("[throwaway]", '[models.mirrors]\n"s3://" = "models"\n\n[throwaway]'),
        ('namespace = "observability"', 'namespace = "metrics"'),
    ],
)
def test_what_a_run_alone_is_given_touches_nothing_of_production(own, old, new):
    text = own.clone.read(PROJECT_FILE).decode()
    assert old in text
    write(own.clone, PROJECT_FILE, text.replace(old, new, 1))

    assert passes(own) == "nothing of a protected environment is touched\n"


def test_what_a_checkout_changes_no_more_is_another_set_in_production(own):
    own.clone.commit(".gitattributes", b"gitops/prod/* ident\n")
    own.clone.git("rm", "--quiet", ".gitattributes")
    own.clone.git("commit", "--quiet", "--message=As it is in git")

    assert f"{PLACE}: refused: .gitattributes: how {PROD} is checked out" in refuses(own)


def test_a_change_opens_production_at_no_other_times(own):
    text = own.clone.read(PROJECT_FILE).decode()
    window = 'protected = true\nwindows = [{schedule = "0 7 * * 1-5", duration = "10h"}]'
    own.clone.commit(PROJECT_FILE, text.replace("protected = true", window).encode())
    write(own.clone, PROJECT_FILE, text)

    assert f"prod: refused: {PROJECT_FILE}: Argo CD may sync prod at other times" in refuses(own, of_run(own))


WINDOW = 'protected = true\nwindows = [{schedule = "0 7 * * 1-5", duration = "10h"}]'


def patched(own, *operations):
    """Render with a JSON patch of every AppProject, and commit all of it."""
    (own.clone.folder / ARGOCD / "patches").mkdir()
    (own.clone.folder / ARGOCD / "patches" / "p.json").write_text(json.dumps(operations))
    text = own.clone.read(PROJECT_FILE).decode()
    (own.clone.folder / PROJECT_FILE).write_text(f'{text}\n[argocd]\npatches.AppProject = "patches/p.json"\n')
    ci(own.clone, "argocd", "render")
    own.clone.git("add", "--all")
    own.clone.git("commit", "--quiet", "--message=Patched")


def windowed(own):
    text = own.clone.read(PROJECT_FILE).decode().replace("protected = true", WINDOW)
    write(own.clone, PROJECT_FILE, text)
    ci(own.clone, "argocd", "render")
    own.clone.git("commit", "--quiet", "--all", "--message=Windows")
    own.clone.git("push", "--quiet", "origin", "main")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"op": "replace", "path": "/spec/syncWindows", "value": []}, "Argo CD may sync prod at other times"),
        (
            {"op": "add", "path": "/spec/destinations/-", "value": {"namespace": "*", "server": "*"}},
            "what is of prod may be deployed elsewhere",
        ),
    ],
)
def test_a_patch_takes_no_rule_of_argo_cds_away(own, how, said):
    windowed(own)
    patched(own, {"op": "add", "path": "/spec/syncWindows", "value": []}, how)

    assert f"prod: refused: {PROJECTS}: " in (refused := refuses(own, of_run(own)))
    assert said in refused


def test_nobody_takes_rules_of_argo_cds_away_by_hand(own):
    windowed(own)
    text = own.clone.read(PROJECTS).decode()
    write(own.clone, PROJECTS, text.replace("10h", "24h"))
    assert "Argo CD may sync prod at other times" in refuses(own, of_run(own))
    own.clone.git("rm", "--quiet", PROJECTS)
    own.clone.git("commit", "--quiet", "--message=Away")
    assert "at other times than it might; " in (said := refuses(own, of_run(own)))
    assert "elsewhere than it might" in said


def test_the_project_file_closes_production_and_what_was_opened_by_hand_is_closed(own):
    text = own.clone.read(PROJECTS).decode()
    own.clone.commit(PROJECTS, text.replace("namespace: ml-serving\n", "namespace: '*'\n").encode())
    write(own.clone, PROJECT_FILE, own.clone.read(PROJECT_FILE).decode().replace("protected = true", WINDOW))
    ci(own.clone, "argocd", "render")
    own.clone.git("commit", "--quiet", "--all", "--message=Windows")

    assert f"{PLACE}: {PROJECTS}: proven by the test of this run" in passes(own, of_run(own))


def test_a_change_does_not_allow_its_own_run_to_serve_something_else(own):
    text = own.clone.read(PROJECT_FILE).decode()
    own.clone.commit(PROJECT_FILE, text.replace("replicas = 1", "").encode())
    write(own.clone, PROJECT_FILE, text)
    edit(own.clone, PROD, values)

    assert f"{REPLICAS}: {PROJECT_FILE} does not allow it" in refuses(own, of_run(own))


@pytest.mark.parametrize("kind", ["Application", "Application\\x53et"])
def test_what_deploys_besides_the_tree_is_proven_by_no_run(own, kind):
    hot = f'apiVersion: argoproj.io/v1alpha1\nkind: "{kind}"\nmetadata: {{name: hot, namespace: argocd}}\nspec: {{}}\n'
    write(own.clone, "k8s/argocd/hot.yaml", hot)

    said = refuses(own, of_run(own))

    assert "prod: refused: k8s/argocd/hot.yaml: has the Application" in said


HOT = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: hot, namespace: argocd}\nspec: {}\n"
OPEN = "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: ml-serving-dev, namespace: argocd}\n"
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata: {a: b}\n"
MODEL = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: x, namespace: ml-serving}\n"
UNREAD = "what nobody reads here, and kubectl may,"


def put(own, files, message="By hand"):
    """Commit files of the folder that kubectl is given."""
    for name, content in files.items():
        file = own.clone.folder / ARGOCD / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    own.clone.git("add", "--", ARGOCD)
    own.clone.git("commit", "--quiet", f"--message={message}")


def test_whatever_kubectl_applies_besides_the_projects_own_is_proven_by_no_run(own):
    one = json.dumps({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "hot"}})
    told = {
        ".yaml": (HOT, "the Application hot"),
        "appproject.yaml": (own.clone.read(PROJECTS).decode() + "---\n" + MODEL, "the InferenceService x"),
        "broken.yaml": (f"{HOT}---\na: [\n", UNREAD),
        "cm.yml": (SETTINGS, "the ConfigMap argocd-cm"),
        "list.yaml": (f"apiVersion: v1\nkind: List\nitems: [{one}]\n", "the Application hot"),
        "open.yaml": (OPEN, "the AppProject ml-serving-dev"),
        "two.json": (f"{one}\n{one}", UNREAD),
        "wide.yaml": (HOT.encode("utf-16"), UNREAD),
    }
    put(own, {name: content for name, (content, _) in told.items()})

    said = refuses(own, of_run(own))

    for name, (_, what) in told.items():
        assert f"{ARGOCD}/{name}: has {what}" in said
    assert said.startswith(f"prod: refused: {ARGOCD}/.yaml: has the Application hot besides the project's own, ")


def test_what_is_besides_it_may_have_other_comments_and_what_kubectl_does_not_apply_is_no_matter(own):
    put(own, {"cm.yaml": SETTINGS})
    own.clone.git("push", "--quiet", "origin", "main")
    patch = '[{"op": "remove", "path": "/spec/description"}]'
    put(own, {"cm.yaml": f"# ours\n{SETTINGS}", "README.md": HOT, "p.json": patch, "patches/hot.yaml": HOT})

    assert passes(own) == "nothing of a protected environment is touched\n"

    put(own, {"cm.yaml": SETTINGS.replace("a: b", "a: c")}, f"Ours\n\nBreak-glass: {REASON}")
    assert REASON in passes(own)
    own.clone.git("rm", "--quiet", f"{ARGOCD}/cm.yaml")
    own.clone.git("commit", "--quiet", "--message=Away")
    assert f"prod: refused: {ARGOCD}/cm.yaml: has lost the ConfigMap argocd-cm" in refuses(own)


def emptied(own):
    own.clone.git("rm", "--quiet", PROD)
    own.clone.git("commit", "--quiet", "--message=Away")
    own.clone.git("push", "--quiet", "origin", "main")


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (SET, "values/{{ .environment }}.yaml", "values/dev.yaml"),
        (SET, "prune: true", "prune: false"),
        (PROJECTS, "namespaceResourceWhitelist:", "namespaceResourceWhitelist:\n    - {group: '*', kind: '*'}"),
    ],
)
def test_what_argo_cd_is_given_for_an_environment_without_applications_is_proven_by_nothing(own, path, old, new):
    emptied(own)
    write(own.clone, path, own.clone.read(path).decode().replace(old, new))

    assert f"prod: refused: {path}" in refuses(own)


def test_an_environment_without_applications_gets_what_the_project_file_makes(own):
    file = own.clone.read(SET).decode()
    own.clone.commit(SET, file.replace("prune: true", "prune: false").encode())
    emptied(own)
    text = own.clone.read(PROJECT_FILE).decode()
    more = '[[environments]]\nname = "prod-us"\nnamespace = "ml-us"\nprotected = true\n\n[throwaway]'
    write(own.clone, PROJECT_FILE, text.replace("[throwaway]", more, 1))
    ci(own.clone, "argocd", "render")
    own.clone.git("commit", "--quiet", "--all", "--message=Another region, and as it is made")

    assert passes(own) == "nothing of a protected environment is touched\n"


def test_a_link_among_what_argo_cd_is_given_is_proven_by_no_run(own):
    write(own.clone, "docs/hot.yaml", "kind: Any\n")
    (own.clone.folder / "k8s/argocd/hot.yaml").symlink_to("../../docs/hot.yaml")
    own.clone.git("add", "k8s")
    own.clone.git("commit", "--quiet", "--message=A link")

    assert "prod: refused: k8s/argocd/hot.yaml: is a link, which kubectl follows" in refuses(own, of_run(own))
    own.clone.git("push", "--quiet", "origin", "main")
    write(own.clone, "docs/notes.md", "A word\n")
    assert passes(own) == "nothing of a protected environment is touched\n", "a link that was there"
    write(own.clone, "docs/hot.yaml", HOT)
    assert "prod: refused: k8s/argocd/hot.yaml: is a link" in refuses(own), "and leads to something else"


def test_a_link_in_place_of_the_folder_is_proven_by_no_run(own):
    own.clone.git("mv", ARGOCD, "given")
    (own.clone.folder / ARGOCD).parent.mkdir(exist_ok=True)
    (own.clone.folder / ARGOCD).symlink_to("../given")
    own.clone.git("add", "k8s")
    own.clone.git("commit", "--quiet", "--message=A link")
    assert f"prod: refused: {ARGOCD}: is a link, which kubectl follows" in refuses(own, of_run(own))
    own.clone.git("push", "--quiet", "origin", "main")
    write(own.clone, "given/hot.yaml", HOT)
    assert f"prod: refused: {ARGOCD}: is a link" in refuses(own), "and has something else in it"


def test_a_second_application_set_is_told_however_its_kind_is_written(own):
    path = "k8s/argocd/argocd-applications.yaml"
    text = own.clone.read(path).decode()
    write(own.clone, "k8s/argocd/zz.yaml", text.replace("kind: ApplicationSet", 'kind: "Application\\x53et"'))

    ended = ci(own.clone, "diff", BASE, check=False)

    assert (ended.returncode, "is there twice" in ended.stderr) == (2, True), ended.stderr


def test_what_argo_cd_is_given_for_production_is_proven_or_refused(own):
    file = "k8s/argocd/argocd-applications.yaml"
    text = own.clone.read(file).decode()
    write(own.clone, file, text.replace("values/{{ .environment }}.yaml", "values/dev.yaml"))

    assert f"{PLACE}: refused: {file}: values files: nothing proves it" in refuses(own)
    assert f"{PLACE}: {file}: values files: proven by the test of this run" in passes(own, of_run(own))


def test_what_argo_cd_is_given_is_read_as_kubernetes_reads_it(own):
    listed = [each for each in yaml.safe_load_all(own.clone.read(PROJECTS)) if each is not None]
    dev, prod = (next(each for each in listed if each["metadata"]["name"].endswith(name)) for name in ("dev", "prod"))
    dev["spec"]["description"], prod["metadata"]["annotations"] = "dev", {"opens": "OPENS"}
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": listed}).replace("OPENS", "12:30")
    own.clone.commit(PROJECTS, text.encode())
    write(own.clone, PROJECTS, text.replace("description: dev", "description: of dev"))
    assert passes(own) == "nothing of a protected environment is touched\n", "another environment's, in a List"
    write(own.clone, PROJECTS, text.replace("12:30", "750"))
    assert f"{PLACE}: refused: {PROJECTS}" in refuses(own), "PyYAML takes both for the number 750"


def test_another_environment_beside_it_touches_nothing_of_it(own):
    text = own.clone.read(PROJECT_FILE).decode()
    more = '[[environments]]\nname = "play"\nnamespace = "play"\nevidence = []\n\n[throwaway]'
    write(own.clone, PROJECT_FILE, text.replace("[throwaway]", more, 1))
    ci(own.clone, "argocd", "render")
    own.clone.git("commit", "--quiet", "--all", "--message=A place to play")
    assert passes(own) == "nothing of a protected environment is touched\n"


def test_a_new_protected_environment_with_an_application_is_proven_by_the_test_of_the_run(own):
    text = own.clone.read(PROJECT_FILE).decode()
    more = '[[environments]]\nname = "prod-us"\nnamespace = "ml-us"\nprotected = true\n\n[throwaway]'
    write(own.clone, PROJECT_FILE, text.replace("[throwaway]", more, 1))
    ci(own.clone, "argocd", "render")
    write(own.clone, "gitops/prod-us/sklearn-iris.yaml", own.clone.read(PROD).decode())
    own.clone.git("commit", "--quiet", "--all", "--message=Another region")

    assert f"prod-us/{APP}: refused: " in refuses(own)
    assert ": new: proven by the test of this run" in passes(own, of_run(own, "prod-us"))


# --- the clone, and the command line ---------------------------------------------------------------------------------


def test_a_shallow_clone_is_said_in_one_line(own, tmp_path):
    edit(own.clone, PROD, tag)
    own.clone.git("push", "--quiet", "origin", "main:change")
    url = own.remote.folder.as_uri()
    run(["git", "clone", "--quiet", "--depth=2", "--branch=change", url, str(tmp_path / "shallow")])
    shallow = Clone(tmp_path / "shallow")
    shallow.git("fetch", "--quiet", "--depth=2", "origin", "main:refs/remotes/origin/main")

    ended = ci(shallow, "evidence", "verify", BASE, check=False)

    assert ended.returncode == 2, ended.stdout
    assert "this clone is shallow" in ended.stderr
    assert "git fetch --unshallow" in ended.stderr


@pytest.mark.parametrize("words", [["x.json", BASE], [], ["--env=prod"], ["x.json", "--env=prod", "--run=x"]])
def test_what_goes_together_is_said(own, words):
    ended = ci(own.clone, "evidence", "verify", *words, check=False)
    assert ended.returncode == 2
    assert "fix: " in ended.stderr


def test_only_a_commit_of_the_branch_is_released(own, monkeypatch):
    file = own.evidence(monkeypatch)
    words = ("evidence", "verify", str(file), f"--public-key={own.keys.public}", "--env=prod", "--on=main")
    assert ci(own.clone, *words, check=False).returncode == 0
    write(own.clone, "README.md", "Never merged")
    own.clone.git("tag", "v0.9.0")

    ended = ci(own.clone, *words, check=False)

    assert ended.returncode == 1
    assert "is not on main of origin, and only what was merged there is released" in " ".join(ended.stderr.split())
