/* SPDX-License-Identifier: ISC */
/*
 * AML: see aml.h.
 */
#include "vmm/aml.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define OP_ZERO		0x00
#define OP_ONE		0x01
#define OP_NAME		0x08
#define OP_BYTE		0x0a
#define OP_WORD		0x0b
#define OP_DWORD	0x0c
#define OP_STRING	0x0d
#define OP_SCOPE	0x10
#define OP_BUFFER	0x11
#define OP_PACKAGE	0x12
#define OP_EXT		0x5b
#define OP_EXT_DEVICE	0x82

#define SEGMENT		4	/* characters of a name */
#define LENGTH_MAX	4	/* bytes of a PkgLength */

/* Small resource descriptors: tag and length in one byte (section 6.4.2). */
#define RES_IRQ		0x22	/* two bytes: edge, active high, not shared */
#define RES_IO		0x47
#define  RES_IO_DECODE16	0x01
#define RES_END		0x79	/* its checksum of 0 means: do not look */

/* Large ones: a tag, then 16 bits of length (section 6.4.3). */
#define RES_MEMORY32	0x86
#define  RES_WRITABLE		0x01
#define RES_DWORD	0x87
#define RES_WORD	0x88
#define  RES_TYPE_MEMORY	0
#define  RES_TYPE_IO		1
#define  RES_TYPE_BUS		2
#define  RES_FIXED		0x0c	/* minimum and maximum are */
#define  RES_IO_ALL		0x03	/* of both kinds of port ranges */

/* The three kinds of address descriptors differ in the width of numbers. */
struct res_word {
	uint8_t		tag;
	uint16_t	len;
	uint8_t		type, flags, type_flags;
	uint16_t	granularity, first, last, translation, size;
} __attribute__((__packed__));
_Static_assert(sizeof(struct res_word) == 16, "section 6.4.3.5.3");

struct res_dword {
	uint8_t		tag;
	uint16_t	len;
	uint8_t		type, flags, type_flags;
	uint32_t	granularity, first, last, translation, size;
} __attribute__((__packed__));
_Static_assert(sizeof(struct res_dword) == 26, "section 6.4.3.5.2");

struct res_memory32 {
	uint8_t		tag;
	uint16_t	len;
	uint8_t		writable;
	uint32_t	base, size;
} __attribute__((__packed__));
_Static_assert(sizeof(struct res_memory32) == 12, "section 6.4.3.4");

struct res_io {
	uint8_t		tag, decode;
	uint16_t	first, last;
	uint8_t		align, size;
} __attribute__((__packed__));
_Static_assert(sizeof(struct res_io) == 8, "section 6.4.2.5");

struct res_irq {
	uint8_t		tag;
	uint16_t	mask;
} __attribute__((__packed__));
_Static_assert(sizeof(struct res_irq) == 3, "section 6.4.2.1");

/* What precedes the length of a descriptor does not count in it. */
#define RES_LENGTH(s)	(sizeof(s) - 3)

void
aml_init(struct aml *a, void *p, size_t size)
{
	memset(a, 0, sizeof(*a));
	a->p = p;
	a->size = size;
}

void
aml_bytes(struct aml *a, const void *p, size_t n)
{
	if (a->failed || n > a->size - a->len) {
		a->failed = true;
		return;
	}
	memcpy(a->p + a->len, p, n);
	a->len += n;
}

static void
aml_byte(struct aml *a, uint8_t byte)
{
	aml_bytes(a, &byte, 1);
}

static void
aml_segment(struct aml *a, const char *name)
{
	char segment[SEGMENT];
	size_t n = strlen(name);

	assert(n >= 1 && n <= SEGMENT);
	memset(segment, '_', sizeof(segment));
	memcpy(segment, name, n);
	aml_bytes(a, segment, sizeof(segment));
}

void
aml_name(struct aml *a, const char *name)
{
	aml_byte(a, OP_NAME);
	aml_segment(a, name);
}

void
aml_int(struct aml *a, uint32_t val)
{
	if (val <= 1) {
		aml_byte(a, val == 0 ? OP_ZERO : OP_ONE);
	} else if (val <= UINT8_MAX) {
		aml_byte(a, OP_BYTE);
		aml_bytes(a, &val, 1);
	} else if (val <= UINT16_MAX) {
		aml_byte(a, OP_WORD);
		aml_bytes(a, &val, 2);
	} else {
		aml_byte(a, OP_DWORD);
		aml_bytes(a, &val, 4);
	}
}

void
aml_string(struct aml *a, const char *s)
{
	aml_byte(a, OP_STRING);
	aml_bytes(a, s, strlen(s) + 1);
}

/*
 * Three letters of 5 bits and four hexadecimal digits, the most significant
 * byte first (section 19.3.4, EISAID).
 */
void
aml_eisa_id(struct aml *a, const char *id)
{
	uint32_t val;

	assert(strlen(id) == 7);
	val = (uint32_t)(id[0] & 0x1f) << 26 | (uint32_t)(id[1] & 0x1f) << 21 |
	    (uint32_t)(id[2] & 0x1f) << 16 |
	    (uint32_t)strtoul(id + 3, NULL, 16);
	aml_int(a, __builtin_bswap32(val));
}

