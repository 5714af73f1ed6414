/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `fairlead` prints, byte for byte: each row is a command line, its exit code, and a file of
 * tests/golden/cli that holds standard output and standard error. An agent is played by a child
 * that serves the documents of tests/golden/api. Output is an interface.
 * FL_GOLDEN_UPDATE=1 records them again.
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
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/golden/golden.h"

#define MANIFESTS "--manifests tests/golden/input/manifests --node node-1"

/* {socket} is the played agent's, {nobody} a path without one. */
static const struct row {
	const char *file, *args;
	int code;
	int width; /* of the terminal that it is shown on; 0: none */
} rows[] = {
	{"plan-table", "plan " MANIFESTS, 0, 0},
	{"plan-wide", "-o wide plan " MANIFESTS, 0, 0},
	{"plan-json", "plan " MANIFESTS " -o json", 0, 0},
	{"plan-yaml", "plan " MANIFESTS " -o yaml", 0, 0},
	{"plan-name", "plan " MANIFESTS " -o name", 0, 0},
	{"plan-no-headers", "plan " MANIFESTS " --no-headers", 0, 0},
	{"plan-sorted", "plan " MANIFESTS " --sort -name --family ipv4", 0, 0},
	{"plan-node-2",
	 "plan --node Node-2 --manifests tests/golden/input/manifests/web.yaml "
	 "tests/golden/input/manifests/dns.json",
	 0, 0},
	{"plan-conflict", "plan --manifests tests/golden/input/conflict --node node-1", 0, 0},
	{"plan-host-ports",
	 "-o wide plan --manifests tests/golden/input/host-ports --node node-1 --host-ports", 0, 0},
	{"plan-no-host-ports", "plan --manifests tests/golden/input/host-ports --node node-1", 0,
	 0},
	{"plan-dsr", "-o wide plan " MANIFESTS " --forwarding-mode dsr --family ipv4", 0, 0},
	{"plan-no-mode", "plan " MANIFESTS " --forwarding-mode nat", 2, 0},
	{"plan-faulty", "plan --manifests tests/golden/input/faulty --node node-1", 1, 0},
	{"plan-no-directory", "plan --manifests tests/golden/input/none --node node-1", 1, 0},
	{"plan-no-manifests", "plan --node node-1", 2, 0},
	{"plan-no-node", "plan --manifests tests/golden/input/manifests", 2, 0},

	{"help", "help", 0, 0},
	{"help", "--help", 0, 0},
	{"help-flow", "help flow", 0, 0},
	{"help-flow", "flow --help", 0, 0},
	{"help-flow-flush", "flow flush --help", 0, 0},
	{"help-flow-flush", "help flow flush", 0, 0},
	{"help-status", "help status", 0, 0},
	{"help-no-noun", "help servce", 2, 0},
	{"help-no-verb", "help service gte", 2, 0},
	{"help-no-verbs", "help status now", 2, 0},
	{"version-short", "--version", 0, 0},
	{"version-short", "service list --version", 0, 0},
	{"version-alone", "version --socket {nobody}", 0, 0},
	{"version", "version --socket {socket}", 0, 0},
	{"version-json", "version --socket {socket} -o json", 0, 0},
	{"completion-no-shell", "completion tcsh", 2, 0},
	{"completion-no-program", "completion bash fairlead-bench", 2, 0},

	{"usage-nothing", "", 2, 0},
	{"usage-noun", "servce list", 2, 0},
	{"usage-no-verb", "service", 2, 0},
	{"usage-verb", "service lst", 2, 0},
	{"usage-option", "service list --colour", 2, 0},
	{"usage-near-option", "service list --nmaespace x", 2, 0},
	{"usage-value", "service list -o", 2, 0},
	{"usage-flag", "service list --watch=2", 2, 0},
	{"usage-format", "service list -o xml", 2, 0},
	{"usage-sort", "service list --sort nmae", 2, 0},
	{"usage-wait", "status --wait=soon", 2, 0},
	{"usage-operand", "service list web", 2, 0},
	{"usage-no-operand", "service get", 2, 0},
	{"usage-ref", "service get web", 2, 0},
	{"usage-ref-second", "service get default/web web", 2, 0},
	{"usage-ref-port", "maglev show default/web:", 2, 0},
	{"usage-filter", "flow list --proto icmp", 2, 0},
	{"usage-peer", "flow list --client web", 2, 0},
	{"usage-flow", "flow get 198.51.100.1:50001", 2, 0},
	{"usage-drain", "backend drain 10.1.1", 2, 0},
	{"usage-undrain", "backend undrain", 2, 0},
	{"usage-undrain", "backend undrain --all 10.1.1.1", 2, 0},
	{"usage-flush", "flow flush", 2, 0},
	{"usage-flush-both", "flow flush --all --proto tcp", 2, 0},

	{"status", "status --socket {socket}", 0, 0},
	{"status-wide", "status --socket {socket} -o wide", 0, 0},
	{"status-name", "status --socket {socket} -o name", 0, 0},
	{"status-drift", "status --socket {drift}", 5, 0},
	{"status-unhealthy", "status --socket {unhealthy} -o wide", 1, 0},
	{"status-unhealthy", "status --socket {unhealthy} -o wide --wait=0", 1, 0},
	{"status", "status --wait --socket {waking}", 0, 0},
	{"service-list", "service list --socket {socket}", 0, 0},
	{"service-list", "--socket {socket} service -o table list", 0, 0},
	{"service-list", "service list --socket {socket}", 0, 120},
	{"service-list-80", "service list --socket {socket}", 0, 80},
	{"service-list-40", "service list --socket {socket}", 0, 40},
	{"service-list-sorted", "service list --socket {socket} --sort -name", 0, 0},
	{"service-list-by-backends", "service list --socket {socket} --sort cluster-backends", 0,
	 0},
	{"service-list-ipv6", "service list --socket {socket} --family IPv6 -o name", 0, 0},
	{"service-list-wide", "service list --socket {socket} -o wide", 0, 0},
	{"service-list-wide-100", "service list --socket {socket} -o wide", 0, 100},
	{"service-list-json", "service list --socket {socket} -o json", 0, 0},
	{"service-list-json-sorted", "service list --socket {socket} -o json --sort -name", 0, 0},
	{"service-list-yaml", "service list --socket {socket} -o yaml", 0, 0},
	{"service-list-name", "service list --socket {socket} -o name", 0, 0},
	{"service-get", "service get default/web --socket {socket}", 0, 0},
	{"service-get", "service get default/web:http --socket {socket}", 0, 0},
	{"service-get-two", "service get default/web:80 default/dns --socket {socket}", 0, 0},
	{"service-get-missing", "service get default/web:443 #2 --socket {socket} -o name", 3, 0},
	{"service-get-none", "service get default/none --socket {socket}", 3, 0},
	{"service-list-empty", "service list -n empty --socket {socket}", 0, 0},
	{"backend-list", "backend list --socket {socket}", 0, 0},
	{"backend-list-wide", "backend list --socket {socket} -o wide", 0, 0},
	{"backend-list-name", "backend list --socket {socket} -o name", 0, 0},
	{"backend-get", "backend get 10.1.1.4:8080/TCP 10.1.0.3:8080 --socket {socket}", 0, 0},
	{"backend-get-none", "backend get 10.1.1.4:8080/UDP --socket {socket}", 3, 0},
	{"help-backend-undrain", "help backend undrain", 0, 0},
	{"backend-drain", "backend drain 10.1.1.6 10.9.9.9:80 --socket {socket}", 0, 0},
	{"backend-drain-name", "backend drain 10.1.1.6 10.9.9.9:80 -o name --socket {socket}", 0,
	 0},
	{"backend-drain-json", "backend drain 10.1.1.6 10.9.9.9:80 -o json --socket {socket}", 0,
	 0},
	{"backend-undrain", "backend undrain [fd00::1]:80/tcp 10.1.1.6 --socket {socket}", 0, 0},
	{"backend-undrain-all", "backend undrain --all --socket {socket}", 0, 0},
	{"backend-undrain-part", "backend undrain 10.1.1.6:8080 --socket {socket}", 1, 0},
	{"flow-list", "flow list --socket {socket}", 0, 0},
	{"flow-list-wide", "flow list --socket {socket} -o wide", 0, 0},
	{"flow-list-name", "flow list --socket {socket} -o name", 0, 0},
	{"flow-list-sorted", "flow list --sort -client --limit 2 --socket {socket}", 0, 0},
	{"flow-get", "flow get TCP/198.51.100.2:50003->192.0.2.80:80 --socket {socket} -o name", 0,
	 0},
	{"flow-get-none",
	 "flow get TCP/198.51.100.2:50003->192.0.2.80:80 TCP/10.0.0.1:1->10.0.0.2:2 "
	 "--socket {socket} -o name",
	 3, 0},
	{"flow-flush",
	 "flow flush --service default/web:http --client [2001:db8::1]:80 --socket {socket}", 0, 0},
	{"flow-flush", "flow flush TCP/198.51.100.2:50003->192.0.2.80:80 --socket {socket}", 0, 0},
	{"maglev-show", "maglev show default/web:http --socket {socket}", 0, 0},
	{"reload", "reload --socket {socket}", 0, 0},
	{"reload-now", "reload --now --socket {socket}", 0, 0},
	{"reload-json", "reload --socket {socket} -o json", 0, 0},
	{"hostile-table", "service list -n hostile --socket {socket}", 0, 0},
	{"hostile-yaml", "service list -n hostile --socket {socket} -o yaml", 0, 0},
	{"hostile-60", "service list -n hostile --socket {socket}", 0, 60},
	{"not-json", "service list -n text --socket {socket}", 1, 0},
	{"not-a-document", "service list -n list --socket {socket}", 1, 0},
	{"no-memory", "service list -n no-memory --socket {socket}", 1, 0},

#define NOBODY " --socket {nobody} --bpffs /nonexistent/bpffs"
	/* no agent and no pins: 4, whatever is asked */
	{"no-agent", "service list" NOBODY, 4, 0},
	{"no-agent", "service get default/web" NOBODY, 4, 0},
	{"no-agent", "service get default/web default/dns -o json" NOBODY, 4, 0},
	{"no-agent", "status" NOBODY, 4, 0},
	{"no-agent", "status --wait=0" NOBODY, 4, 0},
	{"no-agent", "backend list" NOBODY, 4, 0},
	{"no-agent", "backend get 10.0.0.1:80" NOBODY, 4, 0},
	{"no-agent", "flow list" NOBODY, 4, 0},
	{"no-agent", "flow get TCP/10.0.0.1:1->10.0.0.2:2" NOBODY, 4, 0},
	{"no-agent", "flow flush --all" NOBODY, 4, 0},
	{"no-agent", "flow flush TCP/10.0.0.1:1->10.0.0.2:2" NOBODY, 4, 0},
	{"no-agent", "maglev show default/web" NOBODY, 4, 0},
	{"no-agent-reload", "reload" NOBODY, 4, 0},
	{"no-agent-reload", "backend drain 10.1.1.1" NOBODY, 4, 0},
	{"no-agent-reload", "backend undrain --all" NOBODY, 4, 0},
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
	{"GET /v1/services?namespace=default&name=web&port=http ", 200,
	 "tests/golden/api/service-web.json"},
	{"GET /v1/services?namespace=default&name=none ", 404,
	 "tests/golden/input/answers/not-found.json"},
	{"GET /v1/services?namespace=empty ", 200, "tests/golden/input/answers/empty.json"},
	{"GET /v1/services?namespace=hostile ", 200, "tests/golden/input/answers/hostile.json"},
	{"GET /v1/services?namespace=text ", 200, "tests/golden/input/manifests/web.yaml"},
	{"GET /v1/services?namespace=list ", 200, "tests/golden/input/answers/list.json"},
	{"GET /v1/services?namespace=no-memory ", 500, "tests/golden/input/answers/no-memory.txt"},
	{"POST /v1/reload?now=true ", 200, "tests/golden/input/answers/reloaded.json"},
	{"POST /v1/reload ", 200, "tests/golden/input/answers/reloaded.json"},
	{"POST /v1/backends/drain?address=10.1.1.6&address=10.9.9.9%3A80 ", 200,
	 "tests/golden/input/answers/drained.json"},
	{"POST /v1/backends/undrain?address=%5Bfd00%3A%3A1%5D%3A80%2Ftcp&address=10.1.1.6 ", 200,
	 "tests/golden/input/answers/undrained.json"},
	{"POST /v1/backends/undrain?all=true ", 200,
	 "tests/golden/input/answers/undrained-all.json"},
	{"POST /v1/backends/undrain?address=10.1.1.6%3A8080 ", 409,
	 "tests/golden/input/answers/not-undrained.json"},
	{"GET /v1/backends ", 200, "tests/golden/api/backends.json"},
	{"GET /v1/flows ", 200, "tests/golden/api/flows.json"},
	{"GET /v1/flows?limit=100000 ", 200, "tests/golden/api/flows.json"},
	{"GET /v1/flows?flow=", 200, "tests/golden/api/flows.json"},
	{"POST /v1/flows/flush?flow=TCP%2F198.51.100.2%3A50003-%3E192.0.2.80%3A80 ", 200,
	 "tests/golden/input/answers/flushed.json"},
	{"POST /v1/flows/flush?client=%5B2001%3Adb8%3A%3A1%5D%3A80&service=default%2Fweb%3Ahttp ",
	 200, "tests/golden/input/answers/flushed.json"},
	{"GET /v1/maglev?namespace=default&name=web&port=http ", 200,
	 "tests/golden/api/maglev-web.json"},
};

