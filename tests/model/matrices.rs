//! Expressions evaluated by scalar loops: the result of each operation, from its operands' numbers.
//!
//! Contract: pure; knows no store. Matrices are small, so every element is computed. An operation that fails says at
//! which pivot. If rounding decides whether it fails, the library's result is open ([`Trouble::Open`]), and such
//! expressions are not computed.

use super::graph::{Form, Operation};
use super::numbers::{Arithmetic, Number};

/// A value: the diagonal of a diagonal matrix, else all elements, last index fastest.
#[derive(Clone, Debug)]
pub struct Values {
    pub form: Form,
    pub shape: Vec<i64>,
    pub elements: Vec<Number>,
}

/// The reason why there is no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// EX-40
    Pivot,
    Open,
}

impl Values {
    /// Rows and columns of the matrix, a vector as one column.
    fn size(&self) -> (usize, usize) {
        match (self.form, &self.shape[..]) {
            (Form::Diagonal, &[n]) => (n as usize, n as usize),
            (_, &[rows, columns]) => (rows as usize, columns as usize),
            (_, &[rows]) => (rows as usize, 1),
            _ => panic!("{:?} is no matrix", self.shape),
        }
    }

    /// An element of the matrix; None if the form implies that it is 0.
    fn at(&self, i: usize, j: usize) -> Option<Number> {
        let columns = self.size().1;
        match self.form {
            Form::Diagonal => (i == j).then(|| self.elements[i]),
            Form::Lower if j > i => None,
            Form::Upper if j < i => None,
            _ => Some(self.elements[i * columns + j]),
        }
    }

    fn is_here(&self, i: usize, j: usize) -> bool {
        self.at(i, j).is_some()
    }

    fn like(&self, elements: Vec<Number>) -> Values {
        Values { elements, ..self.clone() }
    }

    /// All elements, with the zeros that the form implies.
    fn dense(&self) -> Values {
        if self.form == Form::Full {
            return self.clone();
        }
        let (rows, columns) = self.size();
        Values::full(&[rows as i64, columns as i64], |i, j| self.at(i, j).unwrap_or(Number::ZERO))
    }

    /// The elements of a matrix that are not in this form count as 0, and a diagonal has no others.
    fn in_form(self, form: Form) -> Values {
        match form {
            Form::Full => self,
            Form::Diagonal => {
                let n = self.shape[0] as usize;
                let elements = (0..n).map(|i| self.elements[i * (n + 1)]).collect();
                Values { form, shape: vec![n as i64], elements }
            }
            _ => {
                let shown = |i, j| self.at(i, j).filter(|_| form.has(i, j)).unwrap_or(Number::ZERO);
                Values { form, ..Values::full(&self.shape, shown) }
            }
        }
    }

    /// A full matrix, or a vector if the shape says so.
    fn full(shape: &[i64], mut element: impl FnMut(usize, usize) -> Number) -> Values {
        let (rows, columns) = (shape[0] as usize, shape.get(1).map_or(1, |&n| n as usize));
        let elements = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|(i, j)| element(i, j)).collect();
        Values { form: Form::Full, shape: shape.to_vec(), elements }
    }
}

/// The result of an operation.
pub fn evaluate(what: Operation, x: &Values, y: Option<&Values>, a: Arithmetic) -> Result<Values, Trouble> {
    let both = |f: &dyn Fn(Number, Number) -> Number| combine(x, y.expect("two operands"), f);
    let each = |f: &dyn Fn(Number) -> Number| x.like(masked(x, f));
    Ok(match what {
        Operation::Add => both(&|x, y| a.add(x, y)),
        Operation::Subtract => both(&|x, y| a.subtract(x, y)),
        Operation::Times => times(x, y.expect("two operands"), a),
        Operation::Divide => both(&|x, y| a.divide(x, y)),
        Operation::Dense => x.dense(),
        Operation::Negate => each(&|x| x.negative()),
        Operation::Sqrt => each(&|x| a.sqrt(x)),
        Operation::Exp => each(&|x| a.exp(x)),
        Operation::Log => each(&|x| a.log(x)),
        Operation::Scale(factor) => {
            let factor = Number::known(a.round(factor));
            each(&|x| a.multiply(factor, x))
        }
        Operation::Sum(axis) => sum(x, axis, a),
        Operation::Transpose => transpose(x),
        Operation::Multiply => multiply(x, y.expect("two operands"), a),
        Operation::Cholesky => return cholesky(x, a),
        Operation::Lu if x.form != Form::Full => x.clone(),
        Operation::Lu => {
            // Whether there are pivots does not depend on the right-hand side.
            lu(x, &Values::full(&x.shape[..1], |_, _| Number::ZERO), a)?;
            Values { form: Form::Factors, ..x.clone() }
        }
        Operation::Solve => return solve(x, y.expect("two operands"), a),
        Operation::Leaf => panic!("a leaf has its value"),
    })
}

