/* SPDX-License-Identifier: ISC */
/*
 * Composition of one guest's devices.
 *
 * The mutex guards every chip and the PCI bus.  It is never held while the
 * thread waits for the loop (host_call drops it), and the loop never takes it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "devices/acpipm.h"
#include "devices/bus.h"
#include "devices/dev.h"
#include "devices/disk.h"
#include "devices/gmem.h"
#include "devices/i8042.h"
#include "devices/ioapic.h"
#include "devices/pci.h"
#include "devices/pic.h"
#include "devices/pit.h"
#include "devices/rtc.h"
#include "devices/state.h"
#include "devices/uart.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_pci.h"
#include "devices/virtio_rng.h"
#include "vmm/acpi.h"
#include "vmm/console.h"
#include "vmm/hv.h"
#include "vmm/machine.h"

/* PIC, IOAPIC, PIT, RTC, i8042, UART, ACPI, PCI */
#define CHIPS		8
#define DEVICES_MAX	(CHIPS + VM_DISKS_MAX + VM_NICS_MAX + 1) /* the rng */

#define FOLD_MIN_NS	50000

#define IRQ_TIMER	0
#define PIN_TIMER	2		/* of the IOAPIC, as in every PC */
#define IRQ_KEYBOARD	1
#define IRQ_COM1	4
#define IRQ_RTC		8

_Static_assert(IOAPIC_PINS == HV_IOAPIC_PINS, "pins have routes");

struct machine_disk {
	struct machine		*m;
	struct virtio_blk	*blk;
	struct virtio_pci	*vp;
	char			 name[VM_NAME_MAX + 16];
};

struct machine_nic {
	struct virtio_net	*net;
	struct virtio_pci	*vp;
	char			 name[VM_NAME_MAX + 16];
};

struct machine_rng {
	struct virtio_rng	*rng;		/* NULL: the guest has none */
	struct virtio_pci	*vp;
	char			 name[VM_NAME_MAX + 16];
};

/* m: under mtx.  i: immutable.  l: loop thread. */
struct machine {
	pthread_mutex_t		 mtx;
	struct machine_conf	 mc;			/* i */
	struct dev_host		 host;			/* i */
	struct uart_backend	 serial;		/* i */
	struct {
		const struct dev_ops	*ops;
		void			*dev;
	}			 dev[DEVICES_MAX];	/* i */
	unsigned		 ndevs;			/* i */
	struct bus		*bus;			/* m */
	struct pci		*pci;			/* m */
	struct pic		 pic;			/* m */
	struct ioapic		 ioapic;		/* m; if mc.msi */
	bool			 route_lost;		/* m: and logged */
	struct pit		 pit;			/* m */
	struct rtc		 rtc;			/* m */
	struct i8042		 i8042;			/* m */
	struct uart		 uart;			/* m */
	struct acpipm		 acpipm;		/* m */
	struct machine_disk	 disk[VM_DISKS_MAX];	/* m; stop: l */
	unsigned		 ndisks;		/* i: made so far */
	struct machine_nic	 nic[VM_NICS_MAX];	/* m; stop: l */
	unsigned		 nnics;		/* i: made so far */
	bool			 plugged;		/* l: the NICs */
	struct machine_rng	 rng;			/* m; stop: l */
	unsigned		 msi_slots;		/* i: given away */
	atomic_bool		 intr;			/* set: m */
	unsigned		 stopping;		/* l: devices to wait for */
	void			(*stop_done)(void *);	/* l */
	void			*stop_arg;		/* l */
};

static uint64_t
host_now(void *cookie)
{
	(void)cookie;
	return loop_now_ns();
}

static void
host_set_irq(void *cookie, unsigned irq, bool level)
{
	struct machine *m = cookie;

	pic_set_irq(&m->pic, irq, level);
	if (m->mc.msi != NULL)
		ioapic_set_irq(&m->ioapic,
		    irq == IRQ_TIMER ? PIN_TIMER : irq, level);
}

