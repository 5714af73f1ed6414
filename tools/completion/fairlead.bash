# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Completion of fairlead(1) for bash. Names of Services are asked from the agent.
# shellcheck shell=bash

# What `fairlead ... -o name` prints, with the socket and directory that stand on the command line.
_fairlead_names() {
	local i
	local -a where=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--socket | --bpffs) where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
		esac
	done
	fairlead "${where[@]}" "$@" -o name 2>/dev/null
}

_fairlead() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} noun='' verb='' i
	local options='--socket --bpffs --output --no-headers --watch --help --version'
	local filters='--proto --state --client --frontend --backend --service'
	local -A verbs=([service]='list get' [backend]=list [flow]='list flush' [maglev]=show)

	case $prev in
	--socket) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
	--bpffs | --cgroup) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && return ;;
	--manifests | -f) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
	-o | --output) mapfile -t COMPREPLY < <(compgen -W 'table wide json yaml name' -- "$cur") && return ;;
	--proto) mapfile -t COMPREPLY < <(compgen -W 'tcp udp sctp' -- "$cur") && return ;;
	--state) mapfile -t COMPREPLY < <(compgen -W 'new replied established closing' -- "$cur") && return ;;
	--client | --frontend | --backend | --node | --zone | --limit | --namespace | -n) return ;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--socket | --bpffs | -o | --output) ((i++)) ;;
		-*) ;;
		*) if [[ -z $noun ]]; then noun=${COMP_WORDS[i]}; elif [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; fi ;;
		esac
	done
	case $noun:$verb in
	service:list) options+=' --namespace' ;;
	flow:list) options+=" $filters --limit" ;;
	flow:flush) options+=" $filters --all" ;;
	plan:*) options+=' --manifests --node --zone --no-node-hints' ;;
	cleanup:*) options+=' --cgroup' ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	elif [[ -z $noun || $noun == help ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'status service backend flow maglev plan cleanup version help' -- "$cur")
	elif [[ -z $verb && -n ${verbs[$noun]-} ]]; then
		mapfile -t COMPREPLY < <(compgen -W "${verbs[$noun]}" -- "$cur")
	elif [[ $noun:$verb == service:get || $noun:$verb == maglev:show ]]; then
		# without the port: bash breaks words at colons
		mapfile -t COMPREPLY < <(compgen -W "$(_fairlead_names service list | sed 's/:.*//' | sort -u)" -- "$cur")
	fi
}

complete -F _fairlead fairlead
