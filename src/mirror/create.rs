//! Creation of mirrors: from a shape, from a copy of an array, or from an array that becomes a side.

use super::side::{Side, facts};
use super::slot::{self, Fixed, MirrorRef, SideArray};
use super::transfer::{note_transfer, pool_of, refresh, stream_to};
use crate::array::{self, Contents, Owned};
use crate::borrow;
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::flags;
use crate::layout::{Layout, Order, Tuple};
use crate::names::{DeviceName, Name};
use crate::pool::Pool;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::transfer;
use crate::types::*;
use crate::variable::{self, ALIASED, Crossing};
use core::ffi::CStr;

/// The options of a new mirror.
pub struct Options<'a> {
    /// The array from which it is made.
    pub object: Option<Id>,
    /// How the object enters.
    pub flags: u32,
    /// The element type. An object, if there is one, must have it.
    pub dtype: Option<Dtype>,
    /// The shape. An object, if there is one, must have it.
    pub shape: Option<&'a [i64]>,
    /// The order of sides that the mirror allocates.
    pub order: Order,
    /// The GPU; None: that of the object, or GPU 0.
    pub device: Option<tn_device>,
    /// The side with the contents; None: that of the object, or the host.
    pub side: Option<Side>,
    /// By [`Side::index`].
    pub pools: [Option<&'static Pool>; 2],
    /// No name: that of the object.
    pub name: Name,
}

/// Creates a mirror. The crossing says what became of the object. Without an object, the options have element type and
/// shape.
pub fn create(function: &'static CStr, options: Options<'_>) -> Result<(Id, Crossing)> {
    flags::check("borrow_flags", options.flags, TN_BORROW | TN_REQUIRE_BORROW, &flags::CROSSING)?;
    let (mirror, crossing) = match (options.object, options.dtype, options.shape) {
        (Some(object), ..) => from_object(function, object, &options)?,
        (None, Some(dtype), Some(shape)) => (from_shape(dtype, shape, &options)?, Crossing::default()),
        _ => return Err(fail(TN_ERR_NULL, format_args!("object and shape are NULL; pass one of them"))),
    };
    Ok((mirror.publish(), crossing))
}

/// The properties that stay the same, after a check of the device and the pools.
fn fixed(options: &Options<'_>, device: tn_device, is_empty: bool, name: Name) -> Result<Fixed> {
    if device.r#type != TN_CUDA {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!("device {} cannot be the device side of a mirror; that is a GPU", DeviceName(device)),
        ));
    }
    for (side, pool) in Side::BOTH.into_iter().zip(options.pools) {
        let Some(pool) = pool else { continue };
        let of = pool.device();
        let fits = if side == Side::Device { of == device } else { matches!(of.r#type, TN_CPU | TN_CUDA_HOST) };
        if !fits {
            let wanted = if side == Side::Device { device } else { array::HOST };
            return Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "pool \"{}\" is of device {}, and that side of the mirror is on {}; pass a pool of that device, or NULL",
                    pool.name().as_str(),
                    DeviceName(of),
                    DeviceName(wanted)
                ),
            ));
        }
    }
    Ok(Fixed { device, order: options.order, pools: options.pools, is_empty, name })
}

