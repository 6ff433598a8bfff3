/* SPDX-License-Identifier: ISC */
/*
 * What the host itself takes of the work that netload does in a guest: the
 * floor of that.
 *
 * usage: netfloor BRIDGE TAP
 *
 * Plays netload's guest, 192.0.2.2, without one: by the frames that a guest
 * sends and receives, each one system call on TAP, which joins BRIDGE.  Reads
 * the same lines and says the same.  Between frames it does as little as can
 * be: no congestion control, and nothing is sent again, since nothing is lost.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST		0xc0000201u	/* 192.0.2.1 */
#define GUEST		0xc0000202u
#define PORT		4242
#define PATIENCE	10000		/* ms; a frame was lost */

/* As in netload. */
#define PAYLOAD		(64 - 14 - 20 - 8 - 4)
#define WINDOW		128
#define ANSWERED	32

/* As large a frame as a guest sends by TCP. */
#define MSS		1460
#define SEGMENT		(44 * MSS)

#define SCALE		7		/* of both windows */

/*
 * How a frame begins, where all is aligned; what follows a TCP header are
 * options or payload.
 */
struct frame {
	uint8_t					pad[2];
	struct virtio_net_hdr_mrg_rxbuf		v;
	struct ethhdr				eth;
	union {
		struct ether_arp		arp;
		struct {
			struct iphdr		ip;
			union {
				struct tcphdr	tcp;
				struct udphdr	udp;
			};
		};
	};
};
#define AT(member)	(offsetof(struct frame, member) - \
	offsetof(struct frame, v))
#define CSUM_AT		(AT(tcp) - AT(eth))

struct buffer {
	struct frame	f;
	uint8_t		rest[SEGMENT + 2048];
};

static const uint8_t own_mac[ETH_ALEN] = { 2, 0, 0, 0, 2, 2 };

static int tap;
static uint8_t host_mac[ETH_ALEN];
static struct buffer in, out;

/* The one connection: what is sent next, what is not acknowledged, and so on. */
static uint16_t own_port = 20000;
static uint32_t sent, acked, window, received;
static uint32_t had;			/* bytes, in order, not yet asked for */
static bool ended;			/* by the host */

static uint32_t
sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t s = 0;

	for (; len > 1; p += 2, len -= 2)
		s += (uint32_t)p[0] << 8 | p[1];
	return s;
}

static uint16_t
fold(uint32_t s)
{
	s = (s >> 16) + (s & 0xffff);
	return (uint16_t)(s + (s >> 16));
}

/* A frame of so many bytes from its header on. */
static void
put_frame(const void *frame, size_t len)
{
	const uint8_t *p = (const uint8_t *)frame + offsetof(struct frame, v);

	if (write(tap, p, len) != (ssize_t)len)
		err(1, "write");
}

/* Sends what is in `out`, so many bytes from the transport's header on. */
static void
put(uint8_t protocol, size_t len)
{
	struct frame *f = &out.f;
	uint32_t pseudo;

	f->ip.protocol = protocol;
	f->ip.tot_len = htons((uint16_t)(sizeof(f->ip) + len));
	f->ip.check = 0;
	f->ip.check = htons((uint16_t)~fold(sum(&f->ip, sizeof(f->ip))));
	pseudo = sum(&f->ip.saddr, 8) + protocol + (uint32_t)len;
	f->v.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->v.hdr.csum_start = CSUM_AT;
	if (protocol == IPPROTO_TCP) {
		f->tcp.check = htons(fold(pseudo));
		f->v.hdr.csum_offset = offsetof(struct tcphdr, check);
	} else {
		f->udp.check = htons(fold(pseudo));
		f->v.hdr.csum_offset = offsetof(struct udphdr, check);
	}
	put_frame(&out, AT(tcp) + len);
}

static void
put_udp(const void *data, size_t len)
{
	struct frame *f = &out.f;

	f->udp = (struct udphdr){
		.source = htons(PORT), .dest = htons(PORT),
		.len = htons((uint16_t)(sizeof(f->udp) + len)),
	};
	memcpy(&f->udp + 1, data, len);
	f->v.hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	f->v.hdr.hdr_len = 0;
	put(IPPROTO_UDP, sizeof(f->udp) + len);
}

