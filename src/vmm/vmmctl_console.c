/* SPDX-License-Identifier: ISC */
/*
 * `vmmctl console`: see vmmctl_console.h.
 *
 * A terminal is raw meanwhile and restored on every way out, signals too:
 * those are blocked but for the moment of waiting, so that none is missed
 * between a look at the flag and the wait.
 */
#include "vmm/vmmctl_console.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/fdio.h"
#include "vmm/vmmctl_conn.h"

/* Typed bytes that the guest has not taken. */
#define PENDING_MAX	65536
#define CHUNK		4096

static volatile sig_atomic_t console_signal;

struct terminal {
	struct conn	*conn;
	bool		 is_tty;
	bool		 eof;		/* of stdin */
	bool		 left;		/* by the escape */
	struct termios	 saved;
	sigset_t	 mask;		/* while waiting */
	struct escape	 escape;
	struct buf	 pending;	/* to the guest */
};

static void
on_signal(int signum)
{
	console_signal = signum;
}

static void
escape_put(char *out, size_t *nout, char c)
{
	out[(*nout)++] = c;
}

bool
escape_filter(struct escape *e, const char *in, size_t n, char *out,
    size_t *nout)
{
	size_t i;

	*nout = 0;
	for (i = 0; i < n; i++) {
		if (e->state == ESCAPE_LINE_START && in[i] == '~') {
			e->state = ESCAPE_TILDE;
			continue;
		}
		if (e->state == ESCAPE_TILDE && in[i] == '.')
			return true;
		if (e->state == ESCAPE_TILDE && in[i] != '~')
			escape_put(out, nout, '~');
		escape_put(out, nout, in[i]);
		e->state = in[i] == '\r' || in[i] == '\n' ?
		    ESCAPE_LINE_START : ESCAPE_INSIDE;
	}
	return false;
}

static void
terminal_catch(struct terminal *t)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t block;
	size_t i;

	sigemptyset(&block);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		sigaddset(&block, signals[i]);
		sigaction(signals[i], &sa, NULL);
	}
	sigprocmask(SIG_BLOCK, &block, &t->mask);
}

static int
terminal_open(struct terminal *t, const char *name)
{
	struct termios raw;

	terminal_catch(t);
	t->is_tty = isatty(STDIN_FILENO) == 1;
	if (!t->is_tty)
		return 0;
	if (tcgetattr(STDIN_FILENO, &t->saved) != 0)
		return -errno;
	fprintf(stderr, "[console of %s, leave with ~. at the start of a "
	    "line]\n", name);
	raw = t->saved;
	cfmakeraw(&raw);
	return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0 ? 0 : -errno;
}

static void
terminal_close(struct terminal *t)
{
	buf_free(&t->pending);
	if (!t->is_tty)
		return;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	fprintf(stderr, "\n[console closed]\n");
}

/* Takes what was typed; its end only ends this direction. */
static int
terminal_input(struct terminal *t)
{
	char in[CHUNK], out[2 * CHUNK];
	size_t nout;
	ssize_t n;

	n = read(STDIN_FILENO, in, sizeof(in));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n == 0) {
		t->eof = true;
		return 0;
	}
	if (!t->is_tty)
		return buf_append(&t->pending, in, n);
	t->left = escape_filter(&t->escape, in, n, out, &nout);
	return buf_append(&t->pending, out, nout);
}

static int
terminal_send(struct terminal *t)
{
	ssize_t n;

	n = send(t->conn->fd, buf_head(&t->pending), t->pending.len,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	buf_consume(&t->pending, n);
	return 0;
}

/* Returns 1 at the end of the connection. */
static int
terminal_output(struct terminal *t)
{
	char chunk[CHUNK];
	ssize_t n;

	n = recv(t->conn->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return -errno;
	return n == 0 ? 1 : fd_write_all(STDOUT_FILENO, chunk, n);
}

/* Waits once and moves what can be moved: 0, 1 at the end, -errno. */
static int
terminal_turn(struct terminal *t)
{
	struct pollfd pfd[2] = {
		{ .fd = t->conn->fd, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	int ret = 0;

	if (t->pending.len > 0)
		pfd[0].events |= POLLOUT;
	if (t->eof || t->pending.len + 2 * CHUNK > PENDING_MAX)
		pfd[1].fd = -1;
	if (ppoll(pfd, 2, NULL, &t->mask) < 0)
		return errno == EINTR ? 0 : -errno;
	if (pfd[1].revents != 0)
		ret = terminal_input(t);
	if (ret == 0 && (pfd[0].revents & POLLOUT) != 0)
		ret = terminal_send(t);
	if (ret == 0 && (pfd[0].revents & ~POLLOUT) != 0)
		ret = terminal_output(t);
	return ret;
}

int
console_run(struct conn *cn, const char *name)
{
	struct terminal t = { .conn = cn };
	int ret;

	buf_init(&t.pending, PENDING_MAX);
	ret = terminal_open(&t, name);
	if (ret != 0) {
		warnx("%s: terminal: %s", name, strerror(-ret));
		return ret;
	}
	/* What came with the line that said ok. */
	if (cn->in.len > 0)
		ret = fd_write_all(STDOUT_FILENO, buf_head(&cn->in), cn->in.len);
	while (ret == 0 && !t.left && console_signal == 0)
		ret = terminal_turn(&t);
	if (t.left && t.pending.len > 0)
		(void)terminal_send(&t);
	terminal_close(&t);
	if (ret < 0)
		warnx("%s: console: %s", name, strerror(-ret));
	if (console_signal != 0)
		return -EINTR;
	return ret < 0 ? ret : 0;
}
