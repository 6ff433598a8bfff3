/* SPDX-License-Identifier: ISC */
/*
 * The configuration as an object: see config.h.  What it holds follows the
 * table of keys; the name of a guest, which is no key, stands beside it.
 */
#include "vmm/config.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/config_keys.h"

static void
free_fields(enum section section, void *base)
{
	char **field;
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++) {
		if (config_keys[i].section != section ||
		    !key_is_string(&config_keys[i]))
			continue;
		field = key_field(&config_keys[i], base);
		free(*field);
	}
}

static void
switch_clear(struct config_switch *sw)
{
	free_fields(SECTION_SWITCH, sw);
	free(sw->name);
}

static void
policy_clear(struct config_policy *p)
{
	free_fields(SECTION_POLICY, p);
	free(p->name);
}

static void
vm_config_clear(struct vm_config *c)
{
	unsigned i;

	free_fields(SECTION_VM, c);
	for (i = 0; i < c->ndisks; i++)
		free(c->disk[i].path);
	free(c->name);
	free(c->file);
}

void
config_free(struct config *c)
{
	unsigned i;

	if (c == NULL)
		return;
	for (i = 0; i < c->nvms; i++)
		vm_config_clear(&c->vm[i]);
	free(c->vm);
	for (i = 0; i < c->nsws; i++)
		switch_clear(&c->sw[i]);
	free(c->sw);
	for (i = 0; i < c->npolicies; i++)
		policy_clear(&c->policy[i]);
	free(c->policy);
	free_fields(SECTION_DAEMON, c);
	free(c);
}

void
vm_config_free(struct vm_config *c)
{
	if (c == NULL)
		return;
	vm_config_clear(c);
	free(c);
}

const struct vm_config *
config_find_vm(const struct config *c, const char *name)
{
	unsigned i;

	for (i = 0; i < c->nvms; i++)
		if (strcmp(c->vm[i].name, name) == 0)
			return &c->vm[i];
	return NULL;
}

const struct config_switch *
config_find_switch(const struct config *c, const char *name)
{
	unsigned i;

	for (i = 0; i < c->nsws; i++)
		if (strcmp(c->sw[i].name, name) == 0)
			return &c->sw[i];
	return NULL;
}

const struct config_policy *
config_find_policy(const struct config *c, const char *name)
{
	unsigned i;

	for (i = 0; i < c->npolicies; i++)
		if (strcmp(c->policy[i].name, name) == 0)
			return &c->policy[i];
	return NULL;
}

static bool
string_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* Is the value of one key the same in two structs of its section? */
static bool
key_equal(const struct key *k, const void *a, const void *b)
{
	const void *fa = key_field(k, a), *fb = key_field(k, b);

	switch (k->type) {
	case KEY_NAME:
	case KEY_USER:
	case KEY_PATH:
	case KEY_DIRS:
	case KEY_TEXT:
	case KEY_WORD:
	case KEY_ALLOWS:
		return string_equal(*(char *const *)fa, *(char *const *)fb);
	case KEY_DISKS:
		return disks_equal(a, b);
	case KEY_AFFINITY:
		return affinity_equal(fa, fb);
	case KEY_ADDRS:
	case KEY_HOSTS:
		return addrs_equal(fa, fb);
	case KEY_NICS:
		return nics_equal(fa, fb);
	case KEY_OWNER:
	case KEY_GROUP:
		return memcmp(fa, fb, key_size(k)) == 0;
	case KEY_BOOL:
		return *(const bool *)fa == *(const bool *)fb;
	case KEY_ON_END:
		return *(const enum on_end *)fa ==
		    *(const enum on_end *)fb;
	case KEY_SIZE:
	case KEY_DURATION:
	case KEY_NUMBER:
		return *(const uint64_t *)fa == *(const uint64_t *)fb;
	}
	return false;
}

/* Does a change of the key from `a` to `b` count at once? */
static bool
is_live(const struct key *k, const void *a, const void *b)
{
	if (k->type == KEY_DISKS)
		return disks_alike(a, b);
	if (k->class == CLASS_MIXED)
		return nics_alike(key_field(k, a), key_field(k, b));
	return k->class == CLASS_LIVE;
}

bool
vm_config_equal(const struct vm_config *a, const struct vm_config *b)
{
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++)
		if (config_keys[i].section == SECTION_VM &&
		    !is_live(&config_keys[i], a, b) &&
		    !key_equal(&config_keys[i], a, b))
			return false;
	return strcmp(a->name, b->name) == 0;
}

void
vm_config_set_live(struct vm_config *c, const struct vm_config *from)
{
	const struct key *k;
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++) {
		k = &config_keys[i];
		if (k->section != SECTION_VM || !is_live(k, c, from))
			continue;
		if (k->type == KEY_DISKS)
			disks_set_live(c, from);
		else
			memcpy(key_field(k, c), key_field(k, from),
			    key_size(k));
	}
}

/* The values of a restart-class key change places, strings and all. */
static void
keep_value(const struct key *k, struct config *c, struct config *old)
{
	unsigned char *now = key_field(k, c), *then = key_field(k, old), byte;
	size_t i;

	for (i = 0; i < key_size(k); i++) {
		byte = now[i];
		now[i] = then[i];
		then[i] = byte;
	}
}

