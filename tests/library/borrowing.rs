//! The tables of docs/borrowing.md, from what happens: each cell is a call that is made, whose report is checked
//! against addresses, contents and holders, and then compared with the page. `cargo xtask borrowing` writes the page.
//! The tables of GPUs are in `cuda_borrowing.rs`. `c-tests/{shared,function*}.c` have what no table shows: misuse, what
//! bodies leave behind, spare buffers, failed allocations and threads.

use crate::support;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null;
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::capi::{
    self, Handle, clone, delete_dlpack, export_dlpack, info, release, shared_info, shared_release, shared_set,
    shared_update, slice, text, transpose, unique,
};
use support::crossings::*;
use support::tables;
use tenure::ffi::expr;
use tenure::types::*;
use tenure_harness::test;

/// Copies are counted for the whole process.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SV-2, SV-7, SV-13, SV-14, SV-15, SV-16, SV-17.
#[test]
fn creating_and_setting() {
    let _turn = turn();
    let host = Place::host();
    tables::check(STORING_HEAD, &storing(&host));
}

#[test]
fn a_variable_is_set_to_its_own_value() {
    let _turn = turn();
    assert!(check_storing_own(&Place::host()) >= 100);
}

/// SV-20, SV-21, SV-22, SV-23 on the host.
#[test]
fn reading() {
    let _turn = turn();
    let host = Place::host();
    let flags = [0, TN_BORROW, TN_RAW, TN_RAW | TN_BORROW];
    let rows: Vec<Vec<String>> = VALUES[..4]
        .iter()
        .map(|(name, make)| {
            let value = Situation::of(make(&host).unwrap(), || ());
            let variable = store(value.value, TN_REQUIRE_BORROW, null()).unwrap().0;
            for flags in [TN_REQUIRE_BORROW, TN_REQUIRE_BORROW | TN_RAW] {
                let (read, how) = get(variable, flags).unwrap();
                assert_eq!((cell(&Ok(how)).as_str(), address(read)), ("alias", address(value.value)));
                release(read).unwrap();
            }
            let mut row = vec![(*name).to_owned()];
            row.extend(flags.iter().map(|flags| {
                let (read, how) = get(variable, *flags).unwrap();
                assert_eq!(elements(read), elements(value.value));
                assert_eq!(address(read) == address(value.value), how.how == TN_ALIASED);
                assert_eq!(can_write(&host, read), if how.how == TN_ALIASED { Err(TN_ERR_SHARED) } else { Ok(()) });
                let (seen, flags) = (info(read), info(read).flags);
                release(read).unwrap();
                if how.how == TN_ALIASED {
                    assert_eq!(seen.strides[..2], info(value.value).strides[..2]);
                    return cell(&Ok(how));
                }
                assert!(flags & (TN_C_CONTIGUOUS | TN_F_CONTIGUOUS) != 0, "a copy has no gaps");
                cell(&Ok(how)) + if flags & TN_C_CONTIGUOUS != 0 { " in C order" } else { " in F order" }
            }));
            shared_release(variable).unwrap();
            row
        })
        .collect();
    tables::check("| the value is | no flag | TN_BORROW | TN_RAW | TN_RAW with TN_BORROW |", &rows);
}

/// FN-11, FN-12, SV-6, and SV-4: an argument that is a variable's value stays as it is.
#[test]
fn arguments() {
    let _turn = turn();
    let host = Place::host();
    let mut rows = passing(&host);
    // Two rows that need the function's own variable.
    let of_variable = |name: &str, in_place: bool| {
        let mut row = vec![name.to_owned()];
        for flags in ARGUMENTS {
            let variable = variable(&host);
            let make = || Situation::of(peek(variable), || ());
            let updates = if in_place { vec![update(variable, TN_MAY_OVERWRITE)] } else { Vec::new() };
            let cell = passed(&make, input(flags), &updates);
            // The second of the two calls fails.
            let is_called = cell == "alias" || cell.starts_with("copy");
            assert_eq!(shared_info(variable).version, if in_place && is_called { 2 } else { 1 });
            row.push(cell);
            shared_release(variable).unwrap();
        }
        row
    };
    rows.push(of_variable("an array that `get` with TN_BORROW returned", false));
    rows.push(of_variable("such an array, of a variable that the call updates", true));
    let head = "| the argument is | no flag, TN_BORROW | TN_STRICT | TN_MAY_OVERWRITE | with TN_REQUIRE_BORROW | TN_TAKE_OWNERSHIP |";
    tables::check(head, &rows);
}

