/* SPDX-License-Identifier: ISC */
/*
 * The firewall in the configuration: see config_fw.h.
 */
#include "vmm/config_fw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/frame.h"
#include "vmm/config.h"
#include "vmm/config_value.h"

#define WORDS_MAX	8

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
};

static bool
cut(struct words *w, const char *value)
{
	char *rest = w->text, *word;
	unsigned n = 0;

	memset(w->v, 0, sizeof(w->v));
	w->next = w->v;
	if ((size_t)snprintf(w->text, sizeof(w->text), "%s", value) >=
	    sizeof(w->text))
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
read_ports(char *text, uint16_t *lo, uint16_t *hi)
{
	char *first = strsep(&text, "-");
	unsigned long a, b;

	if (!number(first, 65535, &a) ||
	    !number(text != NULL ? text : first, 65535, &b) || a > b)
		return false;
	*lo = (uint16_t)a;
	*hi = (uint16_t)b;
	return true;
}

/* An address, or a subnet, which then has nothing behind its prefix. */
static bool
read_cidr(char *text, struct os_addr *a)
{
	char *host = strsep(&text, "/");
	unsigned long bits;

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
read_proto(struct words *w, struct fw_allow *a)
{
	unsigned long v;

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
		if (*w->next == NULL || !number(*w->next++, 255, &v))
			return false;
		a->proto = (uint8_t)v;
		/* That of both families has a word. */
		if (v == FW_ICMP || v == FW_ICMP6)
			return false;
	}
	if (has_ports(a) && *w->next != NULL && **w->next >= '0' &&
	    **w->next <= '9')
		return read_ports(*w->next++, &a->lo, &a->hi);
	return true;
}

static bool
read_peer(struct words *w, struct fw_allow *a)
{
	if (take(w, "any"))
		return true;
	if (take(w, "vm")) {
		a->kind = FW_PEER_GUEST;
		return take_name(w, a->name);
	}
	if (take(w, "switch")) {
		a->kind = FW_PEER_SWITCH;
		return take_name(w, a->name);
	}
	a->kind = FW_PEER_CIDR;
	return *w->next != NULL && read_cidr(*w->next++, &a->cidr);
}

/* Who is at the other end, behind the word for that list. */
static bool
take_peer(struct words *w, enum nic_rule rule)
{
	bool both = rule == NIC_RULES;

	return ((both || rule == NIC_ALLOW_IN) && take(w, "from")) ||
	    ((both || rule == NIC_ALLOW_OUT) && take(w, "to"));
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
	return *w->next == NULL;
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
	snprintf(err, errlen, "`%s' is not valid, write %s", value, advice[rule]);
	return -EINVAL;
}

/* "80", "192.0.2.1:80", "[2001:db8::1]:80". */
static bool
read_host_port(char *text, struct fw_publish *p)
{
	char *port = strrchr(text, ':');
	unsigned long v;
	size_t len;

	if (port != NULL) {
		*port++ = '\0';
		len = strlen(text);
		if (*text == '[') {
			if (len < 2 || text[len - 1] != ']')
				return false;
			text[len - 1] = '\0';
			text++;
		} else if (strchr(text, ':') != NULL) {
			return false;
		}
		if (strchr(text, '/') != NULL || !read_cidr(text, &p->host))
			return false;
		p->has_host = true;
	}
	if (!number(port != NULL ? port : text, 65535, &v))
		return false;
	p->port = (uint16_t)v;
	return true;
}

static bool
read_publish(struct words *w, struct fw_publish *p)
{
	unsigned long to;

	if (take(w, "tcp"))
		p->proto = FW_TCP;
	else if (take(w, "udp"))
		p->proto = FW_UDP;
	if (p->proto == FW_ANY || *w->next == NULL ||
	    !read_host_port(*w->next++, p))
		return false;
	p->to = p->port;
	if (*w->next == NULL)
		return true;
	if (!take(w, "->") || *w->next == NULL ||
	    !number(*w->next++, 65535, &to))
		return false;
	p->to = (uint16_t)to;
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
	snprintf(err, errlen, "`%s' is not valid, write it as in tcp 80 -> 8080, "
	    "or udp 192.0.2.1:53 -> 53", value);
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
	if (strchr(text, '/') == NULL && read_cidr(text, a) &&
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
