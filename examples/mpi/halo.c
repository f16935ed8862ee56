/*
 * halo.c - heat on a torus of four processes, each with a block of it and a halo of its neighbours' cells.
 *
 * Every step exchanges the edges: rows, and columns, which are strided. Meanwhile the inner cells are computed. The edges are borrowed until
 * their messages are done, so code that changes one too early gets a status. `cargo xtask test` runs it with MPICH and with Open MPI:
 *
 * mpicc halo.c messages.c -I target/dist/include -L target/dist/lib -ltenure -Wl,-rpath,$PWD/target/dist/lib -lm && mpiexec -n 4 ./a.out
 */
#include "messages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 64, STEPS = 100, UP = 0, DOWN = 1, LEFT = 2, RIGHT = 3 };

static int rank;

static void must(tn_status status)
{
    if (status == TN_OK)
        return;
    fprintf(stderr, "rank %d: %s: %s\n", rank, tn_status_name(status), tn_last_error());
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* A part of a block: rows from..to-1, columns left..right-1. */
static tn_array *part(tn_array *block, int64_t from, int64_t to, int64_t left, int64_t right)
{
    const tn_slice_spec specs[2] = {{.start = from, .stop = to, .step = 1}, {.start = left, .stop = right, .step = 1}};
    tn_array *view = NULL;
    must(tn_array_slice(block, 2, specs, &view));
    return view;
}

/* A block with its edges and its halo, each a view. */
typedef struct field {
    tn_array *block, *inner, *edge[4], *halo[4];
} field;

static field make(const char *name)
{
    const int64_t shape[2] = {N + 2, N + 2};
    tn_array_options options = {.size = sizeof options, .name = name};
    field f;
    must(tn_array_zeros(NULL, TN_F64, 2, shape, &options, &f.block));
    f.inner = part(f.block, 2, N, 2, N);
    f.edge[UP] = part(f.block, 1, 2, 1, N + 1);
    f.edge[DOWN] = part(f.block, N, N + 1, 1, N + 1);
    f.edge[LEFT] = part(f.block, 1, N + 1, 1, 2);
    f.edge[RIGHT] = part(f.block, 1, N + 1, N, N + 1);
    f.halo[UP] = part(f.block, 0, 1, 1, N + 1);
    f.halo[DOWN] = part(f.block, N + 1, N + 2, 1, N + 1);
    f.halo[LEFT] = part(f.block, 1, N + 1, 0, 1);
    f.halo[RIGHT] = part(f.block, 1, N + 1, N + 1, N + 2);
    return f;
}

static void release(field *f)
{
    for (int side = 0; side < 4; side++) {
        must(tn_array_release(f->edge[side]));
        must(tn_array_release(f->halo[side]));
    }
    must(tn_array_release(f->inner));
    must(tn_array_release(f->block));
}

static void exchange(const field *f, const int neighbour[4], MPI_Comm comm, message messages[8])
{
    static const int opposite[4] = {DOWN, UP, RIGHT, LEFT};
    for (int side = 0; side < 4; side++) {
        TN_HERE; /* error messages name this line */
        must(start_receive(f->halo[side], neighbour[side], opposite[side], comm, &messages[side]));
        must(start_send(f->edge[side], neighbour[side], side, comm, &messages[4 + side]));
    }
}

/* New values of cells that have all neighbours: rows and columns from..to-1 of the block; `ring`: only the outermost of these. */
static void compute(const double *old, double *new, int from, int to, int ring)
{
    const int row = N + 2;
    for (int i = from; i < to; i++) {
        const int step = ring && i != from && i != to - 1 ? to - 1 - from : 1;
        for (int j = from; j < to; j += step) {
            const double *cell = old + i * row + j;
            new[i * row + j] = *cell + 0.2 * (cell[-row] + cell[row] + cell[-1] + cell[1] - 4 * *cell);
        }
    }
}

static void step(const field *old, const field *new, const int neighbour[4], MPI_Comm comm, int is_first)
{
    message messages[8];
    tn_borrow *reading = NULL, *writing = NULL;
    const void *from = NULL;
    void *to = NULL;
    exchange(old, neighbour, comm, messages);
    must(tn_array_borrow_write(new->block, 0, NULL, &to, NULL, &writing));
    if (is_first && rank == 0) {
        const double zero = 0;
        const tn_status edge = tn_array_fill(old->edge[RIGHT], &zero, 0, NULL);
        printf("a write to an edge on its way: %s\n", tn_status_name(edge));
        const tn_status halo = tn_array_borrow_read(old->halo[LEFT], 0, NULL, NULL, NULL, &reading);
        printf("a read of a halo on its way: %s\n", tn_status_name(halo));
    }
    /* Cells that need no halo. Their neighbours are edges at most, which are sent, so reading them is allowed. */
    tn_array *mine = part(old->block, 1, N + 1, 1, N + 1);
    must(tn_array_borrow_read(mine, 0, NULL, &from, NULL, &reading));
    compute((const double *)from - (N + 2) - 1, to, 2, N, 0);
    must(tn_borrow_end(reading, 0, NULL));
    must(tn_array_release(mine));
    must(finish(8, messages));
    must(tn_array_borrow_read(old->block, 0, NULL, &from, NULL, &reading));
    compute(from, to, 1, N + 1, 1);
    must(tn_borrow_end(reading, 0, NULL));
    must(tn_borrow_end(writing, 0, NULL));
}

/* A number for each cell of the torus. */
static double initial(int row, int column)
{
    return 1000.0 * ((row + 2 * N) % (2 * N)) + (column + 2 * N) % (2 * N);
}

/* Exchanges once, and counts the halo's cells that are not those of the neighbours. */
static int wrong_cells(const field *f, const int at[2], const int neighbour[4], MPI_Comm comm)
{
    message messages[8];
    tn_borrow *guard = NULL;
    void *data = NULL;
    const int row = N + 2;
    int wrong = 0;
    must(tn_array_borrow_write(f->block, 0, NULL, &data, NULL, &guard));
    for (int i = 1; i <= N; i++)
        for (int j = 1; j <= N; j++)
            ((double *)data)[i * row + j] = initial(at[0] * N + i - 1, at[1] * N + j - 1);
    must(tn_borrow_end(guard, 0, NULL));
    exchange(f, neighbour, comm, messages);
    must(finish(8, messages));
    const void *read = NULL;
    must(tn_array_borrow_read(f->block, 0, NULL, &read, NULL, &guard));
    for (int i = 0; i < row; i++)
        for (int j = 0; j < row; j++) {
            const int is_corner = (i == 0 || i == N + 1) && (j == 0 || j == N + 1);
            wrong += !is_corner && ((const double *)read)[i * row + j] != initial(at[0] * N + i - 1, at[1] * N + j - 1);
        }
    must(tn_borrow_end(guard, 0, NULL));
    return wrong;
}

static double heat(const field *f, MPI_Comm comm)
{
    tn_array *mine = part(f->block, 1, N + 1, 1, N + 1);
    tn_borrow *guard = NULL;
    const void *data = NULL;
    double sum = 0, all = 0;
    must(tn_array_borrow_read(mine, 0, NULL, &data, NULL, &guard));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum += ((const double *)data)[i * (N + 2) + j];
    must(tn_borrow_end(guard, 0, NULL));
    must(tn_array_release(mine));
    MPI_Allreduce(&sum, &all, 1, MPI_DOUBLE, MPI_SUM, comm);
    return all;
}

int main(int argc, char **argv)
{
    const int dims[2] = {2, 2}, periods[2] = {1, 1};
    int size, neighbour[4], at[2], wrong, all_wrong;
    MPI_Comm torus;
    MPI_Init(&argc, &argv);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (size != 4) {
        fprintf(stderr, "run it with mpiexec -n 4\n");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Cart_create(MPI_COMM_WORLD, 2, dims, periods, 0, &torus);
    MPI_Cart_shift(torus, 0, 1, &neighbour[UP], &neighbour[DOWN]);
    MPI_Cart_shift(torus, 1, 1, &neighbour[LEFT], &neighbour[RIGHT]);
    MPI_Cart_coords(torus, rank, 2, at);

    field fields[2] = {make("old"), make("new")};
    wrong = wrong_cells(&fields[0], at, neighbour, torus);
    MPI_Allreduce(&wrong, &all_wrong, 1, MPI_INT, MPI_SUM, torus);
    const double before = heat(&fields[0], torus);
    for (int turn = 0; turn < STEPS; turn++)
        step(&fields[turn % 2], &fields[(turn + 1) % 2], neighbour, torus, turn == 0);
    const double after = heat(&fields[STEPS % 2], torus);

    size_t copies = 0, left = 0;
    must(tn_copies_query(sizeof(tn_copy_site), 0, NULL, &copies));
    for (int i = 0; i < 2; i++)
        release(&fields[i]);
    must(tn_leaks(sizeof(tn_holder), 0, NULL, &left));
    if (rank == 0) {
        printf("cells of a halo that are wrong: %d\n", all_wrong);
        printf("the heat stays the same: %s\n", fabs(after - before) <= 1e-9 * before ? "yes" : "no");
        printf("copies at the border: %zu, leaks: %zu\n", copies, left);
    }
    MPI_Comm_free(&torus);
    MPI_Finalize();
    return 0;
}

/* It prints:
a write to an edge on its way: TN_ERR_BORROWED
a read of a halo on its way: TN_ERR_BORROWED_WRITE
cells of a halo that are wrong: 0
the heat stays the same: yes
copies at the border: 0, leaks: 0
*/
