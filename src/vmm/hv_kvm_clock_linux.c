/* SPDX-License-Identifier: ISC */
/*
 * The guests' paravirtual clock on backend `kvm`.
 *
 * KVM has one, but it goes at the TSC's pace, whatever NTP makes of the host's.
 * So the registers by which a guest asks for it come to the daemon, and the
 * pages are the daemon's: all are turned at once, as the driver `vmm` does it
 * (steering.h), after CLOCK_BOOTTIME, which NTP slews and nobody sets back.
 * Where the host's own clock is not the TSC, KVM's clock is better: then what
 * the guest writes goes on to KVM, and so does what it wrote before if the host
 * leaves its TSC later.
 *
 * A guest's TSC is the host's less a constant, found once: so it may not move
 * it, as on `vmm`.
 *
 * An INIT of a vCPU is KVM's affair and not seen here: the page that the vCPU
 * had named is written on, until the guest names another or none.  Linux takes
 * the page back before it gives a processor up, kexec included.
 *
 * Layouts: Linux, Documentation/virt/kvm/x86/msr.rst.
 */
#include <sys/ioctl.h>

#include <asm/kvm_para.h>
#include <linux/kvm.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "base/log.h"
#include "devices/gmem.h"
#include "devices/steering.h"
#include "vmm/hv.h"
#include "vmm/hv_kvm.h"

#define ENABLE		UINT64_C(1)
#define PAGE		4096
#define NS_PER_S	UINT64_C(1000000000)
#define NS_PER_MS	UINT64_C(1000000)
#define LOOKS		5
#define MSR_TSC		0x10
#define MSR_TSC_ADJUST	0x3b

#define FLAG_STABLE	0x01
#define FLAG_STOPPED	0x02	/* set by the host, cleared by the guest */

struct time_page {
	_Atomic uint32_t version;	/* odd: about to change */
	uint32_t	 pad0;
	uint32_t	 tsc[2];	/* 8 bytes that are aligned to 4 */
	uint32_t	 ns[2];
	uint32_t	 mul;
	int8_t		 shift;
	_Atomic uint8_t	 flags;
	uint8_t		 pad1[2];
};
_Static_assert(sizeof(struct time_page) == 32, "as KVM has it");

struct wall_page {
	uint32_t	version;
	uint32_t	sec;
	uint32_t	nsec;
};

/* Who keeps a guest's clock is known when it asks for one. */
enum keeper { NOBODY, KVM, WE };

/* i: immutable; k: under lock */
struct hv_kvm_clock {
	const struct gmem *gm;		/* i */
	int		 vm;		/* i */
	uint64_t	 base;		/* i: CLOCK_BOOTTIME at its zero, ns */
	pthread_mutex_t	 lock;
	enum keeper	 keeper;	/* k */
	uint64_t	 tsc_base;	/* k: the host's at the guest's zero */
	struct steering	 clock;		/* k */
	uint32_t	 version;	/* k: even */
	uint64_t	 msr[HV_VCPUS_MAX];	/* k: where pages are */
	uint64_t	 wall;		/* k */
	_Atomic uint64_t owed;		/* vCPUs whose page KVM is to learn */
};
_Static_assert(HV_VCPUS_MAX <= 64, "a bit each");

static uint64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t
host_tsc(void)
{
	_mm_lfence();
	return __rdtsc();
}

int
hv_kvm_clock_create(struct hv_kvm_clock **clockp, int vm,
    const struct gmem *gm)
{
	struct hv_kvm_clock *c;
	int error;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	error = -pthread_mutex_init(&c->lock, NULL);
	if (error != 0) {
		free(c);
		return error;
	}
	c->vm = vm;
	c->gm = gm;
	c->base = read_clock(CLOCK_BOOTTIME);
	*clockp = c;
	return 0;
}

void
hv_kvm_clock_destroy(struct hv_kvm_clock *c)
{
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int
hv_kvm_clock_setup(int vm)
{
	/*
	 * One bit a register: none is KVM's own business, but for reads of the
	 * TSC.  TSC_ADJUST is for the policy of unknown ones.
	 */
	uint64_t none = 0;
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges = {
			{ KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, 2,
			  MSR_KVM_WALL_CLOCK, (void *)&none },
			{ KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, 2,
			  MSR_KVM_WALL_CLOCK_NEW, (void *)&none },
			{ KVM_MSR_FILTER_WRITE, 1, MSR_TSC, (void *)&none },
			{ KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, 1,
			  MSR_TSC_ADJUST, (void *)&none },
		},
	};

	return ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter) == 0 ? 0 : -errno;
}

bool
hv_kvm_clock_has(uint32_t index)
{
	return index == MSR_KVM_WALL_CLOCK || index == MSR_KVM_SYSTEM_TIME ||
	    index == MSR_KVM_WALL_CLOCK_NEW ||
	    index == MSR_KVM_SYSTEM_TIME_NEW || index == MSR_TSC;
}

static bool
is_wall(uint32_t index)
{
	return index == MSR_KVM_WALL_CLOCK || index == MSR_KVM_WALL_CLOCK_NEW;
}

