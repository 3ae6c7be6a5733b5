//! The command line where something is not as it should be: nobody reads what it prints, the disk behind it is full, the data
//! are somewhere else, the file is another, the server says nothing.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use gongji::store::embedded::EmbeddedStore;

use crate::process::{Server, ended, gongji, id_number};

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked") && !text.contains("src/"), "{text}");
    text
}

/// A command is refused with these words, and without those.
fn refused(command: Command, words: &[&str], never: &[&str]) {
    let shown = format!("{command:?}");
    let output = ended(command);
    let text = said(&output);
    assert!(!output.status.success(), "{shown} ends well");
    assert!(words.iter().all(|word| text.contains(word)), "{shown} says {text}");
    assert!(never.iter().all(|word| !text.contains(word)), "{shown} says {text}");
}

const OBJECT: &str = r#"{"region_code":"110000","on":"2025-08-01","wage_fen":1000000}"#;

/// Commands that print, each with what it does besides.
fn printing(dir: &Path) -> Vec<Command> {
    let data = dir.join("data").display().to_string();
    let mut all = vec![
        gongji(&["config"]),
        gongji(&["calc", "contribution", OBJECT]),
        gongji(&["calc", "contribution", OBJECT, "--explain", "en"]),
        gongji(&["policy", "show", "440300", "--on", "2025-06-01"]),
    ];
    all.extend([&["ledger", "verify"][..], &["ledger", "show"]].map(|words| {
        let mut command = gongji(words);
        command.args(["--data-dir", &data]);
        command
    }));
    all.push(gongji(&["backup", "--data-dir", &data, "--to", &dir.join("backup").display().to_string()]));
    all
}

/// A data set with the demonstration family.
fn with_data() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data").display().to_string();
    let server = Server::start(gongji(&["serve", "--demo", "--data-dir", &data]));
    drop(server);
    dir
}

#[test]
fn a_full_disk_behind_the_output_is_a_failure_and_a_closed_pipe_is_none() {
    let dir = with_data();
    for mut command in printing(dir.path()) {
        let shown = format!("{command:?}");
        let _ = fs::remove_dir_all(dir.path().join("backup"));
        command.stdout(File::options().write(true).open("/dev/full").expect("there is one"));
        let output = ended(command);
        assert!(said(&output).contains("could not be written"), "{shown}: {}", said(&output));
        assert_eq!(output.status.code(), Some(2), "{shown}");
    }
    for mut command in printing(dir.path()) {
        let shown = format!("{command:?}");
        let _ = fs::remove_dir_all(dir.path().join("backup"));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        command.stdout(writer);
        let output = ended(command);
        assert_eq!((said(&output).as_str(), output.status.code()), ("", Some(0)), "{shown}");
    }
    assert!(dir.path().join("backup/changes").exists(), "the work was done");
}

#[test]
fn what_is_done_on_data_makes_none() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("nothing").display().to_string();
    let draft = dir.path().join("policy.toml");
    fs::write(&draft, include_str!("../../policies/440300-shenzhen/policy.toml")).expect("written");
    let rows: [&[&str]; 5] = [
        &["run", "return-unclaimed", "--on", "2025-06-01"],
        &["run", "close-year", "--region", "440300", "--year", "2024"],
        &["ledger", "verify"],
        &["backup", "--to", "unused"],
        &["policy", "whatif", draft.to_str().expect("text")],
    ];
    for words in rows {
        let mut command = gongji(words);
        command.args(["--data-dir", &data]);
        refused(command, &["there is no gongji data set in", "nothing"], &[]);
        assert!(!Path::new(&data).exists(), "{words:?} made a folder");
    }
}

#[test]
fn a_folder_that_is_still_being_made_is_not_served() {
    for ending in [".restoring", ".copying"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("data").display().to_string();
        let begun = format!("{data}{ending}");
        fs::create_dir(&begun).expect("made");
        let serve = || gongji(&["serve", "--data-dir", &data]);
        refused(serve(), &["did not come to its end", &begun], &[]);
        assert!(!Path::new(&data).exists());
        fs::remove_dir(&begun).expect("removed");
        let server = Server::start(serve());
        assert!(server.log().contains("a new data set is made"));
        drop(server);
        assert!(EmbeddedStore::is_there(Path::new(&data)));
        // A copy of it elsewhere later on is nobody's hindrance.
        fs::create_dir(&begun).expect("made");
        drop(Server::start(serve()));
    }
}

#[test]
fn a_server_that_cannot_listen_makes_no_data_set() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    for settings in [&["--listen"][..], &["--listen", "127.0.0.1:0", "--metrics-listen"]] {
        let mut serve = gongji(&["serve"]);
        serve.args(settings).arg(&address).arg("--data-dir").arg(&data);
        refused(serve, &["cannot listen", &address], &[]);
        assert!(!data.exists());
    }
}

