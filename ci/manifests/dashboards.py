"""Grafana dashboards: the ConfigMaps that carry them, and what they ask Prometheus."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ci.manifests import places
from ci.manifests.chart import Chart
from ci.manifests.manifests import Manifest, dig, entries, mapping
from ci.results import Finding

FOLDER = "dashboards"
"""Of the chart, with a file a dashboard."""
LOADED = "grafana_dashboard"
"""The label by which the sidecar of Grafana's chart finds a ConfigMap."""
INPUTS = "__inputs"
"""Of an export "for sharing externally"."""
WORD = "__any"
"""Stands in for a variable of Grafana's, where it is a name or a part of one."""

TAKEN = re.compile(rf"""\.Files\.(?:Glob|Get|Lines)\s+["`]({FOLDER}/[^"`]+)["`]""")
LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
DURATION = re.compile(r"\$__(?:rate_interval|interval|range)\b|\$\{__(?:rate_interval|interval|range)\}")
VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)[^}]*\}|\[\[(\w+)(?::\w+)?\]\]")
TOKEN = re.compile(
    # where Prometheus wants text or the names of labels, a variable may have any value
    r"""(?P<names>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|\#[^\n]*
    |\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))|"""
    + VARIABLE.pattern,
    re.DOTALL | re.VERBOSE,
)
FUNCTION = re.compile(r"(label_names|label_values|metrics|query_result)\s*\((?:(.*)\))?", re.DOTALL)
"""What the query of a variable may be beside a selector of series."""
LABEL_VALUES = re.compile(r"(?:(?P<series>.+),)?\s*(?:[^\s,(){}]+|\$\{[^}]*\})\s*", re.DOTALL)

PROMETHEUS = "prometheus"
"""The data source of whatever names none: the stack's default is its Prometheus."""
INERT = {"refId", "datasource", "hide", "key"}
"""Fields of a query that asks nothing: Grafana gives one to rows and texts, too."""
MUTE = {"row", "text", "dashlist", "news", "alertlist", "annolist"}
"""Types of panels that run no query, whatever is left over in them."""
Fields = tuple[places.Path, ...]
EXPRESSION: Fields = (("expr",), ("query", "spec", "expr"))
EVENTS: Fields = (("target", "expr"), ("expr",), ("query", "spec", "expr"), ("legacyOptions", "expr"))
CHOICES: Fields = (
    ("query",),
    ("query", "query"),
    ("query", "spec", "query"),
    ("query", "spec", "__legacyStringValue"),
    ("definition",),
)
"""Where the query of a panel, an annotation and a variable stands: first of schema v1, then of v2."""


class Asked(NamedTuple):
    """One thing that a dashboard asks.

    Attributes:
        path: Its place.
        owner: The panel, variable or annotation, by name.
        query: PromQL, with Grafana's variables.
        problem: Why it is not known what it asks; empty where it is.
    """

    path: places.Path
    owner: str
    query: str
    problem: str = ""


class _Query(NamedTuple):
    """A query of any data source; `holder` is the object at `path`."""

    path: places.Path
    owner: str
    holder: Mapping[str, Any]
    source: Any
    fields: Fields


@dataclass(frozen=True)
class Carried:
    """What a ConfigMap carries for Grafana.

    Attributes:
        config_map: The ConfigMap.
        key: Of its data.
        text: The dashboard.
    """

    config_map: Manifest
    key: str
    text: str

    @property
    def meant(self) -> bool:
        """Whether it must be a dashboard; any other ConfigMap may have JSON of its own."""
        return self._of_folder or self.loaded

    @property
    def loaded(self) -> bool:
        """Whether the sidecar gives it to Grafana as a file; an operator, say, would import it."""
        return any(LOADED in label for label in self.config_map.labels)

    @property
    def is_file(self) -> bool:
        """Whether it is a file of the chart's; else it stands in the template."""
        return self._of_folder or not self.config_map.template

    @property
    def file(self) -> str:
        """Where the text stands, as a path from the top of the checkout."""
        if not self.is_file:
            return self.config_map.file
        chart = self.config_map.file.rpartition("/templates/")[0]
        stem, _, suffix = self.key.rpartition(".")
        return f"{chart}/{FOLDER}/{stem.rpartition('.')[2]}.{suffix}"

    def line(self, path: places.Path) -> int:
        """Return the line of something in it; 0 where that cannot be known.

        Args:
            path: Its place. The chart fills words into a dashboard but no lines: a line of the text is one of the file.
        """
        if not self.is_file:
            return self.config_map.line(("data", self.key))
        return places.values_line(self.text.replace("\t", " "), path)  # YAML has no tabs where JSON has

    @property
    def _of_folder(self) -> bool:
        return f"{FOLDER}/" in self.config_map.template


