"""What differs between two commits of a project: real repositories, none of them like this one."""

import dataclasses
import json

import anyio
import pytest

from ci import project
from ci.base import jsonfile
from ci.base.errors import UsageError
from ci.results import Proof, Report, Served, Stage
from ci.tree import argocd, change, git, merge_base
from tests.harness import remote as remotes
from tests.harness.remote import ci, run

PROJECT = """
repository = "https://example.com/acme/platform"
branch = "trunk"

[paths]
tree = "deploy/models"
chart = "charts/serve"
argocd = "deploy/argo"
golden = "questions"

[[environments]]
name = "west"
namespace = "models-west"
soak = "10m"

[[environments]]
name = "east"
namespace = "models-east"
protected = true
"""
APPLICATION = """
chart:
  revision: {revision}
model:
  version: "{version}"
  storageUri: s3://acme/{version}
  digest: ""
image:
  repository: example.com/server
  tag: v1
  digest: ""
values: {{}}
"""
NOTHING = Served({}, "", "", built=False)
PINNED = "0123456789abcdef0123456789abcdef01234567"


class Work:
    """A clone of a project on a branch of its own, made from trunk."""

    def __init__(self, clone, below="."):
        self.clone, self.folder = clone, clone.folder / below

    def write(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def edit(self, path, old, new):
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, (path, text)
        self.write(path, text.replace(old, new))

    def move(self, old, new):
        (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / old).rename(self.folder / new)

    def commit(self):
        self.clone.git("add", "--all")
        self.clone.git("commit", "--quiet", "--allow-empty", "--message=Change")

    def change(self, base="origin/trunk"):
        """Commit what was done, and return what that changes."""
        self.commit()

        async def found():
            repository = await git.opened(self.folder)
            return await change.between(*await merge_base.sides(repository, base, "origin"))

        return anyio.run(found)

    def plan(self, *arguments, check=True):
        return ci(self, "plan", *arguments, check=check, env={"NO_COLOR": "1"})


def made(root, files=(), below="."):
    """A project with a ranking model in both environments, east pinned to a chart, and a pricing model in west."""
    seed = root / "seed"
    (seed / below).mkdir(parents=True)
    run(["git", "init", "--quiet", "--initial-branch=trunk", "."], cwd=seed)
    first = {
        "ml-serving-ci.toml": PROJECT,
        "deploy/models/README.md": "Models\n",
        "deploy/models/west/ranking.yaml": APPLICATION.format(revision="trunk", version="1.0"),
        "deploy/models/west/pricing.yaml": APPLICATION.format(revision="HEAD", version="7"),
        "deploy/models/east/ranking.yaml": APPLICATION.format(revision=PINNED, version="1.0"),
        "deploy/argo/project.yaml": "kind: AppProject\n",
        "charts/serve/Chart.yaml": "name: serve\n",
        "charts/serve/values/west.yaml": "replicas: 1\n",
        "charts/serve/values/east.yaml": "replicas: 2\n",
        "questions/ranking.yaml": "inputs: []\n",
        **dict(files),
    }
    for path, text in first.items():
        file = seed / below / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    clone = remotes.published(seed, root).clone("ours")
    clone.git("checkout", "--quiet", "-b", "change")
    return Work(clone, below)


@pytest.fixture
def work(tmp_path):
    return made(tmp_path)


def kinds(found):
    return {(each.environment, each.name): each.kind for each in found.applications}


def reasons(found, environment="west", name="ranking"):
    (each,) = [each for each in found.applications if (each.environment, each.name) == (environment, name)]
    return [reason.text for reason in each.why]


def aside(found):
    return [reason.text for reason in found.aside]


# --- what an application is made of ---


def test_where_nothing_differs_nothing_is_in(work):
    found = work.change()

    assert found.nothing
    assert (found.platform, found.applications, found.aside, found.malformed) == ((), (), (), {})


def test_an_application_is_in_by_its_own_file_and_no_other_is(work):
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')

    found = work.change()

    assert kinds(found) == {("west", "ranking"): "changed"}
    assert reasons(found) == ["deploy/models/west/ranking.yaml: model.version: 1.0 → 2.0"]


@pytest.mark.parametrize(
    ("old", "new", "said"), [("{}", "{replicas: 3}", "values"), ("chart:", "# why\nchart:", "its text alone")]
)
def test_what_else_differs_in_a_file_is_said(work, old, new, said):
    work.edit("deploy/models/west/pricing.yaml", old, new)

    assert reasons(work.change(), name="pricing") == [f"deploy/models/west/pricing.yaml: {said}"]


def test_the_chart_counts_for_those_that_follow_the_branch(work):
    work.write("charts/serve/templates/model.yaml", "kind: InferenceService\n")

    found = work.change()

    assert kinds(found) == {("west", "pricing"): "changed", ("west", "ranking"): "changed"}
    assert reasons(found) == ["charts/serve/templates/model.yaml"]


def test_a_branch_by_its_full_name_is_followed_as_well(tmp_path):
    path = "deploy/models/east/ranking.yaml"
    work = made(tmp_path, {path: APPLICATION.format(revision="refs/heads/trunk", version="1.0")})
    work.write("charts/serve/templates/model.yaml", "kind: InferenceService\n")

    assert ("east", "ranking") in kinds(work.change())


@pytest.mark.parametrize("base", ["old", "origin/release"])
def test_they_follow_the_projects_branch_whatever_the_base_is_called(work, base):
    work.clone.git("branch", "--quiet", "old", "origin/trunk")
    work.clone.git("update-ref", "refs/remotes/origin/release", "origin/trunk")
    work.write("charts/serve/templates/model.yaml", "kind: InferenceService\n")

    assert kinds(work.change(base)) == {("west", "pricing"): "changed", ("west", "ranking"): "changed"}


def test_an_environments_values_in_the_chart_count_there_alone(work):
    work.edit("charts/serve/values/east.yaml", "2", "3")
    found = work.change()
    assert kinds(found) == {}
    (said,) = aside(found)  # east is pinned
    assert said.startswith("charts/serve/values/east.yaml: east/ranking reads it at chart.revision 0123456789ab: ")

    work.edit("charts/serve/values/west.yaml", "1", "3")
    assert kinds(work.change()) == {("west", "pricing"): "changed", ("west", "ranking"): "changed"}


def test_an_environments_values_in_the_tree_are_no_application_and_count_there(work):
    work.write("deploy/models/west/values.yaml", "replicas: 4\n")

    found = work.change()

    assert kinds(found) == {("west", "pricing"): "changed", ("west", "ranking"): "changed"}
    assert reasons(found) == ["deploy/models/west/values.yaml: new"]


def with_values(work, file):
    """Have the ApplicationSet name another file in place of the chart's for the environment; return the commit."""
    for path, content in argocd.render(project.parse(PROJECT.encode())).items():
        work.write(path, content.decode().replace("values/{{ .environment }}.yaml", file, 1))
    work.commit()
    return work.clone.git("rev-parse", "HEAD")


def test_an_application_that_gets_other_values_files_is_in_whatever_chart_it_has(work):
    with_values(work, "values/west.yaml")

    found = work.change()

    assert kinds(found) == {("east", "ranking"): "changed"}
    assert reasons(found, "east") == ["deploy/argo/argocd-applications.yaml: values files"]


@pytest.mark.parametrize("file", ["charts/serve/values/east.yaml", "deploy/models/all.yaml"])
def test_a_values_file_that_the_application_set_names_counts_for_those_that_follow(work, file):
    base = with_values(work, f"/{file}")
    work.write(file, "replicas: 5\n")

    found = work.change(base)

    assert kinds(found) == {("west", "pricing"): "changed", ("west", "ranking"): "changed"}
    assert reasons(found)[0].startswith(file)


# --- the project file ---

WEST = {("west", "pricing"), ("west", "ranking")}
EAST = {("east", "ranking")}
RANKING = {("west", "ranking"), ("east", "ranking")}


def test_another_chart_is_that_of_pinned_applications_as_well(work):
    work.write("charts/other/Chart.yaml", "name: other\n")
    work.edit("ml-serving-ci.toml", 'chart = "charts/serve"', 'chart = "charts/other"')

    found = work.change()

    assert {*kinds(found)} == WEST | EAST
    assert reasons(found, "east") == ["ml-serving-ci.toml: paths.chart"]


def test_a_chart_that_moves_is_the_same_to_those_that_follow_it(work):
    work.move("charts/serve", "charts/served")
    work.edit("ml-serving-ci.toml", 'chart = "charts/serve"', 'chart = "charts/served"')

    found = work.change()

    assert kinds(found) == {("east", "ranking"): "changed"}
    assert reasons(found, "east") == ["ml-serving-ci.toml: paths.chart"]


def test_where_no_values_file_is_in_the_tree_a_commit_has_nothing_elsewhere_when_the_tree_moves(work):
    def without_tree(text):
        for path, content in argocd.render(project.parse(text.encode())).items():
            lines = content.decode().splitlines(keepends=True)
            work.write(path, "".join(line for line in lines if not line.endswith('/values.yaml"\n') or "path:" in line))

    without_tree(PROJECT)
    work.commit()
    base = work.clone.git("rev-parse", "HEAD")
    work.move("deploy/models", "models")
    moved = PROJECT.replace("deploy/models", "models")
    work.write("ml-serving-ci.toml", moved)
    without_tree(moved)

    assert work.change(base).applications == ()


def test_a_branch_counts_for_those_that_begin_or_cease_to_follow_it(work):
    work.edit("ml-serving-ci.toml", 'branch = "trunk"', 'branch = "stable"')

    found = work.change()

    assert kinds(found) == {("west", "ranking"): "changed"}  # pricing follows HEAD
    assert reasons(found) == ["ml-serving-ci.toml: branch"]


@pytest.mark.parametrize(
    ("more", "who"),
    [
        ('[models.mirrors]\n"s3://acme/1" = "models"\n', RANKING),
        ('[models.mirrors]\n"s3://acme/" = "models"\n', WEST | EAST),
        ('[models.mirrors]\n"gs://acme/" = "models"\n', set()),
        ("[throwaway]\nreplicas = 1\n", WEST | EAST),
        ('[throwaway]\nlongest_pause = "5s"\n', WEST | EAST),
        ('[throwaway.values."*".a]\nb = 1\n', WEST | EAST),
        ("[throwaway.values.ranking]\na = 1\n", RANKING),
        ("[throwaway.values.other]\na = 1\n", set()),
        ("[cluster.values.pricing]\na = 1\n", {("west", "pricing")}),
        ('[cluster.prometheus]\nnamespace = "metrics"\n', WEST | EAST),
        ("[cluster.prometheus.labels]\nteam = 'a'\n", WEST | EAST),
        ('[cluster.evidence]\nlab = "00000000-0000-0000-0000-000000000000"\n', set()),
        ('[argocd]\nnamespace = "gitops"\nproject = "acme"\n', set()),
        ('[argocd.patches]\nAppProject = "patches/own.json"\n', set()),
    ],
)
def test_what_a_run_makes_of_applications_puts_those_in_that_it_is_made_of(work, more, who):
    work.write("ml-serving-ci.toml", PROJECT + more)

    found = work.change()

    assert {*kinds(found)} == who
    told = [reason for each in found.applications for reason in each.why] or found.aside
    table = more.split("]")[0].removeprefix("[").replace('"', "")
    assert all(reason.text.startswith(f"ml-serving-ci.toml: {table}") for reason in told)
    assert not any(reason.deployed for each in found.applications for reason in each.why)


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ('golden = "questions"', 'golden = "asked"', ("questions", "asked")),
        ('argocd = "deploy/argo"', 'argocd = "argo"', ("deploy/argo", "argo")),
        ("acme/platform", "acme/renamed", None),
    ],
)
def test_what_is_the_same_wherever_it_is_changes_no_application(work, old, new, moved):
    work.edit("ml-serving-ci.toml", old, new)
    if moved:
        work.move(*moved)

    found = work.change()

    assert found.nothing
    assert f"ml-serving-ci.toml: {'paths.' if moved else ''}{old.split(' ')[0] if moved else 'repository'}" in aside(
        found
    )


