//! Calculations: the worked cases beside the law, the wire, an independent second implementation, the command line.

mod cases;
mod command;
mod independent;
