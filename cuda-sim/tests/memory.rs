//! Memory: device, pinned, managed, mapped and pooled; which accesses are allowed, and how the others fail.

mod driver;
use driver::*;
use std::ffi::{c_int, c_void};

const INVALID: u32 = 1;
const ILLEGAL: u32 = 700;

#[test]
fn bytes_survive_a_copy_to_the_device_and_back() {
    let _driver = fresh(1, RANDOM);
    let memory = device_memory(100_000);
    let sent: Vec<u8> = (0..100_000).map(|at| (at % 251) as u8).collect();
    let mut got = vec![0; 100_000];
    assert_eq!(cuMemcpyHtoD_v2(memory, sent.as_ptr(), sent.len()), 0);
    assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, got.len()), 0);
    assert_eq!(sent, got);
    assert_eq!((ask("copied_to_device"), ask("copied_from_device")), (100_000, 100_000));
}

#[test]
fn device_memory_is_counted_and_runs_out() {
    let _driver = fresh(1, RANDOM);
    let (mut free, mut total, mut address) = (0, 0, 0);
    assert_eq!(cuMemGetInfo_v2(&mut free, &mut total), 0);
    assert_eq!((free, total), (1 << 30, 1 << 30));
    let memory = device_memory(1 << 20);
    assert_eq!(cuMemGetInfo_v2(&mut free, &mut total), 0);
    assert_eq!(free, total - (1 << 20));
    assert_eq!(cuMemAlloc_v2(&mut address, 1 << 30), 2);
    assert_eq!(cuMemAlloc_v2(&mut address, 0), INVALID);
    assert_eq!((cuMemFree_v2(memory), cuMemFree_v2(memory), cuMemFree_v2(0)), (0, INVALID, 0));
    assert_eq!(cuMemAlloc_v2(&mut address, 1 << 30), 0);
}

#[test]
fn freed_addresses_are_reused_late() {
    let _driver = fresh(1, RANDOM);
    let first = device_memory(5000);
    assert_eq!(cuMemFree_v2(first), 0);
    let mut seen: Vec<Address> = (0..50_000)
        .map(|_| {
            let memory = device_memory(5000);
            assert_eq!(cuMemFree_v2(memory), 0);
            memory
        })
        .collect();
    assert!(!seen[..1000].contains(&first));
    seen.sort_unstable();
    assert!(seen[seen.len() - 1] - seen[0] <= 64 << 20, "the addresses spread over too much memory");
    set("reuse", 1);
    let again = device_memory(5000);
    assert_eq!((cuMemFree_v2(again), device_memory(5000)), (0, again));
}

#[test]
fn fresh_memory_is_junk() {
    let _driver = fresh(1, RANDOM);
    let mut got = [0; 64];
    assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), device_memory(64), 64), 0);
    assert!(got.iter().filter(|byte| **byte == 0).count() < 16);
}

#[test]
fn an_access_past_the_end_loses_the_context() {
    let _driver = fresh(1, RANDOM);
    let (memory, on, mut got) = (device_memory(100), stream(1), [0; 101]);
    assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, 101), ILLEGAL);
    let mut address = 0;
    assert_eq!(cuMemAlloc_v2(&mut address, 8), ILLEGAL, "the error stays");
    assert_eq!((cuStreamQuery(on), cuCtxSynchronize()), (ILLEGAL, ILLEGAL));
    // A new context works.
    assert_eq!(cuDevicePrimaryCtxRelease_v2(0), 0);
    assert_eq!(cuMemAlloc_v2(&mut address, 8), 709);
    assert_eq!(cuCtxSetCurrent(primary(0)), 0);
    assert_eq!(cuMemAlloc_v2(&mut address, 8), 0);
}

#[test]
fn work_on_freed_memory_faults_unless_freeing_waits() {
    for waits in [1, 0] {
        let _driver = fresh(1, MANUAL);
        set("free_waits", waits);
        let (memory, on) = (device_memory(100), stream(1));
        assert_eq!(cuMemsetD8Async(memory, 1, 100, on), 0);
        assert_eq!((cuMemFree_v2(memory), ask("implicit_synchronizes")), (0, 1));
        assert_eq!(cuStreamSynchronize(on), if waits == 1 { 0 } else { ILLEGAL });
    }
}

