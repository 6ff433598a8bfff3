/* SPDX-License-Identifier: ISC */
/*
 * A guest's NICs over its boots: see nics.h.
 */
#include "vmm/nics.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/switch.h"
#include "vmm/config.h"
#include "vmm/firewall.h"
#include "vmm/machine.h"
#include "vmm/network.h"
#include "vmm/nic.h"
#include "vmm/vm.h"

/* One of them, as it is when a boot begins: what the thread needs to know. */
struct nics_one {
	struct nic	*nic;		/* t; l while it is plugged in */
	unsigned	 queues;
	uint16_t	 mtu;
	uint8_t		 mac[6];
	struct port_set	 set;		/* of its switch, if there is one */
};

struct nics {
	char		 vm[VM_NAME_MAX + 1];	/* immutable */
	struct loop	*loop;			/* immutable */
	struct network	*net;			/* immutable */
	unsigned	 n;			/* immutable */
	bool		 plugged;		/* l: not while t is at work */
	struct vm_nics	 now;			/* l */
	struct nics_one	 one[VM_NICS_MAX];
};

static int
nics_create(struct nics **np, const struct vm_env *env,
    const struct vm_config *conf)
{
	struct nics *s;

	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	snprintf(s->vm, sizeof(s->vm), "%s", conf->name);
	s->loop = env->loop;
	s->net = env->net;
	s->n = conf->nics.n;
	*np = s;
	return 0;
}

static void
look_at(struct nics *s, unsigned i, const struct vm_config *conf)
{
	const struct vm_nic *n = &conf->nics.nic[i];
	const struct switch_state *sw = switches_find(network_switches(s->net),
	    n->sw);
	struct nics_one *o = &s->one[i];
	const struct port_set none = { .master = 0 };

	o->queues = (unsigned)(n->queues != 0 ? n->queues : conf->cpus);
	o->mtu = network_mtu(s->net, n);
	nic_mac(o->mac, network_daemon(s->net), s->vm, n, i);
	o->set = sw != NULL ? sw->ports : none;
}

int
nics_begin(struct nics **np, const struct vm_env *env,
    const struct vm_config *conf)
{
	unsigned i;
	int error = 0;

	if (*np == NULL)
		error = nics_create(np, env, conf);
	if (error != 0)
		return error;
	/* Others would be another configuration, with the next start. */
	assert((*np)->n == conf->nics.n);
	(*np)->now = conf->nics;
	for (i = 0; i < (*np)->n; i++)
		look_at(*np, i, conf);
	return 0;
}

/* Whoever shows a message says whose it is. */
static void
cut_name(const struct nics *s, char *err)
{
	char prefix[VM_NAME_MAX + 8];
	size_t n = (size_t)snprintf(prefix, sizeof(prefix), "vm %s: ", s->vm);

	if (strncmp(err, prefix, n) == 0)
		memmove(err, err + n, strlen(err + n) + 1);
}

int
nics_open(struct nics *s, char *err, size_t errlen)
{
	struct nics_one *o;
	struct nic_conf nc;
	unsigned i;
	int error = 0;

	for (i = 0; i < s->n && error == 0; i++) {
		o = &s->one[i];
		if (o->nic != NULL)
			continue;
		nc = (struct nic_conf){
			.daemon = network_daemon(s->net), .vm = s->vm,
			.number = i, .queues = o->queues, .set = o->set,
		};
		error = nic_create(&o->nic, &nc, err, errlen);
	}
	if (error != 0) {
		nics_close(s);
		cut_name(s, err);
	}
	return error;
}

unsigned
nics_devices(const struct nics *s, struct machine_nic_conf *c)
{
	const struct nics_one *o;
	unsigned i;

	for (i = 0; i < s->n; i++, c++) {
		o = &s->one[i];
		c->port = nic_far_end(o->nic);
		c->params.mtu = o->mtu;
		c->params.pairs = o->queues;
		memcpy(c->params.mac, o->mac, sizeof(o->mac));
	}
	return s->n;
}

bool
nics_settled(struct nics *s, struct firewall_wait *w)
{
	return s->n == 0 || firewall_settled(network_firewall(s->net), w);
}

int
nics_plug(struct nics *s, char *err, size_t errlen)
{
	unsigned i;
	int error = 0;

	if (s->n > 0 &&
	    !firewall_covers(network_firewall(s->net), err, errlen))
		return -EIO;
	s->plugged = true;
	for (i = 0; i < s->n && error == 0; i++)
		error = nic_plug(s->one[i].nic, s->loop, s->net,
		    &s->now.nic[i], err, errlen);
	if (error != 0) {
		nics_unplug(s);
		cut_name(s, err);
	}
	return error;
}

bool
nics_get_status(const struct nics *s, unsigned i, struct nic_status *st)
{
	if (i >= s->n)
		return false;
	nic_get_status(s->one[i].nic, st);
	return true;
}

uint16_t
nics_mtu(const struct nics *s, unsigned i)
{
	return network_mtu(s->net, &s->now.nic[i]);
}

unsigned
nics_count(const struct nics *s)
{
	return s->n;
}

void
nics_change(struct nics *s, const struct vm_nics *now)
{
	char err[256];
	unsigned i;

	s->now = *now;
	for (i = 0; s->plugged && i < s->n; i++)
		if (nic_change(s->one[i].nic, &now->nic[i], err,
		    sizeof(err)) != 0)
			log_error("%s", err);
}

void
nics_rest(struct nics *s)
{
	unsigned i;

	for (i = 0; s->plugged && i < s->n; i++)
		if (!nic_rest(s->one[i].nic)) {
			nics_unplug(s);
			return;
		}
}

void
nics_unplug(struct nics *s)
{
	unsigned i;

	for (i = 0; s->plugged && i < s->n; i++)
		nic_unplug(s->one[i].nic);
	s->plugged = false;
}

void
nics_close(struct nics *s)
{
	struct nics_one *o;

	for (o = s->one; o < s->one + s->n; o++) {
		if (o->nic == NULL)
			continue;
		if (s->plugged) {
			nic_drain(o->nic);
		} else {
			nic_destroy(o->nic);
			o->nic = NULL;
		}
	}
}

/* On the loop, which each that is closed holds up by tens of milliseconds. */
static void
cut(struct nics *s)
{
	int index[VM_NICS_MAX];
	unsigned i, n = 0;

	for (i = 0; i < s->n; i++)
		if (s->one[i].nic != NULL)
			index[n++] = nic_index(s->one[i].nic);
	if (n > 1)
		switches_cut(network_switches(s->net), index, n);
}

void
nics_free(struct nics *s)
{
	if (s == NULL)
		return;
	nics_unplug(s);
	cut(s);
	nics_close(s);
	free(s);
}
