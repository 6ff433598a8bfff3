/* SPDX-License-Identifier: ISC */
/*
 * The NICs of a guest, from its start to its stop: they stay what they are, and
 * where they are, while it boots again.
 *
 *	loop	begin
 *	thread	open
 *	loop	plug ... rest, and from the begin again with the same, or unplug
 *	thread	close
 *	loop	free
 *
 * The thread is that of vCPU 0, since to open and close takes milliseconds.
 */
#ifndef VMMD_NICS_H
#define VMMD_NICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct firewall_wait;
struct machine_nic_conf;
struct nic_status;
struct nics;
struct vm_config;
struct vm_env;
struct vm_nics;

/*
 * Notes what the thread needs to know for a boot, of new ones or, unless *np is
 * NULL, of those that rest: 0 or -ENOMEM.
 */
int nics_begin(struct nics **np, const struct vm_env *env,
    const struct vm_config *conf);

/* 0, or -errno and a message. */
int nics_open(struct nics *s, char *err, size_t errlen);

/* Thread, when they are open: what their devices are to be; how many. */
unsigned nics_devices(const struct nics *s, struct machine_nic_conf *c);

/*
 * Are the firewall's rules for them loaded?  If not, w->task is run when they
 * are, or cannot be, which nics_plug() tells.  True if there is no NIC.
 */
bool nics_settled(struct nics *s, struct firewall_wait *w);

/* Before their devices attach: 0, or -errno and a message. */
int nics_plug(struct nics *s, char *err, size_t errlen);

/* While the guest runs: one of them, or false; the MTU that is right for it. */
bool nics_get_status(const struct nics *s, unsigned i, struct nic_status *st);
uint16_t nics_mtu(const struct nics *s, unsigned i);
unsigned nics_count(const struct nics *s);

/*
 * Loop: other settings, of NICs that are alike, or other switches.  What cannot
 * be is logged.
 */
void nics_change(struct nics *s, const struct vm_nics *now);

/* Their devices have detached; unplugged they are if they cannot rest. */
void nics_rest(struct nics *s);
void nics_unplug(struct nics *s);

/* Of those that rest it takes only what they have received. */
void nics_close(struct nics *s);

/* NULL is allowed.  Unplugs and closes what nobody has. */
void nics_free(struct nics *s);

#endif /* VMMD_NICS_H */
