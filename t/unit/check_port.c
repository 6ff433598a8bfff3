/* SPDX-License-Identifier: ISC */
/*
 * A port's limits and queues, at a tap of this test's own making: each queue is
 * one end of a pair of sockets, and what the system is asked for is counted.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "net/os.h"
#include "net/port.h"
#include "net/switch.h"
#include "testhost.h"

#define QUEUES	4
#define HDR	NICPORT_HEADER

static struct {
	struct loop	*loop;
	struct port	*port;
	struct nicport	*nic;
	int		 far[QUEUES];
	bool		 attached[QUEUES];
	unsigned	 changes;	/* of queues */
	unsigned	 offloads;	/* os_tap_offload() calls */
	int		 error;		/* of the next change */
	unsigned	 writable;
	int		 near[QUEUES];
	bool		 gone;		/* the tap was deleted */
} t;

ssize_t	__real_read(int fd, void *p, size_t n);
ssize_t	__real_write(int fd, const void *p, size_t n);
ssize_t	__wrap_read(int fd, void *p, size_t n);
ssize_t	__wrap_write(int fd, const void *p, size_t n);

static bool
is_gone(int fd)
{
	unsigned i;

	for (i = 0; i < QUEUES; i++)
		if (t.gone && fd == t.near[i])
			return true;
	return false;
}

ssize_t
__wrap_read(int fd, void *p, size_t n)
{
	if (!is_gone(fd))
		return __real_read(fd, p, n);
	errno = EBADFD;
	return -1;
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	if (!is_gone(fd))
		return __real_write(fd, p, n);
	errno = EBADFD;
	return -1;
}

/* The system. */
int
os_open(struct os **op)
{
	*op = NULL;
	return 0;
}

void
os_close(struct os *o)
{
	(void)o;
}

void
os_host(char *out, size_t size)
{
	snprintf(out, size, "host");
}

int
os_group(const char *text, uint32_t *number)
{
	(void)text;
	*number = 0;
	return 0;
}

int
os_bridge_create(struct os *o, const char *name, const uint8_t mac[6],
    int *index)
{
	(void)o;
	(void)name;
	(void)mac;
	(void)index;
	return -EOPNOTSUPP;
}

int
os_link_set(struct os *o, int index, enum os_attr attr,
    const struct os_value *v)
{
	(void)o;
	(void)index;
	(void)attr;
	(void)v;
	return 0;
}

int
os_links_delete(struct os *o, const int *index, size_t n)
{
	(void)o;
	(void)index;
	(void)n;
	return 0;
}

int
os_addr_set(struct os *o, int index, const struct os_addr *a, bool on)
{
	(void)o;
	(void)index;
	(void)a;
	(void)on;
	return 0;
}

int
os_vlan_set(struct os *o, int index, uint16_t vlan, bool tagged, bool self)
{
	(void)o;
	(void)index;
	(void)vlan;
	(void)tagged;
	(void)self;
	return 0;
}

int
os_tap_create(const char *name, unsigned n, int *fds, int *index)
{
	int pair[2];
	unsigned i;

	(void)name;
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX,
		    SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
		fds[i] = t.near[i] = pair[0];
		t.far[i] = pair[1];
		t.attached[i] = true;
	}
	*index = 7;
	return 0;
}

int
os_tap_direct(struct os *o, int index)
{
	(void)o;
	(void)index;
	return 0;
}

int
os_tap_queue(int fd, bool on)
{
	unsigned i;

	t.changes++;
	if (t.error != 0)
		return t.error;
	for (i = 0; i < QUEUES; i++)
		if (t.near[i] == fd) {
			ck_assert(t.attached[i] != on);
			t.attached[i] = on;
		}
	return 0;
}

int
os_tap_offload(int fd, unsigned flags)
{
	(void)flags;
	ck_assert_int_eq(fd, t.near[0]);
	t.offloads++;
	return t.error;
}

unsigned
os_tap_offloads(int fd)
{
	(void)fd;
	return NICPORT_CSUM | NICPORT_TSO4;
}

