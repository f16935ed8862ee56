"""Mirrors: the result types of ``Mirror``.

Contract: the class is native; this module adds what returns named tuples.
"""

from typing import NamedTuple

from ._tenure import Mirror
from ._variable import _crossing_of


class Transfers(NamedTuple):
    """The transfers of a mirror since it was made."""

    to_device: int
    to_host: int
    bytes_to_device: int
    bytes_to_host: int


def _transfers(self):
    """The transfers since the mirror was made: ``Transfers(to_device, to_host, bytes_to_device, bytes_to_host)``."""
    return Transfers(*self._transfers)


def _crossing(self):
    """What became of the object from which the mirror was made: ``Crossing(how, why)``; None without an object."""
    how, why = self._crossing
    return _crossing_of(how, why) if how else None


def _install():
    """Adds the properties to the class of the native half."""
    Mirror.transfers = property(_transfers)
    Mirror.crossing = property(_crossing)
    Transfers.__module__ = "tenure"


_install()
