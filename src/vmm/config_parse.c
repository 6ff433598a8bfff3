/* SPDX-License-Identifier: ISC */
/*
 * Reading the configuration: values are checked as they come, what concerns
 * several of them at the end.  Nothing stops at the first error, so that all
 * are listed; a configuration with errors is never handed out.
 */
#include "vmm/config.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config_ini.h"
#include "vmm/config_keys.h"
#include "vmm/config_parser.h"
#include "vmm/config_value.h"
#include "vmm/statedir.h"

#define NOT_GIVEN	UINT64_MAX	/* of a duration */

static const char *const section_names[] = {
	[SECTION_DAEMON] = "daemon",
	[SECTION_SWITCH] = "switch",
	[SECTION_POLICY] = "policy",
	[SECTION_VM] = "vm",
};

void
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
const char *
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

struct vm_config *
parser_vm(struct parser *ps)
{
	return &ps->conf->vm[ps->conf->nvms - 1];
}

static void
unknown_key(struct parser *ps, unsigned line, const char *name)
{
	const struct key *near = key_nearest(ps->section, name);
	enum section s = SECTION_DAEMON;

	while (s <= SECTION_VM && key_find(s, name) == NULL)
		s++;
	if (s <= SECTION_VM)
		parser_error(ps, line, "unknown key `%s' in [%s], it belongs "
		    "in [%s]", name, section_names[ps->section],
		    section_names[s]);
	else if (near != NULL)
		parser_error(ps, line, "unknown key `%s' in [%s], did you mean "
		    "`%s'?", name, section_names[ps->section], near->name);
	else if (ps->section == SECTION_POLICY)
		parser_error(ps, line, "unknown key `%s': a policy has only "
		    "`allow'; what is not allowed is blocked", name);
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
		    "write [daemon], [policy NAME], [switch NAME] or [vm NAME] "
		    "above it", name);
	if (ps->section <= SECTION_UNKNOWN)
		return;
	if (ps->section == SECTION_POLICY)
		ps->policy_lines[ps->conf->npolicies - 1].tried = true;
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
	if (ps->section == SECTION_SWITCH)
		ps->switch_lines[ps->conf->nsws - 1].key[k - config_keys] =
		    line;
	if (*value == '\0')
		parser_error(ps, line, "%s: no value, write %s = ...", name,
		    name);
	else
		parser_value(ps, line, k, value);
}

/* What the keys of a section are before the file has its say. */
static void
set_defaults(struct parser *ps, enum section section)
{
	const struct key *k;

	for (k = config_keys; k < config_keys + CONFIG_NKEYS; k++)
		if (k->section == section && k->def != NULL)
			parser_value(ps, 0, k, k->def);
}

/* Room for one guest more, and for some to come. */
static bool
grow_vms(struct parser *ps)
{
	unsigned room = ps->conf->nvms + ps->conf->nvms / 2 + 1;
	struct vm_config *vm;
	struct vm_lines *lines;

	if (ps->conf->nvms < ps->room)
		return true;
	vm = reallocarray(ps->conf->vm, room, sizeof(*vm));
	if (vm != NULL)
		ps->conf->vm = vm;
	lines = reallocarray(ps->lines, room, sizeof(*lines));
	if (lines != NULL)
		ps->lines = lines;
	if (vm == NULL || lines == NULL)
		return false;
	ps->room = room;
	return true;
}

static void
add_vm(struct parser *ps, unsigned line, const char *name)
{
	struct config *c = ps->conf;
	char *own_name = strdup(name), *cmdline = strdup("");
	char *file = strdup(ps->path);

	if (!grow_vms(ps) || own_name == NULL || cmdline == NULL ||
	    file == NULL) {
		free(file);
		free(own_name);
		free(cmdline);
		parser_error(ps, line, "out of memory");
		return;
	}
	ps->section = SECTION_VM;
	ps->lines[c->nvms] = (struct vm_lines){ .section = line };
	c->vm[c->nvms++] = (struct vm_config){
		.name = own_name,
		.file = file,
		.cmdline = cmdline,
		.stop_timeout = NOT_GIVEN,
	};
	set_defaults(ps, SECTION_VM);
}

struct config_switch *
parser_switch(struct parser *ps)
{
	return &ps->conf->sw[ps->conf->nsws - 1];
}

