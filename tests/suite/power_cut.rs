//! What is left after the power goes: `kill -9` cannot tell, because the page cache outlives the process.
//!
//! The server runs under strace, which notes every call that touches a file or a socket, of all threads in one order.
//! From these notes the data directory is made again as it may be found after a cut at any instant between two of them,
//! and opened. Both sides of the comparison come from that one order, so no clocks are compared: a change counts as
//! answered from the moment the server *enters* the socket write that carries its answer, and bytes count as safe only once
//! the fsync that covers them has *returned*. The client's own list of answers is the check that the notes miss none.
//!
//! # The disk that is assumed
//! The strict one, of POSIX and no better: of a file there is what was written before its last returned fsync or fdatasync
//! began; of a directory, the names it had at its own last fsync. A new file's fsync does not save its name. ext4 saves
//! more than that, and nobody should need it to. On top come two unkind variants, since what was not synced may be there
//! too, in part: `Torn`, a prefix of it; `Hole`, some of its sectors of 512 bytes and not the others.
//!
//! `GONGJI_POWER_CUTS=200 cargo test --test suite power_cut::` cuts 200 times instead of 20, each time in all three
//! variants; `GONGJI_SEED=…` takes that seed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gongji::demo;
use gongji::domain::ids::SettlementId;
use gongji::domain::record::Event;
use gongji::grpc::proto;
use gongji::ledger::settlements::SettlementKey;
use gongji::ledger::source::{RandomIds, SystemClock};
use gongji::ledger::{Ledger, Limits};
use gongji::policy::{self, PolicyFiles};
use gongji::store::embedded::{EmbeddedOptions, EmbeddedStore};
use gongji::store::record::decode_record;
use prost::Message as _;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::kills::{Answer, Op, Outcome, binding, credit, person, send, settle};
use super::process::{Dice, PATIENCE, PROGRAM, Replay, Server, from_env, run, today, wait_until};
use super::store::HeadNow;

/// Every call by which this program could change a file or answer a caller. One that the model below does not know fails
/// the test when it meets the data directory.
const CALLS: &str = "trace=open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,\
    sync_file_range,msync,sync,syncfs,ftruncate,truncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,\
    mkdirat,link,linkat,symlink,symlinkat,close,dup,dup2,dup3,fcntl,lseek,mmap,copy_file_range,sendfile,splice,\
    io_uring_setup";

/// One finished or begun call.
struct Call {
    thread: u32,
    name: String,
    arguments: String,
    /// None: it has only begun.
    result: Option<i64>,
    /// The other half was another line.
    split: bool,
}

/// strace's lines, with halves of interrupted calls put together.
fn read_trace(text: &str) -> Vec<Call> {
    let mut begun: HashMap<u32, (String, String)> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let thread: u32 = thread.parse().unwrap_or_else(|_| panic!("a line without a thread: {line:.80}"));
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(head) = rest.strip_suffix("<unfinished ...>") {
            let (name, arguments) = head.split_once('(').expect("a call has arguments");
            begun.insert(thread, (name.to_owned(), arguments.to_owned()));
            calls.push(Call {
                thread,
                name: name.to_owned(),
                arguments: arguments.to_owned(),
                result: None,
                split: true,
            });
            continue;
        }
        let (name, arguments, split) = match rest.strip_prefix("<... ") {
            Some(tail) => {
                let (name, head) = begun.remove(&thread).expect("what is resumed was begun");
                (name, head + tail.split_once('>').expect("resumed").1, true)
            }
            None => {
                let Some((name, arguments)) = rest.split_once('(') else { continue };
                (name.to_owned(), arguments.to_owned(), false)
            }
        };
        let Some((arguments, result)) = arguments.rsplit_once(" = ") else { continue };
        let number: String = result.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '-').collect();
        let result =
            if result.starts_with("0x") { i64::from_str_radix(&hex_digits(result), 16) } else { number.parse() };
        calls.push(Call { thread, name, arguments: arguments.to_owned(), result: Some(result.unwrap_or(-1)), split });
    }
    calls
}

fn hex_digits(text: &str) -> String {
    text[2..].chars().take_while(char::is_ascii_hexdigit).collect()
}