#[test]
fn pinned_memory_has_its_host_address_where_the_driver_promises_it() {
    let driver = fresh(1, RANDOM);
    let on = stream(1);
    let seen = |host: *mut u8| {
        let mut address = 0;
        assert_eq!(cuMemHostGetDevicePointer_v2(&mut address, host, 0), 0);
        address
    };
    let allocated = |flags| {
        let mut host = std::ptr::null_mut::<u8>();
        assert_eq!(cuMemHostAlloc((&raw mut host).cast(), 4096, flags), 0);
        host
    };
    let plain = allocated(2);
    assert_eq!((seen(plain), cuMemsetD8Async(plain as u64 + 1, 9, 10, on)), (plain as u64, 0));
    assert_eq!((cuMemsetD8Async(plain as u64 + 4000, 9, 100, on), cuStreamSynchronize(on)), (0, ILLEGAL));
    // SAFETY: the allocation, which lives until it is freed.
    assert_eq!(unsafe { (*plain.add(1), *plain.add(10)) }, (9, 9));
    drop(driver);
    let _driver = fresh(1, RANDOM);
    // Write-combined or registered memory has another device address.
    let (combined, mut own) = (allocated(6), vec![1_u8; 8192]);
    assert_eq!(cuMemHostRegister_v2(own.as_mut_ptr(), 8192, 2), 0);
    assert!(seen(combined) != combined as u64 && seen(own.as_mut_ptr()) != own.as_ptr() as u64);
    // An attribute promises the host address for registered memory, and without unified addresses none is promised.
    assert_eq!((cuMemHostUnregister(own.as_mut_ptr()), tenure_sim_set_attribute(0, 91, 1)), (0, 0));
    assert_eq!((tenure_sim_set_attribute(0, 41, 0), cuMemHostRegister_v2(own.as_mut_ptr(), 8192, 2)), (0, 0));
    assert_eq!(seen(own.as_mut_ptr().wrapping_add(99)), own.as_ptr() as u64 + 99);
    let apart = allocated(2);
    assert_ne!(seen(apart), apart as u64);
    assert_eq!(cuMemHostUnregister(own.as_mut_ptr()), 0);
}

#[test]
fn pinned_memory_may_have_another_device_address() {
    let _driver = fresh(1, RANDOM);
    let (mut host, mut address, on) = (std::ptr::null_mut(), 0, stream(1));
    assert_eq!(cuMemHostAlloc(&mut host, 4096, 4), 0);
    // SAFETY: just allocated, and never freed before the driver is fresh again.
    let host = unsafe { std::slice::from_raw_parts_mut(host.cast::<u8>(), 4096) };
    assert_eq!(cuMemHostGetDevicePointer_v2(&mut address, host.as_mut_ptr(), 0), 0);
    assert_ne!(address, host.as_ptr() as u64);
    assert_eq!((cuMemsetD8Async(address + 1, 9, 10, on), cuStreamSynchronize(on)), (0, 0));
    assert_eq!((host[1], host[10]), (9, 9));
    assert_ne!((host[0], host[11]), (9, 9));
    // The host address is no device address.
    assert_eq!(cuMemsetD8Async(host.as_ptr() as u64, 9, 10, on), INVALID);
    let (mut kind, mut device_pointer) = (0_u32, 0_u64);
    assert_eq!(cuPointerGetAttribute((&raw mut kind).cast(), 2, host.as_ptr() as u64), 0);
    assert_eq!(cuPointerGetAttribute((&raw mut device_pointer).cast(), 3, host.as_ptr() as u64 + 5), 0);
    assert_eq!((kind, device_pointer), (1, address + 5));
    assert_eq!(
        cuPointerGetAttribute((&raw mut kind).cast(), 2, (&raw const kind) as u64),
        INVALID,
        "plain host memory"
    );
}

#[test]
fn the_flags_of_pinned_memory_reach_the_driver() {
    let _driver = fresh(1, RANDOM);
    let mut host = std::ptr::null_mut();
    assert_eq!(cuMemHostAlloc(&mut host, 100, 7), 0);
    assert_eq!((ask("host_alloc_flags"), ask("pinned")), (7, 1));
    // 0 bytes are an allocation too.
    assert_eq!((cuMemHostAlloc(&mut host, 0, 0), cuMemFreeHost(host), cuMemFreeHost(host)), (0, 0, INVALID));
    assert_eq!(cuMemHostAlloc(&mut host, 100, 8), INVALID);
}

#[test]
fn an_asynchronous_copy_reads_pinned_memory_when_it_runs_and_pageable_memory_at_once() {
    let _driver = fresh(1, MANUAL);
    let (memory, on, host, mut pageable) = (device_memory(16), stream(1), pinned(8), vec![1_u8; 8]);
    host.fill(1);
    assert_eq!(cuMemcpyHtoDAsync_v2(memory, host.as_ptr(), 8, on), 0);
    assert_eq!(cuMemcpyHtoDAsync_v2(memory + 8, pageable.as_ptr(), 8, on), 0);
    host.fill(2);
    pageable.fill(2);
    assert_eq!(cuStreamSynchronize(on), 0);
    let mut got = [0; 16];
    assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, 16), 0);
    assert_eq!((got[7], got[8]), (2, 1));
    // A copy to pageable memory waits in the call.
    assert_eq!(cuMemcpyDtoHAsync_v2(pageable.as_mut_ptr(), memory + 8, 8, on), 0);
    assert_eq!((pageable[0], ask("pending")), (1, 0));
}

#[test]
fn an_asynchronous_copy_uses_pageable_memory_late_where_the_device_reaches_it() {
    let _driver = fresh(1, MANUAL);
    assert_eq!(tenure_sim_set_attribute(0, 88, 1), 0);
    let (memory, on, mut source, mut target) = (device_memory(8), stream(1), vec![1_u8; 8], vec![0_u8; 8]);
    assert_eq!(cuMemcpyHtoDAsync_v2(memory, source.as_ptr(), 8, on), 0);
    assert_eq!((cuMemcpyDtoHAsync_v2(target.as_mut_ptr(), memory, 8, on), ask("pending")), (0, 2));
    source.fill(2);
    assert_eq!((target[0], cuStreamSynchronize(on), target[7]), (0, 0, 2));
    // A synchronous copy no longer uses it on return, as everywhere.
    assert_eq!(cuMemcpyHtoD_v2(memory, source.as_ptr(), 8), 0);
    source.fill(3);
    assert_eq!((cuMemcpyDtoH_v2(target.as_mut_ptr(), memory, 8), target[0]), (0, 2));
}

