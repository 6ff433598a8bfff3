/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: what a client of the control socket sends.
 *
 * By bit 0 of the first byte it is an admin, or else the owner of guest "b"
 * only.  The rest is what it sends, all at once up to a byte of 0 to 3: 0 lets
 * the daemon work, 1 starts a guest that is slow to, 2 ends one that runs, 3
 * sends no more.  Each line that comes is a row or a reply, no more replies
 * than there were requests; and guest "a" is no business of b's owner.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "fakevm.h"
#include "vmm/client.h"
#include "vmm/command.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/peer.h"
#include "vmm/proto.h"
#include "vmm/reload.h"
#include "vmm/vm_table.h"

#define OWNER		4711
#define OUTPUT_MAX	(1u << 20)

struct rig {
	struct loop		*loop;
	struct control_env	 env;
	struct config		*conf;
	struct client		*client;
	int			 peer;
	bool			 over;
	unsigned		 requests;	/* lines sent */
	struct buf		 got;		/* not yet looked at */
	bool			 greeted;
	bool			 console;	/* or it may be: no more lines */
	unsigned		 replies;
};

static char conf_path[4096], state_path[4096];

/*
 * Files, in $TMPDIR or /tmp, are made once; what requests leave in the state
 * directory goes.
 */
static void
remove_guests(void)
{
	DIR *d = opendir(state_path);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (*e->d_name != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
}

static void
remove_files(void)
{
	remove_guests();
	(void)rmdir(state_path);
	(void)unlink(conf_path);
}

static void
make_files(void)
{
	const char *dir = getenv("TMPDIR");
	FILE *f;

	if (*conf_path != '\0') {
		remove_guests();
		return;
	}
	if (dir == NULL)
		dir = "/tmp";
	snprintf(conf_path, sizeof(conf_path), "%s/fuzz_control.conf", dir);
	snprintf(state_path, sizeof(state_path), "%s/fuzz_control.d", dir);
	f = fopen(conf_path, "w");
	FUZZ_CHECK(f != NULL);
	fprintf(f, "[daemon]\nstate = %s\n"
	    "[switch lan]\naddress = 192.0.2.1/24\n"
	    "[vm a]\nkernel = /k\nautostart = no\n"
	    "[vm b]\nkernel = /k\nautostart = no\nowner = %d\n"
	    "nic = lan\n"
	    "[vm s]\nkernel = /slow\nautostart = no\n"
	    "[vm f]\nkernel = /fail\nautostart = no\n"
	    "[vm t]\nkernel = /stuck\nautostart = no\n", state_path, OWNER);
	FUZZ_CHECK(fclose(f) == 0);
	atexit(remove_files);
}

static void
on_changed(void *cookie, struct vm_entry *e)
{
	struct rig *r = cookie;
	struct buf row;

	buf_init(&row, PROTO_ROW_MAX);
	FUZZ_CHECK(command_event_row(&row, e) == 0);
	if (r->client != NULL)
		client_guest_changed(r->client, e, &row);
	buf_free(&row);
}

static void
on_ended(void *cookie, struct client *c)
{
	struct rig *r = cookie;

	FUZZ_CHECK(c == r->client && !r->over);
	r->over = true;
}

/* Is it a whole line of the protocol?  Counts replies. */
static void
check_line(struct rig *r, const char *p, size_t n)
{
	size_t i;

	FUZZ_CHECK(n < PROTO_ROW_MAX);
	for (i = 0; i < n; i++)
		FUZZ_CHECK(p[i] >= ' ' && p[i] <= '~');
	if (!r->greeted) {
		FUZZ_CHECK(strncmp(p, "vmmd 1 vmmd ", 12) == 0);
		r->greeted = true;
		return;
	}
	if (*p == '@') {
		FUZZ_CHECK(memchr(p, ' ', n) != NULL);
		n -= (size_t)((char *)memchr(p, ' ', n) + 1 - p);
		p = (char *)memchr(p, ' ', (size_t)-1 >> 1) + 1;
	}
	FUZZ_CHECK(n != 0);
	if ((n == 2 && memcmp(p, "ok", 2) == 0) ||
	    (n > 4 && memcmp(p, "err ", 4) == 0))
		r->replies++;
	FUZZ_CHECK(r->replies <= r->requests);
}

static void
check_output(struct rig *r)
{
	char *p, *end;

	while (!r->console && r->got.len != 0) {
		p = buf_head(&r->got);
		end = memchr(p, '\n', r->got.len);
		if (end == NULL)
			return;
		check_line(r, p, (size_t)(end - p));
		buf_consume(&r->got, (size_t)(end - p) + 1);
	}
	if (r->console)
		buf_consume(&r->got, r->got.len);
}

static void
turn(struct rig *r)
{
	static char chunk[65536];
	unsigned i;
	ssize_t n;

	for (i = 0; i < 4 && !r->over; i++) {
		ev_run(loop_ev(r->loop), EVRUN_NOWAIT);
		n = read(r->peer, chunk, sizeof(chunk));
		if (n > 0)
			FUZZ_CHECK(buf_append(&r->got, chunk, n) == 0);
		check_output(r);
	}
}

static void
rig_open(struct rig *r, bool admin)
{
	static const struct hv_ops fake_hv = { .name = "fake" };
	struct peer peer = { .uid = admin ? 0 : OWNER, .gid = OWNER };
	int fd[2];

	make_files();
	r->conf = reload_read(conf_path, NULL);
	FUZZ_CHECK(r->conf != NULL);
	r->env = (struct control_env){ .loop = r->loop, .conf = &r->conf,
	    .conf_path = conf_path, .backend = "fake" };
	r->env.guests = vm_table_create(r->loop, NULL, &fake_hv, on_changed,
	    r);
	reload_apply(r->env.guests, r->conf, NULL);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fd) == 0);
	r->client = client_create(&r->env, fd[0], &peer, on_ended, r);
	FUZZ_CHECK(r->client != NULL);
	r->peer = fd[1];
	buf_init(&r->got, OUTPUT_MAX);
}

