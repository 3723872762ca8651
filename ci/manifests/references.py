"""The links between the rendered objects: whatever one names by name, label, port, argument or series must be there.

No cluster would say so in time: each object is valid alone, and a wrong name shows only when a canary goes nowhere.
"""

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ci.manifests import dashboards, runtimes, series
from ci.manifests.manifests import Manifest, dig, entries, mapping, named
from ci.project import FILE
from ci.results import Finding

KSERVE_COMPONENTS = ("predictor", "transformer", "explainer")
POD_HASH_LABEL = "rollouts-pod-template-hash"
STANDARD_MODES = ("Standard", "RawDeployment")
SIDECAR = "istio-proxy"
MESH = "mesh"
"""Gateway of a VirtualService that names none: the proxies of all pods."""
NO_RESULT = "Prometheus takes no such result of a rule, nor Argo Rollouts of a measurement"
"""Either says so only where it evaluates the expression, each time anew, and nothing ever comes of it."""
ONE_MOMENT = "ask for the values of one moment, as rate() and last_over_time() make them of a range"
AS_EXPORTED = "write it as Grafana exports it, with the type of its data source"


@dataclass(frozen=True)
class Pods:
    """The pods of one workload, as far as other objects can point at them.

    Attributes:
        owner: The object that stands for them in the chart.
        labels: What they carry; the value None stands for any.
        containers: Names of their containers.
    """

    owner: Manifest
    labels: Mapping[str, str | None]
    containers: frozenset[str]


@dataclass(frozen=True)
class Service:
    """A Service, rendered or made by KServe.

    Attributes:
        name: Its name.
        ports: Number and name of each port.
        manifest: The rendered object; None if KServe makes it.
    """

    name: str
    ports: tuple[tuple[int, str], ...]
    manifest: Manifest | None = None


@dataclass
class Objects:
    """What there is to point at.

    Attributes:
        manifests: Every rendered object.
        read: What Prometheus made of the expressions in them.
        elsewhere: Series that neither of them makes and that are there: patterns of their names.
        services: By name.
        pods: By kind and name of their workload.
    """

    manifests: Sequence[Manifest]
    read: series.Read
    elsewhere: Sequence[str] = ()
    services: dict[str, Service] = field(default_factory=dict)
    pods: dict[tuple[str, str], Pods] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for manifest in self.of("InferenceService"):
            self._derive(manifest)
        for manifest in self.of("Service"):
            ports = tuple(
                (port.get("port", 0), str(port.get("name", ""))) for _, port in entries(_spec(manifest, "ports"))
            )
            self.services[manifest.name] = Service(manifest.name, ports, manifest)
        for manifest in self.manifests:
            template = mapping(_spec(manifest, "template"))
            if template:
                labels = mapping(dig(template, "metadata", "labels"))
                self.pods[manifest.kind, manifest.name] = Pods(manifest, labels, _containers(template.get("spec")))
        for rollout in self.of("Rollout"):
            source = self.pods.get(
                (str(_spec(rollout, "workloadRef", "kind")), str(_spec(rollout, "workloadRef", "name")))
            )
            if source:
                labels = {**source.labels, POD_HASH_LABEL: None}
                self.pods["Rollout", rollout.name] = Pods(rollout, labels, source.containers)

    def of(self, *kinds: str) -> Iterator[Manifest]:
        """Yield the rendered objects of these kinds."""
        return _of(self.manifests, *kinds)

    def selected(self, selector: Mapping[str, Any]) -> list[Pods]:
        """Return the pods that a label selector means."""
        return [pods for pods in self.pods.values() if _matches(selector, pods.labels)]

    def behind(self, service: Service) -> list[Pods]:
        """Return the pods behind a Service; the Rollout gives a selector to those it switches."""
        if service.manifest is None:
            return []
        selector = mapping(_spec(service.manifest, "selector"))
        if selector:
            return self.selected({"matchLabels": selector})
        return [
            self.pods["Rollout", rollout.name]
            for rollout in self.of("Rollout")
            if ("Rollout", rollout.name) in self.pods
            and service.name in (_canary(rollout, "stableService"), _canary(rollout, "canaryService"))
        ]

    def _derive(self, inference: Manifest) -> None:
        """Add the Deployment and the Service that KServe makes of each component of an InferenceService."""
        for component in KSERVE_COMPONENTS:
            spec = mapping(_spec(inference, component))
            if not spec:
                continue
            name = f"{inference.name}-{component}"
            labels: dict[str, str | None] = {
                **inference.labels,
                **mapping(spec.get("labels")),
                "app": f"isvc.{name}",
                "serving.kserve.io/inferenceservice": inference.name,
                "component": component,
            }
            containers = _containers(spec) | ({runtimes.CONTAINER} if "model" in spec else set()) | {SIDECAR}
            self.pods["Deployment", name] = Pods(inference, labels, frozenset(containers))
            ports = [port for _, port in entries(dig(spec, "model", "ports"))]
            # the first container port becomes 80, further ones keep their number
            first = str(ports[0].get("name", "")) if ports else ""
            further = tuple((port.get("containerPort", 0), str(port.get("name", ""))) for port in ports[1:])
            self.services[name] = Service(name, ((80, first), *further))


