/* SPDX-License-Identifier: ISC */
/*
 * What the configuration names on this host, as `vmmd -n` looks at it: see
 * config.h.
 */
#include <net/if.h>

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "net/addr.h"
#include "vmm/config.h"
#include "vmm/config_fw.h"

/* A file that some disk is made of; one that writes it, if there is any. */
struct image {
	struct disk_seen	 seen;		/* its path: a copy */
	const struct vm_config	*vm;
	const struct vm_disk	*disk;
};

/* A look at all disks, one after the other. */
struct look {
	struct disk_look	 head;
	const struct confine	*in;
	const struct vm_config	*vm;		/* whose disk it is now */
	const struct vm_disk	*disk;
	void			*images;	/* a tree, by file */
	struct buf		*warnings;
};

static void
check_file(const struct confine *in, const struct vm_config *vm,
    const char *key, const char *path, int mode, struct buf *warnings)
{
	int ret;

	if (path == NULL)
		return;
	ret = confine_access(in, path, mode);
	if (ret != 0)
		(void)buf_printf(warnings, "warning: vm %s: %s %s: %s\n",
		    vm->name, key, path, confine_strerror(-ret));
}

static int
image_compare(const void *a, const void *b)
{
	const struct disk_seen *x = &((const struct image *)a)->seen;
	const struct disk_seen *y = &((const struct image *)b)->seen;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

static void
image_free(void *p)
{
	struct image *image = p;

	free((char *)(uintptr_t)image->seen.path);
	free(image);
}

/* Is it what the configuration names, and not what that one names? */
static bool
image_is_named(const struct image *image)
{
	return strcmp(image->seen.path, image->disk->path) == 0;
}

/* Two that the locks would keep from running at the same time. */
static void
warn_of_two(const struct image *first, const struct image *second,
    struct buf *warnings)
{
	(void)buf_printf(warnings, "warning: vm %s: disk %s: ",
	    second->vm->name, second->disk->path);
	if (!image_is_named(second))
		(void)buf_printf(warnings, "%s: ", second->seen.path);
	if (!image_is_named(first))
		(void)buf_printf(warnings, "is what disk %s of [vm %s] stands "
		    "on already", first->disk->path, first->vm->name);
	else
		(void)buf_printf(warnings, "is the disk of [vm %s] already",
		    first->vm->name);
	if (strcmp(first->seen.path, second->seen.path) != 0)
		(void)buf_printf(warnings, ", by another name, %s",
		    first->seen.path);
	(void)buf_printf(warnings, "\n");
}

/* Looks for the file among those of the disks before. */
static void
look_at_file(struct disk_look *head, const struct disk_seen *seen)
{
	struct look *l = (struct look *)head;
	struct image *image = malloc(sizeof(*image)), **there;
	char *path = strdup(seen->path);

	if (image == NULL || path == NULL)
		goto out;
	*image = (struct image){ *seen, l->vm, l->disk };
	image->seen.path = path;
	there = tsearch(image, &l->images, image_compare);
	if (there == NULL)
		goto out;
	if (*there == image)
		return;
	if ((*there)->seen.written || seen->written)
		warn_of_two(*there, image, l->warnings);
	if (!(*there)->seen.written && seen->written) {
		image_free(*there);
		*there = image;
		return;
	}
out:
	free(path);
	free(image);
}

/* White space in a name is mostly what was meant to be something else. */
static bool
is_no_name(const struct look *l, const char *path)
{
	return strpbrk(path, " \t") != NULL &&
	    confine_access(l->in, path, F_OK) == -ENOENT;
}

/* What the start would say of the image, which a guest may have open now. */
static void
check_disk(struct look *l, const struct vm_disk *d)
{
	struct disk_how how = d->how;
	struct disk *image;
	char err[512];

	l->disk = d;
	how.look = &l->head;
	image = disk_open(l->in, d->path, &how, err, sizeof(err));
	if (image == NULL)
		(void)buf_printf(l->warnings, "warning: vm %s: %s%s\n",
		    l->vm->name, err, is_no_name(l, d->path) ? " (options "
		    "follow a comma, comments begin with `;')" : "");
	else if (disk_info(image)->size == 0)
		(void)buf_printf(l->warnings, "warning: vm %s: disk %s: is "
		    "empty\n", l->vm->name, d->path);
	disk_close(image);
}

void
config_check_files(const struct config *c, struct buf *warnings)
{
	struct look l = { .head.file = look_at_file, .warnings = warnings };
	struct confine *in;
	const struct vm_config *vm;
	char err[512];
	unsigned i;

	if (confine_create(&in, c->path, err, sizeof(err)) != 0) {
		(void)buf_printf(warnings, "warning: %s\n", err);
		return;
	}
	l.in = in;
	for (vm = c->vm; vm < c->vm + c->nvms; vm++) {
		check_file(in, vm, "kernel", vm->kernel, R_OK, warnings);
		check_file(in, vm, "initrd", vm->initrd, R_OK, warnings);
		l.vm = vm;
		for (i = 0; i < vm->ndisks; i++)
			check_disk(&l, &vm->disk[i]);
	}
	tdestroy(l.images, image_free);
	confine_destroy(in);
}

static void
check_interface(const struct config_switch *sw, const char *key,
    const char *name, struct buf *warnings)
{
	if (name != NULL && if_nametoindex(name) == 0)
		(void)buf_printf(warnings, "warning: switch %s: %s %s: %s\n",
		    sw->name, key, name, strerror(errno));
}

void
config_check_switches(const struct config *c, struct buf *warnings)
{
	const struct config_switch *sw;
	uint32_t number;

	for (sw = c->sw; sw < c->sw + c->nsws; sw++) {
		check_interface(sw, "uplink", sw->uplink, warnings);
		check_interface(sw, "vrf", sw->vrf, warnings);
		if (sw->nat != NULL && strcmp(sw->nat, "auto") != 0 &&
		    strcmp(sw->nat, "no") != 0)
			check_interface(sw, "nat", sw->nat, warnings);
		if (sw->group != NULL && os_group(sw->group, &number) != 0)
			(void)buf_printf(warnings, "warning: switch %s: group "
			    "%s: there is none\n", sw->name, sw->group);
		/* A bridge of others may have its own DHCP server. */
		if (sw->addrs.n == 0 && sw->uplink == NULL &&
		    sw->bridge == NULL)
			(void)buf_printf(warnings, "warning: switch %s: "
			    "neither address nor uplink: its guests get no "
			    "address\n", sw->name);
	}
}

static bool
is_switch_address(const struct config *c, const struct os_addr *a)
{
	unsigned i, k;

	for (i = 0; i < c->nsws; i++)
		for (k = 0; k < c->sw[i].addrs.n; k++)
			if (addr_same(&c->sw[i].addrs.addr[k], a))
				return true;
	return false;
}

static bool
is_host_address(const struct os_view *v, const struct os_addr *a)
{
	size_t i;

	for (i = 0; i < v->naddrs; i++)
		if (addr_same(&v->addrs[i].addr, a))
			return true;
	return false;
}

/* Addresses of the host that ports are published at, of one NIC. */
static void
check_published(const struct config *c, const struct vm_config *vm,
    unsigned nic, const struct os_view *v, struct buf *warnings)
{
	char value[NIC_RULES_TEXT], text[ADDR_TEXT];
	struct fw_publish p;
	unsigned i;

	for (i = 0; nic_rule_get(&vm->nics.nic[nic], NIC_PUBLISH, i, value);
	    i++)
		if (publish_parse(&p, value, NULL, 0) == 0 && p.has_host &&
		    !is_switch_address(c, &p.host) &&
		    !is_host_address(v, &p.host)) {
			(void)buf_printf(warnings, "warning: vm %s nic %u: "
			    "publish: this host has no address %s\n", vm->name,
			    nic, addr_net_text(&p.host, text));
		}
}

/* Could it have an IPv4 address?  Not on a switch of IPv6 alone. */
static bool
wants_ipv4(const struct config_switch *sw)
{
	return sw->uplink != NULL || sw->addrs.n == 0 ||
	    switch_subnet(sw, 0) != NULL;
}

static void
check_locked(const struct config *c, const struct vm_config *vm,
    unsigned nic, struct buf *warnings)
{
	const struct config_switch *sw =
	    config_find_switch(c, vm->nics.nic[nic].sw);
	struct os_addr a[POLICY_ADDRS_MAX];
	unsigned n, i;

	if (!vm->nics.nic[nic].locked || sw == NULL || !wants_ipv4(sw))
		return;
	n = policy_addrs(c, vm, nic, a);
	for (i = 0; i < n; i++)
		if (!a[i].ipv6)
			return;
	(void)buf_printf(warnings, "warning: vm %s nic %u: locked, and no "
	    "IPv4 address is known: it can send none; add address=\n",
	    vm->name, nic);
}

void
config_check_nics(const struct config *c, struct buf *warnings)
{
	struct os_view v = { .naddrs = 0 };
	const struct vm_config *vm;
	struct os *os = NULL;
	bool known;
	unsigned i;

	/* Where nobody can say what addresses there are, none is missing. */
	known = os_open(&os) == 0 && os_view_get(os, &v) == 0;
	for (vm = c->vm; vm < c->vm + c->nvms; vm++)
		for (i = 0; i < vm->nics.n; i++) {
			if (known)
				check_published(c, vm, i, &v, warnings);
			check_locked(c, vm, i, warnings);
		}
	os_view_free(&v);
	os_close(os);
}
