/*
 * transport.c - the messages of transport.h: one each, with the file descriptor as SCM_RIGHTS.
 */
#include "transport.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one file descriptor beside a message. */
union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

tn_status send_array(int socket, tn_array *array, tn_borrow_flags flags)
{
    char descriptor[TN_IPC_DESCRIPTOR_BYTES];
    size_t bytes = 0;
    int fd = -1;
    tn_borrow *hold = NULL;
    tn_status status = tn_array_export_ipc(array, flags, sizeof descriptor, descriptor, &bytes, &fd, &hold, NULL);
    if (status != TN_OK)
        return status;
    union control control = {0};
    struct iovec part = {descriptor, bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    ssize_t sent = sendmsg(socket, &message, 0);
    close(fd); /* The message has another one. */
    status = tn_borrow_end(hold, 0, NULL);
    return sent == (ssize_t)bytes ? status : TN_ERR_IO;
}

tn_status receive_array(int socket, tn_borrow_flags flags, tn_array **out)
{
    char descriptor[TN_IPC_DESCRIPTOR_BYTES];
    int fd = -1;
    union control control;
    struct iovec part = {descriptor, sizeof descriptor};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(socket, &message, 0);
    struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head == NULL || head->cmsg_type != SCM_RIGHTS)
        return TN_ERR_IO;
    memcpy(&fd, CMSG_DATA(head), sizeof fd);
    tn_status status = tn_array_import_ipc(descriptor, (size_t)got, fd, flags, out, NULL);
    close(fd);
    return status;
}
