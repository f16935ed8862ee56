//! Fuzz entries of structs: DLPack's, with and without a version, and Arrow's, filled from bytes. Pointers are valid,
//! as both formats require; everything else may be wrong.

use super::{info_of, release, sound, text};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use tenure::ffi::{arrow as arrows, borrow, exchange, promise, view};
use tenure::types::*;

thread_local! {
    /// How often the producer's release ran.
    static RELEASED: Cell<u32> = const { Cell::new(0) };
}

/// Values drawn from the input; zeros after its end.
struct Draw<'a>(&'a [u8]);

impl Draw<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Mostly small numbers; sometimes all 64 bits, or an extreme.
    fn number(&mut self) -> i64 {
        match self.byte() {
            byte @ 0..=199 => i64::from(byte % 20),
            byte @ 200..=219 => i64::from(byte) - 210,
            220..=239 => i64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            240..=244 => i64::MAX,
            245..=249 => i64::MIN,
            250 => 1 << 31,
            251 => 1 << 32,
            252 => 1 << 61,
            _ => -1,
        }
    }
}

/// The producer's bytes.
#[repr(align(64))]
struct Bytes([u8; 4096]);

/// The claimed address of the elements: in the producer's bytes, anywhere, or NULL.
fn data(draw: &mut Draw<'_>, bytes: &Bytes) -> *mut c_void {
    let inside = bytes.0.as_ptr().cast_mut().cast::<u8>();
    match draw.byte() {
        0 => null_mut(),
        1..=9 => draw.number() as *mut c_void,
        other => inside.wrapping_add(usize::from(other % 8) * 8 + usize::from(other > 240)).cast(),
    }
}

/// Whether all elements of an array lie in the producer's bytes and are few enough to copy: a broadcast array may have
/// any number.
fn is_inside(handle: *mut tn_array, bytes: &Bytes) -> bool {
    let info = info_of(handle);
    if info.count == 0 {
        return true;
    }
    let (mut at, mut guard) = (null(), null_mut());
    // SAFETY: writable outputs.
    unsafe {
        assert_eq!(sound(borrow::tn_array_borrow_read(handle, 0, null_mut(), &mut at, null_mut(), &mut guard)), TN_OK);
        assert_eq!(sound(borrow::tn_borrow_end(guard, 0, null_mut())), TN_OK);
    }
    let item = i128::from((info.dtype >> 11) & 0x1f);
    let (mut low, mut high) = (at as i128, at as i128 + item);
    for axis in 0..info.ndim as usize {
        let reach = i128::from(info.shape[axis] - 1) * i128::from(info.strides[axis]);
        if reach < 0 { low += reach } else { high += reach }
    }
    let start = bytes.0.as_ptr() as i128;
    // The library's own description.
    assert!(low >= 0 && high <= i128::from(i64::MAX), "{low:#x} to {high:#x} is no range of user addresses");
    const MOST: u64 = 1 << 16;
    info.bytes <= MOST && start <= low && high <= start + bytes.0.len() as i128
}

