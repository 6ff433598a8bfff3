/* SPDX-License-Identifier: ISC */
/*
 * From one configuration to the next while guests run.  Loop thread only.
 *
 * A `report` gets rows of vmmd-protocol(7): "change" for each guest that
 * differs now or will, each switch and each policy, "error" for each line that is
 * wrong; NULL for none.
 */
#ifndef VMMD_RELOAD_H
#define VMMD_RELOAD_H

#include <stdbool.h>

struct buf;
struct config;
struct vm_table;

/*
 * One change of the configuration: zeroed, but for what its maker sets, whose it
 * is.  It may take many turns of the loop, as long as rules of the firewall are
 * being loaded; firewall_settled() says whether another may begin.
 */
struct reload {
	struct vm_table	*vt;
	struct config	**conf;		/* the one in place */
	struct buf	*report;	/* or NULL */
	bool		*restart_required;	/* of the daemon; or NULL */

	/*
	 * Once all that may fail has been done: 0, or -errno and nothing has
	 * changed.  May be NULL.
	 */
	int		(*keep)(void *cookie);

	/*
	 * Last of all, and once: 0 and the new configuration is in place, or
	 * -errno and all is as it was.  May be called at once, and free this.
	 */
	void		(*done)(void *cookie, int error);
	void		*cookie;

	/* The rest is reload.c's. */
	struct config	*next;
	const char	*path;		/* a file that was read, or NULL */
};

/* Room for a report about all guests. */
#define RELOAD_REPORT_MAX	(128 * 1024)

/*
 * Makes the guests what `c` says: removes, updates, adds.  One that fails is
 * logged and does not hold up the others.
 */
void reload_apply(struct vm_table *vt, const struct config *c,
    struct buf *report);

/* Reads `path`; what is wrong with it goes to the log, too, line by line. */
struct config *reload_read(const char *path, struct buf *report);

/* Reads `path` and, if it is sound, applies it. */
void reload_file(struct reload *r, const char *path);

/* Applies a sound configuration, which it takes, with other guests. */
void reload_guests(struct reload *r, struct config *c);

/* Makes rows of lines that tell what is wrong, and takes them from `errors`. */
void reload_report_errors(struct buf *report, struct buf *errors);

#endif /* VMMD_RELOAD_H */
