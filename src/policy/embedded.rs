//! The policy files as they stood when the program was built; `build.rs` writes the list.

include!(concat!(env!("OUT_DIR"), "/policies.rs"));
