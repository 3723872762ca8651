"""`migrate`: an older tree comes to today's form, byte for byte but for what moves, or not at all."""

import subprocess

import pytest
import yaml

from ci import project
from ci.base.errors import UsageError
from ci.tree import argocd, migrate, scalars, tree
from tests.harness import cli

FILE = """\
# wine in {environment}
# written by hand
namespace: wine-{environment}
chart:
  revision: main   # follows
model: {{version: "1.0", storageUri: s3://models/wine/1.0}}
image:
    tag:   v1
promotion:
  # How long it must run.
  soak: {soak}

# Helm values.
values: {{}}
"""
LEFT = """\
# wine in {environment}
# written by hand
chart:
  revision: main   # follows
model: {{version: "1.0", storageUri: s3://models/wine/1.0}}
image:
    tag:   v1

# Helm values.
values: {{}}
"""
SOAKS = {"dev": "10m", "staging": "1h", "prod": "24h"}
GATES = """\
# What the gates are held to.
requestsPerSecond:
  dev: 20

# Answers to the known request.
answers:
  right: [0]
  wrong: [1]

accepted: []
"""
SET = {
    "spec": {
        "generators": [{"git": {"repoURL": "https://git.acme.example/models.git", "revision": "live"}}],
        "template": {"spec": {"source": {"repoURL": "https://git.acme.example/models.git"}}},
    }
}
WINDOW = {
    "kind": "allow",
    "schedule": "0 7 * * 1-5",
    "duration": "10h",
    "timeZone": "Europe/Paris",
    "applications": ["prod-*"],
    "manualSync": True,
}


def write(folder, path, text):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)


@pytest.fixture
def old(tmp_path):
    """A repository of the form before the project file."""
    for environment, soak in SOAKS.items():
        write(tmp_path, f"gitops/{environment}/wine.yaml", FILE.format(environment=environment, soak=soak))
    write(tmp_path, "gitops/quarantine/wine/0123.yaml", "namespace: stays\n")
    write(tmp_path, "helm/charts/ml-serving/gates.yaml", GATES)
    write(tmp_path, "tests/golden/wine.yaml", "questions: []\n")
    write(tmp_path, "k8s/argocd/argocd-applications.yaml", yaml.safe_dump(SET))
    write(tmp_path, "k8s/argocd/appproject.yaml", yaml.safe_dump({"spec": {"syncWindows": [WINDOW]}}))
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def run(folder, *args):
    return cli.run("migrate", *args, cwd=folder)


def planned(folder, order=(), origin=None):
    return migrate.plan(folder, order, origin)


