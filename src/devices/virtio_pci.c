/* SPDX-License-Identifier: ISC */
/*
 * virtio over PCI: see virtio_pci.h.
 *
 * All of it on vCPU threads under the VM's mutex, except stop and resume.
 * The registers below are a scratch pad of the driver; they mean nothing
 * until a write of status or queue_enable takes a copy of them to the loop.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/msix.h"
#include "devices/state.h"
#include "devices/virtio_pci.h"

#define VIRTIO_PCI_VENDOR	0x1af4
#define VIRTIO_PCI_DEVICE	0x1040	/* plus the device type */
#define VIRTIO_PCI_SUBDEVICE	0x0040	/* plus the device type */
#define VIRTIO_PCI_REVISION	1

#define VIRTIO_PCI_BAR		0
#define VIRTIO_PCI_MSIX_BAR	1
#define VIRTIO_PCI_NO_VECTOR	0xffff

/* struct virtio_pci_cap.cfg_type (4.1.4) */
#define VIRTIO_PCI_CAP_COMMON	1
#define VIRTIO_PCI_CAP_NOTIFY	2
#define VIRTIO_PCI_CAP_ISR	3
#define VIRTIO_PCI_CAP_DEVICE	4
#define VIRTIO_PCI_CAP_PCI	5

struct virtio_pci_cap {
	uint8_t		id;
	uint8_t		next;
	uint8_t		len;
	uint8_t		cfg_type;
	uint8_t		bar;
	uint8_t		cap_id;
	uint8_t		pad[2];
	uint32_t	offset;
	uint32_t	length;
	uint32_t	extra;		/* notify multiplier, pci_cfg_data */
};
_Static_assert(sizeof(struct virtio_pci_cap) == 20, "virtio_pci_cap");
#define VIRTIO_PCI_CAP_LEN	16	/* without `extra` */

/* struct virtio_pci_common_cfg (4.1.4.3), offsets */
enum {
	COMMON_DEVICE_FEATURE_SELECT = 0x00,
	COMMON_DEVICE_FEATURE = 0x04,
	COMMON_DRIVER_FEATURE_SELECT = 0x08,
	COMMON_DRIVER_FEATURE = 0x0c,
	COMMON_MSIX_VECTOR = 0x10,
	COMMON_NUM_QUEUES = 0x12,
	COMMON_STATUS = 0x14,
	COMMON_GENERATION = 0x15,
	COMMON_QUEUE_SELECT = 0x16,
	COMMON_QUEUE_SIZE = 0x18,
	COMMON_QUEUE_MSIX_VECTOR = 0x1a,
	COMMON_QUEUE_ENABLE = 0x1c,
	COMMON_QUEUE_NOTIFY_OFF = 0x1e,
	COMMON_QUEUE_DESC = 0x20,
	COMMON_QUEUE_DRIVER = 0x28,
	COMMON_QUEUE_DEVICE = 0x30,
	COMMON_LEN = 0x38,
};

struct virtio_pci {
	const struct dev_host		*host;
	const struct virtio_dev_ops	*ops;
	void				*dev;
	struct virtio			*v;
	struct pci_dev			 pdev;
	struct msix			*msix;		/* NULL: only the pin */
	uint8_t				 window_cap;	/* pci_cfg's offset */
	uint32_t			 device_feature_select;
	uint32_t			 driver_feature_select;
	uint64_t			 driver_features;
	bool				 driver_excess;	/* a bit from 64 up */
	uint16_t			 queue_select;
	uint16_t			 config_vector;
	uint32_t			 notify_base;	/* port, 0: none */
	struct {
		struct vq_config	 cfg;
		uint16_t		 vector;
		bool			 rings;	/* it has a doorbell */
	}				 queue[];	/* ops->nqueues */
};

/* The saved form: the head, then one of the other a queue. */
struct virtio_pci_state {
	uint64_t	driver_features;
	uint32_t	device_feature_select;
	uint32_t	driver_feature_select;
	uint16_t	queue_select;
	uint16_t	config_vector;
	uint8_t		driver_excess;
	uint8_t		pad[3];
};
_Static_assert(sizeof(struct virtio_pci_state) == 24, "no hidden padding");

struct virtio_pci_queue_state {
	uint64_t	desc;
	uint64_t	avail;
	uint64_t	used;
	uint16_t	size;
	uint16_t	vector;
	uint16_t	pad[2];
};
_Static_assert(sizeof(struct virtio_pci_queue_state) == 32,
    "no hidden padding");

