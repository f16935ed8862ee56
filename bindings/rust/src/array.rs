//! Arrays: a handle with one claim on bytes that C, Python and Rust share.

use crate::device::Device;
use crate::dynamic::{Dtype, DynArray, failed, query};
use crate::element::Element;
use crate::error::{Error, Refused, Result, Status, check};
use crate::guard::{Chunk, Guard, Ref, RefMut, SharedMut, SharedRef};
use crate::handle::{Handle, site};
use crate::pool::Pool;
use crate::promise::Promise;
use crate::sys;
use crate::weak::Weak;
use std::borrow::Borrow;
use std::ffi::c_void;
use std::fmt;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::panic::Location;
use std::path::Path;
use std::ptr;

/// An array of elements `T`: one handle, which is released when the value is dropped. Further handles on the bytes, in
/// Rust or in other languages, are made by [`try_clone`](Array::try_clone) and by views.
///
/// Elements are reached through guards. Two guards of one `Array` that conflict do not compile; two of different
/// handles on one store are refused at run time, with [`Status::BORROWED`] or [`Status::BORROWED_WRITE`].
///
/// `Array` has no `Clone`: a clone is a claim, and the number of claims decides whether bytes may be overwritten in
/// place.
pub struct Array<T> {
    array: DynArray,
    elements: PhantomData<T>,
}

/// An [`Array`] by the name that libraries of tensors use.
pub type Tensor<T> = Array<T>;

/// How a write treats other handles on the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// They see the change.
    #[default]
    Aliased,
    /// There are none, else the call fails with [`Status::SHARED`] or the like.
    Unique,
    /// If there are any, this array moves to a copy first.
    CopyOnWrite,
}

impl Mode {
    fn bits(self) -> sys::tn_write_mode {
        match self {
            Mode::Aliased => sys::TN_WRITE_ALIASED,
            Mode::Unique => sys::TN_WRITE_UNIQUE,
            Mode::CopyOnWrite => sys::TN_WRITE_COW,
        }
    }
}

/// The memory of imports of [`Array::from_vec`], freed by the library's callback.
unsafe extern "C" fn drop_vec<T>(context: *mut c_void) {
    // SAFETY: the box that `from_vec` leaked, in the only call of the callback. Elements have no destructor, so nothing
    // can panic.
    drop(unsafe { Box::from_raw(context.cast::<Vec<T>>()) });
}

/// C's numbers of a shape.
pub(crate) fn lengths(shape: &[usize]) -> Result<Vec<i64>> {
    let number = |length: &usize| i64::try_from(*length);
    let converted: std::result::Result<Vec<i64>, _> = shape.iter().map(number).collect();
    converted.map_err(|_| Error::new(Status::OVERFLOW, format!("tenure_rs: shape {shape:?} does not fit into 64 bits")))
}

/// Constructors.
impl<T: Element> Array<T> {
    /// As [`from_vec`](Array::from_vec), with the shape first.
    #[track_caller]
    pub fn new(shape: &[usize], elements: Vec<T>) -> Result<Array<T>> {
        Array::from_vec(elements, shape)
    }

    /// An array of zeros, from the current pool of the thread.
    #[track_caller]
    pub fn zeros(shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        site(Location::caller());
        Array::zeros_in(ptr::null_mut(), shape.as_ref())
    }

    /// An array of ones.
    #[track_caller]
    pub fn ones(shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        Array::full(shape, T::ONE)
    }

    /// An array of zeros in page-locked memory, from the thread's current pool of that.
    ///
    /// # Errors
    /// [`Status::UNSUPPORTED`] without a CUDA driver.
    #[track_caller]
    pub fn zeros_pinned(shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        site(Location::caller());
        Pool::current(Device::PageLocked)?.zeros(shape)
    }

