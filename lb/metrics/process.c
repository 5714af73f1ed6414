/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The usual metrics of a process, from /proc. Where that is not mounted there are none. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/metrics/facts.h"

#define FIELDS 24 /* of /proc/self/stat that are looked at; the first is 1 */

/* The fields behind the name, which is in parentheses and may hold anything. */
static bool read_fields(unsigned long long fields[static FIELDS + 1])
{
	_cleanup_close_ int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	char line[1024], *rest;
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (n <= 0)
		return false;
	line[n] = '\0';
	rest = strrchr(line, ')');
	if (!rest || strlen(rest) < 4)
		return false;
	rest += 4; /* ") S " */
	for (int i = 4; i <= FIELDS; i++) {
		char *end;

		fields[i] = strtoull(rest, &end, 10);
		if (end == rest)
			return false;
		rest = end;
	}
	return true;
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", "..", and the one that looks */
}

void fl_metrics_process_read(struct fl_metrics_process *ret_process)
{
	const long hz = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
	unsigned long long fields[FIELDS + 1] = {0};

	if (hz <= 0 || page <= 0 || !read_fields(fields)) {
		ret_process->known = false;
		return;
	}
	ret_process->known = true;
	ret_process->cpu_s = (double)(fields[14] + fields[15]) / (double)hz;
	ret_process->virtual_bytes = fields[23];
	ret_process->resident_bytes = fields[24] * (unsigned long long)page;
	ret_process->fds = count_fds();
}
