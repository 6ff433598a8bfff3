/* SPDX-License-Identifier: ISC */
/*
 * A connection to the control socket: see client.h.
 *
 * Requests are answered in order: while one without a tag waits for a guest, or
 * any reply for the peer, the next stays in the input buffer, and once that is
 * full, in the kernel.  Output beyond its limit ends the connection, except for a
 * console, which loses bytes and says how many.  So no peer can make the
 * daemon wait or grow.
 *
 * A connection that is over is taken down by a task of the loop, never within
 * a call that may still use it.
 */
#include "vmm/client.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "vmm/command.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/control.h"
#include "vmm/firewall.h"
#include "vmm/peer.h"
#include "vmm/vm_table.h"
#include "vmm/proto.h"
#include "vmm/version.h"

/* A request runs only when less than this waits for the peer. */
#define CLIENT_OUTPUT_LOW	(64 * 1024)

/* How long the last bytes of a finished connection may take. */
#define CLIENT_LINGER		5.0

/* When a guest is asked again whether it can take input. */
#define CLIENT_INPUT_RETRY	0.02

/* How often a peer that sends no more is looked for. */
#define CLIENT_HANGUP_CHECK	1.0

/* As it stands in front of what belongs to a request: "@tag " or "". */
struct tag {
	char	text[PROTO_TAG_MAX + 3];
};

/* A request that is answered later. */
struct waiting {
	enum client_wait	 what;
	struct vm_entry		*e;
	struct tag		 tag;
	struct waiting		*next;
};

struct client {
	struct control_env	*env;
	struct loop		*loop;
	void			(*ended)(void *cookie, struct client *c);
	void			*cookie;
	int			 fd;
	struct peer		 peer;
	bool			 eof;		/* the peer sends no more */
	bool			 closing;	/* ends when all is sent */
	bool			 over;		/* `end` will end it */
	bool			 watching;	/* gets events */
	ev_io			 rd, wr;
	ev_timer		 linger;
	ev_timer		 retry;
	ev_timer		 hangup;	/* looks for the end after eof */
	struct loop_task	 end;		/* the connection */
	struct loop_task	 resume;	/* requests */
	struct buf		 in, out;
	struct tag		 tag;		/* of the current request */
	struct tag		 watch_tag;	/* while `watching` */
	struct client		**deferred;	/* who has its reply, or NULL */
	struct firewall_wait	 rules;		/* before the next request */
	struct waiting		*waits;		/* in the order they came */
	unsigned		 nwaits;
	struct console		*console;	/* or NULL */
	struct vm_entry		*viewed;	/* while `console` */
	struct console_viewer	 viewer;	/* of `console` */
	uint64_t		 lost;		/* not yet told */
};

static struct client *
viewer_client(struct console_viewer *v)
{
	return (struct client *)((char *)v - offsetof(struct client, viewer));
}

static void
client_free_waits(struct client *c)
{
	struct waiting *w;

	while ((w = c->waits) != NULL) {
		c->waits = w->next;
		free(w);
	}
	c->nwaits = 0;
}

/* Must this be answered before the next request is looked at? */
static bool
client_is_held(const struct client *c)
{
	const struct waiting *w;

	for (w = c->waits; w != NULL; w = w->next)
		if (*w->tag.text == '\0')
			return true;
	return false;
}

static void
client_leave_console(struct client *c)
{
	if (c->console == NULL)
		return;
	console_detach(c->console, &c->viewer);
	c->console = NULL;
}

static void
client_end(struct client *c)
{
	struct ev_loop *ev = loop_ev(c->loop);

	if (c->over)
		return;
	c->over = true;
	client_leave_console(c);
	ev_io_stop(ev, &c->rd);
	ev_io_stop(ev, &c->wr);
	ev_timer_stop(ev, &c->linger);
	ev_timer_stop(ev, &c->retry);
	ev_timer_stop(ev, &c->hangup);
	loop_cancel(c->loop, &c->resume);
	loop_post(c->loop, &c->end);
}

