//! Rows OO-40..43 and EX-20..27: functions that pass on their given parameters, and the memory that such computations
//! need.

use super::super::calls::Call;
use super::super::handle::{Ref, State};
use super::expr::{LARGE, N, SMALL, factor_times};
use super::*;

/// A parameter: passed as it is, or given away.
#[derive(Clone, Copy)]
enum Pass {
    Lend(Ref),
    Give(Ref),
}
use Pass::{Give, Lend};

/// The cost of all computations of a test, beside the live bytes at its start.
struct Figures {
    blocks: u64,
    peak: i64,
    before: i64,
}

impl Figures {
    fn new(s: &Scene) -> Figures {
        Figures { blocks: 0, peak: 0, before: s.live().0 }
    }

    /// Blocks, peak and live bytes afterwards, as section 8.2 counts them.
    fn show(&self, s: &Scene) -> (u64, i64, i64) {
        (self.blocks, self.peak, s.live().0 - self.before)
    }
}

fn enter(s: &mut Scene, params: &[Pass]) -> (Ref, Vec<Ref>) {
    let param = |s: &mut Scene, pass: &Pass| match *pass {
        Lend(array) => array,
        Give(array) => s.give(array, 1),
    };
    let params = params.iter().map(|pass| param(s, pass)).collect();
    let done = s.ok(Call::Enter { params });
    (Ref::Scope(done.scope.expect("a scope")), done.arrays.into_iter().map(Ref::Array).collect())
}

/// v = cholesky(m1 + m2) * u, in a function that releases its parameters as soon as it has built its expression.
fn compute_v(s: &mut Scene, figures: &mut Figures, m1: Pass, m2: Pass, u: Pass) -> Ref {
    let (scope, x) = enter(s, &[m1, m2, u]);
    let v = factor_times(s, x[0], x[1], x[2]);
    x.iter().for_each(|&x| s.release(x));
    let value = s.array(Call::Compute { expr: v, flags: 0 });
    let meter = s.model().meter.as_ref().expect("a computation");
    figures.blocks += meter.allocations[0];
    figures.peak = figures.peak.max(meter.peak[0] - figures.before);
    s.ok(Call::ExprRelease { expr: v });
    s.ok(Call::Leave { scope, keep: vec![] });
    value
}

/// Both v1 = cholesky(x + y1) * u1 and v2 = cholesky(x + y2) * u2. A given parameter is given on with its last use.
fn compute_both_v(s: &mut Scene, figures: &mut Figures, params: [Pass; 3], u: [Ref; 2], gives: bool) -> [Ref; 2] {
    let (scope, p) = enter(s, &params);
    let on = |array| if gives { Give(array) } else { Lend(array) };
    let one = compute_v(s, figures, Lend(p[0]), on(p[1]), Lend(u[0]));
    let two = compute_v(s, figures, on(p[0]), on(p[2]), Lend(u[1]));
    s.ok(Call::Leave { scope, keep: vec![] });
    [one, two]
}

fn inputs(s: &mut Scene) -> (Ref, [Ref; 2], [Ref; 2]) {
    let a = s.filled(&[N, N]);
    (a, [s.positive(N), s.positive(N)], [s.filled(&[N]), s.filled(&[N])])
}

#[test]
fn oo_40_to_42_and_ex_20_to_22_the_nested_chain() {
    let mut s = Scene::new();
    let (a, d, u) = inputs(&mut s);
    let mut figures = Figures::new(&s);
    let given = compute_both_v(&mut s, &mut figures, [Give(a), Give(d[0]), Give(d[1])], u, true);
    assert_eq!(figures.show(&s), (3, LARGE, -LARGE), "OO-40, EX-20");
    let values = given.map(|v| s.bytes(v));
    s.done();

    let mut s = Scene::new();
    let (a, d, u) = inputs(&mut s);
    let mut figures = Figures::new(&s);
    compute_both_v(&mut s, &mut figures, [Lend(d[0]), Give(a), Give(d[1])], u, true);
    assert_eq!(figures.show(&s), (2, SMALL, -LARGE + SMALL), "OO-41, EX-21");
    s.done();

    let mut s = Scene::new();
    let (a, d, u) = inputs(&mut s);
    let mut figures = Figures::new(&s);
    let held = compute_both_v(&mut s, &mut figures, [Lend(a), Lend(d[0]), Lend(d[1])], u, false);
    assert_eq!(figures.show(&s), (4, LARGE + 2 * SMALL, 2 * SMALL), "OO-42, EX-22");
    assert_eq!(values, held.map(|v| s.bytes(v)), "OO-42: bit for bit the same");
    s.done();
}

#[test]
fn oo_43_an_inner_call_that_cannot_enter() {
    let mut s = Scene::new();
    let (a, d, u) = inputs(&mut s);
    let mut figures = Figures::new(&s);
    let (_, p) = enter(&mut s, &[Give(a), Give(d[0]), Give(d[1])]);
    compute_v(&mut s, &mut figures, Lend(p[0]), Give(p[1]), Lend(u[0]));
    let (x, y) = (s.give(p[0], 1), s.give(p[2], 1));
    s.refuses(Call::Enter { params: vec![x, y, Ref::Null] }, TN_ERR_NULL);
    let state = |s: &Scene, array| match array {
        Ref::Array(k) => s.model().arrays[k].state,
        other => panic!("{other:?} is no array"),
    };
    assert_eq!((state(&s, p[0]), state(&s, p[2])), (State::Given, State::Given));
    s.ok(Call::PromiseRelease { promise: x });
    s.ok(Call::PromiseRelease { promise: y });
    assert_eq!((state(&s, p[0]), state(&s, p[2])), (State::Live, State::Live));
    s.done();
}

#[test]
fn ex_24_to_27_one_call() {
    for (number, a_given, clone, u_given, blocks, peak, after) in [
        (24, true, true, false, 2, LARGE + SMALL, SMALL),
        (25, true, false, false, 1, SMALL, -LARGE + SMALL),
        (27, true, false, true, 0, 0, -LARGE),
    ] {
        let mut s = Scene::new();
        let (a, d, u) = inputs(&mut s);
        if clone {
            s.clone(a);
        }
        let pass = |given, array| if given { Give(array) } else { Lend(array) };
        let mut figures = Figures::new(&s);
        compute_v(&mut s, &mut figures, pass(a_given, a), Lend(d[0]), pass(u_given, u[0]));
        assert_eq!(figures.show(&s), (blocks, peak, after), "EX-{number}");
        s.done();
    }
}

#[test]
fn ex_23_expressions_that_are_returned() {
    let mut s = Scene::new();
    let (a, d, u) = inputs(&mut s);
    let before = s.live().0;
    let first = factor_times(&mut s, a, d[0], u[0]);
    let second = factor_times(&mut s, a, d[1], u[1]);
    [a, d[0], d[1]].into_iter().for_each(|array| s.release(array));
    let (mut blocks, mut peak) = (0, 0);
    for v in [first, second] {
        s.array(Call::Compute { expr: v, flags: 0 });
        let meter = s.model().meter.as_ref().expect("a computation");
        (blocks, peak) = (blocks + meter.allocations[0], peak.max(meter.peak[0] - before));
        s.ok(Call::ExprRelease { expr: v });
    }
    assert_eq!((blocks, peak, s.live().0 - before), (3, LARGE, -LARGE));
    s.done();
}