#[test]
fn a_synchronous_copy_of_pageable_memory_may_still_be_on_its_way() {
    for size in [16, 1 << 20] {
        let _driver = fresh(1, MANUAL);
        let (memory, other, mut pageable) = (device_memory(size), stream(1), vec![1_u8; size]);
        assert_eq!(cuMemsetD8Async(memory, 7, size, 0), 0);
        assert_eq!(
            (cuMemcpyHtoD_v2(memory, pageable.as_ptr(), size), ask("pending")),
            (0, 1),
            "what was before is done"
        );
        pageable.fill(2);
        // SAFETY: device memory on which nothing runs.
        assert_eq!(unsafe { *bytes(memory, 1, 0) }, 7);
        // A stream that is not ordered behind the legacy stream finds the old bytes.
        let mut got = vec![0; size];
        assert_eq!(tenure_sim_hold(1), 0);
        assert_eq!(cuMemcpyDtoHAsync_v2(got.as_mut_ptr(), memory, size, other), 0);
        assert!(got.iter().all(|byte| *byte == 7));
        // A stream that is finds the new bytes.
        assert_eq!(tenure_sim_release(1), 0);
        assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, size), 0);
        assert!(got.iter().all(|byte| *byte == 1));
    }
}

#[test]
fn registered_memory_is_pinned_until_it_is_unregistered() {
    let _driver = fresh(1, MANUAL);
    let (memory, on, mut own) = (device_memory(8192), stream(1), vec![5_u8; 3 * 4096]);
    assert_eq!(cuMemHostRegister_v2(own.as_mut_ptr(), 8192, 0), 0);
    assert_eq!(cuMemHostRegister_v2(own.as_mut_ptr().wrapping_add(100), 10, 0), 712);
    assert_eq!(cuMemHostUnregister(own.as_mut_ptr().wrapping_add(100)), INVALID);
    assert_eq!(cuMemcpyHtoDAsync_v2(memory, own.as_ptr(), 8192, on), 0);
    assert_eq!(ask("pending"), 1);
    assert_eq!(cuStreamSynchronize(on), 0);
    // A range that is partly registered counts as pageable.
    assert_eq!(cuMemcpyHtoDAsync_v2(memory, own.as_ptr().wrapping_add(4096), 8192, on), 0);
    own[5000] = 6;
    assert_eq!(cuStreamSynchronize(on), 0);
    // SAFETY: device memory on which nothing runs.
    assert_eq!(unsafe { *bytes(memory + 904, 1, 0) }, 5);
    for _ in 0..1000 {
        assert_eq!(cuMemHostUnregister(own.as_mut_ptr()), 0);
        assert_eq!(cuMemHostUnregister(own.as_mut_ptr()), 713);
        assert_eq!(cuMemHostRegister_v2(own.as_mut_ptr(), 8192, 0), 0);
    }
    assert_eq!(cuMemcpyHtoDAsync_v2(memory, own.as_ptr(), 8192, on), 0);
    assert_eq!(cuMemHostUnregister(own.as_mut_ptr()), 0);
    assert_eq!(cuStreamSynchronize(on), ILLEGAL, "a queued copy used it");
}

#[test]
fn ranges_that_share_a_page_are_registered_one_by_one() {
    let driver = fresh(1, MANUAL);
    let mut own = vec![1_u8; 3 * 4096];
    let page = own.as_mut_ptr().wrapping_add(own.as_ptr().align_offset(4096));
    assert_eq!(cuMemHostRegister_v2(page, 100, 0), 0);
    assert_eq!(cuMemHostRegister_v2(page.wrapping_add(100), 4096, 0), 0);
    assert_eq!(cuMemHostRegister_v2(page.wrapping_add(99), 1, 0), 712);
    assert_eq!(cuMemHostUnregister(page), 0);
    assert_eq!(cuMemHostRegister_v2(page.wrapping_add(50), 50, 0), 0);
    assert_eq!((cuMemHostUnregister(page), cuCtxSetCurrent(0)), (713, 0), "unregistering needs no context");
    assert_eq!(cuMemHostUnregister(page.wrapping_add(50)), 0);
    assert_eq!((cuMemHostUnregister(page.wrapping_add(100)), cuCtxSetCurrent(driver.context)), (0, 0));
    let allocated = pinned(8).as_mut_ptr();
    assert_eq!((cuMemHostUnregister(allocated), cuMemHostRegister_v2(allocated.cast(), 8, 0)), (INVALID, INVALID));
}

#[test]
fn memory_that_cannot_be_written_is_not_registered() {
    let _driver = fresh(1, RANDOM);
    static CONSTANT: [u8; 8192] = [1; 8192];
    let constant = CONSTANT.as_ptr().cast_mut();
    assert_eq!(cuMemHostRegister_v2(constant, 8192, 0), INVALID);
    assert_eq!(cuMemHostRegister_v2(constant, 8192, 8), 0, "it can be registered for reading");
}

