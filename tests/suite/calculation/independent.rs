//! A second implementation, apart from `src`: it reads the tables of `policies/` by itself, calculates in exact rational
//! numbers, finds ages by walking from birth month to birth month, and compares with what the service answers, over random
//! cases. Not one may differ.
//!
//! `GONGJI_CALCULATIONS=10000000 cargo test --release --test suite calculation::independent -- --nocapture` takes ten million
//! cases instead of sixty thousand, a third of each kind; `GONGJI_SEED=…` takes that seed.

use std::collections::BTreeMap;

use gongji::grpc::calculation::{Asked, CalculationLimits, answer_item};
use gongji::grpc::proto;
use gongji::policy::PolicyFiles;
use jiff::civil::{Date, date};
use num_rational::Ratio;
use proto::calculation_item::Calculation;
use proto::calculation_result::Result as Found;
use toml::Value;

use crate::process::{Dice, Replay, from_env};
use crate::support::book;

type Exact = Ratio<i128>;

/// The files as they stand, by the code of their region.
struct Tables(BTreeMap<String, Vec<toml::Table>>);

impl Tables {
    fn read() -> Self {
        let mut found: BTreeMap<String, Vec<toml::Table>> = BTreeMap::new();
        for (name, text) in PolicyFiles::embedded().0 {
            let (folder, file) = name.split_once('/').unwrap_or((name.as_str(), ""));
            if ["contribution.toml", "pension.toml", "retirement.toml"].contains(&file) {
                let code = if folder == "national" { "000000" } else { &folder[..6] };
                found.entry(code.to_owned()).or_default().push(text.parse().expect("TOML"));
            }
        }
        Self(found)
    }

    /// What the region's own file says of a day, else its province's, else the nation's.
    fn at(&self, region: &str, key: &str, on: Date) -> Option<&Value> {
        self.since(region, key, on).map(|(_, value)| value)
    }

    /// That, with the day since when.
    fn since(&self, region: &str, key: &str, on: Date) -> Option<(Date, &Value)> {
        let province = format!("{}0000", &region[..2]);
        for code in [region, &province, "000000"] {
            for entry in self
                .0
                .get(code)
                .into_iter()
                .flatten()
                .filter_map(|file| file.get(key))
                .flat_map(|list| list.as_array().expect("a list"))
            {
                let day = |key: &str| {
                    entry
                        .get(key)
                        .and_then(|day| day.as_datetime()?.date)
                        .map(|day| date(day.year.cast_signed(), day.month.cast_signed(), day.day.cast_signed()))
                };
                let from = day("start").expect("a start");
                if from <= on
                    && day("end").is_none_or(|end| on < end)
                    && let Some(value) = entry.get("value")
                {
                    return Some((from, value));
                }
            }
        }
        None
    }
}

/// A decimal text as a fraction.
fn decimal(text: &str) -> Exact {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits: i128 = format!("{whole}{places}").parse().expect("digits");
    Exact::new(digits, 10_i128.pow(u32::try_from(places.len()).expect("few")))
}

fn rate(value: &Value) -> Exact {
    decimal(value.as_str().expect("decimal text"))
}

fn whole(value: &Value) -> i128 {
    i128::from(value.as_integer().expect("a number"))
}

/// To a number of decimals, half up; every table at hand rounds so.
fn rounded(exact: Exact, decimals: u32) -> Exact {
    let scale = Exact::from_integer(10_i128.pow(decimals));
    (exact * scale + Exact::new(1, 2)).floor() / scale
}

fn fen(exact: Exact) -> i128 {
    rounded(exact, 0).to_integer()
}

fn check_mode(tables: &Tables, region: &str, on: Date) {
    let mode = tables.at(region, "contribution_rounding", on).and_then(Value::as_str);
    assert_eq!(mode, Some("HALF_UP_FEN"), "this check knows no other rounding");
}

