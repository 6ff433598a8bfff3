/* SPDX-License-Identifier: ISC */
/*
 * The control socket: who may listen, who is connected.  Loop thread only.
 */
#ifndef VMMD_CONTROL_H
#define VMMD_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_CLIENTS_MAX	64

/* Of these, how many may be of others than admins, and of one such user. */
#define CONTROL_OTHERS_MAX	48
#define CONTROL_USER_MAX	16

struct config;
struct control;
struct vm_entry;
struct vm_table;
struct loop;

/* What commands act on; the daemon owns it and outlives the control. */
struct control_env {
	struct loop	*loop;
	struct vm_table	*guests;
	struct config	**conf;			/* the one in place */
	const char	*conf_path;
	const char	*backend;
	uint64_t	 started_ns;
	bool		 restart_required;	/* of the daemon itself */
	struct control	*control;		/* or NULL */
	size_t		 nclients;		/* control's */
};

/*
 * Listens on `path`, which is this daemon's alone as long as it lives: a
 * socket left by a dead daemon is replaced, a live one's is not.  NULL with
 * the reason in the log.
 */
struct control *control_create(struct control_env *env, const char *path);

/* Ends all connections and removes the socket. */
void control_destroy(struct control *ctl);

/* Tells those who wait for it or watch it that a guest's state changed. */
void control_guest_changed(struct control *ctl, struct vm_entry *e);

/*
 * There is another configuration in place: who may connect, and who may stay,
 * follows from that.  NULL is no control.
 */
void control_configured(struct control *ctl);

#endif /* VMMD_CONTROL_H */
