/* SPDX-License-Identifier: ISC */
/*
 * Loads the firewall into nftables, by libnftables: see fw_load.h.
 *
 * Our tables are owned by the socket of our context (NFT_TABLE_F_OWNER): the
 * kernel removes them when it is closed, and so with a daemon that is killed,
 * and lets nobody else change them.
 */
#include "net/fw_load.h"

#include <nftables/libnftables.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/fw.h"
#include "net/fw_load_linux.h"

#define SYSCTLS		"/proc/sys/net/"

struct fw_load {
	struct nft_ctx	*nft;
	bool		 bridge_ct;	/* see probe() */
	unsigned	 number;	/* of what is loaded; 0: nothing */
	struct fw_swap	 loaded;
};

static const char bridge_nf[] = "net.bridge.bridge-nf-call-iptables is on: what "
    "is bridged meets the rules of IP, others' too, and no guest gets at a port "
    "that is published by one of the same switch\n";
static const char no_bridge_ct[] = "this kernel has no nf_conntrack_bridge: "
    "what guests of a switch send each other is judged packet by packet, so that "
    "answers are blocked where questions are\n";

/* A number of one digit. */
static int
sysctl_read(const char *path, char *digit)
{
	int fd, error = 0;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	n = read(fd, digit, 1);
	if (n != 1)
		error = n == -1 ? -errno : -EIO;
	close(fd);
	return error;
}

static int
sysctl_write(const char *path, char digit)
{
	int fd, error = 0;
	ssize_t n;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	n = write(fd, &digit, 1);
	if (n != 1)
		error = n == -1 ? -errno : -EIO;
	close(fd);
	return error;
}

/* As sysctl(8) names it: a dot that is in an interface's name is a slash. */
static int
said_line(struct buf *said, const char *path, char was, char is)
{
	char name[128], *p;

	snprintf(name, sizeof(name), "%s", path + strlen(SYSCTLS));
	for (p = name; *p != '\0'; p++)
		if (*p == '/' || *p == '.')
			*p = *p == '/' ? '.' : '/';
	return buf_printf(said, "net.%s: %c -> %c\n", name, was, is);
}

static int
sysctl_set(const char *path, char digit, struct buf *said, char *err,
    size_t errlen)
{
	char was;
	int error;

	error = sysctl_read(path, &was);
	if (error == 0 && was != '0')
		return 0;
	if (error == 0)
		error = sysctl_write(path, digit);
	if (error != 0) {
		snprintf(err, errlen, "%s: %s", path, strerror(-error));
		return error;
	}
	return said_line(said, path, was, digit);
}

/* What those that are to come begin with is for others to say. */
static bool
is_no_interface(const char *path)
{
	return strstr(path, "/all/") != NULL ||
	    strstr(path, "/default/") != NULL || strstr(path, "/lo/") != NULL;
}

/*
 * A host that forwards IPv6 no longer hears routers, of whom it may have its own
 * addresses, unless it is told to in spite of that: 2 for 1.
 */
static int
keep_routers(struct buf *said)
{
	glob_t g;
	size_t i;
	char was;
	int error = 0;

	if (glob(SYSCTLS "ipv6/conf/*/accept_ra", 0, NULL, &g) != 0)
		return 0;
	for (i = 0; i < g.gl_pathc && error == 0; i++)
		if (!is_no_interface(g.gl_pathv[i]) &&
		    sysctl_read(g.gl_pathv[i], &was) == 0 && was == '1' &&
		    sysctl_write(g.gl_pathv[i], '2') == 0)
			error = said_line(said, g.gl_pathv[i], '1', '2');
	globfree(&g);
	return error;
}

int
fw_load_forward(bool ipv4, bool ipv6, struct buf *said, char *err,
    size_t errlen)
{
	static const char all6[] = SYSCTLS "ipv6/conf/all/forwarding";
	char was;
	int error = 0;

	if (ipv4)
		error = sysctl_set(SYSCTLS "ipv4/ip_forward", '1', said, err,
		    errlen);
	if (error != 0 || !ipv6)
		return error;
	if (sysctl_read(all6, &was) == 0 && was == '0')
		error = keep_routers(said);
	return error != 0 ? error :
	    sysctl_set(all6, '1', said, err, errlen);
}

void
fw_load_close(struct fw_load *l)
{
	if (l == NULL)
		return;
	nft_ctx_free(l->nft);
	fw_swap_free(&l->loaded);
	free(l);
}

int
fw_load_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	return fw_nft_write(p, r, b, err, errlen);
}

/* The first of what libnftables says: what is wrong, and with which line. */
static void
say(const char *said, char *err, size_t errlen)
{
	const char *where = said + strcspn(said, "\n");
	size_t blank;

	if (*said == '\0')
		said = "failed";
	blank = strspn(where, "\n\t ");
	snprintf(err, errlen, "nftables: %.*s%s%.*s",
	    (int)strcspn(said, "\n"), said, where[blank] != '\0' ? ": " : "",
	    (int)strcspn(where + blank, "\n"), where + blank);
}

static int
run(struct nft_ctx *nft, const char *text, char *err, size_t errlen)
{
	errno = 0;
	if (nft_run_cmd_from_buffer(nft, text) == 0)
		return 0;
	say(nft_ctx_get_error_buffer(nft), err, errlen);
	return errno == EPERM ? -EPERM : -EINVAL;
}

/*
 * Does the kernel track connections of what is bridged?  It is asked for, and
 * nothing changes.
 */