static void
client_over(void *arg)
{
	struct client *c = arg;

	c->ended(c->cookie, c);
}

/* Nothing more is read; what waits for the peer may still go out. */
static void
client_close(struct client *c)
{
	if (c->over)
		return;
	client_leave_console(c);
	client_free_waits(c);
	c->watching = false;
	c->closing = true;
	ev_timer_again(loop_ev(c->loop), &c->linger);
}

/* Starts and stops the watchers by what the buffers hold. */
static void
client_rearm(struct client *c)
{
	struct ev_loop *ev = loop_ev(c->loop);

	if (c->over)
		return;
	if (!c->eof && !c->closing && c->in.len < PROTO_LINE_MAX)
		ev_io_start(ev, &c->rd);
	else
		ev_io_stop(ev, &c->rd);
	if (c->out.len > 0)
		ev_io_start(ev, &c->wr);
	else if (c->closing)
		client_end(c);
	else
		ev_io_stop(ev, &c->wr);
}

static void
client_put(struct client *c, const char *p, size_t n)
{
	if (c->over)
		return;
	if (buf_append(&c->out, p, n) != 0) {
		log_warn("control: a client does not read, disconnected");
		client_end(c);
		return;
	}
	client_rearm(c);
}

/* What rows take, with the tag before each. */
static size_t
rows_room(const struct tag *tag, const struct buf *rows)
{
	const char *p = buf_head(rows), *end = p + rows->len;
	size_t n = rows->len;

	for (; p < end; p++)
		if (*p == '\n')
			n += strlen(tag->text);
	return n;
}

/* Rows, with the tag before each. */
static void
client_put_rows(struct client *c, const struct tag *tag,
    const struct buf *rows)
{
	const char *p = buf_head(rows), *end = p + rows->len, *next;

	if (*tag->text == '\0') {
		if (rows->len > 0)
			client_put(c, p, rows->len);
		return;
	}
	for (; p < end && !c->over; p = next) {
		next = memchr(p, '\n', end - p);
		assert(next != NULL);
		next++;
		client_put(c, tag->text, strlen(tag->text));
		client_put(c, p, next - p);
	}
}

static void
client_put_ok(struct client *c, const struct tag *tag)
{
	client_put(c, tag->text, strlen(tag->text));
	client_put(c, "ok\n", 3);
}

static void
client_put_err(struct client *c, const struct tag *tag, const char *code,
    const char *text)
{
	char line[640];
	int n;

	n = snprintf(line, sizeof(line), "%serr %s %s\n", tag->text, code,
	    text);
	client_put(c, line, n);
}

/* They have room of their own until all is read; see client_request(). */
void
client_send(struct client *c, const struct buf *rows)
{
	c->out.limit = c->out.len + rows_room(&c->tag, rows) +
	    CLIENT_OUTPUT_MAX;
	client_put_rows(c, &c->tag, rows);
}

void
client_ok(struct client *c)
{
	client_put_ok(c, &c->tag);
}

void
client_err(struct client *c, const char *code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	client_put_err(c, &c->tag, code, text);
}

/*
 * Console output.  After a loss the peer must have read half of what waits
 * for it before it gets more: one gap is better than many.
 */
static void
client_output(struct console_viewer *v, const char *p, size_t n,
    uint64_t missed)
{
	struct client *c = viewer_client(v);

	c->lost += missed;
	if (c->lost > 0 && c->out.len < CLIENT_OUTPUT_MAX / 2 &&
	    buf_printf(&c->out, "\r\n[%" PRIu64 " bytes lost]\r\n",
	    c->lost) == 0)
		c->lost = 0;
	if (n > 0 && (c->lost > 0 || buf_append(&c->out, p, n) != 0))
		c->lost += n;
	client_rearm(c);
}

/* Why a guest that was to start has not. */
static void
client_not_started(struct client *c, const struct waiting *w,
    const struct vm_status *st)
{
	const char *msg = vm_message(w->e->vm);
	char text[512];

	snprintf(text, sizeof(text), "vm %s: not started: %s",
	    vm_entry_name(w->e), *msg != '\0' ? msg :
	    vm_reason_name(st->reason));
	client_put_err(c, &w->tag, "failed", text);
}

