/* SPDX-License-Identifier: ISC */
/*
 * Guests made at run time: define, set, undefine; their files, and these read
 * again; whatever is wrong changes neither.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctlrig.h"
#include "testhost.h"
#include "vmm/statedir.h"

static struct ctlrig rig;
static char dir[64];

static const char *
ask(const char *line)
{
	return rig_ask(&rig, line);
}

/* What the configuration file says, with the state directory in it. */
static const char *
config(const char *rest)
{
	static char text[1024];

	snprintf(text, sizeof(text), "[daemon]\nname = lab\nstate = %s\n"
	    "[vm a]\nkernel = /k\nautostart = no\ndisk = /d/a\n%s", dir,
	    rest);
	return text;
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/check_define.%d", (int)getpid());
	rig_open(&rig, config(""));
	rig_read(&rig);
}

static void
teardown(void)
{
	char command[128];

	rig_close(&rig);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *
file(const char *name)
{
	static char text[8192];
	char *path = statedir_path(dir, name);
	FILE *f = fopen(path, "r");

	text[0] = '\0';
	if (f != NULL) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
	}
	free(path);
	return text;
}

/* How many files there are, unfinished ones too. */
static int
nfiles(void)
{
	struct dirent *d;
	DIR *dp = opendir(dir);
	int n = 0;

	while (dp != NULL && (d = readdir(dp)) != NULL)
		n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	if (dp != NULL)
		closedir(dp);
	return n;
}

static const struct vm_config *
conf_of(const char *name)
{
	struct vm_entry *e = vm_table_find(rig.env.guests, name);

	return e == NULL ? NULL : vm_conf(e->vm);
}

START_TEST(life)
{
	struct stat st;
	char *path;

	ck_assert_str_eq(ask("define b kernel=/k autostart=no memory=1G"),
	    "change vm=b what=added\nok\n");
	ck_assert_str_eq(file("b"), "# Made by vmmctl define and set.\n"
	    "[vm b]\nkernel = /k\nautostart = no\nmemory = 1G\n");
	path = statedir_path(dir, "b");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	free(path);
	ck_assert_str_eq(ask("start b"), "ok\n");
	ck_assert_str_eq(ask("set b memory=2G autostart=yes"),
	    "change vm=b what=changed keys=\"autostart no -> yes\"\n"
	    "change vm=b what=pending keys=\"memory 1G -> 2G\"\nok\n");
	ck_assert_str_eq(file("b"), "# Made by vmmctl define and set.\n"
	    "[vm b]\nkernel = /k\nmemory = 2G\nautostart = yes\n");
	ck_assert_uint_eq(conf_of("b")->memory, 1ull << 30);
	/* What waits is told once. */
	ck_assert_str_eq(ask("define c kernel=/k autostart=no"),
	    "change vm=c what=added\nok\n");
	ck_assert_str_eq(ask("undefine c"), "change vm=c what=removed\nok\n");
	ask("show b");
	ck_assert_ptr_nonnull(strstr(rig.got, "value=1G next=2G\n"));
	ck_assert_str_eq(ask("undefine b"),
	    "err state vm b: is running, stop it first\n");
	ck_assert_str_eq(ask("stop b"), "ok\n");
	ck_assert_str_eq(ask("undefine b"), "change vm=b what=removed\nok\n");
	ck_assert_ptr_null(conf_of("b"));
	ck_assert_int_eq(nfiles(), 0);
	ck_assert_str_eq(ask("undefine b"), "err no-vm vm b: no such guest\n");
	/* The name is free again, at once. */
	ck_assert_str_eq(ask("define b kernel=/j autostart=no"),
	    "change vm=b what=added\nok\n");
	ck_assert_str_eq(conf_of("b")->kernel, "/j");
}
END_TEST