/*
 * Gives a queue, or VIRTIO_CONFIG, a vector: the one it has then, which is none
 * if it cannot have that (4.1.4.3.1).
 */
static uint16_t
vpci_set_vector(struct virtio_pci *vp, unsigned queue, uint16_t vector)
{
	int event = -1;

	if (vector != VIRTIO_PCI_NO_VECTOR && vp->msix != NULL)
		event = msix_event(vp->msix, vector);
	virtio_set_vector(vp->v, queue, event < 0 ? -1 : event);
	return event < 0 ? VIRTIO_PCI_NO_VECTOR : vector;
}

static void
vpci_clear_vectors(struct virtio_pci *vp)
{
	unsigned i;

	vp->config_vector = vpci_set_vector(vp, VIRTIO_CONFIG,
	    VIRTIO_PCI_NO_VECTOR);
	for (i = 0; i < vp->ops->nqueues; i++)
		vp->queue[i].vector = vpci_set_vector(vp, i,
		    VIRTIO_PCI_NO_VECTOR);
	if (vp->msix != NULL)
		msix_clear(vp->msix);
}

static void
vpci_clear(struct virtio_pci *vp)
{
	unsigned i;

	vp->device_feature_select = 0;
	vp->driver_feature_select = 0;
	vp->driver_features = 0;
	vp->driver_excess = false;
	vp->queue_select = 0;
	for (i = 0; i < vp->ops->nqueues; i++)
		vp->queue[i].cfg =
		    (struct vq_config){ .size = vp->ops->queue_max };
	vpci_clear_vectors(vp);
}

static void
vpci_write_status(struct virtio_pci *vp, uint8_t status)
{
	/* Bits from 64 up, of which we offer none, make the rest moot. */
	virtio_set_status(vp->v, status,
	    vp->driver_excess ? UINT64_MAX : vp->driver_features);
	if (virtio_status(vp->v) == 0)
		vpci_clear(vp);
	pci_fold_intx(vp->pdev.pci);
}

/* The selected queue, or NULL: reads as zero, takes no writes. */
static struct vq_config *
vpci_queue(struct virtio_pci *vp)
{
	return vp->queue_select < vp->ops->nqueues ?
	    &vp->queue[vp->queue_select].cfg : NULL;
}

static uint32_t
vpci_queue_read(struct virtio_pci *vp, uint32_t off)
{
	const struct vq_config *q = vpci_queue(vp);

	if (q == NULL)
		return 0;
	switch (off) {
	case COMMON_QUEUE_SIZE:
		return q->size;
	case COMMON_QUEUE_ENABLE:
		return virtio_queue_enabled(vp->v, vp->queue_select);
	case COMMON_QUEUE_NOTIFY_OFF:
		return vp->queue_select;
	case COMMON_QUEUE_DESC:
		return (uint32_t)q->desc;
	case COMMON_QUEUE_DESC + 4:
		return q->desc >> 32;
	case COMMON_QUEUE_DRIVER:
		return (uint32_t)q->avail;
	case COMMON_QUEUE_DRIVER + 4:
		return q->avail >> 32;
	case COMMON_QUEUE_DEVICE:
		return (uint32_t)q->used;
	case COMMON_QUEUE_DEVICE + 4:
		return q->used >> 32;
	}
	return 0;
}

static void
set_low(uint64_t *reg, uint32_t val)
{
	*reg = (*reg & ~(uint64_t)UINT32_MAX) | val;
}

static void
set_high(uint64_t *reg, uint32_t val)
{
	*reg = (uint32_t)*reg | (uint64_t)val << 32;
}

static void
vpci_write_queue_vector(struct virtio_pci *vp, uint16_t vector)
{
	unsigned i = vp->queue_select;

	if (i < vp->ops->nqueues)
		vp->queue[i].vector = vpci_set_vector(vp, i, vector);
}

static uint16_t
vpci_queue_vector(const struct virtio_pci *vp)
{
	return vp->queue_select < vp->ops->nqueues ?
	    vp->queue[vp->queue_select].vector : VIRTIO_PCI_NO_VECTOR;
}