static void
add_switch(struct parser *ps, unsigned line, const char *name)
{
	struct config *c = ps->conf;
	struct config_switch *sw;
	struct switch_lines *lines;
	char *own_name = strdup(name);

	sw = reallocarray(c->sw, c->nsws + 1, sizeof(*sw));
	if (sw != NULL)
		c->sw = sw;
	lines = reallocarray(ps->switch_lines, c->nsws + 1, sizeof(*lines));
	if (lines != NULL)
		ps->switch_lines = lines;
	if (sw == NULL || lines == NULL || own_name == NULL) {
		free(own_name);
		parser_error(ps, line, "out of memory");
		return;
	}
	ps->section = SECTION_SWITCH;
	lines[c->nsws] = (struct switch_lines){ .section = line };
	sw[c->nsws++] = (struct config_switch){ .name = own_name };
	set_defaults(ps, SECTION_SWITCH);
}

/*
 * The switch that needs no section, if guest `vm` is plugged into it.  Its line
 * is that guest's.
 */
static bool
add_local(struct parser *ps, unsigned vm)
{
	const struct vm_nics *nics = &ps->conf->vm[vm].nics;
	unsigned i = 0, before = ps->conf->nsws;

	while (i < nics->n && strcmp(nics->nic[i].sw, SWITCH_LOCAL) != 0)
		i++;
	if (i == nics->n ||
	    config_find_switch(ps->conf, SWITCH_LOCAL) != NULL)
		return false;
	add_switch(ps, ps->lines[vm].nic[i], SWITCH_LOCAL);
	if (ps->conf->nsws == before)
		return false;
	parser_value(ps, 0, key_find(SECTION_SWITCH, "address"),
	    SWITCH_LOCAL_ADDRESS);
	parser_value(ps, 0, key_find(SECTION_SWITCH, "isolate"), "yes");
	return true;
}

/* A guest with the switches that are there because of it. */
static void
check_guest(struct parser *ps, unsigned vm)
{
	ps->path = ps->conf->vm[vm].file;
	if (add_local(ps, vm))
		parser_check_switch(ps, ps->conf->nsws - 1);
	parser_check_vm(ps, vm);
}

static void
on_switch(struct parser *ps, unsigned line, const char *name)
{
	const struct config_switch *first;

	if (*name == '\0') {
		parser_error(ps, line, "[switch]: a switch needs a name, "
		    "write [switch NAME]");
		return;
	}
	first = config_find_switch(ps->conf, name);
	if (!value_is_name(name) || strlen(name) > VM_NAME_MAX)
		parser_error(ps, line, "[switch %s]: no valid name, write a "
		    "letter or digit, then letters, digits, `.', `-', `_', at "
		    "most %d in all", name, VM_NAME_MAX);
	else if (first != NULL)
		parser_error(ps, line, "[switch %s]: given twice, first on "
		    "line %u", name,
		    ps->switch_lines[first - ps->conf->sw].section);
	else if (ps->conf->nsws == CONFIG_SWITCHES_MAX)
		parser_error(ps, line, "[switch %s]: too many switches, at "
		    "most %d", name, CONFIG_SWITCHES_MAX);
	else
		add_switch(ps, line, name);
}

struct config_policy *
parser_policy(struct parser *ps)
{
	return &ps->conf->policy[ps->conf->npolicies - 1];
}

static void
add_policy(struct parser *ps, unsigned line, const char *name)
{
	struct config *c = ps->conf;
	struct config_policy *p;
	struct policy_lines *lines;
	char *own_name = strdup(name);

	p = reallocarray(c->policy, c->npolicies + 1, sizeof(*p));
	if (p != NULL)
		c->policy = p;
	lines = reallocarray(ps->policy_lines, c->npolicies + 1,
	    sizeof(*lines));
	if (lines != NULL)
		ps->policy_lines = lines;
	if (p == NULL || lines == NULL || own_name == NULL) {
		free(own_name);
		parser_error(ps, line, "out of memory");
		return;
	}
	ps->section = SECTION_POLICY;
	lines[c->npolicies] = (struct policy_lines){ .section = line };
	p[c->npolicies++] = (struct config_policy){ .name = own_name };
}

