//! Safetensors headers: their meaning, and each way in which they are refused (NP-10, NP-12). c-tests/safetensors.c has
//! whole files; the Python package's tests have files of the package `safetensors`.

use std::path::PathBuf;
use std::{ffi::CString, fs};
use tenure::error::Status;
use tenure::exchange::npy::Origin;
use tenure::exchange::safetensors::{File, Header, LISTED_NAME_BYTES, listed_name, parse};
use tenure::types::*;
use tenure_harness::test;

fn read(text: impl AsRef<[u8]>, data_bytes: u64) -> Result<Header, Status> {
    parse(text.as_ref(), data_bytes, &"the file")
}

/// The status, and the text that the caller would see.
fn refused(text: impl AsRef<[u8]>, data_bytes: u64) -> (tn_status, String) {
    let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
    let status = read(text, data_bytes).map(drop).expect_err(&shown);
    tenure::error::publish("f");
    // SAFETY: the published text ends with a NUL.
    let text = unsafe { std::ffi::CStr::from_ptr(tenure::error::published()) };
    (status.code(), text.to_str().expect("texts are UTF-8").to_owned())
}

fn tensor(name: &str, dtype: &str, shape: &str, begin: u64, end: u64) -> String {
    format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{begin},{end}]}}")
}

fn object(tensors: &[String]) -> String {
    format!("{{{}}}", tensors.join(","))
}

fn names(header: &Header) -> Vec<&str> {
    header.tensors().iter().map(|tensor| std::str::from_utf8(header.name(tensor)).unwrap()).collect()
}

#[test]
fn np_10_headers_mean_what_they_say() {
    let types = [
        ("BOOL", TN_BOOL),
        ("I8", TN_I8),
        ("I16", TN_I16),
        ("I32", TN_I32),
        ("I64", TN_I64),
        ("U8", TN_U8),
        ("U16", TN_U16),
        ("U32", TN_U32),
        ("U64", TN_U64),
        ("F16", TN_F16),
        ("F32", TN_F32),
        ("F64", TN_F64),
        ("BF16", TN_BF16),
        ("C64", TN_C64),
    ];
    let (mut tensors, mut end) = (Vec::new(), 0);
    for (name, raw) in types {
        let bytes = 6 * u64::from((raw >> 11) & 0x1f);
        tensors.push(tensor(name, name, "2,3", end, end + bytes));
        end += bytes;
    }
    // In any order.
    tensors.reverse();
    let header = read(object(&tensors), end).unwrap();
    assert_eq!(names(&header), types.map(|(name, _)| name), "in the order of their bytes");
    for (name, raw) in types {
        let found = header.find(name.as_bytes()).unwrap();
        assert_eq!(
            (found.dtype.unwrap().raw(), header.shape(found), header.name(found)),
            (raw, &[2, 3][..], name.as_bytes())
        );
    }
    assert!(header.find(b"missing").is_none() && header.find(b"").is_none());

    assert!(read("{}", 0).unwrap().tensors().is_empty());
    // White space and padding, keys in any order, escaped strings, sizes 0, no axes.
    let odd = "{ \"__metadata__\" : { \"a\\n\" : \"\\u00e4\" , \"a\\n\" : \"\" } ,\r\n\t\"\\u0061\\/\\ud83d\\ude00\": {\"data_offsets\" : [0 ,4 ],\
               \"\\u0073hape\":[],\"dtype\":\"F\\u00332\"},\"z\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[4,4]}}    ";
    let header = read(odd, 4).unwrap();
    assert_eq!(names(&header), ["a/😀", "z"]);
    assert_eq!(header.shape(&header.tensors()[0]), [0i64; 0]);
    assert_eq!(header.find("a/😀".as_bytes()).unwrap().dtype.unwrap().raw(), TN_F32);
    let most = tensor("deep", "U8", &vec!["1"; TN_MAX_NDIM].join(","), 0, 1);
    assert_eq!(read(object(&[most]), 1).unwrap().tensors().len(), 1);
}

/// A file with these tensors, all empty.
fn file_of(name: &str, tensors: &[&str]) -> CString {
    let text = object(&tensors.iter().map(|tensor| self::tensor(tensor, "U8", "0", 0, 0)).collect::<Vec<_>>());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let bytes = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    fs::write(&path, bytes).unwrap();
    CString::new(path.to_str().unwrap()).unwrap()
}