static void
vpci_queue_write(struct virtio_pci *vp, uint32_t off, uint32_t val)
{
	struct vq_config *q = vpci_queue(vp);

	/* An enabled queue stays as it is until the reset. */
	if (q == NULL || virtio_queue_enabled(vp->v, vp->queue_select))
		return;
	switch (off) {
	case COMMON_QUEUE_SIZE:
		if (val != 0 && val <= vp->ops->queue_max &&
		    (val & (val - 1)) == 0)
			q->size = (uint16_t)val;
		break;
	case COMMON_QUEUE_ENABLE:
		if (val == 1)
			virtio_enable_queue(vp->v, vp->queue_select, q);
		break;
	case COMMON_QUEUE_DESC:
		set_low(&q->desc, val);
		break;
	case COMMON_QUEUE_DESC + 4:
		set_high(&q->desc, val);
		break;
	case COMMON_QUEUE_DRIVER:
		set_low(&q->avail, val);
		break;
	case COMMON_QUEUE_DRIVER + 4:
		set_high(&q->avail, val);
		break;
	case COMMON_QUEUE_DEVICE:
		set_low(&q->used, val);
		break;
	case COMMON_QUEUE_DEVICE + 4:
		set_high(&q->used, val);
		break;
	}
}

/* A half of a 64-bit feature set; there is nothing from bit 64 up. */
static uint32_t
vpci_half(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static void
vpci_write_features(struct virtio_pci *vp, uint32_t val)
{
	if ((virtio_status(vp->v) & VIRTIO_S_FEATURES_OK) != 0)
		return;
	if (vp->driver_feature_select == 0)
		set_low(&vp->driver_features, val);
	else if (vp->driver_feature_select == 1)
		set_high(&vp->driver_features, val);
	else if (val != 0)
		vp->driver_excess = true;
}

/* The natural width of a common register, the only one it answers (4.1.3.1). */
static unsigned
vpci_common_size(uint32_t off)
{
	switch (off) {
	case COMMON_STATUS:
	case COMMON_GENERATION:
		return 1;
	case COMMON_MSIX_VECTOR:
	case COMMON_NUM_QUEUES:
	case COMMON_QUEUE_SELECT:
	case COMMON_QUEUE_SIZE:
	case COMMON_QUEUE_MSIX_VECTOR:
	case COMMON_QUEUE_ENABLE:
	case COMMON_QUEUE_NOTIFY_OFF:
		return 2;
	default:
		return off % 4 == 0 ? 4 : 0;
	}
}

static uint32_t
vpci_common_read(struct virtio_pci *vp, uint32_t off)
{
	switch (off) {
	case COMMON_DEVICE_FEATURE_SELECT:
		return vp->device_feature_select;
	case COMMON_DEVICE_FEATURE:
		return vpci_half(virtio_offered(vp->v),
		    vp->device_feature_select);
	case COMMON_DRIVER_FEATURE_SELECT:
		return vp->driver_feature_select;
	case COMMON_DRIVER_FEATURE:
		return vpci_half(vp->driver_features,
		    vp->driver_feature_select);
	case COMMON_MSIX_VECTOR:
		return vp->config_vector;
	case COMMON_QUEUE_MSIX_VECTOR:
		return vpci_queue_vector(vp);
	case COMMON_NUM_QUEUES:
		return vp->ops->nqueues;
	case COMMON_STATUS:
		return virtio_status(vp->v);
	case COMMON_GENERATION:
		return virtio_generation(vp->v);
	case COMMON_QUEUE_SELECT:
		return vp->queue_select;
	default:
		return vpci_queue_read(vp, off);
	}
}

static void
vpci_common_write(struct virtio_pci *vp, uint32_t off, uint32_t val)
{
	switch (off) {
	case COMMON_DEVICE_FEATURE_SELECT:
		vp->device_feature_select = val;
		break;
	case COMMON_DRIVER_FEATURE_SELECT:
		vp->driver_feature_select = val;
		break;
	case COMMON_DRIVER_FEATURE:
		vpci_write_features(vp, val);
		break;
	case COMMON_STATUS:
		vpci_write_status(vp, (uint8_t)val);
		break;
	case COMMON_QUEUE_SELECT:
		vp->queue_select = (uint16_t)val;
		break;
	case COMMON_MSIX_VECTOR:
		vp->config_vector = vpci_set_vector(vp, VIRTIO_CONFIG,
		    (uint16_t)val);
		break;
	case COMMON_QUEUE_MSIX_VECTOR:
		vpci_write_queue_vector(vp, (uint16_t)val);
		break;
	default:
		vpci_queue_write(vp, off, val);
		break;
	}
}

/* Does an access lie within the type's configuration space? */
static bool
vpci_in_config(const struct virtio_pci *vp, uint32_t off, unsigned size)
{
	return off >= VIRTIO_PCI_CONFIG &&
	    off + size <= VIRTIO_PCI_CONFIG + vp->ops->config_len;
}

static uint32_t
vpci_in(void *cookie, uint32_t off, unsigned size)
{
	struct virtio_pci *vp = cookie;
	uint32_t isr;

	if (off < COMMON_LEN) {
		if (size == vpci_common_size(off))
			return vpci_common_read(vp, off);
	} else if (off == VIRTIO_PCI_ISR && size == 1) {
		isr = virtio_take_isr(vp->v);
		pci_fold_intx(vp->pdev.pci);
		return isr;
	} else if (vpci_in_config(vp, off, size)) {
		return vp->ops->config_read(vp->dev, off - VIRTIO_PCI_CONFIG,
		    size);
	}
	return UINT32_MAX;
}

static void
vpci_out(void *cookie, uint32_t off, unsigned size, uint32_t val)
{
	struct virtio_pci *vp = cookie;
	uint32_t queue;

	if (off < COMMON_LEN) {
		if (size == vpci_common_size(off))
			vpci_common_write(vp, off, val);
	} else if (vpci_in_config(vp, off, size)) {
		if (vp->ops->config_write != NULL)
			vp->ops->config_write(vp->dev,
			    off - VIRTIO_PCI_CONFIG, size, val);
	} else if (off >= VIRTIO_PCI_NOTIFY) {
		/* The port says which queue; the value says nothing more. */
		queue = (off - VIRTIO_PCI_NOTIFY) / 2;
		if (off % 2 == 0 && size == 2 && queue < vp->ops->nqueues)
			virtio_notify(vp->v, queue);
	}
}

static const struct pio_ops vpci_pio_ops = {
	.in = vpci_in,
	.out = vpci_out,
};

/*
 * The pci_cfg capability (4.1.4.9): a window through which a guest without
 * access to BARs, such as firmware, reaches them.  Returns false unless it is
 * set up for an access of at most the size that is being made.
 */
static bool
vpci_window(const struct virtio_pci *vp, unsigned off, unsigned size,
    struct virtio_pci_cap *cap)
{
	memcpy(cap, vp->pdev.config + vp->window_cap, sizeof(*cap));
	if (off != 0 || cap->bar != VIRTIO_PCI_BAR)
		return false;
	if (cap->length != 1 && cap->length != 2 && cap->length != 4)
		return false;
	return cap->length <= size && cap->offset % cap->length == 0 &&
	    cap->offset < vp->pdev.bar[VIRTIO_PCI_BAR].size;
}

static uint32_t
vpci_window_read(void *cookie, unsigned off, unsigned size)
{
	struct virtio_pci *vp = cookie;
	struct virtio_pci_cap cap;

	if (!vpci_window(vp, off, size, &cap))
		return UINT32_MAX;
	return vpci_in(vp, cap.offset, cap.length);
}

static void
vpci_window_write(void *cookie, unsigned off, unsigned size, uint32_t val)
{
	struct virtio_pci *vp = cookie;
	struct virtio_pci_cap cap;

	if (vpci_window(vp, off, size, &cap))
		vpci_out(vp, cap.offset, cap.length,
		    val & UINT32_MAX >> (32 - 8 * cap.length));
}

static bool
vpci_intx_level(void *cookie)
{
	const struct virtio_pci *vp = cookie;

	return virtio_intx_level(vp->v);
}

/*
 * Doorbells lie where the queues' notify registers do.  What has none, since
 * the backend refuses, is served by vpci_out().
 */
static void
vpci_bar_moved(void *cookie, unsigned bar, uint32_t base)
{
	struct virtio_pci *vp = cookie;
	const struct dev_host *host = vp->host;
	uint16_t port;
	unsigned i;
	int fd;

	if (bar != VIRTIO_PCI_BAR || host->doorbell == NULL)
		return;
	for (i = 0; i < vp->ops->nqueues; i++) {
		fd = virtio_queue_fd(vp->v, i);
		port = (uint16_t)(vp->notify_base + 2 * i);
		if (vp->queue[i].rings)
			host->doorbell(host->cookie, port, 2, fd, false);
		port = (uint16_t)(base + VIRTIO_PCI_NOTIFY + 2 * i);
		vp->queue[i].rings = base != 0 && fd != -1 &&
		    host->doorbell(host->cookie, port, 2, fd, true) == 0;
	}
	vp->notify_base = base + VIRTIO_PCI_NOTIFY;
}

/* The guest may have switched between its pin and vectors. */
static void
vpci_caps_written(void *cookie)
{
	struct virtio_pci *vp = cookie;

	if (vp->msix == NULL)
		return;
	msix_update(vp->msix);
	virtio_use_vectors(vp->v, msix_enabled(vp->msix));
	pci_fold_intx(vp->pdev.pci);
}

static const struct pci_dev_ops vpci_pci_ops = {
	.intx_level = vpci_intx_level,
	.bar_moved = vpci_bar_moved,
	.caps_written = vpci_caps_written,
	.window_read = vpci_window_read,
	.window_write = vpci_window_write,
};

/* Appends one virtio capability; returns its offset. */
static uint8_t
vpci_add_cap(struct virtio_pci *vp, uint8_t type, uint32_t offset,
    uint32_t length, size_t caplen, uint32_t extra)
{
	struct virtio_pci_cap cap = {
		.len = (uint8_t)caplen,
		.cfg_type = type,
		.bar = VIRTIO_PCI_BAR,
		.offset = offset,
		.length = length,
		.extra = extra,
	};

	return pci_add_cap(&vp->pdev, PCI_CAP_VENDOR, &cap, caplen);
}

static void
vpci_add_caps(struct virtio_pci *vp)
{
	const struct virtio_dev_ops *ops = vp->ops;
	uint8_t cap;

	vpci_add_cap(vp, VIRTIO_PCI_CAP_COMMON, VIRTIO_PCI_COMMON, COMMON_LEN,
	    VIRTIO_PCI_CAP_LEN, 0);
	vpci_add_cap(vp, VIRTIO_PCI_CAP_NOTIFY, VIRTIO_PCI_NOTIFY,
	    2u * ops->nqueues, sizeof(struct virtio_pci_cap), 2);
	vpci_add_cap(vp, VIRTIO_PCI_CAP_ISR, VIRTIO_PCI_ISR, 1,
	    VIRTIO_PCI_CAP_LEN, 0);
	if (ops->config_len != 0)
		vpci_add_cap(vp, VIRTIO_PCI_CAP_DEVICE, VIRTIO_PCI_CONFIG,
		    ops->config_len, VIRTIO_PCI_CAP_LEN, 0);
	cap = vpci_add_cap(vp, VIRTIO_PCI_CAP_PCI, 0, 0,
	    sizeof(struct virtio_pci_cap), 0);
	vp->window_cap = cap;
	pci_set_writable(&vp->pdev,
	    cap + offsetof(struct virtio_pci_cap, bar), 1);
	pci_set_writable(&vp->pdev,
	    cap + offsetof(struct virtio_pci_cap, offset), 8);
	pci_set_window(&vp->pdev,
	    cap + offsetof(struct virtio_pci_cap, extra));
}

static void
vpci_describe(struct virtio_pci *vp)
{
	const struct virtio_dev_ops *ops = vp->ops;
	const struct pci_ident ident = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = VIRTIO_PCI_DEVICE + ops->id,
		.subvendor = VIRTIO_PCI_VENDOR,
		.subdevice = VIRTIO_PCI_SUBDEVICE + ops->id,
		.class_code = ops->pci_class,
		.revision = VIRTIO_PCI_REVISION,
	};
	uint32_t size = 2 * VIRTIO_PCI_NOTIFY;

	while (size - VIRTIO_PCI_NOTIFY < 2u * ops->nqueues)
		size *= 2;
	pci_dev_init(&vp->pdev, &ident, &vpci_pci_ops, vp);
	vpci_add_caps(vp);
	pci_add_io_bar(&vp->pdev, VIRTIO_PCI_BAR, size, &vpci_pio_ops, vp);
}