/// Every quoted string among the arguments, unescaped.
fn strings(arguments: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (place, part) in arguments.split('"').enumerate() {
        if place % 2 == 1 {
            found.push(unescaped(part));
        }
    }
    found
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'\\' && tail.first() == Some(&b'x') {
            let digits = std::str::from_utf8(&tail[1..3]).expect("ASCII");
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(String::from_utf8(bytes).expect("our paths are plain"))
}

/// The descriptor and the path that a call's first argument names.
fn descriptor(arguments: &str) -> (i64, PathBuf) {
    let digits: String = arguments.chars().take_while(char::is_ascii_digit).collect();
    let path = arguments[digits.len()..].strip_prefix('<').and_then(|rest| rest.split('>').next()).unwrap_or_default();
    (digits.parse().unwrap_or(-1), path_of(unescaped(path)))
}

fn number(arguments: &str, place: usize) -> u64 {
    let plain: String = arguments.split('"').step_by(2).collect();
    let word = plain.trim_end_matches(')').split(", ").nth(place).unwrap_or_default();
    word.parse().unwrap_or_else(|_| panic!("argument {place} of {plain} is no number"))
}

/// A change of a file that has not been synced.
#[derive(Clone, Debug)]
enum FileOp {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl FileOp {
    fn bytes(&self) -> usize {
        match self {
            Self::Write(_, bytes) => bytes.len(),
            Self::Length(_) => 0,
        }
    }
}

/// What a file holds. Zeros at its end are not kept.
#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    length: u64,
}

impl Content {
    fn apply(&mut self, op: &FileOp) {
        match op {
            FileOp::Write(offset, bytes) => {
                let from = usize::try_from(*offset).expect("not so large");
                let until = from + bytes.len();
                if self.bytes.len() < until {
                    self.bytes.resize(until, 0);
                }
                self.bytes[from..until].copy_from_slice(bytes);
                self.length = self.length.max(until as u64);
            }
            FileOp::Length(length) => {
                self.bytes.truncate(usize::try_from(*length).expect("not so large"));
                self.length = *length;
            }
        }
    }
}

/// A change of a directory that has not been synced.
#[derive(Clone, Debug)]
enum DirOp {
    Enter(String, usize),
    Remove(String),
}

#[derive(Clone, Debug)]
enum Node {
    File { synced: Content, pending: Vec<FileOp>, length: u64 },
    Dir { synced: BTreeMap<String, usize>, pending: Vec<DirOp>, live: BTreeMap<String, usize> },
}

impl Node {
    fn unsynced_bytes(&self) -> usize {
        match self {
            Self::File { pending, .. } => pending.iter().map(FileOp::bytes).sum(),
            Self::Dir { .. } => 0,
        }
    }
}

fn apply_dir(names: &mut BTreeMap<String, usize>, op: &DirOp) {
    match op {
        DirOp::Enter(name, node) => drop(names.insert(name.clone(), *node)),
        DirOp::Remove(name) => drop(names.remove(name)),
    }
}

#[derive(Clone, Copy, Debug)]
struct Opened {
    node: usize,
    offset: u64,
    append: bool,
}

/// What a disk writes whole or not at all, in bytes.
const SECTOR: u64 = 512;

/// How much of what was not synced is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Strict,
    Torn,
    Hole,
}

/// A disk under a root that was there, durable and empty, before.
struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    /// By descriptor; copies of one share their place.
    open: HashMap<i64, usize>,
    opened: Vec<Opened>,
    /// Syncs that have begun: how much each will have covered.
    syncing: HashMap<u32, (usize, usize)>,
    /// How many changes of a node its syncs have covered so far.
    covered: HashMap<usize, usize>,
    /// What the client was told, and which of it has gone to a socket.
    told: Arc<Vec<Told>>,
    answered: BTreeSet<usize>,
}

impl Disk {
    fn new(root: &Path, told: &Arc<Vec<Told>>) -> Self {
        let empty = Node::Dir { synced: BTreeMap::new(), pending: Vec::new(), live: BTreeMap::new() };
        Self {
            root: root.to_owned(),
            nodes: vec![empty],
            open: HashMap::new(),
            opened: Vec::new(),
            syncing: HashMap::new(),
            covered: HashMap::new(),
            told: told.clone(),
            answered: BTreeSet::new(),
        }
    }

