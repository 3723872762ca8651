{{/* Values that are each right but contradict each other. Every message says what to change. */}}
{{- define "ml-serving.validate" -}}
{{- $canary := .Values.canary }}
{{- $analysis := $canary.analysis }}
{{- if and (include "ml-serving.model" .) (not .Values.exampleModel.storageUri) }}
{{- fail "exampleModel.storageUri is empty: set it to the model's URI, or switch exampleModel.enabled off" }}
{{- end }}
{{- if ge (int .Values.exampleModel.drainSeconds) (int .Values.exampleModel.terminationGracePeriodSeconds) }}
{{- fail (printf "exampleModel.drainSeconds (%v) leaves nothing of exampleModel.terminationGracePeriodSeconds (%v) to finish requests: lower the first or raise the second" .Values.exampleModel.drainSeconds .Values.exampleModel.terminationGracePeriodSeconds) }}
{{- end }}
{{- if gt (float64 .Values.slo.latency.p95Threshold) (float64 .Values.slo.latency.p99Threshold) }}
{{- fail (printf "slo.latency.p95Threshold (%v) is above slo.latency.p99Threshold (%v): 95 %% of the requests cannot be slower than 99 %% of them; lower the first or raise the second" .Values.slo.latency.p95Threshold .Values.slo.latency.p99Threshold) }}
{{- end }}
{{- if and .Values.features.autoscaling (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas (%v) is above autoscaling.maxReplicas (%v): lower the first or raise the second" .Values.autoscaling.minReplicas .Values.autoscaling.maxReplicas) }}
{{- end }}
{{- if .Values.features.canaryDeployment }}
{{- $previous := 0 }}
{{- range $index, $step := $canary.steps }}
{{- if le (int $step.weight) $previous }}
{{- fail (printf "canary.steps[%d].weight (%v) is not above the step before it (%d): put the weights in ascending order" $index $step.weight $previous) }}
{{- end }}
{{- $previous = int $step.weight }}
{{- end }}
{{- if and (has (toString $canary.maxSurge) (list "0" "0%")) (has (toString $canary.maxUnavailable) (list "0" "0%")) }}
{{- fail "canary.maxSurge and canary.maxUnavailable are both 0: no pod could ever be replaced; raise one of them" }}
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
