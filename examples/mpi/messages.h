/*
 * messages.h - arrays as MPI messages: no copy, and a borrow for as long as MPI uses the bytes.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <mpi.h>
#include <tenure.h>

/* A message that is on its way. */
typedef struct message {
    MPI_Request request;
    tn_borrow *borrow;
} message;

/* Starts to send, or to receive, a matrix of TN_F64 whose rows are contiguous: an array, or a part of one. Until `finish` the elements are
 * borrowed for reading, or for writing. A refused borrow starts nothing. */
tn_status start_send(tn_array *array, int to, int tag, MPI_Comm comm, message *out);
tn_status start_receive(tn_array *array, int from, int tag, MPI_Comm comm, message *out);

/* Waits for n messages, at most 8, and ends their borrows. */
tn_status finish(int n, message *messages);

#endif
