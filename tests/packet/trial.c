// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Feeding packets, and comparing what comes out with what should. */
#include "tests/packet/trial.h"

#include "conntrack/entry.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lb/api/view.h"
#include "lb/base/cleanup.h"
#include "tests/packet/fields.h"
#include "tests/packet/packet.h"

static const char *const counter_names[FL_COUNTER_MAX] = {
#define X(name, token, text) [FL_REASON_##name] = token,
	FL_REASONS(X)
#undef X
#define X(name, token, text) [FL_COUNTER_##name] = token,
		FL_COUNTERS(X)
#undef X
};

static const char *const outcome_names[] = {
	[PASSED] = "passed to the stack",
	[LEFT] = "left to tc",
	[SENT] = "sent",
	[DROPPED] = "dropped",
	[HELD] = "held",
};

/* Reasons that are counted for packets that were answered by ICMP, not dropped. */
static bool is_answer(uint32_t counter)
{
	return counter == FL_REASON_TOO_BIG || counter == FL_REASON_REJECT_NO_ENDPOINT ||
	       counter == FL_REASON_REJECT_UNKNOWN_PORT || counter == FL_REASON_TTL_EXCEEDED ||
	       counter == FL_REASON_RESET_BACKEND_GONE;
}

/* Failing */

void do_fail(struct trial *t, const char *format, ...)
{
	/* goes with the process, as what a failed test leaves does */
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	va_list args;

	if (!out)
		fail_msg("out of memory");
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fprintf(out, "\n  rule: %s\n  counted:", t->test->rule);
	for (uint32_t c = 0; c < FL_COUNTER_MAX; c++)
		if (plane_counter(t->p, c))
			fprintf(out, " %s %llu", counter_names[c],
				(unsigned long long)plane_counter(t->p, c));
	fclose(out);
	/* its words are shown below "not ok" in TAP too, which those of print_error() are not */
	_assert_true(0, text, t->file, t->line);
	abort();
}

/* Packets in */

static const struct {
	enum dev dev;
	enum network client;
} hook_table[HOOKS] = {
	[HOOK_XDP] = {DEV_EXT0, AT_OUTSIDE},	    [HOOK_XDP_TC] = {DEV_EXT0, AT_OUTSIDE},
	[HOOK_TC_INGRESS] = {DEV_EXT0, AT_OUTSIDE}, [HOOK_POD_INGRESS] = {DEV_POD, AT_POD},
	[HOOK_TC_EGRESS] = {DEV_EXT0, AT_OUTSIDE},  [HOOK_POD_EGRESS] = {DEV_POD, AT_OUTSIDE},
	[HOOK_WIRE] = {DEV_EXT0, AT_OUTSIDE},	    [HOOK_SOCKET] = {DEV_EXT0, AT_EXT0},
	[HOOK_SOCKET_MAPPED] = {DEV_EXT0, AT_EXT0},
};

enum dev hook_dev(enum hook hook)
{
	return hook_table[hook].dev;
}

enum network client_network(enum hook hook)
{
	return hook_table[hook].client;
}

struct packet from_client(const struct trial *t, unsigned int host, uint16_t port)
{
	enum network network = client_network(t->hook);

	return (struct packet){
		.family = t->family,
		.proto = t->proto,
		.src = addr(t->family, network, host),
		.dst = t->to->ip,
		.sport = port,
		.dport = t->to->port,
		.flags = SYN,
		.seq = CLIENT_ISN,
		.ttl = 64,
		.payload = t->proto == IPPROTO_UDP ? 33 : 0,
		.dst_mac = t->p->net->mac[hook_dev(t->hook)],
		.src_mac = t->p->net->gateway_mac[network],
	};
}

struct packet packet_of(const struct trial *t)
{
	return from_client(t, CLIENT_HOST, CLIENT_PORT);
}

static const enum prog progs[HOOKS] = {
	[HOOK_XDP] = PROG_XDP,
	[HOOK_XDP_TC] = PROG_XDP,
	[HOOK_TC_INGRESS] = PROG_TC_INGRESS,
	[HOOK_POD_INGRESS] = PROG_POD_INGRESS,
	[HOOK_TC_EGRESS] = PROG_TC_EGRESS,
	[HOOK_POD_EGRESS] = PROG_POD_EGRESS,
};

static enum outcome outcome_of(struct trial *t, bool xdp)
{
	uint64_t held;

	if (xdp) {
		switch (t->r.verdict) {
		case XDP_PASS:
			return t->r.mark ? LEFT : PASSED;
		case XDP_DROP:
			return DROPPED;
		case XDP_TX:
		case XDP_REDIRECT:
			return SENT;
		}
	} else {
		switch (t->r.verdict) {
		case TC_ACT_UNSPEC:
			return PASSED;
		case TC_ACT_SHOT:
			/* tcx knows no verdict of its own for it */
			held = plane_counter(t->p, FL_COUNTER_FRAGMENT_HELD) - t->held;
			t->held += held;
			return held ? HELD : DROPPED;
		case TC_ACT_REDIRECT:
			return SENT;
		}
	}
	do_fail(t, "the program returned %d, which is none of its verdicts", t->r.verdict);
}

