//! Rows EX: the operands, overwriting, kept nodes and releases of expressions, with the figures of section 8.2.

use super::super::calls::{Build, Call, Contents};
use super::super::graph::Progress;
use super::super::handle::Ref;
use super::*;

/// Rows and columns.
pub const N: i64 = 6;
/// Bytes of a vector and of a matrix.
pub const SMALL: i64 = 8 * N;
pub const LARGE: i64 = 8 * N * N;

impl Scene {
    /// With numbers in it; a square matrix is positive definite.
    pub fn filled(&mut self, shape: &[i64]) -> Ref {
        // Every fourth seed makes a matrix without a heavy diagonal.
        if self.model().seed % 4 == 3 {
            self.driver.model.seed += 1;
        }
        let (pool, dtype, shape) = (Ref::Null, TN_F64, shape.to_vec());
        self.array(Call::Make { pool, dtype, shape, order: TN_ORDER_C, contents: Contents::Empty })
    }

    /// A vector of equal positive numbers.
    pub fn positive(&mut self, n: i64) -> Ref {
        loop {
            let (pool, shape, contents) = (Ref::Null, vec![n], Contents::Full);
            let made = self.ok(Call::Make { pool, dtype: TN_F64, shape, order: TN_ORDER_C, contents }).arrays[0];
            if self.model().floats(&self.model().arrays[made].region.layout)[0] > 0.0 {
                return Ref::Array(made);
            }
            self.release(Ref::Array(made));
        }
    }

    pub fn leaf(&mut self, array: Ref, form: u32) -> Ref {
        Ref::Expr(self.ok(Call::Leaf { array, form }).expr.expect("an expression"))
    }

    fn build(&mut self, what: Build, x: Ref, y: Ref) -> Ref {
        Ref::Expr(self.ok(Call::Build { what, x, y }).expr.expect("an expression"))
    }

    /// An operation whose operands are released.
    pub fn over(&mut self, what: Build, x: Ref, y: Ref) -> Ref {
        let made = self.build(what, x, y);
        self.drop_expr(x);
        if y != Ref::Null && y != x {
            self.drop_expr(y);
        }
        made
    }

    fn drop_expr(&mut self, expr: Ref) {
        self.ok(Call::ExprRelease { expr });
    }

    fn compute(&mut self, expr: Ref) -> Ref {
        self.array(Call::Compute { expr, flags: 0 })
    }

    /// Blocks that the last computation took, and its peak above these live bytes.
    fn taken(&self, before: i64) -> (u64, i64) {
        let meter = self.model().meter.as_ref().expect("a computation");
        (meter.allocations[0], meter.peak[0] - before)
    }

    fn progress(&self, expr: Ref) -> Progress {
        let Ref::Expr(k) = expr else { panic!("{expr:?} is no expression") };
        self.model().nodes[k].progress
    }
}

/// cholesky(m1 + m2) * u; vectors are diagonals. Only its own handle is not released.
pub fn factor_times(s: &mut Scene, m1: Ref, m2: Ref, u: Ref) -> Ref {
    let form = |s: &Scene, array: Ref| {
        let Ref::Array(k) = array else { panic!("{array:?} is no array") };
        if s.model().arrays[k].region.ndim() == 1 { TN_FORM_DIAGONAL } else { TN_FORM_FULL }
    };
    let (f1, f2) = (form(s, m1), form(s, m2));
    let (x, y, z) = (s.leaf(m1, f1), s.leaf(m2, f2), s.leaf(u, TN_FORM_FULL));
    let sum = s.over(Build::Add, x, y);
    let factor = s.over(Build::Cholesky, sum, Ref::Null);
    s.over(Build::Multiply, factor, z)
}

/// The holder of A other than the caller, who has released it.
type Holder = fn(&mut Scene, Ref);

