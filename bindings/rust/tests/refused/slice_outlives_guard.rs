use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let a = Array::<f64>::zeros([3])?;
    let slice = {
        let guard = a.read()?;
        guard.as_slice()?
    };
    println!("{slice:?}");
    Ok(())
}
