"""The course of canaries: what is played of each application, with which figures, and what came of it.

`inside.play` plays it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from ci.base.errors import CheckFailedError, UsageError
from ci.canary import catalogue, engine, plan, series
from ci.canary import declared as declarations
from ci.canary.catalogue import Shape
from ci.canary.declared import Declared
from ci.canary.known_answer import KnownAnswer
from ci.canary.plan import Plan, Step
from ci.canary.series import Sample
from ci.checks.control_plane import shortened
from ci.checks.control_plane.inside import answers
from ci.checks.control_plane.inside.course import BAD, GOOD
from ci.checks.tools import Tools
from ci.manifests import places
from ci.manifests import series as queries
from ci.manifests.chart import Rendering
from ci.manifests.manifests import Manifest, dig, entries, mapping
from ci.manifests.series import Read
from ci.project import Project
from ci.results import CanaryCourse, Finding

CHECK = "canary-course"
TEMPLATES = ("AnalysisTemplate", "ClusterAnalysisTemplate")
CANARY = ("spec", "strategy", "canary")
ROUTING = {"istio", "managedRoutes"}
"""What the control plane has of traffic routing."""
STEPS = {
    "setWeight",
    "pause",
    "analysis",
    "setCanaryScale",
    "setHeaderRoute",
    "setMirrorRoute",
    "replicaProgressThreshold",
}
"""Those that need nothing else: figures are of a revision, which an experiment's pods are none of."""
GENERATED = {series.REQUESTS, series.BUCKETS}
FIGURES, ANSWER = "figures", "answer"
"""What answers a metric: Prometheus, with figures that are made up, or a model with the known answer."""
SETTLED_SECONDS = 300
"""How long each weight has been in force when figures are asked for: more than windows look back."""
HEALTHY = Shape("healthy", bad=False)
LEFT_OUT = "nothing to correct here: `test` plays it on a cluster"
REMEDY = "correct it: on a cluster the canary goes no other way"


@dataclass(frozen=True)
class Template:
    """An AnalysisTemplate.

    Attributes:
        manifest: The object.
        asked: What answers each metric that is asked, by its index.
    """

    manifest: Manifest
    asked: Mapping[int, str]

    def place(self, metric: str) -> places.Path | None:
        """Return where a metric is; None where it has none of this name."""
        indices = (index for index, each in entries(self.manifest.dig("spec", "metrics")) if each.get("name") == metric)
        return next((("spec", "metrics", index) for index in indices), None)


@dataclass(frozen=True)
class Canary:
    """A Rollout that is played.

    Attributes:
        number: Its own among the application's objects.
        manifest: The object.
        templates: AnalysisTemplates that it names.
        fault: What is wrong with the bad version; None where nothing that is asked could tell.
    """

    number: int
    manifest: Manifest
    templates: Sequence[Template]
    fault: Shape | None

    @property
    def versions(self) -> Mapping[str, Shape]:
        """What rolls out after the first version."""
        return {GOOD: HEALTHY, **({BAD: self.fault} if self.fault else {})}

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """As they are declared."""
        return [step for _, step in entries(self.manifest.dig(*CANARY, "steps"))]

    @property
    def held(self) -> Sequence[int]:
        """Indices of the steps that wait for a person."""
        pauses = ((index, step["pause"]) for index, step in enumerate(self.steps) if "pause" in step)
        return [index for index, pause in pauses if dig(pause, "duration") is None]


@dataclass(frozen=True)
class Application:
    """An application whose canaries are played.

    Attributes:
        rendering: It.
        number: Its own among those that are played.
        scraped: Names of its series; None where nobody knows them.
        requests: To it, per second.
        templates: Its AnalysisTemplates.
        canaries: Its Rollouts.
    """

    rendering: Rendering
    number: int
    scraped: Plan | None
    requests: float
    templates: Sequence[Template]
    canaries: Sequence[Canary]

    @property
    def name(self) -> str:
        """ENV/APP."""
        return self.rendering.target.name

    @property
    def given(self) -> Mapping[str, Any]:
        """What `inside.play.Player` is made of."""
        port, namespace = answers.PORT + 1 + self.number, self.rendering.target.namespace
        return {
            "application": self.name,
            "port": port,
            "templates": [
                shortened.template(each.manifest.data, namespace, port, each.asked) for each in self.templates
            ],
            "courses": [self._course(each, namespace) for each in self.canaries],
        }

    def samples(self, declared: Declared | None) -> Iterator[Sample]:
        """Yield what Prometheus has of it.

        Args:
            declared: What healthy means.
        """
        if self.scraped is None or declared is None:
            return
        for canary in self.canaries:
            weights = [step["setWeight"] for step in canary.steps if "setWeight" in step] or [100]
            steps = [each for weight in weights for each in (Step(weight=weight), Step(pause=SETTLED_SECONDS))]
            held = replace(self.scraped, steps=steps)
            for version, shape in canary.versions.items():
                names = self._names(canary, version)
                yield from series.samples(held, shape, declared.healthy, self.requests, 0, names)

    def _course(self, canary: Canary, namespace: str) -> Mapping[str, Any]:
        document, known = canary.manifest.data, self.scraped.known_answer if self.scraped else None
        weights = accumulate("setWeight" in step for step in canary.steps)
        times = [engine.BASE + max(number, 1) * SETTLED_SECONDS - 1 for number in weights]
        return {
            "rollout": canary.number,
            "document": shortened.rollout(document, namespace),
            "held": canary.held,
            "times": times or [engine.BASE],
            "names": {version: self._names(canary, version) for version in canary.versions},
            "answers": {version: _answer(known, shape) for version, shape in canary.versions.items()},
            "fault": canary.fault.name if canary.fault else "",
        }

    def _names(self, canary: Canary, version: str) -> Mapping[str, str]:
        """Return what revisions are called in the series of a version."""
        return {role: f"{role}-{self.number}-{canary.number}-{version}".lower() for role in ("Stable", "Latest")}


