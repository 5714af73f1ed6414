/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A read lease is granted only on a file that nobody has open for writing, and a writable mapping
 * counts as that for as long as it lasts. It ends with the descriptor, at once; a program that
 * opens the file for writing in between waits for that instant. Leases are for a file's owner, and
 * for CAP_LEASE.
 */
#include "lb/source/writers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/vfs.h>

#include "lb/base/cleanup.h"

bool fl_is_remote(int fd)
{
	/* as in <linux/magic.h>, which does not have all of them */
	static const unsigned int magics[] = {
		0x6969,	    /* NFS */
		0x517b,	    /* SMB */
		0xff534d42, /* CIFS */
		0xfe534d42, /* SMB2 */
		0x65735546, /* FUSE, and so virtiofs and sshfs */
		0x01021997, /* 9p */
		0x00c36400, /* Ceph */
		0x5346414f, /* AFS */
	};
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return true;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if ((unsigned int)fs.f_type == magics[i])
			return true;
	return false;
}

bool fl_is_undated(int fd)
{
	static const unsigned int tmpfs = 0x01021994; /* <linux/magic.h> */
	struct statfs fs;

	return !fstatfs(fd, &fs) && (unsigned int)fs.f_type == tmpfs;
}

enum fl_writers fl_writers_of(const char *path, bool local)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || (!local && fl_is_remote(fd)))
		return FL_WRITERS_UNKNOWN;
	/* a lease that is broken is told by a signal: by one that is ignored unless asked for */
	if (fcntl(fd, F_SETSIG, SIGURG))
		return FL_WRITERS_UNKNOWN;
	if (fcntl(fd, F_SETLEASE, F_RDLCK))
		return errno == EAGAIN ? FL_WRITERS_SOME : FL_WRITERS_UNKNOWN;
	return FL_WRITERS_NONE;
}
