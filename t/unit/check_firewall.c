/* SPDX-License-Identifier: ISC */
/*
 * The firewall as it is loaded, by a loader that only takes notes: what is
 * there for guests that are not yet, or no more, what they are configured to be;
 * and the thread that loads it (pthread), which the loop does not wait for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "fakefw.h"
#include "fakevm.h"
#include "net/fw.h"
#include "testhost.h"
#include "vmm/firewall.h"
#include "vmm/vm_table.h"

#define SWITCH	"[switch lan]\naddress = 10.0.0.1/24\n"
#define GUEST(name, kernel, nic) \
	"[vm " name "]\nkernel = " kernel "\nnic = lan," nic "\n"

static struct loop	*loop;
static struct vm_table	*vt;
static struct firewall	*fw;
static struct config	*conf;
static struct firewall_env env;
static const struct hv_ops fake_hv = { .name = "fake" };

/* What firewall_apply() has told. */
struct applied {
	unsigned	 times;
	int		 error;
	char		 err[64];
};

/* Writers of which the loader knows nothing. */
static int
put(struct buf *b, const char *text)
{
	return buf_printf(b, "%s", text);
}

int
fw_nft_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	snprintf(err, errlen, "nft cannot");
	return p->nnics == 0 || r->n == 0 ? -EOPNOTSUPP : put(b, "nft\n");
}

int
fw_pf_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	snprintf(err, errlen, "pf cannot");
	return p->nnics == 0 || r->n == 0 ? -EOPNOTSUPP : put(b, "pf\n");
}

int
fw_pf_bridge_write(const struct fw_policy *p, const struct fw_rules *r,
    struct buf *b, char *err, size_t errlen)
{
	(void)p;
	(void)r;
	(void)err;
	(void)errlen;
	return put(b, "# web1\nifconfig veb0\n");
}

/* As the daemon does. */
static void
changed(void *cookie, struct vm_entry *e)
{
	(void)cookie;
	if (e->removed || vm_entry_state(e) == VM_STARTING)
		firewall_refresh(fw);
}

static void
turn(int n)
{
	while (n-- > 0)
		ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static struct config *
read_text(const char *text)
{
	char path[] = "/tmp/check_firewall.XXXXXX";
	int fd = mkstemp(path);
	struct config *c;
	struct buf errors;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	buf_init(&errors, CONFIG_ERRORS_MAX);
	c = config_read(path, &errors);
	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	buf_free(&errors);
	unlink(path);
	return c;
}

/* Until there is nothing more to do. */
static void
settle(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		turn(8);
		firewall_finish(fw);
	}
}

static void
applied(void *cookie, int error, const char *err)
{
	struct applied *a = cookie;

	a->times++;
	a->error = error;
	snprintf(a->err, sizeof(a->err), "%s", err);
}

/* A reload, but for switches and the report. */
static int
apply(const char *text)
{
	struct config *old = conf, *c = read_text(text);
	struct applied a = { .times = 0 };
	struct vm_entry *e;
	char err[256];
	unsigned i;
	int ret;

	ret = firewall_apply(fw, c, applied, &a, err, sizeof(err));
	if (ret == -EINPROGRESS) {
		firewall_finish(fw);
		ck_assert_uint_eq(a.times, 1);
		ret = a.error;
	}
	if (ret != 0) {
		config_free(c);
		return ret;
	}
	conf = c;
	for (e = vm_table_first(vt); e != NULL; e = e->next)
		if (config_find_vm(c, vm_entry_name(e)) == NULL)
			vm_table_remove(vt, e);
	for (i = 0; i < c->nvms; i++) {
		e = vm_table_find(vt, c->vm[i].name);
		ck_assert_int_eq(e == NULL ? vm_table_add(vt, &c->vm[i]) :
		    vm_table_update(vt, e, &c->vm[i]), 0);
	}
	config_free(old);
	settle();
	return 0;
}

static void
setup(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	loop = loop_create();
	vt = vm_table_create(loop, NULL, &fake_hv, changed, NULL);
	env = (struct firewall_env){ .loop = loop, .conf = &conf,
	    .guests = vt };
	fw = firewall_create("vmmd", &env);
	conf = read_text("");
}

static void
teardown(void)
{
	vm_table_stop_all(vt, true);
	settle();
	vm_table_destroy(vt);
	firewall_destroy(fw);
	config_free(conf);
	loop_destroy(loop);
}

static bool
has(const char *what)
{
	return strstr(fakefw.loaded, what) != NULL;
}