def expressions(manifests: Sequence[Manifest]) -> set[str]:
    """Return every expression that `check` wants to have read.

    Args:
        manifests: The objects of one rendering.
    """
    found = {query for _, _, query in _queries(manifests)}
    for each in _carried(manifests):
        with contextlib.suppress(json.JSONDecodeError):  # a finding of `check`
            found |= {dashboards.filled(query) for _, _, query in dashboards.queries(json.loads(each.text))}
    return found


def check(manifests: Sequence[Manifest], read: series.Read, elsewhere: Sequence[str] = ()) -> list[Finding]:
    """Check every link between the objects of one rendering.

    Args:
        manifests: The objects.
        read: What Prometheus made of their `expressions`.
        elsewhere: Series that are there without them: patterns of their names.

    Returns:
        One finding for each link that leads nowhere.
    """
    objects = Objects(manifests, read, elsewhere)
    return list(itertools.chain.from_iterable(link(objects) for link in LINKS))


def _workload(objects: Objects) -> Iterator[Finding]:
    """Rollout → workloadRef → a Deployment that nothing else scales."""
    for rollout in objects.of("Rollout"):
        reference = mapping(_spec(rollout, "workloadRef"))
        if not reference:
            continue
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        pods = objects.pods.get((kind, name))
        if pods is None:
            yield _finding(
                rollout,
                ("spec", "workloadRef", "name"),
                f"workloadRef names {kind} {name}, which is neither rendered nor made by KServe",
                f"name one of: {_names(key for key in objects.pods if key[0] != 'Rollout')}",
            )
        elif pods.owner.kind == "InferenceService":
            yield from _left_alone(rollout, pods.owner, name)


def _left_alone(rollout: Manifest, inference: Manifest, deployment: str) -> Iterator[Finding]:
    annotations = mapping(inference.dig("metadata", "annotations"))
    mode = annotations.get("serving.kserve.io/deploymentMode")
    if mode is not None and mode not in STANDARD_MODES:
        yield _finding(
            inference,
            ("metadata", "annotations", "serving.kserve.io/deploymentMode"),
            f"deploymentMode {mode} makes no Deployment {deployment}, which {rollout} takes its pods from",
            "use Standard",
        )
    if annotations.get("serving.kserve.io/autoscalerClass") != "none":
        yield _finding(
            inference,
            ("metadata", "annotations", "serving.kserve.io/autoscalerClass"),
            f"KServe would scale Deployment {deployment}, whose pods {rollout} owns",
            'annotate it with serving.kserve.io/autoscalerClass: "none"',
        )
    component = deployment.rpartition("-")[2]
    if inference.dig("spec", component, "minReplicas") != 0:
        yield _finding(
            inference,
            ("spec", component, "minReplicas"),
            f"KServe would keep pods of its own in Deployment {deployment}, beside those of {rollout}",
            "set minReplicas: 0",
        )