enum outcome do_feed_frame(struct trial *t, enum hook hook, enum dev dev, const struct frame *frame)
{
	bool xdp = hook == HOOK_XDP || hook == HOOK_XDP_TC;

	assert_true(hook < HOOK_WIRE);
	t->in = *frame;
	t->at = hook;
	t->dev = dev;
	run(t->p, progs[hook], dev, frame, &t->r);
	t->outcome = outcome_of(t, xdp);
	t->left += t->outcome == LEFT;
	if (hook == HOOK_XDP_TC && t->outcome == LEFT) {
		run(t->p, PROG_TC_INGRESS, dev, frame, &t->r);
		t->outcome = outcome_of(t, false);
	}
	t->dropped += t->outcome == DROPPED;
	if (t->outcome < DROPPED && frame_sums_right(frame) && !frame_sums_right(&t->r.out))
		do_fail(t, "a checksum that was right is wrong");
	return t->outcome;
}

enum outcome do_feed(struct trial *t, enum hook hook, enum dev dev, const struct packet *packet)
{
	struct frame frame;

	frame_build(packet, &frame);
	return do_feed_frame(t, hook, dev, &frame);
}

/* What must come out */

void do_expect_outcome(struct trial *t, enum outcome outcome)
{
	if (t->outcome != outcome)
		do_fail(t, "verdict: expected %s, got %s (%d)", outcome_names[outcome],
			outcome_names[t->outcome], t->r.verdict);
}

void do_expect_frame(struct trial *t, const struct frame *frame)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool equal;

	if (!out)
		fail_msg("out of memory");
	equal = frames_equal(&t->r.out, frame, out);
	fclose(out);
	if (!equal)
		do_fail(t, "the packet differs:\n%s", text);
}

static void expect_packet(struct trial *t, const struct packet *packet)
{
	struct frame frame;

	frame_build(packet, &frame);
	do_expect_frame(t, &frame);
}

void do_expect_stack(struct trial *t, const struct packet *packet)
{
	do_expect_outcome(t, PASSED);
	expect_packet(t, packet);
}

void do_expect_untouched(struct trial *t)
{
	do_expect_outcome(t, PASSED);
	do_expect_frame(t, &t->in);
}

/* XDP turns a packet round with another verdict than it sends it elsewhere. */
static void expect_way_out(struct trial *t, enum dev dev)
{
	bool xdp = t->at == HOOK_XDP || (t->at == HOOK_XDP_TC && t->r.verdict != TC_ACT_REDIRECT);

	do_expect_outcome(t, SENT);
	if (xdp && t->r.verdict != (dev == t->dev ? XDP_TX : XDP_REDIRECT))
		do_fail(t, "verdict: XDP sends it %s device it came in by",
			dev == t->dev ? "out of another than the" : "out of the");
}

void do_expect_sent(struct trial *t, enum dev dev, const struct packet *packet)
{
	expect_way_out(t, dev);
	expect_packet(t, packet);
}

void do_expect_sent_frame(struct trial *t, enum dev dev, const struct frame *frame)
{
	expect_way_out(t, dev);
	do_expect_frame(t, frame);
}

void do_expect_left(struct trial *t)
{
	do_expect_outcome(t, LEFT);
	if (t->r.mark != MARK_FOR_TC)
		do_fail(t, "mark for tc: expected %#x, got %#x", MARK_FOR_TC, t->r.mark);
	do_expect_frame(t, &t->in);
}

static void expect_one_more(struct trial *t, enum fl_reason reason)
{
	do_expect_counter(t, reason, t->expected[reason] + 1);
}

void do_expect_drop(struct trial *t, enum fl_reason reason)
{
	do_expect_outcome(t, DROPPED);
	expect_one_more(t, reason);
	t->not_answered += is_answer(reason);
}

void do_expect_answer(struct trial *t, const struct packet *asked, enum icmp_kind kind,
		      uint32_t mtu, enum fl_reason reason)
{
	struct frame want;

	expect_way_out(t, t->dev);
	frame_build_icmp(asked, kind, mtu, &want);
	do_expect_frame(t, &want);
	expect_one_more(t, reason);
}

void do_expect_reset(struct trial *t, const struct packet *asked)
{
	struct frame want;

	expect_way_out(t, t->dev);
	frame_build_reset(asked, &want);
	do_expect_frame(t, &want);
	expect_one_more(t, FL_REASON_RESET_BACKEND_GONE);
}

