use tenure_rs::Tensor;

fn main() -> tenure_rs::Result<()> {
    let a = Tensor::<f64>::ones([3])?;
    let b = a;
    println!("{} {}", a.sum(None)?, b);
    Ok(())
}