/// What a body leaves as an output.
#[derive(Clone, Copy, PartialEq)]
enum Left {
    New,
    Spare,
    /// An argument with these flags.
    Argument(u32),
    /// An argument with these flags that has another holder, so that the body got a copy if it may write.
    HeldArgument(u32),
    /// A default value, of an input with these flags.
    Default(u32),
    /// The value of a variable, as an implicit input with these flags.
    Value(u32),
    OldValue(u32),
    NewValue,
    Twice,
}

/// How a body leaves an array that it got: by that handle, or by another one.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Clone,
    Itself,
    View,
    /// The variable's value, which the body reads from the variable.
    Read,
}

/// FN-16, FN-22, SV-1, SV-3, SV-4.
#[test]
fn outputs() {
    let _turn = turn();
    let host = Place::host();
    let cases = [
        ("a new array", Left::New),
        ("the spare buffer that it found there (TN_REUSE)", Left::Spare),
        ("an argument, or a part of one", Left::Argument(0)),
        ("an argument with TN_BORROW", Left::Argument(TN_BORROW)),
        ("an argument with TN_MAY_OVERWRITE", Left::Argument(TN_MAY_OVERWRITE)),
        ("an argument with TN_MAY_OVERWRITE, of which it got a copy", Left::HeldArgument(TN_MAY_OVERWRITE)),
        ("an argument with TN_TAKE_OWNERSHIP", Left::Argument(TN_TAKE_OWNERSHIP)),
        ("a default value", Left::Default(0)),
        ("the value of a variable", Left::Value(0)),
        ("the old value of a variable that the call updates", Left::OldValue(0)),
        ("the new value of a variable that the call updates", Left::NewValue),
        ("what it leaves as an earlier output too", Left::Twice),
    ];
    let rows: Vec<Vec<String>> = cases
        .iter()
        .map(|(name, left)| {
            let mut row = vec![(*name).to_owned()];
            row.extend([0, TN_BORROW, TN_REQUIRE_BORROW].map(|flags| {
                let cell = produced(&host, *left, flags, By::Clone, TN_OK);
                for by in [By::Itself, By::View] {
                    assert_eq!(produced(&host, *left, flags, by, TN_OK), cell, "{name}, flags {flags:#x}");
                }
                assert_eq!(produced(&host, *left, flags, By::Clone, TN_ERR_IO), "IO", "{name}, flags {flags:#x}");
                let raw = produced(&host, *left, flags | TN_RAW, By::Clone, TN_OK);
                assert_eq!(raw, cell, "{name}, flags {flags:#x}: on one device TN_RAW changes nothing");
                cell
            }));
            row
        })
        .collect();
    tables::check("| the body leaves | no flag | TN_BORROW | TN_REQUIRE_BORROW |", &rows);
    let alike = [
        (Left::Argument(TN_BORROW), Left::Argument(TN_REQUIRE_BORROW), By::Clone),
        (Left::Argument(TN_BORROW), Left::HeldArgument(TN_BORROW), By::Clone),
        (Left::HeldArgument(TN_MAY_OVERWRITE), Left::HeldArgument(TN_TAKE_OWNERSHIP), By::Itself),
        (Left::Default(0), Left::Default(TN_BORROW), By::Clone),
        (Left::Default(0), Left::Default(TN_MAY_OVERWRITE), By::Clone),
        (Left::Value(0), Left::Value(TN_BORROW), By::Clone),
        (Left::Value(0), Left::Value(0), By::Read),
        (Left::OldValue(0), Left::OldValue(TN_BORROW), By::Clone),
        (Left::OldValue(0), Left::OldValue(0), By::Read),
    ];
    for (at, (left, other, by)) in alike.into_iter().enumerate() {
        for flags in [0, TN_BORROW, TN_REQUIRE_BORROW] {
            let cell = produced(&host, left, flags, By::Clone, TN_OK);
            assert_eq!(produced(&host, other, flags, by, TN_OK), cell, "pair {at}, flags {flags:#x}");
        }
    }
}

