//! FM-9: matrices and lazy expressions by operators. What is passed by value may be overwritten; what is passed by
//! reference stays. Bytes are counted in a pool of the test's own.

use tenure_rs::{Array, Form, Lazy, LuPart, Matrix, Operand, Result, Status, sys};

const N: usize = 24;

/// Elements in C order.
type Dense = Vec<f64>;

fn dense(element: impl Fn(usize, usize) -> f64) -> Dense {
    (0..N * N).map(|at| element(at / N, at % N)).collect()
}

fn product(x: &[f64], y: &[f64]) -> Dense {
    let columns = y.len() / N;
    let element = |at: usize| (0..N).map(|k| x[at / columns * N + k] * y[k * columns + at % columns]).sum();
    (0..N * columns).map(element).collect()
}

fn transposed(x: &[f64]) -> Dense {
    dense(|i, j| x[j * N + i])
}

fn cholesky(x: &[f64]) -> Dense {
    let mut l = vec![0.0; N * N];
    for j in 0..N {
        for i in j..N {
            let rest = x[i * N + j] - (0..j).map(|k| l[i * N + k] * l[j * N + k]).sum::<f64>();
            l[i * N + j] = if i == j { rest.sqrt() } else { rest / l[j * N + j] };
        }
    }
    l
}

#[track_caller]
fn assert_close(made: &[f64], expected: &[f64]) {
    assert_eq!(made.len(), expected.len());
    for (at, (made, expected)) in made.iter().zip(expected).enumerate() {
        assert!((made - expected).abs() < 1e-9 * (1.0 + expected.abs()), "element {at}: {made}, not {expected}");
    }
}

fn address(array: &Array<f64>) -> *const f64 {
    array.read().unwrap().as_ptr()
}

/// A pool whose counts are exact, the current one of this thread.
struct Counted(*mut sys::tn_pool);

impl Counted {
    fn new() -> Counted {
        let mut pool = std::ptr::null_mut();
        let options = sys::tn_pool_options {
            size: size_of::<sys::tn_pool_options>(),
            thread_cache_size: sys::TN_POOL_NONE,
            ..Default::default()
        };
        let host = sys::tn_device { r#type: sys::TN_CPU, id: 0 };
        // SAFETY: options of their size, and a place for the pool.
        assert_eq!(unsafe { sys::tn_pool_create(host, &options, &mut pool) }, 0);
        // SAFETY: a call on a handle.
        assert_eq!(unsafe { sys::tn_pool_set_current(pool) }, 0);
        Counted(pool)
    }

    fn stats(&self) -> sys::tn_pool_stats {
        let size = size_of::<sys::tn_pool_stats>();
        // SAFETY: plain numbers, for which zero is a value.
        let mut stats = sys::tn_pool_stats { size, ..unsafe { std::mem::zeroed() } };
        // SAFETY: a struct of that size.
        assert_eq!(unsafe { sys::tn_pool_query(self.0, &mut stats) }, 0);
        stats
    }

    /// How many blocks `work` allocates, how many of n x n elements at the most at once, and its result.
    fn blocks<V>(&self, work: impl FnOnce() -> V) -> ((u64, u64), V) {
        // SAFETY: a call on a handle.
        assert_eq!(unsafe { sys::tn_pool_reset_peak(self.0) }, 0);
        let before = self.stats();
        let result = work();
        let after = self.stats();
        let peak = (after.peak_requested_bytes - before.requested_bytes) / (8 * N * N) as u64;
        ((after.allocation_count - before.allocation_count, peak), result)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // SAFETY: this value's handle, used no more.
        let _ = unsafe { sys::tn_pool_release(self.0) };
    }
}

/// A matrix `a` that is positive definite, and vectors, whose matrices are of the pool.
struct Problem {
    pool: Counted,
    a: Dense,
    d: [Vec<f64>; 2],
    u: [Vec<f64>; 2],
}

impl Problem {
    fn new() -> Problem {
        let wave = |phase: f64| (0..N).map(|i| (i as f64 + phase).sin()).collect::<Vec<f64>>();
        let above_one = |phase| wave(phase).iter().map(|x| x + 2.0).collect();
        let a = dense(|i, j| if i == j { 2.0 * N as f64 } else { ((i + j) as f64).cos() });
        Problem { pool: Counted::new(), a, d: [above_one(1.0), above_one(2.0)], u: [wave(3.0), wave(4.0)] }
    }

