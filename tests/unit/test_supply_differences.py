"""What the source way builds is what the publisher builds, or is listed with a reason or a test."""

import re
import tomllib
from pathlib import Path, PurePosixPath

import pytest
import yaml

from ci.base.errors import UsageError
from ci.base.paths import ROOT
from ci.supply import differences, pins
from ci.supply.pins import Difference

PINS = pins.load()
AS_UPSTREAM = {name: image for name, image in PINS.images.items() if image.as_upstream}
DIFFERENCES: list[Difference] = [
    *PINS.differs,
    *(each for item in (*PINS.images.values(), *PINS.modules.values()) for each in item.differs),
]
GO = '[go]\nminimum = "1"\nrequirements = "r"\n'
IMAGE = GO + '[images.x]\ntag = "1"\nsource.user = "1"\n'
MODULE = GO + '[modules.x]\npath = "p"\nversion = "v"\nsum = "h1:"\n'


def test_the_page_is_made_of_the_pins():
    assert differences.PAGE.read_text() == differences.page(PINS), f"make it anew: {differences.COMMAND}"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (IMAGE, "images.x: needs either as_upstream or differs"),
        (
            IMAGE + 'as_upstream = "m/Dockerfile"\ndiffers = [{ what = "w", why = "y" }]\n',
            "images.x: needs either as_upstream or differs",
        ),
        (IMAGE + "differs = []\n", "images.x: needs either as_upstream or differs"),
        (IMAGE + 'differs = [{ what = "w" }]\n', "images.x.differs: w: needs why or tested_by"),
        (IMAGE + 'differs = [{ why = "y" }]\n', "images.x.differs.what: missing"),
        (IMAGE + 'differs = "w"\n', "images.x.differs must be a list"),
        (MODULE + 'tags = "small"\n', "modules.x.differs: missing"),
        (MODULE + 'recipe = "r"\n', "modules.x.differs: missing"),
    ],
)
def test_what_does_not_say_how_it_differs_is_refused(tmp_path: Path, text: str, named: str):
    file = tmp_path / "pins.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(named)):
        pins.load(file)


def test_what_is_said_of_a_difference_builds_nothing_anew():
    image = pins.Image("1", pins.ImageSource(), as_upstream="m/Dockerfile")
    assert pins.key(image) == pins.key(pins.Image("1", pins.ImageSource(), differs=(Difference("w", "y"),)))


@pytest.mark.parametrize("file", sorted({each.tested_by for each in DIFFERENCES} - {""}))
def test_the_tests_that_a_difference_names_are_there(file: str):
    assert re.search(r"^(async )?def test_", (ROOT / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", PINS.images)
def test_no_file_of_ours_takes_the_place_of_a_products_own(name: str):
    files = PINS.images[name].source.files
    products = [PurePosixPath(path) for path, origin in files.items() if origin.startswith("module:") and path != "/"]
    ours = [PurePosixPath(path) for path, origin in files.items() if origin.startswith("file:")]
    assert [str(path) for path in ours if any(path.is_relative_to(product) for product in products)] == []


def last_stage(dockerfile: str) -> dict[str, str]:
    """What the image of a Dockerfile's last stage is configured with."""
    found: dict[str, str] = {}
    for line in dockerfile.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            found.clear()
        found[word] = rest.strip()
    return found


@pytest.mark.parametrize("name", AS_UPSTREAM)
def test_an_image_is_configured_as_its_publishers_dockerfile_does(name: str, module):
    owner, _, path = AS_UPSTREAM[name].as_upstream.partition("/")
    stage, source = last_stage((module(owner) / path).read_text()), AS_UPSTREAM[name].source
    assert re.findall(r'"(.+?)"', stage["ENTRYPOINT"]) == [*source.entrypoint]
    assert stage.get("USER", source.user) == source.user
    assert stage.get("WORKDIR", source.workdir) == source.workdir
    assert all(origin.startswith("bin:") for origin in source.files.values())


def test_argo_cd_has_the_helm_that_it_names(module):
    pin = PINS.modules["helm"]
    named = re.search(r"^HELM_VERSION=(.+)$", (module("argo-cd") / "hack/tool-versions.sh").read_text(), re.MULTILINE)
    assert named is not None
    assert pin.version == f"v{named[1]}"
    assert f"version.version={pin.version} " in pin.ldflags
    assert not pin.main_module, "Kubernetes' version, which charts ask for, is that of the client-go in its own go.mod"
    assert PINS.images["quay.io/argoproj/argocd"].source.files["/usr/local/bin/helm"] == "bin:helm/helm"
    assert (PINS.tools["helm"].source, PINS.tools["helm"].version) == ("helm/helm", pin.version)


def test_argo_cds_images_are_those_that_its_manifests_name(module):
    manifests = (module("argo-cd") / "manifests/core-install.yaml").read_text()

    named = set(re.findall(r"^ *image: (\S+)$", manifests, re.MULTILINE))
    assert named == {PINS.ref("quay.io/argoproj/argocd"), PINS.ref("public.ecr.aws/docker/library/redis")}


def test_argo_cds_image_has_the_variables_that_its_publisher_sets(module):
    stages = (module("argo-cd") / "Dockerfile").read_text().split("\nFROM ")

    (base,) = [stage for stage in stages if re.match(r".+ AS argocd-base\n", stage)]
    said = set(re.findall(r"^ENV (\w+=\S+)$", base, re.MULTILINE))
    assert said
    assert said <= set(PINS.images["quay.io/argoproj/argocd"].source.env)


def test_kube_rbac_proxy_is_the_one_that_kserve_names(module):
    patch = (module("kserve") / "config/default/manager_auth_proxy_patch.yaml").read_text()
    name = "quay.io/brancz/kube-rbac-proxy"
    assert re.findall(rf"{name}:(\S+)", patch) == [PINS.images[name].tag] == [PINS.modules["kube-rbac-proxy"].version]


SERVERS = {"sklearnserver": {("psutil", "6.1.1")}, "lgbserver": set(), "xgbserver": set()}


@pytest.mark.parametrize("server", SERVERS)
def test_a_model_servers_packages_are_those_that_kserve_locks(server: str, module):
    lock = tomllib.loads((module("kserve") / f"python/{server}/uv.lock").read_text())
    locked = {(package["name"], package["version"]) for package in lock["package"]}
    text = PINS.wheels[server].requirements_file.read_text()
    ours = set(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))
    assert ours
    assert ours - locked == SERVERS[server]


@pytest.mark.parametrize("server", SERVERS)
def test_a_model_server_starts_as_its_publishers_dockerfile_has_it(server: str, module):
    source = PINS.images[f"docker.io/kserve/{server}"].source
    (dockerfile,) = [
        file
        for file in (module("kserve") / "python").glob("*.Dockerfile")
        if f'"{server}"]' in last_stage(file.read_text()).get("ENTRYPOINT", "")
    ]
    stage = last_stage(dockerfile.read_text())
    assert re.findall(r'"(.+?)"', stage["ENTRYPOINT"]) == [*source.entrypoint]
    assert stage["USER"] == source.user
    assert f"PYTHONPATH=/{server}" in source.env


def test_kserves_serving_runtimes_name_the_model_servers_that_are_pinned(module):
    values = yaml.safe_load((module("kserve") / "charts/kserve-runtime-configs/values.yaml").read_text())["kserve"]
    for server in SERVERS:
        runtime = values["servingruntime"][server]
        assert f"docker.io/{runtime['image']}:{runtime['tag'] or values['version']}" in map(PINS.ref, PINS.images)
