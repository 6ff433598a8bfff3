/* SPDX-License-Identifier: ISC */
/*
 * The machine as a whole: who answers which port, who interrupts whom, and
 * that all of it can be saved.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/loop.h"
#include "devices/disk.h"
#include "devices/gmem.h"
#include "testhost.h"
#include "vmm/console.h"
#include "vmm/hv.h"
#include "vmm/machine.h"

#define MIB		((uint64_t)1 << 20)
#define PCI_ENABLE	0x80000000u
#define VIRTIO_VENDOR	0x1af4u

static char		 image[] = "/tmp/check_machine.XXXXXX";
static struct loop	*loop;
static struct console	*console;
static struct gmem	 gm;
static struct machine	*machine;
static struct disk	*disks[4 * VM_DISKS_MAX];
static unsigned		 ndisks_open, attentions, resets, poweroffs, stops;
static bool		 apics;		/* the backend has some */
static unsigned		 msis, routes;
static struct hv_msi	 msi;		/* the last */

static void
on_attention(void *cookie)
{
	(void)cookie;
	attentions++;
}

static void
on_reset(void *cookie)
{
	(void)cookie;
	resets++;
}

static void
on_poweroff(void *cookie)
{
	(void)cookie;
	poweroffs++;
}

static void
on_call(void *cookie, struct dev_call *c)
{
	(void)cookie;
	c->task.fn(c->task.arg);
}

static int
on_msi(void *cookie, const struct hv_msi *msg)
{
	(void)cookie;
	msis++;
	msi = *msg;
	return 0;
}

static int
on_msi_event(void *cookie, unsigned slot, int fd, const struct hv_msi *msg)
{
	(void)cookie;
	(void)slot;
	(void)fd;
	(void)msg;
	return 0;
}

static int
on_route(void *cookie, unsigned pin, const struct hv_msi *msg)
{
	(void)cookie;
	(void)pin;
	(void)msg;
	routes++;
	return -ENOMEM;
}

/* The far ends of NICs: who is there, and what it was told. */
static struct fakeport {
	struct nicport	 p;
	void		*nic;
	unsigned	 attaches;
} ports[2];
static unsigned		 nnics;

static void
port_attach(struct nicport *np, const struct nic_ops *ops, void *nic)
{
	struct fakeport *p = (struct fakeport *)np;

	p->nic = nic;
	p->attaches++;
	if (ops != NULL)
		ops->link(nic, true);
}

static const struct nicport_ops port_ops = { .attach = port_attach };

static struct machine *
make_machine(unsigned ndisks)
{
	struct machine_conf mc = {
		.name = "test", .loop = loop, .console = console, .gm = &gm,
		.attention = on_attention, .reset = on_reset, .call = on_call,
		.poweroff = on_poweroff, .rng = ndisks > 0, .ncpus = 2,
		.msi = apics ? on_msi : NULL,
		.msi_event = on_msi_event, .ioapic_route = on_route,
	};
	struct disk_how how = { .readonly = true };
	struct machine *m;
	char err[200];

	for (; mc.nnics < nnics; mc.nnics++) {
		ports[mc.nnics].p.ops = &port_ops;
		mc.nic[mc.nnics].port = &ports[mc.nnics].p;
		mc.nic[mc.nnics].params = (struct virtio_net_params){
			.mac = { 0x0e, 0, 0, 0, 0, (uint8_t)mc.nnics },
			.mtu = 1500, .pairs = 2,
		};
	}
	while (mc.ndisks < ndisks) {
		mc.disk[mc.ndisks] = disk_open(NULL, image, &how, err,
		    sizeof(err));
		ck_assert_msg(mc.disk[mc.ndisks] != NULL, "%s", err);
		disks[ndisks_open++] = mc.disk[mc.ndisks++];
	}
	ck_assert_int_eq(machine_create(&m, &mc, err, sizeof(err)), 0);
	return m;
}

