//! Guards: open borrows, and the elements behind them.
//!
//! A reference to bytes is sound only while nobody else can write them, in a process where C and Python hold handles on
//! them too:
//!
//! | guard | the library excludes until it ends | Rust gets |
//! |---|---|---|
//! | [`Ref`] | writers, and shared views of consumers (TN_FROZEN) | `&T`, `&[T]` |
//! | [`RefMut`] | readers, writers and new exports; refused beside an export | `&mut T`, `&mut [T]` |
//! | [`SharedRef`], [`SharedMut`] | as a guard of C: not the consumers of shared views, and not a lender | an address |
//!
//! The lender of bytes (a NumPy array that was imported without a copy, a mapped file) may use them at any time. So
//! [`Ref`] and [`RefMut`] are refused for lent bytes, with [`Status::FOREIGN`].

use crate::array::Array;
use crate::element::Element;
use crate::error::{Error, Result, Status, check};
use crate::sys;
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};
use std::ptr::{self, NonNull};

/// The number of elements. Of a shape with a length of 0 the other lengths may be of any size.
pub(crate) fn count(shape: &[usize]) -> usize {
    shape.iter().fold(1, |product, length| product.wrapping_mul(*length))
}

/// An open guard of the library, which this value ends.
struct Open {
    guard: NonNull<sys::tn_borrow>,
    /// Whether the thread unwound already when the guard was opened: then its end by unwinding tells nothing about the
    /// elements.
    was_panicking: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        let failed = std::thread::panicking() && !self.was_panicking;
        let flags = if failed { sys::TN_END_FAILED } else { 0 };
        // SAFETY: an open guard, ended once. No reference to its bytes is left, because they borrow from the value that
        // owns this one.
        let _ = unsafe { sys::tn_borrow_end(self.guard.as_ptr(), flags, ptr::null_mut()) };
    }
}

/// The lengths and the strides in bytes of a guard.
enum Axes {
    /// In the library's memory, valid until the guard ends.
    Lent { shape: *const i64, strides: *const i64, ndim: usize },
    /// All lengths, then all strides.
    Own(Box<[i64]>),
}

impl Axes {
    fn both(&self) -> (&[i64], &[i64]) {
        match self {
            Axes::Lent { ndim: 0, .. } => (&[], &[]),
            Axes::Lent { shape, strides, ndim } => {
                // SAFETY: `ndim` numbers each, which the library keeps until the guard ends; `Guard` owns both this
                // value and the guard.
                unsafe { (std::slice::from_raw_parts(*shape, *ndim), std::slice::from_raw_parts(*strides, *ndim)) }
            }
            Axes::Own(numbers) => numbers.split_at(numbers.len() / 2),
        }
    }

    fn shape(&self) -> &[usize] {
        let shape = self.both().0;
        // SAFETY: lengths are not negative, and usize has the layout of i64 on the platforms that the library supports
        // (see lib.rs).
        unsafe { std::slice::from_raw_parts(shape.as_ptr().cast(), shape.len()) }
    }

    fn strides(&self) -> &[isize] {
        let strides = self.both().1;
        // SAFETY: isize has the layout of i64 there.
        unsafe { std::slice::from_raw_parts(strides.as_ptr().cast(), strides.len()) }
    }
}

/// A guard with the address and layout of its elements.
pub(crate) struct Guard<T> {
    data: *mut T,
    axes: Axes,
    device: sys::tn_device,
    _open: Open,
}

// SAFETY: a guard may be used and ended on any thread (tn_borrow_end, "Threads"). What it points to is reached only
// through `Ref` and the like, which hand out what their own borrow permits, and elements are Send and Sync.
unsafe impl<T: Element> Send for Guard<T> {}
// SAFETY: as above.
unsafe impl<T: Element> Sync for Guard<T> {}

impl<T: Element> Guard<T> {
    /// The guard that a C call opens.
    pub(crate) fn open(
        call: impl FnOnce(*mut sys::tn_view_info, *mut *mut sys::tn_borrow) -> sys::tn_status,
    ) -> Result<Guard<T>> {
        // SAFETY: plain numbers and pointers, for which zero is a value.
        let mut view: sys::tn_view_info = unsafe { std::mem::zeroed() };
        let mut guard = ptr::null_mut();
        check(call(&mut view, &mut guard))?;
        let ndim = usize::try_from(view.ndim).expect("a number of axes is not negative");
        let axes = Axes::Lent { shape: view.shape, strides: view.strides, ndim };
        Ok(Guard { data: view.data.cast(), axes, device: view.device, _open: Open::new(guard) })
    }

