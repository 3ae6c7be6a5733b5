//! What the tree promises of itself: who imports whom, how long a file is, what is never written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Longest file of `src`, in lines.
const LINES_MAX: usize = 400;
/// Longer ones, each with the reason why it is one thing.
const LONGER: &[(&str, &str)] = &[(
    "store/postgres/migrations/0001_data_set.sql",
    "a migration is one text under one digest, and says of each column what it is",
)];

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&Path::new(ROOT).join("src"), &mut found);
    let read = |path: PathBuf| {
        let name =
            path.strip_prefix(Path::new(ROOT).join("src")).expect("below src").to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(&path).expect("a source"))
    };
    let read: Vec<_> = found.into_iter().map(read).collect();
    assert!(read.len() > 50, "the sources were found");
    read
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

/// The lines of a file without comments; what is compiled for unit tests alone is left empty. Sources are formatted, so an item
/// with a body ends where a brace stands at its own indentation.
fn code(text: &str) -> Vec<&str> {
    let mut of_tests: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let bare = line.split("//").next().unwrap_or_default();
        match of_tests {
            None if bare.trim() == "#[cfg(test)]" => of_tests = Some(indent),
            None => {
                lines.push(bare);
                continue;
            }
            Some(outer) => {
                let ends = indent == outer && bare.trim_end().ends_with([';', '}', ',']);
                of_tests = of_tests.filter(|_| !ends);
            }
        }
        lines.push("");
    }
    lines
}

/// The paths that a file imports, each whole and with the number of its line: groups taken apart, `super` resolved.
fn imports(name: &str, lines: &[&str]) -> Vec<(usize, String)> {
    let mut modules: Vec<&str> = name.trim_end_matches(".rs").split('/').collect();
    modules.retain(|module| *module != "mod");
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((_, first)) = line
            .split_once("use ")
            .filter(|(before, _)| before.trim_start().is_empty() || before.trim_start().starts_with("pub"))
        else {
            continue;
        };
        let rest = std::iter::once(first).chain(lines[number + 1..].iter().copied());
        let whole: String = rest.collect::<Vec<_>>().join(" ");
        let tree: String = whole.split(';').next().unwrap_or_default().split_whitespace().collect();
        let mut paths = Vec::new();
        take_apart("", &tree, &mut paths);
        found.extend(paths.into_iter().map(|path| {
            let up = path.split("::").take_while(|part| *part == "super").count();
            let above = modules[..modules.len().saturating_sub(up)].join("::");
            let whole = if up == 0 {
                path
            } else {
                path.replacen(&vec!["super"; up].join("::"), &format!("crate::{above}"), 1)
            };
            (number + 1, whole.replace("crate::::", "crate::"))
        }));
    }
    found
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn take_apart(before: &str, tree: &str, paths: &mut Vec<String>) {
    let mut depth = 0;
    let branches = tree.split(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == ',' && depth == 0
    });
    for branch in branches.filter(|branch| !branch.is_empty()) {
        match branch.split_once('{') {
            Some((stem, inner)) => {
                take_apart(&format!("{before}{stem}"), inner.strip_suffix('}').unwrap_or(inner), paths);
            }
            None => paths.push(format!("{before}{branch}")),
        }
    }
}

/// Where these words stand in the code of a file, or in what it imports.
fn found_in(name: &str, text: &str, words: &[&str]) -> Vec<String> {
    let lines = code(text);
    let written = lines.iter().enumerate().map(|(number, line)| (number + 1, (*line).to_owned()));
    let told = written.chain(imports(name, &lines)).flat_map(|(number, line)| {
        let found: Vec<_> = words.iter().filter(|word| line.contains(**word)).collect();
        found.into_iter().map(move |word| format!("src/{name}:{number}: {word}"))
    });
    told.collect::<BTreeSet<String>>().into_iter().collect()
}

