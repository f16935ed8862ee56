//! Products of matrices by OpenBLAS, which is faster than faer where they are large. The option `expr.blas` decides.
//!
//! Contract: `auto` loads nothing, because OpenBLAS starts threads when it is loaded: it uses a library that the
//! process has loaded already. While there is none, it searches again only after the process has loaded something.
//! `openblas` loads one when the option is set. A library that was found stays loaded, and is used until the process
//! ends. No setting of it is changed: it computes on the threads that the program gave it. The child of a fork does not
//! search (`sys::objects`). No lock of the library is held meanwhile. Products that CBLAS cannot express, and vectors,
//! are left to faer.
//!
//! Sources: the C interface to the BLAS (<https://www.netlib.org/blas/blast-forum/cinterface.pdf>): `cblas_dgemm`,
//! `cblas_sgemm` and the numbers of its enumerations. OpenBLAS's documentation and Makefile.rule: INTERFACE64,
//! SYMBOLPREFIX, SYMBOLSUFFIX, and `openblas_get_config`. Tests: tests/library/openblas.rs.

use super::diagonal::shape;
use super::{Float, address};
use crate::blit::HostView;
use crate::error::{Result, Text, fail};
use crate::layout::Layout;
use crate::options::{self, Blas};
use crate::sys::objects;
use crate::sys::os::Library;
use crate::types::*;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

/// Multiplications in the smallest product for which `auto` takes OpenBLAS: 1024 x 1024 x 1024. Below, faer takes about
/// as long.
const LEAST_WORK: u64 = 1 << 30;

/// The least number of rows, of columns, and of terms of each sum, for the same. With 64 terms faer is up to 13 %
/// faster, with 128 OpenBLAS is 10 % faster.
const LEAST_LENGTH: i64 = 128;

/// How the file names of OpenBLAS begin, in the order of the search: NumPy's, SciPy's, and that of the system.
const NAMES: [&[u8]; 3] = [b"libscipy_openblas64_", b"libscipy_openblas", b"libopenblas"];

/// The library that `openblas` loads.
const SYSTEM: &CStr = c"libopenblas.so.0";

const ROW_MAJOR: c_int = 101;
const COLUMN_MAJOR: c_int = 102;
const AS_IT_IS: c_int = 111;
const TRANSPOSED: c_int = 112;

/// `cblas_?gemm`: layout, transposed or not, m, n, k, alpha, A and its leading dimension, B and its, beta, C and its.
type Product<T, I> = unsafe extern "C" fn(c_int, c_int, c_int, I, I, I, T, *const T, I, *const T, I, T, *mut T, I);

/// The two functions, with their type of integers.
pub(super) struct Pair<I> {
    single: Product<f32, I>,
    double: Product<f64, I>,
}

/// What a library has.
enum Functions {
    Narrow(Pair<i32>),
    Wide(Pair<i64>),
}

/// The functions of the library that was found.
static FOUND: OnceLock<Functions> = OnceLock::new();

/// How many objects the process had loaded when the last search found nothing.
static SEARCHED_AT: AtomicU64 = AtomicU64::new(0);

/// The names in a build.
struct Names {
    double: &'static CStr,
    single: &'static CStr,
    /// Tells whether the build has threads.
    parallel: &'static CStr,
    /// Tells the size of integers. None: they have 64 bits.
    config: Option<&'static CStr>,
}

const BUILDS: [Names; 4] = [
    Names {
        double: c"scipy_cblas_dgemm64_",
        single: c"scipy_cblas_sgemm64_",
        parallel: c"scipy_openblas_get_parallel64_",
        config: None,
    },
    Names { double: c"cblas_dgemm64_", single: c"cblas_sgemm64_", parallel: c"openblas_get_parallel64_", config: None },
    Names {
        double: c"scipy_cblas_dgemm",
        single: c"scipy_cblas_sgemm",
        parallel: c"scipy_openblas_get_parallel",
        config: Some(c"scipy_openblas_get_config"),
    },
    Names {
        double: c"cblas_dgemm",
        single: c"cblas_sgemm",
        parallel: c"openblas_get_parallel",
        config: Some(c"openblas_get_config"),
    },
];

