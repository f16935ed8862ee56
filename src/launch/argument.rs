//! The arguments of a launch, and what the kernel gets of them.
//!
//! Contract: the functions check in the order of checks, all arguments for one error before any for the next. Messages
//! name an argument by its index.
#![forbid(unsafe_code)]

use crate::borrow::{self, BorrowContext, Entry, KernelView, List, Use, kernel_view};
use crate::error::{FirstError, Result, Status, about, fail, quietly, recode};
use crate::ledger::{self, Claim, InternalGuard, Locked, UseTime};
use crate::lists;
use crate::mirror::{self, Access, Borrowed, Side};
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::{CStr, c_void};
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

/// An argument that is a mirror.
#[derive(Clone, Copy)]
pub struct Mirror {
    index: usize,
    id: Id,
    ndim: i32,
    access: Access,
}

/// The arguments of a launch.
pub struct Arguments<'a> {
    all: &'a [tn_arg],
    arrays: PerArgument<Array>,
    mirrors: PerArgument<Mirror>,
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
    for (index, arg) in args.iter().enumerate().filter(|(_, arg)| arg.kind == TN_ARG_MIRROR) {
        if let Err(status) = mirror::check_handle(id_of(arg)) {
            first.see(about(status, format_args!("args[{index}]")));
        }
    }
    first.into_status().map_or(Ok(()), Err)
}