/* The bytes from here to the end are the body of what was opened last. */
static void
aml_begin(struct aml *a)
{
	assert(a->depth < AML_DEPTH_MAX);
	a->open[a->depth++] = a->len;
}

/* Makes room for `n` bytes before the body, and fills it. */
static void
aml_insert(struct aml *a, size_t body, const void *p, size_t n)
{
	size_t len = a->len;

	/* Appended for the check of the room, then put where they belong. */
	aml_bytes(a, p, n);
	if (a->failed)
		return;
	memmove(a->p + body + n, a->p + body, len - body);
	memcpy(a->p + body, p, n);
}

/*
 * A PkgLength counts its own bytes.  One byte has 6 bits; several have 4 in
 * the first, beside the number of those that follow (section 20.2.4).
 */
void
aml_end(struct aml *a)
{
	uint8_t enc[LENGTH_MAX];
	size_t body, len, n, i;

	assert(a->depth > 0);
	body = a->open[--a->depth];
	len = a->len - body;
	for (n = 1; n < LENGTH_MAX; n++)
		if (len + n < (n == 1 ? 1u << 6 : 1u << (8 * n - 4)))
			break;
	len += n;
	if (n == 1) {
		enc[0] = (uint8_t)len;
	} else {
		enc[0] = (uint8_t)((n - 1) << 6 | (len & 0x0f));
		for (i = 1; i < n; i++)
			enc[i] = (uint8_t)(len >> (8 * i - 4));
	}
	aml_insert(a, body, enc, n);
}

void
aml_scope(struct aml *a, const char *name)
{
	aml_byte(a, OP_SCOPE);
	aml_begin(a);
	aml_segment(a, name);
}

void
aml_device(struct aml *a, const char *name)
{
	aml_byte(a, OP_EXT);
	aml_byte(a, OP_EXT_DEVICE);
	aml_begin(a);
	aml_segment(a, name);
}

void
aml_package(struct aml *a, uint8_t nelements)
{
	aml_byte(a, OP_PACKAGE);
	aml_begin(a);
	aml_byte(a, nelements);
}

void
aml_resources(struct aml *a)
{
	aml_byte(a, OP_BUFFER);
	aml_begin(a);
}

void
aml_io(struct aml *a, uint16_t port, uint8_t n)
{
	const struct res_io r = {
		.tag = RES_IO, .decode = RES_IO_DECODE16,
		.first = port, .last = port, .align = 1, .size = n,
	};

	aml_bytes(a, &r, sizeof(r));
}

void
aml_irq(struct aml *a, unsigned irq)
{
	const struct res_irq r = {
		.tag = RES_IRQ, .mask = (uint16_t)(1u << irq),
	};

	aml_bytes(a, &r, sizeof(r));
}

void
aml_memory(struct aml *a, uint32_t base, uint32_t size)
{
	const struct res_memory32 r = {
		.tag = RES_MEMORY32, .len = RES_LENGTH(r),
		.writable = RES_WRITABLE, .base = base, .size = size,
	};

	aml_bytes(a, &r, sizeof(r));
}

static void
aml_word_window(struct aml *a, uint8_t type, uint8_t type_flags,
    uint16_t first, uint16_t last)
{
	const struct res_word r = {
		.tag = RES_WORD, .len = RES_LENGTH(r), .type = type,
		.flags = RES_FIXED, .type_flags = type_flags,
		.first = first, .last = last,
		.size = (uint16_t)(last - first + 1),
	};

	aml_bytes(a, &r, sizeof(r));
}

void
aml_bus_window(struct aml *a, uint16_t first, uint16_t last)
{
	aml_word_window(a, RES_TYPE_BUS, 0, first, last);
}

void
aml_io_window(struct aml *a, uint16_t first, uint16_t last)
{
	aml_word_window(a, RES_TYPE_IO, RES_IO_ALL, first, last);
}

void
aml_memory_window(struct aml *a, uint32_t first, uint32_t last)
{
	const struct res_dword r = {
		.tag = RES_DWORD, .len = RES_LENGTH(r),
		.type = RES_TYPE_MEMORY, .flags = RES_FIXED,
		.type_flags = RES_WRITABLE, .first = first, .last = last,
		.size = last - first + 1,
	};

	aml_bytes(a, &r, sizeof(r));
}

void
aml_resources_end(struct aml *a)
{
	static const uint8_t end[] = { RES_END, 0 };
	struct aml size;
	uint8_t enc[5];

	aml_bytes(a, end, sizeof(end));
	/* A buffer says how many bytes it has, by an integer before them. */
	aml_init(&size, enc, sizeof(enc));
	aml_int(&size, (uint32_t)(a->len - a->open[a->depth - 1]));
	aml_insert(a, a->open[a->depth - 1], enc, size.len);
	aml_end(a);
}