def _switched_services(objects: Objects) -> Iterator[Finding]:
    """Rollout → its stable and canary Services."""
    for rollout in objects.of("Rollout"):
        pair = {key: _canary(rollout, key) for key in ("stableService", "canaryService")}
        for key, name in pair.items():
            path = ("spec", "strategy", "canary", key)
            if name is None:
                if _canary(rollout, "trafficRouting") is not None:
                    yield _finding(rollout, path, f"trafficRouting needs a {key}", f"name the Service as {key}")
                continue
            service = objects.services.get(str(name))
            if service is None or service.manifest is None:
                yield _finding(
                    rollout,
                    path,
                    f"{key} names Service {name}, which the chart does not render",
                    f"name one of: {_names((item.kind, item.name) for item in objects.of('Service'))}",
                )
            elif objects.pods.get(("Rollout", rollout.name)) not in [None, *objects.behind(service)]:
                yield _finding(
                    service.manifest,
                    ("spec", "selector"),
                    f"its selector does not mean the pods of {rollout}, whose {key} it is",
                    "leave the selector out (the Rollout sets it) or select the labels of its pods",
                )
        if pair["stableService"] is not None and pair["stableService"] == pair["canaryService"]:
            yield _finding(
                rollout,
                ("spec", "strategy", "canary", "canaryService"),
                f"stableService and canaryService are both {pair['stableService']}",
                "give each a Service of its own",
            )


def _routes(objects: Objects) -> Iterator[Finding]:
    """Rollout → VirtualService → the route whose weights it moves."""
    for rollout in objects.of("Rollout"):
        istio = ("spec", "strategy", "canary", "trafficRouting", "istio")
        single = rollout.dig(*istio, "virtualService")
        many = list(entries(rollout.dig(*istio, "virtualServices")))
        references: list[tuple[tuple[str | int, ...], Mapping[str, Any]]] = []
        references += [((*istio, "virtualServices", index), item) for index, item in many]
        if isinstance(single, Mapping):
            references.append(((*istio, "virtualService"), single))
        for path, reference in references:
            name = str(reference.get("name"))
            virtual = named(objects.manifests, "VirtualService", name)
            if virtual is None:
                yield _finding(
                    rollout,
                    (*path, "name"),
                    f"trafficRouting names VirtualService {name}, which the chart does not render",
                    f"name one of: {_names((item.kind, item.name) for item in objects.of('VirtualService'))}",
                )
                continue
            http = dict(entries(_spec(virtual, "http")))
            routes = reference.get("routes")
            if not routes and len(http) > 1:
                yield _finding(
                    rollout, path, f"{virtual} has {len(http)} routes, and none is named", "list it in routes"
                )
            for wanted in routes or [item.get("name") for item in http.values()][:1]:
                found = next(((index, item) for index, item in http.items() if item.get("name") == wanted), None)
                if found is None:
                    yield _finding(
                        rollout,
                        (*path, "routes"),
                        f"{virtual} has no http route named {wanted}",
                        f"name one of: {', '.join(str(item.get('name')) for item in http.values())}",
                    )
                else:
                    yield from _weights(rollout, virtual, *found)


def _weights(rollout: Manifest, virtual: Manifest, index: int, route: Mapping[str, Any]) -> Iterator[Finding]:
    path = ("spec", "http", index, "route")
    destinations = [item for _, item in entries(route.get("route"))]
    hosts = [_service_name(virtual, str(dig(item, "destination", "host"))) for item in destinations]
    for key in ("stableService", "canaryService"):
        service = _canary(rollout, key)
        if service is not None and service not in hosts:
            yield _finding(
                virtual,
                path,
                f"route {route.get('name')} has no destination {service}, the {key} of {rollout}",
                "add it: the Rollout can only move weights between its two Services",
            )
    weights = [item.get("weight", 0) for item in destinations]
    if len(weights) > 1 and all(isinstance(weight, int) for weight in weights) and sum(weights) != 100:
        yield _finding(
            virtual, path, f"the weights of route {route.get('name')} add up to {sum(weights)}", "make it 100"
        )


