use super::*;

fn check(given: Given, demo: bool, expected: Result<StoreChoice, &str>) {
    let read = Config::read(given, None, demo).map(|config| config.store).map_err(|error| error.to_string());
    match (read, expected) {
        (Ok(store), Ok(expected)) => assert_eq!(store, expected),
        (Err(text), Err(part)) => assert!(text.contains(part), "{text}"),
        (read, expected) => assert_eq!(format!("{read:?}"), format!("{expected:?}")),
    }
}

#[test]
fn settings_are_checked_together() {
    check(Given::default(), false, Ok(StoreChoice::Embedded));
    check(Given::default(), true, Ok(StoreChoice::Memory));
    check(Given { data_dir: Some("x".into()), ..Given::default() }, true, Ok(StoreChoice::Embedded));
    let anywhere = SocketAddr::from(([0, 0, 0, 0], 50051));
    check(Given { listen: Some(anywhere), ..Given::default() }, false, Err("--insecure"));
    check(Given { listen: Some(anywhere), insecure: Some(true), ..Given::default() }, false, Ok(StoreChoice::Embedded));
    check(Given { clock: Some("2021-06-01T00:00:00Z".into()), ..Given::default() }, false, Err("clock"));
    check(Given { bill_lines: Some(0), ..Given::default() }, false, Err("bill_lines: must be at least 1"));
    check(Given { page_size_max: Some(10), ..Given::default() }, false, Err("page_size_max"));
    check(Given { refuse_grade: Some("demo,unverified".into()), ..Given::default() }, false, Ok(StoreChoice::Embedded));
    check(Given { refuse_grade: Some("sure".into()), ..Given::default() }, false, Err("refuse_grade: sure is none"));
    let at = |text: &str| Given { return_unclaimed_at: Some(text.into()), ..Given::default() };
    check(at("5:30"), false, Err("return_unclaimed_at"));
    check(at("24:30:00"), false, Err("return_unclaimed_at"));
    check(at(""), false, Ok(StoreChoice::Embedded));
}

#[test]
fn a_database_is_named_and_its_password_is_not_printed() {
    let postgres = || Given { store: Some(StoreChoice::Postgres), ..Given::default() };
    check(postgres(), false, Err("database_url"));
    let url = Some(DatabaseUrl("postgres://ann:secret@db/city".to_owned()));
    check(Given { database_url: url.clone(), ..postgres() }, false, Ok(StoreChoice::Postgres));
    let config = Config::read(Given { database_url: url, ..postgres() }, None, false).expect("good");
    let told = "\n# database_url = \"postgres://ann:***@db/city\"";
    assert!(config.print().contains(told), "a file of it does not set a password of stars: {}", config.print());
    assert!(!config.print().contains("secret") && !format!("{config:?}").contains("secret"));
    for (name, most) in [("database_connections", 256), ("database_group", 4_096)] {
        for (value, expected) in [
            (0, Err("must be at least 1")),
            (1, Ok(StoreChoice::Embedded)),
            (most, Ok(StoreChoice::Embedded)),
            (most + 1, Err(name)),
        ] {
            let given = match name {
                "database_group" => Given { database_group: Some(value), ..Given::default() },
                _ => Given { database_connections: Some(value), ..Given::default() },
            };
            check(given, false, expected);
        }
    }
}

/// Those that no caller meets: a place, a switch, a file, a word.
const NO_BOUNDS: [&str; 15] = [
    "listen",
    "store",
    "data_dir",
    "database_url",
    "database_ca",
    "migrate",
    "policies",
    "clock",
    "insecure",
    "reveal_personal_data",
    "refuse_grade",
    "return_unclaimed_at",
    "log",
    "log_json",
    "metrics_listen",
];

#[test]
fn every_bound_is_told_in_its_own_words() {
    let config = Config::read(Given::default(), None, false).expect("defaults are good");
    let told = config.told_limits();
    for (setting, default) in Config::defaults().iter().filter(|(setting, _)| !NO_BOUNDS.contains(setting)) {
        let found = told.iter().find(|(name, ..)| name == setting);
        let (_, value, unit, comment) = found.unwrap_or_else(|| panic!("{setting} is not told"));
        assert_eq!(value.to_string(), *default, "{setting}");
        assert!(!unit.is_empty() && comment.ends_with('.'), "{setting}: {unit}: {comment}");
    }
}

#[test]
fn what_is_printed_can_be_read_again() {
    let config =
        Config::read(Given { log_json: Some(true), ..Given::default() }, None, false).expect("defaults are good");
    let file: FromFile = toml::from_str(&config.print()).expect("printed settings are a file");
    assert_eq!(Config::merge(Given::default(), file), config);
}
