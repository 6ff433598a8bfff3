/* SPDX-License-Identifier: ISC */
/*
 * Requests to rtnetlink (rtnetlink(7)), and what it tells of interfaces.
 */
#ifndef VMMD_OS_NL_LINUX_H
#define VMMD_OS_NL_LINUX_H

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include "net/os.h"

/* What an address's protocol says of who made it (IFA_PROTO); ours. */
#define OS_NL_PROTO	0x76

/* As much as the kernel puts into one part of a dump. */
#define OS_NL_BUFFER	32768

/*
 * One request, of which the caller has one at a time: begun, filled by
 * mnl_attr_put*(), sent.
 */
struct nlmsghdr *os_nl_begin(struct os *o, uint16_t type, uint16_t flags);

/* Sends it and waits: 0 or -errno, the kernel's. */
int os_nl_send(struct os *o, struct nlmsghdr *n);

/*
 * The same for a dump, all of it: fn() is called for each message until it
 * returns an error, -errno, which is the dump's then.
 */
int os_nl_dump(struct os *o, struct nlmsghdr *n, mnl_cb_t fn, void *cookie);

/* What a message of type NLMSG_ERROR or NLMSG_DONE says: 0 or -errno. */
int os_nl_error(const struct nlmsghdr *n);

/* A request for one interface, or all of them if `index` is 0. */
void os_nl_put_getlink(struct nlmsghdr *n, int index);

/* Reads a message of type RTM_NEWLINK or RTM_DELLINK: 0 or -EINVAL. */
int os_nl_link(const struct nlmsghdr *n, struct os_link *l);

#endif /* VMMD_OS_NL_LINUX_H */