#[test]
fn np_10_a_name_opens_as_it_is_listed() {
    let long = "x".repeat(300);
    let (longer, umlauts) = (format!("{long}y"), "\u{e4}".repeat(200));
    let of = |file: &File<'_>, name: &str| {
        let name = CString::new(name).unwrap();
        file.tensor(&name).map(|tensor| file.header().name(tensor).to_vec()).map_err(|status| status.code())
    };
    let path = file_of("names_one.safetensors", &[&long, &umlauts, "a", "b\\u0000c", "d", "d\\u0000"]);
    let file = File::open(Origin::Path(&path)).unwrap();
    let listed = listed_name(umlauts.as_bytes());
    assert_eq!((listed.len(), listed_name(long.as_bytes()).len()), (254, LISTED_NAME_BYTES));
    assert_eq!(of(&file, &long), Ok(long.clone().into_bytes()));
    assert_eq!(of(&file, &long[..255]), Ok(long.clone().into_bytes()));
    assert_eq!(of(&file, listed), Ok(umlauts.clone().into_bytes()));
    assert_eq!(of(&file, "b"), Ok(b"b\0c".to_vec()));
    assert_eq!(of(&file, "d"), Ok(b"d".to_vec()), "the whole name comes first");
    for unknown in ["", "x", &long[..254], &umlauts[..252], &longer] {
        assert_eq!(of(&file, unknown), Err(TN_ERR_INVALID), "{unknown}");
    }
    let path = file_of("names_two.safetensors", &[&long, &longer, "b\\u0000c", "b\\u0000d"]);
    let file = File::open(Origin::Path(&path)).unwrap();
    for ambiguous in [&long[..255], "b"] {
        assert_eq!(of(&file, ambiguous), Err(TN_ERR_INVALID), "{ambiguous}");
    }
    assert_eq!(of(&file, &longer), Ok(longer.clone().into_bytes()));
}

#[test]
fn np_12_invalid_headers_are_refused() {
    let one = |body: &str| format!("{{\"a\":{{{body}}}}}");
    let good = "\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]";
    assert!(read(one(good), 1).is_ok());
    let whole = one(good);
    for cut in 0..whole.len() {
        assert_eq!(refused(&whole[..cut], 1).0, TN_ERR_IO, "{}", &whole[..cut]);
    }
    let wrong = [
        String::new(),
        "[]".to_owned(),
        "{}x".to_owned(),
        "{},".to_owned(),
        "{,}".to_owned(),
        "{}{}".to_owned(),
        "{\"a\":1}".to_owned(),
        "{\"a\":null}".to_owned(),
        "{\"a\":{}}".to_owned(),
        "{\"a\":[]}".to_owned(),
        "{a:{}}".to_owned(),
        "{1:{}}".to_owned(),
        format!("{{{},}}", &whole[1..whole.len() - 1]),
        one("\"dtype\":\"U8\",\"shape\":[1]"),
        one("\"dtype\":\"U8\",\"data_offsets\":[0,1]"),
        one("\"shape\":[1],\"data_offsets\":[0,1]"),
        one(&format!("{good},\"more\":1")),
        one(&format!("{good},\"dtype\":\"U8\"")),
        one(&format!("{good},\"shape\":[1]")),
        one(&good.replace("[1]", "[,1]")),
        one(&good.replace("[1]", "[1,]")),
        one(&good.replace("[1]", "[01]")),
        one(&good.replace("[1]", "[1.0]")),
        one(&good.replace("[1]", "[1e0]")),
        one(&good.replace("[1]", "[-1]")),
        one(&good.replace("[1]", "[\"1\"]")),
        one(&good.replace("[1]", "[[1]]")),
        one(&good.replace("[1]", "[true]")),
        one(&good.replace("[1]", "1")),
        one(&good.replace("[1]", "{}")),
        one(&good.replace("[0,1]", "[0]")),
        one(&good.replace("[0,1]", "[0,1,2]")),
        one(&good.replace("[0,1]", "[]")),
        one(&good.replace("[0,1]", "[0,-1]")),
        one(&good.replace("[0,1]", "[0,1.5]")),
        one(&good.replace("\"U8\"", "8")),
        one(&good.replace("U8", "U8\n")),
        one(&good.replace("U8", "U\\q8")),
        one(&good.replace("U8", "\\ud83d")),
        // Values of __metadata__ that are no strings; keys that occur twice.
        "{\"__metadata__\":{\"a\":1}}".to_owned(),
        "{\"__metadata__\":{\"a\":null}}".to_owned(),
        "{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}".to_owned(),
        "{\"__metadata__\":[]}".to_owned(),
        "{\"__metadata__\":\"text\"}".to_owned(),
        "{\"__metadata__\":{},\"__metadata__\":{}}".to_owned(),
        // Deeply nested brackets.
        format!("{{\"a\":{}", "[".repeat(100_000)),
        format!("{{\"a\":{}", "{\"a\":".repeat(100_000)),
        one(&good.replace("[1]", &"[".repeat(100_000))),
        format!("{{\"__metadata__\":{}", "{\"a\":".repeat(100_000)),
    ];
    for text in wrong {
        let (status, said) = refused(&text, 1);
        assert_eq!(status, TN_ERR_IO, "{text}: {said}");
        assert!(said.starts_with("f: the file "), "{said}");
    }
    // Bytes that are no UTF-8: in a name, in an ignored place.
    for bytes in [&b"{\"\xff\":{}}"[..], b"{\"__metadata__\":{\"a\":\"\xc3\"}}", b"{\xa0}", b"{}\xf0\x9f"] {
        let (status, said) = refused(bytes, 0);
        assert!(status == TN_ERR_IO && said.contains("UTF-8"), "{said}");
    }
}