/* Has the guest got where the request waits for it? */
static bool
client_is_there(enum client_wait what, enum vm_state state)
{
	switch (what) {
	case CLIENT_WAIT_START:
		return state == VM_RUNNING || state == VM_PAUSED ||
		    state == VM_STOPPED;
	case CLIENT_WAIT_PAUSE:
		return state != VM_RUNNING;
	case CLIENT_WAIT_STOP:
	case CLIENT_WAIT_REASON:
		return state == VM_STOPPED;
	}
	return true;
}

/* Answers a request if the guest has got there; false if it waits on. */
static bool
client_answer(struct client *c, const struct waiting *w)
{
	struct vm_status st;
	struct buf row;

	vm_get_status(w->e->vm, &st);
	if (!client_is_there(w->what, st.state))
		return false;
	if (w->what == CLIENT_WAIT_START && st.state == VM_STOPPED) {
		client_not_started(c, w, &st);
		return true;
	}
	if (w->what == CLIENT_WAIT_PAUSE && st.state != VM_PAUSED) {
		client_put_err(c, &w->tag, "failed",
		    "the guest ended or booted again before it paused");
		return true;
	}
	if (w->what == CLIENT_WAIT_REASON) {
		buf_init(&row, PROTO_ROW_MAX);
		if (command_event_row(&row, w->e) == 0)
			client_put_rows(c, &w->tag, &row);
		buf_free(&row);
	}
	client_put_ok(c, &w->tag);
	return true;
}

void
client_wait(struct client *c, struct vm_entry *e, enum client_wait what)
{
	struct waiting *w, **wp, now = {
		.what = what, .e = e, .tag = c->tag,
	};

	if (client_answer(c, &now))
		return;
	w = malloc(sizeof(*w));
	if (w == NULL) {
		client_err(c, "failed", "%s", strerror(ENOMEM));
		return;
	}
	*w = now;
	for (wp = &c->waits; *wp != NULL; wp = &(*wp)->next)
		;
	*wp = w;
	c->nwaits++;
}

void
client_defer(struct client *c, struct client **slot)
{
	*slot = c;
	c->deferred = slot;
}

void
client_answered(struct client *c)
{
	c->deferred = NULL;
	loop_post(c->loop, &c->resume);
}

/* Answers what waits for the guest; true if that was any. */
static bool
client_check_waits(struct client *c, struct vm_entry *e)
{
	struct waiting *w, **wp = &c->waits;
	bool any = false;

	while ((w = *wp) != NULL) {
		if (w->e != e || !client_answer(c, w)) {
			wp = &w->next;
			continue;
		}
		*wp = w->next;
		free(w);
		c->nwaits--;
		any = true;
	}
	return any;
}

/* Of a stopped guest there is only what it has said. */
void
client_console(struct client *c, struct vm_entry *e)
{
	client_ok(c);
	if (c->over)
		return;
	c->watching = false;
	client_free_waits(c);
	c->console = vm_console(e->vm);
	c->viewed = e;
	console_attach(c->console, &c->viewer);
	if (vm_entry_state(e) == VM_STOPPED)
		client_close(c);
}

void
client_watch(struct client *c)
{
	c->watching = true;
	c->watch_tag = c->tag;
}

/* A guest that has stopped writes no more: its viewers get the rest. */
void
client_guest_changed(struct client *c, struct vm_entry *e,
    const struct buf *row)
{
	if (c->over)
		return;
	if (c->watching && client_may(c, e))
		client_put_rows(c, &c->watch_tag, row);
	/* The next request may change states itself: not from here. */
	if (client_check_waits(c, e))
		loop_post(c->loop, &c->resume);
	if (c->console != NULL && c->viewed == e &&
	    vm_entry_state(e) == VM_STOPPED) {
		console_flush(c->console);
		client_close(c);
		client_rearm(c);
	}
}