static void
host_attention(void *cookie)
{
	struct machine *m = cookie;

	m->mc.attention(m->mc.cookie);
}

static void
host_call(void *cookie, struct dev_call *c)
{
	struct machine *m = cookie;

	pthread_mutex_unlock(&m->mtx);
	m->mc.call(m->mc.cookie, c);
	pthread_mutex_lock(&m->mtx);
}

static void
host_reset(void *cookie)
{
	struct machine *m = cookie;

	m->mc.reset(m->mc.cookie);
}

static void
host_poweroff(void *cookie)
{
	struct machine *m = cookie;

	m->mc.poweroff(m->mc.cookie);
}

static int
host_doorbell(void *cookie, uint16_t port, uint8_t size, int fd, bool on)
{
	struct machine *m = cookie;

	return m->mc.doorbell(m->mc.cookie, port, size, fd, on);
}

static void
host_msi(void *cookie, uint64_t addr, uint32_t data)
{
	struct machine *m = cookie;
	struct hv_msi msg = { .addr = addr, .data = data };

	/* An address that is no local APIC's is the guest's mistake. */
	(void)m->mc.msi(m->mc.cookie, &msg);
}

static int
host_msi_event(void *cookie, unsigned slot, int fd, uint64_t addr,
    uint32_t data, bool on)
{
	struct machine *m = cookie;
	struct hv_msi msg = { .addr = addr, .data = data };

	return m->mc.msi_event(m->mc.cookie, slot, fd, on ? &msg : NULL);
}

static int
host_msi_slots(void *cookie, unsigned n)
{
	struct machine *m = cookie;
	unsigned first = m->msi_slots;

	if (n > HV_MSI_EVENTS - first)
		return -ENOSPC;
	m->msi_slots += n;
	return (int)first;
}

static bool
timer_waits(void *cookie, unsigned irq)
{
	struct machine *m = cookie;

	/* Where it is masked it does not wait. */
	return pic_waits(&m->pic, irq) || ioapic_waits(&m->ioapic, PIN_TIMER);
}

static void
ioapic_route(void *cookie, unsigned pin, uint64_t addr, uint32_t data, bool on)
{
	struct machine *m = cookie;
	struct hv_msi msg = { .addr = addr, .data = data };

	/* An end that is not told costs the guest this line. */
	if (m->mc.ioapic_route(m->mc.cookie, pin, on ? &msg : NULL) != 0 &&
	    !m->route_lost) {
		m->route_lost = true;
		log_warn("vm %s: no memory for interrupt %u of the IOAPIC",
		    m->mc.name, pin);
	}
}

static void
serial_output(void *cookie, const char *p, size_t n)
{
	struct machine *m = cookie;

	console_write(m->mc.console, p, n);
}

static size_t
serial_input(void *cookie, char *p, size_t n)
{
	struct machine *m = cookie;

	return console_read(m->mc.console, p, n);
}

static void
add_device(struct machine *m, const struct dev_ops *ops, void *dev)
{
	m->dev[m->ndevs].ops = ops;
	m->dev[m->ndevs].dev = dev;
	m->ndevs++;
}