@dataclass(frozen=True)
class Playing:
    """What canaries are played with.

    Attributes:
        programs: Static executables: Prometheus, and promtool.
        declared: Traffic, and what healthy means; None where nothing is declared.
        read: What Prometheus makes of `expressions`.
    """

    programs: Sequence[Path]
    declared: Declared | None
    read: Read


async def playing(tool: Tools, root: Path, project: Project, renderings: Sequence[Rendering]) -> Playing:
    """Return what the canaries of renderings are played with.

    Args:
        tool: Has the executables.
        root: The project's folder.
        project: The project.
        renderings: Without findings.
    """
    try:
        healthy = declarations.load(root, project.paths.tree)
    except UsageError:  # which is a finding of the gates
        healthy = None
    async with engine.empty(tool.prometheus) as reader:
        read = await reader.read(expressions(renderings))
    return Playing([tool.prometheus, tool.promtool], healthy, read)


def expressions(renderings: Sequence[Rendering]) -> set[str]:
    """Return the queries of all AnalysisTemplates, as PromQL.

    Args:
        renderings: The applications.
    """
    return {
        queries.filled(query)
        for rendering in renderings
        for each in rendering.objects
        if each.kind in TEMPLATES
        for _, metric in entries(each.dig("spec", "metrics"))
        if (query := dig(metric, "provider", "prometheus", "query")) is not None
    }


def applications(
    renderings: Sequence[Rendering], declared: Declared | None, read: queries.Read
) -> tuple[list[Application], list[tuple[str, Finding]]]:
    """Return the applications that have a canary to play, and what of them is not played.

    Args:
        renderings: All of them.
        declared: Traffic, and what healthy means; None where nothing is declared.
        read: What Prometheus makes of `expressions`.
    """
    found: list[Application] = []
    left_out: list[tuple[str, Finding]] = []
    for rendering in renderings:
        application = _application(rendering, declared, read, len(found))
        left_out += ((rendering.target.name, finding) for finding in _left_out(application, read))
        if application.canaries:
            found.append(application)
    return found, left_out


def courses(
    played: Sequence[Application], told: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[CanaryCourse, Finding | None]]:
    """Yield what came of each Rollout, and what is wrong with it, if anything.

    Args:
        played: The applications.
        told: As `inside.play.play` tells it; not of an application that the control plane refuses.
    """
    by_rollout = {(each["application"], each["rollout"]): each for each in told}
    for application in played:
        for canary in application.canaries:
            came = by_rollout.get((application.name, canary.number))
            if came is not None:
                yield _course(application, canary, came)


def _application(rendering: Rendering, declared: Declared | None, read: queries.Read, number: int) -> Application:
    scraped, requests = _scraped(rendering, declared)
    templates = [_template(each, scraped, read) for each in rendering.objects if each.kind in TEMPLATES]
    canaries = []
    for number_of_it, each in enumerate(rendering.objects):
        canary = each.dig(*CANARY) if each.kind == "Rollout" else None
        if isinstance(canary, Mapping) and not _missing(canary):
            named = _templates(canary)
            own = [template for template in templates if template.manifest.name in named]
            canaries.append(Canary(number_of_it, each, own, _fault(own, declared, rendering.target.name)))
    return Application(rendering, number, scraped, requests, templates, canaries)


def _scraped(rendering: Rendering, declared: Declared | None) -> tuple[Plan | None, float]:
    """Return the names of an application's series, and its requests per second; None and 0 where one is not known."""
    name, namespace = rendering.target.name, rendering.target.namespace
    try:
        found = plan.scraped(name, rendering.objects) if declared else None
        requests = declared.requests(name) if declared else 0.0
    except (UsageError, CheckFailedError):  # of what is wrong there, `gates` has a finding
        return None, 0.0
    return (replace(found, namespace=found.namespace or namespace) if found else None), requests


def _template(manifest: Manifest, scraped: Plan | None, read: queries.Read) -> Template:
    asked = {
        index: by for index, metric in entries(manifest.dig("spec", "metrics")) if (by := _asked(metric, scraped, read))
    }
    return Template(manifest, asked)


