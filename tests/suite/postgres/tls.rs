//! TLS to a real PostgreSQL: with a certifier named, connections are encrypted to the server that the certificate names, or
//! there are none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use gongji::store::Store;
use gongji::store::postgres::{PostgresError, PostgresOptions, PostgresStore, up};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::cluster::{Cluster, Durability, NOBODY, Node, sql};
use crate::copy::{data_set, done, embedded, refused};
use crate::process::{PATIENCE, ended, gongji, run, wait_until};

/// A certifier made for this test.
struct Certifier {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Certifier {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Puts a certificate for a server of this name, and its key, where the server reads them.
    fn certify(&self, name: &str, folder: &Path) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        for (file, text) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
            let path = folder.join(file);
            fs::write(&path, text).expect("ours");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
            // Only root may, and only then is the server somebody else's.
            let _ = chown(&path, Some(NOBODY), Some(NOBODY));
        }
    }
}

/// A server that takes TLS, with the files of who certified it and of a stranger.
fn encrypted(cluster: &mut Cluster, files: &Path, ours: &Certifier) -> (Node, [PathBuf; 2]) {
    let folder = cluster.folder().to_owned();
    ours.certify("127.0.0.1", &folder);
    let [certificate, key] = ["server.crt", "server.key"].map(|file| folder.join(file).display().to_string());
    let settings = [("ssl", "on"), ("ssl_cert_file", certificate.as_str()), ("ssl_key_file", key.as_str())];
    let node = cluster.node("tls", Durability::Fast, &settings);
    let pems = [(ours, "known.pem"), (&Certifier::new(), "unknown.pem")].map(|(certifier, name)| {
        let path = files.join(name);
        fs::write(&path, &certifier.pem).expect("ours");
        path
    });
    (node, pems)
}

#[test]
fn connections_are_encrypted_to_the_server_the_certificate_names_or_there_are_none() {
    let (mut cluster, ours) = (Cluster::new(), Certifier::new());
    let folder = cluster.folder().to_owned();
    let files = tempfile::tempdir().expect("a temporary folder");
    let (mut node, [known, unknown]) = encrypted(&mut cluster, files.path(), &ours);
    let url = node.url("postgres");
    let options = |ca: &Path| PostgresOptions { ca: ca.to_owned(), ..PostgresOptions::new(&url) };
    run(async {
        up(&options(&known), [7; 32], 1_000).await.expect("migrated over TLS");
    });
    let refused = |ca: &Path| matches!(PostgresStore::open(options(ca)), Err(PostgresError::Unreachable { .. }));

    let store = PostgresStore::open(options(&known)).expect("the certificate names it");
    run(async {
        store.head().await.expect("it answers");
    });
    let sessions = node.sql(
        "SELECT count(*) FILTER (WHERE ssl) > 0, count(*) FILTER (WHERE NOT ssl) FROM pg_stat_ssl \
         JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'gongji/%'",
    );
    assert_eq!(sessions, "t|0", "all are encrypted");
    run(async { store.close().await.expect("closed") });
    assert!(refused(&unknown), "somebody else certified it");

    // A server takes new settings up some time after it was told.
    let comes_to_refuse = |what: &str| wait_until(what, PATIENCE, || refused(&known).then_some(()));
    ours.certify("another.example", &folder);
    node.reload();
    comes_to_refuse("the refusal of a certificate of another name");
    ours.certify("127.0.0.1", &folder);
    node.reload();
    let again = wait_until("its own certificate", PATIENCE, || PostgresStore::open(options(&known)).ok());
    run(async { again.close().await.expect("closed") });
    node.set(&[("ssl", "off")]);
    node.reload();
    comes_to_refuse("the refusal of a server without TLS");
}

/// With the URL, and the password in it, in the environment or a file: nothing of it stands on the command line.
#[test]
fn a_data_set_is_copied_over_tls_with_the_settings_of_serve() {
    let (mut cluster, ours) = (Cluster::new(), Certifier::new());
    let files = tempfile::tempdir().expect("a temporary folder");
    let (node, [known, unknown]) = encrypted(&mut cluster, files.path(), &ours);
    node.sql("CREATE DATABASE gongji");
    let url = format!("{}?sslmode=require", node.url("gongji"));
    let (data, back) = (files.path().join("data"), files.path().join("back"));
    data_set(&data, 20);
    let copy = |from: &str, to: &str, more: &[&str]| {
        let mut command = gongji(&[&["copy", "--from", from, "--to", to], more].concat());
        command.env("GONGJI_DATABASE_URL", &url);
        ended(command)
    };
    let [known, unknown] = [&known, &unknown].map(|path| path.to_str().expect("a plain path"));
    refused(&copy(&embedded(&data), "postgres", &[]), "sslmode=require needs the file of who certifies the server");
    refused(&copy(&embedded(&data), "postgres", &["--database-ca", unknown]), "cannot be reached");
    let said = done(&copy(&embedded(&data), "postgres", &["--database-ca", known]));
    assert_eq!(sql(&node.url("gongji"), "SELECT position FROM gongji.head"), said.split(' ').next().expect("a number"));
    // The file names what the environment named; a URL on the line has the same certifier.
    let file = files.path().join("settings.toml");
    fs::write(&file, format!("database_url = '{url}'\ndatabase_ca = '{known}'\n")).expect("ours");
    let file = file.to_str().expect("a plain path");
    let again = ["copy", "--from", &embedded(&data), "--to", "postgres", "--config", file];
    assert_eq!(done(&ended(gongji(&again))), said, "nothing was left to do");
    let home = ["copy", "--from", &url, "--to", &embedded(&back), "--database-ca", known];
    assert_eq!(done(&ended(gongji(&home))), said);
}
