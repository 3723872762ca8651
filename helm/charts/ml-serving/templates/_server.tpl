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
{{- $own := default dict $model.model | deepCopy -}}
{{- include "ml-serving.dropNulls" $own -}}
{{- with $model.image }}
image: {{ . | quote }}
{{- end }}
{{- if $model.digest }}
command:
  - python3
  - -I # nothing in the working folder or the environment stands in for Python's own modules
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
  {{- with $own.ports }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $model.resources }}
resources:
  {{- include "ml-serving.resources" . | nindent 2 }}
{{- end }}
{{- with $model.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or $model.drainSeconds $own.lifecycle }}
lifecycle:
  {{- with $model.drainSeconds }}
  preStop:
    sleep:
      seconds: {{ . }}
  {{- end }}
  {{- with $own.lifecycle }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with $own.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $probes := $model.probes }}
{{- $started := default $probes.livenessPath $probes.startupPath }}
{{- $ready := default (printf "/v2/models/%s/ready" $model.name) $probes.readinessPath }}
startupProbe:
  {{- include "ml-serving.probe" (dict "root" . "kind" "startup" "path" $started "fields" (dict "periodSeconds" 1 "failureThreshold" $probes.startupSeconds)) | nindent 2 }}
livenessProbe:
  {{- include "ml-serving.probe" (dict "root" . "kind" "liveness" "path" $probes.livenessPath "fields" (dict "periodSeconds" $probes.livenessPeriodSeconds "timeoutSeconds" 5)) | nindent 2 }}
readinessProbe:
  {{- include "ml-serving.probe" (dict "root" . "kind" "readiness" "path" $ready "fields" (dict "periodSeconds" $probes.readinessPeriodSeconds "timeoutSeconds" 2)) | nindent 2 }}
{{- with omit $own "ports" "lifecycle" "volumeMounts" "startupProbe" "livenessProbe" "readinessProbe" "modelFormat" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Resources of a container; takes them. KServe's CRD has text and whole numbers for an amount: 0.5 becomes text. */}}
{{- define "ml-serving.resources" -}}
{{- $resources := deepCopy . -}}
{{- range $part := list "requests" "limits" -}}
{{- range $name, $amount := default dict (get $resources $part) -}}
{{- if and (kindIs "float64" $amount) (ne (toString $amount) (toString (floor $amount))) -}}
{{- $_ := set (get $resources $part) $name (toString $amount) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toYaml $resources }}
{{- end }}
