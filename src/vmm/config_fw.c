/* SPDX-License-Identifier: ISC */
/*
 * The firewall in the configuration: see config_fw.h.
 */
#include "vmm/config_fw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/frame.h"
#include "vmm/config.h"
#include "vmm/config_value.h"

#define WORDS_MAX	8
#define WHY_MAX		160

const char *const nic_rule_names[NIC_RULES] = {
	[NIC_ADDRESS6] = "address6",
	[NIC_ALLOW_IN] = "allow-in",
	[NIC_ALLOW_OUT] = "allow-out",
	[NIC_ALLOW_HOST] = "allow-host",
	[NIC_PUBLISH] = "publish",
};

/* A value, cut into words at blanks; the first that nobody has read is next. */
struct words {
	char	 text[NIC_RULES_TEXT];
	char	*v[WORDS_MAX + 1];	/* ends in NULL */
	char	**next;
	char	 why[WHY_MAX];		/* what is wrong, if that is known */
};

/* Notes what is wrong, with the word that it is about: always false. */
static bool __attribute__((__format__(__printf__, 2, 3)))
refuse(struct words *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	return false;
}

/* Copies a value; an arrow is a word of its own, with blanks or without. */
static bool
copy_apart(char text[NIC_RULES_TEXT], const char *value)
{
	size_t n = 0;

	for (; *value != '\0' && n < NIC_RULES_TEXT - 4; value++) {
		if (value[0] != '-' || value[1] != '>') {
			text[n++] = *value;
			continue;
		}
		memcpy(text + n, " -> ", 4);
		n += 4;
		value++;
	}
	text[n] = '\0';
	return *value == '\0';
}

static bool
cut(struct words *w, const char *value)
{
	char *rest = w->text, *word;
	unsigned n = 0;

	memset(w->v, 0, sizeof(w->v));
	w->next = w->v;
	w->why[0] = '\0';
	if (!copy_apart(w->text, value))
		return false;
	while ((word = strsep(&rest, VALUE_SPACE)) != NULL) {
		if (*word == '\0')
			continue;
		if (n == WORDS_MAX)
			return false;
		w->v[n++] = word;
	}
	return n > 0;
}

/* Takes the next word if it is this one. */
static bool
take(struct words *w, const char *word)
{
	if (*w->next == NULL || strcmp(*w->next, word) != 0)
		return false;
	w->next++;
	return true;
}

static bool
take_name(struct words *w, char name[FW_NAME])
{
	if (*w->next == NULL || !value_is_name(*w->next) ||
	    strlen(*w->next) >= FW_NAME)
		return false;
	snprintf(name, FW_NAME, "%s", *w->next++);
	return true;
}

static bool
number(const char *text, unsigned long max, unsigned long *v)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*v = strtoul(text, &end, 10);
	return *end == '\0' && *v > 0 && *v <= max;
}

/* "80" or "80-90". */
static bool
read_ports(struct words *w, uint16_t *lo, uint16_t *hi)
{
	char *text = *w->next, *first;
	unsigned long a, b;

	if (strchr(text, ',') != NULL)
		return refuse(w, "`%s': one port or range each", text);
	w->next++;
	first = strsep(&text, "-");
	if (!number(first, 65535, &a) ||
	    !number(text != NULL ? text : first, 65535, &b))
		return refuse(w, "`%s%s%s': ports are numbers, 1 to 65535",
		    first, text != NULL ? "-" : "", text != NULL ? text : "");
	if (a > b)
		return refuse(w, "`%s-%s': the lower port stands first", first,
		    text);
	*lo = (uint16_t)a;
	*hi = (uint16_t)b;
	return true;
}

