/*
 * transport.h - sends an exported array over a Unix socket: its descriptor, and the file descriptor of its memory.
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <tenure.h>

/* Sends an array of the host. flags: those of tn_array_export_ipc. The caller may change or release the array afterwards. */
tn_status send_array(int socket, tn_array *array, tn_borrow_flags flags);

/* Receives an array, which shares the sender's bytes. flags: those of tn_array_import_ipc. */
tn_status receive_array(int socket, tn_borrow_flags flags, tn_array **out);

#endif
