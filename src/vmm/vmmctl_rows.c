/* SPDX-License-Identifier: ISC */
/*
 * The rows of a reply: see vmmctl_rows.h.
 */
#include "vmm/vmmctl_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/proto.h"

static int
row_parse(struct row *r)
{
	char *rest = r->text;

	r->kind = proto_word(&rest);
	while (rest[strspn(rest, " ")] != '\0') {
		if (r->npairs == ROW_PAIRS_MAX || !proto_next(&rest,
		    &r->key[r->npairs], &r->value[r->npairs]))
			return -EPROTO;
		r->npairs++;
	}
	return 0;
}

int
rows_add(struct rows *rs, const char *line)
{
	struct row *r;
	int ret;

	r = reallocarray(rs->row, rs->n + 1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	rs->row = r;
	r += rs->n;
	memset(r, 0, sizeof(*r));
	r->text = strdup(line);
	if (r->text == NULL)
		return -ENOMEM;
	ret = row_parse(r);
	if (ret != 0)
		free(r->text);
	else
		rs->n++;
	return ret;
}

void
rows_free(struct rows *rs)
{
	unsigned i;

	for (i = 0; i < rs->n; i++)
		free(rs->row[i].text);
	free(rs->row);
}

const char *
row_value(const struct row *r, const char *key, const char *none)
{
	unsigned i;

	for (i = 0; i < r->npairs; i++)
		if (strcmp(r->key[i], key) == 0)
			return r->value[i];
	return none;
}
