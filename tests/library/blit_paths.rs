//! Every code path of `blit`, against the model that copies element by element: with and without each kind of vector
//! instructions, and with cache limits that make every copy large or small (TR-2, TR-3, TR-4, TR-16, PH-15).
//!
//! The switches belong to the process, so there is one test.

use crate::support;
use support::runner::on_threads;
use support::strided_cases::*;
use tenure::blit::{self};
use tenure::dtype::Dtype;
use tenure::sys::cpu::{self, VECTORS};
use tenure::types::*;
use tenure_harness::test;

/// Shapes and strides that have specialised loops.
fn special(random: &mut Random, item: i64) -> (Vec<i64>, Shape, Shape) {
    // Long enough for tiles of every size with partial edges, sometimes for whole blocks.
    let longest = if random.one_in(4) { 300 } else { 80 };
    let long = |random: &mut Random| 1 + random.below_i64(longest);
    // Rows that start at cache lines, or anywhere.
    let pad = |random: &mut Random, bytes: i64| match random.below_i64(3) {
        0 => bytes,
        1 => (bytes + 63) / 64 * 64,
        _ => bytes + random.below_i64(40),
    };
    match random.below_i64(5) {
        // A transposition, sometimes with a third outer axis.
        0 | 1 => {
            let (rows, columns, planes) = (long(random), long(random), 1 + random.below_i64(3));
            let (to, from) = (pad(random, rows * item), pad(random, columns * item));
            let shape = vec![planes, columns, rows];
            let dst = Shape { strides: vec![to * columns, to, item], offset: 0, end: planes * columns * to };
            let src = Shape { strides: vec![from * rows, item, from], offset: 0, end: planes * rows * from };
            (shape, dst, src)
        }
        // Some rows reversed, or with every second item.
        2 | 3 => {
            let (rows, length, step) =
                (1 + random.below_i64(4), 7 * long(random), [-1, 2, -2, 3][random.below_i64(4) as usize]);
            let (to, from) = (pad(random, length * item), pad(random, length * item * i64::abs(step)));
            let offset = if step < 0 { -step * item * (length - 1) } else { 0 };
            let dst = Shape { strides: vec![to, item], offset: 0, end: rows * to };
            // The layout ends with its last element; the bytes after it must not be touched.
            let end = (rows - 1) * from + (length - 1) * item * i64::abs(step) + item;
            (vec![rows, length], dst, Shape { strides: vec![from, step * item], offset, end })
        }
        // Short and long runs.
        _ => {
            let (rows, run) = (long(random), if random.one_in(3) { 5 * long(random) } else { 1 + random.below_i64(9) });
            let (to, from) = (pad(random, run * item), pad(random, run * item));
            let dst = Shape { strides: vec![to, item], offset: 0, end: rows * to };
            (vec![rows, run], dst, Shape { strides: vec![from, item], offset: 0, end: rows * from })
        }
    }
}

/// The source has a buffer of its own, so that checkers find reads past its end. The destination has margins.
fn copies_as_the_model(seed: u64, way: &str) {
    let mut random = Random::new(seed * 0x9E37_79B9);
    let raw = DTYPES[random.below_i64(5) as usize];
    let item = Dtype::of(raw).unwrap().item();
    let (shape, to, from) = special(&mut random, item);
    let (dst_at, margin) = (random.below_i64(70), random.below_i64(70));
    let mut bytes = noise(&mut random, dst_at + to.end + margin);
    let source = noise(&mut random, from.end);
    let mut wanted = bytes.clone();
    let (dst_offset, src_offset) = (dst_at + to.offset, from.offset);
    let targets = elements(&shape, &to.strides, dst_offset);
    for (to, from) in targets.into_iter().zip(elements(&shape, &from.strides, src_offset)) {
        wanted[to as usize..(to + item) as usize].copy_from_slice(&source[from as usize..(from + item) as usize]);
    }
    let dst = layout(raw, &shape, &to.strides, bytes.as_mut_ptr(), dst_offset);
    let src = layout(raw, &shape, &from.strides, source.as_ptr(), src_offset);
    blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
    assert!(bytes == wanted, "seed {seed}, {way}: {shape:?} {:?} <- {:?}, item {item}", to.strides, from.strides);
}

/// Source and destination in one buffer, anywhere.
fn overlaps_as_the_model(seed: u64, way: &str) {
    let mut random = Random::new(seed * 0xC2B2_AE35);
    let raw = DTYPES[random.below_i64(5) as usize];
    let item = Dtype::of(raw).unwrap().item();
    let (shape, to, from) = special(&mut random, item);
    let (dst_at, src_at) = (random.below_i64(from.end + 1), random.below_i64(to.end + 1));
    let mut bytes = noise(&mut random, (dst_at + to.end).max(src_at + from.end));
    let (dst_offset, src_offset) = (dst_at + to.offset, src_at + from.offset);
    let wanted = model_of(&bytes, item, &shape, (&to.strides, dst_offset), (&from.strides, src_offset));
    let base = bytes.as_mut_ptr();
    let dst = layout(raw, &shape, &to.strides, base, dst_offset);
    let src = layout(raw, &shape, &from.strides, base, src_offset);
    blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
    assert!(bytes == wanted, "seed {seed}, {way}: {shape:?} {:?} <- {:?}, item {item}", to.strides, from.strides);
}

