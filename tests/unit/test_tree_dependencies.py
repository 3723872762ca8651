"""What a chart depends on: rendered as Argo CD does, by real git and real Helm, or refused by file and line.

What Argo CD does is done by hand on a checkout of the same commit, as helmTemplate and runHelmBuild in argo-cd's
reposerver/repository/repository.go do it: render; where Helm misses dependencies, have it build them, and render again.
"""

import json
import subprocess
from functools import partial

import anyio
import pytest
import yaml

from ci import project as projects
from ci.base import files
from ci.base.errors import UsageError
from ci.tree import change, chart_package, dependencies, git, render, tree
from ci.tree.git import Snapshot
from tests.harness.project import CHART_FOLDER, TREE, Made, toml
from tests.harness.remote import run

PLACE = "lab", "fraud-score"
COMMON = "charts/common"
NEAR = "file://../common"
FAR = "https://charts.example.com"


def map_of(name, data="one"):
    """A template; what of it differs by chart and values is in its data."""
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}-{{{{ .Chart.Name }}}}\n"
        f'data:\n  said: "{data} {{{{ .Values.word }}}}"\n'
    )


def dependency(name="common", repository=NEAR, version="1.x.x", **more):
    return {"name": name, "version": version, **({"repository": repository} if repository else {}), **more}


class Charts:
    """A project in a folder of a repository, whose chart takes whatever values it is given."""

    def __init__(self, root, below="."):
        self.root = root
        (root / below).mkdir(parents=True, exist_ok=True)
        run(["git", "init", "--quiet", "--initial-branch=trunk", "."], cwd=root)
        self.made = Made(root / below, ("lab",))
        self.made.write(projects.FILE, toml(("lab",)))
        self.made.deploy(*PLACE)
        self.chart(CHART_FOLDER, "serving")

    def chart(self, folder, name, *wanted, version="1.2.0", api="v2", data="one"):
        """Write a chart with a template of its own."""
        head = {"apiVersion": api, "name": name, "version": version}
        declared = {"dependencies": list(wanted)} if wanted else {}
        files = {"Chart.yaml": head | declared} if api == "v2" else {"Chart.yaml": head, "requirements.yaml": declared}
        for file, content in files.items():
            self.made.write(f"{folder}/{file}", yaml.safe_dump(content, sort_keys=False))
        self.made.write(f"{folder}/values.yaml", "word: its own\n")
        self.made.write(f"{folder}/templates/map.yaml", map_of("map", data))

    def serving(self, *wanted, **options):
        self.chart(CHART_FOLDER, "serving", *wanted, **options)

    def helm(self, *words):
        return subprocess.run(
            [self.tool, *words], cwd=self.made.folder, check=True, capture_output=True, text=True, timeout=300
        )

    def commit(self):
        """Commit all of it; return the commit."""
        self.made.git("add", "--all")
        self.made.git("commit", "--quiet", "--allow-empty", "--message=Change")
        return self.made.git("rev-parse", "HEAD")

    def rendered(self):
        """Commit all of it; return what is rendered of the application."""
        commit = self.commit()

        async def made():
            snapshot = Snapshot(await git.opened(self.made.folder), commit, "trunk")
            return await render.render(snapshot, self.tool, await tree.load(snapshot, *PLACE), commit)

        return anyio.run(made)

    def as_argo_cd(self, tmp_path):
        """What Argo CD renders of the last commit."""
        run(["git", "clone", "--quiet", str(self.root), str(tmp_path / "argo-cd")])
        below = self.made.folder.relative_to(self.root)
        chart = tmp_path / "argo-cd" / below / CHART_FOLDER
        text = (self.made.folder / TREE / PLACE[0] / f"{PLACE[1]}.yaml").read_bytes()
        own = render.values(tree.read(self.made.project, *PLACE, text))
        words = [self.tool, "template", PLACE[1], ".", "--namespace=acme-lab", "--include-crds", "--values=-"]
        words.append(f"--kube-version={render.pinned_kubernetes()}")
        asked = run(words, cwd=chart, stdin=json.dumps(own), check=False)
        if "missing in charts/ directory" in asked.stderr:
            run([self.tool, "dependency", "build"], cwd=chart)
            (chart / ".argocd-helm-dep-up").write_text("marker")
            asked = run(words, cwd=chart, stdin=json.dumps(own))
        return asked.stdout

    def identity(self):
        commit = self.commit()

        async def found():
            return await dependencies.identity(await git.opened(self.made.folder), commit, CHART_FOLDER)

        return anyio.run(found)


