/* SPDX-License-Identifier: ISC */
/*
 * A guest's NIC as the configuration says it: see config_net.h.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bucket.h"
#include "base/buf.h"
#include "devices/virtio_net.h"
#include "vmm/config_fw.h"
#include "vmm/config_net.h"
#include "vmm/config_value.h"

/*
 * An option: reads a value, and appends it as a file would say it.  One without
 * functions is a number: a uint64_t, 0 if it is not given.
 */
struct nic_option {
	const char	*name;
	bool		(*set)(struct vm_nic *n, const char *value);
	int		(*print)(const struct vm_nic *n, struct buf *b);
	const char	*advice;
	const char	*alone;		/* what it means without a value */
	size_t		offset;
	const struct value_unit	*units;
	uint64_t	min, max;
};

/* A unicast address, six pairs of digits. */
static bool
set_lladdr(struct vm_nic *n, const char *value)
{
	static const uint8_t none[6];
	unsigned i, byte;

	for (i = 0; i < 6; i++, value += 3) {
		if (!isxdigit((unsigned char)value[0]) ||
		    !isxdigit((unsigned char)value[1]) ||
		    value[2] != (i < 5 ? ':' : '\0'))
			return false;
		sscanf(value, "%2x", &byte);
		n->mac[i] = (uint8_t)byte;
	}
	n->has_mac = true;
	return (n->mac[0] & 1) == 0 && memcmp(n->mac, none, 6) != 0;
}

static int
print_lladdr(const struct vm_nic *n, struct buf *b)
{
	return n->has_mac ? buf_printf(b, ",lladdr=%02x:%02x:%02x:%02x:%02x:"
	    "%02x", n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4],
	    n->mac[5]) : 0;
}

static bool
set_address(struct vm_nic *n, const char *value)
{
	static const struct addr_net all;
	struct in_addr in;

	n->no_ip = strcmp(value, "none") == 0;
	if (n->no_ip)
		return true;
	if (inet_pton(AF_INET, value, &in) != 1)
		return false;
	n->ip = ntohl(in.s_addr);
	return addr_is_host(&all, n->ip);
}

static int
print_address(const struct vm_nic *n, struct buf *b)
{
	char text[ADDR_TEXT];

	if (n->no_ip)
		return buf_printf(b, ",address=none");
	return n->ip == 0 ? 0 : buf_printf(b, ",address=%s",
	    addr_ip_text(n->ip, text));
}

static bool
set_hostname(struct vm_nic *n, const char *value)
{
	size_t len = strlen(value), i;

	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)value[i]) &&
		    (value[i] != '-' || i == 0 || i == len - 1))
			return false;
	if (len == 0 || len > LEASE_LABEL)
		return false;
	snprintf(n->hostname, sizeof(n->hostname), "%s", value);
	return true;
}

static int
print_hostname(const struct vm_nic *n, struct buf *b)
{
	return n->hostname[0] == '\0' ? 0 :
	    buf_printf(b, ",hostname=%s", n->hostname);
}

static bool
set_link(struct vm_nic *n, const char *value)
{
	n->down = strcmp(value, "down") == 0;
	return n->down || strcmp(value, "up") == 0;
}

static int
print_link(const struct vm_nic *n, struct buf *b)
{
	return n->down ? buf_printf(b, ",link=down") : 0;
}

static bool
set_locked(struct vm_nic *n, const char *value)
{
	n->locked = strcmp(value, "yes") == 0;
	return n->locked || strcmp(value, "no") == 0;
}

static int
print_locked(const struct vm_nic *n, struct buf *b)
{
	return n->locked ? buf_printf(b, ",locked") : 0;
}

static const char *const log_words[] = {
	[FW_LOG_NO] = "no",
	[FW_LOG_BLOCKED] = "blocked",
	[FW_LOG_ALL] = "all",
};

static bool
set_log(struct vm_nic *n, const char *value)
{
	unsigned i;

	for (i = FW_LOG_NO; i <= FW_LOG_ALL; i++)
		if (strcmp(log_words[i], value) == 0) {
			n->log = i;
			return true;
		}
	return false;
}

static int
print_log(const struct vm_nic *n, struct buf *b)
{
	return n->log == FW_LOG_NO ? 0 :
	    buf_printf(b, ",log=%s", log_words[n->log]);
}

#define NUMBER(m)	.offset = offsetof(struct vm_nic, m)
#define LIMIT(m)	NUMBER(m), .units = value_size_units, .min = 1, \
	.max = BUCKET_MAX, .advice = "bytes a second with K, M, G or T, " \
	"as in 1250000 for 10 Mbit/s"
#define PACKETS(m)	NUMBER(m), .units = value_no_units, .min = 1, \
	.max = BUCKET_MAX, .advice = "packets a second, digits only"

