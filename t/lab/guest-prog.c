/* SPDX-License-Identifier: ISC */
/*
 * The program that a test guest finds on its disk.
 *
 * usage: guest-prog TOKEN DISK
 *
 * Prints the token and its SHA-256, and writes the hash, 64 hexadecimal digits
 * and a newline, to the second sector of the disk, so that the host can see
 * that this guest read this disk, computed, and wrote back.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECTOR		512
#define HEX_LEN		64
#define BLOCK		64
#define TOKEN_MAX	(BLOCK - 9)	/* padding and length fit one block */

static const uint32_t round_key[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t
ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* FIPS 180-4, 6.2.2 */
static void
sha256_block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], s[8], t1, t2;
	int i;

	for (i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		    (uint32_t)p[2] << 8 | p[3];
	for (; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		    (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) +
		    (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(s, h, sizeof(s));
	for (i = 0; i < 64; i++) {
		t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
		    ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_key[i] + w[i];
		t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
		    ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (i = 0; i < 8; i++)
		h[i] += s[i];
}

/* The hash of a string of at most TOKEN_MAX bytes. */
static void
sha256_hex(const char *str, char hex[HEX_LEN + 1])
{
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint8_t block[BLOCK] = { 0 };
	size_t len = strlen(str);

	memcpy(block, str, len);
	block[len] = 0x80;
	block[BLOCK - 2] = (uint8_t)(len * 8 >> 8);
	block[BLOCK - 1] = (uint8_t)(len * 8);
	sha256_block(h, block);
	for (int i = 0; i < 8; i++)
		snprintf(hex + i * 8, 9, "%08x", (unsigned int)h[i]);
}

static int
write_hash(const char *disk, const char *hex)
{
	char line[HEX_LEN + 2];
	int fd, len, ok;

	len = snprintf(line, sizeof(line), "%s\n", hex);
	fd = open(disk, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	ok = pwrite(fd, line, (size_t)len, SECTOR) == len && fsync(fd) == 0;
	return close(fd) == 0 && ok ? 0 : -1;
}

int
main(int argc, char *argv[])
{
	char hex[HEX_LEN + 1];

	if (argc != 3 || strlen(argv[1]) > TOKEN_MAX) {
		fprintf(stderr, "usage: guest-prog TOKEN DISK\n");
		return 2;
	}
	printf("token %s\n", argv[1]);
	sha256_hex(argv[1], hex);
	if (write_hash(argv[2], hex) == -1) {
		perror(argv[2]);
		return 1;
	}
	printf("hash %s\n", hex);
	return 0;
}
