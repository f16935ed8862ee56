//! Plans of driver copies, executed with memcpy, against a model that copies element by element: TR-2 to TR-7 without a
//! device.

use crate::support;
use support::strided_cases::*;
use tenure::device_copy::plan::{self, BroadcastSplit, OverlapPlan, Plan};
use tenure::dtype::Dtype;
use tenure::error::Result;
use tenure::gpu::copy::Block;
use tenure::layout::Layout;
use tenure::types::*;
use tenure_harness::test;

/// Checks the driver's requirements on a box.
fn check(block: &Block) {
    let Block { dst, src, width, rows, planes } = *block;
    assert!(width > 0 && rows > 0 && planes > 0, "{block:?}");
    for side in [dst, src] {
        assert!(rows == 1 || (width..=i64::from(i32::MAX)).contains(&side.pitch), "{block:?}");
        let whole = planes == 1 || rows > 1 && side.plane % side.pitch == 0 && side.plane / side.pitch >= rows;
        assert!(whole, "{block:?}");
    }
}

/// Executes a box as a driver may, in another order: from the last row on.
fn execute(block: &Block) {
    check(block);
    for plane in (0..block.planes).rev() {
        for row in (0..block.rows).rev() {
            let at = |side: tenure::gpu::copy::Side| (side.at + plane * side.plane + row * side.pitch) as usize;
            let from: *const u8 = core::ptr::with_exposed_provenance(at(block.src));
            let to: *mut u8 = core::ptr::with_exposed_provenance_mut(at(block.dst));
            assert!(at(block.dst).abs_diff(at(block.src)) >= block.width as usize, "a run overlaps itself: {block:?}");
            // SAFETY: the box lies inside a live vector of its test, and its runs do not overlap.
            unsafe { core::ptr::copy_nonoverlapping(from, to, block.width as usize) };
        }
    }
}

/// Executes the plan of a copy. Returns the number of driver calls.
fn run(dst: &Layout, src: &Layout) -> u64 {
    let Some(plan) = Plan::copy(dst, src) else {
        assert_eq!(dst.count(), 0);
        return 0;
    };
    let mut calls = 0;
    plan.each(|block| {
        execute(block);
        calls += 1;
        Ok::<(), ()>(())
    })
    .unwrap();
    assert_eq!(plan.calls(), calls);
    assert_eq!(plan.bytes() as i64, dst.bytes());
    calls
}

/// A pair of layouts in one buffer.
struct Case {
    raw: u32,
    shape: Vec<i64>,
    to: Shape,
    from: Shape,
    dst_at: i64,
    src_at: i64,
    bytes: Vec<u8>,
}

impl Case {
    fn new(random: &mut Random, overlapping: bool) -> Case {
        let raw = DTYPES[random.below_i64(5) as usize];
        let item = Dtype::of(raw).unwrap().item();
        let shape = random_shape(random);
        let to = random_target(random, &shape, item);
        let from = if overlapping && random.one_in(2) {
            Shape { strides: to.strides.clone(), ..to }
        } else {
            random_source(random, &shape, item)
        };
        let (dst_at, src_at) = if overlapping {
            (random.below_i64(from.end + 1), random.below_i64(to.end + 1))
        } else {
            let dst_at = random.below_i64(16);
            (dst_at, dst_at + to.end + random.below_i64(9))
        };
        let bytes = noise(random, (dst_at + to.end).max(src_at + from.end));
        Case { raw, shape, to, from, dst_at, src_at, bytes }
    }

    fn dst(&self) -> Layout {
        layout(self.raw, &self.shape, &self.to.strides, self.bytes.as_ptr(), self.dst_at + self.to.offset)
    }

    fn src(&self) -> Layout {
        layout(self.raw, &self.shape, &self.from.strides, self.bytes.as_ptr(), self.src_at + self.from.offset)
    }

    fn wanted(&self) -> Vec<u8> {
        let item = Dtype::of(self.raw).unwrap().item();
        let dst = (&self.to.strides[..], self.dst_at + self.to.offset);
        let src = (&self.from.strides[..], self.src_at + self.from.offset);
        model_of(&self.bytes, item, &self.shape, dst, src)
    }

    fn text(&self) -> String {
        format!("{:?}: {:?} <- {:?}", self.shape, self.to.strides, self.from.strides)
    }
}