    /// The process is gone; the disk stays.
    fn process_ended(&mut self) {
        self.open.clear();
        self.syncing.clear();
    }

    fn inside<'a>(&self, path: &'a Path) -> Option<Vec<&'a str>> {
        let rest = path.strip_prefix(&self.root).ok()?;
        let names = rest.components().map(|part| match part {
            Component::Normal(name) => name.to_str().expect("a plain name"),
            other => panic!("a path with {other:?}: {}", path.display()),
        });
        Some(names.collect())
    }

    fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().try_fold(0, |at, name| match &self.nodes[at] {
            Node::Dir { live, .. } => live.get(*name).copied(),
            Node::File { .. } => None,
        })
    }

    fn change_dir(&mut self, names: &[&str], op: DirOp) {
        let at = self.find(names).expect("a change happens in a directory that is there");
        let Node::Dir { pending, live, .. } = &mut self.nodes[at] else { panic!("a directory") };
        apply_dir(live, &op);
        pending.push(op);
    }

    fn enter(&mut self, names: &[&str], node: usize) {
        let (last, parent) = names.split_last().expect("not the root");
        self.change_dir(parent, DirOp::Enter((*last).to_owned(), node));
    }

    fn remove(&mut self, names: &[&str]) {
        let (last, parent) = names.split_last().expect("not the root");
        self.change_dir(parent, DirOp::Remove((*last).to_owned()));
    }

    fn change_file(&mut self, at: usize, op: FileOp) {
        let Node::File { pending, length, .. } = &mut self.nodes[at] else { panic!("a file") };
        *length = match &op {
            FileOp::Write(offset, bytes) => (*length).max(offset + bytes.len() as u64),
            FileOp::Length(length) => *length,
        };
        pending.push(op);
    }

    fn pending(&self, node: usize) -> usize {
        match &self.nodes[node] {
            Node::File { pending, .. } => pending.len(),
            Node::Dir { pending, .. } => pending.len(),
        }
    }

    /// A sync of what had been done by `covered` has ended. Two threads may sync one directory at once: what the other's
    /// has covered is done.
    fn synced(&mut self, node: usize, covered: usize) {
        let before = self.covered.entry(node).or_default();
        let more = covered.saturating_sub(*before);
        *before += more;
        match &mut self.nodes[node] {
            Node::File { synced, pending, .. } => pending.drain(..more).for_each(|op| synced.apply(&op)),
            Node::Dir { synced, pending, .. } => pending.drain(..more).for_each(|op| apply_dir(synced, &op)),
        }
    }

    fn begin(&mut self, call: &Call) {
        let (fd, path) = descriptor(&call.arguments);
        match call.name.as_str() {
            "write" | "writev" | "sendto" | "sendmsg" if path.to_string_lossy().starts_with("socket:") => {
                let bytes = strings(&call.arguments).concat();
                let told = self.told.iter().enumerate().filter(|(place, _)| !self.answered.contains(place));
                let now = told.filter(|(_, told)| contains(&bytes, &told.marker)).map(|(place, _)| place);
                let now: Vec<usize> = now.collect();
                self.answered.extend(now);
            }
            "close" => drop(self.open.remove(&fd)),
            "fsync" | "fdatasync" => {
                if let Some(opened) = self.open.get(&fd) {
                    let node = self.opened[*opened].node;
                    let before = self.covered.get(&node).copied().unwrap_or_default();
                    self.syncing.insert(call.thread, (node, before + self.pending(node)));
                }
            }
            _ => {}
        }
    }

    /// Makes one line of the notes true.
    fn step(&mut self, call: &Call) {
        let Some(result) = call.result else { return self.begin(call) };
        if !call.split {
            self.begin(call);
        }
        if result < 0 {
            self.syncing.remove(&call.thread);
            return;
        }
        let (fd, fd_path) = descriptor(&call.arguments);
        let known = self.open.get(&fd).copied();
        let arguments = call.arguments.as_str();
        let paths = || -> Vec<PathBuf> { strings(arguments).into_iter().map(path_of).collect() };
        match call.name.as_str() {
            "open" | "openat" | "creat" => self.step_open(result, &paths()[0], arguments),
            "write" | "writev" => {
                let Some(known) = known else {
                    assert!(self.inside(&fd_path).is_none(), "a write to what was never opened: {arguments:.200}");
                    return;
                };
                let mut bytes = strings(arguments).concat();
                bytes.truncate(usize::try_from(result).expect("a length"));
                let Opened { node, offset, append } = self.opened[known];
                let Node::File { length, .. } = &self.nodes[node] else { panic!("a file is written") };
                let offset = if append { *length } else { offset };
                self.opened[known].offset = offset + bytes.len() as u64;
                self.change_file(node, FileOp::Write(offset, bytes));
            }
            "pwrite64" => {
                if let Some(known) = known {
                    let mut bytes = strings(arguments).concat();
                    bytes.truncate(usize::try_from(result).expect("a length"));
                    self.change_file(self.opened[known].node, FileOp::Write(number(arguments, 3), bytes));
                }
            }
            "ftruncate" => {
                if let Some(known) = known {
                    self.change_file(self.opened[known].node, FileOp::Length(number(arguments, 1)));
                }
            }
            "lseek" => {
                if let Some(known) = known {
                    self.opened[known].offset = result.unsigned_abs();
                }
            }
            "fsync" | "fdatasync" => {
                if let Some((node, covered)) = self.syncing.remove(&call.thread) {
                    self.synced(node, covered);
                }
            }
            // When it began: by its end another thread may have been given the same number.
            "close" => {}
            "dup" | "dup2" | "dup3" => self.copy(known, result),
            "fcntl" if arguments.contains("F_DUPFD") => self.copy(known, result),
            "fcntl" => {}
            "mkdir" | "mkdirat" => {
                let path = paths().remove(0);
                if let Some(names) = self.inside(&path) {
                    let empty = Node::Dir { synced: BTreeMap::new(), pending: Vec::new(), live: BTreeMap::new() };
                    self.nodes.push(empty);
                    self.enter(&names, self.nodes.len() - 1);
                }
            }
            "rename" | "renameat" | "renameat2" => {
                let paths = paths();
                let (Some(from), Some(to)) = (self.inside(&paths[0]), self.inside(&paths[1])) else {
                    assert!(self.inside(&paths[0]).is_none() && self.inside(&paths[1]).is_none(), "across: {paths:?}");
                    return;
                };
                let node = self.find(&from).expect("what is renamed is there");
                self.enter(&to, node);
                self.remove(&from);
            }
            "unlink" | "unlinkat" | "rmdir" => {
                let path = paths().remove(0);
                assert!(path.is_absolute() || self.inside(&fd_path).is_none(), "relative: {arguments}");
                if let Some(names) = self.inside(&path) {
                    self.remove(&names);
                }
            }
            "mmap" => {
                let shared = arguments.contains("MAP_SHARED") && arguments.contains("PROT_WRITE");
                let ours = arguments.contains(&escaped(&self.root));
                assert!(!(shared && ours), "the data are written through memory: {arguments}");
            }
            "io_uring_setup" => panic!("the model does not know io_uring"),
            other => {
                // Everything else must not concern the data directory.
                let ours = arguments.contains(&escaped(&self.root));
                assert!(!ours || other.starts_with("send"), "the model does not know {other}({arguments:.300}");
            }
        }
    }

    fn copy(&mut self, known: Option<usize>, to: i64) {
        if let Some(known) = known {
            self.open.insert(to, known);
        }
    }

    fn step_open(&mut self, fd: i64, path: &Path, arguments: &str) {
        self.open.remove(&fd);
        let Some(names) = self.inside(path) else { return };
        let node = self.find(&names).unwrap_or_else(|| {
            assert!(arguments.contains("O_CREAT"), "{} was opened and never made", path.display());
            self.nodes.push(Node::File { synced: Content::default(), pending: Vec::new(), length: 0 });
            self.enter(&names, self.nodes.len() - 1);
            self.nodes.len() - 1
        });
        if arguments.contains("O_TRUNC") {
            self.change_file(node, FileOp::Length(0));
        }
        self.opened.push(Opened { node, offset: 0, append: arguments.contains("O_APPEND") });
        self.open.insert(fd, self.opened.len() - 1);
    }

    /// What is found after a cut now.
    fn cut(&self, variant: Variant, dice: &mut Dice, to: &Path) {
        self.put(0, variant, dice, to);
    }

    fn put(&self, at: usize, variant: Variant, dice: &mut Dice, to: &Path) {
        match &self.nodes[at] {
            Node::Dir { synced, pending, .. } => {
                let mut names = synced.clone();
                let lucky = match variant {
                    Variant::Strict => 0,
                    Variant::Torn => dice.roll(pending.len() + 1),
                    Variant::Hole => pending.len(),
                };
                pending[..lucky].iter().for_each(|op| apply_dir(&mut names, op));
                fs::create_dir_all(to).expect("a directory");
                for (name, node) in names {
                    self.put(node, variant, dice, &to.join(name));
                }
            }
            Node::File { synced, pending, .. } => {
                let mut content = synced.clone();
                partly(pending, variant, dice).iter().for_each(|op| content.apply(op));
                let mut file = fs::File::create(to).expect("a file");
                file.write_all(&content.bytes).expect("room");
                file.set_len(content.length).expect("room");
            }
        }
    }
}

