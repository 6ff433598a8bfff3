/* SPDX-License-Identifier: ISC */
/*
 * ACPI tables: each is found by walking from the RSDP as a guest does; its
 * length and checksum are right; iasl takes it apart without a complaint, and
 * compiles what that gives to the same bytes.  t/unit/acpi/NAME.dsl is how it
 * reads.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "vmm/acpi.h"
#include "testhost.h"

#define TABLES_MAX	8
#define HEADER		36	/* of a table */
#define COMPILER	28	/* in it: who made it */

static uint8_t area[ACPI_SIZE_MAX];
static size_t area_len;

/* A table as the walk found it. */
struct table {
	char		name[5];
	const uint8_t	*p;
	uint32_t	len;
};

static struct table tables[TABLES_MAX];
static unsigned ntables;

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t
get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint8_t
sum(const uint8_t *p, size_t n)
{
	uint8_t s = 0;

	while (n-- > 0)
		s += *p++;
	return s;
}

static const struct table *
add_table(uint64_t gpa, unsigned align)
{
	struct table *t = &tables[ntables++];
	size_t off = gpa - ACPI_GPA;

	ck_assert_uint_le(ntables, TABLES_MAX);
	ck_assert_uint_eq(gpa % align, 0);
	ck_assert_uint_le(off + HEADER, area_len);
	memcpy(t->name, area + off, 4);
	t->p = area + off;
	t->len = get32(t->p + 4);
	ck_assert_uint_ge(t->len, HEADER);
	ck_assert_uint_le(off + t->len, area_len);
	if (strcmp(t->name, "FACS") != 0)
		ck_assert_uint_eq(sum(t->p, t->len), 0);
	return t;
}

static const struct table *
find(const char *name)
{
	unsigned i;

	for (i = 0; i < ntables; i++)
		if (strcmp(tables[i].name, name) == 0)
			return &tables[i];
	return NULL;
}

/* From the RSDP to every table, none of which meets another. */
static void
walk(void)
{
	const struct table *xsdt, *fadt;
	unsigned i, k;

	ntables = 0;
	ck_assert_mem_eq(area, "RSD PTR ", 8);
	ck_assert_uint_eq(sum(area, 20), 0);
	ck_assert_uint_eq(get32(area + 20), 36);
	ck_assert_uint_eq(sum(area, 36), 0);
	ck_assert_uint_eq(area[15], 2);
	xsdt = add_table(get64(area + 24), 8);
	ck_assert_str_eq(xsdt->name, "XSDT");
	ck_assert_uint_eq((xsdt->len - HEADER) % 8, 0);
	for (i = 0; i < (xsdt->len - HEADER) / 8; i++)
		(void)add_table(get64(xsdt->p + HEADER + 8 * i), 8);
	fadt = find("FACP");
	ck_assert_ptr_nonnull(fadt);
	ck_assert_uint_eq(get32(fadt->p + 40), get64(fadt->p + 140));
	ck_assert_str_eq(add_table(get64(fadt->p + 140), 8)->name, "DSDT");
	ck_assert_str_eq(add_table(get64(fadt->p + 132), 64)->name, "FACS");
	for (i = 0; i < ntables; i++) {
		ck_assert(tables[i].p >= area + 36);
		for (k = 0; k < i; k++)
			ck_assert(tables[i].p + tables[i].len <= tables[k].p ||
			    tables[k].p + tables[k].len <= tables[i].p);
	}
}

static void
build(const struct acpi_conf *c)
{
	memset(area, 0xa5, sizeof(area));
	ck_assert_int_eq(acpi_build(c, area, sizeof(area), &area_len), 0);
	ck_assert_uint_eq(area[area_len], 0xa5);
	walk();
}

static const struct acpi_conf confs[] = {
	{ .ncpus = 1, .pci_slots = 0x1 },
	{ .ncpus = 2, .pci_slots = 0x7, .pci_memory = 0xc0000000,
	    .pci_memory_size = 0x20000000, .ecam = 0xe0000000 },
	{ .ncpus = 64, .pci_slots = UINT32_MAX, .pci_memory = 0xc0000000,
	    .pci_memory_size = 0x20000000, .ecam = 0xe0000000 },
};

START_TEST(tables_are_found)
{
	const struct acpi_conf *c = &confs[_i];

	build(c);
	ck_assert_ptr_nonnull(find("APIC"));
	ck_assert((find("MCFG") != NULL) == (c->ecam != 0));
	ck_assert_uint_eq(ntables, c->ecam != 0 ? 6 : 5);
	ck_assert_uint_eq(find("APIC")->len, 44 + 8 * c->ncpus + 12 + 10 + 10 +
	    6);
}
END_TEST

