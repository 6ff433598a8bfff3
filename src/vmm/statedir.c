/* SPDX-License-Identifier: ISC */
/*
 * The state directory: see statedir.h.
 */
#include "vmm/statedir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "vmm/config_ini.h"
#include "vmm/config_keys.h"
#include "vmm/proto.h"

#define SUFFIX	".conf"
#define PAIRS_MAX	128

/* What a request says, and the section that is being made from it. */
struct edit {
	char		*key[PAIRS_MAX];
	char		*value[PAIRS_MAX];
	unsigned	 n;
	struct buf	*text;
	struct buf	*errors;
	int		 error;		/* first -errno of `text` */
};

char *
statedir_path(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s%s", dir, name, SUFFIX) < 0 ?
	    NULL : path;
}

/* Not a device or a pipe, on which opening or reading might wait. */
FILE *
statedir_open(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EINVAL;
		return NULL;
	}
	return fd < 0 ? NULL : fdopen(fd, "r");
}

/* Hidden files are unfinished ones. */
static int
is_guest_file(const struct dirent *d)
{
	size_t n = strlen(d->d_name), suffix = strlen(SUFFIX);

	return d->d_name[0] != '.' && n > suffix &&
	    strcmp(d->d_name + n - suffix, SUFFIX) == 0;
}

