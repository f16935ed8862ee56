//! The tables of docs/borrowing.md that have devices, from what happens, as in `borrowing.rs`; and its tables of
//! situations on a GPU.

use crate::support;
use support::capi::{HOST, info, release, shared_release, text, unique};
use support::crossings::*;
use support::cuda::device;
use support::tables;
use tenure::types::*;
use tenure_harness::{skip, test};

/// The devices that the tables have.
struct Places {
    host: Place,
    gpu: Place,
    page_locked: Place,
    managed: Place,
}

impl Places {
    fn new() -> Places {
        Places {
            host: Place::of("the host", HOST),
            gpu: Place::of("a GPU", tn_device { r#type: TN_CUDA, id: 0 }),
            page_locked: Place::of("page-locked memory", tn_device { r#type: TN_CUDA_HOST, id: 0 }),
            managed: Place::of("managed memory", tn_device { r#type: TN_CUDA_MANAGED, id: 0 }),
        }
    }

    fn all(&self) -> [&Place; 4] {
        [&self.host, &self.gpu, &self.page_locked, &self.managed]
    }

    /// Pairs of devices: that of a value, and that of what it crosses into.
    fn pairs(&self) -> Vec<(&Place, &Place)> {
        let [host, gpu, page_locked, managed] = self.all();
        let others = [gpu, page_locked, managed];
        let own = self.all().map(|place| (place, place));
        own.into_iter().chain(others.map(|place| (host, place))).chain(others.map(|place| (place, host))).collect()
    }

    fn name_of(&self, device: tn_device) -> &'static str {
        let at = self.all().into_iter().find(|place| place.device.r#type == device.r#type);
        at.expect("one of the devices").name
    }
}

/// SV-21, SV-22, SV-23, SV-24, SV-26.
#[test]
fn reading_by_device() {
    let _gpu = device();
    let places = Places::new();
    let flags = [0, TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_RAW | TN_BORROW];
    let rows: Vec<Vec<String>> = places
        .pairs()
        .into_iter()
        .map(|(home, device)| {
            let value = home.numbers(&SHAPE);
            let (variable, _) = store_on(device.device, value, 0).unwrap();
            let kept = peek(variable);
            let (raw, how) = get(variable, TN_RAW | TN_REQUIRE_BORROW).unwrap();
            assert_eq!((cell(&Ok(how)).as_str(), address(raw)), ("alias", address(kept)));
            assert_eq!(can_write(device, raw), Err(TN_ERR_SHARED));
            release(raw).unwrap();
            let mut row = vec![device.name.to_owned(), home.name.to_owned()];
            row.extend(flags.map(|flags| match get(variable, flags) {
                Ok((read, how)) => {
                    assert_eq!(elements(read), elements(value));
                    assert_eq!(address(read) == address(kept), how.how == TN_ALIASED);
                    let place = places.name_of(info(read).device);
                    assert!(how.how == TN_COPIED || place == device.name, "an alias stays where it is");
                    release(read).unwrap();
                    cell(&Ok(how)) + &if how.how == TN_COPIED { format!(" to {place}") } else { String::new() }
                }
                Err(status) => cell(&Err(status)),
            }));
            [value, kept].into_iter().for_each(|array| release(array).unwrap());
            shared_release(variable).unwrap();
            row
        })
        .collect();
    let head = "| device | home | no flag | TN_BORROW | TN_REQUIRE_BORROW | TN_RAW | TN_RAW with TN_BORROW |";
    tables::check(head, &rows);
}

#[test]
fn storing_by_device() {
    let _gpu = device();
    let places = Places::new();
    let rows: Vec<Vec<String>> = places
        .pairs()
        .into_iter()
        .map(|(from, to)| {
            let mut row = vec![from.name.to_owned(), to.name.to_owned()];
            row.extend(STORING.map(|flags| {
                let value = from.numbers(&SHAPE);
                let (at, contents) = (address(value), elements(value));
                let outcome = store_on(to.device, value, flags).map(|(variable, how)| {
                    let kept = peek(variable);
                    assert_eq!(info(kept).device.r#type, to.device.r#type);
                    assert_eq!(elements(kept), contents);
                    assert_eq!(address(kept) == at, how.how == TN_ALIASED);
                    release(kept).unwrap();
                    shared_release(variable).unwrap();
                    how
                });
                release(value).unwrap();
                cell(&outcome)
            }));
            row
        })
        .collect();
    tables::check(
        "| the value is on | the variable is on | no flag | TN_BORROW | TN_REQUIRE_BORROW | TN_TAKE_OWNERSHIP |",
        &rows,
    );
}

/// SV-21: two GPUs are as far apart as a GPU and the host.
#[test]
fn another_gpu_is_another_device() {
    let _gpu = device();
    let mut n_gpus = 0;
    // SAFETY: a writable output.
    ok(unsafe { tenure::ffi::device::tn_device_count(TN_CUDA, &mut n_gpus) });
    if n_gpus < 2 {
        skip("this needs two GPUs");
    }
    let [first, second] = [0, 1].map(|id| Place::of("a GPU", tn_device { r#type: TN_CUDA, id }));
    let value = first.numbers(&SHAPE);
    let (variable, how) = store_on(on(&second), value, TN_BORROW).unwrap();
    assert_eq!(cell(&Ok(how)), "copy (DEVICE)");
    let columns =
        [(0, 0, "copy"), (TN_BORROW, 0, "copy (DEVICE)"), (TN_RAW, 1, "copy"), (TN_RAW | TN_BORROW, 1, "alias")];
    for (flags, id, expected) in columns {
        let (read, how) = get(variable, flags).unwrap();
        assert_eq!((cell(&Ok(how)).as_str(), info(read).device.id), (expected, id));
        assert_eq!(elements(read), elements(value));
        release(read).unwrap();
    }
    assert_eq!(get(variable, TN_REQUIRE_BORROW).err(), Some(TN_ERR_WOULD_COPY));
    release(value).unwrap();
    shared_release(variable).unwrap();
}

/// The situations of a value decide on every device as they do on the host.
#[test]
fn situations_on_devices() {
    let _gpu = device();
    let places = Places::new();
    let (stored, passed) = (storing(&places.host), passing(&places.host));
    for place in places.all() {
        for (here, on_host) in [(storing(place), &stored), (passing(place), &passed)] {
            let is_known = |row: &Vec<String>| on_host.contains(row);
            assert!(here.iter().all(is_known), "{}: {here:#?}", place.name);
            // GPU memory has no exports, imports and expressions.
            assert!(here.len() >= on_host.len() - 6, "{}: {here:#?}", place.name);
        }
    }
}

/// Declares an input or output on a device.
fn on(place: &Place) -> tn_device {
    tn_device { r#type: place.device.r#type, id: place.device.id }
}

/// FN-11, FN-12, SV-6.
#[test]
fn arguments_by_device() {
    let _gpu = device();
    let places = Places::new();
    let flags = [0, TN_REQUIRE_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_RAW, TN_STRICT];
    // Flags that give what those of a column give.
    let alike = [
        (TN_BORROW, 0),
        (TN_MAY_OVERWRITE | TN_REQUIRE_BORROW, 1),
        (TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW, 1),
        (TN_RAW | TN_REQUIRE_BORROW, 4),
        (TN_RAW | TN_MAY_OVERWRITE, 4),
    ];
    let cells = |from: &Place, to: &Place| {
        let cell = |flags| {
            let make = || Situation::of(from.numbers(&SHAPE), || ());
            passed(&make, tn_in { device: on(to), ..input(flags) }, &[])
        };
        let cells = flags.map(cell);
        for (flags, column) in alike {
            assert_eq!(cell(flags), cells[column], "{} to {}, flags {flags:#x}", from.name, to.name);
        }
        cells
    };
    let of_pair = |(from, to): (&Place, &Place)| {
        [vec![from.name.to_owned(), to.name.to_owned()], cells(from, to).to_vec()].concat()
    };
    let rows: Vec<Vec<String>> = places.pairs().into_iter().map(of_pair).collect();
    for from in [&places.page_locked, &places.managed] {
        assert_eq!(cells(from, &places.gpu), cells(&places.host, &places.gpu), "{} is another device", from.name);
    }
    let head = "| the argument is on | declared | no flag, TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP | TN_RAW | TN_STRICT |";
    tables::check(head, &rows);
}

/// FN-15, FN-22.
#[test]
fn outputs_by_device() {
    let _gpu = device();
    let places = Places::new();
    let cells = |from: &Place, to: &Place| {
        let cells = [0, TN_BORROW, TN_REQUIRE_BORROW, TN_RAW].map(|flags| left_on(from, on(to), flags));
        for flags in [TN_RAW | TN_BORROW, TN_RAW | TN_REQUIRE_BORROW] {
            assert_eq!(left_on(from, on(to), flags), cells[3], "{} to {}, flags {flags:#x}", from.name, to.name);
        }
        cells
    };
    let of_pair = |(from, to): (&Place, &Place)| {
        [vec![from.name.to_owned(), to.name.to_owned()], cells(from, to).to_vec()].concat()
    };
    let rows: Vec<Vec<String>> = places.pairs().into_iter().map(of_pair).collect();
    for from in [&places.page_locked, &places.managed] {
        assert_eq!(cells(from, &places.gpu), cells(&places.host, &places.gpu), "{} is another device", from.name);
    }
    let any = tn_device { r#type: 0, id: 0 };
    for (place, flags) in places.all().into_iter().flat_map(|place| [(place, 0), (place, TN_REQUIRE_BORROW)]) {
        assert_eq!(left_on(place, any, flags), "alias", "{}", place.name);
    }
    tables::check("| the body leaves it on | declared | no flag | TN_BORROW | TN_REQUIRE_BORROW | TN_RAW |", &rows);
}

/// One call whose body leaves an output on a device; it is declared with a device and flags.
fn left_on(from: &Place, declared: tn_device, flags: u32) -> String {
    let declaration = tn_out { device: declared, ..output(flags) };
    let mut at = 0;
    let called = {
        let function = Function::new(&[], &[declaration], &[], |_, out, _| {
            out[0] = from.numbers(&SHAPE);
            at = address(out[0]);
            TN_OK
        });
        function.call(&[], 1)
    };
    let outcome = called.map(|(out, _, how)| {
        let stays = flags & TN_RAW != 0 || declared.r#type == 0;
        assert_eq!(info(out[0]).device.r#type, if stays { from.device.r#type } else { declared.r#type });
        assert_eq!(elements(out[0])[1], 1.0);
        assert_eq!(address(out[0]) == at, how[0].how == TN_ALIASED);
        assert!(flags != 0 || unique(out[0]), "without flags the caller is the only holder");
        release(out[0]).unwrap();
        how[0]
    });
    assert!(outcome.is_ok() || text().contains("out[0]"), "{}", text());
    cell(&outcome)
}
