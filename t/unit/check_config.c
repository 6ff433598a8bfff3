/* SPDX-License-Identifier: ISC */
/*
 * The configuration: golden files, t/unit/config/NAME.conf with what reading
 * it yields in NAME.ok; the limits to the byte; inih's traps; comparison and
 * copies.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config.h"
#include "vmm/config_keys.h"
#include "vmm/config_value.h"

static struct buf errors;

/* Where the golden files are: beside this source, whatever the build does. */
static void
setup(void)
{
	const char *top = getenv("srcdir");
	char dir[4096];

	snprintf(dir, sizeof(dir), "%s/t/unit/config", top ? top : ".");
	ck_assert_msg(chdir(dir) == 0, "%s: %s", dir, strerror(errno));
	buf_init(&errors, CONFIG_ERRORS_MAX);
}

static void
teardown(void)
{
	buf_free(&errors);
}

static void
dump_vm(struct buf *b, const struct vm_config *vm)
{
	char memory[32], timeout[32];
	unsigned i;

	value_format(memory, sizeof(memory), value_size_units, vm->memory);
	value_format(timeout, sizeof(timeout), value_duration_units,
	    vm->stop_timeout);
	buf_printf(b, "vm name=%s kernel=%s initrd=%s memory=%s autostart=%d "
	    "start-order=%u on-reboot=%d on-crash=%d stop-timeout=%s\n cmdline=%s\n", vm->name,
	    vm->kernel, vm->initrd == NULL ? "-" : vm->initrd, memory,
	    vm->autostart, (unsigned)vm->start_order, vm->on_reboot,
	    vm->on_crash, timeout, vm->cmdline);
	if (vm->cpus != 1)
		buf_printf(b, " cpus=%u\n", (unsigned)vm->cpus);
	if (vm->affinity.n > 0) {
		buf_printf(b, " cpu-affinity=");
		affinity_print(&vm->affinity, b);
		buf_printf(b, "\n");
	}
	if (!vm->rng)
		buf_printf(b, " rng=0\n");
	if (vm->ignore_msrs)
		buf_printf(b, " unknown-msr=1\n");
	if (vm->nics.n > 0) {
		buf_printf(b, " nic=");
		nics_print(&vm->nics, b);
		buf_printf(b, "\n");
	}
	for (i = 0; i < vm->ndisks; i++) {
		buf_printf(b, " disk=%s%s cache=%d", vm->disk[i].path,
		    vm->disk[i].how.readonly ? " readonly" : "",
		    (int)vm->disk[i].how.cache);
		if (vm->disk[i].how.kind != DISK_AUTO)
			buf_printf(b, " format=%d",
			    (int)vm->disk[i].how.kind);
		if (vm->disk[i].policy.on_error == BLK_ERROR_PAUSE)
			buf_printf(b, " on-error=pause");
		if (vm->disk[i].policy.bytes != 0)
			buf_printf(b, " limit=%" PRIu64 " requests=%" PRIu64
			    " burst=%" PRIu64, vm->disk[i].policy.bytes,
			    vm->disk[i].policy.requests,
			    vm->disk[i].policy.burst);
		buf_printf(b, "\n");
	}
}

/* The addresses that it is given or has by its names. */
static void
dump_nics(struct buf *b, const struct config *c, const struct vm_config *vm)
{
	const struct config_switch *sw;
	struct addr_net ip;
	uint8_t m[6];
	unsigned i;

	for (i = 0; i < vm->nics.n; i++) {
		sw = config_find_switch(c, vm->nics.nic[i].sw);
		nic_mac(m, c->name, vm->name, &vm->nics.nic[i], i);
		buf_printf(b, "  %02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1],
		    m[2], m[3], m[4], m[5]);
		if (nic_address(sw, vm->name, &vm->nics.nic[i], i, &ip) == 0)
			buf_printf(b, " %u.%u.%u.%u/%u", ip.ip >> 24,
			    ip.ip >> 16 & 255, ip.ip >> 8 & 255, ip.ip & 255,
			    ip.prefix);
		buf_printf(b, "\n");
	}
}

