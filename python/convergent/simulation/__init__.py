"""The simulation of Lu et al. (2018): can the shared response model find transformations that are known?"""