/// One call whose body leaves this array as an output with these flags, and answers this. A failure changes nothing. An
/// output outlives what follows: another call, and a set of the variable (SV-4, FN-22).
fn produced(host: &Place, left: Left, flags: u32, by: By, answer: tn_status) -> String {
    let (value, variable) = (host.numbers(&SHAPE), variable(host));
    let second_holder = matches!(left, Left::HeldArgument(_)).then(|| clone(value).unwrap());
    let inputs = match left {
        Left::Argument(flags) | Left::HeldArgument(flags) => vec![input(flags)],
        Left::Default(flags) => vec![tn_in { default_value: value as *mut _, ..input(flags) }],
        Left::Value(flags) | Left::OldValue(flags) => vec![tn_in { shared: variable as *mut _, ..input(flags) }],
        _ => Vec::new(),
    };
    let arguments = |argument: Handle| match left {
        Left::Argument(_) | Left::HeldArgument(_) => vec![argument],
        Left::Default(_) => vec![0],
        _ => Vec::new(),
    };
    let updates =
        if matches!(left, Left::OldValue(_) | Left::NewValue) { vec![update(variable, 0)] } else { Vec::new() };
    let n_out = if left == Left::Twice { 2 } else { 1 };
    let flags_of_function = if left == Left::Spare { flags | TN_REUSE } else { flags };
    let (at, was_offered) = (Cell::new(0), Cell::new(false));
    let function = Function::new(&inputs, &vec![output(flags_of_function); n_out], &updates, |inputs, out, update| {
        was_offered.set(out[0] != 0);
        let array = match inputs {
            _ if out[0] != 0 => out[0],
            [] => host.numbers(&SHAPE),
            [input] => match by {
                By::Clone => clone(*input).unwrap(),
                By::Itself => *input,
                By::View => slice(*input, 0, TN_NONE, 1).unwrap(),
                By::Read => peek(variable),
            },
            _ => unreachable!("one input at most"),
        };
        at.set(address(array));
        let another = || if by == By::Itself { array } else { clone(array).unwrap() };
        match left {
            Left::OldValue(_) => update[0] = host.numbers(&SHAPE),
            Left::NewValue => update[0] = another(),
            Left::Twice => out[1] = another(),
            _ => {}
        }
        out[0] = array;
        answer
    });
    let mut called = function.call(&arguments(value), n_out);
    if left == Left::Spare && answer == TN_OK {
        for _ in 0..2 {
            called.unwrap().0.into_iter().for_each(|out| release(out).unwrap());
            called = function.call(&arguments(value), n_out);
        }
        assert!(was_offered.get());
    }
    let text = match called {
        Ok((out, _, how)) => {
            let (out_of_interest, how) = (out[n_out - 1], how[n_out - 1]);
            assert_eq!(address(out_of_interest) == at.get(), how.how == TN_ALIASED);
            let numbers: Vec<f64> = (0..SHAPE[0] * SHAPE[1]).map(|i| i as f64).collect();
            assert_eq!(elements(out_of_interest), numbers);
            let is_writable = can_write(host, out_of_interest).is_ok();
            assert!(
                flags != 0 || unique(out_of_interest) && is_writable,
                "without flags the caller is the only holder"
            );
            let (other, before) = (host.numbers(&SHAPE), capi::try_info(value).is_ok());
            if flags == 0 {
                fill(out_of_interest, -1.0).unwrap();
                assert!(!before || elements(value) == numbers, "the argument is unchanged");
            }
            let now = elements(out_of_interest);
            let again = function.call(&arguments(other), n_out).unwrap().0;
            again.into_iter().for_each(|out| release(out).unwrap());
            assert_eq!(shared_info(variable).version, if updates.is_empty() { 1 } else { 3 });
            let unchanged = peek(variable);
            assert_eq!(elements(unchanged), numbers, "the output is not the variable's value");
            release(unchanged).unwrap();
            let zeros = host.numbers(&SHAPE);
            fill(zeros, 0.0).unwrap();
            shared_set(variable, zeros, 0).unwrap();
            assert_eq!(elements(out_of_interest), now);
            [other, zeros].into_iter().for_each(|array| release(array).unwrap());
            out.into_iter().for_each(|out| release(out).unwrap());
            cell(&Ok(how)) + if is_writable { "" } else { ", read-only" }
        }
        Err(status) => {
            let kept = peek(variable);
            assert_eq!(elements(kept), elements(value));
            assert!(shared_info(variable).version == 1 && text().contains("out[0]") | (status == answer));
            release(kept).unwrap();
            cell(&Err(status))
        }
    };
    drop(function);
    assert!(second_holder.is_none_or(|holder| elements(holder)[1] == 1.0), "another holder keeps its value");
    [Some(value), second_holder].into_iter().flatten().for_each(|handle| release(handle).unwrap());
    shared_release(variable).unwrap();
    text
}