static void
dump_switch(struct buf *b, const struct config_switch *sw)
{
	const struct key *k;

	buf_printf(b, "switch name=%s", sw->name);
	for (k = config_keys; k < config_keys + CONFIG_NKEYS; k++) {
		if (k->section != SECTION_SWITCH)
			continue;
		buf_printf(b, " %s=", k->name);
		key_print(k, sw, b);
	}
	buf_printf(b, "\n");
}

static void
dump(struct buf *b, const struct config *c)
{
	char timeout[32], stagger[32];
	unsigned i;

	value_format(timeout, sizeof(timeout), value_duration_units,
	    c->stop_timeout);
	value_format(stagger, sizeof(stagger), value_duration_units,
	    c->stagger);
	buf_printf(b, "daemon name=%s aio=%s backend=%s socket=%s stop-timeout=%s "
	    "stagger=%s parallel=%u\n", c->name, c->aio,
	    c->backend, c->socket, timeout, stagger, (unsigned)c->parallel);
	for (i = 0; i < c->nsws; i++)
		dump_switch(b, &c->sw[i]);
	for (i = 0; i < c->npolicies; i++) {
		buf_printf(b, "policy name=%s allow=", c->policy[i].name);
		key_print(key_find(SECTION_POLICY, "allow"), &c->policy[i], b);
		buf_printf(b, "\n");
	}
	for (i = 0; i < c->nvms; i++) {
		dump_vm(b, &c->vm[i]);
		dump_nics(b, c, &c->vm[i]);
	}
}

static void
slurp(const char *path, char *p, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	n = fread(p, 1, size - 1, f);
	p[n] = '\0';
	fclose(f);
}

static const char *const golden[] = {
	"full", "empty", "dialect", "sections", "values", "bytes",
	"continued", "path", "net", "switches", "nics",
	"local", "local2", "addresses", "fw", "fw-errors",
};

START_TEST(golden_files)
{
	char conf[64], ok[64], want[16384];
	struct config *c;

	snprintf(conf, sizeof(conf), "%s.conf", golden[_i]);
	snprintf(ok, sizeof(ok), "%s.ok", golden[_i]);
	slurp(ok, want, sizeof(want));
	c = config_read(conf, &errors);
	if (c != NULL) {
		ck_assert_uint_eq(errors.len, 0);
		dump(&errors, c);
	}
	buf_append(&errors, "", 1);
	ck_assert_str_eq(buf_head(&errors), want);
	config_free(c);
}
END_TEST

/* Reads `text` from a temporary file. */
static struct config *
read_text(const char *text)
{
	char path[] = "/tmp/check_config.XXXXXX";
	int fd = mkstemp(path);
	struct config *c;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	buf_consume(&errors, errors.len);
	c = config_read(path, &errors);
	unlink(path);
	buf_append(&errors, "", 1);
	return c;
}

/* A configuration of one guest with a line of `n` bytes in it. */
static struct config *
read_line_of(const char *start, size_t n)
{
	char text[1024];
	int at;

	at = snprintf(text, sizeof(text), "[vm a]\nkernel = /k\n%s", start);
	memset(text + at, 'x', n - strlen(start));
	strcpy(text + at + n - strlen(start), "\nmemory = 32M\n");
	return read_text(text);
}

START_TEST(line_length)
{
	struct config *c;

	c = read_line_of("cmdline = ", 199);
	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	ck_assert_uint_eq(strlen(c->vm[0].cmdline), 189);
	ck_assert_uint_eq(c->vm[0].memory, 32 << 20);
	config_free(c);
	/* The rest of a long line must not become a line of its own. */
	ck_assert_ptr_null(read_line_of("cmdline = ", 200));
	ck_assert_ptr_nonnull(strstr(buf_head(&errors), ":3: line is longer"));
	ck_assert_ptr_eq(strchr(buf_head(&errors), '\n') + 2,
	    buf_head(&errors) + errors.len);
	c = read_line_of("# ", 800);
	ck_assert_ptr_nonnull(c);
	config_free(c);
}
END_TEST

static struct config *
read_name_of(size_t n)
{
	char name[128], text[256];

	memset(name, 'n', n);
	name[n] = '\0';
	snprintf(text, sizeof(text), "[vm %s]\nkernel = /k\n", name);
	return read_text(text);
}

