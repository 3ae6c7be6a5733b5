//! One byte of a data directory that is not as it was written: it is found and named, or it changes nothing that anybody is
//! told. Of a ledger that was stopped, and of one that was killed.
//!
//! `GONGJI_DAMAGE=20000 cargo test --test suite damage::` changes 20 000 bytes instead of 120; `GONGJI_SEED=…` takes that
//! seed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use gongji::ledger_tool::examine;
use gongji::store::embedded::{EmbeddedOptions, EmbeddedStore};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::feed::{load, people};
use super::process::{Dice, PATIENCE, Replay, Server, from_env, run, wait_until};

/// A file of an image: its bytes, without the zeros that were set aside at its end.
pub struct Kept {
    path: PathBuf,
    pub bytes: Vec<u8>,
    zeros: u64,
}

/// A data directory as it was left.
pub struct Image(pub Vec<Kept>);

impl Image {
    pub fn of(dir: &Path) -> Self {
        let mut files = Vec::new();
        gather(dir, dir, &mut files);
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self(files)
    }

    pub fn write(&self, dir: &Path) {
        for Kept { path, bytes, zeros } in &self.0 {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("below the directory")).expect("makes");
            let mut file = File::create(path).expect("makes");
            file.write_all(bytes).expect("writes");
            // What was set aside is as good with a page of it.
            file.set_len(bytes.len() as u64 + (*zeros).min(4_096)).expect("grows");
        }
    }
}

fn gather(root: &Path, dir: &Path, files: &mut Vec<Kept>) {
    for entry in fs::read_dir(dir).expect("reads") {
        let entry = entry.expect("reads");
        let kind = entry.file_type().expect("is there");
        if kind.is_dir() {
            gather(root, &entry.path(), files);
        } else if kind.is_file() {
            let mut bytes = fs::read(entry.path()).expect("reads");
            let all = bytes.len();
            let used = bytes.chunks(4_096).rposition(|chunk| chunk.iter().any(|byte| *byte != 0));
            bytes.truncate(used.map_or(0, |last| ((last + 1) * 4_096).min(all)));
            let zeros = (all - bytes.len()) as u64;
            let path = entry.path().strip_prefix(root).expect("below").to_owned();
            files.push(Kept { path, bytes, zeros });
        }
    }
}

struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a data directory says, to the last byte of every change; or what is wrong with it. The index is what the changes
/// make of it, or that is what is wrong.
fn said(dir: &Path) -> Result<Vec<u8>, String> {
    // A program that another test is starting may hold the lock for a moment: see `store::opened`.
    wait_until("a free data set", PATIENCE, || match looked_at(dir) {
        Err(error) if error.contains("is in use") => None,
        said => Some(said),
    })
}

fn looked_at(dir: &Path) -> Result<Vec<u8>, String> {
    let found = run(examine(dir, |_, _, _| {}))?;
    let problems = [found.report.problems, found.index.problems].concat();
    if let Some(first) = problems.first() {
        return Err(first.clone());
    }
    let store = EmbeddedStore::open(&EmbeddedOptions::new(dir, [0; 32])).map_err(|error| error.to_string())?;
    let mut hash = Hash(Sha256::new());
    store.write_backup(&mut hash, |_, _| {}).map_err(|error| error.to_string())?;
    Ok(hash.0.finalize().to_vec())
}

fn check(image: &Image, samples: u64, dice: &mut Dice) {
    let whole = TempDir::new().expect("a directory");
    image.write(whole.path());
    let expected = said(whole.path()).expect("nothing is wrong yet");
    let files: Vec<&Kept> = image.0.iter().filter(|file| !file.bytes.is_empty()).collect();
    let total: usize = files.iter().map(|file| file.bytes.len()).sum();
    let mut seen: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for number in 0..samples {
        // Every other sample by size, the others by file, so that small ones are met too.
        let (file, at) = if number.is_multiple_of(2) {
            let mut place = dice.roll(total);
            let file = files.iter().find(|file| {
                let here = place < file.bytes.len();
                place -= if here { 0 } else { file.bytes.len() };
                here
            });
            (*file.expect("within them all"), place)
        } else {
            let file = *dice.one_of(&files);
            (file, dice.roll(file.bytes.len()))
        };
        let changed = u8::try_from(1 + dice.roll(255)).expect("a byte");
        let dir = TempDir::new().expect("a directory");
        image.write(dir.path());
        let mut bytes = file.bytes.clone();
        bytes[at] ^= changed;
        let path = dir.path().join(&file.path);
        fs::write(&path, &bytes).expect("writes");
        File::options()
            .write(true)
            .open(&path)
            .expect("opens")
            .set_len(bytes.len() as u64 + file.zeros.min(4_096))
            .expect("grows");
        let what = format!("{} byte {at} of {} changed by {changed:02x}", file.path.display(), bytes.len());
        let outcome = catch_unwind(AssertUnwindSafe(|| said(dir.path())));
        let kind = file.path.components().next_back().expect("a name").as_os_str().to_string_lossy().into_owned();
        let kind = kind.trim_start_matches(|letter: char| letter.is_ascii_digit()).to_owned();
        let count = seen.entry(if kind.is_empty() { "table".to_owned() } else { kind }).or_default();
        match outcome {
            Ok(Ok(found)) => {
                assert!(found == expected, "{what}: something else is told, and nothing is said to be wrong");
                count.1 += 1;
            }
            Ok(Err(error)) => {
                assert!(!error.is_empty(), "{what}");
                count.0 += 1;
            }
            Err(_) => panic!("{what}: a panic instead of a named error"),
        }
    }
    for (kind, (named, unchanged)) in &seen {
        println!("{kind:<10} {named:>6} found and named {unchanged:>6} without a difference");
    }
}

#[test]
fn a_changed_byte_is_named_or_changes_nothing() {
    let samples = from_env("GONGJI_DAMAGE", 120);
    let seed = from_env("GONGJI_SEED", 0xda3);
    let _replay =
        Replay(format!("GONGJI_SEED={seed} GONGJI_DAMAGE={samples} cargo test --test suite damage:: -- --nocapture"));
    let dir = TempDir::new().expect("a directory");
    let mut dice = Dice::new(seed);
    // Tables, and rows behind the index.
    let server = Server::on(dir.path(), &["--index-bytes", "60000"]);
    run(async {
        people(&server).await;
        load(&server, 0, 150).await;
    });
    server.kill();
    println!("killed:");
    check(&Image::of(dir.path()), samples / 2, &mut dice);
    let (status, _, log) = Server::on(dir.path(), &["--index-bytes", "60000"]).terminate();
    assert!(status.success(), "{log}");
    println!("stopped:");
    check(&Image::of(dir.path()), samples / 2, &mut dice);
}