def carried(manifest: Manifest) -> Iterator[Carried]:
    """Yield what a ConfigMap carries for Grafana.

    Args:
        manifest: A ConfigMap.
    """
    for key, text in mapping(manifest.dig("data")).items():
        found = Carried(manifest, str(key), str(text))
        suffix = found.key.rpartition(".")[2]
        if suffix == "json" or (found.meant and suffix != "url"):  # a .url is where the sidecar fetches one
            yield found


def left_out(chart: Chart) -> Iterator[Finding]:
    """Yield each file among a chart's dashboards that looks like one, and that no template takes.

    Args:
        chart: The chart. One whose templates name no files of the folder is left alone.
    """
    taken = sorted({pattern for text in chart.templates.values() for pattern in TAKEN.findall(text)})
    if not taken or any("**" in pattern or "{" in pattern for pattern in taken):  # pathlib does not know these
        return
    for file in sorted((chart.folder / FOLDER).rglob("*")):
        path = file.relative_to(chart.folder)
        meant = file.is_file() and file.suffix.lower() in (".json", ".yaml", ".yml")
        if meant and not any(path.match(pattern) for pattern in taken):
            said = f"no template takes it; of the dashboards they take {', '.join(taken)}"
            remedy = "write it as JSON where they look, or remove it"
            yield Finding("references", f"{chart.name}/{path.as_posix()}", 0, said, remedy)


def misshapen(dashboard: Any) -> tuple[str, str] | None:
    """Return why something is no dashboard, and what to do about it; None where it is one.

    Args:
        dashboard: What JSON makes of it.
    """
    if not isinstance(dashboard, Mapping):
        return "no dashboard: JSON, but no object", "export the dashboard from Grafana, and keep the object alone"
    _, body = _body(dashboard)
    if isinstance(body.get("elements"), Mapping) or any(isinstance(body.get(key), list) for key in ("panels", "rows")):
        return None
    for wrapper in ("dashboard", "Dashboard"):
        if isinstance(dashboard.get(wrapper), Mapping):
            return (
                f"no dashboard: it has one under `{wrapper}`, where Grafana does not look",
                "keep what is in there alone",
            )
    if any(key in dashboard for key in ("targets", "model", "libraryPanel", "gridPos")):
        return "no dashboard: a panel alone", "export the dashboard that has the panel"
    remedy = "export the dashboard from Grafana, and keep it whole"
    return "no dashboard: neither a list of `panels` (schema v1) nor `elements` (v2)", remedy


def queries(dashboard: Any) -> Iterator[tuple[places.Path, str, str]]:
    """Yield the place, the owner's name and the PromQL of everything that a dashboard asks Prometheus.

    Args:
        dashboard: The dashboard.
    """
    for each in asked(dashboard):
        if not each.problem:
            yield each.path, each.owner, each.query


def asked(dashboard: Any) -> Iterator[Asked]:
    """Yield everything that a dashboard asks Prometheus, and what may ask it and is not understood.

    Args:
        dashboard: The dashboard: of schema v1 or v2, by itself or as `spec` of a resource.
    """
    base, body = _body(dashboard)
    known = _sources(body)
    for query in _queries(body, base):
        kind = _kind(query.source, known)
        if kind is None:
            yield Asked(query.path, query.owner, "", f"its data source {query.source!r} has no type")
        elif PROMETHEUS in kind.lower():
            yield from _read(query)
    for name, element in mapping(body.get("elements")).items():
        if dig(element, "kind") not in ("Panel", "LibraryPanel"):
            yield Asked((*base, "elements", name), f"element {name}", "", f"the kind {dig(element, 'kind')}")
    for place, panel in panels(body, base):
        if not isinstance(panel.get("targets") or [], list):
            yield Asked((*place, "targets"), f"panel {panel.get('title')}", "", "its targets are no list")


def unfilled(dashboard: Any) -> Iterator[tuple[places.Path, str, str]]:
    """Yield what a dashboard asks of whoever imports it, and names: nobody fills it in where Grafana reads a file.

    Args:
        dashboard: As for `asked`.

    Yields:
        The place of an input, what is wrong, and what to do about it
        (https://github.com/grafana/grafana/issues/10786).
    """
    base, body = _body(dashboard)
    texts = [text for key, part in body.items() if key != INPUTS for text in _texts(part)]
    variables = {str(item.get("name")) for _, item in entries(dig(body, "templating", "list"))}
    for index, item in entries(body.get(INPUTS)):
        name = str(item.get("name"))
        named = f"${{{name}}}"
        if name in variables or not any(named in text for text in texts):
            continue
        said = (
            f"input {name}: Grafana asks for it where a person imports the dashboard; in a file {named} stays as it is"
        )
        if item.get("type") == "datasource":
            variable = json.dumps({"name": name, "type": "datasource", "query": item.get("pluginId")})
            remedy = f'export it without "for sharing externally", or add {variable} to templating.list'
        else:
            remedy = f"write {item.get('value', 'its value')} wherever {named} stands"
        yield (*base, INPUTS, index), said, remedy


