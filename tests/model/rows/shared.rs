//! Shared variables and functions: rows SV-*, FN-*.

use super::super::calls::{Input, Output};
use super::*;

const ANY: Input = Input { flags: 0, dtype: 0, ndim: -1, default: Ref::Null, shared: Ref::Null };

impl Scene {
    fn shared(&mut self, value: Ref, flags: u32) -> Ref {
        let pool = Ref::Null;
        Ref::Shared(self.ok(Call::SharedCreate { value, flags, pool }).shared.expect("a variable"))
    }

    fn function(&mut self, inputs: Vec<Input>, n_out: usize, updates: Vec<(Ref, u32)>) -> Ref {
        let outputs = vec![Output { flags: 0, dtype: 0, ndim: -1 }; n_out];
        let done = self.ok(Call::FunctionCreate { inputs, outputs, updates });
        Ref::Function(done.function.expect("a function"))
    }

    fn value_store(&self, shared: Ref) -> usize {
        let Ref::Shared(k) = shared else { panic!("{shared:?} is no variable") };
        self.model().value(k).store
    }

    fn next_array(&self, k: usize) -> Ref {
        Ref::Array(self.model().arrays.len() + k)
    }
}

#[test]
fn sv_31_a_set_without_memory_changes_nothing() {
    let mut s = Scene::new();
    let value = s.zeros(&[4]);
    let pool = Ref::Pool(super::super::handle::FULL_POOL);
    s.refuses(Call::SharedCreate { value, flags: 0, pool }, TN_ERR_POOL_LIMIT);
    let shared = Ref::Shared(s.ok(Call::SharedCreate { value, flags: TN_BORROW, pool }).shared.expect("a variable"));
    let other = s.zeros(&[5]);
    s.refuses(Call::SharedSet { shared, value: other, flags: 0 }, TN_ERR_POOL_LIMIT);
    s.refuses(Call::UpdateBegin { shared, flags: 0 }, TN_ERR_POOL_LIMIT);
    s.done();
}

#[test]
fn sv_34_sv_36_a_callback_writes_in_place_and_fails() {
    let mut s = Scene::new();
    let value = s.zeros(&[4]);
    let shared = s.shared(value, TN_TAKE_OWNERSHIP);
    let lent = s.next_array(0);
    let body = vec![
        Call::SharedSet { shared, value: lent, flags: 0 },
        Call::Fill { array: lent, value: true, mode: 0 },
        Call::Return { status: TN_ERR_IO },
    ];
    assert_eq!(s.with(Call::SharedUpdate { shared, flags: TN_MAY_OVERWRITE }, body).err(), Some(TN_ERR_IO));
    s.refuses(Call::SharedGet { shared, flags: TN_BORROW }, TN_ERR_POISONED);
    s.done();
}

#[test]
fn fn_31_two_variables_exchange_their_buffers() {
    let mut s = Scene::new();
    let (x, y) = (s.zeros(&[4]), s.zeros(&[4]));
    let (a, b) = (s.shared(x, TN_TAKE_OWNERSHIP), s.shared(y, TN_TAKE_OWNERSHIP));
    let before = (s.value_store(a), s.value_store(b));
    let inputs = vec![Input { shared: a, ..ANY }, Input { shared: b, ..ANY }];
    let function = s.function(inputs, 0, vec![(a, 0), (b, 0)]);
    let (in_a, in_b) = (s.next_array(0), s.next_array(1));
    let body = vec![
        Call::Place { place: 0, array: in_b },
        Call::Place { place: 1, array: in_a },
        Call::Return { status: TN_OK },
    ];
    s.with(Call::RunFunction { function, arguments: vec![], n_out: 0 }, body).expect("a swap");
    assert_eq!((s.value_store(b), s.value_store(a)), before);
    s.done();
}

#[test]
fn fn_30_the_last_copy_fails_and_no_variable_changes() {
    let mut s = Scene::new();
    let (x, y) = (s.zeros(&[4]), s.zeros(&[4]));
    let a = s.shared(x, TN_TAKE_OWNERSHIP);
    let pool = Ref::Pool(super::super::handle::FULL_POOL);
    let b =
        Ref::Shared(s.ok(Call::SharedCreate { value: y, flags: TN_TAKE_OWNERSHIP, pool }).shared.expect("a variable"));
    let before = (s.value_store(a), s.value_store(b));
    let function = s.function(vec![], 0, vec![(a, 0), (b, 0)]);
    let new = s.next_array(0);
    let body = vec![
        Call::zeros(TN_F64, &[4]),
        Call::Place { place: 0, array: new },
        Call::Place { place: 1, array: new },
        Call::Return { status: TN_OK },
    ];
    let call = Call::RunFunction { function, arguments: vec![], n_out: 0 };
    assert_eq!(s.with(call, body).err(), Some(TN_ERR_POOL_LIMIT));
    assert_eq!((s.value_store(a), s.value_store(b)), before);
    s.done();
}

#[test]
fn fn_12_fn_22_an_argument_is_written_and_the_output_is_a_copy() {
    let mut s = Scene::new();
    let x = s.zeros(&[4]);
    let function = s.function(vec![Input { flags: TN_MAY_OVERWRITE, ..ANY }], 1, vec![]);
    let array = s.next_array(0);
    let body = vec![
        Call::Fill { array, value: true, mode: TN_WRITE_UNIQUE },
        Call::Clone { array: x },
        Call::Place { place: 0, array },
        Call::Return { status: TN_OK },
    ];
    let done = s.with(Call::RunFunction { function, arguments: vec![x], n_out: 1 }, body).expect("a call");
    let out = Ref::Array(done.arrays[0]);
    assert_eq!(s.bytes(out), s.bytes(x));
    assert_ne!(s.store(out), s.store(x));
    s.done();
}