int
os_tap_carrier(int fd, bool on)
{
	(void)fd;
	(void)on;
	return 0;
}

/* The switch. */
int
switches_plug(struct switches *s, struct switch_port *sp, const char *name,
    char *err, size_t errlen)
{
	(void)s;
	(void)sp;
	(void)name;
	(void)err;
	(void)errlen;
	return 0;
}

int
switches_move(struct switches *s, struct switch_port *sp, const char *name,
    char *err, size_t errlen)
{
	return switches_plug(s, sp, name, err, errlen);
}

void
switches_unplug(struct switches *s, struct switch_port *sp)
{
	(void)s;
	(void)sp;
}

/* The NIC. */
static void
readable(void *nic, unsigned queue)
{
	(void)nic;
	(void)queue;
}

static void
writable(void *nic, unsigned queue)
{
	(void)nic;
	(void)queue;
	t.writable++;
}

static void
link_is(void *nic, bool up)
{
	(void)nic;
	(void)up;
}

static const struct nic_ops nic_ops = { readable, writable, link_is };

static void
setup(void)
{
	struct port_conf c = { .daemon = "vmmd", .vm = "g",
	    .nqueues = QUEUES };
	char err[256];

	memset(&t, 0, sizeof(t));
	t.loop = loop_create();
	ck_assert_ptr_nonnull(t.loop);
	ck_assert_int_eq(port_create(&t.port, &c, err, sizeof(err)), 0);
	ck_assert_int_eq(port_plug(t.port, t.loop, NULL, "lan", err,
	    sizeof(err)), 0);
	t.nic = port_nic(t.port);
	t.nic->ops->attach(t.nic, &nic_ops, NULL);
	t.changes = t.offloads = 0;
}

static void
teardown(void)
{
	unsigned i;

	t.nic->ops->attach(t.nic, NULL, NULL);
	port_unplug(t.port);
	port_destroy(t.port);
	for (i = 0; i < QUEUES; i++)
		close(t.far[i]);
	loop_destroy(t.loop);
}

static void
turn(void)
{
	ev_run(loop_ev(t.loop), EVRUN_NOWAIT);
}

/* So many bytes and packets an hour, all at once if need be. */
static void
limit(enum port_dir dir, uint64_t bytes, uint64_t packets)
{
	struct bucket_limit b = { bytes != 0, bytes };
	struct bucket_limit p = { packets != 0, packets };

	port_set_limit(t.port, dir, &b, &p);
}

/* What the guest sends to 01:80:c2:00:00:last, in two parts of it. */
static int
send_group(uint8_t last, size_t first)
{
	uint8_t frame[HDR + 100] = { [HDR] = 0x01, 0x80, 0xc2, 0, 0, last };
	struct iovec iov[] = { { frame, first },
	    { frame + first, sizeof(frame) - first } };

	return t.nic->ops->send(t.nic, 0, iov, 2);
}

static ssize_t
transfer(enum port_dir dir, unsigned queue, size_t len)
{
	static uint8_t frame[HDR + 1514];
	struct iovec iov = { frame, HDR + len };

	if (dir == PORT_SEND)
		return t.nic->ops->send(t.nic, queue, &iov, 1);
	ck_assert_int_eq(write(t.far[queue], frame, iov.iov_len),
	    (ssize_t)iov.iov_len);
	return t.nic->ops->recv(t.nic, queue, &iov, 1);
}

/* What is answered is received past a limit, and counts all the same. */
START_TEST(answers_count)
{
	static const uint8_t answer[HDR + 100];
	struct iovec iov = { (uint8_t[HDR + 1500]){ 0 }, HDR + 1500 };

	if (_i == 0)
		limit(PORT_RECV, 1500, 0);
	else
		limit(PORT_RECV, 0, 2);
	ck_assert_int_eq(transfer(PORT_RECV, 0, 1400), HDR + 1400);
	ck_assert_int_eq(port_answer(t.port, answer, sizeof(answer)), 0);
	ck_assert_int_eq(t.nic->ops->recv(t.nic, 0, &iov, 1), sizeof(answer));
	/* All of it is paid for here: the bucket is empty. */
	ck_assert_int_eq(transfer(PORT_RECV, 0, 100), HDR + 100);
	ck_assert_int_eq(transfer(PORT_RECV, 0, 100), -EAGAIN);
	ck_assert_uint_eq(port_counters(t.port, PORT_RECV)->waits, 1);
}
END_TEST

