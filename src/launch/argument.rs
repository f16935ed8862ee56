//! The arguments of a launch, and what the kernel gets of them.
//!
//! Contract: the functions check in the order of checks, all arguments for one error before any for the next. Messages name an argument by
//! its index.
#![forbid(unsafe_code)]

use crate::borrow::{self, BorrowContext, Entry, KernelView, List, Use, kernel_view};
use crate::error::{FirstError, Result, about, fail, recode};
use crate::ledger::{self, Claim, InternalGuard, Locked, UseTime};
use crate::slots::Id;
use crate::types::*;
use core::ffi::c_void;
use smallvec::SmallVec;

/// A list with an item for each argument.
pub type PerArgument<T> = SmallVec<[T; 16]>;

/// An argument that is an array.
#[derive(Clone, Copy)]
pub struct Array {
    /// Its index among all arguments.
    pub index: usize,
    /// The handle.
    pub id: Id,
    /// The axes of the kernel's view; None: the kernel gets the address alone.
    ndim: Option<i32>,
    wanted: Use,
    waits: bool,
    may_alias: bool,
}

/// The arguments of a launch.
pub struct Arguments<'a> {
    all: &'a [tn_arg],
    arrays: PerArgument<Array>,
}

fn is_array(arg: &tn_arg) -> bool {
    matches!(arg.kind, TN_ARG_ARRAY | TN_ARG_POINTER)
}

fn id_of(arg: &tn_arg) -> Id {
    Id::from_bits(arg.what as u64)
}

/// TN_ERR_NULL, and then TN_ERR_STALE and TN_ERR_KIND, of what the arguments are.
pub fn check_handles(args: &[tn_arg]) -> Result<()> {
    if let Some(index) = args.iter().position(|arg| arg.what.is_null()) {
        return Err(fail(TN_ERR_NULL, format_args!("args[{index}].what is NULL")));
    }
    let mut first = FirstError::default();
    for (index, arg) in args.iter().enumerate().filter(|(_, arg)| is_array(arg)) {
        if let Err(status) = ledger::find::<Claim>(id_of(arg)) {
            first.see(about(status, format_args!("args[{index}]")));
        }
    }
    first.into_status().map_or(Ok(()), Err)
}

impl<'a> Arguments<'a> {
    /// The arguments, whose handles were checked. TN_ERR_INVALID, TN_ERR_UNSUPPORTED.
    pub fn of(args: &'a [tn_arg]) -> Result<Arguments<'a>> {
        let mut arrays = PerArgument::new();
        ledger::reserve(&mut arrays, args.len())?;
        for (index, arg) in args.iter().enumerate() {
            let array = Array::of(index, arg).map_err(|status| about(status, format_args!("args[{index}]")))?;
            arrays.extend(array);
        }
        if let Some(index) = args.iter().position(|arg| arg.kind == TN_ARG_MIRROR) {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!("args[{index}] is a mirror, which this version of the library does not have"),
            ));
        }
        Ok(Arguments { all: args, arrays })
    }

    /// The arrays, in the order of the arguments.
    pub fn arrays(&self) -> &[Array] {
        &self.arrays
    }

    /// TN_ERR_DESTRUCTED, TN_ERR_GIVEN.
    pub fn check_states(&self) -> Result<()> {
        borrow::check_states(self.arrays.len(), &|i| self.arrays[i].id)
    }

    /// The bytes of each parameter.
    pub fn sizes(&self) -> Result<PerArgument<usize>> {
        let mut sizes = PerArgument::new();
        ledger::reserve(&mut sizes, self.all.len())?;
        sizes.extend(self.all.iter().map(|arg| match arg.kind {
            TN_ARG_VALUE => arg.bytes,
            TN_ARG_POINTER => size_of::<*const c_void>(),
            _ => KernelView::bytes(arg.ndim),
        }));
        Ok(sizes)
    }

    /// Sees the errors of arrays that do not fit the kernel's parameters, TN_ERR_SHAPE and TN_ERR_LAYOUT.
    pub fn check_layouts(&self, locked: &Locked, claims: &[&'static Claim], first: &mut FirstError) {
        for (array, claim) in self.arrays.iter().zip(claims) {
            let layout = &locked.get(*claim).layout;
            let fits = match array.ndim {
                Some(ndim) => kernel_view::check(layout, ndim),
                None => kernel_view::check_contiguity(layout),
            };
            if let Err(status) = fits {
                first.see(array.about(status));
            }
        }
    }

    /// Opens the guards, all or none, in the order of the arrays. `when(waits)`: when the kernel uses their bytes.
    pub fn acquire(
        &self,
        call: BorrowContext<'_>,
        when: impl Fn(bool) -> UseTime,
    ) -> Result<PerArgument<InternalGuard>> {
        let mut entries: List<Entry> = borrow::list(self.arrays.len())?;
        entries.extend(self.arrays.iter().map(|array| Entry {
            may_alias: array.may_alias,
            ..Entry::new(array.id, array.wanted, when(array.waits))
        }));
        let mut guards = PerArgument::new();
        ledger::reserve(&mut guards, entries.len())?;
        guards.extend(borrow::acquire(call, &entries).map_err(|status| match status.code() {
            TN_ERR_ALIASED => recode(about(status, "arguments overlap (TN_ALLOW_ALIAS allows it)"), TN_ERR_ALIASED),
            _ => status,
        })?);
        Ok(guards)
    }

    /// Room for the values of the kernel's parameters. What fails for lack of memory fails before the guards open.
    pub fn values(&self) -> Result<Values> {
        let mut values = Values { views: PerArgument::new(), pointers: PerArgument::new() };
        ledger::reserve(&mut values.views, self.arrays.len())?;
        ledger::reserve(&mut values.pointers, self.all.len())?;
        Ok(values)
    }
}

