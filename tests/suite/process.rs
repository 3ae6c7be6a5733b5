//! The real program as a child process, and what it promises whoever starts, stops and configures it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use gongji::domain::time::Moment;
use gongji::grpc::proto;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use gongji::grpc::proto::member_service_client::MemberServiceClient;
use gongji::grpc::proto::server_service_client::ServerServiceClient;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_gongji");

/// Longest wait for anything a sound machine does in a second.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Small numbers from a seed, the same on every machine and in every version (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// 0 to `sides` − 1.
    pub fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.next() % sides.max(1) as u64).expect("below a usize")
    }

    pub fn fen(&mut self, below: i64) -> i64 {
        1 + i64::try_from(self.next() % below.unsigned_abs()).expect("below an i64")
    }

    pub fn one_of<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.roll(among.len())]
    }
}

/// A number from the environment: how many, or which seed.
pub fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// Prints how to run it again if the test panics while this is alive.
pub struct Replay(pub String);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("\nthe same again: {}\n", self.0);
        }
    }
}

/// Looks again and again until something is there.
pub fn wait_until<T>(what: &str, longest: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + longest;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {longest:?} in vain for {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Runs something asynchronous on this thread.
pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

/// `18` characters with a right check character, distinct for every number below 500 000; nobody's.
pub fn id_number(number: usize) -> String {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let (sequence, day) = (number % 1000, number / 1000);
    let (day, month) = (1 + day % 28, 1 + day / 28 % 12);
    let body = format!("4403051975{month:02}{day:02}{sequence:03}");
    let sum: u32 = body.bytes().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    let check = b"10X98765432"[(sum % 11) as usize];
    format!("{body}{}", char::from(check))
}

/// `gongji` with these arguments and none of this shell's settings.
pub fn gongji(args: &[&str]) -> Command {
    program(PROGRAM, args)
}

/// The same of another build of it.
pub fn program(path: &str, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(args);
    plain(&mut command);
    command
}

fn plain(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GONGJI_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// Runs to the end; one that does not end is killed and is a failure. What it says is read meanwhile: a pipe holds 64 KiB, and
/// who says more waits for a reader.
pub fn ended(mut command: Command) -> Output {
    let mut child = command.spawn().expect("the program can be started");
    let (stdout, stderr) = (drained(child.stdout.take()), drained(child.stderr.take()));
    let heard = |pipe: JoinHandle<Vec<u8>>| pipe.join().expect("a pipe was read");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
            panic!("it did not end; it said: {}", String::from_utf8_lossy(&heard(stderr)));
        }
        thread::park_timeout(Duration::from_millis(5));
    };
    Output { status, stdout: heard(stdout), stderr: heard(stderr) }
}

fn drained(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut said).expect("a pipe can be read");
        }
        said
    })
}

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// On the embedded store in a directory.
    pub fn on(dir: &Path, more: &[&str]) -> Self {
        let dir = dir.to_str().expect("a plain path");
        Self::start(gongji(&[&["serve", "--data-dir", dir], more].concat()))
    }

    /// Starts what serves, on a port that the system chooses, and waits until health says so.
    pub fn start(mut command: Command) -> Self {
        plain(&mut command);
        command.args(["--listen", "127.0.0.1:0", "--log-json", "true"]);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let (found, address) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        let reader = thread::spawn({
            let log = log.clone();
            move || {
                for line in lines.lines().map_while(Result::ok) {
                    let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                    if said["fields"]["message"] == "serving" {
                        let _ = found.send(said["fields"]["address"].as_str().unwrap_or_default().to_owned());
                    }
                    let mut log = log.lock().expect("nobody panics with the log");
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });
        let address = match address.recv_timeout(PATIENCE) {
            Ok(address) => address.parse().expect("the log tells the address"),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let _ = child.kill();
                let log = log.lock().expect("nobody panics with the log");
                panic!("the server did not come to serve; it said:\n{log}");
            }
        };
        let server = Self { child, address, log, reader: Some(reader) };
        run(server.healthy());
        server
    }

    /// Waits until it says that it serves.
    pub async fn healthy(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            if let Ok(channel) = self.endpoint().connect().await {
                let answer = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await;
                if answer.is_ok_and(|answer| answer.get_ref().status == ServingStatus::Serving as i32) {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "the server never became healthy:\n{}", self.log());
            tick.tick().await;
        }
    }

    pub fn endpoint(&self) -> Endpoint {
        endpoint(self.address)
    }

    pub async fn channel(&self) -> Channel {
        self.endpoint().connect().await.expect("the server takes connections")
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics with the log").clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and what it had said.
    pub fn kill(mut self) -> String {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
        self.end_of_log()
    }

    /// For whoever kills from within the load.
    pub fn killer(&self) -> impl Fn() + Send + Sync + 'static {
        let pid = self.pid();
        move || signal(pid, "KILL")
    }

    /// SIGTERM: how it ended, after how long, and what it had said.
    pub fn terminate(mut self) -> (ExitStatus, Duration, String) {
        let from = Instant::now();
        signal(self.pid(), "TERM");
        let status = wait_until("the end after SIGTERM", PATIENCE, || self.child.try_wait().expect("a child"));
        (status, from.elapsed(), self.end_of_log())
    }

    fn end_of_log(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader ends with the pipe");
        }
        self.log()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).expect("an address").timeout(PATIENCE).tcp_nodelay(true)
}

