//! The tree of policy files as names and texts, wherever it was read from.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use super::embedded;

/// The texts of a policy directory by relative name with `/` between folder and file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFiles(pub BTreeMap<String, String>);

impl PolicyFiles {
    /// The copy inside the program.
    pub fn embedded() -> Self {
        Self(embedded::FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    /// Reads the `.toml` and `.csv` files of a directory and of the folders in it.
    pub fn from_dir(root: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(root)? {
            let path = entry?.path();
            if path.is_dir() {
                let folder = file_name(&path)?;
                for inner in fs::read_dir(&path)? {
                    add(&mut files, &format!("{folder}/"), &inner?.path())?;
                }
            } else {
                add(&mut files, "", &path)?;
            }
        }
        Ok(Self(files))
    }

    /// The text of one file.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every folder that has a `policy.toml`, in order.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, text)| Some((name.strip_suffix("/policy.toml")?, text.as_str())))
    }
}

fn add(files: &mut BTreeMap<String, String>, prefix: &str, path: &Path) -> io::Result<()> {
    let is_data = path.is_file() && path.extension().is_some_and(|ext| ext == "toml" || ext == "csv");
    if is_data {
        let text = fs::read_to_string(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        files.insert(format!("{prefix}{}", file_name(path)?), text);
    }
    Ok(())
}

fn file_name(path: &Path) -> io::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{}: name is not UTF-8", path.display())))
}