#[test]
fn tr_2_tr_3_tr_6_boxes_make_every_element_and_touch_no_gap() {
    for seed in 1..=10_000 {
        let case = Case::new(&mut Random::new(seed * 0x9E37_79B9), false);
        let wanted = case.wanted();
        run(&case.dst(), &case.src());
        assert!(case.bytes == wanted, "seed {seed}: {}", case.text());
    }
}

/// Copies as `device_copy` does between arrays that may overlap.
fn run_in_order(dst: &Layout, src: &Layout) -> Result<&'static str> {
    match OverlapPlan::of(dst, src) {
        OverlapPlan::Done => Ok("done"),
        OverlapPlan::Any => {
            run(dst, src);
            Ok("any")
        }
        OverlapPlan::Pieces { axis, length, upwards } => {
            let mut parts: Vec<_> = tenure::layout::pieces(dst.shape()[axis], length).collect();
            if !upwards {
                parts.reverse();
            }
            for (start, length) in parts {
                run(&dst.part(axis, start, length)?, &src.part(axis, start, length)?);
            }
            Ok("pieces")
        }
        OverlapPlan::Through => {
            let temporary = vec![0u8; plan::packed_bytes(src) as usize];
            let packed = plan::packed(src, temporary.as_ptr().expose_provenance() as i64)?;
            let first = BroadcastSplit::of(&packed, src)?;
            let (to, from) = first.as_ref().map_or((&packed, src), |first| (&first.dst, &first.src));
            run(to, from);
            run(dst, &packed);
            Ok("through")
        }
    }
}

#[test]
fn tr_4_tr_5_a_course_is_as_if_the_source_had_been_read_first() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 1..=10_000 {
        let case = Case::new(&mut Random::new(seed * 0xC2B2_AE35), true);
        let wanted = case.wanted();
        let course = run_in_order(&case.dst(), &case.src()).unwrap();
        *seen.entry(course).or_insert(0) += 1;
        assert!(case.bytes == wanted, "seed {seed}, {course}: {}", case.text());
    }
    for course in ["done", "any", "pieces", "through"] {
        assert!(seen.get(course).is_some_and(|count| *count > 100), "{seen:?}");
    }
}

#[test]
fn tr_8_a_repeated_source_is_sent_once_and_doubled() {
    let mut stretched = 0;
    for seed in 1..=10_000 {
        let case = Case::new(&mut Random::new(seed * 0x51_7CC1), false);
        let (dst, src, wanted) = (case.dst(), case.src(), case.wanted());
        let Some(first) = BroadcastSplit::of(&dst, &src).unwrap() else { continue };
        stretched += 1;
        assert_eq!(first.src.bytes(), plan::packed_bytes(&src));
        run(&first.dst, &first.src);
        BroadcastSplit::doublings(&dst, &src, |to, from| {
            run(to, from);
            Ok(())
        })
        .unwrap();
        assert!(case.bytes == wanted, "seed {seed}: {}", case.text());
    }
    assert!(stretched > 1000);
}

#[test]
fn tr_14_pieces_cover_a_copy_and_are_never_larger() {
    for seed in 1..=10_000 {
        let mut random = Random::new(seed * 0x2545_F491);
        let case = Case::new(&mut random, false);
        let (dst, src, wanted) = (case.dst(), case.src(), case.wanted());
        let most = dst.item() * (1 + random.below_i64(40));
        plan::pieces(&dst, &src, most, &mut |to, from| {
            assert!(to.bytes() <= most && to.bytes() > 0);
            run(to, from);
            Ok(())
        })
        .unwrap();
        assert!(case.bytes == wanted, "seed {seed}: {}", case.text());
    }
}

/// The number of calls of a copy between two layouts of one shape, far apart.
fn calls(raw: u32, shape: &[i64], dst: &[i64], src: &[i64]) -> u64 {
    let dtype = Dtype::of(raw).unwrap();
    let to = Layout::strided(dtype, shape, dst, 1 << 40).unwrap();
    let from = Layout::strided(dtype, shape, src, 1 << 44).unwrap();
    let plan = Plan::copy(&to, &from).unwrap();
    plan.each(|block| {
        check(block);
        Ok::<(), ()>(())
    })
    .unwrap();
    plan.calls()
}

