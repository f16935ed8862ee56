//! Tests of valid and invalid headers: IO-3, IO-5 to IO-7, NP-1.

use super::*;
use std::time::{Duration, Instant};

/// The bytes of a file with this text as header, and without data.
fn file(version: u8, text: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((text.len() as u16).to_le_bytes()),
        _ => bytes.extend((text.len() as u32).to_le_bytes()),
    }
    bytes.extend(text);
    bytes
}

fn status(text: &[u8]) -> tn_status {
    parse(&file(2, text)).map_or_else(|status| status.code(), |_| TN_OK)
}

const GOOD: &[u8] = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }          \n";

#[test]
fn np_1_what_numpy_writes() {
    for version in 1..=3 {
        let header = parse(&file(version, GOOD)).unwrap();
        assert_eq!((header.dtype.raw(), header.big_endian, header.order), (TN_F64, false, Order::C));
        assert_eq!((header.shape(), header.data_bytes), (&[3, 4][..], 96));
        let prefix = if version == 1 { 10 } else { 12 };
        assert_eq!(header.data_offset, prefix + GOOD.len() as u64);
        let layout = header.layout(4096).unwrap();
        assert_eq!((layout.strides(), layout.offset()), (&[32, 8][..], 4096));
    }
}

#[test]
fn io_3_keys_in_any_order_and_free_white_space() {
    let texts: [&[u8]; 6] = [
        b"{'shape':(3,4),'fortran_order':False,'descr':'<f8'}",
        b"  { \n\t\"descr\" : \"<f8\" ,\r\n'shape':( 3 , 4 , ) , 'fortran_order' : False } \n ",
        // Python 2: longs and unicode strings.
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4L), }",
        b"{u'descr': u'<f8', u'fortran_order': False, u'shape': (3, 4)}",
        b"{'descr': '=f8', 'fortran_order': False, 'shape': (3, 4), }",
        b"{'descr': 'f8', 'fortran_order': False, 'shape': (3, 4), }",
    ];
    for text in texts {
        let header = parse(&file(1, text)).unwrap_or_else(|_| panic!("{}", text.escape_ascii()));
        assert_eq!((header.dtype.raw(), header.order, header.shape()), (TN_F64, Order::C, &[3, 4][..]));
    }
    let f = parse(&file(1, b"{'descr': '<f8', 'fortran_order': True, 'shape': (3, 4), }")).unwrap();
    assert_eq!(f.layout(0).unwrap().strides(), [8, 24]);
    let scalar = parse(&file(1, b"{'descr': '<f8', 'fortran_order': False, 'shape': (), }")).unwrap();
    assert_eq!((scalar.shape().len(), scalar.data_bytes), (0, 8));
    let empty = parse(&file(1, b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 0), }")).unwrap();
    assert_eq!((empty.shape(), empty.data_bytes), (&[3, 0][..], 0));
}

#[test]
fn io_5_element_types() {
    let of = |descr: &str| {
        let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2,), }}");
        parse(&file(1, text.as_bytes()))
            .map(|header| (header.dtype.raw(), header.big_endian))
            .map_err(|status| status.code())
    };
    let known = [
        ("b1", TN_BOOL),
        ("i1", TN_I8),
        ("u1", TN_U8),
        ("i2", TN_I16),
        ("i4", TN_I32),
        ("i8", TN_I64),
        ("u2", TN_U16),
        ("u4", TN_U32),
        ("u8", TN_U64),
        ("f2", TN_F16),
        ("f4", TN_F32),
        ("f8", TN_F64),
        ("c8", TN_C64),
        ("c16", TN_C128),
    ];
    for (name, raw) in known {
        let single = name.ends_with('1');
        let native = if single { "|" } else { "<" };
        assert_eq!(of(&format!("'{native}{name}'")), Ok((raw, false)));
        assert_eq!(of(&format!("'>{name}'")), Ok((raw, !single)));
    }
    for (sign, big) in [("", false), ("=", false), ("|", false), ("<", false), (">", true)] {
        for (name, raw) in [("f8", TN_F64), ("d", TN_F64), ("l", TN_I64), ("Q", TN_U64), ("e", TN_F16), ("D", TN_C128)]
        {
            assert_eq!(of(&format!("'{sign}{name}'")), Ok((raw, big)), "{sign}{name}");
        }
        assert_eq!(of(&format!("'{sign}?'")), Ok((TN_BOOL, false)));
        assert_eq!(of(&format!("'{sign}B'")), Ok((TN_U8, false)));
    }
    for (name, raw) in [("'bool'", TN_BOOL), ("'int32'", TN_I32), ("\"float64\"", TN_F64), ("'complex64'", TN_C64)] {
        assert_eq!(of(name), Ok((raw, false)), "{name}");
    }
    let unknown = [
        "'|O'",
        "'O8'",
        "'|S5'",
        "'<U3'",
        "'<M8[ns]'",
        "'<m8'",
        "'|V16'",
        "'<f16'",
        "'<c32'",
        "'<f1'",
        "''",
        "'<'",
        "'<<f8'",
        "'<float64'",
        "'f08'",
        "'g'",
        "'<M'",
        "'dd'",
        "'<b1 '",
        "'<f\\x38'",
        "'<f8\\''",
        "[('x', '<f4'), ('y', '<f4', (2, 2))]",
        "[('\\'', '<f4')]",
        "{'names': ['a'], 'formats': ['<f8']}",
        "('<f8', (2,))",
        "[(('title', u'name'), [('\u{e4}', '<i2')])]",
    ];
    for descr in unknown {
        assert_eq!(of(descr), Err(TN_ERR_DTYPE), "{descr}");
    }
}