START_TEST(loads_what_differs)
{
	ck_assert_int_eq(apply(SWITCH), 0);
	ck_assert_uint_eq(fakefw.loads, 0);
	ck_assert_int_eq(apply(SWITCH GUEST("a", "/k", "allow-in=tcp 22")), 0);
	ck_assert_uint_eq(fakefw.loads, 1);
	ck_assert(has("vm a nic 0: in: pass tcp port 22"));
	ck_assert_int_eq(apply(SWITCH GUEST("a", "/k", "allow-in=tcp 22")), 0);
	ck_assert_uint_eq(fakefw.loads, 1);
	/* At once, though it runs. */
	ck_assert_int_eq(apply(SWITCH GUEST("a", "/k", "allow-in=tcp 23")), 0);
	ck_assert_uint_eq(fakefw.loads, 2);
	ck_assert(has("vm a nic 0: in: pass tcp port 23"));
	ck_assert(!has("port 22"));
	ck_assert_str_eq(fakefw.forgotten, "");
	/* The last one goes, and so do its rules. */
	ck_assert_int_eq(apply(SWITCH), 0);
	ck_assert(!has("vm a"));
}
END_TEST

START_TEST(failure_changes_nothing)
{
	apply(SWITCH GUEST("a", "/k", "allow-in=tcp 22"));
	fakefw.load_error = -EIO;
	ck_assert_int_eq(apply(SWITCH GUEST("a", "/k", "allow-in=any")), -EIO);
	fakefw.load_error = 0;
	ck_assert(has("vm a nic 0: in: pass tcp port 22"));
	ck_assert_int_eq(apply(SWITCH GUEST("a", "/k", "allow-in=any")), 0);
	ck_assert(!has("port 22"));
}
END_TEST

/* What waits for the restart does so as a whole. */
START_TEST(pending)
{
	struct vm_entry *e;

	apply(SWITCH GUEST("a", "/k", "lladdr=02:00:00:00:00:01,locked"));
	ck_assert(has("vmmd-a.0 01\n"));
	apply(SWITCH GUEST("a", "/k", "lladdr=02:00:00:00:00:02,log=all"));
	ck_assert(has("vmmd-a.0 01\n"));
	ck_assert(!has("log"));
	e = vm_table_find(vt, "a");
	ck_assert_int_eq(vm_table_stop(vt, e, false), 0);
	settle();
	ck_assert_int_eq(vm_table_start(vt, e), 0);
	settle();
	ck_assert(has("vmmd-a.0 02\n"));
	ck_assert(has("vm a nic 0: in: block log"));
}
END_TEST

/* One that is to go is not without rules while it does. */
START_TEST(removed)
{
	struct vm_entry *e;

	apply(SWITCH GUEST("a", "/stuck", "address=10.0.0.7")
	    GUEST("b", "/k", "address=10.0.0.8"));
	apply(SWITCH GUEST("b", "/k", "address=10.0.0.8"));
	ck_assert(has("vm a nic 0: in: block"));
	ck_assert_str_eq(fakefw.forgotten, "");
	e = vm_table_find(vt, "a");
	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(vm_table_stop(vt, e, true), 0);
	settle();
	ck_assert_ptr_null(vm_table_find(vt, "a"));
	ck_assert(!has("vm a "));
	ck_assert(has("vm b nic 0: in: block"));
	ck_assert_str_eq(fakefw.forgotten, "10.0.0.7 ");
}
END_TEST

/* Nor has it any more what another gets. */
START_TEST(renamed)
{
	apply(SWITCH GUEST("a", "/stuck", "address=10.0.0.7,publish=tcp 80"));
	ck_assert(has("10.0.0.7 port 80"));
	/* The warning is expected. */
	close(STDERR_FILENO);
	apply(SWITCH GUEST("b", "/k", "address=10.0.0.7"));
	ck_assert(!has("10.0.0.7 port 80"));
	ck_assert(!has("vm a nic 0: out: pass"));
	ck_assert(!has("vm a nic 0: in: pass"));
	ck_assert(has("vm a nic 0: in: block"));
	ck_assert(has("vm a nic 0: frame: block from another MAC address"));
	ck_assert(has("vm b nic 0: out: pass"));
	/* Its connections are not b's. */
	ck_assert_str_eq(fakefw.forgotten, "10.0.0.7 ");
}
END_TEST

