/* SPDX-License-Identifier: ISC */
/*
 * Guests that speak: frames of an experimental type, to all, with the name of
 * who sends them.  See switchguest.h.
 */
#include "switchguest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"

#define FRAME_TYPE	0x88b5	/* IEEE 802, local experiments */
#define FRAME_SIZE	1014

struct frame {
	uint8_t	vnet[NICPORT_HEADER];
	uint8_t	dst[6];
	uint8_t	src[6];
	uint8_t	type[2];
	char	name[64];
	uint8_t	rest[FRAME_SIZE - 14 - 64];
};

/* The filter takes a guest's greeting, and greets it. */
static bool
filter_frame(void *cookie, const struct iovec *iov, unsigned niov)
{
	struct guest *g = cookie;
	const struct frame *f = iov[0].iov_base;
	struct frame answer;

	if (niov != 1 || strcmp(f->name, "greeting") != 0)
		return false;
	answer = *f;
	strcpy(answer.name, "filter");
	if (port_answer(g->port, &answer, sizeof(answer)) != 0)
		printf("%s: not answered\n", g->vm);
	return true;
}

static int
guest_send(struct guest *g, const char *name)
{
	struct nicport *nic = port_nic(g->port);
	struct frame f = { .type = { FRAME_TYPE >> 8, FRAME_TYPE & 0xff } };
	struct iovec iov = { .iov_base = &f, .iov_len = sizeof(f) };
	unsigned h = 5381;
	const char *p;

	memset(f.dst, 0xff, sizeof(f.dst));
	for (p = g->vm; *p != '\0'; p++)
		h = h * 33 + (unsigned char)*p;
	if (g->spoofs)
		h += g->left;
	f.src[0] = 0x0e;
	memcpy(f.src + 1, &h, sizeof(h));
	snprintf(f.name, sizeof(f.name), "%s", name);
	return nic->ops->send(nic, 0, &iov, 1);
}

static unsigned
guest_wants(const struct guest *g)
{
	return (g->rests ? 0 : NICPORT_RECV) |
	    (g->left > 0 ? NICPORT_SEND : 0);
}

/* As much as the port takes. */
static void
guest_flood(struct guest *g)
{
	struct nicport *nic = port_nic(g->port);
	int error = 0;

	while (g->left > 0 && error == 0) {
		error = guest_send(g, "flood");
		if (error == 0 && --g->left == 0)
			printf("%s: flooded in %u ms\n", g->vm, (unsigned)
			    ((loop_now_ns() - g->began) / 1000000));
	}
	if (error != 0 && error != -EAGAIN) {
		printf("%s: send: %s\n", g->vm, strerror(-error));
		g->left = 0;
	}
	nic->ops->want(nic, 0, guest_wants(g));
}

static void
guest_readable(void *cookie, unsigned queue)
{
	struct guest *g = cookie;
	struct nicport *nic = port_nic(g->port);
	uint8_t bytes[NICPORT_FRAME_MAX];
	struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	struct frame f;
	ssize_t len;

	len = nic->ops->recv(nic, queue, &iov, 1);
	if (len < (ssize_t)sizeof(f))
		return;
	memcpy(&f, bytes, sizeof(f));
	f.name[sizeof(f.name) - 1] = '\0';
	if (f.type[0] == FRAME_TYPE >> 8 && f.type[1] == (FRAME_TYPE & 0xff) &&
	    strcmp(f.name, "flood") != 0)
		printf("%s: from %s\n", g->vm, f.name);
}

static void
guest_writable(void *cookie, unsigned queue)
{
	(void)queue;
	guest_flood(cookie);
}

static void
guest_link(void *cookie, bool up)
{
	struct guest *g = cookie;

	printf("%s: link %s\n", g->vm, up ? "up" : "down");
}

static const struct nic_ops guest_ops = {
	.readable = guest_readable,
	.writable = guest_writable,
	.link = guest_link,
};

void
guest_queues(struct guest *g)
{
	struct nicport *nic = port_nic(g->port);
	unsigned i;

	if (nic->ops->queues(nic, g->nqueues) != 0)
		printf("%s: queues refused\n", g->vm);
	for (i = 0; i < g->inuse || i < g->nqueues; i++)
		nic->ops->want(nic, i, g->rests || i >= g->nqueues ?
		    0 : NICPORT_RECV);
	g->inuse = g->nqueues;
}

void
guest_attach(struct guest *g)
{
	struct nicport *nic = port_nic(g->port);
	struct port_filter filter = { .frame = filter_frame, .cookie = g };

	port_set_filter(g->port, &filter);
	nic->ops->attach(nic, &guest_ops, g);
	if (nic->ops->offload(nic, nic->offloads) != 0)
		printf("%s: offloads refused\n", g->vm);
	guest_queues(g);
}

void
guest_speak(struct guest *g)
{
	int error;

	if (g->flood > 0) {
		g->left = g->flood;
		g->began = loop_now_ns();
		guest_flood(g);
		return;
	}
	error = guest_send(g, g->vm);
	if (error == 0)
		error = guest_send(g, "greeting");
	if (error != 0)
		printf("%s: send: %s\n", g->vm, strerror(-error));
}