static void
rig_close(struct rig *r)
{
	struct client *c = r->client;

	r->client = NULL;
	client_destroy(c);
	close(r->peer);
	vm_table_stop_all(r->env.guests, true);
	while (vm_table_running(r->env.guests) != 0)
		ev_run(loop_ev(r->loop), EVRUN_NOWAIT);
	ev_run(loop_ev(r->loop), EVRUN_NOWAIT);
	vm_table_destroy(r->env.guests);
	config_free(r->conf);
	buf_free(&r->got);
}

/* A row of a console would look like anything: from here on none is read. */
static void
send_text(struct rig *r, const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		r->requests += p[i] == '\n';
	if (memmem(p, n, "console", 7) != NULL)
		r->console = true;
	(void)!send(r->peer, p, n, MSG_NOSIGNAL);
}

static void
do_special(struct rig *r, uint8_t what)
{
	struct vm_entry *e;

	e = vm_table_find(r->env.guests, what == 1 ? "s" : "b");
	if (e != NULL && what == 1 && vm_entry_state(e) == VM_STARTING)
		fake_vm_runs(e->vm);
	else if (e != NULL && what == 2 && vm_entry_state(e) == VM_RUNNING)
		fake_vm_ends(e->vm, VM_REASON_RESET, "by itself");
	else if (what == 3)
		(void)shutdown(r->peer, SHUT_WR);
	turn(r);
}

/* What b's owner may not touch is as it was. */
static void
check_others(struct rig *r)
{
	struct vm_entry *e = vm_table_find(r->env.guests, "a");

	FUZZ_CHECK(vm_table_count(r->env.guests) == 5);
	FUZZ_CHECK(e != NULL && vm_entry_state(e) == VM_STOPPED);
	FUZZ_CHECK(strcmp(vm_conf(e->vm)->kernel, "/k") == 0);
	FUZZ_CHECK(e->pending == NULL && !e->removing);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop *loop;
	struct rig r = { 0 };
	bool admin = size != 0 && (data[0] & 1) != 0;
	size_t i, from = 1;

	if (loop == NULL)
		loop = loop_create();
	r.loop = loop;
	log_set_level(LOG_LEVEL_ERROR);
	rig_open(&r, admin);
	turn(&r);
	for (i = 1; i <= size; i++) {
		if (i < size && data[i] > 3)
			continue;
		send_text(&r, data + from, i - from);
		turn(&r);
		if (i < size)
			do_special(&r, data[i]);
		from = i + 1;
	}
	turn(&r);
	if (!admin)
		check_others(&r);
	rig_close(&r);
	return 0;
}