    /// An array with `value` in every element.
    #[track_caller]
    pub fn full(shape: impl AsRef<[usize]>, value: T) -> Result<Array<T>> {
        site(Location::caller());
        let shape = lengths(shape.as_ref())?;
        let value = ptr::from_ref(&value).cast();
        Array::made(|out| {
            // SAFETY: as many lengths as axes, one element, default options, and a place for the handle.
            unsafe {
                sys::tn_array_full(
                    ptr::null_mut(),
                    T::DTYPE,
                    shape.len() as i32,
                    shape.as_ptr(),
                    value,
                    ptr::null(),
                    out,
                )
            }
        })
    }

    /// An array with a copy of `elements`, in C order.
    ///
    /// # Errors
    /// [`Status::SHAPE`] if the shape has another number of elements.
    #[track_caller]
    pub fn from_slice(elements: &[T], shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        site(Location::caller());
        let shape = shape.as_ref();
        must_have(shape, elements.len())?;
        let lengths = lengths(shape)?;
        let mut out = Array::made(|out| {
            // SAFETY: as in `full`. The elements are written before the array is handed out.
            unsafe {
                sys::tn_array_empty(ptr::null_mut(), T::DTYPE, lengths.len() as i32, lengths.as_ptr(), ptr::null(), out)
            }
        })?;
        out.copy_from_slice(elements)?;
        Ok(out)
    }

    /// An array of the vector's memory, in C order. Nothing is copied; the vector is dropped with the last holder of
    /// the bytes.
    ///
    /// # Errors
    /// [`Status::SHAPE`] if the shape has another number of elements.
    #[track_caller]
    pub fn from_vec(elements: Vec<T>, shape: impl AsRef<[usize]>) -> Result<Array<T>> {
        site(Location::caller());
        let shape = shape.as_ref();
        must_have(shape, elements.len())?;
        let lengths = lengths(shape)?;
        let layout = sys::tn_layout {
            size: size_of::<sys::tn_layout>(),
            dtype: T::DTYPE,
            ndim: lengths.len() as i32,
            shape: lengths.as_ptr(),
            strides: ptr::null(),
            offset: 0,
        };
        let kept = Box::into_raw(Box::new(elements));
        let made = Array::made(|out| {
            // SAFETY: the vector's memory, aligned and as long as the layout says, which stays until the callback drops
            // the vector.
            unsafe {
                let data = (*kept).as_mut_ptr().cast();
                let release = Some(drop_vec::<T> as unsafe extern "C" fn(*mut c_void));
                sys::tn_array_import_host(
                    data,
                    &layout,
                    sys::TN_TAKE_OWNERSHIP,
                    release,
                    kept.cast(),
                    out,
                    ptr::null_mut(),
                )
            }
        });
        if made.is_err() {
            // SAFETY: a failing import calls no callback, so the box is still this function's.
            drop(unsafe { Box::from_raw(kept) });
        }
        made
    }

