/* SPDX-License-Identifier: ISC */
/*
 * Writes AML, the byte code of ACPI's tables: ACPI 6.4, chapter 20, resource
 * descriptors section 6.4.
 *
 * What has a length in AML is opened, filled and closed; the closing computes
 * the length.  Everything has the one encoding that compilers choose, the
 * shortest.  What does not fit is left out and remembered in `failed`.
 */
#ifndef VMMD_AML_H
#define VMMD_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH_MAX	8

struct aml {
	uint8_t	*p;		/* the caller's, `size` bytes */
	size_t	 size;
	size_t	 len;		/* written so far */
	bool	 failed;	/* no room */
	size_t	 open[AML_DEPTH_MAX];	/* where bodies begin */
	unsigned depth;
};

void aml_init(struct aml *a, void *p, size_t size);

/* Bytes as they are: headers of tables, and whole tables that are no AML. */
void aml_bytes(struct aml *a, const void *p, size_t n);

/* Objects.  A name has up to 4 characters and is one of the current scope. */
void aml_name(struct aml *a, const char *name);		/* its object follows */
void aml_int(struct aml *a, uint32_t val);
void aml_string(struct aml *a, const char *s);
void aml_eisa_id(struct aml *a, const char *id);	/* as in "PNP0A08" */

/* Each of them up to the aml_end() that belongs to it. */
void aml_scope(struct aml *a, const char *name);
void aml_device(struct aml *a, const char *name);
void aml_package(struct aml *a, uint8_t nelements);
void aml_end(struct aml *a);

/*
 * A buffer of resource descriptors, up to aml_resources_end().  Windows are
 * what a bridge passes on to its bus, `first` to `last`.
 */
void aml_resources(struct aml *a);
void aml_io(struct aml *a, uint16_t port, uint8_t n);
void aml_irq(struct aml *a, unsigned irq);	/* ISA's: edge, not shared */
void aml_memory(struct aml *a, uint32_t base, uint32_t size);
void aml_bus_window(struct aml *a, uint16_t first, uint16_t last);
void aml_io_window(struct aml *a, uint16_t first, uint16_t last);
void aml_memory_window(struct aml *a, uint32_t first, uint32_t last);
void aml_resources_end(struct aml *a);

#endif /* VMMD_AML_H */