/* An address, or a subnet, which then has nothing behind its prefix. */
static bool
read_cidr(struct os_addr *a, const char *value)
{
	char copy[NIC_RULES_TEXT], *text = copy, *host;
	unsigned long bits;

	snprintf(copy, sizeof(copy), "%s", value);
	host = strsep(&text, "/");
	memset(a, 0, sizeof(*a));
	a->ipv6 = strchr(host, ':') != NULL;
	bits = a->ipv6 ? 128 : 32;
	if (inet_pton(a->ipv6 ? AF_INET6 : AF_INET, host, a->bytes) != 1 ||
	    (text != NULL && strcmp(text, "0") != 0 &&
	    !number(text, bits, &bits)))
		return false;
	a->prefix = text != NULL && strcmp(text, "0") == 0 ? 0 : (uint8_t)bits;
	return true;
}

static bool
has_ports(const struct fw_allow *a)
{
	return a->proto == FW_TCP || a->proto == FW_UDP;
}

static bool
read_proto_number(struct words *w, struct fw_allow *a)
{
	unsigned long v;

	if (*w->next == NULL || !number(*w->next, 255, &v))
		return refuse(w, "proto: `%s' is no number, 1 to 255",
		    *w->next != NULL ? *w->next : "");
	/* That of both families has a word. */
	if (v == FW_ICMP || v == FW_ICMP6)
		return refuse(w, "proto %lu is called icmp", v);
	w->next++;
	a->proto = (uint8_t)v;
	return true;
}

static bool
read_proto(struct words *w, struct fw_allow *a)
{
	if (take(w, "tcp")) {
		a->proto = FW_TCP;
	} else if (take(w, "udp")) {
		a->proto = FW_UDP;
	} else if (take(w, "icmp")) {
		a->proto = FW_ICMP;
	} else if (take(w, "ping")) {
		a->proto = FW_ICMP;
		a->echo = true;
	} else if (take(w, "proto")) {
		if (!read_proto_number(w, a))
			return false;
	}
	if (has_ports(a) && *w->next != NULL && **w->next >= '0' &&
	    **w->next <= '9')
		return read_ports(w, &a->lo, &a->hi);
	return true;
}

static bool
read_peer(struct words *w, struct fw_allow *a)
{
	if (take(w, "any"))
		return true;
	if (take(w, "vm")) {
		a->kind = FW_PEER_GUEST;
		return take_name(w, a->name) || refuse(w, "vm: no name of a "
		    "guest behind it");
	}
	if (take(w, "switch")) {
		a->kind = FW_PEER_SWITCH;
		return take_name(w, a->name) || refuse(w, "switch: no name of "
		    "one behind it");
	}
	a->kind = FW_PEER_CIDR;
	if (*w->next == NULL)
		return refuse(w, "`%s': nobody is named behind it",
		    w->next[-1]);
	return read_cidr(&a->cidr, *w->next++) || refuse(w, "`%s' is no "
	    "address and no subnet", w->next[-1]);
}

/* Who is at the other end, behind the word for that list. */
static bool
take_peer(struct words *w, enum nic_rule rule)
{
	bool both = rule == NIC_RULES;

	return ((both || rule == NIC_ALLOW_IN) && take(w, "from")) ||
	    ((both || rule == NIC_ALLOW_OUT) && take(w, "to"));
}

/* What the next word is that nobody has taken: always false. */
static bool
stray(struct words *w, const struct fw_allow *a, enum nic_rule rule)
{
	const char *word = *w->next;
	bool peer = strcmp(word, "from") == 0 || strcmp(word, "to") == 0;

	if (peer && rule == NIC_ALLOW_HOST)
		return refuse(w, "`%s': at the other end of allow-host is the "
		    "host", word);
	if (peer && a->kind == FW_PEER_ANY && rule != NIC_RULES)
		return refuse(w, "`%s': in %s write %s", word,
		    nic_rule_names[rule], rule == NIC_ALLOW_IN ? "from" : "to");
	if (w->next == w->v && strcmp(word, "dns") == 0)
		return refuse(w, "`dns' stands in allow-host and in [policy "
		    "NAME]");
	if (w->next == w->v && rule == NIC_RULES &&
	    (strcmp(word, "none") == 0 || strcmp(word, "policy") == 0))
		return refuse(w, "`%s' stands in a nic only", word);
	if (w->next == w->v)
		return refuse(w, "no protocol `%s'", word);
	if (has_ports(a) && w->next == w->v + 1)
		return refuse(w, "port `%s' is no number", word);
	if (a->proto != FW_ANY && *word >= '0' && *word <= '9')
		return refuse(w, has_ports(a) ? "`%s': one port or range each" :
		    "`%s': only tcp and udp have ports", word);
	return refuse(w, "`%s' is one word too many", word);
}

