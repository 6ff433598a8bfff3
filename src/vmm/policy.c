/* SPDX-License-Identifier: ISC */
/*
 * The firewall's policy: see policy.h.
 */
#include "vmm/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"
#include "net/ifname.h"
#include "vmm/config_fw.h"

/* A list that grows; what it points to moves while it does. */
struct allows {
	struct fw_allow	*v;
	size_t		 n;
	int		 error;
};

struct policy {
	struct fw_policy	 fw;
	struct fw_switch	*sw;
	struct fw_nic		*nic;
};

static void
put(struct allows *a, const struct fw_allow *one)
{
	struct fw_allow *v = reallocarray(a->v, a->n + 1, sizeof(*v));

	if (v == NULL) {
		a->error = -ENOMEM;
		return;
	}
	a->v = v;
	v[a->n++] = *one;
}

/* Name servers are asked by UDP, and by TCP for long answers. */
static void
put_allow(struct allows *list, const struct allow *a)
{
	struct fw_allow tcp = a->one;

	put(list, &a->one);
	tcp.proto = FW_TCP;
	if (a->dns)
		put(list, &tcp);
}

static void
put_policy(struct allows *list, const struct config *c, const char *name)
{
	const struct config_policy *p = config_find_policy(c, name);
	char value[NIC_RULES_TEXT];
	struct allow a;
	unsigned i;

	for (i = 0; p != NULL && policy_get(p, i, value); i++)
		if (allow_parse(&a, NIC_RULES, value, NULL, 0) == 0)
			put_allow(list, &a);
}

/* Unless it is said: all may go out, and come in from the same switch. */
static void
put_default(struct allows *list, enum nic_rule rule, const char *sw)
{
	struct fw_allow a = { .kind = FW_PEER_ANY };

	if (rule == NIC_ALLOW_HOST)
		return;
	if (rule == NIC_ALLOW_IN) {
		a.kind = FW_PEER_SWITCH;
		snprintf(a.name, sizeof(a.name), "%s", sw);
	}
	put(list, &a);
}

static int
make_allows(struct fw_allows *out, const struct config *c,
    const struct vm_nic *nic, enum nic_rule rule)
{
	struct allows list = { .v = NULL };
	char value[NIC_RULES_TEXT];
	struct allow a;
	unsigned i;

	for (i = 0; nic_rule_get(nic, rule, i, value); i++) {
		if (allow_parse(&a, rule, value, NULL, 0) != 0 || a.none)
			continue;
		if (a.policy[0] != '\0')
			put_policy(&list, c, a.policy);
		else
			put_allow(&list, &a);
	}
	if (i == 0)
		put_default(&list, rule, nic->sw);
	out->v = list.v;
	out->n = list.n;
	return list.error;
}

static int
make_publish(struct fw_nic *n, const struct vm_nic *nic)
{
	char value[NIC_RULES_TEXT];
	struct fw_publish *v;
	unsigned count = 0, i;

	while (nic_rule_get(nic, NIC_PUBLISH, count, value))
		count++;
	v = calloc(count + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	n->publish = v;
	for (i = 0; nic_rule_get(nic, NIC_PUBLISH, i, value); i++)
		if (publish_parse(&v[n->npublish], value, NULL, 0) == 0)
			n->npublish++;
	return 0;
}

static int
make_nic(struct fw_nic *n, const struct config *c, const struct vm_config *vm,
    unsigned i)
{
	const struct vm_nic *nic = &vm->nics.nic[i];
	struct os_addr addrs[POLICY_ADDRS_MAX], *copy;

	snprintf(n->guest, sizeof(n->guest), "%s", vm->name);
	n->number = i;
	n->sw = (uint32_t)(config_find_switch(c, nic->sw) - c->sw);
	ifname_port(n->tap, c->name, vm->name, i);
	nic_mac(n->mac, c->name, vm->name, nic, i);
	n->naddrs = policy_addrs(c, vm, i, addrs);
	copy = calloc(n->naddrs + 1, sizeof(*copy));
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, addrs, n->naddrs * sizeof(*copy));
	n->addrs = copy;
	n->locked = nic->locked;
	n->log = nic->log;
	return make_publish(n, nic) ?:
	    make_allows(&n->in, c, nic, NIC_ALLOW_IN) ?:
	    make_allows(&n->out, c, nic, NIC_ALLOW_OUT) ?:
	    make_allows(&n->host, c, nic, NIC_ALLOW_HOST);
}

