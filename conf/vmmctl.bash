# Completion of vmmctl(8) for bash.
# shellcheck shell=bash

_vmmctl_guests()
{
	vmmctl "$@" -j status 2>/dev/null |
	    sed -n 's/.*{"name": "\([^"]*\)", "state".*/\1/p'
}

_vmmctl()
{
	local verbs word=${COMP_WORDS[COMP_CWORD]} verb='' i=1
	local -a socket=()
	verbs='console define events help log nft pause pf reload reset resume set show start status stop trace undefine wait image'

	while [ "$i" -lt "$COMP_CWORD" ]; do
		case ${COMP_WORDS[i]} in
		-s)	i=$((i + 1))
			socket=(-s "${COMP_WORDS[i]}") ;;
		-*)	;;
		*)	verb=${COMP_WORDS[i]}
			break ;;
		esac
		i=$((i + 1))
	done
	COMPREPLY=()
	case $verb in
	'')	mapfile -t COMPREPLY < <(compgen -W "$verbs -j -s" -- "$word") ;;
	help)	mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word") ;;
	image)	if [ "$i" = $((COMP_CWORD - 1)) ]; then
			mapfile -t COMPREPLY < <(compgen -W \
			    'check commit convert create info map resize' -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi ;;
	log)	mapfile -t COMPREPLY < <(compgen -W 'error warn info debug' \
		    -- "$word") ;;
	events|nft|pf|reload)	;;
	*)	mapfile -t COMPREPLY < <(compgen -W \
		    "$(_vmmctl_guests "${socket[@]}")" -- "$word") ;;
	esac
}

complete -F _vmmctl vmmctl