const REGIONS: [&str; 6] = ["000000", "110000", "310000", "500000", "210200", "630100"];
const CHANGES: [(i16, i8, i8); 9] = [
    (1998, 12, 14),
    (2006, 1, 1),
    (2010, 1, 1),
    (2015, 10, 1),
    (2016, 5, 1),
    (2017, 1, 1),
    (2019, 5, 1),
    (2020, 1, 1),
    (2025, 1, 1),
];

/// Any day, or one around a change of the law.
fn day(dice: &mut Dice) -> Date {
    let first = date(1998, 12, 14);
    let found = if dice.roll(4) == 0 {
        let (year, month, day) = *dice.one_of(&CHANGES);
        let moved = i32::try_from(dice.roll(3)).expect("small") - 1;
        date(year, month, day).saturating_add(jiff::Span::new().days(moved))
    } else {
        first.saturating_add(jiff::Span::new().days(i32::try_from(dice.roll(12_000)).expect("small")))
    };
    found.max(first)
}

/// Amounts of every size, the ends among them.
fn amount(dice: &mut Dice, most: u64) -> i64 {
    let most = match dice.roll(8) {
        0 => 100.min(most),
        1 => most,
        _ => 10_000_000.min(most),
    };
    let roll = (dice.next() % (most + 1)).cast_signed();
    match dice.roll(30) {
        0 => 0,
        1 => most.cast_signed(),
        _ => roll,
    }
}

struct Checker<'a> {
    tables: &'a Tables,
    asked: Asked<'a>,
}