/// Words that may not stand in the code of files whose name starts so, but for the excepted ones.
fn check(folder: &str, excepted: &[&str], words: &[&str]) {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for (name, text) in sources() {
        let excepted = excepted.iter().any(|prefix| name.starts_with(prefix)) || name.contains("tests/");
        if !name.starts_with(folder) || excepted {
            continue;
        }
        looked_at += 1;
        wrong.extend(found_in(&name, &text, words));
    }
    assert!(looked_at > 0, "no file starts with {folder}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// However it is written, and wherever in the file: each row's file may not name `crate::store`.
#[test]
fn what_is_forbidden_is_found() {
    for (name, text, expected) in [
        ("domain/a.rs", "use crate::store::Key;", &[1][..]),
        ("domain/a.rs", "use crate::{\n    domain::x,\n    store,\n};", &[1]),
        ("domain/a.rs", "pub use crate::{ledger, store::{Key, Store}};", &[1]),
        ("domain/calc/a.rs", "use super::super::super::store::Key;", &[1]),
        ("domain/calc/mod.rs", "use super::super::{policy, store};", &[1]),
        ("domain/a.rs", "fn x() {\n    crate::store::open();\n}", &[2]),
        ("domain/a.rs", "#[cfg(test)]\nmod tests;\n\nuse crate::store::Key;", &[4]),
        (
            "domain/a.rs",
            "impl A {\n    #[cfg(test)]\n    fn x() {\n        y();\n    }\n    fn z(_: crate::store::Key) {}\n}",
            &[6],
        ),
        ("domain/a.rs", "#[cfg(test)]\nmod tests {\n    use crate::store::Key;\n    fn x() {\n    }\n}\n", &[]),
        ("domain/a.rs", "// crate::store is not for here\nuse crate::domain::store;", &[]),
        ("domain/calc/a.rs", "use super::{store, super::store};", &[]),
    ] {
        let lines: Vec<String> = expected.iter().map(|line| format!("src/{name}:{line}: crate::store")).collect();
        assert_eq!(found_in(name, text, &["crate::store"]), lines, "{text}");
    }
}

#[test]
fn the_domain_imports_nothing_of_ours() {
    let ours = ["crate::store", "crate::ledger", "crate::grpc", "crate::policy", "crate::server", "crate::config"];
    check("domain/", &[], &ours);
    check("domain/", &[], &["tokio", "tonic", "prost", "fjall", "serde", "toml::", "async fn"]);
}

#[test]
fn stores_know_the_domain_only() {
    check(
        "store/",
        &[],
        &["crate::grpc", "crate::ledger", "crate::policy", "crate::server", "tonic", "prost", "toml::"],
    );
    check("store/", &["store/embedded"], &["fjall"]);
}

#[test]
fn the_loader_of_policies_knows_the_domain_only() {
    check(
        "policy/",
        &[],
        &["crate::grpc", "crate::ledger", "crate::store", "crate::server", "tonic", "prost", "tokio"],
    );
}

#[test]
fn the_ledger_knows_neither_wire_nor_files() {
    check(
        "ledger/",
        &[],
        &[
            "tonic::",
            "prost",
            "toml::",
            "crate::policy",
            "crate::grpc",
            "crate::server",
            "crate::config",
            "fjall",
            "tokio_postgres",
            "http::",
            "store::embedded",
            "store::memory",
            "store::postgres",
        ],
    );
}

/// What is counted hears of nobody.
#[test]
fn counters_know_nothing_of_ours() {
    check(
        "metrics/",
        &[],
        &["crate::domain", "crate::store", "crate::ledger", "crate::grpc", "crate::server", "tonic"],
    );
}

#[test]
fn the_wire_knows_no_disk_and_no_policy_files() {
    check(
        "grpc/",
        &[],
        &[
            "fjall",
            "sql",
            "crate::policy",
            "crate::server",
            "crate::config",
            "store::embedded",
            "store::memory",
            "store::postgres",
        ],
    );
}

#[test]
fn tonic_is_named_at_the_edge_only() {
    check(
        "",
        &[
            "grpc",
            "server",
            "cli",
            "client.rs",
            "bench",
            "import/",
            "reconcile/",
            "settle_tool/mod.rs",
            "ledger_tool/source.rs",
        ],
        &["tonic::", "tonic_", "prost"],
    );
}

#[test]
fn nothing_unfinished_is_left() {
    check("", &[], &["todo!", "dbg!", "unimplemented!"]);
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| {
            ["FIX", "TO", "XX"].iter().zip(["ME", "DO", "X"]).any(|(a, b)| text.contains(&format!("{a}{b}")))
        })
        .map(|(name, _)| name)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn tools_print_in_one_place() {
    // Whoever prints otherwise panics where nobody reads any more.
    check("", &["bench", "terminal"], &["println!", "print!(", "eprint!(", "stdout()"]);
}

#[test]
fn money_meets_no_float() {
    // Readers of JSON have to name every type that there is, to refuse floats too.
    check("", &["bench", "telemetry", "grpc/calculation/json.rs", "policy/json.rs"], &["f32", "f64"]);
}

#[test]
fn clocks_and_chance_come_in_at_one_place() {
    check(
        "",
        &["bench", "server", "ledger/source.rs", "metrics/stopwatch.rs"],
        &["SystemTime::now", "Instant::now", "rand::random", "make_rng"],
    );
}

/// What distributed engines that speak PostgreSQL's protocol do not have: whole tables are never locked, nobody locks what is
/// no row, and nothing happens in the database that no statement of ours says.
#[test]
fn the_database_is_asked_for_rows_alone() {
    let folder = Path::new(ROOT).join("src/store/postgres");
    let mut found = Vec::new();
    walk(&folder, &mut found);
    let migrations = fs::read_dir(folder.join("migrations")).expect("a folder");
    found.extend(migrations.map(|entry| entry.expect("an entry").path()));
    let words = ["lock table", "advisory", "trigger", "create rule", "listen ", "notify "];
    let (mut wrong, mut locks) = (Vec::new(), 0);
    for path in &found {
        let text = fs::read_to_string(path).expect("a text").to_lowercase();
        // Comments may say that there are none.
        let comment = if path.extension().is_some_and(|ending| ending == "sql") { "--" } else { "//" };
        for (number, line) in text.lines().enumerate() {
            let line = line.split(comment).next().unwrap_or_default();
            locks += usize::from(line.contains("for update"));
            let found = words.iter().filter(|word| line.contains(**word));
            wrong.extend(found.map(|word| format!("{}:{}: {word}", path.display(), number + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(locks > 0 && found.iter().any(|path| path.ends_with("0001_data_set.sql")), "the statements were looked at");
}

/// A server that a test starts by itself is one that nobody stops when the tests are killed.
#[test]
fn tests_start_postgresql_in_one_place() {
    let suite = Path::new(ROOT).join("tests/suite");
    let mut found = Vec::new();
    walk(&suite, &mut found);
    let words = ["init", "pg_c", "pg_baseb"].iter().zip(["db", "tl", "ackup"]).map(|(a, b)| format!("\"{a}{b}\""));
    let words: Vec<String> = words.collect();
    let (inside, outside): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|path| path.starts_with(suite.join("postgres")));
    let starts = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a text");
        words.iter().any(|word| text.contains(word))
    };
    assert!(inside.iter().any(starts), "the words are those that start a server");
    let wrong: Vec<_> = outside.iter().filter(|path| starts(path)).collect();
    assert!(wrong.is_empty(), "use PostgresServer or Cluster instead: {wrong:?}");
}

#[test]
fn files_are_short() {
    let folder = Path::new(ROOT).join("src/store/postgres/migrations");
    let migrations = fs::read_dir(folder).expect("a folder").map(|entry| {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(Path::new(ROOT).join("src")).expect("below src").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("a text"))
    });
    let long: Vec<String> = sources()
        .into_iter()
        .chain(migrations)
        .filter(|(name, text)| text.lines().count() > LINES_MAX && LONGER.iter().all(|(known, _)| known != name))
        .map(|(name, text)| format!("src/{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
    let told = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).expect("a text");
    for (name, why) in LONGER {
        let lines = fs::read_to_string(Path::new(ROOT).join("src").join(name)).expect("it exists").lines().count();
        assert!(lines > LINES_MAX && !why.is_empty(), "{name} needs no exception");
        assert!(told.contains(&format!("`src/{name}`")), "ARCHITECTURE.md does not say why {name} is long");
    }
}

/// A build must not depend on one machine's mirrors or folders.
#[test]
fn the_tree_names_no_mirror_and_no_private_folder() {
    let words = [["index.crates", ".io"], ["registry.npm", "js.org"], ["/ho", "me/"], ["/ro", "ot/"]];
    let words: Vec<String> = words.iter().map(|parts| parts.concat()).collect();
    let mut wrong = Vec::new();
    let mut found = Vec::new();
    for folder in ["src", "tests"] {
        walk(&Path::new(ROOT).join(folder), &mut found);
    }
    found.extend(
        ["README.md", "ARCHITECTURE.md", "Cargo.toml", "policies/README.md"].map(|name| Path::new(ROOT).join(name)),
    );
    for path in found {
        let text = fs::read_to_string(&path).expect("a text").to_lowercase();
        wrong
            .extend(words.iter().filter(|word| text.contains(*word)).map(|word| format!("{}: {word}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
