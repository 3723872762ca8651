{{/*
KServe's own fields, as exampleModel.predictor and exampleModel.model hold them. They reach the InferenceService as they are; what
the chart has a key for is refused there (_validate_pass_through.tpl), so nothing is said twice.
*/}}

{{/*
Take null out of a part of the values, at any depth: it says that nothing is to be there, as of what an environment has for all.
Helm does so of the chart's own values alone, and no cluster takes it. Takes a copy, changes it, and writes nothing.
*/}}
{{- define "ml-serving.dropNulls" -}}
{{- $part := . -}}
{{- if kindIs "map" $part -}}
{{- range $key, $value := $part -}}
{{- if kindIs "invalid" $value -}}{{ $_ := unset $part $key }}{{- else -}}{{ include "ml-serving.dropNulls" $value }}{{- end -}}
{{- end -}}
{{- else if kindIs "slice" $part -}}
{{- range $part -}}{{ include "ml-serving.dropNulls" . }}{{- end -}}
{{- end -}}
{{- end }}

{{/* KServe's name for a transformer in the model's own pod, and its port where it names none. */}}
{{- define "ml-serving.transformerPort" -}}
{{- range dig "containers" list (default dict .Values.exampleModel.predictor) -}}
{{- if eq (toString .name) "transformer-container" -}}
{{ dig "containerPort" 8080 (first (default (list dict) .ports)) }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Not empty where KServe puts its agent into the pods, which logs and batches requests. */}}
{{- define "ml-serving.agent" -}}
{{- $predictor := default dict .Values.exampleModel.predictor -}}
{{- if not (and (kindIs "invalid" $predictor.logger) (kindIs "invalid" $predictor.batcher)) }}true{{ end -}}
{{- end }}

{{/* Where requests enter a pod: at KServe's agent; else at the transformer; else at the server. */}}
{{- define "ml-serving.servedPort" -}}
{{- if include "ml-serving.agent" . -}}
9081
{{- else -}}
{{ default .Values.exampleModel.port (include "ml-serving.transformerPort" .) }}
{{- end -}}
{{- end }}

{{/* The pods' service account: the release's own, or one that is there. */}}
{{- define "ml-serving.serviceAccountName" -}}
{{ default (include "ml-serving.predictor" .) (get (default dict .Values.exampleModel.predictor) "serviceAccountName") }}
{{- end }}

{{/* The pods' labels: the mesh is on unless podLabels takes them out of it. */}}
{{- define "ml-serving.podLabels" -}}
{{ merge (dict) (default dict .Values.exampleModel.podLabels) (dict "sidecar.istio.io/inject" "true") | toYaml }}
{{- end }}

{{/* A probe: the chart's, with the fields that exampleModel.model adds; takes root, kind, path, and fields of the chart's. */}}
{{- define "ml-serving.probe" -}}
{{- $model := .root.Values.exampleModel -}}
{{- $own := dig (printf "%sProbe" .kind) dict (default dict $model.model) | default dict | deepCopy -}}
{{- include "ml-serving.dropNulls" $own -}}
{{- $probe := mergeOverwrite (dict "httpGet" (dict "path" .path "port" $model.port)) .fields $own -}}
{{- if or $own.exec $own.grpc $own.tcpSocket }}{{ $probe = omit $probe "httpGet" }}{{ end -}}
{{ toYaml $probe }}
{{- end }}
