// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Walks over maps: those of a made-up kernel without batches or with a full bucket, and, where that
 * is allowed, those of the real one. */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lb/dp/map_each.h"

#define MAX 8192

static struct {
	uint32_t type;
	int batch_error;    /* of every batch */
	uint32_t at_once;   /* elements that a bucket holds; smaller batches get -ENOSPC */
	bool there[MAX];    /* the elements: key i, value 3 * i */
	bool restarts;	    /* each key is gone before what follows it is asked for */
	size_t batch_calls; /* with success */
} fake;

static struct {
	int fd; /* -1: the map is `fake` */
	unsigned int seen[MAX];
	size_t n, stop_at;
	bool deletes;
} visit;

static int fake_info(int fd, uint32_t *ret_type, uint32_t *ret_key_size, uint32_t *ret_value_size,
		     uint32_t *ret_max_entries)
{
	*ret_type = fake.type;
	*ret_key_size = *ret_value_size = sizeof(uint32_t);
	*ret_max_entries = MAX;
	return 0;
}

static int fake_batch(int fd, const void *from, void *ret_next, void *keys, void *values,
		      uint32_t *count)
{
	uint32_t at = from ? *(const uint32_t *)from : 0, n = 0, *key = keys, *value = values;

	if (fake.batch_error)
		return fake.batch_error;
	if (*count < fake.at_once) {
		*count = 0;
		return -ENOSPC;
	}
	fake.batch_calls++;
	for (; at < MAX && n < *count; at++) {
		if (!fake.there[at])
			continue;
		key[n] = at;
		value[n++] = 3 * at;
	}
	*(uint32_t *)ret_next = at;
	*count = n;
	return at == MAX ? -ENOENT : 0;
}

static int fake_next_key(int fd, const void *key, void *ret_next)
{
	uint32_t at = key && !fake.restarts ? *(const uint32_t *)key : MAX;

	for (at = at < MAX && fake.there[at] ? at + 1 : 0; at < MAX; at++) {
		if (fake.there[at]) {
			*(uint32_t *)ret_next = at;
			return 0;
		}
	}
	return -ENOENT;
}

static int fake_lookup(int fd, const void *key, void *ret_value)
{
	uint32_t at = *(const uint32_t *)key;

	*(uint32_t *)ret_value = 3 * at;
	return fake.there[at] ? 0 : -ENOENT;
}

static const struct fl_map_calls calls = {fake_info, fake_batch, fake_next_key, fake_lookup};

static int on_element(const void *key, const void *value, void *arg)
{
	uint32_t k = *(const uint32_t *)key;

	assert_ptr_equal(arg, &visit);
	assert_in_range(k, 0, MAX - 1);
	assert_int_equal(*(const uint32_t *)value, 3 * k);
	visit.seen[k]++;
	if (visit.deletes && visit.fd < 0)
		fake.there[k] = false;
	else if (visit.deletes)
		assert_int_equal(bpf_map_delete_elem(visit.fd, key), 0);
	return ++visit.n == visit.stop_at ? 77 : 0;
}

static int walk(void)
{
	memset(visit.seen, 0, sizeof(visit.seen));
	visit.n = 0;
	return visit.fd < 0 ? fl_map_each_by(&calls, -1, on_element, &visit)
			    : fl_map_each(visit.fd, on_element, &visit);
}

static void expect_each_once(size_t n)
{
	assert_int_equal(visit.n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(visit.seen[i], 1);
}

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	memset(&visit, 0, sizeof(visit));
	visit.fd = -1;
	fake.type = BPF_MAP_TYPE_HASH;
	return 0;
}

static void fill_fake(size_t n)
{
	memset(fake.there, 0, sizeof(fake.there));
	memset(fake.there, true, n);
}

static void test_batches_see_each_element_once(void **state)
{
	for (size_t n = 0; n <= 6000; n += 3000) {
		fill_fake(n);
		assert_int_equal(walk(), 0);
		expect_each_once(n);
	}
	assert_true(fake.batch_calls < 6);
}

