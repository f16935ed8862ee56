//! Copies and fills of extreme layouts, against the model that copies element by element: up to 64 axes, the largest
//! possible strides, ends of mapped memory, and tasks on several threads (TR-2 to TR-5, TR-16).

use crate::support;
use std::ptr::NonNull;
use support::runner::on_threads;
use support::strided_cases::*;
use tenure::blit;
use tenure::dtype::Dtype;
use tenure::runner;
use tenure::types::*;
use tenure_harness::test;

/// Up to 64 axes, most of them of length 1 with meaningless strides.
fn many_axes(random: &mut Random) -> Vec<i64> {
    let ndim = 5 + random.below_i64(60);
    let (mut shape, mut count) = (Vec::new(), 1);
    for _ in 0..ndim {
        let length = if random.one_in(5) { 1 + random.below_i64(4) } else { 1 };
        let length = if count * length > 3000 { 1 } else { length };
        count *= length;
        shape.push(length);
    }
    if random.one_in(30) {
        let axis = random.below_i64(ndim) as usize;
        shape[axis] = 0;
    }
    shape
}

/// Gives axes of length 1 arbitrary strides, which must not matter.
fn wild(random: &mut Random, shape: &[i64], mut strides: Vec<i64>) -> Vec<i64> {
    for (stride, length) in strides.iter_mut().zip(shape) {
        if *length == 1 && random.one_in(3) {
            *stride = random.below_i64(1 << 40) - (1 << 39);
        }
    }
    strides
}

#[test]
fn tr_2_tr_4_up_to_64_axes_apart_and_overlapping() {
    let mut done = 0;
    for seed in 1..=3000 {
        let mut random = Random::new(seed * 0x9E37_79B9);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let shape = many_axes(&mut random);
        let to = random_target(&mut random, &shape, item);
        let from = random_source(&mut random, &shape, item);
        let apart = random.one_in(2);
        let dst_at = random.below_i64(20);
        let src_at = if apart { dst_at + to.end + random.below_i64(9) } else { random.below_i64(to.end + 1) };
        let mut bytes = noise(&mut random, (dst_at + to.end).max(src_at + from.end));
        let (dst_offset, src_offset) = (dst_at + to.offset, src_at + from.offset);
        let wanted = model_of(&bytes, item, &shape, (&to.strides, dst_offset), (&from.strides, src_offset));
        let base = bytes.as_mut_ptr();
        let (to, from) = (wild(&mut random, &shape, to.strides), wild(&mut random, &shape, from.strides));
        let dst = layout(raw, &shape, &to, base, dst_offset);
        let src = layout(raw, &shape, &from, base, src_offset);
        blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
        assert!(bytes == wanted, "seed {seed}: {shape:?} {to:?} <- {from:?}, item {item}, {dst_at} {src_at}");
        done += dst.count();
    }
    assert!(done > 50_000, "{done} elements: most cases have some");
}

/// Reserved address space with a few accessible pages, so that elements can lie far apart.
struct Mapped {
    base: NonNull<u8>,
    bytes: usize,
}

const PAGE: usize = 4096;