#[test]
fn managed_memory_has_one_address_for_host_and_device() {
    let _driver = fresh(1, RANDOM);
    let (mut address, on, mut managed) = (0, stream(1), 0_u32);
    assert_eq!(cuMemAllocManaged(&mut address, 100, 1), 0);
    assert_eq!((cuMemsetD8Async(address, 3, 100, on), cuStreamSynchronize(on)), (0, 0));
    // SAFETY: managed memory of 100 bytes, on which nothing runs.
    assert_eq!(unsafe { *(address as *const u8).add(99) }, 3);
    assert_eq!(cuPointerGetAttribute((&raw mut managed).cast(), 8, address), 0);
    assert_eq!((managed, cuMemFree_v2(address)), (1, 0));
}

#[test]
fn rows_are_copied_without_their_gaps() {
    let _driver = fresh(1, RANDOM);
    let (memory, host) = (device_memory(64), [1_u8, 2, 3, 4, 5, 6]);
    assert_eq!((cuMemsetD32_v2(memory, 0, 16), cuMemsetD2D16Async(memory + 32, 8, 0x0102, 2, 3, 0)), (0, 0));
    let copy = Copy2D {
        src_x: 0,
        src_y: 1,
        src_memory: 1,
        src_host: host.as_ptr().cast(),
        src_device: 0,
        src_array: 0,
        src_pitch: 2,
        dst_x: 1,
        dst_y: 0,
        dst_memory: 2,
        dst_host: std::ptr::null_mut(),
        dst_device: memory,
        dst_array: 0,
        dst_pitch: 8,
        width: 2,
        height: 2,
    };
    assert_eq!(cuMemcpy2D_v2(&copy), 0);
    let mut got = [9; 64];
    assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, 64), 0);
    assert_eq!(got[..16], [0, 3, 4, 0, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0]);
    assert_eq!(got[32..44], [2, 1, 2, 1, 0, 0, 0, 0, 2, 1, 2, 1]);
}

#[test]
fn planes_are_copied_without_their_gaps() {
    let _driver = fresh(1, RANDOM);
    let (memory, on, host) = (device_memory(256), stream(1), pinned(64));
    host.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
    assert_eq!(cuMemsetD8Async(memory, 0xff, 256, on), 0);
    // Copies two planes of two rows of three bytes, from a pitch of 8 and planes of 4 rows to a pitch of 16 and planes
    // of 3 rows.
    let mut copy = Copy3D {
        src_x: 1,
        src_y: 1,
        src_z: 0,
        src_lod: 0,
        src_memory: 1,
        src_host: host.as_ptr().cast(),
        src_device: 0,
        src_array: 0,
        src_owner: 0,
        src_pitch: 8,
        src_height: 4,
        dst_x: 2,
        dst_y: 0,
        dst_z: 1,
        dst_lod: 0,
        dst_memory: 2,
        dst_host: std::ptr::null_mut(),
        dst_device: memory,
        dst_array: 0,
        dst_owner: 0,
        dst_pitch: 16,
        dst_height: 3,
        width: 3,
        height: 2,
        depth: 2,
    };
    assert_eq!(cuMemcpy3DAsync_v2(&copy, on), 0);
    let mut got = [0; 256];
    assert_eq!((cuStreamSynchronize(on), cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, 256)), (0, 0));
    let mut expected = [0xff; 256];
    for (plane, row, column) in (0..12).map(|at| (at / 6, at / 3 % 2, at % 3)) {
        expected[(plane + 1) * 48 + row * 16 + 2 + column] = (plane * 32 + (row + 1) * 8 + 1 + column) as u8;
    }
    assert_eq!(got, expected);
    copy.src_pitch = 1 << 31;
    assert_eq!(cuMemcpy3DAsync_v2(&copy, on), INVALID, "rows too far apart");
    (copy.src_pitch, copy.dst_pitch) = (8, 4);
    assert_eq!(cuMemcpy3DAsync_v2(&copy, on), INVALID, "rows within one another");
}

#[test]
fn advice_is_remembered_and_prefetches_keep_their_place() {
    let _driver = fresh(1, MANUAL);
    let (mut address, on, mut said) = (0, stream(1), 0_i32);
    let (here, host) = (Location { kind: 1, id: 0 }, Location { kind: 2, id: 0 });
    assert_eq!(cuMemAllocManaged(&mut address, 10_000, 1), 0);
    let mut ask = |what| {
        assert_eq!(cuMemRangeGetAttribute((&raw mut said).cast(), 4, what, address, 10_000), 0);
        said
    };
    assert_eq!((ask(1), ask(2), ask(4)), (0, -2, -2));
    assert_eq!((cuMemAdvise_v2(address, 10_000, 1, here), cuMemAdvise_v2(address, 10_000, 3, host)), (0, 0));
    assert_eq!(cuMemPrefetchAsync_v2(address, 10_000, here, 0, on), 0);
    assert_eq!((ask(1), ask(2), ask(4)), (1, -1, -2));
    assert_eq!(cuStreamSynchronize(on), 0);
    assert_eq!(ask(4), 0);
    assert_eq!(cuMemAdvise_v2(device_memory(8), 8, 1, here), INVALID, "not managed");
    assert_eq!(cuMemPrefetchAsync_v2(address, 10_000, Location { kind: 1, id: 5 }, 0, on), 101);
    assert_eq!(tenure_sim_set_attribute(0, 89, 0), 0);
    assert_eq!(cuMemPrefetchAsync_v2(address, 10_000, here, 0, on), 101, "without concurrent access");
}