@pytest.fixture
def charts(tmp_path, tool):
    made = Charts(tmp_path / "tree")
    made.tool = tool("helm")
    made.chart(COMMON, "common", data="shared")
    return made


# --- what Helm takes is rendered as Argo CD renders it ---


def near(charts):
    charts.serving(dependency())


def locked(charts):
    charts.serving(dependency())
    charts.helm("dependency", "update", CHART_FOLDER)
    (packed,) = (charts.made.folder / CHART_FOLDER / "charts").iterdir()
    packed.unlink()


def of_helm_2(charts):
    charts.serving(dependency(), api="v1")


def inside_of_the_chart(charts):
    charts.chart(f"{CHART_FOLDER}/parts/common", "common", data="within")
    charts.made.write(f"{CHART_FOLDER}/.helmignore", "parts\n")
    charts.serving(dependency(repository="file://parts/common"))


def twice_by_alias(charts):
    charts.serving(dependency(alias="first"), dependency(alias="second"))
    charts.made.deploy(*PLACE, values={"first": {"word": "1"}, "second": {"word": "2"}})


def turned_off(charts):
    charts.serving(dependency(condition="common.enabled"))
    charts.made.deploy(*PLACE, values={"common": {"enabled": False}})


def packed(charts):
    """The package is what counts, and not what is in the other folder by now."""
    charts.serving(dependency())
    charts.helm("dependency", "update", CHART_FOLDER)
    charts.chart(COMMON, "common", data="newer than the package")


def packed_from_afar(charts):
    charts.helm("package", COMMON, "--destination", f"{CHART_FOLDER}/charts")
    charts.serving(dependency(repository=FAR))


def unpacked_from_afar(charts):
    charts.chart(f"{CHART_FOLDER}/charts/common", "common", data="unpacked")
    charts.serving(dependency(repository="oci://registry.example.com/charts"))


def named_without_a_repository(charts):
    charts.chart(f"{CHART_FOLDER}/charts/common", "common", data="unpacked")
    charts.serving(dependency(repository=""), dependency("other", "file://../other"))
    charts.chart("charts/other", "other", data="beside it")


def its_own_in_charts(charts):
    charts.chart(f"{COMMON}/charts/base", "base", data="the base")
    charts.chart(COMMON, "common", dependency("base", "file://../base"), data="shared")
    charts.chart("charts/base", "base", data="another base")
    charts.serving(dependency())


def its_own_not_built(charts):
    """Helm builds a chart's own dependencies, and not those of its dependencies: Argo CD deploys none of these."""
    charts.chart(COMMON, "common", dependency("base", "file://../base"), data="shared")
    charts.chart("charts/base", "base", data="the base")
    charts.serving(dependency())


def seen_by_a_template(charts):
    """What Argo CD leaves in the chart is there for whoever lists it."""
    charts.serving(dependency())
    listed = '{{ range $path, $_ := .Files.Glob ".*" }}{{ $path }} {{ end }}'
    charts.made.write(f"{CHART_FOLDER}/templates/map.yaml", map_of("map", listed))


