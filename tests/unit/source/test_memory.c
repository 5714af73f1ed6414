/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory does not grow with the size of a list: 10,000 Services of ten endpoints, as a real API
 * server writes them, take less than 16 MB above what is kept of them, however they are listed, and
 * less than that when all is listed again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/kube/split.h"
#include "lb/source/kube_kind.h"

#define SERVICES 10000u
#define ENDPOINTS 10u
#define LIMIT_BYTES (16u << 20)
#define CHUNK 16384 /* as libcurl gives what it has read */

/* What nobody reads, and every object has. */
#define IDLE                                                                                       \
	"\"uid\":\"00000000-0000-4000-8000-000000000000\",\"creationTimestamp\":"                  \
	"\"2026-01-01T00:00:00Z\",\"managedFields\":[{\"manager\":\"kube-controller-manager\","    \
	"\"operation\":\"Update\",\"apiVersion\":\"v1\",\"time\":\"2026-01-01T00:00:00Z\","        \
	"\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:addressType\":{},\"f:endpoints\":{},"       \
	"\"f:metadata\":{\"f:labels\":{\".\":{},\"f:kubernetes.io/service-name\":{}}}}}]"

static int print_service(char *text, size_t size, unsigned int s)
{
	return snprintf(text, size,
			"{\"metadata\":{\"name\":\"s%u\",\"namespace\":\"bench\"," IDLE "},"
			"\"spec\":{\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,"
			"\"targetPort\":8080}],\"clusterIP\":\"10.%u.%u.%u\",\"clusterIPs\":"
			"[\"10.%u.%u.%u\"],\"type\":\"ClusterIP\",\"sessionAffinity\":\"None\","
			"\"ipFamilies\":[\"IPv4\"]},\"status\":{\"loadBalancer\":{}}}",
			s, 96 + (s >> 16), s >> 8 & 255, s & 255, 96 + (s >> 16), s >> 8 & 255,
			s & 255);
}

static int print_slice(char *text, size_t size, unsigned int s)
{
	int n = snprintf(text, size,
			 "{\"metadata\":{\"name\":\"s%u-x\",\"namespace\":\"bench\"," IDLE
			 ",\"labels\":{\"kubernetes.io/service-name\":\"s%u\"}},\"addressType\":"
			 "\"IPv4\",\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"port\":8080"
			 "}],\"endpoints\":[",
			 s, s);

	for (unsigned int i = 0; i < ENDPOINTS; i++) {
		const unsigned int e = s * ENDPOINTS + i;

		n += snprintf(text + n, size - (size_t)n,
			      "%s{\"addresses\":[\"100.%u.%u.%u\"],\"conditions\":{\"ready\":true,"
			      "\"serving\":true,\"terminating\":false},\"targetRef\":{\"kind\":"
			      "\"Pod\",\"namespace\":\"bench\",\"name\":\"p%u\"},\"nodeName\":"
			      "\"n%u\",\"zone\":\"zone-a\"}",
			      i ? "," : "", 64 + (e >> 16), e >> 8 & 255, e & 255, e, e % 100);
	}
	return n + snprintf(text + n, size - (size_t)n, "]}");
}

struct feed {
	struct fl_kube_kind *kind;
	struct fl_split split;
	char buffer[CHUNK];
	size_t used;
	size_t most; /* memory in use */
	unsigned int looks;
};

static size_t in_use(void)
{
	const struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* Sanitizers have an allocator of their own. */
static bool is_counted(void)
{
	const size_t before = in_use();
	void *volatile block = malloc(1 << 20);
	const bool counted = in_use() - before >= 1 << 20;

	free(block);
	return counted;
}

/* From /proc/self/status, in KiB: the most there ever was, and what there is. */
static size_t resident_kib(const char *key)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
	size_t kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), ": %zu", &kib);
	return kib;
}

/* The most there was is, from now on, what there is. False: this kernel does not do it. */
static bool reset_peak(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/clear_refs", "we");

	malloc_trim(0);
	return f && fputs("5", f) >= 0 && !fflush(f);
}

static void note(struct feed *feed)
{
	const size_t now = in_use();

	feed->most = now > feed->most ? now : feed->most;
}

/* As a watch takes objects and events out of what it reads. */
static int on_part(const char *text, size_t len, void *arg)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	struct feed *feed = arg;
	const struct fl_value *root;
	struct fl_err err = {""};

	if (fl_doc_parse(text, len, FL_DOC_JSON, &doc, &err))
		fail_msg("%s", err.text);
	root = fl_doc_root(doc);
	if (feed->split.form == FL_SPLIT_STREAM)
		root = fl_value_get(root, "object");
	/* to look at all that is in use takes longer than to parse an object */
	if (feed->looks++ % 32 == 0)
		note(feed);
	return fl_kube_kind_sink.listed(root, feed->kind);
}

static void flush(struct feed *feed)
{
	assert_int_equal(fl_split_feed(&feed->split, feed->buffer, feed->used, on_part, feed), 0);
	feed->used = 0;
}

