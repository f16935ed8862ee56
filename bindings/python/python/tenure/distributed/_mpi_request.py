"""Requests that hold borrows: what MPI uses is borrowed from the start of an operation until the call that completes it.

Contract: a borrow ends in the call of Wait or Test, or of one of their relatives, that completes the request, and nowhere else. A request that
the program drops stays open, because MPI still uses its bytes; ``tenure.leaks()`` has its borrows. What an operation that failed wrote is
poisoned. Waitany, Waitsome and their relatives do not say which one failed, so all that ended with it are.
"""

from __future__ import annotations

from mpi4py import MPI

from .._errors import Status
from . import _mpi_message
from ._mpi_message import refused

# Requests that are not complete.
_open: set[Request] = set()
# The borrows of operations that an interrupt left without a request. MPI may use the bytes for as long as the program runs.
_lost: list = []


def end(borrows, failed=False):
    """Ends the borrows of a call."""
    while borrows:
        borrows.pop().end(failed)


def stopped(error, borrows, is_started):
    """Ends the borrows of a call that raised. is_started: whether MPI may use the bytes nevertheless."""
    if is_started:
        _lost.append(borrows)
    else:
        end(borrows, _mpi_message.may_have_written(error))


def _mpi(requests):
    """The requests of mpi4py."""
    return [r.request if isinstance(r, Request) else r for r in requests]


class Request:
    """A non-blocking operation, with mpi4py's names. As a context manager it waits at the end of the block. Where an exception leaves the block, a
    receive is cancelled, and any other operation stays open with its borrows."""

    def __init__(self, request, borrows, is_receive=False):
        self.request = request
        self._borrows = borrows
        self._is_receive = is_receive
        if borrows:
            _open.add(self)

    def _complete(self, failed=False):
        end(self._borrows, failed)
        _open.discard(self)

    def _fail(self, status=None):
        """After an error. status: what MPI said about this request, if it did."""
        if self._has_ended(status):
            self._complete(failed=status is None or status.Get_error() != MPI.SUCCESS)

    def _has_ended(self, _status):
        # MPI keeps a request that it has not completed.
        return self.request == MPI.REQUEST_NULL

    def Wait(self, status=None):
        """Waits until the operation is complete, and ends its borrows."""
        try:
            self.request.Wait(status)
        except MPI.Exception:
            self._fail()
            raise
        self._complete()
        return True

    def Test(self, status=None):
        """Whether the operation is complete; then its borrows have ended."""
        try:
            done = self.request.Test(status)
        except MPI.Exception:
            self._fail()
            raise
        if done:
            self._complete()
        return done

    def Cancel(self):
        """Asks MPI to cancel the operation. The borrows end with Wait or Test, as ever."""
        self.request.Cancel()

    def Get_status(self, status=None):
        """Whether the operation is complete. It ends no borrow."""
        return self.request.Get_status(status)

    def Free(self):
        """As in mpi4py, for a request that is complete: MPI would use the bytes of any other without a way to tell when it is done."""
        if self._borrows:
            raise refused(Status.BORROWED, "the request is not complete, and its arrays are borrowed; call Wait or Test before Free")
        self.request.Free()

    @property
    def is_open(self) -> bool:
        """Whether borrows are held."""
        return bool(self._borrows)

    @classmethod
    def Waitall(cls, requests, statuses=None):
        """Waits for all of them. Takes requests of mpi4py too."""
        cls._all(MPI.Request.Waitall, list(requests), statuses)
        return True

    @classmethod
    def Testall(cls, requests, statuses=None):
        """Whether all are complete."""
        return cls._all(MPI.Request.Testall, list(requests), statuses)

    @staticmethod
    def _all(call, requests, statuses):
        # Open MPI 5.0 reports no error to a caller that ignores the statuses.
        told = [] if statuses is None else statuses
        told += [MPI.Status() for _ in range(len(told), len(requests))]
        try:
            done = call(_mpi(requests), told)
        except MPI.Exception as error:
            for request, status in zip(requests, told):
                if isinstance(request, Request):
                    request._fail(status if error.Get_error_class() == MPI.ERR_IN_STATUS else None)
            raise
        if done:
            _each(requests, Request._complete)
        return done

    @classmethod
    def Waitany(cls, requests, status=None):
        """Waits for one of them and returns its index."""
        requests = list(requests)
        try:
            index = MPI.Request.Waitany(_mpi(requests), status)
        except MPI.Exception:
            _each(requests, Request._fail)
            raise
        _each([] if index == MPI.UNDEFINED else [requests[index]], Request._complete)
        return index

    @classmethod
    def Testany(cls, requests, status=None):
        """The index of one that is complete, and whether there is one."""
        requests = list(requests)
        try:
            index, done = MPI.Request.Testany(_mpi(requests), status)
        except MPI.Exception:
            _each(requests, Request._fail)
            raise
        _each([requests[index]] if done and index != MPI.UNDEFINED else [], Request._complete)
        return index, done

    @classmethod
    def Waitsome(cls, requests, statuses=None):
        """Waits for at least one of them and returns the indices of those that are complete."""
        return cls._some(MPI.Request.Waitsome, requests, statuses)

    @classmethod
    def Testsome(cls, requests, statuses=None):
        """The indices of those that are complete."""
        return cls._some(MPI.Request.Testsome, requests, statuses)

    @staticmethod
    def _some(call, requests, statuses):
        requests = list(requests)
        try:
            indices = call(_mpi(requests), [] if statuses is None else statuses)  # as in `_all`
        except MPI.Exception:
            _each(requests, Request._fail)
            raise
        _each([requests[index] for index in indices or ()], Request._complete)
        return indices

    def __enter__(self):
        return self

    def __exit__(self, exception=None, *_rest):
        if exception is not None:
            if not (self._is_receive and self.is_open):
                return
            self.Cancel()
        self.Wait()