/// What of a file's unsynced changes is found.
fn partly(pending: &[FileOp], variant: Variant, dice: &mut Dice) -> Vec<FileOp> {
    match variant {
        Variant::Strict => Vec::new(),
        Variant::Torn => {
            let mut found = pending[..dice.roll(pending.len() + 1)].to_vec();
            if let Some(FileOp::Write(_, bytes)) = found.last_mut() {
                bytes.truncate(dice.roll(bytes.len() + 1));
            }
            found
        }
        Variant::Hole => {
            // Sectors reach the disk in any order: of each one that is written, the old content or the new.
            let mut lost: HashMap<u64, bool> = HashMap::new();
            let mut found = Vec::new();
            for op in pending {
                let FileOp::Write(offset, bytes) = op else {
                    found.push(op.clone());
                    continue;
                };
                let (mut at, mut rest) = (*offset, bytes.as_slice());
                while !rest.is_empty() {
                    let room = usize::try_from(SECTOR - at % SECTOR).expect("a sector is small");
                    let (part, after) = rest.split_at(room.min(rest.len()));
                    if !*lost.entry(at / SECTOR).or_insert_with(|| dice.roll(3) == 0) {
                        found.push(FileOp::Write(at, part.to_vec()));
                    }
                    at += part.len() as u64;
                    rest = after;
                }
                // The length is known even so.
                found.push(FileOp::Write(at, Vec::new()));
            }
            found
        }
    }
}

