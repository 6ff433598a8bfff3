/* SPDX-License-Identifier: ISC */
/*
 * What a guest does to its host by its first NIC while the network's path is
 * measured, and the host's part in it.
 *
 * usage: netload [ADDRESS]
 *
 * With the host's address in the network, 192.0.2.1 in a guest's view, it
 * answers all who connect.  Without, it is the guest, 192.0.2.2: it reads lines
 * from the console, "WORK COUNT", and says "bench done" after each:
 *	stream-out, stream-in	COUNT MiB by TCP, to the host or from it
 *	packets-out, packets-in	COUNT frames of 64 bytes, their checksum
 *				included, by UDP
 *	exchange		a byte to the host by TCP and one back, COUNT
 *				times
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST		"192.0.2.1"
#define GUEST		"192.0.2.2"
#define NETMASK		"255.255.255.0"
#define PORT		4242
#define BLOCK		(128u << 10)
#define BLOCKS_A_MIB	8

/* Ethernet's minimum less its headers, IPv4's, UDP's and the checksum. */
#define PAYLOAD		(64 - 14 - 20 - 8 - 4)

/*
 * As many packets are on their way at most, since whoever is faster would have
 * the rest lost; one goes back for each few that have arrived.
 */
#define WINDOW		128
#define ANSWERED	32

#define ROOM		(1 << 20)	/* the kernel counts 1 KiB for each */
#define PATIENCE	10		/* s; a packet was lost */

struct ends {
	int		 tcp;
	int		 udp;
};

static uint8_t block[BLOCK];

static void
check(ssize_t got, size_t want, const char *what)
{
	if (got == -1)
		err(1, "%s", what);
	if ((size_t)got != want)
		errx(1, "%s: %zd bytes of %zu", what, got, want);
}

static struct sockaddr_in
at(const char *address)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(PORT),
	};

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
		errx(1, "what is '%s'?", address);
	return in;
}

static void
stream_send(const struct ends *e, uint32_t mib)
{
	uint64_t n;

	for (n = (uint64_t)mib * BLOCKS_A_MIB; n != 0; n--)
		check(send(e->tcp, block, BLOCK, 0), BLOCK, "send");
}

static void
stream_receive(const struct ends *e, uint32_t mib)
{
	uint64_t left = (uint64_t)mib * BLOCKS_A_MIB * BLOCK;
	ssize_t n;

	for (; left != 0; left -= (uint64_t)n) {
		n = recv(e->tcp, block, left < BLOCK ? left : BLOCK, 0);
		if (n <= 0)
			err(1, "recv");
	}
}

static void
packets_send(const struct ends *e, uint32_t count)
{
	uint32_t sent = 0, arrived = 0;

	while (arrived < count) {
		for (; sent < count && sent - arrived < WINDOW; sent++)
			check(send(e->udp, block, PAYLOAD, 0), PAYLOAD,
			    "packet");
		check(recv(e->udp, &arrived, sizeof(arrived), 0),
		    sizeof(arrived), "answer");
	}
}

static void
packets_receive(const struct ends *e, uint32_t count)
{
	uint32_t n;

	for (n = 1; n <= count; n++) {
		check(recv(e->udp, block, BLOCK, 0), PAYLOAD, "packet");
		if (n % ANSWERED == 0 || n == count)
			check(send(e->udp, &n, sizeof(n), 0), sizeof(n),
			    "answer");
	}
}

static void
exchange_ask(const struct ends *e, uint32_t count)
{
	for (; count != 0; count--) {
		check(send(e->tcp, block, 1, 0), 1, "send");
		check(recv(e->tcp, block, 1, 0), 1, "recv");
	}
}

static void
exchange_answer(const struct ends *e, uint32_t count)
{
	for (; count != 0; count--) {
		check(recv(e->tcp, block, 1, 0), 1, "recv");
		check(send(e->tcp, block, 1, 0), 1, "send");
	}
}

static const struct work {
	const char	*name;
	void		(*guest)(const struct ends *, uint32_t);
	void		(*host)(const struct ends *, uint32_t);
} works[] = {
	{ "stream-out", stream_send, stream_receive },
	{ "stream-in", stream_receive, stream_send },
	{ "packets-out", packets_send, packets_receive },
	{ "packets-in", packets_receive, packets_send },
	{ "exchange", exchange_ask, exchange_answer },
};
#define NWORKS	(sizeof(works) / sizeof(works[0]))