def test_an_application_set_that_said_what_is_not_carried_out_is_put_right_for_all(work):
    for path, content in argocd.render(project.parse(PROJECT.encode())).items():
        work.write(path, content.decode())
    path = "deploy/argo/argocd-applications.yaml"
    right = (work.folder / path).read_text()
    work.write(path, right.replace("helm:\n", "helm:\n          skipCrds: true\n", 1))
    work.commit()
    base = work.clone.git("rev-parse", "HEAD")
    work.write(path, right)

    found = work.change(base)

    assert {*kinds(found)} == WEST | EAST
    assert reasons(found, "east")[0].startswith(f"{path}: before, {path}:")
    assert "skipCrds" in reasons(found, "east")[0]


# --- what a checkout has ---


@pytest.mark.parametrize("below", [".", "services/ml"])
@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("**/deploy/models/*/values.yaml working-tree-encoding=ISO-8859-1", "deploy/models/west/values.yaml"),
        ("**/charts/** ident", "charts/serve/Chart.yaml"),
        ("**/charts/** text eol=crlf", "charts/serve/Chart.yaml"),
        ("values/east.yaml filter=lfs", "charts/serve/values/east.yaml"),
    ],
)
def test_attributes_of_what_argo_cd_reads_are_told_as_diff_tells_them(tmp_path, below, line, file):
    more = {"deploy/models/west/values.yaml": "replicas: 3\n"}
    work = made(tmp_path, more, below=below)
    where = "charts/serve/.gitattributes" if line.startswith("values/") else ".gitattributes"
    (work.folder if where != ".gitattributes" else work.clone.folder).joinpath(where).write_text(f"{line}\n")

    found = work.change()

    why = line.split()[-1]
    told = f"{file}: .gitattributes has git change it on the way out ({why}): Argo CD reads other bytes than git has"
    assert found.malformed == {f"deploy/models/{name}.yaml": told for name in ("west/pricing", "west/ranking")}
    assert not found.applications, "the pinned one is as it was"
    assert aside(found) == []
    shown = work.plan("--base=origin/trunk", check=False)
    assert (shown.returncode, " ".join(shown.stderr.split()).count(told)) == (2, 1)
    assert work.plan(check=False).returncode == 2, "without a base as well"


