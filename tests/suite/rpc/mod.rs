//! What each service promises on the wire, one file per service, and what all of them promise together: repeats, pages,
//! people, many callers at once.

mod accounts;
mod bindings;
mod bulk;
mod calculations;
mod certifications;
mod clients;
mod grades;
mod holds;
mod imports;
mod ledger;
mod members;
mod pages;
mod parallel;
pub mod reconciliation;
mod reasons;
mod regions;
mod repeats;
mod resolutions;
mod server;
mod settlements;
mod wallets;
mod year_close;
mod watch;