#[test]
fn ex_10_to_17_holders_of_an_operand() {
    let clone: Holder = |s, a| _ = s.clone(a);
    let row: Holder = |s, a| _ = s.row(a, 0);
    let xr: Holder = |s, a| _ = s.export(a, XR);
    let xs: Holder = |s, a| _ = s.export(a, XS);
    let reader: Holder = |s, a| _ = s.read(a);
    let weak: Holder = |s, array| _ = s.ok(Call::Weaken { array });
    let no_other: Holder = |_, _| {};
    // Row, whether A and D are released, and A's other holder; blocks, peak, live bytes afterwards.
    for (number, a_goes, d_goes, holds, blocks, peak, after) in [
        (10, false, false, no_other, 2, LARGE + SMALL, SMALL),
        (11, true, true, no_other, 1, 0, -LARGE),
        (12, false, true, no_other, 2, LARGE, 0),
        (13, true, true, clone, 2, LARGE, 0),
        (14, true, true, row, 2, LARGE, 0),
        (15, true, true, xr, 2, LARGE, 0),
        (15, true, true, xs, 2, LARGE, 0),
        (16, true, true, reader, 2, LARGE, 0),
        (17, true, true, weak, 1, 0, -LARGE),
        (26, true, false, no_other, 1, SMALL, -LARGE + SMALL),
    ] {
        let mut s = Scene::new();
        let (a, d, u) = (s.filled(&[N, N]), s.zeros(&[N]), s.filled(&[N]));
        holds(&mut s, a);
        let v = factor_times(&mut s, a, d, u);
        if a_goes {
            s.release(a);
        }
        if d_goes {
            s.release(d);
        }
        let before = s.live().0;
        s.compute(v);
        assert_eq!(s.taken(before), (blocks, peak), "EX-{number}");
        let now = s.live().0 - before;
        assert_eq!(now, after, "EX-{number}: live bytes afterwards");
        if number == 17 {
            s.refuses(Call::Upgrade { weak: Ref::Weak(0) }, TN_ERR_DESTRUCTED);
        }
        s.drop_expr(v);
        s.done();
    }
}

#[test]
fn ex_1_to_8_building_and_overwriting() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let (at, live) = (s.at(a), s.live());
    let x = s.leaf(a, TN_FORM_FULL);
    assert_eq!((s.why(a), s.live()), (TN_WHY_IN_EXPRESSION, live), "EX-1, EX-2");
    let row = s.row(a, 0);
    for mode in [0, UNIQUE] {
        let status = if mode == 0 { TN_ERR_IN_EXPRESSION } else { TN_ERR_SHARED };
        s.refuses(Call::BorrowWrite { array: a, mode }, status);
    }
    s.release(row);
    s.refuses(Call::BorrowWrite { array: a, mode: UNIQUE }, TN_ERR_IN_EXPRESSION);
    let guard = s.write(a, COW);
    s.end(guard);
    assert_ne!(s.at(a), at, "EX-2: the expression keeps the old values");
    s.release(a);
    let double = s.over(Build::Add, x, x);
    let sum = s.compute(double);
    assert_eq!((s.at(sum), s.taken(live.0).0), (at, 0), "EX-3: one node twice");
    s.drop_expr(double);
    assert_eq!(s.why(sum), 0);
    let (x, y) = (s.leaf(sum, TN_FORM_FULL), s.leaf(sum, TN_FORM_FULL));
    s.release(sum);
    let double = s.over(Build::Add, x, y);
    let sum = s.compute(double);
    assert_eq!((s.at(sum), s.taken(0).0), (at, 0), "EX-3: two leaves of one layout");
    s.drop_expr(double);
    let (head, tail) = (s.slice(sum, &[(0, 3, 1)]), s.slice(sum, &[(1, 4, 1)]));
    s.release(sum);
    let (x, y) = (s.leaf(head, TN_FORM_FULL), s.leaf(tail, TN_FORM_FULL));
    s.release(head);
    s.release(tail);
    let over = s.over(Build::Add, x, y);
    s.compute(over);
    assert_eq!(s.taken(0).0, 1, "EX-4: they overlap, and lie differently");
    let large = s.zeros(&[11]);
    let head = s.slice(large, &[(0, 5, 1)]);
    s.release(large);
    let x = s.leaf(head, TN_FORM_FULL);
    s.release(head);
    let wasteful = s.over(Build::Scale(2.0), x, Ref::Null);
    s.compute(wasteful);
    assert_eq!(s.taken(0).0, 1, "EX-8");
    s.done();
}

#[test]
fn ex_3_an_operand_of_two_operations_is_overwritten_by_the_second() {
    let mut s = Scene::new();
    let a = s.filled(&[4]);
    let at = s.at(a);
    let x = s.leaf(a, TN_FORM_FULL);
    s.release(a);
    let (first, second) = (s.build(Build::Scale(2.0), x, Ref::Null), s.build(Build::Scale(3.0), x, Ref::Null));
    s.drop_expr(x);
    let two = s.compute(first);
    let three = s.compute(second);
    assert_eq!((s.at(two) == at, s.at(three) == at), (false, true));
    s.done();
}

