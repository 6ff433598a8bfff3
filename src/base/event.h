/* SPDX-License-Identifier: ISC */
/*
 * An event: a descriptor that counts the signals it got, and that a kernel may
 * wait for in our stead.  Any thread.
 */
#ifndef VMMD_EVENT_H
#define VMMD_EVENT_H

#include <stdbool.h>

/* The descriptor, to be closed by close(2); or -errno. */
int event_create(void);

/* Never waits; beyond counting, signals are one. */
void event_signal(int fd);

/* Has it signals that nobody has taken?  They stay. */
bool event_waits(int fd);

/* Takes them. */
void event_clear(int fd);

#endif /* VMMD_EVENT_H */
