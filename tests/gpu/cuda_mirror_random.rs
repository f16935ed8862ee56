//! Random programs of mirrors against a model: the status of each call, its transfers, and the contents that every
//! holder sees (M1 to M17, MI-2 to MI-10). Some programs inject a fault into a random driver call (MI-9): then no valid
//! side is lost.
//!
//! The model shares only the C functions with the library. TENURE_MODEL_SEED runs one program, TENURE_MODEL_PROGRAMS
//! sets how many run.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::null_mut;
use support::cuda::{Device, Sim, device, with_context};
use support::device_arrays::*;
use support::random::Random;
use tenure::ffi::array::*;
use tenure::ffi::borrow::*;
use tenure::ffi::device::tn_device_synchronize;
use tenure::ffi::mirror::*;
use tenure::ffi::transfer::*;
use tenure::types::*;
use tenure_harness::test;

/// Elements of a mirror, all equal.
const N: usize = 12;
const STEPS: usize = 60;
const SIDES: [usize; 2] = [0, 1];

/// The constant of a side by its index.
fn raw(side: usize) -> tn_side {
    [TN_SIDE_HOST, TN_SIDE_DEVICE][side]
}

/// An open guard.
struct Open {
    guard: Guard,
    side: usize,
    writes: bool,
    /// Acquired from the mirror, with the stream on which it ends; else opened through an array.
    acquired: Option<Stream>,
    data: *mut c_void,
}

/// An open export of a side.
struct Exported {
    guard: Guard,
    side: usize,
    exclusive: bool,
}

/// What the library should do.
struct Model {
    sim: Option<Sim>,
    mirror: *mut tn_mirror,
    streams: [Stream; 3],
    /// By side.
    valid: [bool; 2],
    allocated: [bool; 2],
    poisoned: [bool; 2],
    /// Written through an array since the last call on the mirror.
    changed: [bool; 2],
    contents: [u32; 2],
    transfers: [u64; 2],
    arrays: Vec<(Array, usize)>,
    guards: Vec<Open>,
    exports: Vec<Exported>,
    /// The last value that was written anywhere.
    written: u32,
}

type Status = Result<(), tn_status>;