/* Agents that differ in their status alone; the one that wakes is healthy from the third look. */
enum { AGENT, DRIFT, UNHEALTHY, WAKING, AGENTS };
static const struct {
	const char *name, *status;
	int until; /* so many times; -1 always */
} agents[AGENTS] = {
	[AGENT] = {"socket", NULL, 0},
	[DRIFT] = {"drift", "tests/golden/input/answers/drift.json", -1},
	[UNHEALTHY] = {"unhealthy", "tests/golden/input/answers/unhealthy.json", -1},
	[WAKING] = {"waking", "tests/golden/input/answers/unhealthy.json", 2},
};

static char dir[64];
static pid_t players[AGENTS];
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

static int listen_on(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, name);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* The child makes the socket itself, as an agent does: the kernel tells clients whose it is. */
static pid_t play(const char *name, const char *status_file, int until)
{
	int ready[2], listener;
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid) {
		close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	listener = listen_on(name);
	if (write(ready[1], "", 1) != 1)
		_exit(1);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			_exit(0);
		serve(fd, until ? status_file : NULL);
		until -= until > 0;
		close(fd);
	}
}

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
	strcpy(dir, "/tmp/fairlead-golden-XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < AGENTS; i++)
		players[i] = play(agents[i].name, agents[i].status, agents[i].until);
	return 0;
}