/// Element-wise; 0 where the form implies it.
fn masked(x: &Values, f: &dyn Fn(Number) -> Number) -> Vec<Number> {
    if !matches!(x.form, Form::Lower | Form::Upper) {
        return x.elements.iter().map(|&x| f(x)).collect();
    }
    let (rows, columns) = x.size();
    let all = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
    all.map(|(i, j)| x.at(i, j).map_or(Number::ZERO, f)).collect()
}

fn combine(x: &Values, y: &Values, f: &dyn Fn(Number, Number) -> Number) -> Values {
    if x.form == y.form && !matches!(x.form, Form::Lower | Form::Upper) {
        return x.like(x.elements.iter().zip(&y.elements).map(|(&x, &y)| f(x, y)).collect());
    }
    let (left, right) = (x.dense(), y.dense());
    let pairs = left.elements.iter().zip(&right.elements);
    left.like(pairs.map(|(&x, &y)| f(x, y)).collect()).in_form(Form::union(x.form, y.form))
}

/// Element by element, where both have one.
fn times(x: &Values, y: &Values, a: Arithmetic) -> Values {
    if x.form == y.form && !matches!(x.form, Form::Lower | Form::Upper) {
        return combine(x, y, &|x, y| a.multiply(x, y));
    }
    let product = |i, j| match (x.at(i, j), y.at(i, j)) {
        (Some(x), Some(y)) => a.multiply(x, y),
        _ => Number::ZERO,
    };
    let (rows, columns) = x.size();
    Values::full(&[rows as i64, columns as i64], product).in_form(Form::intersection(x.form, y.form))
}

fn sum(x: &Values, axis: usize, a: Arithmetic) -> Values {
    if x.form == Form::Diagonal {
        return Values { form: Form::Full, ..x.clone() };
    }
    let length = |axes: &[i64]| axes.iter().product::<i64>() as usize;
    let (outer, n, inner) = (length(&x.shape[..axis]), x.shape[axis] as usize, length(&x.shape[axis + 1..]));
    let mut shape = x.shape.clone();
    shape.remove(axis);
    let one = |o: usize, i: usize| -> Number {
        let pairs: Vec<_> = (0..n).map(|k| (x.elements[(o * n + k) * inner + i], Number::known(1.0))).collect();
        a.dot(&pairs)
    };
    let elements = (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))).map(|(o, i)| one(o, i)).collect();
    Values { form: Form::Full, shape, elements }
}

/// A view of all elements, including those that the form hides.
fn transpose(x: &Values) -> Values {
    let (rows, columns) = x.size();
    match x.form {
        Form::Diagonal => x.clone(),
        form => {
            let turned = match form {
                Form::Lower => Form::Upper,
                Form::Upper => Form::Lower,
                same => same,
            };
            let shape = [columns as i64, rows as i64];
            Values { form: turned, ..Values::full(&shape, |i, j| x.elements[j * columns + i]) }
        }
    }
}

fn multiply(m: &Values, x: &Values, a: Arithmetic) -> Values {
    if (m.form, x.form) == (Form::Diagonal, Form::Diagonal) {
        return combine(m, x, &|m, x| a.multiply(m, x));
    }
    let (rows, inner) = m.size();
    let columns = x.size().1;
    let shape = if x.dense().shape.len() == 1 { vec![rows as i64] } else { vec![rows as i64, columns as i64] };
    // The zeros of a triangle on the left are skipped. Those of one on the right are written out, unless the left one
    // is full.
    let right = |k: usize, j: usize| match x.at(k, j) {
        None if m.form != Form::Full => Some(Number::ZERO),
        other => other,
    };
    let product = |i: usize, j: usize| {
        if m.form == Form::Diagonal {
            return a.multiply(m.elements[i], right(i, j).expect("not skipped"));
        }
        if x.form == Form::Diagonal {
            return m.at(i, j).map_or(Number::ZERO, |m| a.multiply(m, x.elements[j]));
        }
        let pairs: Vec<_> = (0..inner).filter_map(|k| Some((m.at(i, k)?, right(k, j)?))).collect();
        a.dot(&pairs)
    };
    Values::full(&shape, product).in_form(Form::union(m.form, if shape.len() == 1 { Form::Full } else { x.form }))
}

