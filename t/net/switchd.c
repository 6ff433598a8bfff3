/* SPDX-License-Identifier: ISC */
/*
 * A daemon of switches, for tests: applies a file, and again on SIGHUP; on
 * SIGUSR1 all guests speak; on SIGUSR2 it tells of itself; on SIGTERM it ends
 * and takes everything back.  stdout says what happens.
 *
 * usage: switchd NAME FILE
 *
 * A line of the file is one of
 *
 *	switch NAME [bridge=B] [addr=A/P]... [uplink=U] [vlan=N] [mtu=N]
 *	    [vrf=V] [group=G] [isolate]
 *	port VM SWITCH [queues=N] [rate=BYTES] [flood=FRAMES] [rest] [spoof]
 *	ports PREFIX COUNT SWITCHES	(PREFIXi in switch swJ, J below SWITCHES)
 */
#include <arpa/inet.h>
#include <sys/resource.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "net/switch.h"
#include "switchguest.h"

#define LINES_MAX	2048
#define ADDRS_MAX	4

static struct loop	*loop;
static struct switches	*switches;
static const char	*daemon_name, *path;
static struct guest	*guests;
static struct switch_conf confs[LINES_MAX];
static struct os_addr	 addrs[LINES_MAX][ADDRS_MAX];
static char		 lines[LINES_MAX][512];
static unsigned		 applied;

static double
ms_since(uint64_t began)
{
	return (double)(loop_now_ns() - began) / 1e6;
}

static void
bad(const char *what)
{
	fprintf(stderr, "switchd: %s\n", what);
	exit(2);
}

static void
read_addr(struct switch_conf *c, struct os_addr *a, char *text)
{
	char *slash = strchr(text, '/');

	if (slash == NULL || c->naddrs == ADDRS_MAX)
		bad(text);
	*slash = '\0';
	a += c->naddrs++;
	a->prefix = (uint8_t)atoi(slash + 1);
	a->ipv6 = strchr(text, ':') != NULL;
	if (inet_pton(a->ipv6 ? AF_INET6 : AF_INET, text, a->bytes) != 1)
		bad(text);
}

/* The value of KEY=VALUE, if that is the key. */
static char *
value(char *word, const char *key)
{
	size_t n = strlen(key);

	return strncmp(word, key, n) == 0 && word[n] == '=' ?
	    word + n + 1 : NULL;
}

static void
read_switch(struct switch_conf *c, struct os_addr *a, char **at)
{
	char *word, *v;

	memset(c, 0, sizeof(*c));
	c->bridge = c->uplink = c->vrf = c->group = "";
	c->addrs = a;
	c->name = strtok_r(NULL, " \n", at);
	while ((word = strtok_r(NULL, " \n", at)) != NULL) {
		if ((v = value(word, "bridge")) != NULL)
			c->bridge = v;
		else if ((v = value(word, "uplink")) != NULL)
			c->uplink = v;
		else if ((v = value(word, "vrf")) != NULL)
			c->vrf = v;
		else if ((v = value(word, "group")) != NULL)
			c->group = v;
		else if ((v = value(word, "vlan")) != NULL)
			c->vlan = (uint16_t)atoi(v);
		else if ((v = value(word, "mtu")) != NULL)
			c->mtu = (uint32_t)atoi(v);
		else if ((v = value(word, "addr")) != NULL)
			read_addr(c, a, v);
		else if (strcmp(word, "isolate") == 0)
			c->isolate = true;
		else
			bad(word);
	}
}

/* A guest stays as it is while it is in the file. */
static struct guest *
list_guest(const char *vm, const char *sw)
{
	struct guest *g;

	for (g = guests; g != NULL; g = g->next)
		if (strcmp(g->vm, vm) == 0)
			break;
	if (g == NULL) {
		g = calloc(1, sizeof(*g));
		g->nqueues = 1;
		g->next = guests;
		guests = g;
	}
	snprintf(g->vm, sizeof(g->vm), "%s", vm);
	snprintf(g->sw, sizeof(g->sw), "%s", sw);
	g->listed = true;
	return g;
}