fn fills_as_the_model(seed: u64, way: &str) {
    let mut random = Random::new(seed * 0x85EB_CA77);
    let raw = DTYPES[random.below_i64(5) as usize];
    let item = Dtype::of(raw).unwrap().item();
    let (shape, to, _) = special(&mut random, item);
    let at = random.below_i64(70);
    let mut bytes = noise(&mut random, at + to.end + 5);
    let value = if random.one_in(2) { vec![7; item as usize] } else { noise(&mut random, item) };
    let mut wanted = bytes.clone();
    for start in elements(&shape, &to.strides, at + to.offset) {
        wanted[start as usize..(start + item) as usize].copy_from_slice(&value);
    }
    let dst = layout(raw, &shape, &to.strides, bytes.as_mut_ptr(), at + to.offset);
    blit::fill(&host_view(&dst), &value);
    assert!(bytes == wanted, "seed {seed}, {way}: {shape:?} {:?}, item {item}", to.strides);
}

/// Rows a large power of two apart, and planes of many blocks.
fn large_planes_as_the_model(way: &str) {
    for (raw, rows, columns) in
        [(TN_F64, 300, 256), (TN_I32, 131, 512), (TN_F16, 515, 130), (TN_BOOL, 700, 300), (TN_C128, 70, 128)]
    {
        let item = Dtype::of(raw).unwrap().item();
        let mut random = Random::new(rows as u64);
        let source = noise(&mut random, rows * columns * item);
        for at in [0, 16, 5] {
            let mut bytes = vec![0xA5u8; (rows * columns * item + 64) as usize];
            let shape = [columns, rows];
            let dst = layout(raw, &shape, &[rows * item, item], bytes.as_mut_ptr(), at);
            let src = layout(raw, &shape, &[item, columns * item], source.as_ptr(), 0);
            blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
            let mut wanted = vec![0xA5u8; bytes.len()];
            for column in 0..columns {
                for row in 0..rows {
                    let (to, from) = (at + (column * rows + row) * item, (row * columns + column) * item);
                    wanted[to as usize..(to + item) as usize]
                        .copy_from_slice(&source[from as usize..(from + item) as usize]);
                }
            }
            assert!(bytes == wanted, "{way}: {rows} x {columns}, item {item}, at {at}");
        }
    }
}

/// Contiguous bytes that no number of tasks divides evenly.
fn long_runs_as_the_model(way: &str) {
    let mut random = Random::new(77);
    for (raw, count) in [(TN_BOOL, 1_048_571), (TN_C128, 70_001)] {
        let item = Dtype::of(raw).unwrap().item();
        let source = noise(&mut random, count * item);
        let mut bytes = vec![0xA5u8; (count * item + 24) as usize];
        let dst = layout(raw, &[count], &[item], bytes.as_mut_ptr(), 17);
        let src = layout(raw, &[count], &[item], source.as_ptr(), 0);
        blit::copy(&host_view(&dst), &host_view(&src)).unwrap();
        let end = bytes.len() - 7;
        assert!(bytes[17..end] == source, "{way}: {count} of {item}");
        let value = noise(&mut random, item);
        blit::fill(&host_view(&dst), &value);
        assert!(bytes[17..end].chunks(item as usize).all(|element| element == value), "{way}: {count} of {item}");
        assert!(bytes[..17].iter().chain(&bytes[end..]).all(|byte| *byte == 0xA5), "{way}: {count} of {item}");
    }
}

#[test]
fn every_code_path_agrees_with_the_model() {
    // Fewer rounds under a checker that slows everything down.
    let seeds = std::env::var("TENURE_TEST_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let real = cpu::cache_bytes();
    for &vectors in VECTORS {
        for (cache, distance) in [(real, "near"), (1, "far")] {
            cpu::limit_vectors(vectors);
            cpu::pretend_cache(cache);
            let way = format!("{vectors:?}, {distance}");
            for seed in 1..=seeds {
                copies_as_the_model(seed, &way);
                overlaps_as_the_model(seed, &way);
                fills_as_the_model(seed, &way);
            }
            large_planes_as_the_model(&way);
            long_runs_as_the_model(&way);
            let runner = tn_runner { run: Some(on_threads), threads: 3, least_bytes: 1, ..tenure::runner::current() };
            tenure::runner::set_current(Some(runner));
            large_planes_as_the_model(&format!("{way}, three threads"));
            long_runs_as_the_model(&format!("{way}, three threads"));
            tenure::runner::set_current(None);
        }
    }
}