/* KVM_GET_MSRS or KVM_SET_MSRS of one register; 0 or -errno. */
static int
kvm_msr(int vcpu, unsigned long request, uint32_t index, uint64_t *val)
{
	union {
		struct kvm_msrs	msrs;
		char		room[sizeof(struct kvm_msrs) +
				    sizeof(struct kvm_msr_entry)];
	} m;

	memset(&m, 0, sizeof(m));
	m.msrs.nmsrs = 1;
	m.msrs.entries[0].index = index;
	m.msrs.entries[0].data = *val;
	if (ioctl(vcpu, request, &m) != 1)
		return -EPERM;
	*val = m.msrs.entries[0].data;
	return 0;
}

/* Does KVM find that the TSC tells the time, on all vCPUs alike? */
static bool
tsc_is_stable(const struct hv_kvm_clock *c)
{
	struct kvm_clock_data data;

	return ioctl(c->vm, KVM_GET_CLOCK, &data) == 0 &&
	    (data.flags & KVM_CLOCK_TSC_STABLE) != 0;
}

/* The guest's TSC beside the host's: the best of a few looks. */
static int
find_tsc_base(struct hv_kvm_clock *c, int vcpu)
{
	uint64_t best = UINT64_MAX, before, took, guest = 0;
	unsigned i;
	int error;

	for (i = 0; i < LOOKS; i++) {
		before = host_tsc();
		error = kvm_msr(vcpu, KVM_GET_MSRS, MSR_TSC, &guest);
		if (error != 0)
			return error;
		took = host_tsc() - before;
		if (took >= best)
			continue;
		best = took;
		c->tsc_base = before + took / 2 - guest;
	}
	return 0;
}

static void
sample(const struct hv_kvm_clock *c, uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX, before, now, took;
	unsigned i;

	for (i = 0; i < LOOKS; i++) {
		before = host_tsc();
		now = read_clock(CLOCK_BOOTTIME);
		took = host_tsc() - before;
		if (took >= best)
			continue;
		best = took;
		*tsc = before + took / 2 - c->tsc_base;
		*ns = now - c->base;
	}
}

static struct time_page *
page_of(const struct hv_kvm_clock *c, unsigned id)
{
	uint64_t msr = c->msr[id];

	if ((msr & ENABLE) == 0)
		return NULL;
	return gmem_ptr(c->gm, msr & ~ENABLE, sizeof(struct time_page));
}

/* With this version, which is even, it is complete. */
static void
write_page(const struct hv_kvm_clock *c, struct time_page *p)
{
	uint8_t flags = atomic_load(&p->flags) & FLAG_STOPPED;

	memcpy(p->tsc, &c->clock.tsc, sizeof(p->tsc));
	memcpy(p->ns, &c->clock.ns, sizeof(p->ns));
	p->mul = c->clock.mul;
	p->shift = c->clock.shift;
	atomic_store(&p->flags, flags | FLAG_STABLE);
	atomic_store(&p->version, c->version);
}

/*
 * At the moment when each version is odd: what a guest has read by the old
 * pace it has read before, on any vCPU.  Guests that look meanwhile wait.
 */
static void
turn_pages(struct hv_kvm_clock *c, const struct steering_turn *turn)
{
	struct time_page *page[HV_VCPUS_MAX];
	unsigned i, n = 0;

	for (i = 0; i < HV_VCPUS_MAX; i++) {
		page[n] = page_of(c, i);
		if (page[n] != NULL)
			n++;
	}
	for (i = 0; i < n; i++)
		atomic_store(&page[i]->version, c->version + 1);
	/* The processor waits for these stores; the compiler shall, too. */
	atomic_signal_fence(memory_order_seq_cst);
	steering_turn(&c->clock, host_tsc() - c->tsc_base, turn);
	c->version += 2;
	for (i = 0; i < n; i++)
		write_page(c, page[i]);
}

static void
log_keeper(void)
{
	static atomic_bool said;

	if (!atomic_exchange(&said, true))
		log_info("backend kvm: the host's clock is not the TSC: KVM "
		    "keeps guests' clocks, which do not follow NTP");
}

/*
 * KVM's clock shall go on where this one is.  Each vCPU's page is for its own
 * thread to give away.
 */
static void
hand_back(struct hv_kvm_clock *c)
{
	struct kvm_clock_data data;
	uint64_t owed = 0;
	unsigned i;

	memset(&data, 0, sizeof(data));
	/* Ours may have been ahead, by less than this. */
	data.clock = read_clock(CLOCK_BOOTTIME) - c->base + NS_PER_MS;
	/* If it fails the clock jumps, and is KVM's all the same. */
	(void)ioctl(c->vm, KVM_SET_CLOCK, &data);
	for (i = 0; i < HV_VCPUS_MAX; i++)
		if ((c->msr[i] & ENABLE) != 0)
			owed |= UINT64_C(1) << i;
	c->keeper = KVM;
	atomic_store(&c->owed, owed);
	log_keeper();
}