#[test]
fn a_reset_frees_the_memory_of_the_last_run() {
    for _ in 0..3 {
        let _driver = fresh(1, MANUAL);
        let mut managed = 0;
        assert_eq!(cuMemAllocManaged(&mut managed, 8, 1), 0);
        for bytes in [8, 300 << 20, 8] {
            assert_eq!(cuMemFree_v2(device_memory(bytes)), 0);
        }
    }
}

#[test]
fn overlapping_copies_have_unreliable_results() {
    let _driver = fresh(1, RANDOM);
    let (memory, on) = (device_memory(1024), stream(1));
    let sent: Vec<u8> = (0..1024).map(|at| (at / 64) as u8).collect();
    let mut wrong = 0;
    for _ in 0..40 {
        let mut got = vec![0; 1024];
        assert_eq!(cuMemcpyHtoD_v2(memory, sent.as_ptr(), 1024), 0);
        assert_eq!(cuMemcpyDtoDAsync_v2(memory + 64, memory, 512, on), 0);
        assert_eq!((cuStreamSynchronize(on), cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, 1024)), (0, 0));
        wrong += usize::from(got[64..576] != sent[..512]);
    }
    assert!((5..=35).contains(&wrong), "{wrong} of 40");
}

#[test]
fn devices_have_memory_of_their_own() {
    let first = fresh(2, RANDOM);
    let (memory, mut can): (_, c_int) = (device_memory(8), 0);
    assert_eq!(cuMemsetD32_v2(memory, 7, 2), 0);
    assert_eq!((cuDeviceCanAccessPeer(&mut can, 0, 1), can), (0, 1));
    let second = primary(1);
    assert_eq!(cuCtxPushCurrent_v2(second), 0);
    let (there, on, mut got) = (device_memory(8), stream(1), [0; 8]);
    assert_eq!(cuMemcpyPeerAsync(there, second, memory, first.context, 8, on), 0);
    assert_eq!((cuStreamSynchronize(on), cuMemcpyDtoH_v2(got.as_mut_ptr(), there, 8)), (0, 0));
    assert_eq!(got, [7, 0, 0, 0, 7, 0, 0, 0]);
    let (mut popped, mut ordinal): (_, c_int) = (0, -1);
    assert_eq!(cuPointerGetAttribute((&raw mut ordinal).cast(), 9, there), 0);
    assert_eq!((cuCtxPopCurrent_v2(&mut popped), popped, ordinal), (0, second, 1));
}

#[test]
fn work_of_one_device_reaches_another_only_with_peer_access() {
    for enabled in [false, true] {
        let first = fresh(2, RANDOM);
        let memory = device_memory(8);
        assert_eq!(cuCtxSetCurrent(primary(1)), 0);
        let on = stream(1);
        if enabled {
            assert_eq!((cuCtxEnablePeerAccess(first.context, 0), cuCtxEnablePeerAccess(first.context, 0)), (0, 704));
        }
        assert_eq!(cuMemsetD8Async(memory, 1, 8, on), 0);
        assert_eq!(cuStreamSynchronize(on), if enabled { 0 } else { ILLEGAL });
        // The first device takes no part in this work.
        assert_eq!((cuCtxSetCurrent(first.context), cuCtxSynchronize()), (0, 0));
    }
}

/// A copy is direct if the context of its stream has access to the other device's memory, whichever side that is.
#[test]
fn copies_between_devices_are_direct_once_access_is_enabled() {
    let first = fresh(2, RANDOM);
    let (memory, on_first) = (device_memory(64), stream(1));
    let second = primary(1);
    assert_eq!(cuCtxSetCurrent(second), 0);
    let (there, on_second) = (device_memory(64), stream(1));
    let copies = || (ask("direct_peer_copies"), ask("staged_peer_copies"));
    let copy = |context: Handle, on: Handle| {
        let before = copies();
        assert_eq!(cuCtxSetCurrent(context), 0);
        assert_eq!(cuMemcpyPeerAsync(there, second, memory, first.context, 64, on), 0);
        assert_eq!(cuStreamSynchronize(on), 0);
        (copies().0 - before.0, copies().1 - before.1)
    };
    assert_eq!((copy(first.context, on_first), copy(second, on_second)), ((0, 1), (0, 1)));
    assert_eq!((cuCtxSetCurrent(second), cuCtxEnablePeerAccess(first.context, 0)), (0, 0));
    assert_eq!((copy(first.context, on_first), copy(second, on_second)), ((0, 1), (1, 0)), "enabled in one context");
    assert_eq!((cuCtxSetCurrent(first.context), cuCtxEnablePeerAccess(second, 0)), (0, 0));
    assert_eq!((copy(first.context, on_first), copy(second, on_second)), ((1, 0), (1, 0)));
    // Within one device there is no peer.
    let before = copies();
    assert_eq!((cuMemcpyDtoDAsync_v2(memory + 32, memory, 32, on_first), cuStreamSynchronize(on_first)), (0, 0));
    assert_eq!(copies(), before);
}

