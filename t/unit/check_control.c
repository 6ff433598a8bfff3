/* SPDX-License-Identifier: ISC */
/*
 * The control socket from a client's side, against guests without a machine:
 * replies, waiting, consoles, and all that a stranger may send or not read.
 * Client and daemon share a thread; waiting for a reply turns the loop.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "fakevm.h"
#include "vmm/client.h"
#include "vmm/console.h"
#include "vmm/control.h"
#include "vmm/proto.h"
#include "vmm/reload.h"
#include "vmm/config.h"
#include "vmm/vm_table.h"

static struct loop *loop;
static struct control_env env;
static struct control *ctl;
static struct config *conf;
static char path[64];
static const struct hv_ops fake_hv = { .name = "fake" };

#define GREETING	"vmmd 1 lab 0.1.0\n"

static void
changed(void *cookie, struct vm_entry *e)
{
	(void)cookie;
	if (ctl != NULL)
		control_guest_changed(ctl, e);
}

static void
turn(int n)
{
	while (n-- > 0)
		ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static struct vm *
vm(const char *name)
{
	return vm_table_find(env.guests, name)->vm;
}

static void
setup(void)
{
	static const char text[] =
	    "[daemon]\nname = lab\n"
	    "[vm a]\nkernel = /k\nautostart = no\n"
	    "[vm slow]\nkernel = /slow\nautostart = no\n"
	    "[vm fail]\nkernel = /fail\nautostart = no\n"
	    "[vm stuck]\nkernel = /stuck\nautostart = no\n";
	FILE *f;

	log_set_level(LOG_LEVEL_ERROR);
	snprintf(path, sizeof(path), "/tmp/check_control.%d", (int)getpid());
	/* The process ID of a test that failed may come again. */
	unlink(path);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	conf = reload_read(path, NULL);
	ck_assert_ptr_nonnull(conf);
	unlink(path);
	loop = loop_create();
	env = (struct control_env){ .loop = loop, .conf = &conf,
	    .backend = "fake" };
	env.guests = vm_table_create(loop, NULL, &fake_hv, changed, NULL);
	reload_apply(env.guests, conf, NULL);
	ctl = control_create(&env, path);
	ck_assert_ptr_nonnull(ctl);
	turn(4);
}

static void
teardown(void)
{
	char lock[80];

	vm_table_stop_all(env.guests, true);
	turn(8);
	control_destroy(ctl);
	ctl = NULL;
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_uint_eq(env.nclients, 0);
	vm_table_destroy(env.guests);
	config_free(conf);
	loop_destroy(loop);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	unlink(lock);
}

static void
dial_with(int fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(addr.sun_path, path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
	    0);
}

static int
dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	dial_with(fd);
	return fd;
}

/* Reads exactly what is expected; at most 2 s, mostly at once. */
static void
expect(int fd, const char *want)
{
	char got[8192];
	size_t len = strlen(want), have = 0;
	uint64_t end = loop_now_ns() + 2000000000;
	ssize_t n;

	while (have < len && loop_now_ns() < end) {
		n = read(fd, got + have, len - have);
		if (n == 0)
			break;
		if (n > 0)
			have += n;
		else
			turn(1);
	}
	got[have] = '\0';
	ck_assert_str_eq(got, want);
}

