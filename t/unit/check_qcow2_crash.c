/* SPDX-License-Identifier: ISC */
/*
 * qcow2 images when the power fails, or the daemon is killed: whatever of
 * what was not flushed is there or not, in any order, by sectors, the tables
 * are sound but for leaks, and each sector has what was flushed or something
 * written since.  With a barrier taken out, that does not hold: which is how
 * this test shows that it would see it.
 *
 * LOOPS in the environment is the number of power cuts and that of kills, by
 * default 120 and 60.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "devices/disk_qcow2.h"
#include "q2rig.h"

#define CUTS		120u
#define KILLS		60u
#define CUTS_A_RUN	8
#define SECTORS		4096u
#define SIZE		(SECTORS * 512u)
#define HISTORY		96u
#define DEPTH		6
#define FLUSHES		4096u
#define DISCARDED	UINT64_MAX
#define FILE_MAX	(64u << 20)

/* What was done to a sector, when: event numbers, 0 for never. */
struct step {
	uint64_t	id;		/* 0: zeroes */
	unsigned	submitted, completed;
};

/* Shared with the process that is killed. */
struct model {
	unsigned	now;
	unsigned	nflushes;
	struct {
		unsigned	submitted, completed;
	} flush[FLUSHES];
	unsigned	nsteps[SECTORS];
	struct step	step[SECTORS][HISTORY];
};

static struct rig	 r;
static struct model	*model;
static uint64_t		 next_id;
static char		 why[256];
static unsigned		 broken_phase;
static bool		 breaks;

static uint64_t
pick(uint64_t n)
{
	return test_random(&r.random) % n;
}

static void
stamp(uint8_t *p, uint64_t id, uint64_t sector)
{
	uint64_t word[64];
	unsigned i;

	for (i = 0; i < 64; i++)
		word[i] = i == 0 ? id : id * 0x9e3779b97f4a7c15 + sector * 64 +
		    i;
	memcpy(p, word, 512);
}

/* Which write a sector's bytes are of; false if of none. */
static bool
read_stamp(const uint8_t *p, uint64_t sector, uint64_t *id)
{
	uint8_t want[512] = { 0 };

	memcpy(id, p, sizeof(*id));
	if (*id != 0)
		stamp(want, *id, sector);
	return memcmp(p, want, 512) == 0;
}

struct op {
	struct rig_req	 q;
	enum disk_op	 op;
	uint64_t	 first, n;	/* sectors */
	unsigned	 flush;
	uint8_t		*buf;
	bool		 busy;
};

static struct op ops[DEPTH];

static bool
is_free(uint64_t first, uint64_t n)
{
	unsigned i;

	for (i = 0; i < DEPTH; i++)
		if (ops[i].busy && first < ops[i].first + ops[i].n &&
		    ops[i].first < first + n)
			return false;
	for (; n > 0; n--, first++)
		if (model->nsteps[first] == HISTORY)
			return false;
	return true;
}

static void
begin_step(const struct op *o, uint64_t id)
{
	uint64_t s;

	model->now = fakeaio_of(r.aio)->now++;
	for (s = o->first; s < o->first + o->n; s++)
		model->step[s][model->nsteps[s]++] = (struct step){
			.id = id,
			.submitted = model->now,
		};
}

static void
end_step(const struct op *o)
{
	uint64_t s;

	model->now = fakeaio_of(r.aio)->now++;
	for (s = o->first; s < o->first + o->n; s++)
		model->step[s][model->nsteps[s] - 1].completed = model->now;
}

static void
begin_change(struct op *o)
{
	static const enum disk_op kinds[] = {
		DISK_WRITE, DISK_WRITE, DISK_WRITE, DISK_DISCARD, DISK_ZERO,
	};
	uint64_t id, i;
	bool unmap;

	o->op = kinds[pick(5)];
	o->first = pick(SECTORS);
	o->n = pick(o->op == DISK_WRITE ? 24 : 300) + 1;
	if (o->n > SECTORS - o->first)
		o->n = SECTORS - o->first;
	if (!is_free(o->first, o->n))
		return;
	id = o->op == DISK_WRITE ? ++next_id : o->op == DISK_ZERO ? 0 :
	    DISCARDED;
	begin_step(o, id);
	o->buf = NULL;
	if (o->op == DISK_WRITE) {
		o->buf = malloc(o->n * 512);
		for (i = 0; i < o->n; i++)
			stamp(o->buf + i * 512, id, o->first + i);
	}
	unmap = pick(2) == 0;
	rig_submit(&r, &o->q, o->op, o->first * 512, o->buf, o->n * 512);
	o->q.req.unmap = unmap;
	o->busy = true;
}