/// What a body leaves as the new value of a variable.
#[derive(Clone, Copy, PartialEq)]
enum Update {
    New,
    InPlace,
    /// In place, while the program holds the old value.
    CopyOfHeld,
    Spare,
    OwnView,
    OtherVariable,
    Exchange,
    Argument(u32),
    /// An argument with TN_TAKE_OWNERSHIP that another holder needs, so that the body got a copy.
    CopiedArgument,
    Output(u32),
    Twice,
    Exported,
    Nothing,
}

/// FN-31, FN-32, FN-33, SV-2.
#[test]
fn updates() {
    let _turn = turn();
    let host = Place::host();
    let cases = [
        ("a new array", Update::New),
        ("the value that it found there (TN_MAY_OVERWRITE)", Update::InPlace),
        ("what it found there while the program holds the value: a copy", Update::CopyOfHeld),
        ("the spare buffer that it found there (TN_REUSE)", Update::Spare),
        ("a view of the old value, such as the transposed one", Update::OwnView),
        ("the value of another variable, which keeps it", Update::OtherVariable),
        ("the value of another variable, which gets the value of this one", Update::Exchange),
        ("an argument", Update::Argument(TN_BORROW)),
        ("an argument with TN_TAKE_OWNERSHIP, no other holder", Update::Argument(TN_TAKE_OWNERSHIP)),
        ("what it leaves as an output without flags too", Update::Output(0)),
        ("what it leaves as an output with TN_BORROW too", Update::Output(TN_BORROW)),
        ("what it leaves for an earlier update too", Update::Twice),
        ("an array that it exported as a shared view", Update::Exported),
        ("nothing: NULL", Update::Nothing),
    ];
    let rows: Vec<Vec<String>> =
        cases.iter().map(|(name, left)| vec![(*name).to_owned(), updated(&host, *left).to_owned()]).collect();
    tables::check("| the body leaves | the new value |", &rows);
    for flags in [0, TN_MAY_OVERWRITE, TN_REQUIRE_BORROW] {
        assert_eq!(updated(&host, Update::Argument(flags)), "copy", "flags {flags:#x}");
    }
    for left in [Update::Argument(TN_TAKE_OWNERSHIP | TN_REQUIRE_BORROW), Update::CopiedArgument] {
        assert_eq!(updated(&host, left), "alias");
    }
}

