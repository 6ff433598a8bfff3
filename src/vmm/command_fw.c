/* SPDX-License-Identifier: ISC */
/*
 * The verbs about the firewall: see command.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/client.h"
#include "vmm/command.h"
#include "vmm/control.h"
#include "vmm/firewall.h"
#include "vmm/network.h"
#include "vmm/proto.h"
#include "vmm/vm_table.h"

/* A row for each line of a text, which is cut up. */
static int
line_rows(struct buf *b, const char *kind, struct buf *text)
{
	char *rest, *line;
	int ret;

	ret = buf_append(text, "", 1);
	if (ret != 0)
		return ret;
	rest = buf_head(text);
	while (ret == 0 && (line = strsep(&rest, "\n")) != NULL) {
		if (rest == NULL && *line == '\0')
			break;
		ret = buf_printf(b, "%s", kind);
		ret = ret ?: proto_pair(b, "line", line);
		ret = ret ?: buf_append(b, "\n", 1);
	}
	return ret;
}

/* Sends the text, or what is wrong. */
static void
reply_text(struct client *c, const char *kind, struct buf *text, int error,
    const char *code, const char *err)
{
	struct buf b;

	if (error != 0) {
		client_err(c, code, "%s", err);
	} else {
		buf_init(&b, CLIENT_REPLY_MAX);
		command_reply(c, &b, line_rows(&b, kind, text));
	}
	buf_free(text);
}

static const struct switches *
switches_of(struct client *c)
{
	struct network *net = vm_table_network(client_env(c)->guests);

	return net != NULL ? network_switches(net) : NULL;
}

static void
print_rules(struct client *c, const char *kind, enum firewall_text which)
{
	struct control_env *env = client_env(c);
	struct buf text;
	char err[512];
	int error;

	buf_init(&text, FIREWALL_TEXT_MAX);
	error = firewall_print(which, *env->conf, env->guests, switches_of(c),
	    &text, err, sizeof(err));
	reply_text(c, kind, &text, error, "failed", err);
}

void
command_nft(struct client *c, const struct command_args *a)
{
	(void)a;
	print_rules(c, "nft", FIREWALL_NFT);
}

void
command_pf(struct client *c, const struct command_args *a)
{
	(void)a;
	print_rules(c, "pf", FIREWALL_PF);
}

void
command_trace(struct client *c, const struct command_args *a)
{
	struct control_env *env = client_env(c);
	struct buf text;
	char err[512];
	int error;

	buf_init(&text, FIREWALL_TEXT_MAX);
	error = firewall_trace(*env->conf, env->guests, switches_of(c), a->word,
	    a->pairs, &text, err, sizeof(err));
	reply_text(c, "trace", &text, error,
	    error == -EINVAL ? "syntax" : "failed", err);
}
