{{- define "fairlead.fullname" -}}
{{- .Values.fullnameOverride | default (.Values.nameOverride | default .Chart.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: service-proxy
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "fairlead.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "fairlead.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "fairlead.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}:{{ $tag }}{{ if .Values.image.useDigest }}@{{ required "image.useDigest needs image.digest" .Values.image.digest }}{{ end }}
{{- end -}}

{{/* A list, from a list or from words with blanks or commas between them, as YAML. */}}
{{- define "fairlead.list" -}}
{{- if kindIs "slice" . -}}
{{- toYaml . -}}
{{- else -}}
{{- regexSplit "[ ,]+" (trim (toString .)) -1 | toYaml -}}
{{- end -}}
{{- end -}}

{{/* FairleadConfiguration. Paths are those of the container. */}}
{{- define "fairlead.configuration" -}}
{{- $c := dict "apiVersion" "fairlead.dev/v1" "kind" "FairleadConfiguration" -}}
{{- $_ := set $c "bpffs" "/host/bpf/fairlead" -}}
{{- $_ := set $c "cgroup" (ternary "/host/cgroup" "none" .Values.socketLB.enabled) -}}
{{- if not .Values.kubeProxy.configMap.enabled -}}
{{- $_ := set $c "inCluster" true -}}
{{- end -}}
{{- with .Values.k8s.apiServerURLs -}}
{{- $_ := set $c "apiServerURLs" (include "fairlead.list" . | fromYamlArray) -}}
{{- end -}}
{{- if .Values.daemon.statePath -}}
{{- $_ := set $c "stateDir" "/var/lib/fairlead" -}}
{{- end -}}
{{- with .Values.clusterCIDR -}}
{{- $_ := set $c "clusterCIDR" (include "fairlead.list" . | fromYamlArray) -}}
{{- end -}}
{{- with .Values.detectLocalMode -}}
{{- $_ := set $c "detectLocalMode" . -}}
{{- end -}}
{{- with .Values.devices -}}
{{- $_ := set $c "devices" (include "fairlead.list" . | fromYamlArray) -}}
{{- end -}}
{{- $modes := dict "native" "xdp" "best-effort" "auto" "disabled" "tc" -}}
{{- $mode := get $modes .Values.loadBalancer.acceleration | required "loadBalancer.acceleration is native, best-effort or disabled" -}}
{{- $_ := set $c "mode" $mode -}}
{{- with .Values.loadBalancer.mode -}}
{{- $_ := set $c "forwardingMode" . -}}
{{- end -}}
{{- with .Values.loadBalancer.dsrDispatch -}}
{{- $_ := set $c "dsr" (dict "dispatch" .) -}}
{{- end -}}
{{- with .Values.nodePort.addresses -}}
{{- $_ := set $c "nodePortAddresses" . -}}
{{- end -}}
{{- with .Values.nodePort.range -}}
{{- $_ := set $c "nodePortRange" (replace "," "-" .) -}}
{{- end -}}
{{- if .Values.hostPort.enabled -}}
{{- $_ := set $c "hostPorts" true -}}
{{- end -}}
{{- $maglev := dict -}}
{{- with .Values.maglev.tableSize -}}
{{- $_ := set $maglev "tableLength" . -}}
{{- end -}}
{{- with .Values.maglev.hashSeed -}}
{{- $_ := set $maglev "seed" . -}}
{{- end -}}
{{- if $maglev -}}
{{- $_ := set $c "maglev" $maglev -}}
{{- end -}}
{{- with .Values.kubeProxyReplacementHealthzBindAddr -}}
{{- $_ := set $c "healthzBindAddress" (list .) -}}
{{- end -}}
{{- if .Values.prometheus.enabled -}}
{{- $_ := set $c "metricsBindAddress" (list (printf "0.0.0.0:%d" (int .Values.prometheus.port)) (printf "[::]:%d" (int .Values.prometheus.port))) -}}
{{- end -}}
{{- if .Values.kernelConntrack.enabled -}}
{{- $_ := set $c "kernelConntrack" (dict "sysctls" "/host/proc/sys/net") -}}
{{- else -}}
{{- $_ := set $c "kernelConntrack" (dict "set" false) -}}
{{- end -}}
{{- if .Values.debug.enabled -}}
{{- $_ := set $c "logLevel" "debug" -}}
{{- end -}}
{{- toYaml (mergeOverwrite $c (deepCopy .Values.config)) -}}
{{- end -}}

{{/* A probe of /livez: eligibility, which /healthz answers for, is a matter of load balancers. The host's
network has the port, and loopback an address whatever the node's family is. */}}
{{- define "fairlead.probe" -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" .root.Values.kubeProxyReplacementHealthzBindAddr) | default "10256" -}}
httpGet:
  host: 127.0.0.1
  path: /livez
  port: {{ $port }}
  scheme: HTTP
failureThreshold: {{ .probe.failureThreshold }}
periodSeconds: {{ .probe.periodSeconds }}
successThreshold: 1
timeoutSeconds: 5
{{- end -}}

{{- define "fairlead.securityContext" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
# The pins belong to root. Without CAP_DAC_OVERRIDE and its like that is a user as any other.
runAsUser: 0
runAsGroup: 0
capabilities:
  drop: [ALL]
  add: {{ toJson .Values.securityContext.capabilities.agent }}
{{- with .Values.securityContext.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.securityContext.seccompProfile }}
seccompProfile:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
