/* SPDX-License-Identifier: ISC */
/*
 * The control socket: see control.h.
 *
 * A lock file beside the socket decides which daemon owns it.  The lock goes
 * with its process however that ends, so a socket found while holding it is
 * stale; the file itself stays, since removing it would let two daemons hold
 * locks on two files of one name.
 */
#include "vmm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "vmm/client.h"
#include "vmm/command.h"
#include "vmm/config.h"
#include "vmm/peer.h"
#include "vmm/vm_table.h"
#include "vmm/proto.h"

#define CONTROL_BACKLOG		16

/* Connections taken in one turn of the loop. */
#define CONTROL_ACCEPT_MAX	16

/* How long to leave the socket alone when descriptors have run out. */
#define CONTROL_ACCEPT_PAUSE	1.0

struct control_client {
	struct client		*client;
	struct control_client	*next;
};

struct control {
	struct control_env	*env;
	struct sockaddr_un	 addr;
	int			 lock;
	int			 fd;
	int			 spare;		/* descriptor, or -1 */
	ev_io			 io;
	ev_timer		 pause;
	struct control_client	*clients;
};

/* An open, locked file: its descriptor or -errno. */
static int
lock_open(const char *path)
{
	char *name;
	int fd, ret;

	if (asprintf(&name, "%s.lock", path) < 0)
		return -ENOMEM;
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		ret = -errno;
		log_error("control: %s: %s%s", name, strerror(-ret),
		    ret == -EACCES || ret == -ENOENT ?
		    "; [daemon] socket names another place" : "");
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		ret = -errno;
		close(fd);
		if (ret == -EWOULDBLOCK)
			log_error("control: %s: already running, or "
			    "[daemon] name is not distinct", path);
		else
			log_error("control: %s: %s", name, strerror(-ret));
	} else {
		ret = fd;
	}
	free(name);
	return ret;
}

/* Removes the socket of a dead daemon, but nothing that is no socket. */
static int
remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) == 0 ? 0 : -errno;
}

static int
socket_bind(int fd, const struct sockaddr_un *addr)
{
	mode_t mask;
	int ret;

	ret = remove_stale(addr->sun_path);
	if (ret != 0)
		return ret;
	/* No moment passes in which others could connect. */
	mask = umask(0177);
	ret = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
	if (ret != 0)
		ret = -errno;
	umask(mask);
	if (ret == 0 && listen(fd, CONTROL_BACKLOG) != 0) {
		ret = -errno;
		unlink(addr->sun_path);
	}
	return ret;
}

static int
socket_open(const struct sockaddr_un *addr)
{
	int fd, ret;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ret = fd < 0 ? -errno : socket_bind(fd, addr);
	if (ret != 0) {
		log_error("control: %s: %s", addr->sun_path, ret == -EEXIST ?
		    "is no socket, and not removed" : strerror(-ret));
		if (fd >= 0)
			close(fd);
		return ret;
	}
	return fd;
}

/* Who may connect at all; what they may do is asked with each request. */
static mode_t
control_mode(const struct config *c)
{
	unsigned i;

	for (i = 0; i < c->nvms; i++)
		if (c->vm[i].owner.uid != OWNER_NONE ||
		    c->vm[i].owner.gid != OWNER_NONE)
			return 0666;
	return c->group.gid != OWNER_NONE ? 0660 : 0600;
}

/* The group before the mode, or another one could connect for a moment. */
static void
control_set_access(struct control *ctl)
{
	const struct config *c = *ctl->env->conf;
	const char *path = ctl->addr.sun_path;
	mode_t mode = control_mode(c);
	struct stat st;

	if (lstat(path, &st) != 0 || ((st.st_mode & 0777) == mode &&
	    (mode != 0660 || st.st_gid == c->group.gid)))
		return;
	if ((mode == 0660 && lchown(path, -1, c->group.gid) != 0) ||
	    chmod(path, mode) != 0)
		log_warn("control: %s: who may connect cannot be changed: %s: "
		    "restart required", path, strerror(errno));
}

static void
control_ended(void *cookie, struct client *c)
{
	struct control *ctl = cookie;
	struct control_client *cc, **ccp;

	for (ccp = &ctl->clients; (cc = *ccp) != NULL; ccp = &cc->next) {
		if (cc->client != c)
			continue;
		*ccp = cc->next;
		free(cc);
		ctl->env->nclients--;
		break;
	}
	client_destroy(c);
}

/* Nobody takes all connections, and some are left for admins. */
static bool
control_has_room(const struct control *ctl, const struct peer *peer)
{
	const struct config *conf = *ctl->env->conf;
	const struct control_client *cc;
	const struct peer *other;
	unsigned same = 0, others = 0;

	if (peer_is_admin(peer, conf))
		return ctl->env->nclients < CONTROL_CLIENTS_MAX;
	for (cc = ctl->clients; cc != NULL; cc = cc->next) {
		other = client_peer(cc->client);
		others += !peer_is_admin(other, conf);
		same += other->uid == peer->uid;
	}
	return ctl->env->nclients < CONTROL_CLIENTS_MAX &&
	    others < CONTROL_OTHERS_MAX && same < CONTROL_USER_MAX;
}