/// Sends a signal and returns when the kernel has taken it.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.expect("kill is installed").success(), "process {pid} is not there");
}

/// The server's day, as the requests want it.
pub async fn today(channel: Channel) -> String {
    let info = ServerServiceClient::new(channel).get_server_info(proto::GetServerInfoRequest {}).await;
    let time = info.expect("it says what it is").into_inner().server_time.expect("it has a clock");
    Moment::from_micros(time.seconds * 1_000_000).civil_day().to_string()
}

pub async fn check_ledger(channel: Channel) -> proto::CheckLedgerResponse {
    let mut client = LedgerServiceClient::new(channel);
    let report = client.check_ledger(proto::CheckLedgerRequest {}).await.expect("a ledger can be checked").into_inner();
    assert!(report.ok, "the ledger is wrong: {:?}", report.problems);
    report
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A refusal to start: not 0, one line, which says what is wrong.
fn refused(args: &[&str], parts: &[&str]) {
    let output = ended(gongji(args));
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{args:?} was not refused");
    assert!(parts.iter().all(|part| said.contains(part)), "{args:?}: {said}");
    assert!(!said.contains("panicked"), "{args:?}: {said}");
}

#[test]
fn a_stop_ends_open_watches_and_lets_calls_finish() {
    let dir = TempDir::new().expect("a directory");
    let server = Server::on(dir.path(), &["--drain-ms", "3000"]);
    let (answers, status, took, log) = run(async {
        let channel = server.channel().await;
        let mut health = HealthClient::new(server.channel().await);
        let watch = health.watch(HealthCheckRequest { service: String::new() }).await;
        let mut watch = watch.expect("health can be watched").into_inner();
        let first = watch.message().await.expect("a first word").expect("a first word").status;
        assert_eq!(first, ServingStatus::Serving as i32);
        // Calls that wait for the disk when the stop comes.
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..64 {
            let mut client = MemberServiceClient::new(channel.clone());
            calls.spawn(async move { client.create_member(resident(number)).await });
        }
        let mut answers = Vec::new();
        answers.push(calls.join_next().await.expect("a call").expect("no panic"));
        // On another thread, because this one runs the calls.
        let stopping = tokio::task::spawn_blocking(move || server.terminate());
        while let Some(answer) = calls.join_next().await {
            answers.push(answer.expect("no panic"));
        }
        let mut last = first;
        while let Ok(Some(word)) = watch.message().await {
            last = word.status;
        }
        assert_eq!(last, ServingStatus::NotServing as i32, "watchers are told before the end");
        let (status, took, log) = stopping.await.expect("no panic");
        (answers, status, took, log)
    });
    assert!(status.success(), "{status}\n{log}");
    assert!(took < Duration::from_millis(3_000 + 2_000), "a stop took {took:?}");
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    for answer in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert!(answer.code() == tonic::Code::Unavailable, "a call was cut off: {answer:?}\n{log}");
    }
    // What was answered is there.
    let server = Server::on(dir.path(), &[]);
    let report = run(async { check_ledger(server.channel().await).await });
    assert!(report.records_checked >= done as i64 && done > 0, "{done} answered, {report:?}");
}

