"""What TopAgg does to training: against a dense Gaussian at equal epsilon.

`python -m tasks.topagg_fedavg --preset demo --out DIR` trains a digit
classifier with DP-FedAvg over both and other aggregations; see `config`.
"""