static int
control_add(struct control *ctl, int fd, struct peer *peer)
{
	struct control_client *cc;

	if (!control_has_room(ctl, peer))
		return -EBUSY;
	cc = malloc(sizeof(*cc));
	if (cc == NULL)
		return -ENOMEM;
	cc->client = client_create(ctl->env, fd, peer, control_ended, ctl);
	if (cc->client == NULL) {
		free(cc);
		return -ENOMEM;
	}
	cc->next = ctl->clients;
	ctl->clients = cc;
	ctl->env->nclients++;
	return 0;
}

/* Too many, or no memory: a last line, as far as it goes. */
static void
control_refuse(int fd)
{
	char line[] = "err busy too many connections\n";

	(void)send(fd, line, strlen(line), MSG_NOSIGNAL);
	close(fd);
}

static void
control_connected(struct control *ctl, int fd)
{
	struct peer peer;

	if (peer_read(&peer, fd) != 0) {
		control_refuse(fd);
		return;
	}
	if (control_add(ctl, fd, &peer) != 0)
		control_refuse(fd);
	peer_free(&peer);
}

static void
control_open_spare(struct control *ctl)
{
	ctl->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/*
 * With no descriptor left, whoever waits is told so by means of the spare one,
 * rather than left to wait.  False if that does not help.
 */
static bool
control_shed(struct control *ctl)
{
	int fd;

	if (ctl->spare < 0)
		return false;
	close(ctl->spare);
	fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		control_refuse(fd);
	control_open_spare(ctl);
	return fd >= 0;
}

static void
control_accept(struct ev_loop *ev, ev_io *w, int revents)
{
	struct control *ctl = w->data;
	int error = 0, fd, i;

	(void)revents;
	for (i = 0; i < CONTROL_ACCEPT_MAX && error == 0; i++) {
		fd = accept4(ctl->fd, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			control_connected(ctl, fd);
		else
			error = errno;
	}
	if (error != EMFILE && error != ENFILE && error != ENOMEM &&
	    error != ENOBUFS)
		return;
	log_warn("control: accept: %s", strerror(error));
	if ((error == EMFILE || error == ENFILE) && control_shed(ctl))
		return;
	ev_io_stop(ev, &ctl->io);
	ev_timer_again(ev, &ctl->pause);
}

static void
control_resume(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct control *ctl = w->data;

	(void)revents;
	ev_timer_stop(ev, w);
	ev_io_start(ev, &ctl->io);
}

static void
control_start_watchers(struct control *ctl)
{
	ev_timer_init(&ctl->pause, control_resume, 0, CONTROL_ACCEPT_PAUSE);
	ctl->pause.data = ctl;
	ev_io_init(&ctl->io, control_accept, ctl->fd, EV_READ);
	ctl->io.data = ctl;
	ev_io_start(loop_ev(ctl->env->loop), &ctl->io);
}

struct control *
control_create(struct control_env *env, const char *path)
{
	struct control *ctl;

	ctl = calloc(1, sizeof(*ctl));
	if (ctl == NULL || strlen(path) >= sizeof(ctl->addr.sun_path)) {
		log_error("control: %s: %s", path,
		    ctl == NULL ? "out of memory" : "path is too long");
		goto fail_alloc;
	}
	ctl->env = env;
	ctl->addr.sun_family = AF_UNIX;
	strcpy(ctl->addr.sun_path, path);
	ctl->lock = lock_open(path);
	if (ctl->lock < 0)
		goto fail_alloc;
	ctl->fd = socket_open(&ctl->addr);
	if (ctl->fd < 0)
		goto fail_socket;
	env->control = ctl;
	control_open_spare(ctl);
	control_set_access(ctl);
	control_start_watchers(ctl);
	return ctl;

fail_socket:
	close(ctl->lock);
fail_alloc:
	free(ctl);
	return NULL;
}

void
control_destroy(struct control *ctl)
{
	struct ev_loop *ev;

	if (ctl == NULL)
		return;
	ev = loop_ev(ctl->env->loop);
	while (ctl->clients != NULL)
		control_ended(ctl, ctl->clients->client);
	ev_timer_stop(ev, &ctl->pause);
	ev_io_stop(ev, &ctl->io);
	/* Before the lock goes, so that no successor's socket is removed. */
	unlink(ctl->addr.sun_path);
	close(ctl->fd);
	close(ctl->lock);
	if (ctl->spare >= 0)
		close(ctl->spare);
	ctl->env->control = NULL;
	free(ctl);
}

void
control_guest_changed(struct control *ctl, struct vm_entry *e)
{
	struct control_client *cc;
	struct buf row;

	buf_init(&row, PROTO_ROW_MAX);
	if (command_event_row(&row, e) != 0)
		buf_consume(&row, row.len);
	for (cc = ctl->clients; cc != NULL; cc = cc->next)
		client_guest_changed(cc->client, e, &row);
	buf_free(&row);
}

void
control_configured(struct control *ctl)
{
	struct control_client *cc;

	if (ctl == NULL)
		return;
	control_set_access(ctl);
	for (cc = ctl->clients; cc != NULL; cc = cc->next)
		client_check_rights(cc->client);
}