fn resident(number: usize) -> proto::CreateMemberRequest {
    proto::CreateMemberRequest {
        request_id: format!("resident-{number}"),
        name: format!("居民{number}"),
        id_number: id_number(number),
        card_number: None,
        personal_number: None,
        computer_number: None,
        card_state: 0,
        issuing_bank_code: String::new(),
        insurance: Some(proto::Insurance {
            scheme: proto::Scheme::Resident as i32,
            tier: String::new(),
            state: proto::InsuranceState::Normal as i32,
            region_code: "440300".to_owned(),
            has_account: false,
            start_date: "2015-01-01".to_owned(),
        }),
        view: 0,
    }
}

#[test]
fn a_killed_server_starts_again_with_what_it_answered() {
    let dir = TempDir::new().expect("a directory");
    let server = Server::on(dir.path(), &[]);
    let first = run(async {
        let mut client = MemberServiceClient::new(server.channel().await);
        client.create_member(resident(1)).await.expect("a person").into_inner()
    });
    server.kill();
    let server = Server::on(dir.path(), &[]);
    let again = run(async {
        let mut client = MemberServiceClient::new(server.channel().await);
        client.create_member(resident(1)).await.expect("a person").into_inner()
    });
    assert!(again.replayed);
    assert_eq!(proto::CreateMemberResponse { replayed: false, ..again }, first);
}

#[test]
fn one_process_at_a_time_on_a_data_directory() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().to_str().expect("a plain path").to_owned();
    let server = Server::on(dir.path(), &[]);
    refused(&["serve", "--data-dir", &path, "--listen", "127.0.0.1:0"], &[&path, "in use by another process"]);
    // The first one did not notice.
    run(async { check_ledger(server.channel().await).await });
    let (status, _, log) = server.terminate();
    assert!(status.success(), "{log}");
    Server::on(dir.path(), &[]);
}

#[test]
fn a_directory_that_holds_other_things_is_left_alone() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("letters.txt"), "mine").expect("a file");
    let path = dir.path().to_str().expect("a plain path").to_owned();
    refused(&["serve", "--data-dir", &path, "--listen", "127.0.0.1:0"], &[&path, "holds no gongji data set"]);
    assert_eq!(fs::read_to_string(dir.path().join("letters.txt")).expect("still there"), "mine");
}

#[test]
fn settings_come_from_flag_then_environment_then_file_then_default() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("gongji.toml");
    fs::write(&file, "retries = 11\nevidence = 12\nbill_lines = 13\n").expect("a file");
    let file = file.to_str().expect("a plain path");
    let mut command = gongji(&["config", "--config", file, "--retries", "31"]);
    command.env("GONGJI_RETRIES", "21").env("GONGJI_EVIDENCE", "22");
    let output = ended(command);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // From flag, environment, file, default.
    for line in ["retries = 31", "evidence = 22", "bill_lines = 13", "quote_seconds = 300"] {
        assert!(printed.lines().any(|printed| printed == line), "no {line:?} in:\n{printed}");
    }
    // And what is printed can be given back.
    let again = dir.path().join("again.toml");
    fs::write(&again, &printed).expect("a file");
    let output = ended(gongji(&["config", "--config", again.to_str().expect("a plain path")]));
    assert_eq!(text(&output.stdout), printed, "{}", text(&output.stderr));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().to_str().expect("a plain path");
    let clock = ["--clock", "2021-06-01T09:00:00+08:00"];
    refused(&[&["serve", "--data-dir", path][..], &clock].concat(), &["clock", "--demo"]);
    refused(&["serve", "--store", "memory", "--clock", "yesterday"], &["clock"]);
    refused(&["serve", "--store", "memory", "--listen", "0.0.0.0:0"], &["--insecure"]);
    refused(&["serve", "--config", "/nowhere/gongji.toml"], &["/nowhere/gongji.toml"]);
    refused(&["serve", "--bill-lines", "0", "--store", "memory"], &["bill_lines"]);
    refused(&["serve", "--no-such-option"], &["--no-such-option"]);
    let file = dir.path().join("typo.toml");
    fs::write(&file, "bil_lines = 3\n").expect("a file");
    refused(&["config", "--config", file.to_str().expect("a plain path")], &["bil_lines"]);
    // What the refusals recommend works as they write it.
    for args in [&["config", "--listen", "0.0.0.0:1", "--insecure"][..], &["config", "--demo", clock[0], clock[1]]] {
        let output = ended(gongji(args));
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    }
    // Nothing was left behind by any of these.
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
}

