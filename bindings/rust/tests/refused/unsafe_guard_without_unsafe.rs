use tenure_rs::Array;

fn main() -> tenure_rs::Result<()> {
    let a = Array::<f64>::zeros([3])?;
    let frozen = a.read_shared()?.assume_frozen()?;
    println!("{}", frozen[[0]]);
    Ok(())
}