START_TEST(name_length)
{
	struct config *c = read_name_of(VM_NAME_MAX);

	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	ck_assert_uint_eq(strlen(c->vm[0].name), VM_NAME_MAX);
	config_free(c);
	ck_assert_ptr_null(read_name_of(VM_NAME_MAX + 1));
}
END_TEST

/* `n` bytes of command line in pieces that lines can hold. */
static struct config *
read_cmdline_of(size_t n)
{
	struct config *c;
	struct buf b;
	size_t piece;

	buf_init(&b, 1 << 16);
	buf_printf(&b, "[vm a]\nkernel = /k\n");
	while (n > 0) {
		piece = n < 102 ? n : 100;
		buf_printf(&b, "cmdline = %0*d\n", (int)piece, 0);
		n -= piece == n ? n : piece + 1;
	}
	buf_append(&b, "", 1);
	c = read_text(buf_head(&b));
	buf_free(&b);
	return c;
}

START_TEST(cmdline_length)
{
	struct config *c = read_cmdline_of(VM_CMDLINE_MAX);

	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	ck_assert_uint_eq(strlen(c->vm[0].cmdline), VM_CMDLINE_MAX);
	config_free(c);
	ck_assert_ptr_null(read_cmdline_of(VM_CMDLINE_MAX + 1));
	ck_assert_ptr_nonnull(strstr(buf_head(&errors), "cmdline: too long"));
}
END_TEST

static struct config *
read_many(unsigned nvms, unsigned ndisks)
{
	struct config *c;
	unsigned i, k;
	struct buf b;

	buf_init(&b, 1 << 20);
	for (i = 0; i < nvms; i++) {
		buf_printf(&b, "[vm v%u]\nkernel = /k\n", i);
		for (k = 0; k < ndisks; k++)
			buf_printf(&b, "disk = /d/%u-%u\n", i, k);
	}
	buf_append(&b, "", 1);
	c = read_text(buf_head(&b));
	buf_free(&b);
	return c;
}

START_TEST(counts)
{
	struct config *c = read_many(CONFIG_VMS_MAX, VM_DISKS_MAX);

	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	ck_assert_uint_eq(c->nvms, CONFIG_VMS_MAX);
	ck_assert_str_eq(c->vm[255].disk[31].path, "/d/255-31");
	config_free(c);
	ck_assert_ptr_null(read_many(CONFIG_VMS_MAX + 1, 0));
	ck_assert_ptr_null(read_many(1, VM_DISKS_MAX + 1));
	ck_assert_ptr_nonnull(strstr(buf_head(&errors), "at most 32"));
}
END_TEST

START_TEST(socket_path_fits_its_address)
{
	char text[256];
	struct config *c;

	snprintf(text, sizeof(text), "[daemon]\nsocket = /%0106d\n", 0);
	c = read_text(text);
	ck_assert_ptr_nonnull(c);
	config_free(c);
	snprintf(text, sizeof(text), "[daemon]\nsocket = /%0107d\n", 0);
	ck_assert_ptr_null(read_text(text));
}
END_TEST

START_TEST(unreadable_files)
{
	ck_assert_ptr_null(config_read("/nonexistent", &errors));
	ck_assert_ptr_null(config_read("/", &errors));
	buf_append(&errors, "", 1);
	ck_assert_str_eq(buf_head(&errors),
	    "/nonexistent: No such file or directory; -f names another\n"
	    "/: Is a directory\n");
}
END_TEST

/* What was not meant. */
START_TEST(bad_disks)
{
	struct config *c;

	ck_assert_ptr_null(read_text("[vm a]\nkernel=/k\n"
	    "disk=/a,limit=65535\n"));
	ck_assert_ptr_null(read_text("[vm a]\nkernel=/k\n"
	    "disk=/a,burst=1s\n"));
	ck_assert_ptr_nonnull(strstr(buf_head(&errors), "no limit, add"));
	c = read_text("[vm a]\nkernel=/k\ndisk=/a,burst=1s,requests=1\n");
	ck_assert_ptr_nonnull(c);
	config_free(c);
	ck_assert_ptr_null(read_text("[vm a]\nkernel=/k\ndisk=/a,\n"));
	ck_assert_ptr_nonnull(strstr(buf_head(&errors), ":3: disk: a comma at "
	    "the end"));
	ck_assert_ptr_null(read_text("[vm a]\nkernel=/k\nnic=local, \n"));
	ck_assert_ptr_nonnull(strstr(buf_head(&errors), ":3: nic: a comma at "
	    "the end"));
}
END_TEST

