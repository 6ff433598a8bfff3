/* SPDX-License-Identifier: ISC */
/*
 * vCPUs and the CPUs they may run on: see affinity.h.
 */
#include "vmm/affinity.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/thread.h"
#include "vmm/hv.h"

#define NUMBER_MAX	100000u	/* larger ones are read as this */

/* Takes a number from *p. */
static bool
take_number(const char **p, unsigned *val)
{
	const char *s = *p;
	unsigned n = 0;

	if (!isdigit((unsigned char)*s))
		return false;
	for (; isdigit((unsigned char)*s); s++)
		if (n < NUMBER_MAX)
			n = 10 * n + (unsigned)(*s - '0');
	*p = s;
	*val = n < NUMBER_MAX ? n : NUMBER_MAX;
	return true;
}

/* "N" or "N-M". */
static bool
take_range(const char **p, unsigned *first, unsigned *last)
{
	if (!take_number(p, first))
		return false;
	*last = *first;
	if (**p != '-')
		return true;
	(*p)++;
	return take_number(p, last) && *last >= *first;
}

static int
fail(const char *value, char *err, size_t errlen)
{
	snprintf(err, errlen, "`%s' is no affinity, write VCPU:CPUS as in "
	    "0:2-3,8 or all:0-7", value);
	return -EINVAL;
}

static int
take_vcpus(const char **p, struct affinity_row *row, const char *value,
    char *err, size_t errlen)
{
	unsigned first, last;

	if (strncmp(*p, "all", 3) == 0) {
		*p += 3;
		row->first_vcpu = row->last_vcpu = AFFINITY_ALL;
		return 0;
	}
	if (!take_range(p, &first, &last))
		return fail(value, err, errlen);
	if (last >= HV_VCPUS_MAX) {
		snprintf(err, errlen, "`%s': there is no vCPU %u, they are 0 "
		    "to %u", value, last, HV_VCPUS_MAX - 1);
		return -ERANGE;
	}
	row->first_vcpu = (uint8_t)first;
	row->last_vcpu = (uint8_t)last;
	return 0;
}

static int
take_cpus(struct affinity *a, const char **p, struct affinity_row row,
    const char *value, char *err, size_t errlen)
{
	unsigned first, last;

	if (!take_range(p, &first, &last))
		return fail(value, err, errlen);
	if (last >= thread_cpus()) {
		snprintf(err, errlen, "`%s': this host has no CPU %u, they are "
		    "0 to %u", value, last, thread_cpus() - 1);
		return -ERANGE;
	}
	if (a->n == AFFINITY_MAX) {
		snprintf(err, errlen, "too many ranges, at most %d in a guest",
		    AFFINITY_MAX);
		return -ENOSPC;
	}
	row.first_cpu = (uint16_t)first;
	row.last_cpu = (uint16_t)last;
	a->row[a->n++] = row;
	return 0;
}

int
affinity_add(struct affinity *a, const char *value, char *err, size_t errlen)
{
	struct affinity_row row;
	const char *p = value;
	int error;

	error = take_vcpus(&p, &row, value, err, errlen);
	if (error != 0)
		return error;
	if (*p != ':')
		return fail(value, err, errlen);
	do {
		p++;
		error = take_cpus(a, &p, row, value, err, errlen);
		if (error != 0)
			return error;
	} while (*p == ',');
	return *p == '\0' ? 0 : fail(value, err, errlen);
}

static bool
same_vcpus(const struct affinity_row *a, const struct affinity_row *b)
{
	return a->first_vcpu == b->first_vcpu && a->last_vcpu == b->last_vcpu;
}

bool
affinity_equal(const struct affinity *a, const struct affinity *b)
{
	unsigned i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!same_vcpus(&a->row[i], &b->row[i]) ||
		    a->row[i].first_cpu != b->row[i].first_cpu ||
		    a->row[i].last_cpu != b->row[i].last_cpu)
			return false;
	return true;
}

static int
print_range(struct buf *b, unsigned first, unsigned last)
{
	return first == last ? buf_printf(b, "%u", first) :
	    buf_printf(b, "%u-%u", first, last);
}

int
affinity_print(const struct affinity *a, struct buf *b)
{
	const struct affinity_row *r;
	int ret = 0;

	if (a->n == 0)
		return buf_printf(b, "-");
	for (r = a->row; r < a->row + a->n && ret == 0; r++) {
		if (r > a->row && same_vcpus(r, r - 1)) {
			ret = buf_printf(b, ",");
		} else {
			ret = buf_printf(b, "%s", r > a->row ? ", " : "");
			if (ret == 0 && r->first_vcpu == AFFINITY_ALL)
				ret = buf_printf(b, "all");
			else if (ret == 0)
				ret = print_range(b, r->first_vcpu,
				    r->last_vcpu);
			ret = ret ?: buf_printf(b, ":");
		}
		ret = ret ?: print_range(b, r->first_cpu, r->last_cpu);
	}
	return ret;
}

static bool
row_names(const struct affinity_row *r, unsigned vcpu)
{
	return r->first_vcpu <= vcpu && vcpu <= r->last_vcpu;
}

/* The number that rows for this vCPU go by: its own, or AFFINITY_ALL. */
static unsigned
rows_of(const struct affinity *a, unsigned vcpu)
{
	unsigned i;

	for (i = 0; i < a->n; i++)
		if (row_names(&a->row[i], vcpu))
			return vcpu;
	return AFFINITY_ALL;
}

static bool
is_pinned(const struct affinity *a, unsigned who)
{
	unsigned i;

	for (i = 0; i < a->n; i++)
		if (row_names(&a->row[i], who))
			return true;
	return false;
}

int
affinity_print_vcpu(const struct affinity *a, unsigned vcpu, struct buf *b)
{
	unsigned who = rows_of(a, vcpu), i;
	bool first = true;
	int ret = 0;

	for (i = 0; i < a->n && ret == 0; i++) {
		if (!row_names(&a->row[i], who))
			continue;
		ret = buf_printf(b, "%s", first ? "" : ",");
		ret = ret ?: print_range(b, a->row[i].first_cpu,
		    a->row[i].last_cpu);
		first = false;
	}
	return first ? buf_printf(b, "-") : ret;
}

int
affinity_last_vcpu(const struct affinity *a)
{
	int last = -1;
	unsigned i;

	for (i = 0; i < a->n; i++)
		if (a->row[i].first_vcpu != AFFINITY_ALL &&
		    a->row[i].last_vcpu > last)
			last = a->row[i].last_vcpu;
	return last;
}

struct place {
	const struct affinity	*a;
	unsigned		 who;
};

static bool
allows(const void *cookie, unsigned cpu)
{
	const struct place *p = cookie;
	const struct affinity_row *r;
	unsigned i;

	for (i = 0; i < p->a->n; i++) {
		r = &p->a->row[i];
		if (row_names(r, p->who) && r->first_cpu <= cpu &&
		    cpu <= r->last_cpu)
			return true;
	}
	return false;
}

int
affinity_apply(const struct affinity *a, unsigned vcpu, pthread_t thread,
    bool again)
{
	const struct place p = { .a = a, .who = rows_of(a, vcpu) };

	if (is_pinned(a, p.who))
		return thread_pin(thread, allows, &p);
	return again ? thread_pin(thread, NULL, NULL) : 0;
}
