/* SPDX-License-Identifier: ISC */
/*
 * svm_refusal() over every machine: with and without SVM and nested paging,
 * and with every VM_CR; svm_features() over every bit.  Emulators show few of
 * these.
 */
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/svm_caps.h"

#define SVM	SVM_CAPS_ECX_SVM
#define NPT	SVM_CAPS_EDX_NPT
#define LOCK	SVM_CAPS_VM_CR_LOCK
#define SVMDIS	SVM_CAPS_VM_CR_SVMDIS

static bool
says(const char *why, const char *word)
{
	return (why != NULL && strstr(why, word) != NULL);
}

/* The bits are those of the manual. */
START_TEST(test_bits)
{
	ck_assert_uint_eq(SVM, 0x4);
	ck_assert_uint_eq(NPT, 0x1);
	ck_assert_uint_eq(LOCK, 0x8);
	ck_assert_uint_eq(SVMDIS, 0x10);
}
END_TEST

/* Only SVM, nested paging and a clear SVMDIS will do, whatever else is set. */
START_TEST(test_every_machine)
{
	unsigned ecx, edx;
	unsigned vm_cr;
	bool able;

	for (ecx = 0; ecx < 16; ecx++)
		for (edx = 0; edx < 4; edx++)
			for (vm_cr = 0; vm_cr < 64; vm_cr++) {
				able = (ecx & 4) && (edx & 1) &&
				    !(vm_cr & 16);
				ck_assert_int_eq(able,
				    svm_refusal(ecx, edx, vm_cr) == NULL);
			}
	ck_assert_ptr_null(svm_refusal(~0U, ~0U, ~(unsigned long long)SVMDIS));
	ck_assert_ptr_nonnull(svm_refusal(~SVM, ~0U, 0));
	ck_assert_ptr_nonnull(svm_refusal(~0U, ~NPT, 0));
	ck_assert_ptr_nonnull(svm_refusal(~0U, ~0U, SVMDIS));
}
END_TEST

/* Each names its own cause and what to do about it. */
START_TEST(test_remedies)
{
	ck_assert(says(svm_refusal(0, 0, 0), "nested virtualization"));
	ck_assert(says(svm_refusal(0, NPT, SVMDIS | LOCK), "no AMD-V"));
	ck_assert(says(svm_refusal(SVM, NPT, SVMDIS | LOCK), "firmware"));
	ck_assert(says(svm_refusal(SVM, NPT, SVMDIS | LOCK), "BIOS setup"));
	ck_assert(says(svm_refusal(SVM, NPT, SVMDIS), "VM_CR.SVMDIS"));
	ck_assert(!says(svm_refusal(SVM, NPT, SVMDIS | LOCK), "VM_CR"));
	ck_assert(says(svm_refusal(SVM, 0, 0), "nested paging"));
	/* Without nested paging, what is switched off is said first. */
	ck_assert(says(svm_refusal(SVM, 0, SVMDIS), "disabled"));
}
END_TEST

/* A lock that leaves SVM on is no obstacle. */
START_TEST(test_locked_on)
{
	ck_assert_ptr_null(svm_refusal(SVM, NPT, LOCK));
	ck_assert_ptr_null(svm_refusal(SVM, NPT, 0));
}
END_TEST

/* What is used is what there is, of what we know; bits as in the manual. */
START_TEST(test_features)
{
	unsigned i, edx;

	ck_assert_uint_eq(SVM_CAPS_EDX_NRIPS, 0x8);
	ck_assert_uint_eq(SVM_CAPS_EDX_CLEAN, 0x20);
	ck_assert_uint_eq(SVM_CAPS_EDX_FLUSH_ASID, 0x40);
	ck_assert_uint_eq(SVM_CAPS_EDX_DECODE, 0x80);
	ck_assert_uint_eq(SVM_CAPS_EDX_PAUSE, 0x400);
	ck_assert_uint_eq(SVM_CAPS_EDX_NEAR, 0x1000);
	for (i = 0; i < 32; i++) {
		edx = 1U << i;
		ck_assert_uint_eq(svm_features(edx), edx & 0xe8);
		ck_assert_uint_eq(svm_features(~edx),
		    ~edx & (i == 12 ? 0xe8 : 0x4e8));
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("svm_caps");
	TCase *tc = tcase_create("svm_caps");
	SRunner *sr;
	int failed;

	tcase_add_test(tc, test_bits);
	tcase_add_test(tc, test_every_machine);
	tcase_add_test(tc, test_remedies);
	tcase_add_test(tc, test_locked_on);
	tcase_add_test(tc, test_features);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return (failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
