//! Promises: arrays that were given away and not yet taken.

use crate::array::Array;
use crate::dynamic::DynArray;
use crate::element::Element;
use crate::error::{Error, Refused, Result, Status, check};
use crate::handle::{Handle, site};
use crate::sys;
use std::ffi::c_void;
use std::fmt;
use std::panic::Location;
use std::ptr;

/// The right to take an array that its owner has given away. A promise that is dropped is not kept: see
/// [`cancel`](Promise::cancel).
#[must_use = "the array is released with its promise"]
pub struct Promise<T> {
    // Dropped first: only then may the giver's handle be released in strict mode.
    promise: Handle<sys::tn_promise>,
    giver: Option<Array<T>>,
}

impl<T: Element> Promise<T> {
    /// Takes the array: a new handle on the bytes. The giver's handle is destructed.
    ///
    /// # Errors
    /// The promise is in the error: [`Status::DESTRUCTED`] for one that foreign code took or cancelled. For a promise
    /// of foreign code also [`Status::DTYPE`], if the elements are of another type; the array was taken then, and is
    /// released.
    #[track_caller]
    pub fn take(self) -> std::result::Result<Array<T>, Refused<Promise<T>>> {
        site(Location::caller());
        let promise = self.promise.get();
        // SAFETY: one promise, and a place for one array.
        Array::made(|out| unsafe { sys::tn_take(1, &promise, out) }).map_err(|error| Refused::new(error, self))
    }
}

/// What needs no element type: `T` may be `()` for a promise of foreign code.
impl<T> Promise<T> {
    pub(crate) fn new(promise: Handle<sys::tn_promise>, giver: Option<Array<T>>) -> Promise<T> {
        Promise { promise, giver }
    }

    /// As [`take`](Promise::take), whatever the elements are.
    ///
    /// # Errors
    /// The promise is in the error: [`Status::DESTRUCTED`] for one that foreign code took or cancelled.
    #[track_caller]
    pub fn take_dyn(self) -> std::result::Result<DynArray, Refused<Promise<T>>> {
        site(Location::caller());
        let promise = self.promise.get();
        // SAFETY: one promise, and a place for one array.
        DynArray::made(|out| unsafe { sys::tn_take(1, &promise, out) }).map_err(|error| Refused::new(error, self))
    }

    /// Withdraws the promise. The giver has its array back: returned here, if it was given in Rust.
    ///
    /// # Errors
    /// The promise is in the error: [`Status::DESTRUCTED`] for one that foreign code took or cancelled.
    pub fn cancel(self) -> std::result::Result<Option<Array<T>>, Refused<Promise<T>>> {
        // SAFETY: a call on a handle.
        match check(unsafe { sys::tn_promise_cancel(self.promise.get()) }) {
            Ok(()) => Ok(self.giver),
            Err(error) => Err(Refused::new(error, self)),
        }
    }

    /// A promise of foreign code, which this value releases. A NULL promise is [`Status::NULL`].
    ///
    /// # Safety
    /// - The promise is one that the caller may release, and releases no more.
    /// - Of its memory holds what [`Array::from_raw`] says.
    pub unsafe fn from_raw(promise: *mut sys::tn_promise) -> Result<Promise<T>> {
        let promise = Handle::adopt(promise);
        let promise = promise.ok_or_else(|| Error::new(Status::NULL, "tenure_rs: the promise is NULL"))?;
        Ok(Promise::new(promise, None))
    }

    /// The promise, for foreign code, which takes or cancels it, and releases it. It keeps the claim: the giver's
    /// handle is released. If it is cancelled, the array is gone.
    pub fn into_raw(self) -> *mut sys::tn_promise {
        self.promise.into_raw()
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise").field("giver", &self.giver).finish_non_exhaustive()
    }
}

/// Makes own arrays of the parameters of a function that C or Python calls, all or none. Each is a `tn_array *` or a
/// `tn_promise *`. Of a lent array, the result is a clone; a promise is taken. So a write with
/// [`Mode::CopyOnWrite`](crate::Mode) works in place for given parameters, and in a copy for lent ones. The caller
/// still releases the parameters.
///
/// # Errors
/// The statuses of `tn_enter`. [`Status::DTYPE`] if the elements are of another type; promises were taken then, and
/// their arrays are released.
///
/// # Safety
/// - Of the memory of each parameter holds what [`Array::from_raw`] says.
#[track_caller]
pub unsafe fn enter<T: Element, const N: usize>(params: [*mut c_void; N]) -> Result<[Array<T>; N]> {
    site(Location::caller());
    let mut arrays = [ptr::null_mut(); N];
    let mut scope = ptr::null_mut();
    // SAFETY: N parameters, N places, and a place for the scope.
    check(unsafe { sys::tn_enter(N, params.as_ptr(), arrays.as_mut_ptr(), &mut scope) })?;
    // SAFETY: the scope's own N handles. All are kept, so that each is released by its owner here.
    check(unsafe { sys::tn_leave(scope, N, arrays.as_ptr()) })?;
    let owned = arrays.map(|array| Handle::adopt(array).expect("a call that succeeds writes handles, never NULL"));
    let mut first_error = None;
    let checked = owned
        .map(|handle| Array::checked(handle).map_err(|refused| first_error.get_or_insert(refused.error).clone()).ok());
    match first_error {
        Some(error) => Err(error),
        None => Ok(checked.map(|array| array.expect("there was no error"))),
    }
}
