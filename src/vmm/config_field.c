/* SPDX-License-Identifier: ISC */
/*
 * Reading the configuration: the value of each kind of key.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config_fw.h"
#include "vmm/config_parser.h"
#include "vmm/config_value.h"

#define MIB		(1ull << 20)

static void *
parser_field(struct parser *ps, const struct key *k)
{
	if (k->section == SECTION_DAEMON)
		return key_field(k, ps->conf);
	if (k->section == SECTION_SWITCH)
		return key_field(k, parser_switch(ps));
	if (k->section == SECTION_POLICY)
		return key_field(k, parser_policy(ps));
	return key_field(k, parser_vm(ps));
}

static void
set_string(struct parser *ps, unsigned line, char **field, const char *value)
{
	char *s = strdup(value);

	if (s == NULL) {
		parser_error(ps, line, "out of memory");
		return;
	}
	free(*field);
	*field = s;
}

/* Kept even if it is wrong, so that it is not reported as missing too. */
static void
parse_path(struct parser *ps, unsigned line, const struct key *k,
    const char *value, char **field)
{
	if (*value != '/')
		parser_error(ps, line, "%s: `%s' is not absolute, write the "
		    "whole path from / on", k->name, value);
	else if (strlen(value) > k->max)
		parser_error(ps, line, "%s: path is too long, at most %u bytes",
		    k->name, (unsigned)k->max);
	set_string(ps, line, field, value);
}

/* The index of `value` among the words, or -1 and an error. */
static int
parse_word(struct parser *ps, unsigned line, const char *name,
    const char *const *words, const char *value)
{
	int i = value_word(words, value);
	char list[64];

	if (i >= 0)
		return i;
	value_list_words(words, list, sizeof(list));
	parser_error(ps, line, "%s: unknown value `%s', write one of %s",
	    name, value, list);
	return -1;
}

/* "PATH", then perhaps options, each behind a comma. */
static void
parse_disk(struct parser *ps, unsigned line, const struct key *k, char *value,
    struct vm_disk *disk)
{
	unsigned seen = 0;
	char why[300], *word;

	parse_path(ps, line, k, value_trim(strsep(&value, ",")), &disk->path);
	while ((word = strsep(&value, ",")) != NULL)
		if (disk_option(disk, value_trim(word), &seen, why,
		    sizeof(why)) != 0)
			parser_error(ps, line, "%s: %s", k->name, why);
}

static void
parse_disks(struct parser *ps, unsigned line, const struct key *k,
    const char *value)
{
	struct vm_config *vm = parser_vm(ps);
	struct vm_disk *disk;
	char *copy;

	if (vm->ndisks == VM_DISKS_MAX) {
		parser_error(ps, line, "%s: too many, at most %d in a guest",
		    k->name, VM_DISKS_MAX);
		return;
	}
	disk = &vm->disk[vm->ndisks];
	copy = strdup(value);
	if (copy == NULL) {
		parser_error(ps, line, "out of memory");
		return;
	}
	parse_disk(ps, line, k, copy, disk);
	free(copy);
	if (disk->path == NULL)
		return;
	ps->lines[ps->conf->nvms - 1].disk[vm->ndisks] = line;
	vm->ndisks++;
}

/* One line more, so that the list is one string. */
static void
add_line(struct parser *ps, unsigned line, const struct key *k,
    const char *one, char **field)
{
	char *all = NULL;

	if (*field != NULL && strlen(*field) + 1 + strlen(one) > k->max)
		parser_error(ps, line, "%s: too long, at most %u bytes in all",
		    k->name, (unsigned)k->max);
	else if (asprintf(&all, "%s%s%s", *field == NULL ? "" : *field,
	    *field == NULL ? "" : "\n", one) < 0)
		parser_error(ps, line, "out of memory");
	if (all != NULL) {
		free(*field);
		*field = all;
	}
}

static void
parse_dirs(struct parser *ps, unsigned line, const struct key *k,
    const char *value, char **field)
{
	char *one = NULL;

	parse_path(ps, line, k, value, &one);
	if (one != NULL)
		add_line(ps, line, k, one, field);
	free(one);
}

static void
parse_allows(struct parser *ps, unsigned line, const struct key *k,
    const char *value, char **field)
{
	struct policy_lines *l = &ps->policy_lines[ps->conf->npolicies - 1];
	char why[300];
	struct allow a;

	if (allow_parse(&a, NIC_RULES, value, why, sizeof(why)) != 0) {
		parser_error(ps, line, "%s: %s", k->name, why);
	} else if (l->n == POLICY_ALLOWS_MAX) {
		parser_error(ps, line, "%s: too many, at most %d in a policy",
		    k->name, POLICY_ALLOWS_MAX);
	} else {
		l->allow[l->n++] = line;
		add_line(ps, line, k, value, field);
	}
}

static void
parse_text(struct parser *ps, unsigned line, const struct key *k,
    const char *value, char **field)
{
	char *s;

	if (strlen(*field) + 1 + strlen(value) > k->max) {
		parser_error(ps, line, "%s: too long, at most %u bytes in all",
		    k->name, (unsigned)k->max);
		return;
	}
	if (asprintf(&s, "%s%s%s", *field, **field == '\0' ? "" : " ",
	    value) < 0) {
		parser_error(ps, line, "out of memory");
		return;
	}
	free(*field);
	*field = s;
}

