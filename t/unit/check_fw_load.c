/* SPDX-License-Identifier: ISC */
/*
 * The loader of the firewall on Linux, by a libnftables that takes notes: what
 * becomes of a text whose steps fail, and of one for a kernel that tracks no
 * connections of what is bridged.
 */
#include <nftables/libnftables.h>

#include <errno.h>
#include <stdio.h>

#include "net/fw_load.h"
#include "testhost.h"

#define TEXT(chain)							\
	"table inet vmmd {\n\tflags owner\n}\ndelete table inet vmmd\n"	\
	"\n"								\
	"table bridge vmmd {\n"						\
	"\tchain " chain " {\n"						\
	"\t\ttype filter hook forward priority 0; policy accept\n"	\
	"\t\tct state established accept\n"				\
	"\t\ttcp flags & (syn | ack) != syn drop\n"			\
	"\t\tiifname \"a\" drop\n"					\
	"\t}\n"								\
	"}\n"								\
	"\n"								\
	"table inet vmmd {\n"						\
	"\tchain " chain " {\n"						\
	"\t\ttype filter hook forward priority 0; policy accept\n"	\
	"\t\tct state invalid drop\n"					\
	"\t\ttcp flags & (syn | ack) != syn drop\n"			\
	"\t}\n"								\
	"}\n"

static struct fw_load	*load;
static char		 ran[8192];	/* all that went well */
static const char	*wrong;		/* what has this fails */
static bool		 no_bridge_ct, dry;
static char		 err[256];

struct nft_ctx *
nft_ctx_new(uint32_t flags)
{
	(void)flags;
	return (struct nft_ctx *)ran;
}

void
nft_ctx_free(struct nft_ctx *ctx)
{
	(void)ctx;
}

void
nft_ctx_set_dry_run(struct nft_ctx *ctx, bool on)
{
	(void)ctx;
	dry = on;
}

int
nft_ctx_buffer_error(struct nft_ctx *ctx)
{
	(void)ctx;
	return 0;
}

int
nft_ctx_buffer_output(struct nft_ctx *ctx)
{
	(void)ctx;
	return 0;
}

const char *
nft_ctx_get_error_buffer(struct nft_ctx *ctx)
{
	(void)ctx;
	return "no such thing";
}

int
nft_run_cmd_from_buffer(struct nft_ctx *ctx, const char *text)
{
	(void)ctx;
	if (dry)
		return no_bridge_ct ? -1 : 0;
	if (wrong != NULL && strstr(text, wrong) != NULL)
		return -1;
	ck_assert_uint_lt(strlen(ran) + strlen(text), sizeof(ran));
	strcat(ran, text);
	return 0;
}

static void
teardown(void)
{
	fw_load_close(load);
}

/* Forgets what was run before. */
static int
apply(const char *text)
{
	*ran = *err = '\0';
	return fw_load_apply(load, text, err, sizeof(err));
}

static bool
has(const char *what)
{
	return strstr(ran, what) != NULL;
}

/* What the hooks go to is in force, so that is no failure. */
START_TEST(old_stays)
{
	ck_assert_int_eq(fw_load_open(&load, err, sizeof(err)), 0);
	ck_assert_int_eq(apply(TEXT("one")), 0);
	wrong = "delete chain inet vmmd one/1\n";
	ck_assert_int_eq(apply(TEXT("two")), 0);
	ck_assert_str_eq(err, "nftables: no such thing");
	ck_assert(has("jump two/2\n") && !has("delete chain"));
	/* Both go with the next, or the one after that. */
	ck_assert_int_eq(apply(TEXT("three")), 0);
	ck_assert_str_ne(err, "");
	ck_assert(has("jump three/3\n") && !has("delete chain"));
	wrong = NULL;
	ck_assert_int_eq(apply(TEXT("four")), 0);
	ck_assert_str_eq(err, "");
	ck_assert(has("delete chain inet vmmd one/1\n"));
	ck_assert(has("delete chain inet vmmd two/2\n"));
	ck_assert(has("delete chain bridge vmmd three/3\n"));
	ck_assert(!has("delete chain inet vmmd four/4\n"));
	/* Once. */
	ck_assert_int_eq(apply(TEXT("five")), 0);
	ck_assert(has("delete chain inet vmmd four/4\n") && !has("one/1"));
}
END_TEST

/* Before that it is, and what was there stays, as does what was added. */
START_TEST(new_stays)
{
	ck_assert_int_eq(fw_load_open(&load, err, sizeof(err)), 0);
	ck_assert_int_eq(apply(TEXT("one")), 0);
	wrong = "two/2";
	ck_assert_int_ne(apply(TEXT("two")), 0);
	ck_assert_str_eq(ran, "");
	wrong = "jump three/3";
	ck_assert_int_ne(apply(TEXT("three")), 0);
	ck_assert(has("delete chain inet vmmd three/3\n"));
	ck_assert(!has("delete chain inet vmmd one/1\n"));
	wrong = "chain inet vmmd four";
	ck_assert_int_ne(apply(TEXT("four")), 0);
	ck_assert(!has("delete chain"));
	wrong = NULL;
	ck_assert_int_eq(apply(TEXT("five")), 0);
	ck_assert(has("delete chain inet vmmd one/1\n"));
	ck_assert(has("delete chain inet vmmd four/4\n"));
	ck_assert(!has("delete chain inet vmmd three/3\n"));
}
END_TEST

/* Where the bridge knows no connections, all of TCP is judged by rules. */
START_TEST(without_bridge_ct)
{
	const char *inet;

	no_bridge_ct = _i == 1;
	ck_assert_int_eq(fw_load_open(&load, err, sizeof(err)), 0);
	ck_assert_int_eq(apply(TEXT("one")), 0);
	inet = strstr(strstr(ran, "table bridge"), "table inet");
	ck_assert_ptr_nonnull(inet);
	ck_assert(strstr(inet, "tcp flags") != NULL);
	ck_assert(strstr(inet, "ct state invalid") != NULL);
	ran[inet - ran] = '\0';
	ck_assert(has("iifname \"a\" drop"));
	ck_assert_int_eq(has("tcp flags"), !no_bridge_ct);
	ck_assert_int_eq(has("ct state established"), !no_bridge_ct);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("fw_load");
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, old_stays);
	tcase_add_test(tc, new_stays);
	tcase_add_loop_test(tc, without_bridge_ct, 0, 2);
	return test_main("fw_load", tc);
}