/* A vector for each queue and one for the configuration, if the host can. */
static int
vpci_add_msix(struct virtio_pci *vp)
{
	if (vp->host->msi_event == NULL)
		return 0;
	vp->msix = msix_create(vp->host, &vp->pdev, VIRTIO_PCI_MSIX_BAR,
	    vp->ops->nqueues + 1u);
	return vp->msix != NULL ? 0 : -errno;
}

struct virtio_pci *
virtio_pci_create(const struct dev_host *host, const struct gmem *gm,
    struct pci *pci, const struct virtio_dev_ops *ops, void *dev,
    const char *name)
{
	struct virtio_pci *vp;
	int error;

	assert(ops->config_len <= VIRTIO_PCI_NOTIFY - VIRTIO_PCI_CONFIG);
	vp = calloc(1, sizeof(*vp) + ops->nqueues * sizeof(vp->queue[0]));
	if (vp == NULL)
		return NULL;
	vp->host = host;
	vp->ops = ops;
	vp->dev = dev;
	vp->v = virtio_create(host, gm, ops, dev, name);
	if (vp->v == NULL) {
		error = -ENOMEM;
		goto fail_virtio;
	}
	vpci_describe(vp);
	error = vpci_add_msix(vp);
	if (error != 0)
		goto fail_msix;
	vpci_clear(vp);
	error = pci_add(pci, &vp->pdev);
	if (error != 0)
		goto fail_pci;
	return vp;

fail_pci:
	msix_destroy(vp->msix);
fail_msix:
	virtio_destroy(vp->v);
fail_virtio:
	free(vp);
	errno = -error;
	return NULL;
}

