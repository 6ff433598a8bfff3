/* SPDX-License-Identifier: ISC */
/*
 * A system of which we know nothing: see os.h.  It has no interfaces for us,
 * and cannot make any.
 */
#include "net/os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int
os_open(struct os **op)
{
	(void)op;
	return -EOPNOTSUPP;
}

void
os_close(struct os *o)
{
	(void)o;
}

void
os_host(char *out, size_t size)
{
	snprintf(out, size, "%s", "");
}

int
os_view_get(struct os *o, struct os_view *v)
{
	(void)o;
	memset(v, 0, sizeof(*v));
	return -EOPNOTSUPP;
}

void
os_view_free(struct os_view *v)
{
	(void)v;
}

int
os_group(const char *text, uint32_t *number)
{
	(void)text;
	(void)number;
	return -EOPNOTSUPP;
}

int
os_bridge_create(struct os *o, const char *name, const uint8_t mac[6],
    int *index)
{
	(void)o;
	(void)name;
	(void)mac;
	(void)index;
	return -EOPNOTSUPP;
}

int
os_link_set(struct os *o, int index, enum os_attr attr,
    const struct os_value *v)
{
	(void)o;
	(void)index;
	(void)attr;
	(void)v;
	return -EOPNOTSUPP;
}

int
os_links_delete(struct os *o, const int *index, size_t n)
{
	(void)o;
	(void)index;
	return n == 0 ? 0 : -EOPNOTSUPP;
}

int
os_addr_set(struct os *o, int index, const struct os_addr *a, bool on)
{
	(void)o;
	(void)index;
	(void)a;
	(void)on;
	return -EOPNOTSUPP;
}

int
os_vlan_set(struct os *o, int index, uint16_t vlan, bool tagged, bool self)
{
	(void)o;
	(void)index;
	(void)vlan;
	(void)tagged;
	(void)self;
	return -EOPNOTSUPP;
}

int
os_tap_create(const char *name, unsigned n, int *fds, int *index)
{
	(void)name;
	(void)n;
	(void)fds;
	(void)index;
	return -EOPNOTSUPP;
}

int
os_tap_direct(struct os *o, int index)
{
	(void)o;
	(void)index;
	return -EOPNOTSUPP;
}

int
os_tap_queue(int fd, bool on)
{
	(void)fd;
	(void)on;
	return -EOPNOTSUPP;
}

int
os_tap_offload(int fd, unsigned flags)
{
	(void)fd;
	return flags == 0 ? 0 : -EOPNOTSUPP;
}

unsigned
os_tap_offloads(int fd)
{
	(void)fd;
	return 0;
}

int
os_tap_carrier(int fd, bool on)
{
	(void)fd;
	(void)on;
	return -EOPNOTSUPP;
}

int
os_watch_start(struct os_watch **wp, struct loop *loop,
    void (*fn)(void *cookie, const struct os_link *l), void *cookie)
{
	(void)wp;
	(void)loop;
	(void)fn;
	(void)cookie;
	return -EOPNOTSUPP;
}

void
os_watch_stop(struct os_watch *w)
{
	(void)w;
}

int
os_watch_ask(struct os_watch *w, int index)
{
	(void)w;
	(void)index;
	return -EOPNOTSUPP;
}
