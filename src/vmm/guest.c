/* SPDX-License-Identifier: ISC */
/*
 * One boot of a guest.
 *
 *	thread	prepare: disks, NICs, memory, kernel, devices, vCPU 0
 *	others	prepare: their vCPU each
 *	loop	plug in the NICs, attach the disks to the engine, let it run
 *	threads	... the guest ...
 *	loop	quiesce: wait for submitted disk requests, unplug the NICs,
 *		detach the disks from the engine
 *	others	teardown: their vCPU each
 *	thread	teardown: vCPU 0, devices, memory, NICs, disks
 *	loop	free
 *
 * Guest memory is unmapped by the last thread-side step only, after the
 * quiesce: until then the kernel may still write to it, for which reason a
 * forced stop detaches the guest and lets it go through the same steps alone.
 * Nothing that was submitted can be taken back; what was not is dropped.
 *
 * Members of struct guest: i immutable; t the thread of vCPU 0, and the loop only
 * while it waits for a command; l loop.
 */
#include <ev.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/deadline.h"
#include "base/log.h"
#include "base/loop.h"
#include "devices/aio.h"
#include "devices/disk.h"
#include "devices/gmem.h"
#include "vmm/acpi.h"
#include "vmm/boot.h"
#include "vmm/budget.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/crew.h"
#include "vmm/firewall.h"
#include "vmm/guest.h"
#include "vmm/hv.h"
#include "vmm/machine.h"
#include "vmm/msrs.h"
#include "vmm/nics.h"

#define MIB		(UINT64_C(1) << 20)

struct guest {
	const struct vm_env	*env;		/* i */
	struct vm_config	*conf;		/* i, a copy; what is live: l */
	struct console		*console;	/* i, the vm's */
	const struct guest_ops	*ops;		/* l; NULL: detached */
	void			*cookie;	/* l */

	struct crew		*crew;		/* i */
	struct deadline		*deadline;	/* i; set by t */
	ev_timer		 second_timer;	/* l */
	uint64_t		 last_exits;	/* l */
	bool			 stopping;	/* l */
	bool			 running;	/* l */

	struct gmem		 gm;		/* t */
	struct hv_vm		*hv_vm;		/* t; l while it runs */
	struct hv_vcpu		*hv_vcpu;	/* t */
	struct machine		*machine;	/* t */
	struct msrs		 msrs;		/* i, with a lock of its own */
	struct aio		*aio;		/* l: its share of the engine */
	struct disk		*disk[VM_DISKS_MAX];	/* t */
	unsigned		 ndisks;	/* t: open */
	unsigned		 nattached;	/* l */
	struct disk_req		 detach;	/* l */
	struct nics		*nics;		/* i; see there */
	struct nics		**keep;		/* l: where they go in the end */
	struct firewall_wait	 rules;		/* l: for theirs */
};

static void
close_disks(struct guest *g)
{
	while (g->ndisks > 0)
		disk_close(g->disk[--g->ndisks]);
}

static int
open_disks(struct guest *g, char *err, size_t errlen)
{
	const struct vm_disk *conf;
	struct disk *d;

	while (g->ndisks < g->conf->ndisks) {
		conf = &g->conf->disk[g->ndisks];
		d = disk_open(g->env->files, conf->path, &conf->how, err,
		    errlen);
		if (d == NULL) {
			close_disks(g);
			return -EIO;
		}
		g->disk[g->ndisks++] = d;
	}
	return 0;
}

/* Refused before the guest touches it: later it could only be ended. */
static int
take_memory(struct guest *g, char *err, size_t errlen)
{
	const struct budget *b = g->env->memory;

	if (budget_take(g->env->memory, g->conf->memory))
		return 0;
	snprintf(err, errlen, "memory: the guest wants %" PRIu64 " MiB, of "
	    "the %" PRIu64 " MiB of [daemon] memory %" PRIu64 " MiB are left",
	    g->conf->memory / MIB, b->limit / MIB,
	    (uint64_t)(b->limit - atomic_load(&b->used)) / MIB);
	return -ENOMEM;
}

