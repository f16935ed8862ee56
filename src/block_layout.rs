//! Block layouts: where several arrays lie in the memory that the threads of a block share.
//!
//! Contract: pure. The arrays lie in the given order, each at the first multiple of its alignment that no earlier array
//! reaches, so no two share a byte. The first one begins at 0. An array without elements has an offset and no bytes.
#![forbid(unsafe_code)]

use crate::dtype::Dtype;
use crate::error::{FirstError, Result, fail};
use crate::types::*;

/// The largest alignment: that of the block memory itself.
const MAX_ALIGN: i64 = 128;

/// Items that are valid, and whose sizes add up to less than 2^63 bytes.
#[derive(Debug)]
pub struct BlockLayout<'a> {
    items: &'a [tn_block_item],
    total: i64,
}

impl<'a> BlockLayout<'a> {
    /// The layout of the items. TN_ERR_INVALID: a reserved word, a count or an alignment is invalid. TN_ERR_DTYPE: an
    /// element type is unknown. TN_ERR_OVERFLOW: the sizes do not fit into 63 bits.
    pub fn of(items: &'a [tn_block_item]) -> Result<BlockLayout<'a>> {
        let mut first = FirstError::default();
        for (index, item) in items.iter().enumerate() {
            if let Err(status) = check(index, item) {
                first.see(status);
            }
        }
        if let Some(status) = first.into_status() {
            return Err(status);
        }
        let mut total = 0;
        for (index, item) in items.iter().enumerate() {
            total = match span(total, item) {
                Some((_, end)) => end,
                None => return Err(too_large(index, item, total)),
            };
        }
        Ok(BlockLayout { items, total })
    }

    /// The end of the last array in bytes, not rounded up.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// The offset of each array in bytes.
    pub fn offsets(&self) -> impl Iterator<Item = i64> {
        self.items.iter().scan(0, |total, item| {
            let (offset, end) = span(*total, item)?;
            *total = end;
            Some(offset)
        })
    }
}

/// The offset and the end of an item behind `total` bytes; None: they do not fit into 63 bits, or the element type is
/// unknown.
fn span(total: i64, item: &tn_block_item) -> Option<(i64, i64)> {
    let bytes = Dtype::known(item.dtype)?.item();
    let align = if item.align == 0 { bytes } else { item.align };
    let offset = total.checked_add(align - 1)? & -align;
    Some((offset, offset.checked_add(item.count.checked_mul(bytes)?)?))
}

/// Checks an item by itself.
fn check(index: usize, item: &tn_block_item) -> Result<()> {
    let tn_block_item { dtype, reserved, count, align } = *item;
    if reserved != 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("items[{index}].reserved is {reserved}; set it to 0")));
    }
    if count < 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("items[{index}].count is {count}; use 0 or more elements")));
    }
    if !(0..=MAX_ALIGN).contains(&align) || align.count_ones() > 1 {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!(
                "items[{index}].align is {align}; use a power of two from 1 to {MAX_ALIGN}, or 0 for the size of an element"
            ),
        ));
    }
    Dtype::of(dtype).map(drop).map_err(|status| crate::error::about(status, format_args!("items[{index}]")))
}

#[cold]
fn too_large(index: usize, item: &tn_block_item, total: i64) -> crate::error::Status {
    let name = Dtype::known(item.dtype).map_or("unknown", Dtype::name);
    fail(
        TN_ERR_OVERFLOW,
        format_args!(
            "items[{index}], {} elements of type {name} after {total} bytes, does not end below 2^63 bytes; use fewer elements",
            item.count
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(dtype: tn_dtype, count: i64, align: i64) -> tn_block_item {
        tn_block_item { dtype, reserved: 0, count, align }
    }

    fn any_item() -> impl Strategy<Value = tn_block_item> {
        let aligns = proptest::sample::select(&[0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128][..]);
        (proptest::sample::select(&Dtype::ALL[..]), 0i64..40, aligns)
            .prop_map(|(dtype, count, align)| item(dtype.raw(), count, align))
    }

    proptest! {
        /// KN-1, by the definition: the smallest offset that is aligned and not below the end of the item before.
        #[test]
        fn kn_1_each_item_lies_at_the_next_aligned_offset(items in proptest::collection::vec(any_item(), 0..12)) {
            let layout = BlockLayout::of(&items).unwrap();
            let offsets: Vec<i64> = layout.offsets().collect();
            prop_assert_eq!(offsets.len(), items.len());
            let mut end = 0;
            for (item, offset) in items.iter().zip(offsets) {
                let bytes = Dtype::of(item.dtype).unwrap().item();
                let align = if item.align == 0 { bytes } else { item.align };
                prop_assert_eq!(Some(offset), (end..end + 128).find(|at| at % align == 0));
                end = offset + item.count * bytes;
            }
            prop_assert_eq!(layout.total(), end);
        }

        /// KN-2: near 2^63 bytes the sizes are those of 128-bit arithmetic, or TN_ERR_OVERFLOW.
        #[test]
        fn kn_2_large_sizes_are_exact_or_refused(
            counts in proptest::collection::vec(0u32..=62, 1..5), less in 0i64..200, dtype in 0usize..15, align in 0u32..8
        ) {
            let items: Vec<tn_block_item> = counts
                .iter()
                .map(|&bits| item(Dtype::ALL[dtype].raw(), ((1i64 << bits) - less).max(0), 1 << align))
                .collect();
            let mut end = 0i128;
            for item in &items {
                let align = i128::from(item.align);
                end = (end + align - 1) / align * align + i128::from(item.count) * i128::from(Dtype::ALL[dtype].item());
            }
            match BlockLayout::of(&items) {
                Ok(layout) => prop_assert_eq!(i128::from(layout.total()), end),
                Err(status) => {
                    prop_assert_eq!(status.code(), TN_ERR_OVERFLOW);
                    prop_assert!(end > i128::from(i64::MAX));
                }
            }
        }
    }

    #[test]
    fn kn_2_the_last_byte_below_2_to_the_63_fits() {
        let most = [item(TN_U8, i64::MAX, 0)];
        assert_eq!(BlockLayout::of(&most).unwrap().total(), i64::MAX);
        for more in [item(TN_U8, 1, 0), item(TN_U8, 0, 2), item(TN_F64, i64::MAX, 0)] {
            assert_eq!(BlockLayout::of(&[most[0], more]).unwrap_err().code(), TN_ERR_OVERFLOW, "{more:?}");
        }
        assert_eq!(BlockLayout::of(&[item(TN_U16, 1 << 62, 0)]).unwrap_err().code(), TN_ERR_OVERFLOW);
    }

    #[test]
    fn kn_2_invalid_words_come_before_unknown_types_of_earlier_items() {
        let bad_type = item(0, 1, 0);
        let code = |items: &[tn_block_item]| BlockLayout::of(items).unwrap_err().code();
        assert_eq!(code(&[bad_type]), TN_ERR_DTYPE);
        let huge = item(TN_F64, i64::MAX, 0);
        assert_eq!(code(&[huge, bad_type]), TN_ERR_DTYPE);
        for align in [-1, -4, i64::MIN, 3, 6, 127, 129, 256] {
            assert_eq!(code(&[bad_type, item(TN_F32, 1, align)]), TN_ERR_INVALID, "align {align}");
        }
        for count in [-1, i64::MIN] {
            assert_eq!(code(&[bad_type, item(TN_F32, count, 0)]), TN_ERR_INVALID, "count {count}");
        }
        assert_eq!(code(&[bad_type, tn_block_item { reserved: 1, ..item(TN_F32, 1, 0) }]), TN_ERR_INVALID);
    }
}