impl Checker<'_> {
    fn ask(&self, calculation: Calculation) -> Found {
        let item = proto::CalculationItem { item_id: String::new(), calculation: Some(calculation) };
        answer_item(item, &self.asked).result.expect("set")
    }

    fn contribution(&self, dice: &mut Dice) {
        let (region, on) = (*dice.one_of(&REGIONS), day(dice));
        check_mode(self.tables, region, on);
        let wage = amount(dice, 1_000_000_000_000);
        let base_wage = if dice.roll(2) == 0 { wage } else { amount(dice, 1_000_000_000_000) };
        let average = amount(dice, 300_000_000_000).max(1);
        let rates = self.tables.at(region, "contribution_rates", on).expect("rates").as_array().expect("rows");
        let injury = self.tables.at(region, "injury_rates", on).expect("classes");
        let classes = injury["classes"].as_array().expect("classes");
        let class = dice.roll(classes.len() + 1);
        let floats =
            injury[if class == 1 { "first_class_floats" } else { "other_class_floats" }].as_array().expect("a list");
        let float = if class > 0 && !floats.is_empty() && dice.roll(2) == 0 {
            floats[dice.roll(floats.len())].as_str().expect("text").to_owned()
        } else {
            String::new()
        };
        let share = |dice: &mut Dice| match dice.roll(4) {
            0 => String::new(),
            1 => "0".to_owned(),
            _ => format!("0.{:03}", 50 + dice.roll(71)),
        };
        let (person_fund, unit_fund) = (share(dice), share(dice));
        let request = proto::CalculateContributionRequest {
            region_code: region.to_owned(),
            on: on.to_string(),
            wage_fen: Some(wage),
            base_wage_fen: Some(base_wage),
            average_wage_fen: Some(average),
            injury_class: i32::try_from(class).expect("small"),
            injury_float: float.clone(),
            housing_fund_person_rate: person_fund.clone(),
            housing_fund_unit_rate: unit_fund.clone(),
            ..Default::default()
        };
        let Found::Contribution(found) = self.ask(Calculation::Contribution(request.clone())) else {
            panic!("no answer to {request:?}")
        };

        let bounds = self.tables.at(region, "base_bounds", on).expect("bounds");
        let unit = bounds.get("unit_fen").map_or(1, whole);
        let bound = |key: &str| {
            fen(Exact::from_integer(average.into()) * rate(&bounds[key]) / Exact::from_integer(unit)) * unit
        };
        let base = i128::from(base_wage).max(bound("lower")).min(bound("upper"));
        let mut expected: BTreeMap<&str, (Exact, Exact)> = BTreeMap::new();
        for row in rates {
            expected.insert(row["insurance"].as_str().expect("a name"), (rate(&row["person"]), rate(&row["unit"])));
        }
        if class > 0 || !expected.contains_key("INJURY") {
            let default = || whole(self.tables.at(region, "injury_default_class", on).expect("a class"));
            let class = if class > 0 { class } else { usize::try_from(default()).expect("small") };
            let float = if float.is_empty() { Exact::from_integer(1) } else { decimal(&float) };
            expected.insert("INJURY", (Exact::from_integer(0), rate(&classes[class - 1]) * float));
        }
        let fund = self.tables.at(region, "housing_fund", on).expect("a range");
        let of = |text: &str| if text.is_empty() { rate(&fund["usual"]) } else { decimal(text) };
        expected.insert("HOUSING_FUND", (of(&person_fund), of(&unit_fund)));
        let (mut person_total, mut unit_total) = (0, 0);
        for (name, (person, unit)) in expected {
            let pays = |rate: Exact| fen(Exact::from_integer(base) * rate);
            let line =
                found.lines.iter().find(|line| line.insurance().as_str_name() == format!("INSURANCE_KIND_{name}"));
            let line = line.map_or((0, 0), |line| (i128::from(line.person_fen), i128::from(line.unit_fen)));
            assert_eq!(line, (pays(person), pays(unit)), "{name} of {request:?}");
            person_total += pays(person);
            unit_total += pays(unit);
        }
        let answered =
            (i128::from(found.base_fen), i128::from(found.person_total_fen), i128::from(found.unit_total_fen));
        assert_eq!(answered, (base, person_total, unit_total), "{request:?}");
        assert_eq!(i128::from(found.net_wage_fen), i128::from(wage) - person_total, "{request:?}");
    }

    fn pension(&self, dice: &mut Dice) {
        let (region, on) = (*dice.one_of(&REGIONS), day(dice).max(date(2006, 1, 1)));
        let base = amount(dice, 1_000_000_000_000).max(1);
        let balance = amount(dice, 1_000_000_000_000);
        let before = if dice.roll(2) == 0 { 0 } else { dice.roll(400) };
        let age = 480 + dice.roll(361);
        let mut request = proto::CalculatePensionRequest {
            region_code: region.to_owned(),
            on: on.to_string(),
            retirement_age_months: i32::try_from(age).expect("small"),
            base_fen: Some(base),
            account_balance_fen: balance,
            ..Default::default()
        };
        let rule = self.tables.at(region, "pension_rounding", on).expect("rounding");
        let places = |key: &str| rule.get(key).map(|places| u32::try_from(whole(places)).expect("few"));
        let (index, months) = if dice.roll(2) == 0 {
            let millionths = dice.roll(4_000_000);
            request.average_index = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
            let (paid, deemed) = (1 + dice.roll(300), dice.roll(181));
            request.paid_months = i32::try_from(paid).expect("small");
            request.deemed_months = i32::try_from(deemed).expect("small");
            (decimal(&request.average_index), paid + deemed)
        } else {
            self.history(dice, on, &mut request, places("period_index_decimals").expect("given"))
        };
        let before = before.min(months);
        request.months_before_accounts = i32::try_from(before).expect("small");
        let Found::Pension(found) = self.ask(Calculation::Pension(request.clone())) else {
            panic!("no answer to {request:?}")
        };

        let to = |exact: Exact, key: &str| places(key).map_or(exact, |places| rounded(exact, places));
        let index = to(index, "index_decimals");
        let twelfths = |months: usize| Exact::new(i128::try_from(months).expect("small"), 12);
        let years = to(twelfths(months), "years_decimals");
        let wage = Exact::from_integer(base.into());
        let one = Exact::from_integer(1);
        let per_year = rate(&self.tables.at(region, "pension_formula", on).expect("a formula")["per_year"]);
        let averaged = wage * (one + index) / Exact::from_integer(2);
        let basic = fen(averaged * years * per_year);
        let account = fen(Exact::from_integer(balance.into()) / self.payout(region, on, age));
        let transitional = if before == 0 {
            0
        } else {
            let table = self.tables.at(region, "transitional", on).expect("a coefficient");
            let of = if table["base"].as_str() == Some("INDEXED_AVERAGE") { averaged } else { wage * index };
            fen(of * to(twelfths(before), "transitional_years_decimals") * rate(&table["coefficient"]))
        };
        let answered = [found.basic_fen, found.account_fen, found.transitional_fen, found.total_fen].map(i128::from);
        assert_eq!(answered, [basic, account, transitional, basic + account + transitional], "{request:?}");
    }

    /// A history that ends before the day, with deemed months and gaps.
    fn history(
        &self,
        dice: &mut Dice,
        on: Date,
        request: &mut proto::CalculatePensionRequest,
        places: u32,
    ) -> (Exact, usize) {
        let text = |month: i32| format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
        let last = i32::from(on.year()) * 12 + i32::from(on.month()) - 1;
        let lengths: Vec<i32> = (0..=dice.roll(6)).map(|_| 1 + i32::try_from(dice.roll(68)).expect("small")).collect();
        let mut from = last - lengths.iter().sum::<i32>();
        let (mut sum, mut months) = (Exact::from_integer(0), 0_i128);
        for (place, length) in lengths.iter().enumerate() {
            let mut period = proto::HistoryPeriod {
                from_month: text(from),
                last_month: text(from + length - 1),
                ..Default::default()
            };
            from += length;
            let index = match dice.roll(if place == 0 { 2 } else { 3 }) {
                0 => {
                    period.base_fen = amount(dice, 5_000_000).max(1);
                    period.average_wage_fen = amount(dice, 3_000_000).max(10_000);
                    Some(Exact::new(period.base_fen.into(), period.average_wage_fen.into()))
                }
                1 => {
                    period.kind = proto::HistoryKind::Deemed as i32;
                    period.index = format!("{}.{:03}", dice.roll(3), dice.roll(1_000));
                    Some(decimal(&period.index))
                }
                _ => {
                    period.kind = proto::HistoryKind::Gap as i32;
                    None
                }
            };
            if let Some(index) = index {
                sum += rounded(index, places) * Exact::from_integer((*length).into());
                months += i128::from(*length);
            }
            request.history.push(period);
        }
        (sum / Exact::from_integer(months), usize::try_from(months).expect("small"))
    }

    fn payout(&self, region: &str, on: Date, age: usize) -> Exact {
        let rows = self.tables.at(region, "payout_months", on).expect("a table").as_array().expect("rows");
        let rule = self.tables.at(region, "payout_rule", on).expect("a rule");
        let at = |age: usize| {
            let row = rows.iter().find(|row| whole(&row["age"]) == i128::try_from(age).expect("small"));
            Exact::from_integer(whole(&row.expect("a row")["months"]))
        };
        let (years, months) = (age / 12, age % 12);
        match rule["mode"].as_str() {
            _ if months == 0 => at(years),
            Some("INTERPOLATE") => {
                let part = Exact::new(i128::try_from(months).expect("small"), 12);
                rounded(
                    at(years) + (at(years + 1) - at(years)) * part,
                    u32::try_from(whole(&rule["decimals"])).expect("few"),
                )
            }
            Some("CEILING") => at(years + 1),
            other => panic!("this check knows no {other:?}"),
        }
    }

    fn retirement(&self, dice: &mut Dice) {
        let on = day(dice);
        let names = ["MALE", "FEMALE_CADRE", "FEMALE_WORKER"];
        let name = *dice.one_of(&names);
        let birth = i32::try_from(1_930 * 12 + dice.roll(80 * 12)).expect("small");
        let birth = birth.min(i32::from(on.year()) * 12 + i32::from(on.month()) - 1);
        let text = |month: i32| format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
        let request = proto::CalculateRetirementRequest {
            region_code: "000000".to_owned(),
            on: on.to_string(),
            class: proto::RetirementClass::from_str_name(&format!("RETIREMENT_CLASS_{name}")).expect("a class") as i32,
            birth_date: text(birth),
            ..Default::default()
        };
        let Found::Retirement(found) = self.ask(Calculation::Retirement(request.clone())) else {
            panic!("no answer to {request:?}")
        };
        let rows = self.tables.at("000000", "retirement_ages", on).expect("ages").as_array().expect("rows");
        let row = rows.iter().find(|row| row["class"].as_str() == Some(name)).expect("a row");
        let original = i32::try_from(whole(&row["original_months"])).expect("small");
        let mut delay = 0;
        if let Some(rule) = row.get("delay") {
            let first = rule["first_birth"].as_str().expect("a month");
            let first: i32 =
                first[..4].parse::<i32>().expect("a year") * 12 + first[5..].parse::<i32>().expect("a month") - 1;
            let step = i32::try_from(whole(&rule["birth_months"])).expect("small");
            // Month of birth by month of birth: every few of them one month more.
            let mut in_step = 0;
            for _ in first..=birth {
                if in_step == 0 && i128::from(delay) < whole(&rule["most"]) {
                    delay += 1;
                }
                in_step = (in_step + 1) % step;
            }
        }
        let (since, flexible) = self.tables.since("000000", "flexible_retirement", on).expect("a rule");
        let legal = original + delay;
        let held = birth + legal >= i32::from(since.year()) * 12 + i32::from(since.month()) - 1;
        let months = |key: &str| if held { i32::try_from(whole(&flexible[key])).expect("small") } else { 0 };
        let earliest = original.max(legal - months("early_months"));
        let latest = legal + months("late_months");
        let minimum = |age: i32| {
            let rows = self.tables.at("000000", "minimum_years", on).expect("a table").as_array().expect("rows");
            let year = i128::from((birth + age).div_euclid(12));
            rows.iter()
                .filter(|row| whole(&row["from_year"]) <= year)
                .map(|row| whole(&row["months"]))
                .max()
                .expect("a row")
        };
        let points =
            [(&found.original, original), (&found.legal, legal), (&found.earliest, earliest), (&found.latest, latest)];
        for (point, age) in points {
            let point = point.as_ref().expect("set");
            let answered = (point.age_months, point.month.clone(), i128::from(point.minimum_months));
            assert_eq!(answered, (age, text(birth + age), minimum(age)), "{request:?}");
        }
        assert_eq!(found.delay_months, delay, "{request:?}");
    }
}

#[test]
fn a_second_implementation_finds_the_same_to_the_fen() {
    let total = from_env("GONGJI_CALCULATIONS", 60_000);
    let seed = from_env("GONGJI_SEED", 0x5eed);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_CALCULATIONS={total} cargo test --release --test suite calculation::independent -- --nocapture"
    ));
    let (tables, book) = (Tables::read(), book());
    let limits = CalculationLimits { batch_items: 1, periods: 600, answer_bytes: u32::MAX };
    let view = proto::ExplanationView::None;
    let asked = Asked { book: &book.calculation, limits, today: date(2026, 11, 22), view };
    let hands = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    std::thread::scope(|scope| {
        for hand in 0..hands {
            let checker = Checker { tables: &tables, asked };
            scope.spawn(move || {
                let mut dice = Dice::new(seed.wrapping_add(hand));
                for case in (hand..total).step_by(usize::try_from(hands).expect("few")) {
                    match case % 3 {
                        0 => checker.contribution(&mut dice),
                        1 => checker.pension(&mut dice),
                        _ => checker.retirement(&mut dice),
                    }
                }
            });
        }
    });
    println!("{total} cases, seed {seed}: no difference");
}
