//! A file that is written beside its name and gets the name when it is whole: a run that breaks off leaves nothing that
//! could be taken for its results.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

pub struct Aside {
    file: BufWriter<File>,
    made_in: PathBuf,
    out: PathBuf,
    is_whole: bool,
}

impl Aside {
    /// The name must be free. What an earlier run left beside it is written over.
    pub fn create(out: &Path) -> Result<Self, String> {
        must_be_free(out)?;
        let mut made_in = out.as_os_str().to_owned();
        made_in.push(".unfinished");
        let made_in = PathBuf::from(made_in);
        let file = File::create(&made_in).map_err(|error| format!("{}: {error}", made_in.display()))?;
        Ok(Self { file: BufWriter::new(file), made_in, out: out.to_owned(), is_whole: false })
    }

    pub fn write(&mut self, text: &str) -> Result<(), String> {
        self.file.write_all(text.as_bytes()).map_err(|error| format!("{}: {error}", self.made_in.display()))
    }

    /// All of it is written.
    pub fn finish(mut self) -> Result<(), String> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|error| format!("{}: {error}", self.made_in.display()))?;
        must_be_free(&self.out)?;
        fs::rename(&self.made_in, &self.out).map_err(|error| format!("{}: {error}", self.out.display()))?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = fs::remove_file(&self.made_in);
        }
    }
}

fn must_be_free(out: &Path) -> Result<(), String> {
    match out.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(format!("{}: is there already", out.display())),
        Err(error) => Err(format!("{}: {error}", out.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_whole_has_the_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let out = dir.path().join("out.txt");
        let there = || {
            let names = fs::read_dir(dir.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
            names.map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let mut broken_off = Aside::create(&out).expect("created");
        broken_off.write("half\n").expect("written");
        assert_eq!(there(), ["out.txt.unfinished"]);
        drop(broken_off);
        assert!(there().is_empty());
        // What a killed run left.
        fs::write(dir.path().join("out.txt.unfinished"), "half of an earlier run\n").expect("written");
        let mut whole = Aside::create(&out).expect("created");
        whole.write("all\n").expect("written");
        whole.finish().expect("named");
        assert_eq!(
            (there(), fs::read_to_string(&out).expect("read")),
            (vec!["out.txt".to_owned()], "all\n".to_owned())
        );
        assert!(Aside::create(&out).is_err_and(|what| what.contains("is there already")));
        assert_eq!(fs::read_to_string(&out).expect("read"), "all\n");
    }
}
