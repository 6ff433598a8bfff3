/* SPDX-License-Identifier: ISC */
/*
 * Fuzz target: the configuration file.
 *
 * The input is a file; what follows a zero byte are the pairs of a request
 * that defines guest "fuzz".  A configuration is made whole, or each line of
 * the errors names its file and line.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "vmm/config.h"
#include "vmm/config_keys.h"
#include "vmm/statedir.h"

/* Each key has a value that can be told. */
static void
check_values(const struct config *c, enum section section, const void *base)
{
	const struct key *k;
	struct buf b;

	(void)c;
	for (k = config_keys; k < config_keys + CONFIG_NKEYS; k++) {
		if (k->section != section)
			continue;
		buf_init(&b, 1 << 16);
		FUZZ_CHECK(key_print(k, base, &b) == 0 && b.len != 0);
		if (k->type == KEY_SIZE || k->type == KEY_DURATION ||
		    k->type == KEY_NUMBER) {
			uint64_t v = *(uint64_t *)key_field(k, base);

			FUZZ_CHECK((v >= k->min && v <= k->max) ||
			    (v == 0 && k->def == NULL));
		}
		buf_free(&b);
	}
}

static void
check_vm(const struct config *c, const struct vm_config *vm)
{
	struct vm_config *copy = vm_config_dup(vm);
	struct buf b;
	unsigned i;

	check_values(c, SECTION_VM, vm);
	FUZZ_CHECK(config_find_vm(c, vm->name) == vm);
	FUZZ_CHECK(strlen(vm->name) <= VM_NAME_MAX);
	FUZZ_CHECK(strlen(vm->cmdline) <= VM_CMDLINE_MAX);
	FUZZ_CHECK(vm->kernel != NULL && *vm->kernel == '/');
	FUZZ_CHECK(vm->memory % (1 << 20) == 0);
	FUZZ_CHECK(vm->ndisks <= VM_DISKS_MAX);
	for (i = 0; i < vm->ndisks; i++)
		FUZZ_CHECK(*vm->disk[i].path == '/');
	buf_init(&b, CONFIG_CHANGES_MAX);
	FUZZ_CHECK(vm_config_equal(vm, copy));
	FUZZ_CHECK(vm_config_changes(vm, copy, &b) == 0 && b.len == 0);
	FUZZ_CHECK(vm_config_live_changes(vm, copy, &b) == 0 && b.len == 0);
	buf_free(&b);
	vm_config_free(copy);
}

/* Each NIC has a switch, a unicast address, and an IP address of a host. */
static void
check_nics(const struct config *c, const struct vm_config *vm)
{
	const struct config_switch *sw;
	struct addr_net ip;
	uint8_t mac[6];
	unsigned i;

	FUZZ_CHECK(vm->nics.n <= VM_NICS_MAX);
	for (i = 0; i < vm->nics.n; i++) {
		sw = config_find_switch(c, vm->nics.nic[i].sw);
		FUZZ_CHECK(sw != NULL);
		nic_mac(mac, c->name, vm->name, &vm->nics.nic[i], i);
		FUZZ_CHECK((mac[0] & 1) == 0);
		if (nic_address(sw, vm->name, &vm->nics.nic[i], i, &ip) == 0)
			FUZZ_CHECK(addr_is_host(&ip, ip.ip));
	}
}

static void
check_config(const struct config *c)
{
	unsigned i;

	FUZZ_CHECK(c->nvms <= CONFIG_VMS_MAX);
	FUZZ_CHECK(c->nsws <= CONFIG_SWITCHES_MAX);
	for (i = 0; i < c->nsws; i++)
		check_values(c, SECTION_SWITCH, &c->sw[i]);
	check_values(c, SECTION_DAEMON, c);
	for (i = 0; i < c->nvms; i++) {
		check_vm(c, &c->vm[i]);
		check_nics(c, &c->vm[i]);
	}
}

/*
 * At least one line; each begins with `path`, a number and a colon, or with
 * the state directory that the file names.
 */
static void
check_errors(struct buf *errors, const char *path)
{
	const char *p, *end, *digits;
	char *rest;

	FUZZ_CHECK(errors->len != 0);
	(void)buf_append(errors, "", 1);
	for (p = buf_head(errors); *p != '\0'; p = end + 1) {
		end = strchr(p, '\n');
		FUZZ_CHECK(end != NULL);
		FUZZ_CHECK(*p == '/');
		if (strncmp(p, path, strlen(path)) != 0)
			continue;
		p += strlen(path);
		FUZZ_CHECK(*p == ':');
		digits = p + 1;
		(void)strtoul(digits, &rest, 10);
		FUZZ_CHECK(rest != digits && rest[0] == ':' &&
		    rest[1] == ' ');
		for (; p < end; p++)
			FUZZ_CHECK((unsigned char)*p >= ' ' || *p == '\t');
	}
}

/* A request changes a copy, or nothing. */
static void
define(const struct config *c, const uint8_t *input, size_t size)
{
	char *pairs = strndup((const char *)input, size);
	const struct vm_config *vm;
	struct config *next = NULL;
	struct buf text, errors;

	buf_init(&text, STATEDIR_TEXT_MAX);
	buf_init(&errors, CONFIG_ERRORS_MAX);
	if (statedir_edit(NULL, "fuzz", pairs, &text, &errors) == 0) {
		FUZZ_CHECK(errors.len == 0);
		next = config_with(c, "fuzz", "fuzz.conf", &text, &errors);
		FUZZ_CHECK(next != NULL || errors.len != 0);
	}
	if (next != NULL) {
		check_config(next);
		vm = config_find_vm(next, "fuzz");
		FUZZ_CHECK(vm != NULL && strcmp(vm->file, "fuzz.conf") == 0);
		FUZZ_CHECK(next->nvms == c->nvms +
		    (config_find_vm(c, "fuzz") == NULL));
		config_free(next);
	}
	check_config(c);
	buf_free(&text);
	buf_free(&errors);
	free(pairs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[32];
	static int fd = -1;
	const uint8_t *zero;
	struct config *c;
	struct buf errors;
	size_t n;

	if (fd == -1) {
		fd = memfd_create("vmmd.conf", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	zero = size != 0 ? memchr(data, 0, size) : NULL;
	n = zero != NULL ? (size_t)(zero - data) : size;
	FUZZ_CHECK(ftruncate(fd, 0) == 0);
	FUZZ_CHECK(pwrite(fd, data, n, 0) == (ssize_t)n);
	buf_init(&errors, CONFIG_ERRORS_MAX);
	c = config_read(path, &errors);
	if (c != NULL) {
		FUZZ_CHECK(errors.len == 0);
		check_config(c);
		if (zero != NULL)
			define(c, zero + 1, size - n - 1);
		config_free(c);
	} else {
		check_errors(&errors, path);
	}
	buf_free(&errors);
	return 0;
}
