/* SPDX-License-Identifier: ISC */
/*
 * The answering part of a port behind a tap, whose other end is a network
 * stack that plays the guest.
 *
 * usage: answerer TAP mac=MAC [ip=ADDRESS/BITS] [server=ADDRESS]
 *	    [router=ADDRESS] [dns=ADDRESS]... [seconds=N] [mtu=N]
 *	    [hostname=NAME] [domain=NAME] [prefix6=ADDRESS/BITS]
 *	    [dns6=ADDRESS]... [speed=N]
 *
 * It says "ready" once it listens; time for it goes `speed` times as fast.
 * SIGUSR1 takes IPv6 from the guest.  Frames that are not answered are lost.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "net/addr.h"
#include "net/answer.h"

#define SECOND	UINT64_C(1000000000)

static const uint8_t link_local[16] = { 0xfe, 0x80 };

static volatile sig_atomic_t withdraw;
static uint64_t speed = 1;

static void
on_signal(int sig)
{
	(void)sig;
	withdraw = 1;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec) * speed;
}

static uint32_t
ip4(const char *text)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		errx(1, "no address: %s", text);
	return ntohl(in.s_addr);
}

static void
set_mac(uint8_t *mac, const char *text)
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1],
	    &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		errx(1, "no MAC: %s", text);
}

static void
set_prefix6(struct lease *l, const char *text)
{
	struct addr_net6 n;

	if (addr6_parse(&n, text) != 0)
		errx(1, "no prefix: %s", text);
	addr6_clear(&n);
	memcpy(l->prefix6, n.ip, 16);
	l->prefix6_len = n.prefix;
	l->router6 = true;
}

static void
set_ip(struct lease *l, const char *text)
{
	struct addr_net n;

	if (addr_parse(&n, text) != 0)
		errx(1, "no address with its subnet: %s", text);
	l->ip = n.ip;
	l->prefix = n.prefix;
}

static void
set(struct lease *l, const char *key, const char *value)
{
	if (strcmp(key, "mac") == 0)
		set_mac(l->mac, value);
	else if (strcmp(key, "ip") == 0)
		set_ip(l, value);
	else if (strcmp(key, "server") == 0)
		l->server = ip4(value);
	else if (strcmp(key, "router") == 0)
		l->router = ip4(value);
	else if (strcmp(key, "dns") == 0 && l->ndns < LEASE_DNS)
		l->dns[l->ndns++] = ip4(value);
	else if (strcmp(key, "seconds") == 0)
		l->seconds = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(key, "mtu") == 0)
		l->mtu = (uint16_t)strtoul(value, NULL, 10);
	else if (strcmp(key, "hostname") == 0)
		snprintf(l->hostname, sizeof(l->hostname), "%s", value);
	else if (strcmp(key, "domain") == 0)
		snprintf(l->domain, sizeof(l->domain), "%s", value);
	else if (strcmp(key, "prefix6") == 0)
		set_prefix6(l, value);
	else if (strcmp(key, "dns6") == 0 && l->ndns6 < LEASE_DNS &&
	    inet_pton(AF_INET6, value, l->dns6[l->ndns6]) == 1)
		l->ndns6++;
	else if (strcmp(key, "speed") == 0)
		speed = strtoul(value, NULL, 10);
	else
		errx(1, "what is %s=%s?", key, value);
}

static int
open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), size = FRAME_VNET;

	if (fd < 0)
		err(1, "/dev/net/tun");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	/* As for a guest with offloads, which leaves checksums to its NIC. */
	if (ioctl(fd, TUNSETIFF, &ifr) != 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &size) != 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM) != 0)
		err(1, "%s", name);
	return fd;
}

static void
put(int fd, const uint8_t *frame, int len)
{
	if (len > 0 && write(fd, frame, (size_t)len) != len)
		err(1, "write");
}

static void
serve(int fd, struct answer *a)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint8_t in[65536], out[FRAME_MAX];
	struct iovec iov = { .iov_base = in };
	ssize_t n;

	for (;;) {
		if (withdraw) {
			struct lease l = a->lease;

			withdraw = 0;
			l.prefix6_len = 0;
			put(fd, out, answer_change(a, &l, now_ns(), out));
		}
		put(fd, out, answer_periodic(a, now_ns(), out));
		/* What comes unasked need not come to the millisecond. */
		if (poll(&pfd, 1, 20) <= 0)
			continue;
		n = read(fd, in, sizeof(in));
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			err(1, "read");
		iov.iov_len = n > 0 ? (size_t)n : 0;
		put(fd, out, answer_iov(a, &iov, 1, now_ns(), out));
	}
}

int
main(int argc, char **argv)
{
	struct lease l = { .server_mac = { 0x52, 0x54, 0, 255, 255, 1 },
	    .seconds = LEASE_FOREVER };
	struct answer a;
	char *value;
	int fd, i;

	if (argc < 3)
		errx(2, "usage: answerer TAP KEY=VALUE...");
	addr6_by_mac(l.server6, link_local, l.server_mac);
	for (i = 2; i < argc; i++) {
		value = strchr(argv[i], '=');
		if (value == NULL)
			errx(2, "no value: %s", argv[i]);
		*value++ = '\0';
		set(&l, argv[i], value);
	}
	signal(SIGUSR1, on_signal);
	fd = open_tap(argv[1]);
	answer_init(&a, &l, now_ns());
	puts("ready");
	fflush(stdout);
	serve(fd, &a);
	return 0;
}