def _texts(value: Any) -> Iterator[str]:
    return (each for _, each in places.walk({"": value}) if isinstance(each, str))


def _read(query: _Query) -> Iterator[Asked]:
    """Yield the PromQL of a query of Prometheus, if it has any."""
    texts = [(field, dig(query.holder, *field)) for field in query.fields]
    texts = [(field, text) for field, text in texts if isinstance(text, str)]
    if not texts:
        yield Asked(query.path, query.owner, "", f"it has no {query.fields[0][-1]}")
        return
    field, text = next((each for each in texts if each[1].strip()), texts[0])
    found = _chosen(text) if query.fields is CHOICES else text
    path = (*query.path, *field)
    if found is None:
        yield Asked(path, query.owner, "", f"the query {text!r}")
    elif found or query.fields is not CHOICES:
        yield Asked(path, query.owner, found)


def _body(dashboard: Any) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Return the dashboard itself, and its place in what may be a resource of Grafana's API."""
    base = ("spec",) if isinstance(dig(dashboard, "spec"), Mapping) else ()
    return base, mapping(dig(dashboard, *base))


def _queries(body: Mapping[str, Any], base: tuple[str, ...]) -> Iterator[_Query]:
    """Yield each query of variables, annotations and panels: what the one schema has, the other has elsewhere."""
    path: places.Path
    for index, item in entries(dig(body, "templating", "list")):
        if item.get("type") == "query":
            path = (*base, "templating", "list", index)
            yield _Query(path, f"variable {item.get('name')}", item, item.get("datasource"), CHOICES)
    for index, item in entries(dig(body, "annotations", "list")):
        if not item.get("builtIn"):
            path = (*base, "annotations", "list", index)
            yield _Query(path, f"annotation {item.get('name')}", item, item.get("datasource"), EVENTS)
    for place, panel in panels(body, base):
        for at, target in entries(None if str(panel.get("type")) in MUTE else panel.get("targets")):
            if target.keys() - INERT:
                source = target.get("datasource") or panel.get("datasource")
                yield _Query((*place, "targets", at), f"panel {panel.get('title')}", target, source, EXPRESSION)

    for path, item in _variables(body, base):
        if item.get("kind") == "QueryVariable":
            spec = mapping(item.get("spec"))
            yield _Query((*path, "spec"), f"variable {spec.get('name')}", spec, _source(spec), CHOICES)
    for index, item in entries(body.get("annotations")):
        spec = mapping(item.get("spec"))
        if not spec.get("builtIn"):
            path = (*base, "annotations", index, "spec")
            yield _Query(path, f"annotation {spec.get('name')}", spec, _source(spec), EVENTS)
    for name, element in mapping(body.get("elements")).items():
        view = mapping(dig(element, "spec", "vizConfig"))
        if {str(view.get("group")), str(view.get("kind"))} & MUTE:
            continue
        for at, item in entries(dig(element, "spec", "data", "spec", "queries")):
            spec = mapping(item.get("spec"))
            if mapping(dig(spec, "query", "spec")).keys() - INERT:
                path = (*base, "elements", name, "spec", "data", "spec", "queries", at, "spec")
                yield _Query(path, f"panel {dig(element, 'spec', 'title')}", spec, _source(spec), EXPRESSION)


def panels(dashboard: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[places.Path, Mapping[str, Any]]]:
    """Yield the place and the object of each panel of schema v1, those of rows and of its own library among them.

    Args:
        dashboard: The dashboard, or a row that holds panels.
        path: Its own place.
    """
    for index, row in entries(dig(dashboard, "rows")):  # of old
        yield from panels(row, (*path, "rows", index))
    for index, panel in entries(dig(dashboard, "panels")):
        here = (*path, "panels", index)
        yield here, panel
        yield from panels(panel, here)
    for name, element in mapping(dig(dashboard, "__elements")).items():
        yield (*path, "__elements", name, "model"), mapping(dig(element, "model"))


