/* SPDX-License-Identifier: ISC */
/*
 * vmmd(8): options, and the daemon's life from here to its exit status.
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "vmm/config.h"
#include "vmm/daemon.h"
#include "vmm/firewall.h"
#include "vmm/privilege.h"
#include "vmm/version.h"

#define DEFAULT_CONF	"/etc/vmmd.conf"
#define EXIT_USAGE	2

struct options {
	const char	*conf;
	bool		 check;
	bool		 use_syslog;
	bool		 verbose;
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void
usage(FILE *out, int status)
{
	fprintf(out, "usage: vmmd [-hnsVv] [-f file]\n");
	exit(status);
}

static void
parse_options(struct options *o, int argc, char *argv[])
{
	int ch;

	while ((ch = getopt_long(argc, argv, "f:hnsVv", long_options,
	    NULL)) != -1) {
		switch (ch) {
		case 'f':
			o->conf = optarg;
			break;
		case 'h':
			usage(stdout, EXIT_SUCCESS);
			break;
		case 'n':
			o->check = true;
			break;
		case 's':
			o->use_syslog = true;
			break;
		case 'V':
			printf("vmmd %s\n", VMMD_VERSION);
			exit(EXIT_SUCCESS);
		case 'v':
			o->verbose = true;
			break;
		default:
			usage(stderr, EXIT_USAGE);
		}
	}
	if (optind != argc)
		usage(stderr, EXIT_USAGE);
}

/* With the eyes of the user that the daemon will be. */
static void
check_files(const char *path, const struct config *c, struct buf *warnings)
{
	char err[256];

	if (privilege_drop(c->user, err, sizeof(err)) != 0)
		(void)buf_printf(warnings, "warning: %s\n", err);
	else if (access(path, R_OK) != 0)
		(void)buf_printf(warnings, "warning: %s: user %s cannot read "
		    "it, as SIGHUP will have to\n", path, c->user);
	config_check_files(c, warnings);
	config_check_switches(c, warnings);
	config_check_nics(c, warnings);
}

/* What this system's packet filter cannot do. */
static bool
check_firewall(const char *path, const struct config *c, struct buf *errors)
{
	char err[512];

	if (firewall_check(c, err, sizeof(err)) == 0)
		return true;
	(void)buf_printf(errors, "%s: %s\n", path, err);
	return false;
}

/* Errors are the output here: as they are, without the log's prefix. */
static int
check_config(const char *path)
{
	struct config *c;
	struct buf errors;
	bool ok;

	buf_init(&errors, CONFIG_ERRORS_MAX);
	c = config_read(path, &errors);
	ok = c != NULL && check_firewall(path, c, &errors);
	if (ok)
		check_files(path, c, &errors);
	fwrite(buf_head(&errors), 1, errors.len, stderr);
	buf_free(&errors);
	config_free(c);
	if (!ok)
		return EXIT_FAILURE;
	printf("configuration OK\n");
	return EXIT_SUCCESS;
}

/* Whatever is opened later must not end up as somebody's standard output. */
static void
fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Each guest takes some descriptors, and the control socket must get its own */
static void
raise_files(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		log_warn("daemon: limit of open files: %s", strerror(errno));
}

int
main(int argc, char *argv[])
{
	struct options o = { .conf = DEFAULT_CONF };
	struct daemon *d;
	int status;

	parse_options(&o, argc, argv);
	if (o.check)
		return check_config(o.conf);
	fill_standard();
	log_open("vmmd", o.use_syslog);
	if (o.verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	raise_files();
	d = daemon_create(o.conf);
	if (d == NULL)
		return EXIT_FAILURE;
	status = daemon_run(d) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	if (!daemon_destroy(d))
		_exit(status);
	return status;
}