static const struct nic_option nic_options[] = {
	{ .name = "lladdr", .set = set_lladdr, .print = print_lladdr,
	    .advice = "a unicast MAC address as in 0e:12:34:56:78:9a" },
	{ .name = "address", .set = set_address, .print = print_address,
	    .advice = "an IPv4 address as in 192.0.2.7, or none" },
	{ .name = "hostname", .set = set_hostname, .print = print_hostname,
	    .advice = "letters, digits and -, at most 63" },
	{ .name = "limit-in", LIMIT(bytes[NIC_IN]) },
	{ .name = "limit-out", LIMIT(bytes[NIC_OUT]) },
	{ .name = "packets-in", PACKETS(packets[NIC_IN]) },
	{ .name = "packets-out", PACKETS(packets[NIC_OUT]) },
	{ .name = "queues", NUMBER(queues), .units = value_no_units, .min = 1,
	    .max = VIRTIO_NET_PAIRS_MAX, .advice = "1 to 64" },
	{ .name = "mtu", NUMBER(mtu), .units = value_no_units,
	    .min = VIRTIO_NET_MTU_MIN, .max = PLAN_MTU_MAX,
	    .advice = "68 to 65521" },
	{ .name = "link", .set = set_link, .print = print_link,
	    .advice = "up or down" },
	{ .name = "locked", .set = set_locked, .print = print_locked,
	    .alone = "yes", .advice = "yes or no" },
	{ .name = "log", .set = set_log, .print = print_log,
	    .alone = "blocked", .advice = "no, blocked or all" },
};
#define NIC_OPTIONS	(sizeof(nic_options) / sizeof(nic_options[0]))

static bool
option_set(const struct nic_option *o, struct vm_nic *n, const char *value)
{
	uint64_t v;

	if (o->set != NULL)
		return o->set(n, value);
	if (value_parse(value, o->units, &v) != 0 || v < o->min || v > o->max)
		return false;
	memcpy((char *)n + o->offset, &v, sizeof(v));
	return true;
}

static int
option_print(const struct nic_option *o, const struct vm_nic *n,
    struct buf *b)
{
	char text[32];
	uint64_t v;

	if (o->print != NULL)
		return o->print(n, b);
	memcpy(&v, (const char *)n + o->offset, sizeof(v));
	if (v == 0)
		return 0;
	value_format(text, sizeof(text), o->units, v);
	return buf_printf(b, ",%s=%s", o->name, text);
}

static int
unknown_option(const char *name, char *err, size_t errlen)
{
	const char *near = NULL;
	unsigned best = VALUE_FAR;
	size_t n, i;

	if (isdigit((unsigned char)*name)) {
		snprintf(err, errlen, "`%s': one port or range each, as in "
		    "allow-in=tcp 22,allow-in=tcp 80", name);
		return -EINVAL;
	}
	for (i = 0; i < NIC_OPTIONS; i++)
		if (value_nearer(name, nic_options[i].name, &best))
			near = nic_options[i].name;
	for (i = 0; i < NIC_RULES; i++)
		if (value_nearer(name, nic_rule_names[i], &best))
			near = nic_rule_names[i];
	if (near != NULL) {
		snprintf(err, errlen, "unknown option `%s', did you mean "
		    "`%s'?", name, near);
		return -EINVAL;
	}
	n = (size_t)snprintf(err, errlen, "unknown option `%s', write one of",
	    name);
	for (i = 0; i < NIC_OPTIONS && n < errlen; i++)
		n += (size_t)snprintf(err + n, errlen - n, "%s %s",
		    i == 0 ? "" : ",", nic_options[i].name);
	for (i = 0; i < NIC_RULES && n < errlen; i++)
		n += (size_t)snprintf(err + n, errlen - n, ", %s",
		    nic_rule_names[i]);
	return -EINVAL;
}

/* One that may be given again: 0; -ENOENT: it is none of them. */
static int
nic_rule(struct vm_nic *n, const char *name, const char *value, char *err,
    size_t errlen)
{
	char why[400];
	unsigned i;
	int error;

	for (i = 0; i < NIC_RULES; i++)
		if (strcmp(nic_rule_names[i], name) == 0)
			break;
	if (i == NIC_RULES)
		return -ENOENT;
	error = nic_rule_add(n, i, value, why, sizeof(why));
	if (error != 0)
		snprintf(err, errlen, "%s: %s", name, why);
	return error;
}

