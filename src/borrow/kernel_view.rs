//! What a kernel gets of an array: its address, shape and strides, in the layout of `tn_view<T, N>` of
//! tenure_kernel.cuh.
//!
//! Contract: N is 1 to 8. Strides are in bytes. An array without axes has one axis of length 1, whose stride is the
//! size of an element. An array without elements has the address 0. Every element lies at a multiple of its size, which
//! a kernel's loads and stores require. [`device_address`] may call the driver, and is called under no lock; the other
//! functions may be called under one.

use crate::device_copy;
use crate::error::{Result, Status, fail};
use crate::layout::{Layout, Tuple};
use crate::names::DeviceName;
use crate::types::*;

/// The largest N of `tn_view<T, N>`.
pub const MAX_VIEW_NDIM: usize = 8;

/// A `tn_view<T, N>`: the words address, N lengths, N strides.
#[derive(Clone, Copy)]
pub struct KernelView {
    words: [i64; 1 + 2 * MAX_VIEW_NDIM],
    n: usize,
}

impl KernelView {
    /// The bytes of the view of an array with `ndim` axes.
    pub fn bytes(ndim: i32) -> usize {
        size_of::<u64>() * (1 + 2 * ndim.max(1) as usize)
    }

    /// The view of an array that [`check`] accepts, at the store's address.
    #[inline]
    pub fn of(layout: &Layout) -> KernelView {
        let n = layout.ndim().max(1);
        let mut words = [0; 1 + 2 * MAX_VIEW_NDIM];
        words[0] = if layout.is_empty() { 0 } else { layout.offset() };
        (words[1], words[2]) = (1, layout.item());
        for (axis, (length, stride)) in layout.axes().enumerate() {
            words[1 + axis] = length;
            words[1 + n + axis] = stride;
        }
        KernelView { words, n }
    }

    /// The view at the address that devices use, see [`device_address`].
    #[inline]
    pub fn for_devices(mut self, device: tn_device) -> Result<KernelView> {
        self.words[0] = device_address(self.words[0] as u64, device)?.cast_signed();
        Ok(self)
    }

    /// The words of the struct.
    #[inline]
    pub fn words(&self) -> &[i64] {
        &self.words[..1 + 2 * self.n]
    }
}

/// TN_ERR_INVALID for a number of axes that no view has.
#[inline]
pub fn check_ndim(ndim: i32) -> Result<()> {
    if (0..=MAX_VIEW_NDIM as i32).contains(&ndim) {
        return Ok(());
    }
    Err(fail(TN_ERR_INVALID, format_args!("ndim {ndim}: a kernel's view has at most {MAX_VIEW_NDIM} axes")))
}

/// TN_ERR_SHAPE for an array with another number of axes than the kernel's view. TN_ERR_LAYOUT for elements that are
/// not aligned. An array without axes is passed with `ndim` 0 or 1.
#[inline]
pub fn check(layout: &Layout, ndim: i32) -> Result<()> {
    if layout.ndim() != ndim as usize && (layout.ndim() != 0 || ndim != 1) {
        return Err(other_ndim(layout, ndim));
    }
    check_alignment(layout)
}

/// TN_ERR_LAYOUT for elements that are not at multiples of their size.
#[inline]
pub fn check_alignment(layout: &Layout) -> Result<()> {
    if layout.is_aligned_to(layout.item()) { Ok(()) } else { Err(unaligned(layout)) }
}

/// TN_ERR_LAYOUT for an array whose bare address is not enough to find its elements.
#[inline]
pub fn check_contiguity(layout: &Layout) -> Result<()> {
    if layout.is_c() { check_alignment(layout) } else { Err(not_contiguous(layout)) }
}

/// The address at which devices access the byte at `address` of a store on `device`: that of the host, for memory that
/// only the host can access. 0 stays 0. TN_ERR_DEVICE: page-locked memory that is not mapped for devices.
#[inline]
pub fn device_address(address: u64, device: tn_device) -> Result<u64> {
    match device.r#type {
        TN_CUDA | TN_CUDA_MANAGED => Ok(address),
        _ if address == 0 => Ok(0),
        _ => mapped_address(address, device),
    }
}

#[cold]
fn mapped_address(address: u64, device: tn_device) -> Result<u64> {
    match device_copy::device_address(device, address as usize) {
        0 if device.r#type == TN_CPU => Ok(address),
        0 => Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "the array is page-locked memory ({}) that is not mapped for devices; allocate or register it with TN_HOST_MAPPED",
                DeviceName(device)
            ),
        )),
        // Of memory that the program registered, devices may use another address than the host.
        seen => Ok(seen),
    }
}

#[cold]
fn other_ndim(layout: &Layout, ndim: i32) -> Status {
    fail(
        TN_ERR_SHAPE,
        format_args!(
            "the kernel's view has {ndim} axes, and the array of shape {} has {}; reshape it, or pass its ndim",
            Tuple(layout.shape()),
            layout.ndim()
        ),
    )
}

#[cold]
fn unaligned(layout: &Layout) -> Status {
    let dtype = layout.dtype();
    fail(
        TN_ERR_LAYOUT,
        format_args!(
            "elements of {} at address {:#x} with strides {} are not all at multiples of {} bytes, as kernels need; copy the array",
            dtype.name(),
            layout.offset(),
            Tuple(layout.strides()),
            dtype.item()
        ),
    )
}

#[cold]
fn not_contiguous(layout: &Layout) -> Status {
    fail(
        TN_ERR_LAYOUT,
        format_args!(
            "the array of shape {} with strides {} is not C-contiguous, and a bare address has no strides; pass a view (TN_ARG_ARRAY), or a copy",
            Tuple(layout.shape()),
            Tuple(layout.strides())
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;
    use crate::layout::Order;

    #[test]
    fn a_view_has_address_lengths_and_strides() {
        let of = |dtype, shape: &[i64], order, address| {
            KernelView::of(&Layout::contiguous(Dtype::of(dtype).unwrap(), shape, order, address).unwrap())
        };
        assert_eq!(of(TN_F64, &[3, 4], Order::F, 4096).words(), [4096, 3, 4, 8, 24]);
        assert_eq!(of(TN_C128, &[], Order::C, 64).words(), [64, 1, 16]);
        assert_eq!(of(TN_F32, &[2, 0], Order::C, 64).words(), [0, 2, 0, 4, 4]);
        let largest = of(TN_U8, &[1; MAX_VIEW_NDIM], Order::C, 1);
        assert_eq!(size_of_val(largest.words()), KernelView::bytes(MAX_VIEW_NDIM as i32));
        assert_eq!((KernelView::bytes(0), KernelView::bytes(1), KernelView::bytes(2)), (24, 24, 40));
    }
}