static void
begin_op(struct op *o)
{
	if (pick(10) != 0) {
		begin_change(o);
		return;
	}
	if (model->nflushes == FLUSHES)
		return;
	o->op = DISK_FLUSH;
	o->n = 0;
	o->buf = NULL;
	o->flush = model->nflushes;
	model->flush[o->flush].submitted = fakeaio_of(r.aio)->now++;
	model->nflushes++;
	rig_submit(&r, &o->q, DISK_FLUSH, 0, NULL, 0);
	o->busy = true;
}

static void
end_op(struct op *o)
{
	ck_assert_int_eq(o->q.res, 0);
	o->busy = false;
	if (o->op == DISK_FLUSH)
		model->flush[o->flush].completed = fakeaio_of(r.aio)->now++;
	else
		end_step(o);
	free(o->buf);
}

/* One operation ends or begins. */
static void
turn(void)
{
	unsigned i = (unsigned)pick(DEPTH);

	if (!ops[i].busy)
		begin_op(&ops[i]);
	if (pick(4) != 0)
		(void)fakeaio_step(r.aio);
	for (i = 0; i < DEPTH; i++)
		if (ops[i].busy && ops[i].q.done)
			end_op(&ops[i]);
}

static void
settle(void)
{
	unsigned i;

	fakeaio_run(r.aio);
	for (i = 0; i < DEPTH; i++)
		if (ops[i].busy)
			end_op(&ops[i]);
}

