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


def windows(folder, *given):
    write(folder, "k8s/argocd/appproject.yaml", yaml.safe_dump({"spec": {"syncWindows": list(given)}}))


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({**WINDOW, "kind": "deny", "applications": ["*"]}, r'kind is "deny", applications is \["\*"\]'),
        ({**WINDOW, "applications": ["*"]}, "applications is"),
        ({**WINDOW, "applications": ["prod-wine"]}, "applications is"),
        ({**WINDOW, "applications": ["prod-*", "dev-*"]}, "applications is"),
        ({**WINDOW, "applications": ["qa-*"]}, "applications is"),
        ({**WINDOW, "applications": "prod-*"}, "applications is"),
        (
            {**WINDOW, "applications": [], "namespaces": ["wine-prod"]},
            r'namespaces is \["wine-prod"\], applications is',
        ),
        ({**WINDOW, "namespaces": ["wine-prod"]}, "of prod is more than .*: namespaces is"),
        ({**WINDOW, "clusters": ["in-cluster"]}, "of prod is more than .*: clusters is"),
        ({**WINDOW, "syncOverrun": True}, "syncOverrun is true"),
        ({key: value for key, value in WINDOW.items() if key != "kind"}, "kind is null"),
    ],
)
def test_a_window_that_the_project_file_cannot_say_is_refused_whomever_it_binds(old, window, said):
    windows(old, WINDOW, window)
    before = every(old)
    done = run(old)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    with pytest.raises(UsageError, match=said) as refused:
        planned(old)
    assert refused.value.message.startswith("k8s/argocd/appproject.yaml:")
    assert "spec.syncWindows[1]: a sync window" in refused.value.message
    assert "is more than ml-serving-ci.toml can say" in refused.value.message
    assert every(old) == before


def test_a_window_of_two_environments_is_refused(old):
    """`prod-*` is the applications of prod-eu as well."""
    write(old, "gitops/prod-eu/wine.yaml", FILE.format(environment="prod-eu", soak="1h"))
    with pytest.raises(UsageError, match=r"a sync window of prod, prod-eu is more than"):
        planned(old, ["dev", "staging", "prod", "prod-eu"])
    windows(old, {**WINDOW, "applications": ["prod-eu-*"]})
    planned(old, ["dev", "staging", "prod", "prod-eu"]).write(old)
    assert [len(each.windows) for each in project.load(old).environments] == [0, 0, 0, 1]


def test_windows_of_every_environment_come_along_in_their_order(old):
    at_night = {"kind": "allow", "schedule": "0 22 * * *", "duration": "1h", "applications": ["dev-*"]}
    windows(old, {**at_night, "namespaces": [], "clusters": None, "timeZone": ""}, WINDOW, {**at_night, **DESCRIBED})
    planned(old).write(old)
    dev, staging, prod = project.load(old).environments
    assert [each.description for each in dev.windows] == ["", 'say "yes" # or no']
    assert [(each.manual, each.timezone) for each in dev.windows] == [(False, "UTC")] * 2
    assert (len(staging.windows), len(prod.windows)) == (0, 1)


