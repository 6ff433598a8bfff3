/* SPDX-License-Identifier: ISC */
/*
 * Records of saved device state.
 *
 * Payloads are structs copied as they lie in memory, so the format's byte
 * order is the machine's, which is little-endian on every host there is.
 */
#include "devices/state.h"

#include <errno.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "saved state is little-endian");

/* namelen, name, version, size */
#define STATE_HEAD_MAX	(1 + STATE_NAME_MAX + 2 + 4)

/* Builds a record's head; its length, or 0 for a name that does not fit. */
static size_t
state_head(uint8_t head[STATE_HEAD_MAX], const char *name, uint16_t version,
    uint32_t size)
{
	size_t n = strlen(name);

	if (n == 0 || n > STATE_NAME_MAX)
		return 0;
	head[0] = (uint8_t)n;
	memcpy(head + 1, name, n);
	memcpy(head + 1 + n, &version, sizeof(version));
	memcpy(head + 1 + n + sizeof(version), &size, sizeof(size));
	return 1 + n + sizeof(version) + sizeof(size);
}

int
state_put(struct state_writer *w, const char *name, uint16_t version,
    const void *payload, uint32_t size)
{
	uint8_t head[STATE_HEAD_MAX];
	size_t len = w->out->len;
	size_t n;
	int error;

	n = state_head(head, name, version, size);
	if (n == 0)
		return -EINVAL;
	error = buf_append(w->out, head, n);
	if (error == 0)
		error = buf_append(w->out, payload, size);
	if (error != 0)
		w->out->len = len;	/* no half a record */
	return error;
}

int
state_get(struct state_reader *r, const char *name, uint16_t version,
    void *payload, uint32_t size)
{
	uint8_t head[STATE_HEAD_MAX];
	size_t n;

	n = state_head(head, name, version, size);
	if (n == 0 || r->left < n || r->left - n < size)
		return -EINVAL;
	if (memcmp(r->p, head, n) != 0)
		return -EINVAL;
	memcpy(payload, r->p + n, size);
	r->p += n + size;
	r->left -= n + size;
	return 0;
}
