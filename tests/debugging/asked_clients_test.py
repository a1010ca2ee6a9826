"""Tests of which clients a metric asks."""

import pytest

from tests.debugging import user_words
from tff_gen_debug.debugging import asked_clients


def test_all_clients_or_some_in_their_order():
  client_data = user_words.make_client_data({"a": [], "b": ["x"], "c": []})
  assert asked_clients.resolve(client_data, None) == ["a", "b", "c"]
  assert asked_clients.resolve(client_data, ("c", "a")) == ["c", "a"]


@pytest.mark.parametrize(
  "client_ids, message",
  [
    ([], "at least one client"),
    (["a", "nobody"], "nobody"),
    (["a", "b", "a"], "twice"),
  ],
)
def test_impossible_choices_are_refused(client_ids, message):
  client_data = user_words.make_client_data({"a": [], "b": ["x"]})
  with pytest.raises(ValueError, match=message):
    asked_clients.resolve(client_data, client_ids)
