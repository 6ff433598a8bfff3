# Sourced by the tests that run in the lab's host: a daemon to talk to, and the
# words that t/check counts.
# shellcheck shell=sh disable=SC2034

PIDFILE=/tmp/vmmd.pid
VMMD_LOG=/tmp/vmmd.log

die()
{
	echo "not ok ${TEST:-${0##*/}}: $*"
	[ ! -f $VMMD_LOG ] || { echo '--- vmmd says'; tail -n 20 $VMMD_LOG; }
	exit 1
}

ok()
{
	echo "ok $*"
}

# check NAME COMMAND...
check()
{
	name=$1
	shift
	"$@" || die "$name"
	ok "$name"
}

# The daemon is no longer root when it opens what tests make.
umask 0

# node NAME: a device for its group, which is what udev does elsewhere.
node()
{
	chgrp "$1" "/dev/$1" && chmod 660 "/dev/$1"
}

# Loads what a backend needs, and sees to it that the other is not there.
load_backend()
{
	case $1 in
	vmm)	insmod /lib/modules/vmm.ko || die 'the module does not load'
		! grep -q '^kvm' /proc/modules || die 'kvm is loaded too' ;;
	kvm)	modprobe kvm_amd || die 'kvm_amd does not load'
		! grep -q '^vmm ' /proc/modules || die 'vmm is loaded too' ;;
	*)	die "no backend $1" ;;
	esac
	node "$1"
}

# start_vmmd CONFIG [OPTION]...
start_vmmd()
{
	config=$1
	shift
	vmmd -f "$config" "$@" 2>$VMMD_LOG &
	echo $! >$PIDFILE
	for _ in $(seq 200); do
		vmmctl status >/dev/null 2>&1 && return
		kill -0 "$(cat $PIDFILE)" 2>/dev/null || break
		usleep 50000
	done
	die 'vmmd does not answer'
}

stop_vmmd()
{
	kill "$(cat $PIDFILE)" || die 'vmmd is gone'
	wait "$(cat $PIDFILE)" || die "vmmd ended with status $?"
}

# field GUEST KEY: one value of a guest's row of status, one object a line.
field()
{
	vmmctl status -j | grep "\"name\": \"$1\"" |
	    sed -n "s/.*\"$2\": \"\{0,1\}\([^\",}]*\).*/\1/p"
}

assert_backend()
{
	[ "$(field "$1" backend)" = "$2" ] ||
	    die "$1 ran on '$(field "$1" backend)', not on $2"
}
