"""Real tools for the unit tests: from the environment, the PATH, or the supply."""

import functools
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import anyio
import pytest
import yaml
from anyio.from_thread import start_blocking_portal

from ci.base import programs, settings
from ci.base.paths import CHART
from ci.canary import engine
from ci.manifests import documents
from ci.project import FILE
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.harness.chart import MODEL


def find_tool(name):
    """Return the executable that $HELM (or the like) names, or the one on the PATH, or the supply's own."""
    named = os.environ.get(name.upper()) or shutil.which(name)
    if named:
        return Path(named)
    supply = Supply(choose("auto"))
    # in a thread of its own: a test that asks may run in an event loop, which another cannot run inside of
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(anyio.run, supply.fetch, [name]).result()
    return supply.tool(name)


def find_go():
    """Return this machine's Go, or the supply's own."""
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(anyio.run, Supply("source").toolchain).result().program


@pytest.fixture(scope="session")
def tool():
    return find_tool


@pytest.fixture(scope="session")
def promtool():
    return find_tool("promtool")


@pytest.fixture(scope="session")
def read():
    """Return what the pinned Prometheus makes of expressions, one for all tests."""
    with start_blocking_portal() as portal:
        empty = portal.call(engine.empty, find_tool("prometheus"))
        with portal.wrap_async_context_manager(empty) as reader:
            yield partial(portal.call, reader.read)


ENVIRONMENTS = sorted(file.stem for file in (CHART / "values").glob("*.yaml"))
"""Those that the chart has values for."""
KNOWN_ANSWER = {
    "protocol": "v1",
    "request": {"instances": [[1.5, 2]]},
    "at": "$.predictions[0]",
    "expected": "cat",
}
"""A known answer as an application has it; the chart has none of its own."""
KNOWN = {"exampleModel": {"knownAnswer": KNOWN_ANSWER}}


class Chart:
    """The chart, for a model of the tests' own, and the helm that renders it."""

    def __init__(self, helm):
        self.helm = helm
        self._once = functools.cache(self._template)

    def template(
        self,
        values=None,
        *,
        release="ml-serving",
        namespace="ml-serving",
        env=None,
        folder=CHART,
        model=MODEL,
        kubernetes=None,
    ):
        """Run `helm template`; once for all tests, where nothing is a test's own but values."""
        template = self._once if (folder, model) == (CHART, MODEL) else self._template
        return template(yaml.safe_dump(values or {}), release, namespace, env, folder, model, kubernetes)

    def _template(self, values, release, namespace, env, folder, model, kubernetes):
        options = ["-f", folder / "values" / f"{env}.yaml"] if env else []
        options += ["--kube-version", kubernetes] if kubernetes else []
        argv = [self.helm, "template", release, folder, "--namespace", namespace, "-f", model, *options, "-f", "-"]
        return subprocess.run(
            argv,
            env=programs.environment(["helm"]),
            input=values,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def render(self, values=None, **options):
        """Return the rendered objects by kind and name."""
        result = self.template(values, **options)
        assert result.returncode == 0, result.stderr
        objects = documents.parse(result.stdout)
        found = {(item["kind"], item["metadata"]["name"]): item for item in objects}
        assert len(found) == len(objects), "two objects of one kind and name"
        return found

    def refusal(self, values, **options):
        """Return what helm says when it refuses the values."""
        result = self.template(values, **options)
        assert result.returncode != 0, "the values were accepted"
        return result.stderr


@pytest.fixture(scope="session")
def chart():
    return Chart(find_tool("helm"))


PROJECT = """\
repository = "https://git.example.com/acme/models.git"

[[environments]]
name = "lab"
namespace = "acme-lab"
"""


@pytest.fixture
def project(tmp_path_factory, monkeypatch):
    """A project of the tests' own, which commands are about wherever they are called."""
    folder = tmp_path_factory.mktemp("project")
    (folder / FILE).write_text(PROJECT)
    monkeypatch.setenv(settings.PROJECT, str(folder))
    return folder


@pytest.fixture(scope="session")
def kubectl() -> Path:
    return find_tool("kubectl")


@pytest.fixture(scope="session")
def module():
    """Return the folder of a pinned module, by its name."""

    def find(name: str) -> Path:
        supply = Supply(choose("source"))
        anyio.run(supply.fetch, [name])
        return supply.module(name)

    return find
