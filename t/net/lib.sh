# What the network's tests share.  Sourced by them; t/net/run runs them.
# shellcheck shell=sh

set -u
TEST=${0##*/}

# A check of its own in the totals of t/check.
ok()
{
	echo "ok $TEST-$1"
}

die()
{
	echo "not ok $TEST: $*"
	exit 1
}

[ "${NETRUN:-}" = yes ] || die "run me by t/net/run"
T=$(mktemp -d /run/test.XXXXXX)

# until_true SECONDS COMMAND...: try it until it succeeds.
until_true()
{
	tries=$(($1 * 20))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.05
	done
}

# add_ns NAME: another network, with lo up.
add_ns()
{
	ip netns add "$1" && ip -n "$1" link set lo up || die "network $1"
}

# in_ns NAME COMMAND...: in that network.
in_ns()
{
	ns=$1
	shift
	ip netns exec "$ns" "$@"
}
