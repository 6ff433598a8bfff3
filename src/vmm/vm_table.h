/* SPDX-License-Identifier: ISC */
/*
 * The daemon's guests by name, and what is to happen to each of them next: a
 * configuration that waits for the next start, a start that waits for others
 * to be gone, a removal that waits for the stop.  Loop thread only.
 */
#ifndef VMMD_VM_TABLE_H
#define VMMD_VM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/vm.h"

struct firewall;
struct vm_table;

struct vm_entry {
	struct vm		*vm;
	struct vm_config	*pending;	/* or NULL */
	bool			 removing;	/* goes when stopped */
	bool			 removed;	/* has gone, and is freed next */
	bool			 want_start;	/* when its turn has come */
	struct vm_entry		*next;
};

/*
 * Called after each change of a guest's state, when there is a new one, and for
 * one that is removed as long as there still is its entry.
 */
typedef void vm_table_changed_fn(void *cookie, struct vm_entry *e);

struct vm_table *vm_table_create(struct loop *loop, struct aio *aio,
    const struct hv_ops *hv, vm_table_changed_fn *changed, void *cookie);

/*
 * Of guests that start by themselves `parallel` do so at once, and as many
 * again each `ns` later; all of them at once if `ns` is 0.
 */
void vm_table_set_stagger(struct vm_table *vt, uint64_t ns, uint64_t parallel);

/*
 * Before the first guest: where the guests' files must lie, and how much
 * memory they may have together.  The table owns neither.
 */
void vm_table_confine(struct vm_table *vt, const struct confine *files,
    struct budget *memory);

/* What NICs are plugged into; NULL, and there are none, unless set. */
void vm_table_set_network(struct vm_table *vt, struct network *net);
struct network *vm_table_network(const struct vm_table *vt);

/* What it lets through; NULL if there is none. */
struct firewall *vm_table_firewall(const struct vm_table *vt);

/* Only when all are stopped. */
void vm_table_destroy(struct vm_table *vt);

struct vm_entry *vm_table_first(const struct vm_table *vt);
struct vm_entry *vm_table_find(const struct vm_table *vt, const char *name);
size_t vm_table_count(const struct vm_table *vt);

/* How many are not stopped. */
size_t vm_table_running(const struct vm_table *vt);

/* Adds a guest, which starts in its turn if it is to: 0 or -errno. */
int vm_table_add(struct vm_table *vt, const struct vm_config *conf);

/*
 * Gives a guest a configuration: at once if it is stopped, otherwise with its
 * next start.  A guest that was being removed stays.
 */
int vm_table_update(struct vm_table *vt, struct vm_entry *e,
    const struct vm_config *conf);

/* Stops a guest and forgets it; `e` is valid until the loop's next turn. */
void vm_table_remove(struct vm_table *vt, struct vm_entry *e);

/*
 * Starts a guest, whoever's turn it is: 0; -EBUSY unless stopped; -ESHUTDOWN;
 * or -errno, with the reason in the log.
 */
int vm_table_start(struct vm_table *vt, struct vm_entry *e);

/* Stops a guest, or takes back a start that waits; as vm_stop(). */
int vm_table_stop(struct vm_table *vt, struct vm_entry *e, bool force);

/*
 * Was any stop forced?  What is left of such a guest may call back until the
 * process ends, so the loop and the I/O engine must stay.
 */
bool vm_table_forced(const struct vm_table *vt);

/* Stops all of them; none starts any more. */
void vm_table_stop_all(struct vm_table *vt, bool force);

/* After that: ends those that were asked to shut down and have not. */
void vm_table_stop_asking(struct vm_table *vt);

const char *vm_entry_name(const struct vm_entry *e);
enum vm_state vm_entry_state(const struct vm_entry *e);

#endif /* VMMD_VM_TABLE_H */