/// One call whose body leaves this array as the new value of a variable.
fn updated(host: &Place, left: Update) -> &'static str {
    let (value, first, second) = (host.numbers(&SHAPE), variable(host), variable(host));
    let implicit = |variable: Handle| tn_in { shared: variable as *mut _, ..input(0) };
    let inputs = match left {
        Update::OwnView => vec![implicit(first)],
        Update::OtherVariable => vec![implicit(second)],
        Update::Exchange => vec![implicit(second), implicit(first)],
        Update::Argument(flags) => vec![input(flags)],
        Update::CopiedArgument => vec![input(TN_TAKE_OWNERSHIP)],
        _ => Vec::new(),
    };
    let second_holder = (left == Update::CopiedArgument).then(|| clone(value).unwrap());
    let arguments = if matches!(left, Update::Argument(_) | Update::CopiedArgument) { vec![value] } else { Vec::new() };
    let outputs = if let Update::Output(flags) = left { vec![output(flags)] } else { Vec::new() };
    let flags = match left {
        Update::InPlace | Update::CopyOfHeld => TN_MAY_OVERWRITE,
        Update::Spare => TN_REUSE,
        _ => 0,
    };
    let updates = match left {
        Update::Exchange => vec![update(first, 0), update(second, 0)],
        Update::Twice => vec![update(second, 0), update(first, 0)], // the variable of interest comes later
        _ => vec![update(first, flags)],
    };
    let (old_at, at, tensor) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let note_value = || {
        let value = peek(first);
        old_at.set(address(value));
        value
    };
    let held = note_value();
    let held = if left == Update::CopyOfHeld { Some(held) } else { release(held).map(|()| None).unwrap() };
    let function = Function::new(&inputs, &outputs, &updates, |inputs, out, update| {
        let array = match left {
            Update::New | Update::Output(_) | Update::Twice | Update::Exported => host.numbers(&SHAPE),
            Update::InPlace | Update::CopyOfHeld => update[0],
            Update::Spare if update[0] != 0 => update[0],
            Update::Spare => host.numbers(&SHAPE),
            Update::OwnView => transpose(inputs[0]).unwrap(),
            Update::OtherVariable | Update::Exchange | Update::Argument(_) | Update::CopiedArgument => {
                clone(inputs[0]).unwrap()
            }
            Update::Nothing => return TN_OK,
        };
        at.set(address(array));
        update[0] = array;
        match left {
            Update::Exchange => update[1] = clone(inputs[1]).unwrap(),
            Update::Twice => update[1] = clone(array).unwrap(),
            Update::Output(_) => out[0] = clone(array).unwrap(),
            Update::Exported => tensor.set(export_dlpack(array, TN_BORROW | TN_EXPORT_WRITABLE).unwrap()),
            _ => {}
        }
        TN_OK
    });
    let calls = if left == Update::Spare { 3 } else { 1 };
    for _ in 0..calls {
        release(note_value()).unwrap();
        let out = function.call(&arguments, outputs.len()).unwrap().0;
        out.into_iter().for_each(|out| release(out).unwrap());
    }
    let new = peek(first);
    let text = match address(new) {
        _ if left == Update::Nothing => "the old one",
        now if now == at.get() => "alias",
        _ => "copy",
    };
    assert_eq!(address(new) == old_at.get(), matches!(left, Update::InPlace | Update::OwnView | Update::Nothing));
    assert_eq!(shared_info(first).version, if left == Update::Nothing { 1 } else { 1 + calls });
    assert_eq!(can_write(host, new), Err(TN_ERR_SHARED));
    if let Update::Argument(flags) = left {
        let taken = flags & TN_TAKE_OWNERSHIP != 0;
        assert_eq!(capi::try_info(value).err(), taken.then_some(TN_ERR_DESTRUCTED));
        assert!(taken || unique(value) && can_write(host, value).is_ok(), "the caller's array is the caller's");
    }
    drop(function);
    [Some(value), Some(new), held, second_holder].into_iter().flatten().for_each(|handle| release(handle).unwrap());
    if tensor.get() != 0 {
        delete_dlpack(tensor.get());
    }
    [first, second].into_iter().for_each(|variable| shared_release(variable).unwrap());
    text
}

/// FN-44: element types are not converted.
#[test]
fn fn_44_no_conversion() {
    let _turn = turn();
    let host = Place::host();
    let value = host.numbers(&SHAPE);
    let single = Function::new(&[tn_in { dtype: TN_F32, ..input(0) }], &[], &[], |_, _, _| unreachable!("not called"));
    assert_eq!(single.call(&[value], 0).err(), Some(TN_ERR_DTYPE));
    let left = Function::new(&[], &[tn_out { dtype: TN_F32, ..output(0) }], &[], |_, out, _| {
        out[0] = host.numbers(&SHAPE);
        TN_OK
    });
    assert_eq!(left.call(&[], 1).err(), Some(TN_ERR_FAILED));
    release(value).unwrap();
}

