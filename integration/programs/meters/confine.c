/*
 * Runs a command in a restricted environment:
 *
 *   confine [--nobody] [--memlock BYTES] [--no-pidfd] [--no-populate]
 *           [--no-clone3] [--native-only] [--no-minsigstksz] COMMAND...
 *
 * --no-pidfd, --no-populate, --no-clone3 and --no-minsigstksz imitate kernels that
 * lack pidfd_open, MADV_POPULATE_WRITE, clone3 and AT_MINSIGSTKSZ. --native-only
 * kills the process at any call that does not use the native entry, as systemd's
 * SystemCallArchitectures=native does.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE /* headers before Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, action)

static void install(struct sock_filter *rules, size_t count)
{
	struct sock_fprog program = { .len = (unsigned short)count, .filter = rules };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		err(125, "seccomp");
}
#define INSTALL(...) do { \
	struct sock_filter rules[] = { __VA_ARGS__ }; \
	install(rules, sizeof rules / sizeof *rules); \
} while (0)

/*
 * Returns in a child that will run the command without AT_MINSIGSTKSZ in its auxiliary
 * vector. The parent removes it at the child's exec, and then ends with the child's
 * status.
 */
static void hide_minsigstksz(void)
{
	struct user_regs_struct registers;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		err(125, "fork");
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			err(125, "ptrace");
		return;
	}
	/* A traced process gets SIGTRAP after it has executed a program. */
	if (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (ptrace(PTRACE_GETREGS, pid, 0, &registers))
			err(125, "ptrace");
		/* On its stack: argc, argv, NULL, envp, NULL, pairs of auxv. */
		unsigned long *word = (unsigned long *)registers.rsp + 1;
		for (int ends = 0; ends < 2; word++)
			ends += ptrace(PTRACE_PEEKDATA, pid, word, 0) == 0;
		for (long type; (type = ptrace(PTRACE_PEEKDATA, pid, word, 0)) != AT_NULL; word += 2)
			if (type == AT_MINSIGSTKSZ && ptrace(PTRACE_POKEDATA, pid, word, AT_IGNORE))
				err(125, "ptrace");
		ptrace(PTRACE_DETACH, pid, 0, 0);
		waitpid(pid, &status, 0);
	}
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--nobody")) {
			if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
				err(125, "nobody");
		} else if (!strcmp(argv[i], "--memlock") && i + 1 < argc) {
			rlim_t bytes = strtoul(argv[++i], NULL, 10);
			struct rlimit limit = { bytes, bytes };
			if (setrlimit(RLIMIT_MEMLOCK, &limit))
				err(125, "setrlimit");
		} else if (!strcmp(argv[i], "--no-pidfd")) {
			INSTALL(LOAD(nr), SKIP_UNLESS(SYS_pidfd_open, 1),
				ANSWER(SECCOMP_RET_ERRNO | ENOSYS), ANSWER(SECCOMP_RET_ALLOW));
		} else if (!strcmp(argv[i], "--no-clone3")) {
			INSTALL(LOAD(nr), SKIP_UNLESS(SYS_clone3, 1),
				ANSWER(SECCOMP_RET_ERRNO | ENOSYS), ANSWER(SECCOMP_RET_ALLOW));
		} else if (!strcmp(argv[i], "--no-populate")) {
			INSTALL(LOAD(nr), SKIP_UNLESS(SYS_madvise, 3), LOAD(args[2]),
				SKIP_UNLESS(MADV_POPULATE_WRITE, 1),
				ANSWER(SECCOMP_RET_ERRNO | EINVAL), ANSWER(SECCOMP_RET_ALLOW));
		} else if (!strcmp(argv[i], "--native-only")) {
			INSTALL(LOAD(arch), SKIP_UNLESS(AUDIT_ARCH_X86_64, 1),
				ANSWER(SECCOMP_RET_ALLOW), ANSWER(SECCOMP_RET_KILL_PROCESS));
		} else if (!strcmp(argv[i], "--no-minsigstksz")) {
			hide_minsigstksz();
		} else
			errx(125, "what is %s?", argv[i]);
	}
	if (i == argc)
		errx(125, "no command");
	execvp(argv[i], argv + i);
	err(127, "%s", argv[i]);
}