/* Connections that could not be forgotten are with the next change. */
START_TEST(forgets_later)
{
	/* The warnings are expected. */
	close(STDERR_FILENO);
	apply(SWITCH GUEST("a", "/k", "address=10.0.0.7")
	    GUEST("b", "/k", "address=10.0.0.8"));
	fakefw.forget_error = -EIO;
	apply(SWITCH GUEST("b", "/k", "address=10.0.0.8"));
	apply(SWITCH);
	ck_assert_str_eq(fakefw.forgotten, "");
	fakefw.forget_error = 0;
	apply(SWITCH GUEST("c", "/k", "address=10.0.0.9"));
	ck_assert_ptr_nonnull(strstr(fakefw.forgotten, "10.0.0.7 "));
	ck_assert_ptr_nonnull(strstr(fakefw.forgotten, "10.0.0.8 "));
	*fakefw.forgotten = '\0';
	apply(SWITCH);
	ck_assert_str_eq(fakefw.forgotten, "10.0.0.9 ");
}
END_TEST

/* Nobody's setting is undone but for what is new; what failed is. */
START_TEST(forwards_once)
{
	/* The warning is expected. */
	close(STDERR_FILENO);
	fakefw.forward_error = -EIO;
	apply(SWITCH GUEST("a", "/k", "allow-in=tcp 22"));
	ck_assert_uint_eq(fakefw.forwards, 1);
	fakefw.forward_error = 0;
	apply(SWITCH GUEST("a", "/k", "allow-in=tcp 23"));
	ck_assert_uint_eq(fakefw.forwards, 2);
	apply(SWITCH GUEST("a", "/k", "allow-in=tcp 24"));
	ck_assert_uint_eq(fakefw.forwards, 2);
	apply(SWITCH GUEST("a", "/k", "allow-in=none,allow-out=none"));
	ck_assert_uint_eq(fakefw.forwards, 2);
	apply(SWITCH GUEST("a", "/k", "allow-in=tcp 24"));
	ck_assert_uint_eq(fakefw.forwards, 3);
}
END_TEST

/* Without a firewall there is no NIC. */
START_TEST(none_here)
{
	firewall_destroy(fw);
	fakefw.open_error = -EOPNOTSUPP;
	fw = firewall_create("vmmd", &env);
	ck_assert_int_eq(apply(SWITCH "[vm a]\nkernel=/k\n"), 0);
	ck_assert_int_eq(apply(SWITCH GUEST("b", "/k", "locked")),
	    -EOPNOTSUPP);
}
END_TEST

/* By turns of the loop alone, as the daemon does it. */
static void
turn_until(const unsigned *times)
{
	while (*times == 0)
		ev_run(loop_ev(loop), EVRUN_ONCE);
}

static void
count(void *arg)
{
	unsigned *n = arg;

	(*n)++;
}

/* The loop goes on meanwhile, and who is not to go on waits. */
START_TEST(loads_aside)
{
	struct config *c = read_text(SWITCH GUEST("a", "/k", "locked"));
	struct applied a = { .times = 0 };
	unsigned runs = 0, never = 0;
	struct firewall_wait w = { .task = { .fn = count, .arg = &runs } };
	struct firewall_wait no = { .task = { .fn = count, .arg = &never } };
	char err[64];

	ck_assert(firewall_settled(fw, &w));
	fakefw_hold();
	ck_assert_int_eq(firewall_apply(fw, c, applied, &a, err, sizeof(err)),
	    -EINPROGRESS);
	fakefw_wait_held();
	ck_assert(!firewall_settled(fw, &w));
	ck_assert(!firewall_settled(fw, &no));
	ck_assert(!firewall_settled(fw, &w));
	firewall_unwait(fw, &no);
	turn(8);
	ck_assert_uint_eq(a.times + runs, 0);
	fakefw_let_go();
	turn_until(&runs);
	turn(8);
	ck_assert_uint_eq(a.times, 1);
	ck_assert_int_eq(a.error, 0);
	ck_assert_uint_eq(runs, 1);
	ck_assert_uint_eq(never, 0);
	ck_assert(firewall_settled(fw, &w));
	ck_assert(has("vm a nic 0: in: block"));
	config_free(c);
}
END_TEST

#define THREE(mac) \
	GUEST("a", "/k", "lladdr=02:00:00:00:00:" mac "1") \
	GUEST("b", "/k", "lladdr=02:00:00:00:00:" mac "2") \
	GUEST("c", "/k", "lladdr=02:00:00:00:00:" mac "3")

/* Three guests, of which each has another MAC address when it starts again. */
static void
three_pending(void)
{
	apply(SWITCH THREE("0"));
	apply(SWITCH THREE("1"));
	ck_assert(has("vmmd-a.0 01") && has("vmmd-c.0 03"));
}

static void
restart(const char *name)
{
	struct vm_entry *e = vm_table_find(vt, name);

	ck_assert_int_eq(vm_table_stop(vt, e, false), 0);
	turn(8);
	ck_assert_int_eq(vm_table_start(vt, e), 0);
	turn(8);
}