fn escaped(path: &Path) -> String {
    path.to_str().expect("a plain path").bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

fn contains(bytes: &[u8], marker: &[u8]) -> bool {
    bytes.windows(marker.len()).any(|part| part == marker)
}

/// The server under strace. `-D` keeps the server itself our child, so that signals reach it.
fn traced(dir: &Path, trace: &Path) -> Server {
    let found = Command::new("strace").arg("--version").output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "strace is missing, and without it nobody knows what a power cut leaves. Install it with:\n    apt-get install strace"
    );
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-y", "-xx", "-s", "16777216", "-e", CALLS, "-o"]).arg(trace);
    // Small, so that the power goes while the index is being written, too.
    command.args([PROGRAM, "serve", "--index-bytes", "40000", "--data-dir"]).arg(dir);
    Server::start(command)
}

/// What the client was told of a change.
struct Told {
    op: Op,
    answer: Answer,
    /// Bytes that no other answer has: where they go to a socket, this one is told.
    marker: Vec<u8>,
}

impl Told {
    fn new(op: Op, answer: Answer) -> Self {
        // An answer says its position, so it is like no other. The fields that say whether it is a repeat come behind all
        // else, or are not sent the first time. That of a settlement may be longer than a frame; its id is not.
        let marker = match &answer {
            Answer::Member(answer) => answer.encode_to_vec(),
            Answer::Credit(answer) => answer.encode_to_vec(),
            Answer::Bind(answer) => answer.encode_to_vec(),
            Answer::Refund(answer) => answer.encode_to_vec(),
            Answer::Settle(answer) => settled(answer).settlement_id.clone().into_bytes(),
            other => panic!("no answer of this test: {other:?}"),
        };
        Self { op, answer, marker }
    }
}

