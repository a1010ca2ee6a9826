"""Tests for docstring_paragraphs, worked out by hand."""

import textwrap

import pytest

from tff_gen_debug.datasets import docstring_paragraphs


def _read(docstring):
  return docstring_paragraphs.read(textwrap.dedent(docstring).strip())


def test_lines_of_a_paragraph_are_joined():
  assert _read(
    """
    Adds two numbers
    and returns the sum.

    Never fails.
    """
  ) == ["Adds two numbers and returns the sum.", "Never fails."]


def test_googles_style():
  assert _read(
    """
    Fits the model.

    Args:
      x: The data, which
        may be sparse.
      y (int): A label.
      *args, **kwargs: Passed on
        to the parent: all of them.

    Returns:
      The fitted model.

    Raises:
      ValueError: If `x` is empty.
    """
  ) == [
    "Fits the model.",
    "The data, which may be sparse.",
    "A label.",
    "Passed on to the parent: all of them.",
    "The fitted model.",
    "If `x` is empty.",
  ]


def test_numpys_style():
  assert _read(
    """
    Fit the model.

    Parameters
    ----------
    x : array_like, optional
        The data, which
        may be sparse.
    y, z : int
        Two labels.

    Returns
    -------
    ndarray
        The fitted values.

    See Also
    --------
    scipy.stats : Many more distributions.
    fit_all, fit_one

    Notes
    -----
    The fit is exact.

    References
    ----------
    .. [1] A. Author, "On fitting", 1999.
    """
  ) == [
    "Fit the model.",
    "The data, which may be sparse.",
    "Two labels.",
    "ndarray",
    "The fitted values.",
    "The fit is exact.",
  ]


def test_restructured_text_fields():
  assert _read(
    """
    Fit the model.

    :param x: the data, which
        may be sparse
    :param int y: a label
    :type y: int or
        None
    :rtype: Model
    :returns: the fitted model
    """
  ) == [
    "Fit the model.",
    "the data, which may be sparse",
    "a label",
    "the fitted model",
  ]


def test_doctests_end_at_a_blank_line():
  assert _read(
    """
    Adds numbers. For example:

    >>> add(1, 2)
    3
    ... more

    It never fails.
    """
  ) == ["Adds numbers. For example:", "It never fails."]


def test_code_blocks():
  assert _read(
    """
    Call it like this::

        add(1, 2) is the way to go

    or in a file:

    ```python
    this is code, not prose
    ```

    .. code-block:: python

        this is code too

        and this as well

    That is all.
    """
  ) == ["Call it like this:", "or in a file:", "That is all."]


def test_statements_outside_of_blocks():
  assert _read(
    """
    It is used so:

      import adder
      x = adder.add(1, 2)
      for y in x:
        print(y)

    Return values are checked.
    """
  ) == ["It is used so:", "Return values are checked."]


def test_section_of_examples():
  assert _read(
    """
    Adds numbers.

    Example usage:
      with adder as a:
        a.add a number

    Never fails.
    """
  ) == ["Adds numbers.", "Never fails."]


def test_notes_stay_and_other_directives_go():
  assert _read(
    """
    .. note:: Mind the gap.

    .. versionchanged:: 1.2 It is faster.

    .. warning::
       It may fail.

    .. figure:: gap.png

       The gap that is meant.

    .. _label:
    """
  ) == ["Mind the gap.", "It is faster.", "It may fail."]


def test_lists():
  assert _read(
    """
    There are three:

    * the first
      of them,
    - name: the second,
    3. the third.
    """
  ) == ["There are three:", "the first of them,", "the second,", "the third."]


def test_tables_and_headings():
  assert _read(
    """
    All the names
    =============

    Here they are.

    ====  =======
    name  meaning
    ====  =======
    x     the x

    +---+---+
    | a | b |
    +---+---+

    one   two   three

    That is all.
    """
  ) == ["Here they are.", "That is all."]


def test_remark_in_front_of_a_description_goes():
  assert _read("x: (Optional) The data.\ny: (int, >= 0): A label.") == [
    "The data.",
    "A label.",
  ]


def test_colon_within_a_paragraph_is_no_label():
  assert _read("There are two\nmodes: fast and slow.") == [
    "There are two modes: fast and slow."
  ]


@pytest.mark.parametrize("docstring", ["", "\n \n", "::", ">>>", "..", "```"])
def test_nothing_to_read(docstring):
  assert [p for p in docstring_paragraphs.read(docstring) if p != ":"] == []
