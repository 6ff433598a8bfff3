/* SPDX-License-Identifier: ISC */
/*
 * qcow2: the table of snapshots, whose entries have no fixed length.  Blocks;
 * before the disk is attached.
 */
#include <stdlib.h>

#include "devices/disk_qcow2.h"

/* An entry begins so; extra data, id and name follow. */
#define ENTRY_LEN		40u
#define ENTRY_L1_OFFSET		0
#define ENTRY_L1_SIZE		8
#define ENTRY_ID_LEN		12
#define ENTRY_NAME_LEN		14
#define ENTRY_SECONDS		16
#define ENTRY_EXTRA_LEN		36
#define EXTRA_SIZE		8u	/* of the disk, in the extra data */

/* The entry at *off, which is set to the next. */
int
q2_snapshot_read(const struct q2 *q, uint64_t *off, struct q2_snapshot *s)
{
	uint8_t e[ENTRY_LEN + EXTRA_SIZE + 8];
	uint64_t extra;
	int error;

	error = disk_raw_read(q->file, e, sizeof(e), *off);
	if (error != 0)
		return error;
	s->l1_offset = q2_be64(e + ENTRY_L1_OFFSET);
	s->l1_size = q2_be(e + ENTRY_L1_SIZE, 4);
	s->seconds = q2_be(e + ENTRY_SECONDS, 4);
	s->id_len = q2_be(e + ENTRY_ID_LEN, 2);
	s->name_len = q2_be(e + ENTRY_NAME_LEN, 2);
	extra = q2_be(e + ENTRY_EXTRA_LEN, 4);
	s->size = extra >= EXTRA_SIZE + 8 ?
	    q2_be64(e + ENTRY_LEN + EXTRA_SIZE) : 0;
	s->name_offset = *off + ENTRY_LEN + extra;
	*off = (s->name_offset + s->id_len + s->name_len + 7) / 8 * 8;
	if (*off - q->snapshots_offset > Q2_SNAPSHOTS_BYTES ||
	    s->l1_size * 8 > Q2_L1_MAX ||
	    s->l1_offset % q2_cluster_size(q) != 0)
		return -EILSEQ;
	return 0;
}

static char *
q2_string_at(const struct q2 *q, uint64_t off, size_t len, int *error)
{
	char *s = calloc(len + 1, 1);

	*error = s == NULL ? -ENOMEM : disk_raw_read(q->file, s, len, off);
	return s;
}

/* Appends what is known of all snapshots: 0 or -errno. */
int
q2_snapshots_tell(const struct q2 *q, struct disk_about *about)
{
	uint64_t off = q->snapshots_offset;
	struct disk_snapshot *to;
	struct q2_snapshot s;
	uint32_t i;
	int error = 0;

	about->snapshot = calloc(q->nsnapshots + 1, sizeof(*to));
	if (about->snapshot == NULL)
		return -ENOMEM;
	for (i = 0; i < q->nsnapshots && error == 0; i++) {
		error = q2_snapshot_read(q, &off, &s);
		if (error != 0)
			break;
		to = &about->snapshot[about->nsnapshots++];
		to->size = s.size;
		to->seconds = s.seconds;
		to->id = q2_string_at(q, s.name_offset, s.id_len, &error);
		if (error == 0)
			to->name = q2_string_at(q, s.name_offset + s.id_len,
			    s.name_len, &error);
	}
	return error;
}