static bool
read_allow(struct words *w, struct allow *a, enum nic_rule rule)
{
	bool alone = rule != NIC_RULES;

	if (alone && take(w, "none")) {
		a->none = true;
	} else if (alone && take(w, "policy")) {
		if (!take_name(w, a->policy))
			return false;
	} else if (rule != NIC_ALLOW_IN && rule != NIC_ALLOW_OUT &&
	    take(w, "dns")) {
		a->one.lo = a->one.hi = 53;
		a->one.proto = FW_UDP;
		a->dns = true;
	} else if (!take(w, "any")) {
		if (!read_proto(w, &a->one))
			return false;
		if (take_peer(w, rule) && !read_peer(w, &a->one))
			return false;
	}
	return *w->next == NULL || stray(w, &a->one, rule);
}

/* What is wrong with a value, and what it may be. */
static void
explain(const struct words *w, const char *value, const char *advice,
    char *err, size_t errlen)
{
	if (w->why[0] != '\0')
		snprintf(err, errlen, "%s; write %s", w->why, advice);
	else
		snprintf(err, errlen, "`%s' is not valid, write %s", value,
		    advice);
}

int
allow_parse(struct allow *a, enum nic_rule rule, const char *value,
    char *err, size_t errlen)
{
	static const char *const advice[NIC_RULES + 1] = {
		[NIC_ALLOW_IN] = "any, none, policy NAME, or as in tcp 80-81 "
		    "from 192.0.2.0/24, from vm NAME, from switch NAME",
		[NIC_ALLOW_OUT] = "any, none, policy NAME, or as in tcp 80-81 "
		    "to 192.0.2.0/24, to vm NAME, to switch NAME",
		[NIC_ALLOW_HOST] = "any, none, dns, policy NAME, or as in "
		    "tcp 22",
		[NIC_RULES] = "as in any, tcp 80-81, udp, icmp, ping, or "
		    "proto 47, with from or to ADDRESS, vm NAME, switch NAME",
	};
	struct words w;

	memset(a, 0, sizeof(*a));
	if (cut(&w, value) && read_allow(&w, a, rule))
		return 0;
	explain(&w, value, advice[rule], err, errlen);
	return -EINVAL;
}

/* Who is elsewhere sends nothing to the loopback. */
static bool
can_publish(struct words *w, const char *text, const struct os_addr *a)
{
	static const struct os_addr loop = { .bytes = { 127 }, .prefix = 8 },
	    any = { .prefix = 32 }, any6 = { .prefix = 128, .ipv6 = true },
	    loop6 = { .bytes = { [15] = 1 }, .prefix = 128, .ipv6 = true };

	if (addr_same(a, &any) || addr_same(a, &any6))
		return refuse(w, "`%s': leave the address out for any", text);
	if (fw_addr_in(&loop, a) || addr_same(a, &loop6))
		return refuse(w, "`%s' is reached by nobody but the host "
		    "itself", text);
	return true;
}

/* A port of the host, or of the guest: one number. */
static bool
read_port(struct words *w, const char *text, uint16_t *port)
{
	unsigned long v;

	if (number(text, 65535, &v)) {
		*port = (uint16_t)v;
		return true;
	}
	if (*text >= '0' && *text <= '9' && strchr(text, '-') != NULL)
		return refuse(w, "`%s': a range cannot be published, give each "
		    "port", text);
	return refuse(w, "`%s': ports are numbers, 1 to 65535", text);
}

