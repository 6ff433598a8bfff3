/* SPDX-License-Identifier: ISC */
/*
 * UTF-8: see utf8.h.
 */
#include "base/utf8.h"

#include <stdbool.h>

size_t
utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* ASCII's, and U+0080 to U+009F. */
static bool
is_control(const char *s)
{
	unsigned char c = (unsigned char)s[0];

	return c < ' ' || c == 0x7f ||
	    (c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

void
utf8_print(FILE *out, const char *s)
{
	size_t n;

	for (; *s != '\0'; s += n == 0 ? 1 : n) {
		n = utf8_length(s);
		if (n == 0 || is_control(s))
			fputc('?', out);
		else
			fwrite(s, 1, n, out);
	}
}
