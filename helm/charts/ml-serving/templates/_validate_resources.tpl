{{/*
What the pods are given, and what the autoscaler makes of it. Kubernetes' own rules are those of its
ValidateContainerResourceRequirements; KServe's Deployment that breaks one is refused where nobody looks.
*/}}
{{- define "ml-serving.validateResources" -}}
{{- $resources := default dict .Values.exampleModel.resources }}
{{- range $part := list "requests" "limits" }}
{{- range $name, $quantity := default dict (get $resources $part) }}
{{- $key := include "ml-serving.resourceKey" (list $part $name) }}
{{- if not (or (contains "/" $name) (has $name (list "cpu" "memory" "ephemeral-storage")) (hasPrefix "hugepages-" $name)) }}
{{- fail (printf "%s is no resource of Kubernetes: write cpu, memory or ephemeral-storage, or a device as its plugin calls it, such as nvidia.com/gpu" $key) }}
{{- end }}
{{- $amount := include "ml-serving.quantity" $quantity | float64 }}
{{- if and (include "ml-serving.isDevice" $name) (contains "/" $name) (ne $amount (floor $amount)) }}
{{- fail (printf "%s (%v) is a part of a device: write a whole number" $key $quantity) }}
{{- end }}
{{- /* Kubernetes takes both, and no pod starts: amounts of the one, or without their unit, written for the other. */}}
{{- if and (eq $name "memory") (gt $amount 0.0) (lt $amount 1048576.0) }}
{{- fail (printf "%s (%v) is less than 1Mi, with which nothing starts: write its unit, as in 1Gi" $key $quantity) }}
{{- end }}
{{- if and (eq $name "cpu") (gt $amount 10000.0) }}
{{- fail (printf "%s (%v) is more CPUs than a node has: write a number of them, as in 2 or 500m" $key $quantity) }}
{{- end }}
{{- /* Kubernetes counts up to 2^63 - 1, and takes whatever is more for that. */}}
{{- if ge $amount 9223372036854775807.0 }}
{{- fail (printf "%s (%v) is more than Kubernetes can count: write less than 8Ei" $key $quantity) }}
{{- end }}
{{- end }}
{{- end }}
{{- $limits := default dict $resources.limits }}
{{- range $name, $request := $resources.requests }}
{{- $asked := include "ml-serving.resourceKey" (list "requests" $name) }}
{{- $limited := include "ml-serving.resourceKey" (list "limits" $name) }}
{{- $device := include "ml-serving.isDevice" $name }}
{{- if hasKey $limits $name }}
{{- $limit := get $limits $name }}
{{- $difference := subf (include "ml-serving.quantity" $request) (include "ml-serving.quantity" $limit) }}
{{- if and $device (ne $difference 0.0) }}
{{- fail (printf "%s (%v) and %s (%v) differ, and Kubernetes takes a device's request only where it equals the limit: write the same in both, or the limit alone" $asked $request $limited $limit) }}
{{- else if gt $difference 0.0 }}
{{- fail (printf "%s (%v) is above %s (%v), which Kubernetes refuses: lower the first or raise the second" $asked $request $limited $limit) }}
{{- end }}
{{- else if $device }}
{{- fail (printf "%s (%v) has no limit, without which Kubernetes refuses it: write %v in %s; the request may be left out then" $asked $request $request $limited) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where a resource stands in the values, as messages name it; takes `requests` or `limits`, and its name. */}}
{{- define "ml-serving.resourceKey" -}}
{{- $name := last . -}}
exampleModel.resources.{{ first . }}{{ if regexMatch "^[a-z]+$" $name }}.{{ $name }}{{ else }}[{{ quote $name }}]{{ end }}
{{- end }}

{{/* Not empty for a resource of which a pod must ask for as much as its limit; takes its name. */}}
{{- define "ml-serving.isDevice" -}}
{{- if or (hasPrefix "hugepages-" .) (and (contains "/" .) (not (contains "kubernetes.io/" .))) }}true{{ end }}
{{- end }}

