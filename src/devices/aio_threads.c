/* SPDX-License-Identifier: ISC */
/*
 * The I/O engine by threads: each takes the operation that waits the longest
 * and makes its system call, or the call that it is.  What is done goes to a
 * list that the loop empties, which is told when there is something in it for
 * the first time.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/loop.h"
#include "devices/aio_engine.h"
#include "devices/aio_range.h"

/*
 * As many operations can wait for the host's disks at the same time, those of
 * a guest on 16 threads at most.
 */
#define NTHREADS	256
#define SHARE		12

/* A list of operations, in order. */
struct list {
	struct aio_op	*head;
	struct aio_op	**tail;
};

/* i: immutable; m: mutex; l: loop */
struct aio_threads {
	struct aio		 aio;
	struct loop		*loop;		/* i */
	struct loop_task	 task;		/* reports what is done */
	pthread_mutex_t		 mutex;
	pthread_cond_t		 work;		/* there is some, or the end */
	struct list		 todo;		/* m */
	unsigned		 waiting;	/* m: in it */
	struct list		 done;		/* m */
	bool			 end;		/* m */
	unsigned		 in_flight;	/* l: not reported */
	pthread_t		 thread[NTHREADS];	/* l */
	unsigned		 nthreads;	/* l: that there are */
	unsigned		 idle;		/* m: threads that wait for it */
};

static void
list_init(struct list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void
list_add(struct list *l, struct aio_op *op)
{
	op->next = NULL;
	*l->tail = op;
	l->tail = &op->next;
}

static struct aio_op *
list_take(struct list *l)
{
	struct aio_op *op = l->head;

	l->head = op->next;
	if (l->head == NULL)
		l->tail = &l->head;
	return op;
}

int
aio_perform(struct aio_op *op)
{
	ssize_t n = 0;

	switch (op->opcode) {
	case AIO_READV:
		n = preadv(op->fd, op->iov, (int)op->niov, (off_t)op->off);
		break;
	case AIO_WRITEV:
		n = pwritev(op->fd, op->iov, (int)op->niov, (off_t)op->off);
		break;
	case AIO_PUNCH:
		return aio_range_punch(op->fd, op->off, op->len);
	case AIO_ZERO:
		return aio_range_zero(op->fd, op->off, op->len);
	case AIO_FDATASYNC:
		n = fdatasync(op->fd);
		break;
	case AIO_CALL:
		return op->call(op);
	case AIO_NOP:
		break;
	}
	return n == -1 ? -errno : (int)n;
}

static void *
threads_run(void *arg)
{
	struct aio_threads *t = arg;
	struct aio_op *op;

	pthread_mutex_lock(&t->mutex);
	while (true) {
		while (t->todo.head == NULL && !t->end) {
			t->idle++;
			pthread_cond_wait(&t->work, &t->mutex);
			t->idle--;
		}
		if (t->todo.head == NULL)
			break;
		op = list_take(&t->todo);
		t->waiting--;
		pthread_mutex_unlock(&t->mutex);
		op->res = aio_perform(op);
		pthread_mutex_lock(&t->mutex);
		list_add(&t->done, op);
		loop_post(t->loop, &t->task);
	}
	pthread_mutex_unlock(&t->mutex);
	return NULL;
}

/* Reports what was done when it began; more has posted the task anew. */
static void
threads_report(void *arg)
{
	struct aio_threads *t = arg;
	struct aio_op *op, *next;

	pthread_mutex_lock(&t->mutex);
	next = t->done.head;
	list_init(&t->done);
	pthread_mutex_unlock(&t->mutex);
	while ((op = next) != NULL) {
		next = op->next;
		t->in_flight--;
		aio_complete(op, op->res);
	}
}

/* One thread more; signals are the loop's. */
static int
threads_start_one(struct aio_threads *t)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&t->thread[t->nthreads], NULL, threads_run, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error == 0)
		t->nthreads++;
	return -error;
}

/* Nothing for a thread to do: done as it is, which a later turn reports. */
static void
threads_skip(struct aio_threads *t, struct aio_op *op)
{
	op->res = 0;
	pthread_mutex_lock(&t->mutex);
	list_add(&t->done, op);
	pthread_mutex_unlock(&t->mutex);
	loop_post(t->loop, &t->task);
}

/*
 * A thread more where too few wait for work.  If the system gives none, those
 * that there are do it all: there is at least one.
 */
static void
threads_queue(struct aio *a, struct aio_op *op)
{
	struct aio_threads *t = (struct aio_threads *)a;
	bool more;

	t->in_flight++;
	if (op->opcode == AIO_NOP) {
		threads_skip(t, op);
		return;
	}
	pthread_mutex_lock(&t->mutex);
	list_add(&t->todo, op);
	more = ++t->waiting > t->idle;
	pthread_cond_signal(&t->work);
	pthread_mutex_unlock(&t->mutex);
	if (more && t->nthreads < NTHREADS)
		(void)threads_start_one(t);
}

static void
threads_destroy(struct aio *a)
{
	struct aio_threads *t = (struct aio_threads *)a;

	assert(t->in_flight == 0);
	pthread_mutex_lock(&t->mutex);
	t->end = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->mutex);
	while (t->nthreads > 0)
		pthread_join(t->thread[--t->nthreads], NULL);
	loop_cancel(t->loop, &t->task);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

static const struct aio_ops threads_ops = {
	.queue = threads_queue,
	.destroy = threads_destroy,
	.share = SHARE,
};

int
aio_threads_create(struct aio **ap, struct loop *loop)
{
	struct aio_threads *t;
	int error;

	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->aio.ops = &threads_ops;
	t->loop = loop;
	t->task.fn = threads_report;
	t->task.arg = t;
	list_init(&t->todo);
	list_init(&t->done);
	error = -pthread_mutex_init(&t->mutex, NULL);
	if (error != 0)
		goto fail_mutex;
	error = -pthread_cond_init(&t->work, NULL);
	if (error != 0)
		goto fail_cond;
	error = threads_start_one(t);
	if (error != 0)
		goto fail_thread;
	*ap = &t->aio;
	return 0;

fail_thread:
	pthread_cond_destroy(&t->work);
fail_cond:
	pthread_mutex_destroy(&t->mutex);
fail_mutex:
	free(t);
	return error;
}