impl Mapped {
    /// Reserves `bytes` of inaccessible address space.
    fn reserve(bytes: usize) -> Mapped {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the system's choice.
        let base = unsafe { libc::mmap(core::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Mapped { base: NonNull::new(base.cast()).unwrap(), bytes }
    }

    /// Makes a page accessible.
    fn open(&self, at: usize) -> *mut u8 {
        assert!(at.is_multiple_of(PAGE) && at + PAGE <= self.bytes);
        let page = self.base.as_ptr().wrapping_add(at);
        // SAFETY: a page of the mapping.
        let status = unsafe { libc::mprotect(page.cast(), PAGE, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
        page
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping of `reserve`, which is no longer used.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

#[test]
fn tr_2_elements_far_apart_with_nothing_between_them() {
    const FAR: usize = 1 << 38;
    // Three planes of one page each, 256 GiB apart: the memory between may not even be read.
    let there = Mapped::reserve(2 * FAR + PAGE);
    let pages: Vec<*mut u8> = (0..3).map(|plane| there.open(plane * FAR)).collect();
    for (raw, item) in [(TN_BOOL, 1), (TN_F16, 2), (TN_I32, 4), (TN_F64, 8), (TN_C128, 16)] {
        for backwards in [false, true] {
            let per_page = PAGE as i64 / item;
            let shape = [per_page, 3];
            let mut values = noise(&mut Random::new(item as u64 + 77), PAGE as i64 * 3);
            let packed = values.as_mut_ptr();
            let (first, step) = if backwards { (2 * FAR as i64, -(FAR as i64)) } else { (0, FAR as i64) };
            let far = layout(raw, &shape, &[item, step], there.base.as_ptr(), first);
            let near = layout(raw, &shape, &[3 * item, item], packed, 0);
            // Spread the packed values over the planes.
            blit::copy(&host_view(&far), &host_view(&near)).unwrap();
            for (at, page) in pages.iter().enumerate() {
                let plane = if backwards { 2 - at } else { at };
                for row in 0..per_page as usize {
                    let item = item as usize;
                    // SAFETY: an accessible page that nothing writes meanwhile.
                    let found = unsafe { core::slice::from_raw_parts(page.add(row * item), item) };
                    let wanted = &values[(row * 3 + plane) * item..][..item];
                    assert_eq!(found, wanted, "item {item}, row {row}, page {at}, {backwards}");
                }
            }
            // Collect them again.
            let mut back = vec![0_u8; values.len()];
            let again = layout(raw, &shape, &[3 * item, item], back.as_mut_ptr(), 0);
            blit::copy(&host_view(&again), &host_view(&far)).unwrap();
            assert!(back == values, "item {item}, {backwards}");
        }
    }
}

#[test]
fn tr_2_every_way_stays_inside_of_memory_that_ends() {
    // A page between two inaccessible ones: elements lie at its very ends.
    let there = Mapped::reserve(3 * PAGE);
    let page = there.open(PAGE);
    for seed in 1..=4000 {
        let mut random = Random::new(seed * 0xC2B2_AE35);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let columns = 1 + random.below_i64(90 / item + 9);
        let rows = 1 + random.below_i64((PAGE as i64 / (3 * item * columns)).clamp(1, 70));
        let shape = [rows, columns];
        // Dense, reversed, every second item, or transposed; at the start of the page or at its end.
        let (mut strides, step) = match random.below_i64(4) {
            0 => (vec![columns * item, item], 1),
            1 => (vec![columns * item, -item], 1),
            2 => (vec![2 * columns * item, 2 * item], 2),
            _ => (vec![item, rows * item], 1),
        };
        if random.one_in(4) {
            strides[0] = -strides[0];
        }
        let reach: Vec<i64> = strides.iter().zip(shape).map(|(stride, length)| stride * (length - 1)).collect();
        let low: i64 = reach.iter().map(|reach| *reach.min(&0)).sum();
        let high: i64 = reach.iter().map(|reach| *reach.max(&0)).sum();
        assert!(high - low + item <= PAGE as i64, "{rows} {columns} {item} {step}");
        let offset = if random.one_in(2) { -low } else { PAGE as i64 - item - high };
        let inner = layout(raw, &shape, &strides, page, offset);
        let mut values = noise(&mut random, rows * columns * item);
        let dense = layout(raw, &shape, &[columns * item, item], values.as_mut_ptr(), 0);
        blit::copy(&host_view(&inner), &host_view(&dense)).unwrap();
        let mut back = vec![0_u8; values.len()];
        let again = layout(raw, &shape, &[columns * item, item], back.as_mut_ptr(), 0);
        blit::copy(&host_view(&again), &host_view(&inner)).unwrap();
        assert!(back == values, "seed {seed}: {shape:?} {strides:?} at {offset}, item {item}");
        blit::zero(&host_view(&inner));
        blit::copy(&host_view(&again), &host_view(&inner)).unwrap();
        assert!(back.iter().all(|byte| *byte == 0), "seed {seed}: {shape:?} {strides:?} at {offset}, item {item}");
    }
}

#[test]
fn tr_16_divided_among_threads_it_is_the_same() {
    let mut divided = 0;
    for seed in 1..=30 {
        let mut random = Random::new(seed * 0x9E37_79B9 + 5);
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        // About 1 MiB, with a few axes in any order: whole, in planes, or with one element too many for equal parts.
        let count = (1 << 20) / item + random.below_i64(3);
        let (rows, planes) = (1 + random.below_i64(700), 1 + random.below_i64(5));
        let shape = [planes, rows, (count / rows / planes).max(1)];
        let to = random_target(&mut random, &shape, item);
        let from = random_source(&mut random, &shape, item);
        let overlap = random.one_in(3);
        let src_at = if overlap { random.below_i64(64) } else { to.end + random.below_i64(70) };
        let mut bytes = noise(&mut random, to.end.max(src_at + from.end));
        let src_offset = src_at + from.offset;
        let wanted = model_of(&bytes, item, &shape, (&to.strides, to.offset), (&from.strides, src_offset));
        let base = bytes.as_mut_ptr();
        let dst = layout(raw, &shape, &to.strides, base, to.offset);
        let src = layout(raw, &shape, &from.strides, base, src_offset);
        let least_bytes = 1;
        let three = tn_runner {
            size: size_of::<tn_runner>(),
            run: Some(on_threads),
            context: core::ptr::null_mut(),
            threads: 3,
            least_bytes,
        };
        runner::set_current(Some(three));
        divided += usize::from(runner::parts(dst.bytes() as usize) > 1);
        blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
        runner::set_current(None);
        assert!(bytes == wanted, "seed {seed}: {shape:?} {:?} <- {:?}, item {item}", to.strides, from.strides);
    }
    assert!(divided > 20, "{divided} of 30 were divided");
}