/* Puts the chips at the ports of a PC. */
static int
add_ports(struct machine *m)
{
	const struct {
		uint32_t		 base;
		uint32_t		 len;
		const struct pio_ops	*ops;
		void			*dev;
	} map[] = {
		{ 0x20, 2, &pic_pio_master, &m->pic },
		{ 0xa0, 2, &pic_pio_slave, &m->pic },
		{ 0x4d0, 2, &pic_pio_elcr, &m->pic },
		{ 0x40, 4, &pit_pio, &m->pit },
		{ 0x61, 1, &pit_pio_portb, &m->pit },
		{ 0x70, 2, &rtc_pio, &m->rtc },
		{ 0x60, 1, &i8042_pio_data, &m->i8042 },
		{ 0x64, 1, &i8042_pio_command, &m->i8042 },
		{ 0x92, 1, &i8042_pio_porta, &m->i8042 },
		{ 0x3f8, UART_PORTS, &uart_pio, &m->uart },
		{ ACPIPM_EVENT, ACPIPM_EVENT_LEN, &acpipm_pio_event,
		    &m->acpipm },
		{ ACPIPM_CONTROL, ACPIPM_CONTROL_LEN, &acpipm_pio_control,
		    &m->acpipm },
		{ ACPIPM_TIMER, ACPIPM_TIMER_LEN, &acpipm_pio_timer,
		    &m->acpipm },
	};
	unsigned i;
	int error;

	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		error = bus_add_pio(m->bus, map[i].base, map[i].len,
		    map[i].ops, map[i].dev);
		if (error != 0)
			return error;
	}
	return 0;
}

/* Only where there are local APICs, to which it sends messages. */
static int
add_ioapic(struct machine *m)
{
	if (m->mc.msi == NULL)
		return 0;
	ioapic_init(&m->ioapic, &m->host, 1u << PIN_TIMER,
	    m->mc.ioapic_route != NULL ? ioapic_route : NULL, m);
	add_device(m, &ioapic_dev_ops, &m->ioapic);
	return bus_add_mmio(m->bus, IOAPIC_BASE, IOAPIC_SIZE, &ioapic_mmio,
	    &m->ioapic);
}

static void
init_chips(struct machine *m)
{
	m->serial.output = serial_output;
	m->serial.input = serial_input;
	m->serial.cookie = m;
	pic_init(&m->pic);
	pic_set_elcr(&m->pic, pci_irq_mask() | 1u << ACPI_SCI);
	pit_init(&m->pit, &m->host, IRQ_TIMER, timer_waits, m);
	rtc_init(&m->rtc, &m->host, IRQ_RTC, NULL, m->mc.gm);
	i8042_init(&m->i8042, &m->host, IRQ_KEYBOARD);
	uart_init(&m->uart, &m->host, IRQ_COM1, &m->serial);
	acpipm_init(&m->acpipm, &m->host, ACPI_SCI, ACPI_S5);
	add_device(m, &pic_dev_ops, &m->pic);
	add_device(m, &pit_dev_ops, &m->pit);
	add_device(m, &rtc_dev_ops, &m->rtc);
	add_device(m, &i8042_dev_ops, &m->i8042);
	add_device(m, &uart_dev_ops, &m->uart);
	add_device(m, &acpipm_dev_ops, &m->acpipm);
	add_device(m, &pci_ops, m->pci);
}

static bool
disk_failed(void *cookie, const struct virtio_blk_error *e)
{
	struct machine_disk *d = cookie;
	struct machine *m = d->m;

	return m->mc.disk_failed(m->mc.cookie, (unsigned)(d - m->disk), e);
}

static int
add_disk(struct machine *m, unsigned n)
{
	struct machine_disk *d = &m->disk[n];
	char serial[VIRTIO_BLK_SERIAL_MAX + 1];
	const struct virtio_blk_conf c = {
		.disk = m->mc.disk[n],
		.serial = serial,
		.name = d->name,
		.nqueues = m->mc.ncpus,
		.loop = m->mc.loop,
		.failed = m->mc.disk_failed != NULL ? disk_failed : NULL,
		.cookie = d,
	};
	int error;

	d->m = m;
	snprintf(d->name, sizeof(d->name), "vm %s: disk %u", m->mc.name, n);
	snprintf(serial, sizeof(serial), "disk%u", n);
	d->blk = virtio_blk_create(&c);
	if (d->blk == NULL)
		return -errno;
	d->vp = virtio_pci_create(&m->host, m->mc.gm, m->pci,
	    virtio_blk_ops(d->blk), d->blk, d->name);
	if (d->vp == NULL) {
		error = -errno;
		virtio_blk_destroy(d->blk);
		return error;
	}
	add_device(m, &virtio_pci_ops, d->vp);
	m->ndisks++;
	return 0;
}