static void
machine_attention(void *cookie)
{
	struct guest *g = cookie;

	crew_attention(g->crew);
}

static void
machine_reset(void *cookie)
{
	struct guest *g = cookie;

	crew_end(g->crew, VM_REASON_RESET);
}

static void
machine_poweroff(void *cookie)
{
	struct guest *g = cookie;

	crew_end(g->crew, VM_REASON_POWEROFF);
}

static void
machine_call(void *cookie, struct dev_call *c)
{
	struct guest *g = cookie;

	crew_call(g->crew, c);
}

static int
machine_doorbell(void *cookie, uint16_t port, uint8_t size, int fd, bool on)
{
	struct guest *g = cookie;

	return g->env->hv->doorbell(g->hv_vm, port, size, fd, on);
}

static int
machine_msi(void *cookie, const struct hv_msi *msg)
{
	struct guest *g = cookie;

	return g->env->hv->msi(g->hv_vm, msg);
}

static int
machine_msi_event(void *cookie, unsigned slot, int fd,
    const struct hv_msi *msg)
{
	struct guest *g = cookie;

	return g->env->hv->msi_event(g->hv_vm, slot, fd, msg);
}

static int
machine_ioapic_route(void *cookie, unsigned pin, const struct hv_msi *msg)
{
	struct guest *g = cookie;

	return g->env->hv->ioapic_route(g->hv_vm, pin, msg);
}

static bool
machine_disk_failed(void *cookie, unsigned disk,
    const struct virtio_blk_error *e)
{
	struct guest *g = cookie;
	char msg[VCPU_MSG_MAX];

	snprintf(msg, sizeof(msg), "disk %s: %s at sector %" PRIu64 ": %s",
	    g->conf->disk[disk].path, virtio_blk_verb(e->op), e->sector,
	    strerror(-e->error));
	return g->ops != NULL && g->ops->failed(g->cookie, msg);
}

static int
make_machine(struct guest *g, char *err, size_t errlen)
{
	struct machine_conf mc = {
		.name = g->conf->name,
		.loop = g->env->loop,
		.console = g->console,
		.gm = &g->gm,
		.ncpus = (unsigned)g->conf->cpus,
		.ndisks = g->ndisks,
		.rng = g->conf->rng,
		.attention = machine_attention,
		.reset = machine_reset,
		.poweroff = machine_poweroff,
		.call = machine_call,
		.disk_failed = machine_disk_failed,
		.doorbell = g->env->hv->doorbell != NULL ? machine_doorbell :
		    NULL,
		.msi = g->env->hv->msi != NULL ? machine_msi : NULL,
		.msi_event = machine_msi_event,
		.ioapic_route = g->env->hv->ioapic_route != NULL ?
		    machine_ioapic_route : NULL,
		.cookie = g,
	};

	memcpy(mc.disk, g->disk, sizeof(mc.disk));
	mc.nnics = nics_devices(g->nics, mc.nic);
	return machine_create(&g->machine, &mc, err, errlen);
}

static int
make_vcpu(struct guest *g, const struct hv_regs *regs, char *err,
    size_t errlen)
{
	const struct hv_ops *hv = g->env->hv;
	int error;

	error = hv->vcpu_create(&g->hv_vcpu, g->hv_vm, 0, err, errlen);
	if (error != 0)
		return error;
	error = hv->set_regs(g->hv_vcpu, regs);
	if (error == 0)
		return 0;
	hv->vcpu_destroy(g->hv_vcpu);
	snprintf(err, errlen, "backend %s: the vCPU's registers: %s",
	    hv->name, strerror(-error));
	return error;
}

