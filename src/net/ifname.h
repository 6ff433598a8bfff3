/* SPDX-License-Identifier: ISC */
/*
 * What the daemon's interfaces are called, and by what it knows them again:
 * pure functions of the names of the daemon and of the object.
 *
 * A name is DAEMON-SWITCH or DAEMON-VM.NIC where that fits into 15 characters
 * and cannot be read in two ways, else the object's first six characters, a ~
 * and a hash of all names.  A ~ is in no name of ours, nor a colon.
 */
#ifndef VMMD_IFNAME_H
#define VMMD_IFNAME_H

#include <stdbool.h>
#include <stdint.h>

#define IFNAME_SIZE	16	/* with the NUL */
#define IFNAME_MARK	192	/* daemon and object have 64 bytes at most */

void ifname_switch(char out[IFNAME_SIZE], const char *daemon,
    const char *name);
void ifname_port(char out[IFNAME_SIZE], const char *daemon, const char *vm,
    unsigned nic);

/*
 * Marks are an interface's description, where whoever lists interfaces sees
 * them: "vmmd DAEMON: switch NAME", and ", uplink NAME" if that is not "";
 * "vmmd DAEMON: vm NAME nic N".
 */
void ifname_switch_mark(char out[IFNAME_MARK], const char *daemon,
    const char *name, const char *uplink);
void ifname_port_mark(char out[IFNAME_MARK], const char *daemon,
    const char *vm, unsigned nic);

/* Is this the mark of a switch, any switch, of that daemon? */
bool ifname_is_switch_mark(const char *mark, const char *daemon);

/* The uplink in the mark of a switch, or "". */
const char *ifname_mark_uplink(const char *mark);

/*
 * The hardware address of a switch of that host, locally administered: the
 * same after each start, another on each host.
 */
void ifname_switch_mac(uint8_t mac[6], const char *host, const char *daemon,
    const char *name);

/*
 * That of a guest's NIC which is given none, from the names of daemon and guest
 * and its number: the same after each start and on each host.
 */
void ifname_port_mac(uint8_t mac[6], const char *daemon, const char *vm,
    unsigned nic);

/* A number that follows from a name, which is one of `what`. */
uint64_t ifname_hash(const char *what, const char *name);

#endif /* VMMD_IFNAME_H */
