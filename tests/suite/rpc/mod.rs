//! What each service promises on the wire, one file per service, and what all of them promise together.

mod settlements;
