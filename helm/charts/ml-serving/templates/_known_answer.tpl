{{/*
The known request and its right answer, for whoever asks: the analysis, `helm test`, the release notes. Each is read from
exampleModel.knownAnswer here and nowhere else.
*/}}

{{/* Not empty when there is one; it is whole then. */}}
{{- define "ml-serving.hasKnownAnswer" -}}
{{- include "ml-serving.validateKnownAnswer" . -}}
{{- if .Values.exampleModel.knownAnswer }}true{{ end }}
{{- end }}

{{/* Not empty when the canary's analyses ask. */}}
{{- define "ml-serving.asksCanary" -}}
{{- if and (include "ml-serving.hasKnownAnswer" .) .Values.canary.analysis.knownAnswer }}true{{ end }}
{{- end }}

{{/* Where the request goes: the protocol's own path, or the one that is given. */}}
{{- define "ml-serving.knownAnswerPath" -}}
{{- $known := .Values.exampleModel.knownAnswer -}}
{{- $paths := dict "v1" (printf "/v1/models/%s:predict" .Values.exampleModel.name) "v2" (printf "/v2/models/%s/infer" .Values.exampleModel.name) -}}
{{ default (get $paths $known.protocol) $known.path }}
{{- end }}

{{/* JSON without two opening braces in a row, which Argo Rollouts would take for an argument of the analysis; takes the value. */}}
{{- define "ml-serving.inertJSON" -}}
{{ toJson . | replace "{{" "{\\u007b" }}
{{- end }}

{{/*
The names and positions of `at`, as a JSON list: "$.a['b c'][0]" becomes ["a", "b c", 0]. Its grammar is the schema's pattern.
*/}}
{{- define "ml-serving.knownAnswerSteps" -}}
{{- $steps := list -}}
{{- range regexFindAll "\\.[A-Za-z0-9_]+|\\[[0-9]+\\]|\\[\"[^\"]+\"\\]|\\['[^']+'\\]" .Values.exampleModel.knownAnswer.at -1 -}}
{{- if hasPrefix "." . -}}
{{- $steps = append $steps (trimPrefix "." .) -}}
{{- else if regexMatch "^\\[[0-9]" . -}}
{{- $steps = append $steps (trimAll "[]" . | int) -}}
{{- else -}}
{{- $steps = append $steps (substr 2 (sub (len .) 2 | int) .) -}}
{{- end -}}
{{- end -}}
{{ toJson $steps }}
{{- end }}

{{/*
`at` as client-go's jsonpath reads it, which knows no quotes around names: there each character that ends a name is escaped.
*/}}
{{- define "ml-serving.knownAnswerJSONPath" -}}
{$
{{- range include "ml-serving.knownAnswerSteps" . | fromJsonArray -}}
{{- if kindIs "string" . -}}
.{{ regexReplaceAll "([^A-Za-z0-9_])" . "\\${1}" }}
{{- else -}}
[{{ int . }}]
{{- end -}}
{{- end -}}
}
{{- end }}

{{/*
What each expected value lets through, as a JSON list in their order: {"equal": VALUE}, or {"least": NUMBER, "most": NUMBER} with
a tolerance.
*/}}
{{- define "ml-serving.knownAnswerChecks" -}}
{{- $known := .Values.exampleModel.knownAnswer -}}
{{- $checks := list -}}
{{- range kindIs "slice" $known.expected | ternary $known.expected (list $known.expected) -}}
{{- $tolerance := 0.0 -}}
{{- if not (or (kindIs "string" .) (kindIs "bool" .)) -}}
{{- $tolerance = maxf (default 0 $known.absolute) (mulf (default 0 $known.relative) (maxf . (mulf -1 .))) -}}
{{- end -}}
{{- if gt $tolerance 0.0 -}}
{{- $checks = append $checks (dict "least" (subf . $tolerance) "most" (addf . $tolerance)) -}}
{{- else -}}
{{- $checks = append $checks (dict "equal" .) -}}
{{- end -}}
{{- end -}}
{{ toJson $checks }}
{{- end }}

{{/* A number as Argo Rollouts reads every number of an answer: a float; takes the number. */}}
{{- define "ml-serving.float" -}}
{{ toJson . }}{{ if not (regexMatch "[.e]" (toJson .)) }}.0{{ end }}
{{- end }}

{{/*
When the answer is right, of those parts of expr alone that `gates` takes (docs/gates.md).
*/}}
{{- define "ml-serving.knownAnswerCondition" -}}
{{- $listed := kindIs "slice" .Values.exampleModel.knownAnswer.expected -}}
{{- $checks := include "ml-serving.knownAnswerChecks" . | fromJsonArray -}}
{{- $parts := list -}}
{{- if $listed -}}
{{- $parts = append $parts (printf "len(result) == %d" (len $checks)) -}}
{{- end -}}
{{- range $index, $check := $checks -}}
{{- $value := ternary (printf "result[%d]" $index) "result" $listed -}}
{{- if not (hasKey $check "equal") -}}
{{- $parts = append $parts (printf "%s >= %s && %s <= %s" $value (include "ml-serving.float" $check.least) $value (include "ml-serving.float" $check.most)) -}}
{{- else if kindIs "float64" $check.equal -}}
{{- $parts = append $parts (printf "%s == %s" $value (include "ml-serving.float" $check.equal)) -}}
{{- else -}}
{{- $parts = append $parts (printf "%s == %s" $value (include "ml-serving.inertJSON" $check.equal)) -}}
{{- end -}}
{{- end -}}
{{ join " && " $parts }}
{{- end }}

{{/*
The known request to the canary, and its right answer.
`Connection: close`: the canary's Service is given its new pods as the analysis starts. A connection that was made a moment
too early, or for the canary before, would be kept, and the old pods would go on answering for the new ones.
*/}}
{{- define "ml-serving.knownAnswerMeasurement" -}}
successCondition: {{ include "ml-serving.knownAnswerCondition" . | quote }}
provider:
  web:
    method: POST
    url: {{ printf "http://%s-canary.%s%s" (include "ml-serving.predictor" .) .Release.Namespace (include "ml-serving.knownAnswerPath" .) | quote }}
    headers:
      - key: Content-Type
        value: application/json
      - key: Connection
        value: close
    timeoutSeconds: 5
    body: {{ include "ml-serving.inertJSON" .Values.exampleModel.knownAnswer.request | quote }}
    jsonPath: {{ include "ml-serving.knownAnswerJSONPath" . | quote }}
{{- end }}

{{/* The annotation of an AnalysisTemplate by which `gates` knows a right answer from a wrong one. */}}
{{- define "ml-serving.knownAnswerAnnotation" -}}
ml-serving/known-answer: {{ pick .Values.exampleModel.knownAnswer "expected" "absolute" "relative" | toJson | quote }}
{{- end }}
