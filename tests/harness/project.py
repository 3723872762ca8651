"""A project of the tests' own: nothing in it is called as the sample is, but for the chart, which is the tool's."""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import yaml

from ci import project
from ci.checks import chart, targets, throwaway, tools
from ci.checks.targets import Chosen
from tests.harness import chart as charts
from tests.harness.remote import run
from tests.unit.conftest import find_tool

ENVIRONMENTS = ("lab", "trial", "live")
APPLICATIONS = ("fraud-score", "price-rank")
TREE = "deploy"
CHART_FOLDER = "charts/serving"
GATES = {
    "requestsPerSecond": {"defaults": 20, **dict.fromkeys(ENVIRONMENTS, 20)},
    "healthy": {"errors": 0.0002, "slow": 0.001, "p95": 0.2},
    "regression": {"errors": 0.05, "slow": 0.2},
    "power": {"catch": 0.95, "falseAbort": 0.01},
    "accepted": [
        {
            "what": "5xx 1 %",
            "environments": ["defaults", *ENVIRONMENTS],
            "reason": "the very limit, which some hundreds of requests see half of the time",
        }
    ],
}


def toml(environments=ENVIRONMENTS):
    """The project file."""
    named = "\n".join(f'[[environments]]\nname = "{name}"\nnamespace = "acme-{name}"\n' for name in environments)
    return (
        'repository = "https://git.example.com/acme/models.git"\nbranch = "trunk"\n\n'
        f'[paths]\ntree = "{TREE}"\nchart = "{CHART_FOLDER}"\nargocd = "argo"\n\n{named}'
    )


def application(name, revision="trunk", values=None):
    """The file of an application."""
    content = {
        "chart": {"revision": revision},
        "model": {"version": "7", "storageUri": f"s3://acme/{name}/7", "digest": ""},
        "image": {"repository": f"registry.example.com/{name}", "tag": "3.1", "digest": ""},
        "values": values or {},
    }
    return yaml.safe_dump(content, sort_keys=False)


def with_values(name, text):
    """The file of an application with values as somebody wrote them, comments and all."""
    lines = ["values:", *(f"  {line}" for line in text.splitlines())]
    return application(name).removesuffix("values: {}\n") + "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Made:
    """The project."""

    folder: Path
    environments: tuple[str, ...] = field(default=ENVIRONMENTS)

    @property
    def project(self):
        return project.load(self.folder)

    def write(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def deploy(self, environment, name, revision="trunk", values=None):
        """Write an application; return its file as findings name it."""
        path = f"{TREE}/{environment}/{name}.yaml"
        self.write(path, application(name, revision, values))
        return path

    def git(self, *words):
        return run(["git", *words], cwd=self.folder).stdout.strip()

    def commit(self):
        """Commit all of it; return the commit."""
        if not (self.folder / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=trunk")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=Change")
        return self.git("rev-parse", "HEAD")

    def judged(self, look=lambda found: found, **chosen):
        """Return what `look` makes of its targets, while the charts that they have are there."""

        async def looked():
            async with targets.found(self.folder, self.project, Chosen(**chosen), find_tool("helm")) as found:
                return look(found)

        return anyio.run(looked)

    def helm(self, helm, what, **chosen):
        """By target's name what `lint` or `template` makes of it; helm runs as in the pipeline."""

        def ran(found):
            read = {"lint": chart.linted, "template": chart.rendered}[what]
            outputs = ran_by_helm(helm, what, found.judged, found.folder / "helm")
            return {each.name: read(each, output) for each, output in zip(found.judged, outputs, strict=True)}

        return self.judged(ran, **chosen)

    def on_throwaway(self, helm, **chosen):
        """What is found of it as a throw-away cluster gets it; helm runs as in the pipeline."""
        return self._on_throwaway(helm, lambda wrong, found: [*wrong, *throwaway.findings(*found)], **chosen)

    def rendered_on_throwaway(self, helm, **chosen):
        """By target's name what helm makes of it as a throw-away cluster gets it."""
        return self._on_throwaway(helm, lambda _, found: {each.target.name: each.text for each in found[-1]}, **chosen)

    def _on_throwaway(self, helm, look, **chosen):
        def ran(found):
            changed, wrong = throwaway.changed(self.project.throwaway, found.judged)
            wanted = [each.target for each in changed]
            outputs = ran_by_helm(helm, "template", wanted, found.folder / "throwaway")
            renderings = [chart.rendered(each, output) for each, output in zip(wanted, outputs, strict=True)]
            return look(wrong, ((self.folder / project.FILE).read_text(), changed, renderings))

        return self.judged(ran, **chosen)


def ran_by_helm(helm, what, wanted, folder):
    """What helm leaves of each target, laid out in a folder."""
    chart.laid_out(wanted, folder)
    return executed(helm, chart.commands(wanted, what), folder)


def executed(program, commands, folder):
    """Run commands as the pipeline's container does."""
    wanted = [{"folder": str(folder / each.folder), "arguments": list(each.arguments)} for each in commands]
    ended = run([sys.executable, tools.EACH, program], stdin=json.dumps(wanted))
    return [tools.Output(**each) for each in json.loads(ended.stdout)]


def made(folder, *, environments=ENVIRONMENTS, applications=APPLICATIONS):
    """Make a project in which every environment has every application, and values of its own for all of them."""
    made = Made(folder, environments)
    made.write(project.FILE, toml(environments))
    charts.copy(folder / CHART_FOLDER)
    shutil.rmtree(folder / CHART_FOLDER / "values")
    made.write(f"{TREE}/gates.yaml", yaml.safe_dump(GATES, sort_keys=False))
    for environment in environments:
        made.write(f"{TREE}/{environment}/values.yaml", "autoscaling:\n  maxReplicas: 7\n")
        for name in applications:
            made.deploy(environment, name)
    return made


def umbrella(folder, values):
    """Make a project without applications, whose chart is this one under aliases, each with its values."""
    made = Made(folder)
    made.write(project.FILE, toml())
    charts.copy(folder / "charts" / "ml-serving")
    local = {"name": "ml-serving", "version": ">=0.0.0-0", "repository": "file://../ml-serving"}
    about = {"apiVersion": "v2", "name": "grid", "version": "1.0.0"}
    about["dependencies"] = [{**local, "alias": each} for each in values]
    made.write(f"{CHART_FOLDER}/Chart.yaml", yaml.safe_dump(about))
    made.write(f"{CHART_FOLDER}/values.yaml", yaml.safe_dump(values))
    return made