#[test]
fn ex_5_to_7_products_and_solutions() {
    let diagonal = TN_FORM_DIAGONAL;
    for (gone, in_left) in [([true, true], true), ([false, true], false)] {
        let mut s = Scene::new();
        let (a, b) = (s.filled(&[N]), s.filled(&[N]));
        let at = s.at(if in_left { a } else { b });
        let (x, y) = (s.leaf(a, diagonal), s.leaf(b, diagonal));
        [a, b].into_iter().zip(gone).filter(|(_, gone)| *gone).for_each(|(array, _)| s.release(array));
        let sum = s.over(Build::Add, x, y);
        let sum = s.compute(sum);
        assert_eq!((s.at(sum), s.taken(0).0), (at, 0), "EX-5");
        s.done();
    }
    for (right, blocks) in [(vec![N], 1), (vec![N, N], 1)] {
        let mut s = Scene::new();
        let (m, u) = (s.filled(&[N, N]), s.filled(&right));
        let (x, y) = (s.leaf(m, TN_FORM_FULL), s.leaf(u, TN_FORM_FULL));
        s.release(m);
        s.release(u);
        let product = s.over(Build::Multiply, x, y);
        s.compute(product);
        assert_eq!(s.taken(0).0, blocks, "EX-6");
        s.done();
    }
    for (held, blocks) in [([false, false], 0), ([true, false], 1), ([true, true], 2)] {
        let mut s = Scene::new();
        let (m, b) = (s.filled(&[N, N]), s.filled(&[N]));
        let (x, y) = (s.leaf(m, TN_FORM_FULL), s.leaf(b, TN_FORM_FULL));
        [m, b].into_iter().zip(held).filter(|(_, held)| !held).for_each(|(array, _)| s.release(array));
        let solution = s.over(Build::Solve, x, y);
        s.compute(solution);
        assert_eq!(s.taken(0).0, blocks, "EX-7");
        s.done();
    }
}

#[test]
fn ex_30_to_32_computed_once_and_kept() {
    let mut s = Scene::new();
    let a = s.filled(&[N]);
    let at = s.at(a);
    let x = s.leaf(a, TN_FORM_FULL);
    s.release(a);
    let kept = s.over(Build::Scale(2.0), x, Ref::Null);
    let one = s.compute(kept);
    let two = s.compute(kept);
    assert_eq!((s.at(one), s.at(two), s.taken(0).0, s.h(one)), (at, at, 0, 2), "EX-30");
    s.release(two);
    assert_eq!(s.why(one), TN_WHY_IN_EXPRESSION, "EX-30");
    let above = s.build(Build::Elementwise(TN_EXPR_NEGATE), kept, Ref::Null);
    s.release(one);
    let negative = s.compute(above);
    assert_ne!(s.at(negative), at, "EX-31: what the user holds is not overwritten");
    s.drop_expr(kept);
    s.drop_expr(above);
    let never = s.leaf(negative, TN_FORM_FULL);
    let never = s.over(Build::Scale(2.0), never, Ref::Null);
    s.drop_expr(never);
    assert_eq!(s.why(negative), 0, "EX-32");
    let leaf = s.leaf(negative, TN_FORM_FULL);
    let clone = s.compute(leaf);
    assert_eq!((s.at(clone), s.why(clone)), (s.at(negative), TN_WHY_SHARED | TN_WHY_IN_EXPRESSION), "EX-31");
    s.done();
}

#[test]
fn ex_34_a_leaf_is_a_read() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let leaf = |array| Call::Leaf { array, form: TN_FORM_FULL };
    let guard = s.write(a, 0);
    s.refuses(leaf(a), TN_ERR_BORROWED_WRITE);
    s.end_failed(guard);
    s.refuses(leaf(a), TN_ERR_POISONED);
    s.ok(Call::Zero { array: a, mode: 0 });
    let exclusive = s.export(a, XW);
    s.refuses(leaf(a), TN_ERR_EXPORTED);
    s.end(exclusive);
    s.export(a, XR);
    s.export(a, XS);
    let x = s.leaf(a, TN_FORM_FULL);
    s.refuses(Call::BorrowWrite { array: a, mode: 0 }, TN_ERR_EXPORTED);
    s.refuses(Call::Export { array: a, flags: XS, mode: 0 }, TN_ERR_IN_EXPRESSION);
    s.refuses(leaf(x), TN_ERR_KIND);
    s.done();
}