/* What vmmd -n says of switches that this host has not all for. */
START_TEST(switch_warnings)
{
	struct config *c;

	c = read_text("[switch a]\naddress=192.0.2.1/24\ngroup=7\n"
	    "[switch b]\nuplink=lo\n"
	    "[switch c]\nbridge=br-c\n"
	    "[switch d]\nisolate=yes\n"
	    "[switch e]\nuplink=no-such.0\n"
	    "[switch f]\naddress=2001:db8::1/64\nvrf=no-such.1\n"
	    "group=no-such.2\n"
	    "[switch g]\naddress=192.0.3.1/24\nnat=no-such.3\n"
	    "[switch h]\naddress=192.0.4.1/24\nnat=lo\n"
	    "[switch i]\naddress=192.0.5.1/24\nnat=auto\n"
	    "[switch j]\naddress=192.0.6.1/24\nnat=no\n");
	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	buf_consume(&errors, errors.len);
	config_check_switches(c, &errors);
	buf_append(&errors, "", 1);
	ck_assert_str_eq(buf_head(&errors),
	    "warning: switch d: neither address nor uplink: its guests get no "
	    "address\n"
	    "warning: switch e: uplink no-such.0: No such device\n"
	    "warning: switch f: vrf no-such.1: No such device\n"
	    "warning: switch f: group no-such.2: there is none\n"
	    "warning: switch g: nat no-such.3: No such device\n");
	config_free(c);
}
END_TEST

/* White space and arrows, as people write them. */
START_TEST(loose_options)
{
	struct config *c = read_text("[switch a]\naddress=192.0.2.1/24\n"
	    "[vm v]\nkernel=/k\ndisk = /d , cache = none , readonly\n"
	    "nic = a , allow-in = tcp 22 , publish = tcp 80->8080,"
	    "publish=udp 53 ->54,publish=udp 55-> 56,limit-in = 1M\n");

	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	buf_consume(&errors, errors.len);
	nics_print(&c->vm[0].nics, &errors);
	disks_print(&c->vm[0], &errors);
	buf_append(&errors, "", 1);
	ck_assert_str_eq(buf_head(&errors), "a,limit-in=1M,allow-in=tcp 22,"
	    "publish=tcp 80 -> 8080,publish=udp 53 -> 54,"
	    "publish=udp 55 -> 56/d,readonly,cache=none");
	config_free(c);
}
END_TEST

/* What it says of NICs. */
START_TEST(nic_warnings)
{
	struct config *c;

	c = read_text("[switch a]\naddress=192.0.2.1/24\n"
	    "address=2001:db8:1::1/64\n"
	    "[switch b]\nuplink=lo\naddress=192.0.3.1/24\n"
	    "[switch c]\naddress=2001:db8::1/64\n"
	    "[vm v]\nkernel=/k\n"
	    "nic=a,publish=tcp 192.0.2.1:80,publish=tcp 192.0.2.99:81\n"
	    "nic=a,publish=udp [2001:db8:1::77]:80 -> 81,publish=tcp 82\n"
	    "nic=a,locked\n"
	    "nic=b,locked\n"
	    "nic=b,locked,address=192.0.3.7\n"
	    "nic=c,locked\n"
	    "nic=a,locked,address=none\n"
	    "nic=b\n");
	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	buf_consume(&errors, errors.len);
	config_check_nics(c, &errors);
	buf_append(&errors, "", 1);
	ck_assert_str_eq(buf_head(&errors),
	    "warning: vm v nic 0: publish: this host has no address "
	    "192.0.2.99\n"
	    "warning: vm v nic 1: publish: this host has no address "
	    "2001:db8:1::77\n"
	    "warning: vm v nic 3: locked, and no IPv4 address is known: it "
	    "can send none; add address=\n"
	    "warning: vm v nic 6: locked, and no IPv4 address is known: it "
	    "can send none; add address=\n");
	config_free(c);
}
END_TEST

