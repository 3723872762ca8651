{{/*
What may not be said in exampleModel.predictor, exampleModel.model, and labels and annotations. Each field has one key, and
the tree of a project knows image and model by theirs: a second way to say them would be one past its checks.
*/}}

{{/* Where the chart has a key for a field of KServe's, by the field; `model` is the model server's container. */}}
{{- define "ml-serving.chartKeys" -}}
predictor:
  affinity: exampleModel.affinity
  annotations: exampleModel.podAnnotations
  autoScaling: autoscaling
  canaryTrafficPercent: canary.steps
  imagePullSecrets: exampleModel.imagePullSecrets
  labels: exampleModel.podLabels
  maxReplicas: autoscaling.maxReplicas
  minReplicas: autoscaling.minReplicas
  model: exampleModel.model
  name: exampleModel.name
  priority: exampleModel.predictor.priorityClassName
  nodeSelector: exampleModel.nodeSelector
  resources: exampleModel.resources
  scaleMetric: autoscaling
  scaleMetricType: autoscaling
  scaleTarget: autoscaling
  securityContext: exampleModel.podSecurityContext
  serviceAccount: exampleModel.predictor.serviceAccountName
  storageUris: exampleModel.storageUri
  terminationGracePeriodSeconds: exampleModel.terminationGracePeriodSeconds
  tolerations: exampleModel.tolerations
  topologySpreadConstraints: exampleModel.topologySpread
model:
  args: exampleModel.args
  command: exampleModel.command
  env: exampleModel.env
  image: exampleModel.image
  protocolVersion: exampleModel.protocolVersion
  resources: exampleModel.resources
  runtime: exampleModel.runtime
  securityContext: exampleModel.securityContext
  storage: exampleModel.storageUri
  storageUri: exampleModel.storageUri
{{- end }}

