/* SPDX-License-Identifier: ISC */
/*
 * The loop on which a tool's disks work: see image_work.h.
 */
#include "vmm/image_work.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "devices/aio.h"
#include "devices/disk_tables.h"

#define TICK_SECONDS	0.2
#define BAR_WIDTH	30
#define NS_PER_S	UINT64_C(1000000000)

static void
work_signalled(struct ev_loop *ev, ev_signal *s, int revents)
{
	struct image_work *w = s->data;

	(void)ev;
	(void)revents;
	w->caught = s->signum;
}

static void
work_show(struct image_work *w)
{
	static const char full[] = "##############################";
	uint64_t ns = loop_now_ns() - w->began;
	uint64_t mib = w->done >> 20, all = w->total != 0 ? w->total : 1;
	int part = (int)(w->done / (double)all * BAR_WIDTH);

	if (part > BAR_WIDTH)
		part = BAR_WIDTH;
	fprintf(stderr, "\r[%.*s%*s] %3d %% of %" PRIu64 " MiB, %" PRIu64
	    " MiB/s ", part, full, BAR_WIDTH - part, "",
	    (int)(w->done / (double)all * 100), w->total >> 20,
	    ns != 0 ? (uint64_t)((double)mib * NS_PER_S / (double)ns) : 0);
	w->shown = true;
}

static void
work_tick(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct image_work *w = t->data;

	(void)ev;
	(void)revents;
	/* Before that is known, a new image's tables are made. */
	if (w->total != 0)
		work_show(w);
}

static void
work_start_watchers(struct image_work *w)
{
	static const int signals[IMAGE_SIGNALS] = { SIGINT, SIGTERM, SIGHUP };
	struct ev_loop *ev = loop_ev(w->loop);
	unsigned i;

	for (i = 0; i < IMAGE_SIGNALS; i++) {
		ev_signal_init(&w->signal[i], work_signalled, signals[i]);
		w->signal[i].data = w;
		ev_signal_start(ev, &w->signal[i]);
	}
	ev_timer_init(&w->tick, work_tick, TICK_SECONDS, TICK_SECONDS);
	w->tick.data = w;
	if (w->shows)
		ev_timer_start(ev, &w->tick);
}

int
image_work_begin(struct image_work *w, bool bar)
{
	int error;

	memset(w, 0, sizeof(*w));
	w->shows = bar && isatty(STDERR_FILENO);
	w->loop = loop_create();
	if (w->loop == NULL)
		return -ENOMEM;
	/* What is copied from and to the host's cache, many can copy. */
	w->aio = aio_create(w->loop, "threads");
	if (w->aio == NULL) {
		error = -errno;
		goto fail_aio;
	}
	w->tables = disk_tables_create(DISK_TABLES_BYTES);
	if (w->tables == NULL) {
		error = -ENOMEM;
		goto fail_tables;
	}
	w->began = loop_now_ns();
	work_start_watchers(w);
	return 0;

fail_tables:
	aio_destroy(w->aio);
fail_aio:
	loop_destroy(w->loop);
	return error;
}

void
image_work_end(struct image_work *w)
{
	struct ev_loop *ev = loop_ev(w->loop);
	unsigned i;

	if (w->shown) {
		work_show(w);
		fputc('\n', stderr);
	}
	ev_timer_stop(ev, &w->tick);
	for (i = 0; i < IMAGE_SIGNALS; i++)
		ev_signal_stop(ev, &w->signal[i]);
	disk_tables_destroy(w->tables);
	aio_destroy(w->aio);
	loop_destroy(w->loop);
}

bool
image_work_ends(struct image_work *w)
{
	/* What came since the loop last ran is a watcher's to see, too. */
	ev_run(loop_ev(w->loop), EVRUN_NOWAIT);
	return w->caught != 0;
}

/* A request that the loop runs for alone. */
struct work_req {
	struct image_work *w;
	struct disk_req	 req;
	int		 res;
};

static void
work_done(struct disk_req *req, int res)
{
	struct work_req *r = (struct work_req *)((char *)req -
	    offsetof(struct work_req, req));

	r->res = res;
	loop_break(r->w->loop);
}

int
image_work_do(struct image_work *w, struct disk *d, struct disk_req *req)
{
	struct work_req r = { .w = w, .req = *req };

	r.req.done = work_done;
	disk_submit(d, &r.req);
	loop_run(w->loop);
	return r.res;
}

int
image_work_detach(struct image_work *w, struct disk *d)
{
	struct disk_req req = { .op = DISK_DETACH };

	return image_work_do(w, d, &req);
}

int
image_work_close(struct image_work *w, struct disk *d, bool lasts)
{
	struct disk_req req = { .op = DISK_FLUSH };
	int error = 0, detached;

	if (lasts)
		error = image_work_do(w, d, &req);
	detached = image_work_detach(w, d);
	disk_close(d);
	return error != 0 ? error : detached;
}