/* What of a NIC counts at once, and what makes the guest another one. */
START_TEST(nics_change)
{
	static const char base[] = "[switch a]\naddress=10.0.0.1/24\n"
	    "[switch b]\n[vm g]\nkernel=/k\n%s";
	static const struct {
		const char	*nics;
		bool		 live;
	} to[] = {
		{ "nic=b\n", true },
		{ "nic=a,limit-in=1M\n", true },
		{ "nic=a,packets-out=7\n", true },
		{ "nic=a,link=down\n", true },
		{ "nic=a,address=10.0.0.9\n", true },
		{ "nic=a,address=none\n", true },
		{ "nic=a,hostname=x\n", true },
		{ "nic=a,lladdr=02:00:00:00:00:01\n", false },
		{ "nic=a,queues=1\n", false },
		{ "nic=a,mtu=1400\n", false },
		{ "nic=a\nnic=a\n", false },
		{ "", false },
	};
	struct config *c, *o;
	struct buf live, rest;
	char text[512];
	size_t i;

	snprintf(text, sizeof(text), base, "nic=a\n");
	c = read_text(text);
	ck_assert_msg(c != NULL, "%s", buf_head(&errors));
	for (i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		snprintf(text, sizeof(text), base, to[i].nics);
		o = read_text(text);
		ck_assert_msg(o != NULL, "%s", buf_head(&errors));
		buf_init(&live, CONFIG_CHANGES_MAX);
		buf_init(&rest, CONFIG_CHANGES_MAX);
		ck_assert_uint_eq(vm_config_live_changes(&c->vm[0], &o->vm[0],
		    &live), to[i].live);
		ck_assert_uint_eq(vm_config_changes(&c->vm[0], &o->vm[0],
		    &rest), !to[i].live);
		ck_assert(vm_config_equal(&c->vm[0], &o->vm[0]) ==
		    to[i].live);
		vm_config_set_live(&o->vm[0], &c->vm[0]);
		ck_assert(nics_equal(&c->vm[0].nics, &o->vm[0].nics) ==
		    to[i].live);
		buf_free(&live);
		buf_free(&rest);
		config_free(o);
	}
	config_free(c);
}
END_TEST

/* Each key of a guest but the live ones makes it another one. */
START_TEST(equality)
{
	static const char base[] =
	    "[vm a]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=64M\ndisk=/d\n"
	    "on-reboot=stop\n%s";
	static const char *const other[] = {
		"[vm a]\nkernel=/K\ninitrd=/i\ncmdline=c\nmemory=64M\ndisk=/d\n"
		"on-reboot=stop\n",
		"[vm a]\nkernel=/k\ncmdline=c\nmemory=64M\ndisk=/d\n"
		"on-reboot=stop\n",
		"[vm a]\nkernel=/k\ninitrd=/i\ncmdline=C\nmemory=64M\ndisk=/d\n"
		"on-reboot=stop\n",
		"[vm a]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=65M\ndisk=/d\n"
		"on-reboot=stop\n",
		"[vm a]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=64M\ndisk=/D\n"
		"on-reboot=stop\n",
		"[vm a]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=64M\ndisk=/d\n"
		"disk=/e\non-reboot=stop\n",
		"[vm a]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=64M\n"
		"disk=/d\n",
		"[vm b]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=64M\ndisk=/d\n"
		"on-reboot=stop\n",
		"[vm a]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=64M\ndisk=/d\n"
		"on-reboot=stop\non-crash=restart\n",
		"[vm a]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=64M\ndisk=/d\n"
		"on-reboot=stop\nunknown-msr=ignore-writes\n",
		"[vm a]\nkernel=/k\ninitrd=/i\ncmdline=c\nmemory=64M\ndisk=/d\n"
		"on-reboot=stop\ncpus=2\n",
	};
	struct config *c, *o;
	struct vm_config *copy;
	char text[512];
	size_t i;

	snprintf(text, sizeof(text), base, "");
	c = read_text(text);
	snprintf(text, sizeof(text), base, "autostart=no\nstart-order=3\n");
	o = read_text(text);
	ck_assert(vm_config_equal(&c->vm[0], &o->vm[0]));
	config_free(o);
	for (i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		o = read_text(other[i]);
		ck_assert_msg(!vm_config_equal(&c->vm[0], &o->vm[0]),
		    "other[%zu]", i);
		config_free(o);
	}
	copy = vm_config_dup(&c->vm[0]);
	config_free(c);
	snprintf(text, sizeof(text), base, "");
	c = read_text(text);
	ck_assert(vm_config_equal(&c->vm[0], copy));
	vm_config_free(copy);
	config_free(c);
}
END_TEST