/* NICs of a guest that was made: limits at once, one more with its start. */
START_TEST(nics)
{
	rig_put_file(rig.path, config("[switch lan]\n"
	    "address = 192.0.2.1/24\n"));
	ask("reload");
	ck_assert_str_eq(ask("define b kernel=/k autostart=no nic=lna"),
	    "error message=\"nic: there is no [switch lna], did you mean "
	    "`lan'?\"\nerr invalid vm b: nothing changed\n");
	ck_assert_str_eq(ask("define b kernel=/k autostart=no "
	    "nic=lan,address=192.0.2.7"), "change vm=b what=added\nok\n");
	ck_assert_str_eq(ask("start b"), "ok\n");
	ck_assert_str_eq(ask("set b nic=lan,address=192.0.2.7,limit-in=2M"),
	    "change vm=b what=changed keys=\"nic lan,address=192.0.2.7 -> "
	    "lan,address=192.0.2.7,limit-in=2M\"\nok\n");
	ck_assert_uint_eq(conf_of("b")->nics.nic[0].bytes[NIC_IN], 2 << 20);
	ck_assert_str_eq(ask("set b nic=lan,address=192.0.2.7 nic=lan"),
	    "change vm=b what=pending keys=\"nic lan,address=192.0.2.7,"
	    "limit-in=2M -> lan,address=192.0.2.7, lan\"\nok\n");
	/* One switch needs no section. */
	ck_assert_str_eq(ask("define l kernel=/k autostart=no nic=local"),
	    "change switch=local what=added\nchange vm=l what=added\nok\n");
	ck_assert_str_eq(ask("define m kernel=/k autostart=no nic=local"),
	    "change vm=m what=added\nok\n");
	/* Who is there already keeps what it has. */
	ck_assert_ptr_nonnull(strstr(ask("define c kernel=/k "
	    "nic=lan,address=192.0.2.7"), "b.conf, write address=192.0.2.8\"\n"
	    "err invalid vm c: nothing changed\n"));
}
END_TEST

/* A request knows no lines of switches. */
START_TEST(nics_of_subnets)
{
	rig_put_file(rig.path, config("[switch wan]\n"
	    "address = 100.65.0.1/24\n"));
	ask("reload");
	ck_assert_str_eq(ask("define b kernel=/k nic=wan,address=100.65.0.1"),
	    "error message=\"nic: address 100.65.0.1 is the host's in [switch "
	    "wan]\"\nerr invalid vm b: nothing changed\n");
	ck_assert_str_eq(ask("define b kernel=/k nic=local"),
	    "error message=\"nic: [switch local] has 100.64.0.1/10 by default, "
	    "which overlaps 100.65.0.1/24 of [switch wan]; give it another by "
	    "a section [switch local]\"\n"
	    "err invalid vm b: nothing changed\n");
}
END_TEST

/* Who watches learns of guests that come and go. */
START_TEST(events)
{
	ck_assert_str_eq(ask("events"),
	    "event vm=a state=stopped reason=- message=\"\"\nok\n");
	ck_assert_str_eq(ask("define b kernel=/k autostart=no"),
	    "event vm=b state=stopped reason=- message=\"\"\n"
	    "change vm=b what=added\nok\n");
	ck_assert_str_eq(ask("undefine b"), "change vm=b what=removed\nok\n"
	    "event vm=b state=removed reason=- message=\"\"\n");
}
END_TEST

/* A list is given as a whole, and an empty value leaves the default. */
START_TEST(lists_and_defaults)
{
	ask("define b kernel=/k autostart=no memory=1G disk=/d/1 disk=/d/2");
	ck_assert_str_eq(rig.got, "change vm=b what=added\nok\n");
	ck_assert_uint_eq(conf_of("b")->ndisks, 2);
	ck_assert_str_eq(ask("set b disk=/d/3 memory="),
	    "change vm=b what=changed keys=\"disk /d/1, /d/2 -> /d/3; "
	    "memory 1G -> 512M\"\nok\n");
	ck_assert_uint_eq(conf_of("b")->ndisks, 1);
	ck_assert_str_eq(ask("set b disk="),
	    "change vm=b what=changed keys=\"disk /d/3 -> -\"\nok\n");
	ck_assert_str_eq(file("b"), "# Made by vmmctl define and set.\n"
	    "[vm b]\nkernel = /k\nautostart = no\n");
	ck_assert_str_eq(ask("set b kernel="),
	    "error message=\"[vm b]: no kernel, add kernel = "
	    "/path/of/bzImage\"\nerr invalid vm b: nothing changed\n");
}
END_TEST

/* A command line that is longer than a line of a file. */
START_TEST(long_text)
{
	char line[2048] = "define b autostart=no kernel=/k cmdline=\"";
	char want[2048] = "";
	int i;

	for (i = 0; i < 60; i++)
		sprintf(want + strlen(want), "%sword%d=\"%d\"", i == 0 ? "" :
		    " ", i, i);
	for (i = 0; want[i] != '\0'; i++)
		sprintf(line + strlen(line), want[i] == '"' ? "\\\"" : "%c",
		    want[i]);
	strcat(line, "\"");
	ck_assert_str_eq(ask(line), "change vm=b what=added\nok\n");
	ck_assert_str_eq(conf_of("b")->cmdline, want);
	/* And it is the same when it is read again. */
	ck_assert_str_eq(ask("reload"), "ok\n");
	ck_assert_str_eq(conf_of("b")->cmdline, want);
	/* A word that no line has room for. */
	sprintf(line, "set b cmdline=%0200d", 7);
	ask(line);
	ck_assert_ptr_nonnull(strstr(rig.got, "error message=\"line is longer "
	    "than 199 bytes"));
	ck_assert_str_eq(conf_of("b")->cmdline, want);
}
END_TEST