/* "80", "192.0.2.1:80", "[2001:db8::1]:80". */
static bool
read_host_port(struct words *w, char *text, struct fw_publish *p)
{
	char *port = strrchr(text, ':');
	size_t len;

	if (port != NULL) {
		*port++ = '\0';
		len = strlen(text);
		if (strcmp(text, "*") == 0)
			return refuse(w, "`*': leave the address out for any");
		if (*text == '[') {
			if (len < 2 || text[len - 1] != ']')
				return false;
			text[len - 1] = '\0';
			text++;
		} else if (strchr(text, ':') != NULL) {
			return false;
		}
		if (strchr(text, '/') != NULL || !read_cidr(&p->host, text))
			return false;
		if (!can_publish(w, text, &p->host))
			return false;
		p->has_host = true;
	}
	return read_port(w, port != NULL ? port : text, &p->port);
}

static bool
read_publish(struct words *w, struct fw_publish *p)
{
	if (take(w, "tcp"))
		p->proto = FW_TCP;
	else if (take(w, "udp"))
		p->proto = FW_UDP;
	else
		return refuse(w, "`%s': tcp and udp can be published",
		    *w->next);
	if (*w->next == NULL || !read_host_port(w, *w->next++, p))
		return false;
	p->to = p->port;
	if (*w->next == NULL)
		return true;
	if (!take(w, "->") || *w->next == NULL ||
	    !read_port(w, *w->next++, &p->to))
		return false;
	return *w->next == NULL;
}

int
publish_parse(struct fw_publish *p, const char *value, char *err,
    size_t errlen)
{
	struct words w;

	memset(p, 0, sizeof(*p));
	if (cut(&w, value) && read_publish(&w, p))
		return 0;
	explain(&w, value, "it as in tcp 80 -> 8080, or udp 192.0.2.1:53 -> 53",
	    err, errlen);
	return -EINVAL;
}

int
address6_parse(struct os_addr *a, const char *value, char *err,
    size_t errlen)
{
	static const struct os_addr global = { .bytes = { 0x20 }, .prefix = 3,
	    .ipv6 = true }, local = { .bytes = { 0xfc }, .prefix = 7,
	    .ipv6 = true };
	char text[NIC_RULES_TEXT];

	snprintf(text, sizeof(text), "%s", value);
	if (strchr(text, '/') == NULL && read_cidr(a, text) &&
	    (fw_addr_in(&global, a) || fw_addr_in(&local, a)))
		return 0;
	snprintf(err, errlen, "`%s' is not valid, write an IPv6 address of a host, "
	    "as in 2001:db8::7", value);
	return -EINVAL;
}

static int
check(enum nic_rule rule, const char *value, char *err, size_t errlen)
{
	struct fw_publish p;
	struct os_addr addr;
	struct allow a;

	switch (rule) {
	case NIC_ADDRESS6:
		return address6_parse(&addr, value, err, errlen);
	case NIC_PUBLISH:
		return publish_parse(&p, value, err, errlen);
	default:
		return allow_parse(&a, rule, value, err, errlen);
	}
}

bool
nic_rule_get(const struct vm_nic *n, enum nic_rule rule, unsigned i,
    char value[NIC_RULES_TEXT])
{
	const char *p = n->rules, *end;

	for (; *p != '\0'; p = end + 1) {
		end = strchrnul(p, '\n');
		if (*p - '0' == (int)rule && i-- == 0) {
			snprintf(value, NIC_RULES_TEXT, "%.*s",
			    (int)(end - p - 1), p + 1);
			return true;
		}
		if (*end == '\0')
			break;
	}
	return false;
}