static void
make_nat(struct fw_switch *s, const struct config_switch *sw)
{
	const char *nat = sw->nat != NULL ? sw->nat :
	    sw->uplink != NULL ? "no" : "auto";

	s->nat = strcmp(nat, "no") == 0 ? FW_NAT_NO :
	    strcmp(nat, "auto") == 0 ? FW_NAT_AUTO : FW_NAT_IFACE;
	if (s->nat == FW_NAT_IFACE)
		snprintf(s->nat_iface, sizeof(s->nat_iface), "%s", nat);
}

static void
make_switch(struct fw_switch *s, const struct config *c,
    const struct config_switch *sw, bool joined)
{
	snprintf(s->name, sizeof(s->name), "%s", sw->name);
	if (sw->bridge != NULL)
		snprintf(s->iface, sizeof(s->iface), "%s", sw->bridge);
	else
		ifname_switch(s->iface, c->name, sw->name);
	if (sw->uplink != NULL)
		snprintf(s->uplink, sizeof(s->uplink), "%s", sw->uplink);
	s->shared = sw->uplink != NULL || joined;
	s->isolate = sw->isolate;
	s->addrs = sw->addrs.addr;
	s->naddrs = sw->addrs.n;
	make_nat(s, sw);
}

static int
make(struct policy *p, const struct config *c, const bool *joined)
{
	size_t n = 0;
	unsigned i, k;
	int error = 0;

	for (i = 0; i < c->nvms; i++)
		n += c->vm[i].nics.n;
	p->sw = calloc(c->nsws + 1, sizeof(*p->sw));
	p->nic = calloc(n + 1, sizeof(*p->nic));
	if (p->sw == NULL || p->nic == NULL)
		return -ENOMEM;
	for (i = 0; i < c->nsws; i++)
		make_switch(&p->sw[i], c, &c->sw[i],
		    joined != NULL && joined[i]);
	p->fw.nsws = c->nsws;
	for (i = 0; i < c->nvms; i++)
		for (k = 0; k < c->vm[i].nics.n && error == 0; k++)
			error = make_nic(&p->nic[p->fw.nnics++], c, &c->vm[i],
			    k);
	snprintf(p->fw.daemon, sizeof(p->fw.daemon), "%s", c->name);
	p->fw.sw = p->sw;
	p->fw.nic = p->nic;
	return error;
}

int
policy_make(struct policy **pp, const struct config *c,
    const bool *joined)
{
	struct policy *p = calloc(1, sizeof(*p));
	int error;

	if (p == NULL)
		return -ENOMEM;
	error = make(p, c, joined);
	if (error != 0) {
		policy_free(p);
		return error;
	}
	*pp = p;
	return 0;
}

static bool
same_port(const struct fw_publish *a, const struct fw_publish *b)
{
	return a->proto == b->proto && a->port == b->port &&
	    a->has_host == b->has_host &&
	    (!a->has_host || addr_same(&a->host, &b->host));
}

static bool
collide(const struct fw_nic *a, const struct fw_nic *b)
{
	size_t i, k;

	if (memcmp(a->mac, b->mac, sizeof(a->mac)) == 0)
		return true;
	for (i = 0; i < a->naddrs; i++)
		for (k = 0; k < b->naddrs; k++)
			if (addr_same(&a->addrs[i], &b->addrs[k]))
				return true;
	for (i = 0; i < a->npublish; i++)
		for (k = 0; k < b->npublish; k++)
			if (same_port(&a->publish[i], &b->publish[k]))
				return true;
	return false;
}

/* Nothing that it sends is its own, and nothing is for it. */
static void
cut_off(struct fw_nic *n)
{
	ifname_port_mac(n->mac, "~", n->guest, n->number);
	n->locked = true;
	n->naddrs = n->npublish = 0;
	n->in.n = n->out.n = n->host.n = 0;
}

bool
policy_yield(struct policy *p, const char *guest)
{
	bool cut = false;
	size_t i, k;

	for (i = 0; i < p->fw.nnics; i++) {
		if (strcmp(p->nic[i].guest, guest) != 0)
			continue;
		for (k = 0; k < p->fw.nnics; k++)
			if (collide(&p->nic[i], &p->nic[k]) &&
			    strcmp(p->nic[k].guest, guest) != 0)
				break;
		if (k < p->fw.nnics) {
			cut_off(&p->nic[i]);
			cut = true;
		}
	}
	return cut;
}

/* What was made of one is the policy's, whoever may only read it. */
static void
drop(const void *v)
{
	free((void *)(uintptr_t)v);
}

void
policy_free(struct policy *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->fw.nnics; i++) {
		drop(p->nic[i].addrs);
		drop(p->nic[i].publish);
		drop(p->nic[i].in.v);
		drop(p->nic[i].out.v);
		drop(p->nic[i].host.v);
	}
	free(p->nic);
	free(p->sw);
	free(p);
}

const struct fw_policy *
policy_fw(const struct policy *p)
{
	return &p->fw;
}
