/* SPDX-License-Identifier: ISC */
/*
 * Reading the configuration: what concerns several values, looked at when all
 * are known.
 */
#include <string.h>

#include "base/confine.h"
#include "vmm/config_parser.h"

/* Looks for the disk in what stands before it. */
static void
check_disk(struct parser *ps, unsigned vm, unsigned disk)
{
	const struct config *c = ps->conf;
	const struct vm_disk *d = &c->vm[vm].disk[disk], *other;
	char place[PLACE_MAX];
	unsigned i, k, n;

	if (d->policy.burst != 0 && d->policy.bytes == 0 &&
	    d->policy.requests == 0)
		parser_error(ps, ps->lines[vm].disk[disk], "disk: burst is "
		    "given, but no limit, add limit or requests or leave it "
		    "out");
	for (i = 0; i <= vm; i++) {
		n = i == vm ? disk : c->vm[i].ndisks;
		for (k = 0; k < n; k++) {
			other = &c->vm[i].disk[k];
			if (strcmp(other->path, d->path) != 0 ||
			    (other->how.readonly && d->how.readonly))
				continue;
			parser_error(ps, ps->lines[vm].disk[disk], "disk: "
			    "`%s' is a disk of [vm %s] already, %s", d->path,
			    c->vm[i].name, parser_place(ps, c->vm[i].file,
			    ps->lines[i].disk[k], place, sizeof(place)));
			return;
		}
	}
}

static void
check_place(struct parser *ps, unsigned line, const char *key,
    const char *path)
{
	if (path != NULL && *path == '/' &&
	    !confine_covers(ps->conf->path, path))
		parser_error(ps, line, "%s: `%s' lies outside of [daemon] "
		    "path, move it or add its directory there", key, path);
}

/* Where a guest's files lie, once it is known where they may. */
static void
check_places(struct parser *ps, unsigned vm)
{
	const struct vm_config *v = &ps->conf->vm[vm];
	const struct vm_lines *lines = &ps->lines[vm];
	unsigned i;

	if (ps->conf->path == NULL)
		return;
	for (i = 0; i < CONFIG_NKEYS; i++)
		if (config_keys[i].section == SECTION_VM &&
		    config_keys[i].type == KEY_PATH)
			check_place(ps, lines->key[i], config_keys[i].name,
			    *(char *const *)key_field(&config_keys[i], v));
	for (i = 0; i < v->ndisks; i++)
		check_place(ps, lines->disk[i], "disk",
		    v->disk[i].path);
}

void
parser_check_vm(struct parser *ps, unsigned i)
{
	const struct vm_config *vm = &ps->conf->vm[i];
	unsigned k;

	check_places(ps, i);
	if (vm->kernel == NULL && *vm->name != '\0')
		parser_error(ps, ps->lines[i].section, "[vm %s]: no kernel, "
		    "add kernel = /path/of/bzImage", vm->name);
	if (affinity_last_vcpu(&vm->affinity) >= (int)vm->cpus)
		parser_error(ps, ps->lines[i].section, "[vm %s]: cpu-affinity "
		    "names vCPU %d, of %u by cpus", vm->name,
		    affinity_last_vcpu(&vm->affinity), (unsigned)vm->cpus);
	for (k = 0; k < vm->ndisks; k++)
		check_disk(ps, i, k);
	parser_check_nics(ps, i);
}
