{{/* What no other has in the namespace: the release, and where it may hold this chart many times, as a dependency, its model. */}}
{{- define "ml-serving.instance" -}}
{{ .Release.Name }}{{ if not .Chart.IsRoot }}-{{ .Values.exampleModel.name }}{{ end }}
{{- end }}

{{/* The same, with the chart's name unless it is in there already; names what belongs to the release, not to the model. */}}
{{- define "ml-serving.fullname" -}}
{{- if or (not .Chart.IsRoot) (contains .Chart.Name .Release.Name) }}{{ include "ml-serving.instance" . }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Not empty when there is a model: everything else hangs on its InferenceService, so nothing is left to dangle without it. */}}
{{- define "ml-serving.model" -}}
{{- if and .Values.exampleModel.enabled .Values.features.kserve }}true{{ end }}
{{- end }}

{{/* Name of KServe's Deployment and Service, of the Rollout, and the stem of every other name. */}}
{{- define "ml-serving.predictor" -}}
{{ .Values.exampleModel.name }}-predictor
{{- end }}

{{/* Labels that never change while a release lives. Only these may stand on the InferenceService: KServe copies its labels to the pods. */}}
{{- define "ml-serving.stableLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "ml-serving.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{ include "ml-serving.stableLabels" . }}
{{- end }}

{{/* Selects the model's pods: the label KServe's own Service selects by. */}}
{{- define "ml-serving.podSelector" -}}
app: isvc.{{ include "ml-serving.predictor" . }}
{{- end }}

{{/* Empty for a container of the user's own, which has none. */}}
{{- define "ml-serving.runtime" -}}
{{- $runtime := default "" .Values.exampleModel.runtime -}}
{{- if eq $runtime "kserve-sklearn" }}kserve-sklearnserver{{ else }}{{ $runtime }}{{ end }}
{{- end }}

{{/* What runs the pods, as apiVersion, kind and name. */}}
{{- define "ml-serving.workload" -}}
{{- if .Values.features.canaryDeployment -}}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
{{- else -}}
apiVersion: apps/v1
kind: Deployment
{{- end }}
name: {{ include "ml-serving.predictor" . }}
{{- end }}

{{/* Not empty where the values say how many pods there are. Elsewhere that is an autoscaler's alone, and no object may say it. */}}
{{- define "ml-serving.fixedReplicas" -}}
{{- if and (not .Values.features.autoscaling) .Values.exampleModel.replicas }}true{{ end }}
{{- end }}

{{/* Label matchers of the model's series. */}}
{{- define "ml-serving.matchers" -}}
namespace={{ .Release.Namespace | quote }}, model={{ .Values.exampleModel.name | quote }}
{{- end }}

{{/*
A Kubernetes quantity as a number: 1.5 for 1500m, 1024 for 1Ki. `mulf` counts in decimals, so that 100m equals 0.1 exactly. A
number of the values may come as 1.073741824e+09, which has no unit.
*/}}
{{- define "ml-serving.quantity" -}}
{{- $units := dict "" 1 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- range $power, $letter := list "" "K" "M" "G" "T" "P" "E" -}}
{{- $factor := 1 -}}
{{- range until $power }}{{ $factor = mul $factor 1024 }}{{ end -}}
{{- if $letter }}{{ $_ := set $units (printf "%si" $letter) $factor }}{{ end -}}
{{- end -}}
{{- $unit := regexFind "([KMGTPE]i|[numkMGTPE])$" (toString .) -}}
{{ mulf (trimSuffix $unit (toString .)) (get $units $unit) }}
{{- end }}

{{/* Seconds of a duration such as 30s, 5m, 1h, 3d. */}}
{{- define "ml-serving.seconds" -}}
{{- $factor := dict "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{- mul (trimSuffix (regexFind "[smhd]$" .) .) (get $factor (regexFind "[smhd]$" .)) -}}
{{- end }}

{{/*
What an instance's dashboards are told apart by. Grafana knows a dashboard by its uid, its title in the folder, and the file
that the sidecar writes, which it names by the key alone. Of two with the same one of these, one would lose its
dashboard: each carries namespace and instance. A uid has 40 characters at most, hence the hash.
*/}}
{{- define "ml-serving.dashboardId" -}}
{{ printf "%s/%s" .Release.Namespace (include "ml-serving.instance" .) | sha256sum | trunc 12 }}
{{- end }}