@pytest.mark.parametrize(
    ("given", "there", "not_there"),
    [
        (near, ["map-common", "shared its own"], []),
        (locked, ["shared its own"], []),
        (of_helm_2, ["shared its own"], []),
        (inside_of_the_chart, ["within its own"], ["shared"]),
        (twice_by_alias, ["map-first", "map-second", "shared 1", "shared 2"], []),
        (turned_off, ["map-serving"], ["shared"]),
        (packed, ["shared its own"], ["newer"]),
        (packed_from_afar, ["shared its own"], []),
        (unpacked_from_afar, ["unpacked its own"], ["shared"]),
        (named_without_a_repository, ["unpacked its own", "beside it its own"], ["shared"]),
        (its_own_in_charts, ["shared its own", "the base its own"], ["another base"]),
        (its_own_not_built, ["shared its own"], ["the base"]),
        (seen_by_a_template, [".argocd-helm-dep-up"], []),
    ],
)
def test_it_is_rendered_as_argo_cd_renders_it(charts, tmp_path, given, there, not_there):
    given(charts)
    rendered = charts.rendered()
    assert rendered == charts.as_argo_cd(tmp_path)
    assert [each for each in there if each not in rendered] == []
    assert [each for each in not_there if each in rendered] == []


def test_a_chart_outside_of_the_projects_folder_is_one_of_the_repository(tmp_path, tool):
    charts = Charts(tmp_path / "tree", below="teams/fraud")
    charts.tool = tool("helm")
    charts.chart("../shared", "common", data="shared by teams")
    charts.serving(dependency(repository="file://../../../shared"))
    rendered = charts.rendered()
    assert "shared by teams" in rendered
    assert rendered == charts.as_argo_cd(tmp_path)
    before = charts.made.git("rev-parse", "HEAD")
    charts.chart("../shared", "common", data="changed by another team")
    after = charts.commit()

    async def found():
        repository = await git.opened(charts.made.folder)
        return await change.between(*(Snapshot(repository, commit, "trunk") for commit in (before, after)))

    (only,) = anyio.run(found).applications
    assert [reason.text for reason in only.why] == ["../shared/templates/map.yaml"]


# --- what no commit has is refused, with file, line and way out ---


def far(charts):
    charts.serving(dependency(repository=FAR))
    return 5, f"common: Argo CD would get it from {FAR}, and what that answers is no commit's"


def registry(charts):
    charts.serving(dependency(), dependency("cache", "oci://registry.example.com/charts"))
    return 8, "cache: Argo CD would get it from oci://registry.example.com/charts, and what that answers is no commit's"


def in_capitals(charts):
    """Go reads such a key as any other."""
    charts.serving({"name": "common", "version": "1.x.x", "Repository": FAR})
    return 5, f"common: Argo CD would get it from {FAR}, and what that answers is no commit's"


def alias_of_a_repository(charts):
    charts.serving(dependency(repository="@internal"))
    return 5, "common: Argo CD would get it from @internal, and what that answers is no commit's"


def far_and_packed_beside_a_near_one(charts):
    """Helm builds all of them or none."""
    charts.helm("package", COMMON, "--destination", f"{CHART_FOLDER}/charts")
    charts.chart("charts/other", "other")
    charts.serving(dependency(repository=FAR), dependency("other", "file://../other"))
    return 5, f"common: Argo CD would get it from {FAR}, and what that answers is no commit's"


def absolute(charts):
    charts.serving(dependency(repository="file:///srv/charts/common"))
    return 5, "common: file:///srv/charts/common is outside of the repository"


def above_the_repository(charts):
    charts.serving(dependency(repository="file://../../../common"))
    return 5, "common: file://../../../common is outside of the repository"


def the_folder_around_the_chart(charts):
    charts.serving(dependency(repository="file://.."))
    return 5, "common: charts has the chart itself in it"


def no_folder(charts):
    charts.serving(dependency(repository="file://../comon"))
    return 5, "common: there is no folder charts/comon"


def link(charts):
    (charts.made.folder / "charts/linked").symlink_to("common")
    charts.serving(dependency(repository="file://../linked"))
    return 5, "common: charts/linked is a link, which Argo CD follows in its own checkout"


def behind_a_link(charts):
    (charts.made.folder / "linked").symlink_to("charts")
    charts.serving(dependency(repository="file://../../linked/common"))
    return 5, "common: linked is a link, which Argo CD follows in its own checkout"