/* Nothing (more) comes, though everything had its turn. */
static void
expect_quiet(int fd)
{
	char c;

	turn(8);
	ck_assert_int_eq(read(fd, &c, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

static void
expect_eof(int fd)
{
	uint64_t end = loop_now_ns() + 2000000000;
	ssize_t n;
	char c;

	do {
		turn(1);
		n = read(fd, &c, 1);
	} while (n < 0 && errno == EAGAIN && loop_now_ns() < end);
	/* A reset if something sent was never looked at. */
	ck_assert(n == 0 || (n < 0 && errno == ECONNRESET));
}

static void
say(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
}

static int
dial_greeted(void)
{
	int fd = dial();

	expect(fd, GREETING);
	return fd;
}

START_TEST(start_stop_wait)
{
	int fd = dial_greeted(), waiter = dial_greeted();

	say(fd, "start a\n");
	expect(fd, "ok\n");
	ck_assert_uint_eq(vm_table_running(env.guests), 1);
	say(fd, "start a\n");
	expect(fd, "err state vm a: is running already\n");
	say(waiter, "wait a\n");
	expect_quiet(waiter);
	say(fd, "stop a\n");
	expect(fd, "ok\n");
	expect(waiter, "event vm=a state=stopped reason=stop message=\"\"\n"
	    "ok\n");
	say(fd, "stop a\n");
	expect(fd, "err state vm a: is not running\n");
	close(fd);
	close(waiter);
}
END_TEST

START_TEST(start_replies_when_it_runs)
{
	int fd = dial_greeted();

	say(fd, "start slow\n");
	expect_quiet(fd);
	fake_vm_runs(vm("slow"));
	expect(fd, "ok\n");
	say(fd, "start fail\n");
	expect(fd, "err failed vm fail: not started: kernel /fail: "
	    "\"no\" file\n");
	close(fd);
}
END_TEST

START_TEST(forced_stop)
{
	int fd = dial_greeted(), other = dial_greeted();

	say(fd, "start stuck\n");
	expect(fd, "ok\n");
	say(fd, "stop stuck\n");
	expect_quiet(fd);
	say(other, "stop stuck force\n");
	expect(other, "ok\n");
	expect(fd, "ok\n");
	close(fd);
	close(other);
}
END_TEST

START_TEST(status_rows)
{
	int fd = dial_greeted();

	say(fd, "start fail\nstart a\n");
	expect(fd, "err failed vm fail: not started: kernel /fail: "
	    "\"no\" file\nok\n");
	say(fd, "status a\nstatus fail\n");
	expect(fd, "vm name=a state=running backend=fake reason=- "
	    "memory=536870912 vcpus=1 uptime=12.345 next-start=0.000 "
	    "cpu=0.000 guest-time=0.000 exits=7 boots=1 pending=- message=\"\"\nok\n"
	    "vm name=fail state=stopped backend=fake reason=error "
	    "memory=536870912 vcpus=1 uptime=0.000 next-start=0.000 "
	    "cpu=0.000 guest-time=0.000 exits=7 boots=0 pending=- message=\"kernel /fail: \\\"no\\\" file\"\nok\n");
	say(fd, "status\n");
	expect(fd, "daemon name=lab version=0.1.0 backend=fake pid=");
	close(fd);
}
END_TEST

/* Requests that came together are answered in order, waiting ones too. */
START_TEST(pipelined)
{
	int fd = dial_greeted();

	say(fd, "start slow\nwait slow\nfrob");
	expect_quiet(fd);
	fake_vm_runs(vm("slow"));
	expect(fd, "ok\n");
	say(fd, "nicate\n");
	expect_quiet(fd);
	fake_vm_ends(vm("slow"), VM_REASON_RESET, "");
	expect(fd, "event vm=slow state=stopped reason=reset message=\"\"\n"
	    "ok\nerr unknown no command frobnicate, try help\n");
	close(fd);
}
END_TEST

/* A full line of 4096 bytes is a request, one byte more is not. */
START_TEST(line_length)
{
	char line[PROTO_LINE_MAX + 2];
	int fd = dial_greeted();

	memset(line, ' ', sizeof(line));
	line[PROTO_LINE_MAX - 1] = '\n';
	line[PROTO_LINE_MAX] = '\0';
	say(fd, line);
	expect(fd, "err syntax empty request, try help\n");

	memset(line, ' ', sizeof(line));
	line[PROTO_LINE_MAX] = '\n';
	line[PROTO_LINE_MAX + 1] = '\0';
	say(fd, line);
	expect(fd, "err too-long a request has at most 4096 bytes\n");
	expect_eof(fd);
	close(fd);
}
END_TEST

START_TEST(binary_bytes)
{
	static const char *const lines[] = {
		"start \x01\n", "\x7f\n", "\xc3\xa9\n", "help\r\n",
		"\thelp\n",
	};
	int fd = dial_greeted();

	say(fd, lines[_i]);
	expect(fd, "err binary a request is printable ASCII\n");
	expect_eof(fd);
	close(fd);
	/* Nobody else is disturbed. */
	fd = dial_greeted();
	say(fd, "wait a\n");
	expect(fd, "event vm=a");
	close(fd);
}
END_TEST

START_TEST(nul_byte)
{
	int fd = dial_greeted();

	ck_assert_int_eq(write(fd, "help\0x\n", 7), 7);
	expect(fd, "err binary a request is printable ASCII\n");
	expect_eof(fd);
	close(fd);
}
END_TEST

/* "echo wait a | nc -N": the answer comes although no more can be asked. */
START_TEST(half_closed)
{
	int fd = dial_greeted();

	say(fd, "start slow\nwait slow\n");
	shutdown(fd, SHUT_WR);
	turn(8);
	fake_vm_runs(vm("slow"));
	turn(8);
	fake_vm_ends(vm("slow"), VM_REASON_HALTED, "");
	expect(fd, "ok\nevent vm=slow state=stopped reason=halted "
	    "message=\"\"\nok\n");
	expect_eof(fd);
	close(fd);
}
END_TEST

START_TEST(gone_while_waiting)
{
	int fd = dial_greeted();

	say(fd, "wait a\nstart slow\nwait slow\n");
	turn(8);
	ck_assert_uint_eq(env.nclients, 1);
	close(fd);
	turn(8);
	ck_assert_uint_eq(env.nclients, 0);
	fake_vm_runs(vm("slow"));
}
END_TEST

/* The same, but it shut its own direction down first: its place is freed. */
START_TEST(gone_after_half_close)
{
	int fd = dial_greeted();

	say(fd, "start slow\nwait slow\n");
	shutdown(fd, SHUT_WR);
	turn(8);
	ck_assert_uint_eq(env.nclients, 1);
	close(fd);
	while (env.nclients != 0)
		ev_run(loop_ev(loop), EVRUN_ONCE);
	fake_vm_runs(vm("slow"));
}
END_TEST

START_TEST(events)
{
	int fd = dial_greeted(), other = dial_greeted();

	say(fd, "events\n");
	expect(fd,
	    "event vm=a state=stopped reason=- message=\"\"\n"
	    "event vm=slow state=stopped reason=- message=\"\"\n"
	    "event vm=fail state=stopped reason=- message=\"\"\n"
	    "event vm=stuck state=stopped reason=- message=\"\"\nok\n");
	say(other, "start a\nstop a\n");
	expect(other, "ok\nok\n");
	expect(fd, "event vm=a state=starting reason=- message=\"\"\n"
	    "event vm=a state=running reason=- message=\"\"\n"
	    "event vm=a state=stopping reason=- message=\"\"\n"
	    "event vm=a state=stopped reason=stop message=\"\"\n");
	/* Replies still come. */
	say(fd, "start a\n");
	expect(fd, "event vm=a state=starting reason=- message=\"\"\n"
	    "event vm=a state=running reason=- message=\"\"\nok\n");
	close(fd);
	close(other);
}
END_TEST

START_TEST(console_both_ways)
{
	int fd = dial_greeted();
	struct console *c;
	char in[16];

	say(fd, "start a\n");
	expect(fd, "ok\n");
	c = vm_console(vm("a"));
	console_write(c, "boot\r\n", 6);
	say(fd, "console a\nroot\r\0");
	expect(fd, "ok\nboot\r\n");
	console_write(c, "login: \xff", 8);
	expect(fd, "login: \xff");
	turn(4);
	ck_assert_uint_eq(console_read(c, in, sizeof(in)), 5);
	ck_assert_mem_eq(in, "root\r", 5);
	/* No request is read from a console. */
	say(fd, "stop a\n");
	expect_quiet(fd);
	ck_assert_uint_eq(console_read(c, in, sizeof(in)), 7);
	console_write(c, "bye", 3);
	fake_vm_ends(vm("a"), VM_REASON_RESET, "");
	close(fd);
}
END_TEST

/* The last output arrives before the connection ends with the guest. */
START_TEST(console_ends_with_guest)
{
	int fd = dial_greeted(), stopper = dial_greeted();

	say(stopper, "start a\n");
	expect(stopper, "ok\n");
	say(fd, "console a\n");
	expect(fd, "ok\n");
	console_write(vm_console(vm("a")), "bye", 3);
	say(stopper, "stop a\n");
	expect(fd, "bye");
	expect_eof(fd);
	close(fd);
	/* What a stopped guest has said can still be read. */
	fd = dial_greeted();
	say(fd, "console a\n");
	expect(fd, "ok\nbye");
	expect_eof(fd);
	close(fd);
	close(stopper);
}
END_TEST

/* A guest that does not read holds its input back, and loses none of it. */
START_TEST(console_input_waits)
{
	static char text[3 * CONSOLE_INPUT_MAX], got[sizeof(text)];
	int fd = dial_greeted();
	uint64_t end = loop_now_ns() + 5000000000;
	struct console *c;
	size_t i, have = 0;

	for (i = 0; i < sizeof(text); i++)
		text[i] = i % 251;
	say(fd, "start a\nconsole a\n");
	expect(fd, "ok\nok\n");
	c = vm_console(vm("a"));
	ck_assert_int_eq(write(fd, text, sizeof(text)), sizeof(text));
	turn(8);
	while (have < sizeof(text) && loop_now_ns() < end) {
		have += console_read(c, got + have, 100);
		turn(1);
	}
	ck_assert_mem_eq(got, text, sizeof(text));
	close(fd);
}
END_TEST

/* Drains a connection; true if `text` was in what came. */
static bool
drain_finds(int fd, const char *text)
{
	static char got[1 << 20];
	size_t have = 0;
	ssize_t n;
	int idle;

	for (idle = 0; idle < 20 && have < sizeof(got) - 1; idle++) {
		n = read(fd, got + have, sizeof(got) - 1 - have);
		if (n > 0) {
			have += n;
			idle = 0;
		}
		turn(1);
	}
	got[have] = '\0';
	return strstr(got, text) != NULL;
}

/* A viewer that does not read loses bytes, is told, and may come back. */
START_TEST(console_never_read)
{
	static char flood[32768];
	int fd = dial_greeted(), other = dial_greeted();
	struct console *c;
	int i;

	memset(flood, 'x', sizeof(flood));
	say(fd, "start a\nconsole a\n");
	expect(fd, "ok\nok\n");
	c = vm_console(vm("a"));
	for (i = 0; i < 100; i++) {
		console_write(c, flood, sizeof(flood));
		console_flush(c);
		turn(2);
	}
	say(other, "wait fail\n");
	expect(other, "event vm=fail");
	ck_assert(drain_finds(fd, " bytes lost]\r\n"));
	console_write(c, "here again", 10);
	console_flush(c);
	ck_assert(drain_finds(fd, "here again"));
	close(fd);
	close(other);
}
END_TEST

START_TEST(events_never_read)
{
	int fd = dial_greeted(), i;
	struct vm *a = vm("a");

	say(fd, "events\n");
	expect(fd,
	    "event vm=a state=stopped reason=- message=\"\"\n"
	    "event vm=slow state=stopped reason=- message=\"\"\n"
	    "event vm=fail state=stopped reason=- message=\"\"\n"
	    "event vm=stuck state=stopped reason=- message=\"\"\nok\n");
	close(STDERR_FILENO);	/* the warning is expected */
	for (i = 0; i < 20000 && env.nclients > 0; i++) {
		ck_assert_int_eq(vm_start(a), 0);
		turn(2);
		fake_vm_ends(a, VM_REASON_RESET, "");
		turn(1);
	}
	ck_assert_uint_eq(env.nclients, 0);
	close(fd);
}
END_TEST

/* One that asks and never reads is held back, not fed without end. */
START_TEST(replies_never_read)
{
	int fd = dial_greeted(), other, i;
	ssize_t n = 0;

	for (i = 0; i < 100000 && n >= 0; i++) {
		n = write(fd, "status\n", 7);
		turn(2);
	}
	ck_assert_int_lt(n, 0);
	ck_assert_int_eq(errno, EAGAIN);
	other = dial_greeted();
	say(other, "wait a\n");
	expect(other, "event vm=a");
	close(other);
	ck_assert(drain_finds(fd, "daemon name=lab"));
	close(fd);
}
END_TEST

START_TEST(many_connections)
{
	int fd[CONTROL_CLIENTS_MAX], over, i;

	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		fd[i] = dial_greeted();
	over = dial();
	expect(over, "err busy too many connections\n");
	expect_eof(over);
	close(over);
	close(fd[0]);
	turn(8);
	fd[0] = dial_greeted();
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fd[i]);
}
END_TEST

START_TEST(socket_is_private)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

static unsigned
mode(void)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st.st_mode & 0777;
}

/* Owners can connect as long as there are any; they are asked who they are. */
START_TEST(socket_is_for_owners)
{
	int fd = dial_greeted();

	conf->group.gid = getegid();
	control_configured(ctl);
	ck_assert_uint_eq(mode(), 0660);
	conf->vm[0].owner.uid = 1234;
	control_configured(ctl);
	ck_assert_uint_eq(mode(), 0666);
	conf->vm[0].owner.uid = OWNER_NONE;
	conf->group.gid = OWNER_NONE;
	control_configured(ctl);
	ck_assert_uint_eq(mode(), 0600);
	say(fd, "wait a\n");
	expect(fd, "event vm=a");
	close(fd);
}
END_TEST

/* With no descriptor left, who connects is told so and does not wait. */
START_TEST(out_of_descriptors)
{
	struct rlimit old, now;
	int fd, after;

	fd = dial_greeted();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	after = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(after, 0);
	now = old;
	now.rlim_cur = after + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
	dial_with(after);
	expect(after, "err busy too many connections\n");
	expect_eof(after);
	close(after);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	/* And it all goes on. */
	after = dial_greeted();
	close(after);
	say(fd, "wait a\n");
	expect(fd, "event vm=a");
	close(fd);
}
END_TEST

START_TEST(one_daemon_a_socket)
{
	struct control_env second = env;
	int fd;

	second.nclients = 0;
	close(STDERR_FILENO);	/* the error is expected */
	ck_assert_ptr_null(control_create(&second, path));
	fd = dial_greeted();
	close(fd);
	turn(8);
}
END_TEST

/* A killed daemon leaves its socket and no lock. */
START_TEST(stale_socket_is_replaced)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	control_destroy(ctl);
	strcpy(addr.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	ck_assert_int_eq(access(path, F_OK), 0);
	ctl = control_create(&env, path);
	ck_assert_ptr_nonnull(ctl);
	fd = dial_greeted();
	close(fd);
	turn(8);
}
END_TEST

START_TEST(other_files_are_left_alone)
{
	int fd;

	control_destroy(ctl);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup2(open("/dev/null", O_WRONLY), STDERR_FILENO),
	    STDERR_FILENO);
	ctl = control_create(&env, path);
	ck_assert_ptr_null(ctl);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(unlink(path), 0);
	close(fd);
}
END_TEST