START_TEST(fixed_keys_are_kept)
{
	struct config *old, *c;
	struct buf names;

	buf_init(&names, CONFIG_CHANGES_MAX);
	old = read_text("[daemon]\nname=a\nstop-timeout=1s\n");
	c = read_text("[daemon]\nname=a\nstop-timeout=2s\n");
	ck_assert(!config_keep_fixed(c, old, &names));
	ck_assert_uint_eq(c->stop_timeout, 2000000000);
	config_free(c);
	c = read_text("[daemon]\nname=b\nbackend=vmm\nsocket=/run/a.sock\n");
	ck_assert(config_keep_fixed(c, old, &names));
	buf_append(&names, "", 1);
	ck_assert_str_eq(buf_head(&names), "backend auto -> vmm; name a -> b");
	config_free(old);
	ck_assert_str_eq(c->name, "a");
	ck_assert_str_eq(c->backend, "auto");
	config_free(c);
	buf_free(&names);
}
END_TEST

/* Those that are no strings stay, too; an account may begin with _. */
START_TEST(kept_numbers_and_accounts)
{
	struct config *old, *c;
	struct buf changes;

	buf_init(&changes, CONFIG_CHANGES_MAX);
	old = read_text("[daemon]\nmemory=1G\nuser=_a\n");
	c = read_text("[daemon]\nmemory=2G\nuser=b\n");
	ck_assert(config_keep_fixed(c, old, &changes));
	buf_append(&changes, "", 1);
	ck_assert_str_eq(buf_head(&changes),
	    "memory 1G -> 2G; user _a -> b");
	ck_assert_uint_eq(c->memory, 1 << 30);
	ck_assert_str_eq(c->user, "_a");
	config_free(old);
	config_free(c);
	c = read_text("");
	ck_assert_str_eq(c->user, "_vmmd");
	ck_assert_uint_gt(c->memory, 64 << 20);
	config_free(c);
	ck_assert_ptr_null(read_text("[daemon]\nuser=_\n"));
	ck_assert_ptr_null(read_text("[daemon]\nuser=a b\n"));
	ck_assert_ptr_null(read_text("[daemon]\nname=_a\n"));
	buf_free(&changes);
}
END_TEST

/* What a guest's next start will change, as the administrator reads it. */
START_TEST(changes_are_told)
{
	struct config *a, *b;
	struct buf changes;

	buf_init(&changes, CONFIG_CHANGES_MAX);
	a = read_text("[vm a]\nkernel=/k\ncmdline=x y\ndisk=/a\n");
	b = read_text("[vm a]\nkernel=/k\nmemory=1G\ndisk=/a,readonly\ndisk=/b\n"
	    "disk=/c,format=qcow2,cache=none,burst=5s,limit=65536\n"
	    "disk=/d,cache=writeback,format=raw,detect-zeroes=unmap\ndisk=/e,cache=writethrough,readonly\ninitrd=/i\non-reboot=stop\nautostart=no\n");
	ck_assert_uint_eq(vm_config_changes(&a->vm[0], &a->vm[0], &changes),
	    0);
	ck_assert_uint_eq(changes.len, 0);
	ck_assert_uint_eq(vm_config_changes(&a->vm[0], &b->vm[0], &changes),
	    5);
	buf_append(&changes, "", 1);
	ck_assert_str_eq(buf_head(&changes), "cmdline x y -> -; "
	    "disk /a -> /a,readonly, /b, /c,format=qcow2,cache=none,"
	    "limit=64K,burst=5s, "
	    "/d,format=raw,detect-zeroes=unmap, /e,readonly,cache=writethrough; initrd - -> /i; memory 512M -> 1G; "
	    "on-reboot restart -> stop");
	buf_free(&changes);
	config_free(a);
	config_free(b);
}
END_TEST