def submodule(charts):
    head = charts.commit()
    charts.made.git("update-index", "--add", "--cacheinfo", f"160000,{head},charts/module")
    charts.serving(dependency(repository="file://../module"))
    charts.made.git("commit", "--quiet", "--message=Module")
    (charts.made.folder / "charts/module").mkdir()
    return 5, "common: charts/module is a submodule, which Argo CD fetches and renders"


def another_version(charts):
    charts.serving(dependency(version="2.x.x"))
    return 5, "common: Helm does not build it: can't get a valid version for 1 subchart(s)"


@pytest.mark.parametrize(
    "given",
    [
        far,
        far_and_packed_beside_a_near_one,
        registry,
        in_capitals,
        alias_of_a_repository,
        absolute,
        above_the_repository,
        the_folder_around_the_chart,
        no_folder,
        link,
        behind_a_link,
        submodule,
        another_version,
    ],
)
def test_what_no_commit_has_is_refused_by_file_and_line(charts, given):
    line, said = given(charts)
    with pytest.raises(UsageError) as refused:
        charts.rendered()
    assert refused.value.message.startswith(f"{CHART_FOLDER}/Chart.yaml:{line}: dependency {said}")
    assert refused.value.fix
    assert "\n" not in refused.value.message


def test_a_lock_that_is_out_of_sync_is_refused_at_its_digest(charts):
    locked(charts)
    charts.serving(dependency(version=">=1.0.0"))
    with pytest.raises(UsageError) as refused:
        charts.rendered()
    assert refused.value.message.startswith(f"{CHART_FOLDER}/Chart.lock:5: the lock file (Chart.lock) is out of sync")
    assert refused.value.fix == f"helm dependency update {CHART_FOLDER}, and commit {CHART_FOLDER}/Chart.lock"


@pytest.mark.parametrize("kind", ["link", "submodule"])
def test_a_chart_that_is_depended_on_is_plain_files_as_well(charts, kind):
    charts.serving(dependency())
    path = f"{COMMON}/templates/more"
    if kind == "link":
        (charts.made.folder / path).symlink_to("map.yaml")
    else:
        charts.made.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{path}")
        charts.made.git("commit", "--quiet", "--message=Module")
        (charts.made.folder / path).mkdir()
    with pytest.raises(UsageError, match=f"^{path}: is a {kind}"):
        charts.rendered()


def test_a_link_beside_a_chart_is_none_of_the_charts(charts):
    charts.serving(dependency())
    (charts.made.folder / "charts/latest").symlink_to("serving")
    assert "shared" in charts.rendered()


def test_parameters_beside_a_chart_that_is_depended_on_are_those_of_another_application(charts):
    charts.serving(dependency())
    charts.made.write(f"{COMMON}/.argocd-source.yaml", "helm: {}\n")
    assert "shared" in charts.rendered()


# --- what a chart is ---


def test_it_is_another_chart_where_only_what_it_depends_on_differs(charts):
    charts.serving(dependency())
    before = charts.identity()
    charts.made.write("charts/unrelated/values.yaml", "a: 1\n")
    assert charts.identity() == before
    charts.chart(COMMON, "common", data="changed")
    assert charts.identity() != before


def test_without_dependencies_it_is_the_tree_of_its_folder(charts):
    assert charts.identity() == charts.made.git("rev-parse", f"HEAD:{CHART_FOLDER}")


def test_with_them_it_is_a_tree_that_git_makes_of_both_folders(charts, tmp_path):
    charts.serving(dependency())
    found = charts.identity()
    index = {"GIT_INDEX_FILE": str(tmp_path / "index")}
    for folder in (CHART_FOLDER, COMMON):
        run(["git", "read-tree", f"--prefix={folder}/", f"HEAD:{folder}"], cwd=charts.root, env=index)
    assert run(["git", "write-tree"], cwd=charts.root, env=index).stdout.strip() == found


def test_to_name_it_leaves_nothing_in_the_repository(charts):
    charts.serving(dependency())
    charts.commit()
    before = charts.made.git("count-objects", "-v")
    anyio.run(partial(_identity, charts))
    assert charts.made.git("count-objects", "-v") == before