/* A segment with `len` bytes of whatever there is, or options before a SYN. */
static void
put_tcp(uint8_t flags, size_t options, size_t len)
{
	struct frame *f = &out.f;

	memset(&f->tcp, 0, sizeof(f->tcp));
	f->tcp.source = htons(own_port);
	f->tcp.dest = htons(PORT);
	f->tcp.seq = htonl(sent);
	f->tcp.ack_seq = htonl(received);
	f->tcp.doff = (uint16_t)((sizeof(f->tcp) + options) / 4);
	((uint8_t *)&f->tcp)[13] = flags;
	f->tcp.window = htons(UINT16_MAX);
	f->v.hdr.gso_type = len > MSS ? VIRTIO_NET_HDR_GSO_TCPV4 :
	    VIRTIO_NET_HDR_GSO_NONE;
	f->v.hdr.gso_size = MSS;
	f->v.hdr.hdr_len = CSUM_AT + sizeof(f->tcp);
	put(IPPROTO_TCP, sizeof(f->tcp) + options + len);
	sent += (uint32_t)len + ((flags & (TH_SYN | TH_FIN)) != 0);
}

static void
answer_arp(void)
{
	struct frame f = { .eth.h_proto = htons(ETH_P_ARP), .arp = in.f.arp };

	memcpy(f.eth.h_dest, host_mac, ETH_ALEN);
	memcpy(f.eth.h_source, own_mac, ETH_ALEN);
	f.arp.arp_op = htons(ARPOP_REPLY);
	memcpy(f.arp.arp_tha, in.f.arp.arp_sha, ETH_ALEN);
	memcpy(f.arp.arp_tpa, in.f.arp.arp_spa, sizeof(f.arp.arp_tpa));
	memcpy(f.arp.arp_sha, own_mac, ETH_ALEN);
	memcpy(f.arp.arp_spa, in.f.arp.arp_tpa, sizeof(f.arp.arp_spa));
	put_frame(&f, AT(arp) + sizeof(f.arp));
}

/* What the other end says of the connection; its bytes come in order. */
static void
take_tcp(void)
{
	const struct tcphdr *t = &in.f.tcp;
	uint32_t len = ntohs(in.f.ip.tot_len) -
	    (uint32_t)sizeof(in.f.ip) - t->doff * 4u;

	if (t->dest != htons(own_port))
		return;
	if (t->rst)
		errx(1, "the connection was reset");
	acked = ntohl(t->ack_seq);
	window = (uint32_t)ntohs(t->window) << (t->syn ? 0 : SCALE);
	if (t->syn)
		received = ntohl(t->seq) + 1;
	else if (ntohl(t->seq) == received)
		received += len + t->fin;
	else
		return;
	had += len;
	ended |= t->fin;
	/* What is short is acknowledged by what is sent next. */
	if (len >= MSS || t->syn || t->fin)
		put_tcp(TH_ACK, 0, 0);
}

/* Waits for a frame; true if that is one by UDP. */
static bool
take(void)
{
	struct pollfd p = { .fd = tap, .events = POLLIN };
	uint8_t *to = (uint8_t *)&in + offsetof(struct frame, v);
	const size_t room = sizeof(in) - offsetof(struct frame, v);
	ssize_t n;

	while ((n = read(tap, to, room)) == -1 && errno == EAGAIN)
		if (poll(&p, 1, PATIENCE) == 0)
			errx(1, "nothing comes");
	if (n == -1)
		err(1, "read");
	if (in.f.eth.h_proto == htons(ETH_P_ARP))
		answer_arp();
	if (in.f.eth.h_proto != htons(ETH_P_IP) ||
	    in.f.ip.daddr != htonl(GUEST))
		return false;
	if (in.f.ip.protocol == IPPROTO_TCP)
		take_tcp();
	return in.f.ip.protocol == IPPROTO_UDP;
}

static void
receive(uint32_t len)
{
	while (had < len)
		(void)take();
	had -= len;
}

/* As much at once as is allowed, but no crumbs of it. */
static void
stream(uint64_t left)
{
	uint32_t part, room;

	while (left != 0) {
		part = left < SEGMENT ? (uint32_t)left : SEGMENT;
		room = window - (sent - acked);
		if (sent == acked && room < part)
			part = room;
		if (part == 0 || (int32_t)room < (int32_t)part) {
			(void)take();
			continue;
		}
		put_tcp(TH_ACK, 0, part);
		left -= part;
	}
}

static void
send_bytes(const void *data, size_t len)
{
	memcpy(&out.f.tcp + 1, data, len);
	put_tcp(TH_ACK | TH_PUSH, 0, len);
}

