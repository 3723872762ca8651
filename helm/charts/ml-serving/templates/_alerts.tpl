{{/*
Labels of an alert; takes root, slo, and for: `page` for a person now, `ticket` for working hours.
*/}}
{{- define "ml-serving.alertLabels" -}}
severity: {{ index .root.Values.monitoring.alerts.severity .for | quote }}
slo: {{ .slo }}
{{- with .root.Values.monitoring.alerts.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where an alert leads; takes root, the alert's name, and the dashboard that shows most of it. */}}
{{- define "ml-serving.alertLinks" -}}
{{- $monitoring := .root.Values.monitoring -}}
runbook_url: {{ trimSuffix "/" $monitoring.runbookBase }}/{{ .name }}.md
{{- if and $monitoring.dashboards.enabled $monitoring.dashboards.grafanaAddress }}
dashboard_url: {{ trimSuffix "/" $monitoring.dashboards.grafanaAddress }}/d/{{ .dashboard }}-{{ include "ml-serving.dashboardId" .root }}
{{- end }}
{{- end }}

{{/* Labels of what is about the model as a whole, for a rule whose expression has none of them. */}}
{{- define "ml-serving.modelLabels" -}}
namespace: {{ .Release.Namespace | quote }}
service: {{ include "ml-serving.predictor" . }}
model: {{ .Values.exampleModel.name | quote }}
{{- end }}

{{/*
Requests of the model within a window, by namespace, service and model; takes root, window, and matchers of those that
count, behind a comma.
A proxy has no series of a code before the first answer with it, and Prometheus may first see a pod when it has answered
many: `increase`, which compares two samples, knows nothing of what the first one held. It is all of this window, and what
counts, where the proxy has started within it, or answered a scrape before it without having the series. A pod that
Prometheus merely found again has done neither.
*/}}
{{- define "ml-serving.requestsWithin" -}}
{{- $own := include "ml-serving.matchers" .root -}}
{{- $series := printf "inference_request_total{%s%s}" $own .counted -}}
{{- $uptime := printf "inference_proxy_uptime_seconds{%s}" $own -}}
sum by (namespace, service, model) (
  {{ $series }} unless {{ $series }} offset {{ .window }}
  and on (namespace, pod)
  ({{ $uptime }} < {{ include "ml-serving.seconds" .window }} or {{ $uptime }} offset {{ .window }})
  or
  increase({{ $series }}[{{ .window }}])
)
{{- end }}