#[test]
fn np_12_names_are_there_once() {
    let twice = [tensor("a", "U8", "1", 0, 1), tensor("b", "U8", "1", 1, 2), tensor("a", "U8", "1", 2, 3)];
    let (status, said) = refused(object(&twice), 3);
    assert!(status == TN_ERR_IO && said.contains("\"a\" twice"), "{said}");
    // A name written with an escape; the tensors are empty.
    let escaped = [tensor("a", "U8", "0", 0, 0), tensor("\\u0061", "U8", "0", 0, 0)];
    assert_eq!(refused(object(&escaped), 0).0, TN_ERR_IO);
    let many: Vec<String> = (0..5000).map(|i| tensor(&format!("t{i}"), "U8", "1", i, i + 1)).collect();
    assert_eq!(read(object(&many), 5000).unwrap().tensors().len(), 5000);
}

#[test]
fn np_12_bytes_are_covered_once_and_whole() {
    let a = |begin: u64, end: u64| tensor("a", "U8", &(end - begin).to_string(), begin, end);
    let b = |begin: u64, end: u64| tensor("b", "U8", &(end - begin).to_string(), begin, end);
    assert!(read(object(&[b(4, 9), a(0, 4)]), 9).is_ok());
    for (text, data, says) in [
        (object(&[a(0, 4), b(5, 9)]), 9, "a hole"),
        (object(&[a(1, 4)]), 4, "a hole"),
        (object(&[a(0, 4), b(3, 9)]), 9, "an overlap"),
        (object(&[a(0, 4), b(0, 4)]), 4, "an overlap"),
        (object(&[a(0, 9), b(2, 4)]), 9, "an overlap"),
        (object(&[a(0, 4)]), 5, "5 bytes of data"),
        (object(&[a(0, 4)]), 3, "3 bytes of data"),
        (object(&[]), 1, "1 bytes of data"),
        (object(&[tensor("a", "U8", "0", 4, 4), b(0, 4)]).replace("[4,4]", "[9,9]"), 4, "a hole"),
        (object(&[tensor("a", "U8", "4", 4, 0)]), 4, "lengths"),
        (object(&[tensor("a", "U8", "3", 0, 4)]), 4, "lengths"),
        (object(&[tensor("a", "F32", "3,2", 0, 6)]), 6, "lengths"),
        (object(&[tensor("a", "U8", "", 0, 0)]), 0, "lengths"),
        (object(&[tensor("a", "U8", "0", 0, 1)]), 1, "lengths"),
        (object(&[tensor("a", "U8", "1", u64::MAX, 0)]), 1, "lengths"),
    ] {
        let (status, said) = refused(&text, data);
        assert!(status == TN_ERR_IO && said.contains(says), "{text}: {said}");
    }
}

#[test]
fn np_12_sizes_that_overflow_and_types_that_are_lacking_are_refused() {
    for shape in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775807,2",
        "4294967296,4294967296",
        "0,9223372036854775807,9223372036854775807",
        "1152921504606846976",
    ] {
        let (status, said) = refused(object(&[tensor("large", "F64", shape, 0, 0)]), 0);
        assert!(status == TN_ERR_OVERFLOW && said.contains("large"), "{shape}: {said}");
    }
    let (status, said) = refused(object(&[tensor("deep", "U8", &vec!["1"; TN_MAX_NDIM + 1].join(","), 0, 1)]), 1);
    assert!(status == TN_ERR_OVERFLOW && said.contains("deep") && said.contains("64"), "{said}");
}