bool
policy_get(const struct config_policy *p, unsigned i,
    char value[NIC_RULES_TEXT])
{
	const char *line = p->allow;

	for (; line != NULL && i > 0; i--) {
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	if (line == NULL)
		return false;
	snprintf(value, NIC_RULES_TEXT, "%.*s", (int)strcspn(line, "\n"),
	    line);
	return true;
}

/* What a guest makes itself of the prefix that it is told (RFC 4862). */
static bool
advertised(const struct config *c, const struct config_switch *sw,
    const struct vm_config *vm, unsigned i, struct os_addr *a)
{
	uint8_t mac[6];
	unsigned k;

	for (k = 0; k < sw->addrs.n && (!sw->addrs.addr[k].ipv6 ||
	    sw->addrs.addr[k].prefix != 64); k++)
		;
	if (sw->uplink != NULL || k == sw->addrs.n)
		return false;
	nic_mac(mac, c->name, vm->name, &vm->nics.nic[i], i);
	addr6_by_mac(a->bytes, sw->addrs.addr[k].bytes, mac);
	a->ipv6 = true;
	a->prefix = 128;
	return true;
}

unsigned
policy_addrs(const struct config *c, const struct vm_config *vm, unsigned i,
    struct os_addr a[POLICY_ADDRS_MAX])
{
	const struct vm_nic *nic = &vm->nics.nic[i];
	const struct config_switch *sw = config_find_switch(c, nic->sw);
	char value[NIC_RULES_TEXT];
	struct addr_net net;
	unsigned n = 0, k;

	if (sw == NULL)
		return 0;
	memset(a, 0, POLICY_ADDRS_MAX * sizeof(*a));
	if (nic_address(sw, vm->name, nic, i, &net) == 0) {
		a[n].prefix = 32;
		frame_put32(a[n++].bytes, net.ip);
	}
	for (k = 0; nic_rule_get(nic, NIC_ADDRESS6, k, value); k++)
		if (address6_parse(&a[n], value, NULL, 0) == 0)
			n++;
	if (!advertised(c, sw, vm, i, &a[n]))
		return n;
	for (k = 0; k < n; k++)
		if (addr_same(&a[k], &a[n]))
			return n;
	return n + 1;
}

/* `none' says that there is nothing else. */
static bool
contradicts(const struct vm_nic *n, enum nic_rule rule, const char *value)
{
	char first[NIC_RULES_TEXT];

	if (!nic_rule_get(n, rule, 0, first))
		return false;
	return strcmp(first, "none") == 0 || strcmp(value, "none") == 0;
}

int
nic_rule_add(struct vm_nic *n, enum nic_rule rule, const char *value,
    char *err, size_t errlen)
{
	char neat[NIC_RULES_TEXT] = "";
	size_t len = strlen(n->rules), used = 0;
	struct words w;
	char **p;
	int error;

	error = check(rule, value, err, errlen);
	if (error != 0)
		return error;
	cut(&w, value);
	for (p = w.v; *p != NULL; p++)
		used += (size_t)snprintf(neat + used, sizeof(neat) - used,
		    "%s%s", p == w.v ? "" : " ", *p);
	if (contradicts(n, rule, neat)) {
		snprintf(err, errlen, "none stands alone");
		return -EINVAL;
	}
	if (len + used + 3 > sizeof(n->rules)) {
		snprintf(err, errlen, "too much for one line, write "
		    "[policy NAME]");
		return -E2BIG;
	}
	snprintf(n->rules + len, sizeof(n->rules) - len, "%s%c%s",
	    len > 0 ? "\n" : "", '0' + (int)rule, neat);
	return 0;
}

int
nic_rule_print(const struct vm_nic *n, enum nic_rule rule, struct buf *b)
{
	char value[NIC_RULES_TEXT];
	unsigned i;
	int ret = 0;

	for (i = 0; ret == 0 && nic_rule_get(n, rule, i, value); i++)
		ret = buf_printf(b, ",%s=%s", nic_rule_names[rule], value);
	return ret;
}
