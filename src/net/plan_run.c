/* SPDX-License-Identifier: ISC */
/*
 * Running a plan: see plan.h.
 */
#include "net/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static int
step_set(const struct plan_step *s, struct os *o, bool forth)
{
	struct os_value v = forth ? s->to : s->from;

	v.text = forth ? s->text : s->old_text;
	if (forth && s->ref != NULL)
		v.number = (uint32_t)*s->ref;
	return os_link_set(o, *s->index, s->attr, &v);
}

static int
step_vlan(const struct plan_step *s, struct os *o, bool forth)
{
	uint32_t vlan = forth ? s->to.number : s->from.number;

	return os_vlan_set(o, *s->index, (uint16_t)vlan, s->tagged, s->self);
}

static int
step_do(struct plan_step *s, struct os *o)
{
	switch (s->op) {
	case PLAN_CREATE:
		return os_bridge_create(o, s->name, s->to.mac, s->index);
	case PLAN_SET:
		return step_set(s, o, true);
	case PLAN_ADDR:
		return os_addr_set(o, *s->index, &s->addr, s->on);
	case PLAN_VLAN:
		return step_vlan(s, o, true);
	case PLAN_DELETE:
		break;
	}
	return 0;
}

/* All but what was created, which goes at once in the end. */
static void
step_undo(const struct plan_step *s, struct os *o)
{
	int error = 0;

	if (s->op == PLAN_SET)
		error = step_set(s, o, false);
	else if (s->op == PLAN_ADDR)
		error = os_addr_set(o, *s->index, &s->addr, !s->on);
	else if (s->op == PLAN_VLAN)
		error = step_vlan(s, o, false);
	if (error != 0)
		log_warn("%s: not as it was: %s", s->what, strerror(-error));
}

/* Deletes what steps of one kind among the first n name. */
static int
plan_delete(const struct plan *p, size_t n, enum plan_op op, struct os *o)
{
	size_t i, count = 0;
	int *index, error;

	index = calloc(n + 1, sizeof(*index));
	if (index == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if (p->steps[i].op == op)
			index[count++] = *p->steps[i].index;
	error = os_links_delete(o, index, count);
	free(index);
	return error;
}

static void
plan_undo(struct plan *p, size_t n, struct os *o)
{
	size_t i;
	int error;

	for (i = n; i-- > 0;)
		step_undo(&p->steps[i], o);
	error = plan_delete(p, n, PLAN_CREATE, o);
	if (error != 0)
		log_warn("bridges: not deleted: %s", strerror(-error));
	for (i = 0; i < n; i++)
		if (p->steps[i].op == PLAN_CREATE)
			*p->steps[i].index = 0;
}

int
plan_run(struct plan *p, struct os *o, char *err, size_t errlen)
{
	const char *what = "network";
	int error = p->error;
	size_t i = 0;

	while (error == 0 && i < p->n) {
		what = p->steps[i].what;
		error = step_do(&p->steps[i], o);
		if (error == 0)
			i++;
	}
	if (error == 0) {
		error = plan_delete(p, p->n, PLAN_DELETE, o);
		what = "bridges of old";
	}
	if (error == 0)
		return 0;
	plan_undo(p, i, o);
	snprintf(err, errlen, "%s: %s", what, strerror(-error));
	return error;
}
