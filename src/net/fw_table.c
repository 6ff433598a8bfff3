/* SPDX-License-Identifier: ISC */
/*
 * The tables of addresses that rules of the firewall name: see fw_build.h.
 */
#include "net/fw_build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"

static unsigned
addr_bits(const struct os_addr *a)
{
	return a->ipv6 ? 128 : 32;
}

bool
fw_addr_in(const struct os_addr *net, const struct os_addr *a)
{
	unsigned bytes = net->prefix / 8, rest = net->prefix % 8;

	return net->ipv6 == a->ipv6 &&
	    memcmp(net->bytes, a->bytes, bytes) == 0 &&
	    (rest == 0 ||
	    (net->bytes[bytes] ^ a->bytes[bytes]) >> (8 - rest) == 0);
}

bool
fw_table_has(const struct fw_table *t, const struct os_addr *a)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (fw_addr_in(&t->v[i], a))
			return true;
	return false;
}

struct os_addr
fw_host_of(const struct os_addr *a)
{
	struct os_addr h = *a;

	h.prefix = (uint8_t)addr_bits(a);
	return h;
}

struct os_addr
fw_subnet_of(const struct os_addr *a)
{
	struct os_addr net = { .prefix = a->prefix, .ipv6 = a->ipv6 };
	unsigned bytes = a->prefix / 8, rest = a->prefix % 8;

	memcpy(net.bytes, a->bytes, bytes);
	if (rest != 0)
		net.bytes[bytes] = a->bytes[bytes] &
		    (uint8_t)(0xff << (8 - rest));
	return net;
}

/* Longer prefixes of the same address come after shorter. */
static int
compare(const void *a, const void *b)
{
	const struct os_addr *x = a, *y = b;
	int d;

	if (x->ipv6 != y->ipv6)
		return x->ipv6 ? 1 : -1;
	d = memcmp(x->bytes, y->bytes, sizeof(x->bytes));
	return d != 0 ? d : x->prefix - y->prefix;
}

/* Sorts, and leaves out what is within another. */
static void
tidy(struct fw_table *t)
{
	size_t i, n = 0;

	if (t->n == 0)
		return;
	qsort(t->v, t->n, sizeof(t->v[0]), compare);
	for (i = 1; i < t->n; i++)
		if (!fw_addr_in(&t->v[n], &t->v[i]))
			t->v[++n] = t->v[i];
	t->n = n + 1;
}

/* A name that is too long ends in a hash of itself. */
static void
set_name(struct fw_table *t, const char *kind, const char *name)
{
	int n = snprintf(t->name, sizeof(t->name), "%s-%s", kind, name);

	if (n >= (int)sizeof(t->name))
		snprintf(t->name + sizeof(t->name) - 12, 12, "_%010llx",
		    (unsigned long long)ifname_hash(kind, name) &
		    0xffffffffffull);
}

int
fw_table_begin(struct fw_rules *r, struct fw_table **tp, size_t room,
    uint32_t sw, const char *kind, const char *name)
{
	struct fw_table *t = r->table;

	/* Room is for the next power of two. */
	if ((r->ntables & (r->ntables - 1)) == 0) {
		t = reallocarray(t, r->ntables == 0 ? 1 : 2 * r->ntables,
		    sizeof(*t));
		if (t == NULL)
			return -ENOMEM;
		r->table = t;
	}
	t += r->ntables;
	memset(t, 0, sizeof(*t));
	t->v = calloc(room + 1, sizeof(t->v[0]));
	if (t->v == NULL)
		return -ENOMEM;
	t->sw = sw;
	set_name(t, kind, name);
	*tp = t;
	r->ntables++;
	return 0;
}

void
fw_table_end(struct fw_table *t, const char *what)
{
	snprintf(t->what, sizeof(t->what), "%s", what);
	tidy(t);
}

void
fw_rules_free(struct fw_rules *r)
{
	size_t i;

	for (i = 0; i < r->ntables; i++)
		free(r->table[i].v);
	free(r->table);
	free(r->v);
	memset(r, 0, sizeof(*r));
}

static void
put(struct fw_table *t, struct os_addr a)
{
	t->v[t->n++] = a;
}

static void
put_hosts(struct fw_table *t, const struct os_addr *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		put(t, fw_host_of(&v[i]));
}

static void
put_subnets(struct fw_table *t, const struct fw_switch *sw)
{
	size_t i;

	for (i = 0; i < sw->naddrs; i++)
		put(t, fw_subnet_of(&sw->addrs[i]));
}

/* Addresses of all NICs and switches. */
static size_t
count(const struct fw_policy *p)
{
	size_t i, n = 0;

	for (i = 0; i < p->nnics; i++)
		n += p->nic[i].naddrs;
	for (i = 0; i < p->nsws; i++)
		n += p->sw[i].naddrs;
	return n;
}

static int
make_switch(const struct fw_policy *p, struct fw_rules *r, uint32_t s)
{
	const struct fw_switch *sw = &p->sw[s];
	size_t i, room = sw->shared ? count(p) : sw->naddrs;
	struct fw_table *t;
	char what[96];
	int error;

	error = fw_table_begin(r, &t, room, s, "switch", sw->name);
	if (error != 0)
		return error;
	for (i = 0; i < p->nnics && sw->shared; i++)
		if (p->nic[i].sw == s)
			put_hosts(t, p->nic[i].addrs, p->nic[i].naddrs);
	if (!sw->shared)
		put_subnets(t, sw);
	snprintf(what, sizeof(what), "%s of switch %s", sw->shared ?
	    "guests" : "subnets", sw->name);
	fw_table_end(t, what);
	return 0;
}

