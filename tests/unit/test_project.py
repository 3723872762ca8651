"""The project file: found, read whole, and refused in one line that names file, line and key."""

import json
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pydantic
import pytest
import yaml

from ci import project
from ci.base.errors import UsageError
from ci.base.paths import ROOT
from tests.harness import cli

GOOD = """\
repository = "https://github.com/acme/platform"
branch = "main"
[paths]
tree = "deploy" # here
[[environments]]
name = "dev"
namespace = "ml-dev"

[[environments]]
name = "live"
namespace = "ml-live"
protected = true
soak = "24h"
windows = [{schedule = "0 7 * * 1-5", duration = "10h"}]

[[environments]]
name = "live-eu"
namespace = "ml-live"
cluster = "eu"
evidence = ["dev", "live"]
[throwaway]
replicas = 1
longest_pause = "20s"
[throwaway.values."*"]
autoscaling = {minReplicas = 1}
[cluster.prometheus]
namespace = "observability"
[cluster.evidence]
staging-eu = "5f0f7a0e-1c58-4d0e-9d39-2b6f6d0b8c11"
"""


def refused(text):
    with pytest.raises(UsageError) as error:
        project.parse(text if isinstance(text, bytes) else text.encode())
    assert "\n" not in error.value.message
    return error.value.message


def test_a_file_says_how_things_are():
    said = project.parse(GOOD.encode())
    assert (said.repository, said.branch, said.forge) == ("https://github.com/acme/platform", "main", "github")
    assert said.paths == project.Paths(tree="deploy")
    assert said.names == ("dev", "live", "live-eu")
    live = said.environment("live")
    assert (live.namespace, live.cluster, live.protected, live.soak_seconds) == ("ml-live", None, True, 86400)
    assert live.windows[0] == project.Window(schedule="0 7 * * 1-5", duration="10h")
    assert said.throwaway.values == {"*": {"autoscaling": {"minReplicas": 1}}}
    assert said.cluster.prometheus.host == "prometheus-operated.observability:9090"
    assert said.protected == "live"


def test_the_shortest_file_has_an_address_and_an_environment():
    said = project.parse(b'repository = "git@host:x/y.git"\n[[environments]]\nname = "one"\nnamespace = "n"\n')
    assert said.paths == project.Paths()
    assert said.environment("one").soak_seconds == 0
    assert said.evidence_for("one") == ()
    assert said.targets("one") == ()


def test_sets_move_to_where_their_evidence_counts():
    said = project.parse(GOOD.encode())
    assert [said.evidence_for(name) for name in said.names] == [(), ("dev",), ("dev", "live")]
    assert [said.targets(name) for name in said.names] == [("live", "live-eu"), ("live-eu",), ()]


def test_what_moves_gets_to_protected_environments_by_others():
    four = "".join(
        f'[[environments]]\nname = "{name}"\nnamespace = "{name}"\nprotected = {protected}\n{more}\n'
        for name, protected, more in [
            ("a", "false", ""),
            ("b", "false", ""),
            ("c", "true", ""),
            ("d", "true", 'evidence = ["b"]'),
            ("alone", "false", "evidence = []"),
            ("apart", "true", 'evidence = ["alone"]'),
        ]
    )
    said = project.parse(f'repository = "https://git.example/acme"\n{four}'.encode())
    assert [said.guarded(name) for name in said.names] == [("c", "d"), ("c", "d"), (), (), ("apart",), ()]


def test_clusters_whose_runs_count_are_known_by_what_no_kubeconfig_can_say():
    said = project.parse(GOOD.encode()).cluster
    assert said.named("5f0f7a0e-1c58-4d0e-9d39-2b6f6d0b8c11") == "staging-eu"
    assert said.named("staging-eu") is None
    assert project.Cluster().named("5f0f7a0e-1c58-4d0e-9d39-2b6f6d0b8c11") is None


