/* SPDX-License-Identifier: ISC */
/*
 * The loop on which a tool's disks work: an engine, memory for tables,
 * interrupts, and a bar that shows how far it is.
 */
#ifndef VMMD_IMAGE_WORK_H
#define VMMD_IMAGE_WORK_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/disk.h"

#define IMAGE_SIGNALS	3

struct image_work {
	struct loop	*loop;
	struct aio	*aio;
	struct disk_tables *tables;
	int		 caught;	/* a signal: it is to end; 0 is none */

	/* Of `total` bytes, `done` are. */
	uint64_t	 total, done;

	/* Its own. */
	ev_signal	 signal[IMAGE_SIGNALS];
	ev_timer	 tick;
	uint64_t	 began;		/* ns */
	bool		 shows;		/* the bar */
	bool		 shown;
};

/* 0 or -errno; with a bar if `bar` and stderr is a terminal. */
int image_work_begin(struct image_work *w, bool bar);
void image_work_end(struct image_work *w);

/* Has someone interrupted it? */
bool image_work_ends(struct image_work *w);

/* One request, from its begin to its end. */
int image_work_do(struct image_work *w, struct disk *d, struct disk_req *req);

/* Detaches the disk: 0, or why something is not in the file. */
int image_work_detach(struct image_work *w, struct disk *d);

/*
 * Flushes the disk if its file is to last, detaches and closes it: 0, or why
 * something is not in the file.
 */
int image_work_close(struct image_work *w, struct disk *d, bool lasts);

#endif /* VMMD_IMAGE_WORK_H */