/* The rows of one section in the manual's summary, as they must be. */
static void
summary(struct buf *b, enum section section)
{
	const struct key *k;

	for (k = config_keys; k < config_keys + CONFIG_NKEYS; k++) {
		if (k->section != section)
			continue;
		buf_printf(b, ".It Ic %s Ta ", k->name);
		key_print_values(k, b);
		buf_printf(b, " Ta %s Ta %s\n", k->def != NULL ? k->def :
		    k->derived != NULL ? k->derived : "none",
		    key_class_name(k));
	}
	buf_append(b, "", 1);
}

/* Every key with values, default and class, in this order and none else. */
START_TEST(manual_follows_the_table)
{
	static const enum section sections[] = { SECTION_DAEMON, SECTION_SWITCH,
	    SECTION_POLICY, SECTION_VM };
	static char page[256 << 10];
	struct buf b;
	char *rows, *end;

	slurp("../../../man/vmmd.conf.5", page, sizeof(page));
	rows = strstr(page, "Class\n");
	ck_assert_ptr_nonnull(rows);
	rows = strchr(rows, '\n') + 1;
	buf_init(&b, 64 << 10);
	summary(&b, sections[_i]);
	for (; _i > 0; _i--)
		rows = strchr(strstr(rows, "Class\n"), '\n') + 1;
	end = strstr(rows, ".El\n");
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	ck_assert_str_eq(rows, buf_head(&b));
	buf_free(&b);
}
END_TEST

/* ... and each is described. */
START_TEST(manual_describes_each_key)
{
	static char page[256 << 10];
	char item[64];
	size_t i;

	slurp("../../../man/vmmd.conf.5", page, sizeof(page));
	for (i = 0; i < CONFIG_NKEYS; i++) {
		snprintf(item, sizeof(item), "\n.It Ic %s No = ",
		    config_keys[i].name);
		ck_assert_msg(strstr(page, item) != NULL, "%s",
		    config_keys[i].name);
	}
}
END_TEST

/* A guest's key never waits for the daemon, nor the other way round. */
START_TEST(classes_fit_their_sections)
{
	size_t i;

	for (i = 0; i < CONFIG_NKEYS; i++)
		ck_assert_msg(config_keys[i].class != (config_keys[i].section ==
		    SECTION_VM ? CLASS_RESTART : CLASS_PENDING), "%s",
		    config_keys[i].name);
}
END_TEST

static TCase *
config_case(void)
{
	TCase *tc = tcase_create("config");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, golden_files, 0,
	    sizeof(golden) / sizeof(golden[0]));
	tcase_add_test(tc, line_length);
	tcase_add_test(tc, name_length);
	tcase_add_test(tc, cmdline_length);
	tcase_add_test(tc, counts);
	tcase_add_test(tc, socket_path_fits_its_address);
	tcase_add_test(tc, unreadable_files);
	tcase_add_test(tc, equality);
	tcase_add_test(tc, bad_disks);
	tcase_add_test(tc, switch_warnings);
	tcase_add_test(tc, loose_options);
	tcase_add_test(tc, nic_warnings);
	tcase_add_test(tc, nics_change);
	tcase_add_test(tc, fixed_keys_are_kept);
	tcase_add_test(tc, kept_numbers_and_accounts);
	tcase_add_test(tc, changes_are_told);
	tcase_add_loop_test(tc, manual_follows_the_table, 0, 4);
	tcase_add_test(tc, manual_describes_each_key);
	tcase_add_test(tc, classes_fit_their_sections);
	return tc;
}

int
main(void)
{
	Suite *s = suite_create("config");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, config_case());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