/* vCPU-0 thread. */
static int
guest_prepare(void *cookie, struct vcpu_guest *vg, char *err, size_t errlen)
{
	struct guest *g = cookie;
	const struct hv_ops *hv = g->env->hv;
	struct boot_linux bl = {
		.in = g->env->files,
		.kernel = g->conf->kernel,
		.initrd = g->conf->initrd,
		.cmdline = g->conf->cmdline,
		/* Tables name local APICs. */
		.rsdp = hv->msi != NULL ? ACPI_GPA : 0,
	};
	struct hv_regs regs;
	int error;

	error = open_disks(g, err, errlen);
	if (error != 0)
		return error;
	error = nics_open(g->nics, err, errlen);
	if (error != 0)
		goto close_disks;
	gmem_layout(&g->gm, g->conf->memory);
	error = hv->vm_create(&g->hv_vm, &g->gm, (unsigned)g->conf->cpus,
	    err, errlen);
	if (error != 0)
		goto close_nics;
	error = take_memory(g, err, errlen);
	if (error != 0)
		goto destroy_vm;
	error = boot_linux(&bl, &g->gm, &regs, err, errlen);
	if (error != 0)
		goto give_memory;
	error = make_machine(g, err, errlen);
	if (error != 0)
		goto give_memory;
	if (bl.rsdp != 0)
		error = machine_tables(g->machine, err, errlen);
	if (error == 0)
		error = make_vcpu(g, &regs, err, errlen);
	if (error != 0)
		goto destroy_machine;
	vg->vm = g->hv_vm;
	vg->hv = g->hv_vcpu;
	vg->machine = g->machine;
	vg->msrs = &g->msrs;
	return 0;
destroy_machine:
	machine_destroy(g->machine);
give_memory:
	budget_give(g->env->memory, g->conf->memory);
destroy_vm:
	hv->vm_destroy(g->hv_vm);
close_nics:
	nics_close(g->nics);
close_disks:
	close_disks(g);
	return error;
}

/* vCPU-0 thread; no request of the guest's disks is in flight. */
static void
guest_teardown(void *cookie)
{
	struct guest *g = cookie;
	const struct hv_ops *hv = g->env->hv;

	hv->vcpu_destroy(g->hv_vcpu);
	machine_destroy(g->machine);
	hv->vm_destroy(g->hv_vm);
	budget_give(g->env->memory, g->conf->memory);
	nics_close(g->nics);
	close_disks(g);
}

static void
deadline_passed(void *cookie)
{
	struct guest *g = cookie;

	crew_attention(g->crew);
}

static void
input_ready(void *cookie)
{
	struct guest *g = cookie;

	crew_attention(g->crew);
}

/*
 * Is the guest halted for good, inside a kernel that keeps such vCPUs asleep?
 * Asked only when nothing has happened for a while; the
 * kick that asks counts as an exit, hence every other time.
 */
static void
halt_check(struct guest *g)
{
	struct vm_stats st;

	guest_stats(g, &st);
	if (st.exits == g->last_exits)
		crew_check_halt(g->crew);
	g->last_exits = st.exits;
}

static void
on_second(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct guest *g = t->data;

	(void)ev;
	(void)revents;
	if (g->env->hv->keeps_hlt)
		halt_check(g);
	if (g->env->hv->tick != NULL && g->env->hv->tick(g->hv_vm))
		crew_kick(g->crew);
}

static void
guest_ended(struct guest *g, enum vm_reason reason, const char *msg)
{
	if (g->ops != NULL)
		g->ops->ended(g->cookie, reason, msg);
}

static void
set_mtus(struct guest *g)
{
	unsigned i;

	for (i = 0; i < nics_count(g->nics); i++)
		machine_set_mtu(g->machine, i, nics_mtu(g->nics, i));
}

static void
set_disks(struct guest *g)
{
	unsigned i;

	for (i = 0; i < g->ndisks; i++)
		machine_set_disk(g->machine, i, &g->conf->disk[i].policy);
}

static int
plug_nics(struct guest *g, char *err, size_t errlen)
{
	int error = nics_plug(g->nics, err, errlen);

	if (error != 0)
		return error;
	/* They may have changed since the devices were made. */
	set_mtus(g);
	machine_plug(g->machine);
	return 0;
}

/* Their devices have none any more. */
static void
leave_nics(struct guest *g)
{
	if (g->keep != NULL)
		nics_rest(g->nics);
	else
		nics_unplug(g->nics);
}