    fn full(&self) -> Matrix<f64> {
        Matrix::new(Array::from_slice(&self.a, [N, N]).unwrap()).unwrap()
    }

    fn diagonal(&self, k: usize) -> Matrix<f64> {
        Matrix::diagonal(Array::from_slice(&self.d[k], [N]).unwrap()).unwrap()
    }

    fn vector(&self, k: usize) -> Array<f64> {
        Array::from_slice(&self.u[k], [N]).unwrap()
    }

    /// All elements of the diagonal matrix k.
    fn spread(&self, k: usize) -> Dense {
        dense(|i, j| if i == j { self.d[k][i] } else { 0.0 })
    }

    /// a plus the diagonal matrix k.
    fn sum(&self, k: usize) -> Dense {
        self.a.iter().zip(self.spread(k)).map(|(a, d)| a + d).collect()
    }
}

fn compute_v(m1: Matrix<f64>, m2: Matrix<f64>, u: &Array<f64>) -> Result<Array<f64>> {
    let l = (m1 + m2).cholesky();
    l * u
}

fn compute_both_v(
    x: Matrix<f64>,
    y1: Matrix<f64>,
    y2: Matrix<f64>,
    [u1, u2]: [&Array<f64>; 2],
) -> Result<[Array<f64>; 2]> {
    let v1 = compute_v(x.try_clone()?, y1, u1)?; // x is needed again
    let v2 = compute_v(x, y2, u2)?;
    Ok([v1, v2])
}

// The two calls of the guide, and its figures: one new matrix and two vectors, since the first call needs x again.
#[test]
fn fm_9_the_guides_program() {
    let p = Problem::new();
    let (x, y1, y2, u1, u2) = (p.full(), p.diagonal(0), p.diagonal(1), p.vector(0), p.vector(1));
    let (figures, [v1, v2]) = p.pool.blocks(|| compute_both_v(x, y1, y2, [&u1, &u2]).unwrap());
    assert_eq!(figures, (3, 1));
    assert_close(&v1.to_vec().unwrap(), &product(&cholesky(&p.sum(0)), &p.u[0]));
    assert_close(&v2.to_vec().unwrap(), &product(&cholesky(&p.sum(1)), &p.u[1]));
    assert_eq!(p.pool.stats().live_blocks, 4, "only the vectors are left");

    let x = p.full();
    let (y1, y2) = (p.diagonal(0), p.diagonal(1));
    assert_eq!(p.pool.blocks(|| compute_v(x.try_clone().unwrap(), y1, &u1).unwrap()).0, (2, 1));
    assert_eq!(p.pool.blocks(|| compute_v(x, y2, &u2).unwrap()).0, (1, 0));
}

// The roles exchanged: the diagonal is needed twice, and the full matrix is overwritten by its only sum.
#[test]
fn fm_9_the_guides_program_with_a_diagonal_first() {
    let p = Problem::new();
    let (x, y1, y2, u1, u2) = (p.diagonal(0), p.full(), p.diagonal(1), p.vector(0), p.vector(1));
    let (figures, [v1, v2]) = p.pool.blocks(|| compute_both_v(x, y1, y2, [&u1, &u2]).unwrap());
    assert_eq!(figures.1, 0);
    assert_close(&v1.to_vec().unwrap(), &product(&cholesky(&p.sum(0)), &p.u[0]));
    let roots: Vec<f64> = (0..N).map(|i| (p.d[0][i] + p.d[1][i]).sqrt() * p.u[1][i]).collect();
    assert_close(&v2.to_vec().unwrap(), &roots);
}

// A promise has the form, and its taker owns the matrix alone.
#[test]
fn fm_9_a_promise_keeps_the_form() {
    let p = Problem::new();
    let (x, y, u) = (p.full().give().unwrap(), p.diagonal(0).give().unwrap(), p.vector(0));
    let work = || compute_v(Matrix::take(x).unwrap(), Matrix::take(y).unwrap(), &u).unwrap();
    let (figures, v) = p.pool.blocks(work);
    assert_eq!(figures, (1, 0));
    assert_close(&v.to_vec().unwrap(), &product(&cholesky(&p.sum(0)), &p.u[0]));

    let x = p.full();
    let guard = x.as_array().read().unwrap();
    std::mem::forget(guard);
    let refused = x.give().unwrap_err();
    assert_eq!((refused.error.status(), refused.value.shape()), (Status::BORROWED, [N, N]));
    let vector = Matrix::take(p.vector(0).give().unwrap()).unwrap_err();
    assert_eq!(vector.status(), Status::SHAPE);
}

// Values of all operations, for each mix of full and diagonal, by value and by reference, which keeps the operand.
#[test]
fn fm_9_operators() {
    let p = Problem::new();
    let sides = || [(p.full(), p.a.clone()), (p.diagonal(0), p.spread(0))];
    let check = |made: Lazy<f64>, expected: &dyn Fn(usize) -> f64| {
        let matrix = made.dense().compute().unwrap();
        assert_eq!((matrix.shape(), matrix.form().unwrap()), ([N, N], Form::Full));
        let expected: Dense = (0..N * N).map(expected).collect();
        assert_close(&matrix.into_array().to_vec().unwrap(), &expected);
    };
    for (m, x) in &sides() {
        for (k, y) in &sides() {
            check(m + k, &|i| x[i] + y[i]);
            check(m.try_clone().unwrap() + k, &|i| x[i] + y[i]);
            check(m + k.try_clone().unwrap(), &|i| x[i] + y[i]);
            check(m - k, &|i| x[i] - y[i]);
            check(-(m - k), &|i| y[i] - x[i]);
            check(m * k, &|i| product(x, y)[i]);
            check(2.0 * m + k * 3.0, &|i| 2.0 * x[i] + 3.0 * y[i]);
            check(2.0 * (m + k) * 0.5 - Lazy::from(k), &|i| x[i]);
            check((m * k).transpose(), &|i| transposed(&product(x, y))[i]);
            let factor = cholesky(&(0..N * N).map(|i| x[i] + y[i]).collect::<Dense>());
            check((m + k).cholesky(), &|i| factor[i]);
            check(m * m.solve(k), &|i| y[i]);
            for (b, columns) in [(p.vector(0), 1), (Array::from_slice(&p.u.concat(), [N, 2]).unwrap(), 2)] {
                let plain = b.to_vec().unwrap();
                let sum = product(x, &plain).iter().zip(product(y, &plain)).map(|(x, y)| x + y).collect::<Dense>();
                assert_eq!(sum.len(), N * columns);
                assert_close(&((m + k) * &b).unwrap().to_vec().unwrap(), &sum);
                let solution = (m + k).solve(&b).unwrap();
                assert_eq!(solution.shape(), b.shape());
                assert_close(&((m + k) * solution).unwrap().to_vec().unwrap(), &plain);
                assert_eq!(b.to_vec().unwrap(), plain);
            }
        }
    }
    let half = Matrix::new(Array::full([2, 2], 0.5_f32).unwrap()).unwrap();
    let sum = (2.0 * &half + Matrix::identity(2).unwrap()) * 2.0;
    assert_eq!(sum.compute().unwrap().into_array().to_vec().unwrap(), [4.0_f32, 2.0, 2.0, 4.0]);
}

// Chains that the guide does not show, each without a new matrix.
#[test]
fn fm_9_chains_in_place() {
    let p = Problem::new();
    let block = p.full().into_array();
    let (x, d, b) = (p.full(), p.diagonal(0), p.full());
    let bytes = address(&block);
    let (figures, solution) = p.pool.blocks(|| (&d * 2.0).solve(block).unwrap());
    assert_eq!((figures.1, address(&solution)), (0, bytes));
    assert_close(&solution.to_vec().unwrap(), &dense(|i, j| p.a[i * N + j] / p.d[0][i] / 2.0));

    let bytes = address(b.as_array());
    let (figures, sum) = p.pool.blocks(|| (&x + (b + &d)).compute().unwrap());
    assert_eq!((figures, address(sum.as_array())), ((0, 0), bytes));
    assert_close(&sum.as_array().to_vec().unwrap(), &(0..N * N).map(|i| p.a[i] + p.sum(0)[i]).collect::<Dense>());
    assert_eq!(x.as_array().to_vec().unwrap(), p.a, "an operand by reference is kept");

    let u = p.vector(0);
    let (figures, v) = p.pool.blocks(|| (x + &d).cholesky().transpose().solve(u).unwrap());
    assert_eq!(figures, (0, 0));
    assert_close(&product(&transposed(&cholesky(&p.sum(0))), &v.to_vec().unwrap()), &p.u[0]);
    assert_eq!(d.as_array().to_vec().unwrap(), p.d[0]);
    assert!(d.as_array().is_unique().unwrap());

    // Factors for two right-hand sides, in the bytes of a matrix by value; each solution in those of its own.
    let (x, sides) = (p.full(), [p.vector(0), p.vector(1)]);
    let (figures, solutions) = p.pool.blocks(|| {
        let f = (x + &d).lu();
        sides.map(|b| (&f).solve(b).unwrap())
    });
    assert_eq!(figures, (0, 0));
    for (v, u) in solutions.iter().zip(&p.u) {
        assert_close(&product(&p.sum(0), &v.to_vec().unwrap()), u);
    }
    let x = p.full();
    let (figures, _) = p.pool.blocks(|| {
        let f = (&x).lu();
        [(&f).solve(p.vector(0)).unwrap(), f.solve(p.vector(1)).unwrap()]
    });
    assert_eq!(figures, (3, 1), "a matrix by reference is kept, and factored once");
    assert_eq!((&x).lu().compute().unwrap_err().status(), Status::UNSUPPORTED);

    // Factors multiply in the bytes of an array by value; their transpose solves; their product is the matrix.
    let f = (&x).lu();
    let (figures, v) = p.pool.blocks(|| (&f * p.vector(0)).unwrap());
    assert_eq!(figures, (2, 1), "the vector that is made here, and the factors");
    assert_close(&v.to_vec().unwrap(), &product(&p.a, &p.u[0]));
    let v = ((&f).transpose() * p.vector(0)).unwrap();
    assert_close(&v.to_vec().unwrap(), &product(&transposed(&p.a), &p.u[0]));
    assert_close(&(&f).transpose().solve(v).unwrap().to_vec().unwrap(), &p.u[0]);
    let whole = (&f).lu_part(LuPart::P) * (&f).lu_part(LuPart::L) * (&f).lu_part(LuPart::U);
    assert_close(&whole.compute().unwrap().as_array().to_vec().unwrap(), &p.a);
    assert_eq!(f.lu_part(LuPart::U).compute().unwrap().form().unwrap(), Form::Upper);

    // By value, but another handle holds the bytes.
    let x = p.full();
    let other = x.try_clone().unwrap();
    assert_eq!(p.pool.blocks(|| (x + &d).compute().unwrap()).0, (1, 1));
    assert_eq!(other.as_array().to_vec().unwrap(), p.a);
}

// An expression by reference keeps its value, which is computed once; its matrix is the caller's alone after that.
#[test]
fn fm_9_a_kept_expression_is_computed_once() {
    let p = Problem::new();
    let (x, d, u) = (p.full(), p.diagonal(0), p.vector(0));
    let l = (x + d).cholesky();
    let explained = l.explain();
    assert!(explained.contains("cholesky") && explained.contains("add"), "{explained}");
    assert_eq!(p.pool.blocks(|| (&l * &u).unwrap()).0, (1, 0));
    let (figures, factor) = p.pool.blocks(|| (&l).compute().unwrap());
    assert_eq!((figures, factor.form().unwrap(), factor.as_array().is_unique().unwrap()), ((0, 0), Form::Lower, false));
    drop(l);
    assert!(factor.as_array().is_unique().unwrap());
    assert_close(&factor.into_array().to_vec().unwrap(), &cholesky(&p.sum(0)));
}

#[test]
fn fm_9_a_dropped_expression_costs_nothing() {
    let p = Problem::new();
    let (x, d) = (p.full(), p.diagonal(0));
    let before = p.pool.stats();
    drop(((&x + &d).cholesky() * &x).transpose());
    assert!(x.as_array().is_unique().unwrap() && d.as_array().is_unique().unwrap());
    drop(2.0 * (x + d));
    let after = p.pool.stats();
    assert_eq!(after.allocation_count, before.allocation_count);
    assert_eq!((before.live_blocks, after.live_blocks), (2, 0));
}

// The first error is the value of the expression. It names the operands and the line of the operator.
#[test]
fn fm_9_errors_come_at_compute() {
    let p = Problem::new();
    let (x, small) = (p.full(), Matrix::identity(2).unwrap());
    let wrong = (&x + &small).cholesky() * &x; // this line is in the error
    let line = line!() - 1;
    let explained = wrong.explain();
    let error = (2.0 * wrong.transpose() - &small).compute().unwrap_err();
    assert_eq!((error.status(), error.to_string()), (Status::SHAPE, explained));
    for part in ["tn_expr_add", "full (24, 24)", "diagonal (2,)", &format!("matrix.rs:{line}:")] {
        assert!(error.message().contains(part), "{part} in {error}");
    }
    assert!(x.as_array().is_unique().unwrap() && small.as_array().is_unique().unwrap());

    let short = p.vector(0).slice([(1..).into()]).unwrap();
    assert_eq!((&x * &short).unwrap_err().status(), Status::SHAPE);
    assert_eq!((&x).solve(short).unwrap_err().status(), Status::SHAPE);
    let negative = (-&x).cholesky().compute().unwrap_err();
    assert_eq!(negative.status(), Status::FAILED);
    assert_eq!(x.as_array().to_vec().unwrap(), p.a);

    x.as_array().set_name("X").unwrap();
    let sum = &x + Matrix::identity(N).unwrap();
    let mut array = x.into_array();
    assert_eq!(array.fill_(0.0).unwrap_err().status(), Status::IN_EXPRESSION);
    drop(sum);
    let guard = array.write().unwrap();
    std::mem::forget(guard);
    let leaf = (Matrix::new(array).unwrap() * 2.0).compute().unwrap_err();
    assert!(leaf.status() == Status::BORROWED_WRITE && leaf.message().contains("\"X\""), "{leaf}");
}

// A constructor that fails returns its array. The form stays with the handle.
#[test]
fn fm_9_forms() {
    let p = Problem::new();
    let refused = Matrix::new(p.vector(0)).unwrap_err();
    assert_eq!((refused.error.status(), refused.value.to_vec().unwrap()), (Status::SHAPE, p.u[0].clone()));
    let refused = Matrix::diagonal(p.full().into_array().slice([]).unwrap()).unwrap_err();
    assert_eq!((refused.error.status(), refused.value.shape()), (Status::SHAPE, &[N, N][..]));
    assert!(Matrix::lower(p.vector(0)).is_err());
    assert!(Matrix::upper(Array::<f64>::zeros([2, 3]).unwrap()).is_err());

    let lower = Matrix::lower(p.full().into_array()).unwrap();
    assert_eq!((lower.form().unwrap(), lower.try_clone().unwrap().form().unwrap()), (Form::Lower, Form::Lower));
    assert_eq!((&lower).transpose().compute().unwrap().form().unwrap(), Form::Upper);
    let kept = Matrix::try_from(Array::from(lower)).unwrap();
    assert_eq!(format!("{kept:?}"), format!("Matrix {{ array: {:?}, form: Ok(Lower) }}", kept.as_array()));
    let upper = Matrix::upper(p.full().into_array()).unwrap();
    let sum = (kept + upper - p.diagonal(0)).compute().unwrap();
    let expected = dense(|i, j| p.a[i * N + j] * if i == j { 2.0 } else { 1.0 } - p.spread(0)[i * N + j]);
    assert_close(&sum.as_array().to_vec().unwrap(), &expected);
    assert_eq!((sum.form().unwrap(), p.diagonal(0).form().unwrap()), (Form::Full, Form::Diagonal));
    assert_eq!(p.diagonal(0).shape(), [N, N]);
    // An array has the form of its handle here too.
    let scaled = (p.full() * p.diagonal(0).as_array()).unwrap();
    assert_close(&scaled.to_vec().unwrap(), &dense(|i, j| p.a[i * N + j] * p.d[0][j]));
}

// FO-2: the program of the documents, with the figures of its counterpart in Python.
#[test]
fn fm_9_the_example_prints_what_it_says() {
    let program = std::env::current_exe().unwrap();
    let example = program.ancestors().nth(2).expect("target/debug/deps").join("examples/in_place");
    assert!(example.exists(), "{} is missing; `cargo test` without --test builds it", example.display());
    let out = std::process::Command::new(example).output().unwrap();
    let source = include_str!("../../../examples/documents/in_place.rs");
    let expected = source.split("/* It prints:\n").nth(1).unwrap().strip_suffix("*/\n").unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), expected, "{}", String::from_utf8_lossy(&out.stderr));
}
