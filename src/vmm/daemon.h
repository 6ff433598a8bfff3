/* SPDX-License-Identifier: ISC */
/*
 * The daemon as an object: loop, configuration, guests, control socket and
 * signals, and their order of life.
 */
#ifndef VMMD_DAEMON_H
#define VMMD_DAEMON_H

#include <stdbool.h>

struct daemon;

/*
 * Reads the configuration and makes everything that stands before the first
 * guest; the calling thread becomes the loop thread.  NULL with the reason in
 * the log.
 */
struct daemon *daemon_create(const char *conf_path);

/*
 * Runs until SIGTERM or SIGINT has stopped all guests: 0, or -ETIMEDOUT if
 * one did not stop even when forced.
 */
int daemon_run(struct daemon *d);

/*
 * Ends what daemon_create() made.  False if a guest that was forced to stop
 * may still call back: then, too, only _exit(2) is left.
 */
bool daemon_destroy(struct daemon *d);

#endif /* VMMD_DAEMON_H */
