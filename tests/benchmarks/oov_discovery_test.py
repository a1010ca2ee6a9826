import pytest

from benchmarks import oov_discovery
from benchmarks import oov_users
from tff_gen_debug.datasets import vocabulary as vocabulary_lib
from tff_gen_debug.debugging import heavy_hitters


def _users(words):
  return oov_users.Users(
    vocabulary=vocabulary_lib.Vocabulary(("known",)),
    words=words,
    client_data=None,
    population=len(words),
  )


def test_users_are_counted_and_give_their_most_used_words():
  users = _users({"a": ["x", "y", "y"], "b": ["x", "x", "z"], "c": []})
  assert users.count_users() == {"x": 2, "y": 1, "z": 1}
  assert users.count_users(1) == {"y": 1, "x": 1}


def test_equal_counts_are_in_the_order_of_strings():
  counts = {"b": 1, "c": 2, "a": 1}
  assert oov_users.most_used_first(counts) == ["c", "a", "b"]


def test_users_come_back_from_their_file(tmp_path):
  path = tmp_path / "words.txt"
  # A joined token holds a space; a user may have no word; é is two bytes.
  path.write_bytes("i have\tnp\n\ncafé\tnp\tnp".encode())
  users = oov_users._users_of_file(
    vocabulary_lib.Vocabulary(("known",)), str(path), ["a", "b", "c"], 7
  )
  expected = {"a": ["i have", "np"], "b": [], "c": ["café", "np", "np"]}
  assert users.words == expected
  assert users.population == 7
  read = oov_users.read_clients(users.client_data)
  assert [[w.decode() for w in one["word"]] for one in read] == list(
    expected.values()
  )


def test_the_cap_weighs_lost_words_against_noise():
  # Whoever has one word each needs no second; the noise would only grow.
  one_each = _users({f"u{i}": ["w"] for i in range(50)})
  assert oov_discovery.choose_cap(one_each, 50, 1.0, 1e-3) == 1
  # At this budget four words of 2,000 users pass with certainty, and of a user
  # who gives one word only his most used comes out.
  four_each = _users({f"u{i}": list("aaabbcd") for i in range(50)})
  for cap, released in ((1, 1), (2, 2), (4, 4)):
    mechanism = heavy_hitters.ThresholdedGaussian.calibrate(
      epsilon=8.0, delta=1e-3, max_words_per_user=cap
    )
    assert mechanism.threshold + 9 * mechanism.noise_stddev < 2000
    assert len(four_each.count_users(cap)) == released
  assert oov_discovery.choose_cap(four_each, 2000, 8.0, 1e-3) == 4


@pytest.mark.parametrize(
  "word, expected",
  [("known", False), ("", False), ("3.14", False), ("f32", True), ("É", True)],
)
def test_candidates_are_words_that_clients_could_select(word, expected):
  vocabulary = vocabulary_lib.Vocabulary(("known",))
  assert oov_discovery.is_candidate(word, vocabulary) == expected


def test_scores_and_their_table():
  # Of 60 words, the first with 60 users, the last with one.
  truth = {f"w{i:02}": 60 - i for i in range(60)}
  scores = oov_discovery.score(["w00", "w55", "no", "nor"], truth)
  assert scores["50"] == dict(
    precision=0.25, recall=0.02, real=0.5, num_found=4
  )
  assert scores["1000"]["precision"] == 0.5
  assert scores["1000"]["recall"] == pytest.approx(2 / 60)
  nothing = oov_discovery.score([], truth)
  table = oov_discovery.markdown(
    [
      dict(epsilon=1.0, method="some", num_found=4, scores=scores),
      dict(epsilon=float("inf"), method="none", num_found=0, scores=nothing),
    ]
  ).splitlines()
  assert len(table) == 4 and len({line.count("|") for line in table}) == 1
  assert table[2].startswith("| 1 | some | 4 | 25.0% | 2.0% | 50.0% |")
  assert table[3] == "| inf | none | 0 |" + " - | 0.0% | - |" * 3