@pytest.mark.parametrize(
    "line", ["* text=auto", "*.md ident", "questions/* eol=crlf", "charts/** -text", "deploy/argo/* ident"]
)
def test_attributes_that_change_nothing_of_what_argo_cd_reads_are_no_reason(work, line):
    work.write(".gitattributes", f"{line}\n")

    found = work.change()

    assert found.nothing
    assert aside(found) == [".gitattributes"]


@pytest.mark.parametrize(
    ("line", "who"), [("charts/** ident", WEST), ("deploy/models/east/*.yaml eol=crlf", EAST), ("*.md ident", set())]
)
def test_what_a_checkout_changes_no_more_is_another_file_to_argo_cd(work, line, who):
    work.write(".gitattributes", f"{line}\n")
    work.commit()
    base = work.clone.git("rev-parse", "HEAD")
    (work.folder / ".gitattributes").unlink()

    found = work.change(base)

    assert {*kinds(found)} == who
    assert all(".gitattributes: how " in each.why[-1].text for each in found.applications)
    assert found.malformed == {}


def test_a_chart_that_a_checkout_changed_before_is_noted_until_a_change_touches_it(work):
    work.write(".gitattributes", "charts/** ident\n")
    work.commit()
    base = work.clone.git("rev-parse", "HEAD")
    work.edit("deploy/models/east/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    found = work.change(base)
    assert (kinds(found), found.malformed) == ({("east", "ranking"): "changed"}, {})
    assert found.untouched.keys() == {"deploy/models/west/pricing.yaml", "deploy/models/west/ranking.yaml"}

    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    assert work.change(base).malformed.keys() == {"deploy/models/west/ranking.yaml"}
    work.write("charts/serve/templates/model.yaml", "kind: InferenceService\n")
    found = work.change(base)
    assert found.malformed.keys() == {"deploy/models/west/pricing.yaml", "deploy/models/west/ranking.yaml"}
    assert aside(found) == []


# --- golden files ---


def ahead(work, environment="west", version="2.0"):
    """Have an environment run another model than the other one; return the commit."""
    work.edit(f"deploy/models/{environment}/ranking.yaml", 'version: "1.0"', f'version: "{version}"')
    work.commit()
    return work.clone.git("rev-parse", "HEAD")


def swapped(work):
    first, west, east = PROJECT.split("[[environments]]")
    work.write("ml-serving-ci.toml", "[[environments]]".join((first, east, west)))


@pytest.mark.parametrize(
    "change",
    [
        lambda work: (work.folder / "deploy/models/west/ranking.yaml").unlink(),
        lambda work: work.edit("deploy/models/west/ranking.yaml", 'version: "2.0"', 'version: "1.0"'),
        swapped,
    ],
    ids=["gone from the first", "back in the first by hand", "in another order"],
)
def test_a_model_that_a_golden_file_is_of_from_now_on_is_in(work, change):
    base = ahead(work)
    change(work)

    found = work.change(base)

    assert reasons(found, "east") == ["questions/ranking.yaml: is of the model that it runs, from now on"]
    assert not any(each.name == "pricing" for each in found.applications), "it has none"


def test_a_model_that_a_golden_file_is_of_no_more_is_in_where_it_is_anothers(work):
    base = ahead(work, "east", "3.0")
    swapped(work)

    assert reasons(work.change(base)) == ["questions/ranking.yaml: is of the model that east runs"]


def test_a_golden_file_counts_for_a_model_that_no_earlier_environment_ran(work):
    ahead(work)
    base = ahead(work, "east", "3.0")
    work.edit("questions/ranking.yaml", "[]", "[1]")

    assert {*kinds(work.change(base))} == RANKING


def test_a_model_that_waits_for_its_promotion_is_asked_nothing_else(work):
    base = work.clone.git("rev-parse", "HEAD")
    ahead(work)
    work.edit("questions/ranking.yaml", "[]", "[1]")

    assert kinds(work.change(base)) == {("west", "ranking"): "changed"}


def test_a_golden_file_counts_in_every_environment_of_its_model(work):
    work.edit("questions/ranking.yaml", "[]", "[1]")

    assert kinds(work.change()) == {("west", "ranking"): "changed", ("east", "ranking"): "changed"}


def test_a_golden_file_is_of_no_model_that_an_environment_has_yet_to_get_rid_of(tmp_path):
    older = {"west": "2.0", "east": "1.0"}
    files = {
        f"deploy/models/{environment}/ranking.yaml": APPLICATION.format(revision=PINNED, version=version)
        for environment, version in older.items()
    }
    work = made(tmp_path, {**files, "questions/ranking.yaml": "inputs: []\n"})
    work.edit("questions/ranking.yaml", "[]", "[1]")

    assert kinds(work.change()) == {("west", "ranking"): "changed"}


def test_where_own_files_of_applications_are_all_that_differs_nothing_else_need_be_looked_at(work):
    assert not work.change().alone
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    work.edit("questions/ranking.yaml", "[]", "[1]")
    work.write("src/app.py", "print()\n")

    assert work.change().alone


@pytest.mark.parametrize(
    "path",
    [
        "charts/serve/templates/model.yaml",
        "charts/serve/values/east.yaml",
        "deploy/models/west/values.yaml",
        "deploy/models/gates.yaml",
        "deploy/models/west/broken.yaml",
        "questions/nobody.yaml",
        "ml-serving-ci.toml",
    ],
)
def test_what_more_than_one_application_is_made_of_is_looked_at_whole(work, path):
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    if path == "ml-serving-ci.toml":
        work.edit(path, 'name = "east"', 'name = "east"\nsoak = "1h"')
    else:
        work.write(path, "a: 1\n")

    assert not work.change().alone


def test_an_application_that_goes_leaves_the_others_to_be_looked_at(work):
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    work.clone.git("rm", "--quiet", "deploy/models/west/pricing.yaml")

    assert not work.change().alone


def test_two_applications_that_argo_cd_would_call_the_same_are_told_with_both_files(work):
    work.edit("ml-serving-ci.toml", 'name = "east"', 'name = "west-eu"')
    work.move("deploy/models/east/ranking.yaml", "deploy/models/west-eu/ranking.yaml")
    work.move("deploy/models/west/ranking.yaml", "deploy/models/west/eu-ranking.yaml")

    found = work.change()

    one, other = "deploy/models/west/eu-ranking.yaml", "deploy/models/west-eu/ranking.yaml"
    assert found.malformed == {
        one: f"{one}: Argo CD would call it west-eu-ranking, and {other} as well",
        other: f"{other}: Argo CD would call it west-eu-ranking, and {one} as well",
    }
    assert {name for _, name in kinds(found)}.isdisjoint({"eu-ranking"})
    refused = work.plan(check=False)
    assert refused.returncode == 2
    assert one in " ".join(refused.stderr.split()) and other in " ".join(refused.stderr.split())


def test_where_an_environment_is_counts_and_when_its_sets_move_does_not(work):
    work.edit("ml-serving-ci.toml", 'soak = "10m"', 'soak = "20m"')
    work.edit("ml-serving-ci.toml", "protected = true", "istio_cni = true")
    found = work.change()
    assert found.nothing
    assert aside(found) == [
        "ml-serving-ci.toml: environments.east.istio_cni",
        "ml-serving-ci.toml: environments.east.protected",
        "ml-serving-ci.toml: environments.west.soak",
    ]

    work.edit("ml-serving-ci.toml", "models-west", "models-here")
    found = work.change()
    assert reasons(found) == ["ml-serving-ci.toml: environments.west.namespace"]
    assert kinds(found) == {("west", "pricing"): "changed", ("west", "ranking"): "changed"}


def test_the_prometheus_of_a_run_counts_and_what_else_it_has_does_not(work):
    work.write("ml-serving-ci.toml", f'{PROJECT}\n[cluster.prometheus]\nseries = ["node_.+"]\n')
    found = work.change()
    assert found.nothing
    assert aside(found) == ["ml-serving-ci.toml: cluster.prometheus.series"]

    work.write("ml-serving-ci.toml", f"{PROJECT}\n[cluster.prometheus]\nport = 9091\n")
    assert reasons(work.change()) == ["ml-serving-ci.toml: cluster.prometheus.port"]


def test_what_no_application_is_made_of_is_told(work):
    work.edit("deploy/models/README.md", "Models", "Our models")
    work.write("ml-serving-ci.toml", f"# ours\n{PROJECT}")
    work.write("src/app.py", "")

    found = work.change()

    assert found.nothing
    assert aside(found) == ["ml-serving-ci.toml: its text alone", "deploy/models/README.md", "src/app.py"]


# --- applications that come and go ---


def test_an_application_under_another_name_and_file_is_a_new_one_and_the_old_one_is_deleted(work):
    work.move("deploy/models/west/pricing.yaml", "deploy/models/west/costs.yaml")
    work.edit("deploy/models/west/costs.yaml", 'version: "7"', 'version: "8"')

    found = work.change()

    assert kinds(found) == {("west", "costs"): "new", ("west", "pricing"): "deleted"}
    assert [each.name for each in found.served] == ["costs"]
    assert found.aside == ()


def test_an_application_that_is_copied_is_new(work):
    text = (work.folder / "deploy/models/west/pricing.yaml").read_text()
    work.write("deploy/models/east/pricing.yaml", text)

    assert kinds(work.change()) == {("east", "pricing"): "new"}


def test_a_renamed_application_is_told_once_with_what_it_was(work):
    work.move("deploy/models/west/pricing.yaml", "deploy/models/west/costs.yaml")

    (only,) = work.change().applications

    assert (only.environment, only.name, only.kind, only.was) == ("west", "costs", "renamed", ("west", "pricing"))
    assert only.why[0].text == "deploy/models/west/costs.yaml: was deploy/models/west/pricing.yaml"


def test_a_moved_application_is_told_once_with_where_it_was(work):
    work.move("deploy/models/west/pricing.yaml", "deploy/models/east/pricing.yaml")

    (only,) = work.change().applications

    assert (only.environment, only.kind, only.was) == ("east", "moved", ("west", "pricing"))


def test_a_whole_tree_that_moves_changes_those_alone_whose_commit_has_it_elsewhere(work):
    for environment, name in (("west", "ranking"), ("west", "pricing"), ("east", "ranking")):
        work.move(f"deploy/models/{environment}/{name}.yaml", f"models/{environment}/{name}.yaml")
    work.edit("ml-serving-ci.toml", 'tree = "deploy/models"', 'tree = "models"')

    found = work.change()

    assert kinds(found) == {("east", "ranking"): "changed"}
    assert reasons(found, "east") == ["ml-serving-ci.toml: paths.tree"]


def test_without_a_project_file_before_every_application_is_new(tmp_path):
    work = made(tmp_path, {"ml-serving-ci.toml": "nothing = true\n"})
    work.write("ml-serving-ci.toml", PROJECT)

    found = work.change()

    assert set(kinds(found).values()) == {"new"}
    assert "ml-serving-ci.toml: before, " in reasons(found)[0]


def test_applications_are_in_the_order_of_promotion(work):
    for environment in ("east", "west"):
        work.write(f"deploy/models/{environment}/abuse.yaml", APPLICATION.format(revision="trunk", version="9"))
    (work.folder / "deploy/models/west/ranking.yaml").unlink()

    assert list(kinds(work.change())) == [("west", "abuse"), ("west", "ranking"), ("east", "abuse")]


def test_values_that_an_application_reads_at_its_own_revision_are_told_to_arrive_later(work):
    for path in ("deploy/models/east/values.yaml", "charts/serve/values/east.yaml", "deploy/models/west/values.yaml"):
        work.write(path, "replicas: 4\n")
    work.write("deploy/models/README.md", "The models\n")

    found = work.change()

    assert reasons(found) == ["deploy/models/west/values.yaml: new"]
    later = "east/ranking reads it at chart.revision 0123456789ab: it arrives there once that is raised"
    told = {reason.path: reason.said.partition(",")[0] for reason in found.aside}
    assert told == {
        "charts/serve/values/east.yaml": later,
        "deploy/models/README.md": "",
        "deploy/models/east/values.yaml": later,
    }


# --- what is wrong ---


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("west/pricing.yaml", "chart: [", "deploy/models/west/pricing.yaml:2: not YAML"),
        ("west/pricing.yaml", "", "deploy/models/west/pricing.yaml: chart.revision: the file has nothing in it"),
        (
            "west/pricing.yaml",
            APPLICATION.format(revision="trunk", version="7").replace("{}", "[1]"),
            "values: is no mapping",
        ),
        ("west/pricing.yaml", "namespace: models", "deploy/models/west/pricing.yaml:1: namespace: stands in"),
        ("qa/pricing.yaml", "", "deploy/models/qa/pricing.yaml: qa is not one of the environments west, east"),
        ("west/Pricing.yaml", "", "deploy/models/west/Pricing.yaml: not the name of an application"),
    ],
)
def test_an_application_that_cannot_be_read_is_named_and_the_others_go_on(work, path, text, said):
    work.write(f"deploy/models/{path}", text)
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')

    found = work.change()

    assert kinds(found) == {("west", "ranking"): "changed"}
    (line,) = found.malformed.values()
    assert said in line
    assert line.startswith(f"deploy/models/{path}")
    assert found.aside == ()


