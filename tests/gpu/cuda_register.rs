//! Page-locking of the caller's memory, mapped memory, and advice for managed memory: PN rows. On the simulator or a
//! GPU; see support/cuda.rs.

use crate::driver_call;
use crate::support;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use support::cuda::{NO_DRIVER, alone, device, with_context};
use support::random::Random;
use support::shadowed_arrays::*;
use tenure::ffi::array::{tn_array_import_host, tn_array_release, tn_array_set_name};
use tenure::ffi::borrow::*;
use tenure::ffi::exchange::tn_array_export_host;
use tenure::ffi::library::tn_here;
use tenure::ffi::pool::{tn_pool_create, tn_pool_trim};
use tenure::ffi::report::tn_report_json;
use tenure::ffi::transfer::*;
use tenure::types::*;
use tenure_harness::test;

const NOW: *mut tn_stream = null_mut();
const PAGE: usize = 4096;

/// Pages of our own.
struct Pages(*mut u8, usize);

impl Pages {
    fn new(bytes: usize) -> Pages {
        // SAFETY: new anonymous pages.
        let at = unsafe {
            libc::mmap(
                null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(at, libc::MAP_FAILED);
        Pages(at.cast(), bytes)
    }
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: ours, and nothing else touches it now.
        unsafe { core::slice::from_raw_parts_mut(self.0, self.1) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped above.
        unsafe { libc::munmap(self.0.cast(), self.1) };
    }
}

fn register_at(at: *mut u8, bytes: usize, flags: u32) -> Result<Array, tn_status> {
    let mut out = null_mut();
    // SAFETY: memory of the test's, or what is refused.
    done(unsafe { tn_host_register(at.cast(), bytes, flags, &mut out) }).map(|()| Array(out))
}

fn import(at: *mut u8, bytes: usize) -> Array {
    let shape = [bytes as i64];
    let layout = tn_layout {
        size: size_of::<tn_layout>(),
        dtype: TN_U8,
        ndim: 1,
        shape: shape.as_ptr(),
        strides: null(),
        offset: 0,
    };
    let (mut out, mut how) = (null_mut(), 0);
    // SAFETY: memory of the test's that outlives the array.
    let status = unsafe {
        tn_array_import_host(at.cast::<c_void>(), &layout, TN_REQUIRE_BORROW, None, null_mut(), &mut out, &mut how)
    };
    assert_eq!((status, how), (TN_OK, TN_ALIASED), "{}", text());
    Array(out)
}

fn staged() -> u64 {
    describe(GPU).staged_bytes
}

#[test]
fn pn_2_pn_3_pn_12_registered_memory_needs_no_staging() {
    let _device = device();
    let mut pages = Pages::new(64 * PAGE);
    let n = 50 * PAGE;
    pages.bytes().iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
    // An older array on the memory, and a piece that is not a whole number of pages.
    let older = import(pages.0, pages.1);
    let at = pages.0.wrapping_add(100);
    let there = Array::empty(GPU, TN_U8, &[n as i64]);
    let registered = register_at(at, n, 0).unwrap();
    let info = registered.info();
    assert_eq!(
        (info.device.r#type, info.bytes, info.ndim, info.dtype),
        (TN_CPU, n as u64, 1, TN_U8),
        "the store's label"
    );
    assert!(info.flags & TN_PINNED != 0 && info.flags & TN_FOREIGN != 0);
    assert_eq!(describe(PINNED).registered_bytes, n as u64);
    let begin = staged();
    registered.copy_into(&there, 0, NOW).unwrap();
    let part = |array: &Array, start: i64| {
        array.slice(&[tn_slice_spec { start, stop: start + n as i64, step: 1, reserved: [0; 4] }])
    };
    part(&older, 100).copy_into(&there, 0, NOW).unwrap();
    // SAFETY: raw memory in the range.
    done(unsafe { tn_array_copy_from_host(there.0, at.cast(), null(), 0, NOW) }).unwrap();
    // SAFETY: as above.
    done(unsafe { tn_array_copy_to_host(there.0, at.cast(), null(), NOW) }).unwrap();
    assert_eq!(staged(), begin);
    // Partly inside: staged, and correct.
    part(&older, 99).copy_into(&there, 0, NOW).unwrap();
    assert_eq!(staged() - begin, n as u64);
    assert!(there.read() == pages.bytes()[99..99 + n]);
    drop(registered);
    assert_eq!(describe(PINNED).registered_bytes, 0);
    assert!(part(&older, 100).info().flags & TN_PINNED == 0);
    let begin = staged();
    part(&older, 100).copy_into(&there, 0, NOW).unwrap();
    assert_eq!(staged() - begin, n as u64);
}

/// PN-12: the report shows a registration under its owner's name and site, apart from arrays, also those of the same
/// store.
#[test]
fn pn_12_the_report_names_the_owner_of_registered_memory() {
    let _device = device();
    let pages = Pages::new(16 * PAGE);
    let older = import(pages.0.wrapping_add(8 * PAGE), 4 * PAGE);
    // SAFETY: texts.
    unsafe {
        done(tn_here(c"locks.c".as_ptr(), 41)).unwrap();
        done(tn_array_set_name(older.0, c"older".as_ptr())).unwrap();
    }
    let (own, joined) =
        (register_at(pages.0, 3 * PAGE, 0).unwrap(), register_at(pages.0.wrapping_add(8 * PAGE), PAGE, 0));
    let joined = joined.unwrap();
    for (array, name) in [(&own, c"own memory"), (&joined, c"joined memory")] {
        // SAFETY: a text.
        done(unsafe { tn_array_set_name(array.0, name.as_ptr()) }).unwrap();
    }
    let mut report = vec![0_u8; 1 << 20];
    let mut length = 0;
    // SAFETY: the buffer has this many bytes, and the number is writable.
    done(unsafe { tn_report_json(0, report.len(), report.as_mut_ptr().cast(), &mut length) }).unwrap();
    let report = String::from_utf8_lossy(&report[..length]).into_owned();
    let line = |name: &str| {
        let rest = report.split(&format!("\"name\":\"{name}\"")).nth(1).unwrap_or_else(|| panic!("{name}: {report}"));
        rest.split('}').next().unwrap().to_owned()
    };
    for (name, bytes) in [("own memory", 3 * PAGE), ("joined memory", PAGE)] {
        let line = line(name);
        assert!(line.contains("locks.c:41") && line.contains(&format!("\"registered_bytes\":{bytes}")), "{line}");
    }
    assert!(!line("older").contains("registered"), "{}", line("older"));
    assert_eq!(describe(PINNED).registered_bytes, 4 * PAGE as u64);
}

#[test]
fn pn_2_labels_and_stores() {
    let _device = device();
    let pages = Pages::new(16 * PAGE);
    let fresh = register_at(pages.0, 4 * PAGE, TN_HOST_PORTABLE).unwrap();
    assert_eq!((fresh.info().device.r#type, fresh.info().device.id), (TN_CUDA_HOST, 0));
    let view = fresh.slice(&[tn_slice_spec { start: 8, stop: 16, step: 1, reserved: [0; 4] }]);
    drop(fresh);
    assert_eq!(register_at(pages.0, PAGE, 0).unwrap_err(), TN_ERR_DUPLICATE, "a view keeps it registered: {}", text());
    drop(view);
    // Past the end of an imported store it extends the store; two stores, or memory beyond a pool's block, are refused.
    let half = import(pages.0.wrapping_add(PAGE), PAGE);
    let wide = register_at(pages.0.wrapping_add(PAGE), 3 * PAGE, 0).unwrap();
    assert_eq!((half.info().store_bytes, wide.info().offset), (3 * PAGE as u64, 0));
    drop(wide);
    let other = import(pages.0.wrapping_add(2 * PAGE), PAGE);
    assert_eq!(register_at(pages.0, 4 * PAGE, 0).unwrap_err(), TN_ERR_ALIASED, "{}", text());
    drop((half, other));
    let pooled = Store::new(&mut Random::new(1), HOST, (TN_U8, 1), &[8 * PAGE as i64]);
    let mut data = null();
    let mut guard = null_mut();
    // SAFETY: writable outputs.
    done(unsafe { tn_array_borrow_read(pooled.array.0, 0, NOW, &mut data, null_mut(), &mut guard) }).unwrap();
    done(tn_borrow_end(guard, 0, NOW)).unwrap();
    let inside = register_at(data.cast_mut().cast(), PAGE, 0).unwrap();
    assert!(inside.info().device.r#type == TN_CPU && inside.info().flags & TN_PINNED != 0);
    drop(inside);
    let beyond = data.cast_mut().cast::<u8>().wrapping_sub(64);
    assert_eq!(register_at(beyond, PAGE, 0).unwrap_err(), TN_ERR_ALIASED, "{}", text());
}

#[test]
fn pn_4_a_range_is_registered_once_and_again() {
    let device = device();
    let pages = Pages::new(8 * PAGE);
    for turn in 0..1000 {
        let held =
            register_at(pages.0, 4 * PAGE, 0).unwrap_or_else(|status| panic!("turn {turn}: {status} {}", text()));
        assert_eq!(register_at(pages.0.wrapping_add(PAGE), PAGE, 0).unwrap_err(), TN_ERR_DUPLICATE);
        if turn == 500
            && let Some(sim) = device.sim
        {
            sim.fail("cuMemHostRegister", 1, 1, 999);
            assert_eq!(register_at(pages.0.wrapping_add(4 * PAGE), PAGE, 0).unwrap_err(), TN_ERR_DRIVER, "{}", text());
        }
        drop(held);
    }
    // The driver knows memory that another library registered.
    let number = support::cuda::with_context(
        0,
        || driver_call!(cuMemHostRegister_v2(pages.0.cast() => *mut c_void, PAGE => usize, 0 => u32)),
    );
    if number == 0 {
        assert_eq!(register_at(pages.0, PAGE, 0).unwrap_err(), TN_ERR_DUPLICATE, "{}", text());
        support::cuda::with_context(0, || driver_call!(cuMemHostUnregister(pages.0.cast() => *mut c_void)));
    }
    // It knows memory that it allocated itself too, but reports it differently.
    support::cuda::with_context(0, || {
        let mut allocated = null_mut::<c_void>();
        let number = driver_call!(cuMemHostAlloc(&mut allocated => *mut *mut c_void, PAGE => usize, 0 => u32));
        assert_eq!(number, 0);
        assert_eq!(register_at(allocated.cast(), PAGE, 0).unwrap_err(), TN_ERR_DUPLICATE, "{}", text());
        assert_eq!(driver_call!(cuMemFreeHost(allocated => *mut c_void)), 0);
    });
    assert_eq!(describe(PINNED).registered_bytes, 0);
}

#[test]
fn pn_5_arguments() {
    let device = device();
    let pages = Pages::new(4 * PAGE);
    assert_eq!(register_at(null_mut(), 8, 0).unwrap_err(), TN_ERR_NULL);
    assert_eq!(register_at(pages.0, 0, 0).unwrap_err(), TN_ERR_INVALID);
    assert_eq!(register_at(pages.0, 8, TN_HOST_WRITE_COMBINED).unwrap_err(), TN_ERR_INVALID);
    assert_eq!(register_at(pages.0, 8, 1 << 20).unwrap_err(), TN_ERR_INVALID);
    assert_eq!(register_at(pages.0, usize::MAX - 8, 0).unwrap_err(), TN_ERR_RANGE);
    // Not a whole number of pages, and not at a page boundary.
    let odd = register_at(pages.0.wrapping_add(13), 77, TN_HOST_PORTABLE | TN_HOST_MAPPED).unwrap();
    if let Some(sim) = device.sim {
        assert_eq!(sim.get("host_register_flags"), 3);
    }
    drop(odd);
    // Read-only pages, as of a file.
    // SAFETY: the pages are ours.
    assert_eq!(unsafe { libc::mprotect(pages.0.cast(), 4 * PAGE, libc::PROT_READ) }, 0);
    let refused = register_at(pages.0, PAGE, 0);
    assert!(matches!(refused, Err(TN_ERR_DRIVER | TN_ERR_INVALID)), "{refused:?}: {}", text());
    let read_only = register_at(pages.0, PAGE, TN_HOST_READ_ONLY);
    if let Ok(array) = read_only {
        assert!(array.info().flags & TN_READONLY != 0);
    }
}

#[test]
fn pn_6_the_last_release_waits_for_the_copies() {
    let device = device();
    let sim = device.simulated();
    let s = Stream::new(GPU);
    // Also if there is no memory for an event after the work.
    for (through, events) in [0, 1, 2].into_iter().flat_map(|way| [(way, true), (way, false)]) {
        let mut pages = Pages::new(8 * PAGE);
        pages.bytes().fill(0x5A);
        let older = (through == 1).then(|| import(pages.0, 8 * PAGE));
        let registered = register_at(pages.0, 8 * PAGE, 0).unwrap();
        let there = Array::empty(GPU, TN_U8, &[8 * PAGE as i64]);
        there.zero(0, NOW).unwrap();
        sim.hold(s.native());
        if !events {
            sim.fail("cuEventRecord", 1, 1000, 2);
        }
        match (&older, through) {
            (Some(older), _) => older.copy_into(&there, 0, s.0).unwrap(),
            // SAFETY: raw memory in the range, which stays until the release.
            (None, 2) => done(unsafe { tn_array_copy_from_host(there.0, pages.0.cast(), null(), 0, s.0) }).unwrap(),
            _ => registered.copy_into(&there, 0, s.0).unwrap(),
        }
        assert!(sim.get("pending") > 0);
        let helper = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            sim.release_all();
        });
        drop(registered);
        assert_eq!(sim.get("pending"), 0, "the release came back when the copy was done");
        sim.clear_faults();
        drop(older);
        drop(pages);
        helper.join().unwrap();
        assert!(there.read() == vec![0x5A; 8 * PAGE], "{through}");
    }
}

fn seen(array: &Array) -> (usize, u64) {
    let (mut data, mut guard) = (null(), null_mut());
    let mut info = tn_borrow_info { size: size_of::<tn_borrow_info>(), data: null_mut(), device_data: 7, bytes: 0 };
    // SAFETY: writable outputs, a struct of its size.
    unsafe {
        done(tn_array_borrow_read(array.0, 0, NOW, &mut data, null_mut(), &mut guard)).unwrap();
        done(tn_borrow_query(guard, &mut info)).unwrap();
    }
    done(tn_borrow_end(guard, 0, NOW)).unwrap();
    assert_eq!(info.data as usize, data as usize);
    (data as usize, info.device_data)
}

fn mapped_pool(flags: u32) -> *mut tn_pool {
    // SAFETY: plain data; 0 is the default of every field.
    let mut options: tn_pool_options = unsafe { std::mem::zeroed() };
    (options.size, options.host_flags) = (size_of::<tn_pool_options>(), flags);
    let mut pool = null_mut();
    // SAFETY: a struct of its size, a writable output.
    done(unsafe { tn_pool_create(PINNED, &options, &mut pool) })
        .unwrap_or_else(|status| panic!("{status}: {}", text()));
    pool
}

#[test]
fn pn_1_pn_7_pn_8_mapped_and_write_combined() {
    let device = device();
    let pages = Pages::new(4 * PAGE);
    let plain = register_at(pages.0, PAGE, 0).unwrap();
    assert_eq!(seen(&plain).1, 0);
    let mapped = register_at(pages.0.wrapping_add(PAGE), PAGE, TN_HOST_MAPPED).unwrap();
    let (data, there) = seen(&mapped);
    assert!(there != 0 && mapped.info().flags & TN_MAPPED != 0);
    let (part, part_there) = seen(&mapped.slice(&[tn_slice_spec { start: 100, stop: 200, step: 1, reserved: [0; 4] }]));
    assert_eq!((part - data, part_there - there), (100, 100));
    let pool = mapped_pool(TN_HOST_MAPPED | TN_HOST_WRITE_COMBINED);
    let mut out = null_mut();
    // SAFETY: a writable output.
    done(unsafe { tenure::ffi::array::tn_array_empty(pool, TN_F64, 1, [100i64].as_ptr(), null(), &mut out) }).unwrap();
    let pooled = Array(out);
    let flags = pooled.info().flags;
    assert!(flags & TN_MAPPED != 0 && flags & TN_WRITECOMBINED != 0 && flags & TN_PINNED != 0);
    assert_ne!(seen(&pooled).1, 0);
    if let Some(sim) = device.sim {
        assert_eq!(sim.get("host_alloc_flags"), 6);
        assert_ne!(there, data as u64, "the simulator's differ");
    }
    drop(pooled);
    // SAFETY: ours.
    done(tenure::ffi::pool::tn_pool_release(pool)).unwrap();
    let gpu = Store::new(&mut Random::new(1), GPU, (TN_F64, 8), &[4]);
    let (data, there) = seen(&gpu.array);
    assert_eq!(data as u64, there);
}

/// The address for kernels that each kind of guard gives for an array: read, write, by `tn_borrow_all`, export, and as
/// queried.
fn kernel_addresses(array: &Array, stream: *mut tn_stream) -> Vec<(u64, u64)> {
    // SAFETY: plain data.
    let blank = || -> tn_view_info { unsafe { std::mem::zeroed() } };
    let mut seen = Vec::new();
    let mut end = |guard: *mut tn_borrow, view: tn_view_info, is_one_array: bool| {
        if is_one_array {
            let mut info =
                tn_borrow_info { size: size_of::<tn_borrow_info>(), data: null_mut(), device_data: 7, bytes: 0 };
            // SAFETY: a struct of its size.
            done(unsafe { tn_borrow_query(guard, &mut info) }).unwrap();
            assert_eq!((info.data, info.device_data, info.bytes), (view.data, view.device_data, view.bytes));
        }
        done(tn_borrow_end(guard, 0, stream)).unwrap();
        seen.push((view.data as u64, view.device_data));
    };
    let (mut view, mut guard) = (blank(), null_mut());
    // SAFETY: writable outputs, here and below.
    done(unsafe { tn_array_borrow_read(array.0, 0, stream, null_mut(), &mut view, &mut guard) }).unwrap();
    end(guard, view, true);
    for mode in [TN_WAIT, TN_WAIT | TN_WRITE_DISCARD] {
        // SAFETY: see above.
        done(unsafe { tn_array_borrow_write(array.0, mode, stream, null_mut(), &mut view, &mut guard) }).unwrap();
        end(guard, view, true);
    }
    for access in [TN_READ, TN_WRITE, TN_READ_WRITE] {
        let spec = tn_borrow_spec { array: array.0, stream, access: access | TN_WAIT, reserved: [0; 9] };
        // SAFETY: see above.
        done(unsafe { tn_borrow_all(1, &spec, &mut view, &mut guard) }).unwrap();
        end(guard, view, false);
    }
    let mut chunks = [tn_part { guard: null_mut(), data: null_mut(), start: 0, length: 0, reserved: [0; 4] }; 2];
    // SAFETY: see above.
    done(unsafe { tn_array_split_write(array.0, 0, 2, TN_WAIT, stream, chunks.as_mut_ptr()) }).unwrap();
    for chunk in chunks {
        let mut info = tn_borrow_info { size: size_of::<tn_borrow_info>(), data: null_mut(), device_data: 7, bytes: 0 };
        // SAFETY: a struct of its size.
        done(unsafe { tn_borrow_query(chunk.guard, &mut info) }).unwrap();
        done(tn_borrow_end(chunk.guard, 0, stream)).unwrap();
        let offset = chunk.data as u64 - view.data as u64;
        assert_eq!(info.data, chunk.data);
        let first = if info.device_data == 0 { 0 } else { info.device_data - offset };
        seen.push((info.data as u64 - offset, first));
    }
    let device = array.info().device;
    if device.r#type != TN_CUDA {
        // SAFETY: see above.
        done(unsafe {
            tn_array_export_host(array.0, TN_REQUIRE_BORROW | TN_WAIT, 0, NOW, &mut view, &mut guard, null_mut())
        })
        .unwrap();
        done(tn_borrow_end(guard, 0, NOW)).unwrap();
        seen.push((view.data as u64, view.device_data));
    }
    seen
}

#[test]
fn pn_20_every_guard_tells_the_address_for_kernels() {
    let device = device();
    let pages = Pages::new(4 * PAGE);
    let n = [1000_i64];
    let in_pool = |pool: *mut tn_pool| {
        let mut out = null_mut();
        // SAFETY: a writable output.
        done(unsafe { tenure::ffi::array::tn_array_empty(pool, TN_U8, 1, n.as_ptr(), null(), &mut out) }).unwrap();
        Array(out)
    };
    let s = Stream::new(GPU);
    let pools = [TN_HOST_MAPPED, TN_HOST_MAPPED | TN_HOST_WRITE_COMBINED, 0].map(mapped_pool);
    let [mapped, combined, plain_pinned] = pools.map(in_pool);
    let registered = register_at(pages.0, PAGE, TN_HOST_MAPPED).unwrap();
    let unmapped = register_at(pages.0.wrapping_add(PAGE), PAGE, 0).unwrap();
    let in_registered = import(pages.0.wrapping_add(100), 1000);
    let pageable = Array::empty(HOST, TN_U8, &n);
    let managed = Array::empty(MANAGED, TN_U8, &n);
    let there = Array::empty(GPU, TN_U8, &n);
    for stream in [NOW, s.0] {
        for (array, what) in [(&managed, "managed"), (&there, "CUDA")] {
            for (data, address) in kernel_addresses(array, stream) {
                assert_eq!(data, address, "{what}");
            }
        }
        let pinned = |array: &Array| {
            let stream = if array.info().device.r#type == TN_CPU { NOW } else { stream };
            kernel_addresses(array, stream)
        };
        for (array, what) in [
            (&mapped, "a mapped pool"),
            (&combined, "write-combined"),
            (&registered, "registered"),
            (&in_registered, "imported"),
        ] {
            let seen = pinned(array);
            for (data, address) in &seen {
                assert!(*address != 0, "{what}");
                assert_eq!((data, address), (&seen[0].0, &seen[0].1), "{what}");
                // The driver guarantees one address for the mapped memory that it allocated, unless that is
                // write-combined.
                if device.sim.is_some() && what != "a mapped pool" {
                    assert_ne!(data, address, "{what}: the simulator's differ");
                }
            }
        }
        for (array, what) in [(&plain_pinned, "not mapped"), (&unmapped, "registered"), (&pageable, "pageable")] {
            for (_, address) in pinned(array) {
                assert_eq!(address, 0, "{what}");
            }
        }
    }
    // A view of no element has no address, and each entry of a guard on several arrays has its own.
    let none = Array::empty(GPU, TN_U8, &[0]);
    let specs = [&mapped, &plain_pinned, &there, &pageable, &none].map(|array| tn_borrow_spec {
        array: array.0,
        stream: NOW,
        access: TN_READ | TN_WAIT,
        reserved: [0; 9],
    });
    // SAFETY: plain data.
    let mut views: [tn_view_info; 5] = unsafe { std::mem::zeroed() };
    let mut guard = null_mut();
    // SAFETY: writable outputs.
    done(unsafe { tn_borrow_all(specs.len(), specs.as_ptr(), views.as_mut_ptr(), &mut guard) }).unwrap();
    assert_eq!(views.map(|view| view.device_data != 0), [true, false, true, false, false]);
    done(tn_borrow_end(guard, 0, NOW)).unwrap();
    // After a copy on write, the address is that of the copy.
    let shared = combined.clone();
    let spec = tn_borrow_spec {
        array: shared.0,
        stream: NOW,
        access: TN_READ_WRITE | TN_WRITE_COW | TN_WAIT,
        reserved: [0; 9],
    };
    // SAFETY: writable outputs.
    done(unsafe { tn_borrow_all(1, &spec, views.as_mut_ptr(), &mut guard) })
        .unwrap_or_else(|status| panic!("{status}: {}", text()));
    assert_ne!(views[0].device_data, 0);
    done(tn_borrow_end(guard, 0, NOW)).unwrap();
    let (data, address) = seen(&shared);
    assert_eq!((data as u64, address), (views[0].data as u64, views[0].device_data));
    assert_ne!(address, seen(&combined).1);
    drop((shared, mapped, combined, plain_pinned));
    pools.into_iter().for_each(|pool| done(tenure::ffi::pool::tn_pool_release(pool)).unwrap());
}

#[test]
fn pn_9_pn_10_pn_11_managed_memory() {
    let device = device();
    let s = Stream::new(GPU);
    let x = Store::new(&mut Random::new(1), MANAGED, (TN_F64, 8), &[3000]);
    let array = x.array.0;
    for advice in TN_ADVISE_READ_MOSTLY..=TN_ADVISE_UNSET_ACCESSED_BY {
        for place in [GPU, HOST] {
            done(tn_array_advise(array, advice, place))
                .unwrap_or_else(|status| panic!("{advice}: {status} {}", text()));
        }
    }
    for place in [GPU, HOST] {
        done(tn_array_prefetch(array, place, s.0)).unwrap_or_else(|status| panic!("{status} {}", text()));
        done(tn_array_prefetch(array, place, NOW)).unwrap();
    }
    s.synchronize().unwrap();
    x.check("neither changes the contents");
    for wrong in [0, 7, u32::MAX] {
        assert_eq!(tn_array_advise(array, wrong, GPU), TN_ERR_INVALID);
    }
    let nowhere = tn_device { r#type: TN_CUDA, id: 40 };
    assert_eq!(
        (tn_array_advise(array, 1, nowhere), tn_array_prefetch(array, nowhere, NOW)),
        (TN_ERR_DEVICE, TN_ERR_DEVICE)
    );
    for other in [HOST, GPU, PINNED] {
        let other = Array::empty(other, TN_F64, &[3]);
        assert_eq!(tn_array_advise(other.0, 1, GPU), TN_ERR_UNSUPPORTED);
        assert_eq!(tn_array_prefetch(other.0, GPU, NOW), TN_ERR_UNSUPPORTED);
    }
    let none = Array::empty(MANAGED, TN_F64, &[0]);
    assert_eq!((tn_array_advise(none.0, 1, GPU), tn_array_prefetch(none.0, GPU, NOW)), (TN_OK, TN_OK));
    if let Some(sim) = device.sim {
        // Concurrent managed access.
        sim.set_attribute(0, 89, 0);
        assert_eq!(tn_array_prefetch(array, GPU, NOW), TN_ERR_UNSUPPORTED, "{}", text());
        sim.set_attribute(0, 89, 1);
        // PN-9: the host waits for a device's work, although it could access the memory.
        sim.hold(s.native());
        x.array.zero(0, s.0).unwrap();
        assert_eq!(x.array.look(0, NOW), Err(TN_ERR_PENDING));
        sim.release(s.native());
        x.array.look(TN_WAIT, NOW).unwrap();
        assert!(x.array.read() == vec![0; 24000]);
    }
}

/// PN-13: without a driver memory is registered if the caller accepts that it is not page-locked.
#[test]
fn pn_13_without_a_driver() {
    alone("pn_13_without_a_driver", &[NO_DRIVER], || {
        let pages = Pages::new(4 * PAGE);
        assert_eq!(register_at(pages.0, PAGE, 0).unwrap_err(), TN_ERR_UNSUPPORTED, "{}", text());
        assert!(text().contains("libcuda.so.1"), "{}", text());
        let plain = register_at(pages.0, PAGE, TN_HOST_BEST_EFFORT).unwrap();
        assert_eq!(plain.info().device.r#type, TN_CPU);
        assert!(plain.info().flags & TN_PINNED == 0);
        let again = register_at(pages.0, PAGE, TN_HOST_BEST_EFFORT).unwrap();
        plain.zero(0, NOW).unwrap();
        assert!(again.read() == vec![0; PAGE]);
        let gpu = tn_device { r#type: TN_CUDA, id: 0 };
        assert_eq!(tn_array_advise(plain.0, 1, gpu), TN_ERR_UNSUPPORTED);
        assert_eq!(tn_array_prefetch(plain.0, gpu, NOW), TN_ERR_UNSUPPORTED);
        assert_eq!(plain.to_device(gpu, NOW).unwrap_err(), TN_ERR_UNSUPPORTED);
        // TR-21: host arrays need no driver, whatever stream constant is passed.
        for stream in 0..4 {
            let stream = std::ptr::without_provenance_mut(stream);
            plain.copy_into(&again, TN_WAIT, stream).unwrap();
            plain.fill(&[stream as usize as u8], 0, stream).unwrap();
            assert!(plain.to_device(HOST, stream).unwrap().read() == vec![stream as usize as u8; PAGE]);
        }
        let raw = again.0;
        std::mem::forget(again);
        assert_eq!(tn_array_release(raw), TN_OK);
    });
}

/// PN-1, PN-4: a registration that fails after the driver locked the memory unlocks it.
#[test]
fn pn_4_a_registration_that_fails_can_be_tried_again() {
    let device = device();
    let sim = device.simulated();
    let pages = Pages::new(4 * PAGE);
    for call in ["cuMemHostGetDevicePointer_v2", "cuMemHostRegister_v2"] {
        sim.fail(call, 1, 1, 999);
        assert_eq!(register_at(pages.0, 4 * PAGE, TN_HOST_MAPPED).err(), Some(TN_ERR_DRIVER), "{call}");
        sim.clear_faults();
        assert!(text().contains(call.trim_end_matches("_v2")), "{}", text());
        let again = register_at(pages.0, 4 * PAGE, TN_HOST_MAPPED);
        drop(again.unwrap_or_else(|status| panic!("{call}: {status}, {}", text())));
    }
}

/// PD-15: page-locking, copies and waits of one thread leave another thread's capture alone, also one in global mode.
#[test]
fn pd_15_a_capture_on_another_thread_goes_on() {
    const GLOBAL: u32 = 0;
    let _device = device();
    let s = Stream::new(GPU);
    let native = s.native() as usize;
    assert_eq!(with_context(0, || driver_call!(cuStreamBeginCapture_v2(native => usize, GLOBAL => u32))), 0);
    let work = || {
        let n = 3 << 20;
        let t = Stream::new(GPU);
        let (there, here) = (Array::empty(GPU, TN_U8, &[n]), Array::empty(HOST, TN_U8, &[n]));
        // Through staging, whose chunks are allocated, waited for and freed.
        here.copy_into(&there, 0, t.0).unwrap();
        there.copy_into(&here, TN_WAIT, NOW).unwrap();
        // SAFETY: the number is not requested.
        done(unsafe { tn_pool_trim(pool_of(PINNED), 0, null_mut()) }).unwrap();
        there.fill(&[7], 0, t.0).unwrap();
        there.wait(TN_WRITE).unwrap();
        let mut pages = Pages::new(16 * PAGE);
        let locked = register_at(pages.0, 16 * PAGE, 0).unwrap();
        drop(locked);
        pages.bytes()[0] = 1;
    };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap();
    let mut graph = null_mut::<c_void>();
    let ended = with_context(0, || driver_call!(cuStreamEndCapture(native => usize, &mut graph => *mut *mut c_void)));
    assert!(ended == 0 && !graph.is_null(), "the capture is whole: {ended}");
    assert_eq!(with_context(0, || driver_call!(cuGraphDestroy(graph => *mut c_void))), 0);
}
