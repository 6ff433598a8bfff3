/* SPDX-License-Identifier: ISC */
/*
 * vmmctl(8): one command to vmmd, its answer, and an exit status.  What there
 * is to say to vmmd is in the table of commands; here is only how its answers
 * are shown, and what needs no daemon.
 */
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "vmm/command_table.h"
#include "vmm/image.h"
#include "vmm/proto.h"
#include "vmm/vmmctl_conn.h"
#include "vmm/vmmctl_console.h"
#include "vmm/vmmctl_json.h"
#include "vmm/vmmctl_rows.h"
#include "vmm/vmmctl_status.h"

#define EXIT_USAGE	2

struct request {
	const struct command	*cmd;
	const char		*socket;
	bool			 json;
	bool			 force;
	char			**arg;		/* behind the options */
	int			 narg;
};

#define USAGE		"vmmctl [-j] [-s socket]"

static void
usage_line(const char *prefix, const struct command *cmd)
{
	fprintf(stderr, "%s%s%s%s%s%s%s\n", prefix, cmd->name,
	    cmd->option == NULL ? "" : " [-f]",
	    *cmd->args == '\0' ? "" : " ", cmd->args,
	    cmd->pairs == NULL ? "" : " ",
	    cmd->pairs == NULL ? "" : cmd->pairs);
}

static void
usage(void)
{
	int i;

	fprintf(stderr, "usage: " USAGE " command\ncommands:\n");
	for (i = 0; i < COMMAND_COUNT; i++)
		usage_line("\t", &commands[i]);
	image_usage(stderr, "\t");
	exit(EXIT_USAGE);
}

/* Of the one command that was meant. */
static void
usage_command(const struct command *cmd)
{
	usage_line("usage: " USAGE " ", cmd);
	exit(EXIT_USAGE);
}

static int
add_row(struct conn *cn, struct rows *rs, const char *row)
{
	if (rows_add(rs, row) == 0)
		return 0;
	conn_fail(cn, "connection", "cannot read what vmmd sent");
	return -EPROTO;
}

/* Takes all of a reply, or of what there is. */
static void
take_rows(struct conn *cn, struct rows *rs)
{
	char *row;

	while ((row = conn_row(cn)) != NULL)
		if (add_row(cn, rs, row) != 0)
			return;
}

static void
print_help(const struct rows *rs)
{
	unsigned i;

	for (i = 0; i < rs->n; i++)
		printf("%-9s %-18s %s\n", row_value(&rs->row[i], "verb", ""),
		    row_value(&rs->row[i], "args", ""),
		    row_value(&rs->row[i], "usage", ""));
}

/* The reason alone on stdout, for scripts; what else is known on stderr. */
static void
print_reason(const struct rows *rs)
{
	const char *message;
	unsigned i;

	for (i = 0; i < rs->n; i++) {
		printf("%s\n", row_value(&rs->row[i], "reason", "-"));
		message = row_value(&rs->row[i], "message", "");
		if (*message != '\0')
			warnx("%s: %s", row_value(&rs->row[i], "vm", ""),
			    message);
	}
}

static void
show_reply(const struct request *rq, const struct rows *rs)
{
	if (rq->cmd == NULL) {
		image_print(stdout, rs);
		return;
	}
	switch (rq->cmd - commands) {
	case COMMAND_HELP:
		print_help(rs);
		break;
	case COMMAND_SHOW:
		show_print(stdout, rs);
		break;
	case COMMAND_STATUS:
		status_print(stdout, rs);
		break;
	case COMMAND_WAIT:
		print_reason(rs);
		break;
	default:
		values_print(stdout, rs);
	}
}

static void
show_event(struct conn *cn, const struct request *rq, const char *line)
{
	struct rows rs = { .n = 0 };

	if (!rq->json)
		printf("%s\n", line);
	else if (add_row(cn, &rs, line) == 0)
		json_line(stdout, &rs.row[0]);
	rows_free(&rs);
	if (fflush(stdout) != 0)
		conn_fail(cn, "failed", "stdout: %s", strerror(errno));
}

/*
 * How things are, then each change as it comes, until interrupted or the daemon
 * ends.
 */
static void
show_events(struct conn *cn, const struct request *rq)
{
	char *line;

	while (*cn->code == '\0' && (line = conn_row(cn)) != NULL)
		show_event(cn, rq, line);
	while (*cn->code == '\0' && (line = conn_line(cn)) != NULL)
		show_event(cn, rq, line);
}

