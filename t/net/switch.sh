# Daemons of switches, played by switchd.  Sourced by tests, after lib.sh.
# shellcheck shell=sh

# start NAME [COMMAND...]: apply $T/NAME.conf, as COMMAND runs it.  $T/NAME.out
# is what it says, $T/NAME.n how many times it was to apply its file.
start()
{
	d=$1
	shift
	: >"$T/$d.out"
	echo 1 >"$T/$d.n"
	"$@" switchd "$d" "$T/$d.conf" >>"$T/$d.out" 2>&1 &
	echo $! >"$T/$d.pid"
	until_true 20 grep -q '^apply 1:' "$T/$d.out" ||
	    die "$d did not start: $(cat "$T/$d.out")"
}

send()
{
	kill "-$2" "$(cat "$T/$1.pid")" || die "$1 has gone"
}

# reload NAME: apply the file again.
reload()
{
	n=$(($(cat "$T/$1.n") + 1))
	echo $n >"$T/$1.n"
	send "$1" HUP
	until_true 20 grep -q "^apply $n:" "$T/$1.out" ||
	    die "$1 did not reload"
}

# applied NAME: what its last application said, "ok" or why not.
applied()
{
	sed -n "s/^apply $(cat "$T/$1.n"): //p" "$T/$1.out"
}

# expect NAME TEXT
expect()
{
	[ "$(applied "$1")" = "$2" ] || die "$1 said: $(applied "$1")"
}

# says NAME TEXT: a line of its output, now or soon.
says()
{
	until_true 10 grep -qx "$2" "$T/$1.out" ||
	    die "$1 does not say $2: $(tail -n 20 "$T/$1.out")"
}

# stop NAME [SIGNAL]: it ends without an error, unless a signal is given.
stop()
{
	send "$1" "${2:-TERM}"
	status=0
	wait "$(cat "$T/$1.pid")" || status=$?
	[ $status = 0 ] || [ -n "${2:-}" ] ||
	    die "$1 ended with $status: $(tail -n 30 "$T/$1.out")"
}

# exists INTERFACE
exists()
{
	[ -e "/sys/class/net/$1" ]
}

# at INTERFACE FILE TEXT: what the kernel says of it.
at()
{
	[ "$(cat "/sys/class/net/$1/$2")" = "$3" ] ||
	    die "$1: $2 is $(cat "/sys/class/net/$1/$2"), not $3"
}

in_bridge()
{
	[ "$(basename "$(readlink "/sys/class/net/$1/master")")" = "$2" ]
}

# Both ends of the uplink let frames through, some time after they have carrier.
linked()
{
	until_true 20 grep -qx 3 /sys/class/net/up0/brport/state &&
	    until_true 20 in_ns far grep -qx 3 /sys/class/net/eth0/brport/state ||
	    die 'no carrier'
}