fn settled(answer: &proto::SettleResponse) -> &proto::Settlement {
    answer.settlement.as_ref().expect("a settlement")
}

const OWNERS: usize = 2;
const PATIENTS: usize = 4;

/// The same settlement of a long bill: what is kept of it spans many sectors.
fn with_lines(mut op: Op) -> Op {
    let Op::Settle(request) = &mut op else { panic!("a settlement") };
    let bill = request.bill.as_mut().expect("a bill");
    let (count, total) = (60, bill.total_fen);
    let line = |number: i64| proto::Line {
        line_id: format!("L{number}"),
        item_code: format!("XJ01CRA0{number:02}"),
        item_name: "阿莫西林克拉维酸钾片".repeat(4),
        category: proto::ItemCategory::Drug as i32,
        list_class: proto::ListClass::A as i32,
        amount_fen: total / count + if number == 0 { total % count } else { 0 },
        ..Default::default()
    };
    bill.lines = (0..count).map(line).collect();
    bill.adjudicated = None;
    op
}

async fn done(channel: &Channel, op: Op) -> Told {
    let Outcome::Done { answer, .. } = send(channel, op.clone()).await else { panic!("{op:?} was not done") };
    Told::new(op, answer)
}

/// Families, and over three connections settlements, refunds of some, money, people and their bindings; everything that was
/// answered.
fn work(server: &Server, session: usize, dice: &mut Dice) -> Vec<Told> {
    run(async {
        let channel = server.channel().await;
        let day = today(channel.clone()).await;
        let mut told = Vec::new();
        if session == 0 {
            let mut ops: Vec<Op> = (0..OWNERS + PATIENTS).map(|number| person(number, number < OWNERS)).collect();
            ops.extend((0..OWNERS).map(|number| credit(format!("first-{number}"), number, 400_000)));
            for op in ops {
                told.push(done(&channel, op).await);
            }
            for patient in 0..PATIENTS {
                let op = binding(&channel, format!("bind-{patient}"), patient % OWNERS, OWNERS + patient).await;
                told.push(done(&channel, op).await);
            }
        }
        let mut tasks = JoinSet::new();
        for hand in 0..3 {
            let channel = server.channel().await;
            let (day, mut dice) = (day.clone(), Dice::new(dice.next()));
            tasks.spawn(async move {
                let mut told = Vec::new();
                for number in 0..20 {
                    let id = format!("s{session}-{hand}-{number}");
                    let op = settle(id.clone(), "H001", OWNERS + dice.roll(PATIENTS), &day, dice.fen(30_000), 0);
                    let made = done(&channel, if number % 2 == 0 { op } else { with_lines(op) }).await;
                    let Answer::Settle(answer) = &made.answer else { panic!("a settlement") };
                    let settlement_id = settled(answer).settlement_id.clone();
                    told.push(made);
                    let newcomer = 1_000 + session * 1_000 + hand * 100 + number;
                    let owner = dice.roll(OWNERS);
                    told.push(match number % 4 {
                        0 => done(&channel, credit(format!("{id}-money"), owner, dice.fen(1_000))).await,
                        1 => done(&channel, refund(format!("{id}-back"), settlement_id)).await,
                        2 => done(&channel, person(newcomer, false)).await,
                        _ => {
                            let op = binding(&channel, format!("{id}-bound"), owner, newcomer - 1).await;
                            done(&channel, op).await
                        }
                    });
                }
                told
            });
        }
        while let Some(done) = tasks.join_next().await {
            told.extend(done.expect("no panic"));
        }
        told
    })
}

fn refund(request_id: String, settlement_id: String) -> Op {
    Op::Refund(proto::RefundSettlementRequest {
        request_id,
        institution_code: "H001".to_owned(),
        settlement_id,
        what: Some(proto::refund_settlement_request::What::Whole(true)),
        explanation_view: 0,
    })
}