impl<'a> Arguments<'a> {
    /// The arguments, whose handles were checked. TN_ERR_INVALID.
    pub fn of(args: &'a [tn_arg]) -> Result<Arguments<'a>> {
        let (mut arrays, mut mirrors) = (PerArgument::new(), PerArgument::new());
        lists::reserve(&mut arrays, args.len())?;
        lists::reserve(&mut mirrors, args.iter().filter(|arg| arg.kind == TN_ARG_MIRROR).count())?;
        for (index, arg) in args.iter().enumerate() {
            let named = |status| about(status, format_args!("args[{index}]"));
            if arg.kind == TN_ARG_MIRROR {
                mirrors.push(Mirror::of(index, arg).map_err(named)?);
            } else {
                arrays.extend(Array::of(index, arg).map_err(named)?);
            }
        }
        Ok(Arguments { all: args, arrays, mirrors })
    }

    /// The arrays, in the order of the arguments.
    pub fn arrays(&self) -> &[Array] {
        &self.arrays
    }

    /// The GPU of the first mirror.
    pub fn device_of_mirrors(&self) -> Option<tn_device> {
        self.mirrors.first().and_then(|mirror| mirror::device(mirror.id).ok())
    }

    /// TN_ERR_DESTRUCTED, TN_ERR_GIVEN.
    pub fn check_states(&self) -> Result<()> {
        borrow::check_states(self.arrays.len(), &|i| self.arrays[i].id)
    }

    /// The bytes of each parameter.
    pub fn sizes(&self) -> Result<PerArgument<usize>> {
        let mut sizes = PerArgument::new();
        lists::reserve(&mut sizes, self.all.len())?;
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

    /// TN_ERR_SHAPE for a mirror of another number of axes; TN_ERR_ALIASED for one that is given twice and written.
    fn check_mirrors(&self) -> Result<()> {
        for (at, one) in self.mirrors.iter().enumerate() {
            let mut fits = Ok(());
            mirror::query(one.id, |info| fits = kernel_view::check(info.layout, one.ndim))?;
            fits.map_err(|status| one.about(status))?;
            let is_written = |other: &&Mirror| other.access != Access::Read || one.access != Access::Read;
            if let Some(twin) = self.mirrors[..at].iter().filter(|other| other.id == one.id).find(is_written) {
                return Err(fail(
                    TN_ERR_ALIASED,
                    format_args!(
                        "args[{}] and args[{}] are one mirror, which the kernel writes",
                        twin.index, one.index
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Borrows the mirrors, all or none, after the arrays. `wanted`: the side that the kernel uses. Transfers are
    /// ordered on the stream.
    pub fn borrow_mirrors(
        &self,
        function: &'static CStr,
        wanted: Side,
        stream: &StreamArg,
    ) -> Result<PerArgument<Borrowed>> {
        self.check_mirrors()?;
        let mut borrowed = PerArgument::new();
        lists::reserve(&mut borrowed, self.mirrors.len())?;
        for one in &self.mirrors {
            match mirror::borrow(function, one.id, wanted, one.access, stream) {
                Ok(side) => borrowed.push(side),
                Err(status) => {
                    let status = one.about(status);
                    quietly(|| borrowed.into_iter().for_each(Borrowed::abandon));
                    return Err(status);
                }
            }
        }
        Ok(borrowed)
    }

    /// Opens the guards, all or none, in the order of the arrays. `when(waits)`: when the kernel uses their bytes.
    pub fn acquire(
        &self,
        call: BorrowContext<'_>,
        when: impl Fn(bool) -> UseTime,
    ) -> Result<PerArgument<InternalGuard>> {
        let mut entries: List<Entry> = lists::list(self.arrays.len())?;
        entries.extend(self.arrays.iter().map(|array| Entry {
            may_alias: array.may_alias,
            ..Entry::new(array.id, array.wanted, when(array.waits))
        }));
        let mut guards = PerArgument::new();
        lists::reserve(&mut guards, entries.len())?;
        guards.extend(borrow::acquire(call, &entries).map_err(|status| match status.code() {
            TN_ERR_ALIASED => recode(about(status, "arguments overlap (TN_ALLOW_ALIAS allows it)"), TN_ERR_ALIASED),
            _ => status,
        })?);
        Ok(guards)
    }

    /// Room for the values of the kernel's parameters. What fails for lack of memory fails before the guards open.
    pub fn values(&self) -> Result<Values> {
        let mut values = Values { views: PerArgument::new(), pointers: PerArgument::new() };
        lists::reserve(&mut values.views, self.arrays.len() + self.mirrors.len())?;
        lists::reserve(&mut values.pointers, self.all.len())?;
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
        mirrors: &[Borrowed],
        see: impl Fn(&InternalGuard) -> Result<KernelView>,
    ) -> Result<&mut [*mut c_void]> {
        let (mut guards, mut mirrors) = (guards.iter(), mirrors.iter());
        for arg in arguments.all.iter().filter(|arg| arg.kind != TN_ARG_VALUE) {
            let guard = match arg.kind {
                TN_ARG_MIRROR => mirrors.next().expect("one for each mirror").guard(),
                _ => guards.next().expect("one for each array"),
            };
            self.views.push(see(guard)?);
        }
        let mut views = self.views.iter();
        self.pointers.extend(arguments.all.iter().map(|arg| match arg.kind {
            TN_ARG_VALUE => arg.what.cast_mut(),
            // The address is the first word of a view.
            _ => views.next().expect("one for each argument that is no value").words().as_ptr().cast_mut().cast(),
        }));
        Ok(&mut self.pointers)
    }
}

impl Mirror {
    fn of(index: usize, arg: &tn_arg) -> Result<Mirror> {
        check_reserved(arg)?;
        kernel_view::check_ndim(arg.ndim)?;
        // A transfer to the host is waited for in any case.
        Ok(Mirror { index, id: id_of(arg), ndim: arg.ndim, access: Access::of(arg.access & !TN_WAIT)? })
    }

    /// Puts the argument's name in front of a message.
    fn about(&self, status: Status) -> Status {
        about(status, format_args!("args[{}]", self.index))
    }
}

fn check_reserved(arg: &tn_arg) -> Result<()> {
    if arg.reserved == 0 {
        return Ok(());
    }
    Err(fail(TN_ERR_INVALID, format_args!("reserved is {}; set it to 0", arg.reserved)))
}

impl Array {
    fn of(index: usize, arg: &tn_arg) -> Result<Option<Array>> {
        check_reserved(arg)?;
        let ndim = match arg.kind {
            TN_ARG_ARRAY => {
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
        if may_alias && arg.access & TN_FROZEN != 0 {
            let text = "TN_FROZEN, whose bytes nobody writes, does not go with TN_ALLOW_ALIAS, beside which they may be written";
            return Err(fail(TN_ERR_INVALID, format_args!("{text}")));
        }
        Ok(Some(Array { index, id: id_of(arg), ndim, wanted, waits, may_alias }))
    }

    /// Puts the argument's name in front of a message.
    pub fn about(&self, status: Status) -> Status {
        about(status, format_args!("args[{}]", self.index))
    }
}
