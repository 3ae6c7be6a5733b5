//! The embedded store on a file system of its own, ext4 in a file: read-only when it is opened, turned read-only under a
//! server as ext4 turns itself on an error, and without room while the index is written. Only root may mount: others are told,
//! and skip these tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gongji::grpc::proto;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use tempfile::TempDir;
use tonic_types::StatusExt;

use super::feed::{PEOPLE, load, people};
use super::kills::{Answer, Outcome, credit, send};
use super::process::{Server, check_ledger, ended, gongji, run};

/// A file system in a file, mounted, and somebody who takes it away at the end, whatever becomes of this process.
struct Disk {
    folder: TempDir,
    keeper: Option<Child>,
}

fn tool(program: &str, args: &[&str]) -> Result<String, String> {
    // Debian keeps them off the path of those who may not use them.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    match Command::new(program).args(args).env("PATH", path).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

impl Disk {
    /// Of so many MiB; none where this may not be done.
    fn of(mib: u64) -> Option<Self> {
        let folder = TempDir::new().expect("a directory");
        let mut disk = Self { folder, keeper: None };
        let image = fs::File::create(disk.path("image")).expect("a file");
        image.set_len(mib << 20).expect("it takes no room yet");
        fs::create_dir(disk.path("mounted")).expect("a directory");
        // Nothing is kept for root, so that a full one is full.
        let made = tool("mkfs.ext4", &["-q", "-F", "-m", "0", plain(&disk.path("image"))]);
        if let Err(why) = made.and_then(|_| disk.mount()) {
            println!("skipped: no disk can be made here: {why}");
            return None;
        }
        let away = "trap '' HUP INT TERM; cat > /dev/null; for turn in $(seq 100); do umount \"$1\" 2> /dev/null && break; \
                    mountpoint -q \"$1\" || break; sleep 0.1; done; rm -rf \"$2\"";
        let mut command = Command::new("sh");
        command.args(["-c", away, "away"]).arg(disk.path("mounted")).arg(disk.folder.path()).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        disk.keeper = Some(command.spawn().expect("sh can be started"));
        Some(disk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("mounted").join("data")
    }

    fn mount(&self) -> Result<String, String> {
        let (image, place) = (self.path("image"), self.path("mounted"));
        tool("mount", &["-o", "loop,errors=remount-ro", plain(&image), plain(&place)])
    }

    fn remount(&self, how: &str) {
        tool("mount", &["-o", &format!("remount,{how}"), plain(&self.path("mounted"))]).expect("remounted");
    }

    /// As ext4 does when it finds something wrong. A plain remount is refused while files are open.
    fn turn_read_only(&self) {
        let device = tool("findmnt", &["-n", "-o", "SOURCE", plain(&self.path("mounted"))]).expect("it is mounted");
        let device = device.rsplit('/').next().expect("a name");
        fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1").expect("root may");
        let refused = fs::write(self.path("mounted").join("a file"), "text").expect_err("it is read-only");
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }

    /// As an administrator brings it back: looked through, and mounted to be written.
    fn bring_back(&self) {
        tool("umount", &[plain(&self.path("mounted"))]).expect("nobody has it open");
        // It says by its status that it mended something.
        let _ = tool("e2fsck", &["-fy", plain(&self.path("image"))]);
        self.mount().expect("mounted");
    }

    /// Leaves so many KiB of it free.
    fn fill(&self, leave_kib: usize) {
        let told = tool("df", &["--output=avail", "--block-size=1K", plain(&self.path("mounted"))]).expect("df");
        let free: usize = told.lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("a number");
        fs::write(self.path("mounted").join("ballast"), vec![1; (free - leave_kib) << 10]).expect("there is room");
    }

    fn empty(&self) {
        fs::remove_file(self.path("mounted").join("ballast")).expect("ours");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn refused_by_name(args: &[&str], dir: &Path) {
    let output = ended(gongji(args));
    let said = String::from_utf8_lossy(&output.stderr);
    let name = format!("{} cannot be used: Read-only file system", dir.display());
    assert!(!output.status.success() && said.contains(&name) && !said.contains("panicked"), "{args:?}: {said}");
}

/// Sends credits until one is refused; what was answered before.
async fn until_refused(server: &Server, name: &str) -> Vec<(usize, Answer)> {
    let channel = server.channel().await;
    let mut answered = Vec::new();
    for number in 0..20_000 {
        match send(&channel, credit(format!("{name}-{number}"), number % PEOPLE, 1)).await {
            Outcome::Done { answer, replayed: false } => answered.push((number, answer)),
            Outcome::Refused(status) => {
                let reason = status.get_details_error_info().expect("of ours").reason;
                assert!(["OUTCOME_UNKNOWN", "STORE_UNAVAILABLE"].contains(&reason.as_str()), "{status:?}");
                // Nothing is told from now on, reads included.
                let head = LedgerServiceClient::new(channel).get_head(proto::GetHeadRequest::default()).await;
                let status = head.expect_err("nothing is known any more");
                assert_eq!(status.get_details_error_info().expect("of ours").reason, "STORE_UNAVAILABLE", "{status:?}");
                return answered;
            }
            other => panic!("{number}: {other:?}"),
        }
    }
    panic!("nothing was ever refused");
}

/// What was answered is there, once, and everything goes on.
fn goes_on(dir: &Path, name: &str, answered: &[(usize, Answer)], index_bytes: &str) {
    let server = Server::on(dir, &["--index-bytes", index_bytes]);
    run(async {
        let channel = server.channel().await;
        for (number, answer) in answered {
            let again = send(&channel, credit(format!("{name}-{number}"), number % PEOPLE, 1)).await;
            let Outcome::Done { answer: found, replayed: true } = again else { panic!("{number} was lost: {again:?}") };
            assert_eq!(found.position(), answer.position());
        }
        let next = send(&channel, credit(format!("{name}-next"), 0, 1)).await;
        assert!(matches!(next, Outcome::Done { replayed: false, .. }), "{next:?}");
        check_ledger(channel).await;
    });
    let (status, _, log) = server.terminate();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

#[test]
fn a_data_set_on_a_read_only_disk_is_refused_by_name_and_left_as_it_is() {
    let Some(disk) = Disk::of(128) else { return };
    let dir = disk.data();
    let server = Server::on(&dir, &[]);
    run(people(&server));
    let (status, _, log) = server.terminate();
    assert!(status.success(), "{log}");
    disk.remount("ro");
    refused_by_name(&["serve", "--data-dir", plain(&dir), "--listen", "127.0.0.1:0"], &dir);
    refused_by_name(&["ledger", "verify", "--data-dir", plain(&dir)], &dir);
    disk.remount("rw");
    goes_on(&dir, "after", &[], "134217728");
}

#[test]
fn a_disk_that_turns_read_only_under_a_server_loses_nothing_that_was_answered() {
    let Some(disk) = Disk::of(128) else { return };
    let dir = disk.data();
    let server = Server::on(&dir, &[]);
    let answered = run(async {
        people(&server).await;
        load(&server, 0, 100).await;
        let channel = server.channel().await;
        let mut answered = Vec::new();
        for number in 0..50 {
            let outcome = send(&channel, credit(format!("before-{number}"), number % PEOPLE, 1)).await;
            let Outcome::Done { answer, replayed: false } = outcome else { panic!("{number}: {outcome:?}") };
            answered.push((number, answer));
        }
        disk.turn_read_only();
        let more = until_refused(&server, "later").await;
        assert!(more.is_empty(), "a change was answered that no disk has");
        answered
    });
    let log = server.kill();
    assert!(log.contains("cannot be written") && !log.contains("panicked"), "{log}");
    disk.bring_back();
    goes_on(&dir, "before", &answered, "134217728");
}

/// An index of small pieces, so that it is being written most of the time. What is full first is chance, so several
/// times, and until it was the index.
#[test]
fn a_full_disk_while_the_index_is_written_loses_nothing_that_was_answered() {
    let Some(disk) = Disk::of(256) else { return };
    let mut met = 0;
    for turn in 0..24 {
        if turn >= 6 && met > 0 {
            break;
        }
        let (dir, name) = (disk.path("mounted").join(format!("data-{turn}")), format!("full-{turn}"));
        let server = Server::on(&dir, &["--index-bytes", "8000"]);
        run(people(&server));
        disk.fill(250 + 60 * (turn % 6));
        let answered = run(until_refused(&server, &name));
        let log = server.kill();
        assert!(log.contains("cannot be written") && !log.contains("panicked"), "{log}");
        met += usize::from(log.contains("the index cannot be written any more"));
        disk.empty();
        goes_on(&dir, &name, &answered, "8000");
        println!("{} answered before the disk was full", answered.len());
        fs::remove_dir_all(&dir).expect("ours");
    }
    assert!(met > 0, "the index was never what met the end of the disk");
}
