# The work that guests are told to do, metered.  Sourced after host.sh, by groups
# that have in /tmp/work lines "NAME:LINE": what the guest's program is told, of
# which the last word is how many requests that are.  The first is none, what
# that costs is taken from the others.
# shellcheck shell=sh
#
# The driver `vmm` counts the time in guest mode; of KVM a trace is taken, while
# the guest does all its work once more, since it costs something.  Part of that
# lies between entry and exit: as much as guests that do next to nothing are
# found to take.

TRACING=/sys/kernel/tracing
mkfifo /tmp/in /tmp/out

# Adds up the time between each entry to a guest and the next exit.
cat >/tmp/trace-on <<'EOF'
cd /sys/kernel/tracing || exit
echo 'guest_mode u64 ns' >synthetic_events
cd events
echo 'hist:keys=common_pid:t0=common_timestamp' >kvm/kvm_entry/trigger
printf %s 'hist:keys=common_pid:ns=common_timestamp-$t0:' \
    'onmatch(kvm.kvm_entry).guest_mode($ns)' >/tmp/trigger
cat /tmp/trigger >kvm/kvm_exit/trigger
echo 'hist:keys=common_pid:vals=ns' >synthetic/guest_mode/trigger
EOF

trace_off()
{
	for event in synthetic/guest_mode kvm/kvm_exit kvm/kvm_entry; do
		: >$TRACING/events/$event/trigger
	done
	: >$TRACING/synthetic_events
}

cat >/tmp/guest-time.vmm <<'EOF'
vmmctl status -j |
    sed -n 's/.*"guest-time": \([0-9]*\)\.\([0-9]*\).*/\1\2000000/p'
EOF

# The trace's sum, less what the trace itself takes between entry and exit.
cat >/tmp/guest-time.trace <<'EOF'
hist=/sys/kernel/tracing/events/synthetic/guest_mode/hist
[ -e $hist ] || { echo 0; exit; }
sed 's/[{}:,]/ /g' $hist | awk -v trace="$(cat /tmp/trace-ns)" '
    $1 == "common_pid" { ns += $6 - $4 * trace }
    END { printf "%.0f\n", ns }'
EOF

# The minimal guests of the group `exits` execute 3 instructions an entry.
calibrate()
{
	echo 0 >/tmp/trace-ns
	sh /tmp/trace-on
	/lab/exits kvm >/dev/null || die 'exits kvm'
	sed 's/[{}:,]/ /g' $TRACING/events/synthetic/guest_mode/hist | awk '
	    $1 == "common_pid" { n += $4; ns += $6 }
	    END { print ns / n - 3 }' >/tmp/trace-ns
	trace_off
	echo "trace.entry $(cat /tmp/trace-ns)"
}

# Who has no guest.
echo 'echo 0' >/tmp/guest-time.none

# meter KEY: has the guest at /tmp/in and /tmp/out do all the work, and prints
# what a request takes, less what nothing costs.
meter()
{
	key=$1
	case $key in
	floor)	guest_time=none ;;
	vmm)	guest_time=vmm ;;
	*)	guest_time=trace ;;
	esac
	set --
	while IFS=: read -r _ line; do
		set -- "$@" "$line"
	done </tmp/work
	[ $guest_time != trace ] || set -- "$@" '!sh /tmp/trace-on' "$@"
	# The daemon knows a guest's time as of its last exit: that is of now.
	set -- "$1" "$@"
	/lab/meter /tmp/in /tmp/out "sh /tmp/guest-time.$guest_time" "$@" \
	    >/tmp/meter || die 'the guest does not work'
	[ $guest_time != trace ] || trace_off
	a_request "$key"
}

# The last time that work was done tells of the guest, the first of all.  What
# was done before is none of it.
a_request()
{
	awk -v key="$1" '
	NR == FNR { split($0, part, ":"); name[n++] = part[1]; next }
	FNR == 1 { next }
	(FNR - 2) % n == 0 { busy = $1; guest = $2; next }
	{
		work = name[(FNR - 2) % n]
		if (!(work in total))
			total[work] = ($1 - busy) / $NF
		of_guest[work] = ($2 - guest) / $NF
	}
	END {
		for (work in total) {
			printf "total.%s.%s %.0f\n", key, work, total[work]
			printf "guest.%s.%s %.0f\n", key, work,
			    of_guest[work]
		}
	}' /tmp/work /tmp/meter
}

# guest_works BACKEND: the guest of /tmp/vmmd.conf.
guest_works()
{
	start_vmmd /tmp/vmmd.conf
	vmmctl start bench || die "no guest on $1"
	assert_backend bench "$1"
	vmmctl console bench </tmp/in >/tmp/out &
	meter "$1"
	vmmctl stop -f bench
	stop_vmmd
}

# peer_works KEY SCRIPT [ARGUMENT]...: the peer's, until peer_ends.
peer_works()
{
	key=$1
	shift
	sh "$@" </tmp/in >/tmp/out 2>/tmp/peer.err &
	peer=$!
	meter "$key"
}

peer_ends()
{
	kill $peer
	wait $peer || :
}
