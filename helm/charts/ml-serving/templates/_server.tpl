{{/*
What starts the model server once the files are compared: what the values say, or the entry point of KServe's own server for
the runtime.
*/}}
{{- define "ml-serving.entryPoint" -}}
{{- $known := include "ml-serving.kserveServer" . -}}
{{- if .Values.exampleModel.command -}}
{{ toJson .Values.exampleModel.command }}
{{- else if $known -}}
{{ list "python" "-m" (trimPrefix "kserve-" $known) | toJson }}
{{- end -}}
{{- end }}

{{/* The runtime, where it is one of KServe's own servers for rows of features; else empty. */}}
{{- define "ml-serving.kserveServer" -}}
{{ regexFind "^kserve-(sklearn|xgb|lgb|predictive)server$" (include "ml-serving.runtime" .) }}
{{- end }}

{{/* Environment that KServe reads of a container without a runtime: what `model` says of one with a runtime. */}}
{{- define "ml-serving.ownContainerEnvironment" -}}
{{- with .Values.exampleModel.storageUri }}
- name: STORAGE_URI
  value: {{ . | quote }}
{{- end }}
{{- with .Values.exampleModel.protocolVersion }}
- name: PROTOCOL
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The model server's container, in what is the same for one with a runtime and for one without. */}}
{{- define "ml-serving.server" -}}
{{- $model := .Values.exampleModel -}}
{{- with $model.image }}
image: {{ . | quote }}
{{- end }}
{{- if $model.digest }}
command:
  - python3
  - -c
  - |
    {{- .Files.Get "files/pinned_model.py" | trim | nindent 4 }}
  {{- if hasPrefix "hf://" $model.storageUri }}
  - --hub
  {{- end }}
  - {{ $model.digest | quote }}
  {{- include "ml-serving.entryPoint" . | fromJsonArray | toYaml | nindent 2 }}
{{- else if $model.command }}
command:
  {{- toYaml $model.command | nindent 2 }}
{{- end }}
{{- with $model.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $environment := "" }}
{{- if not (include "ml-serving.runtime" .) }}
{{- $environment = include "ml-serving.ownContainerEnvironment" . | trim }}
{{- end }}
{{- if or $environment $model.env }}
env:
  {{- with $environment }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $model.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
ports:
  - name: http
    containerPort: {{ $model.port }}
    protocol: TCP
{{- with $model.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $model.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $model.drainSeconds }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
startupProbe:
  httpGet:
    path: {{ default $model.probes.livenessPath $model.probes.startupPath | quote }}
    port: {{ $model.port }}
  periodSeconds: 1
  failureThreshold: {{ $model.probes.startupSeconds }}
livenessProbe:
  httpGet:
    path: {{ $model.probes.livenessPath | quote }}
    port: {{ $model.port }}
  periodSeconds: {{ $model.probes.livenessPeriodSeconds }}
  timeoutSeconds: 5
readinessProbe:
  httpGet:
    path: {{ default (printf "/v2/models/%s/ready" $model.name) $model.probes.readinessPath | quote }}
    port: {{ $model.port }}
  periodSeconds: {{ $model.probes.readinessPeriodSeconds }}
  timeoutSeconds: 2
{{- end }}
