use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let a = Array::<bool>::full([3], true)?;
    drop(a);
    Ok(())
}