/// Makes views of an array and queries it; none of these calls touches a byte.
fn look_around(handle: *mut tn_array, draw: &mut Draw<'_>) {
    let (mut out, mut answer) = ([null_mut::<tn_array>(); 7], 0);
    let specs: [tn_slice_spec; 3] = std::array::from_fn(|_| {
        let mut bound = || if draw.byte() < 80 { i64::MIN } else { draw.number() };
        tn_slice_spec { start: bound(), stop: bound(), step: bound(), reserved: [0; 4] }
    });
    let n = i32::from(draw.byte() % 4);
    let shape = [draw.number(), draw.number(), -1];
    let dtype = [TN_U8, TN_F64, TN_C128, TN_I16][usize::from(draw.byte() % 4)];
    // SAFETY: as many values as the count says, writable outputs.
    let statuses = unsafe {
        [
            view::tn_array_slice(handle, n as usize, specs.as_ptr(), &mut out[0]),
            view::tn_array_transpose(handle, &mut out[1]),
            view::tn_array_reshape(handle, n.min(3), shape.as_ptr(), TN_ORDER_A, &mut out[2]),
            view::tn_array_index(handle, draw.number() as i32, draw.number(), &mut out[3]),
            view::tn_array_expand(handle, draw.number() as i32, &mut out[4]),
            view::tn_array_broadcast(handle, n.min(3), shape.as_ptr(), &mut out[5]),
            view::tn_array_view_dtype(handle, dtype, &mut out[6]),
            promise::tn_array_is_unique(handle, &mut answer),
        ]
    };
    for status in statuses {
        sound(status);
    }
    for made in out.into_iter().filter(|made| !made.is_null()) {
        let mut overlap = TN_OVERLAP_NONE;
        // SAFETY: writable output.
        sound(unsafe { view::tn_array_overlap(handle, made, &mut overlap) });
        let mut tensor = null_mut();
        let options = tn_dlpack_options {
            size: size_of::<tn_dlpack_options>(),
            flags: TN_REQUIRE_BORROW,
            mode: 0,
            label: 0,
            reserved: 0,
            target: tn_device { r#type: 0, id: 0 },
            consumer: null_mut(),
        };
        // SAFETY: a struct of its size, a writable output.
        if sound(unsafe { exchange::tn_array_export_dlpack_versioned(made, &options, &mut tensor, null_mut()) })
            == TN_OK
        {
            // SAFETY: the library's struct; its deleter is called once.
            unsafe {
                let deleter = (*tensor.cast::<Versioned>()).deleter.expect("never NULL");
                deleter(tensor.cast());
            }
        }
        info_of(made);
        release(made);
    }
}

/// Imports with all kinds of flags. `import` makes a fresh struct and returns the status and, if it is TN_OK, the
/// array.
fn try_all(input: &[u8], bytes: &Bytes, import: &mut dyn FnMut(u32) -> (tn_status, *mut tn_array)) {
    RELEASED.set(0);
    // Without a copy no byte is touched, whatever the address.
    let (status, handle) = import(TN_REQUIRE_BORROW);
    if status != TN_OK {
        assert!(handle.is_null());
        assert_eq!(RELEASED.get(), 0, "a failing import releases nothing");
        return;
    }
    let inside = is_inside(handle, bytes);
    look_around(handle, &mut Draw(&input[input.len() / 2..]));
    assert_eq!(RELEASED.get(), 0);
    release(handle);
    assert_eq!(RELEASED.get(), 1, "once, with the last");
    if !inside {
        return;
    }
    RELEASED.set(0);
    let (status, handle) = import(0);
    assert_eq!(status, TN_OK, "what is aliased can be copied: {}", text());
    assert_eq!(RELEASED.get(), 1, "at once");
    release(handle);
    assert_eq!(RELEASED.get(), 1);
}

/// DLTensor and the structs around it, as their header has them.
#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: [i32; 2],
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Legacy {
    tensor: Tensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut c_void)>,
}

#[repr(C)]
struct Versioned {
    version: [u32; 2],
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut c_void)>,
    flags: u64,
    tensor: Tensor,
}

unsafe extern "C" fn deleted(_: *mut c_void) {
    RELEASED.set(RELEASED.get() + 1);
}

