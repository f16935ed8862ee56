use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let a = Array::<f64>::zeros([3])?;
    let slice = a.read()?.as_slice()?;
    println!("{slice:?}");
    Ok(())
}