static void
setup(void)
{
	int fd = mkstemp(image);

	ck_assert_int_eq(ftruncate(fd, MIB), 0);
	close(fd);
	loop = loop_create();
	console = console_create(loop);
	gmem_layout(&gm, 16 * MIB);
	gm.range[0].hva = calloc(1, 16 * MIB);
	apics = false;
	nnics = 0;
	msis = routes = 0;
	machine = make_machine(0);
	attentions = 0;
}

static void
teardown(void)
{
	machine_destroy(machine);
	while (ndisks_open > 0)
		disk_close(disks[--ndisks_open]);
	console_destroy(console);
	loop_destroy(loop);
	free(gm.range[0].hva);
	unlink(image);
}

static void
access_port(struct machine *m, uint16_t port, unsigned size, bool in,
    unsigned count, void *data)
{
	struct hv_exit e = { .kind = HV_EXIT_IO };

	e.io.port = port;
	e.io.size = (uint8_t)size;
	e.io.in = in;
	e.io.count = count;
	e.io.data = data;
	machine_io(m, 0, &e);
}

static void
out(uint16_t port, unsigned size, uint32_t val)
{
	access_port(machine, port, size, false, 1, &val);
}

static uint32_t
in(uint16_t port, unsigned size)
{
	uint32_t val = 0xa5a5a5a5;

	access_port(machine, port, size, true, 1, &val);
	return val;
}

/* Vectors from 30h, everything but `open` masked. */
static void
program_pic(uint8_t open)
{
	out(0x20, 1, 0x11);
	out(0x21, 1, 0x30);
	out(0x21, 1, 0x04);
	out(0x21, 1, 0x01);
	out(0x21, 1, (uint8_t)~open);
}

static const struct {
	uint16_t	port;
	unsigned	size;
	uint32_t	val;
} absent[] = {
	{ 0x22, 1, 0xa5a5a5ff },	/* past the PIC */
	{ 0x1f, 1, 0xa5a5a5ff },
	{ 0x44, 1, 0xa5a5a5ff },	/* past the PIT */
	{ 0x3f7, 1, 0xa5a5a5ff },	/* about COM1 */
	{ 0x400, 1, 0xa5a5a5ff },
	{ 0x2f8, 1, 0xa5a5a5ff },	/* COM2 */
	{ 0x3d4, 2, 0xa5a5ffff },	/* VGA */
	{ 0xb000, 4, 0xffffffff },
	{ 0xffff, 4, 0xffffffff },
};

/* Ports of nobody read all ones, of their size only, and take writes. */
START_TEST(absent_ports)
{
	out(absent[_i].port, absent[_i].size, 0);
	ck_assert_uint_eq(in(absent[_i].port, absent[_i].size),
	    absent[_i].val);
}
END_TEST

/* Each chip is at its place: what is written there is read there. */
/* No device is in memory: reads are ones, writes go nowhere. */
START_TEST(absent_memory)
{
	uint8_t data[8] = { 0 };
	struct hv_exit e = { .kind = HV_EXIT_MMIO };

	e.mmio.gpa = 0xfec00000;
	e.mmio.size = 7;
	e.mmio.data = data;
	machine_mmio(machine, 0, &e);
	ck_assert_mem_eq(data, "\xff\xff\xff\xff\xff\xff\xff\0", 8);
	e.mmio.write = true;
	machine_mmio(machine, 0, &e);
}
END_TEST

START_TEST(chips_answer)
{
	out(0x21, 1, 0x5a);
	ck_assert_uint_eq(in(0x21, 1) & 0xff, 0x5a);
	out(0xa1, 1, 0x3c);
	ck_assert_uint_eq(in(0xa1, 1) & 0xff, 0x3c);
	out(0x3ff, 1, 0x77);
	ck_assert_uint_eq(in(0x3ff, 1) & 0xff, 0x77);
	out(0x70, 1, 0x50);
	out(0x71, 1, 0x99);
	ck_assert_uint_eq(in(0x71, 1) & 0xff, 0x99);
	out(0x61, 1, 0x01);
	ck_assert_uint_eq(in(0x61, 1) & 0x03, 0x01);
	ck_assert_uint_ne(in(0x64, 1) & 0xff, 0xff);
	out(0x43, 1, 0x34);
	out(0x40, 1, 0x00);
	out(0x40, 1, 0x80);
	out(0x43, 1, 0xe2);
	ck_assert_uint_eq(in(0x40, 1) & 0x3f, 0x34);
}
END_TEST