    /// Reads a `.npy` file into memory of the current pool. With the feature `csv` it also reads text, as
    /// `from_text` does, of files whose names end with `.csv` (commas) or `.txt` (white space).
    ///
    /// # Errors
    /// [`Status::IO`], and [`Status::DTYPE`] for a file of other elements.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Result<Array<T>> {
        #[cfg(feature = "csv")]
        if let Some(opened) = crate::text::open(path.as_ref()) {
            return opened;
        }
        DynArray::open(path)?.try_into().map_err(Error::from)
    }

    /// As [`open`](Array::open), of an open file, from its position on. That then stands behind the array, where
    /// another one may begin. With the feature `csv`, a file that does not begin as NPY files do is text up to its end.
    /// The delimiter is a comma if its first row has one, otherwise white space.
    #[track_caller]
    pub fn from_file(mut file: &File) -> Result<Array<T>> {
        site(Location::caller());
        #[cfg(feature = "csv")]
        if crate::text::is_text(file)? {
            return crate::text::from_file(file);
        }
        let (array, end) = DynArray::read(file)?;
        let array = Array::try_from(array)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(array)
    }

    /// An array of a C handle, which this value releases. A NULL handle is [`Status::NULL`].
    ///
    /// # Errors
    /// [`Status::DTYPE`] if the elements are of another type. The caller still owns the handle then.
    ///
    /// # Safety
    /// - The handle is one that the caller may release, and releases no more.
    /// - Whoever lent memory to the library, exported it, maps it from a file or shares it with another process keeps
    ///   to what `tenure.h` says of it.
    pub unsafe fn from_raw(handle: *mut sys::tn_array) -> Result<Array<T>> {
        let handle = Handle::adopt(handle).ok_or_else(|| Error::new(Status::NULL, "tenure_rs: the array is NULL"))?;
        Array::checked(handle).map_err(|refused| {
            let _ = refused.value.into_raw();
            refused.error
        })
    }

    /// The handle, which the caller releases.
    pub fn into_raw(self) -> *mut sys::tn_array {
        self.array.into_raw()
    }

    /// Zeros from a pool; NULL is the thread's current one.
    pub(crate) fn zeros_in(pool: *mut sys::tn_pool, shape: &[usize]) -> Result<Array<T>> {
        let shape = lengths(shape)?;
        Array::made(|out| {
            // SAFETY: as many lengths as axes, default options, and a place for the handle.
            unsafe { sys::tn_array_zeros(pool, T::DTYPE, shape.len() as i32, shape.as_ptr(), ptr::null(), out) }
        })
    }

    /// The array that a C call makes, whose elements are known to be of type `T`.
    pub(crate) fn made(call: impl FnOnce(*mut *mut sys::tn_array) -> sys::tn_status) -> Result<Array<T>> {
        Array::checked(Handle::make(call)?).map_err(Error::from)
    }

    /// The array of a handle, if its elements are of type `T`.
    pub(crate) fn checked(
        handle: Handle<sys::tn_array>,
    ) -> std::result::Result<Array<T>, Refused<Handle<sys::tn_array>>> {
        let array = Array::try_from(DynArray::of(handle)?);
        array.map_err(|refused| Refused::new(refused.error, refused.value.into_handle()))
    }
}

impl<T> Array<T> {
    pub(crate) fn into_dyn(self) -> DynArray {
        self.array
    }

    /// Why the bytes cannot be overwritten in place: TN_WHY_ bits.
    fn why_not(&self) -> Result<sys::tn_why> {
        let (mut why, mut holders) = (0, 0);
        // SAFETY: room for no holder, and places for the two numbers.
        check(unsafe {
            sys::tn_array_why_not(
                self.as_raw(),
                ptr::null_mut(),
                size_of::<sys::tn_holder>(),
                0,
                &mut why,
                ptr::null_mut(),
                &mut holders,
            )
        })?;
        Ok(why)
    }

    /// Accepts the elements as they are, after a writer that panicked.
    pub fn heal(&mut self) -> Result<()> {
        // SAFETY: a call on a handle.
        check(unsafe { sys::tn_array_heal(self.as_raw()) })
    }
}

/// What needs no element type. There is no `DerefMut`: it would let another type of elements be assigned.
impl<T> Deref for Array<T> {
    type Target = DynArray;

    fn deref(&self) -> &DynArray {
        &self.array
    }
}

/// Fails for elements of another type; the array is in the error then.
impl<T: Element> TryFrom<DynArray> for Array<T> {
    type Error = Refused<DynArray>;

    fn try_from(array: DynArray) -> std::result::Result<Array<T>, Refused<DynArray>> {
        let (found, wanted) = (array.dtype(), Dtype::of::<T>());
        if found != wanted {
            let text = format!("tenure_rs: the elements are {found}, not {wanted}");
            return Err(Refused::new(Error::new(Status::DTYPE, text), array));
        }
        Ok(Array { array, elements: PhantomData })
    }
}

