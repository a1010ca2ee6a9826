"""The six debugging tasks of the paper, each with a fault to find.

Table 1 of Augenstein et al. (2020), Generative Models for Effective ML on
Private, Decentralized Datasets, arXiv 1911.06679, on the embedded data sets.
"""
