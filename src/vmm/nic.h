/* SPDX-License-Identifier: ISC */
/*
 * One NIC of a guest, but for the device that the guest sees: a port of a
 * switch, what the guest is told by it, and its limits.
 *
 * Created and destroyed on the thread of vCPU 0, since that may take
 * milliseconds; all else is the loop's.
 */
#ifndef VMMD_NIC_H
#define VMMD_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/port.h"
#include "vmm/config_net.h"

struct loop;
struct network;
struct nic;
struct nicport;

/* What it is from its beginning to its end. */
struct nic_conf {
	const char	*daemon;	/* outlive it, both */
	const char	*vm;
	unsigned	 number;
	unsigned	 queues;
	struct port_set	 set;		/* of its switch */
};

struct nic_status {
	char			 sw[PLAN_NAME];
	char			 tap[IFNAME_SIZE];
	uint8_t			 mac[6];
	uint32_t		 ip;		/* 0: it gets none here */
	uint8_t			 prefix;
	bool			 up;		/* the link */
	struct port_counters	 in, out;	/* as the guest sees them */
};

/* 0, or -errno and a message. */
int nic_create(struct nic **np, const struct nic_conf *c, char *err,
    size_t errlen);

/* It is not plugged in, and its device is gone. */
void nic_destroy(struct nic *n);

/* Its interface. */
int nic_index(const struct nic *n);

/* The far end of its device. */
struct nicport *nic_far_end(struct nic *n);

/*
 * Plugs it into its switch before its device attaches, or lets it go on if it
 * rests there, and unplugs it after that has detached: 0, or -errno and a
 * message.
 */
int nic_plug(struct nic *n, struct loop *loop, struct network *net,
    const struct vm_nic *conf, char *err, size_t errlen);
void nic_unplug(struct nic *n);

/*
 * Its device has detached, and another will attach: it stays in its switch, with
 * its cable out.  False if the interface is gone.
 */
bool nic_rest(struct nic *n);

/* Thread of vCPU 0, meanwhile: what the last device did not take is lost. */
void nic_drain(struct nic *n);

/*
 * Takes over what has changed of it or of its switch: 0, or -errno and a
 * message, and it is in the switch where it was.
 */
int nic_change(struct nic *n, const struct vm_nic *conf, char *err,
    size_t errlen);

/* While it is plugged in. */
void nic_get_status(const struct nic *n, struct nic_status *st);

#endif /* VMMD_NIC_H */
