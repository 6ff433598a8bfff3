/* SPDX-License-Identifier: ISC */
/*
 * A guest whose NICs wait for rules of the firewall does not run before these
 * are loaded.  Its threads are pthreads; its NICs are the test's own.
 */
#include <errno.h>

#include "vmm/firewall.h"
#include "vmm/nics.h"
#include "vmrig.h"

struct nics {
	int	unused;
};

/* Loop, but where it says otherwise. */
static struct firewall_wait *waiting;
static bool		 settled;
static const char	*no_rules;	/* why they cannot be plugged in */
static unsigned		 plugged;

int
nics_begin(struct nics **np, const struct vm_env *e, const struct vm_config *c)
{
	(void)e;
	(void)c;
	if (*np == NULL)
		*np = calloc(1, sizeof(**np));
	return 0;
}

/* The guest's thread, as the next. */
int
nics_open(struct nics *s, char *err, size_t errlen)
{
	(void)s;
	(void)err;
	(void)errlen;
	return 0;
}

unsigned
nics_devices(const struct nics *s, struct machine_nic_conf *c)
{
	(void)s;
	(void)c;
	return 0;
}

bool
nics_settled(struct nics *s, struct firewall_wait *w)
{
	(void)s;
	waiting = settled ? NULL : w;
	return settled;
}

int
nics_plug(struct nics *s, char *err, size_t errlen)
{
	(void)s;
	if (no_rules != NULL) {
		snprintf(err, errlen, "%s", no_rules);
		return -EIO;
	}
	plugged++;
	return 0;
}

bool
nics_get_status(const struct nics *s, unsigned i, struct nic_status *st)
{
	(void)s;
	(void)i;
	(void)st;
	return false;
}

uint16_t
nics_mtu(const struct nics *s, unsigned i)
{
	(void)s;
	(void)i;
	return 0;
}

unsigned
nics_count(const struct nics *s)
{
	(void)s;
	return 0;
}

void
nics_change(struct nics *s, const struct vm_nics *now)
{
	(void)s;
	(void)now;
}

void
nics_rest(struct nics *s)
{
	(void)s;
}

void
nics_unplug(struct nics *s)
{
	(void)s;
}

void
nics_close(struct nics *s)
{
	(void)s;
}

void
nics_free(struct nics *s)
{
	free(s);
}

/* Starts it, up to where it waits. */
static void
start_waiting(void)
{
	settled = false;
	waiting = NULL;
	ck_assert_int_eq(vm_start(vm), 0);
	awaited = (enum vm_state)-1;
	while (waiting == NULL)
		run_for(0.01);
	run_for(0.05);
	ck_assert_int_eq(status().state, VM_STARTING);
	ck_assert_uint_eq(fakehv_look().exits, 0);
}

static void
rules_are_there(void)
{
	loop_post(loop, &waiting->task);
}

START_TEST(waits)
{
	make_vm(NULL);
	start_waiting();
	ck_assert_uint_eq(plugged, 0);
	rules_are_there();
	wait_for(VM_RUNNING);
	ck_assert_uint_eq(plugged, 1);
	stop_vm();
	/* Nobody is asked to wait for nothing. */
	settled = true;
	ck_assert_int_eq(vm_start(vm), 0);
	wait_for(VM_RUNNING);
	ck_assert_ptr_null(waiting);
	stop_vm();
}
END_TEST

static bool
nothing_left(const struct fakehv *f)
{
	return f->vms == 0 && f->vcpus == 0;
}

/* A stop, by force or not, is not forgotten meanwhile. */
START_TEST(stopped_as_it_waits)
{
	make_vm(NULL);
	start_waiting();
	ck_assert_int_eq(vm_stop(vm, _i == 1), 0);
	run_for(0.05);
	ck_assert_uint_eq(fakehv_look().vms, 1);
	rules_are_there();
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_STOP);
	wait_until(nothing_left);
	run_for(0.1);
	ck_assert_uint_eq(plugged, 0);
}
END_TEST

START_TEST(without_rules)
{
	make_vm(NULL);
	start_waiting();
	/* The error is expected. */
	close(STDERR_FILENO);
	no_rules = "firewall: none";
	rules_are_there();
	wait_for(VM_STOPPED);
	ck_assert_int_eq(status().reason, VM_REASON_ERROR);
	ck_assert_str_eq(vm_message(vm), "firewall: none");
	ck_assert_uint_eq(fakehv_look().exits, 0);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("vm_rules");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, waits);
	tcase_add_loop_test(tc, stopped_as_it_waits, 0, 2);
	tcase_add_test(tc, without_rules);
	return test_main("vm_rules", tc);
}
