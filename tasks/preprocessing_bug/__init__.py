"""A federated GAN finds that some users' images arrive inverted.

The image experiment of Augenstein et al. (2020), Generative Models for
Effective ML on Private, Decentralized Datasets, arXiv 1911.06679, section 5.
"""
