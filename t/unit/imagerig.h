/* SPDX-License-Identifier: ISC */
/*
 * What tests of `vmmctl image` share: calls of it in a directory of their own,
 * and images by QEMU's tools to compare with.
 */
#ifndef VMMD_IMAGERIG_H
#define VMMD_IMAGERIG_H

#include <sys/stat.h>

#include "testhost.h"
#include "toolrig.h"
#include "vmm/image.h"

struct imagerig {
	char		 dir[64];
	struct conn	 cn;		/* of the last call */
	struct rows	 rows;
	int		 status;
	FILE		*out;		/* for what is printed */
	char		 words[1024];
};

static inline void
imagerig_setup(struct imagerig *g)
{
	memset(g, 0, sizeof(*g));
	snprintf(g->dir, sizeof(g->dir), "/tmp/check_image.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(g->dir));
	ck_assert_int_eq(chdir(g->dir), 0);
}

static inline void
imagerig_teardown(struct imagerig *g)
{
	rows_free(&g->rows);
	rig_sh(g, "rm -rf \"$PWD\"");
}

/* vmmctl image WORDS; is nothing wrong? */
static inline __attribute__((__format__(__printf__, 2, 3))) bool
imagerig_try(struct imagerig *g, const char *fmt, ...)
{
	static char program[] = "vmmctl";
	struct image_call c = { .cn = &g->cn, .rows = &g->rows, .json = true };
	char *argv[32], *rest = g->words;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(g->words, sizeof(g->words), fmt, ap);
	va_end(ap);
	while ((argv[c.argc] = strsep(&rest, " ")) != NULL)
		c.argc++;
	c.argv = argv;
	rows_free(&g->rows);
	memset(&g->rows, 0, sizeof(g->rows));
	conn_init(&g->cn);
	c.out = g->out;
	image_run(&c, program);
	g->status = c.status;
	return *g->cn.code == '\0';
}

/* The same, which must go well. */
#define imagerig_do(g, ...) do {					\
	bool imagerig_ok = imagerig_try(g, __VA_ARGS__);		\
	ck_assert_msg(imagerig_ok, "%s", (g)->cn.error);		\
} while (0)

/* The same, which must fail, and say so. */
#define imagerig_fails(g, text, ...) do {				\
	ck_assert(!imagerig_try(g, __VA_ARGS__));			\
	ck_assert_msg(strstr((g)->cn.error, text) != NULL,		\
	    "`%s' is not in `%s'", text, (g)->cn.error);		\
} while (0)

/* Is there a file of that name? */
static inline bool
imagerig_has(const char *name)
{
	return access(name, F_OK) == 0;
}

/* Nothing is left of files that got no name. */
#define imagerig_no_rest(g) \
	rig_sh(g, "! ls | grep -E '[.][A-Za-z0-9]{6}$'")

#endif /* VMMD_IMAGERIG_H */