/// What calls cost, counted: copies of the value, and blocks that the pool allocates.
#[test]
fn costs() {
    let _turn = turn();
    let host = Place::host();
    let value = host.numbers(&SHAPE);
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |call: &str, (copies, allocations): (u64, u64)| {
        rows.push(vec![call.to_owned(), copies.to_string(), allocations.to_string()]);
    };

    for (flags, call) in [
        (0, "`tn_shared_create`, no flag"),
        (TN_BORROW, "`tn_shared_create` with TN_BORROW"),
        (TN_TAKE_OWNERSHIP, "`tn_shared_create` with TN_TAKE_OWNERSHIP"),
    ] {
        let value = host.numbers(&SHAPE);
        let mut made = 0;
        row(call, cost(&host, || made = store(value, flags, null()).unwrap().0));
        shared_release(made).unwrap();
        release(value).unwrap();
    }
    let w = variable(&host);
    for (flags, call) in [(0, "`tn_shared_get`, no flag"), (TN_BORROW, "`tn_shared_get` with TN_BORROW")] {
        let mut read = 0;
        row(call, cost(&host, || read = get(w, flags).unwrap().0));
        release(read).unwrap();
    }
    row("`tn_shared_set`, no flag", cost(&host, || shared_set(w, value, 0).unwrap()));
    let held = peek(w);
    row(
        "`tn_shared_set`, no flag, while the program holds the value",
        cost(&host, || shared_set(w, value, 0).unwrap()),
    );
    release(held).unwrap();
    let next = host.numbers(&SHAPE);
    row(
        "`tn_shared_set` with TN_BORROW or TN_TAKE_OWNERSHIP",
        cost(&host, || shared_set(w, next, TN_TAKE_OWNERSHIP).unwrap()),
    );
    release(next).unwrap();
    row("`tn_shared_update`, no flag", cost(&host, || shared_update(w, 0, Some(leaves)).unwrap()));
    let in_place = || shared_update(w, TN_MAY_OVERWRITE, Some(leaves)).unwrap();
    row("`tn_shared_update` with TN_MAY_OVERWRITE", cost(&host, in_place));

    /// A function's name, its declarations, and its body.
    type Call<'a> = (&'static str, Option<tn_in>, Option<tn_out>, Option<tn_update>, &'a Work<'a>);
    type Work<'a> = dyn Fn(&[Handle], &mut [Handle], &mut [Handle]) + 'a;
    let offered = |place: &mut [Handle]| {
        if place[0] == 0 {
            place[0] = host.numbers(&SHAPE);
        }
    };
    let borrowed = |flags| tn_in { shared: w as *mut _, ..input(flags) };
    let calls: [Call<'_>; 11] = [
        ("a call with an argument without a flag, or with TN_BORROW", Some(input(0)), None, None, &|_, _, _| ()),
        ("a call with an argument with TN_MAY_OVERWRITE", Some(input(TN_MAY_OVERWRITE)), None, None, &|_, _, _| ()),
        ("a call with an implicit input", Some(borrowed(0)), None, None, &|_, _, _| ()),
        ("an output in a new array", None, Some(output(0)), None, &|_, out, _| out[0] = host.numbers(&SHAPE)),
        ("an output in the spare buffer (TN_REUSE)", None, Some(output(TN_REUSE)), None, &|_, out, _| offered(out)),
        ("an output that is an argument, no flag", Some(input(TN_BORROW)), Some(output(0)), None, &|inputs, out, _| {
            out[0] = clone(inputs[0]).unwrap();
        }),
        (
            "an output that is an argument, both with TN_BORROW",
            Some(input(TN_BORROW)),
            Some(output(TN_BORROW)),
            None,
            &|inputs, out, _| out[0] = clone(inputs[0]).unwrap(),
        ),
        ("an update to a new array", None, None, Some(update(w, 0)), &|_, _, update| update[0] = host.numbers(&SHAPE)),
        ("an update in the spare buffer (TN_REUSE)", None, None, Some(update(w, TN_REUSE)), &|_, _, update| {
            offered(update);
        }),
        ("an update in place (TN_MAY_OVERWRITE)", None, None, Some(update(w, TN_MAY_OVERWRITE)), &|_, _, _| ()),
        (
            "an update in place of a variable that is an implicit input too",
            Some(borrowed(0)),
            None,
            Some(update(w, TN_MAY_OVERWRITE)),
            &|_, _, _| (),
        ),
    ];
    for (call, input, output, update, work) in calls {
        let inputs: Vec<tn_in> = input.into_iter().collect();
        let outputs: Vec<tn_out> = output.into_iter().collect();
        let updates: Vec<tn_update> = update.into_iter().collect();
        let arguments: Vec<Handle> = inputs.iter().filter(|input| input.shared.is_null()).map(|_| value).collect();
        let function = Function::new(&inputs, &outputs, &updates, |inputs, out, update| {
            work(inputs, out, update);
            TN_OK
        });
        // The first calls have no spare buffers.
        let mut of_last_call = (0, 0);
        for _ in 0..3 {
            let mut out = Vec::new();
            of_last_call = cost(&host, || out = function.call(&arguments, outputs.len()).unwrap().0);
            out.into_iter().for_each(|out| release(out).unwrap());
        }
        row(call, of_last_call);
    }
    let sum = Function::of_expressions(&[input(0)], &[], &[update(w, TN_MAY_OVERWRITE)], Some(adds));
    row("an update in place by an expression", cost(&host, || drop(sum.call(&[value], 0).unwrap())));
    drop(sum);
    let v = variable(&host);
    let implicit = [v, w].map(|variable| tn_in { shared: variable as *mut _, ..input(0) });
    let exchange = Function::new(&implicit, &[], &[update(w, 0), update(v, 0)], |inputs, _, update| {
        update.copy_from_slice(&[clone(inputs[0]).unwrap(), clone(inputs[1]).unwrap()]);
        TN_OK
    });
    row("two updates that exchange the values of two variables", cost(&host, || drop(exchange.call(&[], 0).unwrap())));
    drop(exchange);
    [v, w].into_iter().for_each(|variable| shared_release(variable).unwrap());
    release(value).unwrap();
    tables::check("| call | copies | allocations |", &rows);
}

