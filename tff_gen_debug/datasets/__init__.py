"""Client data: EMNIST, embedded handwriting, and their preprocessing.

Everything here is a `tff.simulation.datasets.ClientData` with the fields,
dtypes and polarity of TFF's own EMNIST, and knows no federated process.
"""

from tff_gen_debug.datasets import emnist
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import preprocessing
from tff_gen_debug.datasets.client_data import TracedClientData

__all__ = [
  "TracedClientData",
  "emnist",
  "handwriting",
  "preprocessing",
]