static TCase *
control_case(void)
{
	TCase *tc = tcase_create("control");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, start_stop_wait);
	tcase_add_test(tc, start_replies_when_it_runs);
	tcase_add_test(tc, forced_stop);
	tcase_add_test(tc, status_rows);
	tcase_add_test(tc, pipelined);
	tcase_add_test(tc, line_length);
	tcase_add_loop_test(tc, binary_bytes, 0, 5);
	tcase_add_test(tc, nul_byte);
	tcase_add_test(tc, half_closed);
	tcase_add_test(tc, gone_while_waiting);
	tcase_add_test(tc, gone_after_half_close);
	tcase_add_test(tc, events);
	tcase_add_test(tc, console_both_ways);
	tcase_add_test(tc, console_ends_with_guest);
	tcase_add_test(tc, console_input_waits);
	tcase_add_test(tc, console_never_read);
	tcase_add_test(tc, events_never_read);
	tcase_add_test(tc, replies_never_read);
	tcase_add_test(tc, many_connections);
	tcase_add_test(tc, socket_is_private);
	tcase_add_test(tc, socket_is_for_owners);
	tcase_add_test(tc, out_of_descriptors);
	tcase_add_test(tc, one_daemon_a_socket);
	tcase_add_test(tc, stale_socket_is_replaced);
	tcase_add_test(tc, other_files_are_left_alone);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("control");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, control_case());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
