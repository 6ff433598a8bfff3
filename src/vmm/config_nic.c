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
#include "vmm/config_option.h"

/* A unicast address, six pairs of digits. */
static const char *
set_lladdr(void *base, const char *value)
{
	static const char right[] =
	    "a unicast MAC address as in 0e:12:34:56:78:9a";
	struct vm_nic *n = base;
	unsigned i, byte;

	for (i = 0; i < 6; i++, value += 3) {
		if (!isxdigit((unsigned char)value[0]) ||
		    !isxdigit((unsigned char)value[1]) ||
		    value[2] != (i < 5 ? ':' : '\0'))
			return right;
		sscanf(value, "%2x", &byte);
		n->mac[i] = (uint8_t)byte;
	}
	return (n->mac[0] & 1) == 0 && nic_has_mac(n) ? NULL : right;
}

static void
print_lladdr(const void *base, char text[OPTION_TEXT])
{
	const uint8_t *mac = ((const struct vm_nic *)base)->mac;

	snprintf(text, OPTION_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
	    mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static const char *
set_address(void *base, const char *value)
{
	static const struct addr_net all;
	struct vm_nic *n = base;
	struct in_addr in;

	if (strcmp(value, "none") == 0) {
		n->ip = VM_NIC_NO_IP;
		return NULL;
	}
	if (strchr(value, ':') != NULL)
		return "an IPv4 address or none: guests make their IPv6 "
		    "addresses themselves, address6 tells the firewall of one";
	if (strchr(value, '/') != NULL)
		return "it without the bits, which are the switch's";
	if (inet_pton(AF_INET, value, &in) == 1) {
		n->ip = ntohl(in.s_addr);
		if (addr_is_host(&all, n->ip))
			return NULL;
	}
	return "an IPv4 address as in 192.0.2.7, or none";
}

static void
print_address(const void *base, char text[OPTION_TEXT])
{
	const struct vm_nic *n = base;
	char ip[ADDR_TEXT];

	snprintf(text, OPTION_TEXT, "%s", n->ip == VM_NIC_NO_IP ? "none" :
	    addr_ip_text(n->ip, ip));
}

static const char *
set_hostname(void *base, const char *value)
{
	static const char right[] = "letters, digits and -, at most 63";
	struct vm_nic *n = base;
	size_t len = strlen(value), i;

	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)value[i]) &&
		    (value[i] != '-' || i == 0 || i == len - 1))
			return right;
	if (len == 0 || len > LEASE_LABEL)
		return right;
	memcpy(n->hostname, value, len + 1);
	return NULL;
}

static void
print_hostname(const void *base, char text[OPTION_TEXT])
{
	snprintf(text, OPTION_TEXT, "%s",
	    ((const struct vm_nic *)base)->hostname);
}

static const char *const link_words[] = { "up", "down", NULL };

static const char *const log_words[] = {
	[FW_LOG_NO] = "no",
	[FW_LOG_BLOCKED] = "blocked",
	[FW_LOG_ALL] = "all",
	NULL,
};

#define FIELD(m)	.offset = offsetof(struct vm_nic, m), \
	.size = sizeof(((struct vm_nic *)NULL)->m)
#define LIVE(m)		FIELD(m), .live = true
#define LIMIT(m)	LIVE(m), .units = value_size_units, .min = 1, \
	.max = BUCKET_MAX, .advice = "bytes a second with K, M, G or T, " \
	"as in 1250000 for 10 Mbit/s"
#define PACKETS(m)	LIVE(m), .units = value_no_units, .min = 1, \
	.max = BUCKET_MAX, .advice = "packets a second, digits only"

static const struct conf_option rows[] = {
	{ .name = "lladdr", FIELD(mac), .set = set_lladdr,
	    .print = print_lladdr },
	{ .name = "address", LIVE(ip), .set = set_address,
	    .print = print_address },
	{ .name = "hostname", LIVE(hostname), .set = set_hostname,
	    .print = print_hostname },
	{ .name = "limit-in", LIMIT(bytes[NIC_IN]) },
	{ .name = "limit-out", LIMIT(bytes[NIC_OUT]) },
	{ .name = "packets-in", PACKETS(packets[NIC_IN]) },
	{ .name = "packets-out", PACKETS(packets[NIC_OUT]) },
	{ .name = "queues", FIELD(queues), .units = value_no_units, .min = 1,
	    .max = VIRTIO_NET_PAIRS_MAX, .advice = "1 to 64" },
	{ .name = "mtu", FIELD(mtu), .units = value_no_units,
	    .min = VIRTIO_NET_MTU_MIN, .max = PLAN_MTU_MAX,
	    .advice = "68 to 65521" },
	{ .name = "link", LIVE(down), .words = link_words },
	{ .name = "locked", LIVE(locked), .words = option_no_yes,
	    .alone = "yes" },
	{ .name = "log", LIVE(log), .words = log_words, .alone = "blocked" },
};

static const struct conf_options options = {
	.row = rows, .n = sizeof(rows) / sizeof(rows[0]),
	.more = nic_rule_names, .nmore = NIC_RULES,
};

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

/* "NAME=VALUE"; `seen` has a bit for each option so far. */
static int
nic_option(struct vm_nic *n, char *word, unsigned *seen, char *err,
    size_t errlen)
{
	char *value, *name = option_split(word, &value);
	int error;

	error = nic_rule(n, name, value == NULL ? "" : value, err, errlen);
	if (error == -ENOENT)
		error = option_set(&options, n, name, value, seen, err,
		    errlen);
	if (error != -ENOENT)
		return error;
	if (isdigit((unsigned char)*name))
		snprintf(err, errlen, "`%s': one port or range each, as in "
		    "allow-in=tcp 22,allow-in=tcp 80", name);
	else
		option_unknown(&options, name, err, errlen);
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
	unsigned i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!options_equal(&options, &a->nic[i], &b->nic[i], false))
			return false;
	return true;
}

static bool
nic_equal(const struct vm_nic *a, const struct vm_nic *b)
{
	return strcmp(a->sw, b->sw) == 0 && strcmp(a->rules, b->rules) == 0 &&
	    options_equal(&options, a, b, true);
}

bool
nics_equal(const struct vm_nics *a, const struct vm_nics *b)
{
	unsigned i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!nic_equal(&a->nic[i], &b->nic[i]))
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
		ret = ret ?: options_print(&options, &c->nic[i], b);
		for (k = 0; k < NIC_RULES && ret == 0; k++)
			ret = nic_rule_print(&c->nic[i], k, b);
	}
	return ret;
}