async def _identity(charts):
    repository = await git.opened(charts.made.folder)
    return await dependencies.identity(repository, await repository.commit_of("HEAD"), CHART_FOLDER)


def test_its_package_has_what_it_depends_on_and_is_the_same_bytes_every_time(charts, tmp_path):
    charts.serving(dependency())
    commit = charts.commit()

    async def made(folder):
        repository = await git.opened(charts.made.folder)
        return await chart_package.write(repository, charts.tool, commit, CHART_FOLDER, tmp_path / folder)

    first, second = (anyio.run(partial(made, folder)) for folder in ("one", "two"))
    assert files.sha256(first) == files.sha256(second)
    listed = run(["tar", "--list", "--file", str(first)]).stdout.splitlines()
    assert "serving/charts/common/templates/map.yaml" in listed
    assert [each for each in listed if "Chart.lock" in each or "argocd" in each] == []


# --- the work tree, as lint looks at it ---


def test_lint_renders_the_work_tree_with_what_the_commit_would_have_of_it(charts):
    charts.commit()
    charts.serving(dependency())
    charts.chart(COMMON, "common", data="not committed")
    rendered = charts.made.helm(charts.tool, "template")
    assert {each.findings for each in rendered.values()} == {()}
    assert all("not committed" in each.text for each in rendered.values())


def test_lint_takes_no_package_that_git_ignores(charts):
    charts.made.write(".gitignore", "*.tgz\n")
    charts.serving(dependency())
    charts.helm("dependency", "update", CHART_FOLDER)
    charts.chart(COMMON, "common", data="newer than the package")
    charts.commit()
    rendered = charts.made.helm(charts.tool, "template", defaults=False)
    assert "newer than the package" in rendered["lab/fraud-score"].text


def test_lint_gives_a_pinned_application_what_its_commit_has(charts):
    charts.serving(dependency())
    pinned = charts.commit()
    charts.chart(COMMON, "common", data="newer than the pin")
    charts.made.deploy("lab", "price-rank", revision=pinned)
    charts.commit()
    rendered = charts.made.helm(charts.tool, "template", defaults=False)
    assert "shared" in rendered["lab/price-rank"].text
    assert "newer than the pin" in rendered["lab/fraud-score"].text


def test_lint_names_what_it_lacks_once_for_the_chart_and_at_each_application(charts):
    charts.commit()
    charts.serving(dependency(repository=FAR))
    found = charts.made.judged()
    assert found.judged == []
    places = {(each.file, each.line) for each in found.findings}
    assert places == {(f"{CHART_FOLDER}/Chart.yaml", 5), (f"{TREE}/lab/fraud-score.yaml", 2)}


@pytest.mark.parametrize(
    ("given", "place"),
    [(near, COMMON), (packed_from_afar, f"{CHART_FOLDER}/charts/common")],
    ids=["beside the chart", "in a package, as Helm names it"],
)
def test_lint_tells_a_template_of_what_it_depends_on_from_the_charts_own(charts, given, place):
    charts.made.write(f"{COMMON}/templates/map.yaml", '\n{{ fail "not like this" }}\n')
    given(charts)
    charts.commit()
    (found,) = charts.made.helm(charts.tool, "template", defaults=False)["lab/fraud-score"].findings
    wanted = (f"{place}/templates/map.yaml", 2, "not like this")
    assert (found.file, found.line, found.message.split(": ")[-1]) == wanted


def test_lint_warns_of_what_a_dependency_lacks_of_its_own(charts):
    its_own_not_built(charts)
    charts.commit()
    (found,) = charts.made.judged(lambda found: found.warnings)
    assert (found.severity, found.file, found.line) == ("warning", f"{COMMON}/Chart.yaml", 5)
    assert "dependency base: is not in charts/common/charts" in found.message
    its_own_in_charts(charts)
    assert charts.made.judged(lambda found: found.warnings) == []