#[test]
fn io_6_no_header_at_all() {
    let full = file(1, GOOD);
    for length in 0..full.len() {
        assert_eq!(parse(&full[..length]).unwrap_err().code(), TN_ERR_IO, "{length} bytes");
    }
    for (at, byte) in [(0, 0x92), (5, b'y'), (6, 4), (6, 0), (7, 1), (7, 9)] {
        let mut bytes = full.clone();
        bytes[at] = byte;
        assert_eq!(parse(&bytes).unwrap_err().code(), TN_ERR_IO, "byte {at} = {byte}");
    }
    // Version 0.9.
    let mut old = full.clone();
    old[6..8].copy_from_slice(&[0, 9]);
    assert_eq!(parse(&old).unwrap_err().code(), TN_ERR_IO);
    // A header length of 4 GiB in a short file must not make the parser read or allocate 4 GiB.
    assert_eq!(parse(b"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF{}").unwrap_err().code(), TN_ERR_IO);
}

#[test]
fn io_6_headers_that_are_no_dictionary_of_the_three_keys() {
    assert_eq!(status(GOOD), TN_OK);
    let bad: [&str; 46] = [
        "",
        " ",
        "{",
        "}",
        "{}",
        "[]",
        "()",
        "None",
        "{,}",
        "{'descr'}",
        "{'descr':}",
        "'descr'",
        // A key that is missing, duplicate, unknown, or not a string.
        "{'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8', 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False}",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'fortran_order': True, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'more': 1}",
        "{'descr': '<f8', 'fortran_order': False, 'SHAPE': (3,)}",
        "{descr: '<f8', 'fortran_order': False, 'shape': (3,)}",
        "{1: '<f8', 'fortran_order': False, 'shape': (3,)}",
        // Text before or after the dictionary, a comma too many or too few, a missing end.
        "x{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)} x",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}\0",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,),, }",
        "{'descr': '<f8' 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)",
        "{'descr': '<f8, 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8\n', 'fortran_order': False, 'shape': (3,)}",
        // Values of a wrong type.
        "{'descr': 8, 'fortran_order': False, 'shape': (3,)}",
        "{'descr': [(], 'fortran_order': False, 'shape': (3,)}",
        "{'descr': ['x', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': Falsely, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': 'False', 'shape': (3,)}",
        // Shapes that are not tuples of non-negative whole numbers.
        "{'descr': '<f8', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': [3]}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3 4)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3.0,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3, -99999999999999999999)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': ('3',)}",
    ];
    for text in bad {
        assert_eq!(status(text.as_bytes()), TN_ERR_IO, "{text}");
    }
    for text in ["03", "0x3", "1e3", "True", "3l4", "+3", "(3,)", "--3", "-"] {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({text},)}}");
        assert_eq!(status(text.as_bytes()), TN_ERR_IO, "{text}");
    }
}

#[test]
fn np_1_version_3_is_utf_8_and_the_others_latin_1() {
    let text = b"{'descr': [('\xE4', '<f8')], 'fortran_order': False, 'shape': (3,)}";
    for (version, wanted) in [(1, TN_ERR_DTYPE), (2, TN_ERR_DTYPE), (3, TN_ERR_IO)] {
        assert_eq!(parse(&file(version, text)).unwrap_err().code(), wanted);
    }
}

#[test]
fn io_7_limits() {
    let shape = |shape: &str, descr: &str| {
        status(format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}").as_bytes())
    };
    assert_eq!(shape(&"1, ".repeat(64), "<f8"), TN_OK);
    assert_eq!(shape(&"1, ".repeat(65), "<f8"), TN_ERR_OVERFLOW);
    assert_eq!(shape(&"1, ".repeat(20_000), "<f8"), TN_ERR_OVERFLOW);
    // 2^63 - 1 bytes fit, 2^63 bytes do not. The length 10^30 alone does not fit in 64 bits.
    assert_eq!(shape("9223372036854775807,", "|u1"), TN_OK);
    assert_eq!(shape("9223372036854775808,", "|u1"), TN_ERR_OVERFLOW);
    assert_eq!(shape("1152921504606846976,", "<f8"), TN_ERR_OVERFLOW);
    assert_eq!(shape("4294967296, 4294967296", "|u1"), TN_ERR_OVERFLOW);
    assert_eq!(shape("0, 4294967296, 4294967296", "|u1"), TN_ERR_OVERFLOW);
    assert_eq!(shape(&"9".repeat(60_000), "|u1"), TN_ERR_IO);
    assert_eq!(shape(&("9".repeat(60_000) + ","), "|u1"), TN_ERR_OVERFLOW);
    // In the order of checks DTYPE comes before OVERFLOW.
    assert_eq!(shape(&"1, ".repeat(65), "|O"), TN_ERR_DTYPE);
}