/// Computes first - the sum of the products.
fn less(first: Number, pairs: impl Iterator<Item = (Number, Number)>, a: Arithmetic) -> Number {
    let mut all = vec![(first, Number::known(1.0))];
    all.extend(pairs.map(|(x, y)| (x.negative(), y)));
    if all.len() == 1 { first } else { a.dot(&all) }
}

/// As above, divided by a pivot. The row may be divided before the products are subtracted, which rounds differently.
fn less_over(first: Number, pairs: &[(Number, Number)], by: Number, a: Arithmetic) -> Number {
    let q = a.ratio(less(first, pairs.iter().copied(), a), by);
    let total: f64 = pairs.iter().map(|(x, y)| (x.value * y.value).abs()).sum();
    if pairs.is_empty() || total == 0.0 { q } else { a.loosened(q, (first.value.abs() + total) / by.value.abs(), by) }
}

fn pivot(p: Option<bool>) -> Result<(), Trouble> {
    match p {
        Some(true) => Ok(()),
        Some(false) => Err(Trouble::Pivot),
        None => Err(Trouble::Open),
    }
}

fn cholesky(x: &Values, a: Arithmetic) -> Result<Values, Trouble> {
    // Whether an infinite pivot has a root here is left open by the rules.
    let check = |d: Number| pivot(d.is_positive().filter(|positive| !positive || a.is_tame(d)));
    if x.form == Form::Diagonal {
        x.elements.iter().try_for_each(|&d| check(d))?;
        return Ok(x.like(x.elements.iter().map(|&d| a.sqrt(d)).collect()));
    }
    let n = x.size().0;
    let mut l = vec![vec![Number::ZERO; n]; n];
    for j in 0..n {
        let d = less(x.elements[j * n + j], (0..j).map(|k| (l[j][k], l[j][k])), a);
        check(d)?;
        l[j][j] = a.root(d);
        for i in j + 1..n {
            let pairs: Vec<_> = (0..j).map(|k| (l[i][k], l[j][k])).collect();
            l[i][j] = less_over(x.elements[i * n + j], &pairs, l[j][j], a);
        }
    }
    Ok(Values { form: Form::Lower, ..Values::full(&x.shape, |i, j| l[i][j]) })
}

fn solve(m: &Values, b: &Values, a: Arithmetic) -> Result<Values, Trouble> {
    if (m.form, b.form) == (Form::Diagonal, Form::Diagonal) {
        return Ok(combine(b, m, &|b, m| a.divide(b, m)));
    }
    let form = if b.shape.len() == 1 && b.form == Form::Full { Form::Full } else { Form::union(m.form, b.form) };
    solve_dense(m, &b.dense(), a).map(|x| x.in_form(form))
}

/// As [`solve`], of a vector or a full matrix.
fn solve_dense(m: &Values, b: &Values, a: Arithmetic) -> Result<Values, Trouble> {
    let (n, columns) = b.size();
    let right = |i: usize, j: usize| b.elements[i * columns + j];
    if m.form == Form::Diagonal {
        return Ok(Values::full(&b.shape, |i, j| a.divide(right(i, j), m.elements[i])));
    }
    if m.form == Form::Factors {
        return lu(m, b, a);
    }
    let column = |j: usize| {
        let mut x = vec![Number::ZERO; n];
        for step in 0..n {
            let i = if m.form == Form::Lower { step } else { n - 1 - step };
            let known = |k: &usize| *k != i && m.is_here(i, *k);
            let pairs: Vec<_> = (0..n).filter(known).map(|k| (m.elements[i * n + k], x[k])).collect();
            x[i] = less_over(right(i, j), &pairs, m.elements[i * n + i], a);
        }
        x
    };
    let x: Vec<Vec<Number>> = (0..columns).map(column).collect();
    Ok(Values::full(&b.shape, |i, j| x[j][i]))
}

