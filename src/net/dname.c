/* SPDX-License-Identifier: ISC */
/*
 * Domain names as they are on the wire.
 */
#include "net/dname.h"

#include <string.h>

#define LABEL_MAX	63

size_t
dname_encode(uint8_t wire[DNAME_MAX], const char *text)
{
	size_t used = 0, n;

	while (*text != '\0') {
		n = strcspn(text, ".");
		/* Room for this one and the root. */
		if (n == 0 || n > LABEL_MAX || n + 2 > DNAME_MAX - used)
			return 0;
		wire[used++] = (uint8_t)n;
		memcpy(wire + used, text, n);
		used += n;
		text += n;
		if (*text == '.')
			text++;
	}
	if (used == 0)
		return 0;
	wire[used++] = 0;
	return used;
}