/* An interrupt of the UART reaches the processor through the PIC. */
START_TEST(uart_interrupts)
{
	program_pic(1 << 4);
	ck_assert(!machine_intr(machine));
	out(0x3fc, 1, 0x08);	/* OUT2 lets interrupts out */
	out(0x3f9, 1, 0x02);	/* transmitter empty */
	ck_assert(machine_intr(machine));
	ck_assert_uint_eq(machine_intr_ack(machine), 0x34);
	ck_assert(!machine_intr(machine));
	/* In service: nothing more until its end. */
	out(0x3f8, 1, 'x');
	ck_assert(!machine_intr(machine));
	out(0x20, 1, 0x20);
	ck_assert(machine_intr(machine));
}
END_TEST

/* So does the timer, when it is due and not before. */
START_TEST(timer_interrupts)
{
	uint64_t when, begin;

	program_pic(1 << 0);
	ck_assert_uint_eq(machine_fold(machine), DEV_NO_DEADLINE);
	begin = loop_now_ns();
	out(0x43, 1, 0x30);	/* mode 0, 20,000 ticks: 16.8 ms */
	out(0x40, 1, 20000 & 0xff);
	out(0x40, 1, 20000 >> 8);
	ck_assert_uint_gt(attentions, 0);
	when = machine_fold(machine);
	ck_assert_uint_ge(when, begin + 16000000);
	ck_assert_uint_le(when, loop_now_ns() + 17000000);
	ck_assert(!machine_intr(machine));
	while (loop_now_ns() < when)
		usleep(1000);
	machine_fold(machine);
	ck_assert(machine_intr(machine));
	ck_assert_uint_eq(machine_intr_ack(machine), 0x30);
}
END_TEST

static void
ioapic_write(unsigned reg, uint32_t val)
{
	struct hv_exit e = { .kind = HV_EXIT_MMIO };

	e.mmio.gpa = 0xfec00000;
	e.mmio.size = 4;
	e.mmio.write = true;
	e.mmio.data = &reg;
	machine_mmio(machine, 0, &e);
	e.mmio.gpa = 0xfec00010;
	e.mmio.data = &val;
	machine_mmio(machine, 0, &e);
}

/* A line drives the PIC and its pin of the IOAPIC; a level goes on. */
START_TEST(uart_interrupts_by_messages)
{
	machine_destroy(machine);
	apics = true;
	machine = make_machine(0);
	ioapic_write(0x10 + 2 * 4, 0x8044);
	ck_assert_uint_eq(routes, 1);
	program_pic(1 << 4);
	out(0x3fc, 1, 0x08);
	out(0x3f9, 1, 0x02);
	ck_assert(machine_intr(machine));
	ck_assert_uint_eq(msis, 1);
	ck_assert_uint_eq(msi.addr, 0xfee00000);
	ck_assert_uint_eq(msi.data, 0xc044);
	machine_eoi(machine, 0x45);
	ck_assert_uint_eq(msis, 1);
	machine_eoi(machine, 0x44);
	ck_assert_uint_eq(msis, 2);
	out(0x3f9, 1, 0x00);
	machine_eoi(machine, 0x44);
	ck_assert_uint_eq(msis, 2);
}
END_TEST

/* Waits for a tick; how many of them became messages until 30 ms later. */
static unsigned
count_ticks(void)
{
	uint64_t end = loop_now_ns() + 30000000;

	msis = 0;
	while (loop_now_ns() < end) {
		machine_fold(machine);
		usleep(500);
	}
	return msis;
}