/* Does the request consist of printable ASCII? */
static bool
line_is_text(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] > '~')
			return false;
	return true;
}

static bool
client_tag_waits(const struct client *c, const char *tag)
{
	const struct waiting *w;

	for (w = c->waits; w != NULL; w = w->next)
		if (strcmp(w->tag.text, tag) == 0)
			return true;
	return false;
}

/* Runs one request, whatever it is. */
static void
client_run(struct client *c, char *line)
{
	const char *tag = proto_tag(&line);

	*c->tag.text = '\0';
	if (tag == NULL) {
		client_err(c, "syntax", "a tag is @ and 1 to %d letters, "
		    "digits, `.', `-', `_'", PROTO_TAG_MAX);
		return;
	}
	if (*tag != '\0')
		snprintf(c->tag.text, sizeof(c->tag.text), "@%s ", tag);
	if (*tag != '\0' && client_tag_waits(c, c->tag.text)) {
		/* With the tag it would be the answer to the other one. */
		*c->tag.text = '\0';
		client_err(c, "syntax", "tag %s is that of a request that "
		    "waits", tag);
	} else if (c->nwaits >= CLIENT_WAITS_MAX) {
		client_err(c, "busy", "%d requests wait already",
		    CLIENT_WAITS_MAX);
	} else {
		command_run(c, line);
	}
}

/* Takes the next request; false if there is none, or none may run now. */
static bool
client_request(struct client *c)
{
	char line[PROTO_LINE_MAX], *end;
	size_t n;

	if (c->over || c->closing || c->console != NULL || c->in.len == 0 ||
	    client_is_held(c) || c->out.len >= CLIENT_OUTPUT_LOW ||
	    !firewall_settled(vm_table_firewall(c->env->guests), &c->rules))
		return false;
	*c->tag.text = '\0';
	end = memchr(buf_head(&c->in), '\n', c->in.len);
	if (end == NULL && c->in.len < PROTO_LINE_MAX)
		return false;
	if (end == NULL) {
		client_err(c, "too-long", "a request has at most %d bytes",
		    PROTO_LINE_MAX);
		client_close(c);
		return false;
	}
	n = end - buf_head(&c->in);
	memcpy(line, buf_head(&c->in), n);
	line[n] = '\0';
	buf_consume(&c->in, n + 1);
	if (!line_is_text(line, n)) {
		client_err(c, "binary", "a request is printable ASCII");
		client_close(c);
		return false;
	}
	client_run(c, line);
	return true;
}

/* What a guest does not take yet waits, and is tried again. */
static void
client_input(struct client *c)
{
	size_t n;

	if (c->console == NULL || c->in.len == 0)
		return;
	n = console_input(c->console, buf_head(&c->in), c->in.len);
	buf_consume(&c->in, n);
	if (c->in.len > 0)
		ev_timer_again(loop_ev(c->loop), &c->retry);
	else
		ev_timer_stop(loop_ev(c->loop), &c->retry);
}

static void
client_process(struct client *c)
{
	while (client_request(c))
		;
	if (c->over)
		return;
	client_input(c);
	if (c->eof && !c->closing && !c->watching && c->console == NULL &&
	    c->waits == NULL && c->deferred == NULL && !c->rules.waits &&
	    c->out.len < CLIENT_OUTPUT_LOW)
		client_close(c);
	client_rearm(c);
}

static void
client_resume(void *arg)
{
	client_process(arg);
}

static void
client_check_hangup(struct client *c)
{
	struct pollfd pfd = { .fd = c->fd };

	if (poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLHUP) != 0)
		client_end(c);
}

/*
 * The peer may have shut down only its own direction ("echo status | nc -N"):
 * then what it asked for still goes out, and it may go away for good later.
 */
static void
client_eof(struct client *c)
{
	c->eof = true;
	ev_timer_again(loop_ev(c->loop), &c->hangup);
	client_check_hangup(c);
}

static void
client_hangup(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	client_check_hangup(w->data);
}

