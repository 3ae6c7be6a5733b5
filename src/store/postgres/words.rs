//! What is wrong with a database, in our words: its own, and the driver's, may hold data.

use std::error::Error;
use std::io;

use rustls::CertificateError as Wrong;

/// A code as it is told: with what it means, where that is known.
pub(super) fn coded(code: &str) -> String {
    meaning(code).map_or_else(|| format!("SQLSTATE {code}"), |words| format!("SQLSTATE {code} ({words})"))
}

/// What the codes mean that an administrator can do something about, in our words: the database's own may hold data.
fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" => "wrong password",
        "28000" => "the server lets nobody in under this name from here",
        "3D000" => "there is no such database",
        "42501" => "this role may not do that; see the grants in docs/deployment.md",
        "42P01" => "a table is missing",
        "53100" => "its disk is full",
        "53200" => "it has no memory left",
        "53300" => "too many connections",
        "55P03" => "a lock was waited for too long",
        "57014" => "a statement was cancelled or took too long",
        "57P01" | "57P02" | "57P03" => "it is stopping or starting",
        "25006" => "it may not be written: a standby, or read-only",
        "40P01" | "40001" => "another transaction was in the way",
        _ => return None,
    })
}

/// Why a connection was not made, as far as it can be told.
pub(super) fn connecting(error: &tokio_postgres::Error) -> &'static str {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(found) = cause {
        let inner = found.downcast_ref::<io::Error>().and_then(|found| found.get_ref());
        let tls = found.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref()));
        if let Some(tls) = tls {
            return certificate(tls);
        }
        if let Some(found) = found.downcast_ref::<io::Error>() {
            #[allow(clippy::wildcard_enum_match_arm, reason = "there are forty kinds, and more to come")]
            match found.kind() {
                io::ErrorKind::ConnectionRefused => return "nobody listens there",
                io::ErrorKind::PermissionDenied => return "it may not be written: a standby, or read-only",
                io::ErrorKind::TimedOut => return "it takes too long",
                io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => return "it closed the connection",
                _ => {}
            }
        }
        // The driver has no kinds for these.
        match found.to_string().as_str() {
            "password missing" => return "it asks for a password, and database_url has none",
            "server does not support TLS" => return "it does not speak TLS",
            _ => {}
        }
        cause = found.source();
    }
    "no answer, or not the answer of a database that may be written"
}

fn certificate(error: &rustls::Error) -> &'static str {
    #[allow(clippy::wildcard_enum_match_arm, reason = "of many ways to fail, those that an administrator can mend")]
    match error {
        rustls::Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. }) => {
            "its certificate has expired"
        }
        rustls::Error::InvalidCertificate(Wrong::NotValidYet | Wrong::NotValidYetContext { .. }) => {
            "its certificate is not valid yet"
        }
        rustls::Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
            "its certificate is for another name"
        }
        rustls::Error::InvalidCertificate(Wrong::UnknownIssuer) => "its certificate is of nobody in database_ca",
        rustls::Error::InvalidCertificate(_) => "its certificate is not valid",
        _ => "no connection by TLS came about",
    }
}