/* And so does what the tap refuses. */
START_TEST(refused_frames_count)
{
	limit(PORT_SEND, 0, 2);
	close(t.far[0]);
	t.far[0] = dup(t.far[1]);
	ck_assert_int_lt(transfer(PORT_SEND, 0, 100), 0);
	ck_assert_int_ne(transfer(PORT_SEND, 0, 100), -EAGAIN);
	ck_assert_int_ne(transfer(PORT_SEND, 0, 100), -EAGAIN);
	ck_assert_int_eq(transfer(PORT_SEND, 0, 100), -EAGAIN);
	ck_assert_uint_eq(port_counters(t.port, PORT_SEND)->lost, 3);
	ck_assert_uint_eq(port_counters(t.port, PORT_SEND)->packets, 0);
}
END_TEST

/* Linux would take it for the host, wherever the parts of it lie. */
START_TEST(reserved)
{
	const struct port_counters *c = port_counters(t.port, PORT_SEND);
	uint8_t got[HDR + 200];
	size_t first;

	for (first = 0; first <= HDR + 20; first++) {
		ck_assert_int_eq(send_group(0, first), 0);
		ck_assert_int_eq(send_group(0x0e, first), 0);
		ck_assert_int_eq(send_group(0x0f, first), 0);
	}
	ck_assert_int_eq(recv(t.far[0], got, sizeof(got), MSG_DONTWAIT), -1);
	ck_assert_uint_eq(c->packets, 0);
	ck_assert_uint_eq(c->lost, 3 * (HDR + 21));
	ck_assert_int_eq(send_group(0x10, HDR), 0);
	ck_assert_int_eq(recv(t.far[0], got, sizeof(got), MSG_DONTWAIT),
	    HDR + 100);
	/* It was work, too. */
	limit(PORT_SEND, 0, 1);
	ck_assert_int_eq(send_group(0, HDR), 0);
	ck_assert_int_eq(send_group(0, HDR), 0);
	ck_assert_int_eq(send_group(0, HDR), -EAGAIN);
}
END_TEST

/* A limit that goes, and comes back, forgets what was free meanwhile. */
START_TEST(free_while_unlimited)
{
	limit(PORT_SEND, 0, 1);
	ck_assert_int_eq(transfer(PORT_SEND, 0, 100), 0);
	limit(PORT_SEND, 0, 0);
	ck_assert_int_eq(transfer(PORT_SEND, 0, 100), 0);
	limit(PORT_SEND, 0, 1);
	ck_assert_int_eq(transfer(PORT_SEND, 0, 100), 0);
	ck_assert_int_eq(transfer(PORT_SEND, 0, 100), 0);
	ck_assert_int_eq(transfer(PORT_SEND, 0, 100), -EAGAIN);
}
END_TEST

