/* SPDX-License-Identifier: ISC */
/*
 * Words and pairs of the control protocol: see proto.h.
 */
#include "vmm/proto.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTO_SPACE	" "

static bool
proto_is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!isgraph((unsigned char)*s) || *s == '"' || *s == '\\')
			return false;
	return true;
}

static int
proto_quote(struct buf *b, const char *s)
{
	int ret;

	ret = buf_append(b, "\"", 1);
	for (; ret == 0 && *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			ret = buf_printf(b, "\\%c", *s);
		else if (isprint((unsigned char)*s))
			ret = buf_append(b, s, 1);
		else
			ret = buf_printf(b, "\\x%02x", (unsigned char)*s);
	}
	return ret != 0 ? ret : buf_append(b, "\"", 1);
}

int
proto_pair(struct buf *b, const char *key, const char *value)
{
	int ret;

	/* Rows are made of many pairs: no printf for a few strings. */
	ret = buf_append(b, " ", 1);
	ret = ret ?: buf_append(b, key, strlen(key));
	ret = ret ?: buf_append(b, "=", 1);
	if (ret == 0 && proto_is_plain(value))
		return buf_append(b, value, strlen(value));
	return ret ?: proto_quote(b, value);
}

int
proto_pairf(struct buf *b, const char *key, const char *fmt, ...)
{
	char number[32], *s;
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = vsnprintf(number, sizeof(number), fmt, ap);
	va_end(ap);
	if (ret >= 0 && (size_t)ret < sizeof(number))
		return proto_pair(b, key, number);
	va_start(ap, fmt);
	ret = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (ret < 0)
		return -ENOMEM;
	ret = proto_pair(b, key, s);
	free(s);
	return ret;
}

char *
proto_word(char **line)
{
	char *word = *line + strspn(*line, PROTO_SPACE);
	char *end = word + strcspn(word, PROTO_SPACE);

	*line = *end == '\0' ? end : end + 1;
	*end = '\0';
	return word;
}

char *
proto_tag(char **line)
{
	char *tag, *p;

	*line += strspn(*line, PROTO_SPACE);
	if (**line != '@')
		return *line + strlen(*line);
	tag = proto_word(line) + 1;
	for (p = tag; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr(".-_", *p) == NULL)
			return NULL;
	return p == tag || p - tag > PROTO_TAG_MAX ? NULL : tag;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Reads one quoted character at *p; -1 at the closing quote or an error. */
static int
proto_unquote(char **p)
{
	char *s = *p;

	if (*s == '"' || *s == '\0')
		return -1;
	if (*s != '\\') {
		*p = s + 1;
		return (unsigned char)*s;
	}
	if (s[1] == '"' || s[1] == '\\') {
		*p = s + 2;
		return s[1];
	}
	if (s[1] != 'x' || hex_digit(s[2]) < 0 || hex_digit(s[3]) < 0)
		return -1;
	*p = s + 4;
	return hex_digit(s[2]) << 4 | hex_digit(s[3]);
}

static bool
proto_next_quoted(char **line, char *p)
{
	char *out = p++;
	int c;

	while ((c = proto_unquote(&p)) >= 0)
		*out++ = c;
	if (*p != '"' || (p[1] != '\0' && p[1] != ' '))
		return false;
	*line = p + 1;
	*out = '\0';
	return true;
}

bool
proto_next(char **line, char **key, char **value)
{
	char *p = *line + strspn(*line, PROTO_SPACE);

	*key = p;
	p += strcspn(p, "= ");
	if (*p != '=' || p == *key)
		return false;
	*p++ = '\0';
	*value = p;
	if (*p == '"')
		return proto_next_quoted(line, p);
	p += strcspn(p, PROTO_SPACE);
	*line = *p == '\0' ? p : p + 1;
	*p = '\0';
	return true;
}