def every(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def test_an_older_repository_comes_to_todays_form(old):
    before = every(old)

    done = run(old)

    assert done.returncode == 0, done.stderr
    assert "gitops/dev/wine.yaml: namespace and promotion out, into ml-serving-ci.toml" in done.stdout
    for environment in SOAKS:
        assert (old / f"gitops/{environment}/wine.yaml").read_text() == LEFT.format(environment=environment)
    gates = (old / "gitops/gates.yaml").read_text()
    assert gates == GATES.replace("# Answers to the known request.\nanswers:\n  right: [0]\n  wrong: [1]\n\n", "")
    assert (old / "golden/wine.yaml").read_bytes() == before["tests/golden/wine.yaml"]
    assert set(before) - set(every(old)) == {"helm/charts/ml-serving/gates.yaml", "tests/golden/wine.yaml"}
    assert (old / "gitops/quarantine/wine/0123.yaml").read_bytes() == before["gitops/quarantine/wine/0123.yaml"]

    made = project.load(old)
    assert (made.repository, made.branch) == ("https://git.acme.example/models.git", "live")
    assert made.names == ("dev", "staging", "prod")
    for name, soak in SOAKS.items():
        environment = made.environment(name)
        assert (environment.namespace, environment.soak) == (f"wine-{name}", soak)
        assert environment.protected == (name == "prod")
    (window,) = made.environment("prod").windows
    assert (window.schedule, window.duration, window.timezone, window.manual) == (
        *("0 7 * * 1-5", "10h", "Europe/Paris"),
        True,
    )
    assert argocd.render(made), "and Argo CD can be given it"


def test_a_file_of_the_older_form_is_refused_with_the_way_out(old):
    content = (old / "gitops/dev/wine.yaml").read_bytes()
    run(old)
    with pytest.raises(UsageError, match=r"gitops/dev/wine.yaml:3: namespace: ") as refused:
        tree.read(project.load(old), "dev", "wine", content)
    assert refused.value.fix == "python ci/main.py migrate"
    assert tree.read(project.load(old), "dev", "wine", (old / "gitops/dev/wine.yaml").read_bytes()).soak == 600


def test_migrating_again_is_nothing(old):
    run(old)
    before = every(old)
    assert run(old).stdout == "nothing to migrate\n"
    assert every(old) == before


def test_a_dry_run_says_the_same_and_writes_nothing(old):
    before = every(old)
    dry = run(old, "--dry-run")
    assert every(old) == before
    assert dry.stdout.splitlines()[:-1] == run(old).stdout.splitlines()[:-1]


def test_a_run_that_was_killed_before_it_removed_anything_is_finished_by_the_next(old):
    migration = planned(old)
    migration.gone = []
    migration.write(old)
    assert run(old).returncode == 0
    assert not (old / "tests/golden/wine.yaml").exists()
    assert run(old).stdout == "nothing to migrate\n"


@pytest.mark.parametrize(("key", "was", "now"), [("namespace", "wine-dev", "other"), ("soak", "10m", "11m")])
def test_two_applications_that_contradict_each_other_are_refused_by_both_names(old, key, was, now):
    write(old, "gitops/dev/beer.yaml", FILE.format(environment="dev", soak="10m").replace(was, now))
    before = every(old)
    refused = run(old)
    assert refused.returncode == 2
    line = next(line for line in refused.stderr.splitlines() if line.startswith("error:"))
    assert f"{key} is {was}, but {now}" in line
    assert "gitops/dev/beer.yaml:" in line
    assert "gitops/dev/wine.yaml:" in line
    assert every(old) == before


def test_two_ways_to_write_one_time_are_no_contradiction(old):
    write(old, "gitops/dev/beer.yaml", FILE.format(environment="dev", soak="600s"))
    assert planned(old).told


def test_a_project_file_that_is_there_gets_what_it_does_not_say(old):
    given = "# ours\n" + "".join(
        f'[[environments]]\nname = "{name}"\nnamespace = "wine-{name}" # as ever\n\n' for name in SOAKS
    )
    write(old, project.FILE, 'repository = "https://x.example/y"\n' + given)
    done = run(old)
    assert "ml-serving-ci.toml: soak of dev, 10m" in done.stdout
    text = (old / project.FILE).read_text()
    assert "# ours" in text
    assert "# as ever" in text
    assert [project.load(old).environment(name).soak for name in SOAKS] == list(SOAKS.values())


def test_a_project_file_that_says_another_is_refused(old):
    given = "".join(f'[[environments]]\nname = "{name}"\nnamespace = "x-{name}"\n' for name in SOAKS)
    write(old, project.FILE, 'repository = "https://x.example/y"\n' + given)
    with pytest.raises(
        UsageError, match=r"gitops/dev/wine.yaml:3: namespace is wine-dev, but x-dev in ml-serving-ci.toml"
    ):
        planned(old)


def test_other_environments_need_their_order(old):
    (old / "gitops/staging").rename(old / "gitops/live")
    with pytest.raises(UsageError, match="order") as refused:
        planned(old)
    assert refused.value.fix.startswith("--order dev,live,prod")
    with pytest.raises(UsageError, match="--order dev,prod: not the folders dev, live, prod"):
        planned(old, ["dev", "prod"])
    planned(old, ["live", "dev", "prod"]).write(old)
    assert project.load(old).names == ("live", "dev", "prod")


@pytest.mark.parametrize(
    ("origin", "written"),
    [
        ("https://jane:secret@git.example.com/x.git", "https://git.example.com/x.git"),
        ("git@git.example.com:x/y.git", "git@git.example.com:x/y.git"),
        (None, migrate.PLACEHOLDER),
    ],
)
def test_where_argo_cd_was_given_nothing_the_remote_is_watched(old, origin, written):
    (old / "k8s/argocd/argocd-applications.yaml").unlink()
    migration = planned(old, origin=origin)
    migration.write(old)
    assert project.load(old).repository == written
    assert any("placeholder" in line for line in migration.told) == (origin is None)


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        ("gitops/dev/wine.yaml", ("  soak", "  pace: fast\n  soak"), r"wine.yaml:11: promotion.pace: has no place"),
        ("gitops/dev/wine.yaml", ("namespace: wine-dev", "namespace: &n wine-dev\nx: *n"), r"wine.yaml:3: namespace:"),
        ("gitops/dev/wine.yaml", ("chart:", "chart: ]"), r"wine.yaml:4: not YAML"),
        ("gitops/dev/wine.yaml", ("namespace: wine-dev\n", ""), r"gitops/dev: no file in it says its namespace"),
        ("k8s/argocd/appproject.yaml", ("kind: allow", "kind: deny"), r"a sync window of prod is more than"),
        ("k8s/argocd/appproject.yaml", ("spec:", "spec: ]"), r"appproject.yaml:[0-9]+: not YAML"),
    ],
)
def test_what_has_no_place_in_the_new_form_is_refused_whole(old, path, change, said):
    write(old, path, (old / path).read_text().replace(*change))
    before = every(old)
    done = run(old)
    assert done.returncode == 2
    with pytest.raises(UsageError, match=said):
        planned(old)
    assert every(old) == before


def test_two_files_in_one_place_are_refused(old):
    write(old, "golden/wine.yaml", "another: one\n")
    with pytest.raises(UsageError, match=r"golden/wine.yaml is there, too"):
        planned(old)


# --- keys, removed ---


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a: 1\nb: 2\n", "b: 2\n"),
        ("b: 1\na: 2", "b: 1"),
        ("a: 2\r\nb: 1\r\n", "b: 1\r\n"),
        ("\ufeff# h\na: 1\nb: 2\n", "\ufeff# h\nb: 2\n"),
        ("b: 1\n# of a\na: # beside\n- 1\n- x: y # too\n# of c\nc: 3\n", "b: 1\n# of c\nc: 3\n"),
        ("b: 1\n\n# of a\na: {x: 1,\n y: 2}\n\n# of c\nc: 3\n", "b: 1\n\n# of c\nc: 3\n"),
        ("---\n# h\na: 'x\n\n  y'\nb: |+\n  k\n\n", "---\n# h\nb: |+\n  k\n\n"),
        ("b:\n  a: 1\n", "b:\n  a: 1\n"),
        ("a:\nb: 1\n", "b: 1\n"),
        ("- a: 1\n", "- a: 1\n"),
        ("# nothing\n", "# nothing\n"),
    ],
)
def test_a_key_goes_with_its_comments_and_nothing_else(text, left):
    assert scalars.without(text.encode(), ["a"]) == left.encode()


@pytest.mark.parametrize("text", ["{a: 1, b: 2}", "a: &x 1\nb: *x\n", "a: |\n  x\nb: 2\n", "a: 1\n---\nb: 2\n"])
def test_a_key_that_cannot_go_alone_is_refused(text):
    with pytest.raises(UsageError, match=r"file:\d"):
        scalars.without(text.encode(), ["a"])
