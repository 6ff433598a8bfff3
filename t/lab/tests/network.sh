# Sourced by tests with guests that `obey`, after guests.sh: networks, and what
# is told to guests.
# shellcheck shell=sh

PORT=5000
orders=0

# Busybox would take its own, which makes no networks.
ip()
{
	/usr/sbin/ip "$@"
}

# What a device of that name would be owned by, udev does elsewhere.
make_network()
{
	modprobe tun && modprobe bridge && chmod 666 /dev/net/tun &&
	    ip link set lo up
}

# tell GUEST COMMAND...: it is to do so, by itself.
tell()
{
	vm=$1
	shift
	orders=$((orders + 1))
	echo "$orders $*" >"/tmp/$vm.keys"
}

# told GUEST NUMBER: it has done so; what it said is in $said.
has_told()
{
	grep -q "^guest-test: $2 .*$(printf '\r')\$" "/tmp/$1.console"
}

told()
{
	until has_told "$1" "$2"; do
		[ "$(field "$1" state)" = running ] || return
		usleep 200000
	done
	said=$(sed -n "s/^guest-test: $2 \\(.*\\)\\r\$/\\1/p" "/tmp/$1.console")
}

# does GUEST PATTERN COMMAND...: it does, and says what the pattern matches.
does()
{
	who=$1
	pattern=$2
	shift 2
	tell "$who" "$@"
	told "$who" $orders || return
	case $said in
	$pattern)
		echo "# $who: $said" ;;
	*)
		echo "# $who was told $*, and said: $said"
		return 1 ;;
	esac
}

# finds PATTERN COMMAND...: the command, here, says what the pattern matches.
finds()
{
	pattern=$1
	shift
	said=$("$@" 2>&1)
	case $said in
	$pattern)
		echo "# $said" ;;
	*)
		echo "# $* said: $said"
		return 1 ;;
	esac
}

# statistic INTERFACE NAME
statistic()
{
	cat "/sys/class/net/$1/statistics/$2"
}

index()
{
	cat "/sys/class/net/$1/ifindex"
}

interfaces_left()
{
	find /sys/class/net -name 'vmmd-*' | grep .
}