/// Guards.
impl<T: Element> Array<T> {
    /// Opens a read guard: until it ends, nobody writes the elements.
    ///
    /// # Errors
    /// [`Status::BORROWED_WRITE`] beside a writer, [`Status::EXPORTED`] beside a shared view, [`Status::FOREIGN`] for
    /// lent bytes: copy the array, or use [`read_shared`](Array::read_shared). [`Status::DEVICE`] for memory that the
    /// host cannot access.
    #[track_caller]
    pub fn read(&self) -> Result<Ref<'_, T>> {
        site(Location::caller());
        let guard = SharedRef::new(self.open_read(sys::TN_FROZEN)?);
        self.must_not_be(sys::TN_WHY_FOREIGN)?;
        // SAFETY: TN_FROZEN excludes shared views, the library's writers are excluded by every guard, and the bytes are
        // not lent. A lender cannot come while the guard is open: only a shared view would give it the right to write,
        // and none begins.
        unsafe { guard.assume_frozen() }
    }

    /// Opens a read guard as C does: consumers of shared views, and a lender, may write the elements meanwhile.
    ///
    /// # Errors
    /// [`Status::BORROWED_WRITE`] beside a writer, [`Status::EXPORTED`] beside an exclusive export.
    #[track_caller]
    pub fn read_shared(&self) -> Result<SharedRef<'_, T>> {
        site(Location::caller());
        Ok(SharedRef::new(self.open_read(0)?))
    }

    /// Opens a write guard in mode [`Mode::Aliased`]: until it ends, nobody else reads or writes the elements. Other
    /// handles see the change.
    ///
    /// # Errors
    /// [`Status::BORROWED`] and [`Status::BORROWED_WRITE`] beside guards of other handles; [`Status::EXPORTED`] while
    /// the bytes have an export, whose consumer may use them at any time; [`Status::FOREIGN`] for lent bytes;
    /// [`Status::READONLY`]; [`Status::DEVICE`].
    #[track_caller]
    pub fn write(&mut self) -> Result<RefMut<'_, T>> {
        self.write_as(Mode::Aliased)
    }

    /// Opens a write guard in a mode. With [`Mode::CopyOnWrite`] the array moves to a copy where
    /// [`write`](Array::write) is refused because of other holders.
    ///
    /// # Errors
    /// As for [`write`](Array::write), and with [`Mode::Unique`] [`Status::SHARED`] beside other handles.
    #[track_caller]
    pub fn write_as(&mut self, mode: Mode) -> Result<RefMut<'_, T>> {
        site(Location::caller());
        let guard = SharedMut::new(self.open_write(mode)?);
        self.must_not_be(sys::TN_WHY_EXPORTED | sys::TN_WHY_FOREIGN)?;
        // SAFETY: the bytes are not lent, and had no export when the guard was open. While it is open, the library
        // opens no other guard and no export on them.
        unsafe { guard.assume_exclusive() }
    }

    /// Opens a write guard as C does: consumers of shared views, and a lender, may use the elements meanwhile.
    ///
    /// # Errors
    /// As for [`write_as`](Array::write_as), but [`Status::EXPORTED`] only beside an export that is not shared.
    #[track_caller]
    pub fn write_shared(&mut self, mode: Mode) -> Result<SharedMut<'_, T>> {
        site(Location::caller());
        Ok(SharedMut::new(self.open_write(mode)?))
    }

    /// Views of `length` indices each of the first axis; the last one may be shorter.
    ///
    /// # Errors
    /// [`Status::INVALID`] for a length of 0, [`Status::RANGE`] for an array without axes.
    #[track_caller]
    pub fn chunks(&self, length: usize) -> Result<Vec<Array<T>>> {
        site(Location::caller());
        let count = self.shape().first().map_or(0, |n| n.div_ceil(length.max(1)));
        let mut handles = vec![ptr::null_mut(); count];
        let (length, mut made) = (i64::try_from(length).unwrap_or(i64::MAX), 0);
        // SAFETY: room for all views, and a place for their number.
        check(unsafe {
            sys::tn_array_chunks(self.as_raw(), 0, length, handles.len(), handles.as_mut_ptr(), &mut made)
        })?;
        // SAFETY: each is a new handle of the call, which nobody else releases.
        handles[..made].iter().map(|handle| unsafe { Array::from_raw(*handle) }).collect()
    }

    /// Opens write guards on `n` consecutive parts of an axis, all or none, so that threads can write them.
    ///
    /// # Errors
    /// As for [`write`](Array::write); [`Status::RANGE`] for another axis, [`Status::INVALID`] for 0 parts.
    #[track_caller]
    pub fn split_mut<'a>(&'a mut self, axis: usize, n: usize) -> Result<Vec<Chunk<'a, T>>> {
        site(Location::caller());
        // A write in this mode moves no bytes, so the strides are those of the parts too.
        let info = query(self.as_raw())?;
        let mut chunks: Vec<sys::tn_part> = Vec::new();
        let no_memory = |_| Error::new(Status::NO_HOST_MEMORY, format!("tenure_rs: no memory for {n} parts"));
        chunks.try_reserve_exact(n).map_err(no_memory)?;
        let c_axis = i32::try_from(axis).unwrap_or(i32::MAX);
        // SAFETY: room for `n` parts.
        check(unsafe {
            sys::tn_array_split_write(
                self.as_raw(),
                c_axis,
                n,
                sys::TN_WRITE_ALIASED,
                ptr::null_mut(),
                chunks.as_mut_ptr(),
            )
        })?;
        // SAFETY: the call wrote all of them.
        unsafe { chunks.set_len(n) };
        let part = |chunk: &sys::tn_part| (chunk.start, SharedMut::new(Guard::part(chunk, axis, self.shape(), &info)));
        // All of them own their guards before anything can be refused.
        let parts: Vec<_> = chunks.iter().map(part).collect();
        self.must_not_be(sys::TN_WHY_EXPORTED | sys::TN_WHY_FOREIGN)?;
        let exclusive = |(start, part): (i64, SharedMut<'a, T>)| {
            // SAFETY: as in `write_as`. The parts share no byte.
            Ok(Chunk { start: start as usize, part: unsafe { part.assume_exclusive() }? })
        };
        parts.into_iter().map(exclusive).collect()
    }

    fn open_read(&self, flags: sys::tn_guard_flags) -> Result<Guard<T>> {
        Guard::open(|view, out| {
            // SAFETY: places for the view and the guard; no stream.
            unsafe { sys::tn_array_borrow_read(self.as_raw(), flags, ptr::null_mut(), ptr::null_mut(), view, out) }
        })
    }

    fn open_write(&self, mode: Mode) -> Result<Guard<T>> {
        Guard::open(|view, out| {
            // SAFETY: places for the view and the guard; no stream.
            unsafe {
                sys::tn_array_borrow_write(self.as_raw(), mode.bits(), ptr::null_mut(), ptr::null_mut(), view, out)
            }
        })
    }

    /// Refuses references to bytes that somebody may use without a guard.
    fn must_not_be(&self, refused: sys::tn_why) -> Result<()> {
        let why = self.why_not()? & refused;
        if why & sys::TN_WHY_EXPORTED != 0 {
            let text = "tenure_rs: an export of the bytes is alive, and its consumer may use them at any time; end the export, or write \
                        with Mode::CopyOnWrite";
            return Err(Error::new(Status::EXPORTED, text));
        }
        if why != 0 {
            let text = "tenure_rs: the bytes are lent by another owner, who may use them at any time; copy the array, or use a shared guard";
            return Err(Error::new(Status::FOREIGN, text));
        }
        Ok(())
    }
}

