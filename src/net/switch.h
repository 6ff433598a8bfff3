/* SPDX-License-Identifier: ISC */
/*
 * The switches of a daemon, as bridges of the host.
 *
 * A bridge that is not there is created and owned: marked with the daemon's
 * name, kept as configured, removed in the end, and known again after a kill.
 * One of another is joined: ports are put into it, nothing else of it changes.
 *
 * Loop thread, or main before there is one; not from within its callbacks.
 */
#ifndef VMMD_NET_SWITCH_H
#define VMMD_NET_SWITCH_H

#include "net/plan.h"

struct loop;
struct switches;

/*
 * A port, as its switch knows it; part of the port's own struct, which fills
 * it.  What lies below the gap is the switches'.
 */
struct switch_port {
	char			 what[96];	/* "vm web1: nic 0" */
	int			 index;		/* the tap */
	struct port_set		 set;		/* what it is */
	bool			 running;	/* the tap has a carrier */
	void			(*link)(struct switch_port *sp, bool up);

	struct switch_port	*next;
	char			 name[PLAN_NAME];	/* of its switch */
	bool			 heard;		/* of it since it was plugged */
	bool			 up;		/* as link() was told */
};

/* No switch, yet: 0, or -errno and a message. */
int switches_open(struct switches **sp, const char *daemon, struct loop *loop,
    char *err, size_t errlen);

/*
 * Lets the switches be conf[0..n), and takes what is plugged in with them: 0,
 * or -errno and a message, and all is as it was.  Blocks, a few milliseconds
 * for dozens of switches, and some tens if one goes away.
 */
int switches_apply(struct switches *s, const struct switch_conf *conf,
    size_t n, char *err, size_t errlen);

/*
 * Takes these taps away at once, since to close the last descriptor of one takes
 * the system tens of milliseconds.  Their ports are still to be unplugged, if
 * they are not yet, and destroyed.
 */
void switches_cut(struct switches *s, const int *index, size_t n);

/* Removes what is ours; no port is plugged in any more. */
void switches_close(struct switches *s);

/* The switch of that name, until the next apply; or NULL. */
const struct switch_state *switches_find(const struct switches *s,
    const char *name);

/*
 * Plugs a port into a switch, for which it is changed if need be, moves it to
 * another, and unplugs it: 0, or -errno and a message, and it is where it was.
 * In between, link() tells of the link: the tap is up, has a carrier, and is in
 * a bridge that is up.  A move takes it down and up, so that a guest asks for
 * an address again.
 */
int switches_plug(struct switches *s, struct switch_port *sp,
    const char *name, char *err, size_t errlen);
int switches_move(struct switches *s, struct switch_port *sp,
    const char *name, char *err, size_t errlen);
void switches_unplug(struct switches *s, struct switch_port *sp);

#endif /* VMMD_NET_SWITCH_H */
