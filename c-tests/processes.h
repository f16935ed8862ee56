/*
 * processes.h - two processes for tests of arrays that are shared: this program and this program again, in a fresh process, with a socket
 * as its standard input; messages of a descriptor and a file descriptor between them. Included first.
 */
#ifndef TEST_PROCESSES_H
#define TEST_PROCESSES_H
#define _GNU_SOURCE
#define clone clone_of_the_system /* helpers.h has another one */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#undef clone

#include "check.h"
#include "helpers.h"

extern char **environ;
static char *program;

/* ---- messages ---- */
typedef struct {
    size_t bytes;
    unsigned char descriptor[TN_IPC_DESCRIPTOR_BYTES];
    int fd;
} message;

static inline void send_message(int socket, const message *m)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {(void *)(uintptr_t)m->descriptor, m->bytes};
    struct msghdr all = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&all);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &m->fd, sizeof(int));
    CHECK(sendmsg(socket, &all, 0) == (ssize_t)m->bytes);
}

static inline int receive_message(int socket, message *m)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {m->descriptor, sizeof m->descriptor};
    struct msghdr all = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(socket, &all, MSG_CMSG_CLOEXEC);
    struct cmsghdr *head = CMSG_FIRSTHDR(&all);
    if (got <= 0 || head == NULL || head->cmsg_type != SCM_RIGHTS)
        return 0;
    m->bytes = (size_t)got;
    memcpy(&m->fd, CMSG_DATA(head), sizeof(int));
    return 1;
}

/* Exports an array, and closes nothing. */
static inline message exported(tn_array *array, tn_borrow_flags flags, tn_how expected, tn_borrow **hold)
{
    message m = {.fd = -1};
    tn_how how = 99;
    OK(tn_array_export_ipc(array, flags, sizeof m.descriptor, m.descriptor, &m.bytes, &m.fd, hold, &how));
    CHECK(how == expected && m.bytes > 0 && m.bytes <= sizeof m.descriptor && m.fd >= 0);
    return m;
}

static inline tn_array *imported(const message *m, tn_borrow_flags flags)
{
    tn_array *array = NULL;
    tn_how how = 99;
    OK(tn_array_import_ipc(m->descriptor, m->bytes, m->fd, flags, &array, &how));
    CHECK(how == TN_ALIASED);
    return array;
}

/* A message with up to three random bytes, in which `m` has others. */
static inline message damaged(const message *m, int bytes, uint64_t *random)
{
    message wrong = *m;
    for (int n = 0; n < bytes; n++) {
        *random ^= *random << 13, *random ^= *random >> 7, *random ^= *random << 17;
        wrong.descriptor[*random % m->bytes] = (unsigned char)(*random >> 32);
    }
    return wrong;
}

/* Element i of an array of one axis, or of a C-contiguous one. */
static inline int64_t element(tn_array *array, int64_t i)
{
    const void *data = NULL;
    tn_borrow *guard = NULL;
    OK(tn_array_borrow_read(array, 0, NULL, &data, NULL, &guard));
    const int64_t value = data == NULL ? -1 : ((const int64_t *)data)[i];
    end(guard);
    return value;
}

static inline tn_pool *shareable_pool(void)
{
    tn_pool_options options = {.size = sizeof options, .name = "shareable", .flags = TN_POOL_SHAREABLE};
    tn_pool *pool = NULL;
    OK(tn_pool_create(HOST, &options, &pool));
    return pool;
}

static inline int open_files(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* ---- the other process ---- */
static inline void tell(int socket, int64_t number)
{
    CHECK(send(socket, &number, sizeof number, 0) == sizeof number);
}

static inline int64_t hear(int socket)
{
    int64_t number = -1;
    CHECK(recv(socket, &number, sizeof number, MSG_WAITALL) == sizeof number);
    return number;
}

typedef struct {
    pid_t pid;
    int socket;
} process;

static inline process begin(const char *what)
{
    int sockets[2];
    process other = {0};
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, sockets[1], 0);
    /* An emulator, in the words of TENURE_TEST_RUNNER, runs the program. */
    const char *runner = getenv("TENURE_TEST_RUNNER");
    char words[256], *argv[16];
    int n = 0;
    snprintf(words, sizeof words, "%s", runner == NULL ? "" : runner);
    for (char *word = strtok(words, " "); word != NULL && n < 13; word = strtok(NULL, " "))
        argv[n++] = word;
    argv[n++] = program;
    argv[n++] = (char *)(uintptr_t)what;
    argv[n] = NULL;
    CHECK(posix_spawnp(&other.pid, argv[0], &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(sockets[1]);
    other.socket = sockets[0];
    return other;
}

static inline void join(process other, int killed)
{
    int status = 0;
    if (killed)
        kill(other.pid, SIGKILL);
    CHECK(waitpid(other.pid, &status, 0) == other.pid);
    CHECK(killed ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(other.socket);
}

/* How many processes a test kills; under a checker each takes long to begin. */
static inline int kills(void)
{
    return is_watched() ? 4 : 1000;
}

#endif