static int
add_nic(struct machine *m, unsigned i)
{
	const struct machine_nic_conf *conf = &m->mc.nic[i];
	struct machine_nic *n = &m->nic[i];
	int error;

	snprintf(n->name, sizeof(n->name), "vm %s: nic %u", m->mc.name, i);
	n->net = virtio_net_create(conf->port, &conf->params);
	if (n->net == NULL)
		return -errno;
	n->vp = virtio_pci_create(&m->host, m->mc.gm, m->pci,
	    virtio_net_ops(n->net), n->net, n->name);
	if (n->vp == NULL) {
		error = -errno;
		virtio_net_destroy(n->net);
		return error;
	}
	add_device(m, &virtio_pci_ops, n->vp);
	m->nnics++;
	return 0;
}

static int
add_rng(struct machine *m)
{
	struct machine_rng *r = &m->rng;
	int error;

	snprintf(r->name, sizeof(r->name), "vm %s: rng", m->mc.name);
	r->rng = virtio_rng_create();
	if (r->rng == NULL)
		return -errno;
	r->vp = virtio_pci_create(&m->host, m->mc.gm, m->pci,
	    &virtio_rng_ops, r->rng, r->name);
	if (r->vp == NULL) {
		error = -errno;
		virtio_rng_destroy(r->rng);
		r->rng = NULL;
		return error;
	}
	add_device(m, &virtio_pci_ops, r->vp);
	return 0;
}

static int
add_devices(struct machine *m)
{
	unsigned i;
	int error;

	m->bus = bus_create();
	if (m->bus == NULL)
		return -ENOMEM;
	m->pci = pci_create(&m->host, m->bus);
	if (m->pci == NULL)
		return -errno;
	/* Before all that drive it. */
	error = add_ioapic(m);
	if (error != 0)
		return error;
	init_chips(m);
	error = add_ports(m);
	/* Guests name NICs by their slots, which no disk is to move. */
	for (i = 0; error == 0 && i < m->mc.nnics; i++)
		error = add_nic(m, i);
	for (i = 0; error == 0 && i < m->mc.ndisks; i++)
		error = add_disk(m, i);
	if (error == 0 && m->mc.rng)
		error = add_rng(m);
	return error;
}

int
machine_create(struct machine **mp, const struct machine_conf *mc, char *err,
    size_t errlen)
{
	struct machine *m;
	int error;

	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		error = -ENOMEM;
		goto fail;
	}
	m->mc = *mc;
	m->host.cookie = m;
	m->host.loop = mc->loop;
	m->host.now = host_now;
	m->host.set_irq = host_set_irq;
	m->host.attention = host_attention;
	m->host.call = host_call;
	m->host.reset = host_reset;
	m->host.poweroff = host_poweroff;
	m->host.doorbell = mc->doorbell != NULL ? host_doorbell : NULL;
	if (mc->msi != NULL) {
		m->host.msi = host_msi;
		m->host.msi_event = host_msi_event;
		m->host.msi_slots = host_msi_slots;
	}
	error = -pthread_mutex_init(&m->mtx, NULL);
	if (error != 0) {
		free(m);
		goto fail;
	}
	error = add_devices(m);
	if (error != 0) {
		machine_destroy(m);
		goto fail;
	}
	*mp = m;
	return 0;
fail:
	snprintf(err, errlen, "devices: %s", strerror(-error));
	return error;
}