#[test]
fn mapped_memory_is_usable_only_where_it_is_mapped_and_allowed() {
    const GRANULE: usize = 2 << 20;
    let _driver = fresh(1, RANDOM);
    let (mut base, mut parts) = (0, [0; 2]);
    let location = Location { kind: 1, id: 0 };
    let (win32, reserved) = (std::ptr::null_mut(), [0; 4]);
    let prop =
        AllocationProp { kind: 1, handle_types: 0, location, win32, compression: 0, rdma: 0, usage: 0, reserved };
    let access = AccessDesc { location: Location { kind: 1, id: 0 }, flags: 3 };
    assert_eq!(cuMemAddressReserve(&mut base, 8 * GRANULE, 0, 0, 0), 0);
    assert_eq!(cuMemCreate(&mut parts[0], 100, &prop, 0), INVALID);
    for (place, part) in (base..).step_by(GRANULE).zip(&mut parts) {
        assert_eq!(cuMemCreate(part, GRANULE, &prop, 0), 0);
        assert_eq!(cuMemMap(place, GRANULE, 0, *part, 0), 0);
        assert_eq!(cuMemMap(place, GRANULE, 0, *part, 0), 208);
        assert_eq!(cuMemRelease(*part), 0);
    }
    assert_eq!(cuMemSetAccess(base, 3 * GRANULE, &access, 1), INVALID, "the third granule is not mapped");
    assert_eq!(cuMemSetAccess(base, 2 * GRANULE, &access, 1), 0);
    // Across the border of two mappings.
    let (sent, mut got) = ([7_u8; 100], [0_u8; 100]);
    let seam = base + GRANULE as u64 - 50;
    assert_eq!((cuMemcpyHtoD_v2(seam, sent.as_ptr(), 100), cuMemcpyDtoH_v2(got.as_mut_ptr(), seam, 100)), (0, 0));
    assert_eq!(got, sent);
    let (mut free, mut total) = (0, 0);
    assert_eq!((cuMemGetInfo_v2(&mut free, &mut total), total - free), (0, 2 * GRANULE));
    assert_eq!(cuMemAddressFree(base, 8 * GRANULE), INVALID, "still mapped");
    assert_eq!(cuMemUnmap(base, GRANULE), 0);
    assert_eq!((cuMemGetInfo_v2(&mut free, &mut total), total - free), (0, GRANULE));
    assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), seam, 100), ILLEGAL);
}

#[test]
fn pooled_memory_is_usable_between_its_allocation_and_its_free_in_stream_order() {
    for late in [false, true] {
        let _driver = fresh(1, RANDOM);
        set("seed", 5);
        let (on, other, freed, mut address) = (stream(1), stream(1), event(2), 0);
        assert_eq!(cuMemAllocAsync(&mut address, 1000, on), 0);
        assert_eq!((cuMemsetD8Async(address, 1, 1000, on), cuEventRecord(freed, on)), (0, 0));
        if late {
            assert_eq!(cuMemFreeAsync(address, on), 0);
            assert_eq!(cuMemFreeAsync(address, on), INVALID, "twice");
            assert_eq!((cuStreamSynchronize(on), cuMemsetD8Async(address, 1, 1000, other)), (0, INVALID));
        } else {
            assert_eq!((cuStreamWaitEvent(other, freed, 0), cuMemsetD8Async(address, 1, 1000, other)), (0, 0));
            assert_eq!((cuStreamSynchronize(other), cuMemFreeAsync(address, on)), (0, 0));
        }
        assert_eq!(cuCtxSynchronize(), 0);
    }
    // Another stream uses it before its own stream has reached the allocation.
    let _driver = fresh(1, MANUAL);
    let (on, other, mut address) = (stream(1), stream(1), 0);
    assert_eq!(tenure_sim_hold(on), 0);
    assert_eq!((cuMemAllocAsync(&mut address, 1000, on), cuMemsetD8Async(address, 1, 1000, other)), (0, 0));
    assert_eq!(cuStreamSynchronize(other), ILLEGAL);
}

#[test]
fn freeing_pooled_memory_at_once_does_not_wait() {
    let _driver = fresh(1, MANUAL);
    let (on, mut address) = (stream(1), 0);
    assert_eq!((cuMemAllocAsync(&mut address, 1000, on), cuMemsetD8Async(address, 1, 1000, on)), (0, 0));
    assert_eq!((cuMemFree_v2(address), ask("implicit_synchronizes")), (0, 0));
    assert_eq!(cuStreamSynchronize(on), ILLEGAL, "queued work used it");
}

#[test]
fn a_pool_keeps_as_much_as_its_threshold_allows() {
    let _driver = fresh(1, RANDOM);
    let (on, mut pool, mut address, mut value) = (stream(1), 0, 0, 0_u64);
    assert_eq!(cuDeviceGetDefaultMemPool(&mut pool, 0), 0);
    let mut reserved = || {
        assert_eq!(cuMemPoolGetAttribute(pool, 5, &mut value), 0);
        value
    };
    let mut round = |threshold: u64| {
        let mut threshold = threshold;
        assert_eq!(cuMemPoolSetAttribute(pool, 4, &mut threshold), 0);
        assert_eq!((cuMemAllocAsync(&mut address, 4096, on), cuMemFreeAsync(address, on)), (0, 0));
        assert_eq!(cuStreamSynchronize(on), 0);
    };
    round(u64::MAX);
    assert_eq!(reserved(), 4096);
    round(0);
    assert_eq!(reserved(), 0);
}