/// Elements as a whole.
impl<T: Element> Array<T> {
    /// Sets every element to 0.
    #[track_caller]
    pub fn zero_(&mut self) -> Result<()> {
        site(Location::caller());
        // SAFETY: a call on a handle; the work is done on return.
        check(unsafe { sys::tn_array_clear(self.as_raw(), sys::TN_WRITE_ALIASED, ptr::null_mut()) })
    }

    /// Sets every element to a value.
    #[track_caller]
    pub fn fill_(&mut self, value: T) -> Result<()> {
        site(Location::caller());
        let value = ptr::from_ref(&value).cast();
        // SAFETY: one element, which the call copies; the work is done on return.
        check(unsafe { sys::tn_array_fill(self.as_raw(), value, sys::TN_WRITE_ALIASED, ptr::null_mut()) })
    }

    /// The elements in C order, also from a device.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        let len = self.len();
        let mut out: Vec<MaybeUninit<T>> = Vec::with_capacity(len);
        // SAFETY: room for all elements, in C order.
        check(unsafe {
            sys::tn_array_copy_to_host(self.as_raw(), out.as_mut_ptr().cast(), ptr::null(), ptr::null_mut())
        })?;
        let mut out = std::mem::ManuallyDrop::new(out);
        // SAFETY: the call wrote `len` elements; MaybeUninit<T> has the layout of T.
        Ok(unsafe { Vec::from_raw_parts(out.as_mut_ptr().cast(), len, out.capacity()) })
    }

    /// Overwrites all elements, in C order, also on a device.
    ///
    /// # Errors
    /// [`Status::SHAPE`] for another number of elements.
    pub fn copy_from_slice(&mut self, elements: &[T]) -> Result<()> {
        must_have(self.shape(), elements.len())?;
        let data = elements.as_ptr().cast();
        // SAFETY: as many elements as the array has; the work is done on return.
        check(unsafe {
            sys::tn_array_copy_from_host(self.as_raw(), data, ptr::null(), sys::TN_WRITE_ALIASED, ptr::null_mut())
        })
    }

    /// The only element.
    ///
    /// # Errors
    /// [`Status::SHAPE`] if there is not exactly one.
    pub fn item(&self) -> Result<T> {
        must_have(self.shape(), 1)?;
        Ok(self.to_vec()?[0])
    }

    /// The sum over one axis, which is removed, or with `None` over all of them, of `f32` or `f64` on the host.
    ///
    /// # Errors
    /// [`Status::DTYPE`] for other elements, [`Status::RANGE`] for another axis, [`Status::DEVICE`].
    #[track_caller]
    pub fn sum(&self, axis: Option<usize>) -> Result<Array<T>> {
        site(Location::caller());
        // SAFETY: a call on a handle, and a place for the expression; so are the next two.
        let leaf = Handle::make(|out| unsafe { sys::tn_expr_leaf(self.as_raw(), sys::TN_FORM_FULL, out) })?;
        // SAFETY: as above.
        let axis = axis.map_or(sys::TN_ALL_AXES, |axis| i32::try_from(axis).unwrap_or(i32::MAX));
        // SAFETY: as above.
        let sum = Handle::make(|out| unsafe { sys::tn_expr_sum(leaf.get(), axis, out) })?;
        // SAFETY: as above.
        Array::made(|out| unsafe { sys::tn_expr_compute(sum.get(), 0, out) })
    }
}

