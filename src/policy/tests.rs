use super::*;
use std::path::Path;
#[test]
fn loads() {
    let files = PolicyFiles::from_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/policies"))).unwrap();
    let t = std::time::Instant::now();
    match load(&files) {
        Ok(b) => println!("{} regions {:?}", b.regions.iter().count(), t.elapsed()),
        Err(e) => panic!("{e}"),
    }
}
