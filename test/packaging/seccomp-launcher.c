// seccomp-launcher SYSCALL-LIST PROGRAM ARG…: runs a program under the system call filter that a systemd unit would give it. Any
// call that is not on the list (names, one per line) fails with EPERM, as SystemCallErrorNumber=EPERM does.
// Built and used by systemd.test.ts; calls.h is `X(name)` for each name this machine knows, made from <sys/syscall.h>.

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct call { const char *name; int number; };
#define X(name) {#name, SYS_##name},
static const struct call calls[] = {
#include "calls.h"
};
#undef X
#define CALLS (sizeof calls / sizeof *calls)

int main(int argc, char **argv) {
  if (argc < 3) return 64;
  FILE *list = fopen(argv[1], "r");
  if (!list) return perror(argv[1]), 66;
  // The architecture, the number, then two instructions for each call.
  struct sock_filter *filter = calloc(5 + 2 * CALLS, sizeof *filter);
  unsigned short used = 0;
  filter[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
  filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  filter[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  char line[128];
  while (fgets(line, sizeof line, list)) {
    line[strcspn(line, "\n")] = 0;
    for (size_t i = 0; i < CALLS; i++) {
      if (strcmp(calls[i].name, line) != 0) continue;
      filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, 0, 1);
      filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
      break;
    }
  }
  fclose(list);
  filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  struct sock_fprog program = {used, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return perror("seccomp"), 71;
  execv(argv[2], argv + 2);
  return perror(argv[2]), 72;
}