static void
write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

static size_t
read_file(const char *path, char *p, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	n = fread(p, 1, size - 1, f);
	fclose(f);
	p[n] = '\0';
	return n;
}

/* In a directory of its own. */
static void
shell(const char *command)
{
	char out[4096];

	if (system(command) == 0)
		return;
	(void)read_file("out", out, sizeof(out));
	ck_abort_msg("%s: %s", command, out);
}

/* Takes t.aml apart and makes t2.aml of that, which iasl cannot improve. */
static void
iasl(void)
{
	shell("iasl -p t -d t.aml >out 2>&1");
	shell("! grep -Eiq 'error|warning|could not|invalid' out");
	shell("iasl -p t2 t.dsl >out 2>&1");
	shell("grep -Eq ' 0 Errors, 0 Warnings, 0 Remarks(, 0 Opt|$)' out");
}

/* The same bytes, but for who made them. */
static void
compare(const struct table *t)
{
	static char again[ACPI_SIZE_MAX];
	uint32_t i;

	ck_assert_uint_eq(read_file("t2.aml", again, sizeof(again)), t->len);
	for (i = 0; i < t->len; i++) {
		if (strcmp(t->name, "FACS") != 0 &&
		    (i == 9 || (i >= COMPILER && i < HEADER)))
			continue;
		ck_assert_msg((uint8_t)again[i] == t->p[i],
		    "%s: byte %u is %#x, iasl makes it %#x", t->name, i,
		    t->p[i], (uint8_t)again[i]);
	}
}

static void
enter_directory(char *dir, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, size, "%s/check_acpi.XXXXXX", tmp != NULL ? tmp :
	    "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void
leave_directory(const char *dir)
{
	static const char *const files[] = {
		"out", "t.aml", "t.dsl", "t2.aml", "got",
	};
	unsigned i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)unlink(files[i]);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(iasl_agrees)
{
	char dir[256];
	unsigned i;

	build(&confs[_i]);
	enter_directory(dir, sizeof(dir));
	for (i = 0; i < ntables; i++) {
		write_file("t.aml", tables[i].p, tables[i].len);
		iasl();
		compare(&tables[i]);
	}
	leave_directory(dir);
}
END_TEST

/* What iasl says of a table, without the comment with its date. */
START_TEST(golden)
{
	static char want[1 << 16], got[1 << 16];
	const char *top = getenv("SRCDIR");
	char dir[256], path[512], name[8];
	unsigned i, k;

	ck_assert_msg(top != NULL, "SRCDIR says where the sources are");
	build(&confs[1]);
	enter_directory(dir, sizeof(dir));
	for (i = 0; i < ntables; i++) {
		for (k = 0; k < 4; k++)
			name[k] = (char)(tables[i].name[k] | 0x20);
		name[4] = '\0';
		write_file("t.aml", tables[i].p, tables[i].len);
		shell("iasl -p t -d t.aml >out 2>&1");
		shell("sed '/^\\/\\*/,/^ \\*\\//d' t.dsl >got");
		snprintf(path, sizeof(path), "%s/t/unit/acpi/%s.dsl",
		    top, name);
		(void)read_file("got", got, sizeof(got));
		if (getenv("ACPI_GOLDEN") != NULL)
			write_file(path, got, strlen(got));
		(void)read_file(path, want, sizeof(want));
		ck_assert_msg(strcmp(got, want) == 0, "%s: not as in %s:\n%s",
		    name, path, got);
	}
	leave_directory(dir);
}
END_TEST

/* In each size that is too small nothing is written past it. */
START_TEST(no_room)
{
	size_t need, n, size;
	uint8_t *p;

	build(&confs[1]);
	need = area_len;
	for (size = 36; size <= need; size++) {
		p = malloc(size + 1);
		p[size] = 0xa5;
		ck_assert_int_eq(acpi_build(&confs[1], p, size, &n),
		    size < need ? -ENOSPC : 0);
		ck_assert_uint_eq(p[size], 0xa5);
		free(p);
	}
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("acpi");
	int n = sizeof(confs) / sizeof(confs[0]);

	tcase_add_loop_test(tc, tables_are_found, 0, n);
	tcase_add_loop_test(tc, iasl_agrees, 0, n);
	tcase_add_test(tc, golden);
	tcase_add_test(tc, no_room);
	return test_main("acpi", tc);
}