    /// A part that `tn_array_split_write` made, of an array with these strides.
    pub(crate) fn part(chunk: &sys::tn_part, axis: usize, shape: &[usize], info: &sys::tn_array_info) -> Guard<T> {
        let lengths = shape.iter().enumerate();
        let lengths = lengths.map(|(at, length)| if at == axis { chunk.length } else { *length as i64 });
        let numbers = lengths.chain(info.strides[..shape.len()].iter().copied()).collect();
        let open = Open::new(chunk.guard);
        Guard { data: chunk.data.cast(), axes: Axes::Own(numbers), device: info.device, _open: open }
    }

    fn len(&self) -> usize {
        count(self.axes.shape())
    }

    /// Whether references to the elements may exist at all: host memory, aligned.
    fn must_be_addressable(&self) -> Result<()> {
        if ![sys::TN_CPU, sys::TN_CUDA_HOST].contains(&self.device.r#type) {
            let text = "tenure_rs: the elements are in memory of a device; copy them to the host, as with to_device";
            return Err(Error::new(Status::DEVICE, text));
        }
        let align = align_of::<T>();
        let axes = self.axes.shape().iter().zip(self.axes.strides());
        let strides_fit =
            axes.into_iter().all(|(length, stride)| *length < 2 || stride.unsigned_abs().is_multiple_of(align));
        if self.len() > 0 && (!self.data.addr().is_multiple_of(align) || !strides_fit) {
            return Err(Error::new(
                Status::LAYOUT,
                "tenure_rs: the elements are not aligned for their type; copy the array",
            ));
        }
        Ok(())
    }

    /// Whether the elements lie in C order without gaps.
    fn is_contiguous(&self) -> bool {
        let mut expected = size_of::<T>() as isize;
        let axes = self.axes.shape().iter().zip(self.axes.strides());
        let dense = axes.rev().all(|(length, stride)| {
            let fits = *length < 2 || *stride == expected;
            expected = expected.wrapping_mul(*length as isize);
            fits
        });
        dense || self.len() == 0
    }

    /// Address and number of elements, if they are contiguous.
    fn contiguous(&self) -> Result<(NonNull<T>, usize)> {
        if !self.is_contiguous() {
            let text = format!(
                "tenure_rs: shape {:?} with strides of {:?} bytes is no slice; use iter, an index, or a copy",
                self.axes.shape(),
                self.axes.strides()
            );
            return Err(Error::new(Status::LAYOUT, text));
        }
        // The address is NULL if there is no element.
        Ok((NonNull::new(self.data).unwrap_or(NonNull::dangling()), self.len()))
    }

    /// The address of an element. None for an index that is outside, or of another number of axes.
    fn at(&self, index: &[usize]) -> Option<*mut T> {
        let (shape, strides) = (self.axes.shape(), self.axes.strides());
        if index.len() != shape.len() || index.iter().zip(shape).any(|(at, length)| at >= length) {
            return None;
        }
        let offset = index.iter().zip(strides).map(|(at, stride)| *at as isize * stride).sum();
        // SAFETY: an element of the array by the checks above, so the offset stays within its memory.
        Some(unsafe { self.data.byte_offset(offset) })
    }

    fn addresses(&self) -> Addresses<'_, T> {
        let (shape, strides) = (self.axes.shape(), self.axes.strides());
        Addresses { next: self.data, shape, strides, index: vec![0; shape.len()].into(), left: self.len() }
    }
}

impl Open {
    fn new(guard: *mut sys::tn_borrow) -> Open {
        let guard = NonNull::new(guard).expect("a call that succeeds writes a guard, never NULL");
        Open { guard, was_panicking: std::thread::panicking() }
    }
}

/// The addresses of all elements, the last axis fastest.
struct Addresses<'g, T> {
    next: *mut T,
    shape: &'g [usize],
    strides: &'g [isize],
    index: Box<[usize]>,
    left: usize,
}

