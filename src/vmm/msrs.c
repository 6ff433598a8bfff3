/* SPDX-License-Identifier: ISC */
/*
 * Accesses to unknown MSRs: see msrs.h.
 */
#include "vmm/msrs.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "vmm/hv.h"

int
msrs_init(struct msrs *m, const char *name, bool ignore)
{
	memset(m, 0, sizeof(*m));
	m->name = name;
	m->ignore = ignore;
	return -pthread_mutex_init(&m->mtx, NULL);
}

void
msrs_destroy(struct msrs *m)
{
	pthread_mutex_destroy(&m->mtx);
}

static bool
was_logged(const struct msrs *m, uint32_t index)
{
	unsigned i;

	for (i = 0; i < m->nlogged; i++)
		if (m->logged[i] == index)
			return true;
	return false;
}

/* Is it to be logged, and has not been? */
static bool
is_new(struct msrs *m, uint32_t index)
{
	bool new;

	pthread_mutex_lock(&m->mtx);
	new = m->nlogged < MSRS_LOGGED_MAX && !was_logged(m, index);
	if (new)
		m->logged[m->nlogged++] = index;
	pthread_mutex_unlock(&m->mtx);
	return new;
}

void
msrs_access(struct msrs *m, const struct hv_exit *e)
{
	const char *end = "#GP";

	*e->msr.fault = !m->ignore;
	if (m->ignore && !e->msr.write)
		memset(e->msr.data, 0, sizeof(uint64_t));
	if (!is_new(m, e->msr.index))
		return;
	if (m->ignore)
		end = e->msr.write ? "ignored" : "zero";
	log_info("vm %s: unknown MSR %#" PRIx32 " %s: %s", m->name,
	    e->msr.index, e->msr.write ? "written" : "read", end);
}