#[test]
fn a_clock_set_back_is_served_in_memory() {
    // In 2010 some of the family were not born yet, and it serves all the same.
    for day in ["2021-06-01", "2010-06-01"] {
        let server = Server::start(gongji(&["serve", "--demo", "--clock", &format!("{day}T09:00:00+08:00")]));
        let told = run(async { today(server.channel().await).await });
        assert_eq!(told, day);
    }
}

#[test]
fn help_names_every_option() {
    let top = text(&ended(gongji(&["--help"])).stdout);
    let printed = text(&ended(gongji(&["config"])).stdout);
    let settings: Vec<String> = printed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" = ")?.0.replace('_', "-")))
        .collect();
    assert!(settings.len() > 20, "{printed}");
    for command in ["serve", "config"] {
        assert!(top.contains(command), "{top}");
        let help = text(&ended(gongji(&[command, "--help"])).stdout);
        for setting in settings.iter().map(String::as_str).chain(["demo", "config"]) {
            assert!(help.contains(&format!("--{setting}")), "no --{setting} in {command} --help");
        }
        // In the order of the settings: where it listens and what it keeps come first.
        let options = help.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(' '));
        let told = options
            .filter(|(name, rest)| rest.starts_with(['<', '[']) && settings.iter().any(|setting| setting == name));
        let told: Vec<&str> = told.map(|(name, _)| name).collect();
        assert_eq!(told, settings, "{command} --help");
    }
}

/// The nightly job by hand: on a server's directory, once, and in words where it cannot be.
#[test]
fn transfers_that_nobody_took_go_back_by_hand() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().to_str().expect("a plain path");
    let server = Server::on(dir.path(), &["--demo", "--clock", "2025-06-03T09:00:00+08:00"]);
    let card =
        |number: &str| Some(proto::MemberRef { r#ref: Some(proto::member_ref::Ref::CardNumber(number.to_owned())) });
    run(async {
        let mut accounts = proto::account_service_client::AccountServiceClient::new(server.channel().await);
        for number in ["CD-CARD-4001", "HE-CARD-3001"] {
            let open = proto::OpenWalletRequest { request_id: format!("open-{number}"), member: card(number) };
            accounts.open_wallet(open).await.expect("opened");
        }
        let transfer = proto::TransferFundsRequest {
            request_id: "t".to_owned(),
            owner: card("CD-CARD-4001"),
            beneficiary: card("HE-CARD-3001"),
            relation: proto::Relation::Sibling as i32,
            amount_fen: 12_300,
            commitment_ref: "C-1".to_owned(),
            ..Default::default()
        };
        accounts.transfer_funds(transfer).await.expect("sent");
    });
    let by_hand = |on: &str| {
        let done = gongji(&["run", "return-unclaimed", "--on", on, "--data-dir", path]).output().expect("it runs");
        let said = String::from_utf8_lossy(if done.status.success() { &done.stdout } else { &done.stderr });
        format!("{} {}", done.status.success(), said.trim().lines().last().unwrap_or_default())
    };
    let in_use = by_hand("2025-06-03");
    assert!(in_use.starts_with("false gongji: ") && in_use.contains("use"), "{in_use}");
    server.kill();
    let back = "1 transfers, 1 gone back now, 12300 fen; 0 could not go back, 0 can still be taken";
    assert_eq!(by_hand("2025-06-03"), format!("true 2025-06-03: {back}"));
    let again = "1 transfers, 0 gone back now, 0 fen; 0 could not go back, 0 can still be taken";
    assert_eq!(by_hand("2025-06-03"), format!("true 2025-06-03: {again}"));
    assert_eq!(by_hand("2025-6-3"), "false gongji: --on: must be a day as YYYY-MM-DD");
    assert_eq!(by_hand("2999-06-03"), "false gongji: --on: is not over yet");
}
