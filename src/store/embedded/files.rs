//! The files that fjall reads without a second look: which tables there are, and the tables as a whole. Each keyspace has a
//! file `current`, which names the file that lists its tables and holds that file's checksum; the list holds the tables'.
//!
//! The lists, and the tables by which fjall finds its keyspaces, are looked at before every opening: what they say wrongly
//! is believed, and a keyspace that seems to belong to nobody is deleted. The other tables are checked block by block when
//! they are read, and as a whole by `gongji ledger verify`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

const KEYSPACES: &str = "keyspaces";
const CURRENT: &str = "current";
const TABLES: &str = "tables";

/// The keyspace in which fjall keeps what it knows of the others.
const FJALL_OWN: &str = "0";

/// A table and what it must hash to.
struct Table {
    path: PathBuf,
    checksum: u128,
}

/// Looks at what every opening believes; the name of the file that is not as it was written, if there is one.
pub(super) fn check_lists(data: &Path) -> io::Result<Result<(), PathBuf>> {
    for keyspace in keyspaces(data)? {
        let tables = match tables(&keyspace)? {
            Ok(tables) => tables,
            Err(file) => return Ok(Err(file)),
        };
        if keyspace.file_name().is_some_and(|name| name == FJALL_OWN) {
            for table in tables {
                if checksum(&table.path, &mut |_| {})? != table.checksum {
                    return Ok(Err(table.path));
                }
            }
        }
    }
    Ok(Ok(()))
}

/// Looks at every table too. Returns their number; tells bytes as they are read, and how many there are in all.
pub(super) fn check_tables(data: &Path, mut read: impl FnMut(u64, u64)) -> io::Result<Result<u64, PathBuf>> {
    let mut all = Vec::new();
    for keyspace in keyspaces(data)? {
        match tables(&keyspace)? {
            Ok(tables) => all.extend(tables),
            Err(file) => return Ok(Err(file)),
        }
    }
    let mut total = 0;
    for table in &all {
        total += fs::metadata(&table.path)?.len();
    }
    let mut done = 0;
    for table in &all {
        let found = checksum(&table.path, &mut |bytes| {
            done += bytes;
            read(done, total);
        })?;
        if found != table.checksum {
            return Ok(Err(table.path.clone()));
        }
    }
    Ok(Ok(all.len() as u64))
}

fn keyspaces(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data.join(KEYSPACES))? {
        let path = entry?.path();
        // One without was being made when the process stopped, and is made again.
        if path.join(CURRENT).try_exists()? {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The tables of a keyspace, or the file among those that list them that is not as it was written.
fn tables(keyspace: &Path) -> io::Result<Result<Vec<Table>, PathBuf>> {
    let current = keyspace.join(CURRENT);
    let bytes = fs::read(&current)?;
    let mut input = &bytes[..];
    let (Some(version), Some(expected)) = (number(&mut input), wide(&mut input)) else { return Ok(Err(current)) };
    let list = keyspace.join(format!("v{version}"));
    if !list.try_exists()? {
        return Ok(Err(current));
    }
    if xxh3_128(&fs::read(&list)?) != expected || input != [0] {
        return Ok(Err(list));
    }
    // It is as fjall wrote it, so what is missing in it now is not damage but another format.
    let other = || io::Error::other("a list of tables is of another format than this version knows");
    let reader = sfa::Reader::new(&list).map_err(|_| other())?;
    let mut section = Vec::new();
    reader.toc().section(b"tables").ok_or_else(other)?.buf_reader(&list)?.read_to_end(&mut section)?;
    let tables = read_tables(&section).ok_or_else(other)?;
    let table = |(id, checksum)| Table { path: keyspace.join(TABLES).join(format!("{id}")), checksum };
    Ok(Ok(tables.into_iter().map(table).collect()))
}

/// Levels of runs of tables: id, kind of checksum, checksum, sequence number.
fn read_tables(mut input: &[u8]) -> Option<Vec<(u64, u128)>> {
    let mut found = Vec::new();
    let input = &mut input;
    for _level in 0..byte(input)? {
        for _run in 0..byte(input)? {
            let count = u32::from_le_bytes(array(input)?);
            for _table in 0..count {
                let id = number(input)?;
                if byte(input)? != 0 {
                    return None;
                }
                let checksum = wide(input)?;
                number(input)?;
                found.push((id, checksum));
            }
        }
    }
    Some(found)
}

fn array<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = input.split_first_chunk::<N>()?;
    *input = tail;
    Some(*head)
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    array::<1>(input).map(|[byte]| byte)
}

fn number(input: &mut &[u8]) -> Option<u64> {
    array(input).map(u64::from_le_bytes)
}

fn wide(input: &mut &[u8]) -> Option<u128> {
    array(input).map(u128::from_le_bytes)
}

fn checksum(path: &Path, read: &mut impl FnMut(u64)) -> io::Result<u128> {
    let mut file = File::open(path)?;
    let mut hash = Xxh3Default::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hash.digest128());
        }
        hash.update(&buffer[..length]);
        read(length as u64);
    }
}
