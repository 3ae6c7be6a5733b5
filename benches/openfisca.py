#!/usr/bin/env python3
"""gongji beside OpenFisca, on this machine, in one run: a comparable clamp-and-rate formula.

    python3 -m venv target/openfisca
    target/openfisca/bin/pip install openfisca-core[web-api] openfisca-country-template
    cargo build --release && cargo bench --bench calculate --no-run
    target/openfisca/bin/python benches/openfisca.py

The formula on both sides: base = min(max(wage, 0.6 W), 3 W), then ten rates on it. OpenFisca calculates in floating point and
rounds nothing; gongji rounds each part to the fen, half up. One person: a simulation made from a dict against
`contribution::calculate` from the tables. Web: its API by Flask's test client, no network, against CalculateContribution over
gRPC with a full explanation left out. A million persons: its vectors against `Plan::columns`.
"""

import json
import pathlib
import re
import statistics
import subprocess
import time

import numpy
from openfisca_core.periods import MONTH
from openfisca_core.simulation_builder import SimulationBuilder
from openfisca_core.variables import Variable
from openfisca_country_template import CountryTaxBenefitSystem
from openfisca_country_template.entities import Person

ROOT = pathlib.Path(__file__).resolve().parent.parent
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


def ours():
    bench = subprocess.run(["cargo", "bench", "--bench", "calculate"], cwd=ROOT, capture_output=True, text=True, check=True)
    wire = subprocess.run(
        ["target/release/gongji", "bench", "--calculation", "--seconds", "2", "--rounds", "3"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )

    def rate(text, name):
        return float(re.search(re.escape(name) + r".*?(\d+) a second", text).group(1))

    row = re.search(r"contribution, NONE +(\d+)", wire.stdout)
    return (rate(bench.stdout, "the same, from the tables each time"), float(row.group(1)),
            rate(bench.stdout, "five insurances and fund, column by column"))


def main():
    made = system()
    one, over_web = one_person(made), web(made)
    million = vectors(made, 1_000_000)
    person, wire, column = ours()
    print(f"one person:      OpenFisca {1 / one:12.0f}/s   gongji {person:12.0f}/s   {person * one:8.0f} x (wanted 500)")
    print(f"over the web:    OpenFisca {1 / over_web:12.0f}/s   gongji {wire:12.0f}/s   {wire * over_web:8.0f} x (wanted 100)")
    print(f"million persons: OpenFisca {1e6 / million:12.0f}/s   gongji {column:12.0f}/s   {column * million / 1e6:8.1f} x (wanted 1)")


if __name__ == "__main__":
    main()