static void put(struct feed *feed, const char *text, size_t len)
{
	while (len) {
		const size_t room = sizeof(feed->buffer) - feed->used, n = len < room ? len : room;

		memcpy(feed->buffer + feed->used, text, n);
		feed->used += n;
		text += n;
		len -= n;
		if (feed->used == sizeof(feed->buffer))
			flush(feed);
	}
}

static void put_text(struct feed *feed, const char *text)
{
	put(feed, text, strlen(text));
}

/* `page` 0: an answer without an end, as of a server that does not know `limit`. */
static void list(struct feed *feed, enum fl_split_form form, unsigned int page)
{
	char text[8192];

	assert_int_equal(fl_kube_kind_sink.begin(feed->kind), 0);
	fl_split_reset(&feed->split, form);
	for (unsigned int s = 0; s < SERVICES; s++) {
		const bool first = page ? s % page == 0 : s == 0;
		const int n = feed->kind->kind == FL_KIND_SERVICE
				      ? print_service(text, sizeof(text), s)
				      : print_slice(text, sizeof(text), s);

		assert_in_range(n, 1, sizeof(text) - 1);
		if (form == FL_SPLIT_STREAM) {
			put_text(feed, "{\"type\":\"ADDED\",\"object\":");
		} else if (first) {
			if (s) {
				put_text(feed, "]}");
				flush(feed);
				assert_true(fl_split_is_whole(&feed->split));
				fl_split_reset(&feed->split, form);
			}
			put_text(feed, "{\"kind\":\"List\",\"items\":[");
		} else {
			put_text(feed, ",");
		}
		put(feed, text, (size_t)n);
		if (form == FL_SPLIT_STREAM)
			put_text(feed, "}\n");
	}
	if (form == FL_SPLIT_LIST)
		put_text(feed, "]}");
	flush(feed);
	assert_true(fl_split_is_whole(&feed->split));
	fl_split_fini(&feed->split);
	assert_int_equal(fl_kube_kind_sink.complete(feed->kind), 0);
}

/* All kinds take effect together, so both lists wait for it. */
static int on_whole(void *arg)
{
	struct fl_kube_kind *kinds = arg;
	int r = 0;

	for (size_t i = 2; i-- && kinds[0].is_whole && kinds[1].is_whole && !r;) {
		r = fl_kube_kind_apply(&kinds[1]);
		if (!r)
			r = fl_kube_kind_apply(&kinds[0]);
		break;
	}
	return r;
}

static void test_list(enum fl_split_form form, unsigned int page)
{
	const size_t before = in_use();
	struct fl_kube_kind kinds[2] = {0};
	struct fl_definitions *definitions;
	struct feed feed = {0};
	struct fl_store *store;
	size_t kept, kept_first = 0, peak_kib;

	if (!is_counted() || !reset_peak()) {
		fprintf(stderr, "SKIP: allocator or kernel does not say how much is in use\n");
		skip();
	}
	assert_int_equal(fl_store_new("n1", &store), 0);
	assert_int_equal(fl_definitions_new(store, &definitions), 0);
	for (size_t i = 0; i < 2; i++)
		kinds[i] = (struct fl_kube_kind){.kind = i ? FL_KIND_SLICE : FL_KIND_SERVICE,
						 .definitions = definitions,
						 .whole = on_whole,
						 .arg = kinds,
						 .definer = {.path = i ? "slices" : "services"}};
	/* the first list, and the one after a watch has lost its place */
	for (unsigned int round = 0; round < 2; round++) {
		feed.most = 0;
		reset_peak();
		for (size_t i = 0; i < 2; i++) {
			feed.kind = &kinds[i];
			list(&feed, form, page);
			note(&feed);
		}
		kept = in_use();
		assert_int_equal(fl_store_count(store, FL_KIND_SERVICE), SERVICES);
		assert_int_equal(fl_store_count(store, FL_KIND_SLICE), SERVICES);
		peak_kib = resident_kib("VmHWM");
		malloc_trim(0);
		assert_true(kept - before > SERVICES * ENDPOINTS * sizeof(struct fl_endpoint));
		assert_in_range(feed.most, before, kept + LIMIT_BYTES);
		/* what is listed again is not kept again */
		kept_first = round ? kept_first : kept;
		assert_in_range(kept, before, kept_first + LIMIT_BYTES / 64);
		/* what takes effect does so in between; and what cannot be given back counts too */
		assert_in_range(peak_kib, 1, resident_kib("VmRSS") + (LIMIT_BYTES >> 10));
		if (getenv("FL_TEST_VERBOSE"))
			print_message("kept %zu KiB; above that %zd KiB, resident %zd KiB\n",
				      (kept - before) >> 10, (ssize_t)(feed.most - kept) / 1024,
				      (ssize_t)(peak_kib - resident_kib("VmRSS")));
	}
	for (size_t i = 0; i < 2; i++)
		fl_kube_kind_fini(&kinds[i]);
	fl_definitions_free(&definitions);
	fl_store_free(&store);
}

static void test_stream(void **state)
{
	test_list(FL_SPLIT_STREAM, 0);
}

static void test_pages(void **state)
{
	test_list(FL_SPLIT_LIST, 500);
}

/* An old server may give all at once, whatever it was asked for. */
static void test_one_answer(void **state)
{
	test_list(FL_SPLIT_LIST, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_one_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
