//! Automatic in-place operations: an operand that is moved into an expression may be overwritten, a borrowed one stays.

use tenure_rs::{Array, Matrix, Operand, Pool, Result};

fn compute_v(m1: Matrix<f64>, m2: Matrix<f64>, u: &Array<f64>) -> Result<Array<f64>> {
    let l = (m1 + m2).cholesky();
    l * u
}

fn compute_both_v(x: Matrix<f64>, y: [Matrix<f64>; 2], u: [&Array<f64>; 2]) -> Result<[Array<f64>; 2]> {
    let [y1, y2] = y;
    let v1 = compute_v(x.try_clone()?, y1, u[0])?; // lends x, which is needed again
    let v2 = compute_v(x, y2, u[1])?;
    Ok([v1, v2])
}

fn main() -> Result<()> {
    const N: usize = 500;
    let ones = Array::ones([N])?;
    let pool = Pool::configure().name("matrices").build()?;
    let _current = pool.make_current()?;
    let a = (3.0 * Matrix::<f64>::identity(N)?).dense().compute()?;
    let d = [Matrix::identity(N)?, Matrix::identity(N)?];
    let before = pool.stats()?;
    let [v1, v2] = compute_both_v(a, d, [&ones, &ones])?;
    let after = pool.stats()?;
    println!("{:.1?} {:.1?}", &v1.to_vec()?[..2], &v2.to_vec()?[..2]);
    let made = after.allocations - before.allocations;
    let peak = (after.peak_in_use - before.in_use) / (8 * N * N) as u64;
    println!("{made} arrays were made, and at most {peak} matrix at once");
    assert_eq!((v1.to_vec()?, v2.to_vec()?, made, peak), (vec![2.0; N], vec![2.0; N], 3, 1));
    Ok(())
}
/* It prints:
[2.0, 2.0] [2.0, 2.0]
3 arrays were made, and at most 1 matrix at once
*/