/* The timer is on pin 2, and keeps its ticks until the last has ended. */
START_TEST(timer_interrupts_by_messages)
{
	machine_destroy(machine);
	apics = true;
	machine = make_machine(0);
	ioapic_write(0x10 + 2 * 2, 0x30);
	out(0x43, 1, 0x34);	/* mode 2, 2,386 ticks: 2 ms */
	out(0x40, 1, 2386 & 0xff);
	out(0x40, 1, 2386 >> 8);
	ck_assert_uint_eq(count_ticks(), 1);
	ck_assert_uint_eq(msi.data, 0xc030);
	machine_eoi(machine, 0x30);
	ck_assert_uint_eq(count_ticks(), 1);
	/* With its pin masked nothing waits, and the PIC's ticks go on. */
	ioapic_write(0x10 + 2 * 2, 0x10030);
	program_pic(1 << 0);
	machine_fold(machine);
	ck_assert(machine_intr(machine));
	ck_assert_uint_eq(count_ticks(), 0);
}
END_TEST

START_TEST(guest_resets)
{
	out(0x64, 1, 0xfe);
	ck_assert_uint_eq(resets, 1);
	out(0x92, 1, 0x01);
	ck_assert_uint_eq(resets, 2);
	out(0xcf9, 1, 0x06);
	ck_assert_uint_eq(resets, 3);
	ck_assert_uint_eq(poweroffs, 0);
}
END_TEST

START_TEST(guest_powers_off)
{
	out(0x604, 2, 5 << 10);
	ck_assert_uint_eq(poweroffs, 0);
	out(0x604, 2, 5 << 10 | 0x2000);
	ck_assert_uint_eq(poweroffs, 1);
	ck_assert_uint_eq(resets, 0);
}
END_TEST

/* The button's interrupt is level-triggered, and ACPI's alone. */
START_TEST(presses_button)
{
	program_pic(1 << 2);
	out(0xa0, 1, 0x11);
	out(0xa1, 1, 0x70);
	out(0xa1, 1, 0x02);
	out(0xa1, 1, 0x01);
	out(0xa1, 1, (uint8_t)~0x02);
	ck_assert(!machine_power_button(machine));
	out(0x602, 2, 0x0100);
	ck_assert_uint_eq(attentions, 0);
	ck_assert(machine_power_button(machine));
	ck_assert_uint_eq(attentions, 1);
	ck_assert(!machine_intr(machine));
	machine_fold(machine);
	ck_assert(machine_intr(machine));
	ck_assert_uint_eq(machine_intr_ack(machine), 0x71);
	out(0xa0, 1, 0x20);
	out(0x20, 1, 0x20);
	ck_assert(machine_intr(machine));
	ck_assert_uint_eq(in(0x600, 2) & 0xffff, 0x0100);
	out(0x600, 2, 0x0100);
	ck_assert(!machine_intr(machine));
}
END_TEST

/* What guests with local APICs find in the BIOS area. */
START_TEST(tables)
{
	char err[200];

	apics = true;
	machine_destroy(machine);
	machine = make_machine(3);
	ck_assert_int_eq(machine_tables(machine, err, sizeof(err)), 0);
	ck_assert_mem_eq((char *)gm.range[0].hva + 0xe0000, "RSD PTR ", 8);
	gm.range[0].size = MIB - 1;
	ck_assert_int_eq(machine_tables(machine, err, sizeof(err)), -EFAULT);
	ck_assert_str_eq(err, "ACPI tables: Bad address");
	gm.range[0].size = 16 * MIB;
}
END_TEST

/* The timer counts the host's time. */
START_TEST(pm_timer_counts)
{
	uint64_t begin, end;
	uint32_t ticks;

	begin = loop_now_ns();
	ticks = in(0x608, 4);
	usleep(20000);
	ticks = in(0x608, 4) - ticks;
	end = loop_now_ns();
	ck_assert_uint_ge(ticks, 71590);
	ck_assert_uint_le(ticks, (end - begin) * 3579545 / 1000000000 + 1);
}
END_TEST

