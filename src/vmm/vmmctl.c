/* SPDX-License-Identifier: ISC */
/*
 * vmmctl(8): one command to vmmd, its answer, and an exit status.
 */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/proto.h"
#include "vmm/vmmctl_conn.h"
#include "vmm/vmmctl_console.h"
#include "vmm/vmmctl_status.h"

#define EXIT_USAGE	2

struct request {
	const char	*name;		/* of the guest, or NULL */
	bool		 json;
	bool		 force;
};

struct verb {
	const char	*name;
	const char	*args;		/* for usage */
	const char	*options;	/* for getopt() */
	int		 min, max;	/* names */
	int		(*fn)(struct conn *cn, const struct request *rq);
};

/* Prints what comes as it comes. */
static int
print_rows(struct conn *cn)
{
	char *row;
	int status;

	while ((row = conn_row(cn, &status)) != NULL)
		printf("%s\n", row);
	return status;
}

static int
do_help(struct conn *cn, const struct request *rq)
{
	const char *text[3];	/* verb, arguments, usage */
	char *row, *key, *value;
	int i, status;

	(void)rq;
	if (conn_request(cn, "help", NULL, NULL) != 0)
		return EXIT_FAILURE;
	while ((row = conn_row(cn, &status)) != NULL) {
		(void)proto_word(&row);
		for (i = 0; i < 3; i++)
			text[i] = proto_next(&row, &key, &value) ? value : "";
		printf("%-8s %-14s %s\n", text[0], text[1], text[2]);
	}
	return status;
}

static int
do_status(struct conn *cn, const struct request *rq)
{
	struct status st = { .nrows = 0 };
	char *row;
	int status;

	if (conn_request(cn, "status", rq->name, NULL) != 0)
		return EXIT_FAILURE;
	while ((row = conn_row(cn, &status)) != NULL) {
		if (status_add(&st, row) != 0) {
			warnx("status: cannot read what vmmd sent");
			status_free(&st);
			return EXIT_FAILURE;
		}
	}
	if (status == 0 && rq->json)
		status_print_json(&st, stdout);
	else if (status == 0)
		status_print(&st, stdout);
	status_free(&st);
	return status;
}

static int
do_start(struct conn *cn, const struct request *rq)
{
	if (conn_request(cn, "start", rq->name, NULL) != 0)
		return EXIT_FAILURE;
	return print_rows(cn);
}

static int
do_stop(struct conn *cn, const struct request *rq)
{
	if (conn_request(cn, "stop", rq->name,
	    rq->force ? "force" : NULL) != 0)
		return EXIT_FAILURE;
	return print_rows(cn);
}

static int
do_console(struct conn *cn, const struct request *rq)
{
	int status;

	if (conn_request(cn, "console", rq->name, NULL) != 0)
		return EXIT_FAILURE;
	if (conn_row(cn, &status) != NULL || status != 0)
		return EXIT_FAILURE;
	return console_run(cn, rq->name) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The reason alone on stdout, for scripts; what else is known on stderr. */
static int
do_wait(struct conn *cn, const struct request *rq)
{
	char *row, *key, *value;
	int status;

	if (conn_request(cn, "wait", rq->name, NULL) != 0)
		return EXIT_FAILURE;
	while ((row = conn_row(cn, &status)) != NULL) {
		(void)proto_word(&row);
		while (proto_next(&row, &key, &value)) {
			if (strcmp(key, "reason") == 0)
				printf("%s\n", value);
			else if (strcmp(key, "message") == 0 && *value != '\0')
				warnx("%s: %s", rq->name, value);
		}
	}
	return status;
}

static int
do_events(struct conn *cn, const struct request *rq)
{
	char *line;
	int status;

	(void)rq;
	if (conn_request(cn, "events", NULL, NULL) != 0)
		return EXIT_FAILURE;
	if (conn_row(cn, &status) != NULL || status != 0)
		return EXIT_FAILURE;
	while ((line = conn_line(cn)) != NULL) {
		printf("%s\n", line);
		if (fflush(stdout) != 0)
			break;
	}
	return EXIT_FAILURE;
}

static const struct verb verbs[] = {
	{ "console", "name", "", 1, 1, do_console },
	{ "events", "", "", 0, 0, do_events },
	{ "help", "", "", 0, 0, do_help },
	{ "start", "name", "", 1, 1, do_start },
	{ "status", "[-j] [name]", "j", 0, 1, do_status },
	{ "stop", "[-f] name", "f", 1, 1, do_stop },
	{ "wait", "name", "", 1, 1, do_wait },
};

#define NVERBS	(sizeof(verbs) / sizeof(verbs[0]))

static void
usage(void)
{
	size_t i;

	for (i = 0; i < NVERBS; i++)
		fprintf(stderr, "%s vmmctl [-s socket] %s%s%s\n",
		    i == 0 ? "usage:" : "      ", verbs[i].name,
		    *verbs[i].args == '\0' ? "" : " ", verbs[i].args);
	exit(EXIT_USAGE);
}

static const struct verb *
find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < NVERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* Options and name behind the verb, which stood where argv[0] is. */
static void
parse_verb(struct request *rq, const struct verb *v, int argc, char *argv[])
{
	char options[8];
	int ch;

	snprintf(options, sizeof(options), "+%s", v->options);
	optind = 1;
	while ((ch = getopt(argc, argv, options)) != -1) {
		if (ch == 'j')
			rq->json = true;
		else if (ch == 'f')
			rq->force = true;
		else
			usage();
	}
	argc -= optind;
	argv += optind;
	if (argc < v->min || argc > v->max ||
	    (rq->json && strchr(v->options, 'j') == NULL))
		usage();
	rq->name = argc > 0 ? argv[0] : NULL;
	/* It must stay one word of the request. */
	if (rq->name != NULL && (*rq->name == '\0' ||
	    strpbrk(rq->name, " \n") != NULL))
		errx(EXIT_FAILURE, "%s: `%s' is no name of a guest", v->name,
		    rq->name);
}

int
main(int argc, char *argv[])
{
	const char *path = PROTO_SOCKET;
	struct request rq = { .name = NULL };
	const struct verb *v;
	struct conn cn;
	int ch, status = EXIT_FAILURE;

	while ((ch = getopt(argc, argv, "+js:")) != -1) {
		if (ch == 'j')
			rq.json = true;
		else if (ch == 's')
			path = optarg;
		else
			usage();
	}
	v = optind < argc ? find_verb(argv[optind]) : NULL;
	if (v == NULL)
		usage();
	/* getopt() begins its messages with it. */
	argv[optind] = argv[0];
	parse_verb(&rq, v, argc - optind, argv + optind);
	if (conn_open(&cn, path) == 0)
		status = v->fn(&cn, &rq);
	conn_close(&cn);
	if (fflush(stdout) != 0)
		err(EXIT_FAILURE, "stdout");
	return status;
}