def test_a_change_is_refused_for_no_malformed_file_that_it_leaves_as_it_was(tmp_path):
    bad = "deploy/models/west/broken.yaml"
    work = made(tmp_path, {bad: "chart: [", "deploy/models/qa/old.yaml": ""})
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')

    found = work.change()

    assert (kinds(found), found.malformed) == ({("west", "ranking"): "changed"}, {})
    assert found.untouched.keys() == {bad, "deploy/models/qa/old.yaml"}
    shown = work.plan("--base", "origin/trunk")
    assert f"not of this change: {bad}:2: not YAML" in shown.stderr

    work.write(bad, "chart: {")
    assert work.change().malformed.keys() == {bad}


def test_a_change_is_refused_for_a_file_that_it_makes_malformed_from_afar(work):
    work.edit(
        "ml-serving-ci.toml", '\n[[environments]]\nname = "east"\nnamespace = "models-east"\nprotected = true', ""
    )

    assert work.change().malformed.keys() == {"deploy/models/east/ranking.yaml"}


def test_a_link_is_no_application(work):
    (work.folder / "deploy/models/west/other.yaml").symlink_to("ranking.yaml")

    assert list(work.change().malformed) == ["deploy/models/west/other.yaml"]


def test_head_without_a_project_file_is_wrong_use(work):
    (work.folder / "ml-serving-ci.toml").unlink()

    with pytest.raises(UsageError, match=r"ml-serving-ci\.toml: no such file"):
        work.change()