def _variables(
    body: Mapping[str, Any], path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Yield the variables of schema v2: the dashboard's, and those of rows and tabs, however deep."""
    for index, item in entries(body.get("variables")):
        yield (*path, "variables", index), item
    for key in ("rows", "tabs"):
        for index, item in entries(dig(body, "layout", "spec", key)):
            yield from _variables(mapping(item.get("spec")), (*path, "layout", "spec", key, index, "spec"))


def _sources(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the types of the data sources that variables stand for, and those that an import asks for."""
    found = {str(item.get("name")): item.get("pluginId") for _, item in entries(body.get(INPUTS))}
    for _, item in entries(dig(body, "templating", "list")):
        if item.get("type") == "datasource":
            found[str(item.get("name"))] = item.get("query")
    for _, item in _variables(body, ()):
        if item.get("kind") == "DatasourceVariable":
            found[str(dig(item, "spec", "name"))] = dig(item, "spec", "pluginId")
    return {name: kind for name, kind in found.items() if isinstance(kind, str)}


def _source(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data source of a query of schema v2 as v1 has it; its type is `group`, and was `kind` in v2alpha1."""
    query = mapping(spec.get("query"))
    kind = query.get("group") or (query.get("kind") if query.get("kind") != "DataQuery" else None)
    own = mapping(spec.get("datasource")) or mapping(query.get("datasource"))
    return {**own, "type": kind} if kind else own


def _kind(source: Any, known: Mapping[str, str]) -> str | None:
    """Return the type of a data source; None where that cannot be told."""
    name = source
    if isinstance(source, Mapping):
        name = source.get("uid") or source.get("name")
        if source.get("type") and name != "-- Mixed --":
            return str(source["type"])
    if name in (None, "", "default", "-- Mixed --"):
        return PROMETHEUS
    variable = VARIABLE.fullmatch(str(name))
    if variable and known.get(_name(variable)):
        return known[_name(variable)]
    if PROMETHEUS in str(name).lower():
        return PROMETHEUS
    return "grafana" if str(name).startswith("-- ") or name in ("grafana", "__expr__") else None


def _chosen(text: str) -> str | None:
    """Return the PromQL in the query of a variable: empty where it has none, None where it is not understood."""
    found = FUNCTION.match(text.strip())
    if not found:
        return text.strip() or None
    function, inner = found[1], found[2]
    if found.end() < len(text.strip()) or inner is None or (function != "label_names" and not inner.strip()):
        return None
    if function == "query_result":
        return inner
    if function == "label_values":
        values = LABEL_VALUES.fullmatch(inner)
        return (values["series"] or "") if values else None
    return ""  # a regular expression of names, or nothing


def legend(form: str, labels: Mapping[str, str]) -> str:
    """Return a series' name as Grafana writes it.

    Args:
        form: The target's `legendFormat`, with `{{label}}` in it.
        labels: The series' own.
    """
    return LABEL.sub(lambda match: labels.get(match[1], ""), form)


def promql(expression: str, variables: Mapping[str, str] | None = None, duration: str = "1m") -> str:
    """Return an expression as Grafana sends it to Prometheus.

    Args:
        expression: PromQL with Grafana's variables.
        variables: The dashboard's own, by name; those left out stay as they are.
        duration: In place of Grafana's intervals.

    Returns:
        PromQL.
    """
    known = variables or {}
    return VARIABLE.sub(lambda match: known.get(_name(match), match[0]), DURATION.sub(duration, expression))


def filled(expression: str) -> str:
    """Return an expression with something in place of each variable that Prometheus may take there.

    Args:
        expression: PromQL with Grafana's variables.

    Returns:
        PromQL; a name that holds `WORD` may be any.
    """
    text = promql(expression)
    return TOKEN.sub(lambda match: VARIABLE.sub(WORD, match[0]) if match["names"] else _stand_in(match), text)


def is_guess(expression: str) -> bool:
    """Tell whether `filled` could but guess what a variable is: a number, a duration, a function or a name.

    Args:
        expression: PromQL with Grafana's variables.
    """
    return any(not match["names"] for match in TOKEN.finditer(promql(expression)))


def _stand_in(variable: re.Match[str]) -> str:
    before, after = variable.string[: variable.start()], variable.string[variable.end() :]
    if re.match(r"[smhdwy]\b", after) and not re.search(r"[\w:]$", before):
        return "1"
    if re.match(r"\s*\(|\s+(?:by|without)\b", after):
        return "sum"
    return WORD if re.search(r"[\w:]$", before) or re.match(r"[\w:{[]", after) else "1m"  # 1m is a number, too


def _name(variable: re.Match[str]) -> str:
    return next(name for name in variable.groups() if name)
