/* SPDX-License-Identifier: ISC */
/*
 * Files under directories: what a path leads to counts, not what it says.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/confine.h"
#include "testhost.h"

static char top[64], dirs[256], err[200];
static struct confine *in;

/* A path below the test's directory. */
static const char *
at(const char *name)
{
	static char path[4][256];
	static unsigned i;

	snprintf(path[++i % 4], sizeof(path[0]), "%s/%s", top, name);
	return path[i % 4];
}

static void
put(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, name, strlen(name)), strlen(name));
	close(fd);
}

/*
 *	a/ a/file a/sub/file		allowed
 *	b/ b/file			allowed
 *	ab/file out			not allowed
 */
static void
setup(void)
{
	static const char *const made[] = { "a", "a/sub", "b", "ab" };
	static const char *const files[] = {
		"a/file", "a/sub/file", "b/file", "ab/file", "out",
	};
	size_t i;

	snprintf(top, sizeof(top), "/tmp/check_confine.%d", (int)getpid());
	ck_assert_int_eq(mkdir(top, 0700), 0);
	for (i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		ck_assert_int_eq(mkdir(at(made[i]), 0700), 0);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		put(files[i]);
	snprintf(dirs, sizeof(dirs), "%s/a\n%s/b", top, top);
	ck_assert_int_eq(confine_create(&in, dirs, err, sizeof(err)), 0);
}

static void
teardown(void)
{
	char command[128];

	confine_destroy(in);
	snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}

/* Is `name` what opening `path` leads to? */
static void
opens(const char *path, const char *name)
{
	char text[64] = "";
	int fd = confine_open(in, path, O_RDONLY);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(-fd));
	ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
	ck_assert_str_eq(text, name);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	ck_assert(confine_covers(dirs, path));
	ck_assert_int_eq(confine_access(in, path, R_OK), 0);
}

static void
refuses(const char *path, int error)
{
	ck_assert_int_eq(confine_open(in, path, O_RDONLY), -error);
	ck_assert_int_eq(confine_covers(dirs, path), error != EXDEV);
	ck_assert_int_eq(confine_access(in, path, R_OK), -error);
}

START_TEST(plain_paths)
{
	opens(at("a/file"), "a/file");
	opens(at("a/sub/file"), "a/sub/file");
	opens(at("b/file"), "b/file");
	opens(at("b/../a/file"), "a/file");
	refuses(at("out"), EXDEV);
	refuses(at("a/../out"), EXDEV);
	/* The name of a directory is no prefix of another's. */
	refuses(at("ab/file"), EXDEV);
	refuses(at("a/missing"), ENOENT);
}
END_TEST

START_TEST(links_count_for_what_they_lead_to)
{
	ck_assert_int_eq(symlink("../out", at("a/rel")), 0);
	ck_assert_int_eq(symlink(at("out"), at("a/abs")), 0);
	ck_assert_int_eq(symlink(at("b/file"), at("a/other")), 0);
	ck_assert_int_eq(symlink("a", at("way")), 0);
	ck_assert_int_eq(symlink("..", at("a/sub/up")), 0);
	refuses(at("a/rel"), EXDEV);
	refuses(at("a/abs"), EXDEV);
	opens(at("a/other"), "b/file");
	opens(at("way/file"), "a/file");
	opens(at("a/sub/up/file"), "a/file");
	refuses("/proc/self/root/etc/passwd", EXDEV);
}
END_TEST

/* What does not exist yet is judged by its directory. */
START_TEST(covers_what_is_to_come)
{
	ck_assert(confine_covers(dirs, at("a/new")));
	ck_assert(confine_covers(dirs, at("a/new/deep")));
	ck_assert(!confine_covers(dirs, at("new")));
	ck_assert_int_eq(symlink("../ab", at("a/out")), 0);
	ck_assert(!confine_covers(dirs, at("a/out/new")));
	ck_assert(confine_covers("/nonexistent", "/nonexistent/x"));
	ck_assert(!confine_covers("/nonexistent", "/nonexistent"));
	ck_assert(confine_covers("/", "/any/thing"));
}
END_TEST

START_TEST(none_confines_nothing)
{
	struct confine *none;
	int fd;

	ck_assert_int_eq(confine_create(&none, NULL, err, sizeof(err)), 0);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(confine_create(&none, "", err, sizeof(err)), 0);
	ck_assert_ptr_null(none);
	fd = confine_open(NULL, at("out"), O_RDWR);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(confine_open(NULL, at("no"), O_RDWR), -ENOENT);
}
END_TEST

START_TEST(a_directory_that_is_not_there)
{
	struct confine *c;
	char want[200];

	snprintf(dirs, sizeof(dirs), "%s/a\n%s/c\n", top, top);
	ck_assert_int_eq(confine_create(&c, dirs, err, sizeof(err)), -ENOENT);
	snprintf(want, sizeof(want), "path %s/c: No such file or directory",
	    top);
	ck_assert_str_eq(err, want);
	snprintf(dirs, sizeof(dirs), "%s/out", top);
	ck_assert_int_eq(confine_create(&c, dirs, err, sizeof(err)), -ENOTDIR);
	ck_assert_ptr_null(c);
}
END_TEST

START_TEST(the_root_covers_all)
{
	struct confine *all;
	int fd;

	ck_assert_int_eq(confine_create(&all, "/", err, sizeof(err)), 0);
	fd = confine_open(all, at("out"), O_RDONLY);
	ck_assert_int_ge(fd, 0);
	close(fd);
	confine_destroy(all);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("confine");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, plain_paths);
	tcase_add_test(tc, links_count_for_what_they_lead_to);
	tcase_add_test(tc, covers_what_is_to_come);
	tcase_add_test(tc, none_confines_nothing);
	tcase_add_test(tc, a_directory_that_is_not_there);
	tcase_add_test(tc, the_root_covers_all);
	return test_main("confine", tc);
}