DESCRIBED = {"description": 'say "yes" # or no'}


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({**WINDOW, "timeZone": "CET"}, "timezone: 'CET' is no time zone"),
        ({**WINDOW, "schedule": 7}, "schedule: "),
        ({**WINDOW, "duration": "a while"}, "duration: a while: not a duration"),
        ({**WINDOW, "manualSync": "yes"}, "manual: "),
        ({"kind": "allow", "applications": ["prod-*"]}, "schedule: Field required"),
    ],
)
def test_a_window_that_argo_cd_would_not_take_is_refused_where_it_is(old, window, said):
    windows(old, window)
    with pytest.raises(UsageError) as refused:
        planned(old)
    assert refused.value.message.startswith(f"k8s/argocd/appproject.yaml:3: spec.syncWindows[0]: {said}")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("appproject.yaml", "spec:\n", "1: spec: is no mapping"),
        ("appproject.yaml", "spec: []\n", "1: spec: is no mapping"),
        ("appproject.yaml", "spec:\n  syncWindows:\n", "2: spec.syncWindows: is no list"),
        ("appproject.yaml", "spec:\n  syncWindows: {}\n", "2: spec.syncWindows: is no list"),
        ("appproject.yaml", "spec:\n  syncWindows:\n  - prod\n", "3: spec.syncWindows[0]: is no mapping"),
        ("argocd-applications.yaml", "spec: 1\n", "1: spec: is no mapping"),
        ("argocd-applications.yaml", "spec:\n  template: null\n", "2: spec.template: is no mapping"),
        ("argocd-applications.yaml", "spec:\n  template: {spec: []}\n", "2: spec.template.spec: is no mapping"),
        (
            "argocd-applications.yaml",
            "spec: {template: {spec: {source: {repoURL: 1}}}}\n",
            "1: spec.template.spec.source.repoURL: is no text",
        ),
        ("argocd-applications.yaml", "spec: {generators: {}}\n", "1: spec.generators: is no list"),
        ("argocd-applications.yaml", "spec: {generators: [null]}\n", "1: spec.generators[0]: is no mapping"),
        ("argocd-applications.yaml", "spec: {generators: [{git: null}]}\n", "1: spec.generators[0].git: is no mapping"),
        (
            "argocd-applications.yaml",
            "spec:\n  generators:\n  - list: {}\n  - git: {revision: 1.10}\n",
            "4: spec.generators[1].git.revision: is no text",
        ),
    ],
)
def test_what_somebody_wrote_for_argo_cd_by_hand_is_refused_by_file_and_line(old, name, text, said):
    write(old, f"k8s/argocd/{name}", text)
    with pytest.raises(UsageError) as refused:
        planned(old)
    assert refused.value.message == f"k8s/argocd/{name}:{said}"


@pytest.mark.parametrize("text", ["", "# nothing yet\n---\n", "kind: AppProject\n", "spec: {}\n"])
def test_what_says_nothing_of_windows_is_no_window(old, text):
    write(old, "k8s/argocd/appproject.yaml", text)
    planned(old).write(old)
    assert not any(each.windows for each in project.load(old).environments)