static bool
probe(struct nft_ctx *nft)
{
	char err[256];
	bool has;

	nft_ctx_set_dry_run(nft, true);
	has = run(nft, "table bridge vmmd-probe {\n\tchain probe {\n"
	    "\t\tct state new accept\n\t}\n}\n", err, sizeof(err)) == 0;
	nft_ctx_set_dry_run(nft, false);
	return has;
}

int
fw_load_open(struct fw_load **lp, char *err, size_t errlen)
{
	struct fw_load *l;

	*lp = NULL;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (l->nft == NULL) {
		snprintf(err, errlen, "nftables: no context");
		free(l);
		return -ENOMEM;
	}
	nft_ctx_buffer_error(l->nft);
	nft_ctx_buffer_output(l->nft);
	l->bridge_ct = probe(l->nft);
	*lp = l;
	return 0;
}

/* Is it about connections?  What begins none may belong to one then. */
static bool
is_of_ct(const char *line)
{
	return strncmp(line, "\t\tct ", 5) == 0 ||
	    strncmp(line, "\t\ttcp flags ", 12) == 0;
}

/* The text without the rules of bridge tables about connections. */
static char *
without_bridge_ct(const char *text)
{
	char *cut = malloc(strlen(text) + 1), *to = cut;
	bool bridge = false;
	size_t len;

	for (; cut != NULL && *text != '\0'; text += len) {
		len = strcspn(text, "\n");
		len += text[len] == '\n';
		if (strncmp(text, "table ", 6) == 0)
			bridge = strncmp(text, "table bridge", 12) == 0;
		if (bridge && is_of_ct(text))
			continue;
		memcpy(to, text, len);
		to += len;
	}
	if (cut != NULL)
		*to = '\0';
	return cut;
}

/* Nothing is loaded, or no tables are to be: what there is of both goes. */
static int
apply_none(struct fw_load *l, const char *text, char *err, size_t errlen)
{
	const char *body = strstr(text, "\n\n");
	char *head = strndup(text, body != NULL ? (size_t)(body - text) + 1 :
	    strlen(text));
	int error;

	if (head == NULL)
		return -ENOMEM;
	error = run(l->nft, head, err, errlen);
	free(head);
	if (error == 0)
		fw_swap_free(&l->loaded);
	return error;
}

/* What could not be taken out is, with that. */
static void
keep(struct buf *remove, const struct buf *left)
{
	struct buf both;

	buf_init(&both, FW_SWAP_MAX);
	/* Each ends with a NUL. */
	if ((left->len > 0 &&
	    buf_append(&both, buf_head(left), left->len - 1) != 0) ||
	    buf_append(&both, remove->len > 0 ? buf_head(remove) : "",
	    remove->len > 0 ? remove->len : 1) != 0) {
		buf_free(&both);
		return;
	}
	buf_free(remove);
	*remove = both;
}

/* From `turn` on the new rules are in force, whatever is left of the old. */
static int
swap(struct fw_load *l, struct fw_swap *s, char *err, size_t errlen)
{
	const struct buf *old = &l->loaded.remove;
	char again[256];
	int error;

	error = run(l->nft, buf_head(&s->add), err, errlen);
	if (error != 0)
		return error;
	error = run(l->nft, buf_head(&s->turn), err, errlen);
	if (error != 0) {
		if (run(l->nft, buf_head(&s->remove), again,
		    sizeof(again)) != 0)
			keep(&l->loaded.remove, &s->remove);
		return error;
	}
	if (old->len > 0 && run(l->nft, buf_head(old), err, errlen) != 0)
		keep(&s->remove, old);
	fw_swap_free(&l->loaded);
	l->loaded = *s;
	memset(s, 0, sizeof(*s));
	return 0;
}

static int
apply(struct fw_load *l, const char *text, char *err, size_t errlen)
{
	struct fw_swap s;
	int error = 0;

	if (l->loaded.add.len == 0 || strstr(text, "\n\n") == NULL)
		error = apply_none(l, text, err, errlen);
	if (error != 0 || strstr(text, "\n\n") == NULL)
		return error;
	error = fw_swap_make(&s, text, ++l->number);
	if (error != 0) {
		snprintf(err, errlen, "nftables: %s", strerror(-error));
		return error;
	}
	error = swap(l, &s, err, errlen);
	fw_swap_free(&s);
	return error;
}

int
fw_load_apply(struct fw_load *l, const char *text, char *err, size_t errlen)
{
	char *cut;
	int error;

	if (l->bridge_ct)
		return apply(l, text, err, errlen);
	cut = without_bridge_ct(text);
	if (cut == NULL) {
		snprintf(err, errlen, "nftables: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	error = apply(l, cut, err, errlen);
	free(cut);
	return error;
}

/* br_netfilter, which is loaded by some for containers. */
static bool
calls_ip(void)
{
	char digit;

	return sysctl_read(SYSCTLS "bridge/bridge-nf-call-iptables",
	    &digit) == 0 && digit != '0';
}

int
fw_load_conflicts(struct fw_load *l, struct buf *warnings, char *err,
    size_t errlen)
{
	unsigned flags = nft_ctx_output_get_flags(l->nft);
	int error;

	nft_ctx_output_set_flags(l->nft,
	    NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE);
	error = run(l->nft, "list ruleset", err, errlen);
	if (error == 0)
		error = fw_conflicts_read(
		    nft_ctx_get_output_buffer(l->nft), warnings);
	if (error == 0 && !l->bridge_ct)
		error = buf_append(warnings, no_bridge_ct,
		    strlen(no_bridge_ct));
	if (error == 0 && calls_ip())
		error = buf_append(warnings, bridge_nf, strlen(bridge_nf));
	nft_ctx_output_set_flags(l->nft, flags);
	return error;
}
