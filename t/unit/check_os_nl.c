/* SPDX-License-Identifier: ISC */
/*
 * Errors of requests to rtnetlink, from the kernel and from who collects what
 * it tells.
 */
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <errno.h>

#include "net/os_nl_linux.h"
#include "testhost.h"

static int
says(uint16_t type, const void *payload, size_t len)
{
	char room[256] __attribute__((__aligned__(8)));
	struct nlmsghdr *n = mnl_nlmsg_put_header(room);

	n->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(n, len), payload, len);
	n->nlmsg_len = (uint32_t)(NLMSG_HDRLEN + len);
	return os_nl_error(n);
}

START_TEST(errors)
{
	struct nlmsgerr e = { .error = -ENODEV };
	int error = -ENOBUFS, none = 0, odd = 5;

	ck_assert_int_eq(says(NLMSG_ERROR, &e, sizeof(e)), -ENODEV);
	ck_assert_int_eq(says(NLMSG_ERROR, &e, 3), -EPROTO);
	ck_assert_int_eq(says(NLMSG_DONE, &error, 4), -ENOBUFS);
	ck_assert_int_eq(says(NLMSG_DONE, &none, 4), 0);
	ck_assert_int_eq(says(NLMSG_DONE, &none, 0), 0);
	ck_assert_int_eq(says(NLMSG_DONE, &odd, 4), -EPROTO);
}
END_TEST

static int
no_room(const struct nlmsghdr *n, void *cookie)
{
	(void)n;
	++*(unsigned *)cookie;
	return -ENOMEM;
}

/* The dump has failed at its first message; the next request has its own. */
START_TEST(nobody_collects)
{
	struct nlmsghdr *n;
	struct os_view v;
	unsigned calls = 0;
	struct os *o;
	size_t i;

	ck_assert_int_eq(os_open(&o), 0);
	n = os_nl_begin(o, RTM_GETADDR, 0);
	mnl_nlmsg_put_extra_header(n, sizeof(struct ifaddrmsg));
	ck_assert_int_eq(os_nl_dump(o, n, NULL, NULL), 0);
	n = os_nl_begin(o, RTM_GETLINK, 0);
	os_nl_put_getlink(n, 0);
	ck_assert_int_eq(os_nl_dump(o, n, no_room, &calls), -ENOMEM);
	ck_assert_uint_eq(calls, 1);
	ck_assert_int_eq(os_view_get(o, &v), 0);
	for (i = 0; i < v.nlinks; i++)
		if (v.links[i].index == (int)if_nametoindex("lo"))
			break;
	ck_assert_uint_lt(i, v.nlinks);
	os_view_free(&v);
	os_close(o);
}
END_TEST

int
main(void)
{
	TCase *tc = tcase_create("os_nl");

	tcase_add_test(tc, errors);
	tcase_add_test(tc, nobody_collects);
	return test_main("os_nl", tc);
}
