/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `fairlead` prints, byte for byte: each row is a command line, its exit code, and a file of
 * tests/golden/cli that holds standard output and standard error. An agent is played by a child
 * that serves the documents of tests/golden/api. Output is an interface.
 * FL_GOLDEN_UPDATE=1 records anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/golden/golden.h"

#define MANIFESTS "--manifests tests/golden/input/manifests --node node-1"

/* {socket} is the played agent's, {nobody} a path without one. */
static const struct row {
	const char *file, *args;
	int code;
} rows[] = {
	{"plan-table", "plan " MANIFESTS, 0},
	{"plan-wide", "-o wide plan " MANIFESTS, 0},
	{"plan-json", "plan " MANIFESTS " -o json", 0},
	{"plan-yaml", "plan " MANIFESTS " -o yaml", 0},
	{"plan-name", "plan " MANIFESTS " -o name", 0},
	{"plan-no-headers", "plan " MANIFESTS " --no-headers", 0},
	{"plan-node-2",
	 "plan --node Node-2 --manifests tests/golden/input/manifests/web.yaml "
	 "tests/golden/input/manifests/dns.json",
	 0},
	{"plan-conflict", "plan --manifests tests/golden/input/conflict --node node-1", 0},
	{"plan-faulty", "plan --manifests tests/golden/input/faulty --node node-1", 1},
	{"plan-no-directory", "plan --manifests tests/golden/input/none --node node-1", 1},
	{"plan-no-manifests", "plan --node node-1", 2},
	{"plan-no-node", "plan --manifests tests/golden/input/manifests", 2},

	{"help", "help", 0},
	{"help", "--help", 0},
	{"help-flow", "help flow", 0},
	{"help-flow", "flow --help", 0},
	{"help-flow-flush", "flow flush --help", 0},
	{"version-short", "--version", 0},
	{"version-alone", "version --socket {nobody}", 0},
	{"version", "version --socket {socket}", 0},
	{"version-json", "version --socket {socket} -o json", 0},

	{"usage-nothing", "", 2},
	{"usage-noun", "servce list", 2},
	{"usage-no-verb", "service", 2},
	{"usage-verb", "service lst", 2},
	{"usage-option", "service list --colour", 2},
	{"usage-value", "service list -o", 2},
	{"usage-format", "service list -o xml", 2},
	{"usage-operand", "service list web", 2},
	{"usage-no-operand", "service get", 2},
	{"usage-ref", "service get web", 2},
	{"usage-ref-port", "maglev show default/web:", 2},
	{"usage-filter", "flow list --proto icmp", 2},
	{"usage-flush", "flow flush", 2},
	{"usage-flush-both", "flow flush --all --proto tcp", 2},

	{"status", "status --socket {socket}", 0},
	{"status-wide", "status --socket {socket} -o wide", 0},
	{"status-name", "status --socket {socket} -o name", 0},
	{"status-drift", "status --socket {socket}/../drift", 5},
	{"service-list", "service list --socket {socket}", 0},
	{"service-list", "--socket {socket} service -o table list", 0},
	{"service-list-wide", "service list --socket {socket} -o wide", 0},
	{"service-list-json", "service list --socket {socket} -o json", 0},
	{"service-list-yaml", "service list --socket {socket} -o yaml", 0},
	{"service-list-name", "service list --socket {socket} -o name", 0},
	{"service-get", "service get default/web --socket {socket}", 0},
	{"service-get-none", "service get default/none --socket {socket}", 3},
	{"service-list-empty", "service list -n empty --socket {socket}", 0},
	{"backend-list", "backend list --socket {socket}", 0},
	{"backend-list-wide", "backend list --socket {socket} -o wide", 0},
	{"backend-list-name", "backend list --socket {socket} -o name", 0},
	{"flow-list", "flow list --socket {socket}", 0},
	{"flow-list-wide", "flow list --socket {socket} -o wide", 0},
	{"flow-list-name", "flow list --socket {socket} -o name", 0},
	{"flow-flush",
	 "flow flush --service default/web:http --client [2001:db8::1]:80 --socket {socket}", 0},
	{"maglev-show", "maglev show default/web:http --socket {socket}", 0},
	{"hostile-table", "service list -n hostile --socket {socket}", 0},
	{"hostile-yaml", "service list -n hostile --socket {socket} -o yaml", 0},
	{"no-agent", "service list --socket {nobody} --bpffs /nonexistent/bpffs", 4},
	{"not-json", "service list -n text --socket {socket}", 1},
};