static void
client_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct client *c = w->data;
	char chunk[PROTO_LINE_MAX];
	ssize_t n;

	(void)ev;
	(void)revents;
	n = recv(c->fd, chunk, sizeof(chunk) - c->in.len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n > 0 && buf_append(&c->in, chunk, n) != 0)) {
		client_end(c);
		return;
	}
	if (n == 0)
		client_eof(c);
	client_process(c);
}

static void
client_writable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct client *c = w->data;
	ssize_t n;

	(void)ev;
	(void)revents;
	n = send(c->fd, buf_head(&c->out), c->out.len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		client_end(c);
		return;
	}
	buf_consume(&c->out, n);
	if (c->out.len == 0)
		c->out.limit = CLIENT_OUTPUT_MAX;
	/* Told now, since a guest that is quiet brings no other occasion. */
	if (c->lost > 0 && c->out.len == 0 && c->console != NULL)
		client_output(&c->viewer, NULL, 0, 0);
	client_process(c);
}

static void
client_linger_over(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	client_end(w->data);
}

static void
client_retry(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	client_process(w->data);
}

static void
client_init_watchers(struct client *c)
{
	ev_io_init(&c->rd, client_readable, c->fd, EV_READ);
	c->rd.data = c;
	ev_io_init(&c->wr, client_writable, c->fd, EV_WRITE);
	c->wr.data = c;
	ev_timer_init(&c->linger, client_linger_over, 0, CLIENT_LINGER);
	c->linger.data = c;
	ev_timer_init(&c->retry, client_retry, 0, CLIENT_INPUT_RETRY);
	c->retry.data = c;
	ev_timer_init(&c->hangup, client_hangup, 0, CLIENT_HANGUP_CHECK);
	c->hangup.data = c;
	c->end.fn = client_over;
	c->end.arg = c;
	c->resume.fn = client_resume;
	c->resume.arg = c;
	c->rules.task.fn = client_resume;
	c->rules.task.arg = c;
	c->viewer.output = client_output;
}

struct client *
client_create(struct control_env *env, int fd, struct peer *peer,
    void (*ended)(void *cookie, struct client *c), void *cookie)
{
	struct client *c;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->env = env;
	c->loop = env->loop;
	c->ended = ended;
	c->cookie = cookie;
	c->fd = fd;
	buf_init(&c->in, PROTO_LINE_MAX);
	buf_init(&c->out, CLIENT_OUTPUT_MAX);
	client_init_watchers(c);
	if (buf_printf(&c->out, "%s %d %s %s\n", PROTO_NAME, PROTO_VERSION,
	    (*env->conf)->name, VMMD_VERSION) != 0) {
		free(c);
		return NULL;
	}
	c->peer = *peer;
	peer->groups = NULL;
	client_rearm(c);
	return c;
}

/* What still waits goes out as far as it can: the last reply, mostly. */
void
client_destroy(struct client *c)
{
	client_end(c);
	if (c->out.len > 0)
		(void)send(c->fd, buf_head(&c->out), c->out.len,
		    MSG_NOSIGNAL);
	loop_cancel(c->loop, &c->resume);
	loop_cancel(c->loop, &c->end);
	firewall_unwait(vm_table_firewall(c->env->guests), &c->rules);
	if (c->deferred != NULL)
		*c->deferred = NULL;
	client_free_waits(c);
	buf_free(&c->in);
	buf_free(&c->out);
	peer_free(&c->peer);
	close(c->fd);
	free(c);
}

struct control_env *
client_env(const struct client *c)
{
	return c->env;
}

const struct peer *
client_peer(const struct client *c)
{
	return &c->peer;
}

bool
client_is_admin(const struct client *c)
{
	return peer_is_admin(&c->peer, *c->env->conf);
}

bool
client_may(const struct client *c, const struct vm_entry *e)
{
	return client_is_admin(c) || peer_owns(&c->peer, vm_conf(e->vm));
}

void
client_check_rights(struct client *c)
{
	if (c->console != NULL && !client_may(c, c->viewed)) {
		client_close(c);
		client_rearm(c);
	}
}
