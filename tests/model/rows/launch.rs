//! Rows KN-*: kernels of the host.

use super::super::calls::Argument;
use super::super::store::Memory;
use super::*;

const R: u32 = TN_READ;
const W: u32 = TN_WRITE;
const RW: u32 = TN_READ_WRITE;
const A: u32 = TN_ALLOW_ALIAS;

fn pass(array: Ref, access: u32, ndim: i32) -> Argument {
    Argument::Array { array, access, ndim: Some(ndim) }
}

fn address(array: Ref, access: u32) -> Argument {
    Argument::Array { array, access, ndim: None }
}

fn launch(arguments: &[Argument]) -> Call {
    Call::Launch { arguments: arguments.to_vec(), grid: [1; 3], block_bytes: 0 }
}

fn read(array: Ref) -> Call {
    Call::BorrowRead { array, flags: 0 }
}

fn write(array: Ref) -> Call {
    Call::BorrowWrite { array, mode: 0 }
}

impl Scene {
    /// The status that a call in the kernel gets. The driver has compared it with the library's.
    fn in_kernel(&mut self, arguments: &[Argument], call: Call) -> Status {
        let at = self.driver.trace.len() + 1;
        self.with(launch(arguments), vec![call]).expect("a launch");
        self.driver.trace[at].2.err().unwrap_or(TN_OK)
    }

    /// Nothing is borrowed: the only handle of a store may write it alone.
    fn is_free(&mut self, array: Ref) {
        let guard = self.write(array, UNIQUE);
        self.end(guard);
    }
}

#[test]
fn kn_10_arguments_are_borrowed_as_their_access_says() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let query = Call::WhyNot { array: a, target: None };
    for (access, reads, writes) in [
        (R, TN_OK, TN_ERR_BORROWED),
        (R | TN_FROZEN, TN_OK, TN_ERR_BORROWED),
        (W, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED_WRITE),
        (RW, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED_WRITE),
        (RW | UNIQUE, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED_WRITE),
    ] {
        let arguments = [pass(a, access, 1)];
        let before = s.bytes(a);
        assert_eq!(s.in_kernel(&arguments, write(a)), writes, "{access:#x}");
        assert_ne!(s.in_kernel(&arguments, Call::Give { array: a, required: 1 }), TN_OK);
        assert_eq!(s.in_kernel(&arguments, query.clone()), TN_OK);
        assert_eq!(s.bytes(a) != before, access & W != 0, "{access:#x}");
        s.is_free(a);
        assert_eq!(s.in_kernel(&arguments, read(a)), reads, "{access:#x}");
        if reads == TN_OK {
            // That of the call; the launch has ended its own.
            s.end(Ref::Guard(s.model().guards.len() - 1));
        }
        s.is_free(a);
    }
    // A frozen reader excludes a shared view, a plain one does not.
    s.ok(launch(&[pass(a, R, 1)]));
    s.export(a, XS);
    s.ok(launch(&[pass(a, R, 1)]));
    s.refuses(launch(&[pass(a, R | TN_FROZEN, 1)]), TN_ERR_EXPORTED);
    s.done();
}

#[test]
fn kn_10_modes_are_those_of_borrow_write() {
    let mut s = Scene::new();
    let a = s.zeros(&[4]);
    let b = s.clone(a);
    s.refuses(launch(&[pass(a, RW | UNIQUE, 1)]), TN_ERR_SHARED);
    s.refuses(launch(&[pass(a, RW | COW | UNIQUE, 1)]), TN_ERR_INVALID);
    s.refuses(launch(&[pass(a, R | COW, 1)]), TN_ERR_INVALID);
    let before = s.bytes(b);
    let shared = s.store(a);
    s.ok(launch(&[pass(a, RW | COW, 1)]));
    assert!(s.store(a) != shared && s.store(b) == shared && s.bytes(b) == before && s.bytes(a) != before);
    s.ok(launch(&[pass(b, RW, 1)]));
    // TN_WRITE overwrites everything, and so heals.
    s.poison(b);
    s.refuses(launch(&[pass(b, RW, 1)]), TN_ERR_POISONED);
    s.refuses(launch(&[pass(b, R, 1)]), TN_ERR_POISONED);
    s.ok(launch(&[pass(b, W, 1)]));
    s.ok(launch(&[pass(b, R, 1)]));
    s.done();
}

#[test]
fn kn_11_overlapping_arguments() {
    let mut s = Scene::new();
    let a = s.zeros(&[8]);
    let (low, even) = (s.slice(a, &[(0, 4, 1)]), s.slice(a, &[(0, 8, 2)]));
    let (high, odd) = (s.slice(a, &[(4, 8, 1)]), s.slice(a, &[(1, 8, 2)]));
    for (x, x_access, y, y_access, is_allowed) in [
        (a, R, a, R, true),
        (a, W, a, R, false),
        (a, RW, a, RW, false),
        (a, RW, a, R | A, true),
        (a, RW | A, a, R, false),
        (a, R, a, RW | A, false),
        (a, R | A, a, W, true),
        (a, RW | A, a, RW, true),
        (a, RW | A, a, RW | A, true),
        (low, W, even, R, false),
        (low, W, even, R | A, true),
        (low, W, high, R, true),
        (even, RW, odd, RW, true),
        (a, RW | COW, a, R | A, false),
        (a, RW | COW | A, a, RW, false),
    ] {
        for other_order in [false, true] {
            let mut arguments = [pass(x, x_access, 1), pass(y, y_access, 1)];
            if other_order {
                arguments.reverse();
            }
            match is_allowed {
                true => drop(s.ok(launch(&arguments))),
                false => s.refuses(launch(&arguments), TN_ERR_ALIASED),
            }
            let guard = s.write(a, 0);
            s.end(guard);
        }
    }
    s.done();
}