def _asked(metric: Mapping[str, Any], scraped: Plan | None, read: queries.Read) -> str:
    """Return what answers a metric; empty where nothing can."""
    if scraped is None:
        return ""
    query = dig(metric, "provider", "prometheus", "query")
    if query is not None and dig(metric, "provider", "prometheus", "rangeQuery") is None:
        expression = read[queries.filled(query)]  # what is no PromQL is asked as well: Prometheus says what is wrong
        return FIGURES if all(each.name in GENERATED for each in expression.selectors) else ""
    return ANSWER if dig(metric, "provider", "web") is not None and scraped.known_answer is not None else ""


def _answer(known: KnownAnswer | None, shape: Shape) -> Any:
    """Return what a version answers to the known request, where there is one."""
    if known is None:
        return None
    return known.wrong if shape.wrong else known.right


def _fault(templates: Sequence[Template], declared: Declared | None, name: str) -> Shape | None:
    """Return a bad version that must be stopped: gates.yaml may accept that it is not."""
    asked = {by for template in templates for by in template.asked.values()}
    wanted = {FIGURES: catalogue.ALL_ERRORS, ANSWER: catalogue.WRONG_ANSWERS}
    shapes = {each.name: each for each in catalogue.faults(SETTLED_SECONDS)}
    able = (shapes[fault] for by, fault in wanted.items() if by in asked)
    return next((each for each in able if declared and not declared.accepts(each.name, name)), None)


def _left_out(application: Application, read: queries.Read) -> Iterator[Finding]:
    """Yield what is not played, by its name."""
    for each in application.rendering.objects:
        missing = _missing(mapping(each.dig(*CANARY))) if each.kind == "Rollout" else {}
        for name, path in missing.items():
            yield _warning(each, (*CANARY, *path), f"its canary is not played: {name} is not here")
    for template in application.templates if application.canaries else ():
        for index, metric in entries(template.manifest.dig("spec", "metrics")):
            if index not in template.asked:
                why = _why(metric, application, read)
                said = f"metric {metric.get('name')} is not played, but taken as good: {why}"
                yield _warning(template.manifest, ("spec", "metrics", index), said)
    for canary in application.canaries:
        if canary.fault is None:
            said = "no bad version is played: no metric that is asked has to stop one"
            yield _warning(canary.manifest, CANARY, said)


def _missing(canary: Mapping[str, Any]) -> Mapping[str, places.Path]:
    """Return what a canary needs and the control plane does not have, with the way there."""
    routers = set(mapping(canary.get("trafficRouting"))) - ROUTING
    found: dict[str, places.Path] = {router: ("trafficRouting", router) for router in sorted(routers)}
    for index, step in entries(canary.get("steps")):
        found.update({name: ("steps", index, name) for name in sorted(set(step) - STEPS)})
    return found


def _why(metric: Mapping[str, Any], application: Application, read: queries.Read) -> str:
    """Return why nothing answers a metric."""
    prometheus = dig(metric, "provider", "prometheus")
    if prometheus is None:
        provider = ", ".join(mapping(metric.get("provider"))) or "nobody"
        return f"it asks by {provider}, and nobody here knows the answer"
    if application.scraped is None:
        return "there is no ServiceMonitor that names its series, or nothing is declared of its traffic"
    others = read[queries.filled(str(prometheus.get("query")))].names - GENERATED
    if others:
        return f"{', '.join(sorted(others))}: figures are made up for {' and '.join(sorted(GENERATED))} alone"
    return "its query names no series, or asks about a range"


def _course(application: Application, canary: Canary, came: Mapping[str, Any]) -> tuple[CanaryCourse, Finding | None]:
    fault, wrong = canary.fault.name if canary.fault else "", came["wrong"]
    promoted = [step + 1 for step in came["promoted"]]
    said = wrong["said"] if wrong else ""
    went = CanaryCourse(application.name, canary.manifest.name, came["weights"], promoted, fault, came["by"], said)
    if not wrong:
        return went, None
    owner, path = _place(canary, wrong["step"], wrong["metric"])
    return went, owner.finding(CHECK, path, said, REMEDY)


def _place(canary: Canary, step: int | None, metric: str) -> tuple[Manifest, places.Path]:
    """Return the metric that something is said of, else the step, else the canary."""
    path: places.Path = CANARY if step is None else (*CANARY, "steps", step)
    if not metric:
        return canary.manifest, path
    analysis = canary.manifest.dig(*path) if step is not None else canary.manifest.dig(*CANARY, "analysis")
    named = _templates(analysis)
    found = ((each.manifest, each.place(metric)) for each in canary.templates if each.manifest.name in named)
    return next(((owner, place) for owner, place in found if place), (canary.manifest, path))


def _templates(part: Any) -> set[str]:
    """Return the names of the AnalysisTemplates in a part of a Rollout."""
    return {value for path, value in places.walk(part) if path[-1] == "templateName"}


def _warning(manifest: Manifest, path: places.Path, said: str) -> Finding:
    return replace(manifest.finding(CHECK, path, said, LEFT_OUT), severity="warning")