/* Where those of its peer table are not all. */
static int
make_subnets(const struct fw_policy *p, struct fw_rules *r, uint32_t s,
    uint32_t *index)
{
	const struct fw_switch *sw = &p->sw[s];
	struct fw_table *t;
	char what[96];
	int error;

	*index = s;
	if (!sw->shared)
		return 0;
	*index = (uint32_t)r->ntables;
	error = fw_table_begin(r, &t, sw->naddrs, s, "net", sw->name);
	if (error != 0)
		return error;
	put_subnets(t, sw);
	snprintf(what, sizeof(what), "subnets of switch %s", sw->name);
	fw_table_end(t, what);
	return 0;
}

/* The link-local address that follows from a MAC (RFC 4291, appendix A). */
static struct os_addr
link_local(const uint8_t mac[6])
{
	static const uint8_t prefix[16] = { 0xfe, 0x80 };
	struct os_addr a = { .prefix = 128, .ipv6 = true };

	addr6_by_mac(a.bytes, prefix, mac);
	return a;
}

static int
make_own(const struct fw_policy *p, struct fw_rules *r, uint32_t i,
    uint32_t *index)
{
	const struct fw_nic *nic = &p->nic[i];
	char name[FW_NAME + 12], what[96];
	struct fw_table *t;
	int error;

	*index = (uint32_t)r->ntables;
	snprintf(name, sizeof(name), "%s.%u", nic->guest, nic->number);
	error = fw_table_begin(r, &t, nic->naddrs + 1, nic->sw, "nic", name);
	if (error != 0)
		return error;
	put_hosts(t, nic->addrs, nic->naddrs);
	put(t, link_local(nic->mac));
	snprintf(what, sizeof(what), "vm %s nic %u", nic->guest, nic->number);
	fw_table_end(t, what);
	return 0;
}

/* One table for the NICs of a guest, which stand in a row. */
static int
make_guest(const struct fw_policy *p, struct fw_rules *r, uint32_t i,
    uint32_t *index)
{
	const struct fw_nic *nic = &p->nic[i], *n;
	const struct fw_nic *end = p->nic + p->nnics;
	struct fw_table *t;
	char what[96];
	size_t room = 0;
	int error;

	if (i > 0 && strcmp(nic[-1].guest, nic->guest) == 0) {
		*index = index[-1];
		return 0;
	}
	for (n = nic; n < end && strcmp(n->guest, nic->guest) == 0; n++)
		room += n->naddrs;
	*index = (uint32_t)r->ntables;
	error = fw_table_begin(r, &t, room, FW_ALL, "guest", nic->guest);
	if (error != 0)
		return error;
	for (n = nic; n < end && strcmp(n->guest, nic->guest) == 0; n++)
		put_hosts(t, n->addrs, n->naddrs);
	snprintf(what, sizeof(what), "vm %s", nic->guest);
	fw_table_end(t, what);
	return 0;
}

static int
make_all(const struct fw_policy *p, struct fw_rules *r, struct fw_tables *ts)
{
	struct fw_table *t;
	size_t i;
	int error;

	ts->all_guests = (uint32_t)r->ntables;
	error = fw_table_begin(r, &t, count(p), FW_ALL, "all", "guests");
	if (error != 0)
		return error;
	for (i = 0; i < p->nnics; i++)
		put_hosts(t, p->nic[i].addrs, p->nic[i].naddrs);
	for (i = 0; i < p->nsws; i++)
		put_hosts(t, p->sw[i].addrs, p->sw[i].naddrs);
	fw_table_end(t, "all guests, and the host in switches");

	ts->all_subnets = (uint32_t)r->ntables;
	error = fw_table_begin(r, &t, count(p), FW_ALL, "all", "switches");
	if (error != 0)
		return error;
	for (i = 0; i < p->nsws; i++)
		put_subnets(t, &p->sw[i]);
	fw_table_end(t, "subnets of all switches");
	return 0;
}

int
fw_tables_make(const struct fw_policy *p, struct fw_rules *r,
    struct fw_tables *t)
{
	uint32_t i;
	int error = 0;

	memset(t, 0, sizeof(*t));
	t->own = calloc(p->nnics + 1, sizeof(*t->own));
	t->guest = calloc(p->nnics + 1, sizeof(*t->guest));
	t->subnets = calloc(p->nsws + 1, sizeof(*t->subnets));
	if (t->own == NULL || t->guest == NULL || t->subnets == NULL)
		return -ENOMEM;
	for (i = 0; i < p->nsws && error == 0; i++)
		error = make_switch(p, r, i);
	for (i = 0; i < p->nsws && error == 0; i++)
		error = make_subnets(p, r, i, &t->subnets[i]);
	for (i = 0; i < p->nnics && error == 0; i++)
		error = make_own(p, r, i, &t->own[i]);
	for (i = 0; i < p->nnics && error == 0; i++)
		error = make_guest(p, r, i, &t->guest[i]);
	return error != 0 ? error : make_all(p, r, t);
}

void
fw_tables_free(struct fw_tables *t)
{
	free(t->own);
	free(t->guest);
	free(t->subnets);
}