static void
never_ran(struct guest *g, enum vm_reason reason, const char *msg)
{
	guest_ended(g, reason, msg);
	leave_nics(g);
	crew_teardown(g->crew);
}

static void
enter(struct guest *g)
{
	char err[VCPU_MSG_MAX];
	unsigned i;

	if (plug_nics(g, err, sizeof(err)) != 0) {
		never_ran(g, VM_REASON_ERROR, err);
		return;
	}
	for (i = 0; i < g->ndisks; i++)
		disk_attach(g->disk[i], g->aio, g->env->disk_tables);
	g->nattached = g->ndisks;
	/* They may have changed since the devices were made. */
	set_disks(g);
	console_set_input_ready(g->console, input_ready, g);
	if (g->env->hv->keeps_hlt || g->env->hv->tick != NULL)
		ev_timer_start(loop_ev(g->env->loop), &g->second_timer);
	g->running = true;
	crew_run(g->crew);
	g->ops->running(g->cookie);
}

/* What is loaded by now may be more, but is for this guest, too. */
static void
on_settled(void *arg)
{
	struct guest *g = arg;

	if (g->stopping)
		never_ran(g, VM_REASON_STOP, "");
	else
		enter(g);
}

static void
on_prepared(void *cookie, int error)
{
	struct guest *g = cookie;

	if (error != 0)
		never_ran(g, VM_REASON_ERROR, crew_message(g->crew));
	else if (g->stopping || nics_settled(g->nics, &g->rules))
		on_settled(g);
}

static void detach_disks(struct guest *g);

static void
on_detached(struct disk_req *req, int res)
{
	struct guest *g = (struct guest *)((char *)req -
	    offsetof(struct guest, detach));

	if (res != 0)
		log_warn("vm %s: disk %s: %s", g->conf->name,
		    g->conf->disk[g->nattached].path, strerror(-res));
	detach_disks(g);
}

/* One disk after the other; then the guest's thread may close them. */
static void
detach_disks(struct guest *g)
{
	if (g->nattached == 0) {
		crew_teardown(g->crew);
		return;
	}
	g->nattached--;
	g->detach = (struct disk_req){
		.op = DISK_DETACH,
		.done = on_detached,
	};
	disk_submit(g->disk[g->nattached], &g->detach);
}

static void
on_quiet(void *arg)
{
	struct guest *g = arg;

	leave_nics(g);
	detach_disks(g);
}

/* Cuts the guest off from what outlives it. */
static void
guest_unplug(struct guest *g)
{
	if (!g->running)
		return;
	g->running = false;
	console_set_input_ready(g->console, NULL, NULL);
	ev_timer_stop(loop_ev(g->env->loop), &g->second_timer);
}

static void
on_idle(void *cookie)
{
	struct guest *g = cookie;

	if (g->ops != NULL)
		g->ops->idle(g->cookie);
}

static void
on_paused(void *cookie)
{
	struct guest *g = cookie;

	if (g->ops != NULL)
		g->ops->paused(g->cookie);
}

static void
on_parked(void *cookie, enum vm_reason reason)
{
	struct guest *g = cookie;

	guest_unplug(g);
	guest_ended(g, reason, crew_message(g->crew));
	machine_stop(g->machine, on_quiet, g);
}

static void
guest_free(struct guest *g)
{
	msrs_destroy(&g->msrs);
	deadline_destroy(g->deadline);
	aio_destroy(g->aio);
	vm_config_free(g->conf);
	free(g);
}

static void
on_gone(void *cookie)
{
	struct guest *g = cookie;
	const struct guest_ops *ops = g->ops;
	void *opaque = g->cookie;

	crew_destroy(g->crew);
	if (ops != NULL && g->keep != NULL)
		*g->keep = g->nics;
	else
		nics_free(g->nics);
	guest_free(g);
	if (ops != NULL)
		ops->gone(opaque);
}