void
virtio_pci_destroy(struct virtio_pci *vp)
{
	if (vp == NULL)
		return;
	pci_remove(&vp->pdev);
	virtio_destroy(vp->v);
	msix_destroy(vp->msix);
	free(vp);
}

void
virtio_pci_stop(struct virtio_pci *vp, void (*done)(void *arg), void *arg)
{
	virtio_stop(vp->v, done, arg);
}

void
virtio_pci_resume(struct virtio_pci *vp)
{
	virtio_resume(vp->v);
}

static void
vpci_reset(void *dev)
{
	struct virtio_pci *vp = dev;

	vpci_write_status(vp, 0);
	if (vp->msix != NULL)
		msix_reset(vp->msix);
}

static int
vpci_save(const void *dev, struct state_writer *w)
{
	const struct virtio_pci *vp = dev;
	struct virtio_pci_state s = {
		.driver_features = vp->driver_features,
		.device_feature_select = vp->device_feature_select,
		.driver_feature_select = vp->driver_feature_select,
		.queue_select = vp->queue_select,
		.config_vector = vp->config_vector,
		.driver_excess = vp->driver_excess,
	};
	unsigned i;
	int error;

	error = state_put(w, "virtio-pci", 1, &s, sizeof(s));
	for (i = 0; error == 0 && i < vp->ops->nqueues; i++) {
		struct virtio_pci_queue_state q = {
			.desc = vp->queue[i].cfg.desc,
			.avail = vp->queue[i].cfg.avail,
			.used = vp->queue[i].cfg.used,
			.size = vp->queue[i].cfg.size,
			.vector = vp->queue[i].vector,
		};

		error = state_put(w, "virtio-pci-queue", 1, &q, sizeof(q));
	}
	if (error == 0 && vp->msix != NULL)
		error = msix_save(vp->msix, w);
	return error != 0 ? error : virtio_save(vp->v, w);
}