impl Functions {
    /// None: it has other names, or no threads. A build without threads may lack the locks for calls from several
    /// threads of a program.
    fn of(library: &Library) -> Option<Functions> {
        BUILDS.iter().find_map(|names| {
            let (double, single) = (library.symbol(names.double)?.as_ptr(), library.symbol(names.single)?.as_ptr());
            if !has_threads(library.symbol(names.parallel)?.as_ptr()) {
                return None;
            }
            let wide = match names.config {
                None => true,
                Some(config) => has_wide_integers(library.symbol(config)?.as_ptr()),
            };
            // SAFETY: by the C interface to the BLAS, the functions of these names have these parameters, and the
            // build's integers.
            Some(unsafe {
                if wide {
                    Functions::Wide(Pair {
                        single: core::mem::transmute::<*mut c_void, Product<f32, i64>>(single),
                        double: core::mem::transmute::<*mut c_void, Product<f64, i64>>(double),
                    })
                } else {
                    Functions::Narrow(Pair {
                        single: core::mem::transmute::<*mut c_void, Product<f32, i32>>(single),
                        double: core::mem::transmute::<*mut c_void, Product<f64, i32>>(double),
                    })
                }
            })
        })
    }
}

/// Whether a build has threads, by `openblas_get_parallel`.
fn has_threads(parallel: *mut c_void) -> bool {
    // SAFETY: by OpenBLAS's header, the function has no parameters, and returns 0 for a build without threads.
    unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(parallel)() != 0 }
}

/// Whether a build has integers of 64 bits, by the words of `openblas_get_config`.
fn has_wide_integers(config: *mut c_void) -> bool {
    // SAFETY: by OpenBLAS's header, the function has no parameters, and returns a text that is never freed.
    let text = unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *const c_char>(config)() };
    // SAFETY: as above; NULL is no text.
    let words = if text.is_null() { &b""[..] } else { unsafe { CStr::from_ptr(text) }.to_bytes() };
    words.split(|byte| *byte == b' ').any(|word| word == b"USE64BITINT" || word == b"USE64INT")
}

/// The functions of a library that the process has loaded.
fn search() -> Option<Functions> {
    for beginning in NAMES {
        let mut skipped = 0;
        while let Some(library) = objects::open_named(skipped, |name| name.starts_with(beginning)) {
            let functions = library.and_then(|library| Functions::of(&library));
            if functions.is_some() {
                return functions;
            }
            skipped += 1;
        }
    }
    None
}

/// The functions, if a library is loaded. While none is, this asks the loader whether it has loaded anything since the
/// last search.
fn find() -> Option<&'static Functions> {
    if let Some(functions) = FOUND.get() {
        return Some(functions);
    }
    let loads = objects::loads()?;
    // A library that is loaded during the search is seen by the next one.
    if SEARCHED_AT.load(Ordering::Relaxed) == loads {
        return None;
    }
    let Some(functions) = search() else {
        SEARCHED_AT.store(loads, Ordering::Relaxed);
        return None;
    };
    Some(FOUND.get_or_init(|| functions))
}

/// Loads what a new value of the option needs, before the option is set. TN_ERR_UNSUPPORTED: there is no OpenBLAS.
pub fn prepare_option(name: &str, value: &str) -> Result<()> {
    if (name, value) != ("expr.blas", Blas::OpenBlas.name()) || find().is_some() {
        return Ok(());
    }
    let mut why = Text::new();
    let library = Library::open(SYSTEM, &mut why);
    let is_loaded = library.is_some();
    if let Some(functions) = library.and_then(|library| Functions::of(&library)) {
        FOUND.get_or_init(|| functions);
        return Ok(());
    }
    let why = if is_loaded { "it is built without threads, or is another library" } else { why.as_str() };
    Err(fail(
        TN_ERR_UNSUPPORTED,
        format_args!(
            "option {name} cannot be {value}: the process has no OpenBLAS, and libopenblas.so.0 cannot be used; install OpenBLAS with threads \
             (Debian: apt-get install libopenblas0-pthread); {why}"
        ),
    ))
}

/// Looks for a library if the option asks for it. [`would_multiply`] then tells what the next product would do.
pub fn look() {
    if options::blas() != Blas::Faer {
        find();
    }
}

/// Whether OpenBLAS would compute a product of these layouts, if its library is found. Calls nothing of the loader.
pub fn would_multiply(m: &Layout, x: &Layout) -> bool {
    let (&[rows, inner], &[_, columns]) = (m.shape(), x.shape()) else { return false };
    let fits = |layout| match layout {
        layout if m.dtype().raw() == TN_F32 => Matrix::of::<f32>(layout).is_some(),
        layout => Matrix::of::<f64>(layout).is_some(),
    };
    FOUND.get().is_some() && is_wanted([rows, columns, inner]) && fits(m) && fits(x)
}