{{- define "ml-serving.validateAutoscaling" -}}
{{- $scaling := .Values.autoscaling }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas (%v) is above autoscaling.maxReplicas (%v): lower the first or raise the second" $scaling.minReplicas $scaling.maxReplicas) }}
{{- end }}
{{- $resources := default dict .Values.exampleModel.resources }}
{{- $requests := default dict $resources.requests }}
{{- $limits := default dict $resources.limits }}
{{- range $name := list "cpu" "memory" }}
{{- if and (eq (toString (index $scaling $name)) "") (not (hasKey $limits $name)) }}
{{- fail (printf "autoscaling.%s is empty, and so is exampleModel.resources.limits.%s, of which it is a part: set one of them, or autoscaling.%s to null to leave it out" $name $name $name) }}
{{- end }}
{{- end }}
{{- if not (or (include "ml-serving.scalesOnResources" .) (include "ml-serving.scalesOnRequests" .)) }}
{{- fail "autoscaling.cpu and autoscaling.memory are left out, or empty with no room between request and limit, and autoscaling.requestsPerSecond is 0 or features.sloMonitoring off: the autoscaler has nothing to go by; set one of them, or switch features.autoscaling off" }}
{{- end }}
{{- range $name := list "cpu" "memory" }}
{{- $target := include "ml-serving.scalingTarget" (list $ $name) }}
{{- if $target }}
{{- $aim := include "ml-serving.quantity" $target }}
{{- if eq (float64 $aim) 0.0 }}
{{- fail (printf "autoscaling.%s (%v) is no target: write one above 0, or null to leave it out" $name $target) }}
{{- end }}
{{- if hasKey $limits $name }}
{{- $limit := get $limits $name }}
{{- /* Within a tenth of its target an autoscaler does nothing. */}}
{{- if le (subf (include "ml-serving.quantity" $limit) (mulf $aim 1.1)) 0.0 }}
{{- fail (printf "autoscaling.%s (%v) is too high for exampleModel.resources.limits.%s (%v): the autoscaler adds a pod only where use is more than 10 %% above its target, and the limit does not let it get there; lower the first or raise the second" $name $target $name $limit) }}
{{- end }}
{{- end }}
{{- /* At rest a model uses much of the memory that it asks for, and hardly any CPU. */}}
{{- if and (eq $name "memory") (hasKey $requests $name) }}
{{- $request := get $requests $name }}
{{- if lt (subf $aim (divf (include "ml-serving.quantity" $request) 2)) 0.0 }}
{{- fail (printf "autoscaling.%s (%v) is less than half of exampleModel.resources.requests.%s (%v): the autoscaler would go to autoscaling.maxReplicas with nothing to do; raise the first or lower the second" $name $target $name $request) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
What the autoscaler aims at: what the values say, or where that is empty a part of the limit. Empty where it is left out; takes
root, and `cpu` or `memory`.
*/}}
{{- define "ml-serving.scalingTarget" -}}
{{- $values := (first .).Values -}}
{{- $name := last . -}}
{{- $target := index $values.autoscaling $name -}}
{{- /* `helm upgrade --reuse-values` keeps a null. */ -}}
{{- if not (kindIs "invalid" $target) -}}
{{- $amounts := $values.exampleModel.resources -}}
{{- if ne (toString $target) "" -}}
{{ $target }}
{{- else if eq $name "cpu" -}}
{{ mulf (include "ml-serving.quantity" $amounts.limits.cpu) 700 | floor | int64 }}m
{{- else -}}
{{- $part := mulf (include "ml-serving.quantity" $amounts.limits.memory) 0.78125 -}}
{{- /* A pod uses what it asks for at rest. From half of the target on that keeps pods which no traffic needs. */ -}}
{{- $rest := include "ml-serving.quantity" (dig "memory" 0 (default dict $amounts.requests)) -}}
{{- if ge (subf $part (mulf $rest 2)) 0.0 }}{{ divf $part 1048576 | floor | int64 }}Mi{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Not empty where what a pod uses is one of the autoscaler's metrics. */}}
{{- define "ml-serving.scalesOnResources" -}}
{{- include "ml-serving.scalingTarget" (list . "cpu") }}{{ include "ml-serving.scalingTarget" (list . "memory") }}
{{- end }}

{{/* Not empty where what a pod uses at rest may be taken for traffic: in a canary there are up to twice as many pods. */}}
{{- define "ml-serving.multipliesInCanary" -}}
{{- if and .Values.features.canaryDeployment (include "ml-serving.scalesOnResources" .) }}true{{ end }}
{{- end }}

{{/* Not empty where that can be kept from happening: earlier Kubernetes cannot be told. */}}
{{- define "ml-serving.holdsInCanary" -}}
{{- if and (include "ml-serving.multipliesInCanary" .) (semverCompare ">=1.35-0" .Capabilities.KubeVersion.Version) }}true{{ end }}
{{- end }}

{{/* Not empty where the requests per second are one of the autoscaler's metrics. */}}
{{- define "ml-serving.scalesOnRequests" -}}
{{- if and .Values.features.sloMonitoring (gt (float64 .Values.autoscaling.requestsPerSecond) 0.0) }}true{{ end }}
{{- end }}