impl<T> Iterator for Addresses<'_, T> {
    type Item = *mut T;

    fn next(&mut self) -> Option<*mut T> {
        self.left = self.left.checked_sub(1)?;
        let found = self.next;
        for axis in (0..self.shape.len()).rev() {
            self.index[axis] += 1;
            if self.index[axis] < self.shape[axis] {
                self.next = self.next.wrapping_byte_offset(self.strides[axis]);
                break;
            }
            self.next = self.next.wrapping_byte_offset(-self.strides[axis] * (self.index[axis] as isize - 1));
            self.index[axis] = 0;
        }
        Some(found)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Methods that all guards have.
macro_rules! describes {
    ($($guard:ident)*) => {
        $(impl<T: Element> $guard<'_, T> {
            /// Lengths of the axes.
            pub fn shape(&self) -> &[usize] {
                self.guard.axes.shape()
            }

            /// Strides of the axes in bytes, which may be negative or 0.
            pub fn strides(&self) -> &[isize] {
                self.guard.axes.strides()
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                self.guard.len()
            }

            /// Whether there is no element.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Address of the first element; NULL if there is none. On a GPU, an address there.
            pub fn as_ptr(&self) -> *const T {
                self.guard.data
            }
        }

        impl<T> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (shape, strides) = self.guard.axes.both();
                f.debug_struct(stringify!($guard)).field("shape", &shape).field("strides", &strides).finish()
            }
        })*
    };
}

describes! { Ref RefMut SharedRef SharedMut }

/// Reading of elements, in both guards with references.
macro_rules! reads {
    ($($guard:ident)*) => {
        $(impl<T: Element> $guard<'_, T> {
            /// The elements as a slice.
            ///
            /// # Errors
            /// [`Status::LAYOUT`] unless they lie in C order without gaps.
            pub fn as_slice(&self) -> Result<&[T]> {
                let (data, len) = self.guard.contiguous()?;
                // SAFETY: `len` aligned elements, which nobody writes while this guard is open: see the head of this
                // module.
                Ok(unsafe { std::slice::from_raw_parts(data.as_ptr(), len) })
            }

            /// The element at an index on each axis, if there is one.
            pub fn get(&self, index: impl AsRef<[usize]>) -> Option<&T> {
                // SAFETY: an aligned element, which nobody writes while this guard is open.
                self.guard.at(index.as_ref()).map(|element| unsafe { &*element })
            }

            /// All elements, the last axis fastest, whatever the layout.
            pub fn iter(&self) -> Iter<'_, T> {
                Iter { addresses: self.guard.addresses(), elements: PhantomData }
            }
        }

        impl<T: Element, const N: usize> Index<[usize; N]> for $guard<'_, T> {
            type Output = T;

            fn index(&self, index: [usize; N]) -> &T {
                self.get(index).unwrap_or_else(|| outside(&index, self.shape()))
            }
        }

        impl<'g, T: Element> IntoIterator for &'g $guard<'_, T> {
            type Item = &'g T;
            type IntoIter = Iter<'g, T>;

            fn into_iter(self) -> Iter<'g, T> {
                self.iter()
            }
        })*
    };
}

reads! { Ref RefMut }

#[cold]
fn outside(index: &[usize], shape: &[usize]) -> ! {
    panic!("index {index:?} is outside shape {shape:?}")
}

/// A read guard. Until it ends, nobody writes the elements: neither this library's writers nor a consumer of a shared
/// view.
#[must_use = "the guard ends when the value is dropped"]
pub struct Ref<'a, T> {
    guard: Guard<T>,
    array: PhantomData<&'a Array<T>>,
}

/// A write guard. Until it ends, nobody else reads or writes the elements.
///
/// A guard that ends because its thread panics poisons its elements: reading them is [`Status::POISONED`] until they
/// are overwritten.
#[must_use = "the guard ends when the value is dropped"]
pub struct RefMut<'a, T> {
    guard: Guard<T>,
    array: PhantomData<&'a mut Array<T>>,
}

impl<T: Element> RefMut<'_, T> {
    /// The elements as a slice to write.
    ///
    /// # Errors
    /// [`Status::LAYOUT`] unless they lie in C order without gaps.
    pub fn as_mut_slice(&mut self) -> Result<&mut [T]> {
        let (data, len) = self.guard.contiguous()?;
        // SAFETY: `len` aligned elements, which this guard alone reaches, and which are borrowed from it mutably.
        Ok(unsafe { std::slice::from_raw_parts_mut(data.as_ptr(), len) })
    }

    /// The element at an index on each axis, if there is one.
    pub fn get_mut(&mut self, index: impl AsRef<[usize]>) -> Option<&mut T> {
        // SAFETY: an aligned element, which this guard alone reaches, and which is borrowed from it mutably.
        self.guard.at(index.as_ref()).map(|element| unsafe { &mut *element })
    }

    /// All elements, the last axis fastest, whatever the layout.
    pub fn iter_mut(&mut self) -> IterMut<'_, T> {
        IterMut { addresses: self.guard.addresses(), elements: PhantomData }
    }
}

