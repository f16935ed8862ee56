/*
 * messages.c - the messages of messages.h. A part of a matrix is a subarray of its rows, so MPI takes the bytes where they are.
 */
#include "messages.h"

#include <limits.h>

enum { MAX_MESSAGES = 8 };

/* The datatype of a view: the first columns of rows that are as long as a stride. */
static tn_status datatype_of(const tn_view_info *view, MPI_Datatype *out)
{
    const int64_t element = sizeof(double);
    if (view->dtype != TN_F64)
        return TN_ERR_DTYPE;
    if (view->ndim != 2 || view->strides[1] != element || view->strides[0] % element != 0 || view->strides[0] <= 0)
        return TN_ERR_LAYOUT;
    if (view->shape[0] > INT_MAX || view->strides[0] / element > INT_MAX)
        return TN_ERR_LIMIT; /* MPI_Type_create_subarray_c of MPI 4 takes more. */
    const int sizes[2] = {(int)view->shape[0], (int)(view->strides[0] / element)};
    const int part[2] = {(int)view->shape[0], (int)view->shape[1]};
    const int start[2] = {0, 0};
    MPI_Type_create_subarray(2, sizes, part, start, MPI_ORDER_C, MPI_DOUBLE, out);
    MPI_Type_commit(out);
    return TN_OK;
}

static tn_status start(const tn_view_info *view, tn_borrow *borrow, int sends, int rank, int tag, MPI_Comm comm, message *out)
{
    MPI_Datatype datatype;
    tn_status status = datatype_of(view, &datatype);
    if (status != TN_OK) {
        tn_borrow_end(borrow, 0, NULL);
        return status;
    }
    out->borrow = borrow;
    if (sends)
        MPI_Isend(view->data, 1, datatype, rank, tag, comm, &out->request);
    else
        MPI_Irecv(view->data, 1, datatype, rank, tag, comm, &out->request);
    MPI_Type_free(&datatype); /* MPI keeps it for the message. */
    return TN_OK;
}

tn_status start_send(tn_array *array, int to, int tag, MPI_Comm comm, message *out)
{
    tn_view_info view;
    tn_borrow *borrow;
    tn_status status = tn_array_borrow_read(array, 0, NULL, NULL, &view, &borrow);
    return status != TN_OK ? status : start(&view, borrow, 1, to, tag, comm, out);
}

tn_status start_receive(tn_array *array, int from, int tag, MPI_Comm comm, message *out)
{
    tn_view_info view;
    tn_borrow *borrow;
    tn_status status = tn_array_borrow_write(array, 0, NULL, NULL, &view, &borrow);
    return status != TN_OK ? status : start(&view, borrow, 0, from, tag, comm, out);
}

tn_status finish(int n, message *messages)
{
    MPI_Request requests[MAX_MESSAGES];
    tn_status first = TN_OK;
    if (n > MAX_MESSAGES)
        return TN_ERR_LIMIT;
    for (int i = 0; i < n; i++)
        requests[i] = messages[i].request;
    MPI_Waitall(n, requests, MPI_STATUSES_IGNORE);
    for (int i = 0; i < n; i++) {
        const tn_status status = tn_borrow_end(messages[i].borrow, 0, NULL);
        first = first == TN_OK ? status : first;
    }
    return first;
}
