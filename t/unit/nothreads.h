/* SPDX-License-Identifier: ISC */
/*
 * A system that gives no more threads, when the test says so; for programs that
 * are linked with --wrap=pthread_create.
 */
#ifndef VMMD_NOTHREADS_H
#define VMMD_NOTHREADS_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

static bool no_threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*fn)(void *), void *arg);

int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*fn)(void *), void *arg)
{
	return no_threads ? EAGAIN : __real_pthread_create(thread, attr, fn,
	    arg);
}

#endif /* VMMD_NOTHREADS_H */