/// The values of the kernel's parameters, while the guards are open.
pub struct Values {
    views: PerArgument<KernelView>,
    pointers: PerArgument<*mut c_void>,
}

impl Values {
    /// The addresses of the values: one for each argument. `see(guard)` is the view of an array.
    pub fn fill(
        &mut self,
        arguments: &Arguments<'_>,
        guards: &[InternalGuard],
        see: impl Fn(&InternalGuard) -> Result<KernelView>,
    ) -> Result<&mut [*mut c_void]> {
        for guard in guards {
            self.views.push(see(guard)?);
        }
        let mut views = self.views.iter();
        self.pointers.extend(arguments.all.iter().map(|arg| match arg.kind {
            TN_ARG_VALUE => arg.what.cast_mut(),
            // The address is the first word of a view.
            _ => views.next().expect("one for each array").words().as_ptr().cast_mut().cast(),
        }));
        Ok(&mut self.pointers)
    }
}

impl Array {
    fn of(index: usize, arg: &tn_arg) -> Result<Option<Array>> {
        if arg.reserved != 0 {
            return Err(fail(TN_ERR_INVALID, format_args!("reserved is {}; set it to 0", arg.reserved)));
        }
        let ndim = match arg.kind {
            TN_ARG_ARRAY | TN_ARG_MIRROR => {
                kernel_view::check_ndim(arg.ndim)?;
                Some(arg.ndim)
            }
            TN_ARG_POINTER => None,
            TN_ARG_VALUE if arg.bytes > 0 => return Ok(None),
            TN_ARG_VALUE => {
                return Err(fail(TN_ERR_INVALID, format_args!("bytes is 0; pass the sizeof of the value")));
            }
            kind => return Err(fail(TN_ERR_INVALID, format_args!("kind {kind} is none of the TN_ARG_ constants"))),
        };
        let wanted = borrow::access(arg.access & !TN_ALLOW_ALIAS)?;
        let (waits, may_alias) = (arg.access & TN_WAIT != 0, arg.access & TN_ALLOW_ALIAS != 0);
        let array = Array { index, id: id_of(arg), ndim, wanted, waits, may_alias };
        Ok(is_array(arg).then_some(array))
    }

    /// Puts the argument's name in front of a message.
    pub fn about(&self, status: crate::error::Status) -> crate::error::Status {
        about(status, format_args!("args[{}]", self.index))
    }
}