static void
parse_name(struct parser *ps, unsigned line, const struct key *k,
    const char *value, char **field)
{
	bool under = k->type == KEY_USER && *value == '_';

	if (!value_is_name(value + under) || strlen(value) > k->max)
		parser_error(ps, line, "%s: `%s' is no name, write a letter or "
		    "digit, then letters, digits, `.', `-', `_', at most %u "
		    "in all", k->name, value, (unsigned)k->max);
	else
		set_string(ps, line, field, value);
}

static void
parse_addrs(struct parser *ps, unsigned line, const struct key *k,
    const char *value, struct config_addrs *field)
{
	char why[300];

	if (addrs_add(field, value, k->type == KEY_ADDRS, (unsigned)k->max,
	    why, sizeof(why)) != 0)
		parser_error(ps, line, "%s: %s", k->name, why);
	else if (k->type == KEY_ADDRS)
		ps->switch_lines[ps->conf->nsws - 1].addr[field->n - 1] = line;
}

static void
parse_nics(struct parser *ps, unsigned line, const struct key *k,
    const char *value, struct vm_nics *field)
{
	char why[450];

	if (nics_add(field, value, why, sizeof(why)) != 0)
		parser_error(ps, line, "%s: %s", k->name, why);
	else
		ps->lines[ps->conf->nvms - 1].nic[field->n - 1] = line;
}

/* What a number of each kind is called, and looks like. */
static const struct {
	const char	*what;
	const char	*advice;
} number_kinds[] = {
	[KEY_SIZE] = { "size", "a number and K, M, G or T" },
	[KEY_DURATION] = { "duration", "a number and ms, s, m or h" },
	[KEY_NUMBER] = { "number", "digits only" },
};

static void
parse_number(struct parser *ps, unsigned line, const struct key *k,
    const char *value, uint64_t *field)
{
	const struct value_unit *units = key_units(k);
	char min[32], max[32];
	uint64_t v = 0;
	int ret;

	ret = value_parse(value, units, &v);
	value_format(min, sizeof(min), units, k->min);
	value_format(max, sizeof(max), units, k->max);
	if (ret == -EINVAL)
		parser_error(ps, line, "%s: `%s' is no %s, write %s", k->name,
		    value, number_kinds[k->type].what,
		    number_kinds[k->type].advice);
	else if (ret != 0 || v < k->min || v > k->max)
		parser_error(ps, line, "%s: `%s' is out of range, write %s to "
		    "%s", k->name, value, min, max);
	else if (k->type == KEY_SIZE && v % MIB != 0)
		parser_error(ps, line, "%s: `%s' is no multiple of 1M", k->name,
		    value);
	else
		*field = v;
}

static void
parse_owner(struct parser *ps, unsigned line, const struct key *k,
    const char *value, struct owner *field)
{
	bool group = k->type == KEY_GROUP;
	int ret = owner_parse(value, group, field);

	if (ret == -ENOENT)
		parser_error(ps, line, "%s: `%s': no such %s on this host",
		    k->name, value, group ? "group" : "user or group");
	else if (ret != 0)
		parser_error(ps, line, "%s: `%s' is no owner, write USER, "
		    "USER:GROUP or :GROUP", k->name, value);
}

static void
parse_affinity(struct parser *ps, unsigned line, const struct key *k,
    const char *value, struct affinity *field)
{
	char why[160];

	if (affinity_add(field, value, why, sizeof(why)) != 0)
		parser_error(ps, line, "%s: %s", k->name, why);
}

void
parser_value(struct parser *ps, unsigned line, const struct key *k,
    const char *value)
{
	void *field = parser_field(ps, k);
	int i;

	switch (k->type) {
	case KEY_NAME:
	case KEY_USER:
		parse_name(ps, line, k, value, field);
		break;
	case KEY_PATH:
		parse_path(ps, line, k, value, field);
		break;
	case KEY_DIRS:
		parse_dirs(ps, line, k, value, field);
		break;
	case KEY_ALLOWS:
		parse_allows(ps, line, k, value, field);
		break;
	case KEY_DISKS:
		parse_disks(ps, line, k, value);
		break;
	case KEY_TEXT:
		parse_text(ps, line, k, value, field);
		break;
	case KEY_AFFINITY:
		parse_affinity(ps, line, k, value, field);
		break;
	case KEY_ADDRS:
	case KEY_HOSTS:
		parse_addrs(ps, line, k, value, field);
		break;
	case KEY_NICS:
		parse_nics(ps, line, k, value, field);
		break;
	case KEY_WORD:
		if (parse_word(ps, line, k->name, k->words, value) >= 0)
			set_string(ps, line, field, value);
		break;
	case KEY_OWNER:
	case KEY_GROUP:
		parse_owner(ps, line, k, value, field);
		break;
	case KEY_BOOL:
		*(bool *)field = parse_word(ps, line, k->name, k->words,
		    value) == 1;
		break;
	case KEY_ON_END:
		i = parse_word(ps, line, k->name, k->words, value);
		if (i >= 0)
			*(enum on_end *)field = i;
		break;
	case KEY_SIZE:
	case KEY_DURATION:
	case KEY_NUMBER:
		parse_number(ps, line, k, value, field);
		break;
	}
}