/* A message may name what an image, or a guest's owner, has made up. */
static void
show_message(const char *text)
{
	fputs("vmmctl: ", stderr);
	utf8_print(stderr, text);
	fputc('\n', stderr);
}

/* All that is wrong, line by line, and then in a word. */
static void
show_error(const struct conn *cn, const struct rows *rs)
{
	unsigned i;

	for (i = 0; i < rs->n; i++)
		show_message(row_value(&rs->row[i], "message", ""));
	show_message(cn->error);
}

/* What was shown has got there, or the program ends. */
static void
flush(void)
{
	if (fflush(stdout) != 0)
		err(EXIT_FAILURE, "stdout");
}

/* Shows what came of it all; the exit status. */
static int
finish(const struct conn *cn, const struct request *rq, const struct rows *rs)
{
	const char *code = *cn->code == '\0' ? NULL : cn->code;

	if (rq->json && code == NULL && rq->cmd == &commands[COMMAND_STATUS])
		json_status(stdout, rs);
	else if (rq->json)
		json_reply(stdout, rs, code, cn->error);
	else if (code != NULL)
		show_error(cn, rs);
	else
		show_reply(rq, rs);
	flush();
	return code == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* It must stay one word of the request. */
static bool
is_word(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!isgraph((unsigned char)*s))
			return false;
	return true;
}

/* KEY=VALUE as it came from the shell, with any value. */
static int
make_pair(struct buf *b, char *arg)
{
	char *value = strchr(arg, '=');

	if (value == NULL)
		return -EINVAL;
	*value = '\0';
	return is_word(arg) ? proto_pair(b, arg, value + 1) : -EINVAL;
}

static int
make_word(struct buf *b, const char *arg)
{
	return is_word(arg) ? buf_printf(b, " %s", arg) : -EINVAL;
}

/* The request as a line; false if the arguments make none. */
static bool
make_request(struct conn *cn, const struct request *rq, struct buf *b)
{
	const struct command *cmd = rq->cmd;
	int i, ret = buf_printf(b, "%s", cmd->name);

	if (rq->narg > 0) {
		if (!is_word(rq->arg[0])) {
			conn_fail(cn, "syntax", "%s: `%s' is no name",
			    cmd->name, rq->arg[0]);
			return false;
		}
		ret = ret ?: buf_printf(b, " %s", rq->arg[0]);
	}
	if (rq->force)
		ret = ret ?: buf_printf(b, " %s", cmd->option);
	for (i = 1; i < rq->narg && ret == 0; i++)
		ret = cmd->words ? make_word(b, rq->arg[i]) :
		    make_pair(b, rq->arg[i]);
	ret = ret ?: buf_append(b, "\n", 1);
	if (ret == -EINVAL)
		conn_fail(cn, "syntax", "%s: `%s' is not %s", cmd->name,
		    rq->arg[i - 1], cmd->words ? "a word" : "KEY=VALUE");
	else if (ret != 0)
		conn_fail(cn, "failed", "%s: %s", cmd->name, strerror(-ret));
	return ret == 0;
}