static void
read_port(char **at)
{
	char *vm = strtok_r(NULL, " \n", at), *word, *v;
	struct guest *g = list_guest(vm, strtok_r(NULL, " \n", at));

	while ((word = strtok_r(NULL, " \n", at)) != NULL) {
		if ((v = value(word, "queues")) != NULL)
			g->nqueues = (unsigned)atoi(v);
		else if ((v = value(word, "rate")) != NULL)
			g->rate = (uint64_t)atoll(v);
		else if ((v = value(word, "flood")) != NULL)
			g->flood = (unsigned)atoi(v);
		else if (strcmp(word, "rest") == 0)
			g->rests = true;
		else if (strcmp(word, "spoof") == 0)
			g->spoofs = true;
		else
			bad(word);
	}
}

static void
read_ports(char **at)
{
	char *prefix = strtok_r(NULL, " \n", at), vm[64], sw[64];
	int count = atoi(strtok_r(NULL, " \n", at)), i;
	int n = atoi(strtok_r(NULL, " \n", at));

	for (i = 0; i < count; i++) {
		snprintf(vm, sizeof(vm), "%s%d", prefix, i);
		snprintf(sw, sizeof(sw), "sw%d", i % n);
		list_guest(vm, sw)->rests = true;
	}
}

/* The number of switches. */
static size_t
read_file(void)
{
	struct guest *g;
	size_t n = 0, line = 0;
	char *at, *word;
	FILE *f;

	for (g = guests; g != NULL; g = g->next)
		g->listed = false;
	f = fopen(path, "re");
	if (f == NULL)
		bad(path);
	while (line < LINES_MAX &&
	    fgets(lines[line], sizeof(lines[0]), f) != NULL) {
		word = strtok_r(lines[line++], " \n", &at);
		if (word == NULL)
			continue;
		if (strcmp(word, "switch") == 0) {
			read_switch(&confs[n], addrs[n], &at);
			n++;
		} else if (strcmp(word, "port") == 0) {
			read_port(&at);
		} else if (strcmp(word, "ports") == 0) {
			read_ports(&at);
		} else {
			bad(word);
		}
	}
	fclose(f);
	return n;
}

static void
end_guest(struct guest *g)
{
	struct guest **pp = &guests;

	while (*pp != g)
		pp = &(*pp)->next;
	*pp = g->next;
	port_nic(g->port)->ops->attach(port_nic(g->port), NULL, NULL);
	port_unplug(g->port);
	port_destroy(g->port);
	free(g);
}

/* Their taps at once, as those of one guest go. */
static void
end_all(void)
{
	struct guest *g;
	size_t n = 0;
	int *index;

	for (g = guests; g != NULL; g = g->next)
		n++;
	index = calloc(n + 1, sizeof(*index));
	if (index == NULL)
		bad("no memory");
	n = 0;
	for (g = guests; g != NULL; g = g->next)
		index[n++] = port_index(g->port);
	switches_cut(switches, index, n);
	free(index);
	while (guests != NULL)
		end_guest(guests);
}

static int
start_guest(struct guest *g, char *err, size_t errlen)
{
	static const struct bucket_limit none;
	const struct switch_state *s = switches_find(switches, g->sw);
	struct bucket_limit limit = { .rate = g->rate, .burst = 10000 };
	struct port_conf c = {
		.daemon = daemon_name, .vm = g->vm, .nqueues = g->nqueues,
	};
	int error;

	if (s != NULL)
		c.set = s->ports;
	error = port_create(&g->port, &c, err, errlen);
	if (error != 0)
		return error;
	error = port_plug(g->port, loop, switches, g->sw, err, errlen);
	if (error != 0) {
		port_destroy(g->port);
		g->port = NULL;
		return error;
	}
	if (g->rate != 0)
		port_set_limit(g->port, PORT_SEND, &limit, &none);
	guest_attach(g);
	return 0;
}