@pytest.mark.parametrize("arguments", [(), ("--base", "origin/trunk")])
def test_a_project_file_that_is_not_committed_yet_is_told_as_such(work, arguments):
    work.clone.git("rm", "--quiet", "--cached", "ml-serving-ci.toml")
    work.clone.git("commit", "--quiet", "--message", "without it")

    shown = work.plan(*arguments, check=False)

    assert (shown.returncode, shown.stdout) == (2, "")
    assert "ml-serving-ci.toml is not committed" in shown.stderr
    assert "git add ml-serving-ci.toml, then git commit" in shown.stderr


def test_a_repository_without_a_commit_is_told_as_such(tmp_path):
    run(["git", "init", "--quiet", str(tmp_path / "new")], cwd=tmp_path)
    repository = anyio.run(git.opened, tmp_path / "new")

    with pytest.raises(UsageError, match="new: nothing is committed yet"):
        anyio.run(repository.commit_of, "HEAD")


def test_without_a_common_commit_there_is_no_change(work):
    work.clone.git("checkout", "--quiet", "--orphan", "alone")

    with pytest.raises(UsageError, match="no commit in common"):
        work.change()


# --- the platform ---


@pytest.mark.parametrize(
    ("path", "platform"),
    [
        ("ci/main.py", True),
        ("charts/serve/Chart.yaml", True),
        ("pyproject.toml", True),
        (".github/workflows/release.yaml", True),
        ("docs/plan.md", False),
        ("README.md", False),
        ("deploy/argo/project.yaml", False),
        ("deploy/models/README.md", False),
        ("questions/spelling.yaml", False),
    ],
)
def test_the_platform_is_in_by_what_the_tool_is_made_of_in_its_own_checkout(tmp_path, path, platform):
    work = made(tmp_path, {"ci/supply/pins.toml": ""})
    work.write(path, "another\n")

    found = work.change()

    assert [reason.path for reason in found.platform] == ([path] if platform else [])
    assert (path in aside(found)) != platform