impl Model {
    fn new(random: &mut Random, streams: [Stream; 3], sim: Option<Sim>) -> Model {
        let side = random.below(2);
        let options = tn_mirror_options {
            size: size_of::<tn_mirror_options>(),
            object: null_mut(),
            borrow_flags: 0,
            dtype: TN_U32,
            ndim: 1,
            order: TN_ORDER_C,
            shape: [N as i64].as_ptr(),
            device: tn_device { r#type: 0, id: 0 },
            r#where: raw(side),
            reserved: 0,
            host_pool: null_mut(),
            device_pool: null_mut(),
            name: std::ptr::null(),
        };
        let mut mirror = null_mut();
        // SAFETY: the struct and the output are ours.
        assert_eq!(unsafe { tn_mirror_create(&options, &mut mirror, null_mut()) }, TN_OK);
        let mut model = Model {
            sim,
            mirror,
            streams,
            valid: [side == 0, side == 1],
            allocated: [side == 0, side == 1],
            poisoned: [false; 2],
            changed: [false; 2],
            contents: [0; 2],
            transfers: [0; 2],
            arrays: Vec::new(),
            guards: Vec::new(),
            exports: Vec::new(),
            written: 0,
        };
        model.acquire(side, TN_WRITE, null_mut()).unwrap();
        model.end_guard(0, false).unwrap();
        model
    }

    // ---- what the library should answer ----

    fn is_held(&self, side: usize) -> bool {
        self.arrays.iter().any(|array| array.1 == side)
            || self.exports.iter().any(|export| export.side == side)
            || self.guards.iter().any(|open| open.side == side && open.acquired.is_none())
    }

    fn readers(&self, side: usize) -> bool {
        self.guards.iter().any(|open| open.side == side && !open.writes)
    }

    /// TN_ERR_BORROWED_WRITE or TN_ERR_EXPORTED while somebody may be writing a side.
    fn check_unwritten(&self) -> Status {
        for side in SIDES.into_iter().filter(|side| self.allocated[*side]) {
            let writer = self.guards.iter().find(|open| open.writes);
            // A writer of the mirror has a guard on the other side too.
            if writer.is_some_and(|open| open.side == side || open.acquired.is_some()) {
                return Err(TN_ERR_BORROWED_WRITE);
            }
            if self.exports.iter().any(|export| export.side == side && export.exclusive) {
                return Err(TN_ERR_EXPORTED);
            }
        }
        Ok(())
    }

    fn is_undefined(&self) -> bool {
        SIDES.into_iter().all(|side| !self.valid[side] || self.poisoned[side])
    }

    fn drop_poisoned(&mut self) {
        if !self.is_undefined() {
            SIDES.into_iter().for_each(|side| self.valid[side] &= !self.poisoned[side]);
        }
    }

    /// One transfer to a side.
    fn refresh(&mut self, to: usize) -> Status {
        if self.readers(to) {
            return Err(TN_ERR_BORROWED);
        }
        self.transfers[to] += 1;
        self.contents[to] = self.contents[1 - to];
        (self.valid[to], self.allocated[to], self.poisoned[to]) = (true, true, false);
        Ok(())
    }

    fn refresh_held(&mut self) -> Status {
        for side in SIDES {
            if self.allocated[side] && !self.valid[side] && self.is_held(side) && !self.is_undefined() {
                self.refresh(side)?;
            }
        }
        Ok(())
    }

    /// The beginning of most calls.
    fn notice(&mut self) -> Status {
        self.check_unwritten()?;
        if self.changed == [true; 2] {
            return Err(TN_ERR_ALIASED);
        }
        if self.changed != [false; 2] {
            self.valid = self.changed;
        }
        self.changed = [false; 2];
        self.drop_poisoned();
        self.refresh_held()
    }

    fn expect_acquire(&mut self, side: usize, access: tn_access) -> Status {
        self.notice()?;
        if self.is_undefined() && access != TN_WRITE {
            return Err(TN_ERR_POISONED);
        }
        if access == TN_READ {
            return if self.valid[side] { Ok(()) } else { self.refresh(side) };
        }
        if self.readers(side) || self.readers(1 - side) {
            return Err(TN_ERR_BORROWED);
        }
        if access == TN_READ_WRITE && !self.valid[side] {
            self.refresh(side)?;
        }
        self.allocated[side] = true;
        Ok(())
    }

    fn expect_get(&mut self, side: usize) -> Status {
        self.notice()?;
        if self.is_undefined() {
            return Err(TN_ERR_POISONED);
        }
        if self.valid[side] { Ok(()) } else { self.refresh(side) }
    }

    fn expect_mark(&mut self, side: usize) -> Status {
        if !self.allocated[side] {
            return Err(TN_ERR_INVALID);
        }
        self.check_unwritten()?;
        let refreshes = self.allocated[1 - side] && self.is_held(1 - side);
        if refreshes {
            self.refresh(1 - side)?;
        }
        self.valid[side] = true;
        self.valid[1 - side] = refreshes;
        self.changed = [false; 2];
        // What a failed write left is what there is.
        self.poisoned[side] = false;
        Ok(())
    }

    // ---- the calls ----

    fn acquire(&mut self, side: usize, access: tn_access, stream: Stream) -> Status {
        let (mut guard, mut data) = (null_mut(), null_mut());
        // SAFETY: the outputs are ours.
        let status =
            unsafe { tn_mirror_acquire(self.mirror, raw(side), access, stream, &mut data, null_mut(), &mut guard) };
        // Faults are for the library's calls, not for those of the test below.
        self.sim.inspect(|sim| sim.clear_faults());
        if status != TN_OK {
            assert!(guard.is_null() && data.is_null(), "untouched");
            return Err(status);
        }
        let ends_on = if side == 0 { null_mut() } else { stream };
        let open = Open { guard, side, writes: access != TN_READ, acquired: Some(ends_on), data };
        if access != TN_WRITE {
            assert_eq!(self.look(&open), self.contents[side], "the contents of an acquired side");
        }
        if open.writes {
            self.written += 1;
            self.put(&open, self.written);
        }
        self.guards.push(open);
        Ok(())
    }

    /// The value within an open guard, which all elements have.
    fn look(&self, open: &Open) -> u32 {
        let mut values = [0u32; N];
        if open.side == 0 {
            // SAFETY: the guard is open, and its array dense.
            values.copy_from_slice(unsafe { std::slice::from_raw_parts(open.data.cast::<u32>(), N) });
        } else {
            let queue = open.acquired.filter(|stream| !stream.is_null()).map_or(1, native);
            with_context(0, || {
                let (to, from) = (values.as_mut_ptr().cast::<c_void>(), open.data as u64);
                let bytes = size_of_val(&values);
                assert_eq!(
                    driver_call!(cuMemcpyDtoHAsync_v2(to => *mut c_void, from => u64, bytes => usize, queue => u64)),
                    0
                );
                assert_eq!(driver_call!(cuStreamSynchronize(queue => u64)), 0);
            });
        }
        assert!(values.iter().all(|value| *value == values[0]), "torn: {values:?}");
        values[0]
    }

    /// Writes all elements within an open guard. Work on a stream may still run afterwards.
    fn put(&self, open: &Open, value: u32) {
        if open.side == 0 {
            // SAFETY: the guard is open for writing, and its array dense.
            unsafe { std::slice::from_raw_parts_mut(open.data.cast::<u32>(), N) }.fill(value);
            return;
        }
        let stream = open.acquired.filter(|stream| !stream.is_null());
        let queue = stream.map_or(1, native);
        with_context(0, || {
            let at = open.data as u64;
            assert_eq!(driver_call!(cuMemsetD32Async(at => u64, value => u32, N => usize, queue => u64)), 0);
            if stream.is_none() {
                assert_eq!(driver_call!(cuStreamSynchronize(queue => u64)), 0);
            }
        });
    }

    /// Ends a guard, and notes what it wrote.
    fn end_guard(&mut self, at: usize, failed: bool) -> Status {
        let (guard, stream) = (self.guards[at].guard, self.guards[at].acquired.unwrap_or(null_mut()));
        let flags = if failed { TN_END_FAILED } else { 0 };
        match tn_borrow_end(guard, flags, stream) {
            TN_OK => {}
            status => return Err(status),
        }
        let Open { side, writes, acquired, .. } = self.guards.swap_remove(at);
        if !writes {
            return Ok(());
        }
        self.contents[side] = self.written;
        self.poisoned[side] = failed;
        match (acquired, failed) {
            (None, false) => self.changed[side] = true,
            (None, true) => {}
            (Some(_), false) => {
                self.valid = [side == 0, side == 1];
                self.refresh_held().unwrap();
            }
            (Some(_), true) => {
                self.drop_poisoned();
                self.refresh_held().unwrap();
            }
        }
        Ok(())
    }

    fn get(&mut self, side: usize) -> Status {
        let mut array = null_mut();
        // SAFETY: the output is ours.
        match unsafe { tn_mirror_get(self.mirror, raw(side), &mut array) } {
            TN_OK => {
                self.arrays.push((array, side));
                Ok(())
            }
            status => Err(status),
        }
    }

    /// Opens a guard through an array, if nothing stands in its way.
    fn borrow(&mut self, at: usize, writes: bool) {
        let (array, side) = self.arrays[at];
        let (mut guard, mut data) = (null_mut(), null_mut());
        // SAFETY: the outputs are ours.
        let status = unsafe {
            if writes {
                tn_array_borrow_write(array, TN_WRITE_DISCARD | TN_WAIT, null_mut(), &mut data, null_mut(), &mut guard)
            } else {
                tn_array_borrow_read(array, TN_WAIT, null_mut(), (&raw mut data).cast(), null_mut(), &mut guard)
            }
        };
        let written = self.guards.iter().any(|open| open.writes && (open.side == side || open.acquired.is_some()));
        let read = self.readers(side);
        let exports = self.exports.iter().filter(|export| export.side == side);
        let exported = exports.clone().any(|export| export.exclusive) || writes && exports.count() > 0;
        let poisoned = self.poisoned[side] && !writes;
        match status {
            TN_OK => {
                assert!(!written && !(writes && (read || exported)) && !poisoned);
                let open = Open { guard, side, writes, acquired: None, data };
                if writes {
                    self.written += 1;
                    self.put(&open, self.written);
                } else {
                    assert_eq!(self.look(&open), self.contents[side], "what a holder sees");
                }
                self.guards.push(open);
            }
            status => assert!(written || read || exported || poisoned, "{status}"),
        }
    }

    fn export(&mut self, at: usize, exclusive: bool) {
        let (array, side) = self.arrays[at];
        let flags = if exclusive { TN_BORROW | TN_EXPORT_WRITABLE | TN_EXPORT_EXCLUSIVE } else { TN_BORROW };
        let (mut guard, mut how) = (null_mut(), 0);
        // SAFETY: plain data, which the call fills; the outputs are ours.
        let status = unsafe {
            let mut view: tn_view_info = std::mem::zeroed();
            tenure::ffi::exchange::tn_array_export_host(array, flags, 0, null_mut(), &mut view, &mut guard, &mut how)
        };
        if status == TN_OK {
            self.exports.push(Exported { guard, side, exclusive });
        }
    }

    fn check_state(&self) {
        // SAFETY: plain data, filled by the call.
        let info = unsafe {
            let mut info: tn_mirror_info = std::mem::zeroed();
            info.size = size_of::<tn_mirror_info>();
            assert_eq!(tn_mirror_query(self.mirror, &mut info), TN_OK);
            info
        };
        assert_eq!([info.transfers_to_host, info.transfers_to_device], self.transfers);
        for side in SIDES {
            assert_eq!(info.allocated & raw(side) != 0, self.allocated[side], "allocated");
            assert_eq!(info.held & raw(side) != 0, self.is_held(side), "held");
        }
        assert_eq!(info.bytes_to_host, 4 * N as u64 * info.transfers_to_host);
    }

    /// Ends everything except the mirror.
    fn let_go(&mut self) {
        while let Some(open) = self.guards.pop() {
            let stream = open.acquired.unwrap_or(null_mut());
            let status = tn_borrow_end(open.guard, 0, stream);
            assert!(status == TN_OK || status == TN_ERR_STALE, "{status}");
        }
        for export in self.exports.drain(..) {
            assert_eq!(tn_borrow_end(export.guard, 0, null_mut()), TN_OK);
        }
        for (array, _) in self.arrays.drain(..) {
            assert_eq!(tn_array_release(array), TN_OK);
        }
        synchronize();
    }
}

fn synchronize() {
    assert_eq!(tn_device_synchronize(gpu(0)), TN_OK);
}

/// One random step. With `fault`, the driver call of that number fails. False: the fault was met, and the program ends.
fn step(model: &mut Model, random: &mut Random, device: &Device, fault: Option<u64>) -> bool {
    let side = random.below(2);
    let before = (model.contents, model.written, model.is_undefined() || model.changed != [false; 2]);
    let (expected, found): (Status, Status);
    let arm = || fault.inspect(|nth| device.simulated().fail("*", *nth, 1, 999));
    match random.below(100) {
        0..40 => {
            let access = [TN_READ, TN_READ_WRITE, TN_WRITE][random.below(3)];
            let stream = model.streams[random.below(3)];
            expected = model.expect_acquire(side, access);
            arm();
            found = model.acquire(side, access, stream);
        }
        40..60 if !model.guards.is_empty() => {
            let (at, failed) = (random.below(model.guards.len()), random.one_in(6));
            expected = Ok(());
            arm();
            found = model.end_guard(at, failed);
        }
        60..72 => {
            expected = model.expect_get(side);
            arm();
            found = model.get(side);
        }
        72..80 => {
            expected = model.expect_mark(side);
            arm();
            found = match tn_mirror_mark_changed(model.mirror, raw(side)) {
                TN_OK => Ok(()),
                status => Err(status),
            };
        }
        80..88 if !model.arrays.is_empty() => {
            let (at, writes) = (random.below(model.arrays.len()), random.one_in(2));
            // The host borrows memory of the host only.
            if model.arrays[at].1 == 0 {
                model.borrow(at, writes);
            } else if writes && model.guards.is_empty() && model.exports.is_empty() {
                model.written += 1;
                let value = model.written;
                // SAFETY: one element.
                let status = unsafe { tn_array_fill(model.arrays[at].0, (&raw const value).cast(), 0, null_mut()) };
                assert_eq!(status, TN_OK);
                (model.contents[1], model.changed[1], model.poisoned[1]) = (value, true, false);
            }
            return true;
        }
        88..92 if !model.arrays.is_empty() => {
            let at = random.below(model.arrays.len());
            if model.arrays[at].1 == 0 {
                model.export(at, random.one_in(4));
            }
            return true;
        }
        92..95 if !model.exports.is_empty() => {
            let export = model.exports.swap_remove(random.below(model.exports.len()));
            assert_eq!(tn_borrow_end(export.guard, 0, null_mut()), TN_OK);
            return true;
        }
        _ if !model.arrays.is_empty() => {
            let (array, _) = model.arrays.swap_remove(random.below(model.arrays.len()));
            assert_eq!(tn_array_release(array), TN_OK);
            return true;
        }
        _ => return true,
    }
    if fault.is_none() {
        assert_eq!(found, expected, "{}", support::cuda::last_error());
        model.check_state();
        return true;
    }
    device.simulated().clear_faults();
    if found == expected && found.is_err() {
        return true;
    }
    // Whether the fault was met or not: no valid side is lost, and the next calls succeed.
    let lost = before.2 || model.is_undefined() || model.changed != [false; 2];
    model.let_go();
    if !lost {
        let (mut guard, mut data) = (null_mut(), null_mut());
        // SAFETY: the outputs are ours.
        let status = unsafe {
            tn_mirror_acquire(model.mirror, TN_SIDE_HOST, TN_READ, null_mut(), &mut data, null_mut(), &mut guard)
        };
        assert_eq!(status, TN_OK, "{}", support::cuda::last_error());
        let open = Open { guard, side: 0, writes: false, acquired: Some(null_mut()), data };
        let seen = model.look(&open);
        let mut possible = before.0.to_vec();
        possible.extend([before.1, model.written]);
        possible.extend(model.contents);
        assert!(possible.contains(&seen), "{seen} is none of {possible:?}");
        assert_eq!(tn_borrow_end(guard, 0, null_mut()), TN_OK);
    }
    false
}

fn program(seed: u64, device: &Device) {
    let mut random = Random::new(seed);
    let streams = [null_mut(), stream(0), stream(0)];
    let mut model = Model::new(&mut random, streams, device.sim);
    let faulty = device.sim.is_some() && seed.is_multiple_of(3);
    for _ in 0..STEPS {
        let fault = (faulty && random.one_in(10)).then(|| 1 + random.below(12) as u64);
        if !step(&mut model, &mut random, device, fault) {
            break;
        }
    }
    model.let_go();
    assert_eq!(tn_mirror_release(model.mirror), TN_OK);
    for stream in &streams[1..] {
        assert_eq!(tenure::ffi::stream::tn_stream_release(*stream), TN_OK);
    }
}

/// MI-2, MI-4, MI-5, MI-6, MI-7, MI-8, MI-9.
#[test]
fn random_programs_agree_with_the_model() {
    let device = device();
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match number("TENURE_MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TENURE_MODEL_PROGRAMS").unwrap_or(400),
    };
    for seed in seeds {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program(seed, &device)));
        if let Err(panic) = outcome {
            eprintln!("TENURE_MODEL_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