{{- define "ml-serving.validatePassThrough" -}}
{{- $model := .Values.exampleModel }}
{{- range $part, $keys := include "ml-serving.chartKeys" . | fromYaml }}
{{- range $field, $key := $keys }}
{{- if hasKey (default dict (get $model $part)) $field }}
{{- fail (printf "exampleModel.%s.%s is what %s says: write it there alone" $part $field $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "ml-serving.validatePredictor" . }}
{{- include "ml-serving.validateModel" . }}
{{- include "ml-serving.validatePorts" . }}
{{- include "ml-serving.validateMetadata" . }}
{{- include "ml-serving.validateMesh" . }}
{{- end }}

{{- define "ml-serving.validatePredictor" -}}
{{- $predictor := default dict .Values.exampleModel.predictor }}
{{- range $framework := list "huggingface" "lightgbm" "onnx" "paddle" "pmml" "pytorch" "sklearn" "tensorflow" "triton" "xgboost" }}
{{- if hasKey $predictor $framework }}
{{- fail (printf "exampleModel.predictor.%s is KServe's older form of exampleModel.modelFormat and exampleModel.runtime: write %s in the first, and what it holds in exampleModel.model" $framework $framework) }}
{{- end }}
{{- end }}
{{- if hasKey $predictor "workerSpec" }}
{{- fail "exampleModel.predictor.workerSpec starts pods on further nodes, which KServe replaces at once while canary.steps moves the first: a model of several nodes has no canary; remove it" }}
{{- end }}
{{- if and (hasKey $predictor "deploymentStrategy") .Values.features.canaryDeployment }}
{{- fail "exampleModel.predictor.deploymentStrategy is of KServe's Deployment, which has no pods while features.canaryDeployment is on: say in canary.steps how versions change, or switch the second off" }}
{{- end }}
{{- range $component, $way := dict "transformer" "run it in the model's own pod, as container transformer-container in exampleModel.predictor.containers" "explainer" "deploy it as an InferenceService of its own, beside the release" }}
{{- if not (kindIs "invalid" (index $.Values.exampleModel $component)) }}
{{- fail (printf "exampleModel.%s has pods of its own, which KServe replaces at once, beside canary.steps: no canary tells a bad version of it from a good one; %s" $component $way) }}
{{- end }}
{{- end }}
{{- if $predictor.serviceAccountName }}
{{- range $key, $given := dict "exampleModel.storageSecret" .Values.exampleModel.storageSecret "serviceAccount.annotations" .Values.serviceAccount.annotations }}
{{- if $given }}
{{- fail (printf "exampleModel.predictor.serviceAccountName (%s) takes an account that is there, and %s is for the release's own: remove one of them" $predictor.serviceAccountName $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "ml-serving.validateContainers" . }}
{{- $volumes := dict "tmp" "the chart's, for exampleModel.securityContext.readOnlyRootFilesystem" }}
{{- range list "kserve-provision-location" "kserve-pvc-source" "model-config" "model-dir" }}
{{- $_ := set $volumes . "KServe's, for the model of exampleModel.storageUri" }}
{{- end }}
{{- range $index, $volume := default list $predictor.volumes }}
{{- if kindIs "map" $volume.emptyDir }}
{{- $medium := get $volume.emptyDir "medium" | toString }}
{{- if not (or (has $medium (list "" "Memory")) (hasPrefix "HugePages" $medium)) }}
{{- fail (printf "exampleModel.predictor.volumes[%d].emptyDir.medium (%s) is none that the kubelet knows, and it mounts no such volume: write Memory, or leave it out" $index $medium) }}
{{- end }}
{{- end }}
{{- with get $volumes (toString $volume.name) }}
{{- fail (printf "exampleModel.predictor.volumes[%d].name (%s) is %s: give it another name" $index $volume.name .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Containers beside the model server's. KServe tells its own by their names, and takes one of that name for them. */}}
{{- define "ml-serving.validateContainers" -}}
{{- $names := dict "kserve-container" "exampleModel.image" "agent" "exampleModel.predictor.logger and .batcher" }}
{{- range list "storage-initializer" "modelcar" "modelcar-init" }}
{{- $_ := set $names . "exampleModel.storageUri" }}
{{- end }}
{{- range $list := list "containers" "initContainers" }}
{{- range $index, $container := default list (get (default dict $.Values.exampleModel.predictor) $list) }}
{{- $place := printf "exampleModel.predictor.%s[%d]" $list $index }}
{{- with get $names (toString $container.name) }}
{{- fail (printf "%s.name (%s) is the container of %s: say there what it is to do, or give this one another name" $place $container.name .) }}
{{- end }}
{{- include "ml-serving.validateMounts" (list $place $container.volumeMounts) }}
{{- end }}
{{- end }}
{{- $transformer := include "ml-serving.transformerPort" . }}
{{- if and $transformer (eq (int $transformer) (int .Values.exampleModel.port)) }}
{{- fail (printf "exampleModel.predictor.containers has transformer-container on exampleModel.port (%v), and a pod has each port once: have the model server listen on another, and name it in the second" .Values.exampleModel.port) }}
{{- end }}
{{- end }}

{{/* A pod has each port once, whichever container has it: KServe's and the mesh's, and those that run beside the server. */}}
{{- define "ml-serving.validatePorts" -}}
{{- $taken := dict }}
{{- if include "ml-serving.agent" . }}
{{- $_ := set $taken "9081/TCP" (list "agent" "KServe's agent's, for exampleModel.predictor.logger and .batcher") }}
{{- end }}
{{- if eq (include "ml-serving.podLabels" . | fromYaml | dig "sidecar.istio.io/inject" "") "true" }}
{{- range list 15000 15001 15004 15006 15008 15020 15021 15053 15090 }}
{{- $_ := set $taken (printf "%d/TCP" .) (list "proxy" "the proxy's, which the mesh puts into the pods") }}
{{- end }}
{{- end }}
{{- with get $taken (printf "%v/TCP" .Values.exampleModel.metricsPort) }}
{{- fail (printf "exampleModel.metricsPort (%v) is %s: take another" $.Values.exampleModel.metricsPort (last .)) }}
{{- end }}
{{- $said := list (list "server" "exampleModel.port" (dict "containerPort" .Values.exampleModel.port)) }}
{{- range $index, $port := dig "ports" list (default dict .Values.exampleModel.model) }}
{{- $said = append $said (list "server" (printf "exampleModel.model.ports[%d].containerPort" $index) $port) }}
{{- end }}
{{- range $list := list "containers" "initContainers" }}
{{- range $number, $container := default list (get (default dict $.Values.exampleModel.predictor) $list) }}
{{- if or (eq $list "containers") (eq (toString $container.restartPolicy) "Always") }}
{{- $place := printf "exampleModel.predictor.%s[%d]" $list $number }}
{{- $usual := ternary (list (dict "containerPort" 8080)) list (eq (toString $container.name) "transformer-container") }}
{{- range $index, $port := default $usual $container.ports }}
{{- $said = append $said (list $place (printf "%s.ports[%d].containerPort" $place $index) $port) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $said }}
{{- $place := index . 1 }}
{{- $port := last . }}
{{- $key := printf "%v/%s" $port.containerPort (default "TCP" $port.protocol) }}
{{- $other := get $taken $key }}
{{- if and $other (ne (first $other) (first .)) }}
{{- fail (printf "%s (%v) is %s: take another" $place $port.containerPort (last $other)) }}
{{- end }}
{{- $_ := set $taken $key (list (first .) (printf "that of %s, and a pod has each port once" $place)) }}
{{- end }}
{{- end }}

{{/* Nothing may lie over the model that the tree names, or over the chart's /tmp; takes the key of the container, and its mounts. */}}
{{- define "ml-serving.validateMounts" -}}
{{- $place := first . }}
{{- range $index, $mount := default list (last .) }}
{{- $path := clean (printf "/%v" $mount.mountPath) }}
{{- if or (hasPrefix (printf "%s/" (trimSuffix "/" $path)) "/mnt/models/") (hasPrefix "/mnt/models/" $path) }}
{{- fail (printf "%s.volumeMounts[%d].mountPath (%s) lies over /mnt/models, where the model of exampleModel.storageUri is: mount it elsewhere, or name a volume's model as pvc://CLAIM/PATH in the second" $place $index $mount.mountPath) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ml-serving.validateModel" -}}
{{- $model := .Values.exampleModel }}
{{- $own := default dict $model.model }}
{{- $runtime := include "ml-serving.runtime" . }}
{{- if not $runtime }}
{{- range $field := list "confidential" "modelFormat" "runtimeVersion" }}
{{- if hasKey $own $field }}
{{- fail (printf "exampleModel.model.%s is for the runtime's server, and exampleModel.runtime is empty: name a runtime, or remove it" $field) }}
{{- end }}
{{- end }}
{{- end }}
{{- if hasKey $own "name" }}
{{- fail (printf "exampleModel.model.name (%v) is the name of a container, and KServe and autoscaling know the model server's as kserve-container: remove it" $own.name) }}
{{- end }}
{{- if hasKey (default dict $own.modelFormat) "name" }}
{{- fail "exampleModel.model.modelFormat.name is what exampleModel.modelFormat says: write it there alone" }}
{{- end }}
{{- if and (hasKey $own "runtimeVersion") $model.image }}
{{- fail (printf "exampleModel.model.runtimeVersion (%v) is the tag of the runtime's own image, which KServe would put over the tag of exampleModel.image (%s): write the tag in the second alone" $own.runtimeVersion $model.image) }}
{{- end }}
{{- range $index, $port := default list $own.ports }}
{{- if or (eq (toString $port.name) "http") (eq (toString $port.containerPort) (toString $model.port)) }}
{{- fail (printf "exampleModel.model.ports[%d] is the port that exampleModel.port (%v) names: write it there alone" $index $model.port) }}
{{- end }}
{{- end }}
{{- range $index, $mount := default list $own.volumeMounts }}
{{- if eq (clean (printf "/%v" $mount.mountPath)) "/tmp" }}
{{- fail (printf "exampleModel.model.volumeMounts[%d].mountPath (%s) is the chart's own volume, for exampleModel.securityContext.readOnlyRootFilesystem: mount it elsewhere" $index $mount.mountPath) }}
{{- end }}
{{- end }}
{{- include "ml-serving.validateMounts" (list "exampleModel.model" $own.volumeMounts) }}
{{- if and (hasKey (default dict $own.lifecycle) "preStop") $model.drainSeconds }}
{{- fail (printf "exampleModel.model.lifecycle.preStop and exampleModel.drainSeconds (%v) both say what a stopping pod waits for: remove the first, or write 0 in the second" $model.drainSeconds) }}
{{- end }}
{{- $names := list "http" }}
{{- range default list $own.ports }}
{{- $names = append $names (toString .name) }}
{{- end }}
{{- range $kind, $keys := dict "startup" (dict "periodSeconds" "startupSeconds" "failureThreshold" "startupSeconds") "liveness" (dict "periodSeconds" "livenessPeriodSeconds") "readiness" (dict "periodSeconds" "readinessPeriodSeconds") }}
{{- $probe := default dict (get $own (printf "%sProbe" $kind)) }}
{{- range $field, $key := $keys }}
{{- if hasKey $probe $field }}
{{- fail (printf "exampleModel.model.%sProbe.%s is what exampleModel.probes.%s says: write it there alone" $kind $field $key) }}
{{- end }}
{{- end }}
{{- range $way := list "httpGet" "tcpSocket" }}
{{- $port := get (default dict (get $probe $way)) "port" }}
{{- if and (kindIs "string" $port) (regexMatch "[a-z]" (toString $port)) (not (has $port $names)) }}
{{- fail (printf "exampleModel.model.%sProbe.%s.port (%s) is the name of no port of this container, and the kubelet would never find it: write one of %s, or a number" $kind $way $port (join ", " $names)) }}
{{- end }}
{{- end }}
{{- if hasKey (default dict $probe.httpGet) "path" }}
{{- fail (printf "exampleModel.model.%sProbe.httpGet.path is what exampleModel.probes.%sPath says: write it there alone" $kind $kind) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels and annotations that the chart, KServe and Argo Rollouts write. KServe gives the pods the InferenceService's own, too. */}}
{{- define "ml-serving.validateMetadata" -}}
{{- $inject := "sidecar.istio.io/inject" }}
{{- $said := dict "prometheus.io/scrape" "exampleModel.metricsPath" "prometheus.io/path" "exampleModel.metricsPath" "prometheus.io/port" "exampleModel.metricsPort" "modelFormat" "exampleModel.modelFormat" $inject (printf "exampleModel.podLabels[%q]" $inject) }}
{{- $own := dict "sidecar.istio.io/statsInclusionRegexps" "which has the figures of monitoring and canary.analysis from it" "status.sidecar.istio.io/port" "which has these figures at 15020" "serving.kserve.io/autoscalerClass" "as features.autoscaling has it" "serving.kserve.io/deploymentMode" "as features.canaryDeployment needs it" "argocd.argoproj.io/ignore-healthcheck" "as features.canaryDeployment has it" }}
{{- range $map := list "annotations" "podAnnotations" }}
{{- range $key, $value := default dict (get $.Values.exampleModel $map) }}
{{- $place := printf "exampleModel.%s[%q]" $map $key }}
{{- with get $said $key }}
{{- fail (printf "%s is what %s says: write it there alone" $place .) }}
{{- end }}
{{- with get $own $key }}
{{- fail (printf "%s is the chart's, %s: remove it" $place .) }}
{{- end }}
{{- if eq $key "serving.kserve.io/enable-prometheus-scraping" }}
{{- fail (printf "%s has Knative's port scraped, which these pods do not have: say in exampleModel.metricsPath and exampleModel.metricsPort where the server's own metrics are" $place) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $map := list "annotations" "podAnnotations" "labels" "podLabels" }}
{{- range $key, $value := default dict (get $.Values.exampleModel $map) }}
{{- if hasPrefix "internal.serving.kserve.io/" $key }}
{{- fail (printf "exampleModel.%s[%q] is KServe's own note of what exampleModel.storageUri and exampleModel.predictor say, and would stand over it: write it there" $map $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key, $value := default dict .Values.exampleModel.labels }}
{{- if or (eq $key $inject) (has $key (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/managed-by" "networking.kserve.io/visibility")) }}
{{- fail (printf "exampleModel.labels[%q] is the chart's: remove it, or label the pods by exampleModel.podLabels" $key) }}
{{- end }}
{{- end }}
{{- range $key, $value := default dict .Values.exampleModel.podLabels }}
{{- $place := printf "exampleModel.podLabels[%q]" $key }}
{{- if has $key (list "app" "component" "serving.kserve.io/inferenceservice" "pod-template-hash" "rollouts-pod-template-hash") }}
{{- fail (printf "%s is what KServe and Argo Rollouts know the pods of exampleModel.name (%s) by: take another label" $place $.Values.exampleModel.name) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Weights and figures are the proxy's: the pods have one, and requests enter by it. */}}
{{- define "ml-serving.validateMesh" -}}
{{- $outside := list }}
{{- $past := list }}
{{- if eq (dig "hostNetwork" false (default dict .Values.exampleModel.predictor) | toString) "true" }}
{{- $outside = append $outside "exampleModel.predictor.hostNetwork (true)" }}
{{- end }}
{{- range $map := list "labels" "podLabels" }}
{{- range $key, $value := default dict (get $.Values.exampleModel $map) }}
{{- if or (and (eq $key "sidecar.istio.io/inject") (ne $value "true")) (and (eq $key "istio.io/dataplane-mode") (ne $value "none")) }}
{{- $outside = append $outside (printf "exampleModel.%s[%q] (%s)" $map $key $value) }}
{{- end }}
{{- end }}
{{- end }}
{{- $port := include "ml-serving.servedPort" . }}
{{- range $map := list "annotations" "podAnnotations" }}
{{- range $key, $value := default dict (get $.Values.exampleModel $map) }}
{{- $said := printf "exampleModel.%s[%q] (%s)" $map $key $value }}
{{- $listed := nospace $value | splitList "," }}
{{- if and (eq $key "inject.istio.io/templates") (not (has "sidecar" $listed)) }}
{{- $outside = append $outside $said }}
{{- end }}
{{- $excluded := and (eq $key "traffic.sidecar.istio.io/excludeInboundPorts") (has $port $listed) }}
{{- $left := and (eq $key "traffic.sidecar.istio.io/includeInboundPorts") (not (or (has "*" $listed) (has $port $listed))) }}
{{- if or $excluded $left (and (eq $key "sidecar.istio.io/interceptionMode") (eq $value "NONE")) }}
{{- $past = append $past $said }}
{{- end }}
{{- end }}
{{- end }}
{{- range $feature := list "canaryDeployment" "sloMonitoring" }}
{{- if get $.Values.features $feature }}
{{- range $outside }}
{{- fail (printf "%s takes the pods out of the proxies' mesh, which features.%s needs: switch the second off, or remove the first" . $feature) }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.features.sloMonitoring }}
{{- range $past }}
{{- fail (printf "%s takes requests to port %s past the proxy, which counts them for features.sloMonitoring: switch the second off, or remove the first" . $port) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels that rules, dashboards and analyses tell the model's series apart by. */}}
{{- define "ml-serving.seriesLabels" -}}
{{ list "namespace" "service" "model" "revision" "ready" "response_code" "le" "pod" "instance" "job" "container" "endpoint" "phase" | toJson }}
{{- end }}

{{/* One may add to the series, and change none that the chart has; takes its key, and itself. */}}
{{- define "ml-serving.validateRelabelling" -}}
{{- $place := first . }}
{{- $rule := last . }}
{{- $drops := eq (lower (toString $rule.action)) "labeldrop" }}
{{- if not (or $drops (eq (lower (default "replace" $rule.action)) "replace")) }}
{{- fail (printf "%s.action (%s) can take away what slo's rules and canary.analysis read: write replace or labeldrop, or say in monitoring.keep which series there are" $place $rule.action) }}
{{- end }}
{{- range $field, $value := ternary (omit $rule "action" "regex") dict $drops }}
{{- fail (printf "%s.%s is not for labeldrop, and the Prometheus Operator would leave the whole ServiceMonitor out: remove it" $place $field) }}
{{- end }}
{{- /* As Prometheus compiles it; the empty alternative matches whatever comes before it, if it compiles. */}}
{{- if not (regexMatch (printf "^(?s:%v)$|" (default "" $rule.regex)) "") }}
{{- fail (printf "%s.regex (%v) is no regular expression, and the Prometheus Operator would leave the whole ServiceMonitor out: correct it" $place $rule.regex) }}
{{- end }}
{{- $field := ternary "regex" "targetLabel" $drops }}
{{- $named := get $rule $field | default "" | toString }}
{{- range ternary (splitList "|" $named) (list $named) $drops }}
{{- if not (regexMatch "^[a-zA-Z_][a-zA-Z0-9_]*$" .) }}
{{- fail (printf "%s.%s (%s) is not the plain name of a label: write that" $place $field $named) }}
{{- end }}
{{- if or (hasPrefix "__" .) (has . (include "ml-serving.seriesLabels" $ | fromJsonArray | concat (list "cluster_name"))) }}
{{- fail (printf "%s.%s (%s) is one that slo's rules and canary.analysis tell series apart by: write another" $place $field $named) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Prometheus Operator's and Argo Rollouts' own fields, below the chart's. */}}
{{- define "ml-serving.validateMonitoring" -}}
{{- $endpoint := default dict .Values.monitoring.endpoint }}
{{- range $field, $key := dict "interval" "monitoring.scrapeInterval" "scrapeTimeout" "monitoring.scrapeInterval" "port" "exampleModel.metricsPort" "targetPort" "exampleModel.metricsPort" "path" "exampleModel.metricsPath" }}
{{- if hasKey $endpoint $field }}
{{- fail (printf "monitoring.endpoint.%s is what %s says: write it there alone" $field $key) }}
{{- end }}
{{- end }}
{{- if eq (lower (toString $endpoint.scheme)) "https" }}
{{- fail (printf "monitoring.endpoint.scheme (%s): the proxy has its figures without TLS, whatever the mesh asks of others: remove it" $endpoint.scheme) }}
{{- end }}
{{- range $list := list "relabelings" "metricRelabelings" }}
{{- range $index, $rule := default list (get $endpoint $list) }}
{{- include "ml-serving.validateRelabelling" (list (printf "monitoring.endpoint.%s[%d]" $list $index) $rule) }}
{{- end }}
{{- end }}
{{- $analysis := .Values.canary.analysis }}
{{- range $field, $key := dict "address" "monitoring.prometheusAddress" "query" "slo" "rangeQuery" "canary.analysis.window" }}
{{- if hasKey (default dict $analysis.prometheus) $field }}
{{- fail (printf "canary.analysis.prometheus.%s is what %s says: write it there alone" $field $key) }}
{{- end }}
{{- end }}
{{- $unfilled := regexReplaceAll "\\{\\{ *args\\.([-_A-Za-z0-9]+) *}}" (toJson $analysis.prometheus) "{{args.${1}}}" }}
{{- range $index, $argument := default list $analysis.args }}
{{- if has $argument.name (list "revision" "stable" "success-rate" "latency-p95" "latency-p99") }}
{{- fail (printf "canary.analysis.args[%d].name (%s) is one of the chart's own, as slo has it: write another" $index $argument.name) }}
{{- end }}
{{- $used := printf "{{args.%s}}" $argument.name }}
{{- if not (contains $used $unfilled) }}
{{- fail (printf "canary.analysis.args[%d] (%s) is used nowhere: write %s in canary.analysis.prometheus, or remove it" $index $argument.name $used) }}
{{- end }}
{{- $unfilled = replace $used "" $unfilled }}
{{- end }}
{{- if contains "{{" $unfilled }}
{{- fail (printf "canary.analysis.prometheus has %s, and Argo Rollouts takes two braces for an argument: name it in canary.analysis.args" (regexFind "\\{\\{[^}\"]*}*" $unfilled)) }}
{{- end }}
{{- end }}