/* What the guest asks for, before it begins. */
struct request {
	uint32_t	work;
	uint32_t	count;
};

static void
prepare_tcp(int tcp)
{
	const int one = 1;

	if (setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == -1)
		err(1, "TCP_NODELAY");
}

static int
udp_between(const char *own, struct sockaddr_in other)
{
	const struct timeval patience = { .tv_sec = PATIENCE };
	struct sockaddr_in in = at(own);
	const int room = ROOM;
	int fd;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	other.sin_port = htons(PORT);
	if (fd == -1 || bind(fd, (struct sockaddr *)&in, sizeof(in)) == -1 ||
	    connect(fd, (struct sockaddr *)&other, sizeof(other)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof(patience)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room,
	    sizeof(room)) == -1)
		err(1, "UDP");
	return fd;
}

static void
serve_one(const char *own, int listener)
{
	struct sockaddr_in other;
	socklen_t len = sizeof(other);
	struct request r;
	struct ends e;

	e.tcp = accept(listener, (struct sockaddr *)&other, &len);
	if (e.tcp == -1)
		err(1, "accept");
	prepare_tcp(e.tcp);
	e.udp = udp_between(own, other);
	check(recv(e.tcp, &r, sizeof(r), MSG_WAITALL), sizeof(r), "request");
	if (r.work >= NWORKS)
		errx(1, "request");
	check(send(e.tcp, block, 1, 0), 1, "ready");
	works[r.work].host(&e, r.count);
	check(send(e.tcp, block, 1, 0), 1, "done");
	close(e.udp);
	close(e.tcp);
}

static void
serve(const char *own)
{
	const struct sockaddr_in in = at(own);
	const int one = 1;
	int listener;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener == -1 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR,
	    &one, sizeof(one)) == -1 ||
	    bind(listener, (const struct sockaddr *)&in, sizeof(in)) == -1 ||
	    listen(listener, 1) == -1)
		err(1, "%s", own);
	for (;;)
		serve_one(own, listener);
}

static void
configure(int fd, const char *name)
{
	struct sockaddr_in own = at(GUEST), mask = at(NETMASK);
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	memcpy(&ifr.ifr_addr, &own, sizeof(own));
	if (ioctl(fd, SIOCSIFADDR, &ifr) == -1)
		err(1, "%s: address", name);
	memcpy(&ifr.ifr_netmask, &mask, sizeof(mask));
	if (ioctl(fd, SIOCSIFNETMASK, &ifr) == -1)
		err(1, "%s: mask", name);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) == -1)
		err(1, "%s: up", name);
}

/* The host may not be there yet. */
static int
reach(void)
{
	const struct sockaddr_in host = at(HOST);
	int fd, try;

	for (try = 0; try < 100; try++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd != -1 && connect(fd, (const struct sockaddr *)&host,
		    sizeof(host)) == 0)
			return fd;
		close(fd);
		usleep(100000);
	}
	err(1, HOST);
}

static void
run(const char *line)
{
	struct request r;
	struct ends e;
	char name[16];

	if (sscanf(line, "%15s %u", name, &r.count) != 2)
		errx(1, "what is '%s'?", line);
	for (r.work = 0; strcmp(works[r.work].name, name) != 0; )
		if (++r.work == NWORKS)
			errx(1, "what is '%s'?", name);
	e.tcp = reach();
	prepare_tcp(e.tcp);
	e.udp = udp_between(GUEST, at(HOST));
	check(send(e.tcp, &r, sizeof(r), 0), sizeof(r), "request");
	check(recv(e.tcp, block, 1, 0), 1, "ready");
	works[r.work].guest(&e, r.count);
	check(recv(e.tcp, block, 1, 0), 1, "done");
	close(e.udp);
	close(e.tcp);
}

int
main(int argc, char **argv)
{
	char line[128];
	int fd;

	memset(block, 0x5a, sizeof(block));
	if (argc == 2)
		serve(argv[1]);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		err(1, "socket");
	configure(fd, "eth0");
	close(fd);
	puts("bench ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		run(line);
		puts("bench done");
		fflush(stdout);
	}
	return 0;
}
