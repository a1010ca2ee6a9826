"""A federated character model finds that a tokenizer joins words.

The text experiment of Augenstein et al. (2020), Generative Models for
Effective ML on Private, Decentralized Datasets, arXiv 1911.06679, section 4.
"""