def test_a_file_of_several_objects_is_refused_for_it_would_be_one(old):
    file = old / "k8s/argocd/appproject.yaml"
    file.write_text(f"spec: {{}}\n---\n{file.read_text()}")
    with pytest.raises(UsageError, match=r"k8s/argocd/appproject.yaml: has 2 objects"):
        planned(old)


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("soak: 10m", "soak: 5 minutes", r"gitops/dev/wine.yaml:11: promotion.soak: 5 minutes: not a duration"),
        ("soak: 10m", "soak:", r"gitops/dev/wine.yaml:11: promotion.soak: nothing: not a duration"),
        ("namespace: wine-dev", "namespace: Wine_dev", r"gitops/dev/wine.yaml:3: namespace: Wine_dev is no name"),
        ("namespace: wine-dev", "namespace:", r"gitops/dev/wine.yaml:3: namespace: nothing is no name"),
        ("values: {}", "values: " + "[" * 990 + "]" * 990, r"gitops/dev/wine.yaml: nested more than"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(old, was, now, said):
    write(old, "gitops/dev/beer.yaml", FILE.format(environment="dev", soak="10m"))
    file = old / "gitops/dev/wine.yaml"
    file.write_text(file.read_text().replace(was, now))
    with pytest.raises(UsageError, match=said):
        planned(old)


TODAYS = """\
repository = "https://x.example/y"
[[environments]]
name = "dev"
namespace = "wine-dev"  # as ever

# the window
[[environments.windows]]
schedule = "0 7 * * 1-5"
duration = "10h"

# the next one
[[environments]]
  name = "staging"
  namespace = "wine-staging"
  protected = true
[[environments]]
name = "prod"
namespace = "wine-prod\""""


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_key_stands_with_its_environment_and_the_rest_stays_as_it_was(old, mark, end):
    (old / project.FILE).write_bytes(mark + TODAYS.replace("\n", end).encode())
    expected = (
        TODAYS.replace("  # as ever\n", '  # as ever\nsoak = "10m"\n')
        .replace('"wine-staging"\n', '"wine-staging"\n  soak = "1h"\n')
        .replace('"wine-prod"', '"wine-prod"\nsoak = "24h"')
    )
    done = run(old)
    assert done.returncode == 0, done.stderr
    assert (old / project.FILE).read_bytes() == mark + expected.replace("\n", end).encode()


def test_an_environment_on_one_line_gets_its_key_there(old):
    tables = [f'  {{ name = "{name}", namespace = "wine-{name}" }}, # {name}' for name in SOAKS]
    write(old, project.FILE, "\n".join(['repository = "https://x.example/y"', "environments = [", *tables, "]", ""]))
    planned(old).write(old)
    lines = (old / project.FILE).read_text().splitlines()
    assert [line.partition("}")[2] for line in lines[2:5]] == [f", # {name}" for name in SOAKS]
    assert [each.soak for each in project.load(old).environments] == list(SOAKS.values())


def test_environments_apart_are_not_moved_together(old):
    apart = TODAYS.replace("# the next one\n", '[argocd]\nnamespace = "gitops"\n')
    write(old, project.FILE, apart)
    with pytest.raises(UsageError, match=r"ml-serving-ci.toml: \[\[environments\]\] with other tables between"):
        planned(old)
    said = apart.replace('-dev"', '-dev"\nsoak="10m"').replace('-prod"', '-prod"\nsoak="24h"')
    write(old, project.FILE, said.replace('-staging"', '-staging"\nsoak="1h"'))
    assert project.FILE not in planned(old).contents, "nothing is to be added"


def test_an_environment_that_the_project_file_does_not_have_is_named_with_its_file(old):
    write(old, project.FILE, TODAYS.replace('"prod"', '"live"'))
    with pytest.raises(UsageError, match=r"gitops/prod/wine.yaml:3: ml-serving-ci.toml has no environment prod"):
        planned(old)


def test_a_name_that_no_environment_can_have_is_no_line_of_a_file_that_is_not_there(old):
    (old / "gitops/staging").rename(old / "gitops/Live")
    with pytest.raises(UsageError, match=r"ml-serving-ci.toml, as it would be:[0-9]+: environments\[1\].name: 'Live'"):
        planned(old, ["dev", "Live", "prod"])


def test_files_of_other_tests_stay_where_they_are(old):
    write(old, "tests/golden/render_snapshot.yaml", "expected: mine\n")
    done = run(old)
    assert "render_snapshot" not in done.stdout
    assert (old / "tests/golden/render_snapshot.yaml").read_text() == "expected: mine\n"
    assert not (old / "golden/render_snapshot.yaml").exists()
    assert (old / "golden/wine.yaml").exists()
    assert run(old).stdout == "nothing to migrate\n"


@pytest.mark.parametrize(
    "path", [project.FILE, "gitops/dev/wine.yaml", "gitops/gates.yaml", "golden/wine.yaml", "tests/golden/wine.yaml"]
)
def test_no_other_file_is_written_or_removed_by_way_of_a_link(old, path):
    if path == project.FILE:
        write(old, path, TODAYS)
    content = (old / path).read_bytes() if (old / path).exists() else None
    (old / path).parent.mkdir(exist_ok=True)
    (old / path).unlink(missing_ok=True)
    if content is not None:
        (old / "other").write_bytes(content)
    (old / path).symlink_to(old / "other")
    before = every(old)
    done = run(old)
    assert done.returncode == 2, done.stdout
    assert f"{path}: a link, to " in " ".join(done.stderr.split())
    assert every(old) == before


def test_a_folder_that_leads_out_is_not_cleared(old, tmp_path_factory):
    away = tmp_path_factory.mktemp("away") / "golden"
    (old / "tests/golden").rename(away)
    (old / "tests/golden").symlink_to(away)
    with pytest.raises(UsageError, match=r"tests/golden: a link that leads out of the project"):
        planned(old)
    (old / "tests/golden").unlink()
    away.rename(old / "kept")
    (old / "tests/golden").symlink_to("../kept")
    planned(old).write(old)
    assert (old / "golden/wine.yaml").exists()


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