def test_the_platform_is_never_in_elsewhere(work):
    work.write("ci/main.py", "")
    work.write("pyproject.toml", "")

    assert work.change().platform == ()


# --- large, and not at the top ---


def test_a_project_in_a_folder_of_a_monorepo(tmp_path):
    work = made(tmp_path, below="services/ml")
    work.write("../shop/app.py", "")
    work.write("../../deploy/models/west/ranking.yaml", "")
    assert work.change().nothing
    assert aside(work.change()) == []

    work.write("deploy/models/west/values.yaml", "a: 1\n")
    work.move("deploy/models/west/pricing.yaml", "deploy/models/west/costs.yaml")
    found = work.change()
    assert kinds(found) == {("west", "costs"): "renamed", ("west", "ranking"): "changed"}
    assert reasons(found) == ["deploy/models/west/values.yaml: new"]


def test_of_500_applications_the_changed_one_is_found_and_the_malformed_one_named(tmp_path, monkeypatch):
    def processes(work):
        trace = tmp_path / "trace"
        trace.unlink(missing_ok=True)
        work.commit()
        monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
        found = work.change()
        monkeypatch.delenv("GIT_TRACE2_EVENT")
        return found, trace.read_text().count('"event":"start"')

    def edited(root, number):
        names = [f"model-{each:03}" for each in range(number)]
        work = made(
            root,
            {f"deploy/models/west/{name}.yaml": APPLICATION.format(revision="trunk", version=name) for name in names},
        )
        work.edit("deploy/models/west/model-001.yaml", 'version: "model-001"', 'version: "x"')
        work.write("deploy/models/west/model-002.yaml", "chart: [")
        return work

    found, many = processes(edited(tmp_path / "many", 500))
    assert kinds(found) == {("west", "model-001"): "changed"}
    assert list(found.malformed) == ["deploy/models/west/model-002.yaml"]
    assert many == processes(edited(tmp_path / "few", 3))[1]