static const struct crew_ops guest_crew_ops = {
	.prepare = guest_prepare,
	.teardown = guest_teardown,
	.prepared = on_prepared,
	.idle = on_idle,
	.paused = on_paused,
	.parked = on_parked,
	.gone = on_gone,
};

static int
start_crew(struct guest *g)
{
	const struct crew_conf cc = {
		.name = g->conf->name,
		.ncpus = (unsigned)g->conf->cpus,
		.affinity = &g->conf->affinity,
		.loop = g->env->loop,
		.hv = g->env->hv,
		.deadline = g->deadline,
		.ops = &guest_crew_ops,
		.cookie = g,
	};

	return crew_create(&g->crew, &cc);
}

int
guest_create(struct guest **gp, const struct vm_env *env,
    const struct vm_config *conf, struct nics **nics,
    struct console *console, const struct guest_ops *ops, void *cookie)
{
	struct guest *g;
	int error;

	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return -ENOMEM;
	g->env = env;
	g->console = console;
	g->ops = ops;
	g->cookie = cookie;
	g->rules.task.fn = on_settled;
	g->rules.task.arg = g;
	ev_timer_init(&g->second_timer, on_second, 1.0, 1.0);
	g->second_timer.data = g;
	g->conf = vm_config_dup(conf);
	if (g->conf == NULL) {
		error = -ENOMEM;
		goto free_guest;
	}
	g->aio = aio_share_create(env->aio);
	if (g->aio == NULL) {
		error = -ENOMEM;
		goto free_conf;
	}
	g->deadline = deadline_create(env->loop, deadline_passed, g);
	if (g->deadline == NULL) {
		error = -errno;
		goto destroy_aio;
	}
	error = nics_begin(nics, env, conf);
	if (error != 0)
		goto destroy_deadline;
	g->nics = *nics;
	error = msrs_init(&g->msrs, g->conf->name, g->conf->ignore_msrs);
	if (error != 0)
		goto destroy_deadline;
	error = start_crew(g);
	if (error != 0)
		goto destroy_msrs;
	*nics = NULL;
	*gp = g;
	return 0;
destroy_msrs:
	msrs_destroy(&g->msrs);
destroy_deadline:
	deadline_destroy(g->deadline);
destroy_aio:
	aio_destroy(g->aio);
free_conf:
	vm_config_free(g->conf);
free_guest:
	free(g);
	return error;
}

void
guest_stop(struct guest *g)
{
	g->stopping = true;
	crew_stop(g->crew);
}

bool
guest_ask_stop(struct guest *g)
{
	return machine_power_button(g->machine) ||
	    machine_ctrl_alt_del(g->machine);
}

void
guest_pause(struct guest *g)
{
	crew_pause(g->crew);
}

void
guest_resume(struct guest *g)
{
	crew_resume(g->crew);
	machine_retry(g->machine);
}

void
guest_reset(struct guest *g)
{
	crew_end(g->crew, VM_REASON_RESET);
}

void
guest_detach(struct guest *g)
{
	guest_unplug(g);
	g->ops = NULL;
}

void
guest_get_vcpu(const struct guest *g, unsigned id, struct vm_vcpu *st)
{
	crew_get_vcpu(g->crew, id, st);
}

void
guest_pin(struct guest *g, const struct affinity *a)
{
	if (affinity_equal(&g->conf->affinity, a))
		return;
	g->conf->affinity = *a;
	crew_pin(g->crew);
}

void
guest_set_disks(struct guest *g, const struct vm_config *conf)
{
	disks_set_live(g->conf, conf);
	if (g->running)
		set_disks(g);
}

void
guest_set_nics(struct guest *g, const struct vm_nics *nics)
{
	nics_change(g->nics, nics);
	if (g->running)
		set_mtus(g);
}

void
guest_keep_nics(struct guest *g, struct nics **nics)
{
	g->keep = nics;
}

bool
guest_get_nic(const struct guest *g, unsigned i, struct nic_status *st)
{
	return nics_get_status(g->nics, i, st);
}

void
guest_stats(const struct guest *g, struct vm_stats *st)
{
	crew_stats(g->crew, st);
}