/// GPU 0.
const FIRST_GPU: tn_device = tn_device { r#type: TN_CUDA, id: 0 };

/// A mirror of undefined contents, with one side.
fn from_shape(dtype: Dtype, shape: &[i64], options: &Options<'_>) -> Result<MirrorRef> {
    let mut layout = Layout::EMPTY;
    layout.set_contiguous(dtype, shape, options.order, 0)?;
    let fixed = fixed(options, options.device.unwrap_or(FIRST_GPU), layout.is_empty(), options.name)?;
    let mirror = slot::create(fixed)?;
    let side = options.side.unwrap_or(Side::Host);
    let pool = Some(pool_of(&mirror, side)?);
    let made = transfer::create(pool, &mut layout, Contents::Undefined, &fixed.name, || Ok(StreamArg::Current))?;
    begin(&mirror, side, Owned::new(made))?;
    Ok(mirror)
}

/// A mirror of an array, which becomes a side or is copied.
fn from_object(function: &'static CStr, object: Id, options: &Options<'_>) -> Result<(MirrorRef, Crossing)> {
    let source = variable::Source::of(object)?;
    check_matches(&source.layout, options)?;
    let home = Side::with_bytes_on(source.device);
    let device = options.device.unwrap_or(if home == Side::Device { source.device } else { FIRST_GPU });
    let side = options.side.unwrap_or(home);
    let name = if options.name.is_none() { source.name } else { options.name };
    let fixed = fixed(options, device, source.layout.is_empty(), name)?;
    let mirror = slot::create(fixed)?;
    let why = match options.flags {
        0 => 0,
        flags => match obstacle(object, &source, home == Side::Host || source.device == device)? {
            0 => {
                begin(&mirror, home, Owned::new(array::clone(object)?))?;
                if side != home {
                    refresh(function, &mirror, side, false, &stream_to(side))?;
                }
                return Ok((mirror, ALIASED));
            }
            why if flags & TN_REQUIRE_BORROW != 0 => return Err(borrow::alias_required(why)),
            why => why,
        },
    };
    variable::check_forbidden(why)?;
    let copied = variable::copy(function, object, pool_of(&mirror, side)?, fixed.order, why)?;
    begin(&mirror, side, Owned::new(copied))?;
    if side != home && !fixed.is_empty {
        mirror.change(|sides| note_transfer(sides, side, source.layout.bytes()));
    }
    Ok((mirror, Crossing { how: TN_COPIED, why }))
}

/// Makes an array the only valid side of a new mirror. A mirror without elements is valid on both sides for ever.
fn begin(mirror: &MirrorRef, side: Side, array: Owned) -> Result<()> {
    let version = facts(array.id(), false)?.version;
    let array = array.into_id();
    slot::begin_side(array, mirror);
    mirror.change(|sides| {
        sides.arrays[side.index()] = SideArray { array, version };
        sides.valid = if mirror.fixed().is_empty { TN_SIDE_HOST | TN_SIDE_DEVICE } else { side.bit() };
    });
    Ok(())
}

/// TN_ERR_DTYPE, TN_ERR_SHAPE unless the object has the element type and shape of the options.
fn check_matches(object: &Layout, options: &Options<'_>) -> Result<()> {
    if let Some(dtype) = options.dtype.filter(|dtype| *dtype != object.dtype()) {
        let (found, given) = (object.dtype().name(), dtype.name());
        return Err(fail(
            TN_ERR_DTYPE,
            format_args!("the object has elements of {found}, not {given}; leave the type out, or convert first"),
        ));
    }
    if let Some(shape) = options.shape.filter(|shape| *shape != object.shape()) {
        let (found, given) = (Tuple(object.shape()), Tuple(shape));
        return Err(fail(
            TN_ERR_SHAPE,
            format_args!("the object has shape {found}, not {given}; leave the shape out, or reshape the object first"),
        ));
    }
    Ok(())
}

/// The reason for which an array cannot be a side: TN_WHY_ bits; 0: it can. Transfers would overwrite bytes that an
/// export's consumer has not agreed to see changed, or several elements at one address.
fn obstacle(object: Id, source: &variable::Source, is_near: bool) -> Result<u32> {
    array::with(object, |locked, claim| {
        array::check_live(locked, claim)?;
        borrow::check_unwritten(locked, claim)?;
        let is_exported = locked.state(locked.ledger_of(claim)).exports() > 0;
        Ok(match (is_near, source.layout.self_overlaps(), is_exported) {
            (false, ..) => TN_WHY_DEVICE,
            (_, true, _) => TN_WHY_LAYOUT,
            (_, _, true) => TN_WHY_EXPORTED,
            _ => 0,
        })
    })
}
