/* SPDX-License-Identifier: ISC */
/*
 * Taps on Linux: /dev/net/tun, one open file a queue.
 */
#include "net/os.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/if_tun.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nicport.h"
#include "net/os_nl_linux.h"

/* Of Linux 6.2, beyond the headers of 6.1. */
#define OS_TUN_F_USO4	0x20u
#define OS_TUN_F_USO6	0x40u

#define OS_TAP_FLAGS	(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static int
os_tap_open(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(OS_TAP_FLAGS | flags) };
	int fd, error;

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) == -1) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* virtio 1.x: a header of 12 bytes, little-endian as the host is. */
static int
os_tap_header(int fd)
{
	int size = NICPORT_HEADER;

	return ioctl(fd, TUNSETVNETHDRSZ, &size) == -1 ? -errno : 0;
}

int
os_tap_create(const char *name, unsigned n, int *fds, int *index)
{
	unsigned i;
	int error = 0;

	for (i = 0; i < n; i++) {
		/*
		 * A tap that is there is another's.  With several queues the
		 * kernel makes room for 256, at some 200 KiB.
		 */
		fds[i] = os_tap_open(name, (i == 0 ? IFF_TUN_EXCL : 0) |
		    (n > 1 ? IFF_MULTI_QUEUE : 0));
		if (fds[i] < 0) {
			error = fds[i];
			goto fail;
		}
	}
	error = os_tap_header(fds[0]);
	if (error != 0)
		goto fail;
	*index = (int)if_nametoindex(name);
	if (*index != 0)
		return 0;
	error = -errno;
fail:
	while (i-- > 0)
		close(fds[i]);
	return error;
}

/*
 * The root of queueing disciplines: none.  The default one would have 24 KiB
 * for each of 256 queues, and take ten milliseconds to set up.
 */
int
os_tap_direct(struct os *o, int index)
{
	struct nlmsghdr *n;
	struct tcmsg *tc;
	int error;

	n = os_nl_begin(o, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
	tc = mnl_nlmsg_put_extra_header(n, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = index;
	tc->tcm_parent = TC_H_ROOT;
	mnl_attr_put_strz(n, TCA_KIND, "noqueue");
	error = os_nl_send(o, n);
	/* A kernel without traffic control has no queue to avoid. */
	return error == -EOPNOTSUPP ? 0 : error;
}

int
os_tap_queue(int fd, bool on)
{
	struct ifreq ifr = {
		.ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE,
	};

	return ioctl(fd, TUNSETQUEUE, &ifr) == -1 ? -errno : 0;
}

int
os_tap_offload(int fd, unsigned flags)
{
	static const unsigned bits[][2] = {
		{ NICPORT_CSUM, TUN_F_CSUM },
		{ NICPORT_TSO4, TUN_F_TSO4 },
		{ NICPORT_TSO6, TUN_F_TSO6 },
		{ NICPORT_ECN, TUN_F_TSO_ECN },
		{ NICPORT_USO, OS_TUN_F_USO4 | OS_TUN_F_USO6 },
	};
	unsigned long tun = 0;
	unsigned i;

	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (flags & bits[i][0])
			tun |= bits[i][1];
	return ioctl(fd, TUNSETOFFLOAD, tun) == -1 ? -errno : 0;
}

unsigned
os_tap_offloads(int fd)
{
	unsigned all = NICPORT_CSUM | NICPORT_TSO4 | NICPORT_TSO6 |
	    NICPORT_ECN;

	if (os_tap_offload(fd, all | NICPORT_USO) == 0)
		all |= NICPORT_USO;
	else if (os_tap_offload(fd, all) != 0)
		all = 0;
	os_tap_offload(fd, 0);
	return all;
}

int
os_tap_carrier(int fd, bool on)
{
	int value = on;

	return ioctl(fd, TUNSETCARRIER, &value) == -1 ? -errno : 0;
}
