/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading a whole file. */
#include "lb/base/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

/* Begin with `room` bytes, but read to the end: the file may have grown since its size was asked
 * for. */
static int read_all(int fd, size_t max, size_t room, char **ret_text, size_t *ret_len,
		    struct fl_err *err)
{
	_cleanup_free_ char *text = malloc(room);
	size_t len = 0;

	if (!text)
		return fl_err_set(err, -ENOMEM, "out of memory");
	for (;;) {
		ssize_t n = read(fd, text + len, room - len - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fl_err_set(err, -errno, "%s", strerror(errno));
		if (!n)
			break;
		len += (size_t)n;
		if (len > max)
			return fl_err_set(err, -E2BIG, "larger than the limit of %zu bytes", max);
		if (len + 1 == room && FL_ARRAY_ROOM(text, room, room + 1))
			return fl_err_set(err, -ENOMEM, "out of memory");
	}
	text[len] = '\0';
	*ret_text = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

int fl_read_stream(int fd, size_t max, char **ret_text, size_t *ret_len, struct fl_err *err)
{
	return read_all(fd, max, 65536, ret_text, ret_len, err);
}

int fl_read_file(const char *path, size_t max, char **ret_text, size_t *ret_len,
		 struct stat *ret_stat, struct fl_err *err)
{
	/* O_NONBLOCK: opening a FIFO for reading would wait for a writer */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fl_err_set(err, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fl_err_set(err, -EINVAL, "not a regular file");
	if (st.st_size > 0 && (size_t)st.st_size > max)
		return fl_err_set(err, -E2BIG, "larger than the limit of %zu bytes", max);
	if (ret_stat)
		*ret_stat = st;
	/* room for the NUL, and for one byte more so that the end is seen without growing */
	return read_all(fd, max, (size_t)st.st_size + 2, ret_text, ret_len, err);
}