static void
stream_out(uint32_t mib)
{
	stream((uint64_t)mib << 20);
}

static void
stream_in(uint32_t mib)
{
	for (; mib != 0; mib--)
		receive(1u << 20);
}

static void
packets_out(uint32_t count)
{
	static const uint8_t payload[PAYLOAD];
	uint32_t done = 0, arrived = 0;

	while (arrived < count) {
		for (; done < count && done - arrived < WINDOW; done++)
			put_udp(payload, sizeof(payload));
		if (take())
			memcpy(&arrived, &in.f.udp + 1, sizeof(arrived));
	}
}

static void
packets_in(uint32_t count)
{
	uint32_t n = 0;

	while (n < count)
		if (take() && (++n % ANSWERED == 0 || n == count))
			put_udp(&n, sizeof(n));
}

static void
exchange(uint32_t count)
{
	for (; count != 0; count--) {
		send_bytes("", 1);
		receive(1);
	}
}

/* In netload's order. */
static const struct work {
	const char	*name;
	void		(*run)(uint32_t);
} works[] = {
	{ "stream-out", stream_out },
	{ "stream-in", stream_in },
	{ "packets-out", packets_out },
	{ "packets-in", packets_in },
	{ "exchange", exchange },
};
#define NWORKS	(sizeof(works) / sizeof(works[0]))

static void
connect_host(void)
{
	static const uint8_t options[] = {
		TCPOPT_MAXSEG, 4, MSS >> 8, MSS & 0xff,
		TCPOPT_NOP, TCPOPT_WINDOW, 3, SCALE,
	};

	own_port++;
	acked = sent;
	had = received = 0;
	ended = false;
	memcpy(&out.f.tcp + 1, options, sizeof(options));
	put_tcp(TH_SYN, sizeof(options), 0);
	while (received == 0)
		(void)take();
}

static void
run(const char *line)
{
	uint32_t request[2];		/* which work, how much */
	char name[16];

	if (sscanf(line, "%15s %u", name, &request[1]) != 2)
		errx(1, "what is '%s'?", line);
	for (request[0] = 0; strcmp(works[request[0]].name, name) != 0; )
		if (++request[0] == NWORKS)
			errx(1, "what is '%s'?", name);
	connect_host();
	send_bytes(request, sizeof(request));
	receive(1);
	works[request[0]].run(request[1]);
	receive(1);
	put_tcp(TH_FIN | TH_ACK, 0, 0);
	while (acked != sent || !ended)
		(void)take();
}

static void
interface(unsigned long request, struct ifreq *ifr, const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	if (fd == -1 || ioctl(fd, request, ifr) == -1)
		err(1, "%s", name);
	close(fd);
}

/* A tap as a guest of virtio has it, with all offloads. */
static void
join(const char *bridge, const char *name)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	int header = sizeof(struct virtio_net_hdr_mrg_rxbuf);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap == -1 || ioctl(tap, TUNSETIFF, &ifr) == -1 ||
	    ioctl(tap, TUNSETVNETHDRSZ, &header) == -1 ||
	    ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) == -1)
		err(1, "tap");
	ifr = (struct ifreq){ .ifr_ifindex = (int)if_nametoindex(name) };
	interface(SIOCBRADDIF, &ifr, bridge);
	ifr = (struct ifreq){ .ifr_flags = IFF_UP };
	interface(SIOCSIFFLAGS, &ifr, name);
	interface(SIOCGIFHWADDR, &ifr, bridge);
	memcpy(host_mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
}

int
main(int argc, char **argv)
{
	char line[128];

	if (argc != 3)
		errx(2, "usage: netfloor BRIDGE TAP");
	join(argv[1], argv[2]);
	memset(&out, 0x5a, sizeof(out));
	out.f = (struct frame){
		.eth.h_proto = htons(ETH_P_IP),
		.ip = {
			.version = 4, .ihl = 5, .ttl = 64,
			.frag_off = htons(IP_DF),
			.saddr = htonl(GUEST), .daddr = htonl(HOST),
		},
	};
	memcpy(out.f.eth.h_dest, host_mac, ETH_ALEN);
	memcpy(out.f.eth.h_source, own_mac, ETH_ALEN);
	puts("bench ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		run(line);
		puts("bench done");
		fflush(stdout);
	}
	return 0;
}