static void
drop_unlisted(void)
{
	struct guest *g, *next;

	for (g = guests; g != NULL; g = next) {
		next = g->next;
		if (!g->listed && g->port != NULL)
			end_guest(g);
	}
}

static void
drop_unstarted(void)
{
	struct guest **pp = &guests, *g;

	while ((g = *pp) != NULL) {
		if (g->port != NULL) {
			pp = &g->next;
			continue;
		}
		*pp = g->next;
		free(g);
	}
}

static void
apply(void)
{
	uint64_t began = loop_now_ns();
	char err[256] = "";
	struct guest *g;
	unsigned count = 0;
	size_t n;
	int error;

	n = read_file();
	error = switches_apply(switches, confs, n, err, sizeof(err));
	printf("apply: %zu switches in %.1f ms\n", n, ms_since(began));
	began = loop_now_ns();
	if (error == 0)
		drop_unlisted();
	for (g = guests; g != NULL && error == 0; g = g->next)
		if (g->port == NULL) {
			error = start_guest(g, err, sizeof(err));
			count += error == 0;
		} else {
			error = port_move(g->port, g->sw, err, sizeof(err));
			if (g->inuse != g->nqueues)
				guest_queues(g);
		}
	drop_unstarted();
	if (count > 0)
		printf("apply: %u ports in %.1f ms\n", count,
		    ms_since(began));
	printf("apply %u: %s\n", ++applied, error == 0 ? "ok" : err);
}

/* CPU time, and the longest turn of the loop since it runs. */
static void
tell(void)
{
	const struct port_counters *c;
	struct rusage u;
	struct guest *g;

	getrusage(RUSAGE_SELF, &u);
	for (g = guests; g != NULL; g = g->next) {
		c = port_counters(g->port, PORT_SEND);
		if (c->packets > 0)
			printf("%s: sent %llu lost %llu waits %llu "
			    "answered %llu\n", g->vm,
			    (unsigned long long)c->packets,
			    (unsigned long long)c->lost,
			    (unsigned long long)c->waits,
			    (unsigned long long)c->answered);
	}
	printf("cpu %ld ms worst %llu us\n",
	    (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	    (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000,
	    (unsigned long long)loop_worst_ns(loop) / 1000);
}

static void
signalled(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct guest *g;

	(void)ev;
	(void)revents;
	switch (w->signum) {
	case SIGHUP:
		apply();
		break;
	case SIGUSR1:
		for (g = guests; g != NULL; g = g->next)
			guest_speak(g);
		break;
	case SIGUSR2:
		tell();
		break;
	case SIGTERM:
		loop_break(loop);
		break;
	}
}

int
main(int argc, char **argv)
{
	static const int signals[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGTERM };
	ev_signal watchers[4];
	char err[256];
	uint64_t began;
	unsigned i;

	if (argc != 3)
		bad("usage: switchd NAME FILE");
	setvbuf(stdout, NULL, _IOLBF, 0);
	daemon_name = argv[1];
	path = argv[2];
	loop = loop_create();
	if (loop == NULL || switches_open(&switches, daemon_name, loop, err,
	    sizeof(err)) != 0)
		bad("cannot start");
	for (i = 0; i < 4; i++) {
		ev_signal_init(&watchers[i], signalled, signals[i]);
		ev_signal_start(loop_ev(loop), &watchers[i]);
	}
	apply();
	loop_run(loop);
	began = loop_now_ns();
	end_all();
	switches_close(switches);
	for (i = 0; i < 4; i++)
		ev_signal_stop(loop_ev(loop), &watchers[i]);
	loop_destroy(loop);
	printf("ended in %.1f ms\n", ms_since(began));
	return 0;
}
