/* SPDX-License-Identifier: ISC */
/*
 * A daemon without sockets, signals and machines, for tests of requests: its
 * configuration, its guests, and one client that the test is the peer of.
 */
#ifndef VMMD_CTLRIG_H
#define VMMD_CTLRIG_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "fakevm.h"
#include "vmm/client.h"
#include "vmm/command.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/peer.h"
#include "vmm/proto.h"
#include "vmm/reload.h"
#include "vmm/vm_table.h"

struct ctlrig {
	struct loop		*loop;
	struct control_env	 env;
	struct config		*conf;
	struct client		*client;
	int			 peer;
	bool			 over;		/* the connection is */
	char			 path[64];	/* of the configuration */
	char			 got[65536];	/* the last answer */
};

/* The control's part. */
static inline void
rig_changed(void *cookie, struct vm_entry *e)
{
	struct ctlrig *r = cookie;
	struct buf row;

	buf_init(&row, PROTO_ROW_MAX);
	ck_assert_int_eq(command_event_row(&row, e), 0);
	if (r->client != NULL)
		client_guest_changed(r->client, e, &row);
	buf_free(&row);
}

static inline void
rig_ended(void *cookie, struct client *c)
{
	struct ctlrig *r = cookie;

	(void)c;
	r->over = true;
}

static inline void
rig_put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static inline void
rig_turn(struct ctlrig *r, int n)
{
	while (n-- > 0)
		ev_run(loop_ev(r->loop), EVRUN_NOWAIT);
}

/* As one with the groups 4000, 4001 and `group`. */
static inline void
rig_connect(struct ctlrig *r, uid_t uid, gid_t group)
{
	struct peer peer = { .uid = uid, .gid = 4000, .ngroups = 2 };
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fd), 0);
	r->over = false;
	peer.groups = calloc(peer.ngroups, sizeof(*peer.groups));
	peer.groups[0] = 4001;
	peer.groups[1] = group;
	r->client = client_create(&r->env, fd[0], &peer, rig_ended, r);
	ck_assert_ptr_nonnull(r->client);
	r->peer = fd[1];
}

static inline void
rig_disconnect(struct ctlrig *r)
{
	client_destroy(r->client);
	r->client = NULL;
	close(r->peer);
}

static inline void
rig_open(struct ctlrig *r, const char *text)
{
	static const struct hv_ops fake_hv = { .name = "fake" };

	memset(r, 0, sizeof(*r));
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(r->path, sizeof(r->path), "/tmp/check_ctl.%d",
	    (int)getpid());
	rig_put_file(r->path, text);
	r->conf = reload_read(r->path, NULL);
	ck_assert_ptr_nonnull(r->conf);
	r->loop = loop_create();
	r->env = (struct control_env){ .loop = r->loop, .conf = &r->conf,
	    .conf_path = r->path, .backend = "fake" };
	r->env.guests = vm_table_create(r->loop, NULL, &fake_hv, rig_changed,
	    r);
	reload_apply(r->env.guests, r->conf, NULL);
	rig_turn(r, 2);
	rig_connect(r, 0, 0);
}

static inline void
rig_close(struct ctlrig *r)
{
	rig_disconnect(r);
	vm_table_stop_all(r->env.guests, true);
	rig_turn(r, 4);
	vm_table_destroy(r->env.guests);
	config_free(r->conf);
	unlink(r->path);
	loop_destroy(r->loop);
}

/* All that came since the last time. */
static inline const char *
rig_read(struct ctlrig *r)
{
	ssize_t n;

	rig_turn(r, 6);
	n = read(r->peer, r->got, sizeof(r->got) - 1);
	r->got[n < 0 ? 0 : n] = '\0';
	return r->got;
}

/* Sends one request and returns what comes. */
static inline const char *
rig_ask(struct ctlrig *r, const char *line)
{
	ck_assert_int_eq(write(r->peer, line, strlen(line)), strlen(line));
	ck_assert_int_eq(write(r->peer, "\n", 1), 1);
	return rig_read(r);
}

#endif /* VMMD_CTLRIG_H */