def _destinations(objects: Objects) -> Iterator[Finding]:
    """VirtualService → the Services it stands for and sends to, and their ports."""
    for virtual in objects.of("VirtualService"):
        for index, host in enumerate(_spec(virtual, "hosts") or ()):
            name = _service_name(virtual, str(host))
            if name is not None and name not in objects.services:
                yield _no_service(objects, virtual, ("spec", "hosts", index), str(host))
        for http, item in entries(_spec(virtual, "http")):
            for at, route in entries(item.get("route")):
                path = ("spec", "http", http, "route", at, "destination")
                name = _service_name(virtual, str(dig(route, "destination", "host")))
                if name is None:
                    continue
                service = objects.services.get(name)
                if service is None:
                    yield _no_service(objects, virtual, (*path, "host"), name)
                    continue
                number = dig(route, "destination", "port", "number")
                numbers = [port for port, _ in service.ports]
                if number is None and len(numbers) > 1:
                    yield _finding(
                        virtual, path, f"Service {name} has {len(numbers)} ports, and none is named", "add port.number"
                    )
                elif number is not None and number not in numbers:
                    yield _finding(
                        virtual,
                        (*path, "port", "number"),
                        f"Service {name} has no port {number}",
                        f"use one of: {', '.join(map(str, numbers))}",
                    )


def _no_service(objects: Objects, manifest: Manifest, path: tuple[str | int, ...], host: str) -> Finding:
    return _finding(
        manifest,
        path,
        f"{host} is no Service that the chart renders or KServe makes",
        f"name one of: {_names(('Service', name) for name in objects.services)}",
    )


def _analysis(objects: Objects) -> Iterator[Finding]:
    """Rollout → AnalysisTemplates and the arguments they ask for."""
    for rollout in objects.of("Rollout"):
        canary = ("spec", "strategy", "canary")
        places: list[tuple[str | int, ...]] = [(*canary, "analysis")]
        places += [(*canary, "steps", index, "analysis") for index, _ in entries(rollout.dig(*canary, "steps"))]
        for path in places:
            analysis = mapping(rollout.dig(*path))
            templates = []
            for index, reference in entries(analysis.get("templates")):
                if reference.get("clusterScope"):
                    break  # not this chart's: nothing can be said of its arguments
                name = str(reference.get("templateName"))
                template = named(objects.manifests, "AnalysisTemplate", name)
                if template is None:
                    yield _finding(
                        rollout,
                        (*path, "templates", index, "templateName"),
                        f"AnalysisTemplate {name} is not rendered",
                        f"name one of: {_names((item.kind, item.name) for item in objects.of('AnalysisTemplate'))}",
                    )
                    break
                templates.append(template)
            else:
                if templates:
                    yield from _arguments(rollout, (*path, "args"), analysis, templates)
        starting = rollout.dig(*canary, "analysis", "startingStep")
        steps = rollout.dig(*canary, "steps") or []
        if isinstance(starting, int) and starting >= len(steps):
            yield _finding(
                rollout,
                (*canary, "analysis", "startingStep"),
                f"startingStep {starting}: there are {len(steps)} steps, counted from 0, so it never starts",
                "name a step that exists",
            )


def _arguments(
    rollout: Manifest, path: tuple[str | int, ...], analysis: Mapping[str, Any], templates: Sequence[Manifest]
) -> Iterator[Finding]:
    given = {str(item.get("name")): index for index, item in entries(analysis.get("args"))}
    declared = {str(item.get("name")): item for template in templates for _, item in entries(_spec(template, "args"))}
    names = ", ".join(template.name for template in templates)
    for name, index in given.items():
        if name not in declared:
            yield _finding(
                rollout,
                (*path, index),
                f"argument {name} is asked for by none of its AnalysisTemplates ({names})",
                f"remove it, or name one of: {', '.join(declared)}",
            )
    for name, item in declared.items():
        if name not in given and "value" not in item and "valueFrom" not in item:
            yield _finding(
                rollout,
                path,
                f"argument {name}, which AnalysisTemplate {names} asks for, is not given",
                "add it to args, or give it a value in the template",
            )