static void
print_change(const struct key *k, const void *from, const void *to, bool first,
    struct buf *b)
{
	(void)buf_printf(b, "%s%s ", first ? "" : "; ", k->name);
	(void)key_print(k, from, b);
	(void)buf_printf(b, " -> ");
	(void)key_print(k, to, b);
}

static unsigned
list_changes(enum section section, const void *now, const void *next,
    bool live, struct buf *changes)
{
	const struct key *k;
	unsigned n = 0;
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++) {
		k = &config_keys[i];
		if (k->section == section && is_live(k, now, next) == live &&
		    !key_equal(k, now, next))
			print_change(k, now, next, n++ == 0, changes);
	}
	return n;
}

unsigned
vm_config_changes(const struct vm_config *now, const struct vm_config *next,
    struct buf *changes)
{
	return list_changes(SECTION_VM, now, next, false, changes);
}

unsigned
vm_config_live_changes(const struct vm_config *now,
    const struct vm_config *next, struct buf *changes)
{
	return list_changes(SECTION_VM, now, next, true, changes);
}

unsigned
switch_changes(const struct config_switch *now,
    const struct config_switch *next, struct buf *changes)
{
	return list_changes(SECTION_SWITCH, now, next, true, changes);
}

bool
policy_changed(const struct config_policy *now,
    const struct config_policy *next)
{
	return !string_equal(now->allow, next->allow);
}

bool
config_keep_fixed(struct config *c, struct config *old, struct buf *changes)
{
	const struct key *k;
	bool differ = false;
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++) {
		k = &config_keys[i];
		if (k->section != SECTION_DAEMON ||
		    k->class != CLASS_RESTART || key_equal(k, c, old))
			continue;
		print_change(k, old, c, !differ, changes);
		keep_value(k, c, old);
		differ = true;
	}
	return differ;
}

/* Copies one string; a NULL stays one. */
static bool
dup_string(char **to, const char *from)
{
	*to = from == NULL ? NULL : strdup(from);
	return *to != NULL || from == NULL;
}

/* Those of a section's keys, which `to` has as they are in `from` so far. */
static bool
dup_fields(enum section section, void *to, const void *from)
{
	bool ok = true;
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++)
		if (config_keys[i].section == section &&
		    key_is_string(&config_keys[i]))
			ok &= dup_string(key_field(&config_keys[i], to),
			    *(char *const *)key_field(&config_keys[i], from));
	return ok;
}

/* On failure, too, `d` has nothing of `c`. */
static bool
vm_config_copy(struct vm_config *d, const struct vm_config *c)
{
	unsigned i;
	bool ok;

	*d = *c;
	ok = dup_string(&d->name, c->name);
	ok &= dup_string(&d->file, c->file);
	ok &= dup_fields(SECTION_VM, d, c);
	for (i = 0; i < c->ndisks; i++)
		ok &= dup_string(&d->disk[i].path, c->disk[i].path);
	return ok;
}

struct vm_config *
vm_config_dup(const struct vm_config *c)
{
	struct vm_config *d;

	d = malloc(sizeof(*d));
	if (d == NULL)
		return NULL;
	if (!vm_config_copy(d, c)) {
		vm_config_free(d);
		return NULL;
	}
	return d;
}

static bool
switch_copy(struct config_switch *d, const struct config_switch *sw)
{
	bool ok;

	*d = *sw;
	ok = dup_string(&d->name, sw->name);
	return dup_fields(SECTION_SWITCH, d, sw) && ok;
}

static bool
switches_copy(struct config *d, const struct config *c)
{
	bool ok;

	d->nsws = 0;
	d->sw = calloc(c->nsws + 1, sizeof(*d->sw));
	ok = d->sw != NULL;
	while (ok && d->nsws < c->nsws) {
		ok = switch_copy(&d->sw[d->nsws], &c->sw[d->nsws]);
		d->nsws++;
	}
	return ok;
}

static bool
policy_copy(struct config_policy *d, const struct config_policy *p)
{
	bool ok = dup_string(&d->name, p->name);

	return dup_fields(SECTION_POLICY, d, p) && ok;
}

static bool
policies_copy(struct config *d, const struct config *c)
{
	bool ok;

	d->npolicies = 0;
	d->policy = calloc(c->npolicies + 1, sizeof(*d->policy));
	ok = d->policy != NULL;
	while (ok && d->npolicies < c->npolicies) {
		ok = policy_copy(&d->policy[d->npolicies],
		    &c->policy[d->npolicies]);
		d->npolicies++;
	}
	return ok;
}

struct config *
config_dup_without(const struct config *c, const char *name)
{
	struct config *d = malloc(sizeof(*d));
	unsigned i;
	bool ok;

	if (d == NULL)
		return NULL;
	*d = *c;
	d->nvms = 0;
	d->vm = calloc(c->nvms + 1, sizeof(*d->vm));
	ok = dup_fields(SECTION_DAEMON, d, c) && d->vm != NULL;
	ok &= switches_copy(d, c);
	ok &= policies_copy(d, c);
	for (i = 0; i < c->nvms && ok; i++)
		if (strcmp(c->vm[i].name, name) != 0)
			ok = vm_config_copy(&d->vm[d->nvms++], &c->vm[i]);
	if (!ok) {
		config_free(d);
		return NULL;
	}
	return d;
}
