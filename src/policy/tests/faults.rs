use super::super::load;
use super::FILES;

const SZ: &str = "440300-shenzhen/policy.toml";
const DEMO: &str = "980300-demo-outpatient/policy.toml";

/// One kind of fault in the real files: what is put in place of what (its first occurrence), and the key that the refusal
/// must name beside the file and the line.
const FAULTS: &[(&str, &str, &str, &str, &str)] = &[
    ("no TOML", SZ, "schema = 1", "schema = = 1", ""),
    ("another format", SZ, "schema = 1", "schema = 2", "schema"),
    ("another region", SZ, "region = \"440300\"", "region = \"440400\"", "region"),
    ("no region", SZ, "region = \"440300\"", "region = \"Shenzhen\"", "region"),
    ("an unknown parent", SZ, "extends = \"440000-guangdong\"", "extends = \"44\"", "extends"),
    ("a circle", "440000-guangdong/policy.toml", "extends = \"national\"", "extends = \"440300-shenzhen\"", "extends"),
    ("an unknown key", SZ, "[[modes]]", "[[moods]]", "moods"),
    ("a source without a document", SZ, "document = \"办", "article = \"办", ""),
    ("an unknown grade", SZ, "grade = \"GUIDE\"", "grade = \"SURE\"", "sources.sz-guide-2020.grade"),
    ("an address that is none", SZ, "url = \"http://bsy", "url = \"ftp://bsy", "sources.sz-guide-2023.url"),
    ("no source", SZ, "source = \"sz-guide-2020\"\n", "", "modes[0].source"),
    ("an unknown source", SZ, "source = \"sz-guide-2023\"", "source = \"sz\"", "relations[1].source"),
    ("a grade above its source's", SZ, "grade = \"UNVERIFIED\"", "grade = \"OFFICIAL\"", "modes[0].grade"),
    ("no day of knowledge", SZ, "known_from = 2026-11-22\n", "", "modes[0].known_from"),
    ("no first day", SZ, "start = 2010-01-01\n", "", "modes[0].start"),
    ("a day that is none", SZ, "start = 2023-10-01", "start = 2023-02-30", ""),
    ("an end before the start", SZ, "end = 2021-04-22", "end = 2009-12-31", "modes[0].end"),
    ("a day before the system", SZ, "start = 2010-01-01", "start = 1990-01-01", "modes[0]"),
    ("an overlap", SZ, "start = 2017-07-01", "start = 2017-06-30", "floor[1]"),
    ("a gap", SZ, "start = 2017-07-01", "start = 2017-07-02", "floor[1]"),
    ("an unknown word", SZ, "value = [\"DIRECT_DRAW\"]", "value = [\"DRAW\"]", "modes[0].value[0]"),
    ("a word twice", SZ, "value = [\"1\"]", "value = [\"1\", \"1\"]", "owner_tiers[0].value[1]"),
    ("a negative amount", SZ, "fixed_fen = 420000", "fixed_fen = -1", "floor[0].value.fixed_fen"),
    ("a float", SZ, "rate = \"0.05\"", "rate = 0.05", "floor[1].value.rate"),
    ("a rate above one", SZ, "rate = \"0.30\"", "rate = \"1.30\"", "fund_shares[0].value[0].rate"),
    ("a limit of nobody", "120000-tianjin/policy.toml", "value = 6", "value = 0", "members_per_owner[0].value"),
    ("a family of one", "340000-anhui/policy.toml", "value = 7", "value = 1", "family_size[0].value"),
    ("a row that nothing reaches", DEMO, "[\"LEVEL_2\"]", "[\"LEVEL_1\"]", "deductibles[0].value[1]"),
    ("two rows of one name", DEMO, "demo-level2-400", "demo-level1-200", "deductibles[0].value[1]"),
    ("a code that is none", "regions.csv", "440300,深圳市", "44030,深圳市", "code"),
    ("a code twice", "regions.csv", "440400,珠海市", "440300,珠海市", "code"),
    ("a parent that is none", "regions.csv", "珠海市,珠海,440000", "珠海市,珠海,449999", "parent"),
    ("an unknown folder", "regions.csv", "440300-shenzhen", "440300-none", "policy"),
    ("an opening of nowhere", "national/cross_province.csv", "130100,", "130199,", "unit"),
];

#[test]
fn each_kind_of_fault_is_refused_at_its_place() {
    let mut wrong = Vec::new();
    for (kind, file, from, to, key) in FAULTS {
        let text = FILES.get(file).unwrap_or_else(|| panic!("{kind}: {file}"));
        let at = text.find(from).unwrap_or_else(|| panic!("{kind}: {file} has no {from}"));
        let line = text[..at].matches('\n').count() + 1;
        let mut files = FILES.clone();
        files.0.insert((*file).to_owned(), text.replacen(from, to, 1));
        let Err(error) = load(&files) else {
            wrong.push(format!("{kind}: loads"));
            continue;
        };
        // What is missing, or wrong with a whole entry, is told on the line its table begins on.
        let near = |found: usize| found <= line + 1 && found + 6 >= line;
        let here = error.problems.iter().filter(|problem| problem.file == *file && near(problem.line));
        if !here.into_iter().any(|problem| problem.key == *key || (key.is_empty() && problem.line > 0)) {
            wrong.push(format!("{kind}: wanted {file}:{line}: {key}, found\n{error}"));
        }
    }
    println!("{} kinds of fault", FAULTS.len());
    assert!(FAULTS.len() >= 25 && wrong.is_empty(), "{}", wrong.join("\n"));
}
