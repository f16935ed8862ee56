//! What a guide to tensors in the manner of Rust uses: its names, random numbers, text, and element types that are
//! known at run time only.
#![expect(clippy::needless_borrows_for_generic_args, reason = "the guide writes references")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use tenure_rs::{Array, CudaMemoryPool, Device, Dtype, DynArray, MemoryPool, Mode, Promise, Status, Tensor, cuda};

/// A path for a file of this program.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_names_of_the_guide() -> tenure_rs::Result<()> {
    let _pool = MemoryPool::configure().initial_size(1 << 20).growth_factor(2.0).enable()?;
    let a = Tensor::new(&[2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
    let (view, copy) = (a.view()?, a.copy()?);
    let (mut zeros, mut ones) = (Tensor::<f32>::zeros(&[2, 2])?, Tensor::<f32>::ones(&[2, 2])?);
    assert_eq!((zeros.sum(None)?.item()?, ones.sum(None)?.item()?), (0.0, 4.0));
    zeros.fill_(3.0)?;
    ones.zero_()?;
    assert_eq!(format!("{zeros} {ones}"), "[[3, 3], [3, 3]] [[0, 0], [0, 0]]");
    assert_eq!(a.chunks(1)?.iter().map(|row| row.sum(None)?.item()).sum::<tenure_rs::Result<f64>>()?, 10.0);
    drop((copy, view));
    let address = a.read()?.as_ptr();
    let mut there = a.to_device(&Device::cpu())?;
    assert_eq!(there.write_as(Mode::Unique)?.as_ptr(), address);
    there.save(path("guide.npy"))?;
    assert_eq!(Tensor::<f64>::from_file(&File::open(path("guide.npy")).unwrap())?.to_vec()?, [1.0, 2.0, 3.0, 4.0]);
    // The pool stays enabled: to disable it would disable that of the other test.
    Ok(())
}

#[test]
fn the_names_of_the_guide_with_a_gpu() -> tenure_rs::Result<()> {
    if cuda::device_count() == 0 {
        assert!(std::env::var_os("TENURE_TEST_DEVICE").is_none(), "TENURE_TEST_DEVICE is set, and there is no GPU");
        return Ok(());
    }
    let pool = CudaMemoryPool::configure().initial_size(1 << 20).growth_factor(2.0).enable()?;
    let device = Device::cuda(0)?;
    let mut there = Tensor::new(&[2], vec![1.0_f32, 2.0])?.to_device(&device)?;
    assert_eq!((there.device()?, pool.stats()?.live_blocks, there.to_string()), (device, 1, "[1, 2]".to_owned()));
    there.fill_(5.0)?;
    let pinned = Tensor::<f32>::zeros_pinned(&[2])?;
    assert_eq!((pinned.device()?, pinned.to_vec()?), (Device::PageLocked, vec![0.0; 2]));
    assert_eq!(there.to_device(&Device::cpu())?.to_vec()?, [5.0; 2]);
    let memory = cuda::get_memory_info(0)?;
    assert!(memory.total >= memory.used && memory.pools >= 1 << 20, "{memory:?}");
    MemoryPool::disable_all()
}

// FO-3
#[test]
fn the_example_prints_what_it_says() {
    let program = std::env::current_exe().expect("a program has a path");
    let example = program.ancestors().nth(2).expect("target/debug/deps").join("examples/tensors");
    assert!(example.exists(), "{} is missing; `cargo test` without --test builds it", example.display());
    let out = Command::new(example).output().expect("the example can run");
    let source = include_str!("../../../examples/documents/tensors.rs");
    let (_, said) = source.rsplit_once("/* It prints:\n").expect("the source ends with its output");
    let printed = String::from_utf8_lossy(&out.stdout);
    assert_eq!((printed.as_ref(), out.status.success()), (said.trim_end_matches("*/\n"), true));
}

/// A view is a handle of its own, so a writer beside its guard is refused at run time. The guard's own array does not
/// compile: `tests/refused/write_beside_view.rs`.
#[test]
fn a_view_that_is_read_refuses_writers() {
    let mut t = Tensor::<f64>::ones([2]).unwrap();
    let view = t.view().unwrap();
    let guard = view.read().unwrap();
    assert_eq!(t.fill_(2.0).unwrap_err().status(), Status::BORROWED);
    assert_eq!(guard.as_slice().unwrap(), [1.0; 2]);
}

#[test]
fn the_element_type_is_known_at_run_time() {
    let floats = Array::<f32>::ones([2, 3]).unwrap();
    floats.set_name("weights").unwrap();
    let array = DynArray::from(floats);
    assert_eq!((array.dtype(), array.dtype().code()), (Dtype::of::<f32>(), tenure_rs::sys::TN_F32));
    assert_eq!((array.shape(), array.ndim(), array.len()), (&[2, 3][..], 2, 6));
    assert_eq!(format!("{array:?}"), "DynArray { dtype: float32, shape: [2, 3], .. }");
    let refused = Array::<i64>::try_from(array).unwrap_err();
    assert_eq!(refused.error.status(), Status::DTYPE);
    assert_eq!(refused.error.message(), "tenure_rs: the elements are float32, not int64");
    let (address, clone) = (refused.value.as_raw(), refused.value.try_clone().unwrap());
    assert!(!refused.value.is_unique().unwrap());
    drop(clone);
    let back = Array::<f32>::try_from(refused.value).unwrap();
    assert_eq!((back.as_raw(), back.name().unwrap().as_str()), (address, "weights"));
    assert!(back.is_unique().unwrap());
}

#[test]
fn element_types_have_the_names_of_the_library() {
    let names = [Dtype::of::<tenure_rs::Bool>(), Dtype::of::<u8>(), Dtype::of::<i64>(), Dtype::of::<f64>()];
    assert_eq!(names.map(|dtype| dtype.to_string()), ["bool", "uint8", "int64", "float64"]);
}

#[test]
fn an_array_of_any_type_is_taken_from_a_promise() {
    let given = Array::<u16>::full([3], 7).unwrap().give().unwrap().take_dyn().unwrap();
    assert_eq!(given.dtype(), Dtype::of::<u16>());
    let promise = Array::<u16>::try_from(given).unwrap().give().unwrap().into_raw();
    // SAFETY: a promise that this value releases.
    let taken = unsafe { Promise::<()>::from_raw(promise) }.unwrap().take_dyn().unwrap();
    assert!(taken.is_unique().unwrap());
    // SAFETY: a handle that this value releases.
    let same = unsafe { DynArray::from_raw(taken.into_raw()) }.unwrap();
    assert_eq!(Array::<u16>::try_from(same).unwrap().to_vec().unwrap(), [7; 3]);
    // SAFETY: NULL is refused.
    assert_eq!(unsafe { DynArray::from_raw(std::ptr::null_mut()) }.unwrap_err().status(), Status::NULL);
}

#[test]
fn files_of_any_type_are_opened() {
    let path = path("any.npy");
    Array::from_vec(vec![1_i16, 2, 3], [3]).unwrap().save(&path).unwrap();
    let array = DynArray::open(&path).unwrap();
    assert_eq!((array.dtype(), array.shape()), (Dtype::of::<i16>(), &[3][..]));
    array.save(&path).unwrap();
    let file = File::open(&path).unwrap();
    // A file of other elements is refused, and its position stays.
    assert_eq!(Array::<f64>::from_file(&file).unwrap_err().status(), Status::DTYPE);
    let read = DynArray::from_file(&file).unwrap();
    assert_eq!(Array::<i16>::try_from(read).unwrap().to_vec().unwrap(), [1, 2, 3]);
    assert_eq!(DynArray::from_file(&file).unwrap_err().status(), Status::IO);
}

#[cfg(feature = "rand")]
mod random {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn randn_is_normal() {
        let t = Tensor::<f64>::randn_with([100, 100], &mut StdRng::seed_from_u64(1)).unwrap();
        let numbers = t.to_vec().unwrap();
        let mean = numbers.iter().sum::<f64>() / 1e4;
        let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 1e4;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    }

    #[test]
    fn rand_is_uniform() {
        let numbers = Tensor::<f32>::rand_with([10_000], &mut StdRng::seed_from_u64(2)).unwrap().to_vec().unwrap();
        assert!(numbers.iter().all(|x| (0.0..1.0).contains(x)));
        let low = numbers.iter().filter(|x| **x < 0.25).count();
        assert!((2300..2700).contains(&low), "{low} of 10000 are below 0.25");
    }

    #[test]
    fn a_seed_repeats_the_numbers() {
        let of = |seed| Tensor::<f32>::randn_with([8], &mut StdRng::seed_from_u64(seed)).unwrap().to_vec().unwrap();
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        let unseeded = || Tensor::<u64>::rand([8]).unwrap().to_vec().unwrap();
        assert_ne!(unseeded(), unseeded());
    }

    #[test]
    fn random_numbers_are_of_the_current_pool() {
        let pool = MemoryPool::configure().build().unwrap();
        let _current = pool.make_current().unwrap();
        let t = Tensor::<f64>::randn(&[2, 3]).unwrap();
        assert_eq!((t.shape(), pool.stats().unwrap().live_blocks), (&[2, 3][..], 1));
        assert_eq!(Tensor::<f64>::randn([0]).unwrap().len(), 0);
    }
}

#[cfg(feature = "csv")]
mod text {
    use super::*;
    use std::fs;
    use tenure_rs::{Bool, Element};

    fn parsed<T: Element>(text: &str, delimiter: Option<u8>) -> tenure_rs::Result<Tensor<T>> {
        Tensor::from_text(text.as_bytes(), delimiter)
    }

    #[test]
    fn text_of_savetxt_is_read() {
        let text = "# a b\n1.000000000000000000e+00 -2.5e-01\n       nan inf # last\r\n\n";
        let t = parsed::<f64>(text, None).unwrap();
        assert_eq!((t.shape(), t.to_string()), (&[2, 2][..], "[[1, -0.25], [NaN, inf]]".to_owned()));
        let column = parsed::<i64>("1\n2\n3", None).unwrap();
        assert_eq!((column.shape(), column.to_vec().unwrap()), (&[3, 1][..], vec![1, 2, 3]));
        let truth = parsed::<Bool>("true 0\n1 false", None).unwrap();
        assert_eq!(truth.to_string(), "[[true, false], [true, false]]");
        assert_eq!(parsed::<f64>("\n# nothing\n", None).unwrap().shape(), [0, 0]);
        assert_eq!(parsed::<f64>("", Some(b',')).unwrap().shape(), [0, 0]);
    }

    #[test]
    fn tables_are_read() {
        let t = parsed::<f64>("# x,y\r\n1 ,\"2\"\r\n\r\n3,4 # last\r\n5,6", Some(b',')).unwrap();
        assert_eq!((t.shape(), t.to_vec().unwrap()), (&[3, 2][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(parsed::<u8>("1;2\n", Some(b';')).unwrap().to_vec().unwrap(), [1, 2]);
        assert_eq!(parsed::<u8>("1,2\r3,4\n", Some(b',')).unwrap().to_vec().unwrap(), [1, 2, 3, 4], "no byte is lost");
        // More than the buffers of the readers hold.
        let long: String = (0..20_000).map(|i| format!("{i},{}\n", i + 1)).collect();
        let t = parsed::<u32>(&long, Some(b',')).unwrap();
        assert_eq!((t.shape(), t.to_vec().unwrap()[39_999]), (&[20_000, 2][..], 20_000));
    }

    #[test]
    fn an_error_names_line_column_and_text() {
        let message = |text: &str, delimiter| {
            let refused = parsed::<i32>(text, delimiter).unwrap_err();
            (refused.status(), refused.message().trim_start_matches("tenure_rs: ").to_owned())
        };
        for (comma, delimiter) in [(" ", None), (",", Some(b','))] {
            for end in ["\n", "\r\n"] {
                let text = ["# c", "1 2", "", "3 x4", "5 6"].join(end).replace(' ', comma);
                let said = r#"line 4, column 2: "x4" is no int32"#.to_owned();
                assert_eq!(message(&text, delimiter), (Status::DTYPE, said));
            }
            let said = "the number of columns is 1 in line 3, 2 in line 1".to_owned();
            assert_eq!(message(&format!("1{comma}2\n\n3"), delimiter), (Status::SHAPE, said));
        }
        let said = r#"line 1, column 2: "" is no int32"#.to_owned();
        assert_eq!(message("1,\n", Some(b',')), (Status::DTYPE, said));
        let long = format!(r#"line 1, column 1: "{}" is no int32"#, "é".repeat(40));
        assert_eq!(message(&"é".repeat(100), None), (Status::DTYPE, long));
    }

    #[test]
    fn files_are_read_by_their_names_and_by_their_contents() {
        let wanted = [1.0, 2.0, 3.0, 4.0];
        for (name, text) in [("numbers.txt", "1 2\n3 4\n"), ("numbers.csv", "1,2\n3,4\n")] {
            fs::write(path(name), text).unwrap();
            assert_eq!(Tensor::<f64>::open(path(name)).unwrap().to_vec().unwrap(), wanted);
            let file = File::open(path(name)).unwrap();
            // A failure leaves the file's position.
            let refused = Tensor::<Bool>::from_file(&file).unwrap_err();
            assert_eq!(refused.message(), r#"tenure_rs: line 1, column 2: "2" is no bool"#);
            let t = Tensor::<f64>::from_file(&file).unwrap();
            assert_eq!((t.shape(), t.to_vec().unwrap()), (&[2, 2][..], wanted.to_vec()));
        }
        let missing = Tensor::<f64>::open(path("none.csv")).unwrap_err();
        assert_eq!(missing.status(), Status::IO);
        assert!(missing.message().contains("none.csv"), "{missing}");
    }
}