/* An image of some form, perhaps with things behind it and beside it. */
static void
make_image(void)
{
	static const char *const forms[] = {
		"compat=0.10,cluster_size=65536",
		"compat=1.1,cluster_size=65536",
		"compat=1.1,cluster_size=4096",
		"compat=1.1,cluster_size=512",
		"compat=1.1,cluster_size=512,refcount_bits=64",
		"compat=1.1,cluster_size=1024,refcount_bits=1",
		"compat=1.1,cluster_size=16384,extended_l2=on",
		"compat=1.1,cluster_size=8192,lazy_refcounts=on",
	};
	unsigned form = (unsigned)pick(8);
	uint8_t *behind = calloc(1, SIZE);
	unsigned i;
	int fd;

	for (i = 0; i < SECTORS; i++)
		model->step[i][0].id = 0;
	for (i = 0; i < SECTORS; i++)
		model->nsteps[i] = 1;
	if (pick(2) == 0) {
		for (i = 0; i < SECTORS; i++) {
			stamp(behind + i * 512, 1, i);
			model->step[i][0].id = 1;
		}
	}
	fd = open(r.path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(write(fd, behind, SIZE), (ssize_t)SIZE);
	close(fd);
	free(behind);
	rig_sh(&r, "mv disk.qcow2 behind && qemu-img create -f qcow2 -o %s "
	    "-b behind -F raw disk.qcow2", forms[form]);
	if (form != 5 && pick(3) == 0)
		rig_sh(&r, "qemu-img snapshot -c s disk.qcow2");
	rig_sh(&r, "cp disk.qcow2 base");
}

static void
setup(unsigned seed)
{
	unsigned i;

	rig_setup(&r, seed * 7919 + 3, seed % 2 == 0 ? 16384 : 1 << 20);
	for (i = 0; i < 20; i++)
		(void)test_random(&r.random);
	model = mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(model, MAP_FAILED);
	memset(ops, 0, sizeof(ops));
	next_id = 1;
	make_image();
}

static void
teardown(void)
{
	munmap(model, sizeof(*model));
	rig_teardown(&r);
}

/* May the sector have this, if all stopped at `t`? */
static bool
may_have(uint64_t sector, uint64_t id, unsigned t, unsigned flushed)
{
	const struct step *s = model->step[sector];
	unsigned i, low = 0, n = model->nsteps[sector];

	for (i = 0; i < n; i++)
		if (s[i].completed != 0 && s[i].completed < flushed)
			low = i;
	/* Discarded bytes may be those from before. */
	while (low > 0 && s[low].id == DISCARDED)
		low--;
	for (i = low; i < n && s[i].submitted <= t; i++)
		if (s[i].id == id || (s[i].id == DISCARDED && id == 0))
			return true;
	return false;
}

/* When the last flush began that was over at `t`. */
static unsigned
flushed_at(unsigned t)
{
	unsigned i, last = 0;

	for (i = 0; i < model->nflushes; i++)
		if (model->flush[i].completed != 0 &&
		    model->flush[i].completed <= t &&
		    model->flush[i].submitted > last)
			last = model->flush[i].submitted;
	return last;
}

/* The image as it was left; false, and why, if that is bad. */
static bool
image_is_good(unsigned t)
{
	unsigned flushed = flushed_at(t), i;
	struct aio *was = r.aio;
	uint8_t *p;
	uint64_t id;
	bool good = true;
	int status;

	status = rig_run(&r, "qemu-img check -f qcow2 disk.qcow2");
	if (status != 0 && status != 3) {
		snprintf(why, sizeof(why), "qemu-img check says %d", status);
		return false;
	}
	p = malloc(SIZE);
	r.aio = fakeaio_create(1);
	rig_open(&r);
	ck_assert_int_eq(rig_do(&r, DISK_READ, 0, p, SIZE), 0);
	for (i = 0; i < SECTORS && good; i++) {
		good = read_stamp(p + i * 512, i, &id) &&
		    may_have(i, id, t, flushed);
		if (!good)
			snprintf(why, sizeof(why), "sector %u has %lu", i,
			    (unsigned long)id);
	}
	ck_assert_int_eq(rig_close(&r), 0);
	fakeaio_destroy(r.aio);
	r.aio = was;
	free(p);
	return good;
}

static bool
is_stable(const struct fakeaio_event *e, unsigned t)
{
	const struct fakeaio_event *f;

	if (e->completed == 0 || e->completed > t)
		return false;
	for (f = e + 1; f < fakeaio_of(r.aio)->event + fakeaio_of(r.aio)->nevents; f++)
		if (f->flush && f->submitted > e->completed &&
		    f->completed != 0 && f->completed <= t)
			return true;
	return false;
}

/* Puts a write into the file, all of it or some sectors. */
static void
apply(const struct fakeaio_event *e, bool torn, uint8_t *file, uint64_t *len)
{
	uint64_t at, n;

	ck_assert_uint_le(e->off + e->len, FILE_MAX);
	for (at = 0; at < e->len; at += n) {
		n = 512 - (e->off + at) % 512;
		if (n > e->len - at)
			n = e->len - at;
		if (torn && pick(2) == 0)
			continue;
		memcpy(file + e->off + at, e->data + at, n);
		if (*len < e->off + at + n)
			*len = e->off + at + n;
	}
}

static int
compare_events(const void *a, const void *b)
{
	const struct fakeaio_event *x = *(void *const *)a;
	const struct fakeaio_event *y = *(void *const *)b;
	unsigned cx = x->completed != 0 ? x->completed : UINT32_MAX;
	unsigned cy = y->completed != 0 ? y->completed : UINT32_MAX;

	if (cx != cy)
		return cx < cy ? -1 : 1;
	return x->submitted < y->submitted ? -1 : 1;
}

/* Makes the image what it may be after a power cut at `t`. */
static void
cut(unsigned t)
{
	struct fakeaio_event **order, *e;
	uint8_t *file = calloc(1, FILE_MAX);
	char base[128];
	unsigned i, n = fakeaio_of(r.aio)->nevents, mood = (unsigned)pick(4);
	uint64_t len;
	int fd;

	snprintf(base, sizeof(base), "%s/base", r.dir);
	fd = open(base, O_RDONLY);
	len = (uint64_t)read(fd, file, FILE_MAX);
	close(fd);
	order = calloc(n + 1, sizeof(struct fakeaio_event *));
	for (i = 0; i < n; i++)
		order[i] = &fakeaio_of(r.aio)->event[i];
	qsort(order, n, sizeof(struct fakeaio_event *), compare_events);
	for (i = 0; i < n; i++) {
		e = order[i];
		if (e->flush || e->submitted > t)
			continue;
		if (is_stable(e, t))
			apply(e, false, file, &len);
		else if (pick(4) < mood)
			apply(e, pick(3) == 0, file, &len);
	}
	fd = open(r.path, O_RDWR | O_TRUNC);
	ck_assert_int_eq(write(fd, file, len), (ssize_t)len);
	close(fd);
	free(order);
	free(file);
}

/* The barrier behind one phase, where another follows or none ever does. */
static bool
is_broken(void)
{
	const struct q2_commit *c = &((const struct q2 *)r.d)->commit;
	unsigned i;

	if (c->phase != broken_phase)
		return false;
	if (c->phase == Q2_PHASES - 1)
		return true;
	for (i = c->phase + 1; i < Q2_PHASES; i++)
		if (c->write[i] != NULL)
			return true;
	return false;
}

/* Runs, and cuts the power at some points of it; how many images are bad. */
static unsigned
run_and_cut(unsigned seed, unsigned cuts)
{
	unsigned i, bad = 0, t;

	setup(seed);
	fakeaio_of(r.aio)->logging = true;
	if (breaks)
		fakeaio_of(r.aio)->skips_flush = is_broken;
	rig_open(&r);
	for (i = 0; i < 400; i++)
		turn();
	settle();
	ck_assert_int_eq(rig_close(&r), 0);
	fakeaio_of(r.aio)->logging = false;
	for (i = 0; i < cuts; i++) {
		t = (unsigned)pick(fakeaio_of(r.aio)->now) + 1;
		cut(t);
		bad += !image_is_good(t);
	}
	teardown();
	return bad;
}

static unsigned
loops(unsigned usual)
{
	const char *s = getenv("LOOPS");

	return s != NULL ? (unsigned)atoi(s) : usual;
}

START_TEST(power_cuts)
{
	unsigned i;

	for (i = 0; i < loops(CUTS) / CUTS_A_RUN; i++)
		ck_assert_msg(run_and_cut(i, CUTS_A_RUN) == 0, "seed %u: %s",
		    i, why);
}
END_TEST

START_TEST(a_missing_barrier_is_seen)
{
	unsigned seed, bad = 0;

	broken_phase = (unsigned)_i;
	breaks = true;
	for (seed = 0; seed < 40 && bad == 0; seed++)
		bad = run_and_cut(seed, CUTS_A_RUN);
	ck_assert_uint_ne(bad, 0);
	fprintf(stderr, "phase %d: seed %u: %s\n", _i, seed - 1, why);
}
END_TEST

/*
 * Does things to the image until it is killed; Check's file is the parent's,
 * and must not get half a message.
 */
static void
victim(void)
{
	int null = open("/dev/null", O_RDWR), fd;

	for (fd = 3; fd < null; fd++)
		dup2(null, fd);
	rig_open(&r);
	for (;;)
		turn();
}

static void
kill_one(unsigned seed)
{
	int status;
	pid_t pid;

	setup(seed + 1000);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		victim();
		_exit(0);
	}
	usleep(5000 + (useconds_t)pick(60000));
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_msg(image_is_good(UINT32_MAX), "seed %u: %s", seed, why);
	teardown();
}

START_TEST(kills)
{
	unsigned i;

	for (i = 0; i < loops(KILLS); i++)
		kill_one(i);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("qcow2_crash");

	tcase_set_timeout(tc, 7200);
	tcase_add_test(tc, power_cuts);
	tcase_add_loop_test(tc, a_missing_barrier_is_seen, 0, 3);
	tcase_add_test(tc, kills);
	return test_main("qcow2_crash", tc);
}