static void
on_policy(struct parser *ps, unsigned line, const char *name)
{
	const struct config_policy *first =
	    config_find_policy(ps->conf, name);

	if (*name == '\0')
		parser_error(ps, line, "[policy]: a policy needs a name, "
		    "write [policy NAME]");
	else if (!value_is_name(name) || strlen(name) > VM_NAME_MAX)
		parser_error(ps, line, "[policy %s]: no valid name, write a "
		    "letter or digit, then letters, digits, `.', `-', `_', at "
		    "most %d in all", name, VM_NAME_MAX);
	else if (first != NULL)
		parser_error(ps, line, "[policy %s]: given twice, first on "
		    "line %u", name,
		    ps->policy_lines[first - ps->conf->policy].section);
	else if (ps->conf->npolicies == CONFIG_POLICIES_MAX)
		parser_error(ps, line, "[policy %s]: too many policies, at "
		    "most %d", name, CONFIG_POLICIES_MAX);
	else
		add_policy(ps, line, name);
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
	} else if (strcmp(kind, section_names[SECTION_SWITCH]) == 0) {
		on_switch(ps, line, name);
	} else if (strcmp(kind, section_names[SECTION_POLICY]) == 0) {
		on_policy(ps, line, name);
	} else if (strcmp(kind, section_names[SECTION_DAEMON]) == 0 &&
	    *name == '\0') {
		if (ps->daemon_line != 0)
			parser_error(ps, line, "[daemon]: given twice, first "
			    "on line %u", ps->daemon_line);
		ps->daemon_line = line;
		ps->section = SECTION_DAEMON;
	} else {
		parser_error(ps, line, "unknown section [%s%s%s], write "
		    "[daemon], [policy NAME], [switch NAME] or [vm NAME]",
		    kind, *name == '\0' ? "" : " ", name);
	}
}

static void
on_error(void *cookie, unsigned line, const char *text)
{
	parser_error(cookie, line, "%s", text);
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

	ps->main_path = path;
	set_defaults(ps, SECTION_DAEMON);
	ret = parse_file(ps, f, path, NULL);
	ret = ret ?: set_derived(ps->conf);
	ret = ret ?: parse_state(ps);
	set_stop_timeouts(ps->conf);
	ps->path = path;
	for (i = 0; i < ps->conf->nsws && ret == 0; i++)
		parser_check_switch(ps, i);
	for (i = 0; i < ps->conf->nvms && ret == 0; i++)
		check_guest(ps, i);
	ps->path = path;
	for (i = 0; i < ps->conf->npolicies && ret == 0; i++)
		parser_check_policy(ps, i);
	ret = ret ?: parser_claim(ps);
	for (i = 0; i < ps->conf->nvms && ret == 0; i++)
		parser_check_rules(ps, i);
	return ret;
}

/* An error as it was found, and its line; of other files: the last of all. */
struct error {
	unsigned	 line, found;
	const char	*text;
	size_t		 len;
};

static int
compare_errors(const void *va, const void *vb)
{
	const struct error *a = va, *b = vb;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->found < b->found ? -1 : 1;
}

/*
 * Puts errors in the order of the file's lines: `text`, of `len` bytes, in
 * place.  Without memory they stay as they are.
 */
static void
sort_errors(char *text, size_t len, const char *path)
{
	struct error *e = calloc(len + 1, sizeof(*e));
	char *copy = strndup(text, len), *at = copy;
	size_t skip = strlen(path);
	unsigned n = 0, i;

	for (; e != NULL && copy != NULL && *at != '\0'; at += e[n++].len) {
		e[n].text = at;
		e[n].found = n;
		e[n].len = strcspn(at, "\n");
		e[n].len += at[e[n].len] != '\0';
		if (strncmp(at, path, skip) != 0 ||
		    sscanf(at + skip, ":%u:", &e[n].line) != 1)
			e[n].line = UINT_MAX;
	}
	if (n > 0)
		qsort(e, n, sizeof(*e), compare_errors);
	for (i = 0; i < n; text += e[i++].len)
		memcpy(text, e[i].text, e[i].len);
	free(copy);
	free(e);
}

struct config *
config_read(const char *path, struct buf *errors)
{
	struct parser ps = { .path = path, .errors = errors };
	size_t before = errors->len;
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
	free(ps.switch_lines);
	free(ps.policy_lines);
	parser_free_claims(&ps);
	if (errors->len > before)
		sort_errors(buf_head(errors) + before, errors->len - before,
		    path);
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
		check_guest(ps, before);
	ret = ret ?: parser_claim(ps);
	if (ret == 0 && ps->conf->nvms > before)
		parser_check_rules(ps, before);
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
	ps.switch_lines = calloc(c->nsws + 1, sizeof(*ps.switch_lines));
	ps.room = c->nvms + 1;
	if (ps.conf == NULL || ps.lines == NULL || ps.switch_lines == NULL)
		ret = -ENOMEM;
	else if (text != NULL)
		ret = parse_request(&ps, name, file, text);
	free(ps.lines);
	free(ps.switch_lines);
	parser_free_claims(&ps);
	if (ret != 0)
		(void)buf_printf(errors, "%s\n", strerror(-ret));
	if (ret != 0 || ps.nerrors > 0) {
		config_free(ps.conf);
		return NULL;
	}
	return ps.conf;
}
