/* SPDX-License-Identifier: ISC */
/*
 * Reading the configuration: values are checked as they come, what concerns
 * several of them at the end.  Nothing stops at the first error, so that all
 * are listed; a configuration with errors is never handed out.
 */
#include "vmm/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "vmm/config_ini.h"
#include "vmm/config_keys.h"
#include "vmm/config_value.h"
#include "vmm/statedir.h"

#define MIB		(1ull << 20)
#define NOT_GIVEN	UINT64_MAX	/* of a duration */
#define PLACE_MAX	300

static const char *const section_names[] = {
	[SECTION_DAEMON] = "daemon",
	[SECTION_VM] = "vm",
};

/* Where things were found, for messages; one beside each vm_config. */
struct vm_lines {
	unsigned	section;
	unsigned	key[CONFIG_NKEYS];
	unsigned	disk[VM_DISKS_MAX];
};

struct parser {
	const char	*path;		/* of what is being read */
	const char	*only;		/* guest that may stand there, or NULL */
	bool		 request;	/* nobody knows lines in it */
	struct buf	*errors;
	unsigned	 nerrors;
	struct config	*conf;
	struct vm_lines	*lines;		/* of conf->vm[] */
	enum section	 section;
	unsigned	 daemon_line;	/* of [daemon], 0 if there is none */
	unsigned	 seen[CONFIG_NKEYS];	/* line, in this section */
};

static void parser_error(struct parser *, unsigned, const char *, ...)
    __attribute__((__format__(__printf__, 3, 4)));

static void
parser_error(struct parser *ps, unsigned line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ps->nerrors++;
	/* Past the buffer's limit there are errors enough to begin with. */
	if (ps->request)
		(void)buf_printf(ps->errors, "%s\n", text);
	else
		(void)buf_printf(ps->errors, "%s:%u: %s\n", ps->path, line,
		    text);
}

/* Where something of a guest stands, as seen from what is being read. */
static const char *
parser_place(struct parser *ps, const char *file, unsigned line, char *p,
    size_t size)
{
	bool same = strcmp(file, ps->path) == 0;

	if (same && ps->request)
		snprintf(p, size, "in this request");
	else if (same)
		snprintf(p, size, "on line %u", line);
	else if (line == 0)
		snprintf(p, size, "in %s", file);
	else
		snprintf(p, size, "in %s:%u", file, line);
	return p;
}

static struct vm_config *
parser_vm(struct parser *ps)
{
	return &ps->conf->vm[ps->conf->nvms - 1];
}

static void *
parser_field(struct parser *ps, const struct key *k)
{
	if (k->section == SECTION_DAEMON)
		return key_field(k, ps->conf);
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

/* Cuts blanks off the end, and skips those at the beginning. */
static char *
trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	for (n = strlen(s); n > 0 && strchr(" \t", s[n - 1]) != NULL; n--)
		s[n - 1] = '\0';
	return s;
}

static bool
parse_disk_option(const char *word, struct disk_how *how)
{
	if (strcmp(word, "readonly") == 0)
		how->readonly = true;
	else if (strcmp(word, "cache=none") == 0)
		how->cache = DISK_NONE;
	else if (strcmp(word, "cache=writeback") == 0)
		how->cache = DISK_WRITEBACK;
	else if (strcmp(word, "cache=writethrough") == 0)
		how->cache = DISK_WRITETHROUGH;
	else
		return false;
	return true;
}

/* "PATH", then perhaps options, each behind a comma. */
static void
parse_disk(struct parser *ps, unsigned line, const struct key *k, char *value,
    struct vm_disk *disk)
{
	char *word;