static const struct {
	const char	*request, *reply;
} wrong[] = {
	{ "define b memory=1 foo=2 disk=/d/a",
	    "error message=\"memory: `1' is out of range, write 16M to "
	    "128G\"\nerror message=\"unknown key `foo' in [vm], see "
	    "vmmd.conf(5)\"\nerror message=\"[vm b]: no kernel, add kernel = "
	    "/path/of/bzImage\"\nerror message=\"disk: `/d/a' is a disk of "
	    "[vm a] already, in PATH\"\nerr invalid vm b: nothing changed\n" },
	{ "define b kernel=/k disk=/d/1 disk=/d/1",
	    "error message=\"disk: `/d/1' is a disk of [vm b] already, in "
	    "this request\"\nerr invalid vm b: nothing changed\n" },
	{ "define b kernel=/k kernel=/j",
	    "error message=\"kernel: given twice, first in this request\"\n"
	    "err invalid vm b: nothing changed\n" },
	{ "define b foo= kernel=/k",
	    "error message=\"unknown key `foo' in [vm], see vmmd.conf(5)\"\n"
	    "err invalid vm b: nothing changed\n" },
	{ "define b kernel=/k cmdline=\"a\\x0a[vm c]\\x0akernel=/k\"",
	    "error message=\"cmdline: the value has other characters than "
	    "printable ASCII\"\nerr invalid vm b: nothing changed\n" },
	{ "define b kernel=/k cmdline=\"a ;b\"",
	    "error message=\"cmdline: `;' at the beginning of a word would "
	    "be a comment\"\nerr invalid vm b: nothing changed\n" },
	{ "define b [vm=/k #=1",
	    "error message=\"`[vm' is no key\"\n"
	    "error message=\"`#' is no key\"\n"
	    "err invalid vm b: nothing changed\n" },
	{ "define b kernel",
	    "error message=\"write KEY=VALUE, or KEY=\\\"VALUE\\\"\"\n"
	    "err invalid vm b: nothing changed\n" },
	{ "define b kernel=\"/k",
	    "error message=\"write KEY=VALUE, or KEY=\\\"VALUE\\\"\"\n"
	    "err invalid vm b: nothing changed\n" },
	{ "define ../b kernel=/k",
	    "err syntax no name: write a letter or digit, then letters, "
	    "digits, `.', `-', `_', at most 64 in all\n" },
	{ "define .b kernel=/k",
	    "err syntax no name: write a letter or digit, then letters, "
	    "digits, `.', `-', `_', at most 64 in all\n" },
	{ "define a kernel=/k",
	    "err state vm a: is there already, in PATH\n" },
	{ "set a memory=1G",
	    "err state vm a: stands in PATH, change it there and reload\n" },
	{ "undefine a",
	    "err state vm a: stands in PATH, change it there and reload\n" },
};

/* `text` with the path of the configuration for PATH. */
static const char *
with_path(const char *text)
{
	static char out[2048];
	const char *p = strstr(text, "PATH");

	if (p == NULL)
		return text;
	snprintf(out, sizeof(out), "%.*s%s%s", (int)(p - text), text,
	    rig.path, p + 4);
	return out;
}

START_TEST(errors)
{
	ck_assert_str_eq(ask(wrong[_i].request), with_path(wrong[_i].reply));
	ck_assert_ptr_null(conf_of("b"));
	ck_assert_ptr_null(conf_of("c"));
	ck_assert_uint_eq(vm_table_count(rig.env.guests), 1);
	ck_assert_int_eq(nfiles(), 0);
	/* It all goes on. */
	ck_assert_str_eq(ask("define b kernel=/k autostart=no"),
	    "change vm=b what=added\nok\n");
}
END_TEST

/* What cannot be kept is not done. */
START_TEST(no_directory)
{
	char want[256];

	rig_put_file(dir, "no directory");
	snprintf(want, sizeof(want), "err failed vm b: cannot be kept: "
	    "%s/b.conf: Not a directory\n", dir);
	ck_assert_str_eq(ask("define b kernel=/k"), want);
	ck_assert_ptr_null(conf_of("b"));
	snprintf(want, sizeof(want), "error message=\"%s: Not a directory; "
	    "[daemon] state names another directory\"\n"
	    "err invalid %s: not reloaded, nothing changed\n", dir, rig.path);
	close(STDERR_FILENO);	/* the error goes to the log, too */
	ck_assert_str_eq(ask("reload"), want);
	ck_assert_int_eq(unlink(dir), 0);
}
END_TEST