#[test]
fn tr_6_as_few_calls_as_the_driver_allows() {
    // Contiguous; rows with gaps; planes of them; every second element; reversed on both sides.
    assert_eq!(calls(TN_F64, &[4, 6], &[48, 8], &[48, 8]), 1);
    assert_eq!(calls(TN_F64, &[4, 6], &[48, 8], &[64, 8]), 1);
    assert_eq!(calls(TN_F64, &[3, 4, 6], &[192, 48, 8], &[640, 64, 8]), 1);
    assert_eq!(calls(TN_F64, &[1000], &[8], &[16]), 1);
    assert_eq!(calls(TN_F64, &[4, 6], &[-48, -8], &[-64, -8]), 1);
    // Transposed, or the outer two of three axes swapped: one call for each index of the shorter axis.
    assert_eq!(calls(TN_F64, &[5, 700], &[5600, 8], &[8, 40]), 5);
    assert_eq!(calls(TN_F64, &[700, 5], &[40, 8], &[8, 5600]), 5);
    assert_eq!(calls(TN_F64, &[2, 3, 4], &[96, 32, 8], &[32, 64, 8]), 2);
    // Planes of a length that rows do not divide: the longer axis becomes the rows. Rows further apart than the largest
    // pitch.
    assert_eq!(calls(TN_F64, &[7, 4, 6], &[192, 48, 8], &[650, 64, 8]), 4);
    assert_eq!(calls(TN_F64, &[7, 6], &[48, 8], &[1 << 32, 8]), 7);
    // Reversed on one side, and repeated.
    assert_eq!(calls(TN_F64, &[7, 6], &[48, 8], &[-48, 8]), 7);
    assert_eq!(calls(TN_F64, &[7, 6], &[48, 8], &[0, 8]), 7);
}

#[test]
fn tr_6_many_calls_or_rows_are_worth_the_way_through_the_host() {
    let is_slower = |shape: &[i64], device: &[i64], host: &[i64]| {
        let dtype = Dtype::of(TN_F64).unwrap();
        let to = Layout::strided(dtype, shape, device, 1 << 40).unwrap();
        let from = Layout::strided(dtype, shape, host, 1 << 44).unwrap();
        let slower = |plan: Plan| plan.is_slower_than_staging(true, &[&to]);
        let there = slower(Plan::copy(&to, &from).unwrap());
        assert_eq!(there, slower(Plan::copy(&from, &to).unwrap()), "in both directions");
        there
    };
    // Every second element in memory of the host: the processor packs the rows. In memory of the device: the driver has
    // to copy them anyway.
    assert!(is_slower(&[1 << 20], &[8], &[16]));
    assert!(!is_slower(&[1 << 20], &[16], &[8]));
    // Reversed, one call for each element; a few of them; few calls with long rows.
    assert!(is_slower(&[1 << 20], &[8], &[-8]));
    assert!(!is_slower(&[12], &[8], &[-8]));
    assert!(!is_slower(&[16, 1 << 20], &[8 << 20, 8], &[-(8 << 20), 8]));
}

#[test]
fn tr_6_the_cost_of_a_copy_counts_calls_rows_and_bytes() {
    let driver_ns = |raw: u32, shape: &[i64], dst: &[i64], src: &[i64]| {
        let dtype = Dtype::of(raw).unwrap();
        let to = Layout::strided(dtype, shape, dst, 1 << 40).unwrap();
        let from = Layout::strided(dtype, shape, src, 1 << 44).unwrap();
        Plan::copy(&to, &from).unwrap().driver_ns(false)
    };
    assert_eq!(driver_ns(TN_F32, &[10], &[4], &[4]), plan::CALL_NS);
    assert_eq!(driver_ns(TN_U8, &[1 << 20], &[1], &[2]), 2_621_440 + 2_097, "2.5 ns for each row");
    assert_eq!(driver_ns(TN_F32, &[1 << 28], &[4], &[4]), 2 + (4 << 28) / 500, "a row and its bytes");
    // A transposition of 8192 x 8192 f32: 8192 calls of 8192 rows, 168 ms by the rows.
    let transposed = driver_ns(TN_F32, &[8192, 8192], &[4 * 8192, 4], &[4, 4 * 8192]);
    assert!((168_000_000..170_000_000).contains(&transposed), "{transposed} ns");
    // Doubled, not repeated a thousand times.
    assert_eq!(driver_ns(TN_F64, &[1000, 64], &[512, 8], &[0, 8]), 11 * plan::CALL_NS);
}
