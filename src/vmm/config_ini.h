/* SPDX-License-Identifier: ISC */
/*
 * The INI syntax of vmmd.conf(5), without the meaning of any key.
 */
#ifndef VMMD_CONFIG_INI_H
#define VMMD_CONFIG_INI_H

#include <stdio.h>

/* Longest line, without its newline. */
#define INI_LINE_MAX	199

/* Who gets what a file holds; texts are valid during the call only. */
struct ini_sink {
	/* [KIND NAME] or [KIND]: then `name` is "". */
	void	(*section)(void *cookie, unsigned line, const char *kind,
		    const char *name);
	void	(*value)(void *cookie, unsigned line, const char *key,
		    const char *value);
	void	(*error)(void *cookie, unsigned line, const char *text);
	void	*cookie;
};

/* Reads all of `f`: 0, or -errno if the file cannot be read on. */
int ini_read(FILE *f, const struct ini_sink *sink);

#endif /* VMMD_CONFIG_INI_H */