void do_expect_counter(struct trial *t, uint32_t counter, uint64_t n)
{
	uint64_t got = plane_counter(t->p, counter);

	t->expected[counter] = n;
	t->looked_at[counter] = true;
	if (got != n)
		do_fail(t, "counter %s: expected %llu, got %llu", counter_names[counter],
			(unsigned long long)n, (unsigned long long)got);
}

void allow_counter(struct trial *t, uint32_t counter)
{
	t->allowed[counter] = true;
}

struct fl_flow do_expect_flow(struct trial *t, const struct packet *packet)
{
	struct fl_flow flow;

	if (!find_flow(t->p, packet, &flow))
		do_fail(t, "the packet has left no flow");
	if (!flow.reply_known)
		do_fail(t, "the flow has no entry for replies");
	if (flow.flags & FL_FLOW_IS_REPLY || !(flow.reply_flags & FL_FLOW_IS_REPLY))
		do_fail(t, "flags of the flow: original %#x, reply %#x", flow.flags,
			flow.reply_flags);
	return flow;
}

void do_expect_no_flow(struct trial *t, const struct packet *packet)
{
	struct fl_flow flow;

	if (find_flow(t->p, packet, &flow))
		do_fail(t, "there is a flow (%s) where none should be",
			fl_flow_state_name(flow.state));
}

void do_expect_flows(struct trial *t, size_t n)
{
	size_t got = plane_count(t->p, t->family);

	if (got != n)
		do_fail(t, "flows in the table: expected %zu, got %zu", n, got);
}

void do_expect_address(struct trial *t, const char *what, const struct fl_ip *got,
		       const struct fl_ip *want)
{
	char a[FL_IP_STRLEN], b[FL_IP_STRLEN];

	if (!fl_ip_equal(got, want))
		do_fail(t, "%s: expected %s, got %s", what, fl_ip_format(want, a),
			fl_ip_format(got, b));
}

/* Around a test */

void serve(struct trial *t, struct scene scene)
{
	scene.family = t->family;
	scene.proto = t->proto;
	scene.network = t->network;
	scene_set(t->p, &scene, t->fe);
}

void trial_begin(struct trial *t)
{
	plane_reset(t->p);
	if (!t->test->no_service)
		serve(t, t->test->scene);
}

/* What is counted may be a matter of course in these; all others stay zero unless expected. */
static bool may_count(uint32_t counter)
{
	switch (counter) {
	case FL_COUNTER_FLOW_NEW:
	case FL_COUNTER_FIB_LOOKUP:
	case FL_COUNTER_TO_TC: /* compared with the verdicts */
	case FL_COUNTER_SOCKET_CONNECT:
	case FL_COUNTER_SOCKET_SEND:
	case FL_COUNTER_ICMP_ERROR:
	case FL_COUNTER_ECHO:
		return true;
	default:
		return false;
	}
}

/*
 * Where newcomers have evicted, halves of flows that had proved nothing may be left: as many as
 * there are entries of such, but for the originals of UDP, which never go without their replies.
 */
static size_t may_be_lone(const struct trial *t)
{
	struct fl_flow_table table = plane_flows(t->p);
	size_t slots = fl_entry_slots(&table, t->family), n = 0;
	struct fl_entry entry, twin;

	if (!plane_counter(t->p, FL_COUNTER_FLOW_EVICTED))
		return 0;
	for (uint32_t slot = 0; slot < slots; slot++)
		n += fl_entry_read(&table, t->family, slot, &entry) &&
		     !fl_entry_twin(&table, t->family, slot, &entry, &twin) &&
		     fl_flow_state(entry.head.word) < FL_FLOW_ESTABLISHED &&
		     (entry.head.proto == IPPROTO_TCP || entry.head.flags & FL_FLOW_IS_REPLY);
	return n;
}

void trial_end(struct trial *t)
{
	struct fl_flow_table table = plane_flows(t->p);
	struct fl_flow_counts counts;
	uint64_t drops = 0;

	for (uint32_t c = 0; c < FL_COUNTER_MAX; c++) {
		if (!t->allowed[c] && (t->looked_at[c] || !may_count(c)))
			do_expect_counter(t, c, t->expected[c]);
		if (c < FL_REASON_MAX && !is_answer(c))
			drops += plane_counter(t->p, c);
	}
	drops += t->not_answered;
	if (drops != t->dropped)
		do_fail(t, "%llu packets were dropped, %llu drops counted",
			(unsigned long long)t->dropped, (unsigned long long)drops);
	if (t->hook < HOOK_WIRE)
		do_expect_counter(t, FL_COUNTER_TO_TC, t->left);
	fl_flow_count(&table, &counts);
	if (counts.lone > may_be_lone(t) && !t->test->forged)
		do_fail(t, "%zu flow entries without their twin", counts.lone);
}
