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
#include "vmm/policy.h"
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

/* A rule of a stage that ends the list of a NIC. */
static bool
is_last(const struct fw_rule *r, enum fw_stage stage, uint32_t nic)
{
	return r->stage == stage && r->nic == nic && r->verdict == FW_BLOCK &&
	    r->proto == FW_ANY && r->family == 0 &&
	    r->peer.kind == FW_PEER_ANY && r->want == FW_RDR_ANY;
}

static void
check_rule(const struct fw_policy *p, const struct fw_rules *rs,
    const struct fw_rule *r)
{
	struct buf b;

	FUZZ_CHECK(r->nic < p->nnics || r->nic >= FW_NOBODY);
	FUZZ_CHECK(r->sw < p->nsws || r->sw == FW_ALL);
	FUZZ_CHECK(r->own < rs->ntables || r->own == FW_ALL);
	FUZZ_CHECK(r->peer.table < rs->ntables || r->peer.table == FW_ALL);
	FUZZ_CHECK((r->peer.kind != FW_PEER_GUEST &&
	    r->peer.kind != FW_PEER_SWITCH) || r->peer.table != FW_ALL);
	FUZZ_CHECK(r->lo <= r->hi);
	FUZZ_CHECK(r->lo == 0 || r->proto == FW_TCP || r->proto == FW_UDP);
	FUZZ_CHECK(!r->has_icmp || r->family != 0);
	buf_init(&b, 4096);
	FUZZ_CHECK(fw_rule_print(p, rs, r, &b) == 0);
	buf_free(&b);
}

/* All that is sound makes rules, and nobody is without a last one. */
static void
check_firewall(const struct config *c)
{
	static const enum fw_stage stages[] = { FW_HOST, FW_OUT, FW_IN };
	const struct fw_policy *p;
	struct policy *policy;
	struct fw_rules rs;
	char err[256];
	unsigned s;
	uint32_t i;
	size_t k;

	FUZZ_CHECK(policy_make(&policy, c, NULL) == 0);
	p = policy_fw(policy);
	FUZZ_CHECK(fw_build(p, &rs, err, sizeof(err)) == 0);
	for (k = 0; k < rs.n; k++)
		check_rule(p, &rs, &rs.v[k]);
	for (i = 0; i < p->nnics; i++)
		for (s = 0; s < 3; s++) {
			for (k = 0; k < rs.n; k++)
				if (is_last(&rs.v[k], stages[s], i))
					break;
			FUZZ_CHECK(k < rs.n);
			/* What comes after it would never be. */
			for (k++; k < rs.n; k++)
				FUZZ_CHECK(rs.v[k].stage != stages[s] ||
				    rs.v[k].nic != i);
		}
	FUZZ_CHECK(p->nnics > 0 || !fw_forwards(p, false));
	fw_rules_free(&rs);
	for (i = 0; i < p->nnics; i++)
		(void)policy_yield(policy, p->nic[i].guest);
	FUZZ_CHECK(fw_build(p, &rs, err, sizeof(err)) == 0);
	fw_rules_free(&rs);
	policy_free(policy);
}

static void
check_config(const struct config *c)
{
	unsigned i;

	FUZZ_CHECK(c->nvms <= CONFIG_VMS_MAX);
	FUZZ_CHECK(c->nsws <= CONFIG_SWITCHES_MAX);
	for (i = 0; i < c->nsws; i++)
		check_values(c, SECTION_SWITCH, &c->sw[i]);
	for (i = 0; i < c->npolicies; i++)
		check_values(c, SECTION_POLICY, &c->policy[i]);
	check_values(c, SECTION_DAEMON, c);
	for (i = 0; i < c->nvms; i++) {
		check_vm(c, &c->vm[i]);
		check_nics(c, &c->vm[i]);
	}
	check_firewall(c);
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
