"""DataLens: a DP GAN of many teachers' votes, and what its samples are worth.

Wang et al. (2021), DataLens: Scalable Privacy Preserving Training via Gradient
Compression and Aggregation, arXiv 2103.11109.
"""