/* What is wrong with a value that an option has not taken. */
static void
bad_value(const struct nic_option *o, const char *value, char *err,
    size_t errlen)
{
	bool addr = o->set == set_address;

	if (*value == '\0')
		snprintf(err, errlen, "%s: no value, write %s", o->name,
		    o->advice);
	else if (addr && strchr(value, ':') != NULL)
		snprintf(err, errlen, "%s: `%s': guests make their IPv6 "
		    "addresses themselves, write %s; address6 tells the "
		    "firewall of one", o->name, value, o->advice);
	else if (addr && strchr(value, '/') != NULL)
		snprintf(err, errlen, "%s: `%s': the bits are the switch's, "
		    "write %s", o->name, value, o->advice);
	else if (strcmp(value, "0") == 0)
		snprintf(err, errlen, "%s: `0' is not valid, write %s, or "
		    "leave it out", o->name, o->advice);
	else
		snprintf(err, errlen, "%s: `%s' is not valid, write %s",
		    o->name, value, o->advice);
}

/* "NAME=VALUE"; `seen` has a bit for each option so far. */
static int
nic_option(struct vm_nic *n, char *word, unsigned *seen, char *err,
    size_t errlen)
{
	const char *name = value_trim(strsep(&word, "=")), *value;
	int error;
	size_t i;

	if (word != NULL)
		word = value_trim(word);
	error = nic_rule(n, name, word == NULL ? "" : word, err, errlen);
	if (error != -ENOENT)
		return error;
	for (i = 0; i < NIC_OPTIONS; i++)
		if (strcmp(nic_options[i].name, name) == 0)
			break;
	if (i == NIC_OPTIONS)
		return unknown_option(name, err, errlen);
	if ((*seen & 1u << i) != 0) {
		snprintf(err, errlen, "%s: given twice", name);
		return -EINVAL;
	}
	*seen |= 1u << i;
	value = word != NULL ? word : nic_options[i].alone;
	if (value != NULL && option_set(&nic_options[i], n, value))
		return 0;
	bad_value(&nic_options[i], value == NULL ? "" : value, err, errlen);
	return -EINVAL;
}

int
nics_add(struct vm_nics *c, const char *value, char *err, size_t errlen)
{
	char text[NIC_RULES_TEXT], *rest = text, *word;
	struct vm_nic n = { .queues = 0 };
	unsigned seen = 0;
	int ret = 0;

	if (c->n == VM_NICS_MAX) {
		snprintf(err, errlen, "too many, at most %d in a guest",
		    VM_NICS_MAX);
		return -E2BIG;
	}
	snprintf(text, sizeof(text), "%s", value);
	word = value_trim(strsep(&rest, ","));
	if (!value_is_name(word) || strlen(word) >= sizeof(n.sw)) {
		snprintf(err, errlen, "`%s' is no name of a switch, write "
		    "SWITCH, or SWITCH,OPTION=VALUE", word);
		return -EINVAL;
	}
	memcpy(n.sw, word, strlen(word) + 1);
	while (ret == 0 && (word = strsep(&rest, ",")) != NULL)
		ret = nic_option(&n, value_trim(word), &seen, err, errlen);
	if (ret == 0)
		c->nic[c->n++] = n;
	return ret;
}

bool
nics_alike(const struct vm_nics *a, const struct vm_nics *b)
{
	const struct vm_nic *na = a->nic, *nb = b->nic;
	unsigned i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++, na++, nb++)
		if (na->has_mac != nb->has_mac || na->mtu != nb->mtu ||
		    na->queues != nb->queues ||
		    memcmp(na->mac, nb->mac, sizeof(na->mac)) != 0)
			return false;
	return true;
}

static bool
live_equal(const struct vm_nic *a, const struct vm_nic *b)
{
	return strcmp(a->sw, b->sw) == 0 &&
	    strcmp(a->hostname, b->hostname) == 0 &&
	    a->no_ip == b->no_ip && a->ip == b->ip && a->down == b->down &&
	    memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0 &&
	    memcmp(a->packets, b->packets, sizeof(a->packets)) == 0 &&
	    a->locked == b->locked && a->log == b->log &&
	    strcmp(a->rules, b->rules) == 0;
}

bool
nics_equal(const struct vm_nics *a, const struct vm_nics *b)
{
	unsigned i;

	if (!nics_alike(a, b))
		return false;
	for (i = 0; i < a->n; i++)
		if (!live_equal(&a->nic[i], &b->nic[i]))
			return false;
	return true;
}

int
nics_print(const struct vm_nics *c, struct buf *b)
{
	unsigned i;
	size_t k;
	int ret = 0;

	if (c->n == 0)
		return buf_printf(b, "-");
	for (i = 0; i < c->n && ret == 0; i++) {
		ret = buf_printf(b, "%s%s", i == 0 ? "" : ", ", c->nic[i].sw);
		for (k = 0; k < NIC_OPTIONS && ret == 0; k++)
			ret = option_print(&nic_options[k], &c->nic[i], b);
		for (k = 0; k < NIC_RULES && ret == 0; k++)
			ret = nic_rule_print(&c->nic[i], k, b);
	}
	return ret;
}
