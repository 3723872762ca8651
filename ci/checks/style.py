"""YAML, Python and workflow files against their linters.

Of a project those that Argo CD and GitHub read: YAML of its tree, chart and Argo CD's files, and its workflows. The
tool's own checkout is looked at whole, Python as well: how a user writes other files is not this tool's business.
"""

import json
import re
from pathlib import Path
from typing import Any

import dagger

from ci.base import paths
from ci.base.errors import CheckFailedError
from ci.checks import tools
from ci.project import Project
from ci.results import Finding

REQUIREMENTS = "ci/checks/requirements-lint.txt"
WORKFLOWS = ".github/workflows"
OWN = "ci/main.py"
"""What the tool's own checkout has."""
CONFIG = ".yamllint.yaml"
CONFIGS = (".yamllint", CONFIG, ".yamllint.yml")
"""Where yamllint looks for its rules; the tool's own count where a project has none."""
YAMLLINT = re.compile(
    r"^(?:\./)?(?P<file>.+?):(?P<line>\d+):\d+: \[(?P<level>\w+)\] (?P<what>.+?)(?: \((?P<rule>[\w-]+)\))?$"
)


def linters(client: dagger.Client, wheels: Path) -> dagger.Container:
    """Return the container with yamllint, ruff and zizmor.

    Args:
        client: The Dagger session.
        wheels: Folder with their wheels on the host.

    Returns:
        The container.
    """
    return tools.python(client, wheels, paths.ROOT / REQUIREMENTS)


def yaml_files(root: Path, project: Project) -> tuple[list[str], list[str]]:
    """Return the patterns of a project's YAML files, and of those among them that are none: Helm's templates.

    Args:
        root: The project's folder.
        project: The project.
    """
    chart = project.paths.chart
    folders = [project.paths.tree, chart, project.paths.argocd, project.paths.golden, WORKFLOWS]
    below = ["**"] if (root / OWN).is_file() else [f"{folder}/**" for folder in folders]
    patterns = [f"{folder}/*.{ending}" for folder in below for ending in ("yaml", "yml")]
    return [*CONFIGS, *patterns], [f"{chart}/templates", f"{chart}/charts"]


def _files(client: dagger.Client, root: Path, include: list[str], exclude: list[str]) -> dagger.Directory:
    return client.host().directory(str(root), include=include, exclude=exclude, gitignore=True)


async def yaml(client: dagger.Client, container: dagger.Container, root: Path, project: Project) -> list[Finding]:
    """Run yamllint on a project's YAML files.

    Args:
        client: The Dagger session.
        container: What `linters` returned.
        root: The project's folder.
        project: The project.

    Returns:
        What it says.
    """
    sources = _files(client, root, *yaml_files(root, project))
    if not any((root / name).is_file() for name in CONFIGS):
        sources = sources.with_file(CONFIG, client.host().file(str(paths.ROOT / CONFIG)))
    output = await tools.execute(
        container.with_mounted_directory("/src", sources), ["yamllint", "--strict", "--format=parsable", "."]
    )
    return yaml_findings(output)


def yaml_findings(output: tools.Output) -> list[Finding]:
    """Read yamllint's parsable output.

    Args:
        output: What it printed.

    Returns:
        One finding a line.

    Raises:
        CheckFailedError: It did not run.
    """
    found = []
    for match in filter(None, map(YAMLLINT.match, output.stdout.splitlines())):
        rule = match["rule"] or "syntax"
        remedy = "correct the syntax" if rule == "syntax" else f"follow the rule {rule} of .yamllint.yaml"
        found.append(Finding("yaml", match["file"], int(match["line"]), match["what"], remedy))
    if output.code and not found:
        raise CheckFailedError("yamllint did not run", detail=output.stdout + output.stderr)
    return found