def _metrics(objects: Objects) -> Iterator[Finding]:
    """AnalysisTemplate → its own arguments and metrics."""
    for template in objects.of("AnalysisTemplate", "ClusterAnalysisTemplate"):
        declared = {str(item.get("name")) for _, item in entries(_spec(template, "args"))}
        metrics = [str(item.get("name")) for _, item in entries(_spec(template, "metrics"))]
        used: set[str] = set()
        for index, metric in entries(_spec(template, "metrics")):
            for argument in sorted({name for text in _strings(metric) for name in series.ARGUMENT.findall(text)}):
                used.add(argument)
                if argument not in declared:
                    yield _finding(
                        template,
                        ("spec", "metrics", index),
                        f"metric {metric.get('name')} uses args.{argument}, which is not declared",
                        f"declare it in args, or use one of: {', '.join(sorted(declared))}",
                    )
            if metrics.index(str(metric.get("name"))) != index:
                yield _finding(
                    template, ("spec", "metrics", index), f"metric {metric.get('name')} is there twice", "rename one"
                )
        for name in sorted(declared - used):
            yield _finding(template, ("spec", "args"), f"argument {name} is used by no metric", "use or remove it")
        for key in ("dryRun", "measurementRetention"):
            for index, item in entries(_spec(template, key)):
                pattern = str(item.get("metricName"))
                if not any(_fullmatch(pattern, metric) for metric in metrics):
                    yield _finding(
                        template, ("spec", key, index), f"{key} names metric {pattern}", f"name: {', '.join(metrics)}"
                    )


def _autoscaler(objects: Objects) -> Iterator[Finding]:
    """HorizontalPodAutoscaler → what it scales, and the containers it measures."""
    for scaler in objects.of("HorizontalPodAutoscaler"):
        target = mapping(_spec(scaler, "scaleTargetRef"))
        path = ("spec", "scaleTargetRef")
        kind, name = str(target.get("kind")), str(target.get("name"))
        pods = objects.pods.get((kind, name))
        if pods is None:
            yield _finding(
                scaler,
                (*path, "name"),
                f"scaleTargetRef names {kind} {name}, which is neither rendered nor made by KServe",
                f"name one of: {_names(objects.pods)}",
            )
            continue
        api = pods.owner.data.get("apiVersion") if pods.owner.kind == kind else "apps/v1"
        if target.get("apiVersion") != api:
            yield _finding(
                scaler,
                (*path, "apiVersion"),
                f"{kind} {name} is of {api}, not {target.get('apiVersion')}",
                f"use {api}",
            )
        for rollout in objects.of("Rollout"):
            if (_spec(rollout, "workloadRef", "kind"), _spec(rollout, "workloadRef", "name")) == (kind, name):
                yield _finding(
                    scaler,
                    path,
                    f"scales {kind} {name}, whose pods {rollout} owns",
                    f"scale {rollout} instead",
                )
        if kind == "Rollout" and _spec(pods.owner, "replicas") is not None:
            yield _finding(
                pods.owner,
                ("spec", "replicas"),
                f"replicas is set, and {scaler} sets it too: every upgrade would undo the scaling",
                "leave replicas out",
            )
        for index, metric in entries(_spec(scaler, "metrics")):
            container = dig(metric, "containerResource", "container")
            if container is not None and container not in pods.containers:
                yield _finding(
                    scaler,
                    ("spec", "metrics", index, "containerResource", "container"),
                    f"the pods of {kind} {name} have no container {container}",
                    f"name one of: {', '.join(sorted(pods.containers))}",
                )


