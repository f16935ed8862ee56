use tenure_rs::Pool;

fn main() -> tenure_rs::Result<()> {
    let current = Pool::configure().build()?.make_current()?;
    std::thread::spawn(move || drop(current));
    Ok(())
}