# --- the command ---


def test_plan_shows_each_part_and_why(work):
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    (work.folder / "deploy/models/east/ranking.yaml").unlink()
    work.write("src/app.py", "")
    work.commit()

    shown = work.plan("--base", "origin/trunk")

    assert shown.stdout.splitlines() == [
        "west/ranking  changed  deploy/models/west/ranking.yaml: model.version: 1.0 → 2.0",
        "east/ranking  deleted  deploy/models/east/ranking.yaml: gone",
    ]
    assert shown.stderr.split() == ["no", "part", "of", "it:", "src/app.py"]


def test_of_a_change_that_only_deletes_an_application_nothing_is_to_serve(work):
    (work.folder / "deploy/models/east/ranking.yaml").unlink()
    found = work.change()

    assert (found.only_deletes, found.served, found.nothing) == (True, (), False)
    shown = work.plan("--base", "origin/trunk")
    assert shown.stdout.split() == ["east/ranking", "deleted", "deploy/models/east/ranking.yaml:", "gone"]
    assert "there is nothing to serve: lint and template alone, on what is left" in " ".join(shown.stderr.split())

    work.write("deploy/models/west/broken.yaml", "chart: [")
    assert not work.change().only_deletes, "what is malformed is refused"
    (work.folder / "deploy/models/west/broken.yaml").unlink()
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    assert not work.change().only_deletes


def test_plan_says_that_nothing_is_to_run(work):
    assert work.plan("--base", "origin/trunk").stdout == "nothing to run\n"


def test_plan_for_machines(work):
    work.move("deploy/models/west/pricing.yaml", "deploy/models/west/costs.yaml")
    work.commit()

    data = json.loads(work.plan("--base", "origin/trunk", "--json").stdout)

    assert data["platform"] == {"runs": False, "minutes": None, "why": []}
    (only,) = data["applications"]
    assert only == {
        "environment": "west",
        "name": "costs",
        "kind": "renamed",
        "why": [{"path": "deploy/models/west/costs.yaml", "said": "was deploy/models/west/pricing.yaml"}],
        "minutes": None,
        "was": "west/pricing",
    }