static int
vpci_load_queue(struct virtio_pci *vp, unsigned i, struct state_reader *r)
{
	struct virtio_pci_queue_state q;
	int error;

	error = state_get(r, "virtio-pci-queue", 1, &q, sizeof(q));
	if (error != 0)
		return error;
	if (q.size == 0 || q.size > vp->ops->queue_max ||
	    (q.size & (q.size - 1)) != 0)
		return -EINVAL;
	vp->queue[i].cfg =
	    (struct vq_config){ q.size, q.desc, q.avail, q.used };
	vp->queue[i].vector = vpci_set_vector(vp, i, q.vector);
	return vp->queue[i].vector == q.vector ? 0 : -EINVAL;
}

static int
vpci_load(void *dev, struct state_reader *r)
{
	struct virtio_pci *vp = dev;
	struct virtio_pci_state s;
	unsigned i;
	int error;

	error = state_get(r, "virtio-pci", 1, &s, sizeof(s));
	if (error == 0 && s.driver_excess > 1)
		error = -EINVAL;
	if (error != 0)
		return error;
	vp->driver_features = s.driver_features;
	vp->device_feature_select = s.device_feature_select;
	vp->driver_feature_select = s.driver_feature_select;
	vp->queue_select = s.queue_select;
	vp->driver_excess = s.driver_excess != 0;
	vp->config_vector = vpci_set_vector(vp, VIRTIO_CONFIG,
	    s.config_vector);
	if (vp->config_vector != s.config_vector)
		return -EINVAL;
	for (i = 0; error == 0 && i < vp->ops->nqueues; i++)
		error = vpci_load_queue(vp, i, r);
	if (error == 0 && vp->msix != NULL)
		error = msix_load(vp->msix, r);
	return error != 0 ? error : virtio_load(vp->v, r);
}

const struct dev_ops virtio_pci_ops = {
	.name = "virtio-pci",
	.reset = vpci_reset,
	.save = vpci_save,
	.load = vpci_load,
};