impl<T: Element, const N: usize> IndexMut<[usize; N]> for RefMut<'_, T> {
    fn index_mut(&mut self, index: [usize; N]) -> &mut T {
        match self.guard.at(&index) {
            // SAFETY: as in `get_mut`.
            Some(element) => unsafe { &mut *element },
            None => outside(&index, self.shape()),
        }
    }
}

impl<'g, T: Element> IntoIterator for &'g mut RefMut<'_, T> {
    type Item = &'g mut T;
    type IntoIter = IterMut<'g, T>;

    fn into_iter(self) -> IterMut<'g, T> {
        self.iter_mut()
    }
}

/// The elements of a guard.
pub struct Iter<'g, T> {
    addresses: Addresses<'g, T>,
    elements: PhantomData<&'g T>,
}

/// The elements of a write guard.
pub struct IterMut<'g, T> {
    addresses: Addresses<'g, T>,
    elements: PhantomData<&'g mut T>,
}

impl<'g, T> Iterator for Iter<'g, T> {
    type Item = &'g T;

    fn next(&mut self) -> Option<&'g T> {
        // SAFETY: an aligned element, which nobody writes while the guard is borrowed.
        self.addresses.next().map(|element| unsafe { &*element })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.addresses.size_hint()
    }
}

impl<'g, T> Iterator for IterMut<'g, T> {
    type Item = &'g mut T;

    fn next(&mut self) -> Option<&'g mut T> {
        // SAFETY: an aligned element of a guard that is borrowed mutably. Each has an address of its own: the library
        // opens no writer on a layout whose elements share bytes.
        self.addresses.next().map(|element| unsafe { &mut *element })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.addresses.size_hint()
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}
impl<T> FusedIterator for Iter<'_, T> {}
impl<T> ExactSizeIterator for IterMut<'_, T> {}
impl<T> FusedIterator for IterMut<'_, T> {}

/// A read guard as C has it: consumers of shared views, and a lender, may write the elements meanwhile. So it has only
/// their address.
#[must_use = "the guard ends when the value is dropped"]
pub struct SharedRef<'a, T> {
    guard: Guard<T>,
    array: PhantomData<&'a Array<T>>,
}

impl<'a, T: Element> SharedRef<'a, T> {
    pub(crate) fn new(guard: Guard<T>) -> SharedRef<'a, T> {
        SharedRef { guard, array: PhantomData }
    }

    /// The guard with references to its elements.
    ///
    /// # Errors
    /// [`Status::DEVICE`] for memory that the host cannot access, [`Status::LAYOUT`] for elements that are not aligned.
    ///
    /// # Safety
    /// - Until the guard ends, nobody writes the elements: no consumer of a shared view, and no lender of the bytes.
    pub unsafe fn assume_frozen(self) -> Result<Ref<'a, T>> {
        self.guard.must_be_addressable()?;
        Ok(Ref { guard: self.guard, array: PhantomData })
    }
}

/// A write guard as C has it: consumers of shared views, and a lender, may use the elements meanwhile. So it has only
/// their address.
#[must_use = "the guard ends when the value is dropped"]
pub struct SharedMut<'a, T> {
    guard: Guard<T>,
    array: PhantomData<&'a mut Array<T>>,
}

impl<'a, T: Element> SharedMut<'a, T> {
    pub(crate) fn new(guard: Guard<T>) -> SharedMut<'a, T> {
        SharedMut { guard, array: PhantomData }
    }

    /// Address of the first element; NULL if there is none. On a GPU, an address there.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.guard.data
    }

    /// The guard with references to its elements.
    ///
    /// # Errors
    /// As for [`SharedRef::assume_frozen`].
    ///
    /// # Safety
    /// - Until the guard ends, nobody else reads or writes the elements: no consumer of a shared view, and no lender of
    ///   the bytes.
    pub unsafe fn assume_exclusive(self) -> Result<RefMut<'a, T>> {
        self.guard.must_be_addressable()?;
        Ok(RefMut { guard: self.guard, array: PhantomData })
    }
}

/// A part of an axis with a write guard of its own, for a thread of its own: see [`Array::chunks`].
#[derive(Debug)]
pub struct Chunk<'a, T> {
    /// The first index of the part on the axis.
    pub start: usize,
    /// The part.
    pub part: RefMut<'a, T>,
}
