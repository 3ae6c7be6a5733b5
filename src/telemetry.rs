//! Logging: one line reads alone and carries fields; never personal data.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// A word that is no level, or a misspelt name, is a filter that lets nothing through: the program would be silent.
fn read(filter: &str) -> Result<EnvFilter, String> {
    let wrong = || {
        format!("log: {filter}: must be trace, debug, info, warn, error, off, or a filter such as warn,gongji=debug")
    };
    let levels = ["trace", "debug", "info", "warn", "error", "off"];
    let is_level = |word: &str| levels.contains(&word.to_ascii_lowercase().as_str());
    let parts = || filter.split(',').map(str::trim).filter(|part| !part.is_empty());
    let ours = |part: &str| {
        let rest = part.strip_prefix(env!("CARGO_PKG_NAME"));
        rest.is_some_and(|rest| rest.is_empty() || ["=", "::", "["].iter().any(|next| rest.starts_with(next)))
    };
    if parts().any(|part| !is_level(part) && !part.contains('=') && !ours(part))
        || !parts().any(|part| is_level(part) || ours(part))
    {
        return Err(wrong());
    }
    EnvFilter::try_new(filter).map_err(|_| wrong())
}

/// Starts logging to standard error.
pub fn start(filter: &str, json: bool) -> Result<(), String> {
    let filter = read(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    started.map_err(|error| format!("log: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_lets_nothing_through_is_refused() {
        let check = |filter: &str, good: bool| assert_eq!(read(filter).is_ok(), good, "{filter}");
        for filter in ["info", "WARN", "gongji=debug", "warn,gongji=info", "gongji::store=trace,error", "off", "gongji"]
        {
            check(filter, true);
        }
        for filter in ["verbos", "", "gonji=debug", "gongjii=debug", "info,verbos", "gongji=verbos"] {
            check(filter, false);
        }
    }
}
