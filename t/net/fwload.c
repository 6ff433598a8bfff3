/* SPDX-License-Identifier: ISC */
/*
 * The loader of the firewall, by itself.
 *
 * usage: fwload
 *
 * Does what each line of its input says, and then writes what came of it, ended
 * by a line "ok" or "error: TEXT":
 *
 *	apply FILE, forget ADDRESS..., conflicts, forward [4][6]
 */
#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "net/fw_load.h"

#define MAX	(1 << 20)
#define WORDS	16

static char	err[512];

static int
apply(struct fw_load *l, const char *path)
{
	struct buf b;
	char text[4096];
	size_t n;
	int error = -1;
	FILE *f;

	buf_init(&b, MAX);
	f = fopen(path, "r");
	if (f != NULL) {
		while ((n = fread(text, 1, sizeof(text), f)) > 0)
			buf_append(&b, text, n);
		fclose(f);
		buf_append(&b, "", 1);
		error = fw_load_apply(l, buf_head(&b), err, sizeof(err));
	}
	buf_free(&b);
	return error;
}

static int
forget(struct fw_load *l, char **word, size_t n)
{
	struct os_addr gone[WORDS] = { { .prefix = 0 } };
	size_t i;

	for (i = 0; i < n; i++) {
		gone[i].ipv6 = strchr(word[i], ':') != NULL;
		if (inet_pton(gone[i].ipv6 ? AF_INET6 : AF_INET, word[i],
		    gone[i].bytes) != 1)
			return -1;
	}
	return fw_load_forget(l, gone, n, err, sizeof(err));
}

static int
run(struct fw_load *l, char **word, size_t n)
{
	struct buf said;
	int error = -1;

	buf_init(&said, MAX);
	snprintf(err, sizeof(err), "%s?", word[0]);
	if (strcmp(word[0], "apply") == 0 && n == 2)
		error = apply(l, word[1]);
	else if (strcmp(word[0], "forget") == 0)
		error = forget(l, word + 1, n - 1);
	else if (strcmp(word[0], "conflicts") == 0)
		error = fw_load_conflicts(l, &said, err, sizeof(err));
	else if (strcmp(word[0], "forward") == 0 && n == 2)
		error = fw_load_forward(strchr(word[1], '4') != NULL,
		    strchr(word[1], '6') != NULL, &said, err, sizeof(err));
	printf("%.*s", (int)said.len, said.len > 0 ? buf_head(&said) : "");
	buf_free(&said);
	return error;
}

int
main(void)
{
	struct fw_load *l;
	char line[1024], *word[WORDS], *p;
	size_t n;

	if (fw_load_open(&l, err, sizeof(err)) != 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		n = 0;
		for (p = strtok(line, " \n"); p != NULL && n < WORDS;
		    p = strtok(NULL, " \n"))
			word[n++] = p;
		if (n == 0)
			continue;
		if (run(l, word, n) == 0)
			printf("ok\n");
		else
			printf("error: %s\n", err);
	}
	fw_load_close(l);
	return 0;
}