def _monitors(objects: Objects) -> Iterator[Finding]:
    """ServiceMonitor → Services and their ports; PodMonitor → pods, unless it looks into namespaces."""
    for monitor in objects.of("ServiceMonitor"):
        selector = mapping(_spec(monitor, "selector"))
        services = [
            service
            for service in objects.services.values()
            if service.manifest is not None and _matches(selector, service.manifest.labels)
        ]
        if not services:
            yield _finding(
                monitor,
                ("spec", "selector"),
                "its selector matches no Service",
                "select the labels of the metrics Service",
            )
        for (index, endpoint), service in itertools.product(entries(_spec(monitor, "endpoints")), services):
            names = [name for _, name in service.ports]
            if "port" in endpoint and endpoint["port"] not in names:
                yield _finding(
                    monitor,
                    ("spec", "endpoints", index, "port"),
                    f"Service {service.name} has no port named {endpoint['port']}",
                    f"name one of: {', '.join(names)}",
                )
        for one, other in itertools.combinations(services, 2):
            if any(pods in objects.behind(other) for pods in objects.behind(one)):
                yield _finding(
                    monitor,
                    ("spec", "selector"),
                    f"it selects Services {one.name} and {other.name}, which have the same pods: each counts twice",
                    "select one Service over all pods",
                )
    for monitor in objects.of("PodMonitor"):
        if _spec(monitor, "namespaceSelector") is None:
            yield from _means_pods(objects, monitor, ("spec", "selector"))


def _selectors(objects: Objects) -> Iterator[Finding]:
    """Services, disruption budgets and network policies → pods."""
    for service in objects.of("Service"):
        selector = mapping(_spec(service, "selector"))
        if selector and not objects.selected({"matchLabels": selector}):
            yield _finding(service, ("spec", "selector"), "its selector means no pods", _labels(objects))
    for manifest in objects.of("PodDisruptionBudget"):
        yield from _means_pods(objects, manifest, ("spec", "selector"))
    for manifest in objects.of("NetworkPolicy"):
        yield from _means_pods(objects, manifest, ("spec", "podSelector"))


def _rivals(objects: Objects) -> Iterator[Finding]:
    """Two objects that do the same to one thing: each is valid alone, and together none works, or one by chance."""
    scalers = objects.of("HorizontalPodAutoscaler", "ScaledObject")
    budgets, virtual = objects.of("PodDisruptionBudget"), objects.of("VirtualService")
    for one, other in itertools.combinations(scalers, 2):
        if _scaled(one) == _scaled(other):
            _, kind, name = _scaled(one)
            what = f"scales {kind} {name} as well, and two that do stop each other"
            yield _rival(one, other, ("spec", "scaleTargetRef"), f"{what} (AmbiguousSelector)")
    for one, other in itertools.combinations(budgets, 2):
        selected = [objects.selected(mapping(_spec(each, "selector"))) for each in (one, other)]
        if any(pods in selected[1] for pods in selected[0]):
            what = "is for the same pods, and none that has two budgets can be evicted: no node with one can be drained"
            yield _rival(one, other, ("spec", "selector"), what)
    for one, other in itertools.combinations(virtual, 2):
        if shared := _contested(one, other):
            yield _rival(
                one, other, ("spec", "hosts"), f"is for {shared} as well, and the one that was made first wins"
            )


def _rival(one: Manifest, other: Manifest, path: tuple[str | int, ...], what: str) -> Finding:
    line = one.line(path)
    place = f"{one.file}:{line}" if line else one.file
    return _finding(other, path, f"{one} ({place}) {what}", "leave one of them out, or join them")