	parse_path(ps, line, k, trim(strsep(&value, ",")), &disk->path);
	while ((word = strsep(&value, ",")) != NULL) {
		word = trim(word);
		if (!parse_disk_option(word, &disk->how))
			parser_error(ps, line, "%s: unknown option `%s', "
			    "write readonly or cache=none, writeback or "
			    "writethrough; no path has a comma", k->name,
			    word);
	}
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
parse_dirs(struct parser *ps, unsigned line, const struct key *k,
    const char *value, char **field)
{
	char *one = NULL, *all = NULL;

	parse_path(ps, line, k, value, &one);
	if (one == NULL)
		return;
	if (*field != NULL && strlen(*field) + 1 + strlen(one) > k->max)
		parser_error(ps, line, "%s: too long, at most %u bytes in all",
		    k->name, (unsigned)k->max);
	else if (asprintf(&all, "%s%s%s", *field == NULL ? "" : *field,
	    *field == NULL ? "" : "\n", one) < 0)
		parser_error(ps, line, "out of memory");
	free(one);
	if (all != NULL) {
		free(*field);
		*field = all;
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

/* The index of `value` among the key's words, or -1 and an error. */
static int
parse_word(struct parser *ps, unsigned line, const struct key *k,
    const char *value)
{
	char list[64] = "";
	size_t n = 0;
	int i;

	for (i = 0; k->words[i] != NULL; i++) {
		if (strcmp(k->words[i], value) == 0)
			return i;
		n += snprintf(list + n, sizeof(list) - n, "%s%s",
		    i == 0 ? "" : ", ", k->words[i]);
	}
	parser_error(ps, line, "%s: unknown value `%s', write one of %s",
	    k->name, value, list);
	return -1;
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

static void
parse_value(struct parser *ps, unsigned line, const struct key *k,
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
	case KEY_DISKS:
		parse_disks(ps, line, k, value);
		break;
	case KEY_TEXT:
		parse_text(ps, line, k, value, field);
		break;
	case KEY_AFFINITY:
		parse_affinity(ps, line, k, value, field);
		break;
	case KEY_WORD:
		if (parse_word(ps, line, k, value) >= 0)
			set_string(ps, line, field, value);
		break;
	case KEY_OWNER:
	case KEY_GROUP:
		parse_owner(ps, line, k, value, field);
		break;
	case KEY_BOOL:
		*(bool *)field = parse_word(ps, line, k, value) == 1;
		break;
	case KEY_ON_END:
		i = parse_word(ps, line, k, value);
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

static void
unknown_key(struct parser *ps, unsigned line, const char *name)
{
	const struct key *near = key_nearest(ps->section, name);

	if (near != NULL)
		parser_error(ps, line, "unknown key `%s' in [%s], did you mean "
		    "`%s'?", name, section_names[ps->section], near->name);
	else
		parser_error(ps, line, "unknown key `%s' in [%s], see "
		    "vmmd.conf(5)", name, section_names[ps->section]);
}

static void
on_value(void *cookie, unsigned line, const char *name, const char *value)
{
	struct parser *ps = cookie;
	const struct key *k;
	char place[PLACE_MAX];
	unsigned *seen;

	if (ps->section == SECTION_START)
		parser_error(ps, line, "`%s' stands before the first section, "
		    "write [daemon] or [vm NAME] above it", name);
	if (ps->section <= SECTION_UNKNOWN)
		return;
	k = key_find(ps->section, name);
	if (k == NULL) {
		unknown_key(ps, line, name);
		return;
	}
	seen = &ps->seen[k - config_keys];
	if (*seen != 0 && !key_repeats(k)) {
		parser_error(ps, line, "%s: given twice, first %s", name,
		    parser_place(ps, ps->path, *seen, place, sizeof(place)));
		return;
	}
	*seen = line;
	if (ps->section == SECTION_VM)
		ps->lines[ps->conf->nvms - 1].key[k - config_keys] = line;
	if (*value == '\0')
		parser_error(ps, line, "%s: no value, write %s = ...", name,
		    name);
	else
		parse_value(ps, line, k, value);
}

/* What the keys of a section are before the file has its say. */
static void
set_defaults(struct parser *ps, enum section section)
{
	const struct key *k;

	for (k = config_keys; k < config_keys + CONFIG_NKEYS; k++)
		if (k->section == section && k->def != NULL)
			parse_value(ps, 0, k, k->def);
}

static void
add_vm(struct parser *ps, unsigned line, const char *name)
{
	struct config *c = ps->conf;
	struct vm_config *vm;
	struct vm_lines *lines;

	char *own_name = strdup(name), *cmdline = strdup("");
	char *file = strdup(ps->path);

	vm = reallocarray(c->vm, c->nvms + 1, sizeof(*vm));
	if (vm != NULL)
		c->vm = vm;
	lines = reallocarray(ps->lines, c->nvms + 1, sizeof(*lines));
	if (lines != NULL)
		ps->lines = lines;
	if (vm == NULL || lines == NULL || own_name == NULL ||
	    cmdline == NULL || file == NULL) {
		free(file);
		free(own_name);
		free(cmdline);
		parser_error(ps, line, "out of memory");
		return;
	}
	ps->section = SECTION_VM;
	lines[c->nvms] = (struct vm_lines){ .section = line };
	vm[c->nvms++] = (struct vm_config){
		.name = own_name,
		.file = file,
		.cmdline = cmdline,
		.stop_timeout = NOT_GIVEN,
	};
	set_defaults(ps, SECTION_VM);
}

static void
on_vm(struct parser *ps, unsigned line, const char *name)
{
	const struct vm_config *first = config_find_vm(ps->conf, name);
	char place[PLACE_MAX];

	if (*name == '\0')
		parser_error(ps, line, "[vm]: a guest needs a name, write "
		    "[vm NAME]");
	else if (!value_is_name(name) || strlen(name) > VM_NAME_MAX)
		parser_error(ps, line, "[vm %s]: no valid name, write a letter "
		    "or digit, then letters, digits, `.', `-', `_', at most %d "
		    "in all", name, VM_NAME_MAX);
	else if (first != NULL)
		parser_error(ps, line, "[vm %s]: given twice, first %s", name,
		    parser_place(ps, first->file,
		    ps->lines[first - ps->conf->vm].section, place,
		    sizeof(place)));
	if (ps->conf->nvms == CONFIG_VMS_MAX)
		parser_error(ps, line, "[vm %s]: too many guests, at most %d",
		    name, CONFIG_VMS_MAX);
	else
		add_vm(ps, line, name);
}

static void
on_section(void *cookie, unsigned line, const char *kind, const char *name)
{
	struct parser *ps = cookie;

	memset(ps->seen, 0, sizeof(ps->seen));
	ps->section = SECTION_UNKNOWN;
	if (ps->only != NULL && (strcmp(kind, section_names[SECTION_VM]) != 0 ||
	    strcmp(name, ps->only) != 0))
		parser_error(ps, line, "only [vm %s] may stand here",
		    ps->only);
	else if (strcmp(kind, section_names[SECTION_VM]) == 0) {
		on_vm(ps, line, name);
	} else if (strcmp(kind, section_names[SECTION_DAEMON]) == 0 &&
	    *name == '\0') {
		if (ps->daemon_line != 0)
			parser_error(ps, line, "[daemon]: given twice, first "
			    "on line %u", ps->daemon_line);
		ps->daemon_line = line;
		ps->section = SECTION_DAEMON;
	} else {
		parser_error(ps, line, "unknown section [%s%s%s], write "
		    "[daemon] or [vm NAME]", kind, *name == '\0' ? "" : " ",
		    name);
	}
}

static void
on_error(void *cookie, unsigned line, const char *text)
{
	parser_error(cookie, line, "%s", text);
}

/* Looks for the disk in what stands before it. */
static void
check_disk(struct parser *ps, unsigned vm, unsigned disk)
{
	const struct config *c = ps->conf;
	const struct vm_disk *d = &c->vm[vm].disk[disk], *other;
	char place[PLACE_MAX];
	unsigned i, k, n;

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

static void
check_vm(struct parser *ps, unsigned i)
{
	const struct vm_config *vm = &ps->conf->vm[i];
	unsigned k;

	ps->path = vm->file;
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
}

/* What follows the daemon's name or the host unless it is given. */
static int
set_derived(struct config *c)
{
	if (c->memory == 0)
		c->memory = (uint64_t)sysconf(_SC_PHYS_PAGES) *
		    (uint64_t)sysconf(_SC_PAGESIZE);
	if (c->name == NULL)
		return 0;
	if (c->socket == NULL &&
	    asprintf(&c->socket, "/run/%s.sock", c->name) < 0) {
		c->socket = NULL;
		return -ENOMEM;
	}
	if (c->state == NULL &&
	    asprintf(&c->state, "/var/lib/%s", c->name) < 0) {
		c->state = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* A guest's time to stop is the daemon's unless it is given. */
static void
set_stop_timeouts(struct config *c)
{
	unsigned i;

	for (i = 0; i < c->nvms; i++)
		if (c->vm[i].stop_timeout == NOT_GIVEN)
			c->vm[i].stop_timeout = c->stop_timeout;
}

/* Takes what a file holds; `only` is the guest it may be about, or NULL. */
static int
parse_file(struct parser *ps, FILE *f, const char *path, const char *only)
{
	struct ini_sink sink = {
		.section = on_section,
		.value = on_value,
		.error = on_error,
		.cookie = ps,
	};

	ps->path = path;
	ps->only = only;
	ps->section = SECTION_START;
	return ini_read(f, &sink);
}

static int
parse_guest(struct parser *ps, const char *name)
{
	char *path = statedir_path(ps->conf->state, name);
	unsigned before = ps->conf->nvms;
	FILE *f;
	int ret;

	if (path == NULL)
		return -ENOMEM;
	f = statedir_open(path);
	ret = f == NULL ? -errno : parse_file(ps, f, path, name);
	if (f != NULL)
		fclose(f);
	if (ret == 0 && ps->conf->nvms == before && ps->nerrors == 0)
		parser_error(ps, 1, "no [vm %s] here", name);
	if (ret != 0) {
		ps->nerrors++;
		(void)buf_printf(ps->errors, "%s: %s\n", path,
		    strerror(-ret));
	}
	free(path);
	return 0;
}

/* The guests of the state directory. */
static int
parse_state(struct parser *ps)
{
	char **names, **p;
	int ret;

	if (ps->conf->state == NULL)
		return 0;
	ret = statedir_list(ps->conf->state, &names);
	if (ret != 0) {
		ps->nerrors++;
		(void)buf_printf(ps->errors, "%s: %s; [daemon] state names "
		    "another directory\n", ps->conf->state, strerror(-ret));
		return 0;
	}
	for (p = names; p != NULL && *p != NULL && ret == 0; p++)
		ret = parse_guest(ps, *p);
	statedir_free_list(names);
	return ret;
}

static int
parse_all(struct parser *ps, FILE *f, const char *path)
{
	unsigned i;
	int ret;

	set_defaults(ps, SECTION_DAEMON);
	ret = parse_file(ps, f, path, NULL);
	ret = ret ?: set_derived(ps->conf);
	ret = ret ?: parse_state(ps);
	set_stop_timeouts(ps->conf);
	for (i = 0; i < ps->conf->nvms && ret == 0; i++)
		check_vm(ps, i);
	return ret;
}

struct config *
config_read(const char *path, struct buf *errors)
{
	struct parser ps = { .path = path, .errors = errors };
	FILE *f;
	int ret;

	f = fopen(path, "re");
	if (f == NULL) {
		(void)buf_printf(errors, "%s: %s%s\n", path, strerror(errno),
		    errno == ENOENT ? "; -f names another" : "");
		return NULL;
	}
	ps.conf = calloc(1, sizeof(*ps.conf));
	ret = ps.conf == NULL ? -ENOMEM : parse_all(&ps, f, path);
	fclose(f);
	free(ps.lines);
	if (ret != 0)
		(void)buf_printf(errors, "%s: %s\n", path, strerror(-ret));
	if (ret != 0 || ps.nerrors > 0) {
		config_free(ps.conf);
		return NULL;
	}
	return ps.conf;
}

/* The one section of a request. */
static int
parse_request(struct parser *ps, const char *name, const char *file,
    struct buf *text)
{
	unsigned before = ps->conf->nvms;
	FILE *f;
	int ret;

	ps->request = true;
	f = fmemopen(buf_head(text), text->len, "r");
	if (f == NULL)
		return -errno;
	ret = parse_file(ps, f, file, name);
	fclose(f);
	set_stop_timeouts(ps->conf);
	if (ret == 0 && ps->conf->nvms > before)
		check_vm(ps, before);
	return ret;
}

struct config *
config_with(const struct config *c, const char *name, const char *file,
    struct buf *text, struct buf *errors)
{
	struct parser ps = { .errors = errors };
	int ret = 0;

	ps.conf = config_dup_without(c, name);
	ps.lines = calloc(c->nvms + 1, sizeof(*ps.lines));
	if (ps.conf == NULL || ps.lines == NULL)
		ret = -ENOMEM;
	else if (text != NULL)
		ret = parse_request(&ps, name, file, text);
	free(ps.lines);
	if (ret != 0)
		(void)buf_printf(errors, "%s\n", strerror(-ret));
	if (ret != 0 || ps.nerrors > 0) {
		config_free(ps.conf);
		return NULL;
	}
	return ps.conf;
}