#[test]
fn a_host_access_to_device_memory_crashes() {
    use std::os::unix::process::ExitStatusExt;
    for what in ["read", "write"] {
        let ended = child("touches_device_memory", &[("TOUCH", what)]);
        assert_eq!(ended.status.signal(), Some(libc::SIGSEGV), "{what}: {ended:?}");
    }
}

#[test]
#[ignore = "a child of a_host_access_to_device_memory_crashes"]
fn touches_device_memory() {
    let _driver = fresh(1, RANDOM);
    let memory = device_memory(100) as *mut u8;
    // SAFETY: none; the access must crash, which the parent checks.
    unsafe {
        match std::env::var("TOUCH").as_deref() {
            Ok("read") => println!("{}", memory.read_volatile()),
            _ => memory.write_volatile(1),
        }
    }
}

#[test]
fn a_kernel_is_a_host_function() {
    unsafe extern "C" fn add(launch: *const Launch, parameters: *mut *mut c_void) -> u32 {
        // SAFETY: registered with these parameters.
        let (address, value) = unsafe { (*(*parameters).cast::<u64>(), *(*parameters.add(1)).cast::<u8>()) };
        // SAFETY: as above.
        let launch = unsafe { &*launch };
        let count = (launch.grid[0] * launch.block[0]) as usize;
        let memory = bytes(address, count, launch.device);
        if memory.is_null() {
            return ILLEGAL;
        }
        for at in 0..count {
            // SAFETY: the simulator has just returned these bytes.
            unsafe { *memory.add(at) = (*memory.add(at)).wrapping_add(value) };
        }
        0
    }
    for waits in [0, 1] {
        let _driver = fresh(1, RANDOM);
        assert_eq!(tenure_sim_register_kernel(c"add".as_ptr(), add, [8_usize, 1].as_ptr(), 2, waits), 0);
        let (mut module, mut function, on, mut memory) = (0, 0, stream(1), device_memory(64));
        assert_eq!(cuModuleLoadData(&mut module, c".version 8.0".as_ptr().cast()), 0);
        assert_eq!(cuModuleGetFunction(&mut function, module, c"subtract".as_ptr()), 500);
        assert_eq!(cuModuleGetFunction(&mut function, module, c"add".as_ptr()), 0);
        assert_eq!(cuMemsetD8Async(memory, 1, 64, on), 0);
        let mut value = 4_u8;
        let mut parameters = [(&raw mut memory).cast::<c_void>(), (&raw mut value).cast()];
        let mut launch = |blocks| {
            let extra = std::ptr::null_mut();
            cuLaunchKernel(function, blocks, 1, 1, 32, 1, 1, 0, on, parameters.as_mut_ptr(), extra)
        };
        assert_eq!((launch(2), launch(0)), (0, INVALID));
        // SAFETY: a local variable, which the launch has read.
        unsafe { (&raw mut value).write_volatile(100) };
        let mut got = [0; 64];
        assert_eq!((cuStreamSynchronize(on), cuMemcpyDtoH_v2(got.as_mut_ptr(), memory, 64)), (0, 0));
        assert_eq!(got, [5; 64]);
        assert_eq!((launch(3), cuStreamSynchronize(on)), (0, ILLEGAL), "past the end");
    }
}

#[test]
fn a_launch_keeps_to_the_limits_of_device_and_function() {
    unsafe extern "C" fn nothing(_: *const Launch, _: *mut *mut c_void) -> u32 {
        0
    }
    const DYNAMIC: c_int = 8;
    let _driver = fresh(1, RANDOM);
    let name = c"nothing".as_ptr();
    assert_eq!(tenure_sim_set_kernel_attribute(name, 0, 256), 500, "no such kernel");
    assert_eq!(tenure_sim_register_kernel(name, nothing, [0_usize; 0].as_ptr(), 0, 0), 0);
    assert_eq!((tenure_sim_set_kernel_attribute(name, 0, 256), tenure_sim_set_kernel_attribute(name, 1, 4096)), (0, 0));
    let (mut module, mut function, on, mut value) = (0, 0, stream(1), 0);
    assert_eq!(cuModuleLoadData(&mut module, c".version 8.0".as_ptr().cast()), 0);
    assert_eq!(cuModuleGetFunction(&mut function, module, name), 0);
    let launch = |grid: [u32; 3], block: [u32; 3], shared| {
        let none = std::ptr::null_mut();
        cuLaunchKernel(function, grid[0], grid[1], grid[2], block[0], block[1], block[2], shared, on, none, none)
    };
    assert_eq!((launch([1, 65535, 1], [256, 1, 1], 0), launch([1, 65536, 1], [1, 1, 1], 0)), (0, INVALID));
    assert_eq!(
        (launch([1; 3], [257, 1, 1], 0), launch([1; 3], [1, 1, 65], 0), launch([1; 3], [4, 4, 17], 0)),
        (1, 1, 1)
    );
    assert_eq!(cuFuncGetAttribute(&mut value, DYNAMIC, function), 0);
    assert_eq!((value, launch([1; 3], [1; 3], 45056), launch([1; 3], [1; 3], 45057)), (45056, 0, INVALID));
    let limit = (227 << 10) - 4096;
    assert_eq!(cuFuncSetAttribute(function, DYNAMIC, limit + 1), INVALID);
    assert_eq!((cuFuncSetAttribute(function, DYNAMIC, limit), launch([1; 3], [1; 3], limit as u32)), (0, 0));
    assert_eq!((launch([1; 3], [1; 3], limit as u32 + 1), cuStreamSynchronize(on)), (INVALID, 0));
}