/// Further handles, and ownership.
impl<T: Element> Array<T> {
    /// Another handle on the same bytes. Both see what either writes.
    #[track_caller]
    pub fn try_clone(&self) -> Result<Array<T>> {
        site(Location::caller());
        // SAFETY: a call on a handle, and a place for the clone.
        Array::made(|out| unsafe { sys::tn_array_clone(self.as_raw(), out) })
    }

    /// A view of the whole array: [`try_clone`](Array::try_clone) by another name.
    #[track_caller]
    pub fn view(&self) -> Result<Array<T>> {
        self.try_clone()
    }

    /// A copy of the elements, in bytes of its own on the same device.
    #[track_caller]
    pub fn copy(&self) -> Result<Array<T>> {
        site(Location::caller());
        let handle = self.as_raw();
        // SAFETY: a call on a handle, the current pool, and a place for the copy, which is done on return.
        Array::made(|out| unsafe { sys::tn_array_copy(handle, ptr::null_mut(), ptr::null_mut(), out) })
    }

    /// A handle without a claim: it does not keep the bytes alive.
    #[track_caller]
    pub fn downgrade(&self) -> Result<Weak<T>> {
        site(Location::caller());
        // SAFETY: a call on a handle, and a place for the weak handle.
        Ok(Weak::new(Handle::make(|out| unsafe { sys::tn_array_weaken(self.as_raw(), out) })?))
    }