/* The keys come with the next fold, by the keyboard's own interrupt. */
START_TEST(presses_keys)
{
	program_pic(1 << 1);
	/* Nobody to hear them, until a driver switches the keyboard on. */
	ck_assert(!machine_ctrl_alt_del(machine));
	ck_assert_uint_eq(attentions, 0);
	out(0x60, 1, 0xf4);
	ck_assert_uint_eq(in(0x60, 1) & 0xff, 0xfa);
	(void)machine_intr_ack(machine);
	ck_assert(machine_ctrl_alt_del(machine));
	ck_assert_uint_eq(attentions, 1);
	ck_assert(!machine_intr(machine));
	machine_fold(machine);
	ck_assert(machine_intr(machine));
	ck_assert_uint_eq(machine_intr_ack(machine), 0x31);
	ck_assert_uint_eq(in(0x60, 1) & 0xff, 0x1d);
}
END_TEST

/* Elements of a string go one by one to the same port. */
START_TEST(string_access)
{
	char text[] = "guest", back[8];

	access_port(machine, 0x3f8, 1, false, 5, text);
	out(0x3ff, 1, 0x42);
	memset(back, 0, sizeof(back));
	access_port(machine, 0x3ff, 1, true, 3, back + 1);
	ck_assert_mem_eq(back, "\0BBB\0\0\0", 8);
}
END_TEST

/* Of the n-th device, counted as they were added; 0 is the host bridge. */
static uint32_t
pci_read(unsigned n, unsigned off)
{
	unsigned slot = n < 24 ? n : n / 8 + 21;
	unsigned function = n < 24 ? 0 : n % 8;

	out(0xcf8, 4, PCI_ENABLE | slot << 11 | function << 8 | off);
	return in(0xcfc, 4);
}

/* Disks are PCI devices behind the host bridge, level-triggered. */
START_TEST(disks_on_pci)
{
	unsigned n, elcr;

	machine_destroy(machine);
	machine = make_machine(VM_DISKS_MAX);
	ck_assert_uint_ne(pci_read(0, 0), 0xffffffff);
	for (n = 1; n <= VM_DISKS_MAX; n++) {
		ck_assert_uint_eq(pci_read(n, 0) & 0xffff,
		    VIRTIO_VENDOR);
		ck_assert_uint_eq(pci_read(n, 0x10) & 1, 1);
	}
	/* And the rng, the last. */
	ck_assert_uint_eq(pci_read(n, 0), 0x1044 << 16 | VIRTIO_VENDOR);
	ck_assert_uint_eq(pci_read(n + 1, 0), 0xffffffff);
	elcr = (in(0x4d1, 1) & 0xff) << 8 | (in(0x4d0, 1) & 0xff);
	ck_assert_uint_ne(elcr, 0);
	for (n = 1; n <= VM_DISKS_MAX; n++)
		ck_assert(elcr >> (pci_read(n, 0x3c) & 15) & 1);
}
END_TEST

static void
on_stopped(void *arg)
{
	ck_assert_ptr_eq(arg, &stops);
	stops++;
}

/* NICs come first, and are at their ports from the plug to the stop. */
START_TEST(nics)
{
	unsigned i;

	machine_destroy(machine);
	nnics = 2;
	machine = make_machine(1);
	for (i = 1; i <= 2; i++)
		ck_assert_uint_eq(pci_read(i, 0),
		    0x1041u << 16 | VIRTIO_VENDOR);
	ck_assert_uint_eq(pci_read(3, 0), 0x1042 << 16 | VIRTIO_VENDOR);
	ck_assert_uint_eq(ports[0].attaches, 0);
	machine_plug(machine);
	machine_set_mtu(machine, 1, 1400);
	for (i = 0; i < 2; i++)
		ck_assert_ptr_nonnull(ports[i].nic);
	ck_assert_ptr_ne(ports[0].nic, ports[1].nic);
	machine_stop(machine, on_stopped, &stops);
	ck_assert_uint_eq(stops, 1);
	for (i = 0; i < 2; i++) {
		ck_assert_ptr_null(ports[i].nic);
		ck_assert_uint_eq(ports[i].attaches, 2);
	}
}
END_TEST

