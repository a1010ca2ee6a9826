"""Debug federated data with differentially private generative models.

The rooms of the package, in the order in which data walks through them:
`datasets`, `debugging`, `models`, `aggregators`, `privacy`, `learning`,
`evaluation`, `runtime`. Import the one that you need; this module imports none
of them, so that `tff_gen_debug.privacy` stays usable without TensorFlow.
"""

__version__ = "0.1.0"