int
machine_tables(struct machine *m, char *err, size_t errlen)
{
	const struct acpi_conf conf = {
		.ncpus = m->mc.ncpus,
		.pci_slots = pci_intx_slots(m->pci),
		.pci_memory = PCI_MEM_BASE,
		.pci_memory_size = PCI_MEM_END - PCI_MEM_BASE,
		.ecam = PCI_ECAM_BASE,
	};
	void *p = gmem_ptr(m->mc.gm, ACPI_GPA, ACPI_SIZE_MAX);
	size_t len;
	int error = -EFAULT;

	if (p != NULL)
		error = acpi_build(&conf, p, ACPI_SIZE_MAX, &len);
	if (error != 0)
		snprintf(err, errlen, "ACPI tables: %s", strerror(-error));
	return error;
}

void
machine_destroy(struct machine *m)
{
	if (m->rng.rng != NULL) {
		virtio_pci_destroy(m->rng.vp);
		virtio_rng_destroy(m->rng.rng);
	}
	while (m->ndisks > 0) {
		m->ndisks--;
		virtio_pci_destroy(m->disk[m->ndisks].vp);
		virtio_blk_destroy(m->disk[m->ndisks].blk);
	}
	while (m->nnics > 0) {
		m->nnics--;
		virtio_pci_destroy(m->nic[m->nnics].vp);
		virtio_net_destroy(m->nic[m->nnics].net);
	}
	if (m->pci != NULL)
		pci_destroy(m->pci);
	if (m->bus != NULL)
		bus_destroy(m->bus);
	pthread_mutex_destroy(&m->mtx);
	free(m);
}

/*
 * Copies an element of 1, 2 or 4 bytes, which need not be aligned.  Every port
 * exit does: sizes that the compiler knows need no call.
 */
static void
copy_element(void *to, const void *from, unsigned size)
{
	if (size == 1)
		memcpy(to, from, 1);
	else if (size == 2)
		memcpy(to, from, 2);
	else
		memcpy(to, from, 4);
}

/* One element, at `p`. */
static void
port_access(struct machine *m, const struct hv_exit *e, void *p)
{
	uint32_t val = 0;

	if (e->io.in) {
		val = bus_in(m->bus, e->io.port, e->io.size);
		copy_element(p, &val, e->io.size);
	} else {
		copy_element(&val, p, e->io.size);
		bus_out(m->bus, e->io.port, e->io.size, val);
	}
}

/*
 * The PIC's output, for the thread of vCPU 0.  A vCPU that runs in the guest
 * looks at it when it has attention; no other order is needed.
 */
static void
update_intr(struct machine *m, unsigned cpu)
{
	bool intr = pic_pending(&m->pic);
	bool before = atomic_load_explicit(&m->intr, memory_order_relaxed);

	if (intr == before)
		return;
	atomic_store_explicit(&m->intr, intr, memory_order_relaxed);
	if (intr && cpu != 0)
		m->mc.attention(m->mc.cookie);
}

void
machine_io(struct machine *m, unsigned cpu, struct hv_exit *e)
{
	char *p = e->io.data;
	uint32_t i;

	pthread_mutex_lock(&m->mtx);
	for (i = 0; i < e->io.count; i++, p += e->io.size)
		port_access(m, e, p);
	update_intr(m, cpu);
	pthread_mutex_unlock(&m->mtx);
}

void
machine_mmio(struct machine *m, unsigned cpu, struct hv_exit *e)
{
	pthread_mutex_lock(&m->mtx);
	if (e->mmio.write)
		bus_write(m->bus, e->mmio.gpa, e->mmio.data, e->mmio.size);
	else
		bus_read(m->bus, e->mmio.gpa, e->mmio.data, e->mmio.size);
	update_intr(m, cpu);
	pthread_mutex_unlock(&m->mtx);
}

void
machine_eoi(struct machine *m, uint8_t vector)
{
	pthread_mutex_lock(&m->mtx);
	ioapic_eoi(&m->ioapic, vector);
	pthread_mutex_unlock(&m->mtx);
}

