/* SPDX-License-Identifier: ISC */
/*
 * What fuzz targets share: the input as a stream of little-endian numbers,
 * and checks that hold whatever the input is.
 */
#ifndef VMMD_FUZZ_H
#define VMMD_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Called by the fuzzer's engine for each input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code that is tested: breaking it is what is looked for. */
#define FUZZ_CHECK(what) do {						\
	if (!(what)) {							\
		fprintf(stderr, "%s:%d: broken: %s\n", __FILE__,	\
		    __LINE__, #what);					\
		abort();						\
	}								\
} while (0)

/* The rest of an input; what is read past its end is zero. */
struct fuzz_input {
	const uint8_t	*p;
	size_t		 left;
};

static inline void
fuzz_bytes(struct fuzz_input *in, void *dst, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memset(dst, 0, n);
	if (have == 0)
		return;
	memcpy(dst, in->p, have);
	in->p += have;
	in->left -= have;
}

static inline uint8_t
fuzz_u8(struct fuzz_input *in)
{
	uint8_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint16_t
fuzz_u16(struct fuzz_input *in)
{
	uint16_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint32_t
fuzz_u32(struct fuzz_input *in)
{
	uint32_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

/* A number of `size` bytes, 1, 2 or 4. */
static inline uint32_t
fuzz_sized(struct fuzz_input *in, unsigned size)
{
	uint32_t v = 0;

	fuzz_bytes(in, &v, size);
	return v;
}

#endif /* VMMD_FUZZ_H */
