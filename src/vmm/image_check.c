/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image check`: see image.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "devices/disk_check.h"
#include "vmm/image.h"
#include "vmm/proto.h"

/* Of the exit, told in vmmctl(8); 2 is wrong usage. */
#define STATUS_LEAKS	3
#define STATUS_CORRUPT	4

static int
put_result(struct buf *b, const char *path, const struct disk_check *r)
{
	int ret;

	ret = buf_printf(b, "check");
	ret = ret ?: proto_pair(b, "file", path);
	ret = ret ?: proto_pairf(b, "corruptions", "%" PRIu64,
	    r->corruptions);
	ret = ret ?: proto_pairf(b, "leaks", "%" PRIu64, r->leaks);
	ret = ret ?: proto_pairf(b, "corruptions-fixed", "%" PRIu64,
	    r->corruptions_fixed);
	ret = ret ?: proto_pairf(b, "leaks-fixed", "%" PRIu64,
	    r->leaks_fixed);
	ret = ret ?: proto_pairf(b, "clusters", "%" PRIu64, r->clusters);
	return ret ?: proto_pairf(b, "clusters-used", "%" PRIu64, r->used);
}

/* Some lines that tell somebody who may help what it is about. */
static void
tell_problems(const char *path, const struct disk_check *r)
{
	uint64_t all = r->corruptions + r->corruptions_fixed;
	unsigned i;

	for (i = 0; i < r->nproblems; i++)
		fprintf(stderr, "vmmctl: image: %s: %s %#" PRIx64 "\n",
		    path, r->problem[i].what, r->problem[i].at);
	if (all > r->nproblems)
		fprintf(stderr, "vmmctl: image: %s: and %" PRIu64 " more\n",
		    path, all - r->nproblems);
}

static void
check(struct image_call *c, const char *path, struct disk *d,
    enum disk_repair repair)
{
	struct disk_check r = { 0 };
	struct buf b;
	int error;

	error = disk_check(d, repair, &r);
	tell_problems(path, &r);
	if (error == -EOPNOTSUPP)
		conn_fail(c->cn, "failed", "image: %s: a raw image has "
		    "nothing to check", path);
	else if (error == -EUCLEAN)
		conn_fail(c->cn, "failed", "image: %s: has more than leaks, "
		    "which only -r all repairs", path);
	else if (error == -EILSEQ)
		conn_fail(c->cn, "failed", "image: %s: is too damaged to be "
		    "repaired", path);
	else if (error != 0)
		image_fail(c, path, error);
	buf_init(&b, PROTO_ROW_MAX);
	if (error == 0) {
		error = put_result(&b, path, &r);
		error = error ?: image_row(c, &b);
		if (error != 0)
			image_fail(c, path, error);
	}
	buf_free(&b);
	c->status = r.corruptions != 0 ? STATUS_CORRUPT :
	    r.leaks != 0 ? STATUS_LEAKS : 0;
}

void
image_check(struct image_call *c)
{
	enum disk_repair repair = DISK_REPAIR_NOT;
	struct disk_how how = { .alone = true, .check = true };
	struct disk *d;
	int ch;

	while ((ch = image_next(c, "f:r:", NULL)) != -1) {
		if (ch == 'f') {
			(void)image_parse_kind(c, optarg, &how.kind);
		} else if (strcmp(optarg, "leaks") == 0) {
			repair = DISK_REPAIR_LEAKS;
		} else if (strcmp(optarg, "all") == 0) {
			repair = DISK_REPAIR_ALL;
		} else {
			conn_fail(c->cn, "syntax", "image: -r: `%s' is neither "
			    "leaks nor all", optarg);
		}
	}
	if (!image_words(c, 1))
		return;
	how.readonly = repair == DISK_REPAIR_NOT;
	d = image_open(c, c->argv[optind], &how);
	if (d != NULL && image_has_bytes(c, c->argv[optind], d))
		check(c, c->argv[optind], d, repair);
	disk_close(d);
}