/* Another start of the daemon, or a reload, finds them again. */
START_TEST(read_again)
{
	ask("define b kernel=/k autostart=no disk=/d/b");
	ask("define c kernel=/k autostart=no");
	ck_assert_str_eq(ask("reload"), "ok\n");
	ck_assert_uint_eq(rig.conf->nvms, 3);
	/* A file that somebody took away is a guest that is gone. */
	ck_assert_str_eq(ask("undefine c"), "change vm=c what=removed\nok\n");
	ck_assert_str_eq(ask("reload"), "ok\n");
	/* One that was not finished is none. */
	rig_put_file(strcat(strcpy(rig.got, dir), "/.x.conf.tmp"), "[vm");
	rig_put_file(strcat(strcpy(rig.got, dir), "/README"), "[vm");
	ck_assert_str_eq(ask("reload"), "ok\n");
	ck_assert_uint_eq(rig.conf->nvms, 2);
}
END_TEST

static const struct {
	const char	*main, *state, *error;
} sources[] = {
	{ "[vm b]\nkernel = /k\n", "[vm b]\nkernel = /k\n",
	    "DIR/b.conf:1: [vm b]: given twice, first in PATH:8" },
	{ "", "[vm b]\nkernel = /k\ndisk = /d/a\n",
	    "DIR/b.conf:3: disk: `/d/a' is a disk of [vm a] already, in "
	    "PATH:7" },
	{ "", "[vm c]\nkernel = /k\n",
	    "DIR/b.conf:1: only [vm b] may stand here" },
	{ "", "[daemon]\nname = x\n",
	    "DIR/b.conf:1: only [vm b] may stand here" },
	{ "", "[vm b]\nmemory = 3\nkernel = /k\n",
	    "DIR/b.conf:2: memory: `3' is out of range, write 16M to 128G" },
	{ "", "", "DIR/b.conf:1: no [vm b] here" },
};

static void
expand(char *out, const char *text)
{
	for (*out = '\0'; *text != '\0'; ) {
		if (strncmp(text, "DIR", 3) == 0) {
			out += sprintf(out, "%s", dir);
			text += 3;
		} else if (strncmp(text, "PATH", 4) == 0) {
			out += sprintf(out, "%s", rig.path);
			text += 4;
		} else {
			*out++ = *text++;
			*out = '\0';
		}
	}
}

START_TEST(two_sources)
{
	char want[512], name[128];
	struct buf b;

	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(name, sizeof(name), "%s/b.conf", dir);
	rig_put_file(name, sources[_i].state);
	rig_put_file(rig.path, config(sources[_i].main));
	buf_init(&b, CONFIG_ERRORS_MAX);
	ck_assert_ptr_null(config_read(rig.path, &b));
	expand(want, sources[_i].error);
	ck_assert_uint_gt(b.len, strlen(want));
	ck_assert_msg(strncmp(buf_head(&b), want, strlen(want)) == 0, "%.*s",
	    (int)b.len, buf_head(&b));
	buf_free(&b);
}
END_TEST

/* What is no file of a guest is never waited for. */
START_TEST(pipe_in_the_way)
{
	char name[128], want[256];
	struct buf b;

	ck_assert_int_eq(mkdir(dir, 0700), 0);
	snprintf(name, sizeof(name), "%s/b.conf", dir);
	ck_assert_int_eq(mkfifo(name, 0600), 0);
	buf_init(&b, CONFIG_ERRORS_MAX);
	ck_assert_ptr_null(config_read(rig.path, &b));
	snprintf(want, sizeof(want), "%s: Invalid argument\n", name);
	ck_assert_uint_eq(b.len, strlen(want));
	ck_assert_mem_eq(buf_head(&b), want, b.len);
	buf_free(&b);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("define");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, life);
	tcase_add_test(tc, nics);
	tcase_add_test(tc, nics_of_subnets);
	tcase_add_test(tc, events);
	tcase_add_test(tc, lists_and_defaults);
	tcase_add_test(tc, long_text);
	tcase_add_loop_test(tc, errors, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tc, no_directory);
	tcase_add_test(tc, read_again);
	tcase_add_loop_test(tc, two_sources, 0,
	    sizeof(sources) / sizeof(sources[0]));
	tcase_add_test(tc, pipe_in_the_way);
	return test_main("define", tc);
}