#[test]
fn a_function_and_its_stream_are_of_one_context() {
    unsafe extern "C" fn nothing(_: *const Launch, _: *mut *mut c_void) -> u32 {
        0
    }
    let _driver = fresh(2, RANDOM);
    let name = c"nothing".as_ptr();
    assert_eq!(tenure_sim_register_kernel(name, nothing, [0_usize; 0].as_ptr(), 0, 0), 0);
    let (mut module, mut function, on) = (0, 0, stream(1));
    assert_eq!(cuModuleLoadData(&mut module, c".version 8.0".as_ptr().cast()), 0);
    assert_eq!(cuModuleGetFunction(&mut function, module, name), 0);
    assert_eq!(cuCtxSetCurrent(primary(1)), 0);
    let (elsewhere, none) = (stream(1), std::ptr::null_mut());
    assert_eq!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, on, none, none), 0);
    assert_eq!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, elsewhere, none, none), 400);
}

#[test]
fn a_kernel_that_outlives_its_module_fails() {
    unsafe extern "C" fn nothing(_: *const Launch, _: *mut *mut c_void) -> u32 {
        0
    }
    for too_early in [false, true] {
        let _driver = fresh(1, RANDOM);
        let name = c"nothing".as_ptr();
        assert_eq!(tenure_sim_register_kernel(name, nothing, [0_usize; 0].as_ptr(), 0, 0), 0);
        let (mut module, mut function, on, none) = (0, 0, stream(1), std::ptr::null_mut());
        assert_eq!(cuModuleLoadData(&mut module, c".version 8.0".as_ptr().cast()), 0);
        assert_eq!((cuModuleGetFunction(&mut function, module, name), tenure_sim_hold(on)), (0, 0));
        assert_eq!(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, on, none, none), 0);
        if too_early {
            assert_eq!((cuModuleUnload(module), tenure_sim_release(on), cuStreamSynchronize(on)), (0, 0, 718));
        } else {
            assert_eq!((tenure_sim_release(on), cuStreamSynchronize(on), cuModuleUnload(module)), (0, 0, 0));
        }
    }
}

#[test]
fn the_log_of_an_image_with_errors_is_cut_to_its_buffer() {
    let _driver = fresh(1, RANDOM);
    for room in [0_usize, 1, 7, 1000] {
        let (mut log, mut module) = ([b'?'; 1000], 0);
        let (mut options, mut values) = ([5, 6], [log.as_mut_ptr().cast(), room as *mut c_void]);
        let mut load = |image: &std::ffi::CStr| {
            cuModuleLoadDataEx(&mut module, image.as_ptr().cast(), 2, options.as_mut_ptr(), values.as_mut_ptr())
        };
        assert_eq!(load(c".version x"), 218);
        let length = log.iter().position(|byte| *byte == 0).unwrap_or(0);
        assert!(if room == 1000 { length > 50 } else { length == room.saturating_sub(1) }, "{room}: {length}");
        assert!(b"ptxas application ptx".starts_with(&log[..length.min(21)]));
        assert!(log[room..].iter().all(|byte| *byte == b'?'), "{room}");
    }
}

#[test]
fn large_allocations_are_aligned_as_drivers_align_them() {
    const LARGE: usize = 2 << 20;
    let driver = fresh(1, RANDOM);
    set("askew", 0);
    for size in [LARGE, LARGE + 1, 3 * LARGE, 5 * LARGE] {
        // A small one in between, with an address that is no multiple.
        let (small, large) = (device_memory(100), device_memory(size));
        assert!(small.is_multiple_of(512) && large.is_multiple_of(LARGE as u64), "{size}: {large:#x}");
    }
    set("askew", 256);
    let askew = device_memory(LARGE);
    assert!(askew.is_multiple_of(512) && !askew.is_multiple_of(LARGE as u64));
    // All of it is usable.
    assert_eq!((cuMemsetD8Async(askew, 1, LARGE, stream(1)), cuCtxSynchronize(), cuMemFree_v2(askew)), (0, 0, 0));
    drop(driver);
    // Some seeds, and not all, give some such addresses.
    let comes_askew = |seed: u64| {
        let _driver = fresh(1, RANDOM);
        set("seed", seed);
        (0..30).any(|_| !device_memory(LARGE).is_multiple_of(LARGE as u64))
    };
    assert_eq!([4, 5, 6, 7, 8].map(comes_askew), [true, false, false, false, true]);
}