/* What the played agent answers. */
static const struct {
	const char *request;
	int code;
	const char *file;
} answers[] = {
	{"GET /v1/version ", 200, "tests/golden/input/answers/version.json"},
	{"GET /v1/status ", 200, "tests/golden/api/status.json"},
	{"GET /v1/services ", 200, "tests/golden/api/services.json"},
	{"GET /v1/services?namespace=default&name=web ", 200, "tests/golden/api/service-web.json"},
	{"GET /v1/services?namespace=default&name=none ", 404,
	 "tests/golden/input/answers/not-found.json"},
	{"GET /v1/services?namespace=empty ", 200, "tests/golden/input/answers/empty.json"},
	{"GET /v1/services?namespace=hostile ", 200, "tests/golden/input/answers/hostile.json"},
	{"GET /v1/services?namespace=text ", 200, "tests/golden/input/manifests/web.yaml"},
	{"GET /v1/backends ", 200, "tests/golden/api/backends.json"},
	{"GET /v1/flows ", 200, "tests/golden/api/flows.json"},
	{"POST /v1/flows/flush?client=%5B2001%3Adb8%3A%3A1%5D%3A80&service=default%2Fweb%3Ahttp ",
	 200, "tests/golden/input/answers/flushed.json"},
	{"GET /v1/maglev/default/web/http ", 200, "tests/golden/api/maglev-web.json"},
};

struct agent {
	char dir[64], path[96];
	pid_t pid;
};

static struct agent agent;
static char cli[PATH_MAX];

static void serve(int fd, const char *status_file)
{
	char request[8192];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, request + len, sizeof(request) - 1 - len)) > 0) {
		len += (size_t)n;
		request[len] = '\0';
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const char *file = answers[i].file;
		char *text;

		if (strncmp(request, answers[i].request, strlen(answers[i].request)))
			continue;
		if (status_file && strstr(file, "status.json"))
			file = status_file;
		text = golden_read(file);
		dprintf(fd, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			answers[i].code, strlen(text), text);
		free(text);
		return;
	}
	dprintf(fd, "HTTP/1.1 500 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
}

static int listen_on(const char *dir, const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, name);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static pid_t play(int listener, const char *status_file)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			_exit(0);
		serve(fd, status_file);
		close(fd);
	}
}

static pid_t drifting;

static int setup(void **state)
{
	char self[PATH_MAX], *at;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(len > 0);
	self[len] = '\0';
	at = strstr(self, "/tests/unit/");
	assert_non_null(at);
	*at = '\0';
	snprintf(cli, sizeof(cli), "%.*s/fairlead", (int)(PATH_MAX - 10), self);
	assert_int_equal(access(cli, X_OK), 0);
	strcpy(agent.dir, "/tmp/fairlead-golden-XXXXXX");
	assert_non_null(mkdtemp(agent.dir));
	snprintf(agent.path, sizeof(agent.path), "%s/agent", agent.dir);
	agent.pid = play(listen_on(agent.dir, "agent"), NULL);
	drifting = play(listen_on(agent.dir, "drift"), "tests/golden/input/answers/drift.json");
	return 0;
}

static int teardown(void **state)
{
	char path[128];

	kill(agent.pid, SIGKILL);
	kill(drifting, SIGKILL);
	waitpid(agent.pid, NULL, 0);
	waitpid(drifting, NULL, 0);
	unlink(agent.path);
	snprintf(path, sizeof(path), "%s/drift", agent.dir);
	unlink(path);
	return rmdir(agent.dir);
}

/* Run by a shell-less split at blanks; no argument of the table has one. */
static int run(const char *args, char **ret_text)
{
	char *words[32] = {cli}, *copy = strdup(args), *save = NULL, *text;
	int pipe_fd[2], status, n = 1;
	size_t len = 0, room = 1 << 20;
	ssize_t got;
	pid_t pid;

	copy = golden_replace(copy, "{socket}/../drift", "{dir}/drift");
	copy = golden_replace(copy, "{dir}", agent.dir);
	copy = golden_replace(copy, "{socket}", agent.path);
	copy = golden_replace(copy, "{nobody}", "/nonexistent/fairlead.sock");
	for (char *word = strtok_r(copy, " ", &save); word && n < 31;
	     word = strtok_r(NULL, " ", &save))
		words[n++] = word;
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		dup2(pipe_fd[1], STDERR_FILENO);
		setenv("LC_ALL", "C.UTF-8", 1);
		execv(cli, words);
		_exit(127);
	}
	close(pipe_fd[1]);
	text = calloc(1, room + 1);
	while (len < room && (got = read(pipe_fd[0], text + len, room - len)) > 0)
		len += (size_t)got;
	close(pipe_fd[0]);
	waitpid(pid, &status, 0);
	free(copy);
	*ret_text = text;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_output(void **state)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[PATH_MAX], *text;
		int code = run(rows[i].args, &text);

		snprintf(path, sizeof(path), "tests/golden/cli/%s.txt", rows[i].file);
		if (code != rows[i].code) {
			fprintf(stderr, "fairlead %s: exits with %d, not %d:\n%s", rows[i].args,
				code, rows[i].code, text);
			failed++;
		}
		failed += golden_check(path, text);
		free(text);
	}
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