unsafe extern "C" fn leaves(_: *mut c_void, _: *mut tn_array) -> tn_status {
    TN_OK
}

/// FN-19: the value of the variable and the argument, added.
unsafe extern "C" fn adds(
    _: *mut c_void,
    inputs: *const *mut tn_expr,
    _: *mut *mut tn_expr,
    updates: *mut *mut tn_expr,
) -> tn_status {
    // SAFETY: the function has one input and one update.
    let (argument, place) = unsafe { (*inputs, &mut *updates) };
    let value = *place;
    // SAFETY: a writable output.
    let status = unsafe { expr::tn_expr_add(value, argument, place) };
    // SAFETY: the place has a new expression.
    ok(unsafe { expr::tn_expr_release(value) });
    status
}

/// Copies and allocations of some calls.
fn cost(host: &Place, work: impl FnOnce()) -> (u64, u64) {
    let before = (copies(), host.allocations());
    work();
    (copies() - before.0, host.allocations() - before.1)
}

/// All copies of the process so far. The tests of this program take turns.
fn copies() -> u64 {
    // SAFETY: plain data.
    let mut sites = vec![unsafe { std::mem::zeroed::<tn_copy_site>() }; 1024];
    let mut n = 0;
    // SAFETY: as many places as said, and a writable output.
    ok(unsafe {
        tenure::ffi::report::tn_copies_query(size_of::<tn_copy_site>(), sites.len(), sites.as_mut_ptr(), &mut n)
    });
    sites[..n].iter().map(|site| site.count).sum()
}