async def python(client: dagger.Client, container: dagger.Container, root: Path) -> list[Finding]:
    """Run `ruff check` and `ruff format --check` on the tool's own checkout; other projects have rules of their own.

    Args:
        client: The Dagger session.
        container: What `linters` returned.
        root: The project's folder.

    Returns:
        What they say.
    """
    if not (root / OWN).is_file():
        return []
    sources = _files(client, root, ["**/*.py", "pyproject.toml"], [])
    container = container.with_mounted_directory("/src", sources)
    options = ["--no-cache", "--output-format=json", "."]
    checked = await tools.execute(container, ["ruff", "check", *options])
    formatted = await tools.execute(container, ["ruff", "format", "--check", *options])
    return list(dict.fromkeys([*ruff_findings(checked), *ruff_findings(formatted)]))


def ruff_findings(output: tools.Output, folder: str = "/src") -> list[Finding]:
    """Read ruff's JSON.

    Args:
        output: What it printed.
        folder: Where it ran.

    Returns:
        One finding an entry.

    Raises:
        CheckFailedError: It did not run.
    """
    found = []
    for item in _json(output, "ruff"):
        file = item["filename"].removeprefix(f"{folder}/")
        code = item["code"] or "invalid-syntax"
        if code == "unformatted":
            remedy = f"ruff format {file}"
        elif code == "invalid-syntax":
            remedy = "correct the syntax"
        elif item["fix"] and item["fix"]["applicability"] == "safe":
            remedy = f"ruff check --fix {file}"
        else:
            remedy = (item["fix"] or {}).get("message") or f"see {item['url']}"
        found.append(Finding("python", file, item["location"]["row"], f"{item['message']} ({code})", remedy))
    return found


async def workflows(client: dagger.Client, container: dagger.Container, actionlint: Path, root: Path) -> list[Finding]:
    """Run actionlint (correctness) on the workflows, and zizmor (security) on them and on the actions beside them.

    Args:
        client: The Dagger session.
        container: What `linters` returned.
        actionlint: The executable on the host.
        root: The project's folder.

    Returns:
        What they say.
    """
    names = sorted(str(path.relative_to(root)) for path in (root / WORKFLOWS).glob("*.y*ml"))
    if not names:
        return []
    sources = _files(client, root, [".github/**"], [])
    correct = await tools.execute(
        tools.static(client, actionlint).with_mounted_directory("/src", sources),
        ["-shellcheck=", "-pyflakes=", "-format={{json .}}", *names],
    )
    secure = await tools.execute(
        container.with_mounted_directory("/src", sources),
        ["zizmor", "--offline", "--no-progress", "--persona=auditor", "--format=json", ".github"],
    )
    return [*actionlint_findings(correct), *zizmor_findings(secure)]


def actionlint_findings(output: tools.Output) -> list[Finding]:
    """Read actionlint's JSON.

    Args:
        output: What it printed.

    Returns:
        One finding an entry.

    Raises:
        CheckFailedError: It did not run.
    """
    return [
        Finding("workflow", item["filepath"], item["line"], item["message"], f"actionlint's check: {item['kind']}")
        for item in _json(output, "actionlint")
    ]


def zizmor_findings(output: tools.Output) -> list[Finding]:
    """Read zizmor's JSON.

    Args:
        output: What it printed.

    Returns:
        One finding an entry, at its primary place.

    Raises:
        CheckFailedError: It did not run.
    """
    found = []
    for item in _json(output, "zizmor"):
        primary = next(place for place in item["locations"] if place["symbolic"]["kind"] == "Primary")
        file = primary["symbolic"]["key"]["Local"]["verbatim_path"].removeprefix("./")
        line = primary["concrete"]["location"]["start_point"]["row"] + 1
        message = f"{item['desc']}: {primary['symbolic']['annotation']}"
        fix = next((fix["title"] for fix in item["fixes"]), "")
        found.append(Finding("workflow", file, line, message, fix or f"see {item['url']}"))
    return found


def _json(output: tools.Output, program: str) -> list[Any]:
    try:
        parsed = json.loads(output.stdout)
    except json.JSONDecodeError as error:
        raise CheckFailedError(f"{program} did not run", detail=output.stdout + output.stderr) from error
    return parsed or []
