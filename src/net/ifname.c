/* SPDX-License-Identifier: ISC */
/*
 * Names and marks of interfaces: see ifname.h.
 */
#include "net/ifname.h"

#include <stdio.h>
#include <string.h>

/* No name of ours has a comma. */
#define IFNAME_UPLINK	", uplink "

/* FNV-1a, 64 bits; the NUL at the end keeps "a", "bc" from "ab", "c". */
static uint64_t
hash_add(uint64_t h, const char *s)
{
	do {
		h ^= (uint8_t)*s;
		h *= 0x100000001b3;
	} while (*s++ != '\0');
	return h;
}

static uint64_t
hash_names(const char *what, const char *a, const char *b)
{
	uint64_t h = 0xcbf29ce484222325;

	h = hash_add(hash_add(hash_add(h, what), a), b);
	/* The low bits of a product know too little of the high ones. */
	return h ^ h >> 32;
}

static void
name_hashed(char out[IFNAME_SIZE], uint64_t h, const char *object)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	char text[9];
	unsigned i;

	for (i = 0; i < 8; i++, h >>= 5)
		text[i] = digits[h & 31];
	text[8] = '\0';
	snprintf(out, IFNAME_SIZE, "%.6s~%s", object, text);
}

void
ifname_switch(char out[IFNAME_SIZE], const char *daemon, const char *name)
{
	/* The first - ends the daemon's name, and a dot is a port's. */
	if (strchr(daemon, '-') == NULL && strchr(name, '.') == NULL &&
	    snprintf(out, IFNAME_SIZE, "%s-%s", daemon, name) < IFNAME_SIZE)
		return;
	name_hashed(out, hash_names("switch", daemon, name), name);
}

void
ifname_port(char out[IFNAME_SIZE], const char *daemon, const char *vm,
    unsigned nic)
{
	char object[80];

	if (strchr(daemon, '-') == NULL &&
	    snprintf(out, IFNAME_SIZE, "%s-%s.%u", daemon, vm, nic) <
	    IFNAME_SIZE)
		return;
	snprintf(object, sizeof(object), "%s.%u", vm, nic);
	name_hashed(out, hash_names("port", daemon, object), vm);
}

void
ifname_switch_mark(char out[IFNAME_MARK], const char *daemon,
    const char *name, const char *uplink)
{
	snprintf(out, IFNAME_MARK, "vmmd %s: switch %s%s%s", daemon, name,
	    *uplink != '\0' ? IFNAME_UPLINK : "", uplink);
}

void
ifname_port_mark(char out[IFNAME_MARK], const char *daemon, const char *vm,
    unsigned nic)
{
	snprintf(out, IFNAME_MARK, "vmmd %s: vm %s nic %u", daemon, vm, nic);
}

bool
ifname_is_switch_mark(const char *mark, const char *daemon)
{
	char ours[IFNAME_MARK];

	ifname_switch_mark(ours, daemon, "", "");
	return strncmp(mark, ours, strlen(ours)) == 0;
}

const char *
ifname_mark_uplink(const char *mark)
{
	const char *p = strstr(mark, IFNAME_UPLINK);

	return p == NULL ? "" : p + strlen(IFNAME_UPLINK);
}

/* Has each bit follow from all: names often differ in their last digit. */
static uint64_t
hash_mix(uint64_t h)
{
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
	h = (h ^ h >> 27) * 0x94d049bb133111eb;
	return h ^ h >> 31;
}

/* The first byte says unicast, locally administered, and whose kind it is. */
static void
mac_hashed(uint8_t mac[6], uint8_t first, uint64_t h)
{
	unsigned i;

	mac[0] = first;
	for (i = 1; i < 6; i++, h >>= 8)
		mac[i] = (uint8_t)h;
}

void
ifname_switch_mac(uint8_t mac[6], const char *host, const char *daemon,
    const char *name)
{
	uint64_t h = hash_add(hash_names("mac", daemon, name), host);

	mac_hashed(mac, 0x0a, h ^ h >> 32);
}

void
ifname_port_mac(uint8_t mac[6], const char *daemon, const char *vm,
    unsigned nic)
{
	char object[80];

	snprintf(object, sizeof(object), "%s.%u", vm, nic);
	mac_hashed(mac, 0x0e, hash_mix(hash_names("nic", daemon, object)));
}

uint64_t
ifname_hash(const char *what, const char *name)
{
	return hash_mix(hash_names(what, name, ""));
}
