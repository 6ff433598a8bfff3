/* SPDX-License-Identifier: ISC */
/*
 * The daemon without a hypervisor, a control socket and rights to lose, for
 * tests of its network: its guests have all their devices, and halt.
 *
 * usage: guestd FILE KERNEL
 *
 * Applies FILE, and again on SIGHUP; on SIGUSR1 all guests reset; on SIGUSR2 it
 * tells of their NICs; on SIGTERM it stops them and ends.  KERNEL is what
 * guests boot, and is made.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fakehv.h"
#include "../unit/tinykernel.h"
#include "base/buf.h"
#include "base/loop.h"
#include "devices/aio.h"
#include "vmm/config.h"
#include "vmm/firewall.h"
#include "vmm/network.h"
#include "vmm/nic.h"
#include "vmm/reload.h"
#include "vmm/vm_table.h"

static struct loop	*loop;
static struct config	*conf;
static struct vm_table	*guests;
static struct network	*net;
static struct firewall	*firewall;
static const char	*path;
static unsigned		 applied;
static bool		 ending;

static void reload(void *arg);

static struct firewall_wait settled = { .task = { .fn = reload } };

static bool
guest_halts(unsigned step, struct hv_exit *e)
{
	(void)step;
	(void)e;
	return false;
}

static void
changed(void *cookie, struct vm_entry *e)
{
	(void)cookie;
	printf("%s: %s %s\n", vm_entry_name(e),
	    vm_state_name(vm_entry_state(e)), vm_message(e->vm));
	if (e->removed || vm_entry_state(e) == VM_STARTING)
		firewall_refresh(firewall);
	if (ending && vm_table_running(guests) == 0)
		loop_break(loop);
}

static void
tell(void)
{
	struct nic_status st;
	struct vm_entry *e;
	unsigned i;

	for (e = vm_table_first(guests); e != NULL; e = e->next)
		for (i = 0; vm_get_nic(e->vm, i, &st); i++)
			printf("%s: nic %u: %s %s %s %u.%u.%u.%u/%u\n",
			    vm_entry_name(e), i, st.sw, st.tap,
			    st.up ? "up" : "down", st.ip >> 24,
			    st.ip >> 16 & 255, st.ip >> 8 & 255, st.ip & 255,
			    st.prefix);
	printf("told\n");
}

static void
reloaded(void *cookie, int error)
{
	struct buf *report = cookie;

	printf("%.*s", (int)report->len, report->len > 0 ?
	    (char *)buf_head(report) : "");
	buf_free(report);
	printf("apply %u: %s\n", ++applied, error == 0 ? "ok" : "invalid");
}

static void
reload(void *arg)
{
	static struct reload change;
	static struct buf report;
	static bool restart;

	(void)arg;
	if (!firewall_settled(firewall, &settled))
		return;
	buf_init(&report, RELOAD_REPORT_MAX);
	change = (struct reload){
		.vt = guests, .conf = &conf, .report = &report,
		.restart_required = &restart, .done = reloaded,
		.cookie = &report,
	};
	reload_file(&change, path);
}

static void
signalled(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct vm_entry *e;

	(void)ev;
	(void)revents;
	if (w->signum == SIGHUP)
		reload(NULL);
	else if (w->signum == SIGUSR2)
		tell();
	for (e = vm_table_first(guests); w->signum == SIGUSR1 && e != NULL;
	    e = e->next)
		(void)vm_reset(e->vm);
	if (w->signum != SIGTERM)
		return;
	ending = true;
	vm_table_stop_all(guests, false);
	if (vm_table_running(guests) == 0)
		loop_break(loop);
}

static int
start_firewall(char *err, size_t errlen)
{
	const struct firewall_env env = {
		.loop = loop, .conf = &conf, .guests = guests,
		.switches = network_switches(net),
	};

	firewall = firewall_create(conf->name, &env);
	network_set_firewall(net, firewall);
	return firewall_load(firewall, err, errlen);
}

static void
start(struct aio *aio)
{
	char err[256];

	guests = vm_table_create(loop, aio, &fakehv_ops, changed, NULL);
	conf = reload_read(path, NULL);
	if (conf == NULL)
		exit(2);
	if (network_create(&net, conf->name, loop, err, sizeof(err)) != 0 ||
	    network_apply(net, conf, err, sizeof(err)) != 0 ||
	    start_firewall(err, sizeof(err)) != 0) {
		printf("apply %u: %s\n", ++applied, err);
		exit(1);
	}
	vm_table_set_network(guests, net);
	reload_apply(guests, conf, NULL);
	printf("apply %u: ok\n", ++applied);
}

int
main(int argc, char **argv)
{
	static const int signals[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGTERM };
	const struct fakehv f = { .guest = guest_halts };
	ev_signal watchers[4];
	struct aio *aio;
	unsigned i;

	if (argc != 3 || tiny_kernel_write(argv[2]) != 0)
		exit(2);
	path = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	fakehv_setup(&f);
	loop = loop_create();
	aio = aio_create(loop, "auto");
	if (aio == NULL)
		exit(2);
	for (i = 0; i < 4; i++) {
		ev_signal_init(&watchers[i], signalled, signals[i]);
		ev_signal_start(loop_ev(loop), &watchers[i]);
	}
	start(aio);
	loop_run(loop);
	for (i = 0; i < 4; i++)
		ev_signal_stop(loop_ev(loop), &watchers[i]);
	firewall_finish(firewall);
	vm_table_destroy(guests);
	network_destroy(net);
	firewall_destroy(firewall);
	aio_destroy(aio);
	loop_destroy(loop);
	config_free(conf);
	printf("ended\n");
	return 0;
}