    /// Gives the array away. Who takes the promise owns the bytes, and may overwrite them in place if nobody else holds
    /// them.
    ///
    /// # Errors
    /// The array is in the error, as it was: [`Status::BORROWED`] if a guard of it was forgotten.
    #[track_caller]
    pub fn give(self) -> std::result::Result<Promise<T>, Refused<Array<T>>> {
        site(Location::caller());
        // SAFETY: a call on a handle, and a place for the promise.
        match Handle::make(|out| unsafe { sys::tn_array_give(self.as_raw(), 1, out) }) {
            Ok(promise) => Ok(Promise::new(promise, Some(self))),
            Err(error) => Err(Refused::new(error, self)),
        }
    }

    /// Moves the array to a device; the call returns when the elements are there. An array that is there already is not
    /// copied. Otherwise its old bytes return to their pool, unless other handles hold them.
    ///
    /// # Errors
    /// The array is in the error, as it was: [`Status::DEVICE`], [`Status::UNSUPPORTED`], [`Status::NO_DEVICE_MEMORY`].
    #[track_caller]
    pub fn to_device(self, device: impl Borrow<Device>) -> std::result::Result<Array<T>, Refused<Array<T>>> {
        site(Location::caller());
        // SAFETY: as in `give`.
        let promise = match Handle::make(|out| unsafe { sys::tn_array_give(self.as_raw(), 1, out) }) {
            Ok(promise) => promise,
            Err(error) => return Err(Refused::new(error, self)),
        };
        let device = device.borrow().into_raw();
        let moved = Array::made(|out| {
            // SAFETY: a promise, the current pool of the device, and a place for the array. No stream: it is done on
            // return.
            unsafe { sys::tn_promise_to_device(promise.get(), device, ptr::null_mut(), ptr::null_mut(), out) }
        });
        // Ends a promise that was not taken: then this handle has its array again.
        drop(promise);
        moved.map_err(|error| Refused::new(error, self))
    }
}

/// Whether a shape has this number of elements.
fn must_have(shape: &[usize], given: usize) -> Result<()> {
    let product = || shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
    let wanted = if shape.contains(&0) { Some(0) } else { product() };
    if wanted == Some(given) {
        return Ok(());
    }
    Err(Error::new(Status::SHAPE, format!("tenure_rs: {given} elements do not fill shape {shape:?}")))
}

impl<T> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("shape", &self.shape()).finish_non_exhaustive()
    }
}

/// The elements, nested as the axes are; of a long axis the first and last three.
impl<T: Element + fmt::Display> fmt::Display for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_vec() {
            Ok(elements) => nested(f, self.shape(), &elements),
            Err(error) => write!(f, "<array that cannot be read: {error}>"),
        }
    }
}

/// Writes elements in C order as nested lists.
fn nested<T: fmt::Display>(f: &mut fmt::Formatter<'_>, shape: &[usize], elements: &[T]) -> fmt::Result {
    let [length, inner @ ..] = shape else { return fmt::Display::fmt(&elements[0], f) };
    let part = inner.iter().product::<usize>();
    let is_shown = |at: &usize| *length <= 8 || *at < 3 || *at >= length - 3;
    f.write_str("[")?;
    for at in (0..*length).filter(is_shown) {
        match at {
            0 => {}
            _ if is_shown(&(at - 1)) => f.write_str(", ")?,
            _ => f.write_str(", ..., ")?,
        }
        nested(f, inner, &elements[at * part..(at + 1) * part])?;
    }
    f.write_str("]")
}