int
statedir_list(const char *dir, char ***names)
{
	struct dirent **found = NULL;
	int i, n, ret = 0;

	*names = NULL;
	n = scandir(dir, &found, is_guest_file, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	*names = calloc(n + 1, sizeof(**names));
	for (i = 0; i < n; i++) {
		if (*names != NULL)
			(*names)[i] = strndup(found[i]->d_name,
			    strlen(found[i]->d_name) - strlen(SUFFIX));
		if (*names == NULL || (*names)[i] == NULL)
			ret = -ENOMEM;
		free(found[i]);
	}
	free(found);
	if (ret != 0) {
		statedir_free_list(*names);
		*names = NULL;
	}
	return ret;
}

void
statedir_free_list(char **names)
{
	char **p;

	for (p = names; p != NULL && *p != NULL; p++)
		free(*p);
	free(names);
}

static void
edit_put(struct edit *ed, const char *key, const char *value, size_t n)
{
	if (ed->error == 0)
		ed->error = buf_printf(ed->text, "%s = %.*s\n", key, (int)n,
		    value);
}

/*
 * A value as one line, or as several where that means the same and one would
 * be too long; what stays too long is for the parser to complain about.
 */
static void
edit_lines(struct edit *ed, const char *key, const char *value)
{
	const struct key *k = key_find(SECTION_VM, key);
	size_t room = INI_LINE_MAX - strlen(key) - strlen(" = "), n;

	while (k != NULL && k->type == KEY_TEXT && strlen(value) > room) {
		for (n = room; n > 0 && value[n] != ' '; n--)
			;
		if (n == 0)
			break;
		edit_put(ed, key, value, n);
		value += n + 1;
	}
	edit_put(ed, key, value, strlen(value));
}

/* The old lines stay, but for the keys that are given. */
static void
on_value(void *cookie, unsigned line, const char *key, const char *value)
{
	struct edit *ed = cookie;
	unsigned i;

	(void)line;
	for (i = 0; i < ed->n; i++)
		if (strcmp(ed->key[i], key) == 0)
			return;
	edit_put(ed, key, value, strlen(value));
}

static void
on_section(void *cookie, unsigned line, const char *kind, const char *name)
{
	(void)cookie;
	(void)line;
	(void)kind;
	(void)name;
}

/* The file was sound when it was read, and is read as a whole afterwards. */
static void
on_error(void *cookie, unsigned line, const char *text)
{
	struct edit *ed = cookie;

	(void)line;
	(void)buf_printf(ed->errors, "%s\n", text);
}

static int
edit_old(struct edit *ed, const char *path)
{
	struct ini_sink sink = {
		.section = on_section,
		.value = on_value,
		.error = on_error,
		.cookie = ed,
	};
	FILE *f = fopen(path, "re");
	int ret;

	if (f == NULL)
		return -errno;
	ret = ini_read(f, &sink);
	fclose(f);
	return ret;
}

static bool
is_key(const char *s)
{
	return *s != '\0' &&
	    s[strspn(s, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

/* Would the line that it becomes say something else? */
static void
check_pair(struct edit *ed, const char *key, const char *value)
{
	const char *p;

	if (!is_key(key))
		(void)buf_printf(ed->errors, "`%.32s' is no key\n", key);
	for (p = value; *p != '\0'; p++) {
		if (!isprint((unsigned char)*p)) {
			(void)buf_printf(ed->errors, "%.32s: the value has "
			    "other characters than printable ASCII\n", key);
			return;
		}
		if (*p == ';' && (p == value || p[-1] == ' ')) {
			(void)buf_printf(ed->errors, "%.32s: `;' at the "
			    "beginning of a word would be a comment\n", key);
			return;
		}
	}
}

static void
take_pairs(struct edit *ed, char *pairs)
{
	char *key, *value;

	while (pairs[strspn(pairs, " ")] != '\0') {
		if (ed->n == PAIRS_MAX) {
			(void)buf_printf(ed->errors, "too many values\n");
			return;
		}
		if (!proto_next(&pairs, &key, &value)) {
			(void)buf_printf(ed->errors, "write KEY=VALUE, or "
			    "KEY=\"VALUE\"\n");
			return;
		}
		check_pair(ed, key, value);
		ed->key[ed->n] = key;
		ed->value[ed->n++] = value;
	}
}

int
statedir_edit(const char *path, const char *name, char *pairs, struct buf *text,
    struct buf *errors)
{
	struct edit ed = { .text = text, .errors = errors };
	unsigned i;
	int ret = 0;

	take_pairs(&ed, pairs);
	if (errors->len > 0)
		return -EINVAL;
	ed.error = buf_printf(text, "# Made by vmmctl define and set.\n"
	    "[vm %s]\n", name);
	if (path != NULL)
		ret = edit_old(&ed, path);
	for (i = 0; i < ed.n; i++)
		/* A key that there is not is an error in any case. */
		if (*ed.value[i] != '\0' ||
		    key_find(SECTION_VM, ed.key[i]) == NULL)
			edit_lines(&ed, ed.key[i], ed.value[i]);
	if (errors->len > 0)
		return -EINVAL;
	return ret != 0 ? ret : ed.error;
}

/* A new file's descriptor, in a directory that may be new, too. */
static int
create_file(const char *path, char *dir)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(path, flags, 0600);

	if (fd < 0 && errno == ENOENT && mkdir(dir, 0700) == 0)
		fd = open(path, flags, 0600);
	return fd < 0 ? -errno : fd;
}

/* What was renamed or removed there stays so. */
static int
sync_directory(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;

	if (fd < 0 || fsync(fd) != 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int
replace_file(const char *tmp, const char *path, char *dir,
    const struct buf *text)
{
	int fd, ret;

	fd = create_file(tmp, dir);
	if (fd < 0)
		return fd;
	ret = fd_write_all(fd, buf_head(text), text->len);
	if (ret == 0 && fsync(fd) != 0)
		ret = -errno;
	close(fd);
	if (ret == 0 && rename(tmp, path) != 0)
		ret = -errno;
	if (ret != 0)
		unlink(tmp);
	return ret != 0 ? ret : sync_directory(dir);
}

int
statedir_write(const char *path, const struct buf *text)
{
	char *copy = strdup(path), *tmp = NULL, *dir;
	const char *base = strrchr(path, '/') + 1;
	int ret = -ENOMEM;

	if (copy != NULL) {
		dir = dirname(copy);
		if (asprintf(&tmp, "%s/.%s.tmp", dir, base) < 0)
			tmp = NULL;
		else
			ret = replace_file(tmp, path, dir, text);
	}
	free(tmp);
	free(copy);
	return ret;
}

int
statedir_remove(const char *path)
{
	char *copy = strdup(path);
	int ret;

	if (copy == NULL)
		return -ENOMEM;
	ret = unlink(path) == 0 ? 0 : -errno;
	if (ret == 0)
		ret = sync_directory(dirname(copy));
	free(copy);
	return ret;
}
