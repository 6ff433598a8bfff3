/* SPDX-License-Identifier: ISC */
/*
 * A system of which we know no packet filter: see fw_load.h.
 */
#include "net/fw_load.h"

#include <errno.h>
#include <stdio.h>

static int
unknown(char *err, size_t errlen)
{
	snprintf(err, errlen, "no packet filter is known of this system");
	return -EOPNOTSUPP;
}

int
fw_load_forward(bool ipv4, bool ipv6, struct buf *said, char *err,
    size_t errlen)
{
	(void)ipv4;
	(void)ipv6;
	(void)said;
	return unknown(err, errlen);
}

int
fw_load_open(struct fw_load **lp, char *err, size_t errlen)
{
	*lp = NULL;
	return unknown(err, errlen);
}

int
fw_load_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	(void)p;
	(void)r;
	(void)b;
	return unknown(err, errlen);
}

int
fw_load_apply(struct fw_load *l, const char *text, char *err, size_t errlen)
{
	(void)l;
	(void)text;
	return unknown(err, errlen);
}

int
fw_load_forget(struct fw_load *l, const struct os_addr *gone, size_t n,
    char *err, size_t errlen)
{
	(void)l;
	(void)gone;
	return n == 0 ? 0 : unknown(err, errlen);
}

int
fw_load_conflicts(struct fw_load *l, struct buf *warnings, char *err,
    size_t errlen)
{
	(void)l;
	(void)warnings;
	return unknown(err, errlen);
}

void
fw_load_close(struct fw_load *l)
{
	(void)l;
}
