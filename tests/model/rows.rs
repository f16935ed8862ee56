//! Rows of the specification as small traces on the model and the library.
//!
//! Contract: a [`Scene`] is a driver with short names. Tests assert a row's content on the model; the driver has
//! compared the library with it by then, so one assertion covers both. Each test names its row.

mod borrow;
mod chain;
mod crossing;
mod expr;
mod found;
mod give;
mod launch;
mod order;
mod scope;
mod shared;

use super::callback::Trace;
use super::calls::{Beside, Call, Done, Stream};
use super::driver::Driver;
use super::handle::{Model, Ref};
use super::rules::Status;
use super::views::View;
use std::collections::VecDeque;
use tenure::types::*;

/// Absent bound of a slice.
const NONE: i64 = super::views::NONE;
const UNIQUE: u32 = TN_WRITE_UNIQUE;
const COW: u32 = TN_WRITE_COW;
const DISCARD: u32 = TN_WRITE_DISCARD;
/// The three export classes.
const XR: u32 = TN_BORROW;
const XS: u32 = TN_BORROW | TN_EXPORT_WRITABLE;
const XW: u32 = TN_BORROW | TN_EXPORT_WRITABLE | TN_EXPORT_EXCLUSIVE;

/// Calls that are known beforehand.
struct Calls(VecDeque<Call>);

impl Trace for Calls {
    fn next(&mut self, _: &Model) -> Option<(Call, Beside)> {
        self.0.pop_front().map(|call| (call, Beside::default()))
    }
}

struct Scene {
    driver: Driver,
}

impl Scene {
    fn new() -> Scene {
        Scene { driver: Driver::new(false) }
    }

    fn strict() -> Scene {
        Scene { driver: Driver::new(true) }
    }

    fn step(&mut self, call: Call) -> Result<Done, Status> {
        self.driver.step(call, Beside::default()).unwrap_or_else(|what| panic!("{what}"))
    }

    /// A call, and what its callback does.
    fn with(&mut self, call: Call, body: Vec<Call>) -> Result<Done, Status> {
        let mut body = Calls(body.into());
        let done = self.driver.step_in(call, Beside::default(), &mut body).unwrap_or_else(|what| panic!("{what}"));
        assert!(body.0.is_empty(), "the callback has run");
        done
    }

    fn ok(&mut self, call: Call) -> Done {
        self.step(call.clone()).unwrap_or_else(|status| panic!("{call:?} gives {status}"))
    }

    fn refuses(&mut self, call: Call, status: Status) {
        assert_eq!(self.step(call.clone()).err(), Some(status), "{call:?}");
    }

    /// As above, with NULL for the output, or an invalid stream.
    fn refuses_beside(&mut self, call: Call, no_out: bool, stream: Stream, status: Status) {
        let outcome = self.driver.step(call.clone(), Beside { no_out, stream }).unwrap_or_else(|what| panic!("{what}"));
        assert_eq!(outcome.err(), Some(status), "{call:?}");
    }

    fn done(self) {
        self.driver.finish().unwrap_or_else(|what| panic!("{what}"));
    }

    fn model(&self) -> &Model {
        &self.driver.model
    }

    fn array(&mut self, call: Call) -> Ref {
        Ref::Array(self.ok(call).arrays[0])
    }

    fn zeros(&mut self, shape: &[i64]) -> Ref {
        self.array(Call::zeros(TN_F64, shape))
    }

    fn clone(&mut self, array: Ref) -> Ref {
        self.array(Call::Clone { array })
    }

    fn view(&mut self, array: Ref, view: View) -> Ref {
        self.array(Call::View { array, view })
    }

    fn slice(&mut self, array: Ref, bounds: &[(i64, i64, i64)]) -> Ref {
        self.view(array, slice(bounds))
    }

    fn row(&mut self, array: Ref, index: i64) -> Ref {
        self.view(array, View::Index { axis: 0, index })
    }

    fn release(&mut self, array: Ref) {
        self.ok(Call::Release { array });
    }

    fn read(&mut self, array: Ref) -> Ref {
        Ref::Guard(self.ok(Call::BorrowRead { array, flags: 0 }).guards[0])
    }

    fn write(&mut self, array: Ref, mode: u32) -> Ref {
        Ref::Guard(self.ok(Call::BorrowWrite { array, mode }).guards[0])
    }

    fn end(&mut self, guard: Ref) {
        self.ok(Call::End { guard, flags: 0 });
    }

    fn end_failed(&mut self, guard: Ref) {
        self.ok(Call::End { guard, flags: TN_END_FAILED });
    }

    /// Writes through a guard and ends it.
    fn write_and_end(&mut self, guard: Ref) {
        let Ref::Guard(k) = guard else { panic!("{guard:?} is no guard") };
        self.ok(Call::WriteThrough { guard: k });
        self.end(guard);
    }

    fn poison(&mut self, array: Ref) {
        let guard = self.write(array, 0);
        self.end_failed(guard);
    }

    fn export(&mut self, array: Ref, flags: u32) -> Ref {
        Ref::Guard(self.ok(Call::Export { array, flags, mode: 0 }).guards[0])
    }

    fn give(&mut self, array: Ref, required: u32) -> Ref {
        Ref::Promise(self.ok(Call::Give { array, required }).promise.expect("a promise"))
    }

    fn take(&mut self, promises: &[Ref]) -> Vec<Ref> {
        let done = self.ok(Call::Take { promises: promises.to_vec() });
        done.arrays.into_iter().map(Ref::Array).collect()
    }

    /// The bits of why_not, which the driver has compared with the library's.
    fn why(&self, array: Ref) -> u32 {
        let Ref::Array(k) = array else { panic!("{array:?} is no array") };
        self.model().bits(k)
    }

    /// H of the array's store.
    fn h(&self, array: Ref) -> usize {
        self.model().claims(self.store(array)).count()
    }

    fn store(&self, array: Ref) -> usize {
        let Ref::Array(k) = array else { panic!("{array:?} is no array") };
        self.model().arrays[k].store
    }

    fn at(&self, array: Ref) -> i64 {
        let Ref::Array(k) = array else { panic!("{array:?} is no array") };
        self.model().arrays[k].region.layout.at
    }

    /// Live and held bytes of the current pool.
    fn live(&self) -> (i64, i64) {
        self.model().pool_bytes(0)
    }

    /// Elements of an array, as the model knows them and the driver has compared.
    fn bytes(&self, array: Ref) -> Vec<u8> {
        let Ref::Array(k) = array else { panic!("{array:?} is no array") };
        self.model().memory.read(&self.model().arrays[k].region.layout)
    }

    /// A vector of `n` f64 at this offset of the first piece of foreign memory.
    fn import(&mut self, offset: i64, n: i64, flags: u32) -> Ref {
        self.array(foreign(offset, n, flags))
    }

    /// The number of release callbacks that ran.
    fn ran(&self) -> usize {
        self.model().ran.len()
    }
}

fn slice(bounds: &[(i64, i64, i64)]) -> View {
    View::Slice {
        specs: bounds
            .iter()
            .map(|&(start, stop, step)| tn_slice_spec { start, stop, step, reserved: [0; 4] })
            .collect(),
    }
}

fn foreign(offset: i64, n: i64, flags: u32) -> Call {
    at_address(super::store::Memory::base(0) + offset, n, flags)
}

fn at_address(ptr: i64, n: i64, flags: u32) -> Call {
    Call::Import { ptr, offset: 0, dtype: TN_F64, shape: vec![n], strides: None, flags, callback: true }
}
