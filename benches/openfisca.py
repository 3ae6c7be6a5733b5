#!/usr/bin/env python3
"""gongji beside OpenFisca, on this machine, in one run: a comparable clamp-and-rate formula.

    python3 benches/openfisca.py

does everything: makes a virtual environment in target/openfisca, installs openfisca-core and openfisca-country-template from
PyPI into it, builds gongji and its bench (--program and --bench name ones that are built already), measures, and prints the
ratios. Not part of ./check.

The formula on both sides: base = min(max(wage, 0.6 W), 3 W), then nine rates on it. OpenFisca calculates in floating point and
rounds nothing; gongji rounds each part to the fen, half up. One person: a simulation made from a dict against
`contribution::calculate` from the tables. Web: its API by Flask's test client, no network, against CalculateContribution over
gRPC with the explanation left out. A million persons: its vectors against `Plan::columns`.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "target" / "openfisca"
PACKAGES = ["openfisca-core[web-api]==46.0.1", "openfisca-country-template==8.2.0"]


def bootstrap():
    """Goes on in the virtual environment, which is made where there is none."""
    python = VENV / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == VENV.resolve():
        return
    installed = VENV / "installed"
    if not installed.exists() or installed.read_text() != "\n".join(PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        installed.write_text("\n".join(PACKAGES))
    os.execv(python, [str(python), *sys.argv])


bootstrap()

import numpy
from openfisca_core.periods import MONTH
from openfisca_core.simulation_builder import SimulationBuilder
from openfisca_core.variables import Variable
from openfisca_country_template import CountryTaxBenefitSystem
from openfisca_country_template.entities import Person

RATES = {
    "pension_person": 0.08, "pension_unit": 0.16, "medical_person": 0.02, "medical_unit": 0.08,
    "unemployment_person": 0.005, "unemployment_unit": 0.005, "injury_unit": 0.009,
    "fund_person": 0.1, "fund_unit": 0.1,
}
W = 12434.0
MONTH_TEXT = "2025-08"


class contribution_base(Variable):
    value_type = float
    entity = Person
    definition_period = MONTH
    label = "base"

    def formula(person, period):
        return numpy.clip(person("salary", period), 0.6 * W, 3 * W)


def part(name, rate):
    def formula(person, period):
        return person("contribution_base", period) * rate

    return type(name, (Variable,), {
        "value_type": float, "entity": Person, "definition_period": MONTH, "label": name, "formula": formula,
    })


def system():
    made = CountryTaxBenefitSystem()
    made.add_variable(contribution_base)
    for name, rate in RATES.items():
        made.add_variable(part(name, rate))
    return made


def median_time(call, rounds):
    call()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def one_person(made):
    def call():
        simulation = SimulationBuilder().build_from_entities(made, {
            "persons": {"p": {"salary": {MONTH_TEXT: 10000}}},
            "households": {"h": {"adults": ["p"]}},
        })
        for name in RATES:
            simulation.calculate(name, MONTH_TEXT)

    return median_time(call, 200)


def web(made):
    from openfisca_web_api.app import create_app
    client = create_app(made).test_client()
    body = json.dumps({
        "persons": {"p": {"salary": {MONTH_TEXT: 10000}, **{name: {MONTH_TEXT: None} for name in RATES}}},
        "households": {"h": {"adults": ["p"]}},
    })

    def call():
        answer = client.post("/calculate", data=body, content_type="application/json")
        assert answer.status_code == 200, answer.data

    return median_time(call, 100)


def vectors(made, persons):
    wages = 2000.0 + numpy.arange(persons) * 79.19 % 40000

    def call():
        simulation = SimulationBuilder().build_default_simulation(made, count=persons)
        simulation.set_input("salary", MONTH_TEXT, wages)
        for name in RATES:
            simulation.calculate(name, MONTH_TEXT)

    return median_time(call, 5)


def run(command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def ours(given):
    if given.bench is None:
        bench = run(["cargo", "bench", "--bench", "calculate"])
    else:
        bench = run([given.bench, "--bench"])
    if given.program is None:
        run(["cargo", "build", "--release"])
        given.program = "target/release/gongji"
    wire = run([given.program, "bench", "--calculation", "--seconds", "2", "--rounds", "3"])
    print(bench, wire, sep="\n")

    def rate(name):
        return float(re.search(re.escape(name) + r".*?(\d+) a second", bench).group(1))

    row = re.search(r"contribution, NONE +(\d+)", wire)
    return (rate("the same, from the tables each time"), float(row.group(1)),
            rate("five insurances and fund, column by column"))


def line(name, theirs, our, wanted):
    ratio = our / theirs
    print(f"{name:<16} OpenFisca {theirs:>12.0f}/s   gongji {our:>12.0f}/s   {ratio:>8.1f} x "
          f"(wanted {wanted}): {'pass' if ratio >= wanted else 'FAIL'}")
    return ratio >= wanted


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--program", help="a gongji that is built already")
    options.add_argument("--bench", help="the bench calculate, built already (target/release/deps/calculate-…)")
    given = options.parse_args()
    made = system()
    one, over_web = one_person(made), web(made)
    million = vectors(made, 1_000_000)
    person, wire, column = ours(given)
    passed = [
        line("one person", 1 / one, person, 500),
        line("over the web", 1 / over_web, wire, 100),
        line("a million", 1e6 / million, column, 1),
    ]
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