def _each(requests, action):
    for request in requests:
        if isinstance(request, Request):
            action(request)


class Prequest(Request):
    """A persistent operation. Its arrays are borrowed from each Start until the call that completes it, and free in between."""

    def __init__(self, request, uses, is_receive=False):
        super().__init__(request, [], is_receive)
        self._uses = uses  # arrays, whether MPI writes them, and their addresses

    def _borrow(self):
        if self._borrows:
            raise refused(Status.BORROWED, "the persistent request is active; call Wait or Test before Start")
        taken = []
        try:
            for x, writes, address in self._uses:
                taken.append(_mpi_message.borrowed(x, writes))
                if taken[-1].address != address:
                    text = f"{_mpi_message.named(x)} has moved since the persistent request was made; make another one"
                    raise refused(Status.STALE, text)
        except BaseException:
            end(taken)
            raise
        return taken

    def _started(self, borrows):
        self._borrows = borrows
        if borrows:
            _open.add(self)

    def _has_ended(self, status):
        # A persistent request is never null. One that is not active counts as complete.
        if status is None:
            return self.request.Get_status()
        return MPI.Get_error_class(status.Get_error()) != MPI.ERR_PENDING

    def Start(self):
        """Borrows the arrays and starts the operation."""
        Prequest.Startall([self])

    @classmethod
    def Startall(cls, requests):
        """Starts all of them, or none where a borrow is refused. Takes requests of mpi4py too."""
        requests = list(requests)
        ours = [request for request in requests if isinstance(request, Prequest)]
        taken = []
        try:
            for request in ours:
                taken.append(request._borrow())
            MPI.Prequest.Startall(_mpi(requests))
        except Exception:
            for borrows in taken:
                end(borrows)
            raise
        finally:
            # After an interrupt MPI may have begun. One that has not is complete at the next call of Wait.
            for request, borrows in zip(ours, taken):
                request._started(borrows)