/* A queue a turn, either way; until then it neither takes nor gives. */
START_TEST(queues_by_and_by)
{
	unsigned i;

	ck_assert_int_eq(t.nic->ops->queues(t.nic, 0), -EINVAL);
	ck_assert_int_eq(t.nic->ops->queues(t.nic, QUEUES + 1), -EINVAL);
	ck_assert_int_eq(t.nic->ops->queues(t.nic, QUEUES), 0);
	ck_assert_uint_eq(t.changes, 0);
	ck_assert_int_eq(transfer(PORT_SEND, 3, 60), -EAGAIN);
	ck_assert_int_eq(transfer(PORT_RECV, 3, 60), -EAGAIN);
	t.nic->ops->want(t.nic, 3, NICPORT_SEND);
	for (i = 1; i < QUEUES; i++) {
		ck_assert_uint_eq(t.writable, 0);
		turn();
		ck_assert_uint_eq(t.changes, i);
		ck_assert(t.attached[i]);
	}
	turn();
	ck_assert_uint_eq(t.changes, QUEUES - 1);
	ck_assert_uint_ge(t.writable, 1);
	ck_assert_int_eq(transfer(PORT_SEND, 3, 60), 0);
	t.nic->ops->want(t.nic, 3, 0);
	ck_assert_int_eq(t.nic->ops->queues(t.nic, 2), 0);
	for (i = 0; i < 5; i++)
		turn();
	ck_assert_uint_eq(t.changes, QUEUES - 1 + 2);
	ck_assert(t.attached[1] && !t.attached[2] && !t.attached[3]);
}
END_TEST

/* What the system refuses is not asked for in each turn. */
START_TEST(queues_refused)
{
	t.error = -ENOMEM;
	ck_assert_int_eq(t.nic->ops->queues(t.nic, 2), 0);
	turn();
	turn();
	ck_assert_uint_eq(t.changes, 1);
	t.error = 0;
	ck_assert_int_eq(t.nic->ops->queues(t.nic, 2), 0);
	turn();
	ck_assert(t.attached[1]);
}
END_TEST

/* Somebody deletes the tap: no frame waits for it, whatever for. */
START_TEST(deleted_while_frames_wait)
{
	const struct nicport_ops *ops = t.nic->ops;
	struct iovec iov = { (uint8_t[HDR + 60]){ 0 }, HDR + 60 };
	unsigned before;

	t.error = -EINVAL;
	ck_assert_int_eq(ops->queues(t.nic, 2), 0);
	limit(PORT_SEND, 0, 1);
	while (transfer(PORT_SEND, 0, 60) == 0)
		continue;
	ops->want(t.nic, 0, NICPORT_SEND | NICPORT_RECV);
	ops->want(t.nic, 1, NICPORT_SEND);
	turn();
	t.gone = true;
	ck_assert_int_eq(ops->recv(t.nic, 0, &iov, 1), -EAGAIN);
	turn();
	ck_assert_uint_eq(t.writable, 0);
	limit(PORT_SEND, 0, 0);
	turn();
	ck_assert_uint_eq(t.writable, 2);
	ck_assert_int_eq(ops->send(t.nic, 0, &iov, 1), -EBADFD);
	ck_assert_int_eq(ops->send(t.nic, 1, &iov, 1), -EBADFD);
	ops->want(t.nic, 0, NICPORT_RECV);
	ops->want(t.nic, 1, 0);
	before = t.writable;
	turn();
	ck_assert_uint_eq(t.writable, before);
}
END_TEST

START_TEST(offloads_once)
{
	const struct nicport_ops *ops = t.nic->ops;

	ck_assert_int_eq(ops->offload(t.nic, 0), 0);
	ck_assert_uint_eq(t.offloads, 0);
	t.error = -EIO;
	ck_assert_int_eq(ops->offload(t.nic, NICPORT_CSUM), -EIO);
	t.error = 0;
	ck_assert_int_eq(ops->offload(t.nic, NICPORT_CSUM), 0);
	ck_assert_int_eq(ops->offload(t.nic, NICPORT_CSUM), 0);
	ck_assert_uint_eq(t.offloads, 2);
	ck_assert_int_eq(ops->offload(t.nic, NICPORT_USO), -EINVAL);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("port");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, answers_count, 0, 2);
	tcase_add_test(tc, refused_frames_count);
	tcase_add_test(tc, reserved);
	tcase_add_test(tc, free_while_unlimited);
	tcase_add_test(tc, queues_by_and_by);
	tcase_add_test(tc, queues_refused);
	tcase_add_test(tc, deleted_while_frames_wait);
	tcase_add_test(tc, offloads_once);
	return test_main("port", tc);
}
