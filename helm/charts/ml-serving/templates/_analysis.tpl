{{/* What an analysis measures. Its arguments `revision` and `stable` are pod template hashes: only these pods' figures are judged. */}}

{{- define "ml-serving.canarySeries" -}}
{{ include "ml-serving.matchers" . }}, revision="{{ "{{args.revision}}" }}"
{{- end }}

{{- define "ml-serving.stableSeries" -}}
{{ include "ml-serving.matchers" . }}, revision="{{ "{{args.stable}}" }}"
{{- end }}

{{/*
Requests that the canary has answered within the window, by pod and code; takes root, and matchers of those that count,
behind a comma.
A pod has answered requests before its first scrape, and has no series of a code before the first answer with it:
`increase`, which compares two samples, knows nothing of what the first one held. All of it is the canary's, whose pods are
new; where Prometheus has not seen one for a whole window, it is all since that began.
*/}}
{{- define "ml-serving.canaryRequests" -}}
{{- $series := printf "inference_request_total{%s%s}" (include "ml-serving.canarySeries" .root) .counted -}}
{{- $window := .root.Values.canary.analysis.window -}}
{{ $series }} unless {{ $series }} offset {{ $window }} or increase({{ $series }}[{{ $window }}])
{{- end }}

{{/* How many they are. */}}
{{- define "ml-serving.requestsQuery" -}}
sum({{ include "ml-serving.canaryRequests" (dict "root" . "counted" "") }})
{{- end }}

{{/*
Share of the canary's answers that are no server error.
`or vector(0)`: a canary whose every answer is an error has no good series, and its rate is 0, not unknown.
*/}}
{{- define "ml-serving.successRateQuery" -}}
{{- $good := include "ml-serving.canaryRequests" (dict "root" . "counted" ", response_code!~\"5..\"") -}}
(sum({{ $good }}) or vector(0)) / sum({{ include "ml-serving.canaryRequests" (dict "root" . "counted" "") }})
{{- end }}

{{/* A percentile of the latency in seconds; takes root, percentile and series. */}}
{{- define "ml-serving.latencyQuery" -}}
histogram_quantile(0.{{ .percentile }}, sum by (le) (rate(inference_request_duration_milliseconds_bucket{ {{- .series }}}[{{ .root.Values.canary.analysis.window }}]))) / 1000
{{- end }}

{{/*
How many times the stable revision's 95th percentile the canary's is. Where the stable one is fast, a fifth of the SLO's
limit stands in for it: nobody minds 8 ms instead of 4. Where it has no requests, the limit itself does.
*/}}
{{- define "ml-serving.latencyIncreaseQuery" -}}
{{- $canary := include "ml-serving.latencyQuery" (dict "root" . "percentile" 95 "series" (include "ml-serving.canarySeries" .)) -}}
{{- $stable := include "ml-serving.latencyQuery" (dict "root" . "percentile" 95 "series" (include "ml-serving.stableSeries" .)) -}}
{{- $limit := .Values.slo.latency.p95Threshold -}}
({{ $canary }}) / clamp_min(({{ $stable }}) > 0 or vector({{ $limit }}), {{ divf $limit 5 }})
{{- end }}

{{/*
Least share of good answers: the error budget of the SLO, spent canary.analysis.errorBudgetBurn times as fast as it may be.
*/}}
{{- define "ml-serving.successRate" -}}
{{ subf 1 (mulf .Values.canary.analysis.errorBudgetBurn (subf 1 .Values.slo.availability.target)) | printf "%.6g" }}
{{- end }}

