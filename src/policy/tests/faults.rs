use super::super::load;
use super::FILES;

const SZ: &str = "440300-shenzhen/policy.toml";
const CQ: &str = "500000-chongqing/tiers.toml";
const CQ_NOTE: &str = "note = \"Twenty-five tiers are offered, which the source counts and does not list: the nation's nine would refuse most of them. A caller passes the list; a base in fen needs none.\"\n";
const DEMO: &str = "980300-demo-outpatient/policy.toml";

/// One kind of fault in the real files: what is put in place of what (its first occurrence), and the key that the refusal
/// must name beside the file and the line; true where it is told of the whole table.
const FAULTS: &[(&str, &str, &str, &str, &str, bool)] = &[
    ("no TOML", SZ, "schema = 1", "schema = = 1", "", false),
    ("another format", SZ, "schema = 1", "schema = 2", "schema", false),
    ("another region", SZ, "region = \"440300\"", "region = \"440400\"", "region", false),
    ("no region", SZ, "region = \"440300\"", "region = \"Shenzhen\"", "region", false),
    ("an unknown parent", SZ, "extends = \"440000-guangdong\"", "extends = \"44\"", "extends", false),
    (
        "a circle",
        "440000-guangdong/policy.toml",
        "extends = \"national\"",
        "extends = \"440300-shenzhen\"",
        "extends",
        false,
    ),
    ("an unknown key", SZ, "[[modes]]", "[[moods]]", "moods", false),
    ("a source without a document", SZ, "document = \"办", "# document = \"办", "sources.sz-guide-2020.document", true),
    ("an unknown grade", SZ, "grade = \"GUIDE\"", "grade = \"SURE\"", "sources.sz-guide-2020.grade", false),
    ("an address that is none", SZ, "url = \"http://bsy", "url = \"ftp://bsy", "sources.sz-guide-2023.url", false),
    ("no source", SZ, "source = \"sz-guide-2020\"\n", "", "modes[0].source", false),
    ("an unknown source", SZ, "source = \"sz-guide-2023\"", "source = \"sz\"", "relations[1].source", false),
    ("a grade above its source's", SZ, "grade = \"UNVERIFIED\"", "grade = \"OFFICIAL\"", "modes[0].grade", false),
    ("no day of knowledge", SZ, "known_from = 2026-11-22\n", "", "modes[0].known_from", false),
    ("no first day", SZ, "start = 2010-01-01\n", "", "modes[0].start", false),
    ("a day that is none", SZ, "start = 2023-10-01", "start = 2023-02-30", "", false),
    ("an end before the start", SZ, "end = 2021-04-22", "end = 2009-12-31", "modes[0].end", false),
    ("a day before the system", SZ, "start = 2010-01-01", "start = 1990-01-01", "modes[0].start", false),
    ("an overlap", SZ, "start = 2017-07-01", "start = 2017-06-30", "floor[1].start", false),
    ("a gap", SZ, "start = 2017-07-01", "start = 2017-07-02", "floor[1].start", false),
    ("an unknown word", SZ, "value = [\"DIRECT_DRAW\"]", "value = [\"DRAW\"]", "modes[0].value[0]", false),
    ("a word twice", SZ, "value = [\"1\"]", "value = [\"1\", \"1\"]", "owner_tiers[0].value[1]", false),
    ("a negative amount", SZ, "fixed_fen = 420000", "fixed_fen = -1", "floor[0].value.fixed_fen", false),
    ("a float", SZ, "rate = \"0.05\"", "rate = 0.05", "floor[1].value.rate", false),
    ("a rate above one", SZ, "rate = \"0.30\"", "rate = \"1.30\"", "fund_shares[0].value[0].rate", false),
    (
        "a band from nothing",
        "110000-beijing/policy.toml",
        "fund_paid_fen = 2000000",
        "fund_paid_fen = 0",
        "fund_shares[0].value[0].bands[0].fund_paid_fen",
        false,
    ),
    (
        "a grant of no binding",
        "310000-shanghai/policy.toml",
        "\"SPEND_ON_CARE\", \"PAY_PREMIUMS\"",
        "\"SPEND_ON_CARE\", \"PAY_TAXES\"",
        "channels[0].value[0].grants[2]",
        false,
    ),
    (
        "steps for no relation",
        "320500-suzhou/policy.toml",
        "relations = [\"SPOUSE\"]",
        "relations = [\"COUSIN\"]",
        "channels[0].value[1].relation_steps[0].relations[0]",
        false,
    ),
    ("a table withheld by nobody", CQ, "source = \"cq-tiers\"", "source = \"cq\"", "flexible_tiers[0].source", false),
    (
        "a table withheld and taken over",
        CQ,
        "withheld = true",
        "withheld = true\ninherit = true",
        "flexible_tiers[0].withheld",
        false,
    ),
    ("a table withheld without a reason", CQ, CQ_NOTE, "", "flexible_tiers[0].note", true),
    (
        "a need of no benefit",
        "national/benefits.toml",
        "needs = [\"PAYING\"]",
        "needs = [\"WISHING\"]",
        "benefits[0].value[1].needs[0]",
        false,
    ),
    ("a limit of nobody", "120000-tianjin/policy.toml", "value = 6", "value = 0", "members_per_owner[0].value", false),
    ("a family of one", "340000-anhui/policy.toml", "value = 7", "value = 1", "family_size[0].value", false),
    ("a row that nothing reaches", DEMO, "[\"LEVEL_2\"]", "[\"LEVEL_1\"]", "deductibles[0].value[1]", true),
    ("two rows of one name", DEMO, "demo-level2-400", "demo-level1-200", "deductibles[0].value[1].name", false),
    ("a code that is none", "regions.csv", "440300,深圳市", "44030,深圳市", "code", false),
    ("a code twice", "regions.csv", "440400,珠海市", "440300,珠海市", "code", false),
    ("a parent that is none", "regions.csv", "珠海市,珠海,440000", "珠海市,珠海,449999", "parent", false),
    ("an unknown folder", "regions.csv", "440300-shenzhen", "440300-none", "policy", false),
    ("an opening of nowhere", "national/cross_province.csv", "130100,", "130199,", "unit", false),
];

