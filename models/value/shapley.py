"""Shapley values of few players, exactly (Shapley, 1953): what each adds, averaged over all orders of coming in.

Coalitions of P players are numbered 0 to 2^P - 1; bit p says whether player p is in. With so few players nothing is
sampled: values are one matrix product of the worth of all coalitions (Data Shapley for groups: Ghorbani and Zou, ICML
2019).
"""

from math import factorial

import numpy as np

from models.retrieve.contract import F64


def shapley_matrix(n_players: int) -> F64:
    """(P, 2^P) whose product with the worth of every coalition is the value of every player.

    Values add up to the worth of all together less that of nobody.
    """
    n = n_players
    out = np.zeros((n, 1 << n))
    for coalition in range(1 << n):
        size = coalition.bit_count()
        for player in range(n):
            if coalition >> player & 1:
                out[player, coalition] = factorial(size - 1) * factorial(n - size) / factorial(n)
            else:
                out[player, coalition] = -factorial(size) * factorial(n - size - 1) / factorial(n)
    return out


def left_out_matrix(n_players: int) -> F64:
    """(P, 2^P) whose product with the worth of every coalition is what all together lose without each player."""
    everyone = (1 << n_players) - 1
    out = np.zeros((n_players, 1 << n_players))
    out[:, everyone] = 1.0
    for player in range(n_players):
        out[player, everyone & ~(1 << player)] = -1.0
    return out