/// Imports a DLPack struct.
pub fn dlpack(bytes: &[u8]) {
    let memory = Bytes([1; 4096]);
    let versioned = Draw(bytes).byte() & 1 == 1;
    try_all(bytes, &memory, &mut |flags| {
        let mut draw = Draw(bytes);
        draw.byte();
        // As many as any valid struct can have, and some more.
        let (mut shape, mut strides) = ([0i64; 80], [0i64; 80]);
        let ndim = draw.number() as i32;
        let [code, bits, lanes] = match draw.byte() {
            byte @ 0..=199 => {
                const KNOWN: [[u8; 2]; 8] = [[0, 64], [0, 8], [1, 16], [2, 32], [2, 64], [4, 16], [5, 128], [6, 8]];
                let [code, bits] = KNOWN[usize::from(byte % 8)];
                [u16::from(code), u16::from(bits), 1]
            }
            _ => [u16::from(draw.byte()), u16::from(draw.byte()), draw.number() as u16],
        };
        let device = match draw.byte() {
            0..=199 => [1, 0],
            _ => [draw.number() as i32, draw.number() as i32],
        };
        let data = data(&mut draw, &memory);
        let (no_shape, no_strides) = (draw.byte() > 250, draw.byte() % 3 == 0);
        let byte_offset = draw.number() as u64;
        let version = if draw.byte() < 250 { [1, 1] } else { [draw.number() as u32, draw.number() as u32] };
        let bits_of_struct = u64::from(draw.byte() & 0x85);
        for axis in 0..80.min(ndim.max(0)) as usize {
            (shape[axis], strides[axis]) = (draw.number(), draw.number());
        }
        let tensor = Tensor {
            data,
            device,
            ndim,
            code: code as u8,
            bits: bits as u8,
            lanes,
            shape: if no_shape { null_mut() } else { shape.as_mut_ptr() },
            strides: if no_strides { null_mut() } else { strides.as_mut_ptr() },
            byte_offset,
        };
        let mut out = null_mut();
        // The structs are read during the call only; their deleter ignores them.
        if versioned {
            let mut made =
                Versioned { version, context: null_mut(), deleter: Some(deleted), flags: bits_of_struct, tensor };
            // SAFETY: pointers are valid; elements are touched only if they are the producer's.
            let status = unsafe {
                exchange::tn_array_import_dlpack_versioned((&raw mut made).cast(), flags, &mut out, null_mut())
            };
            if version[0] != 1 {
                assert_eq!((status, RELEASED.get()), (TN_ERR_UNSUPPORTED, 1), "the format demands the call");
                RELEASED.set(0);
            }
            (sound(status), out)
        } else {
            let mut made = Legacy { tensor, context: null_mut(), deleter: Some(deleted) };
            // SAFETY: as above.
            let status =
                unsafe { exchange::tn_array_import_dlpack((&raw mut made).cast(), flags, &mut out, null_mut()) };
            (sound(status), out)
        }
    });
}

/// Arrow's structs, as their header has them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Schema {
    texts: [*const u8; 3],
    flags: i64,
    n_children: i64,
    children: *mut *mut Schema,
    dictionary: *mut Schema,
    release: Option<unsafe extern "C" fn(*mut Schema)>,
    private: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut Array,
    dictionary: *mut Array,
    release: Option<unsafe extern "C" fn(*mut Array)>,
    private: *mut c_void,
}

unsafe extern "C" fn array_released(array: *mut Array) {
    RELEASED.set(RELEASED.get() + 1);
    // SAFETY: the struct, wherever it was moved.
    unsafe { (*array).release = None };
}

unsafe extern "C" fn schema_released(_: *mut Schema) {
    unreachable!("the schema stays its producer's");
}

const LEVELS: usize = 70;

