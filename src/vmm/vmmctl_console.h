/* SPDX-License-Identifier: ISC */
/*
 * A terminal on a guest's serial line.
 */
#ifndef VMMD_VMMCTL_CONSOLE_H
#define VMMD_VMMCTL_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

struct conn;

/* What is typed: "~." at the start of a line leaves, "~~" sends one ~. */
struct escape {
	enum {
		ESCAPE_LINE_START,
		ESCAPE_TILDE,		/* held back */
		ESCAPE_INSIDE,
	} state;
};

/*
 * Filters `n` typed bytes into `out`, which has room for 2n.  True if the
 * escape was among them; what came before it is in `out`.
 */
bool escape_filter(struct escape *e, const char *in, size_t n, char *out,
    size_t *nout);

/*
 * Connects stdin and stdout with a connection that has become a console,
 * until that ends or the escape is typed: 0 or -errno.
 */
int console_run(struct conn *cn, const char *name);

#endif /* VMMD_VMMCTL_CONSOLE_H */
