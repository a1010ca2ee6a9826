"""Client data: images and text, and their preprocessing.

Everything here is a `tff.simulation.datasets.ClientData`, with the fields and
dtypes of TFF's own EMNIST and Stack Overflow, and knows no federated process.
Only `mnist`, `celeba` and `places365` are arrays, for whoever divides them.
"""

from tff_gen_debug.datasets import alphabet
from tff_gen_debug.datasets import celeba
from tff_gen_debug.datasets import dirichlet
from tff_gen_debug.datasets import docstrings
from tff_gen_debug.datasets import emnist
from tff_gen_debug.datasets import fashion_mnist
from tff_gen_debug.datasets import handwriting
from tff_gen_debug.datasets import image_clients
from tff_gen_debug.datasets import language_examples
from tff_gen_debug.datasets import mnist
from tff_gen_debug.datasets import places365
from tff_gen_debug.datasets import preprocessing
from tff_gen_debug.datasets import stackoverflow
from tff_gen_debug.datasets import tokenization
from tff_gen_debug.datasets import vocabulary
from tff_gen_debug.datasets.client_data import TracedClientData

__all__ = [
  "TracedClientData",
  "alphabet",
  "celeba",
  "dirichlet",
  "docstrings",
  "emnist",
  "fashion_mnist",
  "handwriting",
  "image_clients",
  "language_examples",
  "mnist",
  "places365",
  "preprocessing",
  "stackoverflow",
  "tokenization",
  "vocabulary",
]
