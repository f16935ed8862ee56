//! The kernels of the library Tenure, from the PTX that it loads: what they copy, what they may access, which drivers
//! and devices load them.

mod driver;
use driver::*;
use std::ffi::{CStr, CString, c_void};

fn ptx() -> CString {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/device_copy/kernels/strided.ptx");
    CString::new(std::fs::read(path).expect("the PTX can be read")).expect("a text")
}

fn load(image: &CStr) -> Result<Handle, u32> {
    let mut module = 0;
    match cuModuleLoadData(&mut module, image.as_ptr().cast()) {
        0 => Ok(module),
        code => Err(code),
    }
}

fn function(module: Handle, name: &CStr) -> Result<Handle, u32> {
    let mut function = 0;
    match cuModuleGetFunction(&mut function, module, name.as_ptr()) {
        0 => Ok(function),
        code => Err(code),
    }
}

/// The parameter of a copy of a matrix of units: addresses, strides of rows and columns, and the shape.
fn parameter(to: (u64, i64, i64), from: (u64, i64, i64), columns: u32, rows: u32) -> [u8; 1096] {
    let mut bytes = Vec::new();
    // Division by d of a number below 2^31: (number * multiplier / 2^32 + number) / 2^shift.
    let divider = |divisor: u32| {
        let shift = 32 - (divisor - 1).leading_zeros();
        let multiplier = ((1u64 << 32) * ((1u64 << shift) - u64::from(divisor)) / u64::from(divisor) + 1) as u32;
        [divisor, multiplier, shift].map(u32::to_le_bytes).concat()
    };
    bytes.extend([to.0, from.0, 0, 0].map(u64::to_le_bytes).concat());
    bytes.extend([columns * rows, 2, 0, 0].map(u32::to_le_bytes).concat());
    bytes.extend([columns, rows].map(|side| divider(side.div_ceil(32))).concat());
    for (dst, src, length) in [(to.2, from.2, columns), (to.1, from.1, rows)] {
        bytes.extend([dst, src].map(i64::to_le_bytes).concat());
        bytes.extend([divider(length), vec![0; 4]].concat());
    }
    bytes.resize(1096, 0);
    bytes.try_into().expect("the size is right")
}

fn launch(function: Handle, blocks: u32, parameter: &[u8; 1096], stream: Handle) -> u32 {
    let mut parameters = [parameter.as_ptr().cast_mut().cast::<c_void>()];
    let (pointers, extra) = (parameters.as_mut_ptr(), std::ptr::null_mut());
    assert_eq!(cuLaunchKernel(function, blocks, 1, 1, 256, 1, 1, 0, stream, pointers, extra), 0);
    cuStreamSynchronize(stream)
}

#[test]
fn a_matrix_is_transposed_with_and_without_tiles() {
    let _driver = fresh(1, RANDOM);
    let (columns, rows, on) = (70_u32, 45_u32, stream(1));
    let units: Vec<u8> = (0..4 * columns * rows).map(|at| (at % 251) as u8).collect();
    let (to, from) = (device_memory(units.len()), device_memory(units.len()));
    let module = load(&ptx()).expect("it loads");
    let given = parameter((to, 4 * i64::from(columns), 4), (from, 4, 4 * i64::from(rows)), columns, rows);
    for (name, blocks) in [(c"tenure_transpose_4", 3 * 2), (c"tenure_copy_4", (columns * rows).div_ceil(1024))] {
        assert_eq!(cuMemcpyHtoD_v2(from, units.as_ptr(), units.len()), 0);
        assert_eq!(cuMemsetD8Async(to, 0xEE, units.len(), on), 0);
        assert_eq!(launch(function(module, name).expect("it is there"), blocks, &given, on), 0);
        let mut got = vec![0; units.len()];
        assert_eq!(cuMemcpyDtoH_v2(got.as_mut_ptr(), to, got.len()), 0);
        let unit = |bytes: &[u8], at: u32| bytes[4 * at as usize..4 * at as usize + 4].to_vec();
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            assert_eq!(unit(&got, row * columns + column), unit(&units, column * rows + row), "{name:?}");
        }
    }
}

#[test]
fn each_access_is_checked() {
    for (shift, code) in [(0, 0), (4, 700), (-4, 700), (2, 716)] {
        let _driver = fresh(1, RANDOM);
        let (on, to, from) = (stream(1), device_memory(4 * 64 * 64), device_memory(4 * 64 * 64));
        let module = load(&ptx()).expect("it loads");
        let copy = function(module, c"tenure_transpose_4").expect("it is there");
        let given = parameter((to, 256, 4), (from.wrapping_add_signed(shift), 4, 256), 64, 64);
        assert_eq!(launch(copy, 4, &given, on), code, "the source begins {shift} bytes beside its memory");
    }
}

#[test]
fn only_known_names_of_ptx_that_device_and_driver_know() {
    let text = ptx();
    let _driver = fresh(1, RANDOM);
    let module = load(&text).expect("it loads");
    assert!(function(module, c"tenure_fill_16").is_ok());
    assert_eq!(function(module, c"tenure_fill_32"), Err(500));
    assert_eq!(function(module, c"tenure_turn_4"), Err(500));
    let none = load(c".version 8.0").expect("any other image is accepted");
    assert_eq!(function(none, c"tenure_fill_16"), Err(500), "it declares no kernel");
    assert_eq!(cuModuleUnload(module), 0);
    assert_eq!(function(module, c"tenure_fill_16"), Err(400));
    // 75: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR.
    assert_eq!(tenure_sim_set_attribute(0, 75, 6), 0);
    assert_eq!(load(&text), Err(218), "for sm_70 and later");
    assert_eq!(tenure_sim_set_attribute(0, 75, 7), 0);
    assert!(load(&text).is_ok());
    let newer = text.to_str().expect("a text").replace(".version 8.0", ".version 9.9");
    assert_eq!(load(&CString::new(newer).expect("a text")), Err(222));
}