/* What comes while rules are loaded is loaded next, at once. */
START_TEST(newest_is_next)
{
	char err[64];
	unsigned texts, conflicts, runs = 0;
	struct firewall_wait w = { .task = { .fn = count, .arg = &runs } };

	three_pending();
	texts = fakefw.texts;
	conflicts = fakefw.conflicts;
	fakefw_hold();
	restart("a");
	fakefw_wait_held();
	ck_assert(!firewall_settled(fw, &w));
	restart("b");
	restart("c");
	/* The first is there, but not what b and c wait for. */
	fakefw_let_go();
	turn_until(&runs);
	ck_assert_uint_eq(fakefw.texts, texts + 2);
	/* Others' rules are looked at when a change is asked for. */
	ck_assert_uint_gt(conflicts, 0);
	ck_assert_uint_eq(fakefw.conflicts, conflicts);
	ck_assert(has("vmmd-a.0 11") && has("vmmd-b.0 12"));
	ck_assert(has("vmmd-c.0 13"));
	ck_assert(firewall_covers(fw, err, sizeof(err)));
	/* All are what they are to be. */
	restart("c");
	settle();
	ck_assert_uint_eq(fakefw.texts, texts + 2);
}
END_TEST

/* A guest without its rules is known, and helped by the next occasion. */
START_TEST(refresh_fails)
{
	char err[64];

	three_pending();
	/* The error is expected. */
	close(STDERR_FILENO);
	fakefw.load_error = -EIO;
	restart("a");
	settle();
	ck_assert(!firewall_covers(fw, err, sizeof(err)));
	ck_assert_str_eq(err, "cannot load");
	ck_assert(has("vmmd-a.0 01"));
	/* That is no matter of a change that fails. */
	ck_assert_int_eq(apply(SWITCH THREE("2")), -EIO);
	ck_assert(!firewall_covers(fw, err, sizeof(err)));
	fakefw.load_error = 0;
	restart("b");
	settle();
	ck_assert(firewall_covers(fw, err, sizeof(err)));
	ck_assert(has("vmmd-a.0 11") && has("vmmd-b.0 12"));
}
END_TEST

/* What was loaded, and then is not to be. */
START_TEST(revert)
{
	struct config *c = read_text(SWITCH GUEST("b", "/k", "locked"));
	struct applied a = { .times = 0 };
	char err[64];

	apply(SWITCH GUEST("a", "/k", "address=10.0.0.7"));
	ck_assert_int_eq(firewall_apply(fw, c, applied, &a, err, sizeof(err)),
	    -EINPROGRESS);
	turn_until(&a.times);
	ck_assert(has("vm b "));
	firewall_revert(fw);
	firewall_finish(fw);
	config_free(c);
	ck_assert(!has("vm b "));
	ck_assert(has("vm a "));
}
END_TEST

#define MANY	250

static uint64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Of the loop's time, without what the host gives to others. */
START_TEST(many)
{
	unsigned runs = 0, i;
	struct firewall_wait w = { .task = { .fn = count, .arg = &runs } };
	uint64_t begun, done;
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(put(&b, SWITCH), 0);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(buf_printf(&b, "[vm g%u]\nkernel=/k\n"
		    "nic=lan,locked,allow-in=tcp %u,allow-out=tcp 443,"
		    "address=10.0.0.%u\n", i, 1000 + i, 2 + i), 0);
	ck_assert_int_eq(buf_append(&b, "", 1), 0);
	ck_assert_int_eq(apply(buf_head(&b)), 0);
	buf_free(&b);
	ck_assert(has("vm g249 nic 0: in: pass tcp port 1249"));
	begun = cpu_ns();
	firewall_revert(fw);
	begun = cpu_ns() - begun;
	ck_assert(!firewall_settled(fw, &w));
	done = cpu_ns();
	turn_until(&runs);
	done = cpu_ns() - done;
	printf("# %u guests: %llu us to begin, %llu us of turns until done\n",
	    MANY, (unsigned long long)begun / 1000,
	    (unsigned long long)done / 1000);
	ck_assert_uint_lt(begun, 2000000);
	ck_assert_uint_lt(done, 2000000);
}
END_TEST

