// An extension with nanobind that borrows the NumPy arrays it works on. With pybind11 it is the same.
#include "tenure_numpy.h"
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace nb = nanobind;

static const tn_numpy_borrows *borrows;

// A borrow of a NumPy array for writing, until the end of the scope. It ends with the interpreter attached.
class write_borrow {
public:
    write_borrow(nb::handle array, const char *name)
        : guard_(TN_NUMPY_ACQUIRE(borrows, array.ptr(), 1, name))
    {
        if (guard_ == 0)
            throw nb::python_error(); // tenure.OwnershipError, which names the holder
    }
    ~write_borrow() { borrows->release(guard_, 0); }
    write_borrow(const write_borrow &) = delete;
    write_borrow &operator=(const write_borrow &) = delete;

private:
    uint64_t guard_;
};

static void halve(nb::object image, nb::object while_borrowed)
{
    auto pixels = nb::cast<nb::ndarray<double, nb::ndim<2>, nb::c_contig, nb::device::cpu>>(image);
    write_borrow borrow(image, "image");
    if (!while_borrowed.is_none())
        while_borrowed();
    nb::gil_scoped_release without_gil;
    for (size_t i = 0; i < pixels.size(); i++)
        pixels.data()[i] *= 0.5;
}

NB_MODULE(nanobind_halve, module)
{
    borrows = tn_numpy_borrows_import();
    if (borrows == nullptr)
        throw nb::python_error();
    module.def("halve", &halve, nb::arg("image"), nb::arg("while_borrowed") = nb::none());
}
