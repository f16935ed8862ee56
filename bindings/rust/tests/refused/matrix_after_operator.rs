use tenure_rs::{Matrix, Operand};

fn main() -> tenure_rs::Result<()> {
    let m = Matrix::<f64>::identity(3)?;
    let sum = m + Matrix::identity(3)?;
    println!("{:?} {:?}", m.shape(), sum.compute()?);
    Ok(())
}
