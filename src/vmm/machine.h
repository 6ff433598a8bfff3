/* SPDX-License-Identifier: ISC */
/*
 * The devices of one guest, put together: a PC's chips, the PCI bus, a virtio
 * disk for each image, a virtio network device for each NIC, and a virtio
 * source of random numbers.
 *
 * Made and destroyed on the thread of vCPU 0.  Devices run under the machine's
 * mutex, which the functions here take, on whichever vCPU's thread they are
 * called; only machine_stop() is the loop's and takes none.
 */
#ifndef VMMD_MACHINE_H
#define VMMD_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/virtio_blk.h"
#include "devices/virtio_net.h"
#include "vmm/config.h"

struct buf;
struct console;
struct dev_call;
struct gmem;
struct hv_exit;
struct hv_msi;
struct loop;
struct machine;
struct state_reader;

/* What a machine is made of; all that it points to outlives the machine. */
struct machine_conf {
	const char		*name;		/* of the guest */
	struct loop		*loop;
	struct console		*console;
	const struct gmem	*gm;
	unsigned		 ncpus;		/* disks have a queue for each */
	struct disk		*disk[VM_DISKS_MAX];
	unsigned		 ndisks;
	struct machine_nic_conf {
		struct nicport			*port;
		struct virtio_net_params	 params;
	}			 nic[VM_NICS_MAX];
	unsigned		 nnics;
	bool			 rng;

	/* What the devices ask of the vCPUs; see struct dev_host. */
	void			(*attention)(void *cookie);
	void			(*reset)(void *cookie);
	void			(*poweroff)(void *cookie);
	void			(*call)(void *cookie, struct dev_call *c);
	/* Loop: see failed() of struct virtio_blk_conf. */
	bool			(*disk_failed)(void *cookie, unsigned disk,
				    const struct virtio_blk_error *e);
	/* And of the backend; NULL: it has no doorbells. */
	int			(*doorbell)(void *cookie, uint16_t port,
				    uint8_t size, int fd, bool on);
	/* NULL: guests have no local APIC; see hv.h. */
	int			(*msi)(void *cookie, const struct hv_msi *msg);
	int			(*msi_event)(void *cookie, unsigned slot,
				    int fd, const struct hv_msi *msg);
	int			(*ioapic_route)(void *cookie, unsigned pin,
				    const struct hv_msi *msg);	/* or NULL */
	void			*cookie;
};

/* 0, or -errno and a line in `err`. */
int machine_create(struct machine **mp, const struct machine_conf *mc,
    char *err, size_t errlen);

/*
 * Writes the ACPI tables into guest memory, to ACPI_GPA; only with local APICs.
 * Before the guest runs: 0, or -errno and a line in `err`.
 */
int machine_tables(struct machine *m, char *err, size_t errlen);

/*
 * Loop, before the guest runs: its NICs take their ports, which they leave when
 * machine_stop() is done.
 */
void machine_plug(struct machine *m);

/*
 * Loop: what may change of a disk at any time, and another try for all requests
 * that were kept after an error.
 */
void machine_set_disk(struct machine *m, unsigned disk,
    const struct virtio_blk_policy *policy);
void machine_retry(struct machine *m);

/* Loop: another MTU of a NIC, which the guest sees when it boots again. */
void machine_set_mtu(struct machine *m, unsigned nic, uint16_t mtu);

/* The guest never ran, or machine_stop() is done. */
void machine_destroy(struct machine *m);

/* Serves a HV_EXIT_IO, a HV_EXIT_MMIO of vCPU `cpu`, on its thread. */
void machine_io(struct machine *m, unsigned cpu, struct hv_exit *e);
void machine_mmio(struct machine *m, unsigned cpu, struct hv_exit *e);

/* Serves a HV_EXIT_EOI; vCPU thread. */
void machine_eoi(struct machine *m, uint8_t vector);

/*
 * Does what has come due in the devices; thread of vCPU 0.  Returns when it must be
 * called again at the latest, or DEV_NO_DEADLINE.
 */
uint64_t machine_fold(struct machine *m);

/*
 * Is there an interrupt of the PIC, as of the last of these calls?  When one of
 * another vCPU raises it, vCPU 0 gets attention.  Takes no lock; thread of
 * vCPU 0, which alone takes it.
 */
bool machine_intr(const struct machine *m);

/*
 * Acknowledges it: the vector, a spurious one if another vCPU has just taken
 * the interrupt back; thread of vCPU 0.
 */
uint8_t machine_intr_ack(struct machine *m);

/*
 * Presses the guest's power button, or Ctrl, Alt and Del at its keyboard; false
 * if no driver of the guest listens to it.  Any thread, from the time the guest
 * runs until machine_stop().
 */
bool machine_power_button(struct machine *m);
bool machine_ctrl_alt_del(struct machine *m);

/*
 * Loop, while no vCPU runs: lets submitted disk requests complete and starts
 * none; done(arg) runs when the last is complete, at once or later.
 */
void machine_stop(struct machine *m, void (*done)(void *arg), void *arg);

/* Every device's state, while stopped: 0 or -errno. */
int machine_save(struct machine *m, struct buf *out);
int machine_load(struct machine *m, struct state_reader *r);

#endif /* VMMD_MACHINE_H */