{{/*
The metrics of an analysis; takes root, and gate: true for the one between two steps, which is over as soon as the figures
are there and good, and false for the one in the background.
Too few requests, or none, are a failure of their own: the measurements that would need them are inconclusive meanwhile.
*/}}
{{- define "ml-serving.analysisMetrics" -}}
{{- $root := .root }}
{{- $analysis := $root.Values.canary.analysis }}
{{- $noData := int $analysis.noDataLimit }}
{{- $asked := default dict $analysis.prometheus | deepCopy }}
{{- include "ml-serving.dropNulls" $asked }}
{{- $address := $root.Values.monitoring.prometheusAddress | quote }}
{{- $canary := include "ml-serving.canarySeries" $root }}
{{- $judged := list
  (dict "name" "success-rate" "good" "result[0] >= {{args.success-rate}}" "query" (include "ml-serving.successRateQuery" $root))
  (dict "name" "latency-p95" "good" "result[0] <= {{args.latency-p95}}" "query" (include "ml-serving.latencyQuery" (dict "root" $root "percentile" 95 "series" $canary)))
  (dict "name" "latency-p99" "good" "result[0] <= {{args.latency-p99}}" "query" (include "ml-serving.latencyQuery" (dict "root" $root "percentile" 99 "series" $canary))) }}
{{- if $analysis.latencyIncrease }}
{{- $judged = append $judged (dict "name" "latency-increase" "good" (printf "result[0] <= %v" $analysis.latencyIncrease) "query" (include "ml-serving.latencyIncreaseQuery" $root)) }}
{{- end -}}
- name: requests
  {{- include "ml-serving.schedule" (dict "analysis" $analysis "gate" .gate "count" (add1 $noData)) | nindent 2 }}
  failureLimit: {{ $noData }}
  successCondition: len(result) > 0 && result[0] >= {{ $analysis.minRequests }}
  provider:
    prometheus:
      address: {{ $address }}
      query: {{ include "ml-serving.requestsQuery" $root | quote }}
      {{- with $asked }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- range $metric := $judged }}
- name: {{ $metric.name }}
  {{- include "ml-serving.schedule" (dict "analysis" $analysis "gate" $.gate "count" (add $noData 2)) | nindent 2 }}
  {{- if not $.gate }}
  failureLimit: {{ $analysis.failureLimit }}
  {{- end }}
  inconclusiveLimit: {{ add1 $noData }}
  successCondition: len(result) > 0 && !isNaN(result[0]) && {{ $metric.good }}
  failureCondition: len(result) > 0 && !isNaN(result[0]) && !({{ $metric.good }})
  provider:
    prometheus:
      address: {{ $address }}
      query: {{ $metric.query | quote }}
      {{- with $asked }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end }}
{{- if include "ml-serving.asksCanary" $root }}
- name: known-answer
  {{- if .gate }}
  count: 1
  {{- else }}
  interval: {{ $analysis.interval }}
  # The canary's Service has its new pods by now, but not yet every node knows them: until then the old ones would answer.
  initialDelay: 5s
  {{- end }}
  failureLimit: 0
  consecutiveErrorLimit: {{ $analysis.consecutiveErrorLimit }}
  {{- include "ml-serving.knownAnswerMeasurement" $root | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ml-serving.schedule" -}}
interval: {{ .analysis.interval }}
{{- if .gate }}
count: {{ .count }}
consecutiveSuccessLimit: 1
{{- else }}
initialDelay: {{ .analysis.initialDelay }}
{{- end }}
consecutiveErrorLimit: {{ .analysis.consecutiveErrorLimit }}
{{- end }}

{{/* Arguments of both AnalysisTemplates. */}}
{{- define "ml-serving.analysisArguments" -}}
# Pod template hashes of the canary and of the stable pods.
- name: revision
{{- if .Values.canary.analysis.latencyIncrease }}
- name: stable
{{- end }}
- name: success-rate
  value: {{ include "ml-serving.successRate" . | quote }}
# Seconds.
- name: latency-p95
  value: {{ .Values.slo.latency.p95Threshold | quote }}
- name: latency-p99
  value: {{ .Values.slo.latency.p99Threshold | quote }}
{{- with .Values.canary.analysis.args }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What the Rollout gives them; takes root, and the thresholds that a step has of its own. */}}
{{- define "ml-serving.analysisValues" -}}
- name: revision
  valueFrom:
    podTemplateHashValue: Latest
{{- if .root.Values.canary.analysis.latencyIncrease }}
- name: stable
  valueFrom:
    podTemplateHashValue: Stable
{{- end }}
{{- range $name, $key := dict "success-rate" "successRate" "latency-p95" "p95Threshold" "latency-p99" "p99Threshold" }}
{{- with index $.thresholds $key }}
- name: {{ $name }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