def _scaled(scaler: Manifest) -> tuple[str, str, str]:
    """Return group, kind and name of what is scaled; KEDA, which makes autoscalers, has defaults of the first two."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", **mapping(_spec(scaler, "scaleTargetRef"))}
    return str(target["apiVersion"]).partition("/")[0], str(target["kind"]), str(target.get("name"))


def _contested(one: Manifest, other: Manifest) -> str:
    """Return a host that two VirtualServices route all requests to where Istio takes one of both; empty where none.

    A gateway joins two of a host, where at most one of them takes whatever comes; the mesh never does.
    """
    gateways = [set(_spec(each, "gateways") or [MESH]) for each in (one, other)]
    hosts = [
        {_service_name(each, str(host)) or str(host) for host in _spec(each, "hosts") or ()} for each in (one, other)
    ]
    shared = gateways[0] & gateways[1]
    if MESH in shared or (shared and all(map(_takes_all, (one, other)))):
        return min(hosts[0] & hosts[1], default="")
    return ""


def _takes_all(virtual: Manifest) -> bool:
    return any(not route.get("match") for _, route in entries(_spec(virtual, "http")))


def _means_pods(objects: Objects, manifest: Manifest, path: tuple[str, ...]) -> Iterator[Finding]:
    if not objects.selected(mapping(manifest.dig(*path))):
        yield _finding(manifest, path, "its selector means no pods", _labels(objects))


def _accounts(objects: Objects) -> Iterator[Finding]:
    """InferenceService → its service account, where a chart has any: else it is one that is there."""
    for inference in objects.of("InferenceService") if any(objects.of("ServiceAccount")) else ():
        for component in KSERVE_COMPONENTS:
            name = _spec(inference, component, "serviceAccountName")
            if name and name != "default" and named(objects.manifests, "ServiceAccount", str(name)) is None:
                yield _finding(
                    inference,
                    ("spec", component, "serviceAccountName"),
                    f"ServiceAccount {name} is not rendered",
                    f"name one of: {_names((item.kind, item.name) for item in objects.of('ServiceAccount'))}",
                )


def _series(objects: Objects) -> Iterator[Finding]:
    """Rules and analysis queries → series that a rule records or a monitor makes."""
    recorded, made = _known(objects)
    for manifest, path, query in _queries(objects.manifests):
        read = objects.read[query]
        if read.no_value:
            yield _finding(manifest, path, f"{read.no_value}, and no vector or scalar: {NO_RESULT}", ONE_MOMENT)
        for message, remedy in _unknown(recorded, made, read):
            yield _finding(manifest, path, message, remedy)


def _dashboards(objects: Objects) -> Iterator[Finding]:
    """Dashboards → series that a rule records or a monitor makes."""
    recorded, made = _known(objects)
    for carried in _carried(objects.manifests):
        if not carried.key.endswith(".json"):
            said = f"key {carried.key}: Grafana reads a dashboard from a file that ends in .json"
            yield Finding("references", carried.file, carried.line(()), said, "write it in JSON, with such a name")
            continue
        try:
            dashboard = json.loads(carried.text)
        except json.JSONDecodeError as error:
            line = error.lineno if carried.is_file else carried.line(())
            yield Finding("references", carried.file, line, f"no JSON: {error.msg}", "correct the syntax")
            continue
        misshapen = dashboards.misshapen(dashboard) if carried.meant else None
        if misshapen:
            yield Finding("references", carried.file, carried.line(()), *misshapen)
            continue
        for path, message, remedy in dashboards.unfilled(dashboard) if carried.loaded else ():
            yield Finding("references", carried.file, carried.line(path), message, remedy)
        for path, owner, query, problem in dashboards.asked(dashboard):
            found = [(f"not understood, and not checked: {problem}", AS_EXPORTED)]
            certain = not problem
            if not problem:
                read = objects.read[dashboards.filled(query)]
                found = list(_unknown(recorded, made, read))
                certain = not (read.error and dashboards.is_guess(query))
            for message, remedy in found:
                line, said = carried.line(path), f"{owner}: {message}"
                yield Finding("references", carried.file, line, said, remedy, "error" if certain else "warning")


def _known(objects: Objects) -> tuple[set[str], list[str]]:
    """Return the names of the series that rules record, and a pattern for each that a monitor makes or is there."""
    recorded = {
        str(rule["record"])
        for manifest in objects.of("PrometheusRule")
        for _, group in entries(_spec(manifest, "groups"))
        for _, rule in entries(group.get("rules"))
        if "record" in rule
    }
    made = [
        pattern for manifest in objects.of("ServiceMonitor", "PodMonitor") for pattern in series.relabelled(manifest)
    ]
    return recorded, [*made, *objects.elsewhere]


def _unknown(recorded: set[str], made: Sequence[str], read: series.Expression) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the series that an expression reads, and what to do about it."""
    if read.error:
        yield f"no PromQL: {read.error}", "correct the expression"
    for name in sorted(read.names):
        known = (
            name in recorded
            or dashboards.WORD in name
            or series.EXPORTED.fullmatch(name)
            or any(_fullmatch(pattern, name) for pattern in made)
        )
        if not known:
            yield (
                f"series {name}: no rule records it and no monitor makes it by relabelling",
                f"where your clusters' Prometheus has it, say so in cluster.prometheus.series of {FILE}; "
                f"else use one of: {', '.join([*sorted(recorded), *made]) or 'none there yet'}",
            )