/// Imports Arrow structs with more levels than any real one has.
pub fn arrow(bytes: &[u8]) {
    let memory = Bytes([1; 4096]);
    try_all(bytes, &memory, &mut |flags| {
        let mut draw = Draw(bytes);
        let levels = match draw.byte() {
            byte @ 0..=239 => 1 + usize::from(byte % 5),
            byte => 1 + usize::from(byte - 240) * 6 % LEVELS,
        };
        let mut texts = vec![[0u8; 64]; levels];
        let mut buffers = vec![[null::<c_void>(); 2]; levels];
        let mut schemas = vec![
            Schema {
                texts: [null(); 3],
                flags: 0,
                n_children: 0,
                children: null_mut(),
                dictionary: null_mut(),
                release: Some(schema_released),
                private: null_mut(),
            };
            levels
        ];
        let mut arrays = vec![
            Array {
                length: 0,
                null_count: 0,
                offset: 0,
                n_buffers: 0,
                n_children: 0,
                buffers: null_mut(),
                children: null_mut(),
                dictionary: null_mut(),
                release: Some(array_released),
                private: null_mut(),
            };
            levels
        ];
        let (mut schema_children, mut array_children) = (vec![null_mut(); levels], vec![null_mut(); levels]);
        let (schema_at, array_at) = (schemas.as_mut_ptr(), arrays.as_mut_ptr());
        for level in 0..levels {
            let inner = level + 1 < levels;
            format(&mut draw, inner, &mut texts[level]);
            buffers[level] =
                [if draw.byte() > 230 { memory.0.as_ptr().cast() } else { null() }, data(&mut draw, &memory)];
            // The struct's own number, and sometimes another one.
            let mut said = |right: i64| if draw.byte() > 240 { draw.number() } else { right };
            let (n_buffers, n_children, kinds) =
                (said(if inner { 1 } else { 2 }), said(i64::from(inner)), said(i64::from(inner)));
            schema_children[level] = schema_at.wrapping_add(if inner { level + 1 } else { 0 });
            array_children[level] = array_at.wrapping_add(if inner { level + 1 } else { 0 });
            let odd = draw.byte();
            let schema = &mut schemas[level];
            schema.texts[0] = if odd == 255 { null() } else { texts[level].as_ptr() };
            schema.flags = draw.number();
            schema.n_children = kinds;
            schema.children = if odd == 254 { null_mut() } else { &raw mut schema_children[level] };
            schema.dictionary = if odd == 253 { schema_at } else { null_mut() };
            schema.release = if odd == 252 { None } else { schema.release };
            let array = &mut arrays[level];
            array.n_buffers = n_buffers;
            array.n_children = n_children;
            array.length = draw.number();
            array.offset = draw.number();
            array.null_count = if draw.byte() > 200 { draw.number() } else { 0 };
            array.buffers = if odd == 251 { null_mut() } else { buffers[level].as_mut_ptr() };
            array.children = if odd == 250 { null_mut() } else { &raw mut array_children[level] };
            array.dictionary = if odd == 249 { array_at } else { null_mut() };
            array.release = if odd == 248 { None } else { array.release };
        }
        let before = arrays[0].release;
        let mut out = null_mut();
        // SAFETY: pointers are valid; elements are touched only if they are the producer's.
        let status =
            unsafe { arrows::tn_array_import_arrow(schema_at.cast(), array_at.cast(), flags, &mut out, null_mut()) };
        // SAFETY: still valid; the library may have written it.
        let after = unsafe { (*array_at).release };
        if status == TN_OK {
            assert!(after.is_none(), "moved");
        } else {
            assert_eq!(after.map(|f| f as usize), before.map(|f| f as usize), "still the producer's");
        }
        (sound(status), out)
    });
}

/// A format string with its NUL, mostly one that fits its level.
fn format(draw: &mut Draw<'_>, inner: bool, text: &mut [u8; 64]) {
    const LETTERS: &[u8] = b"lcsiLCSIefg";
    match draw.byte() {
        byte @ 0..=219 if inner => {
            let made = format!("+w:{}", byte % 7);
            text[..made.len()].copy_from_slice(made.as_bytes());
        }
        byte @ 0..=219 => text[0] = LETTERS[usize::from(byte) % LETTERS.len()],
        byte @ 220..=239 => {
            const OTHERS: [&str; 10] = [
                "b",
                "n",
                "u",
                "+l",
                "+s",
                "w:4",
                "+w:",
                "+w:2147483647",
                "tsu:Europe/Berlin",
                "+w:99999999999999999999",
            ];
            let other = OTHERS[usize::from(byte) % OTHERS.len()];
            text[..other.len()].copy_from_slice(other.as_bytes());
        }
        _ => {
            let length = usize::from(draw.byte()) % (text.len() - 1);
            text[..length].iter_mut().for_each(|byte| *byte = draw.byte());
        }
    }
}

/// Initial inputs of each kind; [`Draw`] defines their meaning.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = vec![vec![], vec![0; 64], vec![1; 64], (0..=255).collect()];
    for step in [3u8, 7, 11, 29, 57, 101] {
        seeds.push((0..120u8).map(|at| at.wrapping_mul(step)).collect());
    }
    seeds
}