/* With nothing in flight a stop is done at once, and once. */
START_TEST(stops_at_once)
{
	machine_stop(machine, on_stopped, &stops);
	ck_assert_uint_eq(stops, 1);
	machine_destroy(machine);
	machine = make_machine(3);
	machine_stop(machine, on_stopped, &stops);
	ck_assert_uint_eq(stops, 2);
}
END_TEST

/* What was saved and loaded saves the same bytes again. */
START_TEST(saves_and_loads)
{
	struct machine *copy, *old = machine;
	struct state_reader r;
	struct buf a, b;

	apics = _i != 0;
	machine = make_machine(2);
	machine_destroy(old);
	program_pic(0x55);
	out(0x3ff, 1, 0x24);
	out(0x70, 1, 0x33);
	machine_stop(machine, on_stopped, &stops);
	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	ck_assert_int_eq(machine_save(machine, &a), 0);
	copy = make_machine(2);
	machine_stop(copy, on_stopped, &stops);
	r = (struct state_reader){ (const uint8_t *)buf_head(&a), a.len };
	ck_assert_int_eq(machine_load(copy, &r), 0);
	ck_assert_uint_eq(r.left, 0);
	machine_destroy(machine);
	machine = copy;
	ck_assert_uint_eq(in(0x21, 1) & 0xff, 0xaa);
	ck_assert_uint_eq(in(0x3ff, 1) & 0xff, 0x24);
	ck_assert_int_eq(machine_save(machine, &b), 0);
	ck_assert_uint_eq(a.len, b.len);
	buf_free(&a);
	buf_free(&b);
}
END_TEST

/* A machine of other devices, or a record cut short, is refused. */
START_TEST(refuses_other_state)
{
	struct machine *other;
	struct state_reader r;
	struct buf a;

	buf_init(&a, 1 << 20);
	machine_stop(machine, on_stopped, &stops);
	ck_assert_int_eq(machine_save(machine, &a), 0);
	other = make_machine(1);
	machine_stop(other, on_stopped, &stops);
	r = (struct state_reader){ (const uint8_t *)buf_head(&a), a.len };
	ck_assert_int_ne(machine_load(other, &r), 0);
	r = (struct state_reader){ (const uint8_t *)buf_head(&a), a.len - 1 };
	ck_assert_int_ne(machine_load(machine, &r), 0);
	machine_destroy(other);
	buf_free(&a);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("machine");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, absent_ports, 0,
	    sizeof(absent) / sizeof(absent[0]));
	tcase_add_test(tc, absent_memory);
	tcase_add_test(tc, chips_answer);
	tcase_add_test(tc, uart_interrupts);
	tcase_add_test(tc, timer_interrupts);
	tcase_add_test(tc, uart_interrupts_by_messages);
	tcase_add_test(tc, timer_interrupts_by_messages);
	tcase_add_test(tc, guest_resets);
	tcase_add_test(tc, guest_powers_off);
	tcase_add_test(tc, presses_button);
	tcase_add_test(tc, pm_timer_counts);
	tcase_add_test(tc, tables);
	tcase_add_test(tc, presses_keys);
	tcase_add_test(tc, string_access);
	tcase_add_test(tc, disks_on_pci);
	tcase_add_test(tc, nics);
	tcase_add_test(tc, stops_at_once);
	tcase_add_loop_test(tc, saves_and_loads, 0, 2);
	tcase_add_test(tc, refuses_other_state);
	return test_main("machine", tc);
}
