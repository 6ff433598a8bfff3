/* SPDX-License-Identifier: ISC */
/*
 * Reload: see reload.h.  The new configuration is whole and checked before
 * anything is touched.
 */
#include "vmm/reload.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "vmm/config.h"
#include "vmm/vm_table.h"

static void
remove_gone(struct vm_table *vt, const struct config *c)
{
	struct vm_entry *e;

	for (e = vm_table_first(vt); e != NULL; e = e->next)
		if (!e->removing && config_find_vm(c, vm_entry_name(e)) == NULL)
			vm_table_remove(vt, e);
}

void
reload_apply(struct vm_table *vt, const struct config *c)
{
	struct vm_entry *e;
	unsigned i;
	int ret;

	vm_table_set_stagger(vt, c->stagger, c->parallel);
	remove_gone(vt, c);
	for (i = 0; i < c->nvms; i++) {
		e = vm_table_find(vt, c->vm[i].name);
		if (e != NULL)
			ret = vm_table_update(vt, e, &c->vm[i]);
		else
			ret = vm_table_add(vt, &c->vm[i]);
		if (ret != 0)
			log_error("vm %s: cannot be configured: %s",
			    c->vm[i].name, strerror(-ret));
	}
}

/* One message a line. */
static void
log_lines(struct buf *b)
{
	char *p, *end;

	while (b->len > 0) {
		p = buf_head(b);
		end = memchr(p, '\n', b->len);
		if (end == NULL)
			return;
		log_error("%.*s", (int)(end - p), p);
		buf_consume(b, end - p + 1);
	}
}

struct config *
reload_read(const char *path)
{
	struct config *c;
	struct buf errors;

	buf_init(&errors, CONFIG_ERRORS_MAX);
	c = config_read(path, &errors);
	log_lines(&errors);
	buf_free(&errors);
	return c;
}

static bool
keep_fixed(struct config *c, struct config *old)
{
	struct buf changes;
	bool differ;

	buf_init(&changes, CONFIG_CHANGES_MAX);
	differ = config_keep_fixed(c, old, &changes);
	if (differ)
		log_warn("daemon: changed: restart required: %.*s",
		    (int)changes.len, buf_head(&changes));
	buf_free(&changes);
	return differ;
}

int
reload_file(struct vm_table *vt, struct config **conf, const char *path,
    bool *restart_required)
{
	struct config *c;

	c = reload_read(path);
	if (c == NULL) {
		log_error("daemon: %s: not reloaded", path);
		return -EINVAL;
	}
	*restart_required = keep_fixed(c, *conf);
	reload_apply(vt, c);
	config_free(*conf);
	*conf = c;
	log_info("daemon: %s: reloaded", path);
	return 0;
}
