/* SPDX-License-Identifier: ISC */
/*
 * Telling the service manager how far the daemon is, by systemd's protocol: a
 * datagram of NAME=VALUE lines to the socket that $NOTIFY_SOCKET names.
 * Without one all of it does nothing.  Loop thread only.
 */
#ifndef VMMD_NOTIFY_H
#define VMMD_NOTIFY_H

/*
 * Sends `state`, as in sd_notify(3): 0, also without a service manager, or
 * -errno.
 */
int notify_send(const char *state);

/* Says that a reload begins; it ends with READY=1. */
int notify_reloading(void);

/* How often, in seconds, WATCHDOG=1 is waited for; 0: not at all. */
double notify_watchdog(void);

#endif /* VMMD_NOTIFY_H */