static int teardown(void **state)
{
	char path[128];

	for (size_t i = 0; i < AGENTS; i++) {
		kill(players[i], SIGKILL);
		waitpid(players[i], NULL, 0);
		snprintf(path, sizeof(path), "%s/%s", dir, agents[i].name);
		unlink(path);
	}
	return rmdir(dir);
}

/* Where the program's words and data go, and where they are read. */
struct outlet {
	int read, write;
};

static struct outlet open_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	return (struct outlet){fds[0], fds[1]};
}

/* A terminal that changes nothing of what is written to it. */
static struct outlet open_terminal(int width)
{
	struct winsize size = {.ws_col = (unsigned short)width, .ws_row = 25};
	struct outlet outlet = {posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), -1};
	struct termios mode;

	assert_true(outlet.read >= 0);
	assert_int_equal(grantpt(outlet.read) | unlockpt(outlet.read), 0);
	outlet.write = open(ptsname(outlet.read), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(outlet.write >= 0);
	assert_int_equal(tcgetattr(outlet.write, &mode), 0);
	cfmakeraw(&mode);
	assert_int_equal(tcsetattr(outlet.write, TCSANOW, &mode), 0);
	assert_int_equal(ioctl(outlet.write, TIOCSWINSZ, &size), 0);
	return outlet;
}