bool
hv_kvm_clock_tick(struct hv_kvm_clock *c)
{
	struct steering_turn turn;
	uint64_t tsc, ns;
	bool kick = false;

	/* A vCPU may wait for the kernel with it; the loop does not. */
	if (pthread_mutex_trylock(&c->lock) != 0)
		return false;
	if (c->keeper == WE && !tsc_is_stable(c)) {
		hand_back(c);
		kick = true;
	} else if (c->keeper == WE) {
		sample(c, &tsc, &ns);
		if (steering_look(&c->clock, tsc, ns, &turn))
			turn_pages(c, &turn);
	}
	pthread_mutex_unlock(&c->lock);
	return kick;
}

/* Under the lock, lest it be what the guest wrote before. */
static void
give_page(struct hv_kvm_clock *c, int vcpu, unsigned id)
{
	pthread_mutex_lock(&c->lock);
	/* KVM checks what set_page() has checked. */
	(void)kvm_msr(vcpu, KVM_SET_MSRS, MSR_KVM_SYSTEM_TIME_NEW,
	    &c->msr[id]);
	atomic_fetch_and(&c->owed, ~(UINT64_C(1) << id));
	pthread_mutex_unlock(&c->lock);
}

void
hv_kvm_clock_enter(struct hv_kvm_clock *c, int vcpu, unsigned id)
{
	if ((atomic_load(&c->owed) >> id & 1) != 0)
		give_page(c, vcpu, id);
}

/* When the guest first asks for a clock.  0 or -errno. */
static int
begin(struct hv_kvm_clock *c, int vcpu)
{
	uint64_t tsc = 0, ns = 0;
	int error, khz;

	khz = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	if (khz <= 0 || !tsc_is_stable(c)) {
		c->keeper = KVM;
		log_keeper();
		return 0;
	}
	error = find_tsc_base(c, vcpu);
	if (error != 0)
		return error;
	sample(c, &tsc, &ns);
	steering_begin(&c->clock, (uint64_t)khz * 1000, tsc, ns);
	c->version = 2;
	c->keeper = WE;
	return 0;
}

/* Not one that others read meanwhile takes it for complete. */
static void
new_page(struct hv_kvm_clock *c, struct time_page *p)
{
	atomic_store(&p->version, c->version + 1);
	atomic_signal_fence(memory_order_seq_cst);
	c->version += 2;
	p->pad0 = 0;
	atomic_store(&p->flags, 0);
	memset(p->pad1, 0, sizeof(p->pad1));
	write_page(c, p);
}

static int
set_page(struct hv_kvm_clock *c, uint64_t val)
{
	uint64_t gpa = val & ~ENABLE;
	struct time_page *p;

	if ((val & ENABLE) != 0) {
		p = gmem_ptr(c->gm, gpa, sizeof(*p));
		/* Aligned to 4 bytes, and never over the end of a page. */
		if (gpa % 4 != 0 || gpa % PAGE + sizeof(*p) > PAGE ||
		    p == NULL)
			return -EPERM;
		new_page(c, p);
	}
	return 0;
}

/* The real time when the other clock was, or would have been, zero. */
static int
set_wall(struct hv_kvm_clock *c, uint64_t val)
{
	uint64_t ns = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME) +
	    c->base;
	struct wall_page w = {
		.version = 2,
		.sec = (uint32_t)(ns / NS_PER_S),
		.nsec = (uint32_t)(ns % NS_PER_S),
	};

	if (val % 4 != 0 || gmem_write(c->gm, val, &w, sizeof(w)) != 0)
		return -EPERM;
	return 0;
}

int
hv_kvm_clock_write(struct hv_kvm_clock *c, int vcpu, unsigned id,
    uint32_t index, uint64_t val)
{
	int error = 0;

	if (index == MSR_TSC)
		return -EPERM;
	pthread_mutex_lock(&c->lock);
	if (c->keeper == NOBODY)
		error = begin(c, vcpu);
	if (error == 0 && c->keeper == KVM)
		error = kvm_msr(vcpu, KVM_SET_MSRS, index, &val);
	else if (error == 0)
		error = is_wall(index) ? set_wall(c, val) :
		    set_page(c, val);
	if (error == 0)
		*(is_wall(index) ? &c->wall : &c->msr[id]) = val;
	pthread_mutex_unlock(&c->lock);
	return error;
}

uint64_t
hv_kvm_clock_read(struct hv_kvm_clock *c, unsigned id, uint32_t index)
{
	uint64_t val;

	pthread_mutex_lock(&c->lock);
	val = is_wall(index) ? c->wall : c->msr[id];
	pthread_mutex_unlock(&c->lock);
	return val;
}

void
hv_kvm_clock_resumed(struct hv_kvm_clock *c, int vcpu, unsigned id)
{
	struct time_page *p;

	pthread_mutex_lock(&c->lock);
	p = page_of(c, id);
	if (c->keeper == KVM)
		/* Refused where the guest has no clock: nobody to be told. */
		(void)ioctl(vcpu, KVM_KVMCLOCK_CTRL, 0);
	else if (p != NULL)
		atomic_fetch_or(&p->flags, FLAG_STOPPED);
	pthread_mutex_unlock(&c->lock);
}