/// The library factors a matrix or its transpose, depending on its layout, and so rounds differently. A zero or a pivot
/// of one way may be a rounded number of the other.
fn lu(m: &Values, b: &Values, a: Arithmetic) -> Result<Values, Trouble> {
    match (gauss(m, b, a, false), gauss(m, b, a, true)) {
        (Ok(x), Ok(other)) => {
            let either = |(x, other): (&Number, &Number)| Number { error: x.error + other.error, ..*x };
            Ok(x.like(x.elements.iter().zip(&other.elements).map(either).collect()))
        }
        (Err(Trouble::Pivot), Err(Trouble::Pivot)) => Err(Trouble::Pivot),
        _ => Err(Trouble::Open),
    }
}

/// Gaussian elimination with partial pivoting, with the right-hand side beside the matrix. Pivots are searched down the
/// columns or, if the transpose is factored, across the rows. The library may choose another one of equal pivots, so
/// exact numbers here need not be exact there; only zeros are.
fn gauss(m: &Values, b: &Values, a: Arithmetic, across: bool) -> Result<Values, Trouble> {
    let (n, columns) = b.size();
    let row = |i: usize| -> Vec<Number> {
        let left = (0..n).map(|j| m.elements[i * n + j]);
        left.chain((0..columns).map(|j| b.elements[i * columns + j])).map(|x| a.blurred(x)).collect()
    };
    let mut rows: Vec<Vec<Number>> = (0..n).map(row).collect();
    let mut unknowns: Vec<usize> = (0..n).collect();
    for k in 0..n {
        let candidate = |i: usize| if across { rows[k][i] } else { rows[i][k] };
        if (k..n).any(|i| !a.is_tame(candidate(i))) {
            return Err(Trouble::Open);
        }
        let size = |i: usize| candidate(i).value.abs();
        let best = (k..n).max_by(|&i, &j| size(i).total_cmp(&size(j))).expect("a row");
        if (k..n).all(|i| candidate(i).is_known() && size(i) == 0.0) {
            return Err(Trouble::Pivot);
        }
        pivot(candidate(best).is_zero().map(|zero| !zero))?;
        if across {
            rows.iter_mut().for_each(|row| row.swap(k, best));
            unknowns.swap(k, best);
        } else {
            rows.swap(k, best);
        }
        let top = rows[k].clone();
        for row in &mut rows[k + 1..] {
            let factor = a.ratio(row[k], top[k]);
            for j in k + 1..n + columns {
                row[j] = less(row[j], [(factor, top[j])].into_iter(), a);
            }
        }
    }
    let column = |j: usize| {
        let mut x = vec![Number::ZERO; n];
        for i in (0..n).rev() {
            let pairs: Vec<_> = (i + 1..n).map(|k| (rows[i][k], x[unknowns[k]])).collect();
            x[unknowns[i]] = less_over(rows[i][n + j], &pairs, rows[i][i], a);
        }
        x
    };
    let x: Vec<Vec<Number>> = (0..columns).map(column).collect();
    Ok(Values::full(&b.shape, |i, j| x[j][i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure::types::TN_F32;

    #[test]
    fn ex_7_zeros_that_the_transpose_rounds_are_not_known() {
        let numbers = |values: &[f64]| values.iter().map(|&x| Number::known(x)).collect();
        let solve = |top: [f64; 3]| {
            let m = numbers(&[top[0], top[1], top[2], 0.0, 0.3, 0.9, 0.0, 0.7, 0.1]);
            let m = Values { form: Form::Factors, shape: vec![3, 3], elements: m };
            let b = Values { form: Form::Full, shape: vec![3], elements: numbers(&[top[0], 0.0, 0.0]) };
            let x = solve(&m, &b, Arithmetic::of(TN_F32)).unwrap().elements;
            assert_eq!(x.iter().map(|x| x.value).collect::<Vec<_>>(), [1.0, 0.0, 0.0]);
            x[1]
        };
        let x = solve([1.0, 3.0, 7.0]);
        assert!(x.fits(3.1e-8) && !x.fits(1e-3), "{x:?}: the transpose begins with another pivot");
        let x = solve([7.0, 3.0, 1.0]);
        assert!(x.fits(0.0) && !x.fits(3.1e-8), "{x:?}: both begin with the same pivot");
    }
}