fn open(dir: &Path) -> Result<Ledger, String> {
    let options = EmbeddedOptions { cache_bytes: 8 << 20, ..EmbeddedOptions::new(dir, [9; 32]) };
    let store = EmbeddedStore::open(&options).map_err(|error| error.to_string())?;
    let book = policy::load(&PolicyFiles::embedded()).expect("the policies are good");
    let limits = Limits {
        retries: 8,
        max_backdate_days: 1_096,
        bindings_per_member: 32,
        quote_seconds: 300,
        hold_seconds: 86_400,
        holds_per_member: 32,
        refunds_per_settlement: 100,
        refused_grades: Default::default(),
    };
    Ok(Ledger::new(store, Arc::new(book), Arc::new(SystemClock), Arc::new(RandomIds::from_system()), limits))
}

/// Looks for a change that had been answered: its record says what was told, and a settlement can be read whole.
async fn look_for(ledger: &Ledger, told: &Told) -> Result<(), String> {
    let position = told.answer.position().unsigned_abs();
    let head = ledger.store().head_now().position;
    if head < position {
        return Err(format!("{:?} was answered at {position} and the ledger ends at {head}", told.op));
    }
    let stored = ledger.store().records(position, 1).await.map_err(|error| error.to_string())?;
    let stored = stored.first().ok_or_else(|| format!("{position} has no record"))?;
    let record = decode_record(&stored.bytes).map_err(|error| format!("{position}: {error}"))?;
    let is_it = match (&told.op, &told.answer, &record.event) {
        (_, Answer::Member(answer), Event::MemberCreated { member }) => {
            answer.member.as_ref().is_some_and(|told| told.member_id == member.id.to_string())
        }
        (Op::Credit(asked), Answer::Credit(answer), Event::Credited { after, amount, .. }) => {
            let is_whose = answer.account.as_ref().is_some_and(|told| told.member_id == after.member.to_string());
            is_whose && amount.as_fen() == asked.amount_fen
        }
        (_, Answer::Bind(answer), Event::BindingCreated { binding, .. }) => {
            answer.binding.as_ref().is_some_and(|told| told.binding_id == binding.id.to_string())
        }
        (Op::Refund(asked), Answer::Refund(_), Event::Refunded { settlement, .. }) => {
            settlement.to_string() == asked.settlement_id
        }
        (_, Answer::Settle(answer), Event::Settled(made)) => settled(answer).settlement_id == made.id.to_string(),
        _ => false,
    };
    if !is_it {
        return Err(format!("at {position} stands {:?} and not {:?}", record.event, told.op));
    }
    let Answer::Settle(answer) = &told.answer else { return Ok(()) };
    let id = &settled(answer).settlement_id;
    let key = SettlementKey::Id(SettlementId::parse(id).expect("an id"));
    let found = ledger.settlement(&key).await.map_err(|failure| format!("{id}: {failure:?}"))?;
    let (amounts, expected) = (&found.settlement.amounts, settled(answer).amounts.as_ref().expect("amounts"));
    if (amounts.cash.as_fen(), amounts.mutual_aid.as_fen()) != (expected.cash_fen, expected.mutual_aid_fen) {
        return Err(format!("{id} has other amounts than were answered"));
    }
    ledger.revisions(&found.settlement.policies).await.map_err(|failure| format!("{id}: {failure:?}"))?;
    Ok(())
}

/// Opens what was found and looks for everything that had been answered. `Err` says what is wrong.
fn inspect(dir: &Path, answered: &BTreeSet<usize>, told: &[Told]) -> Result<(), String> {
    let ledger = open(dir)?;
    let result = run(async {
        for place in answered {
            look_for(&ledger, &told[*place]).await?;
        }
        // It is not only readable: it can go on.
        demo::load(&ledger).await.map_err(|failure| format!("nothing can be written: {failure:?}"))?;
        let report = ledger.check().await.map_err(|failure| format!("{failure:?}"))?;
        if !report.is_ok() {
            return Err(format!("{:?}", report.problems));
        }
        ledger.store().close().await.map_err(|error| error.to_string())?;
        Ok(report.head.position)
    });
    let head = result?;
    drop(ledger);
    // Another test's child that is just being started has this process's files for a moment, and the lock with them.
    let again = wait_until("the lock", PATIENCE, || match open(dir) {
        Err(error) if error.contains("is in use") => None,
        opened => Some(opened),
    });
    let again = again.map_err(|error| format!("the second time: {error}"))?;
    let report = run(again.check()).map_err(|failure| format!("{failure:?}"))?;
    if !report.is_ok() || report.head.position != head {
        return Err(format!("the second time: at {} of {head}, {:?}", report.head.position, report.problems));
    }
    Ok(())
}

