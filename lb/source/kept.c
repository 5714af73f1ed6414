/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes are synchronous (O_DSYNC), so that no fsync(2) has to be let through to an agent that
 * serves, and each takes no longer than its chunk.
 */
#include "lb/source/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/base/read_file.h"

struct fl_kept_writer {
	char *path, *beside;
	int fd;
	XXH64_state_t *sum;
	char *buffer;
	size_t used;
	uint64_t bytes, objects;
	bool committed;
};

static void json_freep(struct fl_json **json)
{
	fl_json_free(json);
}

void fl_kept_writer_free(struct fl_kept_writer **writer)
{
	struct fl_kept_writer *w = TAKE_PTR(*writer);

	if (!w)
		return;
	fl_closep(&w->fd);
	if (w->beside && !w->committed)
		unlink(w->beside);
	if (w->sum)
		XXH64_freeState(w->sum);
	free(w->path);
	free(w->beside);
	free(w->buffer);
	free(w);
}

static int put(struct fl_kept_writer *w, const char *data, size_t len, struct fl_err *err)
{
	while (len) {
		const ssize_t n = write(w->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fl_err_set(err, n ? -errno : -EIO, "cannot write %s: %s", w->beside,
					  strerror(n ? errno : EIO));
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int flush(struct fl_kept_writer *w, struct fl_err *err)
{
	const size_t n = w->used;

	w->used = 0;
	return put(w, w->buffer, n, err);
}

/* A line that is larger than the buffer goes out by itself. */
static int add(struct fl_kept_writer *w, const char *text, size_t len, bool *ret_wrote,
	       struct fl_err *err)
{
	int r = 0;

	w->bytes += len;
	if (w->bytes > FL_KEPT_MAX_BYTES)
		return fl_err_set(err, -E2BIG, "%s would be larger than %u MB", w->path,
				  FL_KEPT_MAX_BYTES >> 20);
	if (w->used + len > FL_KEPT_CHUNK) {
		*ret_wrote = true;
		r = flush(w, err);
	}
	if (!r && len > FL_KEPT_CHUNK)
		return put(w, text, len, err);
	if (!r) {
		memcpy(w->buffer + w->used, text, len);
		w->used += len;
	}
	return r;
}

static int add_line(struct fl_kept_writer *w, const char *line, size_t len, bool *ret_wrote,
		    struct fl_err *err)
{
	int r;

	XXH64_update(w->sum, line, len);
	XXH64_update(w->sum, "\n", 1);
	r = add(w, line, len, ret_wrote, err);
	return r ? r : add(w, "\n", 1, ret_wrote, err);
}

int fl_kept_writer_add(struct fl_kept_writer *writer, const char *line, size_t len, bool *ret_wrote,
		       struct fl_err *err)
{
	writer->objects++;
	return add_line(writer, line, len, ret_wrote, err);
}

static int add_head(struct fl_kept_writer *w, const struct fl_kept_owner *owner, int64_t unix_s,
		    struct fl_err *err)
{
	_cleanup_(json_freep) struct fl_json *json = fl_json_new(false);
	bool wrote;
	const char *text;
	size_t len;

	fl_json_object_begin(json);
	fl_json_member_string(json, "kind", "FairleadState");
	fl_json_member_int(json, "version", FL_KEPT_VERSION);
	fl_json_member_string(json, "node", owner->node);
	fl_json_member_string(json, "server", owner->server);
	fl_json_member_int(json, "written", unix_s);
	fl_json_object_end(json);
	text = fl_json_text(json, &len);
	return text ? add_line(w, text, len, &wrote, err)
		    : fl_err_set(err, -ENOMEM, "out of memory");
}

int fl_kept_writer_new(const char *path, const struct fl_kept_owner *owner, int64_t unix_s,
		       struct fl_kept_writer **ret_writer, struct fl_err *err)
{
	_cleanup_(fl_kept_writer_free) struct fl_kept_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return fl_err_set(err, -ENOMEM, "out of memory");
	w->fd = -1;
	w->path = strdup(path);
	w->buffer = malloc(FL_KEPT_CHUNK);
	w->sum = XXH64_createState();
	if (!w->path || !w->buffer || !w->sum || asprintf(&w->beside, "%s.new", path) < 0) {
		w->beside = NULL;
		return fl_err_set(err, -ENOMEM, "out of memory");
	}
	XXH64_reset(w->sum, 0);
	w->fd = open(w->beside,
		     O_WRONLY | O_CREAT | O_TRUNC | O_DSYNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		     0600);
	if (w->fd < 0)
		return fl_err_set(err, -errno, "cannot write %s: %s", w->beside, strerror(errno));
	r = add_head(w, owner, unix_s, err);
	if (!r)
		*ret_writer = TAKE_PTR(w);
	return r;
}

int64_t fl_kept_writer_commit(struct fl_kept_writer *w, struct fl_err *err)
{
	char text[100];
	bool wrote;
	const int len = snprintf(text, sizeof(text),
				 "{\"objects\":%" PRIu64 ",\"checksum\":\"%016" PRIx64 "\"}\n",
				 w->objects, (uint64_t)XXH64_digest(w->sum));
	int r = add(w, text, (size_t)len, &wrote, err);

	if (!r)
		r = flush(w, err);
	if (!r && rename(w->beside, w->path))
		r = fl_err_set(err, -errno, "cannot replace %s: %s", w->path, strerror(errno));
	if (r)
		return r;
	w->committed = true;
	return (int64_t)w->bytes;
}

/* Reading */

struct kept_text {
	char *text;
	size_t len, tail; /* where the last line begins */
};

static int parse(const char *line, size_t len, struct fl_doc **ret_doc)
{
	struct fl_err none = {""};

	return fl_doc_parse(line, len, FL_DOC_JSON, ret_doc, &none);
}

/* Whole: it ends with the checksum of all before, and has as many lines. */
static bool is_whole(const struct kept_text *kept)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	const struct fl_value *root;
	const char *sum;
	int64_t objects, lines = 0;
	char text[20];

	if (parse(kept->text + kept->tail, kept->len - kept->tail, &doc))
		return false;
	root = fl_doc_root(doc);
	sum = fl_value_string(fl_value_get(root, "checksum"));
	if (!sum || !fl_value_int(fl_value_get(root, "objects"), &objects))
		return false;
	for (size_t i = 0; i < kept->tail; i++)
		lines += kept->text[i] == '\n';
	snprintf(text, sizeof(text), "%016" PRIx64, (uint64_t)XXH64(kept->text, kept->tail, 0));
	return lines == objects + 1 && !strcmp(text, sum);
}

/* Its first line: of which version, and of whom. */
static int check_head(const char *path, const char *line, size_t len,
		      const struct fl_kept_owner *owner, int64_t *ret_unix_s, struct fl_err *err)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	const struct fl_value *root;
	const char *node, *server;
	int64_t version = 0;

	if (parse(line, len, &doc))
		return fl_err_set(err, -EBADMSG, "%s is damaged", path);
	root = fl_doc_root(doc);
	if (!fl_value_int(fl_value_get(root, "version"), &version) || version != FL_KEPT_VERSION)
		return fl_err_set(err, -EBADMSG, "%s is of version %lld, not %d", path,
				  (long long)version, FL_KEPT_VERSION);
	node = fl_value_string(fl_value_get(root, "node"));
	server = fl_value_string(fl_value_get(root, "server"));
	if (!node || strcmp(node, owner->node))
		return fl_err_set(err, -EBADMSG, "%s is of node %s", path, node ? node : "?");
	if (!server || strcmp(server, owner->server))
		return fl_err_set(err, -EBADMSG, "%s is of API server %s", path,
				  server ? server : "?");
	return fl_value_int(fl_value_get(root, "written"), ret_unix_s)
		       ? 0
		       : fl_err_set(err, -EBADMSG, "%s is damaged", path);
}

static int each_line(const char *path, const struct kept_text *kept, size_t at,
		     int (*fn)(const struct fl_value *object, void *arg), void *arg,
		     struct fl_err *err)
{
	while (at < kept->tail) {
		_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
		const char *line = kept->text + at;
		const size_t len = strcspn(line, "\n");
		int r = parse(line, len, &doc);

		if (r == -ENOMEM)
			return fl_err_set(err, r, "out of memory");
		if (r)
			return fl_err_set(err, -EBADMSG, "%s is damaged", path);
		r = fn(fl_doc_root(doc), arg);
		if (r)
			return r;
		at += len + 1;
	}
	return 0;
}

int fl_kept_read(const char *path, const struct fl_kept_owner *owner,
		 int (*fn)(const struct fl_value *object, void *arg), void *arg,
		 int64_t *ret_unix_s, struct fl_err *err)
{
	_cleanup_free_ char *text = NULL;
	struct kept_text kept = {0};
	size_t head;
	int r = fl_read_file(path, FL_KEPT_MAX_BYTES + 1, &text, &kept.len, NULL, err);

	if (r)
		return fl_err_wrap(err, r, "cannot read %s", path);
	kept.text = text;
	/* a NUL ends what is looked at as text: then the checksum is of something else */
	if (strlen(text) != kept.len || kept.len < 2 || text[kept.len - 1] != '\n')
		return fl_err_set(err, -EBADMSG, "%s is damaged", path);
	for (kept.tail = kept.len - 1; kept.tail && text[kept.tail - 1] != '\n';)
		kept.tail--;
	if (!kept.tail || !is_whole(&kept))
		return fl_err_set(err, -EBADMSG, "%s is damaged", path);
	head = strcspn(text, "\n");
	r = check_head(path, text, head, owner, ret_unix_s, err);
	return r ? r : each_line(path, &kept, head + 1, fn, arg, err);
}