#[test]
fn kn_11_one_failing_argument_leaves_no_borrow() {
    let mut s = Scene::new();
    let (a, b, c) = (s.zeros(&[4]), s.zeros(&[4]), s.zeros(&[4, 4]));
    let transposed = s.view(c, View::Transpose);
    let stretched = s.row(a, 0);
    let stretched = s.view(stretched, View::Broadcast { shape: vec![3] });
    let given = s.zeros(&[2]);
    s.give(given, 1);
    let guard = s.read(b);
    for (wrong, status) in [
        (pass(Ref::Null, R, 1), TN_ERR_NULL),
        (pass(guard, R, 1), TN_ERR_KIND),
        (pass(c, 0, 2), TN_ERR_INVALID),
        (pass(c, R, 9), TN_ERR_INVALID),
        (pass(c, R, -1), TN_ERR_INVALID),
        (Argument::Value { bytes: 0 }, TN_ERR_INVALID),
        (pass(given, R, 1), TN_ERR_GIVEN),
        (pass(c, R, 1), TN_ERR_SHAPE),
        (address(transposed, R), TN_ERR_LAYOUT),
        (pass(stretched, W, 1), TN_ERR_READONLY),
        (pass(b, W, 1), TN_ERR_BORROWED),
    ] {
        for arguments in [[pass(a, RW, 1), wrong.clone()], [wrong.clone(), pass(a, RW, 1)]] {
            s.refuses(launch(&arguments), status);
            let guard = s.write(a, 0);
            s.end(guard);
        }
    }
    s.done();
}

#[test]
fn kn_13_what_the_kernel_gets() {
    let mut s = Scene::new();
    let a = s.zeros(&[3, 4]);
    let strided = s.slice(a, &[(NONE, NONE, -2), (1, 4, 2)]);
    let scalar = s.row(a, 1);
    let scalar = s.row(scalar, 2);
    let none = s.zeros(&[2, 0]);
    // Contents and strides are compared by the driver: the kernel writes through what it gets.
    s.ok(launch(&[pass(strided, RW, 2)]));
    s.ok(launch(&[pass(scalar, RW, 0), pass(strided, R | A, 2), Argument::Value { bytes: 5 }]));
    s.ok(launch(&[pass(scalar, W, 1), pass(none, RW, 2), address(a, R | A)]));
    s.ok(launch(&[address(a, W)]));
    s.refuses(launch(&[address(strided, R)]), TN_ERR_LAYOUT);
    s.refuses(launch(&[pass(scalar, R, 2)]), TN_ERR_SHAPE);
    // c128 at multiples of 8 is aligned for the host, but not for kernels; the shape comes before the layout.
    let complex = |offset: i64| Call::Import {
        ptr: Memory::base(0) + offset,
        offset: 0,
        dtype: TN_C128,
        shape: vec![2],
        strides: None,
        flags: TN_BORROW,
        callback: false,
    };
    let (z, halfway) = (s.array(complex(0)), s.array(complex(72)));
    s.ok(launch(&[pass(z, RW, 1)]));
    s.refuses(launch(&[pass(halfway, R, 1)]), TN_ERR_LAYOUT);
    s.refuses(launch(&[address(halfway, R)]), TN_ERR_LAYOUT);
    s.refuses(launch(&[pass(halfway, R, 2)]), TN_ERR_SHAPE);
    s.done();
}

#[test]
fn kn_20_blocks_run_in_order_and_may_call_the_library() {
    let mut s = Scene::new();
    let (a, b) = (s.zeros(&[4]), s.zeros(&[4]));
    let shape = |grid, block_bytes| Call::Launch { arguments: vec![pass(a, RW, 1)], grid, block_bytes };
    s.ok(shape([2, 3, 2], 40));
    s.ok(shape([1, 1, 3], 0));
    s.refuses(shape([1, 0, 1], 0), TN_ERR_INVALID);
    s.refuses(shape([1, 1, 1], -1), TN_ERR_INVALID);
    s.refuses_beside(shape([1; 3], 0), false, Stream::Junk, TN_ERR_KIND);
    // A launch in the kernel of another one, which holds its own arrays.
    assert_eq!(s.in_kernel(&[pass(a, RW, 1)], launch(&[pass(b, RW, 1)])), TN_OK);
    assert_eq!(s.in_kernel(&[pass(a, RW, 1)], launch(&[pass(b, RW, 1), pass(a, R, 1)])), TN_ERR_BORROWED_WRITE);
    // The kernel may release its arguments: the bytes stay until it is done.
    s.with(launch(&[pass(a, RW, 1)]), vec![Call::Release { array: a }, Call::Return { status: TN_OK }])
        .expect("a launch");
    assert_eq!(s.live(), (32, 0));
    s.is_free(b);
    s.done();
}
