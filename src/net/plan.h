/* SPDX-License-Identifier: ISC */
/*
 * What has to be done for the host's interfaces to be as the configuration
 * says: a list of steps, each of which can be undone.
 *
 * Planning is pure: it takes what there is (struct os_view) and what shall be,
 * and remembers nothing, so that a start, a reload and a start after a kill are
 * the same.  Running does the steps in order; if one fails, those before it are
 * undone in reverse.  Any thread, one at a time.
 */
#ifndef VMMD_NET_PLAN_H
#define VMMD_NET_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/os.h"

#define PLAN_MTU	1500	/* where nothing says another */
#define PLAN_MTU_MAX	65521	/* of a tap: less than 64 KiB a frame */
#define PLAN_MTU6	1280	/* IPv6 wants that much (RFC 8200, 5) */

#define PLAN_NAME	65	/* of a switch, with the NUL */

/* A [switch NAME].  Strings are "" where nothing is said. */
struct switch_conf {
	const char		*name;
	const char		*bridge;	/* joined if it is another's */
	const char		*uplink;
	const char		*vrf;
	const char		*group;		/* also of its ports */
	const struct os_addr	*addrs;
	size_t			 naddrs;
	uint16_t		 vlan;		/* 1 to 4094; 0: none */
	uint32_t		 mtu;		/* 0: the uplink's, or 1500 */
	bool			 isolate;	/* no frames from port to port */
};

/* What a port of a switch is, beyond being up. */
struct port_set {
	int		 master;	/* 0: in no bridge */
	uint32_t	 mtu;
	uint32_t	 group;
	uint16_t	 vlan;
	bool		 isolated;
};

/* A switch that is there. */
struct switch_state {
	char		 name[PLAN_NAME];
	char		 bridge[IFNAME_SIZE];
	int		 index;		/* of the bridge */
	uint8_t		 mac[6];	/* its */
	bool		 owned;		/* else joined */
	bool		 up;		/* the bridge */
	bool		 heard;		/* of that since the plan */
	uint16_t	 vlan;
	struct port_set	 ports;		/* what its ports shall be */
};

enum plan_op {
	PLAN_CREATE,
	PLAN_SET,
	PLAN_ADDR,
	PLAN_VLAN,
	PLAN_DELETE,		/* cannot be undone: comes last */
};

struct plan_step {
	enum plan_op	 op;
	enum os_attr	 attr;			/* PLAN_SET */
	char		 what[128];		/* for messages */
	char		 name[IFNAME_SIZE];	/* PLAN_CREATE */
	int		*index;			/* PLAN_CREATE stores it */
	const int	*ref;			/* where OS_MASTER's number is */
	struct os_value	 to, from;
	char		 text[IFNAME_MARK];	/* of OS_MARK */
	char		 old_text[OS_MARK_MAX];
	struct os_addr	 addr;
	bool		 on;			/* PLAN_ADDR: adds it */
	bool		 tagged, self;		/* PLAN_VLAN */
};

struct plan {
	struct plan_step	*steps;
	size_t			 n;
	size_t			 cap;
	int			 error;		/* -ENOMEM: some are missing */
	struct plan_step	 none;		/* stands for those */
};

/* A plan without steps; plan_free() ends any. */
void plan_init(struct plan *p);
void plan_free(struct plan *p);

/*
 * Plans for the switches of `daemon` to be conf[0..n): 0, or -errno and a
 * message.  `state` has room for n; an index in it is 0 until the plan has
 * created that bridge.  `old` are the switches so far, none at start.
 * The view becomes what it will be, and must outlive the plan, as `state`.
 */
int plan_switches(struct plan *p, const char *daemon, struct os_view *v,
    const struct switch_conf *conf, size_t n, struct switch_state *state,
    const struct switch_state *old, size_t nold, char *err, size_t errlen);

/*
 * Plans the end of bridges of this daemon that no switch uses, those of a
 * daemon that was killed among them; last of all.
 */
void plan_leftovers(struct plan *p, const char *daemon,
    struct os_view *v, const struct switch_state *state, size_t n);

/*
 * Plans for a port to be what `want` says, in the bridge with the index *ref,
 * or, if that is NULL, in none.  It is down while it goes from one to another.
 */
void plan_port(struct plan *p, const char *what, int *index, bool up,
    const struct port_set *now, const struct port_set *want, const int *ref);

/* Does it: 0, or -errno and a message, and it is as it was. */
int plan_run(struct plan *p, struct os *o, char *err, size_t errlen);

#endif /* VMMD_NET_PLAN_H */