/* From here on it is a terminal's business. */
static int
console(struct conn *cn, const char *name)
{
	return console_run(cn, name) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Asks the daemon and shows what it answers. */
static int
ask(const struct request *rq)
{
	struct rows rs = { .n = 0 };
	struct conn cn;
	struct buf line;
	int status;

	buf_init(&line, 2 * PROTO_LINE_MAX);
	conn_init(&cn);
	if (make_request(&cn, rq, &line) && conn_open(&cn, rq->socket) == 0)
		(void)conn_request(&cn, &line);
	if (rq->cmd == &commands[COMMAND_EVENTS])
		show_events(&cn, rq);
	else if (*cn.code == '\0')
		take_rows(&cn, &rs);
	if (*cn.code == '\0' && rq->cmd == &commands[COMMAND_CONSOLE])
		status = console(&cn, rq->arg[0]);
	else
		status = finish(&cn, rq, &rs);
	rows_free(&rs);
	conn_close(&cn);
	buf_free(&line);
	return status;
}

/* Adds the row of help that was made, with its newline, or failed to be. */
static void
add_help(struct conn *cn, struct rows *rs, struct buf *row, int error)
{
	if (error != 0)
		errx(EXIT_FAILURE, "out of memory");
	buf_head(row)[row->len - 1] = '\0';
	(void)add_row(cn, rs, buf_head(row));
	buf_consume(row, row->len);
}

/* Of the daemon's commands, and then of what needs none; of one, or of all. */
static void
help_rows(struct conn *cn, struct rows *rs, const char *name)
{
	struct buf row;
	unsigned k;
	int i, error;

	buf_init(&row, PROTO_ROW_MAX);
	for (i = 0; i < COMMAND_COUNT; i++)
		if (name == NULL || strcmp(name, commands[i].name) == 0)
			add_help(cn, rs, &row, command_help_row(&row,
			    &commands[i]));
	if (name == NULL)
		add_help(cn, rs, &row, image_help_row(&row, 0));
	else if (strcmp(name, "image") == 0)
		for (k = 1; (error = image_help_row(&row, k)) != -ENOENT; k++)
			add_help(cn, rs, &row, error);
	buf_free(&row);
}

/* The table is here, too, so that a person needs no daemon to read it. */
static int
help(const struct request *rq)
{
	const char *name = rq->narg > 0 ? rq->arg[0] : NULL;
	struct rows rs = { .n = 0 };
	struct conn cn;
	int status;

	if (name != NULL && strcmp(name, "image") == 0 && !rq->json) {
		image_help(stdout, NULL);
		flush();
		return EXIT_SUCCESS;
	}
	conn_init(&cn);
	help_rows(&cn, &rs, name);
	if (rs.n == 0)
		conn_fail(&cn, "unknown", "no command %s, try help",
		    name);
	status = finish(&cn, rq, &rs);
	rows_free(&rs);
	conn_close(&cn);
	return status;
}

/* What needs no daemon: the disk images' own verbs. */
static int
image(struct request *rq, int argc, char *argv[])
{
	struct rows rs = { .n = 0 };
	struct conn cn;
	struct image_call call = {
		.cn = &cn,
		.rows = &rs,
		.json = rq->json,
		.out = stdout,
		.argc = argc - 1,
		.argv = argv + 1,
	};
	int status = EXIT_SUCCESS;

	conn_init(&cn);
	image_run(&call, argv[0]);
	rq->json = call.json;
	if (call.printed)
		flush();
	else
		status = finish(&cn, rq, &rs);
	rows_free(&rs);
	if (strcmp(cn.code, "syntax") == 0)
		return EXIT_USAGE;
	return status != EXIT_SUCCESS ? status : call.status;
}

/* Options and words behind the verb, which stood where argv[0] is. */
static void
parse_verb(struct request *rq, int argc, char *argv[])
{
	enum command_object object = rq->cmd->object;
	int ch, min, max;

	optind = 1;
	while ((ch = getopt(argc, argv, "+fj")) != -1) {
		if (ch == 'j')
			rq->json = true;
		else if (ch == 'f' && rq->cmd->option != NULL)
			rq->force = true;
		else
			usage_command(rq->cmd);
	}
	rq->narg = argc - optind;
	rq->arg = argv + optind;
	min = object == OBJECT_GUEST || object == OBJECT_NEW;
	max = object != OBJECT_NONE;
	if (rq->cmd->pairs != NULL) {
		min++;
		max = argc;
	}
	if (rq->narg < min || rq->narg > max)
		usage_command(rq->cmd);
}

int
main(int argc, char *argv[])
{
	static char name[] = "vmmctl";
	struct request rq = { .socket = PROTO_SOCKET };
	const char *verb;
	int ch;

	/* getopt() begins its messages with it. */
	argv[0] = name;
	log_open(name, false);
	while ((ch = getopt(argc, argv, "+js:")) != -1) {
		if (ch == 'j')
			rq.json = true;
		else if (ch == 's')
			rq.socket = optarg;
		else
			usage();
	}
	if (optind >= argc)
		usage();
	argc -= optind;
	verb = argv[optind];
	argv[optind] = name;
	argv += optind;
	if (strcmp(verb, "image") == 0)
		return image(&rq, argc, argv);
	rq.cmd = command_find(verb);
	if (rq.cmd == NULL)
		errx(EXIT_USAGE, "no command %s, try help", verb);
	parse_verb(&rq, argc, argv);
	return rq.cmd == &commands[COMMAND_HELP] ? help(&rq) : ask(&rq);
}