def _queries(manifests: Iterable[Manifest]) -> Iterator[tuple[Manifest, tuple[str | int, ...], str]]:
    """Yield the PromQL of rules and AnalysisTemplates, with its object and its place there."""
    for manifest in _of(manifests, "PrometheusRule"):
        for group, content in entries(_spec(manifest, "groups")):
            for index, rule in entries(content.get("rules")):
                yield manifest, ("spec", "groups", group, "rules", index, "expr"), str(rule.get("expr"))
    for manifest in _of(manifests, "AnalysisTemplate", "ClusterAnalysisTemplate"):
        for index, metric in entries(_spec(manifest, "metrics")):
            query = dig(metric, "provider", "prometheus", "query")
            if query is not None:
                path = ("spec", "metrics", index, "provider", "prometheus", "query")
                yield manifest, path, series.filled(str(query))


def _carried(manifests: Iterable[Manifest]) -> Iterator[dashboards.Carried]:
    """Yield what ConfigMaps carry for Grafana."""
    for manifest in _of(manifests, "ConfigMap"):
        yield from dashboards.carried(manifest)


def _of(manifests: Iterable[Manifest], *kinds: str) -> Iterator[Manifest]:
    return (manifest for manifest in manifests if manifest.kind in kinds)


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str | None]) -> bool:
    """Tell whether a label selector means something with these labels."""
    for name, value in mapping(selector.get("matchLabels")).items():
        if name not in labels or labels[name] not in (None, value):
            return False
    for _, expression in entries(selector.get("matchExpressions")):
        name, values = str(expression.get("key")), expression.get("values") or []
        present = name in labels
        holds = {
            "In": present and (labels[name] is None or labels[name] in values),
            "NotIn": not present or labels[name] not in values,
            "Exists": present,
            "DoesNotExist": not present,
        }
        if not holds.get(str(expression.get("operator")), False):
            return False
    return True


def _service_name(manifest: Manifest, host: str) -> str | None:
    """Return the name of the Service that a host means in the object's own namespace, or None if it is another's."""
    name, _, rest = host.partition(".")
    namespace = rest.removesuffix(".svc.cluster.local").removesuffix(".svc")
    own = manifest.dig("metadata", "namespace")
    return name if not rest or (own is not None and namespace == own) else None


def _containers(pod: Any) -> frozenset[str]:
    return frozenset(
        str(item.get("name")) for key in ("containers", "initContainers") for _, item in entries(dig(pod, key))
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _spec(manifest: Manifest, *path: str | int) -> Any:
    return manifest.dig("spec", *path)


def _canary(rollout: Manifest, key: str) -> Any:
    return rollout.dig("spec", "strategy", "canary", key)


def _fullmatch(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:
        return False  # RE2 only: cannot be told


def _names(items: Any) -> str:
    return ", ".join(sorted(f"{kind} {name}" for kind, name in items)) or "none is rendered"


def _labels(objects: Objects) -> str:
    found = sorted(
        {f"{name}={value}" for pods in objects.pods.values() for name, value in pods.labels.items() if value}
    )
    return f"select labels that pods carry: {', '.join(found) or 'the chart renders no pods'}"


def _finding(manifest: Manifest, path: tuple[str | int, ...], message: str, remedy: str) -> Finding:
    return manifest.finding("references", path, message, remedy)


LINKS: tuple[Callable[[Objects], Iterator[Finding]], ...] = (
    _workload,
    _switched_services,
    _routes,
    _destinations,
    _analysis,
    _metrics,
    _autoscaler,
    _monitors,
    _selectors,
    _rivals,
    _accounts,
    _series,
    _dashboards,
)