#[test]
fn what_was_answered_survives_a_power_cut() {
    let cuts = usize::try_from(from_env("GONGJI_POWER_CUTS", 20)).expect("not so many");
    let seed = from_env("GONGJI_SEED", 0x90_3e4c);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_POWER_CUTS={cuts} cargo test --test suite power_cut:: -- --nocapture"
    ));
    let mut dice = Dice::new(seed);
    let ground = TempDir::new().expect("a directory");
    let root = ground.path().join("disk");
    fs::create_dir(&root).expect("a directory");
    let data = root.join("shop").join("ledger");

    // Two sessions, so that a recovery is among what is cut; the first ends by a kill.
    let mut sessions = Vec::new();
    let mut told = Vec::new();
    for session in 0..2 {
        let trace = ground.path().join(format!("trace-{session}"));
        let server = traced(&data, &trace);
        let pid = server.pid();
        told.extend(work(&server, session, &mut dice));
        server.kill();
        // strace pads the number, and other threads' last words may come after.
        let is_end = |line: &str| {
            line.strip_prefix(&pid.to_string()).is_some_and(|rest| rest.trim() == "+++ killed by SIGKILL +++")
        };
        let text = wait_until("strace's last line", PATIENCE, || {
            fs::read_to_string(&trace).ok().filter(|text| text.lines().rev().take(64).any(is_end))
        });
        sessions.push(read_trace(&text));
    }

    // Where to cut: while the data set is made, right after an answer went out, while something is written and not yet
    // synced, and anywhere.
    let lines: usize = sessions.iter().map(Vec::len).sum();
    let told = Arc::new(told);
    let mut disk = Disk::new(&root, &told);
    let (mut line, mut after_answers, mut unsynced, mut first_answer) = (0, Vec::new(), Vec::new(), lines);
    for calls in &sessions {
        for call in calls {
            let before = disk.answered.len();
            disk.step(call);
            if disk.answered.len() > before {
                after_answers.push(line);
                first_answer = first_answer.min(line);
            }
            if first_answer < line && disk.nodes.iter().any(|node| node.unsynced_bytes() > 0) {
                unsynced.push(line);
            }
            line += 1;
        }
        disk.process_ended();
    }
    let missed: Vec<&Op> =
        told.iter().enumerate().filter(|(place, _)| !disk.answered.contains(place)).map(|(_, told)| &told.op).collect();
    assert!(
        missed.is_empty(),
        "the trace misses {} of {} answers, {:?} first",
        missed.len(),
        told.len(),
        missed.first()
    );
    let places = (0..cuts).map(|number| match number % 5 {
        0 => dice.roll(first_answer),
        1 | 2 => *dice.one_of(&after_answers),
        3 => *dice.one_of(&unsynced),
        _ => first_answer + dice.roll(lines - first_answer),
    });
    let mut places: Vec<usize> = places.collect();
    places.sort_unstable();

    let mut disk = Disk::new(&root, &told);
    let (mut line, mut next, mut troubles, mut looked_for) = (0, 0, Vec::new(), 0);
    for calls in &sessions {
        for call in calls {
            disk.step(call);
            while places.get(next) == Some(&line) {
                for variant in [Variant::Strict, Variant::Torn, Variant::Hole] {
                    let found = ground.path().join("found");
                    disk.cut(variant, &mut dice, &found);
                    looked_for += disk.answered.len();
                    if let Err(trouble) = inspect(&found.join("shop").join("ledger"), &disk.answered, &told) {
                        troubles.push(format!("line {line} of {lines}, {variant:?}, after {}: {trouble}", call.name));
                    }
                    fs::remove_dir_all(&found).expect("it can be removed");
                }
                next += 1;
            }
            line += 1;
        }
        disk.process_ended();
    }
    println!(
        "{cuts} power cuts in 3 variants, seed {seed}: {lines} calls traced, {} changes answered, {looked_for} looked for",
        told.len()
    );
    assert!(troubles.is_empty(), "{} of {} lost something:\n{}", troubles.len(), cuts * 3, troubles.join("\n"));
    assert!(next == cuts && looked_for > told.len(), "the cuts did not come where answers were");
}