static void test_a_bucket_larger_than_the_buffer(void **state)
{
	fake.at_once = 5000;
	fill_fake(6000);
	assert_int_equal(walk(), 0);
	expect_each_once(6000);
	fake.at_once = UINT32_MAX;
	assert_int_equal(walk(), -ENOSPC);
}

static void test_without_batches_by_keys(void **state)
{
	static const int errors[] = {-EINVAL, -EOPNOTSUPP, -524};

	fill_fake(300);
	for (size_t i = 0; i < 3; i++) {
		fake.batch_error = errors[i];
		assert_int_equal(walk(), 0);
		expect_each_once(300);
	}
	fake.batch_error = -EPERM;
	assert_int_equal(walk(), -EPERM);
	assert_int_equal(visit.n, 0);
}

static void test_an_lpm_trie_is_walked_by_keys(void **state)
{
	fake.type = BPF_MAP_TYPE_LPM_TRIE;
	fill_fake(300);
	assert_int_equal(walk(), 0);
	expect_each_once(300);
	assert_int_equal(fake.batch_calls, 0);
}

static void test_elements_may_be_deleted(void **state)
{
	visit.deletes = true;
	for (int batches = 0; batches < 2; batches++) {
		fake.batch_error = batches ? 0 : -EINVAL;
		fill_fake(6000);
		assert_int_equal(walk(), 0);
		expect_each_once(6000);
		assert_int_equal(walk(), 0);
		assert_int_equal(visit.n, 0);
	}
}

static void test_what_fn_returns_ends_the_walk(void **state)
{
	visit.stop_at = 2;
	fill_fake(300);
	for (int batches = 0; batches < 2; batches++) {
		fake.batch_error = batches ? 0 : -EINVAL;
		assert_int_equal(walk(), 77);
		assert_int_equal(visit.n, 2);
	}
}

static void test_a_walk_that_others_lead_in_circles_ends(void **state)
{
	fake.batch_error = -EINVAL;
	fake.restarts = true;
	fill_fake(3);
	assert_int_equal(walk(), -EAGAIN);
}

static void test_a_value_per_processor_is_refused(void **state)
{
	fake.type = BPF_MAP_TYPE_PERCPU_ARRAY;
	assert_int_equal(walk(), -EOPNOTSUPP);
}

static void test_maps_of_the_kernel(void **state)
{
	static const enum bpf_map_type types[] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH,
						  BPF_MAP_TYPE_ARRAY};

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		bool fixed = types[t] == BPF_MAP_TYPE_ARRAY;
		const uint32_t n = fixed ? MAX : 6000;

		/* an LRU map gives up elements before it is full */
		visit.fd = bpf_map_create(types[t], "fl_test", 4, 4, fixed ? MAX : 4 * MAX, NULL);
		if (visit.fd < 0 && errno == EPERM) {
			print_message("SKIP: making BPF maps needs CAP_BPF\n");
			skip();
		}
		assert_true(visit.fd >= 0);
		for (uint32_t k = 0, v = 0; k < n; k++, v += 3)
			assert_int_equal(bpf_map_update_elem(visit.fd, &k, &v, 0), 0);
		visit.deletes = false;
		assert_int_equal(walk(), 0);
		expect_each_once(n);
		visit.deletes = !fixed;
		assert_int_equal(walk(), 0);
		expect_each_once(n);
		assert_int_equal(walk(), 0);
		assert_int_equal(visit.n, fixed ? n : 0);
		close(visit.fd);
	}
	assert_true(fl_map_each(-1, on_element, &visit) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_batches_see_each_element_once, setup),
		cmocka_unit_test_setup(test_a_bucket_larger_than_the_buffer, setup),
		cmocka_unit_test_setup(test_without_batches_by_keys, setup),
		cmocka_unit_test_setup(test_an_lpm_trie_is_walked_by_keys, setup),
		cmocka_unit_test_setup(test_elements_may_be_deleted, setup),
		cmocka_unit_test_setup(test_what_fn_returns_ends_the_walk, setup),
		cmocka_unit_test_setup(test_a_walk_that_others_lead_in_circles_ends, setup),
		cmocka_unit_test_setup(test_a_value_per_processor_is_refused, setup),
		cmocka_unit_test_setup(test_maps_of_the_kernel, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