#[test]
fn ex_40_to_42_failing_computations() {
    let mut s = Scene::new();
    let zeros = s.zeros(&[3, 3]);
    let held = s.filled(&[3, 3]);
    let (x, y) = (s.leaf(zeros, TN_FORM_FULL), s.leaf(held, TN_FORM_FULL));
    s.release(zeros);
    let below = s.build(Build::Scale(2.0), x, Ref::Null);
    s.drop_expr(x);
    let failing = s.build(Build::Cholesky, below, Ref::Null);
    let above = s.build(Build::Multiply, failing, y);
    let live = s.live();
    s.refuses(Call::Compute { expr: above, flags: TN_KEEP_ON_FAIL }, TN_ERR_FAILED);
    assert_eq!((s.live(), s.progress(above), s.progress(below)), (live, Progress::Waiting, Progress::Waiting), "EX-42");
    s.refuses(Call::Compute { expr: above, flags: 0 }, TN_ERR_FAILED);
    assert_eq!((s.progress(failing), s.progress(above)), (Progress::Failed, Progress::Failed), "EX-41");
    assert_eq!(s.progress(below), Progress::Done, "EX-41: kept nodes below are unchanged");
    for expr in [failing, above] {
        s.refuses(Call::Compute { expr, flags: 0 }, TN_ERR_POISONED);
        s.refuses(Call::Build { what: Build::Transpose, x: expr, y: Ref::Null }, TN_ERR_POISONED);
        s.drop_expr(expr);
    }
    s.compute(below);
    s.drop_expr(y);
    assert_eq!(s.why(held), 0, "EX-41: operands are let go");
    s.done();
}

#[test]
fn ex_28_and_29_kept_on_fail_and_a_factor_that_is_held() {
    let mut s = Scene::new();
    let (a, d, u) = (s.filled(&[N, N]), s.zeros(&[N]), s.filled(&[N]));
    let v = factor_times(&mut s, a, d, u);
    s.release(a);
    s.release(d);
    let before = s.live().0;
    s.ok(Call::Compute { expr: v, flags: TN_KEEP_ON_FAIL });
    assert_eq!((s.taken(before), s.live().0 - before), ((2, LARGE + SMALL), -LARGE), "EX-28");
    let (a, d, u) = (s.filled(&[N, N]), s.zeros(&[N]), s.filled(&[N]));
    let weak = Ref::Weak(s.ok(Call::Weaken { array: a }).weak.expect("a weak handle"));
    let (x, y, z) = (s.leaf(a, TN_FORM_FULL), s.leaf(d, TN_FORM_DIAGONAL), s.leaf(u, TN_FORM_FULL));
    let at = s.at(a);
    s.release(a);
    s.release(d);
    let sum = s.over(Build::Add, x, y);
    let factor = s.over(Build::Cholesky, sum, Ref::Null);
    let v = s.build(Build::Multiply, factor, z);
    let before = s.live().0;
    s.compute(v);
    assert_eq!((s.taken(before), s.live().0 - before), ((1, 0), 0), "EX-29");
    s.refuses(Call::Upgrade { weak }, TN_ERR_DESTRUCTED);
    let factor = s.compute(factor);
    assert_eq!(s.at(factor), at, "EX-29: it lives in A's bytes");
    s.done();
}

#[test]
fn er_1_of_building() {
    let mut s = Scene::new();
    let (a, b) = (s.zeros(&[3]), s.zeros(&[4]));
    let (full, diagonal) = (s.leaf(a, TN_FORM_FULL), s.leaf(a, TN_FORM_DIAGONAL));
    let other = s.leaf(b, TN_FORM_DIAGONAL);
    let divide = Build::Elementwise(TN_EXPR_DIVIDE);
    s.refuses(Call::Build { what: divide, x: full, y: diagonal }, TN_ERR_SHAPE);
    s.refuses(Call::Build { what: divide, x: diagonal, y: other }, TN_ERR_SHAPE);
    s.refuses(Call::Build { what: divide, x: diagonal, y: Ref::Null }, TN_ERR_INVALID);
    s.refuses(Call::Build { what: Build::Elementwise(9), x: Ref::Junk, y: full }, TN_ERR_KIND);
    s.refuses(Call::Build { what: Build::Sum(1), x: full, y: Ref::Null }, TN_ERR_RANGE);
    s.refuses(Call::Compute { expr: full, flags: 1 << 5 }, TN_ERR_INVALID);
    s.refuses(Call::Leaf { array: a, form: TN_FORM_OF_HANDLE + 1 }, TN_ERR_INVALID);
    s.refuses(Call::Leaf { array: a, form: TN_FORM_LOWER }, TN_ERR_SHAPE);
    s.drop_expr(full);
    s.refuses(Call::Build { what: Build::Add, x: full, y: Ref::Null }, TN_ERR_NULL);
    s.refuses(Call::ExprRelease { expr: full }, TN_ERR_STALE);
    s.done();
}