/* Run by a shell-less split at blanks; no argument of the table has one. */
static int run(const char *args, int width, char **ret_text)
{
	struct outlet outlet = width ? open_terminal(width) : open_pipe();
	char *words[32] = {cli}, *copy = strdup(args), *save = NULL, *text;
	char braced[32], path[128];
	size_t len = 0, room = 1 << 20;
	int status, n = 1;
	ssize_t got;
	pid_t pid;

	for (size_t i = 0; i < AGENTS; i++) {
		snprintf(braced, sizeof(braced), "{%s}", agents[i].name);
		snprintf(path, sizeof(path), "%s/%s", dir, agents[i].name);
		copy = golden_replace(copy, braced, path);
	}
	copy = golden_replace(copy, "{nobody}", "/nonexistent/fairlead.sock");
	for (char *word = strtok_r(copy, " ", &save); word && n < 31;
	     word = strtok_r(NULL, " ", &save))
		words[n++] = word;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(outlet.write, STDOUT_FILENO);
		dup2(outlet.write, STDERR_FILENO);
		setenv("LC_ALL", "C.UTF-8", 1);
		setenv("NO_COLOR", "1", 1);
		execv(cli, words);
		_exit(127);
	}
	close(outlet.write);
	text = calloc(1, room + 1);
	while (len < room && (got = read(outlet.read, text + len, room - len)) > 0)
		len += (size_t)got;
	close(outlet.read);
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
		int code = run(rows[i].args, rows[i].width, &text);

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

/* A stopped agent (SIGSTOP, a debugger, a frozen container) is recognised by looking at the
 * process, not by waiting for a time-out. */
static void test_a_stopped_agent_is_told_apart(void **state)
{
	char args[200], path[128], *text, want[64];
	pid_t pid = players[AGENT];
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	snprintf(path, sizeof(path), "%s/%s", dir, agents[AGENT].name);
	snprintf(args, sizeof(args), "status --bpffs /nonexistent/bpffs --socket %s", path);
	assert_int_equal(run(args, 0, &text), 4);
	snprintf(want, sizeof(want), "(process %d is stopped)", (int)pid);
	assert_non_null(strstr(text, want));
	free(text);
	assert_int_equal(kill(pid, SIGCONT), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_a_stopped_agent_is_told_apart),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
