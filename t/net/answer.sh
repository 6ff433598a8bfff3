# A tap whose other end answers (t/net/answerer.c), for the tests of that.
# shellcheck shell=sh

. "$SRCDIR/t/net/lib.sh"
MAC=52:54:00:01:02:03
SERVER_MAC=52:54:00:ff:ff:01
SERVER=192.0.2.1

# The guest's interface, all of whose frames are kept.  It has no carrier until
# there is an answerer, so nothing is sent before.
guest_up()
{
	ip tuntap add dev guest mode tap vnet_hdr
	ip link set guest address $MAC
	ip link set guest up
	tcpdump -i guest -U -w "$T/pcap" --immediate-mode 2>"$T/tcpdump" &
	until_true 10 grep -q 'listening on' "$T/tcpdump" ||
	    die "tcpdump: $(cat "$T/tcpdump")"
}

# answerer KEY=VALUE...: instead of the last one; sets answerer.
answerer()
{
	[ -z "${answerer:-}" ] || {
		kill "$answerer"
		wait "$answerer"
	} 2>/dev/null
	: >"$T/ready"
	"$BUILDDIR/asan/t/net/answerer" guest mac=$MAC server=$SERVER "$@" \
	    >"$T/ready" 2>"$T/answerer" &
	answerer=$!
	until_true 10 grep -q ready "$T/ready" || die "$(cat "$T/answerer")"
}

# What tcpdump has to say of the frames of a kind.
dump()
{
	tcpdump -r "$T/pcap" -n -e -vvv "$@" 2>/dev/null
}

# dumped TEXT FILTER: there is such a frame of ours, and all are intact.
dumped()
{
	until_true 5 eval "dump '$2' | grep -q -e '$1'" ||
	    die "tcpdump sees no '$1' in: $(dump "$2")"
	! dump "ether src $SERVER_MAC and $2" |
	    grep -iE 'bad (udp |icmp6 )?cksum|wrong|malformed|trunc|\[\|' ||
	    die "tcpdump finds fault with $(dump "$2")"
}
