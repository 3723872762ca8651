"""The chart: linted and rendered with every environment's values."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagger
import yaml

from ci.checks import tools
from ci.manifests import manifests, places
from ci.manifests.chart import Chart, Rendering
from ci.results import Finding

RELEASE = "ml-serving"
VALUES = re.compile(r"- at '(?P<at>[^']*)': (?P<what>.+)")
NAMED_KEYS = re.compile(r"'([^']+)'")
UNPARSABLE_VALUES = re.compile(r"failed to parse (?P<file>\S+): .*?(?:yaml: (?:line (?P<line>\d+): )?(?P<what>.+))")
NO_VALUES = re.compile(r"open (?P<file>values/\S+): no such file")
PLACES = (
    re.compile(r"execution error at \(\S+?/(?P<file>templates/[^\s:)]+):(?P<line>\d+)(?::\d+)?\): (?P<what>.+)"),
    re.compile(r"parse error at \(\S+?/(?P<file>templates/[^\s:)]+):(?P<line>\d+)(?::\d+)?\): (?P<what>.+)"),
    re.compile(r"\S+?/(?P<file>templates/[^\s:]+):(?P<line>\d+):\d+\n(?P<what>(?:\s+.+\n?)+)"),
    re.compile(r"YAML parse error on \S+?/(?P<file>templates/\S+): (?P<what>.+)"),
)
LINT = re.compile(
    r"^\[(?P<severity>WARNING|ERROR)\] (?P<file>[^:\s]+): (?P<what>(?:.+\n?)+?)(?=^\[|^\s*$|\Z)", re.MULTILINE
)


def helm(client: dagger.Client, executable: Path, chart: Chart) -> dagger.Container:
    """Return a container with helm and the chart.

    Args:
        client: The Dagger session.
        executable: Helm on the host.
        chart: The chart.

    Returns:
        The container.
    """
    folder = client.host().directory(str(chart.root / chart.path))
    return tools.static(client, executable).with_mounted_directory("/src", folder)


async def lint(helm: dagger.Container, chart: Chart, environment: str) -> list[Finding]:
    """Run `helm lint --strict` with an environment's values.

    Args:
        helm: What `helm` returned.
        chart: The chart.
        environment: Whose values.

    Returns:
        What it says; its warnings count as errors.
    """
    output = await tools.execute(
        helm,
        ["lint", ".", "--strict", "--quiet", *chart.options(environment)],
    )
    return [] if output.code == 0 else findings(chart, environment, output.stdout + output.stderr)


async def render(helm: dagger.Container, chart: Chart, environment: str) -> Rendering:
    """Run `helm template` with an environment's values.

    Args:
        helm: What `helm` returned.
        chart: The chart.
        environment: Whose values.

    Returns:
        The manifests, or why there are none.
    """
    output = await tools.execute(
        helm,
        ["template", RELEASE, ".", *chart.options(environment)],
    )
    if output.code:
        return Rendering(environment, "", tuple(findings(chart, environment, output.stderr)))
    return Rendering(environment, output.stdout)


def objects(chart: Chart, rendering: Rendering) -> list[manifests.Manifest]:
    """Return the objects of a rendering.

    Args:
        chart: The chart it was made from.
        rendering: What `render` returned, without findings.

    Returns:
        The objects.
    """
    return manifests.parse(rendering.text, chart.templates(), chart.path)


def findings(chart: Chart, environment: str, output: str) -> list[Finding]:
    """Read what helm says about a chart it refuses.

    Args:
        chart: The chart.
        environment: Whose values were used.
        output: What `helm lint` or `helm template` printed.

    Returns:
        One finding for each thing wrong, at the values file or template that has it.
    """
    found = [*_values(chart, environment, output), *_templates(chart, output)]
    if not found:
        found = list(_lint(chart, output))
    if not found:
        said = " ".join(output.split()) or "helm failed and said nothing"
        found = [Finding("chart", chart.path, 0, said, "mend what helm names; `helm template` shows it alone")]
    return list(dict.fromkeys(found))


def _values(chart: Chart, environment: str, output: str) -> Iterator[Finding]:
    """Yield what is wrong with the values: not there, no YAML, or not what values.schema.json asks for."""
    for match in NO_VALUES.finditer(output):
        yield Finding(
            "values", f"{chart.path}/{match['file']}", 0, "there is no such file", "every environment has one"
        )
    for match in UNPARSABLE_VALUES.finditer(output):
        file = f"{chart.path}/{match['file']}"
        yield Finding("values", file, _syntax_line(chart.root / file), f"no YAML: {match['what']}", "mend the syntax")
    files = {
        file: (chart.root / file).read_text(errors="replace")
        for file in chart.files(environment)
        if (chart.root / file).is_file()
    }
    for match in VALUES.finditer(output):
        path = tuple(match["at"].strip("/").split("/")) if match["at"].strip("/") else ()
        extra = NAMED_KEYS.findall(match["what"]) if "additional propert" in match["what"] else [""]
        for key in extra:
            whole = (*path, key) if key else path
            file, line = next(
                ((file, line) for file, text in files.items() if (line := places.values_line(text, _indices(whole)))),
                (chart.files(environment)[0], 0),
            )
            name = ".".join(whole) or "the values"
            if key:
                yield Finding(
                    "values",
                    file,
                    line,
                    f"{name}: unknown key",
                    f"remove it or correct its name; {chart.path}/values.yaml lists the keys",
                )
            else:
                yield Finding("values", file, line, f"{name}: {match['what']}", "give it what values.schema.json asks")


def _indices(path: tuple[str, ...]) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdecimal() else part for part in path)


def _syntax_line(file: Path) -> int:
    """Return where PyYAML stumbles: libyaml's own mark is exact, helm's message gives the line before."""
    try:
        yaml.compose(file.read_bytes(), Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        return error.problem_mark.line + 1 if error.problem_mark else 0
    except (yaml.YAMLError, OSError):
        return 0
    return 0


def _templates(chart: Chart, output: str) -> Iterator[Finding]:
    """Yield what a template stumbles over, or refuses with `fail`."""
    for pattern in PLACES:
        for match in pattern.finditer(output):
            line = match.groupdict().get("line")
            yield Finding(
                "chart",
                f"{chart.path}/{match['file']}",
                int(line) if line else 0,  # a line of the rendered text is none of the template's
                " ".join(match["what"].split()),
                "correct the template, or the values that it reads here",
            )


def _lint(chart: Chart, output: str) -> Iterator[Finding]:
    """Yield what is left of `helm lint`: warnings and errors that name a file of the chart."""
    for match in LINT.finditer(output):
        file = match["file"].rstrip("/")
        yield Finding(
            "chart",
            f"{chart.path}/{file}",
            0,
            " ".join(match["what"].split()),
            "change what helm names; `helm lint --strict` is satisfied when it says nothing",
        )