def test_without_a_base_everything_is_in_with_the_minutes_of_the_last_whole_run(work):
    (work.folder / "report").mkdir()
    stages = [Stage("lint", "passed", 30.0), Stage("stack", "passed", 700.0)]
    jsonfile.write(work.folder / "report" / "report.json", Report("test", "2026-01-01T00:00:00Z", stages=stages))

    assert [line.split() for line in work.plan().stdout.splitlines()] == [
        ["platform", "12", "min", "last"],
        ["west/pricing", "unchanged"],
        ["west/ranking", "unchanged"],
        ["east/ranking", "unchanged"],
    ]

    assert "unchanged: nothing is compared without --base" in work.plan().stderr

    (work.folder / "report" / "report.json").write_text("{}")
    assert work.plan().stdout.splitlines()[0].split() == ["platform"]


def test_an_application_has_the_minutes_of_its_last_run_or_those_of_others(work):
    (work.folder / "report").mkdir()
    file = work.folder / "report" / "report.json"
    proofs = [
        Proof("west", "ranking", NOTHING, seconds=190.0),
        Proof("east", "gone", NOTHING, seconds=61.0),
        Proof("east", "third", NOTHING, seconds=62.0),
        Proof("west", "pricing", NOTHING),  # not proven to the end
    ]
    stages = [Stage("stack", "passed", 600.0), Stage("applications", "passed", 313.0)]
    report = Report("test", "2026-01-01T00:00:00Z", stages=stages, applications=proofs)
    jsonfile.write(file, report)

    assert [line.split() for line in work.plan().stdout.splitlines()] == [
        ["platform", "10", "min", "last"],
        ["west/pricing", "unchanged", "1", "min", "as", "others"],
        ["west/ranking", "unchanged", "3", "min", "last"],
        ["east/ranking", "unchanged", "1", "min", "as", "others"],
    ]
    data = json.loads(work.plan("--json").stdout)
    assert [round(each["minutes"], 2) for each in data["applications"]] == [1.03, 3.17, 1.03]

    jsonfile.write(file, dataclasses.replace(report, platform=False))
    assert work.plan().stdout.splitlines()[0].split() == ["platform"], "a run of applications alone knows nothing of it"


@pytest.mark.parametrize(
    "command",
    [["test"], ["lint"], ["bump", "model", "--env=west", "--to=8"]],
    ids=lambda command: command[0],
)
def test_the_environments_values_are_no_application_to_any_command(work, command):
    work.write("deploy/models/west/values.yaml", "replicas: 4\n")
    work.commit()

    refused = ci(work, *command, "--app=values", check=False, env={"NO_COLOR": "1"})

    said = (
        "--app values: not the name of an application: TREE/ENVIRONMENT/values.yaml has what all its applications share"
    )
    assert (refused.returncode, refused.stderr.splitlines()) == (2, [f"error: {said}"])


def test_plan_names_a_malformed_application_after_the_others_and_exits_2(work):
    work.write("deploy/models/west/pricing.yaml", "chart: [")
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    work.commit()

    shown = work.plan("--base", "origin/trunk", check=False)

    assert shown.returncode == 2
    assert "west/ranking  changed" in shown.stdout
    assert "error: deploy/models/west/pricing.yaml:2: not YAML" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--base", "nope"], "nope: no such revision"), (["--base"], "--base")]
)
def test_a_wrong_base_is_one_line_and_exits_2(work, arguments, said):
    shown = work.plan(*arguments, check=False)

    assert (shown.returncode, shown.stdout) == (2, "")
    assert said in shown.stderr


@pytest.mark.parametrize(
    ("app", "planned"),
    [("ranking", ["west/ranking", "east/ranking"]), ("east/ranking", ["east/ranking"])],
)
def test_of_one_application_plan_shows_what_test_would_run_of_it(work, app, planned):
    for place in ("west/ranking", "west/pricing", "east/ranking"):
        work.write(
            f"deploy/models/{place}.yaml", f"# a word\n{(work.folder / f'deploy/models/{place}.yaml').read_text()}"
        )
    work.commit()

    for base in (["--base", "origin/trunk"], []):
        shown = work.plan(*base, "--app", app)
        assert [line.split()[0] for line in shown.stdout.splitlines()] == planned


@pytest.mark.parametrize(
    ("app", "said", "fix"),
    [
        ("rankings", "there is no deploy/models/*/rankings.yaml", "One of ranking, pricing"),
        (
            "east/pricing",
            "there is no deploy/models/east/pricing.yaml",
            "One of west/pricing, east/ranking, west/ranking",
        ),
        ("east/ranking", "nothing to prove of it", "in the change: west/ranking"),
    ],
)
def test_an_application_that_is_not_there_is_one_line_with_those_that_are(work, app, said, fix):
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')
    work.commit()

    shown = work.plan("--base", "origin/trunk", "--app", app, check=False)

    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.splitlines() == [f"error: --app {app}: {said}", f"  fix: {fix}"]


def test_plan_says_that_it_leaves_out_what_is_not_committed(work):
    work.edit("deploy/models/west/ranking.yaml", 'version: "1.0"', 'version: "2.0"')

    shown = work.plan("--base", "origin/trunk")

    assert shown.stdout == "nothing to run\n"
    assert "not committed" in shown.stderr
