/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl image info`: see image.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/image.h"
#include "vmm/proto.h"

static const char *
on_off(bool v)
{
	return v ? "on" : "off";
}

static int
put_qcow2(struct buf *b, const struct disk_about *a)
{
	int ret;

	ret = proto_pair(b, "compat", a->version < 3 ? "0.10" : "1.1");
	ret = ret ?: proto_pairf(b, "cluster-size", "%" PRIu32, a->cluster);
	ret = ret ?: proto_pairf(b, "refcount-bits", "%u", a->refcount_bits);
	ret = ret ?: proto_pair(b, "lazy-refcounts", on_off(a->lazy));
	ret = ret ?: proto_pair(b, "extended-l2", on_off(a->extended));
	ret = ret ?: proto_pair(b, "compression", a->zstd ? "zstd" : "zlib");
	if (a->nbitmaps != 0)
		ret = ret ?: proto_pairf(b, "bitmaps", "%" PRIu32,
		    a->nbitmaps);
	ret = ret ?: proto_pair(b, "dirty", on_off(a->dirty));
	ret = ret ?: proto_pair(b, "corrupt", on_off(a->corrupt));
	if (a->behind[0] != '\0')
		ret = ret ?: proto_pair(b, "backing-file", a->behind);
	if (a->behind_format[0] != '\0')
		ret = ret ?: proto_pair(b, "backing-format",
		    a->behind_format);
	if (a->data[0] != '\0')
		ret = ret ?: proto_pair(b, "data-file", a->data);
	if (a->data[0] != '\0')
		ret = ret ?: proto_pair(b, "data-file-raw",
		    on_off(a->raw_data));
	return ret;
}

static int
put_image(struct buf *b, const char *path, const struct disk *d,
    const struct disk_about *a)
{
	struct stat st;
	int ret;

	if (stat(path, &st) == -1)
		return -errno;
	ret = buf_printf(b, "image");
	ret = ret ?: proto_pair(b, "file", path);
	ret = ret ?: proto_pair(b, "format", image_kind_name(a->kind));
	ret = ret ?: proto_pairf(b, "size", "%" PRIu64, disk_info(d)->size);
	ret = ret ?: proto_pairf(b, "allocated", "%" PRIu64,
	    (uint64_t)st.st_blocks * 512);
	return a->kind == DISK_QCOW2 ? ret ?: put_qcow2(b, a) : ret;
}

static int
put_snapshot(struct buf *b, const struct disk_snapshot *s)
{
	time_t when = (time_t)s->seconds;
	char date[64] = "-";
	struct tm tm;
	int ret;

	if (gmtime_r(&when, &tm) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	ret = buf_printf(b, "snapshot");
	ret = ret ?: proto_pair(b, "id", s->id);
	ret = ret ?: proto_pair(b, "name", s->name);
	if (s->size != 0)
		ret = ret ?: proto_pairf(b, "size", "%" PRIu64, s->size);
	return ret ?: proto_pair(b, "date", date);
}

static void
tell(struct image_call *c, const char *path, const struct disk *d,
    const struct disk_about *a)
{
	struct buf b;
	unsigned i;
	int ret;

	buf_init(&b, PROTO_ROW_MAX);
	ret = put_image(&b, path, d, a);
	ret = ret ?: image_row(c, &b);
	for (i = 0; i < a->nsnapshots && ret == 0; i++) {
		ret = put_snapshot(&b, &a->snapshot[i]);
		ret = ret ?: image_row(c, &b);
	}
	buf_free(&b);
	if (ret != 0)
		image_fail(c, path, ret);
}

void
image_info(struct image_call *c)
{
	struct disk_about about = { 0 };
	struct disk_how how = {
		.readonly = true, .header = true, .about = &about,
	};
	struct disk *d;

	d = image_open_to_look(c, &how);
	if (d != NULL)
		tell(c, c->argv[optind], d, &about);
	disk_close(d);
	disk_about_clear(&about);
}