static const struct {
	const char	*packet, *said;
} traces[] = {
	{ "tcp 10.0.0.7 198.51.100.1 443",
	    "to outside, routed\n"
	    "frame: nothing blocks it\n"
	    "vm a nic 0: out: pass\n"
	    "switch lan: nat: translate inet from 10.0.0.0/24 by any "
	    "interface to outside\n"
	    "passes\n" },
	{ "tcp  198.51.100.1  10.0.0.7 22",
	    "to vm a nic 0, routed\n"
	    "spoof: it has no address of a guest\n"
	    "vm a nic 0: in: pass tcp port 22\n"
	    "passes\n" },
	{ "icmp 10.0.0.8 10.0.0.7",
	    "to vm a nic 0, bridged\n"
	    "frame: nothing blocks it\n"
	    "vm b nic 0: out: pass\n"
	    "vm a nic 0: in: block\n"
	    "blocked\n" },
	{ "udp 198.51.100.1 10.0.0.1 514",
	    "to vm a nic 0, routed\n"
	    "spoof: it has no address of a guest\n"
	    "vm a nic 0: rdr: translate inet udp to the host port 514 -> "
	    "10.0.0.7 port 514\n"
	    "vm a nic 0: in: pass inet udp published port 514\n"
	    "passes\n" },
	{ "47 10.0.0.7 10.0.0.1",
	    "to the host, itself\n"
	    "frame: nothing blocks it\n"
	    "vm a nic 0: host: block\n"
	    "blocked\n" },
	{ "tcp 10.0.0.1 10.0.0.7 9", "to vm a nic 0, routed\npasses\n" },
	{ "tcp 198.51.100.1 10.0.0.8 1", NULL },
	{ "tcp 198.51.100.1 10.0.0.7", NULL },
	{ "tcp 198.51.100.1 10.0.0.7 65536", NULL },
	{ "tcp 198.51.100.1 10.0.0.7 1 1", NULL },
	{ "tcp 198.51.100.1 fd00::1 1", NULL },
	{ "icmp 198.51.100.1 10.0.0.7 256", NULL },
	{ "256 198.51.100.1 10.0.0.7", NULL },
	{ "gre 198.51.100.1 10.0.0.7", NULL },
	{ "tcp here there 80", NULL },
	{ "tcp", NULL },
};

START_TEST(trace)
{
	char packet[64], err[256];
	struct buf b;
	int ret;

	apply(SWITCH GUEST("a", "/k", "address=10.0.0.7,allow-in=tcp 22,"
	    "publish=udp 514") GUEST("b", "/k", "address=10.0.0.8"));
	buf_init(&b, 4096);
	snprintf(packet, sizeof(packet), "%s", traces[_i].packet);
	ret = firewall_trace(conf, vt, NULL, "a", packet, &b, err,
	    sizeof(err));
	ck_assert_int_eq(buf_append(&b, "", 1), 0);
	if (traces[_i].said != NULL) {
		ck_assert_msg(ret == 0, "%s", err);
		ck_assert_str_eq(buf_head(&b), traces[_i].said);
	} else {
		ck_assert_int_eq(ret, -EINVAL);
	}
	buf_free(&b);
}
END_TEST

static const char *
printed(enum firewall_text which)
{
	static char text[256];
	struct buf b;
	int ret;

	buf_init(&b, sizeof(text));
	ret = firewall_print(which, conf, vt, NULL, &b, text, sizeof(text));
	if (ret == 0)
		snprintf(text, sizeof(text), "%.*s", (int)b.len,
		    buf_head(&b));
	buf_free(&b);
	return text;
}

START_TEST(print)
{
	ck_assert_str_eq(printed(FIREWALL_NFT), "nft cannot");
	ck_assert_str_eq(printed(FIREWALL_PF), "pf cannot");
	apply(SWITCH GUEST("a", "/k", "locked"));
	ck_assert_str_eq(printed(FIREWALL_NFT), "nft\n");
	/* What pf takes, and what it is not to read. */
	ck_assert_str_eq(printed(FIREWALL_PF), "pf\n# Commands for veb(4):\n"
	    "#\t# web1\n#\tifconfig veb0\n");
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("firewall");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, loads_what_differs);
	tcase_add_test(tc, failure_changes_nothing);
	tcase_add_test(tc, pending);
	tcase_add_test(tc, removed);
	tcase_add_test(tc, renamed);
	tcase_add_test(tc, forgets_later);
	tcase_add_test(tc, forwards_once);
	tcase_add_test(tc, none_here);
	tcase_add_test(tc, loads_aside);
	tcase_add_test(tc, newest_is_next);
	tcase_add_test(tc, refresh_fails);
	tcase_add_test(tc, revert);
	tcase_add_test(tc, many);
	tcase_add_test(tc, print);
	tcase_add_loop_test(tc, trace, 0, sizeof(traces) / sizeof(traces[0]));
	return test_main("firewall", tc);
}