#[test]
fn np_10_element_types_that_no_array_can_have_close_no_file() {
    for dtype in ["F8_E4M3", "F8_E5M2", "F4", "C128", "u8", "", "I4", "a very long name that is no type", "ä"] {
        let text = object(&[tensor("odd", dtype, "3", 0, 2), tensor("plain", "U8", "1", 2, 3)]);
        let header = read(&text, 3).unwrap();
        let [odd, plain] = [b"odd".as_slice(), b"plain"].map(|name| *header.find(name).unwrap());
        assert_eq!((odd.dtype, header.type_name(&odd), header.name(&odd)), (None, dtype.as_bytes(), b"odd".as_slice()));
        assert_eq!((odd.bytes(), header.shape(&odd)), (2, [3i64].as_slice()));
        assert_eq!((plain.dtype.unwrap().raw(), header.type_name(&plain), plain.bytes()), (TN_U8, b"".as_slice(), 1));
        // Their bytes are part of the data all the same.
        for (begin, end) in [(0, 1), (0, 3), (1, 2), (2, 1)] {
            let text = object(&[tensor("odd", dtype, "3", begin, end), tensor("plain", "U8", "1", 2, 3)]);
            assert_eq!(refused(text, 3).0, TN_ERR_IO, "{dtype} {begin} {end}");
        }
    }
}

#[test]
fn np_10_what_other_writers_add() {
    let one = tensor("a", "U8", "1", 0, 1);
    for text in [format!(" \n{{{one}}}"), format!("{{\"__metadata__\":null,{one}}}")] {
        assert_eq!(names(&read(&text, 1).unwrap()), ["a"], "{text}");
    }
}

#[test]
fn texts_fit_and_end_where_a_character_ends() {
    let long = "ä".repeat(3000);
    for text in [
        object(&[tensor(&long, "F8_E4M3", "1", 2, 1)]),
        object(&[tensor(&long, "U8", "2", 0, 1)]),
        object(&[tensor(&long, "U8", "1", 1, 2)]),
        object(&[tensor(&long, "U8", "1", 0, 1), tensor(&long, "U8", "1", 1, 2)]),
    ] {
        let said = refused(text, 2).1;
        assert!(said.len() < 480 && said.contains("ä...\""), "{said}");
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    fn write(&self, name: &str, bytes: &[u8]) -> CString {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        CString::new(path.to_str().unwrap()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A file whose header claims a given length.
fn file(length: u64, header: &str, data: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn np_12_files_that_are_none() {
    let folder = Folder::new("safetensors");
    let open = |name: &str, bytes: &[u8]| {
        File::open(Origin::Path(&folder.write(name, bytes))).map(drop).map_err(|status| status.code())
    };
    assert_eq!(open("empty tensors", &file(2, "{}", b"")), Ok(()));
    let whole = file(60, &format!("{:60}", object(&[tensor("a", "U8", "3", 0, 3)])), b"123");
    assert_eq!(open("whole", &whole), Ok(()));
    for cut in 0..whole.len() {
        assert_eq!(open("cut", &whole[..cut]), Err(TN_ERR_IO), "{cut} bytes");
    }
    assert_eq!(open("longer", &[&whole[..], b"4"].concat()), Err(TN_ERR_IO));
    assert_eq!(open("no header", &file(0, "", b"")), Err(TN_ERR_IO));
    assert_eq!(open("beyond the file", &file(3, "{}", b"")), Err(TN_ERR_IO));
    assert_eq!(open("at the limit", &file(100_000_000, "{}", b"")), Err(TN_ERR_IO));
    assert_eq!(open("too long", &file(100_000_001, "{}", b"")), Err(TN_ERR_LIMIT));
    assert_eq!(open("far too long", &file(u64::MAX, "{}", b"")), Err(TN_ERR_LIMIT));
    let path = CString::new(folder.0.to_str().unwrap()).unwrap();
    assert_eq!(File::open(Origin::Path(&path)).map(drop).map_err(|status| status.code()), Err(TN_ERR_IO), "a folder");
    assert!(File::open(Origin::Path(c"/nowhere/at all")).is_err());
}

#[test]
fn ar_62_tensors_that_begin_anywhere_in_a_file() {
    let folder = Folder::new("safetensors-at");
    let whole = file(60, &format!("{:60}", object(&[tensor("a", "U8", "3", 0, 3)])), b"123");
    for prefix in [1u64, 4, 5000] {
        let path = folder.write("a", &[&vec![0; prefix as usize][..], &whole].concat());
        let lent = std::fs::File::open(path.to_str().unwrap()).unwrap();
        let at = |offset| File::open(Origin::Descriptor { fd: std::os::fd::AsRawFd::as_raw_fd(&lent), offset });
        let opened = at(prefix).unwrap();
        assert_eq!(opened.tensor(c"a").unwrap().bytes(), 3);
        for offset in [prefix - 1, prefix + 1, prefix + whole.len() as u64, prefix + 5000, u64::MAX] {
            assert!(at(offset).is_err(), "{offset}");
        }
    }
}
