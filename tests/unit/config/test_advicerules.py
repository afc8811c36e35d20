"""What advice is made of."""

import logging

from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import all_rules
from waitressd.config.advicerules import Advice, Facts, Machine


def test_advice_is_one_line() -> None:
    assert str(Advice("W101", "a.ini:3 [server:main]", "it is so")) == "W101 a.ini:3 [server:main]: it is so"
    assert str(Advice("W101", "", "it is so")) == "W101 it is so"


def test_facts_without_more_are_of_an_unknown_machine() -> None:
    facts = Facts(Adjustments())
    assert (facts.machine, facts.certificates, facts.hidden) == (Machine(0, 0, 0), (), ())


def test_every_rule_has_a_code_of_its_own_and_a_level() -> None:
    codes = [rule.code for rule in all_rules()]
    assert len(codes) == len(set(codes))
    assert {rule.level for rule in all_rules()} <= {logging.WARNING, logging.ERROR}
