/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Input and outputs are files in memory, so that no end waits for another, however long a text is.
 */
#include "tools/run.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lb/base/cleanup.h"

#define SAID_MAX 300 /* bytes of what a program says when it fails */

extern char **environ;

static int file_with(const char *name, const char *text)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC);
	size_t len = text ? strlen(text) : 0;

	if (fd < 0)
		return -errno;
	for (ssize_t n; len; text += n, len -= (size_t)n) {
		n = write(fd, text, len);
		if (n < 0)
			return -errno;
	}
	if (lseek(fd, 0, SEEK_SET))
		return -errno;
	return TAKE_FD(fd);
}

/* All of it, with a NUL behind. */
static char *text_of(int fd, size_t most)
{
	struct stat st;
	size_t len;
	char *text;

	if (fstat(fd, &st))
		return NULL;
	len = (size_t)st.st_size < most ? (size_t)st.st_size : most;
	text = malloc(len + 1);
	for (size_t at = 0; text && at < len;) {
		ssize_t n = pread(fd, text + at, len - at, (off_t)at);

		if (n <= 0)
			len = at;
		else
			at += (size_t)n;
	}
	if (text)
		text[len] = '\0';
	return text;
}

static int spawn(const char *const argv[], const int fds[3], pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	for (int i = 0; i < 3 && !r; i++)
		r = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	if (!r)
		r = posix_spawnp(ret_pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int fl_run(const char *const argv[], const char *input, char **ret_output, struct fl_err *err)
{
	_cleanup_close_ int in = file_with("input", input), out = file_with("output", NULL),
			    said = file_with("errors", NULL);
	_cleanup_free_ char *words = NULL;
	char *output;
	int status, r;
	pid_t pid;

	if (in < 0 || out < 0 || said < 0)
		return fl_err_set(err, -ENOMEM, "cannot run %s: no memory", argv[0]);
	r = spawn(argv, (const int[]){in, out, said}, &pid);
	if (r)
		return fl_err_set(err, r, "cannot run %s: %s", argv[0], strerror(-r));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fl_err_set(err, -errno, "cannot wait for %s: %s", argv[0],
					  strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		words = text_of(said, SAID_MAX);
		return fl_err_set(err, -EIO, "%s failed: %s", argv[0],
				  words && *words ? words : "it did not say why");
	}
	output = text_of(out, SIZE_MAX);
	if (!output)
		return fl_err_set(err, -ENOMEM, "no memory");
	*ret_output = output;
	return 0;
}
