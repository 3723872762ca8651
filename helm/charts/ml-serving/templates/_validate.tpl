{{/* Values that are each right but contradict each other. Every message says what to change. */}}
{{- define "ml-serving.validate" -}}
{{- $model := .Values.exampleModel }}
{{- $canary := .Values.canary }}
{{- $analysis := $canary.analysis }}
{{- if and .Chart.IsRoot (hasKey .Values "enabled") }}
{{- fail "enabled is read by Helm alone, and only where this chart is a dependency of another: write exampleModel.enabled, or remove it" }}
{{- end }}
{{- range $key, $instead := dict
  "successRate" "errorBudgetBurn, how many times as fast as slo.availability.target allows a canary may fail: 10 with 0.999 is a success rate of 0.99"
  "inconclusiveLimit" "noDataLimit, after which a canary is aborted, not held" }}
{{- if hasKey $analysis $key }}
{{- fail (printf "canary.analysis.%s (%v) is no longer known: write canary.analysis.%s" $key (get $analysis $key) $instead) }}
{{- end }}
{{- end }}
{{- if include "ml-serving.model" . }}
{{- include "ml-serving.validatePassThrough" . }}
{{- include "ml-serving.validateServer" . }}
{{- include "ml-serving.validateResources" . }}
{{- if .Values.features.autoscaling }}
{{- include "ml-serving.validateAutoscaling" . }}
{{- end }}
{{- include "ml-serving.validateGateways" . }}
{{- if .Values.podDisruptionBudget.enabled }}
{{- include "ml-serving.validateBudget" . }}
{{- end }}
{{- if .Values.features.sloMonitoring }}
{{- include "ml-serving.validateRules" . }}
{{- include "ml-serving.validateMonitoring" . }}
{{- end }}
{{- end }}
{{- include "ml-serving.validateKnownAnswer" . }}
{{- if ge (int .Values.exampleModel.drainSeconds) (int .Values.exampleModel.terminationGracePeriodSeconds) }}
{{- fail (printf "exampleModel.drainSeconds (%v) leaves nothing of exampleModel.terminationGracePeriodSeconds (%v) to finish requests: lower the first or raise the second" .Values.exampleModel.drainSeconds .Values.exampleModel.terminationGracePeriodSeconds) }}
{{- end }}
{{- if gt (float64 .Values.slo.latency.p95Threshold) (float64 .Values.slo.latency.p99Threshold) }}
{{- fail (printf "slo.latency.p95Threshold (%v) is above slo.latency.p99Threshold (%v): 95 %% of the requests cannot be slower than 99 %% of them; lower the first or raise the second" .Values.slo.latency.p95Threshold .Values.slo.latency.p99Threshold) }}
{{- end }}
{{- if .Values.features.canaryDeployment }}
{{- $previous := 0 }}
{{- range $index, $step := $canary.steps }}
{{- if le (int $step.weight) $previous }}
{{- fail (printf "canary.steps[%d].weight (%v) is not above the step before it (%d): put the weights in ascending order" $index $step.weight $previous) }}
{{- end }}
{{- $previous = int $step.weight }}
{{- end }}
{{- if and (include "ml-serving.model" .) (ge (int $model.probes.startupSeconds) (int $canary.progressDeadlineSeconds)) }}
{{- fail (printf "exampleModel.probes.startupSeconds (%v) lets a model load until canary.progressDeadlineSeconds (%v) has aborted its canary: lower the first below the second, or raise the second" $model.probes.startupSeconds $canary.progressDeadlineSeconds) }}
{{- end }}
{{- range $key := list "maxSurge" "maxUnavailable" }}
{{- if not (kindIs "invalid" (index $canary $key)) }}
{{- fail (printf "canary.%s (%v) does not change a canary: where a mesh routes the traffic, Argo Rollouts keeps every stable pod and adds as many as canary.steps[].weight asks for; remove it" $key (index $canary $key)) }}
{{- end }}
{{- end }}
{{- if .Values.features.sloMonitoring }}
{{- if gt (int $analysis.fromStep) (len $canary.steps) }}
{{- fail (printf "canary.analysis.fromStep (%v) is beyond the last of the %d canary.steps: the analysis would never run; lower it" $analysis.fromStep (len $canary.steps)) }}
{{- end }}
{{- if le (include "ml-serving.successRate" . | float64) 0.0 }}
{{- fail (printf "canary.analysis.errorBudgetBurn (%v) times the error budget (1 - slo.availability.target, %v) lets a canary fail every request: lower the first" $analysis.errorBudgetBurn .Values.slo.availability.target) }}
{{- end }}
{{- $scrape := include "ml-serving.seconds" .Values.monitoring.scrapeInterval | int }}
{{- if lt (include "ml-serving.seconds" $analysis.window | int) (mul 2 $scrape | int) }}
{{- fail (printf "canary.analysis.window (%s) spans less than two scrapes of monitoring.scrapeInterval (%s): a rate needs two samples; widen the window or scrape more often" $analysis.window .Values.monitoring.scrapeInterval) }}
{{- end }}
{{- $judged := 0 }}
{{- $held := false }}
{{- range $index, $step := $canary.steps }}
{{- if ge (add1 $index) (int $analysis.fromStep | int64) }}
{{- if $step.pause }}{{ $judged = add $judged (include "ml-serving.seconds" $step.pause | int) }}{{ else }}{{ $held = true }}{{ end }}
{{- end }}
{{- end }}
{{- $interval := include "ml-serving.seconds" $analysis.interval | int }}
{{- $measured := mul (max (int $analysis.noDataLimit) (int $analysis.failureLimit)) $interval }}
{{- /* Argo Rollouts repeats a query that failed after 10 s, whatever the interval. */}}
{{- $failing := mul (int $analysis.consecutiveErrorLimit) 10 }}
{{- $decided := add (include "ml-serving.seconds" $analysis.initialDelay | int) (max $measured $failing) }}
{{- if and (not $held) (ge $decided $judged) }}
{{- fail (printf "canary.analysis could stop a bad canary only after %d s, but the pauses from canary.analysis.fromStep on end after %d s: lengthen canary.steps' pauses, or lower canary.analysis.initialDelay, interval or the limits" $decided $judged) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ml-serving.validateGateways" -}}
{{- $outside := .Values.virtualService }}
{{- if and $outside.hosts (not $outside.gateways) }}
{{- fail (printf "virtualService.hosts (%s) are names for callers outside the mesh, who come through a gateway, and virtualService.gateways is empty: name the Gateway, or empty the first" (join ", " $outside.hosts)) }}
{{- end }}
{{- range $index, $host := $outside.hosts }}
{{- if or (regexMatch "(^|[.])(svc([.].+)?|cluster[.]local)$" $host) (hasSuffix (printf ".%s" $.Release.Namespace) $host) }}
{{- fail (printf "virtualService.hosts[%d] (%s) is a name of the cluster's own, and the mesh would bring requests for other Services here: write one that callers outside ask, and virtualService.gateways lead to" $index $host) }}
{{- end }}
{{- end }}
{{- if and $outside.gateways (not $outside.hosts) }}
{{- fail (printf "virtualService.gateways (%s) let callers outside the mesh in, and virtualService.hosts is empty: write the names that they ask, or empty the first" (join ", " $outside.gateways)) }}
{{- end }}
{{- end }}

{{- define "ml-serving.validateBudget" -}}
{{- $most := .Values.podDisruptionBudget.maxUnavailable }}
{{- $number := trimSuffix "%" (toString $most) | int }}
{{- if eq $number 0 }}
{{- fail (printf "podDisruptionBudget.maxUnavailable (%v) lets no pod be evicted, so no node could ever be drained: write 1 or more, or switch podDisruptionBudget.enabled off" $most) }}
{{- end }}
{{- if and (kindIs "string" $most) (gt $number 100) }}
{{- fail (printf "podDisruptionBudget.maxUnavailable (%v) is above 100%%, which Kubernetes refuses: lower it" $most) }}
{{- end }}
{{- end }}

{{/* The windows and factors that prometheusrule.yaml has of its own. */}}
{{- define "ml-serving.validateRules" -}}
{{- $interval := .Values.monitoring.scrapeInterval }}
{{- if gt (include "ml-serving.seconds" $interval | int) 150 }}
{{- fail (printf "monitoring.scrapeInterval (%s) leaves less than two scrapes in the 5 minutes of the recorded rates, which would be empty, and the alerts silent: write 150s or less" $interval) }}
{{- end }}
{{- range $key, $threshold := .Values.slo.latency }}
{{- if ge (float64 $threshold) 3600.0 }}
{{- fail (printf "slo.latency.%s (%v) is not below the longest time that the proxy tells apart, 3600 seconds: no request would ever be too slow; lower it" $key $threshold) }}
{{- end }}
{{- end }}
{{- $target := .Values.slo.availability.target }}
{{- if ge (mulf 14.4 (subf 1 $target)) 1.0 }}
{{- fail (printf "slo.availability.target (%v) allows so many errors that 14.4 times as many, from which its first alert fires, are more than all requests: write more than 0.9306" $target) }}
{{- end }}
{{- $known := concat (include "ml-serving.seriesLabels" . | fromJsonArray) (list "__name__" "alertname" "alertstate" "severity" "slo" "window" "cause") }}
{{- range $name, $value := default dict .Values.monitoring.alerts.labels }}
{{- if has $name $known }}
{{- fail (printf "monitoring.alerts.labels.%s: alerts have this label already; call yours something else" $name) }}
{{- end }}
{{- if contains "{{" $value }}
{{- fail (printf "monitoring.alerts.labels.%s (%s) is a template to Prometheus, and every alert has the same labels here: write what it is to say" $name $value) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "ml-serving.validateServer" -}}
{{- $model := .Values.exampleModel }}
{{- $host := printf "%s-%s" (include "ml-serving.predictor" .) .Release.Namespace }}
{{- if gt (len $host) 63 }}
{{- fail (printf "exampleModel.name (%s) is too long for namespace %s: KServe makes %s of them, which as a part of a host name has 63 characters at most and here %d; shorten one of them" $model.name .Release.Namespace $host (len $host)) }}
{{- end }}
{{- if and (ne (int $model.longestAnswerSeconds) 45) (hasKey $model.podAnnotations "proxy.istio.io/config") }}
{{- fail "exampleModel.podAnnotations has proxy.istio.io/config, which exampleModel.longestAnswerSeconds writes: put drainDuration into the first, and leave the second out, or remove the first" }}
{{- end }}
{{- $runtime := include "ml-serving.runtime" . }}
{{- if and $runtime (not $model.storageUri) }}
{{- fail "exampleModel.storageUri is empty: set it to the model's URI, or switch exampleModel.enabled off" }}
{{- end }}
{{- if not (or $runtime $model.image) }}
{{- fail "exampleModel.runtime and exampleModel.image are both empty: name a runtime, or the image of a container of your own" }}
{{- end }}
{{- if and $model.image (not (regexMatch (include "ml-serving.imageReference" .) $model.image)) }}
{{- fail (printf "exampleModel.image (%s) is no image's reference, and no container starts of it: write REPOSITORY:TAG or REPOSITORY:TAG@sha256:DIGEST, the repository in lower case, without https:// and without a tag of its own" $model.image) }}
{{- end }}
{{- if and $model.digest (not $model.storageUri) }}
{{- fail "exampleModel.digest is set, but exampleModel.storageUri is empty: there are no files to compare; set the second or empty the first" }}
{{- end }}
{{- if and $model.digest (not (include "ml-serving.entryPoint" .)) }}
{{- if $runtime }}
{{- fail (printf "exampleModel.runtime is %s, and the chart knows how kserve-sklearnserver, kserve-xgbserver, kserve-lgbserver and kserve-predictiveserver start alone: correct it, or where it is right, set exampleModel.command to the entry point of the image, which exampleModel.digest needs to start it once the files are compared" $runtime) }}
{{- end }}
{{- fail "exampleModel.digest needs exampleModel.command with a container of your own: set it to the entry point of the image, which starts once the files are compared" }}
{{- end }}
{{- include "ml-serving.validateUser" . }}
{{- range $index, $variable := $model.env }}
{{- if and $variable.value $variable.valueFrom }}
{{- fail (printf "exampleModel.env[%d] (%s) has value and valueFrom, of which a container takes one: remove the other" $index $variable.name) }}
{{- end }}
{{- range $name, $key := dict "STORAGE_URI" "storageUri" "PROTOCOL" "protocolVersion" }}
{{- if and (not $runtime) (eq $variable.name $name) }}
{{- fail (printf "exampleModel.env[%d] sets %s, which is what exampleModel.%s says: write it there alone" $index $name $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* As a container runtime reads it (github.com/distribution/reference). */}}
{{- define "ml-serving.imageReference" -}}
{{- $label := "[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?" -}}
{{- $part := "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*" -}}
{{- $host := printf "(%s([.]%s)*|\\[[0-9a-fA-F:]+])(:[0-9]+)?" $label $label -}}
^({{ $host }}/)?{{ $part }}(/{{ $part }})*(:[0-9A-Za-z_][0-9A-Za-z_.-]{0,127})?(@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$
{{- end }}

{{/* What the container's own context says stands over the pod's. The API server takes both, and the kubelet starts no such container. */}}
{{- define "ml-serving.validateUser" -}}
{{- $said := dict }}
{{- range $field := list "runAsUser" "runAsNonRoot" }}
{{- range $context := list "podSecurityContext" "securityContext" }}
{{- $value := index (default dict (get $.Values.exampleModel $context)) $field }}
{{- if not (kindIs "invalid" $value) }}
{{- $_ := set $said $field (dict "key" (printf "exampleModel.%s.%s" $context $field) "value" (toString $value)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq (dig "runAsUser" "value" "" $said) "0") (eq (dig "runAsNonRoot" "value" "" $said) "true") }}
{{- fail (printf "%s is 0, root, and %s keeps root from starting: write another user, or false in the second" $said.runAsUser.key $said.runAsNonRoot.key) }}
{{- end }}
{{- end }}

{{- define "ml-serving.validateKnownAnswer" -}}
{{- $known := .Values.exampleModel.knownAnswer }}
{{- range $old := list "instances" "predictions" "agreement" }}
{{- if hasKey $known $old }}
{{- fail (printf "exampleModel.knownAnswer.%s is no longer known: write protocol: v1, request: {instances: [ROW]}, at: \"$.predictions[0]\", expected: ANSWER" $old) }}
{{- end }}
{{- end }}
{{- if $known }}
{{- range $key := list "protocol" "request" "at" "expected" }}
{{- if not (hasKey $known $key) }}
{{- fail (printf "exampleModel.knownAnswer has no %s: add it, or empty exampleModel.knownAnswer" $key) }}
{{- end }}
{{- end }}
{{- $asked := list }}
{{- if kindIs "map" $known.request }}
{{- $asked = keys $known.request }}
{{- end }}
{{- if and (eq $known.protocol "json") (not $known.path) }}
{{- fail "exampleModel.knownAnswer.path is missing: protocol json has no path of its own; add it" }}
{{- end }}
{{- if and (eq $known.protocol "v1") (not (or (has "instances" $asked) (has "inputs" $asked))) }}
{{- fail "exampleModel.knownAnswer.request has no instances, which protocol v1 asks with: add them, or change exampleModel.knownAnswer.protocol" }}
{{- end }}
{{- if and (eq $known.protocol "v2") (not (has "inputs" $asked)) }}
{{- fail "exampleModel.knownAnswer.request has no inputs, which protocol v2 asks with: add them, or change exampleModel.knownAnswer.protocol" }}
{{- end }}
{{- $numbers := list }}
{{- range kindIs "slice" $known.expected | ternary $known.expected (list $known.expected) }}
{{- if not (or (kindIs "string" .) (kindIs "bool" .)) }}
{{- $numbers = append $numbers . }}
{{- end }}
{{- end }}
{{- range $numbers }}
{{- if and (ge (maxf . (mulf -1 .)) 9007199254740992.0) (not (or $known.absolute $known.relative)) }}
{{- fail (printf "exampleModel.knownAnswer.expected has %s, which Argo Rollouts cannot tell from whole numbers beside it, for it reads each as a float: add exampleModel.knownAnswer.relative, or let another request be asked" (toJson .)) }}
{{- end }}
{{- end }}
{{- range $tolerance := list "absolute" "relative" }}
{{- if and (get $known $tolerance) (not $numbers) }}
{{- fail (printf "exampleModel.knownAnswer.%s is a tolerance for numbers, but exampleModel.knownAnswer.expected has none: remove the first or correct the second" $tolerance) }}
{{- end }}
{{- end }}
{{- if include "ml-serving.kserveServer" . }}
{{- include "ml-serving.validateKnownNumbers" . }}
{{- end }}
{{- end }}
{{- end }}

{{/* As many answers as questions: KServe's own servers answer each row, whatever the model. */}}
{{- define "ml-serving.validateKnownNumbers" -}}
{{- $known := .Values.exampleModel.knownAnswer }}
{{- $steps := include "ml-serving.knownAnswerSteps" . | fromJsonArray }}
{{- $rows := 0 }}
{{- $all := false }}
{{- if and (eq $known.protocol "v1") (eq (toString (first $steps)) "predictions") }}
{{- $questions := default $known.request.instances $known.request.inputs }}
{{- /* An object may hold more than one row. */}}
{{- if and (kindIs "slice" $questions) (not (contains "{" (toJson $questions))) }}{{ $rows = len $questions }}{{ end }}
{{- $all = eq (len $steps) 1 }}
{{- else if and (eq $known.protocol "v2") (regexMatch "^\\[\"outputs\",[0-9]+,\"data\"[],]" (toJson $steps)) }}
{{- range kindIs "slice" $known.request.inputs | ternary $known.request.inputs list }}
{{- if kindIs "map" . }}
{{- if kindIs "slice" .shape }}{{ $rows = first .shape | default 0 | int }}{{ end }}
{{- end }}
{{- end }}
{{- $all = eq (len $steps) 3 }}
{{- end }}
{{- $asks := printf "exampleModel.knownAnswer.request (questions: %d)" $rows }}
{{- if and $rows $all }}
{{- if not (kindIs "slice" $known.expected) }}
{{- fail (printf "exampleModel.knownAnswer.expected is one value, but %s is a list with the answer to each of %s: write a list, or in exampleModel.knownAnswer.at %s[0]" $known.at $asks $known.at) }}
{{- end }}
{{- $answers := len $known.expected }}
{{- /* v2 writes the answers to all rows one behind the other, each of them as many values as the model gives. */}}
{{- if ternary (ne $answers $rows) (ne (mod $answers $rows) 0) (eq $known.protocol "v1") }}
{{- fail (printf "exampleModel.knownAnswer.expected (answers: %d) does not fit %s, for each is answered: write as many, or look at one of them with exampleModel.knownAnswer.at" $answers $asks) }}
{{- end }}
{{- else if and $rows (eq $known.protocol "v1") }}
{{- $index := index $steps 1 }}
{{- if and (kindIs "float64" $index) (ge (int $index) $rows) }}
{{- fail (printf "exampleModel.knownAnswer.at (%s) is beyond the last answer to %s: lower its number, or ask more" $known.at $asks) }}
{{- end }}
{{- end }}
{{- end }}