uint64_t
machine_fold(struct machine *m)
{
	uint64_t earliest = DEV_NO_DEADLINE, now, when;
	unsigned i;

	now = loop_now_ns();
	pthread_mutex_lock(&m->mtx);
	for (i = 0; i < m->ndevs; i++) {
		if (m->dev[i].ops->fold == NULL)
			continue;
		when = m->dev[i].ops->fold(m->dev[i].dev, now);
		if (when < earliest)
			earliest = when;
	}
	update_intr(m, 0);
	pthread_mutex_unlock(&m->mtx);
	/* No chip, whatever the guest made of it, keeps the host spinning. */
	return earliest > now + FOLD_MIN_NS ? earliest : now + FOLD_MIN_NS;
}

bool
machine_intr(const struct machine *m)
{
	return atomic_load_explicit(&m->intr, memory_order_relaxed);
}

uint8_t
machine_intr_ack(struct machine *m)
{
	uint8_t vector;

	pthread_mutex_lock(&m->mtx);
	vector = pic_ack(&m->pic);
	update_intr(m, 0);
	pthread_mutex_unlock(&m->mtx);
	return vector;
}

bool
machine_power_button(struct machine *m)
{
	if (!acpipm_is_heard(&m->acpipm))
		return false;
	acpipm_press(&m->acpipm);
	return true;
}

bool
machine_ctrl_alt_del(struct machine *m)
{
	if (!i8042_is_heard(&m->i8042))
		return false;
	i8042_ctrl_alt_del(&m->i8042);
	return true;
}

void
machine_plug(struct machine *m)
{
	unsigned i;

	for (i = 0; i < m->nnics; i++)
		virtio_net_attach(m->nic[i].net);
	m->plugged = true;
}

void
machine_set_disk(struct machine *m, unsigned disk,
    const struct virtio_blk_policy *policy)
{
	virtio_blk_set_policy(m->disk[disk].blk, policy);
}

void
machine_retry(struct machine *m)
{
	unsigned i;

	for (i = 0; i < m->ndisks; i++)
		virtio_blk_retry(m->disk[i].blk);
}

void
machine_set_mtu(struct machine *m, unsigned nic, uint16_t mtu)
{
	virtio_net_set_mtu(m->nic[nic].net, mtu);
}

static void
device_stopped(void *arg)
{
	struct machine *m = arg;
	unsigned i;

	if (--m->stopping != 0)
		return;
	for (i = 0; m->plugged && i < m->nnics; i++)
		virtio_net_detach(m->nic[i].net);
	m->plugged = false;
	m->stop_done(m->stop_arg);
}

void
machine_stop(struct machine *m, void (*done)(void *arg), void *arg)
{
	unsigned i;

	m->stop_done = done;
	m->stop_arg = arg;
	/* This function counts too: some stop at once. */
	m->stopping = 1;
	for (i = 0; i < m->ndisks; i++) {
		m->stopping++;
		virtio_pci_stop(m->disk[i].vp, device_stopped, m);
	}
	for (i = 0; i < m->nnics; i++) {
		m->stopping++;
		virtio_pci_stop(m->nic[i].vp, device_stopped, m);
	}
	if (m->rng.rng != NULL) {
		m->stopping++;
		virtio_pci_stop(m->rng.vp, device_stopped, m);
	}
	device_stopped(m);
}

int
machine_save(struct machine *m, struct buf *out)
{
	struct state_writer w = { .out = out };
	unsigned i;
	int error = 0;

	pthread_mutex_lock(&m->mtx);
	for (i = 0; error == 0 && i < m->ndevs; i++)
		error = m->dev[i].ops->save(m->dev[i].dev, &w);
	pthread_mutex_unlock(&m->mtx);
	return error;
}

int
machine_load(struct machine *m, struct state_reader *r)
{
	unsigned i;
	int error = 0;

	pthread_mutex_lock(&m->mtx);
	for (i = 0; error == 0 && i < m->ndevs; i++)
		error = m->dev[i].ops->load(m->dev[i].dev, r);
	update_intr(m, 0);
	pthread_mutex_unlock(&m->mtx);
	return error;
}