#[test]
fn io_7_brackets_are_bounded_and_need_no_stack() {
    for bracket in ["(", "[", "{", "('x',[", "{'a':("] {
        let each = bracket.bytes().filter(|byte| b"([{".contains(byte)).count();
        for n in [1, 15, 33, 1000, 64 << 10] {
            let open = bracket.repeat(n);
            // Brackets that are never closed are a damaged header. From the 33rd on they are too deep.
            let wanted = if n * each > crate::exchange::npy::error::MAX_DEPTH { TN_ERR_LIMIT } else { TN_ERR_IO };
            assert_eq!(status(format!("{{'descr': {open}").as_bytes()), wanted, "{n} x {bracket}");
            assert_eq!(status(format!("{{'shape': {open}").as_bytes()), TN_ERR_IO);
            assert_eq!(status(open.as_bytes()), TN_ERR_IO);
        }
    }
    // 32 nested brackets that are closed are a structured type, 33 are too deep.
    let nested = |depth: usize| {
        format!("{{'descr': {}{}, 'fortran_order': False, 'shape': ()}}", "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(status(nested(32).as_bytes()), TN_ERR_DTYPE);
    assert_eq!(status(nested(33).as_bytes()), TN_ERR_LIMIT);
}

#[test]
fn io_7_time_is_linear() {
    // Each text has 16 MiB: quadratic time would take hours.
    let size = 16 << 20;
    let good = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)";
    let texts = [
        " ".repeat(size),
        "[".repeat(size),
        format!("{good}{}}}", " ".repeat(size)),
        format!("{{'descr': '{}", "\\'".repeat(size / 2)),
        format!("{{'descr': [{}", "'',".repeat(size / 3)),
        format!("{{'descr': [{}], 'fortran_order': False, 'shape': (3,)}}", "()".repeat(size / 2)),
        format!("{{'shape': ({}), 'fortran_order': False, 'descr': '<f8'}}", "1,".repeat(size / 2)),
        format!("{{'shape': ({},), 'fortran_order': False, 'descr': '<f8'}}", "1".repeat(size)),
        format!("{{'{}", "x".repeat(size)),
    ];
    for text in texts {
        let start = Instant::now();
        let _ = parse(&file(2, text.as_bytes()));
        let _ = parse(&file(3, text.as_bytes()));
        assert!(start.elapsed() < Duration::from_secs(600), "{}...: {:?}", &text[..20], start.elapsed());
    }
}

#[test]
fn io_7_np_13_mutated_headers_are_statuses() {
    let seeds: [&[u8]; 4] = [
        GOOD,
        b"{'shape': (3L, 1797, 0), 'fortran_order': True, 'descr': '>c16'}",
        b"{'descr': [('a', '<f8', (2, 2)), ('b\\'', [('c', '|S3')])], 'fortran_order': False, 'shape': (), }",
        b"{'descr': \"|b1\", 'fortran_order': False, 'shape': (9223372036854775807, 1), }",
    ];
    // Bytes that mean something, so that mutations reach deep.
    let words: [&[u8]; 18] = [
        b"'",
        b"\"",
        b"(",
        b")",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"-",
        b"\\",
        b"u",
        b"True",
        b"99999999999",
        b"'shape'",
        b"\0",
        b"\xFF",
    ];
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut below = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % end.max(1)
    };
    let mut counts = std::collections::BTreeMap::new();
    for round in 0..100_000 {
        // Mostly the text alone, so that the header's length stays right and its text is read; else the framed bytes.
        let (version, seed, framed) = (1 + (round % 3) as u8, seeds[round / 3 % seeds.len()], round % 8 == 0);
        let mut bytes = if framed { file(version, seed) } else { seed.to_vec() };
        for _ in 0..1 + below(4) {
            let at = below(bytes.len());
            match below(5) {
                0 => bytes[at] = below(256) as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                3 => drop(bytes.splice(at..at, words[below(words.len())].iter().copied())),
                _ => {
                    let end = at + below(bytes.len() - at);
                    let part = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, part));
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        // Exactly as long as it is: a read past the end would be a panic here.
        let bytes = if framed { bytes } else { file(version, &bytes) }.into_boxed_slice();
        match parse(&bytes) {
            Err(status) => *counts.entry(status.code()).or_insert(0) += 1,
            Ok(header) => {
                *counts.entry(TN_OK).or_insert(0) += 1;
                assert!(header.data_offset <= bytes.len() as u64 && header.shape().len() <= TN_MAX_NDIM);
                assert_eq!(header.layout(0).unwrap().bytes() as u64, header.data_bytes);
            }
        }
    }
    // Every kind of answer was reached, and there is no other.
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [TN_OK, TN_ERR_DTYPE, TN_ERR_IO, TN_ERR_OVERFLOW]);
    assert!(counts.values().all(|&count| count > 100), "{counts:?}");
}