#[test]
fn each_kind_of_fault_is_refused_at_its_place() {
    let mut wrong = Vec::new();
    for (kind, file, from, to, key, whole) in FAULTS {
        let text = FILES.get(file).unwrap_or_else(|| panic!("{kind}: {file}"));
        let at = text.find(from).unwrap_or_else(|| panic!("{kind}: {file} has no {from}"));
        let line = text[..at].matches('\n').count() + 1;
        let mut files = FILES.clone();
        files.0.insert((*file).to_owned(), text.replacen(from, to, 1));
        let Err(error) = load(&files) else {
            wrong.push(format!("{kind}: loads"));
            continue;
        };
        // Told on the line of the key itself. What is missing, or a row that as a whole is too many, has no line of its own:
        // that of the table it is missing in, or of the row.
        let changed: Vec<&str> = files.0[*file].lines().collect();
        let of_table = file.ends_with(".toml") && (to.is_empty() || *whole);
        let header = || changed[..line].iter().rposition(|text| text.starts_with('[')).map_or(0, |place| place + 1);
        let line = if of_table { header() } else { line };
        let here = error.problems.iter().filter(|problem| problem.file == *file && problem.line == line);
        if !here.into_iter().any(|problem| problem.key == *key) {
            wrong.push(format!("{kind}: wanted {file}:{line}: {key}, found\n{error}"));
        }
    }
    println!("{} kinds of fault", FAULTS.len());
    assert!(FAULTS.len() >= 25 && wrong.is_empty(), "{}", wrong.join("\n"));
}
