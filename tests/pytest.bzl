"""A py_test that pytest runs, so that plain test functions are collected."""

def py_test(name, srcs, args = [], data = [], **kwargs):
    """Declares a test whose one source file is handed to pytest.

    Args:
      name: The target's name.
      srcs: The test's one source file.
      args: Further arguments of pytest.
      data: Files that the test reads.
      **kwargs: What the native rule takes beside these.
    """
    if len(srcs) != 1:
        fail("%s must have one source file, got %s" % (name, srcs))
    native.py_test(
        name = name,
        srcs = srcs + ["//tests:pytest_main.py"],
        main = "//tests:pytest_main.py",
        args = [
            "-c",
            "$(location //:pyproject.toml)",
            "$(location %s)" % srcs[0],
        ] + args,
        data = data + ["//:pyproject.toml"],
        **kwargs
    )