#[test]
fn files_and_settings_are_refused_without_what_stands_in_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let number = id_number(7);
    let rows = file("rows.csv", &format!("{number},BUCKET_CURRENT_YEAR,12605\n"));
    let people = file("people.csv", "name,李四,insurance.tier\n");
    let out = dir.path().join("out.jsonl").display().to_string();
    for (kind, rows) in [("credits", &rows), ("members", &people)] {
        let command = gongji(&["import", kind, rows, "--out", &out, "--batch", "one"]);
        refused(command, &["of the first line is no field of a row"], &[&number, "李四"]);
    }
    for batch in ["", " "] {
        refused(
            gongji(&["import", "credits", &rows, "--out", &out, "--batch", batch]),
            &["--batch: must be a name"],
            &[],
        );
    }
    for (text, line) in [
        ("runtimes = 2\ndatabase_url = \"postgres://u:SECRET@h/x\n", "line 2"),
        ("database_url = [\"postgres://u:SECRET@h/x\"]\n", "line 1: database_url: must be"),
        ("\nruntimes = \"SECRET\"\n", "line 2: runtimes: must be a whole number"),
        ("runtimes = \"a, expected SECRET\"\n", "line 1: runtimes: must be a whole number"),
        ("queue_bytes=-1 # SECRET\n", "line 1: queue_bytes: must be a whole number"),
        ("insecure = \"SECRET\"\n", "line 1: insecure: must be true or false"),
        ("listen = 5\n", "line 1: listen: must be an address and port in quotation marks"),
        ("data_dir = [\n\"SECRET\"]\n", "line 1: data_dir: must be"),
        ("\n\nunheard_of = 1\n", "line 3: unknown field `unheard_of`"),
    ] {
        let path = file("gongji.toml", text);
        refused(gongji(&["config", "--config", &path]), &["gongji.toml: ", line], &["SECRET"]);
    }
    let server = Server::start(gongji(&["serve", "--demo"]));
    let book = file("book.txt", "a,b,c\n1,2,3\n");
    let mut command = gongji(&["reconcile", "details", &book, "--institution", "H44030001"]);
    command.args(["--from", "2025-06-01", "--to", "2025-06-01", "--connect", &server.address.to_string()]);
    refused(command, &["cells are separated by tabs"], &[]);
    refused(gongji(&["policy", "test", "--folder", "nowhere"]), &["--folder: nowhere has no cases"], &[]);
    let salaries = file("staff.csv", "wage,region\n1000000,110000\n");
    refused(gongji(&["calc", "contribution", &salaries, "--out", &out]), &["1 rows have no result"], &[]);
}

/// The ledger of a folder is not the one that was meant where a server was named too.
#[test]
fn a_folder_and_a_server_are_not_both_asked() {
    for words in [&["verify"][..], &["show"], &["prove-balance", "mem_00000000000000000000000000000001"]] {
        let both = ["--data-dir", "elsewhere", "--connect", "http://127.0.0.1:1"];
        let mut command = gongji(&["ledger"]);
        command.args(words).args(both);
        refused(command, &["--data-dir", "--connect", "cannot be used with"], &["no server answers"]);
        // A folder that the environment names is there for all tools, and is passed over.
        let mut command = gongji(&["ledger"]);
        command.args(words).args(&both[2..]).env("GONGJI_DATA_DIR", "elsewhere");
        refused(command, &["no server answers at"], &["cannot be used with"]);
    }
}

#[test]
fn a_server_is_spoken_to_as_it_listens_and_one_that_says_nothing_is_given_up() {
    let settlement = "stl_00000000000000000000000000000000";
    for scheme in ["https", "ftp"] {
        let address = format!("{scheme}://127.0.0.1:9");
        refused(gongji(&["settle", "explain", settlement, "--connect", &address]), &[scheme, "is not spoken"], &[]);
        refused(gongji(&["ledger", "show", "--connect", &address]), &[scheme, "is not spoken"], &[]);
    }
    // Nobody is there; then somebody who takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = silent.local_addr().expect("an address").to_string();
    let technical = ["transport error", "tcp connect", "Unknown:"];
    refused(
        gongji(&["ledger", "show", "--connect", "127.0.0.1:1"]),
        &["no server answers at", "127.0.0.1:1"],
        &technical,
    );
    let mut waiting = Vec::new();
    for words in [&["settle", "explain", settlement][..], &["ledger", "show"], &["ledger", "verify"]] {
        let mut command = gongji(words);
        command.args(["--connect", &address]).stdin(Stdio::null());
        waiting.push(std::thread::spawn(move || refused(command, &["did not answer"], &["transport error"])));
    }
    waiting.into_iter().for_each(|one| one.join().expect("given up"));
}
