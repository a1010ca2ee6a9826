"""Tests of the table of audits."""

from benchmarks import audit as audit_benchmark
from benchmarks import audit_faults
from tff_gen_debug.privacy import audit


def _result(mu_lower_bound, epsilon_lower_bound):
  return audit.AuditResult(
    mu_lower_bound=mu_lower_bound,
    epsilon_lower_bound=epsilon_lower_bound,
    delta=1e-5,
    confidence=0.95,
    num_in=10,
    num_out=20,
    claimed_mu=1.0,
  )


def test_the_table_has_a_column_for_each_variant_and_says_what_is_refuted():
  results = {key: _result(2.0, 1.25) for key in audit_faults.VARIANTS}
  results["sound"] = _result(0.0, 0.5)
  table = audit_benchmark.markdown([("some", results)]).splitlines()
  assert len(table) == 3 and len({line.count("|") for line in table}) == 1
  cells = [cell.strip() for cell in table[2].split("|")[1:-1]]
  # Balle and Wang's curve at 1e-5, for noise multipliers of 1 and 1/2.
  assert cells[:3] == ["some", "4.38", "0.00 / 0.50"]
  assert cells[3:] == ["10.00 / 1.25 **refuted**"] * 3
