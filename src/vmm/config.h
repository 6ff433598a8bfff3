/* SPDX-License-Identifier: ISC */
/*
 * The configuration, as read from vmmd.conf(5): plain data, made whole or not
 * at all.  Immutable once made; the loop thread owns it.
 */
#ifndef VMMD_CONFIG_H
#define VMMD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "vmm/affinity.h"
#include "vmm/config_disk.h"
#include "vmm/config_net.h"
#include "vmm/owner.h"

#define VM_NAME_MAX		64
#define VM_DISKS_MAX		32
#define VM_CMDLINE_MAX		2047

#define CONFIG_VMS_MAX		256
#define CONFIG_SWITCHES_MAX	256	/* and the one without a section */
#define CONFIG_POLICIES_MAX	256
#define CONFIG_POLICY_MAX	8191	/* all that one allows */
#define CONFIG_PATH_MAX		4095	/* all of [daemon] path */
#define CONFIG_ERRORS_MAX	(64 * 1024)
#define CONFIG_CHANGES_MAX	(16 * 1024)	/* of one guest */

/* What follows when a guest has ended by itself. */
enum on_end {
	ON_END_STOP,
	ON_END_RESTART,
};

struct vm_config {
	char		*name;
	char		*file;		/* in which it stands, or NULL */
	struct owner	 owner;		/* may act on this guest */
	char		*kernel;	/* path */
	char		*initrd;	/* path or NULL */
	char		*cmdline;	/* never NULL */
	uint64_t	 cpus;		/* vCPUs, 1 to HV_VCPUS_MAX */
	struct affinity	 affinity;	/* of theirs */
	uint64_t	 memory;	/* bytes, a multiple of 1 MiB */
	struct vm_disk	 disk[VM_DISKS_MAX];
	unsigned	 ndisks;
	struct vm_nics	 nics;
	bool		 rng;
	bool		 ignore_msrs;	/* unknown ones: no #GP */
	bool		 autostart;
	uint64_t	 start_order;	/* lower first */
	uint64_t	 stop_timeout;	/* ns; 0: it is not asked to stop */
	enum on_end	 on_reboot;
	enum on_end	 on_crash;
};

/* A [policy NAME]: what it allows, one a line, or NULL. */
struct config_policy {
	char		*name;
	char		*allow;
};

struct config {
	char			*name;		/* [daemon] name */
	char			*aio;		/* auto, io_uring, threads */
	char			*backend;	/* auto, vmm, kvm */
	char			*path;		/* directories, one a line, or NULL */
	char			*socket;	/* path of the control socket */
	char			*state;		/* directory, see statedir.h */
	struct owner		 group;		/* whose members are admins */
	char			*user;		/* to become, from root */
	uint64_t		 memory;	/* bytes, of all guests together */
	uint64_t		 stop_timeout;	/* ns, the bound of SIGTERM */
	uint64_t		 stagger;	/* ns between autostarts */
	uint64_t		 parallel;	/* how many of them at once */
	struct config_switch	*sw;
	unsigned		 nsws;
	struct config_policy	*policy;
	unsigned		 npolicies;
	struct vm_config	*vm;
	unsigned		 nvms;
};

/*
 * Reads and checks `path` and the guests in the state directory that it names.
 * On any error NULL, and `errors` holds every one found, one "file:line: what
 * is wrong, what would be right" a line.
 */
struct config *config_read(const char *path, struct buf *errors);

/*
 * A copy of a sound configuration in which guest `name` is as `text` says, a
 * section that is to stand in `file`, or is not there if that is NULL.  On any
 * error NULL, and `errors` has a line for each.
 */
struct config *config_with(const struct config *c, const char *name,
    const char *file, struct buf *text, struct buf *errors);
void config_free(struct config *c);

/* A copy without guest `name`, or NULL. */
struct config *config_dup_without(const struct config *c, const char *name);

/*
 * Looks whether the calling user can use the files of all guests, which need
 * not be there yet, and whether disks are what they are said to be: a line in
 * `warnings` for each that it cannot use.
 */
void config_check_files(const struct config *c, struct buf *warnings);

/*
 * The same for what switches name on this host, and for those whose guests get
 * no address.
 */
void config_check_switches(const struct config *c, struct buf *warnings);

/*
 * The same for NICs: addresses of the host that a port is published at, and
 * those that are locked and have no IPv4 address to send from.
 */
void config_check_nics(const struct config *c, struct buf *warnings);

const struct vm_config *config_find_vm(const struct config *c,
    const char *name);
const struct config_switch *config_find_switch(const struct config *c,
    const char *name);
const struct config_policy *config_find_policy(const struct config *c,
    const char *name);

/*
 * Moves from `old` to `c` what only a restart of the daemon may change.  True
 * if that made a difference; `changes` then lists it, as vm_config_changes()
 * does.
 */
bool config_keep_fixed(struct config *c, struct config *old,
    struct buf *changes);

/*
 * Appends what a guest's next start would change, "KEY OLD -> NEW" for each
 * such key, separated by "; ": how many.
 */
unsigned vm_config_changes(const struct vm_config *now,
    const struct vm_config *next, struct buf *changes);

/* The same for what changes at once, whether the guest runs or not. */
unsigned vm_config_live_changes(const struct vm_config *now,
    const struct vm_config *next, struct buf *changes);

/* The same for a switch, of which all does. */
unsigned switch_changes(const struct config_switch *now,
    const struct config_switch *next, struct buf *changes);

/* Does what a policy allows differ? */
bool policy_changed(const struct config_policy *now,
    const struct config_policy *next);

/* Do the two describe the same guest, but for what may change at any time? */
bool vm_config_equal(const struct vm_config *a, const struct vm_config *b);

/* Takes over from `from` what may change at any time. */
void vm_config_set_live(struct vm_config *c, const struct vm_config *from);

/* A copy of its own, or NULL. */
struct vm_config *vm_config_dup(const struct vm_config *c);
void vm_config_free(struct vm_config *c);

#endif /* VMMD_CONFIG_H */