/// Whether the option gives a product of this size to OpenBLAS.
fn is_wanted([rows, columns, inner]: [i64; 3]) -> bool {
    let work = (rows as u64).saturating_mul(columns as u64).saturating_mul(inner as u64);
    let is_large = match options::blas() {
        Blas::Auto => work >= LEAST_WORK && rows.min(columns).min(inner) >= LEAST_LENGTH,
        Blas::OpenBlas => work > 0,
        Blas::Faer => false,
    };
    is_large && rows > 1 && columns > 1
}

/// A matrix as CBLAS describes it.
struct Matrix {
    row_major: bool,
    /// The distance between two rows, or two columns, in elements.
    leading: usize,
}

impl Matrix {
    /// None: neither rows nor columns are contiguous and apart from each other.
    fn of<T>(layout: &Layout) -> Option<Matrix> {
        let (rows, columns, down, across) = shape::<T>(layout);
        let is_leading = |stride: isize, length: usize| stride > 0 && stride as usize >= length.max(1);
        // One row, or one column, is contiguous.
        if (across == 1 || columns < 2) && is_leading(down, columns) {
            return Some(Matrix { row_major: true, leading: down as usize });
        }
        let is_column_major = (down == 1 || rows < 2) && is_leading(across, rows);
        is_column_major.then_some(Matrix { row_major: false, leading: across as usize })
    }
}

/// An element type with its function.
pub(super) trait Element: Float {
    fn choose<I: Copy>(pair: &Pair<I>) -> Product<Self, I>;
}

impl Element for f32 {
    fn choose<I: Copy>(pair: &Pair<I>) -> Product<f32, I> {
        pair.single
    }
}

impl Element for f64 {
    fn choose<I: Copy>(pair: &Pair<I>) -> Product<f64, I> {
        pair.double
    }
}

/// dst = m * x. False: not computed, and nothing is written. `dst` shares no byte with either.
pub fn matmul<T: Element>(dst: &HostView, m: &HostView, x: &HostView) -> bool {
    let (&[rows, columns], &[_, inner]) = (dst.layout().shape(), m.layout().shape()) else { return false };
    if !is_wanted([rows, columns, inner]) {
        return false;
    }
    match find() {
        None => false,
        Some(Functions::Narrow(pair)) => multiply::<T, i32>(T::choose(pair), dst, m, x).is_some(),
        Some(Functions::Wide(pair)) => multiply::<T, i64>(T::choose(pair), dst, m, x).is_some(),
    }
}

/// None: the function cannot express the product.
fn multiply<T: Element, I: TryFrom<usize>>(
    product: Product<T, I>,
    dst: &HostView,
    m: &HostView,
    x: &HostView,
) -> Option<()> {
    let (rows, columns, ..) = shape::<T>(dst.layout());
    let (_, inner, ..) = shape::<T>(m.layout());
    let (to, left, right) =
        (Matrix::of::<T>(dst.layout())?, Matrix::of::<T>(m.layout())?, Matrix::of::<T>(x.layout())?);
    let int = |number: usize| I::try_from(number).ok();
    let (layout, is_row_major) = if to.row_major { (ROW_MAJOR, true) } else { (COLUMN_MAJOR, false) };
    let how = |operand: &Matrix| if operand.row_major == is_row_major { AS_IT_IS } else { TRANSPOSED };
    let (m_rows, n_columns, k) = (int(rows)?, int(columns)?, int(inner)?);
    let (lda, ldb, ldc) = (int(left.leading)?, int(right.leading)?, int(to.leading)?);
    let (one, zero) = (T::of(1.0), T::ZERO);
    let (a, b) = (address::<T>(m).cast_const(), address::<T>(x).cast_const());
    // SAFETY: the elements of the views may be accessed, and the destination shares none with the others. Shapes and
    // strides are those of the views. With beta 0, the function writes the destination without reading it.
    unsafe {
        product(
            layout,
            how(&left),
            how(&right),
            m_rows,
            n_columns,
            k,
            one,
            a,
            lda,
            b,
            ldb,
            zero,
            address::<T>(dst),
            ldc,
        )
    };
    Some(())
}