def test_what_an_existing_cluster_changes_is_what_is_written():
    assert project.Cluster().allowed("x") == frozenset()
    assert project.parse(GOOD.encode()).cluster.allowed("x") == {"cluster.prometheus"}


def test_an_environment_may_take_nothing_from_others():
    said = project.parse(GOOD.replace('evidence = ["dev", "live"]', "evidence = []").encode())
    assert said.evidence_for("live-eu") == ()
    assert said.targets("live") == ()


def test_the_first_environment_may_be_protected_by_what_runs_of_a_change_prove_there():
    said = project.parse(GOOD.replace('"ml-dev"\n', '"ml-dev"\nprotected = true\n').encode())
    assert said.environment("dev").protected and said.evidence_for("dev") == ()


def test_an_environment_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(UsageError, match="prod: not one of the environments dev, live, live-eu"):
        project.parse(GOOD.encode()).environment("prod")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # what is not there, or not known
        ("protected", "protectd", "12: environments[1].protectd: unknown key; nearest is protected"),
        ("[paths]", "[path]", "3: path: unknown key; nearest is paths"),
        ("repository", "repo", "1: repo: unknown key; there are repository, branch, forge, "),
        ("[[environments]]", "[[envs]]", "5: envs: unknown key; there are repository, branch, forge, "),
        ('namespace = "ml-dev"\n', "", "5: environments[0].namespace: not given"),
        ("replicas = 1", "replica = 1", "22: throwaway.replica: unknown key; nearest is replicas"),
        # of another type
        ('branch = "main"', "branch = 3", "2: branch: Input should be a valid string"),
        ("protected = true", 'protected = "yes"', "12: environments[1].protected: Input should be a valid boolean"),
        ("replicas = 1", "replicas = 0", "22: throwaway.replicas: Input should be greater than or equal to 1"),
        (
            "[throwaway]",
            '[models]\nmirrors = "x"\n[throwaway]',
            "22: models.mirrors: Input should be a valid dictionary",
        ),
        ("replicas = 1", f"replicas = {'9' * 26}", "22: throwaway.replicas: Input should be less than or equal to 2"),
        # of another form
        ('"main"', '"a..b"', "2: branch: 'a..b': not the name of a branch"),
        ('"main"', '"HEAD"', "2: branch: 'HEAD': not the name of a branch"),
        ('"main"', '"a.lock/b"', "2: branch: 'a.lock/b': not the name of a branch"),
        ("[throwaway]", '[models.mirrors]\n"" = "m"\n[throwaway]', "22: models.mirrors.: '': not the beginning of a U"),
        ("[throwaway]", '[models.mirrors]\n"s3://a" = "/"\n[throwaway]', "22: models.mirrors.s3://a: '/' is no path"),
        (
            "[throwaway]",
            '[models.mirrors]\n"s3://a" = "a/../../b"\n[throwaway]',
            "22: models.mirrors.s3://a: 'a/../../b' is no path from",
        ),
        ('"main"', '"-x"', "2: branch: '-x': not the name of a branch"),
        ("github.com/acme", "github.com /acme", "1: repository: 'https://github.com /acme/platform': not an address"),
        ("acme/platform", "*/platform", "1: repository: 'https://github.com/*/platform': Argo CD does not take '*'"),
        ('branch = "main"', 'forge = "sourceforge"', "2: forge: Input should be 'github'"),
        ('tree = "deploy"', 'tree = "/deploy"', "4: paths.tree: '/deploy' is no path below"),
        ('tree = "deploy"', 'tree = "a/../b"', "4: paths.tree: 'a/../b' is no path below"),
        ('tree = "deploy"', 'tree = "a/"', "4: paths.tree: 'a/' is no path below"),
        ('tree = "deploy"', 'tree = "de[pl]oy"', "4: paths.tree: 'de[pl]oy': Argo CD does not take '[' ']'"),
        ('tree = "deploy"', 'tree = "$HOME"', "4: paths.tree: '$HOME': Argo CD does not take '$'"),
        ('name = "live"', 'name = "Live"', "10: environments[1].name: 'Live': not a name of lower-case letters"),
        ('"ml-live"\nprotected', '"ml_live"\nprotected', "11: environments[1].namespace: 'ml_live': not a name"),
        ('soak = "24h"', 'soak = "24 hours"', "13: environments[1].soak: 24 hours: not a duration"),
        ('longest_pause = "20s"', 'longest_pause = "soon"', "23: throwaway.longest_pause: soon: not a duration"),
        ('"0 7 * *', '"7 * *', "14: environments[1].windows[0].schedule: '7 * * 1-5': not cron's five fields"),
        (
            '"0 7 * * 1-5"',
            '"0 7 * * 7"',
            "14: environments[1].windows[0].schedule: '0 7 * * 7': to Argo CD, Sunday",
        ),
        ('"10h"', '"0s"', "14: environments[1].windows[0].duration: 0s: Argo CD's windows are open for more than no"),
        ('"10h"', '"106752d"', "14: environments[1].windows[0].duration: 106752d: Argo CD's windows are open for more"),
        (
            '"10h"',
            '"10h", timezone = "CET"',
            "14: environments[1].windows[0].timezone: 'CET' is no time zone",
        ),
        ('"10h"', f'"10h", description = "{"é" * 128}"', "14: environments[1].windows[0].description: 256 bytes, and"),
        ('duration = "10h"', 'duration = "x"', "14: environments[1].windows[0].duration: x: not a duration"),
        ('"10h"', '"10h", timezone = "CEST+1"', "14: environments[1].windows[0].timezone: 'CEST+1' is no time zone"),
        ('cluster = "eu"', 'cluster = "in-cluster"', "19: environments[2].cluster: in-cluster is where an environment"),
        ('cluster = "eu"', 'cluster = "*"', "19: environments[2].cluster: '*': Argo CD does not take '*'"),
        ('cluster = "eu"', 'cluster = ""', "19: environments[2].cluster: String should have at least 1 character"),
        ('"observability"', '"Observability"', "27: cluster.prometheus.namespace: 'Observability': not a name"),
        ('"observability"', '"o"\nseries = ["node_("]', "28: cluster.prometheus.series[0]: 'node_('"),
        ('"observability"', '"o"\nport = 0', "28: cluster.prometheus.port: Input should be greater than or equal to 1"),
        (
            '"observability"',
            '"o"\naddress = "x"',
            "28: cluster.prometheus.address: unknown key; there are namespace, service",
        ),
        ('"5f0f7a0e-', '"', "29: cluster.evidence.staging-eu: '1c58-4d0e-9d39-2b6f6d0b8c11': not the uid of a names"),
        ('schedule = "0', 'schedul = "0', "14: environments[1].windows[0].schedul: unknown key; nearest is schedule"),
        ('schedule = "0', 'Schedule = "0', "14: environments[1].windows[0].Schedule: unknown key; nearest is schedule"),
        ("[cluster.evidence]", "[clusters.evidence]", "28: clusters: unknown key"),
        ('tree = "deploy"', 'argocd = ".git/x"', "4: paths.argocd: '.git/x' is in git's own folder"),
        ('tree = "deploy"', 'golden = "sub/.GIT"', "4: paths.golden: 'sub/.GIT' is in git's own folder"),
        # against each other
        (
            'soak = "24h"',
            "evidence = []",
            "13: environments[1].evidence: live is protected, and by this no evidence",
        ),
        (
            'tree = "deploy"',
            'tree = "deploy"\n[argocd.patches]\nAppProject = "p.json"',
            "6: argocd.patches.AppProject: p.json is no manifest, and kubectl apply -f k8s/argocd/ would take it",
        ),
        ('name = "live"', 'name = "dev"', "10: environments[1].name: there are two environments dev"),
        ('name = "live"', 'name = "quarantine"', "10: environments[1].name: quarantine is taken"),
        ('name = "live"', 'name = "defaults"', "10: environments[1].name: defaults is taken"),
        (
            '"ml-live"\nprotected',
            '"ml-dev"\nprotected',
            "11: environments[1].namespace: dev has namespace ml-dev alread",
        ),
        ('cluster = "eu"\n', "", "18: environments[2].namespace: live has namespace ml-live already"),
        ('soak = "24h"', 'evidence = ["live"]', "13: environments[1].evidence: live lets itself in"),
        ('soak = "24h"', 'evidence = ["live-eu"]', "13: environments[1].evidence: live-eu comes after live"),
        ('soak = "24h"', 'evidence = ["prod"]', "13: environments[1].evidence: there is no environment prod"),
        ('tree = "deploy"', 'tree = "helm/charts"', "3: paths.chart: helm/charts/ml-serving is inside tree"),
        ('tree = "deploy"', 'tree = "k8s/argocd"', "4: paths.tree: k8s/argocd is inside argocd"),
        ('tree = "deploy"', 'golden = "gitops"', "4: paths.golden: gitops has other files of the tree, gitops, too"),
        ('tree = "deploy"', 'golden = "gitops/dev"', "4: paths.golden: gitops/dev has other files of the tree, gitops"),
        # no TOML at all
        ('branch = "main"', "branch = main", "2: no TOML: Invalid value"),
        ('branch = "main"', 'repository = "x"', "2: no TOML: Cannot overwrite a value"),
        ("[[environments]]", "[[environments", "5: no TOML: Expected ']]'"),
        ("minReplicas = 1}", "minReplicas = 1", "25: no TOML:"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(old, new, said):
    assert old in GOOD
    assert refused(GOOD.replace(old, new)).startswith(f"ml-serving-ci.toml:{said}")


@pytest.mark.parametrize("path", [".github/argocd", ".gitops", "k8s.git"])
def test_a_folder_that_is_called_nearly_as_gits_own_is_one_like_others(path):
    assert project.parse(GOOD.replace('tree = "deploy"', f'argocd = "{path}"').encode()).paths.argocd == path


@pytest.mark.parametrize("path", ["patches/p.json", "p.patch"])
def test_a_patch_that_kubectl_does_not_take_for_a_manifest_may_be_called_anything(path):
    said = project.parse(GOOD.replace("[paths]", f'[argocd]\npatches.AppProject = "{path}"\n[paths]').encode())
    assert said.argocd.patches == {"AppProject": path}


def test_what_is_no_toml_is_told_with_how_a_value_is_written():
    with pytest.raises(UsageError) as error:
        project.parse(GOOD.replace("protected = true", "protected = yes").encode())
    assert error.value.message == "ml-serving-ci.toml:12: no TOML: Invalid value"
    assert "yes and no are true and false" in error.value.fix


def test_a_file_that_lacks_what_it_must_have_has_no_line_to_name():
    assert refused("") == "ml-serving-ci.toml: repository: not given (and 1 more)"
    assert refused('repository = "x"\nenvironments = []\n').startswith("ml-serving-ci.toml:2: environments: Tuple")


def test_a_byte_order_mark_says_nothing():
    assert project.parse(b"\xef\xbb\xbf" + GOOD.encode()) == project.parse(GOOD.encode())


@pytest.mark.parametrize("name", ["main", "release/1.2", "feature/a.b_c-d"])
def test_a_branch_that_git_has_is_one(name):
    assert project.parse(GOOD.replace('"main"', f'"{name}"').encode()).branch == name


def test_a_file_that_is_no_text_is_told():
    assert refused(GOOD.encode() + b"# caf\xe9\n") == "ml-serving-ci.toml:30: not text in UTF-8"


def test_all_that_is_wrong_is_in_the_detail():
    text = GOOD.replace('name = "live"', 'name = "Live"').replace('soak = "24h"', 'soak = "x"')
    with pytest.raises(UsageError) as error:
        project.parse(text.encode(), "here.toml")
    assert error.value.message.endswith("(and 1 more)")
    assert [line.partition(": ")[0] for line in error.value.detail.splitlines()] == ["here.toml:10", "here.toml:13"]


APART = """\
repository = "x"
[[environments]]
name = "a"
[paths]
tree = "b" # "\u2028" ends no line
[[environments]]
name = "b"
promote_from = [
  "a",
  "c",
]
[throwaway.values]
resources.requests.cpu = 1
[[environments]]
name = "c"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("paths", "tree"), 5),
        (("environments",), 2),
        (("environments", 1), 6),
        (("environments", 1, "name"), 7),
        (("environments", 1, "promote_from", 1), 8),  # in the value that begins there
        (("environments", 1, "namespace"), 6),
        (("throwaway",), 12),
        (("throwaway", "values", "resources", "requests", "cpu"), 13),
        (("environments", 2, "name"), 15),
        (("nothing",), 0),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_is_found_wherever_its_table_stands(path, line, end):
    assert project.line_of(APART.replace("\n", end), path) == line


def test_the_nearest_file_above_is_the_projects(tmp_path):
    inside = tmp_path / "team" / "deploy" / "dev"
    inside.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"no ml-serving-ci.toml here or above") as error:
        project.find(inside)
    assert error.value.fix.startswith("--project DIR")
    (tmp_path / project.FILE).write_text(GOOD)
    assert project.find(inside) == tmp_path
    (tmp_path / "team" / project.FILE).write_text(GOOD)
    assert project.find(inside) == tmp_path / "team"
    (inside / project.FILE).mkdir()
    assert project.find(inside) == tmp_path / "team", "a folder of that name is no project file"


def test_a_folder_without_the_file_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"ml-serving-ci.toml: no such file"):
        project.load(tmp_path)
    (tmp_path / project.FILE).mkdir()
    with pytest.raises(UsageError, match=r"ml-serving-ci.toml: Is a directory"):
        project.load(tmp_path)


def test_errors_of_a_loaded_file_name_it_whole(tmp_path):
    (tmp_path / project.FILE).write_text(GOOD.replace("protected", "protectd"))
    with pytest.raises(UsageError, match=rf"^{tmp_path}/ml-serving-ci.toml:12: "):
        project.load(tmp_path)


@pytest.mark.parametrize("where", ["inside", "named"])
def test_a_command_finds_the_project_and_refuses_a_wrong_one_in_one_line(tmp_path, where):
    (tmp_path / "deploy").mkdir()
    (tmp_path / project.FILE).write_text(GOOD.replace('soak = "24h"', 'soak = "long"'))
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    options, cwd = ([], tmp_path / "deploy") if where == "inside" else ([f"--project={tmp_path}"], Path("/"))
    done = cli.run(*options, "argocd", "render", cwd=cwd)
    assert done.returncode == 2
    error, fix = done.stderr.splitlines()
    assert error.startswith(f"error: {tmp_path}/ml-serving-ci.toml:13: environments[1].soak: long")
    assert "docs/project.md" in fix
    assert not (tmp_path / "k8s").exists()


# --- docs/project.md ---

GUIDE = (ROOT / "docs" / "project.md").read_text()


def keys(model, prefix=""):
    """Yield every key of the file, and its default as TOML writes it: "" where there is none."""
    for name, field in model.model_fields.items():
        if is_model(field.annotation):
            yield from keys(field.annotation, f"{prefix}{name}.")
            continue
        yield f"{prefix}{name}", default(field)
        for each in filter(is_model, typing.get_args(field.annotation)):
            yield from keys(each, f"{prefix}{name}[].")


def is_model(each):
    return isinstance(each, type) and issubclass(each, pydantic.BaseModel)


def default(field):
    if field.is_required() or field.default is None:
        return ""
    return f"`{json.dumps(field.default)}`"


def test_the_guide_has_every_key_with_its_default():
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) ?\| .+ \|$", GUIDE, re.MULTILINE)
    assert dict(rows) == dict(keys(project.Project))
    assert len(rows) == len(dict(rows))


def test_the_guides_example_is_a_project_with_every_key():
    (example,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    project.parse(example.encode())
    for key, _ in keys(project.Project):
        assert re.search(rf"\b{key.rpartition('.')[2].removesuffix('[]')}\b", example), key


def test_the_guides_environment_is_one_entry_and_a_folder(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    (steps,) = re.findall(r"## Another environment\n.*?```bash\n(.*?)```", GUIDE, re.DOTALL)
    (patch,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    for path, text in {
        project.FILE: example,
        "gitops/live/wine.yaml": "a: b\n",
        "k8s/argocd/patches/appproject.json": patch,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "ci").symlink_to(ROOT / "ci")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    python = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", steps], cwd=tmp_path, check=True, timeout=60, env={**os.environ, **python})
    assert project.load(tmp_path).names == ("dev", "live", "live-us")
    made = [*yaml.safe_load_all((tmp_path / "k8s/argocd/appproject.yaml").read_text())]
    assert made[-1]["metadata"]["name"] == "ml-serving-live-us"
    assert made[-1]["spec"]["destinations"] == [{"name": "live-us", "namespace": "ml-live"}]
    for each in made:
        allowed = each["spec"]["clusterResourceWhitelist"]
        assert {"group": "", "kind": "PersistentVolume"} in allowed, "the patch of the guide"


def in_live(line):
    return GOOD.replace('soak = "24h"\n', f'soak = "24h"\n{line}\n')


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("1.33", "1.33"),
        ("1.33.4", "1.33.4"),
        ("v1.33.4", "1.33.4"),
        ("v1.33.4-eks-113cf36", "1.33.4"),
        ("v1.33.4+k3s1", "1.33.4"),
    ],
)
def test_helm_gets_a_clusters_version_as_argo_cd_gives_it(written, given):
    """k8s.io/apimachinery's ParseGeneric, which Argo CD reads it by, leaves out what follows the numbers."""
    assert project.parse(in_live(f'kubernetes = "{written}"').encode()).environment("live").kube_version == given


def test_without_a_version_it_is_nobodys():
    assert project.parse(GOOD.encode()).environment("live").kube_version is None


def test_a_cluster_has_istio_s_cni_plugin_where_its_environment_says_so():
    said = project.parse(in_live("istio_cni = true").encode())
    assert [each.istio_cni for each in said.environments] == [each.name == "live" for each in said.environments]
    assert "environments[1].istio_cni: " in refused(in_live('istio_cni = "yes"'))


@pytest.mark.parametrize("written", ['"1"', '"1.33.4.5"', '"latest"', '"1.033"', '""', "1.33"])
def test_what_is_no_version_of_kubernetes_is_refused(written):
    assert "environments[1].kubernetes: " in refused(in_live(f"kubernetes = {written}"))


@pytest.mark.parametrize("api", ["v1", "apps/v1", "apps/v1/Deployment", "monitoring.coreos.com/v1", "v1/Pod"])
def test_a_clusters_apis_are_named_as_helm_has_them(api):
    said = project.parse(in_live(f'api_versions = ["{api}"]').encode())
    assert said.environment("live").api_versions == (api,)


@pytest.mark.parametrize("api", ["", "apps", "apps/v1,batch/v1", "Apps/v1", "apps/v1/deployments", "a b/v1"])
def test_what_is_no_api_is_refused(api):
    assert "environments[1].api_versions[0]: " in refused(in_live(f'api_versions = ["{api}"]'))
